"""The finished parts of a prediction, kept so that a killed one resumes, and what tells two predictions apart."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.data.video import content_sha256, named
from pawjax.errors import InputError
from pawjax.files import lock, printable, read_json, write_json
from pawjax.inference.predictor import identity_of
from pawjax.inference.windows import Pose
from pawjax.tracks.file import count_frames, read_origin, read_tracks, write_tracks
from pawjax.tracks.tracks import Tracks

VIDEO = ("video", "video_sha256")  # what `origin_of` says
OPTIONS = ("crop", "track_window")  # entries that tracks of whole frames lack
ANIMALS = "animals"
UNLESS_SET = (*OPTIONS, ANIMALS, "structure")  # entries that are only there if they are not the default


class Parts:
    """The finished parts of a prediction, in a hidden folder beside its file."""

    def __init__(self, path: Path, identity: dict[str, str]):
        self._path, self._identity = path, identity
        self._folder = path.with_name(f".{path.name}.parts")

    def locked(self) -> Any:
        """Locks the folder for this process. Raises InputError if another process has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            file = lock(self._folder / ".lock", wait=False)
        except BlockingIOError as error:
            raise InputError(
                f"another process predicts into {self._path}: wait for it, or use another --out"
            ) from error
        if not self._is_ours():
            for part in self._files():
                part.unlink()
            write_json(self._folder / "identity.json", self._identity)
        self._drop_damaged()
        return file

    def n_frames(self) -> int:
        """Frames in the finished parts."""
        return sum(map(count_frames, self._files()))

    def last_pose(self, corner: tuple[int, int]) -> Pose | None:
        """The points of the last frame done, relative to a corner (x, y) of the frame; None before the first."""
        if not self._files():
            return None
        tracks = read_tracks(self._files()[-1])
        return Pose(tracks.keypoints[-1, 0] - np.array(corner, np.float32), tracks.likelihood[-1, 0])

    def add(self, tracks: Tracks) -> None:
        """Writes the next part."""
        write_tracks(self._folder / f"{len(self._files()):06d}.h5", [tracks])

    def finish(self, broken: str) -> None:
        """Joins the parts to the file of tracks, with why the video broke off if it did, and removes them."""
        pieces = map(read_tracks, self._files())
        more = {"broken": broken} if broken else {}
        write_tracks(self._path, (dataclasses.replace(piece, origin=piece.origin | more) for piece in pieces))
        shutil.rmtree(self._folder)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.h5"))

    def _drop_damaged(self) -> None:
        """Removes the first part that cannot be read, and those after it: their frames are predicted again."""
        files = self._files()
        for number, part in enumerate(files):
            try:
                count_frames(part)
            except InputError:
                for late in reversed(files[number:]):
                    late.unlink()
                return

    def _is_ours(self) -> bool:
        path = self._folder / "identity.json"
        try:
            return path.exists() and read_json(path, "the prediction starts again") == self._identity
        except InputError:  # damaged: the prediction starts again
            return False


def is_done(origin: dict[str, str], path: Path, overwrite: bool = False) -> bool:
    """Whether `path` holds tracks of this origin, see `pawjax.inference.videos.origin_of_tracks`.

    With `overwrite`, tracks of the same video by another predictor or with other options are as good. Raises InputError
    if it holds those of another predictor, video or crop, or is no file of tracks.
    """
    if not path.exists():
        return False
    found, wanted = identity_of(read_origin(path)), identity_of(origin)
    set_before = (name for name in found if name.rpartition(" ")[2] in UNLESS_SET)  # of an ensemble 'member1 structure'
    names = VIDEO if overwrite else dict.fromkeys((*wanted, *set_before))
    other = [name for name in names if found.get(name, "") != wanted.get(name, "")]
    if other:
        raise InputError(
            f"{path} holds other tracks ({', '.join(other)} differ), which are never overwritten: use another --out, "
            "or move them away"
        )
    return True


def origin_of(video: Path) -> dict[str, str]:
    """The video's name and a hash of its content, see `content_sha256`."""
    return dict(zip(VIDEO, (printable(named(video).name), content_sha256(video)), strict=True))

"""The finished parts of a prediction, kept so that a killed one resumes, and what tells two predictions apart."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.errors import InputError
from pawjax.files import lock, printable, read_json, write_json
from pawjax.inference.predictor import Predictor
from pawjax.inference.windows import Pose
from pawjax.tracks.file import count_frames, read_origin, read_tracks, write_tracks
from pawjax.tracks.tracks import Tracks


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

    def finish(self) -> None:
        """Joins the parts to the file of tracks and removes them."""
        write_tracks(self._path, (read_tracks(part) for part in self._files()))
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


def is_done(predictor: Predictor, video: Path, path: Path) -> bool:
    """Whether `path` holds the tracks of a video by this predictor.

    Raises InputError if it holds those of another run, checkpoint or video, or is no file of tracks.
    """
    if not path.exists():
        return False
    found, wanted = read_origin(path), predictor.origin | origin_of(video)
    other = [name for name, value in wanted.items() if found.get(name) != value]
    if other:
        raise InputError(
            f"{path} holds other tracks ({', '.join(other)} differ), which are never overwritten: use another --out, "
            "or move them away"
        )
    return True


def origin_of(video: Path) -> dict[str, str]:
    """The video's name and a hash of its content: its size and its first and last MB, or the names of its pictures."""
    digest = hashlib.sha256()
    if video.is_dir():
        digest.update("\n".join(f"{file.name} {file.stat().st_size}" for file in sorted(video.iterdir())).encode())
    else:
        size = video.stat().st_size
        with video.open("rb") as file:
            digest.update(str(size).encode() + file.read(2**20))
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return {"video": printable(video.name), "video_sha256": digest.hexdigest()}

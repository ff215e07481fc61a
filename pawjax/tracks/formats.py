"""The formats that tracks are written in, by name, and how a file of tracks of any of our formats is read."""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pawjax.errors import InputError, did_you_mean, warn
from pawjax.files import user_path
from pawjax.tracks import coco, deeplabcut, deeplabcut_read, lightning_pose, movement, nwb, sleap, sleap_read, viterbi
from pawjax.tracks.ensemble_kalman import smooth_joined
from pawjax.tracks.file import ENDING, read_pieces, read_tracks, write_tracks
from pawjax.tracks.filters import median, savitzky_golay
from pawjax.tracks.kalman import smooth
from pawjax.tracks.made import Made
from pawjax.tracks.tracks import Tracks

Write = Callable[[Path, Iterable[Tracks], str], None]  # path, pieces, scorer
FILTERS: dict[str, Callable[[Tracks], Tracks]] = {
    "median": median,
    "savgol": savitzky_golay,
    "kalman": smooth,
    "ensemble_kalman": smooth_joined,
    "viterbi": viterbi.choose,
}
FILTERED = "_filtered"  # before the ending, as DeepLabCut has it


@dataclasses.dataclass(frozen=True)
class File:
    """One file of a format.

    Attributes:
      ending: of its name.
      write: writes it.
      modules: what `write` imports from beyond pawjax's own dependencies, installed by the extra `extra`.
      of_raw: it is written only for tracks that are not filtered.
      of_one: it holds one animal.
    """

    ending: str
    write: Write
    modules: tuple[str, ...] = ()
    extra: str = ""
    of_raw: bool = False
    of_one: bool = False

    @property
    def missing(self) -> str:
        """The modules that are not installed, and what to do; '' if all are."""
        names = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return f"{' and '.join(names)} (pip install 'pawjax[{self.extra}]')" if names else ""


FORMATS = {
    "dlc": (
        File(".csv", deeplabcut.write_csv),
        File(".h5", deeplabcut.write_h5, ("pandas", "tables"), "deeplabcut"),
        File("_meta.pickle", deeplabcut.write_meta, of_raw=True),
    ),
    "lp": (File(".lightning_pose.csv", lightning_pose.write_csv, of_one=True),),
    "sleap": (File(".analysis.h5", sleap.write_sleap),),
    "coco": (File(".coco.json", coco.write_coco),),
    "nwb": (File(".nwb", nwb.write_nwb, ("pynwb", "ndx_pose"), "nwb", of_one=True),),
    "movement": (File(".movement.nc", movement.write_movement, ("xarray", "h5netcdf"), "movement"),),
}


def check_formats(names: Sequence[str], animals: int = 1) -> None:
    """Raises InputError for an unknown format, one that does not hold so many animals, or one whose extra is missing.

    Warns if only a part of its extra is missing.
    """
    for name in names:
        if name not in FORMATS:
            hint = did_you_mean(name, tuple(FORMATS), f"the formats are {', '.join(FORMATS)}")
            raise InputError(f"--formats: there is no format '{name}': {hint}")
        if animals > 1 and any(file.of_one for file in FORMATS[name]):
            several = [name for name, files in FORMATS.items() if not any(file.of_one for file in files)]
            raise InputError(f"--formats: {name} holds one animal, not {animals}: choose among {', '.join(several)}")
        missing = [file for file in FORMATS[name] if file.missing]
        if len(missing) == len(FORMATS[name]):
            raise InputError(f"--formats: {name} needs {missing[0].missing}")
        for file in missing:
            warn(f"files {file.ending} of the format {name} are not written: they need {file.missing}")


def check_scorer(name: str) -> None:
    """Raises InputError for a scorer that cannot be part of a file's name."""
    if "/" in name or "\0" in name:
        raise InputError(f"--dlc_scorer={name} is part of the names of files: remove '/' from it")


def dlc_scorer(scorer: str) -> str:
    """The scorer of DeepLabCut's files: its later steps look for names that begin with 'DLC_'."""
    return scorer if scorer.startswith("DLC_") else f"DLC_{scorer}"


def write_formats(
    source: Path, video: str, scorer: str, formats: Sequence[str], overwrite: bool = False, dlc: str = ""
) -> list[Path]:
    """Writes tracks in other formats beside their file, and returns the paths of all files of these formats.

    What was made before from the same tracks is left. A file whose extra is not installed is left out.

    Args:
      source: the file of tracks, of `write_tracks`; a filtered one ends in _filtered.tracks.h5.
      video: the stem of the video's name.
      scorer: the name of what made the tracks; the names of the files are video + scorer + ending.
      formats: names in FORMATS.
      overwrite: write again what was made before.
      dlc: the scorer of DeepLabCut's own files instead, e.g. that of a network of the project.

    Raises InputError if a name is taken by a file that was not made here, or was changed since.
    """
    made = Made(source)
    suffix = FILTERED if source.name.endswith(f"{FILTERED}{ENDING}") else ""
    paths = []
    for name in formats:
        named = (dlc or dlc_scorer(scorer)) if name == "dlc" else scorer
        for file in FORMATS[name]:
            if file.missing or (suffix and file.of_raw):
                continue
            path = source.with_name(f"{video}{named}{suffix}{file.ending}")
            made.write(path, lambda temporary, f=file, n=named: f.write(temporary, read_pieces(source), n), overwrite)
            paths.append(path)
    return paths


def write_filtered(source: Path, name: str, overwrite: bool = False) -> Path:
    """Writes a file of tracks filtered by FILTERS[name] beside `source`, and returns its path; it reads all tracks.

    Raises InputError if the name is taken by a file that was not made here, for times that go back, or for
    tracks that lack what the filter needs.
    """
    path = source.with_name(f"{source.name.removesuffix(ENDING)}{FILTERED}{ENDING}")

    def write(temporary: Path) -> None:
        tracks = read_tracks(source)
        try:
            filtered = FILTERS[name](tracks)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        write_tracks(temporary, [filtered])

    Made(source).write(path, write, overwrite, how=name)
    return path


def read(path: str | Path) -> Tracks:
    """Tracks from pawjax's own file (.tracks.h5), a CSV or .h5 of DeepLabCut or Lightning Pose, or SLEAP's analysis.

    Raises InputError for another file, or a damaged one.
    """
    path = user_path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file: correct the path")
    if path.name.endswith(ENDING):
        return read_tracks(path)
    return sleap_read.read_sleap(path) if sleap_read.is_sleap(path) else deeplabcut_read.read_deeplabcut(path)

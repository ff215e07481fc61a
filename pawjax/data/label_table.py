"""Label tables as read from files, before any image is opened: checks and merging shared by all formats."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pawjax.data.names import nfc
from pawjax.errors import InputError, listed, warn

AGREEMENT_PX = 1e-3  # two files of the same labels may differ by rounding
COORDS = ("x", "y", "likelihood", "visible")
OCCLUDED, VISIBLE = 1.0, 2.0  # of a `visible` column, as in COCO and Lightning Pose; 0 is not labelled
MANY_ZEROS = (3, 0.05)  # labels of a bodypart at (0, 0), at least: how many, and which share of them


@dataclass(frozen=True)
class LabelTable:
    """Labels of N frames with A animals (1 today) of K bodyparts.

    files, the paths of the images below the project, spelled as on disk or, before they are found there, as in the
    table; bodyparts, the K names, spelled as the user did; keypoints float64 [N, A, K, 2], (x, y) pixels, NaN where
    not labelled; absent bool [N, A, K], where the labels say that a bodypart is not to be seen.
    """

    source: Path
    files: tuple[str, ...]
    bodyparts: tuple[str, ...]
    keypoints: np.ndarray
    absent: np.ndarray

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the N frames: their files, in one Unicode form."""
        return tuple(map(nfc, self.files))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The bodyparts in one Unicode form, to compare them by."""
        return tuple(map(nfc, self.bodyparts))

    @property
    def n_animals(self) -> int:
        return self.keypoints.shape[1]


def table_from_columns(
    source: Path, files: Sequence[str], columns: Sequence[tuple[str, str]], values: np.ndarray
) -> LabelTable:
    """Builds a single-animal table from `values` [N, M] with columns (bodypart, coord); `files` as of `frame_path`.

    A coord is x, y, likelihood or visible. A frame may have several rows, which `merge_tables` compares.
    Raises InputError for a row that names no image of the project, a repeated column, an unknown or missing coordinate,
    or half a label.
    """
    _refuse_foreign_paths(source, files)
    _refuse_repeated_columns(source, columns)
    bodyparts = tuple(dict.fromkeys(bodypart for bodypart, _ in columns))
    for bodypart, coord in columns:
        if coord not in COORDS:
            raise InputError(
                f"{source}: column '{bodypart} {coord}' is not x, y, likelihood or visible; is this a label table?"
            )
    place = {column: index for index, column in enumerate(columns)}
    keypoints = np.full((len(files), len(bodyparts), 2), np.nan)
    absent = np.zeros((len(files), len(bodyparts)), bool)
    for k, bodypart in enumerate(bodyparts):
        for axis, coord in enumerate("xy"):
            if (bodypart, coord) not in place:
                raise InputError(f"{source}: bodypart '{bodypart}' has no column '{coord}'; write the labels again")
            keypoints[:, k, axis] = values[:, place[bodypart, coord]]
        if (bodypart, "visible") in place:
            visible = values[:, place[bodypart, "visible"]]
            keypoints[:, k] = _mask_hidden(source, bodypart, files, keypoints[:, k], visible)
            absent[:, k] = visible == OCCLUDED
    hidden = [values[:, index] for (_, coord), index in place.items() if coord == "visible"]
    if hidden and not (np.asarray(hidden) == VISIBLE).any() and absent.any():
        raise InputError(
            f"{source}: its 'visible' columns contain 1 (occluded) but never 2 (visible), so no point would be used; "
            f"write 2 where a point is visible"
        )
    _refuse_half_labels(source, files, bodyparts, keypoints)
    return LabelTable(source, tuple(files), bodyparts, keypoints[:, None], absent[:, None])


def with_gaps_absent(table: LabelTable) -> LabelTable:
    """The table with every gap marked as absent in frames that have a label.

    That is what a gap means where people label all that they see. A frame without any label may just not be done yet.
    """
    gaps = np.isnan(table.keypoints).any(axis=-1)
    begun = ~gaps.all(axis=(1, 2), keepdims=True)
    return dataclasses.replace(table, absent=table.absent | (gaps & begun))


def merge_tables(source: Path, tables: Sequence[LabelTable]) -> LabelTable:
    """Merges tables with the same bodyparts, sorting frames by path component (DeepLabCut's merged order).

    Of several rows of a frame with the same labels one is kept, with a warning. Raises InputError, naming both labels,
    if they differ.
    """
    files = [file for table in tables for file in table.files]
    keypoints, absent = (np.concatenate([getattr(t, name) for t in tables]) for name in ("keypoints", "absent"))
    merged = LabelTable(source, tuple(files), tables[0].bodyparts, keypoints, absent)
    rows = _first_rows(merged, [table.source for table in tables for _ in table.files])
    rows.sort(key=lambda row: files[row].split("/"))
    return LabelTable(source, tuple(files[row] for row in rows), merged.bodyparts, keypoints[rows], absent[rows])


def _first_rows(table: LabelTable, sources: Sequence[Path]) -> list[int]:
    """The first row of every frame; `sources` names the file of each row. Raises InputError if another row differs."""
    first: dict[str, int] = {}
    differing = []
    for row, frame in enumerate(table.ids):
        other = first.setdefault(frame, row)
        same = table.keypoints[row] == table.keypoints[other]
        same |= np.isnan(table.keypoints[row]) & np.isnan(table.keypoints[other])
        if not same.all():
            differing.append((other, row, *np.argwhere(~same.all(axis=-1))[0]))
    if differing:
        one, other, a, k = differing[0]
        texts = [f"{_describe(table.keypoints[row, a, k])} in {_short(sources[row])}" for row in (one, other)]
        more = f" (and {len(differing) - 1} more rows differ)" if len(differing) > 1 else ""
        raise InputError(
            f"{table.source}: the frame {table.ids[one]} has two rows that differ: {table.bodyparts[k]} is {texts[0]} "
            f"and {texts[1]}{more}; keep the right row"
        )
    repeats = len(table.ids) - len(first)
    if repeats:
        warn(
            f"{table.source}: {repeats} rows of its label tables repeat other rows of the same frames and labels; "
            f"one of each is kept"
        )
    return list(first.values())


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def warn_of_zeros(table: LabelTable) -> None:
    """Warns of bodyparts with many labels at exactly (0, 0), which are probably missing ones."""
    zeros = (table.keypoints == 0).all(axis=-1).sum(axis=(0, 1))
    labels = (~np.isnan(table.keypoints).any(axis=-1)).sum(axis=(0, 1))
    least, share = MANY_ZEROS
    many = np.flatnonzero((zeros >= least) & (zeros >= share * labels))
    if len(many):
        counts = [f"{zeros[k]} of {labels[k]} labels of {table.bodyparts[k]}" for k in many]
        warn(
            f"{table.source}: {listed(counts, 5)} are at exactly (0, 0), as some tools write a bodypart that is not "
            f"visible; they are used as labels: empty these cells if that is what they mean"
        )


def first_difference(one: LabelTable, other: LabelTable) -> str:
    """Describes the first difference between two tables of the same labels; '' if they agree to 0.001 px."""
    for left, right in ((one, other), (other, one)):
        for kind, a, b in (("frame", left.ids, right.ids), ("bodypart", left.names, right.names)):
            unmatched = sorted(set(a) - set(b))
            if unmatched:
                return f"only {left.source.name} has the {kind} {unmatched[0]}"
    place = {frame: row for row, frame in enumerate(other.ids)}
    rows = [place[frame] for frame in one.ids]
    columns = [other.names.index(name) for name in one.names]
    aligned = other.keypoints[rows][:, :, columns]
    same = np.isclose(one.keypoints, aligned, rtol=0, atol=AGREEMENT_PX, equal_nan=True).all(axis=-1)
    if same.all():
        return ""
    n, a, k = np.argwhere(~same)[0]
    texts = [_describe(point) for point in (one.keypoints[n, a, k], aligned[n, a, k])]
    return (
        f"{one.bodyparts[k]} in {one.ids[n]} is {texts[0]} in {one.source.name} and {texts[1]} in {other.source.name}"
    )


def _describe(point: np.ndarray) -> str:
    return "missing" if np.isnan(point).any() else f"({point[0]:.9g}, {point[1]:.9g})"


def _refuse_foreign_paths(source: Path, files: Sequence[str]) -> None:
    for row, file in enumerate(files, start=1):
        if not file or "\0" in file or file.split("/")[0] == "..":
            problem = f"'{file}', which lies outside the project" if file.startswith("..") else "no image"
            raise InputError(f"{source}: row {row} of its frames names {problem}; correct the path, or remove the row")
        if file.split("/")[-1].isdecimal():
            raise InputError(
                f"{source}: row {row} of its frames names '{file}', a number, not an image; write the path of each "
                "image there, e.g. labeled-data/VIDEO/img0001.png"
            )


def _refuse_repeated_columns(source: Path, columns: Sequence[tuple[str, str]]) -> None:
    seen: set[str] = set()
    names = [f"{nfc(bodypart)} {coord}" for bodypart, coord in columns]
    repeated = list(dict.fromkeys(name for name in names if name in seen or seen.add(name)))
    if repeated:
        raise InputError(f"{source}: column {listed(repeated, 3)} appears more than once; keep one of each")


def _refuse_half_labels(source: Path, files: Sequence[str], bodyparts: Sequence[str], keypoints: np.ndarray) -> None:
    missing = np.isnan(keypoints)
    for words, wrong in (
        ("has only one coordinate", missing[..., 0] != missing[..., 1]),
        ("has an infinite coordinate", np.isinf(keypoints).any(axis=-1)),
    ):
        if wrong.any():
            n, k = np.argwhere(wrong)[0]
            raise InputError(
                f"{source}: the label of {bodyparts[k]} in {files[n]} {words}; give both x and y, or leave both empty"
            )


def _mask_hidden(
    source: Path, bodypart: str, files: Sequence[str], points: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    known = np.isnan(visible) | np.isin(visible, (0.0, OCCLUDED, VISIBLE))
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise InputError(
            f"{source}: column '{bodypart} visible' of {files[row]} holds {visible[row]:g}; "
            f"use 0 (not labelled), 1 (occluded) or 2 (visible)"
        )
    shown = np.isnan(visible) | (visible == VISIBLE)
    return np.where(shown[:, None], points, np.nan)

"""Label tables as read from files, before any image is opened: checks and merging shared by all formats."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pawjax.errors import InputError, listed

AGREEMENT_PX = 1e-3  # two files of the same labels may differ by rounding
COORDS = ("x", "y", "likelihood", "visible")
VISIBLE = 2.0  # Lightning Pose: 0 not labelled, 1 occluded (not trained on), 2 visible


@dataclass(frozen=True)
class LabelTable:
    """Labels of N frames with A animals (1 today) of K bodyparts.

    keypoints float64 [N, A, K, 2], (x, y) pixels, NaN where not labelled.
    """

    source: Path
    ids: tuple[str, ...]
    bodyparts: tuple[str, ...]
    keypoints: np.ndarray

    @property
    def n_animals(self) -> int:
        return self.keypoints.shape[1]


def frame_id(*parts: str) -> str:
    """Frame id from the path of a labelled image: forward slashes, starting at 'labeled-data'.

    Raises InputError for a path that contains a NUL.
    """
    if any("\0" in part for part in parts):
        raise InputError(f"{'/'.join(parts)!r} is not the name of an image: a label table or split contains a NUL")
    pieces = [piece for part in parts for piece in re.split(r"[\\/]+", part.strip()) if piece not in ("", ".")]
    if "labeled-data" in pieces[:-1]:
        pieces = pieces[len(pieces) - 1 - pieces[::-1].index("labeled-data") :]
    return "/".join(pieces)


def video_of(frame: str) -> str:
    """Video of a frame: its folder, without a leading 'labeled-data' unless that is all."""
    folders = frame.split("/")[:-1]
    if len(folders) > 1 and folders[0] == "labeled-data":
        folders = folders[1:]
    return "/".join(folders)


def table_from_columns(
    source: Path, ids: Sequence[str], columns: Sequence[tuple[str, str]], values: np.ndarray
) -> LabelTable:
    """Builds a single-animal table from `values` [N, M] with columns (bodypart, coord).

    A coord is x, y, likelihood or visible.
    Raises InputError for a repeated frame or column, an unknown or missing coordinate, or half a label.
    """
    _refuse_repeated(source, "row", ids)
    _refuse_repeated(source, "column", [f"{bodypart} {coord}" for bodypart, coord in columns])
    bodyparts = tuple(dict.fromkeys(bodypart for bodypart, _ in columns))
    for bodypart, coord in columns:
        if coord not in COORDS:
            raise InputError(
                f"{source}: column '{bodypart} {coord}' is not x, y, likelihood or visible; is this a label table?"
            )
    place = {column: index for index, column in enumerate(columns)}
    keypoints = np.full((len(ids), len(bodyparts), 2), np.nan)
    for k, bodypart in enumerate(bodyparts):
        for axis, coord in enumerate("xy"):
            if (bodypart, coord) not in place:
                raise InputError(f"{source}: bodypart '{bodypart}' has no column '{coord}'; write the labels again")
            keypoints[:, k, axis] = values[:, place[bodypart, coord]]
        if (bodypart, "visible") in place:
            keypoints[:, k] = _mask_hidden(
                source, bodypart, ids, keypoints[:, k], values[:, place[bodypart, "visible"]]
            )
    hidden = [values[:, index] for (_, coord), index in place.items() if coord == "visible"]
    if hidden and not (np.asarray(hidden) == VISIBLE).any() and (np.asarray(hidden) == 1).any():
        raise InputError(
            f"{source}: its 'visible' columns contain 1 (occluded) but never 2 (visible), so no point would be used; "
            f"write 2 where a point is visible"
        )
    _refuse_half_labels(source, ids, bodyparts, keypoints)
    return LabelTable(source, tuple(ids), bodyparts, keypoints[:, None])


def order_bodyparts(table: LabelTable, bodyparts: Sequence[str], config_file: Path) -> LabelTable:
    """The table with its bodyparts in the order of the project's config. Raises InputError if the names differ."""
    missing = [bodypart for bodypart in bodyparts if bodypart not in table.bodyparts]
    extra = [bodypart for bodypart in table.bodyparts if bodypart not in bodyparts]
    if missing or extra:
        problems = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"also has {', '.join(extra)}"] * bool(extra)
        raise InputError(
            f"{table.source}: its columns do not match the bodyparts in {config_file.name}: the table "
            f"{' and '.join(problems)}; make the field 'bodyparts' and the label table agree"
        )
    columns = [table.bodyparts.index(bodypart) for bodypart in bodyparts]
    return LabelTable(table.source, table.ids, tuple(bodyparts), table.keypoints[:, :, columns])


def merge_tables(source: Path, tables: Sequence[LabelTable]) -> LabelTable:
    """Merges tables with the same bodyparts, sorting frames by path component (DeepLabCut's merged order)."""
    ids = [frame for table in tables for frame in table.ids]
    _refuse_repeated(source, "row", ids)
    order = sorted(range(len(ids)), key=lambda row: ids[row].split("/"))
    keypoints = np.concatenate([table.keypoints for table in tables])
    return LabelTable(source, tuple(ids[row] for row in order), tables[0].bodyparts, keypoints[order])


def first_difference(one: LabelTable, other: LabelTable) -> str:
    """Describes the first difference between two tables of the same labels; '' if they agree to 0.001 px."""
    for left, right in ((one, other), (other, one)):
        for kind, a, b in (("frame", left.ids, right.ids), ("bodypart", left.bodyparts, right.bodyparts)):
            unmatched = sorted(set(a) - set(b))
            if unmatched:
                return f"only {left.source.name} has the {kind} {unmatched[0]}"
    place = {frame: row for row, frame in enumerate(other.ids)}
    rows = [place[frame] for frame in one.ids]
    columns = [other.bodyparts.index(bodypart) for bodypart in one.bodyparts]
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
    return "missing" if np.isnan(point).any() else f"({point[0]:g}, {point[1]:g})"


def _refuse_repeated(source: Path, kind: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    repeated = list(dict.fromkeys(name for name in names if name in seen or seen.add(name)))
    if repeated:
        raise InputError(f"{source}: {kind} {listed(repeated, 3)} appears more than once; keep one of each")


def _refuse_half_labels(source: Path, ids: Sequence[str], bodyparts: Sequence[str], keypoints: np.ndarray) -> None:
    missing = np.isnan(keypoints)
    for words, wrong in (
        ("has only one coordinate", missing[..., 0] != missing[..., 1]),
        ("has an infinite coordinate", np.isinf(keypoints).any(axis=-1)),
    ):
        if wrong.any():
            n, k = np.argwhere(wrong)[0]
            raise InputError(
                f"{source}: the label of {bodyparts[k]} in {ids[n]} {words}; give both x and y, or leave both empty"
            )


def _mask_hidden(
    source: Path, bodypart: str, ids: Sequence[str], points: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    known = np.isnan(visible) | np.isin(visible, (0.0, 1.0, VISIBLE))
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise InputError(
            f"{source}: column '{bodypart} visible' of {ids[row]} holds {visible[row]:g}; "
            f"use 0 (not labelled), 1 (occluded) or 2 (visible)"
        )
    shown = np.isnan(visible) | (visible == VISIBLE)
    return np.where(shown[:, None], points, np.nan)

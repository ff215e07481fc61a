"""The corners of a board in all pictures of several cameras, and why there are none."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from pawjax.data.board_views import Source, read_one, read_views
from pawjax.errors import InputError, warn
from pawjax.machine import n_processors
from pawjax.pose3d.board import CHARUCO, CHESSBOARD, COUNTED, FEWEST, Board, name_of
from pawjax.pose3d.corners import Finder, dictionaries
from pawjax.pose3d.planar import FEWEST as FEWEST_FOUND
from pawjax.progress import track

TRIED = 8  # pictures of each camera on which other boards are tried
FEW = 3  # the same, where the board was found, or there are many others
AHEAD = 4  # pictures for each thread that wait for it
MOSTLY = 0.5  # share of the pictures in which a larger board also fits from which the board is the larger one

Place = tuple[int, int]  # number of the camera, and of the view


def find_corners(sources: Sequence[Source], views: np.ndarray, board: Board) -> tuple[Board, np.ndarray]:
    """The board as its pictures show it, and its corners [C, V, M, 2], px, NaN where a corner is not found.

    The board differs from the one given if its layout is the old one: see `Board.legacy`; of that it warns.

    Args:
      sources: C cameras.
      views: int [C, V], from `match_views`.
      board: what is looked for.

    Raises InputError for a picture that cannot be read or is of another size, an unknown dictionary, a camera none of
    whose pictures shows the board, and a board that is only a part of the one that is seen. The message says what fits.
    """
    corners = _find_all(sources, views, board)
    if _has_old_layout(sources, views, board, corners):
        warn("the ChArUco board has the layout that OpenCV drew before version 4.6, and is read as such")
        board = dataclasses.replace(board, legacy=True)
        corners = _find_all(sources, views, board)
    _check_found(sources, views, board, corners)
    return board, corners


def _find_all(sources: Sequence[Source], views: np.ndarray, board: Board) -> np.ndarray:
    finder = Finder(board)
    corners = np.full((*views.shape, len(board.points), 2), np.nan)
    total = int((views >= 0).sum())
    for place, found in track(_mapped(finder, _pictures(sources, views)), "finding boards", total):
        corners[place] = found
    corners[np.isfinite(corners).all(-1).sum(-1) < FEWEST_FOUND] = np.nan
    return corners


def _has_old_layout(sources: Sequence[Source], views: np.ndarray, board: Board, corners: np.ndarray) -> bool:
    """Whether more corners fit the old layout, in pictures in which the new one seems to be found, if there are any."""
    if board.kind != CHARUCO or board.size[1] % 2:  # with an odd number of rows both are the same
        return False
    found = np.isfinite(corners).any((-1, -2))
    pictures = _some(sources, np.where(found, views, -1), FEW, first=True) if found.any() else _some(sources, views)
    old = dataclasses.replace(board, legacy=True)
    return _number_found(old, pictures) > _number_found(board, pictures)


def _check_found(sources: Sequence[Source], views: np.ndarray, board: Board, corners: np.ndarray) -> None:
    found = np.isfinite(corners).any((-1, -2))
    for source, own, is_found in zip(sources, views, found, strict=True):
        if not is_found.any():
            raise InputError(
                f"--board={board.kind} --squares={name_of(board.size)}: the board is not found in any of "
                f"{(own >= 0).sum()} pictures of the camera '{source.camera}': "
                f"{_what_fits(board, _some([source], own[None]))}"
            )
    if board.kind == CHESSBOARD:
        pictures = _some(sources, np.where(found, views, -1), FEW, first=True)
        larger = [_resized(board, *by) for by in ((1, 0), (0, 1), (1, 1))]
        numbers = [_number_found(other, pictures) / len(other.points) for other in larger]
        if max(numbers) > MOSTLY * len(pictures):
            size = name_of(larger[int(np.argmax(numbers))].size)
            raise InputError(
                f"--squares={name_of(board.size)} is only a part of the chessboard, on which {size} inner corners are "
                f"found: write --squares={size}"
            )


def _what_fits(board: Board, pictures: list[np.ndarray]) -> str:
    """Instead of a board that is not found, and what to write."""
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
    if board.kind == CHARUCO and _number_found(board, mirrored):
        return (
            "it is found when they are mirrored, so record them without a mirror or a flip, or print the board as it is"
        )
    changes = [(-1, -1), (1, 1), (-1, 0), (0, -1), (1, 0), (0, 1)]
    others = [_resized(board, *by) for by in changes]
    others += [dataclasses.replace(board, size=board.size[::-1])] * (board.kind == CHARUCO)
    fitting = _best([other for other in others if other], pictures)
    if fitting:
        size = name_of(fitting.size)
        return f"{size} fits, as {COUNTED[board.kind]} are counted: write --squares={size}"
    if board.kind == CHARUCO:
        other = _best([dataclasses.replace(board, dictionary=name) for name in dictionaries()], pictures[:FEW])
        if other:
            return f"its markers are of the dictionary {other.dictionary}: write --dictionary={other.dictionary}"
        kind, size = CHESSBOARD, (board.size[0] - 1, board.size[1] - 1)
        if min(size) >= FEWEST and _number_found(Board(kind, size, board.square_mm), pictures):
            return f"a chessboard is: write --board={kind} --squares={name_of(size)}"
    return (
        f"correct --squares, the number of {COUNTED[board.kind]}, or take sharper pictures that show the whole board "
        f"with its white border"
    )


def _resized(board: Board, columns: int, rows: int) -> Board | None:
    size = board.size[0] + columns, board.size[1] + rows
    return dataclasses.replace(board, size=size) if min(size) >= FEWEST else None


def _best(boards: Sequence[Board], pictures: list[np.ndarray]) -> Board | None:
    """The board of which most corners are found; None if there is none in any picture."""
    numbers = [_number_found(board, pictures) for board in boards]
    return boards[int(np.argmax(numbers))] if any(numbers) else None


def _number_found(board: Board, pictures: list[np.ndarray]) -> int:
    """How many corners are found; 0 for a board that its dictionary has too few markers for."""
    try:
        finder = Finder(board)
    except InputError:
        return 0
    with ThreadPoolExecutor(n_processors()) as pool:
        return sum(int(np.isfinite(found).all(-1).sum()) for found in pool.map(finder, pictures))


def _some(sources: Sequence[Source], views: np.ndarray, most: int = TRIED, first: bool = False) -> list[np.ndarray]:
    """At most so many pictures of each camera: evenly spaced, or the first, which of a video is faster."""
    chosen = np.full_like(views, -1)
    for camera, own in enumerate(views):
        there = np.flatnonzero(own >= 0)
        number = min(most, len(there))
        some = there[:number] if first else there[np.linspace(0, len(there) - 1, number).astype(int)]
        chosen[camera, some] = own[some]
    return [read() for _, read in _pictures(sources, chosen)]


def _pictures(sources: Sequence[Source], views: np.ndarray) -> Iterator[tuple[Place, Callable[[], np.ndarray]]]:
    """Each picture's place, and what reads it: pictures are read by whoever calls, frames of videos in their order."""
    for camera, (source, own) in enumerate(zip(sources, views, strict=True)):
        there = np.flatnonzero(own >= 0)
        if source.video and len(there):
            view_of = dict(zip(own[there].tolist(), there.tolist(), strict=True))
            for place, pixels in read_views(source, own[there].tolist()):
                yield (camera, view_of[place]), lambda pixels=pixels: pixels
        else:
            for view in there.tolist():
                yield (camera, view), lambda source=source, place=int(own[view]): read_one(source, place)


def _mapped(finder: Finder, pictures: Iterable[tuple[Place, Callable[[], Any]]]) -> Iterator[tuple[Place, np.ndarray]]:
    """The corners of each picture, found by as many threads as there are processors, with few pictures in memory."""
    waiting: collections.deque[tuple[Place, Future]] = collections.deque()
    threads = n_processors()
    with ThreadPoolExecutor(threads) as pool:
        for place, read in pictures:
            waiting.append((place, pool.submit(lambda read=read: finder(read()))))
            if len(waiting) > AHEAD * threads:
                place, found = waiting.popleft()
                yield place, found.result()
        for place, found in waiting:
            yield place, found.result()

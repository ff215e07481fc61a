"""The corners of a board in a picture, found by OpenCV, which `pip install pawjax[calibrate]` adds."""

from types import ModuleType

import numpy as np

from pawjax.errors import InputError, did_you_mean
from pawjax.pose3d.board import CHESSBOARD, Board

LARGEST_WINDOW = 6  # px, half the side of the window in which a corner is refined
STEPS, PRECISION = 60, 1e-3  # of the refinement: at most, and px
PREFIX = "DICT_"


def opencv() -> ModuleType:
    """OpenCV. Raises InputError if it is not installed, or too old."""
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            "the corners of boards are found by OpenCV, which is not installed: pip install 'pawjax[calibrate]'"
        ) from error
    if not hasattr(cv2, "aruco") or not hasattr(cv2.aruco, "CharucoDetector"):
        raise InputError(
            f"OpenCV {cv2.__version__} has no CharucoDetector: pip install --upgrade opencv-python-headless"
        )
    return cv2


def dictionaries() -> list[str]:
    """Names of OpenCV's dictionaries of markers, without DICT_, small ones first."""
    aruco = opencv().aruco
    sizes = {
        name.removeprefix(PREFIX): len(aruco.getPredefinedDictionary(getattr(aruco, name)).bytesList)
        for name in dir(aruco)
        if name.startswith(PREFIX)
    }
    return sorted(sizes, key=sizes.get)


class Finder:
    """Finds the corners of a board; may be called by several threads.

    Raises InputError for an unknown dictionary, or one with too few markers for the board.
    """

    def __init__(self, board: Board):
        self.board, self._cv2 = board, opencv()
        if board.kind != CHESSBOARD:
            self._charuco()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Corners [M, 2] (x, y) in the order of `board.points`, px; NaN where one is not found.

        Args:
          pixels: uint8 [H, W].
        """
        pixels = np.ascontiguousarray(pixels)
        corners = self._find_chessboard(pixels) if self.board.kind == CHESSBOARD else self._find_charuco(pixels)
        return np.full((len(self.board.points), 2), np.nan) if corners is None else corners

    def _find_chessboard(self, pixels: np.ndarray) -> np.ndarray | None:
        cv2, size = self._cv2, self.board.size
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
        found, corners = cv2.findChessboardCorners(pixels, size, flags=flags)
        if not found:
            return None
        grid = corners.reshape(size[1], size[0], 2)
        least = min(np.linalg.norm(np.diff(grid, axis=axis), axis=-1).min() for axis in (0, 1))
        window = int(np.clip(least / 2 - 1, 1, LARGEST_WINDOW))  # holds no other corner
        end = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, STEPS, PRECISION)
        corners = cv2.cornerSubPix(pixels, corners, (window, window), (-1, -1), end)
        return self._in_order(pixels, corners.reshape(-1, 2).astype(float))

    def _in_order(self, pixels: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Right-handed as seen from the front, and with a dark square at the first corner if that tells turns apart."""
        shape = (self.board.rows, self.board.columns, 2)
        grid = corners.reshape(shape)
        along, down = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
        if along[0] * down[1] < along[1] * down[0]:
            grid = grid[:, ::-1]
        corners = grid.reshape(-1, 2)
        others = self.board.other_turns()
        return corners[others[0]] if others and _first_is_light(pixels, grid) else corners

    def _charuco(self):  # noqa: ANN202, of OpenCV
        """A detector: a new one for each picture, as it is not said to be safe for threads."""
        cv2, board = self._cv2, self.board
        name = board.dictionary.upper().removeprefix(PREFIX)
        known = dictionaries()
        if name not in known:
            hint = did_you_mean(name, known, f"OpenCV has {', '.join(known)}")
            raise InputError(f"--dictionary={board.dictionary} is no dictionary of markers: {hint}")
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, PREFIX + name))
        needed, held = board.size[0] * board.size[1] // 2, len(dictionary.bytesList)
        if needed > held:
            raise InputError(
                f"--dictionary={board.dictionary} holds {held} markers, but a board of {board.size[0]}x{board.size[1]} "
                f"squares has {needed}: name the dictionary that it was printed with"
            )
        made = cv2.aruco.CharucoBoard(board.size, board.square_mm, board.marker_mm, dictionary)
        made.setLegacyPattern(board.legacy)
        return cv2.aruco.CharucoDetector(made)

    def _find_charuco(self, pixels: np.ndarray) -> np.ndarray | None:
        corners, ids, _, _ = self._charuco().detectBoard(pixels)
        if ids is None or not len(ids):
            return None
        placed = np.full((len(self.board.points), 2), np.nan)
        placed[np.ravel(ids)] = np.reshape(corners, (-1, 2))
        return placed


def _first_is_light(pixels: np.ndarray, grid: np.ndarray) -> bool:
    """Whether the square at the first corner [rows, columns, 2] is lighter than its neighbours."""
    centres = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4
    last = np.array(pixels.shape[::-1]) - 1
    x, y = np.moveaxis(np.clip(np.rint(centres).astype(int), 0, last), -1, 0)
    values = pixels[y, x].astype(float)
    even = np.add.outer(*map(np.arange, values.shape)) % 2 == 0
    return values[even].mean() > values[~even].mean()

"""The flat boards that cameras are calibrated with: where their corners are, and what can be told apart."""

import dataclasses

import numpy as np

from pawjax.errors import InputError

CHESSBOARD, CHARUCO = KINDS = ("chessboard", "charuco")
COUNTED = {CHESSBOARD: "inner corners of a chessboard", CHARUCO: "squares of a ChArUco board"}
LEAST_SQUARE = 0.1  # mm; a smaller number is metres
FEWEST = 3  # of these, in each direction: OpenCV finds no smaller chessboard


@dataclasses.dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
      kind: one of KINDS.
      size: (columns, rows), inner corners of a chessboard, squares of a ChArUco board: as OpenCV counts them.
      square_mm: side of a square.
      marker_mm: side of a marker of a ChArUco board.
      dictionary: of its markers, a name of OpenCV's without DICT_, e.g. '4X4_50'.
      legacy: whether a ChArUco board has the layout that OpenCV drew before version 4.6.

    Raises InputError for a board that cannot be.
    """

    kind: str
    size: tuple[int, int]
    square_mm: float
    marker_mm: float = 0.0
    dictionary: str = ""
    legacy: bool = False

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"--board={self.kind} must be {' or '.join(KINDS)}")
        if min(self.size) < FEWEST:
            raise InputError(
                f"--squares={name_of(self.size)} is too small: it counts the {COUNTED[self.kind]}, {FEWEST}x{FEWEST} "
                f"or more"
            )
        if not self.square_mm >= LEAST_SQUARE:
            raise InputError(
                f"--square_mm={self.square_mm:g} must be {LEAST_SQUARE:g} or more: the side of a square in "
                f"millimetres, 30 for 3 cm or 0.03 m"
            )
        if self.kind == CHARUCO and not 0 < self.marker_mm < self.square_mm:
            raise InputError(
                f"--marker_mm={self.marker_mm:g} must be between 0 and the side of a square, {self.square_mm:g} mm: "
                f"measure the side of a black marker"
            )

    @property
    def columns(self) -> int:
        """Inner corners in a row."""
        return self.size[0] - (self.kind == CHARUCO)

    @property
    def rows(self) -> int:
        """Inner corners in a column."""
        return self.size[1] - (self.kind == CHARUCO)

    @property
    def points(self) -> np.ndarray:
        """[M, 3], mm: the inner corners row by row, z = 0; seen from the front x goes right and y down."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        return self.square_mm * np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(float)

    def turns(self) -> list[np.ndarray]:
        """Orders of the corners [M] in which the turned board looks the same, the unturned one first.

        A chessboard whose counts of corners are both odd or both even looks the same after half a turn; a square one
        with even counts also after a quarter.
        """
        return [order for order, light in self._orders() if not light]

    def other_turns(self) -> list[np.ndarray]:
        """Orders of the corners in which the turned board has the colours of its squares exchanged."""
        return [order for order, light in self._orders() if light]

    def _orders(self) -> list[tuple[np.ndarray, bool]]:
        """All turns by quarters that keep the grid, and whether the colours are exchanged."""
        grid = np.arange(self.columns * self.rows).reshape(self.rows, self.columns)
        if self.kind == CHARUCO:
            return [(grid.ravel(), False)]
        orders = []
        for quarters in range(4):
            turned = np.rot90(grid, quarters)
            if turned.shape == grid.shape:
                rows, columns = np.divmod(turned[:2, :2], self.columns)
                orders.append((turned.ravel(), bool((rows.min() + columns.min()) % 2)))
        return orders


def name_of(size: tuple[int, int]) -> str:
    """'9x6'."""
    return f"{size[0]}x{size[1]}"


def parse_size(text: str) -> tuple[int, int]:
    """(9, 6) of '9x6'. Raises InputError for anything else."""
    columns, _, rows = text.lower().partition("x")
    if columns.isdecimal() and rows.isdecimal():
        return int(columns), int(rows)
    raise InputError(f"--squares={text} must be two numbers, columns x rows, e.g. 9x6")

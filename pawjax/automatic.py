"""What fields of the config become that are left at 0: scale, batch size and number of steps, from the labelled frames.

Pure functions of numbers; `pawjax.engine.choices` applies them.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from pawjax.sections import MOST, Section

LARGEST_BATCH = 65_536
LONGEST = 10_000.0  # px


@dataclasses.dataclass(frozen=True)
class Automatic(Section):
    """`config.automatic`. Only `animal` has been measured, see launch/README.md, "The recipe of lite0".

    Attributes:
      animal: for `config.scale` = 0, the extent that the median animal gets, px of the network's input.
      scales: (smallest, largest) scale chosen.
      batches: for `config.batch_size` = 0, the fewest batches that the training frames fill.
      batch_sizes: (smallest, largest) batch size chosen.
      epochs: for `config.steps` = 0, how often each training frame is shown.
      steps: (fewest, most) steps chosen.
    """

    section: ClassVar[str] = "automatic"

    animal: float = 230.0
    scales: tuple[float, float] = (0.25, 1.0)
    batches: int = 4
    batch_sizes: tuple[int, int] = (4, 8)
    epochs: int = 100
    steps: tuple[int, int] = (300, 20_000)

    def __post_init__(self):
        self.require_range("animal", 1, LONGEST)
        self.require_range("scales", 0.01, 16)
        self.require_range("batches", 1, MOST)
        self.require_range("batch_sizes", 1, LARGEST_BATCH)
        self.require_range("epochs", 1, MOST)
        self.require_range("steps", 1, MOST)
        for field in ("scales", "batch_sizes", "steps"):
            low, high = getattr(self, field)
            self.require(field, low <= high, "two numbers, the smaller first")


def median_extent(keypoints: np.ndarray, labelled: np.ndarray) -> float | None:
    """The median over frames of the longer side of the box around an animal's labelled points, px.

    Args:
      keypoints: [N, A, K, 2] (x, y) px.
      labelled: bool [N, A, K].

    Returns None if no animal has two labelled points in different places.
    """
    points = np.where(labelled[..., None], keypoints, np.nan)[labelled.sum(-1) >= 2]  # [animals, K, 2]
    if not len(points):
        return None
    return float(np.median((np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).max(-1))) or None


def scale_for(extent: float, settings: Automatic) -> float:
    """The scale at which an animal of this extent, px, gets the extent `settings.animal`."""
    return round(float(np.clip(settings.animal / extent, *settings.scales)), 2)


def batch_size_for(n_frames: int, multiple: int, settings: Automatic) -> int:
    """The batch size for this many training frames: a power of two, then rounded up to a multiple of `multiple`."""
    low, high = settings.batch_sizes
    wanted = 2 ** int(np.log2(max(n_frames / settings.batches, 1)))
    return -(-int(np.clip(wanted, low, high)) // multiple) * multiple


def steps_for(n_frames: int, batch_size: int, multiple: int, settings: Automatic) -> int:
    """The steps that show each of the training frames `settings.epochs` times, rounded up to a `multiple`."""
    steps = np.clip(settings.epochs * n_frames / batch_size, *settings.steps)
    return int(-(-steps // multiple) * multiple)


def steps_within(seconds: float, per_step: float, per_evaluation: float, every: int, multiple: int) -> int:
    """The most steps, a multiple of `multiple`, that fit into a time with the evaluations between them.

    Args:
      seconds: the time.
      per_step, per_evaluation: seconds that one takes.
      every: steps from one evaluation to the next; the last step is followed by one too.
      multiple: of the steps.
    """

    def needed(steps: int) -> float:
        return steps * per_step + -(-steps // every) * per_evaluation

    steps = max(int(seconds / (per_step + per_evaluation / every)) // multiple * multiple, 0)
    while steps > 0 and needed(steps) > seconds:
        steps -= multiple
    return max(steps, 0)

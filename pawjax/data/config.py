"""The config section `data`: which labelled frames to read, and how to split them."""

import dataclasses
from typing import ClassVar

from pawjax.errors import InputError, did_you_mean
from pawjax.sections import MOST, Section

SOURCES = ("paw_on_ball", "deeplabcut", "lightning_pose")
LABEL_FILES = ("auto", "csv", "h5")
SMALLEST_SIDE, LARGEST_SIDE = 16, 8192  # px of a synthetic frame
MOST_FRAMES = 1_000_000  # synthetic ones
MOST_SEED = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class PawOnBallConfig(Section):
    """The synthetic frames of `paw_on_ball`.

    Attributes:
      n_frames: number of frames.
      height, width: frame size, px.
      seed: random seed; it determines mice, cameras and movements.
    """

    section: ClassVar[str] = "data.paw_on_ball"

    n_frames: int = 1623
    height: int = 600
    width: int = 800
    seed: int = 0

    def __post_init__(self):
        """Raises InputError for a value out of range."""
        self.require_range("n_frames", 1, MOST_FRAMES)
        self.require_range("height", SMALLEST_SIDE, LARGEST_SIDE)
        self.require_range("width", SMALLEST_SIDE, LARGEST_SIDE)
        self.require_range("seed", 0, MOST_SEED)


@dataclasses.dataclass(frozen=True)
class DataConfig(Section):
    """Which labelled frames and bodyparts to read, and how to split them into train, dev and test.

    Attributes:
      source: 'paw_on_ball' (synthetic), 'deeplabcut' or 'lightning_pose'.
      path: project folder; '' for 'paw_on_ball'.
      label_file: which label table of a DeepLabCut project to use: 'csv', 'h5', or 'auto', which raises an error if
        both exist and differ.
      bodyparts: names of the bodyparts to use; () for all.
      symmetric_pairs: pairs of names, e.g. (("leftear", "rightear"),), that are swapped in a mirrored frame.
      guess_pairs: if there are no `symmetric_pairs` and a new run mirrors frames, take those that the names tell
        (`pawjax.data.sides`), and say so.
      unlabelled: what a bodypart without a label means. 'negative': it is not to be seen, and the network learns that;
        evaluations count how often it is found all the same. 'ignore': it may be anywhere, so it is left out of the
        loss. 'auto', by source: in a DeepLabCut project it is not to be seen, if its frame has other labels and its
        table has a column for it; in a Lightning Pose table if its `visible` is 1 (occluded); everything else is
        ignored. Frames of which nothing is known are left out of the split.
      cache: folder of prepared data; '' for $PAWJAX_CACHE, then ~/.cache/pawjax.
      split_file: JSON of frame ids, or DeepLabCut's Documentation_data pickle; '' draws the split.
      split_fractions: fractions of (train, dev, test).
      split_by: 'frame', or 'video' to keep each video within one split.
      split_seed: random seed of the split.
      n_train: number of training frames to use, drawn with `split_seed`; 0 for all.
      paw_on_ball: the synthetic frames.
    """

    section: ClassVar[str] = "data"

    source: str = "paw_on_ball"
    path: str = ""
    label_file: str = "auto"
    bodyparts: tuple[str, ...] = ()
    symmetric_pairs: tuple[tuple[str, str], ...] = ()
    guess_pairs: bool = True
    unlabelled: str = "auto"
    cache: str = ""
    split_file: str = ""
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    split_by: str = "frame"
    split_seed: int = 0
    n_train: int = 0
    paw_on_ball: PawOnBallConfig = PawOnBallConfig()

    @property
    def needs_labels(self) -> bool:
        """Whether a frame without any label is of no use: neither a negative nor synthetic.

        A synthetic frame lacks a label because its paw is hidden, by design and at a known rate, not because nobody
        labelled it yet.
        """
        return self.unlabelled != "negative" and self.source != "paw_on_ball"

    def __post_init__(self):
        """Raises InputError for a value that is invalid whatever the files contain."""
        self._check_source()
        self.require_choice("label_file", LABEL_FILES)
        self.require_choice("unlabelled", ("auto", "ignore", "negative"))
        self.require_choice("split_by", ("frame", "video"))
        self.require_range("split_seed", 0, MOST_SEED)
        self.require_range("n_train", 0, MOST)
        shares = self.split_fractions
        if len(shares) != 3 or not min(shares) >= 0 or not abs(sum(shares) - 1) <= 1e-6:
            raise InputError(
                f"config.data.split_fractions: {tuple(shares)} are not three shares (train, dev, test) that sum to 1"
            )
        self._check_pairs()

    def _check_source(self) -> None:
        if self.source not in SOURCES:
            hint = did_you_mean(str(self.source), SOURCES, f"choose from {', '.join(SOURCES)}")
            raise InputError(f"config.data.source: there is no source '{self.source}'; {hint}")
        if self.source != "paw_on_ball" and not self.path:
            raise InputError(f"config.data.path is empty: set it to the folder of the {self.source} data")
        if self.source == "paw_on_ball" and self.path:
            raise InputError(
                f"config.data.path = '{self.path}' is not read by config.data.source = 'paw_on_ball', which is "
                "synthetic: set --config.data.source=deeplabcut or lightning_pose"
            )

    def _check_pairs(self) -> None:
        """Checks that every pair is two names and no name is in two pairs."""
        pairs = self.symmetric_pairs
        fits = all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs)
        names = [name for pair in pairs for name in pair] if fits else []
        fits = fits and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
        wanted = "pairs of bodypart names, e.g. (('leftear', 'rightear'),), each bodypart in one pair only"
        self.require("symmetric_pairs", fits, wanted)

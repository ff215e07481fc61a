"""Settings of a model, with their checks: what a file configs/pose3d_*.py sets."""

import dataclasses

from ml_collections import ConfigDict

from pawjax.errors import InputError
from pawjax.pose3d import model1, model2
from pawjax.sections import MOST, Section

TRIANGULATIONS = ("median", "ransac")
MODELS = ("model0", "model1", "model2", "gimbal")
WITH_LIMBS = ("model2", "gimbal")


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """How positions are found.

    Attributes:
      model: 'median' of pairs of cameras or 'ransac', frame by frame; or 'model0', 'model1', 'model2', 'gimbal'.
      cut: likelihood below which a point is not used.
      threshold: px, the error up to which cameras agree in RANSAC, where models start and priors are learned.
      likelihoods: the prior probability of an outlier rises where the likelihood is low.
      noise: of Model 1: 'mixture', 'student_t' or 'huber'.
      form: of Model 2: 'direction' or 'distance'.
      states: number of GIMBAL's pose states, fewer in a short recording, see `pawjax.pose3d.learning`.
      frames: of a window; longer recordings are fitted window by window.
      overlap: frames that windows share with each neighbour.
      seed: of the pose states and of draws.
    """

    model: str = "ransac"
    cut: float = 0.6
    threshold: float = 15.0
    likelihoods: bool = True
    noise: str = "mixture"
    form: str = "direction"
    states: int = 40
    frames: int = 2000
    overlap: int = 100
    seed: int = 0

    def __post_init__(self):
        self.require_choice("model", (*TRIANGULATIONS, *MODELS))
        self.require_share("cut")
        self.require_positive("threshold", 1e6)
        self.require_choice("noise", model1.NOISES)
        self.require_choice("form", model2.FORMS)
        self.require_range("states", 1, 10_000)
        self.require_range("overlap", 0, MOST // 4)
        self.require_range("frames", 2, MOST)
        self.require("frames", self.frames > 2 * self.overlap, f"more than twice config.overlap = {self.overlap}")
        self.require_range("seed", 0, 2**32 - 1)


def default_config() -> ConfigDict:
    """RANSAC."""
    return ConfigDict(dataclasses.asdict(Settings()))


def check_fields(config: ConfigDict) -> None:
    """Raises InputError for any unknown or missing field."""
    found, fields = set(config), set(default_config())
    if unknown := sorted(found - fields):
        raise InputError(f"unknown config field config.{unknown[0]}: the fields are {', '.join(sorted(fields))}")
    if missing := sorted(fields - found):
        raise InputError(f"config.{missing[0]} is missing: start from default_config() and set the fields that differ")


def variant(config: ConfigDict, argument: str) -> ConfigDict:
    """The config that `--config=FILE.py:ARGUMENT` asks for: itself, or its smoke version, which is soon done.

    Raises InputError for any argument but 'smoke'.
    """
    if argument not in ("", "smoke"):
        raise InputError(f"--config=...:{argument}: the only config argument is ':smoke'; drop it for the full run")
    if argument:
        config.states = min(config.states, 4)
    return config

"""The config: every section, with the defaults of the components that own them. Files in configs/ set what differs.

| section | owner, where fields and defaults are explained |
|---|---|
| (top level) | `Run`, below |
| `data` | `pawjax.data.config.DataConfig` |
| `model` | `pawjax.models.backbones.Model` |
| `deeplabcut`, `faster_rcnn`, ... | `Settings` of the method, which `pawjax.methods.METHODS` names |
| `predict` | `pawjax.methods.method.Prediction` |
| `augment` | `pawjax.data.augment.Augment` |
| `optimizer` | `pawjax.optim.Optimizer` |
| `automatic` | `pawjax.automatic.Automatic` |
"""

import dataclasses

from ml_collections import ConfigDict

from pawjax.automatic import LARGEST_BATCH, Automatic
from pawjax.config_history import flat
from pawjax.data.augment import Augment
from pawjax.data.config import DataConfig
from pawjax.errors import InputError
from pawjax.methods import METHODS
from pawjax.methods.method import SCALES, Prediction
from pawjax.models.backbones import Model
from pawjax.optim import Optimizer
from pawjax.sections import MOST, Section

DTYPES = ("float32", "bfloat16")
CHECKPOINT_BY = ("rmse", "mean_error", "capped", "median", "last")
LONGEST = 10_000.0  # px
LARGEST_TIME = 100_000.0  # minutes


@dataclasses.dataclass(frozen=True)
class Run(Section):
    """The top level of a config: what a training run is, whatever its method.

    A new run chooses steps, batch size and scale that are 0 by itself (`pawjax.engine.choices`), says so, and writes
    them to its config.json.

    Attributes:
      seed: random seed of the weights, the order of the frames and every augmentation.
      steps: total updates; 0 chooses by the number of frames.
      minutes: if not 0, replaces `steps` by as many as take this long on this machine, from the start of the program,
        with compilation and evaluations. They are measured at the start and kept when the run is resumed.
      batch_size: frames per update, total over all devices; 0 chooses by the number of frames.
      microbatches: equal chunks of a batch that pass through the network one after another, to save memory.
      steps_per_dispatch: updates per device call; more help small networks on fast devices.
      log_every: updates between two lines of metrics.jsonl.
      eval_every: updates between evaluations on dev and on as many training frames; each is a checkpoint too.
      checkpoint_every: updates between checkpoints.
      checkpoint_by: which evaluated checkpoint is the best: the one with the least 'rmse', 'mean_error', 'capped' (mean
        of errors of at most `checkpoint_cap`) or 'median' on dev, or the 'last', which holds where weights are averaged
        and the rate falls to zero: launch/README.md, "Which checkpoint?".
      checkpoint_cap: px.
      patience: evaluations without a better checkpoint after which training ends early; 0 for none.
      parallel: 'jit' or 'pmap'; both use all devices and give the same numbers.
      init_from: weights to start from: 'imagenet', a file, URL#sha256=HEX, or a run folder; '' for random weights.
      dtype: of the network's arithmetic, 'float32' or, for GPUs, 'bfloat16'.
      device_gb: maximum GB of frames kept on the device; a larger set streams from the host in the same batches.
      deterministic: bitwise reproducible results on GPUs, at some cost; on CPUs they always are.
      tensorboard: also write TensorBoard events; needs the extra 'tensorboard'.
      method: a name in `pawjax.methods.METHODS`: 'deeplabcut', 'faster_rcnn', 'hourglass' or
        'patch'.
      scale: factor by which frames are resized for the network; 0 chooses by the size of the animal.
      pcutoff: minimum likelihood of a visible point, in reports.
    """

    seed: int = 0
    steps: int = 10_000
    minutes: float = 0.0
    batch_size: int = 8
    microbatches: int = 1
    steps_per_dispatch: int = 1
    log_every: int = 20
    eval_every: int = 500
    checkpoint_every: int = 500
    checkpoint_by: str = "rmse"
    checkpoint_cap: float = 20.0
    patience: int = 0
    parallel: str = "jit"
    init_from: str = ""
    dtype: str = "float32"
    device_gb: float = 8.0
    deterministic: bool = False
    tensorboard: bool = False
    method: str = "deeplabcut"
    scale: float = 1.0
    pcutoff: float = 0.6

    def __post_init__(self):
        every = ("log_every", "eval_every", "checkpoint_every")
        for field in ("microbatches", "steps_per_dispatch", *every):
            self.require_range(field, 1, MOST)
        for field in ("steps", "patience"):
            self.require_range(field, 0, MOST)
        self.require_range("minutes", 0, LARGEST_TIME)
        self.require_range("batch_size", 0, LARGEST_BATCH)
        for field in ("steps", *every):
            fits = getattr(self, field) % self.steps_per_dispatch == 0
            self.require(field, fits, f"a multiple of config.steps_per_dispatch = {self.steps_per_dispatch}")
        if self.scale:
            self.require_range("scale", *SCALES)
        self.require_range("checkpoint_cap", 0.1, LONGEST)
        self.require_choice("checkpoint_by", CHECKPOINT_BY)
        if self.checkpoint_by == "last":
            self.require("patience", self.patience == 0, "0 if config.checkpoint_by is 'last', which is always better")
        self.require_share("pcutoff")
        self.require_range("device_gb", 0, 1e30)
        self.require_range("seed", 0, 2**32 - 1)
        self.require_choice("parallel", ("jit", "pmap"))
        self.require_choice("dtype", DTYPES)
        self.require_choice("method", METHODS)


def sections() -> dict[str, type[Section]]:
    """{name: class} of the sections below the top level."""
    common = {"data": DataConfig, "model": Model, "predict": Prediction, "augment": Augment, "optimizer": Optimizer}
    common["automatic"] = Automatic
    return common | {name: entry.settings for name, entry in METHODS.items()}


def default_config() -> ConfigDict:
    """DeepLabCut on a ResNet-50, trained on the synthetic `paw_on_ball`."""
    values = dataclasses.asdict(Run()) | {name: dataclasses.asdict(section()) for name, section in sections().items()}
    return ConfigDict(values, convert_dict=True)


def check_config(config: ConfigDict) -> None:
    """Raises InputError for any unknown or missing field and any invalid value, before any data is read."""
    check_fields(config)
    Run.of(config)
    for section in sections().values():
        section.of(config)


def check_fields(config: ConfigDict) -> None:
    """Raises InputError for any unknown or missing field."""
    found, fields = (set(dict(flat(values.to_dict()))) for values in (config, default_config()))
    if unknown := sorted(found - fields):
        raise InputError(f"unknown config field config.{unknown[0]}: pawjax/config.py says where the fields are listed")
    if missing := sorted(fields - found):
        raise InputError(f"config.{missing[0]} is missing: start from default_config() and set the fields that differ")


def variant(config: ConfigDict, argument: str) -> ConfigDict:
    """The config that `--config=FILE.py:ARGUMENT` asks for: itself, or its smoke version.

    Raises InputError for any argument but 'smoke'.
    """
    if argument not in ("", "smoke"):
        raise InputError(f"--config=...:{argument}: the only config argument is ':smoke'; drop it for the full run")
    return smoke(config) if argument else config


def smoke(config: ConfigDict) -> ConfigDict:
    """The same experiment in a minute on a laptop: tiny synthetic frames and a few steps, to check that it runs."""
    config.steps, config.minutes, config.patience = 6, 0.0, 0
    config.batch_size = 4
    config.log_every = 2
    config.eval_every = 3
    config.checkpoint_every = 3
    config.scale = 1.0
    config.init_from = ""  # weights of the whole network would not fit the narrow one
    config.data.paw_on_ball.update(n_frames=20, height=96, width=128)
    config.model.stem_channels = min(config.model.stem_channels, 16)
    if config.model.norm == "frozen":  # random weights have no statistics to freeze
        config.model.norm = "batch"
    config.augment.crop = (0, 0)
    config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, 2)
    return config

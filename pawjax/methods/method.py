"""The interface of a method: network, targets, losses and decoding behind a few pure functions.

The engine trains any method, and `pawjax.inference` predicts with it, without knowing which one it is.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from pawjax.errors import InputError
from pawjax.losses import Term
from pawjax.models.backbones import Model
from pawjax.models.fold import fold, with_fields
from pawjax.ops.decoding import DECODERS
from pawjax.ops.scoremaps import ScoreMaps
from pawjax.sections import Section
from pawjax.structure import Pairwise
from pawjax.weights import read_weights

Variables = Mapping[str, Any]
Batch = Mapping[str, jax.Array]
SCALES = (0.01, 16)  # smallest and largest factor by which frames are resized
OF_SCORE_MAPS = ("decode", "structure")  # `Method.predict_fields` of methods with score maps
STRUCTURES = ("", "tree")


class Method(abc.ABC):
    """Base class of the methods, which are frozen dataclasses. Members after `predict` have defaults.

    Variables are a dict with 'params', updated by the optimizer, and any other collections (running statistics),
    updated by `loss`. `pawjax.data` defines a batch; it has one animal (A = 1), and methods for single animals drop
    that axis.

    Attributes:
      predict_fields: fields of `config.predict` that only the method reads.
      heads: modules, by the first name in a parameter's path, whose parameters may stay random if a weight file has
        none that fit.
      bodypart_heads: those of `heads` that have channels for each bodypart.
      extra_evaluations: {name: function from a config to an `ExtraEvaluation`}; the function raises InputError if
        the evaluation is impossible.
    """

    predict_fields: ClassVar[tuple[str, ...]] = ()
    heads: ClassVar[tuple[str, ...]] = ()
    bodypart_heads: ClassVar[tuple[str, ...]] = ()
    extra_evaluations: ClassVar[Mapping[str, Callable[[ConfigDict], "ExtraEvaluation"]]] = {}

    @property
    @abc.abstractmethod
    def loss_weights(self) -> dict[str, float]:
        """{name: weight} for every term of `loss`."""

    @abc.abstractmethod
    def init(self, key: jax.Array, batch: Batch) -> Variables:
        """Random variables for images like the batch's; only its 'image' is read."""

    @abc.abstractmethod
    def loss(self, variables: Variables, batch: Batch) -> tuple[dict[str, Term], Variables]:
        """The loss of a training batch, and the updated collections other than 'params'.

        Terms are {name: (sum, count)}, so that padding, missing labels and the number of devices never change a
        result; the engine minimises the sum over the terms of weight * sum / count. All randomness derives
        from `batch['key']`, one key per image.
        """

    @abc.abstractmethod
    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        """uint8 [B, H, W, C] -> 'keypoints' [B, K, 2], (x, y) pixels of `images`, and 'likelihood' [B, K] in 0..1.

        Methods with score maps add 'covariance' [B, K, 2, 2] and 'second' [B, K, 3], see `pawjax.ops.decoding.doubt`.
        """

    @property
    def warnings(self) -> tuple[str, ...]:
        """Messages about settings that are unlikely to train, printed before the first step."""
        return ()

    def with_axis(self, name: str) -> "Method":
        """The same method with batch statistics averaged over the mapped axis `name`."""
        del name
        return self

    def fold(self, variables: Variables) -> tuple["Method", Variables]:
        """The method and variables for prediction: what depends only on the variables is computed once."""
        return self, variables

    def read_weights(self, tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
        """Tensors of a weight file, by name -> {path of a leaf: array in pawjax's layout}, and names it cannot use."""
        return read_weights(tensors)

    def pairwise(self, variables: Variables) -> Pairwise | None:
        """What is known of pairs of bodyparts, if `score_maps` has `pair_offsets`; see `pawjax.structure.pairwise`."""
        return None

    def with_pairwise(self, variables: Variables, pairwise: Pairwise) -> Variables:
        """The variables with another `pairwise`, for methods that have one."""
        raise NotImplementedError(f"{type(self).__name__} has no pairwise terms")

    def with_labels(self, variables: Variables, keypoints: np.ndarray, labelled: np.ndarray) -> Variables:
        """The variables with what training needs to know of the train labels before its first step.

        Args:
          variables: of `init`.
          keypoints: [N, A, K, 2], (x, y) px of the network's input.
          labelled: bool [N, A, K].
        """
        return variables

    def score_maps(self, variables: Variables, images: jax.Array) -> ScoreMaps:
        """Log-likelihood maps of uint8 images [B, H, W, C], for methods that have them."""
        raise NotImplementedError(f"{type(self).__name__} has no score maps")


def of_single_animal(batch: Batch) -> Batch:
    """The batch without its animal axis, which must have length 1: keypoints [B, K, 2], labelled, absent [B, K]."""
    return {**batch, **{name: batch[name][:, 0] for name in ("keypoints", "labelled", "absent")}}


def model_without_backbone(config: ConfigDict) -> Model:
    """The section `config.model` of a method that has no backbone. Raises InputError if weights of one are wanted."""
    if config.init_from == "imagenet":
        raise InputError(
            f"config.init_from = 'imagenet' has weights of backbones, and config.method = '{config.method}' has none: "
            "name another run, or leave it out"
        )
    return Model.of(config)


def score_map_labels(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """What a batch of a single animal tells of each score map: two arrays [B, 1, 1, K].

    Returns:
      Whether the map has a peak, which that of an absent bodypart has not; and the weight of its cells in the loss,
      which is zero where nothing is known of the bodypart.
    """
    present = batch["labelled"] & (batch["weight"] > 0)[:, None]
    known = batch["labelled"] | batch["absent"]
    return present[:, None, None], batch["weight"][:, None, None, None] * known[:, None, None]


@dataclasses.dataclass(frozen=True)
class NetworkMethod(Method):
    """A method around one Flax network, called as `net(images, ..., train=...)`.

    Attributes:
      net: the network; its fields `norm` and `axis_name`, and those of the networks in it, are set by `fold` and
        `with_axis`.
    """

    net: nn.Module

    @property
    def stride(self) -> int:
        """The sides of the network's images are multiples of it."""
        return self.net.backbone.image_multiple

    def padded(self, images: jax.Array) -> jax.Array:
        """Images [B, H, W, C], zero-padded at the bottom and right to multiples of `stride`."""
        bottom, right = (-size % self.stride for size in images.shape[1:3])
        return jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)))

    def inputs(self, images: jax.Array) -> tuple[jax.Array, ...]:
        """The network's inputs besides `train`, to initialize its variables."""
        return (self.padded(images[:1]),)

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        variables = self.net.init(key, *self.inputs(batch["image"]), train=False)
        return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}

    def apply_training(self, variables: Variables, *arguments: Any, **options: Any) -> tuple[Any, Variables]:
        """The network's output in training, and the updated collections other than 'params'."""
        rest = {name: value for name, value in variables.items() if name != "params"}
        output, updates = self.net.apply(variables, *arguments, train=True, mutable=list(rest), **options)
        return output, rest | updates

    def with_axis(self, name: str) -> "NetworkMethod":
        return dataclasses.replace(self, net=with_fields(self.net, axis_name=name))

    def fold(self, variables: Variables) -> tuple["NetworkMethod", Variables]:
        if not variables["batch_stats"]:  # nothing to fold
            return self, variables
        folded = dict(variables) | fold(self.net, variables)
        del folded["batch_stats"]
        return dataclasses.replace(self, net=with_fields(self.net, norm="none")), folded


@dataclasses.dataclass(frozen=True)
class Prediction(Section):
    """How keypoints are predicted; can be overridden when a run is evaluated or loaded.

    Attributes:
      decode: how keypoints are located within a cell of the score maps, see `pawjax.ops.decoding`.
      structure: 'tree' chooses the cells of all bodyparts together, by where the training labels have them relative to
        each other or, if the method has pairwise terms, where the network sees them, see `pawjax.structure`; '' chooses
        each by itself.
      proposals: regions that a detector's head classifies; 0 takes the number of `config.faster_rcnn`.
      flip: also predict the mirrored frame, swapping the bodyparts of `config.data.symmetric_pairs`.
      temperature, bias: likelihoods become sigmoid(logit / temperature + bias). A temperature of 0 takes both as
        training fitted them on dev for the checkpoint, see `pawjax.metrics.fit_calibration`, or 1 and 0 if none fit.
      scales: sizes, relative to the network's, at which each frame is predicted.
    """

    section: ClassVar[str] = "predict"

    decode: str = "locref"
    structure: str = ""
    proposals: int = 0
    flip: bool = False
    temperature: float = 0.0
    bias: float = 0.0
    scales: tuple[float, ...] = (1.0,)

    def __post_init__(self):
        self.require_choice("decode", DECODERS)
        self.require("structure", self.structure in STRUCTURES, "'tree', or '' for none")
        self.require_range("proposals", 0, 100_000)
        if self.temperature:
            self.require_range("temperature", 0.001, 1000)
        self.require_range("bias", -100, 100)
        self.require("scales", bool(self.scales), "one number or more, e.g. (1.0,)")
        self.require_range("scales", *SCALES)


class ExtraEvaluation(NamedTuple):
    """An evaluation specific to a method, besides keypoint errors, such as that of a detector's boxes.

    Attributes:
      predict: (method, variables, images [B, H, W, C]) -> a tree of arrays [B, ...]; pure, to be compiled.
      write: (folder, method, outputs, store, frames, about) -> the numbers written. `outputs` is the tree with arrays
        [N, ...] of all N frames, `store` their `FrameStore`, `frames` the `EvaluatedFrames` with their predictions,
        and `about` further entries of the numbers.
    """

    predict: Callable[[Method, Variables, jax.Array], Any]
    write: Callable[..., dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class MethodEntry:
    """An entry of `pawjax.methods.METHODS`.

    Attributes:
      settings: the method's section of the config, `config[name]`.
      make: (config, bodyparts) -> the method; raises InputError for settings that contradict each other.
    """

    settings: type[Section]
    make: Callable[[ConfigDict, tuple[str, ...]], Method]

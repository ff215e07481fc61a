"""Stacked hourglass: score maps of every hourglass, each trained with the same targets (Newell et al. 2016).

As in LEAP, SLEAP and DeepPoseKit, which differ in width, stride and blocks: see `configs/hourglass.py`.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from pawjax import losses
from pawjax.methods.method import (
    OF_SCORE_MAPS,
    Batch,
    NetworkMethod,
    Prediction,
    Variables,
    model_without_backbone,
    of_single_animal,
    score_map_labels,
)
from pawjax.models.hourglass import BLOCKS, MOST_STACKS, STRIDES, StackedHourglass
from pawjax.ops import scoremaps
from pawjax.ops.decoding import decoded_points, logarithm
from pawjax.sections import Section

LONGEST = 10_000.0  # px


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The section `config.hourglass`.

    Of `config.model` the network takes `norm`, `remat` and `stem_channels`, of which its maps have four times as many;
    it has no backbone.

    Attributes:
      stacks: hourglasses, one after another.
      levels: poolings of each.
      stride: pixels from cell to cell of the maps: 4, 2 or 1.
      block: 'residual' (Newell's bottleneck) or 'plain' (a convolution, as in SLEAP).
      growth: channels that each level of an hourglass has more than the one above, as a share of the first level's.
      reinject: whether each hourglass reads the score maps of the one before, besides its features.
      sigma: deviation of the Gaussian targets, px of the network's input.
      score_loss: 'squared_error' (of the raw map) or 'cross_entropy' (of a sigmoid).
      score_bias: initial bias of the score maps.
    """

    section: ClassVar[str] = "hourglass"

    stacks: int = 2
    levels: int = 4
    stride: int = 4
    block: str = "residual"
    growth: float = 0.0
    reinject: bool = True
    sigma: float = 4.0
    score_loss: str = "squared_error"
    score_bias: float = 0.0

    def __post_init__(self):
        self.require_range("stacks", 1, MOST_STACKS)
        self.require_range("levels", 1, 6)
        self.require_choice("stride", STRIDES)
        self.require_choice("block", BLOCKS)
        self.require_range("growth", 0, 10)
        self.require_range("sigma", 0.1, LONGEST)
        self.require_choice("score_loss", ("squared_error", "cross_entropy"))
        self.require_range("score_bias", -100, 100)


@dataclasses.dataclass(frozen=True)
class StackedHourglasses(NetworkMethod):
    """The method; see `pawjax.methods.method`. The last hourglass predicts.

    Attributes:
      net: the network.
      settings: those of targets and losses.
      decoder: how `predict` locates a keypoint within a cell, see `pawjax.ops.decoding`; there is no locref.
    """

    predict_fields: ClassVar[tuple[str, ...]] = OF_SCORE_MAPS
    bodypart_heads: ClassVar[tuple[str, ...]] = tuple(
        f"{name}{stack}" for stack in range(1, MOST_STACKS + 1) for name in ("scoremap", "reinject")
    )
    heads: ClassVar[tuple[str, ...]] = bodypart_heads

    net: StackedHourglass
    settings: Settings = Settings()
    decoder: str = "taylor"

    @property
    def stride(self) -> int:
        return self.net.image_multiple

    @property
    def loss_weights(self) -> dict[str, float]:
        return {f"scoremap{stack}": 1.0 for stack in range(1, self.net.stacks + 1)}

    def loss(self, variables: Variables, batch: Batch) -> tuple[dict[str, losses.Term], Variables]:
        """A term for each hourglass, 'scoremap1' first: the mean over cells and bodyparts, with the same targets."""
        settings, batch = self.settings, of_single_animal(batch)
        maps, updates = self.apply_training(variables, self.padded(batch["image"]))
        _, height, width, _ = maps["scoremap1"].shape
        offsets = scoremaps.offsets_to_keypoints(batch["keypoints"], height, width, self.net.stride, self.net.center)
        present, weights = score_map_labels(batch)
        targets = scoremaps.gaussian_targets(offsets, settings.sigma) * present
        score_loss = losses.sigmoid_cross_entropy if settings.score_loss == "cross_entropy" else losses.squared_error
        terms = {name: losses.weighted_sum(score_loss(scores, targets), weights) for name, scores in maps.items()}
        return terms, updates

    def score_maps(self, variables: Variables, images: jax.Array) -> scoremaps.ScoreMaps:
        """Maps of uint8 images [B, H, W, C], from the last hourglass."""
        scores = self.net.apply(variables, self.padded(images), train=False)[f"scoremap{self.net.stacks}"]
        log_of = jax.nn.log_sigmoid if self.settings.score_loss == "cross_entropy" else logarithm
        return scoremaps.ScoreMaps(log_of(scores), jnp.zeros((*scores.shape, 2)), self.net.stride, self.net.center)

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        return decoded_points(self.score_maps(variables, images), self.decoder)


def make(config: ConfigDict, bodyparts: tuple[str, ...]) -> StackedHourglasses:
    """The method that a config describes. Raises InputError for a wrong setting."""
    settings, model = Settings.of(config), model_without_backbone(config)
    net = StackedHourglass(
        len(bodyparts),
        stacks=settings.stacks,
        levels=settings.levels,
        stride=settings.stride,
        stem_channels=model.stem_channels,
        growth=settings.growth,
        block=settings.block,
        reinject=settings.reinject,
        score_bias=settings.score_bias,
        norm=model.norm,
        remat=model.remat,
        dtype=jnp.dtype(config.dtype),
    )
    return StackedHourglasses(net, settings, Prediction.of(config).decode)

"""DeepLabCut: score maps and location refinement on a residual network (Mathis et al. 2018, DeeperCut 2016).

Both lineages are settings of one method: discs with sigmoid cross entropy (TensorFlow) and Gaussians with squared
error (PyTorch).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from pawjax import losses
from pawjax.config import check_choices
from pawjax.errors import InputError
from pawjax.models.layers import NORMS
from pawjax.models.pose_net import PoseNet
from pawjax.models.resnet import LINEAGES, UNITS, unit_names
from pawjax.ops import scoremaps
from pawjax.ops.chains import cut, joined
from pawjax.ops.decoding import REFINEMENTS, decode

STRIDE = 8  # of the maps
NET_STRIDE = 16  # of the backbone: images are padded to a multiple of it
CHOICES = {
    "model.depth": tuple(UNITS),
    "model.norm": NORMS,
    "model.lineage": tuple(LINEAGES),
    "target.target": ("disc", "gaussian"),
    "target.score_loss": ("cross_entropy", "squared_error"),
    "target.unlabelled": ("ignore", "negative"),
    "predict.refine": tuple(REFINEMENTS),
}


@dataclasses.dataclass(frozen=True)
class DeepLabCut:
    """The method; see `pawjax.methods` for its functions.

    Attributes:
      net: the network.
      target: 'disc' (1 within `radius`) or 'gaussian' (of deviation `sigma`).
      radius: of the disc and of the cells that learn locref, in pixels of the network's input.
      sigma: of the Gaussian, in the same pixels.
      score_loss: 'cross_entropy' (of a sigmoid) or 'squared_error' (of the raw map).
      locref_weight: of the Huber loss of the offsets, beside the score maps' 1.
      locref_stdev: pixels that one unit of the offset maps stands for.
      intermediate_weight: of the same terms at the net's intermediate heads, where it has them; 0 leaves them out.
      unlabelled: 'ignore' leaves bodyparts without a label out; 'negative' teaches an empty map, as DeepLabCut does.
      refine: how `predict` finds the place within a cell, see `pawjax.ops.decoding`.
    """

    net: PoseNet
    target: str = "disc"
    radius: float = 17.0
    sigma: float = 11.33
    score_loss: str = "cross_entropy"
    locref_weight: float = 0.05
    locref_stdev: float = 7.2801
    intermediate_weight: float = 1.0
    unlabelled: str = "ignore"
    refine: str = "locref"

    predict_fields: ClassVar[tuple[str, ...]] = ("refine",)
    extra_evaluations: ClassVar[Mapping[str, Callable]] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """None: what cannot work is refused."""
        return ()

    @property
    def loss_weights(self) -> dict[str, float]:
        """Weights of the terms of `loss`."""
        weights = {"scoremap": 1.0, "locref": self.locref_weight}
        if self.net.intermediate and self.intermediate_weight:
            names = weights if self.net.intermediate_locref else ("scoremap",)
            weights |= {f"intermediate_{name}": self.intermediate_weight * weights[name] for name in names}
        return weights

    def with_axis(self, name: str) -> "DeepLabCut":
        """The same method with batch statistics averaged over the mapped axis `name`."""
        return dataclasses.replace(self, net=self.net.copy(axis_name=name))

    def init(self, key: jax.Array, batch: dict[str, jax.Array]) -> dict[str, Any]:
        """Random variables {'params', 'batch_stats'} for images like the batch's."""
        variables = self.net.init(key, _pad_to_stride(batch["image"][:1]), train=False)
        return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}

    def loss(
        self, variables: dict[str, Any], batch: dict[str, jax.Array], key: jax.Array, train: bool
    ) -> tuple[dict[str, losses.Term], Any]:
        """Terms 'scoremap' (mean over cells and bodyparts) and 'locref' (mean over the discs' cells and axes).

        With intermediate supervision also 'intermediate_scoremap' and 'intermediate_locref', of the same targets.
        """
        maps, batch_stats = self._maps_of_loss(variables, _pad_to_stride(batch["image"]), train)
        _, height, width, _ = maps["scoremap"].shape
        offsets = scoremaps.offsets_to_keypoints(batch["keypoints"], height, width, STRIDE)
        present = (batch["labelled"] & (batch["weight"] > 0)[:, None])[:, None, None]  # [B, 1, 1, K]
        near = scoremaps.disc_targets(offsets, self.radius) * present
        targets = near if self.target == "disc" else scoremaps.gaussian_targets(offsets, self.sigma) * present

        weights = batch["weight"][:, None, None, None]
        if self.unlabelled == "ignore":
            weights = weights * present
        score_loss = losses.sigmoid_cross_entropy if self.score_loss == "cross_entropy" else losses.squared_error
        offsets = offsets / self.locref_stdev

        def term(name: str) -> losses.Term:
            if name.endswith("scoremap"):
                return losses.weighted_sum(score_loss(maps[name], targets), weights)
            return losses.weighted_sum(losses.huber(maps[name] - offsets), (near * weights)[..., None])

        terms = {name: term(name) for name in self.loss_weights}
        return terms, batch_stats

    def _maps_of_loss(self, variables: dict[str, Any], images: jax.Array, train: bool) -> tuple[Any, Any]:
        mutable = ["batch_stats"] if train else []
        (maps, _), updates = self.net.apply(variables, cut(images), train=train, mutable=mutable)
        return joined(maps), updates.get("batch_stats", variables.get("batch_stats", {}))

    def prepare(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The variables and what `predict` would make of them alone: folded and transformed kernels."""
        images = jnp.zeros((1, NET_STRIDE, NET_STRIDE, 3), jnp.uint8)
        _, made = self.net.apply(variables, images, train=False, mutable=["prepared"])
        return variables | made

    def predict(self, variables: dict[str, Any], images: jax.Array) -> dict[str, jax.Array]:
        """uint8 [B, H, W, C] -> 'keypoints' [B, K, 2], (x, y) pixels of `images`, and 'likelihood' [B, K] in 0..1."""
        parts = cut(_pad_to_stride(images), rows=True)
        maps = joined(self.net.apply(variables, parts, train=False)[0])
        keypoints, likelihood = decode(
            maps["scoremap"],
            maps["locref"],
            stride=STRIDE,
            locref_stdev=self.locref_stdev,
            likelihood_of=jax.nn.sigmoid if self.score_loss == "cross_entropy" else lambda score: score.clip(0, 1),
            refine=self.refine,
        )
        return {"keypoints": keypoints, "likelihood": likelihood}


def _pad_to_stride(images: jax.Array) -> jax.Array:
    """Zeros below and to the right, up to a multiple of the backbone's stride."""
    bottom, right = (-size % NET_STRIDE for size in images.shape[1:3])
    return jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)))


def from_config(config: ConfigDict, n_keypoints: int) -> DeepLabCut:
    """The method that `config.model` and `config.target` describe. Raises InputError for a value out of range."""
    model, target = config.model, dict(config.target)
    check_choices(config, CHOICES)
    if model.intermediate and model.intermediate not in unit_names(model.depth):
        counts = ", ".join(map(str, UNITS[model.depth]))
        raise InputError(
            f"config.model.intermediate = '{model.intermediate}' is no unit of ResNet-{model.depth}: write "
            f"'block3_unit12'; its blocks 1 to 4 have {counts} units"
        )
    net = PoseNet(
        n_keypoints,
        depth=model.depth,
        width=model.width,
        norm=model.norm,
        lineage=model.lineage,
        remat=model.remat,
        score_bias=model.score_bias,
        intermediate=model.intermediate,
        intermediate_locref=model.intermediate_locref,
        dtype=jnp.dtype(config.dtype),
    )
    return DeepLabCut(net, **target, refine=config.predict.refine)

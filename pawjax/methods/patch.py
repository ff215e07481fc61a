"""Patch classifier: a logistic regression on the pixels of a patch says whether a bodypart is in its middle.

The simplest learned tracker. It is trained on patches at the labels and away from them, many of them where it errs; run
densely, it is one convolution, of which the best pixel is the keypoint.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
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
)
from pawjax.models.patch_net import PatchNet
from pawjax.ops.decoding import decoded_points
from pawjax.ops.patches import cut_patches
from pawjax.ops.scoremaps import ScoreMaps
from pawjax.sections import Section

MOST = 1000  # patches
LONGEST = 1000.0  # px


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The section `config.patch`. Lengths are pixels of the network's input; numbers are per frame and bodypart.

    Of `config.model` nothing is read.

    Attributes:
      size: side of a patch, odd.
      radius: largest distance of the middle of a positive patch from the label.
      ring: smallest and largest distance of a near negative patch from the label; none is nearer than the smallest.
      positives, near: patches drawn within the radius and in the ring.
      anywhere: negative patches drawn uniformly on the frame.
      hard: negative patches drawn on the frame in proportion to the odds that the classifier gives them.
      l2: weight of the penalty |w|^2 / 2 of a bodypart's weights, beside the mean over its patches.
    """

    section: ClassVar[str] = "patch"

    size: int = 17
    radius: float = 1.5
    ring: tuple[float, float] = (4.0, 16.0)
    positives: int = 10
    near: int = 10
    anywhere: int = 10
    hard: int = 10
    l2: float = 0.01

    def __post_init__(self):
        self.require_range("size", 1, 255)
        self.require("size", self.size % 2 == 1, "odd, so that a patch has a middle")
        self.require_range("radius", 0, LONGEST)
        self.require_range("ring", 0, LONGEST)
        self.require("ring", self.ring[0] <= self.ring[1], "two distances, the smaller first")
        for field in ("positives", "near", "anywhere", "hard"):
            self.require_range(field, 1, MOST)
        self.require_range("l2", 0, 1000)


def draw_patches(
    key: jax.Array,
    keypoints: jax.Array,
    labelled: jax.Array,
    absent: jax.Array,
    logits: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draws patches of one frame: first the positive ones, then near, anywhere and hard.

    A bodypart without a label has none; if it is known to be absent, those anywhere and the hard ones are negative.

    Args:
      key: PRNG key.
      keypoints: [K, 2], (x, y) px.
      labelled, absent: bool [K].
      logits: [K, H, W], what the classifier says of each pixel.
      settings: the numbers and distances.

    Returns:
      The middles, int [K, N, 2], (x, y) px; whether they show the bodypart, float32 [K, N]; and their weights [K, N],
      0 for those that do not count.
    """
    n_keypoints, height, width = logits.shape
    keys, frame = jax.random.split(key, 4), jnp.array([width, height])

    def around(key: jax.Array, number: int, smallest: float, largest: float) -> jax.Array:
        """Points that are uniform in a ring."""
        share, turn = jax.random.uniform(key, (2, n_keypoints, number))
        distance = jnp.sqrt(smallest**2 + share * (largest**2 - smallest**2))
        angle = 2 * jnp.pi * turn
        return keypoints[:, None] + distance[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)

    def is_far(points: jax.Array) -> jax.Array:
        """Whether points [K, n, 2] are no part of the label."""
        return (jnp.linalg.norm(points - keypoints[:, None], axis=-1) >= settings.ring[0]) | ~labelled[:, None]

    place = jnp.arange(height * width)
    pixels = jnp.stack([place % width, place // width], axis=-1)
    chosen = jnp.where(is_far(pixels[None]), logits.reshape(n_keypoints, -1), -jnp.inf)
    chosen += jax.random.gumbel(keys[3], chosen.shape)  # the largest are then drawn by their odds, none twice
    groups = (
        around(keys[0], settings.positives, 0.0, settings.radius),
        around(keys[1], settings.near, *settings.ring),
        jax.random.uniform(keys[2], (n_keypoints, settings.anywhere, 2)) * frame - 0.5,
        pixels[jax.lax.top_k(chosen, min(settings.hard, height * width))[1]],
    )
    kind = np.repeat(range(4), [group.shape[1] for group in groups])
    centers = jnp.round(jnp.concatenate(groups, axis=1)).astype(jnp.int32)
    inside = ((centers >= 0) & (centers < frame)).all(-1)
    positive, of_frame = jnp.asarray(kind == 0), jnp.asarray(kind >= 2)
    counted = inside & jnp.where(labelled[:, None], positive | is_far(centers), absent[:, None] & of_frame)
    return centers, jnp.broadcast_to(positive, inside.shape).astype(jnp.float32), counted.astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class PatchClassifier(NetworkMethod):
    """The method; see `pawjax.methods.method`. Its score maps have a cell for each pixel.

    Attributes:
      net: the network, one convolution.
      settings: those of patches and penalty.
      decoder: see `pawjax.ops.decoding`; there is no locref.
    """

    predict_fields: ClassVar[tuple[str, ...]] = OF_SCORE_MAPS
    bodypart_heads: ClassVar[tuple[str, ...]] = ("scoremap",)
    heads: ClassVar[tuple[str, ...]] = bodypart_heads

    net: PatchNet
    settings: Settings = Settings()
    decoder: str = "locref"

    @property
    def stride(self) -> int:
        return 1

    @property
    def loss_weights(self) -> dict[str, float]:
        return {"patches": 1.0, "l2": self.settings.l2}

    def loss(self, variables: Variables, batch: Batch) -> tuple[dict[str, losses.Term], Variables]:
        """Terms 'patches', the mean negative log likelihood, and 'l2', |w|^2 / 2 per bodypart."""
        batch, settings = of_single_animal(batch), self.settings
        layer = variables["params"]["scoremap"]
        weights = layer["kernel"].reshape(settings.size**2, -1)
        dense = jax.lax.stop_gradient(self.net.apply(variables, batch["image"], train=False))

        def of_frame(image: jax.Array, *drawing: jax.Array) -> tuple[jax.Array, ...]:
            centers, labels, counted = draw_patches(*drawing, settings)
            return cut_patches(image, centers, settings.size).astype(jnp.float32), labels, counted

        known = (batch[name] for name in ("keypoints", "labelled", "absent"))
        features = self.net.features(batch["image"])
        patches, labels, counted = jax.vmap(of_frame)(features, batch["key"], *known, jnp.moveaxis(dense, -1, 1))
        logits = jnp.einsum("bknp,pk->bkn", patches, weights) + layer["bias"][:, None]
        nll = losses.sigmoid_cross_entropy(logits, labels)
        penalty = (weights**2).sum() / 2, jnp.array(float(weights.shape[1]))
        terms = {"patches": losses.weighted_sum(nll, counted * batch["weight"][:, None, None]), "l2": penalty}
        return terms, {name: value for name, value in variables.items() if name != "params"}

    def score_maps(self, variables: Variables, images: jax.Array) -> ScoreMaps:
        """Maps of uint8 images [B, H, W, C], of stride 1."""
        logits = self.net.apply(variables, images, train=False)
        return ScoreMaps(jax.nn.log_sigmoid(logits), jnp.zeros((*logits.shape, 2)), 1, 0.0)

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        return decoded_points(self.score_maps(variables, images), self.decoder)


def make(config: ConfigDict, bodyparts: tuple[str, ...]) -> PatchClassifier:
    """The method that a config describes. Raises InputError for a wrong setting."""
    settings = Settings.of(config)
    model_without_backbone(config)
    net = PatchNet(len(bodyparts), settings.size, jnp.dtype(config.dtype))
    return PatchClassifier(net, settings, Prediction.of(config).decode)

"""Patch classifier: a logistic regression on the pixels of a patch says whether a bodypart is in its middle.

The simplest learned tracker. It is trained on patches drawn around the labels and away from them; run densely, it is
one convolution, of which the best pixel is the keypoint.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from pawjax import losses
from pawjax.methods.method import OF_SCORE_MAPS, Batch, NetworkMethod, Prediction, Variables, of_single_animal
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
      ring: smallest and largest distance of a hard negative patch from the label; none is nearer than the smallest.
      positives, hard_negatives: patches drawn within the radius and in the ring.
      negatives: patches drawn anywhere on the frame.
      l2: weight of the penalty |w|^2 / 2 of a bodypart's weights, beside the mean over its patches.
    """

    section: ClassVar[str] = "patch"

    size: int = 17
    radius: float = 1.5
    ring: tuple[float, float] = (4.0, 16.0)
    positives: int = 10
    hard_negatives: int = 10
    negatives: int = 20
    l2: float = 0.01

    def __post_init__(self):
        self.require_range("size", 1, 255)
        self.require("size", self.size % 2 == 1, "odd, so that a patch has a middle")
        self.require_range("radius", 0, LONGEST)
        self.require_range("ring", 0, LONGEST)
        self.require("ring", self.ring[0] <= self.ring[1], "two distances, the smaller first")
        for field in ("positives", "hard_negatives", "negatives"):
            self.require_range(field, 1, MOST)
        self.require_range("l2", 0, 1000)


def draw_centers(key: jax.Array, keypoints: jax.Array, size: tuple[int, int], settings: Settings) -> jax.Array:
    """The middles of patches of one frame: int [K, N, 2], (x, y) px, first the positive, hard, then other ones.

    Args:
      key: PRNG key.
      keypoints: [K, 2], (x, y) px.
      size: (height, width) of the frame.
      settings: the numbers and distances. Middles near a keypoint may lie off the frame.
    """
    keys, n_keypoints = jax.random.split(key, 3), len(keypoints)

    def around(key: jax.Array, number: int, smallest: float, largest: float) -> jax.Array:
        """Points that are uniform in a ring."""
        share, turn = jax.random.uniform(key, (2, n_keypoints, number))
        distance = jnp.sqrt(smallest**2 + share * (largest**2 - smallest**2))
        angle = 2 * jnp.pi * turn
        return keypoints[:, None] + distance[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)

    height, width = size
    anywhere = jax.random.uniform(keys[2], (n_keypoints, settings.negatives, 2)) * jnp.array([width, height]) - 0.5
    points = [
        around(keys[0], settings.positives, 0.0, settings.radius),
        around(keys[1], settings.hard_negatives, *settings.ring),
        anywhere,
    ]
    return jnp.round(jnp.concatenate(points, axis=1)).astype(jnp.int32)


def patch_labels(
    centers: jax.Array,
    keypoints: jax.Array,
    labelled: jax.Array,
    absent: jax.Array,
    size: tuple[int, int],
    settings: Settings,
) -> tuple[jax.Array, jax.Array]:
    """What is known of the patches of one frame: whether they show the bodypart, and their weights, both [K, N].

    A bodypart without a label has no patches, but if it is known to be absent, those drawn anywhere are negative.

    Args:
      centers: int [K, N, 2], of `draw_centers`.
      keypoints: [K, 2].
      labelled, absent: bool [K].
      size: (height, width) of the frame.
      settings: as of `draw_centers`.
    """
    kind = np.repeat(np.arange(3), (settings.positives, settings.hard_negatives, settings.negatives))
    positive, anywhere = jnp.asarray(kind == 0), jnp.asarray(kind == 2)
    height, width = size
    inside = ((centers >= 0) & (centers < jnp.array([width, height]))).all(-1)
    far = jnp.linalg.norm(centers - keypoints[:, None], axis=-1) >= settings.ring[0]
    usable = (labelled[:, None] & (positive | far)) | (absent[:, None] & anywhere)
    return jnp.broadcast_to(positive, inside.shape).astype(jnp.float32), (inside & usable).astype(jnp.float32)


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
        features = self.net.features(batch["image"])
        layer = variables["params"]["scoremap"]
        weights = layer["kernel"].reshape(settings.size**2, -1)

        def of_frame(image: jax.Array, key: jax.Array, *known: jax.Array) -> tuple[jax.Array, ...]:
            centers = draw_centers(key, known[0], image.shape, settings)
            patches = cut_patches(image, centers, settings.size).astype(jnp.float32)
            return patches, *patch_labels(centers, *known, image.shape, settings)

        known = (batch[name] for name in ("keypoints", "labelled", "absent"))
        patches, labels, counted = jax.vmap(of_frame)(features, batch["key"], *known)
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
    net = PatchNet(len(bodyparts), settings.size, jnp.dtype(config.dtype))
    return PatchClassifier(net, settings, Prediction.of(config).decode)

"""DeepLabCut: score maps and location refinement on a backbone (Mathis et al. 2018, DeeperCut 2016).

Both of its engines are settings of one method: discs with sigmoid cross entropy (TensorFlow) and Gaussians with squared
error (PyTorch).
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from pawjax import losses
from pawjax.errors import InputError
from pawjax.methods.method import (
    OF_SCORE_MAPS,
    Batch,
    NetworkMethod,
    Prediction,
    Variables,
    of_single_animal,
    score_map_labels,
)
from pawjax.models.backbones import Model
from pawjax.models.pose_net import DECONVOLUTION, HEADS, PoseNet
from pawjax.models.resnet import UNITS, unit_names
from pawjax.ops import scoremaps
from pawjax.ops.decoding import decoded_points, logarithm
from pawjax.sections import Section
from pawjax.structure import Pairwise, learn_offsets, pair_parts, untrained

LONGEST = 10_000.0  # px
PAIRWISE = "pairwise"  # the head, and what is known of its pairs, in the collection PAIRS of the variables
PAIRS = "pairs"


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The section `config.deeplabcut`. Lengths are pixels of the network's input.

    Attributes:
      head: 'deconvolution' (DeepLabCut's, maps of stride 8) or 'topdown' (a feature pyramid), see `PoseNet`.
      stride: pixels from cell to cell of the maps: 8, or 4 with the head 'topdown'.
      topdown_channels: of the head 'topdown'.
      target: 'disc' (1 within `radius`) or 'gaussian' (with deviation `sigma`).
      radius: of the disc, and of the cells in the locref loss.
      sigma: of the Gaussian.
      score_loss: 'cross_entropy' (of a sigmoid) or 'squared_error' (of the raw map).
      location_weight: weight of a cross entropy in which the cells of a map, and 'none', compete for the bodypart (see
        `pawjax.losses.cell_cross_entropy`), so that look-alikes are told apart sooner. 0 leaves it out.
      locref_weight: weight of the offsets' Huber loss; that of the score maps has weight 1.
      locref_stdev: pixels per unit of the offset maps.
      score_bias: initial bias of the score maps, see `PoseNet`.
      intermediate: unit of a ResNet with extra heads in training, 'block3_unit12' in DeeperCut; '' for none.
      intermediate_locref: whether these include locref; DeeperCut has only a score map.
      intermediate_weight: weight of the intermediate heads' terms; 0 leaves them out.
      pairwise_weight: weight of the Huber loss of a head that tells from the cells within `radius` of each bodypart
        where all others are; with it `config.predict.structure` 'tree' reads the image, see `pawjax.structure`. 0
        leaves it out; DeeperCut has 0.05 for COCO, as for locref. The head has 2 K (K - 1) channels, 544 for 17
        bodyparts.
    """

    section: ClassVar[str] = "deeplabcut"

    head: str = "deconvolution"
    stride: int = 8
    topdown_channels: int = 128
    target: str = "disc"
    radius: float = 17.0
    sigma: float = 11.33
    score_loss: str = "cross_entropy"
    location_weight: float = 0.0
    locref_weight: float = 0.05
    locref_stdev: float = 7.2801
    score_bias: float = 0.0
    intermediate: str = ""
    intermediate_locref: bool = False
    intermediate_weight: float = 1.0
    pairwise_weight: float = 0.0

    def __post_init__(self):
        self.require_choice("head", HEADS)
        self.require_choice("stride", (8, 4))
        if self.head == "deconvolution":
            self.require("stride", self.stride == DECONVOLUTION[1], "8, or config.deeplabcut.head 'topdown'")
        elif self.intermediate:
            self.require("intermediate", False, "'', or config.deeplabcut.head 'deconvolution'")
        self.require_range("topdown_channels", 1, 4096)
        self.require_choice("target", ("disc", "gaussian"))
        self.require_choice("score_loss", ("cross_entropy", "squared_error"))
        for field in ("radius", "sigma", "locref_stdev"):
            self.require_range(field, 0.1, LONGEST)
        for field in ("location_weight", "locref_weight", "intermediate_weight", "pairwise_weight"):
            self.require_range(field, 0, 1000)
        self.require_range("score_bias", -100, 100)


@dataclasses.dataclass(frozen=True)
class DeepLabCut(NetworkMethod):
    """The method; see `pawjax.methods.method`.

    Attributes:
      net: the network.
      settings: those of targets and losses.
      decoder: how `predict` locates a keypoint within a cell, see `pawjax.ops.decoding`.
    """

    predict_fields: ClassVar[tuple[str, ...]] = OF_SCORE_MAPS
    bodypart_heads: ClassVar[tuple[str, ...]] = (
        *("scoremap", "locref", "intermediate_scoremap", "intermediate_locref", PAIRWISE),
    )
    heads: ClassVar[tuple[str, ...]] = (*bodypart_heads, "lateral4", "lateral8", "lateral16", "lateral32", "smooth")

    net: PoseNet
    settings: Settings = Settings()
    decoder: str = "locref"

    @property
    def warnings(self) -> tuple[str, ...]:
        radius, reach = self.settings.radius, self.net.stride / 2**0.5
        if radius >= reach:
            return ()
        return (
            f"config.deeplabcut.radius = {radius:g} px is less than {reach:.1f} px: score maps have a cell every "
            f"{self.net.stride} px, and labels farther than the radius from all cells train no offset and no disc",
        )

    @property
    def loss_weights(self) -> dict[str, float]:
        weights = {"scoremap": 1.0, "locref": self.settings.locref_weight}
        if self.net.intermediate and self.settings.intermediate_weight:
            names = weights if self.net.intermediate_locref else ("scoremap",)
            weights |= {f"intermediate_{name}": self.settings.intermediate_weight * weights[name] for name in names}
        if self.settings.location_weight:
            weights["location"] = self.settings.location_weight
        if self.net.pairwise:
            weights[PAIRWISE] = self.settings.pairwise_weight
        return weights

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        variables = super().init(key, batch)
        return self.with_pairwise(variables, untrained(self.net.n_keypoints)) if self.net.pairwise else variables

    def pairwise(self, variables: Variables) -> Pairwise | None:
        return Pairwise(**variables[PAIRS][PAIRWISE]) if self.net.pairwise else None

    def with_pairwise(self, variables: Variables, pairwise: Pairwise) -> Variables:
        return {**variables, PAIRS: {PAIRWISE: pairwise._asdict()}}

    def with_labels(self, variables: Variables, keypoints: np.ndarray, labelled: np.ndarray) -> Variables:
        if not self.net.pairwise:
            return variables
        return self.with_pairwise(variables, learn_offsets(keypoints, labelled, self.settings.radius))

    def loss(self, variables: Variables, batch: Batch) -> tuple[dict[str, losses.Term], Variables]:
        """Terms 'scoremap' (mean over cells and bodyparts) and 'locref' (mean over the discs' cells and axes).

        With intermediate supervision also 'intermediate_scoremap' and 'intermediate_locref', with the same targets.
        With a `location_weight` also 'location' (mean over bodyparts), and with a `pairwise_weight` 'pairwise' (mean
        over the discs' cells, the other labelled bodyparts and the axes).
        """
        settings, batch = self.settings, of_single_animal(batch)
        maps, updates = self.apply_training(variables, self.padded(batch["image"]))
        _, height, width, _ = maps["scoremap"].shape
        offsets = scoremaps.offsets_to_keypoints(batch["keypoints"], height, width, self.net.stride, self.net.center)
        present, weights = score_map_labels(batch)
        disc = scoremaps.disc_targets(offsets, settings.radius) * present
        targets = disc if settings.target == "disc" else scoremaps.gaussian_targets(offsets, settings.sigma) * present
        places = scoremaps.place_targets(offsets, settings.sigma, self.net.stride) * present
        score_loss = losses.sigmoid_cross_entropy if settings.score_loss == "cross_entropy" else losses.squared_error
        vectors, offsets = offsets, offsets / settings.locref_stdev

        def term(name: str) -> losses.Term:
            if name == "location":
                return losses.weighted_sum(losses.cell_cross_entropy(maps["scoremap"], places), weights[:, 0, 0])
            if name == PAIRWISE:
                known, (a, b) = self.pairwise(variables), pair_parts(self.net.n_keypoints)
                errors = maps[name] - (vectors[..., b, :] - known.mean) / known.deviation
                return losses.weighted_sum(
                    losses.huber(errors), ((disc * weights)[..., a] * present[..., b])[..., None]
                )
            if name.endswith("scoremap"):
                return losses.weighted_sum(score_loss(maps[name], targets), weights)
            return losses.weighted_sum(losses.huber(maps[name] - offsets), (disc * weights)[..., None])

        return {name: term(name) for name in self.loss_weights}, updates

    def score_maps(self, variables: Variables, images: jax.Array) -> scoremaps.ScoreMaps:
        """Maps of uint8 images [B, H, W, C]."""
        maps = self.net.apply(variables, self.padded(images), train=False)
        log_of = jax.nn.log_sigmoid if self.settings.score_loss == "cross_entropy" else logarithm
        offsets = self.settings.locref_stdev * maps["locref"]
        found = scoremaps.ScoreMaps(log_of(maps["scoremap"]), offsets, self.net.stride, self.net.center)
        if not self.net.pairwise:
            return found
        known, n = self.pairwise(variables), self.net.n_keypoints
        vectors = known.mean + known.deviation * maps[PAIRWISE]
        return found._replace(pair_offsets=vectors.reshape(*vectors.shape[:3], n, n - 1, 2))

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        return decoded_points(self.score_maps(variables, images), self.decoder)


def make(config: ConfigDict, bodyparts: tuple[str, ...]) -> DeepLabCut:
    """The method that a config describes. Raises InputError for a wrong setting."""
    settings, model = Settings.of(config), Model.of(config)
    unit = settings.intermediate
    if unit and not (model.is_resnet and unit in unit_names(model.depth)):
        hint = "only ResNets have units"
        if model.is_resnet:
            hint = f"write 'block3_unit12'; its blocks 1 to 4 have {', '.join(map(str, UNITS[model.depth]))} units"
        raise InputError(
            f"config.deeplabcut.intermediate = '{unit}' is not a unit of config.model.backbone = '{model.backbone}': "
            f"{hint}"
        )
    if settings.pairwise_weight and len(bodyparts) == 1:
        raise InputError(
            f"config.deeplabcut.pairwise_weight = {settings.pairwise_weight:g} is for two bodyparts or more, but there "
            f"is only {bodyparts[0]}: leave it at 0"
        )
    output_stride = 32 if settings.head == "topdown" else DECONVOLUTION[0]
    net = PoseNet(
        model.make(jnp.dtype(config.dtype), output_stride=output_stride, taps=(unit,) if unit else ()),
        len(bodyparts),
        head=settings.head,
        stride=settings.stride,
        channels=settings.topdown_channels,
        score_bias=settings.score_bias,
        intermediate=unit,
        intermediate_locref=settings.intermediate_locref,
        pairwise=settings.pairwise_weight > 0,
        norm=model.norm_of_new_layers,
    )
    return DeepLabCut(net, settings, Prediction.of(config).decode)

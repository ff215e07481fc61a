"""Faster R-CNN as a tracker (Ren et al. 2015): each bodypart is a class with one box; its centre is the keypoint."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from pawjax import losses
from pawjax.errors import InputError
from pawjax.methods.faster_rcnn.decoding import best_box, class_boxes, detections
from pawjax.methods.faster_rcnn.settings import Settings
from pawjax.methods.faster_rcnn.targets import (
    AnchorSample,
    RegionSample,
    anchor_fit,
    anchor_grid,
    boxes_around,
    keypoints_of,
    propose,
    sample_anchors,
    sample_regions,
)
from pawjax.methods.method import Batch, ExtraEvaluation, NetworkMethod, Prediction, Variables, of_single_animal
from pawjax.models.backbones import Model
from pawjax.models.box_heads import BlockHead, DenseHead
from pawjax.models.detector import Detector
from pawjax.ops.region_chunks import over_regions
from pawjax.weights import read_weights


def _evaluate_boxes(config: ConfigDict) -> ExtraEvaluation:
    from pawjax.methods.faster_rcnn.boxes import evaluate_boxes  # which imports this module and matplotlib

    return evaluate_boxes(config)


@dataclasses.dataclass(frozen=True)
class FasterRCNN(NetworkMethod):
    """The method; see `pawjax.methods.method`.

    Attributes:
      net: the network.
      settings: those of boxes, anchors, proposals, regions and losses.
      n_proposals: proposals that the head classifies at prediction.
    """

    predict_fields: ClassVar[tuple[str, ...]] = ("proposals",)
    heads: ClassVar[tuple[str, ...]] = (
        *("rpn", "box_head", "class_score", "class_box"),
        *("lateral8", "lateral16", "lateral32", "smooth"),
    )
    bodypart_heads: ClassVar[tuple[str, ...]] = ("class_score", "class_box")
    extra_evaluations: ClassVar[Mapping[str, Callable[[ConfigDict], ExtraEvaluation]]] = {"boxes": _evaluate_boxes}

    net: Detector
    settings: Settings = Settings()
    n_proposals: int = 300

    @property
    def loss_weights(self) -> dict[str, float]:
        return {"rpn_score": 1.0, "rpn_box": 1.0, "head_score": 1.0, "head_box": 1.0}  # as in all implementations

    @property
    def warnings(self) -> tuple[str, ...]:
        settings = self.settings
        fit = anchor_fit(settings, self.net.stride)
        messages, (width, height), smallest = [], settings.box, settings.proposals_min_side
        if fit < settings.rpn_low:
            messages.append(
                f"config.faster_rcnn.box = ({width:g}, {height:g}) has an IoU of only {fit:.2g} with the best of the "
                f"anchors (config.faster_rcnn.anchor_sizes = {settings.anchor_sizes}), below "
                f"config.faster_rcnn.rpn_low = {settings.rpn_low:g}: almost no anchor will be labelled an object; "
                "use a larger box or an anchor of its size"
            )
        if min(settings.box) < smallest:
            messages.append(
                f"config.faster_rcnn.box = ({width:g}, {height:g}) is smaller than "
                f"config.faster_rcnn.proposals_min_side = {smallest:g}: no proposal can have its size"
            )
        return tuple(messages)

    def inputs(self, images: jax.Array) -> tuple[jax.Array, ...]:
        return (*super().inputs(images), jnp.array([[[0.0, 0.0, self.stride, self.stride]]]))

    def loss(self, variables: Variables, batch: Batch) -> tuple[dict[str, losses.Term], Variables]:
        """Terms 'rpn_score' and 'rpn_box' over sampled anchors, 'head_score' and 'head_box' over sampled regions.

        Scores are cross entropies. Boxes are smooth L1, summed over the coordinates and objects of a sample and
        divided, as in torchvision, by the size of the whole sample. Each image draws its samples from its own key.
        An image of which nothing is known is skipped. An unknown bodypart's class is left out of the background loss;
        the RPN, being class-agnostic, treats it as background. An absent one has no box: all is background.
        """
        batch = of_single_animal(batch)
        keys = jax.vmap(lambda key: jax.random.split(key, 3))(batch["key"])
        rpn_keys, head_keys, dropout_keys = jnp.moveaxis(keys, 1, 0)
        images = self.padded(batch["image"])
        size = images.shape[1:3]
        boxes, valid, counted = self._labels(batch)
        features, updates = self.apply_training(variables, images, method="features")
        variables = variables | updates
        logits, deltas = self.net.apply(variables, features, method="proposals")

        anchors = self._anchors(size)
        draw = partial(sample_anchors, settings=self.settings, size=size)
        anchor_samples = jax.vmap(draw, in_axes=(0, None, 0, 0))(rpn_keys, anchors, boxes, valid)
        n_before, n_after = self.settings.proposals_before[0], self.settings.proposals_after[0]
        proposals, usable, _ = self._propose(logits, deltas, size, n_before, n_after)
        draw = jax.vmap(partial(sample_regions, settings=self.settings))
        region_samples = jax.lax.stop_gradient(draw(head_keys, proposals, usable, boxes, valid))
        answers, updates = self.apply_training(
            variables, features, region_samples.boxes, keys=dropout_keys, method="regions"
        )
        unknown = ~(batch["labelled"] | batch["absent"])
        terms = self._rpn_terms(logits, deltas, anchor_samples, counted)
        return terms | self._head_terms(*answers, region_samples, counted, unknown), updates

    def _labels(self, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Boxes [B, K, 4], their mask [B, K], and the weight [B] of each image in the loss."""
        height, width = batch["image"].shape[1:3]
        labelled = batch["labelled"] & (batch["weight"] > 0)[:, None]
        keypoints = jnp.where(labelled[..., None], batch["keypoints"], 0.0)
        within = ((keypoints >= -0.5) & (keypoints <= jnp.array([width, height]) - 0.5)).all(axis=-1)
        counted = batch["weight"] * (batch["labelled"] | batch["absent"]).any(axis=1)
        return boxes_around(keypoints, self.settings), labelled & within, counted

    def _rpn_terms(
        self, logits: jax.Array, deltas: jax.Array, drawn: AnchorSample, counted: jax.Array
    ) -> dict[str, losses.Term]:
        logits = jnp.take_along_axis(logits, drawn.index, axis=1)
        deltas = jnp.take_along_axis(deltas, drawn.index[..., None], axis=1)
        score = losses.sigmoid_cross_entropy(logits, drawn.label)
        errors = losses.smooth_l1(deltas - drawn.deltas, self.settings.rpn_beta).sum(axis=-1) * drawn.label
        weights = drawn.weight * counted[:, None]
        return {"rpn_score": losses.weighted_sum(score, weights), "rpn_box": losses.weighted_sum(errors, weights)}

    def _head_terms(
        self, logits: jax.Array, deltas: jax.Array, drawn: RegionSample, counted: jax.Array, unknown: jax.Array
    ) -> dict[str, losses.Term]:
        # Background may show a bodypart whose label is missing: its class is left out of the softmax there.
        unknown = jnp.pad(unknown, ((0, 0), (1, 0)))[:, None] & (drawn.label == 0)[..., None]
        score = losses.softmax_cross_entropy(jnp.where(unknown, -jnp.inf, logits), drawn.label)
        place = jnp.zeros_like(drawn.label) if self.net.class_agnostic else drawn.label
        deltas = jnp.take_along_axis(deltas, place[..., None, None], axis=2)[..., 0, :]
        errors = losses.smooth_l1(deltas - drawn.deltas, self.settings.head_beta).sum(axis=-1) * (drawn.label > 0)
        weights = drawn.weight * counted[:, None]
        return {"head_score": losses.weighted_sum(score, weights), "head_box": losses.weighted_sum(errors, weights)}

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        """The centre of each bodypart's likeliest box, averaged with the boxes that agree; see `Method.predict`."""
        features, regions, valid, _ = self._proposals(variables, self.padded(images))
        probabilities, boxes = self.score_regions(variables, features, regions)
        choose = jax.vmap(partial(best_box, average_iou=self.settings.average_iou), in_axes=(1, 1, None))  # per class
        answer, likelihood = jax.vmap(choose)(probabilities, boxes, valid)
        own = jnp.arange(self.net.n_classes)
        for _ in range(self.settings.second_looks):  # region k is the last box of class k; its box k is the next one
            answer = self.score_regions(variables, features, answer)[1][:, own, own]
        return {"keypoints": keypoints_of(answer, self.settings), "likelihood": likelihood}

    def detect(
        self,
        variables: Variables,
        images: jax.Array,
        max_detections: int = 100,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
    ) -> dict[str, jax.Array]:
        """All instances in uint8 images [B, H, W, C]; see `pawjax.methods.faster_rcnn.decoding.detections`.

        Returns 'boxes' [B, N, 4], clipped to the image, 'scores', 'classes' and 'valid' [B, N], N = max_detections.
        """
        features, regions, valid, _ = self._proposals(variables, self.padded(images))
        choose = partial(
            detections,
            size=images.shape[1:3],
            max_detections=max_detections,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
        )
        return jax.vmap(choose)(*self.score_regions(variables, features, regions), valid)

    def propose(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        """The first stage's 'boxes' [B, P, 4], unclipped, their 'scores' [B, P] in 0..1, and 'valid' [B, P]."""
        _, boxes, valid, logits = self._proposals(variables, self.padded(images))
        return {"boxes": boxes, "scores": jax.nn.sigmoid(logits), "valid": valid}

    def score_regions(
        self, variables: Variables, features: jax.Array, regions: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The head's probabilities [B, R, K] and boxes [B, R, K, 4] for regions [B, R, 4]."""

        def answer(regions: jax.Array) -> tuple[jax.Array, jax.Array]:
            return self.net.apply(variables, features, regions, train=False, method="regions")

        logits, deltas = over_regions(answer, regions, self.net.box_head.bytes_per_region)
        return jax.vmap(partial(class_boxes, weights=self.settings.head_weights))(logits, deltas, regions)

    def _proposals(self, variables: Variables, images: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Features, and proposals [B, P, 4], bool [B, P] and logits [B, P], of padded images."""
        features = self.net.apply(variables, images, train=False, method="features")
        logits, deltas = self.net.apply(variables, features, method="proposals")
        n_before, size = self.settings.proposals_before[1], images.shape[1:3]
        return features, *self._propose(logits, deltas, size, n_before, self.n_proposals)

    def _propose(
        self, logits: jax.Array, deltas: jax.Array, size: tuple[int, int], n_before: int, n_after: int
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        find = partial(propose, size=size, n_before=n_before, n_after=n_after, settings=self.settings)
        return jax.vmap(find, in_axes=(0, 0, None))(logits, deltas, self._anchors(size))

    def _anchors(self, size: tuple[int, int]) -> jax.Array:
        return anchor_grid(size, self.net.stride, self.net.center, self.settings)

    def read_weights(self, tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
        return read_weights(tensors, anchors=(len(self.settings.anchor_sizes), len(self.settings.anchor_ratios)))


def make(config: ConfigDict, bodyparts: tuple[str, ...]) -> FasterRCNN:
    """The method that a config describes. Raises InputError for a wrong setting."""
    settings, model, dtype = Settings.of(config), Model.of(config), jnp.dtype(config.dtype)
    backbone, box_head, pyramid_channels = _modules(settings, model, dtype)
    net = Detector(
        backbone,
        box_head,
        len(bodyparts),
        len(settings.anchor_sizes) * len(settings.anchor_ratios),
        pyramid_channels=pyramid_channels,
        pool=settings.pool,
        class_agnostic=settings.class_agnostic,
        norm=model.norm_of_new_layers,
    )
    n_proposals = Prediction.of(config).proposals or settings.proposals_after[1]
    return FasterRCNN(net, settings, n_proposals)


def _modules(settings: Settings, model: Model, dtype: jnp.dtype) -> tuple[nn.Module, nn.Module, int]:
    """Backbone, box head, and channels of the pyramid (0 for none)."""
    if settings.feature_map == "stride8":
        if model.backbone == "vgg16":
            raise InputError(
                "config.faster_rcnn.feature_map = 'stride8' needs a ResNet or an EfficientNet-Lite: use "
                f"'stride16' with config.model.backbone = '{model.backbone}'"
            )
        head = DenseHead(16 * model.stem_channels, kernel_init=nn.initializers.he_normal())
        return model.make(dtype, output_stride=32), head, 4 * model.stem_channels
    if model.is_resnet:
        head = BlockHead(model.depth, model.stem_channels, model.norm, linear=settings.pool == "align")
        return model.make(dtype, blocks=3), head, 0
    if model.backbone == "vgg16":
        return model.make(dtype), DenseHead(64 * model.stem_channels, settings.dropout), 0
    return model.make(dtype), DenseHead(16 * model.stem_channels, kernel_init=nn.initializers.he_normal()), 0

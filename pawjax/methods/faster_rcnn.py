"""Faster R-CNN as a tracker (Ren et al. 2015): every bodypart a class with one box, whose centre is its keypoint.

The settings of py-faster-rcnn, torchvision and detectron2 are fields of one method; see `config.detector`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from pawjax import losses
from pawjax.methods.detection_decoding import class_boxes, many_boxes, single_box
from pawjax.methods.detection_targets import (
    Anchors,
    AnchorSample,
    LabelBox,
    Proposals,
    Regions,
    RegionSample,
    anchor_fit,
    propose,
    sample_anchors,
    sample_regions,
)
from pawjax.methods.extra import ExtraEvaluation
from pawjax.models.detector import PADDING, Detector
from pawjax.ops.chains import Parts, in_chains

Variables = dict[str, Any]


def _boxes(config: ConfigDict) -> ExtraEvaluation:
    from pawjax.methods.boxes import evaluate_boxes  # draws, which training need not import

    return evaluate_boxes(config)


@dataclasses.dataclass(frozen=True)
class FasterRCNN:
    """The method; see `pawjax.methods` for its functions.

    Attributes:
      net: the network.
      box: what stands for a keypoint.
      anchors, proposals, regions: the rules of the two stages.
      rpn_beta, head_beta: where the smooth L1 losses of the two stages turn from squares to lines; 0 is all lines.
      unlabelled: 'ignore' learns nothing from an image without any label, nor that a region is not a bodypart whose
        label is missing (of the proposals, which know no classes, it does); 'negative' learns that all is background.
      agree_iou: of boxes that take part in the mean that `predict` answers with.
      refinements: how often `predict` shows the head its own answer as a region.
    """

    net: Detector
    box: LabelBox = LabelBox()
    anchors: Anchors = Anchors()
    proposals: Proposals = Proposals()
    regions: Regions = Regions()
    rpn_beta: float = 1 / 9
    head_beta: float = 1.0
    unlabelled: str = "ignore"
    agree_iou: float = 0.6
    refinements: int = 0

    predict_fields: ClassVar[tuple[str, ...]] = ("proposals",)
    extra_evaluations: ClassVar[Mapping[str, Callable[[ConfigDict], ExtraEvaluation]]] = {"boxes": _boxes}

    @property
    def loss_weights(self) -> dict[str, float]:
        """Weights of the terms of `loss`: 1 each, as in all lineages."""
        return {"rpn_score": 1.0, "rpn_box": 1.0, "head_score": 1.0, "head_box": 1.0}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on settings by which the box can hardly be learnt; told before training."""
        fit = anchor_fit(self.box, self.anchors, self.net.stride)
        found, (width, height), smallest = [], self.box.size, self.proposals.min_side
        if fit < self.anchors.low:
            found.append(
                f"config.detector.box = ({width:g}, {height:g}) has an IoU of only {fit:.2g} with the best of the "
                f"anchors (config.detector.anchor_sizes = {self.anchors.sizes}), under config.detector.rpn_low = "
                f"{self.anchors.low:g}: there will be next to nothing to learn from; use a larger box or an anchor of "
                "its size"
            )
        if min(self.box.size) < smallest:
            found.append(
                f"config.detector.box = ({width:g}, {height:g}) is smaller than config.detector.proposals_min_side = "
                f"{smallest:g}: no proposal can be of its size"
            )
        return tuple(found)

    def with_axis(self, name: str) -> "FasterRCNN":
        """The same method with batch statistics averaged over the mapped axis `name`."""
        return dataclasses.replace(self, net=self.net.copy(axis_name=name))

    def init(self, key: jax.Array, batch: dict[str, jax.Array]) -> Variables:
        """Random variables {'params', 'batch_stats'} for images like the batch's."""
        variables = self.net.init(key, _padded(batch["image"][:1]), _any_region(), train=False)
        return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}

    def loss(
        self, variables: Variables, batch: dict[str, jax.Array], key: jax.Array, train: bool
    ) -> tuple[dict[str, losses.Term], Any]:
        """Terms 'rpn_score' and 'rpn_box' over sampled anchors, 'head_score' and 'head_box' over sampled regions.

        Scores are cross entropies. Boxes are smooth L1, summed over coordinates and over the objects of a sample, and
        counted, as in torchvision, by the size of the whole sample. Each image draws its samples from its own key,
        `batch['key']` [B], so that they do not depend on how the batch is cut; without that field from `key`.
        """
        keys = batch["key"] if "key" in batch else jax.random.split(key, len(batch["image"]))
        rpn_keys, head_keys, dropout_keys = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        images = _padded(batch["image"])
        boxes, valid, counted = self._labels(batch)
        features, variables = self._features_of_loss(variables, images, train)
        logits, deltas = self.net.apply(variables, features, method="proposals")
        size = images.shape[1:3]
        anchors = self._anchors(size)

        anchor_samples = jax.vmap(partial(sample_anchors, rule=self.anchors, size=size), in_axes=(0, None, 0, 0))(
            rpn_keys, anchors, boxes, valid
        )
        find = partial(propose, size=size, rule=self.proposals, train=train)
        proposals, usable, _ = jax.vmap(find, in_axes=(0, 0, None))(logits, deltas, anchors)
        region_samples = jax.vmap(partial(sample_regions, rule=self.regions))(
            head_keys, proposals, usable, boxes, valid
        )
        region_samples = jax.lax.stop_gradient(region_samples)
        answers, batch_stats = self._regions_of_loss(variables, features, region_samples.boxes, dropout_keys, train)
        unknown = ~batch["labelled"] & (self.unlabelled == "ignore")
        terms = self._rpn_terms(logits, deltas, anchor_samples, counted)
        return terms | self._head_terms(*answers, region_samples, counted, unknown), batch_stats

    def _labels(self, batch: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Boxes [B, K, 4], bool [B, K] where there is one, and the weight [B] of each image in the loss."""
        height, width = batch["image"].shape[1:3]
        labelled = batch["labelled"] & (batch["weight"] > 0)[:, None]
        keypoints = jnp.where(labelled[..., None], batch["keypoints"], 0.0)
        within = ((keypoints >= -0.5) & (keypoints <= jnp.array([width, height]) - 0.5)).all(axis=-1)
        counted = batch["weight"] * labelled.any(axis=1) if self.unlabelled == "ignore" else batch["weight"]
        return self.box.around(keypoints), labelled & within, counted

    def _features_of_loss(self, variables: Variables, images: jax.Array, train: bool) -> tuple[jax.Array, Variables]:
        features = partial(self.net.apply, method="features", train=train)
        if train and self.net.norm == "batch":  # which joins the images of a batch
            made, updates = features(variables, images, mutable=["batch_stats"])
            return made, variables | updates
        return in_chains(lambda images: features(variables, images), images), variables

    def _regions_of_loss(
        self, variables: Variables, features: jax.Array, regions: jax.Array, keys: jax.Array, train: bool
    ) -> tuple[tuple[jax.Array, jax.Array], Any]:
        look = partial(self.net.apply, variables, features, regions, train, keys if train else None, method="regions")
        if train and self.net.norm == "batch":
            answers, updates = look(mutable=["batch_stats"])
            return answers, updates.get("batch_stats", variables.get("batch_stats", {}))
        return look(), variables.get("batch_stats", {})

    def _rpn_terms(
        self, logits: jax.Array, deltas: jax.Array, drawn: AnchorSample, counted: jax.Array
    ) -> dict[str, losses.Term]:
        logits = jnp.take_along_axis(logits, drawn.index, axis=1)
        deltas = jnp.take_along_axis(deltas, drawn.index[..., None], axis=1)
        score = losses.sigmoid_cross_entropy(logits, drawn.label)
        errors = losses.smooth_l1(deltas - drawn.deltas, self.rpn_beta).sum(axis=-1) * drawn.label
        weights = drawn.weight * counted[:, None]
        return {"rpn_score": losses.weighted_sum(score, weights), "rpn_box": losses.weighted_sum(errors, weights)}

    def _head_terms(
        self, logits: jax.Array, deltas: jax.Array, drawn: RegionSample, counted: jax.Array, unknown: jax.Array
    ) -> dict[str, losses.Term]:
        # Background may be a bodypart whose label is missing: its class has no part in the softmax there.
        unknown = jnp.pad(unknown, ((0, 0), (1, 0)))[:, None] & (drawn.label == 0)[..., None]
        score = losses.softmax_cross_entropy(jnp.where(unknown, -jnp.inf, logits), drawn.label)
        place = jnp.zeros_like(drawn.label) if self.net.class_agnostic else drawn.label
        deltas = jnp.take_along_axis(deltas, place[..., None, None], axis=2)[..., 0, :]
        errors = losses.smooth_l1(deltas - drawn.deltas, self.head_beta).sum(axis=-1) * (drawn.label > 0)
        weights = drawn.weight * counted[:, None]
        return {"head_score": losses.weighted_sum(score, weights), "head_box": losses.weighted_sum(errors, weights)}

    def prepare(self, variables: Variables) -> Variables:
        """The variables and what `predict` would make of them alone: folded and transformed kernels."""
        images = jnp.zeros((1, PADDING, PADDING, 3), jnp.uint8)
        _, made = self.net.apply(variables, images, _any_region(), train=False, mutable=["prepared"])
        return variables | made

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        """uint8 [B, H, W, C] -> 'keypoints' [B, K, 2], (x, y) pixels of `images`, and 'likelihood' [B, K] in 0..1.

        Every bodypart gets an answer: the centre of its likeliest box, averaged with the boxes that agree with it.
        """
        images = _padded(images)
        size = images.shape[1:3]
        return in_chains(lambda part: self._predict(variables, part, size), images, rows=True)

    def _predict(self, variables: Variables, images: Parts, size: tuple[int, int]) -> dict[str, jax.Array]:
        features, regions, valid, _ = self._proposals(variables, images, size)
        probabilities, boxes = self._look(variables, features, regions)
        choose = jax.vmap(partial(single_box, agree_iou=self.agree_iou), in_axes=(1, 1, None))  # over the classes
        answer, likelihood = jax.vmap(choose)(probabilities, boxes, valid)
        own = jnp.arange(self.net.n_classes)
        for _ in range(self.refinements):  # the region of class k is its answer, box k of which is the next one
            answer = self._look(variables, features, answer)[1][:, own, own]
        return {"keypoints": self.box.keypoint_of(answer), "likelihood": likelihood}

    def detect(
        self,
        variables: Variables,
        images: jax.Array,
        max_detections: int = 100,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
    ) -> dict[str, jax.Array]:
        """All instances in uint8 images [B, H, W, C]; see `pawjax.methods.detection_decoding.many_boxes`.

        Returns 'boxes' [B, N, 4], clipped to the image, 'scores', 'classes' and 'valid' [B, N], N = max_detections.
        """
        padded = _padded(images)
        features, regions, valid, _ = self._proposals(variables, padded, padded.shape[1:3])
        choose = partial(
            many_boxes,
            size=images.shape[1:3],
            max_detections=max_detections,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
        )
        return jax.vmap(choose)(*self._look(variables, features, regions), valid)

    def propose(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        """The first stage alone: 'boxes' [B, P, 4], unclipped, their 'scores' [B, P] in 0..1, and 'valid' [B, P]."""
        images = _padded(images)
        _, boxes, valid, logits = self._proposals(variables, images, images.shape[1:3])
        return {"boxes": boxes, "scores": jax.nn.sigmoid(logits), "valid": valid}

    def _proposals(
        self, variables: Variables, images: Parts, size: tuple[int, int]
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Features, and proposals [B, P, 4], bool [B, P] and logits [B, P], of padded images of `size` (H, W)."""
        features = self.net.apply(variables, images, method="features", train=False)
        logits, deltas = self.net.apply(variables, features, method="proposals")
        find = partial(propose, size=size, rule=self.proposals, train=False)
        return features, *jax.vmap(find, in_axes=(0, 0, None))(logits, deltas, self._anchors(size))

    def _look(self, variables: Variables, features: jax.Array, regions: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Probabilities [B, R, K] and boxes [B, R, K, 4] that the head gives regions [B, R, 4]."""

        def look(regions):
            return self.net.apply(variables, features, regions, False, method="regions")

        n_images, n_regions, _ = regions.shape
        n_parts = min(-(-n_images * n_regions // self.net.regions_at_once), n_regions)
        if n_parts == 1:
            logits, deltas = look(regions)
        else:
            parts = jnp.pad(regions, ((0, 0), (0, -n_regions % n_parts), (0, 0))).reshape(n_images, n_parts, -1, 4)
            answers = jax.lax.map(look, parts.swapaxes(0, 1))  # each [parts, images, regions of a part, ...]
            answers = (jnp.moveaxis(x, 0, 1).reshape(n_images, -1, *x.shape[3:]) for x in answers)
            logits, deltas = (x[:, :n_regions] for x in answers)
        return jax.vmap(partial(class_boxes, weights=self.regions.weights))(logits, deltas, regions)

    def _anchors(self, size: tuple[int, int]) -> jax.Array:
        return self.anchors.grid(size, self.net.stride, self.net.center)


def _padded(images: jax.Array) -> jax.Array:
    """Zeros below and to the right, up to multiples of `PADDING`."""
    bottom, right = (-size % PADDING for size in images.shape[1:3])
    return jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)))


def _any_region() -> jax.Array:
    return jnp.array([[[0.0, 0.0, PADDING, PADDING]]])

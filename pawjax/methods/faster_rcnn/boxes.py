"""Evaluation of a detector's boxes: COCO's average precision, and the fit of its anchors and proposals.

The size of a keypoint's box is a setting, so its IoU with a detection depends only on the pixel error and on that size:
5 px to the side give an IoU of 0.9 with a box of 100 px and of 0.6 with one of 20 px. Compare average precision only
between runs with the same box size in pixels of the original frame; across sizes, compare errors in pixels.

Boxes are xyxy float32. IoUs are the same in pixels of the network's input and of the original frames.
"""

import contextlib
import importlib.util
import io
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from pawjax.data.batches import FrameStore
from pawjax.errors import InputError
from pawjax.files import write_json
from pawjax.methods.faster_rcnn.method import FasterRCNN
from pawjax.methods.faster_rcnn.targets import anchor_grid, boxes_around
from pawjax.methods.method import ExtraEvaluation, Variables
from pawjax.ops.anchors import inside_image
from pawjax.ops.boxes import box_iou, box_xyxy_to_xywh
from pawjax.ops.matching import best_iou_per_box
from pawjax.ops.warp import apply_affine
from pawjax.report.boxes import FrameBoxes
from pawjax.report.frames import EvaluatedFrames
from pawjax.report.gallery import worst_frames

DETECTIONS = {"score_threshold": 0.0, "max_detections": 100, "nms_threshold": 0.5}  # per frame, as in COCO
COVERED = 0.5  # minimum IoU at which a proposal covers a box
DRAWN = 20  # proposals in a picture


def evaluate_boxes(config: ConfigDict) -> ExtraEvaluation:
    """The evaluation 'boxes'. Raises InputError if pycocotools is missing, or for --flip or --scales."""
    if config.predict.flip or tuple(config.predict.scales) != (1.0,):
        raise InputError("--boxes cannot be combined with --flip or --scales: leave them out")
    if importlib.util.find_spec("pycocotools") is None:
        raise InputError("--boxes needs pycocotools: pip install 'pawjax[coco]', or leave --boxes out")
    return ExtraEvaluation(predict_boxes, write_boxes)


def predict_boxes(method: FasterRCNN, variables: Variables, images: jax.Array) -> dict[str, dict]:
    """'detected' (`FasterRCNN.detect`) and 'proposed' (`FasterRCNN.propose`), which share the features."""
    return {
        "detected": method.detect(variables, images, **DETECTIONS),
        "proposed": method.propose(variables, images),
    }


def write_boxes(
    folder: Path,
    method: FasterRCNN,
    outputs: dict[str, dict],
    store: FrameStore,
    frames: EvaluatedFrames,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Writes `boxes.json` and `proposals.png` of an evaluation.

    Detections and proposals are those of the plain frames, whatever views the keypoints came from.

    Args:
      folder: the evaluation's.
      method: the detector.
      outputs: results of `predict_boxes` for all N frames.
      store: the N frames.
      frames: the original frames with their predictions.
      about: further entries of boxes.json.

    Returns:
      The content of boxes.json: those entries; `n_boxes`, `box_px` (width, height) in the original frames of the first
      one's size; `AP`, `AP50`, `AP75`, `per_bodypart` and `detections`, see `average_precision`; `anchors`, see
      `anchor_fit_of_labels`; `proposals`, see `proposal_recall`.
    """
    labelled = np.asarray(store.labelled)[:, 0]  # one animal
    truth = np.asarray(boxes_around(jnp.asarray(store.keypoints[:, 0]), method.settings))
    detected, proposed = outputs["detected"], outputs["proposed"]

    limits = np.tile(np.asarray(store.size)[:, None, ::-1], 2).astype(np.float32)  # width, height, width, height
    back = np.asarray(store.to_original)
    true_px = boxes_to_original(back, np.clip(truth, 0, limits))
    detected_px = boxes_to_original(back, np.clip(detected["boxes"], 0, limits))
    numbers = {
        **about,
        "n_images": len(store),
        "n_boxes": int(labelled.sum()),
        "box_px": [
            side * scale for side, scale in zip(method.settings.box, (back[0, 0, 0], back[0, 1, 1]), strict=True)
        ],
        **average_precision(true_px, labelled, detected | {"boxes": detected_px}, frames.bodyparts),
        "detections": DETECTIONS,
        "anchors": anchor_fit_of_labels(method, truth[labelled], store.image.shape[1:3]),
        "proposals": proposal_recall(truth, labelled, proposed),
    }
    best = np.where(proposed["valid"][..., None], proposed["boxes"], np.nan)[:, :DRAWN]
    boxes = FrameBoxes(
        boxes_to_original(back, best),
        proposed["scores"][:, :DRAWN],
        chosen_boxes(detected | {"boxes": detected_px}, labelled.shape[1])[:, None],
        boxes_to_original(back, truth)[:, None],
    )
    worst_frames(frames, folder / "proposals.png", boxes=boxes)
    write_json(folder / "boxes.json", numbers)
    return numbers


def boxes_to_original(to_original: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes [N, P, 4] of the network's input in the original frames, by affine maps [N, 2, 3] without rotation."""
    corners = apply_affine(jnp.asarray(to_original), jnp.asarray(boxes).reshape(len(boxes), -1, 2))
    return np.asarray(corners).reshape(boxes.shape)


def chosen_boxes(detected: dict[str, np.ndarray], n_bodyparts: int) -> np.ndarray:
    """The best detection of each bodypart, [N, K, 4], NaN if there is none; `detected` is by decreasing score."""
    shape = (len(detected["boxes"]), n_bodyparts, 4)
    chosen = np.full(shape, np.nan, np.float32)
    for k in range(n_bodyparts):
        of_bodypart = detected["valid"] & (detected["classes"] == k)
        rows = np.flatnonzero(of_bodypart.any(axis=1))
        chosen[rows, k] = detected["boxes"][rows, of_bodypart[rows].argmax(axis=1)]
    return chosen


def anchor_fit_of_labels(method: FasterRCNN, truth: np.ndarray, size: tuple[int, int]) -> dict[str, float | None]:
    """How well the anchors fit the labelled boxes [G, 4] in images (height, width): what the RPN can learn from.

    Returns `mean_iou` and `min_iou` of each box with the anchor that fits it best, and the shares of boxes whose best
    is at least `high` (config.faster_rcnn.rpn_high: anchors that are objects) or below `low` (rpn_low: anchors that
    are background, except for the closest one, which is the only one to learn the box). None without boxes.
    """
    settings = method.settings
    height, width = (-(-side // method.stride) * method.stride for side in size)
    anchors = anchor_grid((height, width), method.net.stride, method.net.center, settings)
    if settings.anchors_inside:
        anchors = anchors[np.asarray(inside_image(anchors, height, width))]
    iou = np.asarray(best_iou_per_box(jnp.asarray(truth), anchors)) if len(truth) and len(anchors) else np.zeros(0)
    high, low = settings.rpn_high, settings.rpn_low
    shares = {"mean_iou": iou, "share_from_high": iou >= high, "share_under_low": iou < low}
    return {
        **{name: float(values.mean()) if len(iou) else None for name, values in shares.items()},
        "min_iou": float(iou.min()) if len(iou) else None,
        "high": high,
        "low": low,
    }


def proposal_recall(truth: np.ndarray, labelled: np.ndarray, proposed: dict[str, np.ndarray]) -> dict[str, Any]:
    """How many of the labelled boxes, [N, K, 4] with mask [N, K], the RPN proposes.

    Returns `n`, the number of proposals per frame (config.faster_rcnn.proposals_after); `recall`, the share of boxes
    that one of them covers at an IoU of at least `iou`, and `mean_best_iou` of a box with its best. None without boxes.
    """
    iou = np.asarray(jax.jit(jax.vmap(box_iou))(truth, proposed["boxes"]))
    best = np.where(proposed["valid"][:, None], iou, 0).max(axis=-1)[labelled]
    return {
        "n": proposed["boxes"].shape[1],
        "iou": COVERED,
        "recall": float((best >= COVERED).mean()) if len(best) else None,
        "mean_best_iou": float(best.mean()) if len(best) else None,
    }


def average_precision(
    truth: np.ndarray, labelled: np.ndarray, detected: dict[str, np.ndarray], bodyparts: tuple[str, ...]
) -> dict[str, Any]:
    """Average precision of detections, by pycocotools (Lin et al. 2014).

    Detections of a bodypart in frames without its label are ignored: they may be right or wrong.

    Args:
      truth: [N, K, 4] boxes within the frames.
      labelled: bool [N, K].
      detected: 'boxes' [N, D, 4], 'scores', 'classes' (0..K-1) and 'valid' [N, D].
      bodyparts: K names.

    Returns:
      'AP', the mean over IoUs of 0.5, 0.55, ... 0.95 and over the bodyparts, 'AP50' and 'AP75' at these IoUs, and
      'per_bodypart' {name: the three}; 0..1, None where nothing is labelled.
    """
    from pycocotools.cocoeval import COCOeval  # an optional dependency

    frame, bodypart = np.nonzero(labelled)
    labels = _coco(frame, bodypart, truth[labelled], labelled.shape)
    known = detected["valid"] & np.take_along_axis(labelled, detected["classes"], axis=1)
    frame, _ = np.nonzero(known)
    answers = _coco(
        frame, detected["classes"][known], detected["boxes"][known], labelled.shape, detected["scores"][known]
    )
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(labels, answers, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [DETECTIONS["max_detections"]]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, 0]  # [IoUs, recalls, K]
    each = {name: _three(precision[..., [k]]) for k, name in enumerate(bodyparts)}
    return {**_three(precision), "per_bodypart": each}


def _three(precision: np.ndarray) -> dict[str, float | None]:
    """AP, AP50 and AP75 of COCO's precisions [10 IoUs, recalls, bodyparts]; -1 marks bodyparts without labels."""
    selected = {"AP": precision, "AP50": precision[:1], "AP75": precision[5:6]}
    return {name: float(p[p > -1].mean()) if (p > -1).any() else None for name, p in selected.items()}


def _coco(
    frame: np.ndarray,
    bodypart: np.ndarray,
    boxes: np.ndarray,
    shape: tuple[int, int],
    scores: np.ndarray | None = None,
) -> Any:
    """COCO's index of boxes [G, 4], each in a frame [G] and of a bodypart [G]; `shape` is (frames, bodyparts)."""
    from pycocotools.coco import COCO

    ltwh = np.asarray(box_xyxy_to_xywh(jnp.asarray(boxes, jnp.float32)), np.float64).reshape(-1, 4)
    scores = np.ones(len(ltwh)) if scores is None else scores
    rows = zip(frame.tolist(), bodypart.tolist(), ltwh.tolist(), scores.tolist(), strict=True)
    index = COCO()
    index.dataset = {
        "images": [{"id": i} for i in range(shape[0])],
        "categories": [{"id": k} for k in range(shape[1])],
        "annotations": [  # ids from 1: COCOeval takes 0 for no match
            {"id": i, "image_id": n, "category_id": k, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "score": s}
            for i, (n, k, box, s) in enumerate(rows, 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
    return index

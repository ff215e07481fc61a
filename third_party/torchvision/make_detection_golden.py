"""Boxes, matching, suppression, RoI align and RoI pooling of torchvision, for tests/golden/detection_*.npz.

    pip install torch==2.14.1 torchvision==0.29.1
    python third_party/torchvision/make_detection_golden.py

torch and torchvision must be of one build (from the same index), because nms, roi_align and roi_pool are compiled.
Every file holds inputs and results.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torchvision import ops
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"


def random_boxes(rng: np.random.Generator, count: int, spread: float, smallest: float, largest: float) -> np.ndarray:
    """Boxes xyxy with centres around (100, 80), standard deviation `spread`."""
    centre, side = rng.normal((100, 80), spread, (count, 2)), rng.uniform(smallest, largest, (count, 2))
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)


def write_boxes() -> None:
    rng = np.random.default_rng(0)
    first, second = random_boxes(rng, 40, 40, 5, 80), random_boxes(rng, 30, 40, 5, 80)
    second[:3] = first[:3]
    arrays = {"first": first, "second": second, "iou": ops.box_iou(torch.tensor(first), torch.tensor(second)).numpy()}
    anchors, boxes = torch.tensor(first[:30]), torch.tensor(second)
    deltas = rng.normal(0, 1, (30, 4)).astype(np.float32)
    deltas[:5, 2:] += 8  # beyond the clamp
    arrays["deltas"] = deltas
    for name, weights in (("ones", (1.0, 1.0, 1.0, 1.0)), ("head", (10.0, 10.0, 5.0, 5.0))):
        coder = BoxCoder(weights)
        arrays[f"encoded_{name}"] = coder.encode_single(boxes, anchors).numpy()
        arrays[f"decoded_{name}"] = coder.decode_single(torch.tensor(deltas), anchors).numpy()
    arrays["clipped"] = ops.clip_boxes_to_image(torch.tensor(first), (90, 120)).numpy()
    kept = ops.remove_small_boxes(torch.tensor(first), 20.0).numpy()
    arrays["large_enough"] = np.isin(np.arange(len(first)), kept)
    sizes, ratios = ((32, 45, 128),), ((0.5, 1.0, 2.0, 3.0),)
    images = ImageList(torch.zeros(1, 3, 48, 64), [(48, 64)])
    arrays["anchors"] = AnchorGenerator(sizes, ratios)(images, [torch.zeros(1, 1, 3, 4)])[0].numpy()
    np.savez_compressed(GOLDEN / "detection_boxes.npz", **arrays)


def write_matches() -> None:
    """Labels 1, 0, -1 and boxes of 48 candidates; case i has 1 + i % 4 labelled boxes, padded to four at random."""
    rng = np.random.default_rng(1)
    cases = {"boxes": [], "valid": [], "candidates": []}
    answers = {f"{what}_{name}": [] for what in ("index", "label") for name in ("anchors", "proposals")}
    for case in range(20):
        candidates, boxes = random_boxes(rng, 48, 25, 20, 70), random_boxes(rng, 4, 25, 20, 70)
        candidates[:3], candidates[3:6] = boxes[0] + rng.normal(0, 3, (3, 4)), candidates[6:9]  # good matches, and ties
        valid = np.arange(4) <= case % 4
        iou = ops.box_iou(torch.tensor(boxes[valid]), torch.tensor(candidates))
        for name, matcher in (
            ("anchors", Matcher(0.7, 0.3, allow_low_quality_matches=True)),
            ("proposals", Matcher(0.5, 0.5, allow_low_quality_matches=False)),
        ):
            matched = matcher(iou)
            label = torch.where(matched >= 0, 1, torch.where(matched == Matcher.BELOW_LOW_THRESHOLD, 0, -1))
            answers[f"index_{name}"].append(matched.clamp(min=0).numpy().astype(np.int8))
            answers[f"label_{name}"].append(label.numpy().astype(np.int8))
        cases["boxes"].append(boxes), cases["valid"].append(valid), cases["candidates"].append(candidates)
    np.savez_compressed(GOLDEN / "detection_matches.npz", **{k: np.stack(v) for k, v in (cases | answers).items()})


def write_nms() -> None:
    """Kept boxes in order, padded with -1, for each threshold: as one class and as three."""
    rng = np.random.default_rng(2)
    thresholds = (0.1, 0.3, 0.5, 0.7, 0.9)
    arrays = {"thresholds": np.array(thresholds)}
    for name, spread in (("crowded", 20), ("sparse", 80)):
        boxes, scores = random_boxes(rng, 256, spread, 20, 70), rng.uniform(0, 1, 256).astype(np.float32)
        scores[::3] = np.round(scores[::3], 1)  # ties
        classes = rng.integers(0, 3, 256)
        tensors = torch.tensor(boxes), torch.tensor(scores), torch.tensor(classes)
        arrays |= {f"boxes_{name}": boxes, f"scores_{name}": scores, f"classes_{name}": classes.astype(np.int8)}
        kept = np.full((2, len(thresholds), 256), -1, np.int16)
        for i, threshold in enumerate(thresholds):
            one, several = ops.nms(*tensors[:2], threshold), ops.batched_nms(*tensors, threshold)
            kept[0, i, : len(one)], kept[1, i, : len(several)] = one.numpy(), several.numpy()
        arrays[f"kept_{name}"], arrays[f"kept_by_class_{name}"] = kept
    np.savez_compressed(GOLDEN / "detection_nms.npz", **arrays)


def random_rois(rng: np.random.Generator) -> np.ndarray:
    """Regions for a map of 9 x 13 cells of 8 pixels: ordinary, at cells' corners, across the border, off it, empty."""
    centre, side = rng.uniform((0, 0), (104, 72), (14, 2)), rng.uniform(4, 70, (14, 2))
    ordinary = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    special = [
        [0, 0, 104, 72],
        [8, 16, 64, 72],
        [12, 4, 68, 60],
        [-60, -40, 200, 150],
        [-8, -8, 48, 48],
        [-90, -90, -30, -40],
        [150, 20, 190, 50],
        [96, 64, 112, 80],
        [50, 30, 50, 30],
        [50, 30, 40, 22],
        [20.5, 20.5, 21, 60],
    ]
    return np.concatenate([ordinary, special]).astype(np.float32)


def write_rois() -> None:
    """Pooled features [K, rows, columns, C], and their gradient under `cotangent`, at 3 x 4 bins."""
    rng = np.random.default_rng(3)
    features, rois = rng.standard_normal((9, 13, 2)).astype(np.float32), random_rois(rng)
    cotangent = rng.standard_normal((len(rois), 3, 4, 2)).astype(np.float32)
    arrays = {"features": features, "rois": rois, "cotangent": cotangent}
    numbered = torch.cat([torch.zeros(len(rois), 1), torch.tensor(rois)], dim=1)
    pools = {
        f"align_{ratio}_{'aligned' if aligned else 'legacy'}": (
            lambda x, ratio=ratio, aligned=aligned: ops.roi_align(x, numbered, (3, 4), 1 / 8, ratio, aligned)
        )
        for ratio in (0, 1, 2, 3)
        for aligned in (False, True)
    }
    pools["pool"] = lambda x: ops.roi_pool(x, numbered, (3, 4), 1 / 8)
    for name, pool in pools.items():
        x = torch.tensor(features.transpose(2, 0, 1)[None].copy(), requires_grad=True)
        y = pool(x)
        y.backward(torch.tensor(cotangent.transpose(0, 3, 1, 2).copy()))
        arrays[name] = y.detach().permute(0, 2, 3, 1).numpy()
        arrays[f"{name}_gradient"] = x.grad[0].permute(1, 2, 0).numpy()
    np.savez_compressed(GOLDEN / "detection_rois.npz", **arrays)


if __name__ == "__main__":
    write_boxes()
    write_matches()
    write_nms()
    write_rois()
    for path in sorted(GOLDEN.glob("detection_*.npz")):
        print(path.name, path.stat().st_size, "bytes", file=sys.stderr)

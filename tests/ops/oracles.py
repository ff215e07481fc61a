"""Reference implementations of the operations, and conventions of other systems."""

from collections.abc import Callable, Sequence

import numpy as np


def box_xywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """[..., 4] (left, top, width, height), as in COCO, to (left, top, right, bottom)."""
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def torchvision_anchors(anchors: np.ndarray, n_sizes: int, n_ratios: int) -> np.ndarray:
    """Anchors [A, 4] as in torchvision: half sides rounded to whole pixels, ratios as the outer loop within a cell."""
    cells = np.asarray(anchors).reshape(-1, n_sizes, n_ratios, 4).swapaxes(1, 2)
    return np.round(cells).reshape(-1, 4)


def roi_align(
    features: np.ndarray, rois: np.ndarray, bins: tuple[int, int], *, scale: float, sampling_ratio: int, aligned: bool
) -> np.ndarray:
    """RoI align, sample by sample: features [H, W, C] and regions [K, 4] give float64 [K, *bins, C]."""
    out = np.zeros((len(rois), *bins, features.shape[-1]))
    for bins_of_roi, roi in zip(out, np.asarray(rois, np.float64) * scale - 0.5 * aligned, strict=True):
        length = roi[2:] - roi[:2] if aligned else np.maximum(roi[2:] - roi[:2], 1)
        x, y = (
            roi[axis] + length[axis] * (np.arange(n * sampling_ratio) + 0.5) / (n * sampling_ratio)
            for axis, n in enumerate(bins[::-1])
        )
        samples = np.array([[_bilinear(features, across, down) for across in x] for down in y])
        blocks = samples.reshape(bins[0], sampling_ratio, bins[1], sampling_ratio, -1)
        bins_of_roi[:] = blocks.mean((1, 3))
    return out


def _bilinear(features: np.ndarray, x: float, y: float) -> np.ndarray:
    height, width, channels = features.shape
    if not (-1 <= x <= width and -1 <= y <= height):
        return np.zeros(channels)
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    columns, rows = np.maximum(1 - np.abs(x - np.arange(width)), 0), np.maximum(1 - np.abs(y - np.arange(height)), 0)
    return np.einsum("h,w,hwc->c", rows, columns, features)


def greedy_nms(
    iou: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    valid: Sequence[bool] | None = None,
    classes: Sequence[int] | None = None,
) -> np.ndarray:
    """Non-maximum suppression by definition: indices of the boxes kept for overlaps [N, N], highest score first."""
    chosen = []
    for i in np.argsort(-scores, kind="stable"):
        others = [j for j in chosen if classes is None or classes[j] == classes[i]]
        if (valid is None or valid[i]) and not (iou[others, i] > np.float32(threshold)).any():
            chosen.append(i)
    return np.array(chosen, int)


def convolution(
    x: np.ndarray,
    kernel: np.ndarray,
    gradient_for: Callable[[tuple[int, ...]], np.ndarray],
    *,
    stride: int,
    padding: tuple[tuple[int, int], tuple[int, int]],
    dilation: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A convolution of x [B, H, W, I] with kernel [kh, kw, I, O] as a sum over its taps, in float64.

    Returns the output and the gradients of x and kernel for the output gradient `gradient_for(shape)`.
    """
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    (top, bottom), (left, right) = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    height, width = (
        (size - dilation * (taps - 1) - 1) // stride + 1
        for size, taps in zip(padded.shape[1:3], kernel.shape[:2], strict=True)
    )
    dy = np.asarray(gradient_for((len(x), height, width, kernel.shape[3])), np.float64)
    y, dx, dkernel = np.zeros(dy.shape), np.zeros(padded.shape), np.zeros(kernel.shape)
    for i, j in np.ndindex(kernel.shape[:2]):
        rows, columns = (
            slice(tap * dilation, tap * dilation + (size - 1) * stride + 1, stride)
            for tap, size in ((i, height), (j, width))
        )
        y += padded[:, rows, columns] @ kernel[i, j]
        dx[:, rows, columns] += dy @ kernel[i, j].T
        dkernel[i, j] = np.einsum("bhwi,bhwo->io", padded[:, rows, columns], dy, optimize=True)
    return y, dx[:, top : top + x.shape[1], left : left + x.shape[2]], dkernel


def lower_envelope(costs: np.ndarray, weight: float, offset: float) -> np.ndarray:
    """min over q of costs[q] + weight (q - p - offset)^2 for p = 0..n-1, in O(n) (Felzenszwalb & Huttenlocher 2012).

    The parabolas that are lowest somewhere are kept from left to right, with the places where they meet.
    """
    lowest, meets = [0], [-np.inf]
    for q in range(1, len(costs)):
        while True:
            last = lowest[-1]
            meeting = (costs[q] - costs[last]) / (2 * weight * (q - last)) + (q + last) / 2
            if meeting > meets[-1]:
                break
            del lowest[-1], meets[-1]
        lowest.append(q)
        meets.append(meeting)
    places = np.arange(len(costs)) + offset
    q = np.array(lowest)[np.searchsorted(meets, places, side="right") - 1]
    return costs[q] + weight * (q - places) ** 2


def lower_envelope_2d(costs: np.ndarray, weight: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The same for a map [h, w], with weight and offset (x, y): the columns, then the rows."""
    columns = np.stack([lower_envelope(column, weight[1], offset[1]) for column in costs.T], axis=1)
    return np.stack([lower_envelope(row, weight[0], offset[0]) for row in columns])

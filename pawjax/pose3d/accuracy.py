"""How far positions lie from the truth, as they are and after the best rigid motion of each frame."""

from typing import Any

import numpy as np


def distances(positions: Any, truth: Any) -> np.ndarray:
    """Euclidean distances [T, K] of positions [T, K, 3], float64; NaN where either is missing."""
    return np.linalg.norm(np.asarray(positions, np.float64) - np.asarray(truth, np.float64), axis=-1)


def aligned(positions: Any, truth: Any) -> np.ndarray:
    """Positions [T, K, 3] turned and shifted onto the truth [T, K, 3] frame by frame, float64.

    The rotation is proper (determinant 1) and nothing is scaled: least squares over the points of the frame that both
    have (Kabsch, Acta Crystallographica A34, 1978). Frames with fewer than three such points are NaN.
    """
    positions, truth = np.asarray(positions, np.float64), np.asarray(truth, np.float64)
    both = np.isfinite(positions).all(-1) & np.isfinite(truth).all(-1)
    weight = both[..., None] / np.maximum(both.sum(-1), 1)[:, None, None]
    centre = np.nansum(weight * np.where(both[..., None], positions, 0), axis=1, keepdims=True)
    target = np.nansum(weight * np.where(both[..., None], truth, 0), axis=1, keepdims=True)
    moment = np.swapaxes(np.where(both[..., None], positions - centre, 0), 1, 2) @ np.where(
        both[..., None], truth - target, 0
    )
    left, _, right = np.linalg.svd(moment)
    sign = np.ones((len(moment), 1, 3))
    sign[:, 0, 2] = np.sign(np.linalg.det(left @ right))
    result = (positions - centre) @ (left * sign @ right) + target
    return np.where((both.sum(-1) >= 3)[:, None, None], result, np.nan)

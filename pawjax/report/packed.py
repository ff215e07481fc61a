"""Arrays of a page in few bytes: whole numbers, as differences from frame to frame, compressed.

The numbers of an array [T, ...] become differences along T, modulo 2^8 or 2^16, low bytes first, then high bytes; all
arrays together are compressed by gzip, which browsers undo by themselves, and set in base64.
"""

import base64
import gzip
from collections.abc import Mapping

import numpy as np

LEVEL = 6  # of gzip; higher ones take several times longer and save a hundredth
LEAST, MOST = 0.01, 10_000.0  # of `logarithms`, mm or px
MISSING = 0  # in codes of one byte
MISSING_POSITION = -(2**15)


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, dict], str]:
    """Layout {name: kind, shape, place of its first byte} and base64 of arrays of uint8 or int16, [T, ...]."""
    layout, pieces, at = {}, [], 0
    for name, array in arrays.items():
        unsigned = np.ascontiguousarray(array).view(f"u{array.itemsize}")
        steps = unsigned - np.concatenate([np.zeros_like(unsigned[:1]), unsigned[:-1]])
        planes = steps.astype(f"<u{array.itemsize}").reshape(-1, 1).view(np.uint8).T
        layout[name] = {"kind": array.dtype.name, "shape": array.shape, "at": at}
        pieces.append(planes.tobytes())
        at += planes.size
    return layout, base64.b64encode(gzip.compress(b"".join(pieces), LEVEL, mtime=0)).decode()


def logarithms(values: np.ndarray) -> np.ndarray:
    """Codes uint8 of positive values: 1 to 255 for LEAST to MOST, 5.6 % apart; 0 for NaN. Beyond are the ends."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.log(np.clip(values, LEAST, MOST) / LEAST) / np.log(MOST / LEAST) * 254
    return np.where(np.isnan(values), MISSING, 1 + np.rint(np.nan_to_num(steps))).astype(np.uint8)


def shares(values: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Codes uint8 of values from `least` to 1: 1 to 255; 0 for NaN."""
    steps = 1 + np.rint(254 * (np.clip(np.nan_to_num(values), least, 1) - least) / (1 - least))
    return np.where(np.isnan(values), MISSING, steps).astype(np.uint8)


def covariances(covariance: np.ndarray) -> np.ndarray:
    """Codes uint8 [..., 6] of covariances [..., 3, 3]: `logarithms` of standard deviations, `shares` of correlations.

    The order is x, y, z, xy, xz, yz. All are 0 where a number is NaN.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
        correlation = covariance[..., first, second] / (deviation[..., first] * deviation[..., second])
    correlation = np.where(np.isfinite(correlation) | ~np.isfinite(deviation).all(-1)[..., None], correlation, 0)
    codes = np.concatenate([logarithms(deviation), shares(correlation, least=-1.0)], axis=-1)
    return codes * (codes != MISSING).all(-1)[..., None]

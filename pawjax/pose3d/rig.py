"""Cameras as the models use them: the origin amid the animal, pixels from its projection, depths in its distance.

Positions of a few hundred millimetres and pixels of a few thousand would cost float32 its digits: a rig is made in
float64, once, and what follows has small numbers.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.errors import InputError

NEAREST = 0.05  # least depth of a point in a camera, in distances of the origin


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rig:
    """C cameras around an origin.

    Attributes:
      matrices: [C, 3, 4], projection matrices; each maps the origin to pixel (0, 0) and depth 1.
    """

    matrices: jax.Array


def make_rig(cameras: Any, pixels: Any) -> tuple[Rig, jax.Array, np.ndarray]:
    """The rig of cameras that saw these pixels.

    Args:
      cameras: [C, 3, 4], projection matrices from the world (x, y, z, 1) to pixels (x, y) times depth.
      pixels: [T, C, K, 2], (x, y), undistorted; NaN where nothing was seen.

    Returns:
      The rig, the pixels [T, C, K, 2] in it, and its origin [3] in the world, float64: the point nearest to the rays
      through each camera's median pixel.

    Raises:
      InputError: shapes that do not fit, a matrix that is not finite or projects to no point, fewer than two cameras.
    """
    cameras, pixels = np.asarray(cameras, np.float64), np.asarray(pixels, np.float64)
    if cameras.ndim != 3 or cameras.shape[1:] != (3, 4) or not np.isfinite(cameras).all():
        raise InputError(f"cameras of shape {cameras.shape} are not projection matrices [C, 3, 4] of finite numbers")
    if pixels.ndim != 4 or pixels.shape[-1] != 2 or pixels.shape[1] != len(cameras):
        raise InputError(
            f"observations of shape {pixels.shape} do not fit {len(cameras)} cameras: "
            f"give pixels [T, {len(cameras)}, K, 2]"
        )
    sees = np.isfinite(pixels).all(-1).any((0, 2))
    if sees.sum() < 2:
        raise InputError(f"{sees.sum()} of {len(cameras)} cameras see the animal: a position in 3D needs two")
    middle = np.nanmedian(pixels[:, sees], axis=(0, 2))[..., None]
    planes = (cameras[sees, :2] - middle * cameras[sees, 2:]).reshape(-1, 4)  # those through the ray of a median pixel
    planes = planes / np.linalg.norm(planes[:, :3], axis=-1, keepdims=True)
    origin = np.linalg.lstsq(planes[:, :3], -planes[:, 3])[0]
    matrices = cameras.copy()
    matrices[..., 3] += cameras[..., :3] @ origin
    depth = matrices[:, 2, 3]
    if not (np.abs(depth) > 0).all():
        raise InputError(f"camera {int(np.argmin(np.abs(depth)))} has no depth at the animal: correct its matrix")
    matrices /= depth[:, None, None]
    shift = matrices[:, :2, 3].copy()
    matrices[:, :2] -= shift[..., None] * matrices[:, 2:]
    return Rig(jnp.asarray(matrices)), jnp.asarray(pixels - shift[:, None]), origin


def project(rig: Rig, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Pixels [T, C, K, 2] of positions [T, K, 3] in the rig, and their Jacobians [T, C, K, 2, 3]."""
    matrices = rig.matrices[:, None]  # [C, 1, 3, 4]
    image = jnp.einsum("cij,tkj->tcki", rig.matrices[..., :3], positions) + matrices[..., 3]
    depth = jnp.maximum(image[..., 2:], NEAREST)
    pixels = image[..., :2] / depth
    jacobians = (matrices[..., :2, :3] - pixels[..., None] * matrices[..., 2:, :3]) / depth[..., None]
    return pixels, jacobians

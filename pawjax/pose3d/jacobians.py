"""Derivatives of the projection in closed form, and a camera's parameters as one vector: what calibration fits."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pawjax.pose3d.cameras import EXACT, Cameras, to_camera, to_pixels
from pawjax.pose3d.lens import brown_jacobians, distort_brown, distort_fisheye, fisheye_jacobians
from pawjax.pose3d.rotations import cross_matrix, left_jacobian, rotation_matrix

N_POSE, N_INTRINSIC = 6, 9


class Projection(NamedTuple):
    """Where C cameras see points, and how that changes.

    Attributes:
      pixels: [C, ..., 2].
      point: [C, ..., 2, 3], derivatives by the point, px/mm.
      pose: [C, ..., 2, 6], by the camera's rotation (Rodrigues vector) and translation.
      intrinsics: [C, ..., 2, 9], by fx, fy, cx, cy and the five coefficients of the lens.
    """

    pixels: jax.Array
    point: jax.Array
    pose: jax.Array
    intrinsics: jax.Array


def project_with_jacobians(cameras: Cameras, points: jax.Array) -> Projection:
    """The projection of points [..., 3] of the world, mm, and its derivatives; `project` has the conventions."""
    return jax.vmap(_project)(cameras, to_camera(cameras, points))


def parameters(cameras: Cameras) -> jax.Array:
    """[C, 15]: rotation, translation, fx, fy, cx, cy, distortion; the order of `Projection`."""
    k = jnp.asarray(cameras.matrix)
    intrinsics = jnp.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], axis=-1)
    return jnp.concatenate([cameras.rotation, cameras.translation, intrinsics, cameras.distortion], axis=-1)


def with_parameters(cameras: Cameras, values: jax.Array) -> Cameras:
    """The cameras with parameters [C, 15] in the order of `parameters`; the skew stays."""
    matrix = jnp.asarray(cameras.matrix, values.dtype)
    for place, (row, column) in enumerate(((0, 0), (1, 1), (0, 2), (1, 2))):
        matrix = matrix.at[:, row, column].set(values[:, N_POSE + place])
    return dataclasses.replace(
        cameras,
        rotation=values[:, :3],
        translation=values[:, 3:N_POSE],
        matrix=matrix,
        distortion=values[:, N_POSE + 4 :],
    )


def _project(camera: Cameras, point: jax.Array) -> Projection:
    """One camera; points [..., 3] in its frame."""
    k, fisheye, matrix = camera.distortion, camera.fisheye, camera.matrix
    plain = point.at[..., 2:].set(jnp.where(fisheye, 1, point[..., 2:]))
    position = jnp.where(fisheye, distort_fisheye(point, k), distort_brown(plain, k))
    by_point, by_k = (
        jnp.where(fisheye, wide, narrow)
        for wide, narrow in zip(fisheye_jacobians(point, k), brown_jacobians(plain, k), strict=True)
    )
    by_point, by_k = (jnp.einsum("ij,...jk->...ik", matrix[:2, :2], by, precision=EXACT) for by in (by_point, by_k))
    rotation = rotation_matrix(camera.rotation)
    turned = point - camera.translation
    by_rotation = -jnp.einsum(
        "...ij,...jk,kl->...il", by_point, cross_matrix(turned), left_jacobian(camera.rotation), precision=EXACT
    )
    x, y = position[..., 0], position[..., 1]
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    by_matrix = jnp.stack([jnp.stack([x, zero, one, zero], axis=-1), jnp.stack([zero, y, zero, one], axis=-1)], axis=-2)
    return Projection(
        to_pixels(matrix, position),
        jnp.einsum("...ij,jk->...ik", by_point, rotation, precision=EXACT),
        jnp.concatenate([by_rotation, by_point], axis=-1),
        jnp.concatenate([by_matrix, by_k], axis=-1),
    )

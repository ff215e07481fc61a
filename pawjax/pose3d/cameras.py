"""Calibrated cameras: from points in space to pixels.

World and camera frames are in millimetres. A camera looks along z, x goes right and y down, as in OpenCV:
x_camera = R x_world + t. Pixel centres lie at whole numbers, (0, 0) is the first.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError, did_you_mean
from pawjax.pose3d.lens import distort_brown, distort_fisheye, undistort_brown, undistort_fisheye
from pawjax.pose3d.rotations import rotation_matrix

EXACT = jax.lax.Precision.HIGHEST  # GPUs otherwise round factors of a product to 10 bits, a millimetre in a metre


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cameras:
    """C cameras around one scene; a pytree whose leaves are the arrays. float32 or float64, of numpy or JAX.

    Attributes:
      names: of the cameras.
      sizes: (width, height) of each camera's frames, px; None where it is not known.
      matrix: [C, 3, 3], px: [[fx, skew, cx], [0, fy, cy], [0, 0, 1]].
      distortion: [C, 5] of the lens: k1, k2, p1, p2, k3; of a fisheye k1, k2, k3, k4, 0. See `pawjax.pose3d.lens`.
      rotation: [C, 3], Rodrigues vectors from the world to the camera, radians.
      translation: [C, 3], of the world's origin in the camera's frame, mm.
      fisheye: bool [C].
    """

    names: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    sizes: tuple[tuple[int, int] | None, ...] = dataclasses.field(metadata={"static": True})
    matrix: jax.Array | np.ndarray
    distortion: jax.Array | np.ndarray
    rotation: jax.Array | np.ndarray
    translation: jax.Array | np.ndarray
    fisheye: jax.Array | np.ndarray

    def __len__(self) -> int:
        return len(self.names)


def select(cameras: Cameras, names: Sequence[str]) -> Cameras:
    """The cameras of these names, in this order. Raises InputError for a name that no camera has."""
    for name in names:
        if name not in cameras.names:
            hint = did_you_mean(name, cameras.names, f"the cameras are {', '.join(cameras.names)}")
            raise InputError(f"the calibration has no camera '{name}': {hint}")
    places = np.array([cameras.names.index(name) for name in names], int)
    chosen = jax.tree.map(lambda leaf: leaf[places], cameras)
    return dataclasses.replace(chosen, names=tuple(names), sizes=tuple(cameras.sizes[place] for place in places))


def camera_rotations(cameras: Cameras) -> np.ndarray:
    """Rotations from the world to each camera, float64 [C, 3, 3]."""
    vectors = np.array(cameras.rotation, np.float64)  # a copy: scipy wants one that it could write
    return Rotation.from_rotvec(vectors).as_matrix()


def camera_places(cameras: Cameras) -> np.ndarray:
    """Where the cameras stand in the world, mm: float64 [C, 3]."""
    return -np.einsum("cij,ci->cj", camera_rotations(cameras), np.asarray(cameras.translation, np.float64))


def project(cameras: Cameras, points: jax.Array) -> jax.Array:
    """Pixels [C, ..., 2] (x, y) where each camera sees points [..., 3] of the world, mm.

    A point behind a camera without a fisheye has the pixel of its mirror image before it: see `depth`.
    """

    def one(camera: Cameras, point: jax.Array) -> jax.Array:
        ahead = point[..., 2:]
        # Where the other lens is meant, a depth of 1 keeps the derivatives finite.
        plain = distort_brown(point.at[..., 2:].set(jnp.where(camera.fisheye, 1, ahead)), camera.distortion)
        return to_pixels(camera.matrix, jnp.where(camera.fisheye, distort_fisheye(point, camera.distortion), plain))

    return jax.vmap(one)(cameras, to_camera(cameras, points))


def to_camera(cameras: Cameras, points: jax.Array) -> jax.Array:
    """Points [..., 3] of the world in each camera's frame, mm: [C, ..., 3]."""
    turned = jnp.einsum("cij,...j->c...i", rotation_matrix(cameras.rotation), jnp.asarray(points), precision=EXACT)
    return turned + cameras.translation.reshape(-1, *[1] * (turned.ndim - 2), 3)


def depth(cameras: Cameras, points: jax.Array) -> jax.Array:
    """How far before each camera points [..., 3] of the world lie along its axis, mm; negative behind it: [C, ...]."""
    return to_camera(cameras, points)[..., 2]


def undistort(cameras: Cameras, pixels: jax.Array) -> jax.Array:
    """Pixels [C, ..., 2] of each camera to those of the same camera with an ideal lens: see `projection_matrices`.

    NaN where a pixel is NaN, or where the lens puts no ray that an ideal camera sees.
    """

    def one(camera: Cameras, pixel: jax.Array) -> jax.Array:
        distorted = from_pixels(camera.matrix, pixel)
        plain = undistort_brown(distorted, camera.distortion)
        return to_pixels(
            camera.matrix, jnp.where(camera.fisheye, undistort_fisheye(distorted, camera.distortion), plain)
        )

    return jax.vmap(one)(cameras, jnp.asarray(pixels))


def projection_matrices(cameras: Cameras) -> jax.Array:
    """Matrices P [C, 3, 4] of the cameras with ideal lenses: P (x, y, z, 1) = depth (u, v, 1); mm and px."""
    pose = jnp.concatenate([rotation_matrix(cameras.rotation), jnp.asarray(cameras.translation)[..., None]], axis=-1)
    return jnp.einsum("cij,cjk->cik", cameras.matrix, pose, precision=EXACT)


def to_pixels(matrix: jax.Array, position: jax.Array) -> jax.Array:
    """Positions [..., 2] at focal length 1 to pixels of one camera with this matrix [3, 3]."""
    x, y = position[..., 0], position[..., 1]
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    return jnp.stack([u, matrix[1, 1] * y + matrix[1, 2]], axis=-1)


def from_pixels(matrix: jax.Array, pixel: jax.Array) -> jax.Array:
    """The inverse of `to_pixels`."""
    y = (pixel[..., 1] - matrix[1, 2]) / matrix[1, 1]
    return jnp.stack([(pixel[..., 0] - matrix[0, 2] - matrix[0, 1] * y) / matrix[0, 0], y], axis=-1)

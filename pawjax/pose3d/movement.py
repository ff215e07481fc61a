"""Whether a camera was moved while the board was recorded.

The boards' places come from all cameras together. Each camera's pose is fitted to them twice, by the views before and
after some moment; that moment is moved to where each view fits its own side best. Both poses of a camera that stood
still show a point at the same pixel; how far they are apart on average is how far the camera's picture moved.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.pose3d.bundle import Adjusted
from pawjax.pose3d.cameras import Cameras, project
from pawjax.pose3d.jacobians import N_POSE, parameters, project_with_jacobians, with_parameters
from pawjax.pose3d.placing import board_places

FEWEST_VIEWS = 4  # on each side of the moment
SEARCHES = 8  # of the moment, at most
STEPS = 15  # of Gauss and Newton
DAMPING = 1e-9
SCALE = 1.0  # px, of the robust loss


class Movement(NamedTuple):
    """The result.

    Attributes:
      pixels: [C], by how much each camera's picture moved, px, or more, as the boards' places give way to it; 0 of a
        camera that shares too few views to tell.
      views: int [C], the first view after the move; -1 where `pixels` is 0.
      noise: [C], median error, px, with the pose of the own side.
    """

    pixels: np.ndarray
    views: np.ndarray
    noise: np.ndarray


def find_movement(result: Adjusted, board: np.ndarray) -> Movement:
    """How far each camera's picture moved, and when.

    Args:
      result: of `calibrate`, its views in the order of time.
      board: [M, 3], mm.

    With two cameras only their movement against each other can be seen: it shows in both.
    """
    seen = np.isfinite(result.errors).any(-1)  # [C, B]
    views = np.flatnonzero(seen.sum(0) > 1)
    found = Movement(np.zeros(len(seen)), np.full(len(seen), -1), np.zeros(len(seen)))
    if not len(views):
        return found
    with jax.enable_x64(True):
        points = board_places(board, result.blocks[views])
        pixels = result.pixels[:, views]
        for camera, own in enumerate(seen[:, views]):
            places = np.flatnonzero(own)
            if len(places) >= 2 * FEWEST_VIEWS:
                one = jax.tree.map(lambda leaf, i=camera: np.asarray(leaf[i : i + 1]), _nameless(result.cameras))
                moved, place, noise = _search(one, points, pixels[camera], places)
                for array, value in zip(found, (moved, views[place], noise), strict=True):
                    array[camera] = value
    return found


def _search(camera: Cameras, points: np.ndarray, pixels: np.ndarray, places: np.ndarray) -> tuple[float, int, float]:
    """How far the picture moved, px, the first of the views after it, and the median error, px."""
    order = np.arange(len(points))
    moment = len(places) // 2
    for _ in range(SEARCHES):
        sides = order < places[moment], order >= places[moment]
        poses = [_fit(camera, points, np.where(side[:, None, None], pixels, np.nan)) for side in sides]
        projected = [np.asarray(_project(pose, points))[0] for pose in poses]
        before, after = (np.nanmedian(np.linalg.norm(at - pixels, axis=-1)[places], axis=-1) for at in projected)
        costs = np.concatenate([[0], np.cumsum(before - after)])  # of the moment at each place, but for a constant
        best = int(np.argmin(costs[FEWEST_VIEWS : len(places) - FEWEST_VIEWS + 1])) + FEWEST_VIEWS
        if best == moment:
            break
        moment = best
    known = np.isfinite(pixels).all(-1)
    errors = np.linalg.norm(np.where(sides[0][:, None, None], *projected) - pixels, axis=-1)
    apart = np.linalg.norm(projected[1] - projected[0], axis=-1)
    return float(apart[known].mean()), int(places[moment]), float(np.median(errors[known]))


@jax.jit
def _fit(camera: Cameras, points: jax.Array, pixels: jax.Array) -> Cameras:
    """One camera [1] whose pose fits pixels [B, M, 2] of points [B, M, 3]; NaN where there is none."""
    seen = jnp.isfinite(pixels).all(-1)

    def step(_: int, values: jax.Array) -> jax.Array:
        projection = project_with_jacobians(with_parameters(camera, values), points)
        residual = jnp.where(seen[..., None], pixels - projection.pixels[0], 0)
        by_pose = jnp.where(seen[..., None, None], projection.pose[0], 0)
        weight = 1 / (1 + (residual**2).sum(-1, keepdims=True) / SCALE**2)  # Cauchy's: pictures of others hardly count
        normal = jnp.einsum("bmip,bmi,bmiq->pq", by_pose, jnp.broadcast_to(weight, residual.shape), by_pose)
        side = jnp.einsum("bmip,bmi->p", by_pose, weight * residual)
        normal += DAMPING * jnp.diag(jnp.diagonal(normal))
        return values.at[0, :N_POSE].add(jnp.linalg.solve(normal, side))

    return with_parameters(camera, jax.lax.fori_loop(0, STEPS, step, parameters(camera)))


_project = jax.jit(project)


def _nameless(cameras: Cameras) -> Cameras:
    """Without the static fields, which are not of one camera."""
    return Cameras(
        ("",),
        (None,),
        cameras.matrix,
        cameras.distortion,
        cameras.rotation,
        cameras.translation,
        cameras.fisheye,
    )

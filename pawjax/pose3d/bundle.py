"""Bundle adjustment: cameras, and the points or boards that they saw, moved until the projections fit best.

Levenberg and Marquardt's method on all residuals at once. The points (3 unknowns each) or the boards' poses (6) are
eliminated by a Schur complement (Triggs et al., 2000), so that a step solves for the 15 parameters of each camera only.
The loss of a residual of r px is 2 s^2 (sqrt(1 + r^2 / s^2) - 1), which grows as r^2 below the scale s and as r above.
Everything is computed in float64, whatever JAX's default.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.errors import InputError
from pawjax.pose3d.cameras import EXACT, Cameras
from pawjax.pose3d.jacobians import N_INTRINSIC, N_POSE, parameters, project_with_jacobians, with_parameters
from pawjax.pose3d.rotations import cross_matrix, left_jacobian, rotation_matrix

STEPS = 200  # at most
TOLERANCE = 1e-6  # the loss has settled when a step lowers it by less than this part
DAMPING, LEAST_DAMPING = 1e-4, 1e-9  # relative to the diagonal, of the first step and of all
LESS, MORE = 1 / 2, 5.0  # after a step that lowers the loss, or not: in curved valleys faster than 1 / 10 and 10
MOST_DAMPING = 1e12  # no shorter step is tried: it has settled


class Adjusted(NamedTuple):
    """The result.

    Attributes:
      cameras: in float64 numpy.
      blocks: [B, 3], the points, mm; or [B, 6], the boards' poses: rotation (Rodrigues vector) and translation from
        the board to the world.
      errors: [C, B, M], px, the distance from each pixel to the projection; NaN where there is no pixel.
      steps: how many were made; STEPS if it has not settled.
      pixels: those that the projections were fitted to, as they were given.
    """

    cameras: Cameras
    blocks: np.ndarray
    errors: np.ndarray
    steps: int
    pixels: np.ndarray


def free_parameters(cameras: Cameras, lens: int = 2, intrinsics: bool = True) -> np.ndarray:
    """bool [C, 15] in the order of `pawjax.pose3d.jacobians.parameters`: the usual choice of what is fitted.

    All poses but the first camera's, which holds the world in its place; with `intrinsics` the focal lengths and
    principal points, and the first `lens` coefficients of the lens (k1, k2, p1, p2, k3; of a fisheye k1 to k4).
    """
    free = np.zeros((len(cameras), N_POSE + N_INTRINSIC), bool)
    free[1:, :N_POSE] = True
    free[:, N_POSE : N_POSE + 4 + lens] = intrinsics
    free[:, -1] &= ~np.asarray(cameras.fisheye)
    return free


def adjust_points(
    cameras: Cameras, pixels: Any, points: Any, free: np.ndarray | None = None, scale: float = 1.0
) -> Adjusted:
    """Adjusts cameras and free points. The scale of the world is not determined and stays about as it was.

    Args:
      cameras: of which to start from, C of them.
      pixels: [C, N, 2], not undistorted; NaN where a camera does not see the point.
      points: [N, 3], to start from, mm, e.g. triangulated.
      free: bool [C, 15], what is fitted; None: `free_parameters`.
      scale: px, see the module's docstring.

    Raises InputError if the shapes do not fit.
    """
    pixels, points = np.asarray(pixels, np.float64), np.asarray(points, np.float64)
    return _run(cameras, pixels[:, :, None], points, None, free, scale)._replace(pixels=pixels)


def adjust_boards(
    cameras: Cameras, pixels: Any, board: Any, poses: Any, free: np.ndarray | None = None, scale: float = 1.0
) -> Adjusted:
    """Adjusts cameras and the poses of a rigid board, whose size gives the scale of the world.

    Args:
      pixels: [C, B, M, 2], M corners on B views of the board, which all cameras see at the same time; NaN where not.
      board: [M, 3], the corners on the board, mm.
      poses: [B, 6], to start from, see `Adjusted`.

    Otherwise as `adjust_points`.
    """
    pixels, board, poses = (np.asarray(array, np.float64) for array in (pixels, board, poses))
    return _run(cameras, pixels, poses, board, free, scale)


def _run(
    cameras: Cameras, pixels: np.ndarray, blocks: np.ndarray, board: np.ndarray | None, free: Any, scale: float
) -> Adjusted:
    n_corners = 1 if board is None else len(board)
    expected = (len(cameras), len(blocks), n_corners, 2)
    if pixels.shape != expected or blocks.shape[1:] != ((3,) if board is None else (6,)):
        raise InputError(
            f"pixels and blocks have shapes {pixels.shape} and {blocks.shape}, which do not fit {expected}"
        )
    free = free_parameters(cameras) if free is None else np.asarray(free, bool)
    with jax.enable_x64(True):
        cameras = jax.tree.map(np.asarray, cameras)
        values, blocks, errors, steps = _adjust(cameras, pixels, blocks, board, free, scale)
        return Adjusted(
            jax.tree.map(np.array, with_parameters(cameras, values)),
            np.array(blocks),
            np.where(np.isfinite(pixels).all(-1), errors, np.nan),
            int(steps),
            pixels,
        )


class _Equations(NamedTuple):
    """The loss, and its derivatives by cameras (P parameters) and blocks (D), weighted by the loss's slope.

    cost []; cameras [C, P, P], blocks [B, D, D] and both [C, B, P, D] of Gauss-Newton's Hessian; camera_side [C, P] and
    block_side [B, D], minus half the gradient; errors [C, B, M], px.
    """

    cost: jax.Array
    cameras: jax.Array
    blocks: jax.Array
    both: jax.Array
    camera_side: jax.Array
    block_side: jax.Array
    errors: jax.Array


@jax.jit
def _adjust(
    cameras: Cameras, pixels: jax.Array, blocks: jax.Array, board: jax.Array | None, free: jax.Array, scale: float
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Parameters [C, P], blocks [B, D], errors [C, B, M] and the number of steps."""

    def evaluate(values: jax.Array, blocks: jax.Array) -> _Equations:
        return _equations(with_parameters(cameras, values), pixels, blocks, board, free, scale)

    def unsettled(state: tuple) -> jax.Array:
        _, _, _, damping, settled, steps = state
        return ~settled & (damping < MOST_DAMPING) & (steps < STEPS)

    def step(state: tuple) -> tuple:
        values, blocks, now, damping, _, steps = state
        by_camera, by_block = _solve(now, damping)
        moved = values + by_camera, blocks + by_block
        then = evaluate(*moved)
        better = then.cost < now.cost
        settled = better & (now.cost - then.cost <= TOLERANCE * now.cost)
        kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), (*moved, then), (values, blocks, now))
        return *kept, jnp.where(better, jnp.maximum(damping * LESS, LEAST_DAMPING), damping * MORE), settled, steps + 1

    values = parameters(cameras)
    start = values, blocks, evaluate(values, blocks), jnp.array(DAMPING), jnp.array(False), jnp.array(0)
    values, blocks, equations, _, _, steps = jax.lax.while_loop(unsettled, step, start)
    return values, blocks, equations.errors, steps


def _equations(
    cameras: Cameras, pixels: jax.Array, blocks: jax.Array, board: jax.Array | None, free: jax.Array, scale: float
) -> _Equations:
    points, by_block = _place(blocks, board)  # [B, M, 3], [B, M, 3, D]
    projection = project_with_jacobians(cameras, points)
    seen = jnp.isfinite(pixels).all(-1)
    residual = jnp.where(seen[..., None], pixels - projection.pixels, 0)  # [C, B, M, 2]
    squared = (residual**2).sum(-1)
    root = jnp.sqrt(1 + squared / scale**2)
    weight = jnp.where(seen, 1 / root, 0)[..., None, None]
    by_camera = jnp.concatenate([projection.pose, projection.intrinsics], axis=-1) * free[:, None, None, None]
    by_block = jnp.einsum("cbmik,bmkd->cbmid", projection.point, by_block, precision=EXACT)
    by_camera, by_block = (jnp.where(seen[..., None, None], by, 0) for by in (by_camera, by_block))

    def product(first: jax.Array, second: jax.Array, result: str) -> jax.Array:
        return jnp.einsum(f"cbmip,cbmiq->{result}", weight * first, second, precision=EXACT)

    return _Equations(
        cost=2 * scale**2 * (root - 1).sum(),
        cameras=product(by_camera, by_camera, "cpq"),
        blocks=product(by_block, by_block, "bpq"),
        both=product(by_camera, by_block, "cbpq"),
        camera_side=product(by_camera, residual[..., None], "cp"),
        block_side=product(by_block, residual[..., None], "bp"),
        errors=jnp.sqrt(squared),
    )


def _solve(now: _Equations, damping: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The step of cameras [C, P] and blocks [B, D]."""
    n, p = now.camera_side.shape
    inverse = jnp.linalg.inv(_damped(now.blocks, damping))
    carried = jnp.einsum("cbpd,bde->cbpe", now.both, inverse, precision=EXACT)
    cameras = jnp.einsum("cpq,ce->cpeq", _damped(now.cameras, damping), jnp.eye(n))
    cameras -= jnp.einsum("cbpd,ebqd->cpeq", carried, now.both, precision=EXACT)
    side = now.camera_side - jnp.einsum("cbpd,bd->cp", carried, now.block_side, precision=EXACT)
    by_camera = jnp.linalg.solve(cameras.reshape(n * p, n * p), side.ravel()).reshape(n, p)
    rest = now.block_side - jnp.einsum("cbpd,cp->bd", now.both, by_camera, precision=EXACT)
    return by_camera, jnp.einsum("bde,be->bd", inverse, rest, precision=EXACT)


def _damped(matrix: jax.Array, damping: jax.Array) -> jax.Array:
    """Matrices [..., n, n] with a larger diagonal; 1 where it is 0, for what nothing depends on."""
    diagonal = jnp.diagonal(matrix, axis1=-2, axis2=-1)
    more = jnp.where(diagonal == 0, 1, damping * diagonal)
    return matrix + more[..., None] * jnp.eye(matrix.shape[-1])


def _place(blocks: jax.Array, board: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Points [B, M, 3] of the world and their derivatives by the blocks [B, M, 3, D]."""
    if board is None:
        return blocks[:, None], jnp.broadcast_to(jnp.eye(3), (len(blocks), 1, 3, 3))
    vector, shift = blocks[:, :3], blocks[:, 3:]
    turned = jnp.einsum("bij,mj->bmi", rotation_matrix(vector), board, precision=EXACT)
    by_turn = -jnp.einsum("bmij,bjk->bmik", cross_matrix(turned), left_jacobian(vector), precision=EXACT)
    by_shift = jnp.broadcast_to(jnp.eye(3), (*turned.shape, 3))
    return turned + shift[:, None], jnp.concatenate([by_turn, by_shift], axis=-1)

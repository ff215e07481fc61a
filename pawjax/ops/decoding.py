"""Score maps to keypoints, with the geometry of `pawjax.ops.scoremaps`."""

import jax
import jax.numpy as jnp

from pawjax.ops.scoremaps import ScoreMaps, cell_centers

DECODERS = ("locref", "votes", "soft_argmax", "taylor")
REACH = 2  # cells that vote on each side of the best one
APART = 5  # cells between the best place and the next best, at least, on one axis
SMALLEST = 1e-12  # likelihood


def logarithm(likelihood: jax.Array) -> jax.Array:
    """log of likelihoods that a network may put below zero, elementwise.

    Below SMALLEST the logarithm goes on as its tangent, so that a map's best cell stays the best.
    """
    return jnp.log(jnp.maximum(likelihood, SMALLEST)) + jnp.minimum(likelihood - SMALLEST, 0) / SMALLEST


def decode(maps: ScoreMaps, decoder: str = "locref", cells: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
    """The best cell of each map, refined to a point.

    Args:
      maps: of B images and K bodyparts.
      decoder: 'locref', the best cell's offset (DeepLabCut); 'votes', the mean of the points given by the
        offsets of the 5x5 cells around it, weighted by likelihood; 'soft_argmax', the same mean of the cells' centres,
        without locref (Luvizon et al. 2019, in a window); 'taylor', one Newton step on the logarithm of the
        likelihood, without locref, exact for a Gaussian (DARK, Zhang et al. 2020).
      cells: int [B, K], flat index of the cell to refine instead of the best, row by row.

    Returns:
      keypoints float32 [B, K, 2], (x, y) in pixels of the images; likelihood [B, K] of the cell.
    """
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    flat = maps.log_likelihood.reshape(batch, height * width, n_keypoints)
    best = (jnp.argmax(flat, axis=1) if cells is None else cells)[:, None]  # [B, 1, K]
    reach = {"locref": 0, "taylor": 1}.get(decoder, REACH)
    around, inside = cells_around(best, height, width, reach)  # [B, n, K]
    likelihood = jnp.exp(jnp.minimum(jnp.take_along_axis(flat, around, axis=1), 0))
    centers = cell_centers(height, width, maps.stride, maps.center).reshape(height * width, 2)[around]  # [B, n, K, 2]
    middle = likelihood.shape[1] // 2
    if decoder == "taylor":
        keypoints = centers[:, middle] + maps.stride * _newton_step(likelihood, inside)
    else:
        if decoder != "soft_argmax":
            offsets = maps.offsets.reshape(batch, height * width, n_keypoints, 2)
            centers += jnp.take_along_axis(offsets, around[..., None], axis=1)
        weights = jnp.where(inside, jnp.maximum(likelihood, SMALLEST), 0)[..., None]
        keypoints = (weights * centers).sum(1) / weights.sum(1)
    return keypoints, likelihood[:, middle]


def doubt(maps: ScoreMaps, decoder: str = "locref") -> tuple[jax.Array, jax.Array]:
    """How far each point of `decode` may be off, and where else it may be.

    Args:
      maps: of B images and K bodyparts.
      decoder: as in `decode`; 'soft_argmax' and 'taylor' do not use the offsets.

    Returns:
      covariance float32 [B, K, 2, 2], px^2: of the points that the 5x5 cells around the best one vote for, weighted by
      likelihood; second [B, K, 3]: (x, y, likelihood) of the best cell more than APART cells away from the best,
      with likelihood 0 where the map has no such cell.
    """
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    flat = maps.log_likelihood.reshape(batch, height * width, n_keypoints)
    places = cell_places(maps, decoder)
    best = jnp.argmax(flat, axis=1)[:, None]  # [B, 1, K]
    around, inside = cells_around(best, height, width, REACH)
    weights = jnp.exp(jnp.minimum(jnp.take_along_axis(flat, around, axis=1), 0)) * inside
    weights = (weights + SMALLEST * inside)[..., None]
    votes = jnp.take_along_axis(places, around[..., None], axis=1)
    apart = votes - (weights * votes).sum(1, keepdims=True) / weights.sum(1, keepdims=True)
    covariance = jnp.einsum("bnkz,bnki,bnkj->bkij", weights, apart, apart) / weights.sum(1)[..., None]

    others = jnp.where(is_apart(best, height, width), flat, -jnp.inf)
    next_best = jnp.argmax(others, axis=1)[:, None]
    likelihood = jnp.exp(jnp.minimum(jnp.take_along_axis(others, next_best, axis=1), 0))
    point = jnp.take_along_axis(places, next_best[..., None], axis=1)
    return covariance, jnp.concatenate([point, likelihood[..., None]], axis=-1)[:, 0]


def decoded_points(maps: ScoreMaps, decoder: str = "locref") -> dict[str, jax.Array]:
    """The points of B images, each from its own map, as `Method.predict` returns them; see `decode` and `doubt`."""
    keypoints, likelihood = decode(maps, decoder)
    covariance, second = doubt(maps, decoder)
    return {"keypoints": keypoints, "likelihood": likelihood, "covariance": covariance, "second": second}


def cell_places(maps: ScoreMaps, decoder: str) -> jax.Array:
    """(x, y) px [B, h w, K, 2] of every cell: its centre, or where its offset says, if the decoder uses offsets."""
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    places = cell_centers(height, width, maps.stride, maps.center).reshape(1, height * width, 1, 2)
    if decoder in ("locref", "votes"):
        places = places + maps.offsets.reshape(batch, height * width, n_keypoints, 2)
    return jnp.broadcast_to(places, (batch, height * width, n_keypoints, 2))


def is_apart(best: jax.Array, height: int, width: int, reach: int = APART) -> jax.Array:
    """Whether each cell is more than `reach` cells, on one axis, from those of flat index [B, 1, K]: [B, h w, K]."""
    place = jnp.arange(height * width)[None, :, None]
    down, right = (abs(f(place, width) - f(best, width)) for f in (jnp.floor_divide, jnp.remainder))
    return jnp.maximum(down, right) > reach


def cells_around(best: jax.Array, height: int, width: int, reach: int) -> tuple[jax.Array, jax.Array]:
    """Flat indices of the (2 reach + 1)^2 cells around the best, row by row, and whether each is on the map.

    Args:
      best: int [B, 1, K], flat indices.
      height, width: of the map, in cells.
      reach: cells on each side.

    Returns:
      int and bool [B, (2 reach + 1)^2, K]; cells off the map have the index of one on it.
    """
    steps = jnp.arange(-reach, reach + 1)
    down, right = (step.reshape(1, -1, 1) for step in jnp.meshgrid(steps, steps, indexing="ij"))
    row, column = best // width + down, best % width + right
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return row.clip(0, height - 1) * width + column.clip(0, width - 1), inside


def _newton_step(likelihood: jax.Array, inside: jax.Array) -> jax.Array:
    """Step from the middle of 3x3 cells to the peak of their logarithms' parabola: (x, y) in cells, at most 1.

    Args:
      likelihood: [B, 9, K].
      inside: the same shape; the step is zero unless all nine are.

    Returns:
      [B, K, 2].
    """
    f = jnp.log(jnp.maximum(likelihood, SMALLEST)).reshape(likelihood.shape[0], 3, 3, -1)
    dx, dy = (f[:, 1, 2] - f[:, 1, 0]) / 2, (f[:, 2, 1] - f[:, 0, 1]) / 2
    dxx, dyy = f[:, 1, 2] - 2 * f[:, 1, 1] + f[:, 1, 0], f[:, 2, 1] - 2 * f[:, 1, 1] + f[:, 0, 1]
    dxy = (f[:, 2, 2] - f[:, 2, 0] - f[:, 0, 2] + f[:, 0, 0]) / 4
    determinant = dxx * dyy - dxy**2
    is_top = inside.all(1) & (determinant > 1e-6) & (dxx < 0)
    safe = jnp.where(is_top, determinant, 1.0)
    step = jnp.stack([(dxy * dy - dyy * dx) / safe, (dxy * dx - dxx * dy) / safe], axis=-1)
    return jnp.where(is_top[..., None], step.clip(-1, 1), 0.0)

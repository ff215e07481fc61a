"""Lenses: from a point in the camera's frame to where the lens puts it at focal length 1, and back.

The camera looks along z, x goes right and y down, as in OpenCV. Distorted and ideal positions [..., 2] have no unit: an
ideal pinhole puts (X, Y, Z) at (X/Z, Y/Z). Coefficients [..., 5] broadcast against the points.

- Brown's lens (1966; OpenCV's order k1, k2, p1, p2, k3): with r the distance from the axis,
  x' = x (1 + k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x y + p2 (r^2 + 2 x^2), and y' likewise with p1 and p2 exchanged.
- The fisheye of Kannala and Brandt (2006; OpenCV's `fisheye`: k1 to k4, the fifth unused): a ray at the angle a from
  the axis is put at the distance a (1 + k1 a^2 + k2 a^4 + k3 a^6 + k4 a^8).
"""

import jax
import jax.numpy as jnp

STEPS = 12  # of Newton's method: quadratic from a start as near as a lens's distortion
ROUNDING = 64  # units of rounding within which a distorted position counts as reached


def distort_brown(point: jax.Array, k: jax.Array) -> jax.Array:
    """Points [..., 3] in the camera's frame to distorted positions [..., 2]."""
    ideal = point[..., :2] / point[..., 2:]
    return _brown(ideal, k)[0]


def brown_jacobians(point: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Derivatives of `distort_brown`: by the point [..., 2, 3], by the coefficients [..., 2, 5]."""
    ideal = point[..., :2] / point[..., 2:]
    _, (xx, xy, yy) = _brown(ideal, k)
    by_ideal = jnp.stack([jnp.stack([xx, xy], axis=-1), jnp.stack([xy, yy], axis=-1)], axis=-2)
    back = -(by_ideal * ideal[..., None, :]).sum(-1, keepdims=True)
    by_point = jnp.concatenate([by_ideal, back], axis=-1) / point[..., 2, None, None]
    x, y = ideal[..., 0], ideal[..., 1]
    r2 = x**2 + y**2
    rows = [[x * r2, x * r2**2, 2 * x * y, r2 + 2 * x**2, x * r2**3]]
    rows += [[y * r2, y * r2**2, r2 + 2 * y**2, 2 * x * y, y * r2**3]]
    return by_point, jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def undistort_brown(distorted: jax.Array, k: jax.Array) -> jax.Array:
    """Distorted positions [..., 2] to ideal ones [..., 2], by Newton's method.

    NaN where the lens puts no point: beyond the radius at which the polynomial folds back.
    """

    def step(_: int, ideal: jax.Array) -> jax.Array:
        reached, (xx, xy, yy) = _brown(ideal, k)
        u, v = jnp.moveaxis(reached - distorted, -1, 0)
        determinant = xx * yy - xy**2
        move = jnp.stack([yy * u - xy * v, xx * v - xy * u], axis=-1)
        return ideal - move / jnp.where(determinant == 0, 1, determinant)[..., None]

    ideal = jax.lax.fori_loop(0, STEPS, step, distorted)
    reached, (xx, xy, yy) = _brown(ideal, k)
    found = _close(reached, distorted) & (xx * yy > xy**2) & (xx > 0)
    return jnp.where(found[..., None], ideal, jnp.nan)


def _brown(ideal: jax.Array, k: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    """Distorted positions [..., 2] of ideal ones; their derivatives, a symmetric matrix: xx, xy, yy [...]."""
    x, y = ideal[..., 0], ideal[..., 1]
    k1, k2, p1, p2, k3 = jnp.moveaxis(k, -1, 0)
    r2 = x**2 + y**2
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    v = y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y**2)
    xx = radial + x**2 * slope + 2 * p1 * y + 6 * p2 * x
    yy = radial + y**2 * slope + 2 * p2 * x + 6 * p1 * y
    return jnp.stack([u, v], axis=-1), (xx, x * y * slope + 2 * (p1 * x + p2 * y), yy)


def distort_fisheye(point: jax.Array, k: jax.Array) -> jax.Array:
    """Points [..., 3] in the camera's frame to distorted positions [..., 2]; also for rays beyond 90 degrees."""
    _, on_axis, distance, angle = _polar(point)
    radius = _fisheye(angle, k)[0]
    return point[..., :2] * jnp.where(on_axis, 1 / point[..., 2], radius / distance)[..., None]


def fisheye_jacobians(point: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Derivatives of `distort_fisheye`: by the point [..., 2, 3], by the coefficients [..., 2, 5]."""
    direction, on_axis, distance, angle = _polar(point)
    radius, slope = _fisheye(angle, k)
    a, b = direction[..., 0], direction[..., 1]
    depth, squared = point[..., 2], (point**2).sum(-1)
    across = jnp.where(on_axis, 1 / depth, radius / distance)
    along, back = slope * depth / squared, -slope * jnp.where(on_axis, 0, distance) / squared
    rows = [[b**2 * across + a**2 * along, a * b * (along - across), a * back]]
    rows += [[a * b * (along - across), a**2 * across + b**2 * along, b * back]]
    by_point = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    powers = jnp.stack([angle**3, angle**5, angle**7, angle**9, jnp.zeros_like(angle)], axis=-1)
    return by_point, direction[..., None] * powers[..., None, :]


def undistort_fisheye(distorted: jax.Array, k: jax.Array) -> jax.Array:
    """Distorted positions [..., 2] to ideal ones [..., 2].

    NaN where the lens puts no ray, and for rays at 90 degrees and more, which no ideal camera sees.
    """
    squared = (distorted**2).sum(-1)
    on_axis = squared == 0
    radius = jnp.sqrt(jnp.where(on_axis, 1, squared))

    def step(_: int, angle: jax.Array) -> jax.Array:
        reached, slope = _fisheye(angle, k)
        return angle - (reached - radius) / jnp.where(slope == 0, 1, slope)

    angle = jax.lax.fori_loop(0, STEPS, step, jnp.minimum(radius, jnp.pi / 2))
    reached, slope = _fisheye(angle, k)
    found = _close(reached[..., None], radius[..., None]) & (slope > 0) & (angle >= 0) & (angle < jnp.pi / 2)
    scale = jnp.where(on_axis, 1, jnp.where(found, jnp.tan(angle) / radius, jnp.nan))
    return distorted * scale[..., None]


def _polar(point: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Unit direction from the axis [..., 2], whether on it, distance from it (1 if on it), angle with it, radians."""
    squared = (point[..., :2] ** 2).sum(-1)
    on_axis = squared == 0
    distance = jnp.sqrt(jnp.where(on_axis, 1, squared))
    direction = jnp.where(on_axis[..., None], jnp.array([1, 0], point.dtype), point[..., :2] / distance[..., None])
    return direction, on_axis, distance, jnp.where(on_axis, 0, jnp.arctan2(distance, point[..., 2]))


def _fisheye(angle: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Distances from the axis [...] of rays at angles [...], radians, and their derivatives."""
    k1, k2, k3, k4, _ = jnp.moveaxis(k, -1, 0)
    s = angle**2
    radius = angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4))))
    return radius, 1 + s * (3 * k1 + s * (5 * k2 + s * (7 * k3 + s * 9 * k4)))


def _close(reached: jax.Array, wanted: jax.Array) -> jax.Array:
    """bool [...]: positions [..., n] agree to rounding."""
    tolerance = ROUNDING * jnp.finfo(wanted.dtype).eps * (1 + jnp.abs(wanted).max(-1))
    return jnp.abs(reached - wanted).max(-1) <= tolerance

"""Rotations in space: Rodrigues vectors (axis times angle, radians) and matrices, safe at every angle."""

import jax
import jax.numpy as jnp

SMALL = 0.1  # radians squared; below it power series, of which the first term left out is under 1e-12
SERIES = (1, 6, 20, 42, 72), (2, 12, 30, 56, 90), (6, 20, 42, 72, 110)  # divisors, see `_power_series`


def rotation_matrix(vector: jax.Array) -> jax.Array:
    """Rodrigues vectors [..., 3] to matrices [..., 3, 3], which turn columns; smooth also at 0.

    R = I + (sin a / a) [w] + ((1 - cos a) / a^2) [w]^2, with a = |w| and [w] x = w cross x (Rodrigues, 1840).
    """
    vector = jnp.asarray(vector)
    sine, cosine, _ = _coefficients(vector)
    cross = cross_matrix(vector)
    return jnp.eye(3, dtype=cross.dtype) + sine * cross + cosine * _squared(vector)


def rotation_vector(matrix: jax.Array) -> jax.Array:
    """Matrices [..., 3, 3] to Rodrigues vectors [..., 3] of length 0 to pi; exact also near 0 and pi.

    By way of a unit quaternion, from the largest of its four squares (Shepperd, 1978). At pi, where w and -w are the
    same rotation, one of them.
    """
    matrix = jnp.asarray(matrix)
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    trace = m[0][0] + m[1][1] + m[2][2]
    squares = jnp.stack([trace, m[0][0], m[1][1], m[2][2]], axis=-1)  # up to the same constants, 4 q^2
    x, y, z = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    rows = jnp.stack(  # each is the quaternion (w, x, y, z), times four of its own components
        [
            jnp.stack([1 + trace, x, y, z], axis=-1),
            jnp.stack([x, 1 + 2 * m[0][0] - trace, xy, xz], axis=-1),
            jnp.stack([y, xy, 1 + 2 * m[1][1] - trace, yz], axis=-1),
            jnp.stack([z, xz, yz, 1 + 2 * m[2][2] - trace], axis=-1),
        ],
        axis=-2,
    )
    best = jnp.argmax(squares, axis=-1)[..., None, None]
    quaternion = jnp.take_along_axis(rows, best, axis=-2)[..., 0, :]
    quaternion /= jnp.linalg.norm(quaternion, axis=-1, keepdims=True)
    quaternion = jnp.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    cosine, axis = quaternion[..., :1], quaternion[..., 1:]
    squared = (axis**2).sum(-1, keepdims=True)
    tiny = squared < jnp.finfo(quaternion.dtype).eps ** 2
    sine = jnp.sqrt(jnp.where(tiny, 1, squared))
    return axis * jnp.where(tiny, 2, 2 * jnp.arctan2(sine, cosine) / sine)


def left_jacobian(vector: jax.Array) -> jax.Array:
    """J [..., 3, 3] of Rodrigues vectors [..., 3]: rotation_matrix(w + d) = rotation_matrix(J d) rotation_matrix(w).

    To first order in d, so the derivative of R(w) p by w is -[R p] J (Chirikjian, 2012).
    """
    vector = jnp.asarray(vector)
    _, cosine, rest = _coefficients(vector)
    cross = cross_matrix(vector)
    return jnp.eye(3, dtype=cross.dtype) + cosine * cross + rest * _squared(vector)


def cross_matrix(vector: jax.Array) -> jax.Array:
    """[w] [..., 3, 3] of vectors w [..., 3]: [w] x = w cross x."""
    x, y, z = jnp.moveaxis(vector, -1, 0)
    zero = jnp.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _squared(vector: jax.Array) -> jax.Array:
    """[w]^2 = w w^T - |w|^2 I."""
    identity = jnp.eye(3, dtype=vector.dtype)
    return vector[..., :, None] * vector[..., None, :] - (vector**2).sum(-1)[..., None, None] * identity


def _coefficients(vector: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """sin a / a, (1 - cos a) / a^2 and (a - sin a) / a^3 of a = |w|, each [..., 1, 1], with finite derivatives."""
    squared = (vector**2).sum(-1)[..., None, None]
    small = squared < SMALL
    angle = jnp.sqrt(jnp.where(small, 1, squared))
    exact = jnp.sin(angle) / angle, 2 * (jnp.sin(angle / 2) / angle) ** 2, (angle - jnp.sin(angle)) / angle**3
    return tuple(
        jnp.where(small, _power_series(squared, divisors), far) for divisors, far in zip(SERIES, exact, strict=True)
    )


def _power_series(squared: jax.Array, divisors: tuple[int, ...]) -> jax.Array:
    """1/a (1 - s/b (1 - s/c (1 - ...))), s the square and a, b, c... the divisors."""
    total = jnp.ones_like(squared)
    for divisor in divisors[:0:-1]:
        total = 1 - squared / divisor * total
    return total / divisors[0]

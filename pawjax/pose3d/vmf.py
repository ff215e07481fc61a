"""The von Mises-Fisher distribution on the sphere.

Its density at u is C(kappa) exp(kappa mu . u), with C(kappa) = kappa / (4 pi sinh kappa), and its natural parameter
the vector kappa mu (Mardia and Jupp, Directional Statistics, 2000, section 9.3.2). All functions hold for kappa from 0
to 1e5, in float32 and float64: near 0 they use series.
"""

import math

import jax
import jax.numpy as jnp

SERIES = 0.3  # below this kappa, series; there the closed forms lose digits


def log_sinhc(kappa: jax.Array) -> jax.Array:
    """log(sinh(kappa) / kappa), the shape of kappa >= 0: minus the logarithm of the normaliser, but for log(4 pi)."""
    return kappa + log_sinhc_less(kappa)


def log_sinhc_less(kappa: jax.Array) -> jax.Array:
    """log(sinh(kappa) / kappa) - kappa, which stays small where kappa is large."""
    large = jnp.maximum(kappa, SERIES)
    square = jnp.minimum(kappa, SERIES) ** 2
    series = square * (1 / 6 - square * (1 / 180 - square * (1 / 2835 - square / 37800))) - kappa
    return jnp.where(kappa < SERIES, series, jnp.log((1 - jnp.exp(-2 * large)) / (2 * large)))


def log_normaliser(kappa: jax.Array) -> jax.Array:
    """log C(kappa), the shape of kappa >= 0."""
    return -log_sinhc(kappa) - math.log(4 * math.pi)


def length_ratio(kappa: jax.Array) -> jax.Array:
    """The length of the mean over kappa: (coth(kappa) - 1 / kappa) / kappa, the shape of kappa >= 0; 1/3 at 0."""
    large = jnp.maximum(kappa, SERIES)
    square = jnp.minimum(kappa, SERIES) ** 2
    series = 1 / 3 - square * (1 / 45 - square * (2 / 945 - square * (1 / 4725 - square * 2 / 93555)))
    rest = jnp.exp(-2 * large)
    return jnp.where(kappa < SERIES, series, ((1 + rest) / (1 - rest) - 1 / large) / large)


def mean_length(kappa: jax.Array) -> jax.Array:
    """|E[u]| = coth(kappa) - 1 / kappa, the shape of kappa >= 0."""
    return kappa * length_ratio(kappa)


def mean_slope(kappa: jax.Array) -> jax.Array:
    """The derivative of `mean_length`, which is the variance of u along mu; the shape of kappa >= 0."""
    large = jnp.maximum(kappa, SERIES)
    square = jnp.minimum(kappa, SERIES) ** 2
    series = 1 / 3 - square * (1 / 15 - square * (2 / 189 - square * (1 / 675 - square * 2 / 10395)))
    rest = jnp.exp(-2 * large)  # (kappa / sinh kappa)^2 = 4 kappa^2 rest / (1 - rest)^2
    return jnp.where(kappa < SERIES, series, 1 / large**2 - 4 * rest / (1 - rest) ** 2)


def concentration(length: jax.Array) -> jax.Array:
    """The kappa whose `mean_length` is `length`, from 0 up to less than 1: the estimate of maximum likelihood.

    Newton's method from the approximation of Banerjee et al. (Journal of Machine Learning Research 6, 2005).
    """
    kappa = length * (3 - length**2) / (1 - length**2)
    for _ in range(4):
        kappa = jnp.maximum(kappa - (mean_length(kappa) - length) / mean_slope(kappa), 0)
    return kappa


def sample(key: jax.Array, natural: jax.Array) -> jax.Array:
    """Draws a unit vector for each natural parameter kappa mu [..., 3]; uniform on the sphere where it is 0.

    The component along mu has a closed-form inverse distribution function (Jakob, 2012), so nothing is rejected.
    """
    kappa = jnp.linalg.norm(natural, axis=-1)
    along, around = jax.random.split(key)
    uniform = jax.random.uniform(along, kappa.shape, natural.dtype, minval=jnp.finfo(natural.dtype).tiny)
    shrunk = jnp.maximum(kappa, 1e-6)
    short = jnp.minimum(-jnp.log1p((1 - uniform) * jnp.expm1(-2 * shrunk)) / shrunk, 2)  # 1 - mu . u
    short = jnp.where(kappa < 1e-6, 2 * (1 - uniform), short)
    angle = jax.random.uniform(around, kappa.shape, natural.dtype, maxval=2 * math.pi)
    mean = jnp.where(kappa[..., None] > 0, natural / jnp.where(kappa > 0, kappa, 1)[..., None], jnp.eye(3)[2])
    right, up = _tangents(mean)
    radius = jnp.sqrt(short * (2 - short))[..., None]
    offset = radius * (jnp.cos(angle)[..., None] * right + jnp.sin(angle)[..., None] * up)
    return (1 - short)[..., None] * mean + offset


def _tangents(normal: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two unit vectors across each normal [..., 3] and each other (Duff et al., JCGT 6(1), 2017)."""
    x, y, z = jnp.moveaxis(normal, -1, 0)
    sign = jnp.where(z >= 0, 1, -1).astype(normal.dtype)
    a = -1 / (sign + z)
    b = x * y * a
    right = jnp.stack([1 + sign * x * x * a, sign * b, -sign * x], -1)
    return right, jnp.stack([b, sign + y * y * a, -y], -1)

"""How pixels differ from projections: Gaussian, a mixture with outliers, Student-t and Huber.

Each model of noise is a function of the residuals that gives every observation's surprise and its weight, the 2x2
matrix W with which it pulls as a Gaussian would (iteratively reweighted least squares): the gradient of the surprise by
the residual e is W e. The weight is more than the curvature of the surprise, as a larger residual pulls with less
weight; what it is more in one direction is taken off as far as the curvature stays positive (Newton instead of EM).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pawjax.pose3d.parameters import Noise, Observations

FREEDOM = 4.0  # degrees of Student-t
HUBER = 2.0  # standard deviations within which Huber's surprise is quadratic
LOG_2PI = math.log(2 * math.pi)


class Measured(NamedTuple):
    """Observations made ready: pixels [T, C, K, 2], 0 where missing, and where there are any [T, C, K].

    Also of the inliers' noise the precision [T, C, K, 2, 2] and the log determinant of the covariance [T, C, K].
    """

    pixels: jax.Array
    there: jax.Array
    precision: jax.Array
    log_determinant: jax.Array
    outlier: jax.Array
    probability: jax.Array


class Evidence(NamedTuple):
    """Of each observation: minus its log density [T, C, K], weight and curvature [T, C, K, 2, 2], and the probability
    [T, C, K] that it is an outlier.

    Missing observations have surprise, weight and curvature 0.
    """

    surprise: jax.Array
    weight: jax.Array
    curvature: jax.Array
    outlier: jax.Array


@jax.jit
def measure(observations: Observations, noise: Noise) -> Measured:
    """Joins observations and their noise."""
    pixels = observations.pixels
    there = jnp.isfinite(pixels).all(-1)
    inlier, outlier, probability = (
        jnp.broadcast_to(jnp.asarray(values, pixels.dtype), there.shape)
        for values in (noise.inlier, noise.outlier, noise.probability)
    )
    a, b, d = inlier, jnp.zeros_like(inlier), inlier
    if observations.covariance is not None:
        own = jnp.where(there[..., None, None], observations.covariance, 0).astype(pixels.dtype)
        a, b, d = a + own[..., 0, 0], (own[..., 0, 1] + own[..., 1, 0]) / 2, d + own[..., 1, 1]
    determinant = a * d - b * b
    precision = jnp.stack([d, -b, -b, a], -1).reshape(*there.shape, 2, 2) / determinant[..., None, None]
    return Measured(
        jnp.where(there[..., None], pixels, 0), there, precision, jnp.log(determinant), outlier, probability
    )


def gaussian(residuals: jax.Array, measured: Measured) -> Evidence:
    """Every observation is an inlier."""
    surprise = _squared(residuals, measured) / 2 + measured.log_determinant / 2 + LOG_2PI
    nothing = jnp.zeros_like(surprise)
    return _evidence(surprise, measured.precision, jnp.zeros_like(residuals), nothing, nothing, measured)


def mixture(residuals: jax.Array, measured: Measured) -> Evidence:
    """An observation is an outlier, of a wide round Gaussian, with its prior probability."""
    variance = measured.outlier
    inlier = _squared(residuals, measured) / 2 + measured.log_determinant / 2 - jnp.log1p(-measured.probability)
    outlier = (residuals**2).sum(-1) / (2 * variance) + jnp.log(variance) - jnp.log(measured.probability)
    share = jax.nn.sigmoid(inlier - outlier)
    weight = (1 - share)[..., None, None] * measured.precision + (share / variance)[..., None, None] * jnp.eye(2)
    surprise = LOG_2PI - jnp.logaddexp(-inlier, -outlier)
    apart = _pulled(residuals, measured) - residuals / variance[..., None]
    return _evidence(surprise, weight, apart, share * (1 - share), share, measured)


def student_t(residuals: jax.Array, measured: Measured) -> Evidence:
    """Tails as heavy as those of Student's t with `FREEDOM` degrees of freedom. An outlier by the weight it lacks."""
    squared = _squared(residuals, measured)
    surprise = (FREEDOM + 2) / 2 * jnp.log1p(squared / FREEDOM) + measured.log_determinant / 2 + LOG_2PI
    pull = (FREEDOM + 2) / (FREEDOM + squared)
    weight, less = pull[..., None, None] * measured.precision, 2 * pull / (FREEDOM + squared)
    return _evidence(surprise, weight, _pulled(residuals, measured), less, 1 - jnp.minimum(pull, 1), measured)


def huber(residuals: jax.Array, measured: Measured) -> Evidence:
    """Quadratic up to `HUBER` standard deviations, linear beyond. An outlier by the weight it lacks."""
    squared = _squared(residuals, measured)
    length = jnp.sqrt(jnp.maximum(squared, HUBER**2))
    surprise = jnp.where(squared > HUBER**2, HUBER * length - HUBER**2 / 2, squared / 2)
    pull = HUBER / length
    surprise = surprise + measured.log_determinant / 2 + LOG_2PI
    weight, less = pull[..., None, None] * measured.precision, jnp.where(squared > HUBER**2, pull / length**2, 0)
    return _evidence(surprise, weight, _pulled(residuals, measured), less, 1 - pull, measured)


def _pulled(residuals: jax.Array, measured: Measured) -> jax.Array:
    return (measured.precision * residuals[..., None, :]).sum(-1)


def _squared(residuals: jax.Array, measured: Measured) -> jax.Array:
    return (residuals * _pulled(residuals, measured)).sum(-1)


def _evidence(  # noqa: PLR0913
    surprise: jax.Array, weight: jax.Array, along: jax.Array, less: jax.Array, outlier: jax.Array, measured: Measured
) -> Evidence:
    """Evidence whose curvature is the weight less `less` times the square of the vector `along`, or all it can lose."""
    there = measured.there
    a, b, d = weight[..., 0, 0], weight[..., 0, 1], weight[..., 1, 1]
    x, y = along[..., 0], along[..., 1]
    size = (d * x**2 - 2 * b * x * y + a * y**2) / (a * d - b**2)  # along W^-1 along
    share = less / jnp.maximum(less * size, 1)
    curvature = weight - share[..., None, None] * along[..., :, None] * along[..., None, :]
    return Evidence(
        jnp.where(there, surprise, 0),
        jnp.where(there[..., None, None], weight, 0),
        jnp.where(there[..., None, None], curvature, 0),
        jnp.where(there, outlier, jnp.nan),
    )

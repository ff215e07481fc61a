"""Model 2: Model 1, and limbs that keep their lengths.

A bodypart lies at d from its parent, in one of two forms:

    direction:   d ~ N(length u, variance I), where u is uniform on the sphere and integrated out
    distance:    |d| ~ N(length, variance), that is a factor exp(-(|d| - length)^2 / (2 variance))

With r = |d|, the density of the first is the factor of the second times (1 - exp(-2 r length / variance)) / r, and a
constant: for a stiff limb, of a variance far below length^2, they agree but for the slow 1 / r.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from pawjax.errors import InputError
from pawjax.pose3d import model1, noise, tree, vmf
from pawjax.pose3d.block_tridiagonal import full_precision
from pawjax.pose3d.parameters import Fit, Limbs, Observations, Prior
from pawjax.pose3d.problem import Problem, in_world, pixel_pull, pose, start_of


def fit(observations: Observations, cameras: Any, prior: Prior, start: Any = None, form: str = "direction") -> Fit:
    """The most probable positions near the start, their covariances, and the probabilities of outliers.

    Args:
      observations: of T frames, C cameras, K bodyparts.
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      prior: `step_variance`, `noise` and `limbs` count.
      start: [T, K, 3], positions to start from, NaN where unknown; without, Model 1's.
      form: 'direction' or 'distance' (module docstring).

    Returns:
      Fit, in JAX's default precision.

    Raises:
      InputError: arrays that do not fit each other, a prior without limbs, or an unknown form.
    """
    if form not in FORMS:
        raise InputError(f"form {form!r} is unknown: use {' or '.join(FORMS)}")
    limbs = limbs_of(prior)
    problem, origin = pose(observations, cameras, prior)
    if start is None:
        start = model1.fit(observations, cameras, prior).mean
    result = _fit(problem, limbs, start_of(problem, start, origin), form)
    return dataclasses.replace(result, mean=in_world(result.mean, origin))


def limbs_of(prior: Prior) -> Limbs:
    """The limbs of a prior, with the root's length 0 and variance infinite. Raises InputError if it has none."""
    if prior.limbs is None:
        raise InputError(
            "the prior has no limbs: learn them from poses (pawjax.pose3d.priors), or fit model0 or model1"
        )
    is_root = jnp.array([parent == k for k, parent in enumerate(prior.limbs.parents)])
    return Limbs(
        jnp.where(is_root, 0, jnp.asarray(prior.limbs.length, float)),
        jnp.where(is_root, jnp.inf, jnp.asarray(prior.limbs.variance, float)),
        prior.limbs.parents,
    )


def direction(limbs: Limbs, differences: jax.Array, state: tuple) -> tree.LimbPull:
    """The pull of limbs of uniform direction. Its curvature is exact, but 0 where it would be negative."""
    precision = 1 / limbs.variance
    distance, axis = _polar(differences)
    concentration = limbs.length * precision * distance
    stiffness = limbs.length**2 * precision
    across = stiffness * vmf.length_ratio(concentration)  # share of the pull that a turn of u takes away
    along = stiffness * vmf.mean_slope(concentration)
    value = (distance - limbs.length) ** 2 * precision / 2 - vmf.log_sinhc_less(concentration)
    gradient = (precision * (1 - across))[..., None] * differences
    most = jnp.maximum(across, 1)
    curvature = _curvature(precision * (1 - along / most), precision * (1 - across / most), axis)
    return tree.LimbPull(value.sum(), gradient, curvature, state)


def distance(limbs: Limbs, differences: jax.Array, state: tuple) -> tree.LimbPull:
    """The pull of limbs of normal length. Its curvature is exact, but 0 where it would be negative."""
    precision = 1 / limbs.variance
    distance, axis = _polar(differences)
    excess = precision * (distance - limbs.length)
    value = excess * (distance - limbs.length) / 2
    across = jnp.maximum(excess, 0) / jnp.maximum(distance, jnp.finfo(distance.dtype).tiny)
    curvature = _curvature(jnp.broadcast_to(precision, distance.shape), across, axis)
    return tree.LimbPull(value.sum(), excess[..., None] * axis, curvature, state)


FORMS = {"direction": direction, "distance": distance}


@partial(jax.jit, static_argnames="form")
@full_precision
def _fit(problem: Problem, limbs: Limbs, start: jax.Array, form: str) -> Fit:
    pull = partial(FORMS[form], limbs)
    minimum = tree.most_probable(problem, limbs.parents, pull, start, (), noise.mixture)
    positions = minimum.positions.reshape(start.shape)
    _, outliers = pixel_pull(problem, positions, noise.mixture)
    covariance = tree.covariances(minimum, problem.step_precision)
    return Fit(positions, covariance, outliers, minimum.terms.value, minimum.converged, minimum.steps)


def _polar(differences: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Lengths [T, K] and unit vectors [T, K, 3]; those of the root are 0."""
    distance = jnp.linalg.norm(differences, axis=-1)
    return distance, differences / jnp.maximum(distance, jnp.finfo(distance.dtype).tiny)[..., None]


def _curvature(along: jax.Array, across: jax.Array, axis: jax.Array) -> jax.Array:
    """Matrices [T, K, 3, 3] with these curvatures [T, K] along the axis [T, K, 3] and across it."""
    outer = axis[..., :, None] * axis[..., None, :]
    return across[..., None, None] * jnp.eye(3, dtype=axis.dtype) + (along - across)[..., None, None] * outer

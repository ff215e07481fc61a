"""GIMBAL (Zhang et al., AISTATS 2021): Model 2, and limbs whose directions belong to pose states of a turning animal.

    s[t] ~ Markov chain,  u[t, k] ~ von Mises-Fisher(R(h[t]) mu[s, k], kappa[s, k]),  d[t, k] ~ N(length u, variance I)

R turns about z by the heading h, which is uniform. The fast path maximises over positions and headings the posterior
density with all else integrated out (EM): outliers and directions in closed form, pose states by forward-backward.
Given the states and directions, the heading that maximises weighs each limb by its kappa, which the paper drops.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.errors import InputError
from pawjax.pose3d import hidden_markov, model2, noise, tree, vmf
from pawjax.pose3d.block_tridiagonal import full_precision
from pawjax.pose3d.parameters import Fit, Limbs, Observations, PoseStates, Prior
from pawjax.pose3d.problem import Problem, in_world, pixel_pull, pose, start_of


def fit(observations: Observations, cameras: Any, prior: Prior, start: Any = None) -> Fit:
    """The most probable positions and headings near the start, and what is known of the rest.

    Args:
      observations: of T frames, C cameras, K bodyparts.
      cameras: [C, 3, 4], projection matrices to undistorted pixels, of a world whose z points up.
      prior: all of it.
      start: [T, K, 3], positions to start from, NaN where unknown; without, Model 2's.

    Returns:
      Fit with `heading` and `states`, in JAX's default precision.

    Raises:
      InputError: arrays that do not fit each other, or a prior without limbs or pose states.
    """
    posed, origin = _posed(observations, cameras, prior, start)
    result = _fit(*posed)
    return dataclasses.replace(result, mean=in_world(result.mean, origin))


def fit_sessions(
    sessions: Sequence[Observations], cameras: Any, priors: Prior | Sequence[Prior], starts: Sequence[Any] | None = None
) -> list[Fit]:
    """`fit` of several sessions side by side in one program, for chips that one session leaves idle.

    All run as many steps as the slowest needs. On a CPU, which has no idle lanes, `fit` of one after another is faster:
    1.6 s instead of 2.8 s for 8 sessions of Rat7M's extract on 2 cores.

    Args:
      sessions: observations, each of the same T frames, C cameras, K bodyparts; a shorter one is filled up with frames
        whose pixels are NaN.
      cameras: [C, 3, 4], of all sessions.
      priors: one for all sessions, or one each, with as many pose states.
      starts: one for each session, or None.

    Returns:
      A Fit for each session, as `fit` gives it.

    Raises:
      InputError: sessions of different shapes, priors of different numbers or states; as `fit`.
    """
    priors = [priors] * len(sessions) if isinstance(priors, Prior) else list(priors)
    starts = [None] * len(sessions) if starts is None else list(starts)
    if not sessions or len({len(priors), len(starts), len(sessions)}) > 1:
        raise InputError(f"there are {len(sessions)} sessions, {len(priors)} priors and {len(starts)} starts: one each")
    each = zip(sessions, priors, starts, strict=True)
    posed, origins = zip(*(_posed(session, cameras, *others) for session, *others in each), strict=True)
    shapes = [[jnp.shape(leaf) for leaf in jax.tree.leaves(one)] for one in posed]
    if other := [number for number, shape in enumerate(shapes) if shape != shapes[0]]:
        raise InputError(
            f"sessions 0 and {other[0]} have pixels of {jnp.shape(sessions[0].pixels)} and "
            f"{jnp.shape(sessions[other[0]].pixels)}: give all the same shape, filled up with NaN, all or none with "
            f"covariances, and as many pose states"
        )
    results = _fit_sessions(*jax.tree.map(lambda *leaves: jnp.stack(leaves), *posed))
    parts = [jax.tree.map(lambda leaf: leaf[number], results) for number in range(len(sessions))]  # noqa: B023
    return [
        dataclasses.replace(part, mean=in_world(part.mean, origin)) for part, origin in zip(parts, origins, strict=True)
    ]


class Directions(NamedTuple):
    """Natural parameters kappa mu [K, S, 3] of the states' directions, 0 for the root, and features [K, S, 13].

    The features are 1, kappa mu, and its products with itself.
    """

    natural: jax.Array
    features: jax.Array


def directions_of(states: PoseStates, limbs: Limbs) -> Directions:
    """The directions of the pose states, without those of the root."""
    is_limb = jnp.array([parent != k for k, parent in enumerate(limbs.parents)])
    kappa = jnp.where(is_limb, states.concentrations, 0)
    natural = jnp.swapaxes(kappa[..., None] * states.directions, 0, 1)
    outer = (natural[..., :, None] * natural[..., None, :]).reshape(*natural.shape[:-1], 9)
    return Directions(natural, jnp.concatenate([jnp.ones_like(natural[..., :1]), natural, outer], -1))


class Posterior(NamedTuple):
    """Of the directions given the limbs [K, T, 3] in the animal's frame and each state.

    Attributes:
      pull: [K, T, 3], natural parameter that the limb adds to those of the states.
      concentration: [K, T, S], kappa of the posterior, the length of the sum.
      log_likelihood: [T, S], of all limbs but for their distances' own factor exp(-(|d| - length)^2 / (2 variance)).
    """

    pull: jax.Array
    concentration: jax.Array
    log_likelihood: jax.Array


def directions_given(limbs: Limbs, directions: Directions, differences: jax.Array) -> Posterior:
    """The posterior of directions given limbs [T, K, 3] in the animal's frame.

    The normalisers, of kappa up to thousands, are compared by differences that keep their digits in float32.
    """
    pull = jnp.swapaxes((limbs.length / limbs.variance)[:, None] * differences, 0, 1)
    size = jnp.linalg.norm(pull, axis=-1)[..., None]
    kappa = jnp.linalg.norm(directions.natural, axis=-1)[:, None]
    square = kappa**2 + 2 * jnp.einsum("kti,ksi->kts", pull, directions.natural)  # |sum|^2 - |pull|^2
    total = jnp.sqrt(jnp.maximum(size**2 + square, 0))
    excess = square / jnp.maximum(total + size, jnp.finfo(total.dtype).tiny)  # |sum| - |pull|
    log_likelihood = (excess + vmf.log_sinhc_less(total) - vmf.log_sinhc(kappa)).sum(0)
    return Posterior(pull, total, log_likelihood)


def turn(vectors: jax.Array, angle: jax.Array) -> jax.Array:
    """Vectors [T, ..., 3] turned about z by angles [T]."""
    angle = angle.reshape(-1, *(1,) * (vectors.ndim - 2))
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    x, y, z = jnp.moveaxis(vectors, -1, 0)
    return jnp.stack([cosine * x - sine * y, sine * x + cosine * y, z], -1)


def limb_pull(
    limbs: Limbs, states: PoseStates, directions: Directions, differences: jax.Array, state: tuple
) -> tree.LimbPull:
    """The pull on limbs [T, K, 3] at the state's headings; the state it gives has better ones.

    The curvature is that with the probabilities of the states held, less in proportion where it would be negative.
    """
    heading, _ = state
    precision = 1 / limbs.variance
    given = directions_given(limbs, directions, turn(differences, -heading))
    probabilities, evidence = hidden_markov.posterior(states.initial, states.transitions, given.log_likelihood)
    distance = jnp.linalg.norm(differences, axis=-1)
    value = ((distance - limbs.length) ** 2 * precision).sum() / 2 - evidence

    ratio, pull = vmf.length_ratio(given.concentration), given.pull
    bend = (vmf.mean_slope(given.concentration) - ratio) / jnp.maximum(given.concentration, 1e-3) ** 2
    share, towards, square = _moments(probabilities * ratio, directions)
    mean = towards + share[..., None] * pull  # E[u], [K, T, 3] in the animal's frame
    bent, bent_towards, bent_square = _moments(probabilities * bend, directions)
    crossed = bent_towards[..., :, None] * pull[..., None, :]
    covariance = (
        share[..., None, None] * jnp.eye(3, dtype=share.dtype)
        + bent_square
        + crossed
        + crossed.swapaxes(-1, -2)
        + bent[..., None, None] * pull[..., :, None] * pull[..., None, :]
    )
    stiffness = (limbs.length**2 * precision)[:, None]
    least = stiffness / jnp.maximum(stiffness * share, 1)
    flat = precision[:, None, None, None] * (jnp.eye(3) - least[..., None, None] * covariance)  # [K, T, 3, 3]
    gradient = precision[:, None] * (differences - limbs.length[:, None] * turn(mean.swapaxes(0, 1), heading))
    curvature = turn(turn(flat.swapaxes(0, 1), heading).swapaxes(-1, -2), heading)
    # Each limb pulls the heading with kappa mu towards E[u]; of mu with itself only the cosine remains.
    cosine = square[..., 0, 0] + square[..., 1, 1] + (towards * pull)[..., :2].sum(-1)
    sine = towards[..., 0] * pull[..., 1] - towards[..., 1] * pull[..., 0]
    heading = heading + jnp.arctan2(sine.sum(0), cosine.sum(0))
    return tree.LimbPull(value, gradient, curvature, (heading, probabilities))


def spine_heading(positions: jax.Array, spine: tuple[int, int]) -> jax.Array:
    """Direction [T], radians from x towards y, from the rear to the front of the spine of positions [T, K, 3]."""
    x, y, _ = jnp.moveaxis(positions[:, spine[1]] - positions[:, spine[0]], -1, 0)
    return jnp.arctan2(y, x)


def _posed(observations: Observations, cameras: Any, prior: Prior, start: Any) -> tuple[tuple, np.ndarray]:
    """The arguments of `_fit`, and the origin [3] of its positions in the world."""
    if prior.states is None:
        raise InputError("the prior has no pose states: learn them from poses (pawjax.pose3d.priors), or fit model2")
    limbs, problem, origin = model2.limbs_of(prior), *pose(observations, cameras, prior)
    if start is None:
        start = model2.fit(observations, cameras, prior).mean
    states = jax.tree.map(lambda array: jnp.asarray(array, float), prior.states)
    return (problem, limbs, states, start_of(problem, start, origin)), origin


@jax.jit
@full_precision
def _fit(problem: Problem, limbs: Limbs, states: PoseStates, start: jax.Array) -> Fit:
    pull = partial(limb_pull, limbs, states, directions_of(states, limbs))
    first = spine_heading(start, states.spine), jnp.zeros((len(start), len(states.initial)), start.dtype)
    minimum = tree.most_probable(problem, limbs.parents, pull, start, first, noise.mixture)
    positions = minimum.positions.reshape(start.shape)
    _, outliers = pixel_pull(problem, positions, noise.mixture)
    covariance = tree.covariances(minimum, problem.step_precision)
    heading, probabilities = minimum.terms.state
    return Fit(
        *(positions, covariance, outliers, minimum.terms.value, minimum.converged, minimum.steps),
        heading=jnp.angle(jnp.exp(1j * heading)),
        states=probabilities,
    )


_fit_sessions = jax.jit(jax.vmap(_fit))


def _moments(weights: jax.Array, directions: Directions) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over states of weights [K, T, S], times kappa mu, times its products: [K, T], [K, T, 3], [K, T, 3, 3]."""
    sums = jnp.einsum("kts,ksf->ktf", weights, directions.features)
    return sums[..., 0], sums[..., 1:4], sums[..., 4:].reshape(*sums.shape[:2], 3, 3)

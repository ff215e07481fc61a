"""Draws of the posterior of every model: Gibbs sampling, with Hamiltonian Monte Carlo for the positions.

A chain is one `lax.scan` over the sweeps of `pawjax.pose3d.sweeps`, and chains run side by side.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.pose3d import hamiltonian, model0, model2, tree
from pawjax.pose3d.block_tridiagonal import full_precision
from pawjax.pose3d.parameters import Array, Fit, Observations, Prior
from pawjax.pose3d.problem import in_world, pose
from pawjax.pose3d.sweeps import Chain, Draw, Model, draw_states, start, sweep


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Samples:
    """Draws of a posterior by M chains.

    Attributes:
      positions: [M, N, T, K, 3], the draws that were kept.
      mean: [T, K, 3], over all draws and chains.
      covariance: [T, K, 3, 3], likewise.
      outliers: [T, C, K], probability of each observation to be an outlier; NaN where nothing was seen.
      accepted: [M] or, where bodyparts are independent, [M, K]: share of proposals that were accepted.
      heading: [M, N, T], radians from x towards y, or None.
      states: [T, S], probabilities of the pose states, or None.
    """

    positions: Array
    mean: Array
    covariance: Array
    outliers: Array
    accepted: Array
    heading: Array | None = None
    states: Array | None = None


def sample(
    key: jax.Array,
    observations: Observations,
    cameras: Any,
    prior: Prior,
    fit: Fit,
    chains: int = 4,
    burn_in: int = 200,
    kept: int = 100,
    thin: int = 5,
    leapfrogs: int = 8,
) -> Samples:
    """Draws of the posterior of the model that the prior holds.

    That is GIMBAL with pose states, Model 2 (direction form) with limbs alone, and without limbs Model 1, which is
    Model 0 where no observation can be an outlier.

    Args:
      key: of all draws.
      observations: of T frames, C cameras, K bodyparts.
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      prior: chooses the model.
      fit: of the same model; chains start from draws of the Gaussian around it.
      chains: number of chains.
      burn_in: sweeps that adapt the step and are dropped.
      kept: draws kept of each chain.
      thin: sweeps for each draw that is kept; the others count in means and covariances too.
      leapfrogs: steps of a Hamiltonian proposal.

    Returns:
      Samples, in JAX's default precision.

    Raises:
      InputError: as the model's `fit`.
    """
    if prior.limbs is None:
        problem, origin = model0.pose_each(observations, cameras, prior)
        limbs = states = None
    else:
        problem, origin = pose(observations, cameras, prior)
        limbs = model2.limbs_of(prior)
        states = None if prior.states is None else jax.tree.map(lambda array: jnp.asarray(array, float), prior.states)
    mean = jnp.asarray(np.asarray(fit.mean, np.float64) - origin)
    model = Model(problem, limbs, states)
    heading = None if states is None else jnp.asarray(fit.heading)
    draws = _run(key, model, mean, heading, chains, burn_in, kept, thin, leapfrogs)
    moved = {name: in_world(getattr(draws, name), origin) for name in ("positions", "mean")}
    return dataclasses.replace(draws, **moved)


@partial(jax.jit, static_argnames=("chains", "burn_in", "kept", "thin", "leapfrogs"))
@full_precision
def _run(key, model, mean, heading, chains, burn_in, kept, thin, leapfrogs):  # noqa: ANN001, ANN202
    gaussian = start(model, mean, heading)
    sweep_of = partial(sweep, model=model, gaussian=gaussian, leapfrogs=leapfrogs)

    def one_chain(key):
        first, burning, keeping = jax.random.split(key, 3)
        chain = _first(first, model, gaussian, mean, heading, leapfrogs)

        def adapt(chain, step):
            chain, draw = sweep_of(step[0], chain=chain)
            return chain._replace(angle=hamiltonian.adapted(chain.angle, draw.accepted, step[1], leapfrogs)), None

        def count(carry, key):
            chain, draw = sweep_of(key, chain=carry[0])
            return (chain, jax.tree.map(jnp.add, carry[1], _counted(model, draw, mean))), (draw.positions, draw.heading)

        def keep(carry, keys):
            carry, draws = jax.lax.scan(count, carry, keys)
            return carry, jax.tree.map(lambda array: array[-1], draws)

        chain, _ = jax.lax.scan(adapt, chain, (jax.random.split(burning, burn_in), jnp.arange(burn_in)))
        shapes = jax.eval_shape(lambda: _counted(model, sweep_of(key, chain=chain)[1], mean))
        nothing = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
        (_, sums), draws = jax.lax.scan(keep, (chain, nothing), jax.random.split(keeping, (kept, thin)))
        return draws, jax.tree.map(lambda sum_: sum_ / (kept * thin), sums)

    (positions, headings), sums = jax.vmap(one_chain)(jax.random.split(key, chains))
    off, square, outliers, accepted, states = sums
    off, square, outliers, states = jax.tree.map(lambda array: array.mean(0), (off, square, outliers, states))
    covariance = square - off[..., :, None] * off[..., None, :]
    return Samples(positions, mean + off, covariance, outliers.swapaxes(1, 2), accepted, headings, states)


def _first(key, model, gaussian, mean, heading, leapfrogs):  # noqa: ANN001, ANN202
    """A chain that starts from a draw of the Gaussian."""
    place, states = jax.random.split(key)
    white = jax.random.normal(place, gaussian.mean.shape, mean.dtype)
    state = None
    if model.states is not None:
        positions = gaussian.place(white).reshape(mean.shape)
        state = draw_states(states, model, tree.differences(positions, model.limbs.parents), heading)
    return Chain(white, jnp.full(white.shape[1:-1], jnp.pi / 4 / leapfrogs, mean.dtype), heading, state)


def _counted(model: Model, draw: Draw, mean: jax.Array) -> tuple:
    """What of a draw is summed: the offset from the mean and its square, outliers, acceptance, states."""
    off = draw.positions - mean
    states = None if draw.state is None else jax.nn.one_hot(draw.state, len(model.states.initial), dtype=mean.dtype)
    return off, off[..., :, None] * off[..., None, :], draw.outliers, draw.accepted, states

"""Pairwise terms (DeeperCut, Insafutdinov et al. 2016): do two places belong to the same animal?

A head of the network tells, from a place of bodypart a, where bodypart b is. If the place of b is where a has it, and
the other way round, they are a pair: a logistic regression per pair makes a probability of it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

N_FEATURES = 9
REVERSED = np.array([0, 3, 4, 1, 2, 7, 8, 5, 6])  # the `pair_features` of (b, a), as those of (a, b)


class Pairwise(NamedTuple):
    """What is known of the P = K (K - 1) ordered pairs of bodyparts, in the order of `pair_index`.

    mean and deviation float32 [P, 2], (x, y) px of the network's input, of the vectors from cells near the one to the
    other; weights float32 [P, N_FEATURES], of `pair_features`, zero for pairs that nothing is known of.
    """

    mean: jax.Array
    deviation: jax.Array
    weights: jax.Array


def untrained(n_keypoints: int) -> Pairwise:
    """Vectors as they are, and no knowledge of pairs."""
    n = n_keypoints * (n_keypoints - 1)
    return Pairwise(jnp.zeros((n, 2)), jnp.ones((n, 2)), jnp.zeros((n, N_FEATURES)))


def pair_index(a: int | jax.Array, b: int | jax.Array, n_keypoints: int) -> int | jax.Array:
    """The place of the pair from bodypart a to bodypart b among all ordered pairs of K, as in DeeperCut."""
    return (n_keypoints - 1) * a + b - (b > a)


def pair_parts(n_keypoints: int) -> tuple[np.ndarray, np.ndarray]:
    """Bodyparts a and b, int [K (K - 1)] each, of all ordered pairs in the order of `pair_index`."""
    a, b = np.divmod(np.arange(n_keypoints * (n_keypoints - 1)), max(n_keypoints - 1, 1))
    return a, b + (b >= a)


def pair_features(
    between: jax.Array,
    offsets_ab: jax.Array,
    offsets_ba: jax.Array,
    deviation_ab: jax.Array,
    deviation_ba: jax.Array,
) -> jax.Array:
    """What tells whether places of a and b are a pair: 1, then, in both directions, how far b lies from where a has it.

    That is the distance, in deviations of the pair, and the angle between the vectors, in radians (0 if one vanishes);
    and exp(-x) of both.

    Args:
      between: [..., 2], (x, y) px, from the place of a to that of b.
      offsets_ab: [..., 2], what the place of a predicts for it.
      offsets_ba: [..., 2], what the place of b predicts for -`between`.
      deviation_ab, deviation_ba: [..., 2], px, see `Pairwise`.

    Returns:
      [..., N_FEATURES].
    """
    distances_angles = []
    for true, predicted, deviation in ((between, offsets_ab, deviation_ab), (-between, offsets_ba, deviation_ba)):
        distances_angles.append(jnp.sqrt((((true - predicted) / deviation) ** 2).sum(-1)))
        cross = true[..., 0] * predicted[..., 1] - true[..., 1] * predicted[..., 0]
        distances_angles.append(jnp.arctan2(jnp.abs(cross), (true * predicted).sum(-1)))
    values = jnp.stack(distances_angles, -1)
    return jnp.concatenate([jnp.ones_like(values[..., :1]), values, jnp.exp(-values)], -1)


def pair_costs(
    model: Pairwise,
    a: int | jax.Array,
    b: int | jax.Array,
    places_a: jax.Array,
    places_b: jax.Array,
    offsets_ab: jax.Array,
    offsets_ba: jax.Array,
) -> jax.Array:
    """-log of the probability that a place of a and a place of b belong to one animal, for all pairs of candidates.

    Right and wrong pairs are equally frequent a priori.

    Args:
      model: of K bodyparts.
      a, b: indices of two bodyparts.
      places_a: [..., Ma, 2], (x, y) px of the network's input, centres of the candidates' cells.
      places_b: [..., Mb, 2].
      offsets_ab: [..., Ma, 2], px, predicted at the candidates of a towards b, see `ScoreMaps.pair_offsets`.
      offsets_ba: [..., Mb, 2], px, predicted at the candidates of b towards a.

    Returns:
      [..., Ma, Mb], at least 0.
    """
    n = _n_keypoints(len(model.mean))
    there, back = pair_index(a, b, n), pair_index(b, a, n)
    between = places_b[..., None, :, :] - places_a[..., :, None, :]
    features = pair_features(
        between,
        jnp.broadcast_to(offsets_ab[..., :, None, :], between.shape),
        jnp.broadcast_to(offsets_ba[..., None, :, :], between.shape),
        model.deviation[there],
        model.deviation[back],
    )
    return jax.nn.softplus(-(features * model.weights[there]).sum(-1))


def _n_keypoints(n_pairs: int) -> int:
    return round((1 + (1 + 4 * n_pairs) ** 0.5) / 2)

"""What is learned about pairs of bodyparts: vectors from labels, and probabilities from what a network predicts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pawjax.ops import logistic
from pawjax.ops.decoding import REACH
from pawjax.ops.scoremaps import ScoreMaps
from pawjax.structure.learning import connections
from pawjax.structure.pairwise import N_FEATURES, REVERSED, Pairwise, pair_features, pair_index, pair_parts, untrained

ON_A_SIDE = 4  # of the grid of places that are tried as wrong ones, besides the other bodyparts
STEPS = 20  # Newton's; about 8 are needed
HALVINGS = 8  # of a step, at most


def learn_offsets(keypoints: np.ndarray, labelled: np.ndarray, radius: float) -> Pairwise:
    """Mean and deviation of the vectors that a network is to predict; they are standardised by them.

    A vector starts at any cell of the disc around a bodypart, whose variance on each axis is radius^2 / 4.

    Args:
      keypoints: [N, A, K, 2], (x, y) px of the network's input.
      labelled: bool [N, A, K].
      radius: of the disc, px.
    """
    n_keypoints = keypoints.shape[2]
    points, known = keypoints.reshape(-1, n_keypoints, 2), labelled.reshape(-1, n_keypoints)
    _, offset, variance = connections(points.astype(np.float64), known.astype(np.float64))
    pairs = pair_parts(n_keypoints)
    deviation = np.sqrt(variance[pairs] + radius**2 / 4)
    return untrained(n_keypoints)._replace(
        mean=jnp.asarray(offset[pairs], jnp.float32), deviation=jnp.asarray(deviation, jnp.float32)
    )


class PairExamples(NamedTuple):
    """Cells of N frames, and what a network predicts there: the Q places are those of the K labels, then of a grid.

    places int32 [N, Q, 2], (x, y) cells; known bool [N, Q], false for a missing label; offsets float32
    [N, Q, K, K - 1, 2], px, see `ScoreMaps.pair_offsets`; stride, px from cell to cell, [N].
    """

    places: jax.Array
    known: jax.Array
    offsets: jax.Array
    stride: jax.Array


def pair_examples(maps: ScoreMaps, keypoints: jax.Array, labelled: jax.Array) -> PairExamples:
    """The examples in maps of B images.

    Args:
      maps: with `pair_offsets`.
      keypoints: [B, K, 2], (x, y) px of the images.
      labelled: bool [B, K]; a label outside of the maps is left out.
    """
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    cells = jnp.round((keypoints - maps.center) / maps.stride).astype(jnp.int32)
    size = jnp.array([width, height])
    known = labelled & ((cells >= 0) & (cells < size)).all(-1)
    x, y = (((np.arange(ON_A_SIDE) + 0.5) * side / ON_A_SIDE).astype(np.int32) for side in (width, height))
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    grid = jnp.broadcast_to(grid, (batch, *grid.shape))
    places = jnp.concatenate([jnp.clip(cells, 0, size - 1), grid], 1)
    known = jnp.concatenate([known, jnp.ones(grid.shape[:2], bool)], 1)
    flat = maps.pair_offsets.reshape(batch, height * width, -1)
    offsets = jnp.take_along_axis(flat, (places[..., 1] * width + places[..., 0])[..., None], axis=1)
    offsets = offsets.reshape(*known.shape, *maps.pair_offsets.shape[3:])
    return PairExamples(places, known, offsets, jnp.full(batch, maps.stride))


def fit_pairs(model: Pairwise, examples: PairExamples) -> Pairwise:
    """The model with the weights of a logistic regression for each pair, by Newton's method.

    The cells of both labels are a right pair; the cell of one with any other place, more than REACH cells from the
    label of the other, is a wrong one. Features are standardised, and weights have a standard normal prior. The bias is
    moved by log(wrong / right), so that the probabilities are those of equally frequent right and wrong pairs.
    """
    n_keypoints = examples.offsets.shape[2]
    a, b = np.triu_indices(n_keypoints, 1)

    def of_pair(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        return _fit(*_rows(model, examples, *pair))

    weights = lax.map(of_pair, (jnp.asarray(a), jnp.asarray(b)))
    found = jnp.zeros((len(model.mean), N_FEATURES))
    found = found.at[pair_index(a, b, n_keypoints)].set(weights)
    return model._replace(weights=found.at[pair_index(b, a, n_keypoints)].set(weights[:, REVERSED]))


def _rows(
    model: Pairwise, examples: PairExamples, a: jax.Array, b: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Features [R, N_FEATURES], whether right [R] and whether there is such a row [R], of a pair a < b."""
    n_keypoints = examples.offsets.shape[2]
    there, back = pair_index(a, b, n_keypoints), pair_index(b, a, n_keypoints)
    px = (examples.places * examples.stride[:, None, None]).astype(jnp.float32)
    towards_b, towards_a = examples.offsets[:, :, a, b - 1], examples.offsets[:, :, b, a]  # [N, Q, 2]
    both = (examples.known[:, a] & examples.known[:, b])[:, None]

    def at(values: jax.Array, part: jax.Array) -> jax.Array:
        return values[:, part][:, None]  # [N, 1, 2]

    def wrong(part: jax.Array) -> jax.Array:
        apart = jnp.abs(examples.places - at(examples.places, part)).max(-1)
        return both & examples.known & (apart > REACH)

    def features(from_a: jax.Array, to_b: jax.Array, offsets_ab: jax.Array, offsets_ba: jax.Array) -> jax.Array:
        between = to_b - from_a
        offsets = (jnp.broadcast_to(offsets, between.shape) for offsets in (offsets_ab, offsets_ba))
        return pair_features(between, *offsets, model.deviation[there], model.deviation[back])

    right = features(at(px, a), at(px, b), at(towards_b, a), at(towards_a, b))
    other_b = features(at(px, a), px, at(towards_b, a), towards_a)
    other_a = features(px, at(px, b), towards_b, at(towards_a, b))
    x = jnp.concatenate([right, other_b, other_a], 1)
    exists = jnp.concatenate([both, wrong(b), wrong(a)], 1)
    y = jnp.zeros(exists.shape).at[:, 0].set(1.0)
    return x.reshape(-1, N_FEATURES), y.reshape(-1), exists.reshape(-1)


def _fit(x: jax.Array, y: jax.Array, exists: jax.Array) -> jax.Array:
    """Weights [N_FEATURES] for features as they are; zeros unless there are right and wrong pairs."""
    n, n_right = exists.sum(), (exists * y).sum()
    share = exists[:, None] / jnp.maximum(n, 1)
    mean = (share * x).sum(0).at[0].set(0.0)
    deviation = jnp.sqrt((share * (x - mean) ** 2).sum(0)).at[0].set(1.0)
    deviation = jnp.maximum(deviation, 1e-6)
    x = jnp.where(exists[:, None], (x - mean) / deviation, 0)  # a row of zeros moves nothing
    y = jnp.where(exists, y, 0.5)
    l2 = jnp.ones(N_FEATURES).at[0].set(1e-6) / len(x)  # the losses are means over all rows, with those of zeros

    def step(w: jax.Array, _: None) -> tuple[jax.Array, None]:
        direction = jnp.linalg.solve(logistic.hessian(w, x, l2), logistic.gradient(w, x, y, l2))
        tried = w - jnp.append(0.5 ** jnp.arange(HALVINGS), 0.0)[:, None] * direction
        losses = jax.vmap(lambda w: logistic.loss(w, x, y, l2))(tried)
        return tried[jnp.argmin(losses)], None

    w, _ = lax.scan(step, jnp.zeros(N_FEATURES), length=STEPS)
    bias = w[0] - (w * mean / deviation).sum() + jnp.log((n - n_right) / jnp.maximum(n_right, 1))
    return jnp.where((n_right > 0) & (n > n_right), (w / deviation).at[0].set(bias), 0)

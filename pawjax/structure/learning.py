"""A tree from labels: every pair of bodyparts is a connection with a cost, and the tree is the cheapest of all."""

from collections.abc import Sequence

import numpy as np

from pawjax.errors import InputError, listed
from pawjax.structure.tree import ROUNDED, Tree

FEWEST = 3  # frames that show both bodyparts of a connection
SHOWN = 4  # bodyparts in a message
STRUCTURE = "config.predict.structure = 'tree'", "leave out config.predict.structure (--structure=)"


def learn_tree(
    keypoints: np.ndarray, labelled: np.ndarray, bodyparts: Sequence[str], asked: tuple[str, str] = STRUCTURE
) -> Tree:
    """The likeliest tree (Felzenszwalb & Huttenlocher 2005, section 3): the minimum spanning tree of all connections.

    The cost of a connection is the entropy of a normal distribution of the offset between its two bodyparts, fitted to
    the frames that show both. Its variance is that of a new offset, larger than the sample's where frames are few.

    Args:
      keypoints: [N, A, K, 2], (x, y) px.
      labelled: bool [N, A, K].
      bodyparts: K names.
      asked: for messages: what the user set that needs a tree, and how to do without.

    Raises InputError for a single bodypart, or if fewer than FEWEST frames show any bodypart of one group together with
    any of the others, so that no tree connects them.
    """
    if len(bodyparts) < 2:
        raise InputError(f"{asked[0]} connects two bodyparts or more, but there is only {bodyparts[0]}: {asked[1]}")
    known = labelled.reshape(-1, len(bodyparts)).astype(np.float64)
    points = keypoints.reshape(-1, len(bodyparts), 2).astype(np.float64)
    n, offset, variance = connections(points, known)
    cost = np.where(n < FEWEST, np.inf, np.log(variance).sum(-1))  # entropy, up to a factor and a constant
    edges = _spanning_tree(cost)
    if len(edges) < len(bodyparts) - 1:
        reached = {0, *(child for _, child in edges)}
        groups = [[name for k, name in enumerate(bodyparts) if (k in reached) == side] for side in (True, False)]
        here, there = (listed(group, SHOWN) for group in groups)
        raise InputError(
            f"{asked[0]}: fewer than {FEWEST} train frames have labels of one of {here} "
            f"together with one of {there}, so no tree connects them: label such frames, or {asked[1]}"
        )
    parents, children = np.array(edges).T
    rows = parents, children
    distance, spread = np.array([_distance(points, known, *edge) for edge in edges]).T
    return Tree(parents, children, offset[rows], variance[rows], n[rows].astype(int), distance, spread)


def connections(points: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pair of bodyparts (from, to): frames that show both [K, K], mean and variance of the offset [K, K, 2].

    Args:
      points: [M, K, 2].
      known: [M, K], 1 where labelled, else 0.
    """
    centre = (points * known[..., None]).sum((0, 1)) / max(known.sum(), 1)  # keeps the squares small
    points = np.where(known[..., None] > 0, points - centre, 0.0)
    n = known.T @ known
    means, variances = [], []
    for values in np.moveaxis(points, -1, 0):
        sums, squares = known.T @ values, known.T @ values**2
        total = sums - sums.T
        total_squared = squares - 2 * values.T @ values + squares.T
        mean = total / np.maximum(n, 1)
        spread = np.maximum(total_squared - n * mean**2, 0) / np.maximum(n - 1, 1)
        means.append(mean)
        variances.append(spread * (1 + 1 / np.maximum(n, 1)) + ROUNDED)
    return n, np.stack(means, -1), np.stack(variances, -1)


def _distance(points: np.ndarray, known: np.ndarray, parent: int, child: int) -> tuple[float, float]:
    """Mean and variance of the distance between two bodyparts, with the variance of a new one, as in `learn_tree`.

    Args:
      points: [M, K, 2].
      known: [M, K], 1 where labelled, else 0.
    """
    both = (known[:, parent] > 0) & (known[:, child] > 0)
    lengths = np.linalg.norm(points[both, child] - points[both, parent], axis=-1)
    return lengths.mean(), lengths.var(ddof=1) * (1 + 1 / len(lengths)) + ROUNDED


def _spanning_tree(cost: np.ndarray) -> list[tuple[int, int]]:
    """Edges (parent, child) of the cheapest tree that spans what finite costs [K, K] connect to 0 (Prim 1957)."""
    nearest, best = np.zeros(len(cost), int), cost[0].copy()
    outside, edges = set(range(1, len(cost))), []
    while outside:
        child = min(outside, key=lambda k: best[k])
        if not np.isfinite(best[child]):
            break
        outside.remove(child)
        edges.append((int(nearest[child]), child))
        closer = cost[child] < best
        nearest[closer], best[closer] = child, cost[child][closer]
    return edges

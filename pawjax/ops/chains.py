"""A batch as several chains of operations that hardly wait for one another, for chips that run them side by side.

XLA's CPU runtime starts whatever is ready: while one chain multiplies, another waits for memory. Networks take the
parts of a batch as a tuple (`cut`, `joined`); a function that treats every image alone is run on each (`in_chains`).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pawjax.ops.conv import on_cpu

CHAINS = 4  # more take longer to compile than they save
PIXELS = 2**19  # of a batch, from which on a chain's work outweighs what each operation costs to start


def cut(images: jax.Array) -> jax.Array | tuple[jax.Array, ...]:
    """Up to `CHAINS` equal parts of images [B, H, W, C]; on chips other than CPUs, and for few pixels, the whole."""
    chains = math.gcd(len(images), CHAINS)
    if not on_cpu() or chains == 1 or math.prod(images.shape[:3]) < PIXELS:
        return images
    return tuple(jnp.split(images, chains))


def joined(tree: Any) -> Any:
    """The tree with arrays [B, ...] in place of tuples of their parts."""

    def is_cut(node: Any) -> bool:
        return isinstance(node, tuple)

    return jax.tree.map(lambda node: jnp.concatenate(node) if is_cut(node) else node, tree, is_leaf=is_cut)


def in_chains(function: Callable[[jax.Array], Any], images: jax.Array) -> Any:
    """`function(images)`, worked out for each part of the images; for functions that treat every image alone.

    Args:
      function: images [b, H, W, C] -> a tree of arrays [b, ...].
      images: [B, H, W, C].

    Returns:
      The tree of arrays [B, ...].
    """
    parts = cut(images)
    if not isinstance(parts, tuple):
        return function(images)
    return jax.tree.map(lambda *values: jnp.concatenate(values), *map(function, parts))

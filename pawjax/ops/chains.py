"""A batch as several independent chains of operations, for chips that run what is independent side by side."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pawjax.ops.conv import on_cpu

CHAINS = 4  # more take longer to compile than they save
PIXELS = 2**19  # of a batch, from which on a chain's work outweighs what each operation costs to start


def in_chains(function: Callable[[jax.Array], Any], images: jax.Array) -> Any:
    """`function(images)`, on a CPU as up to `CHAINS` parts of the batch, each a chain of operations of its own.

    XLA's CPU runtime starts whatever is ready: while one chain multiplies, another waits for memory. The result is that
    of the whole batch for functions that treat every image alone.

    Args:
      function: images [b, H, W, C] -> a tree of arrays [b, ...].
      images: [B, H, W, C]; a batch of few pixels stays whole.

    Returns:
      The tree of arrays [B, ...].
    """
    chains = math.gcd(len(images), CHAINS)
    if not on_cpu() or chains == 1 or math.prod(images.shape[:3]) < PIXELS:
        return function(images)
    parts = [function(part) for part in jnp.split(images, chains)]
    return jax.tree.map(lambda *values: jnp.concatenate(values), *parts)

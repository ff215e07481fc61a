"""Applies functions of many regions to as many at a time as suits the chip."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pawjax.ops.chip import on_cpu

CPU_BYTES, BYTES = 2**27, 2**33  # limits of intermediate results, on a CPU (about its caches) and elsewhere


def over_regions(function: Callable[[jax.Array], Any], regions: jax.Array, bytes_per_region: int) -> Any:
    """`function(regions)`, in equal chunks of every image's regions if all at once take too much memory.

    Args:
      function: boxes [B, r, 4] -> a tree of arrays [B, r, ...]; treats regions independently.
      regions: [B, R, 4].
      bytes_per_region: the function's intermediate results for one region.

    Returns:
      The tree of arrays [B, R, ...].
    """
    n_images, n_regions, _ = regions.shape
    at_once = (CPU_BYTES if on_cpu() else BYTES) // bytes_per_region
    n_chunks = min(-(-n_images * n_regions // at_once), n_regions)
    if n_chunks == 1:
        return function(regions)
    chunks = jnp.pad(regions, ((0, 0), (0, -n_regions % n_chunks), (0, 0))).reshape(n_images, n_chunks, -1, 4)
    results = jax.lax.map(function, chunks.swapaxes(0, 1))  # each [chunks, images, regions of a chunk, ...]

    def whole(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x, 0, 1).reshape(n_images, -1, *x.shape[3:])[:, :n_regions]

    return jax.tree.map(whole, results)

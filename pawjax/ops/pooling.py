"""Max pooling whose gradient is the same on every run, on every chip."""

from functools import reduce

import jax
import jax.numpy as jnp


def max_pool_3x3_stride2(x: jax.Array) -> jax.Array:
    """Maximum over 3x3 windows, stride 2, one row or column of minus infinity on each side (torchvision's stem).

    The maximum of nine strided slices: its gradient needs no select-and-scatter, which has no deterministic GPU form
    and is slow on a CPU. Where pixels tie, the gradient is shared among them.

    Args:
      x: [B, H, W, C], floating point.

    Returns:
      [B, (H + 1) // 2, (W + 1) // 2, C]; cell (i, j) is centred on pixel (2i, 2j).
    """
    _, height, width, _ = x.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    return reduce(
        jnp.maximum,
        (
            padded[:, a : a + 2 * rows - 1 : 2, b : b + 2 * columns - 1 : 2]
            for a in range(3)
            for b in range(3)
        ),
    )

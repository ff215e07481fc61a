"""A batch as several chains of operations that hardly wait for one another, for chips that run them side by side.

XLA's CPU runtime starts whatever is ready: while one chain multiplies, another waits for memory. Networks take the
parts of a batch as a tuple, and images too few to go round as `Bands` of their rows (`cut`, `joined`); a function that
treats every image alone is run on each (`in_chains`).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pawjax.ops.conv import on_cpu

CHAINS = 4  # more take longer to compile than they save
PIXELS = 2**19  # of a batch, from which on a chain's work outweighs what each operation costs to start
BAND_PIXELS = 2**17  # of a batch, from which on this is so of bands in prediction; training gains nothing by them
STRIDE = 16  # of the rows that a band begins at, so that maps of up to this stride can be cut in the same places


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bands:
    """Images [B, H, W, C] cut into bands of rows [B, h, W, C], from top to bottom.

    What treats every pixel alone is mapped over them as over any tree; what looks around a pixel goes through
    `over_rows`.
    """

    rows: tuple[jax.Array, ...]


Parts = jax.Array | Bands | tuple[jax.Array | Bands, ...]


def cut(images: jax.Array, rows: bool = False) -> Parts:
    """Up to `CHAINS` equal parts of images [B, H, W, C]; on chips other than CPUs, and for few pixels, the whole.

    With `rows` images that are too few for that are cut into `Bands` too.
    """
    pixels, chains = math.prod(images.shape[:3]), math.gcd(len(images), CHAINS)
    bands = min(CHAINS // chains, images.shape[1] // STRIDE) if rows and pixels >= BAND_PIXELS else 1
    if not on_cpu() or (pixels < PIXELS and bands == 1):
        return images
    parts = tuple(_bands(part, bands) for part in jnp.split(images, chains))
    return parts if chains > 1 else parts[0]


def whole(x: Parts) -> jax.Array | tuple[jax.Array, ...]:
    """The parts of a batch with the bands of each joined."""
    return jax.tree.map(
        lambda x: jnp.concatenate(x.rows, axis=1) if isinstance(x, Bands) else x,
        x,
        is_leaf=lambda x: isinstance(x, Bands),
    )


def joined(tree: Any) -> Any:
    """The tree with arrays [B, ...] in place of tuples of their parts."""

    def is_cut(node: Any) -> bool:
        return isinstance(node, tuple)

    return jax.tree.map(lambda node: jnp.concatenate(node) if is_cut(node) else node, tree, is_leaf=is_cut)


def over_rows(
    function: Callable[[jax.Array, tuple[int, int]], jax.Array],
    x: Parts,
    *,
    window: int,
    stride: int,
    margins: tuple[int, int],
) -> Parts:
    """`function(x, (above, below))` of every part; of a band together with the rows of its neighbours that it looks at.

    Args:
      function: x [B, h, W, C] and the rows to pad it by -> [B, h', W', C'], each row of it made from `window` rows.
      x: the parts; the rows that bands begin at are multiples of `stride`.
      window, stride: rows that a row of the result looks at, and from one such window to the next.
      margins: rows of padding above and below the whole image.
    """
    n_above, n_below = margins[0], max(0, window - margins[0] - stride)  # rows of its neighbours that a band looks at

    def of_bands(bands: Bands) -> Bands:
        made = []
        for before, band, after in zip((None, *bands.rows), bands.rows, (*bands.rows[1:], None), strict=False):
            near = [] if before is None or n_above == 0 else [before[:, -n_above:]]
            near += [band] if after is None or n_below == 0 else [band, after[:, :n_below]]
            padding = (margins[0] if before is None else 0, margins[1] if after is None else 0)
            made.append(function(jnp.concatenate(near, axis=1) if near[1:] else band, padding))
        return Bands(tuple(made))

    def of_part(part: jax.Array | Bands) -> jax.Array | Bands:
        return of_bands(part) if isinstance(part, Bands) else function(part, margins)

    return jax.tree.map(of_part, x, is_leaf=lambda part: isinstance(part, Bands))


def in_chains(function: Callable[[jax.Array], Any], images: jax.Array, rows: bool = False) -> Any:
    """`function(images)`, worked out for each part of the images; for functions that treat every image alone.

    Args:
      function: images [b, H, W, C], with `rows` perhaps as `Bands` -> a tree of arrays [b, ...].
      images: [B, H, W, C].
      rows: see `cut`.

    Returns:
      The tree of arrays [B, ...].
    """
    parts = cut(images, rows)
    if not isinstance(parts, tuple):
        return function(parts)
    return jax.tree.map(lambda *values: jnp.concatenate(values), *map(function, parts))


def _bands(images: jax.Array, n: int) -> jax.Array | Bands:
    edges = [round(images.shape[1] * i / n / STRIDE) * STRIDE for i in range(1, n)]
    return Bands(tuple(jnp.split(images, edges, axis=1))) if n > 1 else images

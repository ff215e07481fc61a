"""Square patches around points of an image."""

import jax
import jax.numpy as jnp
from jax import lax


def cut_patches(image: jax.Array, centers: jax.Array, size: int) -> jax.Array:
    """The patches around pixels of one image, with zeros beyond its border.

    Args:
      image: [H, W].
      centers: int [..., 2], (x, y) of pixels of the image; of a point off it, another patch is cut.
      size: side of a patch in pixels, odd.

    Returns:
      [..., size * size], row by row.
    """
    padded = jnp.pad(image, size // 2)
    cut = jax.vmap(lambda center: lax.dynamic_slice(padded, (center[1], center[0]), (size, size)))
    return cut(centers.reshape(-1, 2)).reshape(*centers.shape[:-1], size * size)

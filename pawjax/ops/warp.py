"""Affine maps and resampling, for images and points alike. Pixel centres lie at whole numbers; points are (x, y).

An affine map is a float32 matrix [..., 2, 3]: q = M[:, :2] p + M[:, 2].
"""

import jax
import jax.numpy as jnp


def apply_affine(matrix: jax.Array, points: jax.Array) -> jax.Array:
    """Maps points [..., K, 2] by matrices [..., 2, 3] that share the leading axes."""
    return jnp.einsum("...ij,...kj->...ki", matrix[..., :2], points) + matrix[..., None, :, 2]


def compose_affine(outer: jax.Array, inner: jax.Array) -> jax.Array:
    """The map that applies `inner` first, then `outer`; both [..., 2, 3]."""
    linear = outer[..., :2] @ inner[..., :2]
    shift = jnp.einsum("...ij,...j->...i", outer[..., :2], inner[..., 2]) + outer[..., 2]
    return jnp.concatenate([linear, shift[..., None]], axis=-1)


def invert_affine(matrix: jax.Array) -> jax.Array:
    """The inverse map of [..., 2, 3], in closed form."""
    (a, b), (c, d) = (
        (matrix[..., 0, 0], matrix[..., 0, 1]),
        (matrix[..., 1, 0], matrix[..., 1, 1]),
    )
    linear = jnp.stack([jnp.stack([d, -b], -1), jnp.stack([-c, a], -1)], -2) / (a * d - b * c)[..., None, None]
    shift = -jnp.einsum("...ij,...j->...i", linear, matrix[..., 2])
    return jnp.concatenate([linear, shift[..., None]], axis=-1)


def resize_affine(original: tuple[int, int], resized: tuple[int, int]) -> jax.Array:
    """The map of a resize between (height, width) sizes: x -> (x + 0.5) s - 0.5 on each axis. [2, 3]."""
    sx, sy = resized[1] / original[1], resized[0] / original[0]
    return jnp.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5]], jnp.float32)


def resize(images: jax.Array, height: int, width: int) -> jax.Array:
    """Anti-aliased linear resize of uint8 images [B, H, W, C] to [B, height, width, C]; see `resize_affine`."""
    if images.shape[1:3] == (height, width):
        return images
    shape = (images.shape[0], height, width, images.shape[3])
    smooth = jax.image.resize(images.astype(jnp.float32), shape, "linear", antialias=True)
    return jnp.round(smooth).astype(jnp.uint8)


def sample_bilinear(image: jax.Array, points: jax.Array) -> jax.Array:
    """Samples one image bilinearly at points; zero outside it.

    Args:
      image: [H, W, C], any dtype.
      points: float32 [..., 2], (x, y) in pixels of the image.

    Returns:
      float32 [..., C]; the value fades to zero over one pixel outside the border.
    """
    height, width, channels = image.shape
    padded = jnp.pad(image, ((1, 1), (1, 1), (0, 0))).reshape((height + 2) * (width + 2), channels)
    x = jnp.clip(points[..., 0] + 1, 0.0, width + 1.0)
    y = jnp.clip(points[..., 1] + 1, 0.0, height + 1.0)
    column = jnp.minimum(x.astype(jnp.int32), width)
    row = jnp.minimum(y.astype(jnp.int32), height)
    fx, fy = (x - column)[..., None], (y - row)[..., None]
    corner = row * (width + 2) + column

    def take(offset: int) -> jax.Array:
        return jnp.take(padded, corner + offset, axis=0, mode="clip").astype(jnp.float32)

    top = take(0) * (1 - fx) + take(1) * fx
    bottom = take(width + 2) * (1 - fx) + take(width + 3) * fx
    return top * (1 - fy) + bottom * fy


def warp(image: jax.Array, to_source: jax.Array, height: int, width: int) -> jax.Array:
    """Resamples an image [H, W, C] by an affine map: out(p) = image(to_source(p)).

    Args:
      to_source: [2, 3], from pixels of the output to pixels of `image`.

    Returns:
      float32 [height, width, C], zero where the source has no pixel.
    """
    x, y = jnp.meshgrid(jnp.arange(width, dtype=jnp.float32), jnp.arange(height, dtype=jnp.float32), indexing="xy")
    m = to_source
    source_x = m[0, 0] * x + m[0, 1] * y + m[0, 2]
    source_y = m[1, 0] * x + m[1, 1] * y + m[1, 2]
    return sample_bilinear(image, jnp.stack([source_x, source_y], axis=-1))

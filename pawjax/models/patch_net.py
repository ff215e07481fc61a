"""A linear classifier of the patch around every pixel, as one convolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import Convolution

MEAN, STD = 0.5, 0.25  # of grey levels in 0..1


class PatchNet(nn.Module):
    """Logits of the patch around each pixel; beyond the border it reads mean grey.

    Attributes:
      n_keypoints: K, the number of bodyparts.
      size: side of a patch in pixels, odd.
      dtype: of the arithmetic.
    """

    n_keypoints: int
    size: int = 17
    dtype: jnp.dtype = jnp.float32

    def features(self, images: jax.Array) -> jax.Array:
        """Images [B, H, W, C] in 0..255 -> [B, H, W]: their standardised grey levels, of which patches are cut."""
        grey = images.astype(jnp.float32).mean(-1) / 255
        return ((grey - MEAN) / STD).astype(self.dtype)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """uint8 [B, H, W, C] -> float32 [B, H, W, K]. `train` has no effect."""
        layer = Convolution(self.n_keypoints, self.size, kernel_init=nn.initializers.zeros, name="scoremap")
        return layer(self.features(images)[..., None]).astype(jnp.float32)

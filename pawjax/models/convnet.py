"""A plain convolutional network: the least that learns its own features, between a linear model and a ResNet."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import ConvNorm, standardize

CHANNELS = (1, 2, 4, 8, 8)  # per stage, in units of the first's
LAYERS = 2  # per stage
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in 0..1


class ConvNet(nn.Module):
    """Stages of two 3x3 convolutions, normalised, with ReLUs; the first of each has stride 2.

    Attributes:
      stem_channels: of the first stage; later ones have 2, 4, 8 and 8 times as many.
      norm, axis_name: see `ConvNorm`.
      output_stride: of the last stage: 16, or 32 with one stage more.
      dtype: of the arithmetic.
    """

    stem_channels: int = 64
    norm: str = "batch"
    axis_name: str | None = None
    output_stride: int = 16
    dtype: jnp.dtype = jnp.float32

    @property
    def image_multiple(self) -> int:
        """The sides of images must be multiples of it."""
        return self.output_stride

    def cell_center(self, stride: int) -> float:
        """The pixel, on both axes, that cell (0, 0) of the map of this stride is centred on."""
        return 0.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> tuple[dict[int, jax.Array], dict[str, jax.Array]]:
        """Images [B, H, W, 1 or 3] in 0..255 -> {stride: last features of this stride}, and nothing further.

        Sizes are rounded up. Strides are 2, 4, 8, 16 and, at output stride 32, 32.
        """
        common = dict(norm=self.norm, axis_name=self.axis_name)
        x, features, stride = standardize(images, MEAN, STD, self.dtype), {}, 1
        for stage, channels in enumerate(CHANNELS, start=1):
            if stride == self.output_stride:
                break
            stride *= 2
            for layer in range(1, LAYERS + 1):
                step = 2 if layer == 1 else 1
                name = f"stage{stage}_conv{layer}"
                x = ConvNorm(self.stem_channels * channels, 3, step, name=name, **common)(x, train)
            features[stride] = x
        return features, {}

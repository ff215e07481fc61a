"""VGG-16's convolutions as a dense feature extractor (Simonyan and Zisserman 2014)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import Convolution, standardize
from pawjax.ops.pooling import max_pool_2x2

BLOCKS = (2, 2, 3, 3, 3)  # convolutions per block
CHANNELS = (1, 2, 4, 8, 8)  # per block, in units of the stem's
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, of RGB in 0..1


class VGG16(nn.Module):
    """conv1_1 to conv5_3, a 2x2 pool after each of blocks 1 to 4, none after the last: output stride 16.

    Attributes:
      stem_channels: of block 1; blocks 2 to 5 have 2, 4, 8 and 8 times as many. 64 in the paper.
      dtype: of the arithmetic.
    """

    stem_channels: int = 64
    dtype: jnp.dtype = jnp.float32

    image_multiple = 16

    def cell_center(self, stride: int) -> float:
        """The pixel, on both axes, that cell (0, 0) of the map of this stride is centred on."""
        return (stride - 1) / 2

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> tuple[dict[int, jax.Array], dict[str, jax.Array]]:
        """Images [B, H, W, 1 or 3] in 0..255 -> {stride: the last features of this stride}, and nothing further.

        Sizes are rounded down; strides are 1, 2, 4, 8 and 16. `train` has no effect: there is no normalisation.
        """
        x = standardize(images, MEAN, STD, self.dtype)
        features, init = {}, nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        for block, (layers, channels) in enumerate(zip(BLOCKS, CHANNELS, strict=True), start=1):
            x = x if block == 1 else max_pool_2x2(x)
            for layer in range(1, layers + 1):
                name = f"conv{block}_{layer}"
                x = Convolution(self.stem_channels * channels, 3, init, name=name)(x, relu=True)
            features[2 ** (block - 1)] = x
        return features, {}

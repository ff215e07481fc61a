"""VGG-16 as Faster R-CNN uses it (Simonyan and Zisserman 2014; Ren et al. 2015): convolutions, and the box head.

Arrays are [B, H, W, C]; parameters are float32, cast to the input's type for the arithmetic.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import Convolution
from pawjax.ops.chains import Parts, whole
from pawjax.ops.dense import dot_general
from pawjax.ops.pooling import max_pool_2x2

BLOCKS = (2, 2, 3, 3, 3)  # convolutions of each
CHANNELS = (1, 2, 4, 8, 8)  # of each block, in units of the width


class VGG16(nn.Module):
    """conv1_1 to conv5_3, a 2x2 pool behind each of the blocks 1 to 4, none behind the last: output stride 16.

    Attributes:
      width: channels of block 1; blocks 2 to 5 have 2, 4, 8 and 8 times as many. 64 in the paper.
    """

    width: int = 64

    @nn.compact
    def __call__(self, x: Parts) -> tuple[Parts, dict[str, Parts]]:
        """Normalised RGB [B, H, W, 3] -> features [B, H/16, W/16, 8 width] (rounded down) and each layer's output.

        The dictionary's keys are 'conv{b}_{i}', both counted from 1; block b is at stride 2^(b - 1). The centre of
        feature cell (i, j) is pixel (16i + 7.5, 16j + 7.5).
        """
        outputs, init = {}, nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        for block, (layers, channels) in enumerate(zip(BLOCKS, CHANNELS, strict=True), start=1):
            x = x if block == 1 else jax.tree.map(max_pool_2x2, x)
            x = whole(x) if block == 5 else x  # its kernels are large, its map is small
            for layer in range(1, layers + 1):
                name = f"conv{block}_{layer}"
                x = outputs[name] = jax.tree.map(nn.relu, Convolution(self.width * channels, 3, init, name=name)(x))
        return x, outputs


class BoxHead(nn.Module):
    """fc6 and fc7, each with a ReLU: the features of a region from its pooled map.

    A map is flattened in the order rows, columns, channels; `pawjax.weights.vgg` puts torchvision's rows (channels
    first) in this order.

    Attributes:
      features: of both layers; 4096 in the paper, 1024 in torchvision's detectors on finer maps.
      dropout: share of each layer's outputs that is dropped in training; 0.5 in the paper.
      kernel_init: of both layers.
    """

    features: int = 4096
    dropout: float = 0.0
    kernel_init: nn.initializers.Initializer = nn.initializers.normal(0.01)

    @nn.compact
    def __call__(self, x: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """[N, 7, 7, C] -> [N, features].

        In training `keys` [B] are those of the images, each with N / B regions in turn: what is dropped then does not
        depend on how a batch is cut.
        """
        x = x.reshape(len(x), -1)
        for layer, name in enumerate(("fc6", "fc7")):
            options = dict(dtype=x.dtype, kernel_init=self.kernel_init, dot_general=dot_general, name=name)
            x = nn.relu(nn.Dense(self.features, **options)(x))
            if self.dropout and keys is not None:
                x = drop(x, jax.vmap(jax.random.fold_in, (0, None))(keys, layer), self.dropout)
        return x


def drop(x: jax.Array, keys: jax.Array, share: float) -> jax.Array:
    """Zeros in place of a share of x [N, C], and the rest larger for it; each of the keys [B] draws for N / B rows."""
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - share, (len(x) // len(keys), x.shape[1])))(keys)
    return jnp.where(kept.reshape(x.shape), x / (1 - share), 0)

"""Faster R-CNN's heads, which compute features of regions: two dense layers, or a ResNet's fourth block (C4).

Both take the whole map and `crop`, which crops regions from a map: `crop(x, step=1)` [B, h, w, C] -> [N, side / step,
side / step, C], every step-th cell of each of the N regions.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import ConvNorm
from pawjax.models.resnet import EXPANSION, UNITS, Bottleneck
from pawjax.ops.dense import dot_general
from pawjax.ops.residual import add_relu

Crop = Callable[..., jax.Array]


class DenseHead(nn.Module):
    """fc6 and fc7, each with a ReLU, on regions of 7 x 7 cells.

    A region is flattened in the order rows, columns, channels; `pawjax.weights.vgg` reorders torchvision's rows
    (channels first).

    Attributes:
      features: outputs of both layers; 4096 in the paper, 1024 in torchvision's detectors on finer maps.
      dropout: share of each layer's outputs dropped in training; 0.5 in the paper.
      kernel_init: of both layers.
    """

    side = 7
    bytes_per_region = 2**11  # of intermediate results

    features: int = 4096
    dropout: float = 0.0
    kernel_init: nn.initializers.Initializer = nn.initializers.normal(0.01)

    @nn.compact
    def __call__(self, x: jax.Array, crop: Crop, train: bool, keys: jax.Array | None = None) -> jax.Array:
        """[B, h, w, C] -> [N, features]. `train` has no effect without `keys`.

        In training, `keys` [B] are one per image, each for N / B consecutive regions: dropout then does not depend on
        what else is in the batch.
        """
        x = crop(x)
        x = x.reshape(x.shape[0], -1)
        for layer, name in enumerate(("fc6", "fc7")):
            options = dict(dtype=x.dtype, kernel_init=self.kernel_init, dot_general=dot_general, name=name)
            x = nn.relu(nn.Dense(self.features, **options)(x))
            if self.dropout and keys is not None:
                x = dropout_by_image(x, jax.vmap(jax.random.fold_in, (0, None))(keys, layer), self.dropout)
        return x


def dropout_by_image(x: jax.Array, keys: jax.Array, share: float) -> jax.Array:
    """Zeros a share of x [N, C] and scales up the rest; each of the keys [B] draws for N / B rows."""
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - share, (len(x) // len(keys), x.shape[1])))(keys)
    return jnp.where(kept.reshape(x.shape), x / (1 - share), 0)


class BlockHead(nn.Module):
    """A ResNet's fourth block on regions of 14 x 14 cells, with stride 2 in its first unit, then the mean over cells.

    Attributes:
      depth, stem_channels, norm, axis_name: of the ResNet.
      linear: whether `crop` is linear: the first unit's 1x1 convolutions then run on the whole map.
    """

    side = 14
    bytes_per_region = 2**21

    depth: int
    stem_channels: int
    norm: str
    linear: bool
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, crop: Crop, train: bool, keys: jax.Array | None = None) -> jax.Array:
        """[B, h, w, 16 stem_channels] -> [N, 32 stem_channels]. `keys` have no effect."""
        channels, common = 8 * self.stem_channels, dict(norm=self.norm, axis_name=self.axis_name)
        if self.linear:
            x = FirstUnit(channels, name="block4_unit1", **common)(x, crop, train)
        else:
            x = Bottleneck(channels, 2, project=True, name="block4_unit1", **common)(crop(x), train)
        for unit in range(2, UNITS[self.depth][3] + 1):
            x = Bottleneck(channels, name=f"block4_unit{unit}", **common)(x, train)
        return x.mean(axis=(1, 2))


class FirstUnit(nn.Module):
    """A `Bottleneck` of stride 2 that crops regions between its 1x1 convolutions and their normalisation.

    Equal to cropping first if the crop is linear and mixes no channels, and far less work: a map has fewer cells than
    all of its regions together.
    """

    channels: int
    norm: str
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, crop: Crop, train: bool) -> jax.Array:
        """[B, h, w, I] -> [N, side / 2, side / 2, 4 channels]."""
        common, wide = dict(norm=self.norm, axis_name=self.axis_name), self.channels * EXPANSION
        y = ConvNorm(self.channels, name="conv1", **common)(x, train, between=crop)
        y = ConvNorm(self.channels, 3, 2, name="conv2", **common)(y, train)
        y = ConvNorm(wide, scale_init=nn.initializers.zeros, name="conv3", **common)(y, train, relu=False)
        x = ConvNorm(wide, name="shortcut", **common)(x, train, relu=False, between=partial(crop, step=2))
        return add_relu(x, y)

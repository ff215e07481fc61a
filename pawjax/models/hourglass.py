"""Stacked hourglass network (Newell, Yang and Deng 2016): pooled down and brought up again, several times over.

Other than in the paper, convolutions before a normalisation have no bias, which it would subtract.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import ConvNorm, Convolution, NormRelu, standardize
from pawjax.ops.pooling import max_pool_2x2, repeat_2x2
from pawjax.ops.residual import add, fork

BLOCKS = ("residual", "plain")
STRIDES = (4, 2, 1)
MOST_STACKS = 8
WIDTH = 4  # channels of the maps per channel of the stem
MEAN, STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # of RGB in 0..1

KERNELS = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


class Residual(nn.Module):
    """Pre-activation bottleneck: normalisation, ReLU and convolution, 1x1, 3x3 and 1x1, added to the input.

    Attributes:
      channels: of the output; the bottleneck has half as many.
      norm, axis_name: see `ConvNorm`.
    """

    channels: int
    norm: str = "batch"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, I] -> [B, H, W, channels]."""
        common, narrow = dict(norm=self.norm, axis_name=self.axis_name), self.channels // 2
        inputs = x.shape[-1]
        x, y = fork(x)
        y = NormRelu(name="norm", **common)(y, train)
        y = ConvNorm(narrow, name="conv1", **common)(y, train)  # with the next normalisation and ReLU
        y = ConvNorm(narrow, 3, name="conv2", **common)(y, train)
        y = Convolution(self.channels, kernel_init=KERNELS, name="conv3")(y)
        if inputs != self.channels:
            x = Convolution(self.channels, kernel_init=KERNELS, name="shortcut")(x)
        return add(x, y)


class Hourglass(nn.Module):
    """Pools `levels` times; on the way up, each level adds what it had before its pool.

    Attributes:
      channels: of the input, the output, and each level below the first.
      block, norm, axis_name, remat: see `StackedHourglass`.
    """

    channels: tuple[int, ...]
    block: str = "residual"
    norm: str = "batch"
    axis_name: str | None = None
    remat: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, channels[0]] -> the same shape; H and W are multiples of 2^levels."""
        make = block_of(self.block, self.norm, self.axis_name, self.remat)
        skipped = []
        for level, (outer, inner) in enumerate(zip(self.channels[:-1], self.channels[1:], strict=True), start=1):
            x, y = fork(x)
            skipped.append(make(outer, name=f"level{level}_skip")(y, train))
            x = make(inner, name=f"level{level}_down")(max_pool_2x2(x), train)
        x = make(self.channels[-1], name="bottom")(x, train)
        for level in range(len(skipped), 0, -1):
            x = make(self.channels[level - 1], name=f"level{level}_up")(x, train)
            x = add(skipped[level - 1], repeat_2x2(x))
        return x


class StackedHourglass(nn.Module):
    """Images in, one set of score maps from every hourglass out.

    Attributes:
      n_keypoints: K, the number of bodyparts.
      stacks: hourglasses, one after another.
      levels: poolings of each.
      stride: pixels from cell to cell of the maps: 4, 2 or 1.
      stem_channels: of the first layer; the hourglasses have four times as many, 256 in the paper.
      growth: channels that each level has more than the one above, as a share of the first level's.
      block: 'residual', or 'plain' for a 3x3 convolution, normalised, with a ReLU.
      reinject: whether each hourglass reads the score maps of the one before, besides its features.
      score_bias: initial bias of the score maps; -4 starts a sigmoid at 2 %.
      norm, axis_name: see `ConvNorm`.
      remat: checkpoint each block: keep its input, recompute the rest in the backward pass.
      dtype: of the arithmetic.
    """

    n_keypoints: int
    stacks: int = 2
    levels: int = 4
    stride: int = 4
    stem_channels: int = 64
    growth: float = 0.0
    block: str = "residual"
    reinject: bool = True
    score_bias: float = 0.0
    norm: str = "batch"
    axis_name: str | None = None
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    @property
    def image_multiple(self) -> int:
        """The sides of images must be multiples of it."""
        return self.stride * 2**self.levels

    @property
    def center(self) -> float:
        """The pixel, on both axes, that cell (0, 0) of the maps is centred on: the pool joins pixels 0 and 2."""
        return 1.0 if self.stride == 4 else 0.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
        """uint8 [B, H, W, 1 or 3] -> float32 {'scoremap1': [B, H / stride, W / stride, K], ...}, raw, of each stack."""
        common = dict(norm=self.norm, axis_name=self.axis_name)
        make = block_of(self.block, remat=self.remat, **common)
        width = WIDTH * self.stem_channels
        convolution = partial(Convolution, kernel_init=KERNELS)
        channels = tuple(round(width * (1 + level * self.growth)) for level in range(self.levels + 1))
        x = standardize(images, MEAN, STD, self.dtype)
        x = ConvNorm(self.stem_channels, 7, 1 if self.stride == 1 else 2, name="stem", **common)(x, train)
        x = make(width // 2, name="stem1")(x, train)
        x = max_pool_2x2(x) if self.stride == 4 else x
        x = make(width // 2, name="stem2")(x, train)
        x = make(width, name="stem3")(x, train)
        maps = {}
        for stack in range(1, self.stacks + 1):
            x, y = fork(x)
            y = Hourglass(channels, self.block, remat=self.remat, name=f"hourglass{stack}", **common)(y, train)
            y = make(width, name=f"features{stack}")(y, train)
            y = ConvNorm(width, name=f"linear{stack}", **common)(y, train)
            y, z = fork(y)
            scores = Convolution(self.n_keypoints, bias_init=self.score_bias, name=f"scoremap{stack}")(z)
            maps[f"scoremap{stack}"] = scores.astype(jnp.float32)
            if stack < self.stacks:
                x = add(x, convolution(width, name=f"merge{stack}")(y))
                if self.reinject:
                    x = add(x, convolution(width, name=f"reinject{stack}")(scores))
        return maps


def block_of(block: str, norm: str, axis_name: str | None, remat: bool) -> partial:
    """The constructor of a block, of its channels and `name`."""
    kind, options = (Residual, {}) if block == "residual" else (ConvNorm, {"size": 3})
    kind = nn.remat(kind, static_argnums=(2,)) if remat else kind
    return partial(kind, norm=norm, axis_name=axis_name, **options)

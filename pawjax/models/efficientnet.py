"""EfficientNet-Lite as a dense feature extractor (Tan and Le 2019; the Lite versions, TensorFlow 2020).

Mobile inverted bottlenecks (MobileNetV2) with ReLU6 and without squeeze-and-excitation. Unlike EfficientNet's, the stem
does not grow with the size of the network, nor do the repeats of the first and last stage. The classifier and the layer
before it, which published weights hold too, are left out.
"""

import math
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import ConvNorm, standardize
from pawjax.ops.residual import add, fork

SIZES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}  # factors of width and depth
STEM = 32
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # of RGB in 0..1
EPSILON, MOMENTUM = 1e-3, 0.99  # of batch norm
LiteConv = partial(ConvNorm, same_padding=True, momentum=MOMENTUM, ceiling=6.0)


class Stage(NamedTuple):
    """A row of the published table: blocks that share all but the first one's stride and input."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class InvertedBottleneck(nn.Module):
    """1x1 expand, depthwise, 1x1 project without an activation; added to the input where their shapes agree.

    Attributes:
      channels: of the output.
      expansion: channels of the depthwise convolution per channel of the input; without an expansion if 1.
      kernel, stride, dilation: of the depthwise convolution.
      norm, epsilon, axis_name: see `ConvNorm`.
    """

    channels: int
    expansion: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    norm: str = "batch"
    epsilon: float = EPSILON
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, I] -> [B, ceil(H / stride), ceil(W / stride), channels]."""
        common = dict(norm=self.norm, epsilon=self.epsilon, axis_name=self.axis_name)
        inputs, wide = x.shape[-1], x.shape[-1] * self.expansion
        adds = self.stride == 1 and inputs == self.channels
        x, y = fork(x) if adds else (x, x)
        if self.expansion > 1:
            y = LiteConv(wide, name="expand", **common)(y, train)
        geometry = (self.kernel, self.stride, self.dilation)
        y = LiteConv(wide, *geometry, depthwise=True, name="depthwise", **common)(y, train)
        y = LiteConv(self.channels, name="project", **common)(y, train, relu=False)
        return add(x, y) if adds else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 to -Lite4 without the classifier; see `pawjax.models.backbones`.

    Cells lie as TensorFlow's SAME padding puts them: each stride of 2 on an even size moves the first cell's centre
    by one pixel of its input. The published weights are trained on images of even sizes.

    Attributes:
      size: a key of `SIZES`.
      stem_channels: 64 for the published widths, of which the stem's is half as many; fewer make all layers narrower.
      norm, epsilon: see `ConvNorm`.
      axis_name: mapped axis for batch statistics.
      remat: checkpoint each block: keep its input, recompute the rest in the backward pass.
      output_stride: of the last two stages: 16 (dilated) or 32 (strided).
      dtype: of the arithmetic.
    """

    size: int = 0
    stem_channels: int = 64
    norm: str = "batch"
    epsilon: float = EPSILON
    axis_name: str | None = None
    remat: bool = False
    output_stride: int = 16
    dtype: jnp.dtype = jnp.float32

    @property
    def image_multiple(self) -> int:
        """The sides of images must be multiples of it."""
        return self.output_stride

    def cell_center(self, stride: int) -> float:
        """The pixel, on both axes, that cell (0, 0) of the map of this stride is centred on."""
        return stride - 1.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> tuple[dict[int, jax.Array], dict[str, jax.Array]]:
        """Images [B, H, W, 1 or 3] in 0..255 -> {stride: last features of this stride}, and nothing further.

        Sizes are rounded up. Strides are 2, 4, 8, 16 and, at output stride 32, 32.
        """
        common = dict(norm=self.norm, epsilon=self.epsilon, axis_name=self.axis_name)
        block_type = nn.remat(InvertedBottleneck, static_argnums=(2,)) if self.remat else InvertedBottleneck
        x = standardize(images, MEAN, STD, self.dtype)
        x = LiteConv(rounded(STEM * self.stem_channels / 64), 3, 2, name="stem", **common)(x, train)
        features, stride, dilation, name = {}, 2, 1, 0
        for stage, repeats, channels in stages_of(self.size, self.stem_channels):
            for repeat in range(repeats):
                step, name = stage.stride if repeat == 0 else 1, name + 1
                strided = stride * step <= self.output_stride
                x = block_type(
                    channels,
                    stage.expansion,
                    stage.kernel,
                    stride=step if strided else 1,
                    dilation=dilation,
                    name=f"block{name}",
                    **common,
                )(x, train)
                stride, dilation = (stride * step, dilation) if strided else (stride, dilation * step)
                features[stride] = x
        return features, {}


def stages_of(size: int, stem_channels: int = 64) -> list[tuple[Stage, int, int]]:
    """Every stage of a network of this size, with its number of blocks and its channels."""
    width, depth = SIZES[size]
    last = len(STAGES) - 1
    return [
        (
            stage,
            stage.repeats if index in (0, last) else math.ceil(stage.repeats * depth),
            rounded(stage.channels * width * stem_channels / 64),
        )
        for index, stage in enumerate(STAGES)
    ]


def rounded(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and at least 90 % of `channels`."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest

"""Residual networks as dense feature extractors (He et al. 2015, bottleneck form).

At output stride 16 the last block keeps its resolution and is dilated instead. Published parameters have the same
shapes in all variants, but work only in the geometry of the variant they were trained in.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import ConvNorm, standardize
from pawjax.ops.pooling import max_pool_3x3_stride2, subsample
from pawjax.ops.residual import add_relu, fork

UNITS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4


@dataclasses.dataclass(frozen=True)
class Variant:
    """What differs between published ResNets of the same shapes.

    Attributes:
      strided: blocks with a unit of stride 2 (in its 3x3 convolution) at output stride 32; at 16 the last has none.
      strided_last: whether that unit is the block's last, with its identity subsampled, or its first.
      dilated_from: first unit of block 4 whose 3x3 convolution is dilated by 2 at output stride 16, counted from 1.
      same_pool: whether the stem pools with TensorFlow's SAME padding.
      mean, std: of RGB in 0..1; the input is (RGB - mean) / std.
    """

    strided: tuple[int, int, int]
    strided_last: bool
    dilated_from: int
    same_pool: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


VARIANTS = {
    # v1.5: torchvision with `replace_stride_with_dilation=[False, False, True]`, timm with `output_stride=16`.
    "torchvision": Variant(
        strided=(2, 3, 4),
        strided_last=False,
        dilated_from=2,
        same_pool=False,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    # TF-slim's `resnet_v1` with `output_stride=16`, as in DeepLabCut's TensorFlow engine: 0..255 minus the mean.
    "slim": Variant(
        strided=(1, 2, 3),
        strided_last=True,
        dilated_from=1,
        same_pool=True,
        mean=(123.68 / 255, 116.779 / 255, 103.939 / 255),
        std=(1 / 255, 1 / 255, 1 / 255),
    ),
}


def unit_names(depth: int) -> list[str]:
    """The units of a ResNet in order, 'block1_unit1' first."""
    return [f"block{b}_unit{u}" for b, units in enumerate(UNITS[depth], start=1) for u in range(1, units + 1)]


class Bottleneck(nn.Module):
    """1x1 reduce, 3x3, 1x1 expand, added to the input (projected by `shortcut` where shapes differ).

    Attributes:
      channels: of the 3x3 convolution; the output has four times as many.
    """

    channels: int
    stride: int = 1
    dilation: int = 1
    project: bool = False
    norm: str = "batch"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, I] -> [B, ceil(H / stride), ceil(W / stride), 4 channels]."""
        common, wide = dict(norm=self.norm, axis_name=self.axis_name), self.channels * EXPANSION
        x, y = fork(x)
        y = ConvNorm(self.channels, name="conv1", **common)(y, train)
        y = ConvNorm(self.channels, 3, self.stride, self.dilation, name="conv2", **common)(y, train)
        y = ConvNorm(wide, scale_init=nn.initializers.zeros, name="conv3", **common)(y, train, relu=False)
        if self.project:
            x = ConvNorm(wide, 1, self.stride, name="shortcut", **common)(x, train, relu=False)
        elif self.stride > 1:
            x = subsample(x, self.stride)
        return add_relu(x, y)


class ResNet(nn.Module):
    """ResNet-26 (timm's), -50, -101 or -152 without its classifier; see `pawjax.models.backbones`.

    Attributes:
      depth: a key of `UNITS`.
      stem_channels: of the stem and of block 1's bottleneck; every later block doubles them. 64 in the paper.
      norm: see `ConvNorm`.
      axis_name: mapped axis for batch statistics.
      variant: a key of `VARIANTS`.
      remat: checkpoint each unit: keep its input, recompute the rest in the backward pass.
      blocks: number of blocks, up to four; 3 ends at the literature's conv4 (C4).
      output_stride: of block 4: 16 (dilated) or 32 (strided).
      taps: units whose outputs are returned too, such as 'block3_unit12'.
      dtype: of the arithmetic.
    """

    depth: int = 50
    stem_channels: int = 64
    norm: str = "batch"
    axis_name: str | None = None
    variant: str = "torchvision"
    remat: bool = False
    blocks: int = 4
    output_stride: int = 16
    taps: tuple[str, ...] = ()
    dtype: jnp.dtype = jnp.float32

    image_multiple = 16

    def cell_center(self, stride: int) -> float:
        """The pixel, on both axes, that cell (0, 0) of the map of this stride is centred on."""
        return 2.0 if VARIANTS[self.variant].same_pool else 0.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> tuple[dict[int, jax.Array], dict[str, jax.Array]]:
        """Images [B, H, W, 1 or 3] in 0..255 -> {stride: last features of this stride}, and {unit: output} of `taps`.

        Sizes are rounded up. Blocks 1 to 4 are the literature's conv2 to conv5; strides are 4, 8, 16 and, at output
        stride 32, 32.
        """
        common, variant = dict(norm=self.norm, axis_name=self.axis_name), VARIANTS[self.variant]
        dense = self.output_stride == 16
        strided_blocks = variant.strided[:2] if dense else variant.strided
        unit_type = nn.remat(Bottleneck, static_argnums=(2,)) if self.remat else Bottleneck
        x = standardize(images, variant.mean, variant.std, self.dtype)
        x = ConvNorm(self.stem_channels, 7, 2, name="stem", **common)(x, train)
        x = _pool(x, variant.same_pool)
        features, outputs, stride = {4: x}, {}, 4
        for block, n_units in enumerate(UNITS[self.depth][: self.blocks], start=1):
            strided_unit = n_units if variant.strided_last else 1
            for unit in range(1, n_units + 1):
                step = 2 if block in strided_blocks and unit == strided_unit else 1
                name, stride = f"block{block}_unit{unit}", stride * step
                x = unit_type(
                    self.stem_channels * 2 ** (block - 1),
                    stride=step,
                    dilation=2 if dense and block == 4 and unit >= variant.dilated_from else 1,
                    project=unit == 1,
                    name=name,
                    **common,
                )(x, train)
                features[stride] = x
                if name in self.taps:
                    outputs[name] = x
        return features, outputs


def _pool(x: jax.Array, same: bool) -> jax.Array:
    """The stem's pool, padded by one on each side; with `same`, as in TensorFlow, an even size only at its end."""
    above, left = (0 if same and size % 2 == 0 else 1 for size in x.shape[1:3])
    return max_pool_3x3_stride2(x, rows=(above, 1), columns=(left, 1))

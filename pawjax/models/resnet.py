"""Residual networks as dense feature extractors (He et al. 2015, bottleneck form).

At output stride 16 the last block keeps its resolution and is dilated instead. The parameters of the published networks
have the same shapes everywhere, but mean what they were trained for only in the geometry of their own lineage.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax

from pawjax.models.layers import ConvNorm
from pawjax.ops.chains import Parts, over_rows, whole
from pawjax.ops.pooling import max_pool_3x3_stride2
from pawjax.ops.residual import add_relu

UNITS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4


@dataclasses.dataclass(frozen=True)
class Lineage:
    """What differs between published ResNets of one shape.

    Attributes:
      strided: blocks with a unit of stride 2, on its 3x3 convolution, at output stride 32; at 16 the last is without.
      strided_last: whether that is the block's last unit, its identity subsampled, or the first.
      dilated_from: unit of block 4 from which on the 3x3 convolutions are dilated by 2 at output stride 16, from 1.
      same_pool: whether the stem pools with TensorFlow's SAME padding.
      mean, std: of RGB in 0..1; the input is (RGB - mean) / std.
    """

    strided: tuple[int, int, int]
    strided_last: bool
    dilated_from: int
    same_pool: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


LINEAGES = {
    # v1.5: torchvision with `replace_stride_with_dilation=[False, False, True]`, timm with `output_stride=16`.
    "torchvision": Lineage(
        strided=(2, 3, 4),
        strided_last=False,
        dilated_from=2,
        same_pool=False,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    # TF-slim's `resnet_v1` with `output_stride=16`, of DeepLabCut's TensorFlow engine: 0..255 minus the mean.
    "slim": Lineage(
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
    """1x1 reduce, 3x3, 1x1 expand, added to the input (projected by `shortcut` where shapes differ)."""

    width: int
    stride: int = 1
    dilation: int = 1
    project: bool = False
    norm: str = "batch"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Parts, train: bool, cut: Callable[[jax.Array, int], jax.Array] | None = None) -> Parts:
        """[B, H, W, I] -> [B, ceil(H / stride), ceil(W / stride), 4 width].

        `cut(x, step)` makes regions of a map, every step-th cell of them: the unit then works on these. The 1x1
        convolutions come before it, on far fewer cells: a cut that mixes no channels and is linear lets them.
        """
        common = dict(norm=self.norm, axis_name=self.axis_name)
        y = ConvNorm(self.width, name="conv1", **common)(x, train, then=cut and partial(cut, step=1))
        y = ConvNorm(self.width, 3, self.stride, self.dilation, name="conv2", **common)(y, train)
        y = ConvNorm(self.width * EXPANSION, scale_init=nn.initializers.zeros, name="conv3", **common)(
            y, train, relu=False
        )
        if self.project:
            stride = 1 if cut else self.stride  # the cut takes the steps
            shortcut = ConvNorm(self.width * EXPANSION, 1, stride, name="shortcut", **common)
            x = shortcut(x, train, relu=False, then=cut and partial(cut, step=self.stride))
        elif self.stride > 1:
            x = jax.tree.map(lambda x: x[:, :: self.stride, :: self.stride], x)
        return jax.tree.map(add_relu, x, y)


class ResNet(nn.Module):
    """ResNet-26 (timm's), -50, -101 or -152 without its classifier.

    Attributes:
      depth: a key of `UNITS`.
      width: channels of the stem and of block 1's bottleneck; every later block doubles it. 64 in the paper.
      norm: see `ConvNorm`.
      axis_name: mapped axis for batch statistics.
      lineage: a key of `LINEAGES`.
      remat: keep the inputs of the units alone for the backward pass, and work out what is within them again.
      blocks: how many of the four there are; 3 ends at the literature's conv4 (C4).
      output_stride: of block 4: 16, where it is dilated instead, or 32.
    """

    depth: int = 50
    width: int = 64
    norm: str = "batch"
    axis_name: str | None = None
    lineage: str = "torchvision"
    remat: bool = False
    blocks: int = 4
    output_stride: int = 16

    @nn.compact
    def __call__(self, x: Parts, train: bool) -> tuple[Parts, dict[str, Parts]]:
        """Normalised RGB [B, H, W, 3] -> the last block's features and every unit's output, sizes rounded up.

        The dictionary's keys are 'stem' (after pooling, stride 4) and 'block{b}_unit{u}', both counted from 1;
        blocks 1 to 4 are the literature's conv2 to conv5. They end at strides 4, 8, 16 and `output_stride`, in the
        lineage 'slim' at 8, 16 and twice `output_stride`.
        """
        common, lineage = dict(norm=self.norm, axis_name=self.axis_name), LINEAGES[self.lineage]
        dense = self.output_stride == 16
        strided_blocks = lineage.strided[:2] if dense else lineage.strided
        x = ConvNorm(self.width, 7, 2, name="stem", **common)(x, train)
        x = _pool(x, lineage.same_pool)
        outputs = {"stem": x}
        unit_type = nn.remat(Bottleneck, static_argnums=(2,)) if self.remat else Bottleneck
        for block, units in enumerate(UNITS[self.depth][: self.blocks], start=1):
            strided = units if lineage.strided_last else 1
            x = whole(x) if block == 4 else x  # its kernels are large, its map is small
            for unit in range(1, units + 1):
                name = f"block{block}_unit{unit}"
                x = unit_type(
                    self.width * 2 ** (block - 1),
                    stride=2 if block in strided_blocks and unit == strided else 1,
                    dilation=2 if dense and block == 4 and unit >= lineage.dilated_from else 1,
                    project=unit == 1,
                    name=name,
                    **common,
                )(x, train)
                outputs[name] = x
        return x, outputs


def _pool(x: Parts, same: bool) -> Parts:
    """The stem's pool, padded by one on each side; with `same` as TensorFlow does, an even size after its end only."""
    above, left = (0 if same and size % 2 == 0 else 1 for size in jax.tree.leaves(x)[-1].shape[1:3])

    def pool(x: jax.Array, rows: tuple[int, int]) -> jax.Array:
        return max_pool_3x3_stride2(x, rows=rows, columns=(left, 1))

    return over_rows(pool, x, window=3, stride=2, margins=(above, 1))

"""Residual networks as dense feature extractors (He et al. 2015, bottleneck form).

Torchvision's v1.5 layout: stride on the 3x3 convolution of a block's first unit. At output stride 16 the last block
keeps its resolution and its later units are dilated by 2, as torchvision's
`replace_stride_with_dilation=[False, False, True]` and timm's `output_stride=16` do.
"""

import flax.linen as nn
import jax

from pawjax.models.layers import ConvNorm
from pawjax.ops.pooling import max_pool_3x3_stride2

UNITS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4


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
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        common = dict(norm=self.norm, axis_name=self.axis_name)
        y = ConvNorm(self.width, name="conv1", **common)(x, train)
        y = ConvNorm(self.width, 3, self.stride, self.dilation, name="conv2", **common)(y, train)
        y = ConvNorm(self.width * EXPANSION, scale_init=nn.initializers.zeros, name="conv3", **common)(
            y, train, relu=False
        )
        if self.project:
            x = ConvNorm(self.width * EXPANSION, 1, self.stride, name="shortcut", **common)(x, train, relu=False)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """ResNet-26 (timm's), -50, -101 or -152 without its classifier, output stride 16.

    Attributes:
      depth: a key of `UNITS`.
      width: channels of the stem and of block 1's bottleneck; every later block doubles it. 64 in the paper.
      norm: see `ConvNorm`.
      axis_name: mapped axis for batch statistics.
    """

    depth: int = 50
    width: int = 64
    norm: str = "batch"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Normalised RGB [B, H, W, 3] -> features [B, H/16, W/16, 32 width] (rounded up) and every unit's output.

        The dictionary's keys are 'stem' (after pooling, stride 4) and 'block{b}_unit{u}', both counted from 1;
        blocks 1 to 4 are the literature's conv2 to conv5, at strides 4, 8, 16 and 16.
        """
        common = dict(norm=self.norm, axis_name=self.axis_name)
        x = ConvNorm(self.width, 7, 2, name="stem", **common)(x, train)
        x = max_pool_3x3_stride2(x)
        outputs = {"stem": x}
        for block, units in enumerate(UNITS[self.depth], start=1):
            for unit in range(1, units + 1):
                name = f"block{block}_unit{unit}"
                x = Bottleneck(
                    self.width * 2 ** (block - 1),
                    stride=2 if unit == 1 and block in (2, 3) else 1,
                    dilation=2 if unit > 1 and block == 4 else 1,
                    project=unit == 1,
                    name=name,
                    **common,
                )(x, train)
                outputs[name] = x
        return x, outputs

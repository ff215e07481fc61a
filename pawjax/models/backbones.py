"""Backbones: networks that turn images into feature maps, by name.

A backbone is a Flax module called as `backbone(images, train) -> {stride: features}, {name: output}`: images uint8
[B, H, W, 1 or 3], features [B, H / stride, W / stride, C], and the outputs of the layers that its optional field `taps`
names. It standardises its input itself, as its published weights require. It has `cell_center(stride)`, the pixel that
cell (0, 0) of a map is centred on, on both axes. `norm` and `axis_name` are optional fields too, as in
`pawjax.models.layers.ConvNorm`.

A new backbone is a file here and a line in `BACKBONES`.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn

from pawjax.errors import InputError
from pawjax.models.layers import NORMS
from pawjax.models.resnet import UNITS, VARIANTS, ResNet
from pawjax.models.vgg import VGG16
from pawjax.sections import Section

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    **{f"resnet{depth}": partial(ResNet, depth) for depth in UNITS},
    "vgg16": VGG16,
}


@dataclasses.dataclass(frozen=True)
class Model(Section):
    """The backbone of a method's network.

    Attributes:
      backbone: a name in `BACKBONES`: 'resnet26', 'resnet50', 'resnet101', 'resnet152' or 'vgg16'.
      stem_channels: of the first layer, 64 as published; fewer make the whole network narrower.
      norm: 'batch', 'frozen' or 'group', see `pawjax.models.layers.ConvNorm`; VGG-16 has none.
      variant: 'torchvision', or 'slim' for TensorFlow's weights of a ResNet, see `pawjax.models.resnet`.
      remat: recompute activations in the backward pass: less memory, more time.
    """

    section: ClassVar[str] = "model"

    backbone: str = "resnet50"
    stem_channels: int = 64
    norm: str = "batch"
    variant: str = "torchvision"
    remat: bool = False

    def __post_init__(self):
        self.require_choice("backbone", BACKBONES)
        self.require_choice("norm", NORMS)
        self.require_choice("variant", VARIANTS)
        self.require_range("stem_channels", 1, 1024)
        if not self.is_resnet and self.variant != "torchvision":
            raise InputError(
                f"config.model.variant = '{self.variant}' is for ResNets: config.model.backbone = '{self.backbone}' "
                "needs 'torchvision'"
            )

    @property
    def is_resnet(self) -> bool:
        """Whether the backbone is a ResNet."""
        return self.backbone.startswith("resnet")

    @property
    def depth(self) -> int:
        """Layers of a ResNet, a key of `pawjax.models.resnet.UNITS`."""
        return int(self.backbone.removeprefix("resnet"))

    def make(self, dtype: Any, **options: Any) -> nn.Module:
        """The backbone, computing in `dtype`; `options` are further attributes of a ResNet."""
        if self.is_resnet:
            options |= dict(norm=self.norm, variant=self.variant, remat=self.remat)
        return BACKBONES[self.backbone](stem_channels=self.stem_channels, dtype=dtype, **options)

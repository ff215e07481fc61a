"""Backbones: networks that turn images into feature maps, by name.

A backbone is a Flax module called as `backbone(images, train) -> {stride: features}, {name: output}`: images uint8
[B, H, W, 1 or 3], features [B, H / stride, W / stride, C], and the outputs of the layers that its optional field `taps`
names. It standardises its input itself, as its published weights require. It has `cell_center(stride)`, the pixel that
cell (0, 0) of a map is centred on, on both axes, if H and W are multiples of its `image_multiple`. Optional fields
too are `norm`, `epsilon` and `axis_name`, as in `pawjax.models.layers.ConvNorm`, and `output_stride`, that of the
coarsest features: 16, or 32 for a pyramid.

A new backbone is a file here and a line in `BACKBONES`.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn

from pawjax.errors import InputError
from pawjax.models.convnet import ConvNet
from pawjax.models.efficientnet import SIZES, EfficientNetLite
from pawjax.models.layers import NORMS
from pawjax.models.resnet import UNITS, VARIANTS, ResNet
from pawjax.models.vgg import VGG16
from pawjax.sections import Section

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    **{f"resnet{depth}": partial(ResNet, depth) for depth in UNITS},
    "vgg16": VGG16,
    "convnet": ConvNet,
    **{f"efficientnet_lite{size}": partial(EfficientNetLite, size) for size in SIZES},
}


@dataclasses.dataclass(frozen=True)
class Model(Section):
    """The backbone of a method's network.

    Attributes:
      backbone: a name in `BACKBONES`: 'resnet26', 'resnet50', 'resnet101', 'resnet152', 'vgg16',
        'convnet', or 'efficientnet_lite0' to 'efficientnet_lite4'.
      stem_channels: of the first layer, 64 as published; fewer make the whole network narrower. An EfficientNet-Lite's
        first layer has half as many.
      norm: 'batch', 'frozen' or 'group', see `pawjax.models.layers.ConvNorm`; VGG-16 has none. 'frozen' is for layers
        that get statistics with their weights: those of a pyramid, which none are published for, then use 'batch'.
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
    def norm_of_new_layers(self) -> str:
        """The norm of layers that published weights do not have, nor hence statistics to freeze."""
        return "batch" if self.norm == "frozen" else self.norm

    @property
    def is_resnet(self) -> bool:
        """Whether the backbone is a ResNet."""
        return self.backbone.startswith("resnet")

    @property
    def depth(self) -> int:
        """Layers of a ResNet, a key of `pawjax.models.resnet.UNITS`."""
        return int(self.backbone.removeprefix("resnet"))

    def make(self, dtype: Any, **options: Any) -> nn.Module:
        """The backbone, computing in `dtype`; of this section and `options` it takes the fields that it has."""
        options |= {field: getattr(self, field) for field in ("stem_channels", "norm", "variant", "remat")}
        make = BACKBONES[self.backbone]
        fields = getattr(make, "func", make).__dataclass_fields__
        return make(dtype=dtype, **{field: value for field, value in options.items() if field in fields})

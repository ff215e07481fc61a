"""Faster R-CNN's network: a backbone, a region proposal network, and a head that looks at regions (Ren et al. 2015).

Images in, raw scores and deltas out; which regions the head looks at is the method's affair. Boxes are xyxy float32 in
pixels of the images, pixel centres at whole numbers.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from pawjax.models.layers import ConvNorm, Convolution
from pawjax.models.pose_net import standardize
from pawjax.models.resnet import LINEAGES, UNITS, Bottleneck, ResNet
from pawjax.models.vgg import VGG16, BoxHead
from pawjax.ops.anchors import first_center
from pawjax.ops.chains import Parts, whole
from pawjax.ops.conv import on_cpu
from pawjax.ops.roi_align import roi_align
from pawjax.ops.roi_pool import roi_pool

BACKBONES = ("vgg16", "resnet")
MAPS = ("c4", "fine")
POOLS = ("align", "pool")
PADDING = 16  # both sides of an image must be multiples of it


class Detector(nn.Module):
    """Feature map, proposals' scores and deltas, and regions' scores and deltas.

    Attributes:
      n_classes: K, the classes beside the background.
      n_anchors: A, the anchors of a cell.
      backbone_name: 'vgg16', or 'resnet' with the `map`
        'c4': the third block's, stride 16; the fourth is the head, on 14 x 14 cells of each region (He et al. 2015); or
        'fine': the maps of strides 32, 16 and 8 joined at stride 8 as in FPN (Lin et al. 2017); the head is two layers
        on 7 x 7 cells.
      depth, width, norm, axis_name, lineage, remat: of the backbone, see `ResNet`; a VGG has the width alone.
      pool: 'align' (bilinear samples) or 'pool' (maxima of whole cells, as in the paper).
      class_agnostic: one box for all classes of a region instead of one for each.
      dropout: of the VGG's head.
      dtype: of the arithmetic; parameters, statistics and outputs are float32.
    """

    n_classes: int
    n_anchors: int
    backbone_name: str = "resnet"
    map: str = "c4"
    depth: int = 50
    width: int = 64
    norm: str = "batch"
    axis_name: str | None = None
    lineage: str = "torchvision"
    remat: bool = False
    pool: str = "align"
    class_agnostic: bool = False
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @property
    def fine(self) -> bool:
        """Whether the map is the one of stride 8."""
        return self.backbone_name == "resnet" and self.map == "fine"

    @property
    def stride(self) -> int:
        """Pixels from cell to cell of the feature map."""
        return 8 if self.fine else 16

    @property
    def center(self) -> float:
        """The pixel, on both axes, that cell (0, 0) is centred on."""
        same_pool = self.backbone_name == "resnet" and LINEAGES[self.lineage].same_pool
        return first_center(self.backbone_name, self.stride) + (2.0 if same_pool else 0.0)

    @property
    def regions_at_once(self) -> int:
        """How many regions prediction had better show the head together: a ResNet's block makes 2 MB of each."""
        if self.backbone_name == "vgg16" or self.fine:
            return 2**16
        return 64 if on_cpu() else 4096

    def setup(self) -> None:
        common = dict(norm=self.norm, axis_name=self.axis_name)
        if self.backbone_name == "vgg16":
            self.backbone = VGG16(self.width)
            self.box_head = BoxHead(64 * self.width, self.dropout)
        else:
            size = dict(blocks=4, output_stride=32) if self.fine else dict(blocks=3)
            options = dict(lineage=self.lineage, remat=self.remat, **common, **size)
            self.backbone = ResNet(self.depth, self.width, **options)
            if self.fine:
                self.box_head = BoxHead(16 * self.width, kernel_init=nn.initializers.he_normal())
            else:
                self.box_head = BlockHead(self.depth, self.width, linear=self.pool == "align", **common)
        if self.fine:
            self.lateral8, self.lateral16, self.lateral32 = (ConvNorm(4 * self.width, **common) for _ in range(3))
            self.smooth = ConvNorm(4 * self.width, 3, **common)
        self.rpn = ProposalNetwork(self.n_anchors)
        self.class_score = nn.Dense(self.n_classes + 1, kernel_init=nn.initializers.normal(0.01))
        n_boxes = 1 if self.class_agnostic else self.n_classes + 1
        self.class_box = nn.Dense(4 * n_boxes, kernel_init=nn.initializers.normal(0.001))

    def __call__(self, images: jax.Array, rois: jax.Array, train: bool) -> tuple[jax.Array, ...]:
        """All parts in turn: `proposals` of `features`, and `regions` at [B, R, 4] `rois`. Makes every parameter."""
        features = self.features(images, train)
        return *self.proposals(features), *self.regions(features, rois, train)

    def features(self, images: Parts, train: bool) -> jax.Array:
        """uint8 [B, H, W, 1 or 3] or its bands, H and W multiples of 16 -> [B, H / stride, W / stride, C]."""
        x = jax.tree.map(lambda images: standardize(images, self.dtype, self.lineage), images)
        if self.backbone_name == "vgg16":
            return self.backbone(x)[0]
        x, outputs = self.backbone(x, train)
        x = whole(x)
        if not self.fine:
            return x
        total = self.lateral32(x, train, relu=False)
        levels = zip((self.lateral16, self.lateral8), LINEAGES[self.lineage].strided[:0:-1], strict=True)
        for lateral, strided in levels:  # the block before a strided one ends the level
            level = outputs[f"block{strided - 1}_unit{UNITS[self.depth][strided - 2]}"]
            level = whole(lateral(level, train, relu=False))
            total = level + _doubled(_doubled(total, level.shape[1], axis=1), level.shape[2], axis=2)
        return self.smooth(total, train, relu=False)

    def proposals(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, h, w, C] -> logits [B, h w A] and deltas [B, h w A, 4] of the anchors, cell by cell, row by row."""
        return self.rpn(features)

    def regions(
        self, features: jax.Array, rois: jax.Array, train: bool, keys: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """What the head makes of regions.

        Args:
          features: [B, h, w, C].
          rois: [B, R, 4] xyxy, pixels of the images. No gradient flows into them.
          train: whether statistics are live.
          keys: of the images [B], if outputs are to be dropped.

        Returns:
          logits [B, R, K + 1], background first, and deltas [B, R, K + 1, 4], or [B, R, 1, 4] if class-agnostic.
        """
        n_images, n_rois, _ = rois.shape
        has_block = isinstance(self.box_head, BlockHead)
        side = 14 if has_block else 7

        def cut(x: jax.Array, step: int = 1) -> jax.Array:
            regions = jax.vmap(lambda x, rois: self._cut(x, rois, (side, side), step))(x, rois)
            return regions.reshape(n_images * n_rois, *regions.shape[2:])

        x = self.box_head(features, train, cut) if has_block else self.box_head(cut(features), keys)
        x = x.astype(jnp.float32)
        logits, deltas = self.class_score(x), self.class_box(x)
        return logits.reshape(n_images, n_rois, -1), deltas.reshape(n_images, n_rois, -1, 4)

    def _cut(self, features: jax.Array, rois: jax.Array, bins: tuple[int, int], step: int = 1) -> jax.Array:
        if self.pool == "pool":
            return roi_pool(features, rois, bins, scale=1 / self.stride)
        # Seen from the centre of the first cell, cell i lies at pixel i * stride whatever the backbone.
        options = dict(scale=1 / self.stride, step=step, aligned=False)
        return roi_align(features, rois - self.center, bins, **options)


class ProposalNetwork(nn.Module):
    """A 3x3 convolution, and from it one score and four deltas for each of the `n_anchors` anchors of a cell."""

    n_anchors: int

    @nn.compact
    def __call__(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, h, w, C] -> logits [B, h w A] and deltas [B, h w A, 4], float32; see `Detector.proposals`."""
        x = nn.relu(Convolution(features.shape[-1], 3, name="conv")(features))
        logits = Convolution(self.n_anchors, name="score")(x).astype(jnp.float32)
        deltas = Convolution(4 * self.n_anchors, name="box")(x).astype(jnp.float32)  # channel 4 a + coordinate
        return logits.reshape(len(x), -1), deltas.reshape(len(x), -1, 4)


class BlockHead(nn.Module):
    """The fourth block of a ResNet on every region, its first unit of stride 2, and the mean over the cells.

    `linear` tells whether regions are cut out by a linear map, see `Bottleneck`.
    """

    depth: int
    width: int
    norm: str
    axis_name: str | None
    linear: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, cut: Callable[..., jax.Array]) -> jax.Array:
        """Features [B, h, w, 16 width] -> [N, 32 width] of the N regions of 14 x 14 cells that `cut` makes of them."""
        x, cut = (x, cut) if self.linear else (cut(x), None)
        for unit in range(1, UNITS[self.depth][3] + 1):
            stride, name = (2 if unit == 1 else 1), f"block4_unit{unit}"
            common = dict(project=unit == 1, norm=self.norm, axis_name=self.axis_name)
            x = Bottleneck(8 * self.width, stride, name=name, **common)(x, train, cut if unit == 1 else None)
        return x.mean(axis=(1, 2))


def _doubled(x: jax.Array, size: int, axis: int) -> jax.Array:
    """`size` cells along an axis instead of half as many, linearly: cell i becomes 2i, which has the same centre.

    Repeated cells, as in FPN, would lie half a cell further.
    """
    after = jnp.concatenate([lax.slice_in_dim(x, 1, None, axis=axis), lax.slice_in_dim(x, -1, None, axis=axis)], axis)
    pairs = jnp.stack([x, (x + after) / 2], axis + 1)
    return lax.slice_in_dim(pairs.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :]), 0, size, axis=axis)

"""Faster R-CNN's network: a backbone, a region proposal network, and a head that classifies regions (Ren et al. 2015).

Images in, raw scores and deltas out; the method chooses the regions. Boxes are xyxy float32 in pixels of the images,
pixel centres at whole numbers.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import ConvNorm, Convolution
from pawjax.models.pyramid import top_down
from pawjax.ops.roi_align import roi_align
from pawjax.ops.roi_pool import roi_pool

POOLS = ("align", "max")


class Detector(nn.Module):
    """Computes a feature map, and scores and deltas of proposals and of regions.

    Attributes:
      backbone: see `pawjax.models.backbones`.
      box_head: see `pawjax.models.box_heads`.
      n_classes: K, the number of classes besides the background.
      n_anchors: A, the number of anchors per cell.
      pyramid_channels: 0 takes the backbone's features of stride 16; otherwise those of strides 32, 16 and 8 are merged
        at stride 8 (`pawjax.models.pyramid`), with this many channels.
      pool: 'align' (bilinear samples) or 'max' (maxima of whole cells, as in the paper).
      class_agnostic: one box for all classes of a region instead of one for each.
      norm, axis_name: of the pyramid, see `ConvNorm`.
    """

    backbone: nn.Module
    box_head: nn.Module
    n_classes: int
    n_anchors: int
    pyramid_channels: int = 0
    pool: str = "align"
    class_agnostic: bool = False
    norm: str = "batch"
    axis_name: str | None = None

    @property
    def stride(self) -> int:
        """Pixels from cell to cell of the feature map."""
        return 8 if self.pyramid_channels else 16

    @property
    def center(self) -> float:
        """The pixel, on both axes, that cell (0, 0) is centred on."""
        return self.backbone.cell_center(self.stride)

    def setup(self) -> None:
        if self.pyramid_channels:
            common = dict(norm=self.norm, axis_name=self.axis_name)
            self.lateral8, self.lateral16, self.lateral32 = (
                ConvNorm(self.pyramid_channels, **common) for _ in range(3)
            )
            self.smooth = ConvNorm(self.pyramid_channels, 3, **common)
        self.rpn = ProposalNetwork(self.n_anchors)
        self.class_score = nn.Dense(self.n_classes + 1, kernel_init=nn.initializers.normal(0.01))
        n_boxes = 1 if self.class_agnostic else self.n_classes + 1
        self.class_box = nn.Dense(4 * n_boxes, kernel_init=nn.initializers.normal(0.001))

    def __call__(self, images: jax.Array, rois: jax.Array, train: bool) -> tuple[jax.Array, ...]:
        """Runs `features`, then `proposals`, then `regions` at [B, R, 4] `rois`. Creates all parameters."""
        features = self.features(images, train)
        return *self.proposals(features), *self.regions(features, rois, train)

    def features(self, images: jax.Array, train: bool) -> jax.Array:
        """uint8 [B, H, W, 1 or 3] -> [B, H / stride, W / stride, C]. H and W: multiples of the backbone's."""
        levels, _ = self.backbone(images, train)
        if not self.pyramid_channels:
            return levels[16]
        laterals = {32: self.lateral32, 16: self.lateral16, 8: self.lateral8}
        return self.smooth(top_down(levels, laterals, self.backbone.cell_center, train), train, relu=False)

    def proposals(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, h, w, C] -> logits [B, h w A] and deltas [B, h w A, 4] of the anchors, cell by cell, row by row."""
        return self.rpn(features)

    def regions(
        self, features: jax.Array, rois: jax.Array, train: bool, keys: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Classifies regions and refines their boxes.

        Args:
          features: [B, h, w, C].
          rois: [B, R, 4] xyxy, pixels of the images. No gradient flows into them.
          train: whether batch norm uses the batch's statistics.
          keys: [B], one per image, for dropout; None for none.

        Returns:
          logits [B, R, K + 1], background first, and deltas [B, R, K + 1, 4], or [B, R, 1, 4] if class-agnostic.
        """

        def crop(x: jax.Array, step: int = 1) -> jax.Array:
            cells = jax.vmap(lambda x, rois: self._pool(x, rois, step))(x, rois)
            return cells.reshape(-1, *cells.shape[2:])

        x = self.box_head(features, crop, train, keys).astype(jnp.float32)
        logits, deltas = self.class_score(x), self.class_box(x)
        return logits.reshape(*rois.shape[:2], -1), deltas.reshape(*rois.shape[:2], -1, 4)

    def _pool(self, features: jax.Array, rois: jax.Array, step: int) -> jax.Array:
        bins = (self.box_head.side, self.box_head.side)
        if self.pool == "max":
            return roi_pool(features, rois, bins, scale=1 / self.stride)
        # Relative to the centre of the first cell, cell i lies at pixel i * stride for every backbone.
        return roi_align(features, rois - self.center, bins, scale=1 / self.stride, step=step)


class ProposalNetwork(nn.Module):
    """A 3x3 convolution, then one score and four deltas for each of the `n_anchors` anchors of a cell."""

    n_anchors: int

    @nn.compact
    def __call__(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, h, w, C] -> logits [B, h w A] and deltas [B, h w A, 4], float32; see `Detector.proposals`."""
        x = Convolution(features.shape[-1], 3, name="conv")(features, relu=True)
        logits = Convolution(self.n_anchors, name="score")(x).astype(jnp.float32)
        deltas = Convolution(4 * self.n_anchors, name="box")(x).astype(jnp.float32)  # channel 4 a + coordinate
        return logits.reshape(x.shape[0], -1), deltas.reshape(x.shape[0], -1, 4)

"""DeepLabCut's network: a backbone, and on it one layer each for score maps and location refinement."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import ConvNorm, Convolution, Deconvolution
from pawjax.models.pyramid import top_down

HEADS = ("deconvolution", "topdown")
DECONVOLUTION = (16, 8)  # strides of its input and of its maps


class PoseNet(nn.Module):
    """Images in, raw maps out.

    Attributes:
      backbone: see `pawjax.models.backbones`; has features of stride 16.
      n_keypoints: K, the number of bodyparts.
      head: 'deconvolution' of the features of stride 16 to maps of stride 8, as in DeepLabCut; or 'topdown', which
        merges the features of every stride from `stride` up (`pawjax.models.pyramid`).
      stride: pixels from cell to cell of the maps.
      channels: of the 'topdown' head.
      score_bias: initial bias of the score maps; -4 starts a sigmoid at 2 %, about the share of positive cells.
      intermediate: unit of the backbone, among its `taps`, that gets heads of its own for training; '' for none.
      intermediate_locref: whether these heads include location refinement; in DeeperCut they do not.
      pairwise: whether a layer tells from each cell of a bodypart where all others are, in 2 K (K - 1) channels. The
        544 of 17 bodyparts have 70 thousand weights in the 'topdown' head, 10 million in the 'deconvolution' of a
        ResNet-50.
      rim: whether the maps of the 'deconvolution' keep the row and the column behind the image that the last cells of
        the features reach, as in DeepLabCut's PyTorch engine.
      norm, axis_name: of the 'topdown' head, see `ConvNorm`.
    """

    backbone: nn.Module
    n_keypoints: int
    head: str = "deconvolution"
    stride: int = 8
    channels: int = 128
    score_bias: float = 0.0
    intermediate: str = ""
    intermediate_locref: bool = False
    pairwise: bool = False
    rim: bool = False
    norm: str = "batch"
    axis_name: str | None = None

    @property
    def center(self) -> float:
        """The pixel, on both axes, that cell (0, 0) of the maps stands for.

        DeepLabCut puts a cell in the middle of its pixels, wherever its features are centred; so do its snapshots.
        """
        return self.stride / 2 if self.head == "deconvolution" else self.backbone.cell_center(self.stride)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
        """uint8 [B, H, W, C] -> float32 {'scoremap': [B, h, w, K], 'locref': [B, h, w, K, 2]}, h = H / stride.

        H and W are rounded up to multiples of the stride; with a rim, h and w are greater by one. 'scoremap' is raw (no
        sigmoid); 'locref' holds (x, y) offsets in units of the method's `locref_stdev`. The maps of `intermediate` are
        'intermediate_scoremap' and 'intermediate_locref'; if nothing reads them, the compiler drops them. Of `pairwise`
        are those of 'pairwise', [B, h, w, K (K - 1), 2]: the ordered pairs as in `pawjax.structure.pairwise`, (x, y)
        vectors standardised by their mean and deviation.
        """
        levels, outputs = self.backbone(images, train)
        topdown = self.head == "topdown"
        features = self._merged(levels, train) if topdown else levels[DECONVOLUTION[0]]
        maps = self._maps(features)
        if self.pairwise:
            n = self.n_keypoints * (self.n_keypoints - 1)
            vectors = self._layer(features, 2 * n, "pairwise")
            maps["pairwise"] = vectors.reshape(*vectors.shape[:3], n, 2)
        if self.intermediate:
            maps |= self._maps(outputs[self.intermediate], "intermediate_", locref=self.intermediate_locref)
        return maps

    def _merged(self, levels: dict[int, jax.Array], train: bool) -> jax.Array:
        common = dict(norm=self.norm, axis_name=self.axis_name)
        strides = [stride for stride in levels if stride >= self.stride]
        laterals = {s: ConvNorm(self.channels, name=f"lateral{s}", **common) for s in strides}
        merged = top_down(levels, laterals, self.backbone.cell_center, train)
        return ConvNorm(self.channels, 3, name="smooth", **common)(merged, train)

    def _maps(self, features: jax.Array, prefix: str = "", locref: bool = True) -> dict[str, jax.Array]:
        scores = self._layer(features, self.n_keypoints, f"{prefix}scoremap", bias_init=self.score_bias)
        if not locref:
            return {f"{prefix}scoremap": scores}
        offsets = self._layer(features, 2 * self.n_keypoints, f"{prefix}locref")
        return {f"{prefix}scoremap": scores, f"{prefix}locref": offsets.reshape(*scores.shape, 2)}

    def _layer(self, features: jax.Array, channels: int, name: str, **options: float) -> jax.Array:
        if self.head == "topdown":
            return Convolution(channels, name=name, **options)(features).astype(jnp.float32)
        layer = Deconvolution(channels, name=name, **options)
        if not self.rim:
            return layer(features)
        return layer(jnp.pad(features, ((0, 0), (0, 1), (0, 1), (0, 0))))[:, :-1, :-1]

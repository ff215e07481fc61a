"""DeepLabCut's network: a backbone and one deconvolution head each for score maps and location refinement."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import Deconvolution

NET_STRIDE = 16  # stride of the heads' input; both sides of an image must be multiples of it
MAP_STRIDE = 8


class PoseNet(nn.Module):
    """Images in, raw maps at stride 8 out.

    Attributes:
      backbone: see `pawjax.models.backbones`; has features of stride 16.
      n_keypoints: K, the number of bodyparts.
      score_bias: initial bias of the score maps; -4 starts a sigmoid at 2 %, about the share of positive cells.
      intermediate: unit of the backbone, among its `taps`, that gets heads of its own for training; '' for none.
      intermediate_locref: whether these heads include location refinement; in DeeperCut they do not.
      rim: whether the maps keep the row and the column behind the image that the last cells of the features reach, as
        in DeepLabCut's PyTorch engine.
    """

    backbone: nn.Module
    n_keypoints: int
    score_bias: float = 0.0
    intermediate: str = ""
    intermediate_locref: bool = False
    rim: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
        """uint8 [B, H, W, C] -> float32 {'scoremap': [B, h, w, K], 'locref': [B, h, w, K, 2]}, h = H / 8, w = W / 8.

        With a rim, h and w are greater by one. Sides that are no multiples of 16 are rounded up.
        'scoremap' is raw (no sigmoid); 'locref' holds (x, y) offsets in units of the method's `locref_stdev`. The maps
        of `intermediate` are 'intermediate_scoremap' and 'intermediate_locref'; if nothing reads them, the compiler
        drops them.
        """
        features, outputs = self.backbone(images, train)
        maps = self._heads(features[NET_STRIDE], "", locref=True)
        if self.intermediate:
            maps |= self._heads(outputs[self.intermediate], "intermediate_", locref=self.intermediate_locref)
        return maps

    def _heads(self, features: jax.Array, prefix: str, *, locref: bool) -> dict[str, jax.Array]:
        scores = self._deconvolve(features, self.n_keypoints, f"{prefix}scoremap", bias_init=self.score_bias)
        if not locref:
            return {f"{prefix}scoremap": scores}
        offsets = self._deconvolve(features, 2 * self.n_keypoints, f"{prefix}locref")
        return {f"{prefix}scoremap": scores, f"{prefix}locref": offsets.reshape(*scores.shape, 2)}

    def _deconvolve(self, features: jax.Array, channels: int, name: str, **options: float) -> jax.Array:
        layer = Deconvolution(channels, name=name, **options)
        if not self.rim:
            return layer(features)
        return layer(jnp.pad(features, ((0, 0), (0, 1), (0, 1), (0, 0))))[:, :-1, :-1]

"""DeepLabCut's network: a backbone and one deconvolution head each for score maps and location refinement."""

import flax.linen as nn
import jax

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
    """

    backbone: nn.Module
    n_keypoints: int
    score_bias: float = 0.0
    intermediate: str = ""
    intermediate_locref: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
        """uint8 [B, H, W, C] -> float32 {'scoremap': [B, h, w, K], 'locref': [B, h, w, K, 2]}, h = H / 8, w = W / 8.

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
        scores = Deconvolution(self.n_keypoints, bias_init=self.score_bias, name=f"{prefix}scoremap")(features)
        if not locref:
            return {f"{prefix}scoremap": scores}
        offsets = Deconvolution(2 * self.n_keypoints, name=f"{prefix}locref")(features)
        return {f"{prefix}scoremap": scores, f"{prefix}locref": offsets.reshape(*scores.shape, 2)}

"""DeepLabCut's network: a residual backbone and one deconvolution head each for score maps and location refinement."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.models.layers import Deconvolution
from pawjax.models.resnet import LINEAGES, ResNet
from pawjax.ops.chains import Parts, whole


def standardize(images: jax.Array, dtype: jnp.dtype, lineage: str) -> jax.Array:
    """uint8 images [B, H, W, 1 or 3] -> [B, H, W, 3] of `dtype`, minus the mean of the lineage, over its deviation."""
    x = images.astype(jnp.float32) / 255.0
    x = (x - jnp.array(LINEAGES[lineage].mean)) / jnp.array(LINEAGES[lineage].std)  # one channel broadcasts to three
    return x.astype(dtype)


class PoseNet(nn.Module):
    """Images in, raw maps at stride 8 out.

    Attributes:
      n_keypoints: K, the number of bodyparts.
      depth, width, norm, axis_name, lineage, remat: of the backbone, see `ResNet`.
      score_bias: initial bias of the score maps; -4 starts a sigmoid at 2 %, about the share of positive cells.
      intermediate: unit of the backbone that gets heads of its own for training, as 'block3_unit12'; '' for none.
      intermediate_locref: whether these heads are two, or the score map's alone (DeeperCut).
      dtype: of the arithmetic in the backbone; parameters, statistics and outputs are float32.
    """

    n_keypoints: int
    depth: int = 50
    width: int = 64
    norm: str = "batch"
    axis_name: str | None = None
    lineage: str = "torchvision"
    remat: bool = False
    score_bias: float = 0.0
    intermediate: str = ""
    intermediate_locref: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: Parts, train: bool) -> tuple[dict[str, Parts], dict[str, Parts]]:
        """uint8 [B, H, W, C] -> {'scoremap': [B, h, w, K], 'locref': [B, h, w, K, 2]} and the backbone's outputs.

        h = 2 ceil(H / 16), w likewise. 'scoremap' is raw (no sigmoid); 'locref' holds (x, y) offsets in units of
        the method's `locref_stdev`. The maps of `intermediate` are called 'intermediate_scoremap' and
        'intermediate_locref'; where nothing reads them, the compiler leaves them out.
        """
        x = jax.tree.map(lambda images: standardize(images, self.dtype, self.lineage), images)
        backbone = ResNet(self.depth, self.width, self.norm, self.axis_name, self.lineage, self.remat, name="backbone")
        features, outputs = backbone(x, train)
        maps = self._heads(features, "", locref=True)
        if self.intermediate:
            maps |= self._heads(outputs[self.intermediate], "intermediate_", locref=self.intermediate_locref)
        return maps, outputs

    def _heads(self, features: Parts, prefix: str, *, locref: bool) -> dict[str, Parts]:
        features = whole(features)
        scores = Deconvolution(self.n_keypoints, bias_init=self.score_bias, name=f"{prefix}scoremap")(features)
        if not locref:
            return {f"{prefix}scoremap": scores}
        offsets = Deconvolution(2 * self.n_keypoints, name=f"{prefix}locref")(features)
        offsets = jax.tree.map(lambda offsets, scores: offsets.reshape(*scores.shape, 2), offsets, scores)
        return {f"{prefix}scoremap": scores, f"{prefix}locref": offsets}

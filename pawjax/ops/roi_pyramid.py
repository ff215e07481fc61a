"""RoI align on a feature pyramid (FPN, Lin et al. 2017): small regions from fine maps, large ones from coarse."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from pawjax.ops.roi_align import roi_align


def roi_level(rois: jax.Array, lowest: int, highest: int) -> jax.Array:
    """The level of a feature pyramid to cut each region from (equation 1 of the paper): int32 [K].

    floor(4 + log2(side / 224)), with side the square root of the area of rois [K, 4] in pixels, within lowest..highest;
    level l has stride 2^l. A region of side exactly 112 belongs to level 3.
    """
    side = jnp.sqrt(jnp.maximum((rois[:, 2] - rois[:, 0]) * (rois[:, 3] - rois[:, 1]), 0))
    level = jnp.floor(4 + jnp.log2(side / 224) + 1e-6)  # the last term against rounding, as in torchvision
    return jnp.clip(level, lowest, highest).astype(jnp.int32)


def pyramid_roi_align(
    pyramid: Sequence[jax.Array], rois: jax.Array, bins: tuple[int, int], *, lowest: int, **options
) -> jax.Array:
    """`roi_align` of each region on the level that `roi_level` chooses. Every level is cut, to keep the shapes static.

    Args:
      pyramid: maps [H / 2^l, W / 2^l, C] of the levels l = lowest, lowest + 1, ...
      rois, bins: as for `roi_align`, whose other arguments follow without the scale.

    Returns:
      [K, bins[0], bins[1], C].
    """
    level = roi_level(rois, lowest, lowest + len(pyramid) - 1)[:, None, None, None]
    cut = [roi_align(one, rois, bins, scale=0.5**i, **options) for i, one in enumerate(pyramid, lowest)]
    return sum(jnp.where(level == i, one, 0) for i, one in enumerate(cut, lowest))

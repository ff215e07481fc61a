"""RoI align: crops boxes from a feature map to one size by bilinear sampling (Mask R-CNN, He et al. 2017).

Every bin of a region is the mean of bilinear samples on a regular grid in it. Samples more than a cell off the map
count as zero, nearer ones are clamped to its border. The output is linear in the features: it is gathered from the four
cells around each sample; the gradient is Y^T G X with a matrix for each axis and region, which is faster than a scatter
and sums in a fixed order on a GPU.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

BLOCK = 16  # regions per product of the gradient: larger blocks wait for memory on a CPU

_product = partial(jnp.einsum, precision="highest")  # not TF32


class Grid(NamedTuple):
    """Where samples lie: `samples` along each axis of a bin, in every `step`-th bin."""

    bins: tuple[int, int]
    step: int
    scale: float
    samples: int
    aligned: bool


def roi_align(
    features: jax.Array,
    rois: jax.Array,
    bins: tuple[int, int],
    *,
    scale: float,
    sampling_ratio: int = 2,
    aligned: bool = False,
    step: int = 1,
) -> jax.Array:
    """The features within each region, as torchvision's roi_align and ONNX's RoiAlign (avg) compute them.

    Pixel x lies at cell x * scale, or at x * scale - 0.5 if `aligned`. With pixel centres at whole numbers that makes
    aligned=False exact for ResNets, whose cell i is centred on pixel i / scale; a VGG, whose cell lies (stride - 1) / 2
    further, needs aligned=True and 0.5 added to the boxes. A region thinner than one cell is widened to one unless
    `aligned`, where an empty one samples its corner.

    Args:
      features: [H, W, C] of one image; for a batch use `jax.vmap`.
      rois: [K, 4] xyxy, pixels of the image. No gradient flows into them.
      bins: rows and columns of the output, (7, 7) in most heads.
      scale: 1 / stride of the features.
      sampling_ratio: samples of a bin along each axis.
      step: computes only every step-th bin, starting with the first, on both axes.

    Returns:
      [K, ceil(bins[0] / step), ceil(bins[1] / step), C] in the dtype of the features, summed in float32.
    """
    grid = Grid(tuple(bins), step, scale, sampling_ratio, aligned)
    return _align(grid, features, rois.astype(jnp.float32))


def _samples(ends: jax.Array, size: int, axis: int, grid: Grid) -> tuple[jax.Array, jax.Array]:
    """Samples of regions along one axis: cells [..., bins, samples] on the map, and their weights in the bin's mean.

    Args:
      ends: [..., 2], first and last pixel of the regions on this axis.
      size: cells of the map on this axis.
    """
    bins = grid.bins[axis]
    ends = ends * grid.scale - 0.5 * grid.aligned
    start, length = ends[..., :1, None], (ends[..., 1:] - ends[..., :1])[..., None]
    if not grid.aligned:
        length = jnp.maximum(length, 1.0)
    index = jnp.arange(0, bins, grid.step)
    place = start + length / bins * (index[:, None] + (jnp.arange(grid.samples) + 0.5) / grid.samples)
    inside = (place >= -1) & (place <= size)
    return jnp.clip(place, 0, size - 1), jnp.where(inside, 1 / grid.samples, 0.0)


def _axis_matrix(ends, size, axis, grid):
    """[bins, size]: the weight of every cell in the bins of one region, along one axis."""
    place, weight = _samples(ends, size, axis, grid)
    hat = jnp.maximum(1 - jnp.abs(place[..., None] - jnp.arange(size)), 0)
    return (weight[..., None] * hat).sum(axis=-2)


def _neighbours(ends, size, axis, grid):
    """The cell before each sample [K, bins, samples], and the weights of that cell and the next one."""
    place, weight = _samples(ends, size, axis, grid)
    cell = jnp.floor(place).astype(jnp.int32)
    after = place - cell
    return cell, (weight * (1 - after), weight * after)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _align(grid, features, rois):
    """Weighted sums of the four cells around each sample."""
    height, width, channels = features.shape
    flat = features.reshape(height * width, channels)
    row, row_weights = _neighbours(rois[:, 1::2], height, 0, grid)
    column, column_weights = _neighbours(rois[:, 0::2], width, 1, grid)

    def add_sample(n, total):
        i, j = n // grid.samples, n % grid.samples
        for down in (0, 1):
            for right in (0, 1):
                weight = row_weights[down][:, :, None, i] * column_weights[right][:, None, :, j]
                cell = (row[:, :, None, i] + down) * width + column[:, None, :, j] + right
                total += weight[..., None] * jnp.take(flat, cell, axis=0, mode="clip")
        return total

    zeros = jnp.zeros((rois.shape[0], row.shape[1], column.shape[1], channels), jnp.float32)
    # Unrolled, so that XLA fuses the sums of all samples into one loop over the output.
    return lax.fori_loop(0, grid.samples**2, add_sample, zeros, unroll=True).astype(features.dtype)


def _forward(grid, features, rois):
    return _align(grid, features, rois), (features, rois)


def _backward(grid, residuals, cotangent):
    """Applies the transposed matrices, summed over blocks of regions in order."""
    features, rois = residuals
    blocks = -(-len(rois) // BLOCK)

    def in_blocks(x):
        padded = jnp.pad(x.astype(jnp.float32), ((0, blocks * BLOCK - len(x)), *[(0, 0)] * (x.ndim - 1)))
        return padded.reshape(blocks, BLOCK, *x.shape[1:])

    def add_block(total, block):
        rois, cotangent = block
        rows = _axis_matrix(rois[:, 1::2], features.shape[0], 0, grid)
        columns = _axis_matrix(rois[:, 0::2], features.shape[1], 1, grid)
        return total + _product("kph,kpwc->hwc", rows, _product("kqw,kpqc->kpwc", columns, cotangent)), None

    zeros = jnp.zeros(features.shape, jnp.float32)
    gradient, _ = lax.scan(add_block, zeros, (in_blocks(rois), in_blocks(cotangent)))
    return gradient.astype(features.dtype), None


_align.defvjp(_forward, _backward)

"""3x3 convolutions by Winograd's F(4x4, 3x3): 36 products over a sixteenth of the pixels, not 9 over all.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.3. NHWC, kernels HWIO, stride 1.
The rounding error in float32 is about 2e-5 of the largest entry, some ten times that of the plain sum.

The 36 products come in six batches of six (`Six`), one for each term of the columns' transform: XLA's CPU runtime
hardly splits one batch of small products, but runs the six in parallel.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# One axis: 4 outputs of 3 taps from 6 inputs are OUTPUT @ ((KERNEL @ taps) * (INPUT @ inputs)).
INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float32) / 24
OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32)
BOTH_AXES = np.einsum("ia,jb->jiab", KERNEL, KERNEL).reshape(36, 9)

Padding = tuple[tuple[int, int], tuple[int, int]]
Six = tuple[jax.Array, ...]  # each [6, ., .], one entry for each term of the rows' transform


def transform_kernel(kernel: jax.Array) -> Six:
    """[3, 3, I, O] -> six [6, I, O], the form in which `conv3x3` takes a kernel."""
    taps = kernel.reshape(9, -1)
    matrices = np.split(BOTH_AXES.astype(kernel.dtype), 6)
    return tuple((matrix @ taps).reshape(6, *kernel.shape[2:]) for matrix in matrices)


def transform_input(x: jax.Array, padding: Padding, dilation: int) -> Six:
    """x [B, H, W, I] -> tiles, six [6, N, I], the factors of `correlate` and `kernel_gradient`."""
    counts = _tile_counts(output_shape(x, padding, dilation)[1:], dilation)
    return _transform_tiles(x, INPUT, counts, [lo for lo, _ in padding], dilation)


def correlate(tiles: Six, weights: Six, shape: tuple[int, int, int], dilation: int) -> jax.Array:
    """Cross-correlation of an input, given as `tiles`, with a transformed kernel, six [6, I, O] -> [B, H', W', O].

    `shape` is (B, H', W'), see `output_shape`.
    """
    rows, columns = _tile_counts(shape[1:], dilation)
    tiles, weights = lax.optimization_barrier((tiles, weights))
    products = [lax.dot_general(*pair, (((2,), (1,)), ((0,), (0,)))) for pair in zip(tiles, weights, strict=True)]
    grid = (6, shape[0], rows, dilation, columns, dilation, weights[0].shape[-1])
    y = jnp.stack(_mix([product.reshape(grid) for product in products], OUTPUT), 5)
    y = jnp.stack(_mix(lax.optimization_barrier(y), OUTPUT), 2)
    y = y.reshape(shape[0], 4 * dilation * rows, 4 * dilation * columns, -1)
    return y[:, : shape[1], : shape[2]]


def conv3x3(x: jax.Array, weights: Six, padding: Padding, dilation: int) -> jax.Array:
    """Cross-correlation of x [B, H, W, I] with a transformed kernel, six [6, I, O], stride 1 -> [B, H', W', O]."""
    shape = output_shape(x, padding, dilation)
    return correlate(transform_input(x, padding, dilation), weights, shape, dilation)


def kernel_gradient(tiles: Six, dy: jax.Array, dilation: int) -> jax.Array:
    """Gradient of the kernel of `correlate`: tiles, six [6, N, I], and dy [B, H', W', O] -> [3, 3, I, O]."""
    right = _transform_tiles(dy, OUTPUT.T, _tile_counts(dy.shape[1:3], dilation), (0, 0), dilation)
    products = [lax.dot_general(*pair, (((1,), (1,)), ((0,), (0,)))) for pair in zip(tiles, right, strict=True)]
    columns = jnp.stack(_mix(products, KERNEL.T), 1)
    return jnp.stack(_mix(lax.optimization_barrier(columns), KERNEL.T))


def output_shape(x: jax.Array, padding: Padding, dilation: int) -> tuple[int, int, int]:
    """(B, H', W') of the correlation of x [B, H, W, I] with a 3x3 kernel."""
    height, width = (n + lo + hi - 2 * dilation for n, (lo, hi) in zip(x.shape[1:3], padding, strict=True))
    return x.shape[0], height, width


def _tile_counts(size, dilation):
    return [-(-n // (4 * dilation)) for n in size]


def _transform_tiles(x, matrix, counts, before, dilation):
    """Applies a transform to the rows and columns of tiles of x [B, H, W, C], one tile every 4 pixels.

    Returns six [rows' transform, B * tile rows * dilation * tile columns * dilation, C], one for each term of the
    columns' transform. The barrier keeps XLA from fusing the two axes, which would recompute the first one for every
    term of the second.
    """
    rows = jnp.stack(_transform_axis(x, matrix, 1, counts[0], before[0], dilation))
    tiles = _transform_axis(lax.optimization_barrier(rows), matrix, 4, counts[1], before[1], dilation)
    return tuple(term.reshape(6, -1, x.shape[-1]) for term in tiles)


def _transform_axis(x, matrix, axis, count, before, dilation):
    """Splits an axis into `count` overlapping tiles, one every 4 taps, and multiplies each by matrix [out, taps].

    The taps are `dilation` pixels apart; the resulting interleaved grids become an axis of their own, so that no pixel
    is moved to gather a grid. The axis is padded with `before` zeros in front and as many as needed behind.

    Returns `out` arrays [..., count, dilation, ...].
    """
    taps, block = matrix.shape[1], 4 * dilation
    blocks = count + (taps - 1) // 4
    margins = [(0, 0, 0)] * x.ndim
    margins[axis] = (before, blocks * block - before - x.shape[axis], 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), margins)
    x = x.reshape(*x.shape[:axis], blocks, block, *x.shape[axis + 1 :])

    def tap(index):
        start, offset = divmod(index, 4)
        run = lax.slice_in_dim(x, start, start + count, axis=axis)
        return lax.slice_in_dim(run, offset * dilation, (offset + 1) * dilation, axis=axis + 1)

    return _mix([tap(index) for index in range(taps)], matrix)


def _mix(values, matrix):
    """Sums of `values` weighted by each row of a matrix, skipping its zeros."""
    terms = [[value * factor for value, factor in zip(values, row, strict=True) if factor] for row in matrix.tolist()]
    return [sum(row[1:], row[0]) for row in terms]

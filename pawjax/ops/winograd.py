"""3x3 convolutions by Winograd's F(4x4, 3x3): 36 products over a sixteenth of the pixels, not 9 over all of them.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.3. NHWC, kernels HWIO, stride 1.
Rounding is about 2e-5 of the largest entry in float32, some ten times that of the plain sum.
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


def transform_kernel(kernel: jax.Array) -> jax.Array:
    """[3, 3, I, O] -> [36, I, O], the form in which `conv3x3` takes a kernel."""
    return (BOTH_AXES.astype(kernel.dtype) @ kernel.reshape(9, -1)).reshape(36, *kernel.shape[2:])


def transform_input(x: jax.Array, padding: Padding, dilation: int) -> jax.Array:
    """x [B, H, W, I] -> tiles [36, N, I], of which `correlate` and `kernel_gradient` are products."""
    counts = _tile_counts(output_shape(x, padding, dilation)[1:], dilation)
    return _transform_tiles(x, INPUT, counts, [lo for lo, _ in padding], dilation).reshape(36, -1, x.shape[-1])


def correlate(tiles: jax.Array, weights: jax.Array, shape: tuple[int, int, int], dilation: int) -> jax.Array:
    """The cross-correlation of what became `tiles` with a transformed kernel [36, I, O] -> [B, H', W', O].

    `shape` is (B, H', W'), see `output_shape`.
    """
    outputs = weights.shape[-1]
    counts = _tile_counts(shape[1:], dilation)
    left, right = lax.optimization_barrier((tiles, weights))
    products = lax.dot_general(left, right, (((2,), (1,)), ((0,), (0,))))
    columns = _untransform(products.reshape(6, 6, shape[0], counts[0], dilation, counts[1], dilation, outputs), 5)
    y = _untransform(lax.optimization_barrier(columns), 2)
    y = y.reshape(shape[0], *(4 * dilation * count for count in counts), outputs)
    return y[:, : shape[1], : shape[2]]


def conv3x3(x: jax.Array, weights: jax.Array, padding: Padding, dilation: int) -> jax.Array:
    """Cross-correlation of x [B, H, W, I] with a transformed kernel [36, I, O], stride 1 -> [B, H', W', O]."""
    shape = output_shape(x, padding, dilation)
    return correlate(transform_input(x, padding, dilation), weights, shape, dilation)


def kernel_gradient(tiles: jax.Array, dy: jax.Array, dilation: int) -> jax.Array:
    """Gradient of the kernel of `correlate`: tiles [36, N, I], dy [B, H', W', O] -> [3, 3, I, O]."""
    inputs, outputs = tiles.shape[-1], dy.shape[-1]
    counts = _tile_counts(dy.shape[1:3], dilation)
    right = _transform_tiles(dy, OUTPUT.T, counts, (0, 0), dilation).reshape(36, -1, outputs)
    products = lax.dot_general(tiles, right, (((1,), (1,)), ((0,), (0,))))
    return (BOTH_AXES.T.astype(dy.dtype) @ products.reshape(36, -1)).reshape(3, 3, inputs, outputs)


def output_shape(x: jax.Array, padding: Padding, dilation: int) -> tuple[int, int, int]:
    """(B, H', W') of the correlation of x [B, H, W, I] with a 3x3 kernel."""
    height, width = (n + lo + hi - 2 * dilation for n, (lo, hi) in zip(x.shape[1:3], padding, strict=True))
    return x.shape[0], height, width


def _tile_counts(size, dilation):
    return [-(-n // (4 * dilation)) for n in size]


def _transform_tiles(x, matrix, counts, before, dilation):
    """Applies a transform to the rows and columns of tiles of x [B, H, W, C], one tile every 4 pixels.

    Returns [columns' transform, rows' transform, B, tile rows, dilation, tile columns, dilation, C]. The barrier
    keeps XLA from fusing the two axes, which would do the first one again for every term of the second.
    """
    rows = _transform_axis(x, matrix, 1, counts[0], before[0], dilation)
    return _transform_axis(lax.optimization_barrier(rows), matrix, 4, counts[1], before[1], dilation)


def _transform_axis(x, matrix, axis, count, before, dilation):
    """Cuts an axis into `count` overlapping tiles, one every 4 taps, and multiplies each by matrix [out, taps].

    The taps are `dilation` pixels apart, and the interleaved grids that this leaves become an axis of their own, so
    that no pixel is moved to gather a grid. `before` zeros precede the axis, as many as needed follow.

    Returns [out, ..., count, dilation, ...].
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

    return _mix([tap(index) for index in range(taps)], matrix, 0)


def _untransform(x, axis):
    """Multiplies the leading axis of x [6, ...] by OUTPUT and puts the 4 results at `axis` of what remains."""
    return _mix([x[index] for index in range(6)], OUTPUT, axis)


def _mix(values, matrix, axis):
    """Stacks the sums of `values` weighted by each row of a matrix, most of whose entries are 0 or 1."""
    terms = [[value * factor for value, factor in zip(values, row, strict=True) if factor] for row in matrix.tolist()]
    return jnp.stack([sum(row[1:], row[0]) for row in terms], axis)

"""Depthwise convolutions on CPUs: each channel has a kernel of its own (Sifre 2014, MobileNet 2017).

XLA's grouped convolution computes one channel at a time there. Here a convolution is a sum of shifted inputs, each
times its tap, over all channels at once, and so are its gradients. `pawjax.ops.conv` chooses between the forms.
"""

from functools import partial

import jax
import jax.numpy as jnp

from pawjax.ops.norm import column_sums
from pawjax.ops.once import once


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def depthwise(
    x: jax.Array, kernel: jax.Array, stride: int, padding: tuple[tuple[int, int], tuple[int, int]], dilation: int
) -> jax.Array:
    """[B, H, W, C] x [kh, kw, 1, C] -> [B, H', W', C] as `pawjax.ops.conv.conv2d`; only reverse-mode gradients."""
    size = _output_size(x, kernel, stride, padding, dilation)
    shifts = _shifts(kernel.shape, size, stride, dilation)
    x = once(_padded(x, padding))
    return sum(x[:, rows, columns] * kernel[a, b, 0] for (a, b), (rows, columns) in shifts.items())


def _forward(x, kernel, stride, padding, dilation):
    return once(depthwise(x, kernel, stride, padding, dilation)), (x, kernel)


def _backward(stride, padding, dilation, saved, dy):
    x, kernel = saved
    dy = once(dy)
    return (
        _input_gradient(dy, kernel, x.shape, stride, padding, dilation),
        _kernel_gradient(x, dy, kernel.shape, stride, padding, dilation),
    )


depthwise.defvjp(_forward, _backward)


def _padded(x, padding):
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


def _output_size(x, kernel, stride, padding, dilation):
    axes = zip(x.shape[1:3], padding, kernel.shape[:2], strict=True)
    return [(n + sum(pad) - dilation * (taps - 1) - 1) // stride + 1 for n, pad, taps in axes]


def _shifts(shape, size, stride, dilation):
    """{tap: (rows, columns)}: the pixels of the padded input that each tap of a kernel of this shape reads."""
    rows, columns = (
        [slice(d, d + (n - 1) * stride + 1, stride) for d in range(0, taps * dilation, dilation)]
        for taps, n in zip(shape[:2], size, strict=True)
    )
    return {(a, b): (rows[a], columns[b]) for a in range(len(rows)) for b in range(len(columns))}


def _kernel_gradient(x, dy, shape, stride, padding, dilation):
    x = once(_padded(x, padding))
    shifts = _shifts(shape, dy.shape[1:3], stride, dilation).values()
    return jnp.stack([column_sums(x[:, rows, columns] * dy) for rows, columns in shifts]).reshape(shape)


def _input_gradient(dy, kernel, shape, stride, padding, dilation):
    """For each position of a pixel between two cells the sum over the taps that lead there, then all interleaved."""
    padded = [n + sum(pad) for n, pad in zip(shape[1:3], padding, strict=True)]
    cells = [-(-n // stride) for n in padded]
    reach = [dilation * (taps - 1) // stride for taps in kernel.shape[:2]]
    after = [max(0, n - have) for n, have in zip(cells, dy.shape[1:3], strict=True)]
    dy = once(_padded(dy, tuple(zip(reach, after, strict=True))))

    def taps_at(position, axis):
        """(tap, cells of dy that it spreads) of the taps whose output lies at this position, from 0 to stride - 1."""
        steps = [(tap, divmod(tap * dilation - position, stride)) for tap in range(kernel.shape[axis])]
        return [
            (tap, slice(reach[axis] - back, reach[axis] - back + cells[axis]))
            for tap, (back, rest) in steps
            if rest == 0
        ]

    def at(row, column):
        terms = [
            dy[:, rows, columns] * kernel[a, b, 0] for a, rows in taps_at(row, 0) for b, columns in taps_at(column, 1)
        ]
        return once(sum(terms)) if terms else jnp.zeros((len(dy), *cells, shape[3]), dy.dtype)

    positions = range(stride)
    dx = jnp.stack([jnp.stack([at(row, column) for column in positions], 3) for row in positions], 2)
    dx = dx.reshape(len(dy), cells[0] * stride, cells[1] * stride, shape[3])
    (top, _), (left, _) = padding
    return dx[:, top : top + shape[1], left : left + shape[2]]

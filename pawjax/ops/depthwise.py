"""Depthwise convolutions on CPUs: each channel has a kernel of its own (Sifre 2014, MobileNet 2017).

XLA's grouped convolution computes one channel at a time there. Here a convolution is a sum of shifted inputs, each
times its tap, over all channels at once, and so are its gradients. `pawjax.ops.conv` chooses between the forms. The
layers of EfficientNet-Lite0 at 256x256, batch 8, take a sixteenth of the time forward and a sixth with gradients
(`python -m tests.speed.depthwise`, a quiet 2-core AMD EPYC, 2026-11-28).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops.norm import column_sums
from pawjax.ops.once import once

Padding = tuple[tuple[int, int], tuple[int, int]]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def depthwise(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding, dilation: int) -> jax.Array:
    """[B, H, W, C] x [kh, kw, 1, C] -> [B, H', W', C] as `pawjax.ops.conv.conv2d`; only reverse-mode gradients."""
    axes = zip(x.shape[1:3], padding, kernel.shape[:2], strict=True)
    size = [(n + sum(pad) - dilation * (taps - 1) - 1) // stride + 1 for n, pad, taps in axes]
    x, weights = once(_padded(x, padding)), _weights(kernel)
    return sum(_pixels(x, start, size, stride) * weights[tap] for tap, start in _starts(kernel.shape, dilation).items())


def _forward(x, kernel, stride, padding, dilation):
    return once(depthwise(x, kernel, stride, padding, dilation)), (x, kernel)


def _backward(stride, padding, dilation, saved, dy):
    x, kernel = saved
    dy = once(dy)
    dx = _input_gradient(dy, kernel, x.shape, stride, padding, dilation)
    x, size = once(_padded(x, padding)), dy.shape[1:3]
    starts = _starts(kernel.shape, dilation).values()
    dkernel = jnp.stack([column_sums(_pixels(x, start, size, stride) * dy) for start in starts])
    return dx, dkernel.reshape(kernel.shape)


depthwise.defvjp(_forward, _backward)


def _padded(x, padding):
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


def _weights(kernel):
    """{(row, column): [C]} of the taps of a kernel [kh, kw, 1, C]."""
    rows, columns, _, channels = kernel.shape
    taps = jnp.split(kernel.reshape(-1), rows * columns)
    return {divmod(tap, columns): weights.reshape(1, 1, 1, channels) for tap, weights in enumerate(taps)}


def _starts(shape, dilation):
    """{tap: (row, column)}: the first pixel of the padded input that each tap of a kernel of this shape reads."""
    return {(a, b): (a * dilation, b * dilation) for a in range(shape[0]) for b in range(shape[1])}


def _pixels(x, start, size, stride):
    """[B, *size, C]: every stride-th pixel of x, from `start` on."""
    stop = [first + (n - 1) * stride + 1 for first, n in zip(start, size, strict=True)]
    return lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[3]), (1, stride, stride, 1))


def _input_gradient(dy, kernel, shape, stride, padding, dilation):
    """The gradient at each pixel is a sum over the taps that lead there: those of its place between two strides."""
    cells = [-(-(n + sum(pad)) // stride) for n, pad in zip(shape[1:3], padding, strict=True)]
    reach = [dilation * (taps - 1) // stride for taps in kernel.shape[:2]]
    after = [max(0, n - have) for n, have in zip(cells, dy.shape[1:3], strict=True)]
    dy, weights = once(_padded(dy, tuple(zip(reach, after, strict=True)))), _weights(kernel)
    starts = _starts(kernel.shape, dilation)

    def at(place):
        total = 0
        for tap, start in starts.items():
            steps = [divmod(first - own, stride) for first, own in zip(start, place, strict=True)]
            if not any(rest for _, rest in steps):
                start = [most - back for most, (back, _) in zip(reach, steps, strict=True)]
                total += _pixels(dy, start, cells, 1) * weights[tap]
        return once(jnp.broadcast_to(total, (len(dy), *cells, shape[3])))

    places = range(stride)
    dx = jnp.stack([jnp.stack([at((row, column)) for column in places], 3) for row in places], 2)
    dx = dx.reshape(len(dy), cells[0] * stride, cells[1] * stride, shape[3])
    (top, _), (left, _) = padding
    return dx[:, top : top + shape[1], left : left + shape[2]]

"""Splits a training batch inside the operations, into sub-batches that XLA's CPU runtime runs side by side.

While one sub-batch is multiplied, another waits for memory. Within `over(images)` an operation splits its arrays,
processes each sub-batch and joins the results (`each`). XLA's simplifier removes a split that follows a join, so the
sub-batches run through a whole network as independent chains, although the network only handles arrays.
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp

from pawjax.ops.chip import on_cpu

CHAINS = 4  # more take longer to compile than they save
PIXELS = 2**19  # smallest batch, in pixels of the images, for which the gain outweighs the cost of more operations

_current = contextvars.ContextVar("current", default=(0, 1))  # images in the batch, chains


@contextlib.contextmanager
def over(images: jax.Array) -> Iterator[None]:
    """Context in which operations on batches as long as images [B, H, W, C] run in up to `CHAINS` chains.

    For training only: prediction gains nothing. No effect on chips other than CPUs or below `PIXELS` pixels. Results
    agree to rounding.
    """
    worthwhile = on_cpu() and math.prod(images.shape[:3]) >= PIXELS
    token = _current.set((len(images), math.gcd(len(images), CHAINS) if worthwhile else 1))
    try:
        yield
    finally:
        _current.reset(token)


def split(x: jax.Array) -> tuple[jax.Array, ...]:
    """x [B, ...] -> equal sub-batches in order; only x outside `over` or if B differs from that of its images."""
    batch, chains = _current.get()
    return _split(x, chains) if chains > 1 and len(x) == batch else (x,)


def join(parts: tuple[jax.Array, ...]) -> jax.Array:
    """The inverse of `split`."""
    return jnp.concatenate(parts) if len(parts) > 1 else parts[0]


def each(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """`function(*arrays)`, computed per sub-batch. The function treats images of its arrays [B, ...] independently."""
    return join(tuple(function(*chunks) for chunks in zip(*map(split, arrays), strict=True)))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _split(x, chains):
    return tuple(jnp.split(x, chains))


def _split_forward(x, chains):
    return _split(x, chains), None


def _split_backward(chains, _, gradients):
    return (jnp.concatenate(gradients),)  # JAX's own rule pads each one to the whole batch and adds them


_split.defvjp(_split_forward, _split_backward)

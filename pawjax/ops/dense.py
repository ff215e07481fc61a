"""Products of vectors with a large matrix, in the form that suits the chip: for a detector's largest layers."""

from typing import Any

import jax
from jax import lax

from pawjax.ops.chip import on_cpu


def dot_general(x: jax.Array, weights: jax.Array, dimension_numbers: Any, **options: Any) -> jax.Array:
    """`lax.dot_general` for `nn.Dense(dot_general=...)`: x [N, I] times weights [I, O] -> [N, O].

    On a CPU only reverse-mode differentiation works.
    """
    if not on_cpu():
        return lax.dot_general(x, weights, dimension_numbers, **options)
    return _product(x, weights)


@jax.custom_vjp
def _product(x, weights):
    return x @ weights


def _forward(x, weights):
    return x @ weights, (x, weights)


def _backward(saved, dy):
    x, weights = saved
    # This order reads the matrix along its rows: across them Eigen takes two to five times as long. The barrier keeps
    # XLA from swapping the factors back.
    dx = lax.optimization_barrier(lax.dot_general(weights, dy, (((1,), (1,)), ((), ())))).T
    return dx, x.T @ dy


_product.defvjp(_forward, _backward)

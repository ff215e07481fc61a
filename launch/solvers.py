"""Optimizers of a logistic regression, all alike: optax's first-order ones and L-BFGS, Newton's method and BFGS.

For `launch/optimisers.py`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pawjax.ops.logistic import gradient, hessian, loss


class Problem(NamedTuple):
    """A logistic regression: features x [N, p], labels y [N], and the weights of the penalty [p]."""

    x: jax.Array
    y: jax.Array
    l2: jax.Array


class Optimizer(NamedTuple):
    """`init(w) -> state` and `step(w, state, problem) -> (w, state)`."""

    init: Callable[[jax.Array], Any]
    step: Callable[[jax.Array, Any, Problem], tuple[jax.Array, Any]]


def of_optax(transform: optax.GradientTransformationExtraArgs) -> Optimizer:
    """An optimizer of optax, with what its line search needs."""

    def step(w: jax.Array, state: Any, problem: Problem) -> tuple[jax.Array, Any]:
        x, y, l2 = problem
        slope = gradient(w, x, y, l2)
        more = dict(value=loss(w, x, y, l2), grad=slope, value_fn=lambda w: loss(w, x, y, l2))
        updates, state = optax.with_extra_args_support(transform).update(slope, state, w, **more)
        return optax.apply_updates(w, updates), state

    return Optimizer(transform.init, step)


def backtracked(w: jax.Array, direction: jax.Array, rate: float, problem: Problem) -> jax.Array:
    """The weights after the longest of the steps rate, rate / 2, ... that lowers the loss enough (Armijo)."""
    now, slope = loss(w, *problem), gradient(w, *problem) @ direction

    def too_long(length: jax.Array) -> jax.Array:
        return ~(loss(w + length * direction, *problem) <= now + 1e-4 * length * slope) & (length > 1e-12)

    return w + jax.lax.while_loop(too_long, lambda length: length / 2, jnp.asarray(rate, w.dtype)) * direction


def newton(rate: float, search: bool = True, damping: float = 1e-9) -> Optimizer:
    """Newton's method, which is iteratively reweighted least squares; without `search`, steps of length `rate`."""

    def step(w: jax.Array, state: tuple, problem: Problem) -> tuple[jax.Array, tuple]:
        curvature = hessian(w, problem.x, problem.l2) + damping * jnp.eye(len(w))
        direction = -jnp.linalg.solve(curvature, gradient(w, *problem))
        return (backtracked(w, direction, rate, problem) if search else w + rate * direction), state

    return Optimizer(lambda w: (), step)


def bfgs(rate: float) -> Optimizer:
    """BFGS (Nocedal and Wright 2006, equation 6.17): the state is the inverse Hessian as the steps show it."""

    def step(w: jax.Array, inverse: jax.Array, problem: Problem) -> tuple[jax.Array, jax.Array]:
        slope = gradient(w, *problem)
        after = backtracked(w, -inverse @ slope, rate, problem)
        s, t = after - w, gradient(after, *problem) - slope
        st = s @ t
        safe = jnp.where(st > 0, st, 1.0)
        moved = inverse @ t
        update = (1 + t @ moved / safe) * jnp.outer(s, s) / safe - (jnp.outer(moved, s) + jnp.outer(s, moved)) / safe
        return after, jnp.where(st > 0, inverse + update, inverse)

    return Optimizer(lambda w: jnp.eye(len(w)), step)


def path(optimizer: Optimizer, problem: Problem, rows: jax.Array, measured: bool = True) -> tuple[jax.Array, jax.Array]:
    """The weights after all steps, and if `measured` the loss of the whole problem after each.

    Args:
      optimizer: starts at zero.
      problem: of all examples.
      rows: int [steps, n], the examples of each step; n = 0 for all.
    """

    def step(carry: tuple, rows: jax.Array) -> tuple:
        seen = Problem(problem.x[rows], problem.y[rows], problem.l2) if rows.size else problem
        carry = optimizer.step(*carry, seen)
        return carry, loss(carry[0], *problem) if measured else None

    start = jnp.zeros(problem.x.shape[1], problem.x.dtype)
    (w, _), losses = jax.lax.scan(step, (start, optimizer.init(start)), rows)
    return w, losses

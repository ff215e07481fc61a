"""Counts the arithmetic of a program: its convolutions and matrix products, as in the literature."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from pawjax.ops.chip import traced_for


def count_flops(program: Callable, *arguments: Any) -> int:
    """Multiplications and additions of all convolutions and matrix products in one run of a program.

    They are counted in their plain form, whatever the chip: including taps on padding, and 3x3 convolutions as nine
    products where a CPU would use Winograd's. A loop counts all its iterations if their number is known, else one; a
    conditional counts its most expensive branch. Additions, activations, pooling and resampling are left out.

    Args:
      program: as for `jax.jit`, not yet compiled.
      arguments: arrays or `jax.ShapeDtypeStruct`s.
    """
    if isinstance(program, jax.stages.Wrapped):  # with compiler options it could not be traced within another program
        program = program.__wrapped__
    with traced_for("cuda"):
        return _count(jax.make_jaxpr(program)(*arguments).jaxpr)


def _count(jaxpr: Jaxpr) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: Any) -> int:
    name, parameters = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        terms = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
        return 2 * equation.outvars[0].aval.size * terms
    if name == "conv_general_dilated":
        kernel, layout = equation.invars[1].aval.shape, parameters["dimension_numbers"].rhs_spec
        zeros = math.prod(parameters["lhs_dilation"])  # put between the pixels of a transposed convolution
        return 2 * equation.outvars[0].aval.size * math.prod(kernel) // (kernel[layout[0]] * zeros)
    inner = [_count(sub) for value in parameters.values() for sub in _jaxprs(value)]
    if name == "cond":
        return max(inner)
    return sum(inner) * (parameters["length"] if name == "scan" else 1)


def _jaxprs(value: Any) -> list[Jaxpr]:
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    return [sub for item in value for sub in _jaxprs(item)] if isinstance(value, (tuple, list)) else []

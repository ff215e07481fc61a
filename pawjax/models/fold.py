"""Folds batch norm with constant statistics into the kernels before it, for prediction."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from pawjax.models.layers import EPSILON
from pawjax.ops.norm import affine_of


@jax.jit
def fold(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the same network with `norm='none'`: kernels and biases that give the same outputs.

    Args:
      variables: 'params', and in 'batch_stats' a mean and a variance beside every kernel, scale and bias of a
        `ConvNorm`.

    Returns:
      Only {'params': ...}.
    """
    return {"params": _folded(variables["params"], variables["batch_stats"])}


def _folded(params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    if "mean" in stats:
        gain, bias = affine_of(params["scale"], params["bias"], stats["mean"], stats["var"], EPSILON)
        return {"kernel": params["kernel"] * gain, "bias": bias}
    return {name: _folded(leaf, stats[name]) if name in stats else leaf for name, leaf in params.items()}


def with_fields(net: nn.Module, **fields: Any) -> nn.Module:
    """A copy of a network with these values in it and in every network it is composed of, where the field exists."""
    values = {name: getattr(net, name) for name in net.__dataclass_fields__ if name not in ("parent", "name")}
    composed = {name: with_fields(value, **fields) for name, value in values.items() if isinstance(value, nn.Module)}
    return net.clone(**composed, **{name: value for name, value in fields.items() if name in values})

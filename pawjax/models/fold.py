"""Folds batch norm with constant statistics into the kernels before it, for prediction."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax

from pawjax.models.layers import EPSILON
from pawjax.ops.norm import affine_of


@partial(jax.jit, static_argnums=0)
def fold(net: nn.Module, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the same network with `norm='none'`: kernels and biases that give the same outputs.

    Args:
      net: the network. It, and any network that it is composed of, may have a field `epsilon`, that of its batch norm.
      variables: 'params', and in 'batch_stats' a mean and a variance beside the parameters of every `ConvNorm` and
        `NormRelu`.

    Returns:
      Only {'params': ...}.
    """
    return {"params": _folded(net, variables["params"], variables["batch_stats"], EPSILON)}


def _folded(net: nn.Module | None, params: Mapping[str, Any], stats: Mapping[str, Any], epsilon: float) -> dict:
    epsilon = getattr(net, "epsilon", epsilon)
    if "mean" in stats:
        gain, bias = affine_of(params["scale"], params["bias"], stats["mean"], stats["var"], epsilon)
        if "kernel" not in params:  # nothing before it to fold into
            return {"scale": gain, "bias": bias}
        return {"kernel": params["kernel"] * gain, "bias": bias}
    return {
        name: _folded(getattr(net, name, None), leaf, stats[name], epsilon) if name in stats else leaf
        for name, leaf in params.items()
    }


def with_fields(net: nn.Module, **fields: Any) -> nn.Module:
    """A copy of a network with these values in it and in every network it is composed of, where the field exists."""
    values = {name: getattr(net, name) for name in net.__dataclass_fields__ if name not in ("parent", "name")}
    composed = {name: with_fields(value, **fields) for name, value in values.items() if isinstance(value, nn.Module)}
    return net.clone(**composed, **{name: value for name, value in fields.items() if name in values})

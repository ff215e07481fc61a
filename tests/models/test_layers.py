"""Running batch statistics of the layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.models.layers import ConvNorm


def test_running_statistics_keep_nine_tenths_per_step():
    layer, x = ConvNorm(4), jnp.asarray(np.random.default_rng(0).normal(2, 3, (8, 5, 5, 3)), jnp.float32)
    variables = layer.init(jax.random.key(0), x, True)
    y = x.reshape(-1, 3) @ variables["params"]["kernel"][0, 0]
    _, updates = layer.apply(variables, x, True, mutable=["batch_stats"])
    np.testing.assert_allclose(updates["batch_stats"]["mean"], 0.1 * y.mean(0), rtol=1e-4)
    np.testing.assert_allclose(updates["batch_stats"]["var"], 0.9 + 0.1 * y.var(0), rtol=1e-4)


@pytest.mark.parametrize("norm, train", [("batch", False), ("frozen", True)])
def test_running_statistics_change_only_with_live_statistics(norm, train):
    layer, x = ConvNorm(4, norm=norm), jnp.ones((2, 3, 3, 3))
    variables = layer.init(jax.random.key(0), x, train)
    _, updates = layer.apply(variables, x, train, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], variables["batch_stats"])

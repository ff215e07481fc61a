"""R-hat and effective sizes of autoregressions, whose own are known."""

import numpy as np
import pytest

from pawjax.pose3d.convergence import effective_size, r_hat


def autoregression(rng, correlation, chains=4, count=4000):
    noise = rng.normal(size=(chains, count, 3))
    draws = np.empty_like(noise)
    draws[:, 0] = noise[:, 0] / np.sqrt(1 - correlation**2)
    for n in range(1, count):
        draws[:, n] = correlation * draws[:, n - 1] + noise[:, n]
    return draws


@pytest.mark.parametrize("correlation", [-0.3, 0.0, 0.5, 0.9])
def test_effective_size_of_an_autoregression(correlation):
    draws = autoregression(np.random.default_rng(0), correlation)
    expected = 16_000 * (1 - correlation) / (1 + correlation)
    np.testing.assert_allclose(effective_size(draws), expected, rtol=0.2)
    np.testing.assert_allclose(r_hat(draws), 1, atol=0.01)


def test_chains_that_have_not_met():
    draws = autoregression(np.random.default_rng(1), 0.5)
    draws[0] += [0, 3, 30]
    found = r_hat(draws)
    assert found[0] < 1.01 and found[1] > 1.1 and found[2] > 3
    size = effective_size(draws)
    assert size[2] < 20 < 0.01 * size[0]
    drifting = draws[1:] + np.linspace(0, 5, 4000)[:, None]  # every chain the same way
    assert (r_hat(drifting) > 1.1).all()

"""The von Mises-Fisher distribution against quadrature and its own draws, for kappa from 1e-6 to 1e5."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.pose3d import vmf

KAPPAS = [1e-6, 1e-3, 0.1, 0.29999, 0.3, 0.30001, 1.0, 10.0, 300.0, 1e5]


def along(kappa, function):
    """The mean of a function of 1 - mu . u, and the normaliser over exp(kappa), by Gauss-Legendre quadrature."""
    node, weight = np.polynomial.legendre.leggauss(200)
    stop = min(2, 60 / kappa)
    short = stop * (node + 1) / 2
    density = weight * stop / 2 * np.exp(-kappa * short)
    return (function(short) * density).sum() / density.sum(), density.sum()


@pytest.mark.parametrize("kappa", KAPPAS)
def test_normaliser_mean_and_variance(kappa):
    length, mass = along(kappa, lambda short: 1 - short)
    variance = along(kappa, lambda short: (1 - short - length) ** 2)[0]
    for exact in (True, False):
        with jax.enable_x64(exact):
            digits = {"rtol": 1e-9 if exact else 3e-5, "atol": 1e-10 if exact else 1e-6}
            at = jnp.asarray(kappa, float)
            np.testing.assert_allclose(vmf.log_normaliser(at), -np.log(2 * np.pi * mass) - kappa, **digits)
            np.testing.assert_allclose(vmf.log_sinhc_less(at), np.log(mass / 2), **digits)
            np.testing.assert_allclose(vmf.log_sinhc(at), kappa + vmf.log_sinhc_less(at), **digits)
            np.testing.assert_allclose(vmf.mean_length(at), length, **digits)
            np.testing.assert_allclose(vmf.mean_slope(at) / variance, 1, rtol=1e-7 if exact else 1e-4)
            np.testing.assert_allclose(vmf.length_ratio(at) * kappa, length, **digits)


def test_at_zero_all_is_finite():
    zero = jnp.zeros(())
    assert vmf.log_sinhc(zero) == 0 and vmf.mean_length(zero) == 0
    np.testing.assert_allclose([vmf.length_ratio(zero), vmf.mean_slope(zero)], 1 / 3, rtol=1e-6)
    assert np.isfinite(vmf.sample(jax.random.key(0), jnp.zeros((5, 3)))).all()


@pytest.mark.parametrize("kappa", [1e-3, 0.5, 20.0, 1e4])
def test_concentration_inverts_the_mean_length(kappa, x64):
    np.testing.assert_allclose(vmf.concentration(vmf.mean_length(jnp.asarray(kappa))), kappa, rtol=1e-6)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kappa", [0.0, 1e-6, 0.5, 30.0, 1e5])
def test_moments_of_draws(kappa, exact):
    count, mean = 40_000, np.array([2.0, -1, -2]) / 3
    with jax.enable_x64(exact):
        natural = jnp.broadcast_to(jnp.asarray(kappa * mean, float), (count, 3))
        drawn = np.asarray(jax.jit(vmf.sample)(jax.random.key(7), natural), np.float64)
        length, slope = float(vmf.mean_length(jnp.asarray(kappa))), float(vmf.mean_slope(jnp.asarray(kappa)))
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(drawn.mean(0), length * mean, atol=5 * np.sqrt(1 / (max(kappa, 3) * count)))
    across = (1 - slope - length**2) / 2  # variance along each axis across the mean
    expected = slope * np.outer(mean, mean) + across * (np.eye(3) - np.outer(mean, mean))
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03 * across)

"""The optimizers of `launch/optimisers.py` against scipy, and what its figures are read from."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

from launch.optimisers import as_layer, order_of, separable, with_ones
from launch.solvers import Problem, bfgs, newton, of_optax, path
from pawjax.models.patch_net import PatchNet
from pawjax.ops.patches import cut_patches


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def losses_of(optimizer, problem, steps):
    run = jax.jit(lambda: path(optimizer, problem, jnp.zeros((steps, 0), int)))
    return jax.device_get(run())


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x = with_ones(rng.normal(size=(60, 3)) * (1, 3, 10))
    y = (x @ [1, -0.3, 0.1, 0.5] + rng.normal(size=60) > 0) * 1.0
    return x, y, np.array([0.1, 0.1, 0.1, 0])


@pytest.mark.parametrize(
    "make, steps",
    [
        (lambda: newton(1.0), 8),
        (lambda: newton(1.0, search=False, damping=0.0), 8),
        (lambda: bfgs(1.0), 40),
        (lambda: of_optax(optax.lbfgs(1.0)), 40),
        (lambda: of_optax(optax.sgd(0.05, 0.9, nesterov=True)), 800),
    ],
    ids=["Newton", "undamped", "BFGS", "L-BFGS", "Nesterov"],
)
def test_all_reach_the_optimum_of_scipy(problem, make, steps):
    x, y, l2 = problem

    def by_hand(w):
        z = x @ w
        return np.mean(np.logaddexp(0, z) - y * z) + np.sum(l2 * w**2) / 2

    best = minimize(by_hand, np.zeros(4), tol=1e-12)
    w, losses = losses_of(make(), Problem(*map(jnp.asarray, problem)), steps)
    assert losses[-1] == pytest.approx(best.fun, rel=1e-8) and losses[0] > losses[-1]
    np.testing.assert_allclose(w, best.x, rtol=1e-3)


def test_newton_converges_quadratically_and_gradient_descent_linearly(problem):
    problem = Problem(*map(jnp.asarray, problem))
    least = losses_of(newton(1.0), problem, 20)[1].min()
    assert 1.5 < order_of(losses_of(newton(1.0), problem, 8)[1] - least)[0] < 2.5
    assert order_of(losses_of(of_optax(optax.sgd(0.02)), problem, 500)[1] - least)[0] == pytest.approx(1, abs=0.05)


def test_order_is_read_off_the_gaps():
    assert order_of(0.05 * 0.9 ** np.arange(40)) == pytest.approx((1, 0.9))
    assert order_of(0.05 ** (2.0 ** np.arange(4)))[0] == pytest.approx(2)
    assert np.isnan(order_of(np.array([0.05, 0.01]))).all()


def test_undamped_newton_fails_on_separable_examples_and_backtracking_does_not():
    _, undamped = losses_of(newton(1.0, search=False, damping=0.0), separable(), 60)
    _, searched = losses_of(newton(1.0), separable(), 60)
    assert not np.isfinite(undamped[-1]) and np.nanmax(undamped) > 1000
    assert (np.diff(searched) < 0).all() and searched[-1] < 1e-3


def test_minibatches_are_the_rows_given(problem):
    problem = Problem(*map(jnp.asarray, problem))
    rows = jnp.array([[0, 1], [5, 5]])
    w, losses = jax.jit(lambda: path(of_optax(optax.sgd(0.1)), problem, rows))()
    expected = np.zeros(4)
    for chosen in ([0, 1], [5, 5]):
        x, y = np.asarray(problem.x)[chosen], np.asarray(problem.y)[chosen]
        slope = x.T @ (1 / (1 + np.exp(-x @ expected)) - y) / 2 + np.asarray(problem.l2) * expected
        expected -= 0.1 * slope
    np.testing.assert_allclose(w, expected)
    assert losses.shape == (2,)


def test_weights_of_standardised_patches_become_a_convolution():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1, 30, 40, 1), np.uint8)
    net = PatchNet(1, 17)
    centers = np.stack(np.meshgrid(np.arange(40), np.arange(30)), -1)
    patches = np.asarray(cut_patches(net.features(image)[0], jnp.asarray(centers), 17), np.float64)
    mean, std = rng.normal(size=289), rng.uniform(0.5, 1.5, 289)
    w = rng.normal(0, 0.1, 290)
    logits = with_ones((patches.reshape(-1, 289) - mean) / std) @ w
    dense = net.apply({"params": {"scoremap": as_layer(w, mean, std)}}, image, train=False)
    assert np.abs(np.asarray(dense).ravel() - logits).max() < 1e-5 * np.ptp(logits)

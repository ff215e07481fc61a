"""Priors are recovered from data drawn from them, and a file gives back what was saved."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.pose3d import gimbal, model2, priors, vmf, vmf_mixture
from pawjax.pose3d.gimbal import turn
from pawjax.pose3d.parameters import Noise, Observations, Prior
from pawjax.pose3d.prior_file import read_prior, save_prior
from tests.pose3d.conftest import LENGTHS, PARENTS, pixels_of, ring, walking


def mixture_poses(count, seed=0):
    """Unit vectors [count, 3, 3] from two states, with gaps, and the states [count]."""
    rng = np.random.default_rng(seed)
    means = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, -1], [0, 1, 0], [0, -1, 0]]], float)
    kappas = np.array([[20.0, 5, 60], [40, 8, 3]])
    states = (rng.random(count) < 0.3).astype(int)
    natural = jnp.asarray(kappas[states][..., None] * means[states], jnp.float32)
    drawn = np.array(vmf.sample(jax.random.key(seed), natural))
    drawn[rng.random((count, 3)) < 0.2] = np.nan
    return drawn, states, means, kappas


def test_mixture_is_recovered():
    drawn, states, means, kappas = mixture_poses(3000)
    mixture, probabilities, likelihood = vmf_mixture.fit(jax.random.key(1), jnp.asarray(drawn), 2, 100.0)
    order = np.argsort(-mixture.weights)
    np.testing.assert_allclose(mixture.weights[order], [0.7, 0.3], atol=0.03)
    np.testing.assert_allclose((mixture.directions[order] * means).sum(-1), 1, atol=0.01)
    np.testing.assert_allclose(mixture.concentrations[order], kappas, rtol=0.15)
    assert (order[np.asarray(probabilities).argmax(-1)] == states).mean() > 0.97
    assert (np.diff(likelihood[5:]) > -0.1).all() and likelihood[-1] > likelihood[0]


def test_concentrations_stay_bounded_and_empty_states_finite():
    same = jnp.broadcast_to(jnp.array([0, 0, 1.0]), (50, 3, 3)).at[:, 1].set(jnp.nan)
    mixture, _, _ = vmf_mixture.fit(jax.random.key(0), same, 4, 30.0)
    assert all(np.isfinite(array).all() for array in mixture)
    assert mixture.concentrations.max() <= 30 and not mixture.concentrations[:, 1].any()
    np.testing.assert_allclose(np.linalg.norm(mixture.directions, axis=-1), 1, atol=1e-6)


def animal(frames=2000):
    """Poses [frames, 4, 3] of an animal that turns, in two alternating states of 50 frames each."""
    rng = np.random.default_rng(3)
    states = np.arange(frames) // 50 % 2
    mean = np.array(
        [[[1, 0, 0], [1, 0, 0], [0.6, 0, 0.8], [-1, 0, 0]], [[1, 0, 0], [0, 0, 1], [0.6, 0, -0.8], [-1, 0, 0]]]
    )
    directions = np.array(vmf.sample(jax.random.key(2), jnp.asarray(80 * mean[states], jnp.float32)))
    turned = np.asarray(turn(jnp.asarray(directions), jnp.asarray(0.01 * np.arange(frames), jnp.float32)))
    poses = np.zeros((frames, 4, 3))
    poses[:, 0] = np.cumsum(rng.normal(scale=[1, 1, 1], size=(frames, 3)), 0)
    lengths = LENGTHS + rng.normal(scale=2, size=(frames, 4))
    for k in range(1, 4):
        poses[:, k] = poses[:, PARENTS[k]] + lengths[:, k, None] * turned[:, k]
    return poses, states


def test_limbs_steps_and_states_of_an_animal():
    poses, states = animal()
    poses[5:9] = np.nan
    limbs = priors.learn_limbs(poses, PARENTS)
    np.testing.assert_allclose(limbs.length, LENGTHS, atol=0.3)
    np.testing.assert_allclose(limbs.variance[1:], 4, rtol=0.15)
    np.testing.assert_allclose(priors.learn_steps(poses)[0], 1, rtol=0.1)
    learned = priors.learn_states(jax.random.key(0), poses, PARENTS, (3, 0), 2)
    assert (learned.directions[:, 3] @ jnp.array([-1, 0, 0]) > 0.99).all()  # the spine is the heading
    up = np.sort(np.asarray(learned.directions[:, 1, 2]))
    np.testing.assert_allclose(up, [0, 1], atol=0.05)
    np.testing.assert_allclose(np.diagonal(learned.transitions), 0.98, atol=0.01)  # 50 frames each
    np.testing.assert_allclose(np.sum(learned.transitions, -1), 1)


def test_rigid_limbs_are_held_for_a_hundredth_of_their_length_loose():
    """Motion capture of a rigid skeleton has no spread at all, with which the models would not converge."""
    rng, cameras = np.random.default_rng(7), ring(3)
    poses = walking(rng, 40)
    limbs = priors.learn_limbs(poses, PARENTS)
    np.testing.assert_allclose(np.sqrt(limbs.variance[1:]), LENGTHS[1:] / 100, rtol=1e-6)
    noise = Noise(*(np.full((3, 4), value) for value in (9.0, 1e4, 0.05)))
    prior = Prior(priors.learn_steps(poses), noise, limbs, None, tuple("abcd"))
    pixels = pixels_of(cameras, poses) + rng.normal(scale=3, size=(40, 3, 4, 2))
    fit = model2.fit(Observations(pixels), cameras, prior)
    assert fit.converged and np.linalg.norm(fit.mean - poses, axis=-1).mean() < 2


def test_a_whole_prior_is_learned_from_what_it_explains():
    poses, _ = animal(400)
    poses = poses + [30.0, -20, 10]
    rng, cameras = np.random.default_rng(6), ring(3)
    pixels = pixels_of(cameras, poses) + rng.normal(scale=2, size=(400, 3, 4, 2))
    wrong = rng.random((400, 3, 4)) < 0.1
    pixels[wrong] += rng.normal(scale=60, size=(wrong.sum(), 2))
    poses[::7, 2] = np.nan
    prior = priors.learn_prior(
        jax.random.key(0), Observations(pixels), cameras, poses, tuple("abcd"), PARENTS, (3, 0), 2
    )
    np.testing.assert_allclose(prior.noise.inlier, 4, rtol=0.3)
    np.testing.assert_allclose(prior.noise.probability, 0.1, atol=0.05)
    fit = gimbal.fit(Observations(pixels[:30]), cameras, prior, np.nan_to_num(poses[:30], nan=30.0))
    assert np.nanmean(np.linalg.norm(fit.mean - poses[:30], axis=-1)) < 1.5


def test_noise_of_residuals():
    rng = np.random.default_rng(4)
    shape, share = (3000, 2, 3), np.array([[0.02, 0.1, 0.3], [0.5, 0.9, 0.2]])
    inlier, outlier = rng.uniform(2, 9, (2, 3)), rng.uniform(900, 4000, (2, 3))
    wrong = rng.random(shape) < share
    residuals = rng.normal(size=(*shape, 2)) * np.sqrt(np.where(wrong, outlier, inlier))[..., None]
    residuals[:, 1, 2] = np.nan  # never seen
    noise = priors.learn_noise(residuals)
    seen = np.array([[True] * 3, [True, True, False]])
    np.testing.assert_allclose(noise.probability[seen], share[seen], atol=0.03)
    np.testing.assert_allclose(noise.inlier[seen], inlier[seen], rtol=0.2)
    np.testing.assert_allclose(noise.outlier[seen], outlier[seen], rtol=0.4)
    assert np.isfinite(noise.inlier[1, 2]) and 0 < noise.probability[1, 2] < 1
    by_likelihood = priors.noise_by_likelihood(noise, np.array([0.0, 0.5, 1.0, np.nan])[:, None, None])
    np.testing.assert_allclose(by_likelihood.probability.ravel(), [1, 0.5, 0, 1], atol=1e-4)


def some_prior():
    rng = np.random.default_rng(5)
    poses, _ = animal(300)
    return Prior(
        rng.uniform(1, 3, 4),
        Noise(*rng.uniform(1, 5, (2, 3, 4)), rng.random((3, 4))),
        priors.learn_limbs(poses, PARENTS),
        priors.learn_states(jax.random.key(0), poses, PARENTS, (3, 0), 2),
        ("root", "Hals", "Näschen", "hip"),
    )


def test_a_file_gives_back_the_prior(tmp_path):
    prior = some_prior()
    for kept in (prior, dataclasses.replace(prior, states=None), dataclasses.replace(prior, states=None, limbs=None)):
        save_prior(tmp_path / "prior.npz", kept)
        found = read_prior(tmp_path / "prior.npz")
        assert jax.tree.structure(found) == jax.tree.structure(kept)
        jax.tree.map(np.testing.assert_array_equal, found, kept)
    assert [path.name for path in tmp_path.iterdir()] == ["prior.npz"]


def test_other_files_are_one_sentence(tmp_path):
    path = tmp_path / "prior.npz"
    with pytest.raises(InputError, match="prior.npz: there is no such file"):
        read_prior(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="prior.npz is no prior by pawjax"):
        read_prior(path)
    np.savez(path, length=np.ones(3))
    with pytest.raises(InputError, match="is no prior by pawjax .format 'None'."):
        read_prior(path)
    save_prior(path, some_prior())
    arrays = dict(np.load(path))
    np.savez(path, **{name: array for name, array in arrays.items() if name != "limbs.length"})
    with pytest.raises(InputError, match="the prior is damaged .'limbs.length'."):
        read_prior(path)
    np.savez(path, **arrays | {"noise.inlier": -arrays["noise.inlier"]})
    with pytest.raises(InputError, match="damaged .*noise.inlier must be finite and from 0"):
        read_prior(path)
    with pytest.raises(InputError, match="step_variance must be finite and positive"):
        save_prior(path, dataclasses.replace(some_prior(), step_variance=np.zeros(4)))


def test_too_little_data_is_one_sentence():
    with pytest.raises(InputError, match="fewer than two poses have the limb from bodypart 0 to 1"):
        priors.learn_limbs(np.full((5, 4, 3), np.nan), PARENTS)
    with pytest.raises(InputError, match="1 frames show the spine and are too few for 2 states"):
        priors.learn_states(jax.random.key(0), np.zeros((1, 4, 3)), PARENTS, (3, 0), 2)
    with pytest.raises(InputError, match="never seen in two frames in a row"):
        priors.learn_steps(np.zeros((1, 4, 3)))
    with pytest.raises(InputError, match="0 residuals are too few"):
        priors.learn_noise(np.full((5, 2, 3, 2), np.nan))

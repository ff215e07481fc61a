"""Forward-backward and draws of a hidden Markov chain against enumeration of its courses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.pose3d import hidden_markov

T, S = 4, 3


@pytest.fixture
def chain():
    rng = np.random.default_rng(0)
    initial, transitions = rng.dirichlet(np.ones(S)), rng.dirichlet(np.ones(S), S)
    transitions[0] = [0, 0.5, 0.5]
    log_likelihood = rng.normal(scale=2, size=(T, S)) - 300
    courses = np.array(list(itertools.product(range(S), repeat=T)))
    joint = initial[courses[:, 0]] * np.exp(log_likelihood[np.arange(T), courses] + 300).prod(-1)
    joint *= transitions[courses[:, :-1], courses[:, 1:]].prod(-1)
    return [jnp.asarray(array, jnp.float32) for array in (initial, transitions, log_likelihood)], courses, joint


def test_posterior_and_evidence(chain):
    arrays, courses, joint = chain
    probabilities, evidence = hidden_markov.posterior(*arrays)
    expected = [[joint[courses[:, t] == s].sum() / joint.sum() for s in range(S)] for t in range(T)]
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(evidence, np.log(joint.sum()) - T * 300, rtol=1e-6)


def test_draws_have_the_law_of_the_courses(chain):
    arrays, courses, joint = chain
    keys = jax.random.split(jax.random.key(1), 20_000)
    drawn = np.asarray(jax.vmap(lambda key: hidden_markov.sample(key, *arrays))(keys))
    count = np.zeros(len(courses))
    np.add.at(count, (drawn @ S ** np.arange(T)[::-1]), 1)
    np.testing.assert_allclose(count / len(drawn), joint / joint.sum(), atol=0.015)
    assert not count[joint == 0].any()


def test_an_impossible_course_stays_finite():
    log_likelihood = jnp.array([[0, -jnp.inf], [-jnp.inf, 0.0]])
    probabilities, evidence = hidden_markov.posterior(jnp.array([1.0, 0]), jnp.eye(2), log_likelihood)
    np.testing.assert_allclose(probabilities[1], [0, 1], atol=1e-6)
    assert np.isfinite(probabilities).all() and evidence < -60

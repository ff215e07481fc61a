"""Schedules at their boundaries, the weight decay mask, clipping, and parameter groups."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pawjax.errors import InputError
from pawjax.optim import OPTIMIZERS, Optimizer, check_groups, kernels, make_optimizer, make_schedule


def test_stepwise_schedule_equals_deeplabcut():
    schedule = make_schedule(Optimizer(schedule="stepwise"), 1)
    steps = [0, 9_999, 10_000, 429_999, 430_000, 730_000, 2_000_000]
    np.testing.assert_allclose([schedule(s) for s in steps], [0.005, 0.005, 0.02, 0.02, 0.002, 0.001, 0.001])


def test_stepwise_scaled_ends_with_the_run():
    schedule = make_schedule(Optimizer(schedule="stepwise_scaled"), 1030)
    np.testing.assert_allclose([schedule(s) for s in (9, 10, 429, 430, 730)], [0.005, 0.02, 0.02, 0.002, 0.001])


def test_cosine_and_warm_up():
    schedule = make_schedule(Optimizer(schedule="cosine", learning_rate=1.0, warmup_steps=4), 100)
    np.testing.assert_allclose([schedule(s) for s in (0, 1, 3)], [0.25, 0.5, 1.0], rtol=1e-2)
    assert float(schedule(50)) == pytest.approx(0.5) and float(schedule(100)) == pytest.approx(0, abs=1e-6)


def test_weight_decay_applies_to_kernels_only():
    params = {"conv": {"kernel": jnp.ones(2), "scale": jnp.ones(2)}}
    assert kernels(params) == {"conv": {"kernel": True, "scale": False}}
    for name in OPTIMIZERS:
        optimizer = make_optimizer(Optimizer(name=name, weight_decay=0.1))
        zero = jax.tree.map(jnp.zeros_like, params)
        updates, _ = optimizer.update(zero, optimizer.init(params), params, rate=1.0)
        assert (updates["conv"]["kernel"] < 0).all() and (updates["conv"]["scale"] == 0).all()


PARAMS = {"backbone": {"stem": {"kernel": jnp.ones(3)}, "top": {"kernel": jnp.ones(3)}}, "head": {"bias": jnp.ones(3)}}


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_groups_scale_freeze_and_unfreeze(name):
    common = dict(name=name, schedule="constant", learning_rate=0.1, weight_decay=0.1)
    groups = ((".*/stem/.*", 0.0, 0), ("backbone/.*", 0.5, 2))
    gradients = jax.tree.map(lambda x: 0.3 * x, PARAMS)
    plain, grouped = (run(Optimizer(**common, **extra), gradients, 4) for extra in ({}, {"groups": groups}))
    for step, (full, some) in enumerate(zip(plain, grouped, strict=True)):
        assert (some["backbone"]["stem"]["kernel"] == 0).all(), "the first matching group decides"
        np.testing.assert_array_equal(
            some["backbone"]["top"]["kernel"], full["backbone"]["top"]["kernel"] * (0.5 if step >= 2 else 0)
        )
        np.testing.assert_array_equal(some["head"]["bias"], full["head"]["bias"])


def test_factors_of_groups_rise():
    settings = Optimizer(schedule="constant", learning_rate=1.0, groups_warmup_steps=4, momentum=0.0)
    groups = (("backbone/stem/.*", 0.0, 0), ("backbone/.*", 0.5, 2))
    updates = run(dataclasses.replace(settings, groups=groups), gradients_of(1.0, 1.0, 1.0), 8)
    factors = [-np.linalg.norm(each["backbone"]["top"]["kernel"]) for each in updates]
    np.testing.assert_allclose(factors, [0, 0, -0.125, -0.25, -0.375, -0.5, -0.5, -0.5], rtol=1e-6)
    for each in updates:
        assert (each["backbone"]["stem"]["kernel"] == 0).all()
        assert np.linalg.norm(each["head"]["bias"]) == pytest.approx(1)


def run(settings, gradients, n_steps=3):
    """The updates at each step."""
    optimizer, schedule, updates = make_optimizer(settings), make_schedule(settings, 10), []
    state = optimizer.init(PARAMS)
    for step in range(n_steps):
        moved, state = optimizer.update(gradients, state, PARAMS, rate=np.float32(schedule(step)))
        updates.append(moved)
    return updates


def gradients_of(stem, top, bias):
    """Gradients of `PARAMS` with these norms."""
    unit = jnp.ones(3) / np.sqrt(3)
    return {"backbone": {"stem": {"kernel": stem * unit}, "top": {"kernel": top * unit}}, "head": {"bias": bias * unit}}


def test_frozen_backbone_does_not_shrink_head_updates():
    common = dict(schedule="constant", learning_rate=0.1, clip_norm=0.5)
    frozen = run(Optimizer(groups=(("backbone/.*", 0.0, 0),), **common), gradients_of(40.0, 30.0, 2.0))
    alone = run(Optimizer(**common), gradients_of(0.0, 0.0, 2.0))
    for with_backbone, without in zip(frozen, alone, strict=True):
        np.testing.assert_array_equal(with_backbone["head"]["bias"], without["head"]["bias"])
        assert (with_backbone["backbone"]["stem"]["kernel"] == 0).all()
    assert np.linalg.norm(frozen[0]["head"]["bias"]) == pytest.approx(0.1 * 0.5, rel=1e-6)


def test_unfrozen_parameters_join_the_norm_at_their_step():
    settings = Optimizer(
        momentum=0.0, schedule="constant", learning_rate=1.0, clip_norm=1.0, groups=(("backbone/.*", 0.5, 2),)
    )
    before, _, after = run(settings, gradients_of(0.0, 4.0, 3.0))
    assert np.linalg.norm(before["head"]["bias"]) == pytest.approx(1.0, rel=1e-6)
    assert np.linalg.norm(after["head"]["bias"]) == pytest.approx(3 / 5, rel=1e-6)
    assert np.linalg.norm(after["backbone"]["top"]["kernel"]) == pytest.approx(0.5 * 4 / 5, rel=1e-6)


def test_moments_before_unfreezing_are_clipped_by_the_global_norm():
    common = dict(momentum=0.5, schedule="constant", learning_rate=1.0, clip_norm=1.0)
    first_move = run(Optimizer(groups=(("backbone/.*", 1.0, 1),), **common), gradients_of(0.0, 4.0, 3.0))[1]
    never_frozen = run(Optimizer(**common), gradients_of(0.0, 4.0, 3.0))[1]
    np.testing.assert_allclose(
        first_move["backbone"]["top"]["kernel"], never_frozen["backbone"]["top"]["kernel"], rtol=1e-6
    )


def test_clipping_without_groups_uses_all_parameters():
    updates = run(Optimizer(schedule="constant", learning_rate=1.0, clip_norm=1.0), gradients_of(0.0, 4.0, 3.0))[0]
    assert np.linalg.norm(updates["backbone"]["top"]["kernel"]) == pytest.approx(4 / 5, rel=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rate_factor_scales_every_update(name):
    common = dict(name=name, schedule="cosine", learning_rate=0.1, weight_decay=0.1, warmup_steps=2)
    scaled = run(Optimizer(rate_factor=0.3, **common), gradients_of(1.0, 2.0, 3.0))
    grouped = run(Optimizer(groups=((".*", 0.3, 0),), **common), gradients_of(1.0, 2.0, 3.0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), scaled, grouped)
    schedule, unscaled = (make_schedule(Optimizer(rate_factor=f, **common), 10) for f in (0.3, 1.0))
    assert float(schedule(5)) == pytest.approx(0.3 * float(unscaled(5)), rel=1e-6)


@pytest.mark.parametrize(
    "name, of_optax",
    [
        ("sgd", lambda rate: optax.sgd(rate, momentum=0.8)),
        ("adam", lambda rate: optax.adam(rate, b1=0.8)),
        ("adamw", lambda rate: optax.adamw(rate, b1=0.8, weight_decay=0.1, mask=kernels)),
    ],
)
def test_optimizers_equal_those_of_optax(name, of_optax):
    """Their states too, which checkpoints of versions that had the schedule in the optimizer hold."""
    gradients = gradients_of(1.0, 2.0, 3.0)
    decay = 0.1 if name == "adamw" else 0.0
    settings = Optimizer(name=name, schedule="cosine", learning_rate=0.1, momentum=0.8, weight_decay=decay)
    optimizer = of_optax(optax.cosine_decay_schedule(0.1, 10))
    state = optimizer.init(PARAMS)
    assert jax.tree.structure(make_optimizer(settings).init(PARAMS)) == jax.tree.structure((state,))
    for updates in run(settings, gradients):
        expected, state = optimizer.update(gradients, state, PARAMS)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), updates, expected)


@pytest.mark.parametrize("name, of_optax", [("cosine", optax.cosine_decay_schedule), ("stepwise", None)])
def test_schedules_equal_those_of_optax(name, of_optax):
    settings = Optimizer(schedule=name, learning_rate=0.3, rates=((0.1, 3), (0.2, 7), (0.05, 9)), warmup_steps=4)
    if name == "stepwise":
        of_optax = lambda *_: optax.join_schedules([optax.constant_schedule(r) for r in (0.1, 0.2, 0.05)], [3, 7])  # noqa: E731
    expected = [of_optax(0.3, 12)(step) * min(1, (step + 1) / 4) for step in range(15)]
    np.testing.assert_allclose(make_schedule(settings, 12)(np.arange(15)), expected, rtol=1e-5, atol=1e-9)


def test_unmatched_pattern_is_named():
    for clip_norm in (0.0, 1.0):
        settings = Optimizer(groups=(("stem/.*", 0.0, 0),), clip_norm=clip_norm)
        with pytest.raises(InputError, match="no parameter matches 'stem/.*first parameter is 'backbone/stem/kernel"):
            make_optimizer(settings).init(PARAMS)


@pytest.mark.parametrize(
    "groups, warmup_steps, words",
    [
        (
            (("backbone/.*", 0.5, 0), ("backbone/stem/.*", 0.0, 0)),
            0,
            "'backbone/stem/.*' has no effect, because the groups",
        ),
        (((".*", 0.0, 0),), 0, "gives every parameter the factor 0"),
        ((), 5, "groups_warmup_steps has no effect without"),
    ],
)
def test_groups_that_change_nothing_are_refused(groups, warmup_steps, words):
    with pytest.raises(InputError, match=re.escape(words)):
        check_groups(Optimizer(groups=groups, groups_warmup_steps=warmup_steps), PARAMS, 10)


def test_groups_trained_too_late_are_said(capsys, monkeypatch):
    monkeypatch.setattr("pawjax.errors._said", set())
    settings = Optimizer(groups=(("head/.*", 0.0, 10), ("backbone/.*", 0.5, 10)))
    check_groups(settings, PARAMS, 11)
    assert capsys.readouterr().err == ""
    check_groups(settings, PARAMS, 10)
    assert capsys.readouterr().err.count("'backbone/.*' would be trained from step 10 of 10") == 1


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"name": "lion"}, "config.optimizer.name = 'lion' must be one of sgd, adam, adamw"),
        ({"schedule": "step"}, "config.optimizer.schedule = 'step' must be one of stepwise, stepwise_scaled, cosine"),
        ({"clip_norm": -1.0}, "config.optimizer.clip_norm = -1.0 must be at least 0"),
        ({"ema_decay": 1.0}, "config.optimizer.ema_decay = 1.0 must be at least 0 and less than 1"),
        ({"rate_factor": 0.0}, "config.optimizer.rate_factor = 0.0 must be positive"),
        ({"rates": ()}, "config.optimizer.rates"),
        ({"rates": (0.1, 100)}, "config.optimizer.rates"),
        ({"rates": ((0.1, 100), (0.01, 50))}, "config.optimizer.rates"),
        ({"groups": (("(", 1.0, 0),)}, "config.optimizer.groups"),
        ({"groups": ("backbone/.*", 0.0, 0)}, "config.optimizer.groups"),
        ({"groups": (("backbone/.*", "0", 0),)}, "config.optimizer.groups"),
    ],
)
def test_invalid_fields_are_named_at_construction(fields, words):
    with pytest.raises(InputError, match=re.escape(words)):
        Optimizer(**fields)


def test_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(InputError, match="config.optimizer.warmup_steps = 10 must be less than config.steps = 10"):
        make_schedule(Optimizer(warmup_steps=10), 10)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_momentum_weights_past_gradients(name):
    """A gradient of 1, then 0: the momentum fraction of sgd's sum, and of adamw's mean, remains."""
    optimizer, params = make_optimizer(Optimizer(name=name, momentum=0.4)), {"kernel": jnp.zeros(())}
    _, state = optimizer.update({"kernel": jnp.ones(())}, optimizer.init(params), params, rate=1.0)
    updates, _ = optimizer.update({"kernel": jnp.zeros(())}, state, params, rate=1.0)
    if name == "sgd":
        expected = -0.4
    else:  # bias corrections of the two moments: 1 - 0.4^2 and 1 - 0.999^2
        expected = -(0.4 * 0.6 / (1 - 0.4**2)) / np.sqrt(0.999 * 0.001 / (1 - 0.999**2))
    assert float(updates["kernel"]) == pytest.approx(expected, rel=1e-3)

"""Checkpoints of older versions are resumed; others that do not fit are refused with a message."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from pawjax.engine.checkpoints import Checkpoints
from pawjax.engine.state import TrainState
from pawjax.errors import InputError


@flax.struct.dataclass
class OldState:
    """The checkpointed state of the version that summed metrics in it."""

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    average: Any
    key: jax.Array
    window: dict[str, jax.Array]


def state_of(step, value):
    params, stats = {"conv": {"kernel": jnp.full(3, value)}}, {"conv": {"mean": jnp.full(2, 2 * value)}}
    return TrainState(
        step=jnp.int32(step),
        params=params,
        extra={"batch_stats": stats},
        opt_state=(jnp.full(3, 3 * value), {"count": jnp.int32(step)}),
        average=jax.tree.map(lambda x: x / 2, {"params": params, "batch_stats": stats}),
        key=jax.random.key(step),
    )


def save_old(workdir, state):
    window = {"loss": jnp.float32(7.0), "n": jnp.float32(1.0), "bad_step": jnp.int32(-1)}
    old = OldState(
        step=state.step,
        params=state.params,
        batch_stats=state.extra["batch_stats"],
        opt_state=state.opt_state,
        average=state.average,
        key=state.key,
        window=window,
    )
    with ocp.CheckpointManager(workdir / "checkpoints") as manager:
        items = ocp.args.Composite(model=ocp.args.StandardSave(state.average), train=ocp.args.StandardSave(old))
        manager.save(int(state.step), args=items)


def save_new(workdir, state):
    checkpoints = Checkpoints(workdir)
    checkpoints.save(state)
    checkpoints.close()


def assert_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    plain = [state.replace(key=jax.random.key_data(state.key)) for state in (found, expected)]
    jax.tree.map(np.testing.assert_array_equal, *plain)


def test_state_round_trip(tmp_path):
    save_new(tmp_path / "run", state_of(4, 1.5))
    checkpoints = Checkpoints(tmp_path / "run")
    assert_equal(checkpoints.restore_state(state_of(0, 0.0)), state_of(4, 1.5))
    assert Checkpoints(tmp_path / "other").restore_state(state_of(0, 0.0)) is None
    checkpoints.close()


def test_older_checkpoint_is_resumed_and_loaded(tmp_path):
    expected = state_of(4, 1.5)
    save_old(tmp_path, expected)
    checkpoints = Checkpoints(tmp_path)
    assert_equal(checkpoints.restore_state(state_of(0, 0.0)), expected)
    step, variables = checkpoints.restore_variables("last", expected.eval_variables)
    assert step == 4
    jax.tree.map(np.testing.assert_array_equal, variables, expected.eval_variables)
    checkpoints.close()


@pytest.mark.parametrize("save", [save_old, save_new])
def test_state_of_another_structure_is_refused(save, tmp_path):
    save(tmp_path, state_of(4, 1.5))
    checkpoints = Checkpoints(tmp_path)
    other = state_of(0, 0.0).replace(opt_state=(jnp.zeros(3), {"moment": jnp.zeros(3), "count": jnp.int32(0)}))
    with pytest.raises(InputError, match=rf"checkpoints/4 cannot be resumed.*--config.init_from={tmp_path}$"):
        checkpoints.restore_state(other)
    checkpoints.close()

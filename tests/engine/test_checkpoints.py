"""Which checkpoints a run keeps, which are 'best' and 'last', and when they are on the disk."""

import os
import time

import jax.numpy as jnp
import optax
import pytest

from pawjax.engine.checkpoints import Checkpoints, best_step, saved_steps
from pawjax.engine.state import create_state
from pawjax.errors import InputError
from pawjax.run_files import BY_DEFAULT, CRITERION
from tests.engine.test_average import BATCH, Falling


def falling(step):
    """The state of a step; its weight equals the step."""
    state = create_state(Falling(), optax.sgd(1.0), 0, BATCH, average=False)
    return state.replace(step=jnp.int32(step), params={"height": jnp.float32(step)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Steps 1 to 4, best on dev at step 2, no evaluation at step 3."""
    folder = tmp_path_factory.mktemp("run")
    with Checkpoints(folder) as checkpoints:
        for step, error in enumerate((3.0, 1.0, None, 2.0), start=1):
            checkpoints.save(falling(step), None if error is None else {BY_DEFAULT: error})
    return folder


@pytest.mark.parametrize("which, step", [("best", 2), ("last", 4), ("2", 2)])
def test_best_has_the_smallest_error_and_last_is_the_latest(folder, which, step):
    like = Falling().init(None, None)
    checkpoints = Checkpoints(folder, read_only=True)
    assert checkpoints.restore_variables(which, like)[0] == step
    assert float(checkpoints.restore_variables(which, like)[1]["params"]["height"]) == step
    checkpoints.close()


@pytest.mark.parametrize("which", ["1", "3", "worst"])
def test_missing_checkpoint_lists_the_kept_ones(folder, which):
    checkpoints = Checkpoints(folder, read_only=True)
    with pytest.raises(InputError, match=rf"--checkpoint={which} is not .* \(2, 4\)"):
        checkpoints.restore_variables(which, Falling().init(None, None))


def test_another_criterion_takes_precedence(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for step, (rmse, other) in enumerate(((1.0, 9.0), (2.0, 5.0), (3.0, 7.0)), start=1):
            checkpoints.save(falling(step), {BY_DEFAULT: rmse, CRITERION: other})
    assert saved_steps(tmp_path) == [2, 3] and best_step(tmp_path) == 2


def test_block_waits_for_the_checkpoint_being_written_and_keeps_its_error(tmp_path, monkeypatch):
    rename = os.rename

    def rename_late(source, target):
        time.sleep(0.3)
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_late)  # by which Orbax finishes a checkpoint
    with pytest.raises(InputError, match="^first$"), Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(falling(3))
        assert saved_steps(tmp_path) == []
        raise InputError("first")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["3"]


def test_what_a_killed_process_left_is_swept(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(falling(1))
    left = tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp"
    (left / "model").mkdir(parents=True)
    Checkpoints(tmp_path, read_only=True).close()
    assert left.exists() and saved_steps(tmp_path) == [1]
    Checkpoints(tmp_path).close()
    assert not left.exists() and saved_steps(tmp_path) == [1]

"""Which checkpoints a run keeps, and which are 'best' and 'last'."""

import jax.numpy as jnp
import optax
import pytest

from pawjax.engine.checkpoints import BEST_METRIC, Checkpoints
from pawjax.engine.state import create_state
from pawjax.errors import InputError
from tests.engine.test_average import BATCH, Falling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Steps 1 to 4, best on dev at step 2, no evaluation at step 3; the weight equals the step."""
    folder = tmp_path_factory.mktemp("run")
    state = create_state(Falling(), optax.sgd(1.0), 0, BATCH, average=False)
    checkpoints = Checkpoints(folder)
    for step, error in enumerate((3.0, 1.0, None, 2.0), start=1):
        state = state.replace(step=jnp.int32(step), params={"height": jnp.float32(step)})
        checkpoints.save(state, None if error is None else {BEST_METRIC: error})
    checkpoints.close()
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

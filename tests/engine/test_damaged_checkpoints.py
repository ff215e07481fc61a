"""Damaged checkpoints, and those of another network, are refused with a way on; what is read is what was saved."""

import os
import random
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pawjax.engine.checkpoints import Checkpoints, saved_steps
from pawjax.engine.digest import difference, digest, form_digest, forms
from pawjax.errors import InputError
from pawjax.run_files import BY_DEFAULT
from tests.engine.test_older_checkpoints import assert_equal, state_of

STEPS = {2: 0.5, 4: 1.5}  # {step: value of the weights}; the first is the best
FRESH = state_of(0, 0.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("whole")
    with Checkpoints(workdir) as checkpoints:
        for step, value in STEPS.items():
            checkpoints.save(state_of(step, value), {BY_DEFAULT: float(step)})
    return workdir


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def restored(workdir: Path, which: str):
    """The variables of 'best' or 'last', or the 'state' to resume."""
    with Checkpoints(workdir, read_only=which != "state") as checkpoints:
        if which == "state":
            return checkpoints.restore_state(FRESH)
        return checkpoints.restore_variables(which, FRESH.eval_variables)[1]


def expected(which: str):
    step = min(STEPS) if which == "best" else max(STEPS)
    state = state_of(step, STEPS[step])
    return state if which == "state" else state.eval_variables


def damages(data: bytes, rng: random.Random):
    """A flipped bit, a truncated file, zeros from some place on (as after a power failure), and no file."""
    at = rng.randrange(len(data))
    yield data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    yield rng.choice([data[:at], data[:at] + bytes(len(data) - at), None])


def test_any_damage_is_harmless_or_named(run, tmp_path, capfd):
    rng, named = random.Random(0), 0
    for path in sorted(path for path in run.rglob("*") if path.is_file()):
        name = path.relative_to(run)
        reads = ["state" if "train" in name.parts else "best" if "2" in name.parts else "last"]
        for data in damages(path.read_bytes(), rng):
            workdir = shutil.copytree(run, tmp_path / "run")
            (workdir / name).unlink() if data is None else (workdir / name).write_bytes(data)
            for which in reads if "metrics" not in name.parts else ("best", "state"):
                try:
                    found = restored(workdir, which)
                except InputError as error:
                    assert f"checkpoints/{name.parts[1]} is damaged (its " in str(error)
                    named += 1
                else:
                    assert_same(found, expected(which))
            shutil.rmtree(workdir)
    assert named > 20, "some damages do matter"
    assert capfd.readouterr().err == "", "the threads of the library print nothing"


def assert_same(found, wanted):
    if hasattr(found, "key"):
        assert_equal(found, wanted)
    else:
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


def damage(workdir: Path, step: int, item: str) -> None:
    """Overwrites the arrays of an item with others, so that only the digest differs."""
    other = shutil.copytree(workdir / "checkpoints", workdir.parent / "other" / "checkpoints").parent
    shutil.rmtree(other / "checkpoints" / str(step))
    with Checkpoints(other) as checkpoints:
        checkpoints.save(state_of(step, 7.0), {BY_DEFAULT: float(step)})
    shutil.rmtree(workdir / "checkpoints" / str(step) / item)
    shutil.copytree(other / "checkpoints" / str(step) / item, workdir / "checkpoints" / str(step) / item)


def moved_aside(sentence: str) -> None:
    """Does what the sentence says."""
    subprocess.run(sentence.partition("move it aside (")[2].partition(")")[0], shell=True, check=True)


def test_changed_variables_are_named_with_the_other_checkpoints(copy):
    damage(copy, 2, "model")
    with pytest.raises(InputError) as caught:
        restored(copy, "best")
    sentence = str(caught.value)
    assert sentence.startswith(f"{copy}/checkpoints/2 is damaged (its arrays changed or cannot be read): evaluate")
    assert "--checkpoint=4, or move it aside (mv " in sentence and sentence.endswith("goes on from step 4")
    assert_same(restored(copy, "last"), expected("last"))
    assert_same(restored(copy, "state"), expected("state"))  # the last is whole
    moved_aside(sentence)
    assert_same(restored(copy, "best"), expected("last"))


def test_training_goes_on_from_the_checkpoint_before(copy):
    damage(copy, 4, "train")
    with pytest.raises(InputError) as caught:
        restored(copy, "state")
    sentence = str(caught.value)
    assert f"{copy}/checkpoints/4 is damaged" in sentence and "--checkpoint" not in sentence
    assert sentence.endswith("and the command of the run goes on from step 2")
    moved_aside(sentence)
    assert (copy / "damaged_4" / "train").exists() and saved_steps(copy) == [2]
    assert_equal(restored(copy, "state"), state_of(2, 0.5))
    with Checkpoints(copy) as checkpoints:
        checkpoints.save(state_of(4, 1.5), {BY_DEFAULT: 1.0})
    assert_same(restored(copy, "best"), expected("last"))


def test_last_checkpoint_that_is_damaged_leaves_nothing(copy):
    shutil.rmtree(copy / "checkpoints" / "2")
    damage(copy, 4, "model")
    with pytest.raises(InputError) as caught:
        restored(copy, "best")
    assert str(caught.value).endswith("the command of the run trains again, because it has no other checkpoint")


def test_changed_metrics_choose_no_other_checkpoint(copy):
    path = copy / "checkpoints" / "2" / "metrics" / "metrics"
    path.write_text(path.read_text().replace("2.0", "9.0"))
    for which in ("best", "state"):
        with pytest.raises(InputError, match="checkpoints/2 is damaged .its metrics changed"):
            restored(copy, which)


@pytest.mark.parametrize("old", [False, True])
def test_another_network_is_not_called_damaged(old, copy):
    if old:
        shutil.rmtree(copy / "checkpoints" / "4" / "digests")
    params = {"conv": {"kernel": jnp.zeros(5)}, "head": {"bias": jnp.zeros(2)}}
    words = (
        r"checkpoints/4 is of another network than .*/config.json \(params/conv/kernel is float32 \[3\] there and "
        r"float32 \[5\] here; params/head/bias is absent there and float32 \[2\] here\): restore config.method and "
    )
    with Checkpoints(copy, read_only=True) as checkpoints, pytest.raises(InputError, match=words):
        checkpoints.restore_variables("last", FRESH.eval_variables | {"params": params})


def test_state_of_another_network_is_not_called_damaged(copy):
    other = FRESH.replace(params={"conv": {"kernel": jnp.zeros(5)}})
    words = r"checkpoints/4 cannot be resumed, .*\(params/conv/kernel is float32 \[3\] there and float32 \[5\] here\)"
    with Checkpoints(copy) as checkpoints, pytest.raises(InputError, match=words):
        checkpoints.restore_state(other)


def test_digest_covers_names_shapes_dtypes_and_bytes():
    tree = {"a": jnp.arange(4.0), "key": jax.random.key(1), "half": jnp.ones(2, jnp.bfloat16)}
    others = [
        {**tree, "a": jnp.arange(4.0).at[2].set(-2)},
        {**tree, "a": jnp.arange(4.0).reshape(2, 2)},
        {**tree, "a": jax.lax.bitcast_convert_type(jnp.arange(4.0), jnp.int32)},
        {**tree, "key": jax.random.key(2)},
        {"b": tree["a"], "key": tree["key"], "half": tree["half"]},
    ]
    assert len({digest(one)["arrays"] for one in (tree, *others)}) == 6
    assert len({digest(one)["form"] for one in (tree, *others)}) == 4, "values do not matter"
    assert digest(tree) == digest(dict(reversed(tree.items())))
    assert digest(tree)["form"] == form_digest(jax.eval_shape(lambda: tree))
    assert forms(tree)["half"] == "bfloat16 [2]" and difference(forms(tree), forms(tree)) == ""


def test_digest_does_not_depend_on_the_number_of_devices():
    tree = {"a": jnp.arange(4.0), "key": jax.random.key(1)}
    everywhere = NamedSharding(Mesh(np.array(jax.devices()), "x"), PartitionSpec())
    assert len(jax.devices()) > 1 and digest(jax.device_put(tree, everywhere)) == digest(tree)


@pytest.mark.parametrize("pattern", ["4/train/manifest.ocdbt", "2/model/_METADATA", "2/metrics/metrics"])
def test_a_pipe_in_the_place_of_a_file_does_not_wait(copy, pattern):
    path = copy / "checkpoints" / pattern
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(
        InputError, match=rf"checkpoints/{pattern[0]} is damaged \(its arrays changed or cannot be read"
    ):
        restored(copy, "state")

"""Two processes of two devices against one process: the same losses and parameters, and one folder for both."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from pawjax.engine.loop import train_and_evaluate
from tests.tiny import tiny_config

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
from absl import flags
flags.FLAGS.mark_as_parsed()
from pawjax.engine.loop import train_and_evaluate
from pawjax.engine.processes import connect, ending_with_the_others
from pawjax.errors import InputError
from tests.tiny import tiny_config

port, process, workdir, field, value = sys.argv[1:]
connect(f"127.0.0.1:{port}", 2, int(process))
config = tiny_config()
config.steps = 3
if field == "minutes":
    config.minutes = float(value)
elif field:
    config.data.update({field: value})
with ending_with_the_others():
    try:
        train_and_evaluate(config, workdir)
    except InputError as error:
        print("refused:", error)
"""


def run_two(workdir: Path, field: str = "", value: str = "") -> list[str]:
    """The stdout of two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(port), str(i), str(workdir), field, value],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0]
    return outputs


def losses(workdir: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.mark.slow
def test_two_processes_train_as_one_and_one_process_resumes(tmp_path):
    run_two(tmp_path / "two")
    config = tiny_config()
    config.steps = 3
    state = train_and_evaluate(config, tmp_path / "one")
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert one.keys() == two.keys()
    np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-5)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["n_processes"] == 2

    resumed = train_and_evaluate(
        config, tmp_path / "two"
    )  # already finished: loads the checkpoint on this process's devices
    for ours, theirs in zip(jax.tree.leaves(state.params), jax.tree.leaves(resumed.params), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_bad_input_ends_all_processes(tmp_path):
    outputs = run_two(tmp_path / "two", "source", "nowhere")
    assert all("refused:" in text and "nowhere" in text for text in outputs)
    assert not (tmp_path / "two").exists()


@pytest.mark.slow
def test_two_processes_choose_the_same_steps(tmp_path):
    run_two(tmp_path / "two", "minutes", "0.5")
    record = json.loads((tmp_path / "two" / "run.json").read_text())
    assert record["n_processes"] == 2 and record["steps"] == record["chosen"]["steps"]["value"] > 3

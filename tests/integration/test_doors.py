"""Bad input at the doors: exit code 2 and one sentence on stderr, before anything is trained."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from pawjax import cli, train
from pawjax.engine import loop
from pawjax.machine import device_name
from tests.tiny import tiny_config

ROOT = Path(__file__).resolve().parents[2]
QUICK = "--config=configs/quickstart.py:smoke"


def door(name: str, *arguments: str, **options: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", "")}
    command = [sys.executable, "-m", f"pawjax.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, **options)


def test_of_a_config_field_given_twice_the_last_word_counts():
    words = ["train", "--config.augment.crop=(0,0)", "--workdir=a", "--config.steps=1", "--config.augment.crop=(64,64)"]
    assert cli._last_of_each(words) == ["train", *words[2:]]
    assert cli._last_of_each(["train", "--config", "x.py", "--config=y.py"]) == [
        "train",
        "--config",
        "x.py",
        "--config=y.py",
    ]


def test_a_path_that_cannot_be_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.guarded(lambda _: (tmp_path / "file" / "run").mkdir(), []) == 2
    assert capsys.readouterr().err == f"pawjax: {tmp_path / 'file' / 'run'}: Not a directory\n"
    with pytest.raises(OSError, match="a bug"):
        cli.guarded(lambda _: (_ for _ in ()).throw(OSError("a bug")), [])


@pytest.mark.parametrize("step, ending", [(4, 3), (6, None)])
def test_a_training_that_a_signal_stopped_ends_with_3(step, ending, monkeypatch, capsys):
    values = {"workdir": "runs/x", "draw_augmented": "", "coordinator": "", "num_processes": 1, "process_id": -1}
    monkeypatch.setattr(train.flags, "FLAGS", SimpleNamespace(**values))
    monkeypatch.setattr(cli, "chosen_config", tiny_config)
    monkeypatch.setattr(loop, "train_and_evaluate", lambda *_: SimpleNamespace(step=step))
    with pytest.raises(SystemExit) if ending else nullcontext() as ended:
        train.main([])
    assert ended is None or ended.value.code == ending
    assert capsys.readouterr().out.startswith(f"step {step} of 6{', stopped: the same' if ending else ' -> runs/x'}")


@pytest.mark.parametrize(
    "name, arguments, words",
    [
        ("train", [QUICK, "--config.optimizer.learningrate=1"], ["learningrate", "learning_rate"]),
        ("train", [QUICK, "--config.stepps=1"], ["unknown config field: 'stepps' Did you mean \"steps\""]),
        ("train", [QUICK[:-1]], ["quickstart.py:smok", "behind the colon stands 'smoke'"]),
        ("train", [QUICK, "--config.steps=many"], ["steps"]),
        ("train", ["--config=configs/nowhere.py"], ["nowhere"]),
        ("train", [], ["config"]),
        ("train", [QUICK, "extra"], ["extra"]),
        ("train", [QUICK, "--config.data.source=deeplabcut", "--config.data.path=/nowhere"], ["/nowhere"]),
        ("evaluate", ["--workdir=/nowhere"], ["/nowhere", "run folder"]),
        ("evaluate", ["--workdir=/nowhere", "--split=tset"], ["tset"]),
    ],
)
def test_one_sentence_and_exit_code_2(name, arguments, words, tmp_path):
    if name == "train":
        arguments = [*arguments, f"--workdir={tmp_path / 'run'}"]
    result = door(name, *arguments)
    assert result.returncode == 2, result.stderr
    sentences = [line for line in result.stderr.splitlines() if line.startswith("pawjax: ")]
    assert len(sentences) == 1 and "Traceback" not in result.stderr
    for word in words:
        assert word in sentences[0]
    assert not (tmp_path / "run").exists()


def test_the_picture_of_augmented_frames(tmp_path):
    result = door("train", QUICK, f"--draw_augmented={tmp_path / 'a.png'}")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_the_benchmark_writes_what_it_measured(tmp_path):
    import json

    path = tmp_path / "speed.json"
    size, flops = ["--batch=4", "--height=64", "--width=64", "--seconds=0.1"], {}
    for mode in ("train", "predict"):
        result = door("benchmark", QUICK, f"--mode={mode}", f"--json={path}", *size)
        assert result.returncode == 0, result.stderr
        speed = json.loads(path.read_text())
        assert speed["images_per_second"] > 0 and speed["seconds_per_step"]["min"] > 0 and speed["device"]
        flops[mode] = speed["tflops"] * speed["seconds_per_step"]["median"]
    assert 2.5 < flops["train"] / flops["predict"] < 4  # a forward pass, and two gradients of almost every layer
    result = door("benchmark", QUICK, "--mode=memory", "--config.model.remat", f"--json={path}", *size)
    memory = json.loads(path.read_text())
    assert result.returncode == 0 and memory["bytes_per_image"] > 0
    assert memory["largest_batch_80_gb"] > memory["largest_batch_24_gb"] > 1000  # a tiny net on tiny frames


def test_the_benchmark_takes_turns():
    size = ["--mode=predict", "--batch=1", "--height=64", "--width=64"]
    result = door("benchmark", QUICK, *size, "--turns", input="\n\n\n")
    ready, *seconds = result.stdout.splitlines()
    assert result.returncode == 0 and ready == "ready"
    assert len(seconds) == 3 and all(float(line) > 0 for line in seconds)


def test_a_run_says_how_many_processors_it_had(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for usable, words in (({0}, ", 1 of 4 cores"), ({0, 1, 2, 3}, ", 4 cores")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, of=usable: of, raising=False)
        assert device_name().endswith(words)


def test_programs_are_kept_apart_by_the_number_of_processors(monkeypatch):
    updates = []
    monkeypatch.setattr(jax.config, "update", lambda name, value: updates.append((name, value)))
    for processors in ({0}, {0, 1}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, of=processors: of, raising=False)
        cli._set_up_jax()
    folders = [Path(value) for name, value in updates if name == "jax_compilation_cache_dir"]
    assert len(folders) == 2 and folders[0].name != folders[1].name and folders[0].parent == folders[1].parent

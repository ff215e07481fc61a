"""The entry points: their help, and bad input, which exits with one message and code 2 before training."""

import io
import json
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from pawjax import benchmark, cli, compare, evaluate, export, paw_on_ball, predict, refine, train, triangulate
from pawjax.config import default_config
from pawjax.engine import loop, runlog
from pawjax.errors import InputError
from pawjax.machine import compilation_cache, device_name

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINTS = (train, evaluate, predict, refine, export, compare, benchmark, paw_on_ball, triangulate)
QUICK = "--config=configs/quickstart.py:smoke"


def run_module(name: str, *arguments: str, **options: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", "")}
    command = [sys.executable, "-m", f"pawjax.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, **options)


@pytest.mark.parametrize("module", ENTRY_POINTS)
def test_help_lists_own_flags_and_examples(module, capsys):
    entry_point = module.ENTRY_POINT
    assert cli.call(entry_point, ["--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(entry_point.command) and all(example in text for example in entry_point.examples)
    assert all(f"--{name}=" in text for name in entry_point.required)
    assert ("(required)" in text) == bool(entry_point.required)
    flags = re.findall(r"^  --(?:\[no\])?(\w+)", text, re.MULTILINE)
    assert flags[-1] == "helpfull" and len(flags) < 30, "own flags only"
    assert len(re.findall(r"\((?:required|default: .*)\)$", text, re.MULTILINE)) == len(flags) - 1
    assert max(map(len, text.splitlines())) <= 150


@pytest.mark.parametrize("module", [module for module in ENTRY_POINTS if module.ENTRY_POINT.required])
def test_missing_flags_are_answered_with_examples(module, capsys):
    entry_point = module.ENTRY_POINT
    assert cli.call(entry_point, []) == 2
    first, *examples = capsys.readouterr().err.splitlines()
    assert first == f"pawjax: {entry_point.command} needs --{entry_point.required[0]}, for example:"
    assert [line.strip() for line in examples] == list(entry_point.examples) and 1 <= len(examples) <= 2


@pytest.mark.parametrize("module", ENTRY_POINTS)
def test_examples_are_valid_commands(module, monkeypatch):
    monkeypatch.chdir(ROOT)
    for example in module.ENTRY_POINT.examples:
        assert example.startswith(f"{module.ENTRY_POINT.command} ")
        cli.parse(module.ENTRY_POINT, example.removeprefix(module.ENTRY_POINT.command).split())


def test_help_needs_no_jax():
    program = (
        "import sys; from pawjax import cli, evaluate; cli.help_text(evaluate.ENTRY_POINT); print('jax' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_every_field_of_prediction_has_a_flag():
    fields = {name: type(value) for name, value in default_config().predict.items()}
    assert {name: kind for name, (kind, _) in cli.PREDICTION.items()} == fields
    words = ["--workdir=x", "--scales=0.5,1", "--flip", "--decode=votes", "--temperature=2", "--proposals=9"]
    values, _ = cli.parse(evaluate.ENTRY_POINT, words)
    expected = {"decode": "votes", "proposals": 9, "flip": True, "temperature": 2.0, "scales": (0.5, 1.0)}
    assert list(cli.prediction_of_flags(values).items()) == list(expected.items())
    assert cli.prediction_of_flags(cli.parse(evaluate.ENTRY_POINT, ["--workdir=x", "--noflip"])[0]) == {"flip": False}
    with pytest.raises(InputError, match="--scales=1,big must be numbers, e.g. 0.8,1,1.25"):
        cli.prediction_of_flags(cli.parse(evaluate.ENTRY_POINT, ["--workdir=x", "--scales=1,big"])[0])


def test_renamed_flag_names_the_new_one(capsys):
    assert cli.call(compare.ENTRY_POINT, ["run", "--out=x", "--sources"]) == 2
    expected = "pawjax: --sources was renamed: write --published=launch/published.csv\n"
    assert capsys.readouterr().err == expected


def test_last_value_of_a_repeated_field_wins():
    words = ["--config.augment.crop=(0,0)", "--workdir=a", "--config.steps=1", "--config.augment.crop=(64,96)"]
    values, rest = cli.parse(train.ENTRY_POINT, [f"--config={ROOT}/configs/quickstart.py:smoke", *words])
    assert (values.config.augment.crop, values.config.steps, values.workdir, rest) == ((64, 96), 1, "a", [])


def test_allocator_is_set_by_a_single_restart(monkeypatch):
    commands = []
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setenv("PAWJAX_NO_REEXEC", "1")
    cli.restart_with_allocator()
    assert not commands and "GLIBC_TUNABLES" not in os.environ
    monkeypatch.delenv("PAWJAX_NO_REEXEC")
    for _ in range(2):
        cli.restart_with_allocator()
    assert commands == [[sys.executable, *sys.orig_argv[1:]]] and "hugetlb" in os.environ.pop("GLIBC_TUNABLES")


def test_invalid_path_is_one_message(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.guarded(lambda: (tmp_path / "file" / "run").mkdir()) == 2
    assert capsys.readouterr().err == f"pawjax: {tmp_path / 'file' / 'run'}: Not a directory\n"
    with pytest.raises(OSError, match="a bug"):
        cli.guarded(lambda: (_ for _ in ()).throw(OSError("a bug")))


@pytest.mark.parametrize("step, end, ending", [(4, {}, 3), (6, {"steps": 6}, None), (4, {"steps": 4}, None)])
def test_training_stopped_by_a_signal_exits_with_3(step, end, ending, monkeypatch, capsys):
    """Not one that ended early by itself."""
    monkeypatch.setattr(loop, "train_and_evaluate", lambda *_: SimpleNamespace(step=step))
    monkeypatch.setattr(runlog, "read_config", lambda _: SimpleNamespace(steps=6))
    monkeypatch.setattr(runlog, "read_run", lambda _: end)
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) if ending else nullcontext() as ended:
        assert cli.call(train.ENTRY_POINT, [QUICK]) == 0
    assert ended is None or ended.value.code == ending
    words = ", stopped: the same" if ending else " -> runs/quickstart_smoke"
    assert capsys.readouterr().out.startswith(f"step {step} of 6{words}")


@pytest.mark.parametrize(
    "module, arguments, words",
    [
        (train, [QUICK, "--config.optimizer.learningrate=1"], ["learningrate", "learning_rate"]),
        (train, [QUICK, "--config.stepps=1"], ["there is no config field 'stepps'; did you mean 'steps'?"]),
        (train, [QUICK[:-1]], [":smok", "the only config argument is ':smoke'"]),
        (train, [QUICK, "--config.steps=many"], ["steps"]),
        (train, ["--config=configs/nowhere.py"], ["nowhere"]),
        (train, ["--config.steps=3"], ["needs --config"]),
        (train, [QUICK, "--config.augment.scale=('a','b')"], ["config.augment.scale", "(a number, a number)"]),
        (train, ["--config=README.md"], ["--config=README.md is not a config"]),
        (train, [QUICK, "extra"], ["extra"]),
        (train, [QUICK, "--config.data.source=deeplabcut", "--config.data.path=/nowhere"], ["/nowhere"]),
        (evaluate, ["--workdir=/nowhere"], ["/nowhere", "run folder"]),
        (evaluate, ["--workdir=/nowhere", "--split=tset"], ["tset"]),
        (evaluate, ["--workdir=/nowhere", "--splitt=test"], ["splitt", "did you mean 'split'?"]),
        (benchmark, [QUICK, "--batch=0"], ["--batch=0"]),
        (benchmark, [QUICK, "--json=configs"], ["configs is a folder, not a file"]),
        (evaluate, ["--workdir=README.md"], ["README.md is not a run folder"]),
        (benchmark, [QUICK, "--mode=memory", "--config.scale=-1.0"], ["config.scale = -1.0 must be at least 0.01"]),
        (compare, ["run", "--out="], ["needs --out"]),
        (triangulate, ["--model=ransac"], ["needs --calibration"]),
        (triangulate, ["--model=ransac", "--config.steps=3"], ["there is no config field 'steps'"]),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(module, arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    if module is train:
        arguments = [*arguments, f"--workdir={tmp_path / 'run'}"]
    assert cli.call(module.ENTRY_POINT, arguments) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("pawjax: ") and sentence.count("pawjax: ") == 1 and "Traceback" not in sentence
    for word in words:
        assert word in sentence
    assert not (tmp_path / "run").exists()


def test_process_ends_with_one_message_and_exit_code_2(tmp_path):
    result = run_module("train", QUICK, "--config.steps=many", f"--workdir={tmp_path / 'run'}")
    assert result.returncode == 2 and result.stdout == "" and "Traceback" not in result.stderr
    assert result.stderr.startswith("pawjax: ") and "steps" in result.stderr


def test_draw_augmented_writes_an_image(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert cli.call(train.ENTRY_POINT, [QUICK, f"--draw_augmented={tmp_path / 'a.png'}"]) == 0
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_benchmark_writes_its_measurements(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "speed.json"

    def measured(*arguments: str) -> dict:
        size = ["--batch=4", "--height=64", "--width=64", "--seconds=0.1"]
        assert cli.call(benchmark.ENTRY_POINT, [QUICK, *size, f"--json={path}", *arguments]) == 0
        return json.loads(path.read_text())

    flops = {}
    for mode in ("train", "predict"):
        speed = measured(f"--mode={mode}")
        assert speed["images_per_second"] > 0 and speed["seconds_per_step"]["min"] > 0 and speed["device"]
        flops[mode] = speed["tflops"] * speed["seconds_per_step"]["median"]
    assert 2.5 < flops["train"] / flops["predict"] < 4  # a forward pass plus two gradients for almost every layer
    memory = measured("--mode=memory", "--config.model.remat")
    assert memory["bytes_per_image"] > 0
    assert memory["largest_batch_80_gb"] > memory["largest_batch_24_gb"] > 1000  # a tiny network on tiny frames


def test_benchmark_runs_in_turns(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n\n"))
    size = ["--mode=predict", "--batch=4", "--height=64", "--width=64"]
    assert cli.call(benchmark.ENTRY_POINT, [QUICK, *size, "--turns"]) == 0
    ready, *seconds = capsys.readouterr().out.splitlines()
    assert ready == "ready" and len(seconds) == 3 and all(float(line) > 0 for line in seconds)


def test_device_name_includes_the_number_of_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for usable, words in (({0}, ", 1 of 4 cores"), ({0, 1, 2, 3}, ", 4 cores")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, of=usable: of, raising=False)
        assert device_name().endswith(words)


def test_compilation_cache_depends_on_the_number_of_cores(monkeypatch):
    folders = []
    for processors in ({0}, {0, 1}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, of=processors: of, raising=False)
        folders.append(compilation_cache())
    assert folders[0].name != folders[1].name and folders[0].parent == folders[1].parent

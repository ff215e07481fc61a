"""Every file of a run is read through one door: what pawjax writes is accepted, damage is one sentence with the file.

The doors are those of the commands; predicting, compiling and reading checkpoints are cut off.
"""

import functools
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from pawjax import data, errors, run_files
from pawjax.config import default_config
from pawjax.engine import runlog
from pawjax.engine.setup import open_folder
from pawjax.errors import InputError
from pawjax.files import write_json
from pawjax.inference import comparison, evaluation
from pawjax.inference.run import RunFiles, open_run
from pawjax.report.curves import read_metrics
from pawjax.report.tables import write_predictions_csv
from tests.tiny import tiny_config

STEPS = 6
LOG = [{"step": step, "loss": 1 / step, "seconds": float(step)} for step in (2, 4, 6)]
LOG.insert(2, {"step": 4, "dev/rmse_px": 3.5, "dev/median_px": None, "train/rmse_px": float("nan")})
OLD = json.loads((Path(__file__).parent / "golden" / "configs_before_sections.json").read_text())
DEEP = "[" * 5000 + "]" * 5000
CONTENTS = {
    "empty": b"",
    "a list": b"[]",
    "no fields": b"{}",
    "null": b"null",
    "a number": b"-1",
    "text": b"restored from the backup\n",
    "deep": DEEP.encode(),
    "deep but valid": b'{"data": ' + b'{"data": ' * 200 + b"1" + b"}" * 201,
    "binary": random.Random(0).randbytes(300),
    "another encoding": '{"device": "für"}'.encode("utf-16"),
    "invalid UTF-8": b'{"device": "\xff"}',
}


class Reached(Exception):
    """All files that a command needs were read."""


def reached(*_, **__):
    raise Reached


@pytest.fixture(scope="module")
def frames():
    return data.load(data.DataConfig.of(tiny_config()))


@pytest.fixture(scope="module")
def split(frames):
    return data.split(data.DataConfig.of(tiny_config()), frames)


@pytest.fixture(scope="module")
def whole(frames, split, tmp_path_factory) -> Path:
    """A finished run with its evaluations, but without checkpoints and true pictures."""
    workdir, config = tmp_path_factory.mktemp("runs") / "whole", tiny_config()
    record = runlog.describe_run(config, frames, split)
    open_folder(workdir, config, frames, split, record).close()
    write_json(workdir / "run.json", record | {"steps": STEPS, "seconds": 1.5, "params_sha256": "0"})
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in LOG))
    for name, rows in split.items():
        folder, points = workdir / "eval" / name, frames.keypoints[rows]
        ids = [frames.ids[row] for row in rows]
        labelled = np.ones(points.shape[:3], bool)
        write_predictions_csv(
            folder / "predictions.csv",
            ids,
            frames.bodyparts,
            points,
            labelled,
            ~labelled,
            points + 3,
            labelled.astype(float),
        )
        numbers = {"rmse_px": 4.2, "mean_error_px": 4.2, "median_px": None, "p95_px": 4, "n_over_50px": 0}
        about = {"n_points": labelled.sum(), "n_images": len(rows), "seconds": 1.0, "device": "cpu", "step": 6}
        write_json(folder / "metrics.json", numbers | about)
        (folder / "worst_frames.png").touch()
    return workdir


@pytest.fixture
def doors(frames, split, monkeypatch):
    """{command: what it does with a run folder until all files are read, then raises Reached}."""
    monkeypatch.setattr(errors, "_said", set())
    monkeypatch.setattr(RunFiles, "restore", reached)
    monkeypatch.setattr(RunFiles, "frames", lambda _: frames)
    monkeypatch.setattr(comparison, "network_cost", lambda *_: (1, 1))
    monkeypatch.setattr(comparison, "evaluate_run", reached)
    config = tiny_config()
    record = runlog.describe_run(config, frames, split)

    def resume(workdir):
        runlog.check_folder(workdir)
        open_folder(workdir, config, frames, split, record).close()
        runlog.MetricsLog(workdir, STEPS, tensorboard=False)
        raise Reached

    def compare(workdir):
        comparison.collect_runs([workdir])
        raise Reached

    return {
        "load": open_run,
        "evaluate": lambda workdir: evaluation.evaluate_run(workdir, "test", "best"),
        "compare": compare,
        "resume": resume,
    }


def answer(door, workdir) -> str:
    """The sentence of an InputError, or '' if all files were read; any other exception is a failure."""
    try:
        door(workdir)
    except Reached:
        return ""
    except InputError as error:
        assert "\n" not in str(error)
        return str(error)
    raise AssertionError("the door was not cut off")


def damages(name: str):
    """(words, function that damages a path) for everything that can stand in the place of a file."""
    for words, content in CONTENTS.items():
        yield words, functools.partial(Path.write_bytes, data=content)
    if name.endswith(".json"):
        nested = functools.reduce(lambda inner, _: [inner], range(200), [])
        yield "a deep field", lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"x": nested}))
    yield "half", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    yield "missing", lambda path: path.unlink()
    yield "a folder", lambda path: path.unlink() or path.mkdir()
    yield "a pipe", lambda path: path.unlink() or os.mkfifo(path)


@pytest.mark.parametrize("door", ["load", "evaluate", "compare", "resume"])
@pytest.mark.parametrize("name", ["config.json", "run.json", "split.json"])
def test_damaged_papers_are_named(name, door, doors, whole, tmp_path, capsys):
    for words, damage in damages(name):
        workdir = tmp_path / words.replace(" ", "_")
        shutil.copytree(whole, workdir)
        if door == "resume":
            (workdir / "checkpoints" / "6").mkdir(parents=True)
        damage(workdir / name)
        said = answer(doors[door], workdir)
        if name == "split.json" and door == "load":
            assert said == "", words
        elif name == "split.json" and door == "resume" and words not in ("a folder", "a pipe"):
            assert said == "" and f"{workdir / name} " in capsys.readouterr().err, words
            assert json.loads((workdir / name).read_text()) == json.loads((whole / name).read_text())
        else:
            named = str(workdir / name) in said or (words == "missing" and f"(no {name})" in said)
            assert named and ("restore it from a copy" in said or words == "missing"), f"{words}: {said}"


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv"])
def test_damaged_evaluations_are_made_anew(name, doors, whole, tmp_path, capsys):
    for words, damage in damages(name):
        workdir = shutil.copytree(whole, tmp_path / words.replace(" ", "_"))
        damage(workdir / "eval" / "dev" / name)
        assert answer(doors["compare"], workdir) == "", words
        said = capsys.readouterr().err
        assert said.endswith(f"{workdir.name}: evaluating dev\n"), words
        if words not in ("missing", "a folder", "a pipe"):
            assert str(workdir / "eval" / "dev" / name) in said and "is made anew" in said, f"{words}: {said}"


ODD = ("absent", "", "three", -1, 2**70, 1e200, True, [], {}, [3], None)
ACCEPTED = {  # of the odd values, by what a field must be
    run_files.ANY: ODD[1:],
    run_files.TEXT: ("", "three"),
    run_files.TEXTS: (),
    run_files.COUNT: (),
    run_files.NUMBER: (2**70,),
    run_files.ERROR: (2**70, None),
}


@pytest.mark.parametrize(
    "name, shape, read",
    [
        ("config.json", run_files.CONFIG, run_files.read_config),
        ("run.json", run_files.RUN | run_files.END, run_files.read_run),
        ("metrics.json", run_files.EVALUATION, lambda path: run_files.read_evaluation(path.parent)),
    ],
)
def test_every_field_is_checked(name, shape, read, whole, tmp_path):
    text = next(whole.rglob(name)).read_text()
    for field, kind in shape.items():
        for value in ODD:
            values = json.loads(text)
            *folders, last = field.split(".")
            place = functools.reduce(dict.__getitem__, folders, values)
            if value == "absent":
                del place[last]
            else:
                place[last] = value
            (tmp_path / name).write_text(json.dumps(values))
            if value in ACCEPTED[kind] or (value == "absent" and (name, field) == ("run.json", "steps")):
                read(tmp_path / name)  # without 'steps': an unfinished run
                continue
            with pytest.raises(InputError, match=rf"{name} is damaged, .*{field}.*: (restore|evaluate)"):
                read(tmp_path / name)


def test_mutated_files_never_end_in_another_exception(doors, whole, tmp_path):
    """Bytes flipped, removed, doubled and swapped for others of the same file, in every file."""
    draw = random.Random(20)
    names = ["config.json", "run.json", "split.json", "metrics.jsonl", "eval/test/metrics.json"]
    names.append("eval/test/predictions.csv")
    workdir = shutil.copytree(whole, tmp_path / "run")
    for round in range(36):
        name = names[round % len(names)]
        content = bytearray((whole / name).read_bytes())
        for _ in range(draw.randint(1, 4)):
            first, second = sorted(draw.randrange(len(content)) for _ in range(2))
            match draw.randrange(4):
                case 0:
                    content[first] ^= 1 << draw.randrange(8)
                case 1:
                    del content[first : min(second, first + 40)]
                case 2:
                    content[first:first] = content[first : min(second, first + 40)]
                case 3:
                    content[first] = draw.choice(content)
        for door in doors.values():
            shutil.copytree(whole, workdir, dirs_exist_ok=True)
            (workdir / name).write_bytes(content)
            said = answer(door, workdir)
            assert said == "" or str(workdir) in said, said


@pytest.mark.parametrize("name", OLD)
def test_configs_of_all_versions_are_read(name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(OLD[name]))
    assert runlog.read_config(tmp_path).steps == OLD[name]["steps"]
    (tmp_path / "config.json").write_text(json.dumps(default_config().to_dict()))
    assert runlog.read_config(tmp_path) == default_config()


def test_garbled_lines_of_the_log_are_left_out(whole, tmp_path, capsys):
    lines = (whole / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    bad = [b'{"step": 3, "loss": 0.\n', b'{"step": "3"}\n', b'{"step": 3, "seconds": "1"}\n', b"\xff\xfe\x00\n"]
    bad += [
        b'{"loss": 3}\n',
        b'{"step": 3, "loss": "low"}\n',
        b'{"step": -3}\n',
        b'{"step": 3, "loss": 1e200}\n',
        DEEP.encode() + b"\n",
        b"null\n",
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"".join([lines[0], *bad, *lines[1:], b'{"step": 6, "lo']))
    assert read_metrics(path).keys() == {"loss", "seconds", "dev/rmse_px"}
    np.testing.assert_array_equal(read_metrics(path)["loss"][0], [2, 4, 6])
    assert f"{path}: {len(bad)} of its {len(bad) + 5} lines are garbled" in capsys.readouterr().err
    log = runlog.MetricsLog(tmp_path, first_step=4, tensorboard=False)
    assert log.seconds == 4.0 and path.read_bytes() == b"".join(lines[:3])
    log.write(5, {"loss": 0.2})
    assert path.read_text().endswith('\n{"step": 5, "loss": 0.2}\n')


def test_missing_log_is_said_and_prevents_nothing(doors, whole, tmp_path, capsys):
    workdir = shutil.copytree(whole, tmp_path / "run")
    (workdir / "metrics.jsonl").unlink()
    assert [answer(doors[door], workdir) for door in ("evaluate", "compare", "resume")] == ["", "", ""]
    assert f"{workdir / 'metrics.jsonl'} is missing" in capsys.readouterr().err
    (workdir / "metrics.jsonl").unlink()
    (workdir / "metrics.jsonl").mkdir()
    for door in ("evaluate", "compare", "resume"):
        assert f"{workdir / 'metrics.jsonl'} is not a file but a folder" in answer(doors[door], workdir)


@pytest.mark.parametrize("hashed", [True, False], ids=["hashed", "older run"])
def test_edited_split_is_refused(hashed, doors, whole, tmp_path):
    """A test frame moved into train is a leak, whatever the reader of the folder is told."""
    workdir = shutil.copytree(whole, tmp_path / "run")
    run = json.loads((workdir / "run.json").read_text())
    if not hashed:
        del run["split_sha256"]
        (workdir / "run.json").write_text(json.dumps(run))
    lists = json.loads((workdir / "split.json").read_text())
    lists["train"].append(lists["test"].pop())
    if hashed:  # the counts stay
        lists["test"].append(lists["train"].pop(0))
    (workdir / "split.json").write_text(json.dumps(lists))
    for door in ("evaluate", "compare", "resume"):
        assert f"{workdir / 'split.json'} is not the split that the run began with" in answer(doors[door], workdir)
    assert json.loads((workdir / "split.json").read_text()) == lists, "an edit is not overwritten"
    shutil.copy(whole / "split.json", workdir)
    assert [answer(doors[door], workdir) for door in ("evaluate", "compare", "resume")] == ["", "", ""]


def test_another_split_than_the_run_s_is_refused_on_resume(doors, whole, tmp_path, frames, split):
    workdir, config = shutil.copytree(whole, tmp_path / "run"), tiny_config()
    split = split | {"train": split["train"][:-1]}
    (workdir / "split.json").unlink()
    with pytest.raises(InputError, match="config.data draws another split than the one that .*run began with"):
        open_folder(workdir, config, frames, split, runlog.describe_run(config, frames, split))
    assert not (workdir / "split.json").exists()


def test_order_and_unicode_form_of_frames_do_not_change_a_split():
    lists = {"train": ["b", "a"], "dev": ["c"], "test": ["caf\u00e9"]}
    assert run_files.split_sha256(lists) == run_files.split_sha256(lists | {"test": ["cafe\u0301"]})
    assert run_files.split_sha256(lists) == run_files.split_sha256(lists | {"train": ["a", "b"]})
    assert run_files.split_sha256(lists) != run_files.split_sha256(lists | {"train": ["a", "c"], "dev": ["b"]})


def test_evaluation_is_refused_before_it_predicts_if_it_cannot_write(doors, whole, tmp_path, monkeypatch):
    workdir = shutil.copytree(whole, tmp_path / "run")
    monkeypatch.setattr(RunFiles, "restore", lambda self, _: self)
    monkeypatch.setattr(evaluation, "make_store", reached)
    for path in (workdir / "eval/test/reliability.png", workdir / "eval/test/metrics.json"):
        path.unlink(missing_ok=True)
        path.mkdir()
        assert f"{path} is a folder in the place of a file" in answer(doors["evaluate"], workdir)
        path.rmdir()
    assert answer(doors["evaluate"], workdir) == ""
    shutil.rmtree(workdir / "eval")
    (workdir / "eval").touch()
    assert f"nothing can be written in {workdir / 'eval' / 'test'}" in answer(doors["evaluate"], workdir)


def test_folder_in_the_place_of_an_output_is_named(tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path} is a folder: give the path of a file"):
        write_json(tmp_path, {})


def test_workdir_that_is_no_run_is_refused(tmp_path, whole):
    (tmp_path / "notes.md").touch()
    with pytest.raises(InputError, match="--workdir=.*notes.md is a file: name a folder"):
        runlog.check_folder(tmp_path / "notes.md")
    runlog.check_folder(tmp_path / "new")
    runlog.check_folder(whole)
    for door in (open_run, lambda workdir: evaluation.evaluate_run(workdir, "dev", "best")):
        for path in (tmp_path / "notes.md", tmp_path):
            with pytest.raises(InputError, match=rf"{path} is not a run folder \(no config.json\): name the folder"):
                door(path)

"""Every mistake on a command line is one sentence that names the flag and what to write."""

from pathlib import Path

import pytest

from pawjax import benchmark, cli, evaluate, train

ROOT = Path(__file__).resolve().parents[1]
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("--config.stepps=1", "there is no config field 'stepps'; did you mean 'steps'?"),
        (
            "--config.learning_rate=1",
            "there is no config field 'learning_rate'; did you mean 'optimizer.learning_rate'?",
        ),
        (
            "--config.optimizer.rates[0]=1",
            "there is no config field 'optimizer.rates[0]'; did you mean 'optimizer.rates'?",
        ),
        ("--config.data={a}", "config.data is a section: set its fields, as --config.data.FIELD=VALUE"),
        ("--noconfig.steps", "config.steps is not true or false: write --config.steps=VALUE"),
        ("--config.tensorboard=maybe", "--config.tensorboard=maybe must be true or false"),
        ("--config.steps=many", "--config.steps=many must be a whole number"),
        ("--config.steps=1e30", "--config.steps=1e30 must be a whole number"),
        ("--config.scale=half", "--config.scale=half must be a number"),
        ("--init_from=X", "there is no flag --init_from: write --config.init_from=VALUE"),
        ("--scale=3", "there is no flag --scale: write --config.augment.scale=VALUE or --config.scale=VALUE"),
        ("--wrkdir=x", "there is no flag --wrkdir; did you mean 'workdir'?"),
        ("--x=1", "there is no flag --x; --help lists the flags"),
        ("--config.model.depth=50", "config.model.depth was removed: write --config.model.backbone=resnet50 (or "),
    ],
)
def test_a_wrong_word_of_a_training_is_one_sentence(words, sentence, capsys):
    assert cli.call(train.ENTRY_POINT, [QUICK, words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pawjax: {sentence}") and error.count("\n") == 1


@pytest.mark.parametrize(
    "module, words, sentence",
    [
        (evaluate, ["--workdir=x", "--flip=maybe"], "--flip=maybe must be true or false"),
        (evaluate, ["--workdir=x", "--proposals=ten"], "--proposals=ten must be a whole number"),
        (evaluate, ["--workdir=x", "--temperature=nan"], "--temperature=nan must be finite"),
        (evaluate, ["--workdir=x", "--splitt=test"], "there is no flag --splitt; did you mean 'split'?"),
        (benchmark, [QUICK, "--seconds=-1"], "--seconds=-1: -1.0 is not a number in the range [0.0, 3600.0]"),
        (benchmark, [QUICK, "--seconds=inf"], "--seconds=inf: inf is not a number in the range [0.0, 3600.0]"),
        (benchmark, [QUICK, "--seconds=nan"], "--seconds=nan must be finite"),
        (train, [QUICK, "--flagfile=/nowhere"], "--flagfile=/nowhere cannot be read (No such file or directory)"),
        (train, [QUICK, "--flagfile=/dev/zero"], "/dev/zero is a pipe, socket or device, not a file"),
        (train, [QUICK, "--flagfile=/tmp"], "/tmp is a folder, not a file"),
        (train, [QUICK, "--flagfile", "~no_such_user/x"], "~no_such_user/x: this machine knows no such home folder"),
        (train, [QUICK, "--workdir=~no_such_user/x"], "~no_such_user/x: this machine knows no such home folder"),
        (evaluate, ["--workdir=~no_such_user/x"], "~no_such_user/x: this machine knows no such home folder"),
    ],
)
def test_a_wrong_value_or_path_is_one_sentence(module, words, sentence, capsys):
    assert cli.call(module.ENTRY_POINT, words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pawjax: {sentence}") and error.count("\n") == 1


def test_a_flag_file_stands_for_its_lines(tmp_path, capsys):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text(f"# a comment\n{QUICK}\n\n--config.steps=4\n")
    outer.write_text(f"--flagfile={inner}\n--workdir=a b\n")
    values, rest = cli.parse(train.ENTRY_POINT, ["--config.steps=3", f"--flagfile={outer}", "extra"])
    assert (values.config.steps, values.workdir, rest) == (4, "a b", ["extra"])
    for content, sentence in (
        (f"--flagfile={outer}", "is named twice, or names itself"),
        ("\0\xff", "is not a text file"),
    ):
        outer.write_bytes(content.encode("latin-1"))
        assert cli.call(train.ENTRY_POINT, ["--flagfile", str(outer)]) == 2
        assert sentence in capsys.readouterr().err


def test_a_long_value_is_cut(capsys):
    assert cli.call(train.ENTRY_POINT, [QUICK, "--config.steps=" + 5000 * "1"]) == 2
    assert cli.call(train.ENTRY_POINT, [QUICK, "--config.augment.crop=" + 3000 * "(", "--workdir=/nowhere/x"]) == 2
    assert max(map(len, capsys.readouterr().err.splitlines())) < 600

"""What --config may name: a Python file, pawjax's own copy of one, a run's config.json; anything else is a sentence."""

import json
import shutil
from pathlib import Path

import pytest

from pawjax import cli, config_file, errors, train
from pawjax.config import default_config
from pawjax.engine.runlog import write_config
from pawjax.errors import InputError
from pawjax.files import write_json

ROOT = Path(__file__).resolve().parents[1]
OLD = json.loads((Path(__file__).parent / "golden" / "configs_before_sections.json").read_text())


@pytest.fixture
def run_folder(tmp_path):
    """A run folder with a config of its own; no weights."""
    folder, config = tmp_path / "first", default_config()
    config.steps, config.augment.crop, config.data.bodyparts = 7, (64, 96), ("paw",)
    write_config(folder, config)
    return folder


RECORD = {"command": ["train.py"], "device": "cpu", "n_devices": 1} | {
    "data": {"source": "paw_on_ball", "fingerprint": "0", "bodyparts": ["paw"], "n_train": 3, "n_dev": 1, "n_test": 1}
}


def parsed(*words):
    return cli.parse(train.ENTRY_POINT, list(words))[0]


def test_a_run_is_repeated_by_its_config_json(run_folder):
    values = parsed(f"--config={run_folder}/config.json", "--config.batch_size=3")
    config = values.config
    assert (config.steps, config.augment.crop, config.data.bodyparts, config.batch_size) == (7, (64, 96), ("paw",), 3)
    assert train.default_workdir(values) == Path("runs/first_repeat")
    smoke = parsed("--config", f"{run_folder}/config.json:smoke")
    assert smoke.config.steps == 6 and train.default_workdir(smoke) == Path("runs/first_repeat_smoke")
    before = (run_folder / "config.json").read_bytes()
    write_config(run_folder, parsed(f"--config={run_folder}/config.json").config)  # the same config: it may resume
    assert (run_folder / "config.json").read_bytes() == before


def test_the_config_of_an_old_run_gets_current_names(tmp_path):
    write_json(tmp_path / "config.json", OLD["dlc_r101_supervised"])
    write_json(tmp_path / "run.json", RECORD)
    config = parsed(f"--config={tmp_path}/config.json", "--config.steps=3").config
    assert (config.model.backbone, config.deeplabcut.intermediate, config.steps) == ("resnet101", "block3_unit12", 3)


@pytest.mark.parametrize("name", ["configs/quickstart.py", "configs/experiments/ball_dlc_r50.py"])
def test_configs_are_found_outside_the_checkout(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(errors, "_said", set())
    values = parsed(f"--config={name}:smoke")
    assert values.config.steps == 6 and cli.config_name(values) == f"{name}:smoke"
    assert train.default_workdir(values) == Path(f"runs/{Path(name).stem}_smoke")
    own = f"pawjax's own copy, {ROOT / name}, is used"
    assert capsys.readouterr().err == f"pawjax: warning: --config={name} is not in the working directory: {own}\n"
    mine = tmp_path / name
    mine.parent.mkdir(parents=True)
    mine.write_text((ROOT / name).read_text().replace("(config, arg)", "(config, arg) and default_config()"))
    assert parsed(f"--config={name}:smoke").config.steps == default_config().steps, "a file of the user comes first"


def test_an_installed_package_has_its_configs_within(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "pawjax"
    shutil.copytree(ROOT / "configs", package / "configs")
    (tmp_path / "site-packages" / "configs").mkdir()  # of another project
    monkeypatch.setattr(config_file, "__file__", str(package / "config_file.py"))
    found = config_file.shipped()
    assert found[Path("configs/quickstart.py")] == package / "configs" / "quickstart.py"
    assert len(found) == sum("README" not in path.name for path in (ROOT / "configs").rglob("*.*y"))
    shutil.rmtree(tmp_path / "site-packages")
    assert config_file.shipped() == {}


IMPORT = "from ml_collections import ConfigDict\nfrom pawjax.config import default_config\n"


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("a.py", "def get_config(): pass", "a.py: get_config() returns nothing; it must return the ConfigDict of"),
        ("a.py", "def get_config(): return {'steps': 3}", "a.py: get_config() returns a dict; it must return"),
        (
            "a.py",
            IMPORT + "def get_config(): return ConfigDict({'steps': 3})",
            "anywhere_p is missing: start from default_",
        ),
        (
            "a.py",
            IMPORT + "def get_config(): return ConfigDict({**default_config(), 'stepps': 3})",
            "a.py: unknown config field config.stepps",
        ),
        ("a.py", "def get_config(): raise KeyError('x')", "a.py cannot be run: KeyError: 'x'"),
        ("a.py", "def get_config(): return open('/nowhere')", "a.py cannot be run: FileNotFoundError"),
        ("a.py", "raise SystemExit(3)", "a.py cannot be run: SystemExit: 3"),
        ("a.py", "def get_config(:", "a.py cannot be run: SyntaxError: invalid syntax (a.py, line 1)"),
        ("a.py", "config = 3", "a.py has no function get_config()"),
        (
            "config.yaml",
            "Task: reach",
            "a DeepLabCut project is named by --config.data.source=deeplabcut --config.data.",
        ),
        (
            "best.json",
            "{}",
            "best.json is not a config: a config is a Python file such as configs/quickstart.py, or the",
        ),
        ("notes", "get_config", "notes is not a config"),
    ],
)
def test_any_other_file_is_one_sentence(name, content, sentence, tmp_path, capsys):
    (tmp_path / name).write_text(content + "\n")
    for words in ([], ["--config.steps=3"]):
        assert cli.call(train.ENTRY_POINT, [f"--config={tmp_path / name}", *words]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"pawjax: --config={tmp_path / name}") and error.count("\n") == 1
        assert sentence in error


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("configs/quikstart.py", "no such file; did you mean 'configs/quickstart.py'?"),
        ("mine.py", "no such file; pawjax has configs/convnet.py, "),
        ("/dev/zero", "/dev/zero is a pipe, socket or device"),
        ("~no_such_user/x.py", "this machine knows no such home folder"),
        ("{run}", "is a folder: write --config={run}/config.json"),
        ("/", "is a folder; a config is a Python file"),
        ("a\0b.py", r"'--config=a\x00b.py' contains the character NUL"),
    ],
)
def test_a_name_that_is_no_file_is_one_sentence(name, sentence, run_folder):
    with pytest.raises(InputError) as refusal:
        parsed(f"--config={name.format(run=run_folder)}")
    assert sentence.format(run=run_folder) in str(refusal.value) and "\n" not in str(refusal.value)

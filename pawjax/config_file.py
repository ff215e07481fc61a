"""The config that --config names: a Python file with get_config(), pawjax's own copy of one, or config.json of a run.

`pawjax.cli` passes this file to ml_collections as the config file, with the user's words as the argument of
`get_config`, so that every way to name a config and every mistake in it is handled here.
"""

import importlib.util
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from pawjax.errors import InputError, did_you_mean, warn
from pawjax.files import regular, user_path

NAME = "config.json"  # a run's
WANTED = "a config is a Python file such as configs/quickstart.py, or the config.json of a run"


def get_config(words: str) -> ConfigDict:
    """The config that --config=WORDS names, FILE or FILE:ARGUMENT. Raises InputError for anything else."""
    name, colon, argument = words.partition(":")
    path = find(name)
    if path.suffix == ".json":
        config = _of_run(path, name, argument)
    elif path.suffix == ".py":
        config = _of_python(path, name, [argument] if colon else [])
    else:
        project = path.suffix in (".yaml", ".yml")
        hint = "; a DeepLabCut project is named by --config.data.source=deeplabcut --config.data.path=FOLDER"
        raise InputError(f"--config={name} is not a config: {WANTED}{hint if project else ''}")
    return config


def find(name: str) -> Path:
    """The file that --config=NAME means. Where configs/... does not exist, it is pawjax's own copy, with a warning."""
    path, own = user_path(name), shipped()
    if path.is_dir():
        inside = f": write --config={path / NAME}" if (path / NAME).is_file() else f"; {WANTED}"
        raise InputError(f"--config={name} is a folder{inside}")
    if path.exists():
        return regular(path)
    if path in own:
        warn(f"--config={name} is not in the working directory: pawjax's own copy, {own[path]}, is used")
        return own[path]
    choices = f"pawjax has {', '.join(str(path) for path in own if path.parent.name == 'configs')}"
    hint = did_you_mean(name, list(map(str, own)), choices) if path.parts[:1] == ("configs",) else choices
    raise InputError(f"--config={name}: no such file; {hint}")


def shipped() -> dict[Path, Path]:
    """{configs/NAME.py: its file} of all configs of this package, in its checkout or as installed."""
    package = Path(__file__).parent
    folder = next(filter(Path.is_dir, (package / "configs", package.parent / "configs")), package)
    files = [*sorted(folder.glob("*.py")), *sorted(folder.glob("experiments/*.py"))] if folder != package else []
    return {"configs" / file.relative_to(folder): file for file in files}


def _of_run(path: Path, name: str, argument: str) -> ConfigDict:
    from pawjax.config import variant  # imports JAX
    from pawjax.engine.runlog import read_config

    if path.name != NAME:
        raise InputError(f"--config={name} is not a config: {WANTED}")
    return variant(read_config(path.parent), argument)


def _of_python(path: Path, name: str, arguments: list[str]) -> ConfigDict:
    from pawjax import config as of_runs  # import JAX
    from pawjax.pose3d import settings as of_models

    try:
        spec = importlib.util.spec_from_file_location("config_of_user", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not hasattr(module, "get_config"):
            raise InputError(f"--config={name} has no function get_config(); {WANTED}")
        config = module.get_config(*arguments)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # raised by the user's code
        raise InputError(f"--config={name} cannot be run: {type(error).__name__}: {error}") from error
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"--config={name}: get_config() returns {_described(config)}; "
            "it must return the ConfigDict of pawjax.config.default_config(), with your changes"
        )
    of_model = isinstance(config.get("model"), str)  # the model of `pawjax.triangulate`; a run's is a section
    try:
        (of_models if of_model else of_runs).check_fields(config)
    except InputError as error:
        raise InputError(f"--config={name}: {error}") from error
    return config


def _described(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"

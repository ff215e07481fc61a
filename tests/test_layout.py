"""Imports go down the layers only, and forbidden modules are never imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pawjax.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
ENTRY_POINTS = {
    *("train", "evaluate", "predict", "refine", "export", "calibrate", "triangulate", "compare", "benchmark"),
    "paw_on_ball",
}
LAYERS = [  # top to bottom; a package may import from its own layer and those below
    ENTRY_POINTS,
    {"cli", "arguments", "config_file"},
    {"engine", "inference"},
    {"config"},
    {"methods", "reconstruction"},
    {"models", "data", "report", "tracks", "structure"},
    {"losses", "metrics", "optim", "automatic", "weights", "ops", "pose3d"},
    {
        *("files", "run_files", "pickled", "restricted_pickle", "interruptions", "progress", "machine", "sections"),
        *("config_history", "errors"),
    },
]
LAYER = {package: level for level, packages in enumerate(LAYERS) for package in packages}
FORBIDDEN = {"tensorflow", "torch", "torchvision", "pandas", "third_party", "tests", "configs"}
EXTRAS = {("tracks/deeplabcut.py", "pandas")}  # inside a function, for a format that an extra installs
SEPARATE = {
    *(("models", "data"), ("data", "models"), ("ops", "errors")),
    *(("reconstruction", "methods"), ("reconstruction", "models"), ("methods", "reconstruction")),
}


def imports_of(path: Path) -> set[str]:
    """Modules that a file imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def package_of(path: Path) -> str:
    return path.relative_to(ROOT / "pawjax").parts[0].removesuffix(".py")


def test_imports_go_down():
    for path in sorted((ROOT / "pawjax").rglob("*.py")):
        package = package_of(path)
        if package == "__init__":
            continue
        for name in imports_of(path):
            if not name.startswith("pawjax."):
                continue
            other = name.split(".")[1]
            if other in LAYER and other != package:
                assert LAYER[other] > LAYER[package] or (
                    LAYER[other] == LAYER[package] and package not in ENTRY_POINTS
                ), f"{path.name} ({package}) imports {name}"
                assert (package, other) not in SEPARATE, f"{path.name} ({package}) imports {name}"


def test_training_and_inference_do_not_import_in_circles():
    """Inference reads training files, training predicts on dev: the two must not import each other in a circle."""
    files = {}
    for package in ("engine", "inference"):
        for path in (ROOT / "pawjax" / package).glob("*.py"):
            files[f"pawjax.{package}.{path.stem}"] = imports_of(path)
    remaining = {name: imports & files.keys() for name, imports in files.items()}
    taken = {other for name in remaining if ".inference." in name for other in remaining[name] if ".engine." in other}
    assert taken <= {"pawjax.engine.checkpoints", "pawjax.engine.runlog"}
    while free := [name for name, imports in remaining.items() if not imports & remaining.keys()]:
        for name in free:
            del remaining[name]
    assert not remaining, f"import cycle: {', '.join(remaining)}"


def test_every_package_has_a_layer():
    packages = {package_of(path) for path in (ROOT / "pawjax").rglob("*.py")} - {"__init__"}
    assert packages <= LAYER.keys()


def test_config_does_not_import_data_libraries():
    program = "import sys, pawjax.config, pawjax.machine; print('tensorflow_datasets' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "False"


def test_forbidden_modules_are_not_imported():
    for path in sorted((ROOT / "pawjax").rglob("*.py")):
        roots = {name.split(".")[0] for name in imports_of(path)}
        roots -= {name for file, name in EXTRAS if path == ROOT / "pawjax" / file}
        assert not roots & FORBIDDEN, f"{path}: {roots & FORBIDDEN}"
        if package_of(path) == "ops":
            assert "flax" not in roots, f"{path}: ops must not import Flax"


def test_networks_and_methods_do_not_import_chip_code():
    for package in ("models", "methods"):
        for path in sorted((ROOT / "pawjax" / package).rglob("*.py")):
            words = {name.rpartition(".")[2] for name in imports_of(path)}
            assert not words & {"chains", "on_cpu", "winograd"}, f"{path} imports {words}"


def test_every_config_has_a_smoke_variant_and_its_command():
    from importlib.util import module_from_spec, spec_from_file_location

    for path in sorted((ROOT / "configs").glob("*.py")):
        spec = spec_from_file_location(path.stem, path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        assert f"--config=configs/{path.name}" in module.__doc__, f"{path.name}: its docstring must give the command"
        if path.stem.startswith("pose3d_"):
            assert module.get_config().model == path.stem.removeprefix("pose3d_")
        else:
            steps = module.get_config().steps
            assert steps == 0 or steps > module.get_config("smoke").steps
        with pytest.raises(InputError, match=":smok: the only config argument is ':smoke'"):
            module.get_config("smok")

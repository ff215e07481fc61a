"""The wheel holds every package, and the configs within pawjax/."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def folder_of(package):
    """Its folder in the checkout."""
    return ROOT / SETTINGS["package-dir"].get(package, package.replace(".", "/"))


def modules():
    """{name in the wheel: file} of every module of pawjax and every config."""
    files = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "pawjax").rglob("*.py")}
    return files | {f"pawjax/{path.relative_to(ROOT).as_posix()}": path for path in (ROOT / "configs").rglob("*.py")}


def test_every_module_and_config_is_in_a_package_of_the_wheel():
    listed = {
        f"{package.replace('.', '/')}/{path.name}": path
        for package in SETTINGS["packages"]
        for path in folder_of(package).glob("*.py")
    }
    assert listed == modules() and "pawjax/configs/quickstart.py" in listed


@pytest.mark.slow
@pytest.mark.skipif(int(version("setuptools").split(".")[0]) < 77, reason="needs setuptools 77, without network")
def test_the_wheel_holds_them(tmp_path):
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("pawjax-*.whl")
    assert modules().keys() <= set(zipfile.ZipFile(wheel).namelist())

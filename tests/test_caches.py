"""Caches without a home folder, in one that is read-only, and in processes that chose their own."""

import os
import pwd
from pathlib import Path

import jax
import pytest

from pawjax import errors
from pawjax.data import DataConfig, load
from pawjax.errors import InputError
from pawjax.files import user_path
from pawjax.machine import cache_root, compilation_cache, use_compilation_cache


@pytest.fixture
def no_home(monkeypatch):
    """An unknown user without HOME, as in a container."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "PAWJAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.fixture
def no_folder_chosen(monkeypatch):
    """JAX keeps no compiled programs, as in a fresh process, and no warning has been printed."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(errors, "_said", set())
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PAWJAX_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == tmp_path / ".cache" / "pawjax"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/pawjax")
    monkeypatch.setenv("PAWJAX_CACHE", "~/mine")
    assert cache_root() == tmp_path / "mine" and cache_root("/given") == Path("/given")


def test_without_a_home_folder_one_sentence_names_the_variable(no_home, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="this user has no home folder .*: set PAWJAX_CACHE to a folder"):
        cache_root()
    with pytest.raises(InputError, match="set PAWJAX_CACHE"):
        load(DataConfig())
    monkeypatch.setenv("PAWJAX_CACHE", str(tmp_path))
    assert cache_root() == tmp_path and compilation_cache().parent == tmp_path / "xla"


@pytest.mark.parametrize("text", ["~no_such_user/x", "a\0b"])
def test_a_path_that_cannot_be_is_named_at_every_door(text, no_home):
    with pytest.raises(InputError) as refusal:
        user_path(text)
    assert str(refusal.value).startswith(text if "~" in text else repr(text))
    for fields in ({"path": text, "source": "deeplabcut"}, {"cache": text}):
        with pytest.raises(InputError, match="home folder|is not a path"):
            load(DataConfig(**fields))


def test_only_one_place_expands_the_paths_of_users():
    package = Path(__file__).resolve().parents[1] / "pawjax"
    assert [path.name for path in package.rglob("*.py") if "expanduser" in path.read_text()] == ["files.py"]


def test_compiled_programs_are_kept_unless_the_process_chose_otherwise(no_folder_chosen, capsys):
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == str(compilation_cache()) and compilation_cache().is_dir()
    for chosen in ("/of/the/user", ""):
        jax.config.update("jax_compilation_cache_dir", chosen)
        use_compilation_cache()
        assert jax.config.jax_compilation_cache_dir == chosen
    assert capsys.readouterr().err == "" and not os.path.exists("/of/the/user")


def test_a_cache_that_cannot_be_written_to_is_one_warning(no_folder_chosen, no_home, monkeypatch, tmp_path, capsys):
    use_compilation_cache()
    (tmp_path / "file").touch()
    monkeypatch.setenv("PAWJAX_CACHE", str(tmp_path / "file"))
    use_compilation_cache(), use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir is None
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("pawjax: warning: compiled programs are not kept: this user has no home folder")
    assert f"are not kept: {compilation_cache()} cannot be written to (Not a directory); set PAWJAX_CACHE" in second

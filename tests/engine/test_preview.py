"""The file of --draw_augmented is checked before any work, and nothing but it is written."""

import os

import pytest

from pawjax.engine import preview
from pawjax.errors import InputError
from tests.tiny import tiny_config


def _work(*_args):
    raise AssertionError("worked before the check")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.txt", "end the name in .png"),
        ("a", "end the name in .png"),
        ("nowhere/a.png", "there is no folder .*nowhere; create it"),
        ("file/a.png", "there is no folder .*file"),
        ("", "is a folder; name a PNG in it"),
        ("folder.png", "is a folder; name a PNG in it"),
        ("pipe.png", "is a pipe, socket or device"),
        ("locked/a.png", "locked is not writable"),
    ],
)
def test_unusable_path_is_refused_before_any_work(tmp_path, monkeypatch, name, message):
    monkeypatch.setattr(preview, "check_config", _work)
    (tmp_path / "file").touch()
    for folder in ("folder.png", "locked"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    access = os.access  # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "locked" and access(path, mode))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        preview.draw_augmented(tiny_config(), tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


def test_png_that_can_be_written_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "check_config", _work)
    (tmp_path / "old.png").touch()
    for name in ("new.PNG", "old.png"):
        with pytest.raises(AssertionError, match="worked"):
            preview.draw_augmented(tiny_config(), tmp_path / name)

"""Progress without a terminal: plain lines, and a rate that excludes pauses."""

import time

import pytest

from pawjax import progress


def test_plain_lines_and_rate_without_pauses(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.TrainingProgress(100, 0, 8) as bar:
        now[0] = 10.0
        bar.update(10, loss=0.5)
        with bar.paused():
            now[0] = 110.0
        now[0] = 120.0
        bar.update(20, loss=0.25, dev=3.5)
        assert bar.images_per_second == pytest.approx(8.0, rel=0.01)
    error = capsys.readouterr().err
    assert error.startswith("compiling a training step\n")
    assert "step 20/100" in error and "0.25" in error and "3.50 px" in error
    assert not set(error) & {"\x1b", "\r"}


def test_track_yields_every_item(capsys):
    assert list(progress.track(range(5), "reading", 5)) == [0, 1, 2, 3, 4]


def test_a_long_wait_is_announced_and_a_short_one_is_not(capsys):
    with progress.announced("long", after=0.01):
        time.sleep(0.2)
    with progress.announced("short", after=60):
        pass
    assert capsys.readouterr().err == "long\n"

"""Prepared sets are complete or absent, even with killed or concurrent processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pawjax import files
from pawjax.data import prepared
from pawjax.data.paw_on_ball import rendering
from pawjax.machine import cache_root

REPOSITORY = Path(__file__).parents[2]
HALF = """
import sys, time
from pathlib import Path
from pawjax.data.prepared import prepare_once
def make(private):
    (private / "half").write_text("x")
    print("begun", flush=True)
    time.sleep(60)
prepare_once(Path(sys.argv[1]), 0, make)
"""


def test_killed_preparation_leaves_nothing_usable(tmp_path):
    folder = tmp_path / "set/key"
    home = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", HALF, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=home) as process:
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)
    left = list(folder.parent.glob(".unfinished-*"))
    assert not folder.exists() and len(left) == 1
    old = time.time() - 2 * prepared.ABANDONED_AFTER_S
    os.utime(left[0], (old, old))
    prepared.prepare_once(folder, 0, lambda private: (private / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"] and not left[0].exists()


def test_failure_leaves_no_trace(tmp_path):
    def make(private: Path) -> None:
        (private / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared.prepare_once(tmp_path / "set/key", 0, make)
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".lock"]


@pytest.mark.parametrize("locks", [True, False])
def test_concurrent_preparations_agree(tmp_path, monkeypatch, locks):
    """With locks the second waits and makes nothing; without, both make the set and one copy is kept."""

    def no_lock(*_args: object) -> None:
        raise OSError("no locks here")

    if not locks:
        monkeypatch.setattr(files.fcntl, "flock", no_lock)
    made, folder = [], tmp_path / "set/key"

    def make(private: Path) -> None:
        made.append(private)
        time.sleep(0.3)
        (private / "whole").write_text(str(private))

    threads = [threading.Thread(target=prepared.prepare_once, args=(folder, 0, make)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == (1 if locks else 2)
    assert (folder / "whole").read_text() in map(str, made)
    assert not list(folder.parent.glob(".unfinished-*"))


def test_cache_root_in_order_of_precedence(monkeypatch, tmp_path):
    monkeypatch.setenv("PAWJAX_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_root(str(tmp_path / "c")) == tmp_path / "c"
    assert cache_root() == tmp_path / "a"
    monkeypatch.delenv("PAWJAX_CACHE")
    assert cache_root() == tmp_path / "b/pawjax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "d"))
    assert cache_root() == tmp_path / "d/.cache/pawjax"


def test_workers_render_the_same_frames_in_order():
    scene = {"seed": 3, "height": 24, "width": 32}
    alone = list(rendering.render_frames(5, **scene, workers=1))
    together = list(rendering.render_frames(5, **scene, workers=2))
    assert [(f.digest, f.png, f.video, f.labelled) for f in alone] == [
        (f.digest, f.png, f.video, f.labelled) for f in together
    ]


def test_dead_worker_is_an_error_and_no_worker_stays(monkeypatch):
    started = []

    def start(*_args: object) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdout=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(rendering, "_start_worker", start)
    with pytest.raises(RuntimeError, match="exit code 3"):
        list(rendering.render_frames(4, seed=0, height=24, width=32, workers=2))
    assert len(started) == 2 and all(process.poll() is not None for process in started)

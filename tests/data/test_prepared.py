"""Prepared sets are complete or absent, even with killed or concurrent processes."""

import errno
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
from pawjax.errors import InputError
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


def _killed(folder: Path) -> Path:
    """What a killed preparation of `folder` leaves."""
    home = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", HALF, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=home) as process:
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)
    (left,) = folder.parent.glob(".unfinished-*")
    return left


def _whole(private: Path) -> None:
    (private / "whole").touch()


def test_killed_preparations_are_removed_by_the_next_of_any_set(tmp_path):
    folder, other = tmp_path / f"set/{16 * 'a'}", tmp_path / f"other/{16 * 'b'}"
    left = [_killed(folder), _killed(other)]
    users = tmp_path / "other/.unfinished-symphony"
    users.mkdir()
    assert not folder.exists()
    prepared.prepare_once(folder, 0, _whole)
    assert (folder / "whole").exists() and not any(path.exists() for path in left) and users.exists()


def test_preparations_in_progress_are_left_alone(tmp_path):
    folder, other = tmp_path / f"set/{16 * 'a'}", tmp_path / f"other/{16 * 'b'}"

    def make(private: Path) -> None:
        prepared.prepare_once(folder, 0, _whole)  # while `other` is being prepared
        _whole(private)

    prepared.prepare_once(other, 0, make)
    assert (folder / "whole").exists() and (other / "whole").exists()


def test_without_locks_only_old_leftovers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", _no_lock)
    new, old = (tmp_path / f"set/.unfinished-{16 * 'a'}-{name}" for name in ("new", "old"))
    for path in (new, old):
        path.mkdir(parents=True)
    then = time.time() - 2 * prepared.ABANDONED_AFTER_S
    os.utime(old, (then, then))
    prepared.prepare_once(tmp_path / "set/key", 0, _whole)
    assert new.exists() and not old.exists()


def _no_lock(*_args: object) -> None:
    raise OSError("no locks here")


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
    _make_twice_at_once(tmp_path / "set/key", monkeypatch, locks)


@pytest.mark.parametrize("locks", [True, False])
def test_concurrent_processes_replace_a_damaged_set_once(tmp_path, monkeypatch, locks):
    folder = tmp_path / "set/key"
    prepared.prepare_once(folder, 0, _whole)
    (folder / "whole").unlink()
    _make_twice_at_once(folder, monkeypatch, locks)


def _make_twice_at_once(folder, monkeypatch, locks):
    if not locks:
        monkeypatch.setattr(files.fcntl, "flock", _no_lock)
    made = []

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
    assert (folder / "whole").read_text() in map(str, made) and not prepared.damage(folder)
    assert not list(folder.parent.glob(".unfinished-*"))


def test_every_damage_is_found(tmp_path):
    folder = tmp_path / "set/key"

    def make(private: Path) -> None:
        (private / "sub").mkdir()
        (private / "sub/record").write_bytes(bytes(range(60)))
        (private / "info.json").write_text("{}")

    prepared.prepare_once(folder, 0, make)
    assert not prepared.damage(folder)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        flipped = [bytes([*whole[:i], whole[i] ^ 1 << i % 8, *whole[i + 1 :]]) for i in range(len(whole))]
        for damaged in (*flipped, b"", whole[:-1], whole + b"x", b"[]", b"null", b'{"\\u0000": "x"}', b"\xff"):
            path.write_bytes(damaged)
            if path.name == prepared.HASHES and damaged.split() == whole.split():
                continue  # a blank became another blank
            assert prepared.damage(folder), damaged
        path.unlink()
        assert prepared.damage(folder)
        path.mkdir()
        assert prepared.damage(folder)
        path.rmdir()
        os.mkfifo(path)
        assert prepared.damage(folder)  # without waiting for someone to write into the pipe
        path.unlink()
        path.write_bytes(whole)
    assert not prepared.damage(folder)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, code):
    def make(private: Path) -> None:
        (private / "half").touch()
        raise OSError(code, os.strerror(code))  # without a file name

    with pytest.raises(InputError, match=f"cannot be written there .{os.strerror(code)}.; make room"):
        prepared.prepare_once(tmp_path / "set/key", 0, make)
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".lock"]


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

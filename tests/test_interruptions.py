"""Signals and failing disks: what is said, when, and what follows."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pawjax import interruptions
from pawjax.errors import InputError
from pawjax.interruptions import disk_error, disk_errors, stop_signal, stopping_at_once

ROOT = Path(__file__).resolve().parents[1]
# A call that returns to Python only after seconds, as a compilation does.
COMPILATION = """
import hashlib
from pawjax import interruptions
interruptions.TWICE_SECONDS = 0.1
with interruptions.stop_signal() as stopped:
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000)
print("finished, stopped:", stopped(), flush=True)
"""


def start() -> subprocess.Popen:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    process = subprocess.Popen([sys.executable, "-c", COMPILATION], **options)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", interruptions.SIGNALS)
def test_signal_stops_a_training_and_is_announced(number, capfd):
    former = signal.getsignal(number)
    with stop_signal() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # in the same moment, as `timeout` does
        assert stopped()
    assert signal.getsignal(number) is former
    expected = f"pawjax: {number.name}: stopping with a checkpoint after this step; a second signal ends it at once\n"
    assert capfd.readouterr().err == expected


@pytest.mark.parametrize("number", interruptions.SIGNALS)
def test_signal_interrupts_other_commands_once(number, capfd):
    with pytest.raises(KeyboardInterrupt), stopping_at_once():
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            os.kill(os.getpid(), number)  # must not interrupt the cleaning up
    assert capfd.readouterr().err == f"pawjax: {number.name}: stopping; a second signal ends it at once\n"


def test_ignored_signal_stays_ignored():
    """nohup."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signal() as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopped()
    finally:
        signal.signal(signal.SIGHUP, former)


def test_signal_is_announced_during_a_long_call():
    process = start()
    process.send_signal(signal.SIGTERM)
    assert process.stderr.readline().startswith("pawjax: SIGTERM: stopping with a checkpoint")
    assert process.poll() is None, "the call has not returned"
    assert process.stdout.readline() == "finished, stopped: True\n" and process.wait() == 0


def test_second_signal_ends_a_long_call():
    process = start()
    process.send_signal(signal.SIGINT)
    process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.communicate() == ("", "pawjax: SIGTERM: ended at once\n")
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", interruptions.DISK_ERRORS)
def test_failing_disk_is_one_sentence(number):
    try:
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            raise ValueError("a library's words") from error
    except ValueError as error:
        caught = error
    for cause in (OSError(number, "x"), caught, ValueError(f"UNKNOWN: write failed [OS error: {os.strerror(number)}]")):
        assert disk_error(cause) == os.strerror(number)
        words = f"^{os.strerror(number)}: cannot write to /run, whose checkpoints are kept: free some space"
        with pytest.raises(InputError, match=words), disk_errors(Path("/run")):
            raise cause


def test_other_errors_are_not_of_the_disk():
    for error in (ValueError("x"), OSError(errno.ENOENT, "No such file"), InputError("y")):
        assert disk_error(error) == ""
        with pytest.raises(type(error)) as caught, disk_errors(Path("/run")):
            raise error
        assert caught.value is error


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_swallowed_interruption_comes_again():
    """JAX has a callback of the garbage collector, which swallows exceptions."""
    done = run("""
import gc, signal, sys, time
from pawjax.cli import guarded
def act():
    gc.callbacks.append(lambda phase, info: gc.callbacks.pop() and signal.raise_signal(signal.SIGTERM))
    gc.collect()
    time.sleep(10)
    print("went on")
sys.exit(guarded(act))
""")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "pawjax: SIGTERM: stopping; a second signal ends it at once\n"


@pytest.mark.parametrize("ending", ["raise RuntimeError('a library')", "pass"])
def test_interruption_that_a_library_caught_is_no_traceback_and_no_success(ending):
    done = run(f"""
import signal, sys
from pawjax.cli import guarded
def act():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        {ending}
sys.exit(guarded(act))
""")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "pawjax: SIGINT: stopping; a second signal ends it at once\n"


def test_signal_during_an_import_ends_the_process(tmp_path):
    (tmp_path / "slow.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)\nprint('went on')\n")
    done = run(f"""
import sys
from pawjax.cli import guarded
sys.path.append({str(tmp_path)!r})
def act():
    try:
        import slow
    finally:
        print("an exception")
sys.exit(guarded(act))
""")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "pawjax: SIGTERM: stopping; a second signal ends it at once\n"


def test_signal_before_the_work_is_one_line():
    done = run("import signal, pawjax.interruptions as i; i.ending_at_once(); signal.raise_signal(signal.SIGINT)")
    assert (done.returncode, done.stderr) == (3, "pawjax: SIGINT: stopping\n")


def test_reader_of_stdout_that_has_left_ends_it_quietly():
    code = "import sys; from pawjax.cli import guarded; sys.exit(guarded(lambda: print('x' * 100_000, flush=True)))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141

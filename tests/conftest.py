"""Shared setup: four virtual CPU devices without deadlocks, parsed flags, and the folder of real frames."""

import os
import signal
from pathlib import Path

# Set before JAX starts: with fewer threads than queued collectives, virtual CPU devices deadlock.
os.environ.setdefault("NPROC", "16")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compilation takes most of the time. The code generators that pay off in long runs are off; `XLA_FLAGS= pytest`
# enables them.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

import jax  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts background jobs so
    signal.signal(signal.SIGINT, signal.default_int_handler)
flags.FLAGS.mark_as_parsed()  # TFDS and Orbax read flags on import


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real labelled data sets beside the checkout; skips the test if absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data beside the checkout) are absent")
    return folder


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory) -> Path:
    """A folder shared by all workers of the test session."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return folder / "pawjax-cache"


@pytest.fixture(autouse=True)
def private_cache(session_cache, monkeypatch):
    """Prepared data sets and compiled programs go to the session's folder, never to the user's cache.

    To keep the programs between sessions: `JAX_COMPILATION_CACHE_DIR=FOLDER pytest`.
    """
    monkeypatch.setenv("PAWJAX_CACHE", str(session_cache))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(session_cache / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(autouse=True, scope="module")
def forgotten_programs():
    """Frees the compiled programs of each module, which add up to gigabytes."""
    yield
    jax.clear_caches()

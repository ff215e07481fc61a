"""Shared set-up: four virtual CPU devices that cannot deadlock, parsed flags, and the folder of real frames."""

import os
from pathlib import Path

# Set before JAX starts: with fewer threads than queued collectives, virtual CPU devices deadlock.
os.environ.setdefault("NPROC", "16")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time goes into compiling, of which LLVM's optimisations are half; `XLA_FLAGS= pytest` has them.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)
flags.FLAGS.mark_as_parsed()  # TFDS and Orbax read flags when they are imported by a test runner


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real labelled data sets beside the checkout; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data beside the checkout) are absent")
    return folder


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    """Prepared data sets and compiled programs go to a folder of the test session, never to the user's cache."""
    cache = tmp_path_factory.getbasetemp() / "pawjax-cache"
    monkeypatch.setenv("PAWJAX_CACHE", str(cache))
    jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))


@pytest.fixture(autouse=True, scope="module")
def forgotten_programs():
    """What a module compiled is given back after it: it adds up to gigabytes."""
    yield
    jax.clear_caches()

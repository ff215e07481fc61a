"""The CPU vendor selects the matrix product library, never one that this version of XLA lacks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.inference import compiler
from pawjax.inference.flops import count_flops


@pytest.fixture
def made_by(tmp_path, monkeypatch):
    def make(vendor, n_devices=1):
        monkeypatch.setattr(jax, "device_count", lambda: n_devices)
        info = tmp_path / "cpuinfo"
        info.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 6\n")
        monkeypatch.setattr(compiler, "CPU_INFO", info)

    return make


def test_both_libraries_multiply(made_by):
    x, y = np.random.default_rng(0).normal(size=(2, 300, 300)).astype(np.float32)
    for vendor in ("GenuineIntel", "AuthenticAMD"):
        made_by(vendor)
        np.testing.assert_allclose(compiler.jit(jnp.matmul)(x, y), x.astype(np.float64) @ y, atol=1e-4)


def test_options_unknown_to_xla_are_not_passed(made_by, monkeypatch):
    made_by("GenuineIntel")
    monkeypatch.setattr(compiler, "EIGEN_PRODUCTS", {"xla_cpu_an_option_of_the_past": "yes"})
    assert compiler.jit(jnp.sin)(0.0) == 0


def test_missing_cpu_info_is_tolerated(made_by, tmp_path, monkeypatch):
    made_by("GenuineIntel")
    monkeypatch.setattr(compiler, "CPU_INFO", tmp_path / "absent")
    assert jax.device_get(compiler.jit(jnp.cos)(0.0)) == 1


def test_jit_options_are_passed_on(made_by):
    made_by("GenuineIntel")
    x = jnp.ones(3)
    compiler.jit(lambda x: x + 1, donate_argnums=0)(x)
    assert x.is_deleted()


def test_flops_of_its_programs_can_be_counted(made_by):
    made_by("GenuineIntel")
    x = jnp.ones((7, 5))
    assert count_flops(compiler.jit(lambda x: x @ x.T), x) == 2 * 7 * 5 * 7

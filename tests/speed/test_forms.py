"""Speed-critical properties of compiled programs; they depend on the version of XLA."""

import re

import jax
import jax.numpy as jnp
import pytest

from pawjax.inference import compiler
from pawjax.ops import conv
from tests.ops.test_conv import random_arrays

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(jax.default_backend() != "cpu", reason="CPU only"),
]
BY_DEFAULT = "__ynn_fusion"  # marks YNNPACK's operations in compiled programs


@pytest.fixture
def made_by(tmp_path, monkeypatch):
    def make(vendor, n_devices=1):
        monkeypatch.setattr(jax, "device_count", lambda: n_devices)
        info = tmp_path / "cpuinfo"
        info.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 6\n")
        monkeypatch.setattr(compiler, "CPU_INFO", info)

    return make


def program(function, *arguments):
    return compiler.jit(function).lower(*arguments).compile().as_text()


@pytest.mark.parametrize(("vendor", "by_default"), [("GenuineIntel", False), ("AuthenticAMD", True)])
def test_product_library_depends_on_the_cpu_vendor(vendor, by_default, made_by):
    made_by(vendor)
    x, y = jnp.ones((512, 512)), jnp.ones((512, 512))
    assert (BY_DEFAULT in program(jnp.matmul, x, y)) == by_default
    assert BY_DEFAULT in program(lambda x: x.sum(0), x)  # sums keep XLA's default library


def test_several_devices_multiply_as_pmap_does(made_by):
    made_by("GenuineIntel", n_devices=2)
    assert BY_DEFAULT in program(jnp.matmul, jnp.ones((512, 512)), jnp.ones((512, 512)))


def test_training_lowers_to_no_convolution_for_1x1_and_to_plain_convolution_off_the_cpu(monkeypatch):
    x, kernel = random_arrays(2, (2, 8, 8, 4), (1, 1, 4, 6))

    def lowered():
        return jax.jit(jax.grad(lambda k: conv.conv2d(x, k, stride=2).sum())).lower(kernel).as_text()

    assert "stablehlo.convolution" not in lowered()
    monkeypatch.setattr(conv, "on_cpu", lambda: False)
    assert "stablehlo.convolution" in lowered()
    assert "stablehlo.dot_general" not in lowered()


@pytest.mark.parametrize("inputs, outputs", [(512, 192), (192, 512)])
def test_wider_factor_of_kernel_gradient_is_on_the_right(inputs, outputs):
    x, kernel, dy = random_arrays(4, (2, 8, 8, inputs), (1, 1, inputs, outputs), (2, 8, 8, outputs))
    gradient = jax.jit(lambda kernel: jax.vjp(lambda kernel: conv.conv2d(x, kernel), kernel)[1](dy))
    program = gradient.lower(kernel).compile().as_text()
    assert re.findall(r"f32\[([\d,]+)\]\S* dot\(", program) == ["192,512"]

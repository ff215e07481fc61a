"""Compiles networks with `jax.jit` and the library for matrix products that is fastest on this chip."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

CPU_INFO = Path("/proc/cpuinfo")
# What XLA gives to YNNPACK by default, except matrix products, which then go to Eigen.
EIGEN_PRODUCTS = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
}


def jit(function: Callable, **options: Any) -> Callable:
    """`jax.jit(function, **options)` for a program that runs a network.

    The library depends on the CPU's vendor, not on a timing, so that a machine always sums in the same order. On Intel
    CPUs it is Eigen, which is faster there than XLA's default, YNNPACK; README.md has the figures. Several virtual CPU
    devices keep the default: `jax.pmap` has no such option and must give the same numbers.
    """
    return jax.jit(function, compiler_options=EIGEN_PRODUCTS if _wants_eigen() else None, **options)


def _wants_eigen() -> bool:
    is_single_cpu = jax.default_backend() == "cpu" and jax.device_count() == 1
    return is_single_cpu and _made_by_intel() and _is_known(tuple(EIGEN_PRODUCTS.items()))


def _made_by_intel() -> bool:
    return CPU_INFO.is_file() and "GenuineIntel" in CPU_INFO.read_text()


@functools.cache
def _is_known(options: tuple[tuple[str, str], ...]) -> bool:
    """Whether this version of XLA has these options; it refuses to compile with others."""
    try:
        jax.jit(lambda: 0, compiler_options=dict(options))()
    except jax.errors.JaxRuntimeError:
        return False
    return True

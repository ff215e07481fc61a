"""The kind of chip that the traced program will run on."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_platform: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def on_cpu() -> bool:
    """Whether the traced program will run on a CPU: the only switch between the two sets of forms.

    Read at trace time, not with `lax.platform_dependent`, so that other chips get plain XLA operations, which JAX
    differentiates by its own rules in both forward and reverse mode.
    """
    return (_platform.get() or jax.default_backend()) == "cpu"


@contextlib.contextmanager
def traced_for(platform: str) -> Iterator[None]:
    """Context in which programs are traced for 'cpu' or 'cuda', whatever this machine has: to export or count them."""
    token = _platform.set(platform)
    try:
        yield
    finally:
        _platform.reset(token)

"""The kind of chip that the traced program will run on."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_plain = contextvars.ContextVar("plain", default=False)


def on_cpu() -> bool:
    """Whether the traced program will run on a CPU: the only switch between the two sets of forms.

    Read at trace time, not with `lax.platform_dependent`, so that other chips get plain XLA operations, which JAX
    differentiates by its own rules in both forward and reverse mode.
    """
    return jax.default_backend() == "cpu" and not _plain.get()


@contextlib.contextmanager
def plain_forms() -> Iterator[None]:
    """Context in which programs are traced as for other chips, even on a CPU: to count operations, not to run them."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)

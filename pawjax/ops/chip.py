"""Which kind of chip the program being traced is meant for."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_plain = contextvars.ContextVar("plain", default=False)


def on_cpu() -> bool:
    """Whether the program being traced is meant for a CPU: the one switch between the two sets of forms.

    Read at trace time, not with `lax.platform_dependent`, so that other chips see plain XLA operations that are
    differentiated by JAX's own rules, in both modes.
    """
    return jax.default_backend() == "cpu" and not _plain.get()


@contextlib.contextmanager
def plain_forms() -> Iterator[None]:
    """Within it programs are traced as for other chips, also on a CPU: to count what they do, not to run them."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)

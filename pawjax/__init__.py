"""pawjax: markerless tracking of animals in JAX/Flax."""

import sys
from typing import Any

__version__ = "0.1.0"
__all__ = ["Tracker", "live", "load", "train_and_evaluate"]

_HOMES = {
    "Tracker": "pawjax.inference.tracker",
    "live": "pawjax.inference.live",
    "load": "pawjax.inference.tracker",
    "train_and_evaluate": "pawjax.engine.loop",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: an entry point has to set up its process before JAX starts.
    if name not in _HOMES:
        raise AttributeError(f"module 'pawjax' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


if sys.argv[:1] == ["-m"] and any(word.startswith("pawjax.") for word in sys.orig_argv[1:]):
    # `python -m pawjax.NAME` is about to import the entry point: Ctrl-C gives a line instead of a traceback.
    from pawjax.interruptions import ending_at_once

    ending_at_once()

"""Methods, by name. To add one, write a file or package here and register it in `METHODS`; nothing else names it.

`pawjax.methods.method` defines the interface. The settings of a method are the section `config[name]`.
"""

from ml_collections import ConfigDict

from pawjax.errors import InputError
from pawjax.methods import deeplabcut, faster_rcnn, hourglass, patch
from pawjax.methods.method import Method, MethodEntry, Variables

METHODS: dict[str, MethodEntry] = {
    "deeplabcut": MethodEntry(deeplabcut.Settings, deeplabcut.make),
    "faster_rcnn": MethodEntry(faster_rcnn.Settings, faster_rcnn.make),
    "hourglass": MethodEntry(hourglass.Settings, hourglass.make),
    "patch": MethodEntry(patch.Settings, patch.make),
}


def make_method(config: ConfigDict, bodyparts: tuple[str, ...]) -> Method:
    """The method that `config.method` names, for these bodyparts. Raises InputError for a wrong setting."""
    if config.method not in METHODS:
        raise InputError(f"config.method = '{config.method}' must be one of {', '.join(METHODS)}")
    return METHODS[config.method].make(config, bodyparts)


__all__ = ["METHODS", "Method", "MethodEntry", "Variables", "make_method"]

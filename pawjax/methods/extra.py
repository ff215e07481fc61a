"""Evaluations that only one method has, beside the errors of its points."""

from collections.abc import Callable
from typing import Any, NamedTuple


class ExtraEvaluation(NamedTuple):
    """What `pawjax.inference.evaluation` runs and writes; a method has a function from a config to it for each name.

    Attributes:
      predict: (method, variables, images [B, H, W, C]) -> a tree of arrays [B, ...]; pure, to be compiled.
      write: (folder, method, outputs, store, frames, about) -> the numbers written. `outputs` is the tree with arrays
        [N, ...] of all N frames, `store` their `FrameStore`, `frames` the `EvaluatedFrames` with what was predicted of
        them, and `about` further entries of the numbers.
    """

    predict: Callable[[Any, Any, Any], Any]
    write: Callable[..., dict[str, Any]]

"""Methods: each joins a network, its targets, its losses and its decoding, and is all that the engine sees of them.

A method is a frozen dataclass with

- `init(key, batch) -> variables`: {'params': ..., 'batch_stats': ...};
- `loss(variables, batch, key, train) -> (terms, batch_stats)`: terms {name: (sum, count)}, so that padding, missing
  labels and the number of devices never change a result; the engine adds weight * sum / count by `loss_weights`;
- `prepare(variables) -> variables` with what prediction makes of them alone, so that it is made once for many images;
- `predict(variables, images) -> {'keypoints': [B, K, 2], 'likelihood': [B, K]}`, in (x, y) pixels of the images given;
- `loss_weights`: {name: weight} for every term;
- `warnings`: sentences on settings that will hardly work, told before training;
- `predict_fields`: names of the fields of `config.predict` that only this method reads;
- `extra_evaluations`: {name: function from a config to an `ExtraEvaluation`}, which refuses what is impossible;
- `with_axis(name)`: the same method with batch statistics shared over a mapped axis.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import jax
from ml_collections import ConfigDict

from pawjax.errors import InputError
from pawjax.losses import Term
from pawjax.methods import deeplabcut, detection_config
from pawjax.methods.extra import ExtraEvaluation

Variables = Mapping[str, Any]


class Method(Protocol):
    """What the engine asks of a method; see the module's docstring."""

    predict_fields: ClassVar[tuple[str, ...]]
    extra_evaluations: ClassVar[Mapping[str, Callable[[ConfigDict], ExtraEvaluation]]]

    @property
    def loss_weights(self) -> dict[str, float]: ...

    @property
    def warnings(self) -> tuple[str, ...]: ...

    def init(self, key: jax.Array, batch: dict[str, jax.Array]) -> Variables: ...

    def loss(
        self, variables: Variables, batch: dict[str, jax.Array], key: jax.Array, train: bool
    ) -> tuple[dict[str, Term], Any]: ...

    def prepare(self, variables: Variables) -> Variables: ...

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]: ...

    def with_axis(self, name: str) -> "Method": ...


METHODS: dict[str, Callable[[ConfigDict, int], Method]] = {
    "deeplabcut": deeplabcut.from_config,
    "faster_rcnn": detection_config.from_config,
}
DTYPES = ("float32", "bfloat16")


def make_method(config: ConfigDict, bodyparts: tuple[str, ...]) -> Method:
    """The method that `config.method` names, for these bodyparts. Raises InputError for a field that cannot be."""
    if config.method not in METHODS:
        raise InputError(f"config.method = '{config.method}' is not one of {', '.join(METHODS)}")
    if config.dtype not in DTYPES:
        raise InputError(f"config.dtype = '{config.dtype}' is not one of {', '.join(DTYPES)}")
    if config.model.width < 1:
        raise InputError(f"config.model.width = {config.model.width} must be at least 1")
    return METHODS[config.method](config, len(bodyparts))

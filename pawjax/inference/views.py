"""Prediction from several views of an image: mirrored, and at several sizes (test-time augmentation)."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from pawjax.data.batches import scaled_size
from pawjax.data.symmetry import Pairs, pair_indices, swap_sides
from pawjax.errors import InputError
from pawjax.methods import Method, Variables
from pawjax.methods.method import Prediction
from pawjax.ops.warp import apply_affine, invert_affine, resize, resize_affine

Predict = Callable[[Variables, jax.Array], dict[str, jax.Array]]
FIELDS = ("flip", "temperature", "scales")  # fields of config.predict that are read here, for every method
AGREE = 16.0  # pixels of the network's input; views within this distance agree


def make_predict(method: Method, config: ConfigDict, bodyparts: Sequence[str]) -> Predict:
    """`method.predict`, over the views that `config.predict` asks for: (variables, images) -> keypoints, likelihood.

    A mirrored view swaps the bodyparts of `config.data.symmetric_pairs`. Raises InputError for a wrong field of
    `config.predict`, or a pair of unknown bodyparts.
    """
    settings, predict = Prediction.of(config), method.predict
    if settings.flip or settings.scales != (1.0,):
        pairs = pair_indices(config.data.symmetric_pairs, bodyparts)
        predict = _over_views(method, settings.flip, settings.scales, pairs)
    return predict if settings.temperature == 1 else _tempered(predict, settings.temperature)


def with_prediction(config: ConfigDict, method: Method, **fields: Any) -> ConfigDict:
    """The config, with `fields` replacing those of `config.predict`.

    Raises InputError for a field that does not exist, or that the run's method does not read, or a wrong value.
    """
    if unknown := [name for name in fields if name not in config.predict]:
        raise InputError(f"config.predict has no field '{unknown[0]}', only {', '.join(config.predict)}")
    read = (*method.predict_fields, *FIELDS)
    if unread := [name for name in fields if name not in read]:
        raise InputError(
            f"{unread[0]}={fields[unread[0]]!r} is not read by this run's method, config.method = '{config.method}': "
            f"it reads {', '.join(read)}"
        )
    with config.ignore_type():  # of values that `Prediction.of` refuses by name
        config.predict.update(fields)
    config.predict.update(dataclasses.asdict(Prediction.of(config)))
    return config


def check_prediction(config: ConfigDict, method: Method) -> None:
    """Raises InputError if `config.predict` sets a field that the method does not read."""
    read = (*method.predict_fields, *FIELDS)
    for field, default in dataclasses.asdict(Prediction()).items():
        if field not in read and config.predict[field] != default:
            raise InputError(
                f"config.predict.{field} = {config.predict[field]!r} is not read by config.method = "
                f"'{config.method}': it reads {', '.join(read)}"
            )


def _tempered(predict: Predict, temperature: float) -> Predict:
    def tempered(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        points = predict(variables, images)
        logit = jax.scipy.special.logit(points["likelihood"].clip(1e-6, 1 - 1e-6))
        return points | {"likelihood": jax.nn.sigmoid(logit / temperature)}

    return tempered


def _over_views(method: Method, flip: bool, scales: tuple[float, ...], pairs: Pairs) -> Predict:
    def predict(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        size = images.shape[1:3]
        views = []
        for scale in scales:
            height, width = scaled_size(size, scale)
            resized = images if (height, width) == size else resize(images, height, width)
            back = invert_affine(resize_affine(size, (height, width)))[None]
            for mirrored in (False, True) if flip else (False,):
                output = method.predict(variables, resized[:, :, ::-1] if mirrored else resized)
                if mirrored:
                    output = _mirror_back(output, width, pairs)
                views.append((apply_affine(back, output["keypoints"]), output["likelihood"]))
        keypoints, likelihood = (jnp.stack(values) for values in zip(*views, strict=True))
        return _consensus(keypoints, likelihood)

    return predict


def _mirror_back(output: dict[str, jax.Array], width: int, pairs: Pairs) -> dict[str, jax.Array]:
    keypoints, likelihood = output["keypoints"], output["likelihood"]
    keypoints = keypoints.at[..., 0].set(width - 1 - keypoints[..., 0])
    return {"keypoints": swap_sides(keypoints, pairs, axis=1), "likelihood": swap_sides(likelihood, pairs, axis=1)}


def _consensus(keypoints: jax.Array, likelihood: jax.Array) -> dict[str, jax.Array]:
    """The mean, weighted by likelihood, of the views [V, B, K, 2] that agree with the likeliest one.

    The likelihood [B, K] is the sum of theirs divided by V, so that disagreement lowers it.
    """
    best = jnp.argmax(likelihood, axis=0)[None]
    chosen = jnp.take_along_axis(keypoints, best[..., None], axis=0)
    agrees = jnp.linalg.norm(keypoints - chosen, axis=-1) <= AGREE
    weights = jnp.where(agrees, jnp.maximum(likelihood, 1e-12), 0)
    mean = (weights[..., None] * keypoints).sum(0) / weights.sum(0)[..., None]
    return {"keypoints": mean, "likelihood": weights.mean(0)}

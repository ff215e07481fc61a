"""Prediction from several views of an image: mirrored, and at several sizes (test-time augmentation)."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from pawjax.data.batches import scaled_size
from pawjax.data.sides import mirrored_pairs
from pawjax.data.symmetry import Pairs, pair_indices, swap_sides
from pawjax.errors import InputError, warn
from pawjax.methods import Method, Variables
from pawjax.methods.method import Prediction
from pawjax.ops.warp import apply_affine, invert_affine, resize, resize_affine
from pawjax.structure import Tree, structured_points

Predict = Callable[[Variables, jax.Array], dict[str, jax.Array]]
FIELDS = ("flip", "temperature", "bias", "scales")  # fields of config.predict that are read here, for every method
AGREE = 16.0  # pixels of the network's input; views within this distance agree


def make_predict(method: Method, config: ConfigDict, bodyparts: Sequence[str], tree: Tree | None = None) -> Predict:
    """`method.predict`, over the views that `config.predict` asks for: (variables, images) -> keypoints, likelihood.

    A mirrored view swaps the bodyparts of `config.data.symmetric_pairs`, or if there are none and the config allows it,
    those that the names tell, which is said. A temperature of 0, which `RunFiles.restore`
    resolves, leaves the likelihoods as they are. Raises InputError for a wrong field of
    `config.predict`, or a pair of unknown bodyparts.

    Args:
      method: see `pawjax.methods`.
      config: the run's.
      bodyparts: names of the K points.
      tree: of `config.predict.structure`, in pixels of the original frames; without one, the method's points.
    """
    settings = Prediction.of(config)
    sees_several = settings.flip or settings.scales != (1.0,)
    pairs = pair_indices(_mirrored_pairs(config, bodyparts), bodyparts) if settings.flip else ()

    def of_view(scale: float, mirrored: bool) -> Predict:
        if tree is None:
            return method.predict
        seen = tree.scaled(config.scale * scale)
        return functools.partial(
            _predict_structured, method, seen.mirrored(pairs) if mirrored else seen, settings.decode
        )

    predict = _over_views(of_view, settings.flip, settings.scales, pairs) if sees_several else of_view(1.0, False)
    if settings.temperature == 0 or (settings.temperature, settings.bias) == (1, 0):
        return predict
    return _calibrated(predict, settings.temperature, settings.bias)


def _mirrored_pairs(config: ConfigDict, bodyparts: Sequence[str]) -> Sequence[tuple[str, str]]:
    if config.data.symmetric_pairs or not config.data.guess_pairs:
        return config.data.symmetric_pairs
    pairs = mirrored_pairs(bodyparts, "predict without flip", "train with config.data.symmetric_pairs")
    if pairs:
        warn(f"mirrored frames swap {', '.join(map(' and '.join, pairs))}, as the names tell")
    return pairs


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


def moved(points: dict[str, jax.Array], matrix: jax.Array) -> dict[str, jax.Array]:
    """The points of B images, with all that describes them, mapped by an affine map [2, 3]."""
    changed = {"keypoints": apply_affine(matrix, points["keypoints"])}
    if "covariance" in points:
        linear = matrix[..., :2]
        changed["covariance"] = jnp.einsum("ij,bkjl,ml->bkim", linear, points["covariance"], linear)
    if "second" in points:
        place = apply_affine(matrix, points["second"][..., :2])
        changed["second"] = jnp.concatenate([place, points["second"][..., 2:]], axis=-1)
    if "disagreement" in points:
        changed["disagreement"] = points["disagreement"] * jnp.sqrt(jnp.abs(jnp.linalg.det(matrix[..., :2])))
    return points | changed


def _predict_structured(
    method: Method, tree: Tree, decoder: str, variables: Variables, images: jax.Array
) -> dict[str, jax.Array]:
    return structured_points(method.score_maps(variables, images), tree, decoder, method.pairwise(variables))


def _calibrated(predict: Predict, temperature: float, bias: float) -> Predict:
    def calibrated(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        points = predict(variables, images)
        changed = {"likelihood": calibrate(points["likelihood"], temperature, bias)}
        if "second" in points:
            likelihood = calibrate(points["second"][..., 2], temperature, bias)
            changed["second"] = points["second"].at[..., 2].set(likelihood)
        return points | changed

    return calibrated


def calibrate(likelihood: jax.Array, temperature: float, bias: float) -> jax.Array:
    """Likelihoods whose logits are divided by a temperature and moved by a bias; 1 and 0 change no bit."""
    if (temperature, bias) == (1, 0):
        return likelihood
    return jax.nn.sigmoid(jax.scipy.special.logit(likelihood.clip(1e-6, 1 - 1e-6)) / temperature + bias)


def _over_views(
    of_view: Callable[[float, bool], Predict], flip: bool, scales: tuple[float, ...], pairs: Pairs
) -> Predict:
    """The consensus of the views; `of_view` has a function for each scale, mirrored or not."""

    def predict(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        size = images.shape[1:3]
        views = []
        for scale in scales:
            height, width = scaled_size(size, scale)
            resized = images if (height, width) == size else resize(images, height, width)
            back = invert_affine(resize_affine(size, (height, width)))
            for mirrored in (False, True) if flip else (False,):
                output = of_view(scale, mirrored)(variables, resized[:, :, ::-1] if mirrored else resized)
                if mirrored:
                    output = _mirror_back(output, width, pairs)
                views.append(moved(output, back))
        return consensus({name: jnp.stack([view[name] for view in views]) for name in views[0]})

    return predict


def _mirror_back(output: dict[str, jax.Array], width: int, pairs: Pairs) -> dict[str, jax.Array]:
    mirror = jnp.array([[-1, 0, width - 1], [0, 1, 0]], jnp.float32)
    return {name: swap_sides(values, pairs, axis=1) for name, values in moved(output, mirror).items()}


def consensus(views: dict[str, jax.Array], agree: float = AGREE) -> dict[str, jax.Array]:
    """The mean, weighted by likelihood, of the views [V, B, ...] that agree with the likeliest one.

    The likelihood [B, K] is the sum of theirs divided by V, so that disagreement lowers it. The covariance is the mean
    of theirs and the spread between them (the law of total variance); the second place is that of the likeliest view.
    The disagreement [B, K], px, is the root mean square distance of all views, also those left out, from the mean.

    Args:
      views: 'keypoints' [V, B, K, 2], 'likelihood' [V, B, K], and, if they have them, 'covariance' and 'second'.
      agree: greatest distance of views that agree, px.
    """
    keypoints, likelihood = views["keypoints"], views["likelihood"]
    best = jnp.argmax(likelihood, axis=0)[None]
    chosen = jnp.take_along_axis(keypoints, best[..., None], axis=0)
    agrees = jnp.linalg.norm(keypoints - chosen, axis=-1) <= agree
    weights = jnp.where(agrees, jnp.maximum(likelihood, 1e-12), 0)
    shares = weights / weights.sum(0)
    mean = (shares[..., None] * keypoints).sum(0)
    apart = keypoints - mean
    disagreement = jnp.sqrt((apart**2).sum(-1).mean(0))
    found = {"keypoints": mean, "likelihood": weights.mean(0), "disagreement": disagreement}
    if "covariance" in views:
        spread = views["covariance"] + apart[..., :, None] * apart[..., None, :]
        found["covariance"] = (shares[..., None, None] * spread).sum(0)
    if "second" in views:
        found["second"] = jnp.take_along_axis(views["second"], best[..., None], axis=0)[0]
    return found

"""Several networks as one predictor: an ensemble.

Its points are those of `pawjax.inference.views.consensus`, with networks in place of views: means weighted by
likelihood, a covariance that includes the spread between the networks, and their disagreement in px. Weights compare
only likelihoods that mean the same: calibrate networks of different kinds first (`--temperature`).

The networks run one after another on frames that are copied to the device once, then one small program joins their
points. A single program for all would compute the same products in the same order and compile once more.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.data.names import nfc
from pawjax.errors import InputError
from pawjax.inference import compiler
from pawjax.inference.predictor import Predictor, identity_of
from pawjax.inference.views import consensus

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
JOINED = ("covariance", "second")  # fields that an ensemble has if all its members do


def ensemble(predictors: Sequence[Predictor]) -> Predictor:
    """One predictor of several; its bodyparts have the order of the first.

    Colour frames become gray for the members that were trained on gray ones. Raises InputError for members with
    different bodyparts, or for one that is given twice.
    """
    if len(predictors) == 1:
        return predictors[0]
    _refuse_repeated(predictors)
    first = predictors[0]
    orders = [_order(first, member) for member in predictors]
    join = compiler.jit(_join)

    def predict(images: np.ndarray) -> dict[str, jax.Array]:
        frames = jnp.asarray(images)
        outputs = []
        for member, order in zip(predictors, orders, strict=True):
            points = member.predict(_gray(frames) if member.channels < frames.shape[-1] else frames)
            outputs.append({name: points[name][:, order] for name in _fields(points)})
        return join(outputs)

    channels = max(member.channels for member in predictors)
    return dataclasses.replace(first, predict=predict, channels=channels, origin=_origin(predictors))


def _join(outputs: list[dict[str, jax.Array]]) -> dict[str, jax.Array]:
    names = [name for name in outputs[0] if all(name in output for output in outputs)]
    return consensus({name: jnp.stack([output[name] for output in outputs]) for name in names})


def _fields(points: dict[str, jax.Array]) -> list[str]:
    return [name for name in ("keypoints", "likelihood", *JOINED) if name in points]


def _gray(images: jax.Array) -> jax.Array:
    """uint8 [B, H, W, 3] -> [B, H, W, 1]."""
    return jnp.round((images * jnp.array(LUMA, jnp.float32)).sum(-1, keepdims=True)).astype(jnp.uint8)


def _order(first: Predictor, member: Predictor) -> np.ndarray:
    """Places of the first's bodyparts among a member's. Raises InputError if the two have different ones."""
    wanted, names = list(map(nfc, first.bodyparts)), list(map(nfc, member.bodyparts))
    if sorted(wanted) != sorted(names):
        odd = sorted(set(wanted) ^ set(names))[0]
        has, lacks = (_name(one) for one in ((first, member) if odd in wanted else (member, first)))
        raise InputError(
            f"an ensemble needs networks of the same bodyparts, but only {has} has '{odd}', not {lacks}: leave one out"
        )
    return np.array([names.index(name) for name in wanted])


def _refuse_repeated(predictors: Sequence[Predictor]) -> None:
    seen: list[dict[str, str]] = []
    for member in predictors:
        if (identity := identity_of(member.origin)) in seen:
            raise InputError(
                f"an ensemble of {_name(member)} with itself, or a copy of it, is no ensemble: name each run once"
            )
        seen.append(identity)


def _name(member: Predictor) -> str:
    return member.origin.get("run", "a network")


def _origin(predictors: Sequence[Predictor]) -> dict[str, str]:
    """'run' and 'checkpoint' name all members, e.g. 'a+b' and '600+500'; 'member1 run' and so on is all about each."""
    origins = [member.origin for member in predictors]
    origin = {
        "run": "+".join(one.get("run", "").rsplit("/", 1)[-1] for one in origins),
        "checkpoint": "+".join(one.get("checkpoint", "") for one in origins),
    }
    for number, one in enumerate(origins, 1):
        origin |= {f"member{number} {name}": value for name, value in one.items()}
    return origin

"""Prediction of several animals in each frame by a run that was trained on frames of one."""

import numbers

import jax
import jax.numpy as jnp

from pawjax.errors import InputError
from pawjax.inference.run import Run
from pawjax.inference.views import Predict, calibrate
from pawjax.methods import Variables
from pawjax.methods.method import OF_SCORE_MAPS
from pawjax.structure import animal_points
from pawjax.structure.animals import MOST


def check_animals(animals: int) -> None:
    """Raises InputError for a number of animals that is none, or out of range."""
    whole = isinstance(animals, numbers.Integral) and not isinstance(animals, bool)
    if not whole or not 1 <= animals <= MOST:
        raise InputError(f"animals={animals!r} must be a whole number from 1 to {MOST}")


def make_predict_animals(run: Run, animals: int) -> Predict:
    """(variables, images) -> 'keypoints' [B, A, K, 2] and 'likelihood' [B, A, K], see `animal_points`.

    The likelihoods are calibrated as those of a single animal are.

    Args:
      run: of a method with score maps.
      animals: A, from 2 to MOST.

    Raises InputError for another method, for fields of `config.predict` that are for a single animal, or if there is no
    tree to tell the animals apart.
    """
    settings = run.config.predict
    if not set(OF_SCORE_MAPS) <= set(run.method.predict_fields):
        raise InputError(
            f"animals={animals} takes peaks of score maps, which config.method = '{run.config.method}' has not: "
            "predict with a run of another method"
        )
    for name, alone in (("flip", False), ("scales", (1.0,)), ("structure", "")):
        if settings[name] != alone:
            raise InputError(
                f"{name}={settings[name]!r} is for a single animal, and animals={animals} does not read it: set "
                f"{name}={alone!r}"
            )
    tree = run.find_tree_of_animals(animals).scaled(run.config.scale)

    def predict(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        method = run.method
        maps, pairwise = method.score_maps(variables, images), method.pairwise(variables)
        points = animal_points(maps, tree, animals, settings.decode, pairwise)
        likelihood = calibrate(points["likelihood"], settings.temperature, settings.bias)
        return points | {"likelihood": jnp.where(points["likelihood"] > 0, likelihood, 0)}

    return predict

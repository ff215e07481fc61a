"""What the models take and give: observations, priors and fits. All are pytrees; arrays may be NumPy's or JAX's.

T frames, C cameras, K bodyparts, S pose states. Positions are (x, y, z) in the unit of the cameras, say mm; pixels are
(x, y) of undistorted images, pixel centres at whole numbers.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from pawjax.errors import InputError

Array = Any  # of NumPy or JAX
STATIC = {"static": True}
TINY = np.finfo(np.float32).tiny


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Observations:
    """What the cameras saw.

    Attributes:
      pixels: [T, C, K, 2]; NaN where nothing was seen.
      covariance: [T, C, K, 2, 2], px^2, of each point beyond `Noise.inlier`, say that of its score map's peak; or None.
    """

    pixels: Array
    covariance: Array | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Noise:
    """How pixels differ from projections; each array is [C, K] or [T, C, K].

    Attributes:
      inlier: variance of x and of y where the bodypart was found, px^2.
      outlier: variance where something else was taken for it, px^2.
      probability: prior probability that an observation is an outlier, 0 to 1.
    """

    inlier: Array
    outlier: Array
    probability: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Limbs:
    """A tree over the bodyparts.

    Attributes:
      length: [K], mean distance from the parent; that of the root counts for nothing.
      variance: [K], of the distance; that of the root counts for nothing.
      parents: [K], index of each bodypart's parent; the root is its own.
    """

    length: Array
    variance: Array
    parents: tuple[int, ...] = dataclasses.field(metadata=STATIC)

    def __post_init__(self) -> None:
        check_tree(self.parents)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PoseStates:
    """Which directions the limbs take together, seen from an animal that heads along x with z up.

    Attributes:
      directions: [S, K, 3], mean unit vectors from the parent; that of the root counts for nothing.
      concentrations: [S, K], kappa of their von Mises-Fisher distributions; that of the root counts for nothing.
      initial: [S], probabilities of the first frame's state.
      transitions: [S, S], probability of the column's state after the row's.
      spine: indices of the two bodyparts, rear and front, whose direction is the heading that a fit starts from.
    """

    directions: Array
    concentrations: Array
    initial: Array
    transitions: Array
    spine: tuple[int, int] = dataclasses.field(metadata=STATIC)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prior:
    """What is known before the observations.

    Attributes:
      step_variance: [K], of the step from a frame to the next, along each axis.
      noise: of the observations.
      limbs: for Model 2 and GIMBAL; else None.
      states: for GIMBAL; else None.
      bodyparts: [K], their names.
    """

    step_variance: Array
    noise: Noise
    limbs: Limbs | None
    states: PoseStates | None
    bodyparts: tuple[str, ...] = dataclasses.field(metadata=STATIC)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Fit:
    """The most probable positions and what goes with them.

    Attributes:
      mean: [T, K, 3].
      covariance: [T, K, 3, 3], of each position by the curvature at the maximum.
      outliers: [T, C, K], probability that each observation is an outlier; NaN where nothing was seen.
      surprise: minus the logarithm of the posterior density at the maximum, but for a constant; [K] where bodyparts
        are independent.
      converged: bool, the shape of `surprise`: no position moved any more by 3 % of its standard deviation.
      steps: number of linear systems solved.
      heading: [T], radians from x towards y, or None.
      states: [T, S], probabilities of the pose states, or None.
    """

    mean: Array
    covariance: Array
    outliers: Array
    surprise: Array
    converged: Array
    steps: Array
    heading: Array | None = None
    states: Array | None = None


def check_prior(prior: Prior) -> None:
    """Raises InputError for numbers of a prior that no distribution has, or shapes that do not fit its bodyparts."""
    count = len(prior.bodyparts)
    _check("step_variance", prior.step_variance, (count,), least=TINY)
    _check("noise.inlier", prior.noise.inlier, least=0)
    _check("noise.outlier", prior.noise.outlier, least=TINY)
    _check("noise.probability", prior.noise.probability, least=0, most=1)
    if prior.limbs is not None:
        limbs = [k for k, parent in enumerate(prior.limbs.parents) if parent != k]
        for name, least in (("length", 0), ("variance", TINY)):
            values = np.asarray(getattr(prior.limbs, name))
            if values.shape != (count,) or len(prior.limbs.parents) != count:
                raise InputError(f"prior.limbs must have {count} parents, lengths and variances: one a bodypart")
            _check(f"limbs.{name}", values[limbs], least=least)
    if (states := prior.states) is not None:
        number = len(states.initial)
        _check("states.directions", states.directions, (number, count, 3), -1 - 1e-3, 1 + 1e-3)
        _check("states.concentrations", states.concentrations, (number, count), 0, 1e5)
        _check("states.initial", states.initial, (number,), 0)
        _check("states.transitions", states.transitions, (number, number), 0)
        if not np.allclose(np.asarray(states.transitions).sum(-1), 1, atol=1e-3):
            raise InputError("prior.states.transitions: the probabilities of each row must sum to 1")


def _check(
    name: str, values: Array, shape: tuple[int, ...] | None = None, least: float = -np.inf, most: float = np.inf
) -> None:
    values = np.asarray(values)
    if shape is not None and values.shape != shape:
        raise InputError(f"prior.{name} has shape {values.shape} and must have {shape}")
    if not ((values >= least) & (values <= most) & np.isfinite(values)).all():
        wanted = "positive" if least == TINY else f"from {least:g} to {most:g}"
        raise InputError(f"prior.{name} must be finite and {wanted}: it goes from {values.min():g} to {values.max():g}")


def check_tree(parents: tuple[int, ...]) -> None:
    """Raises InputError unless the parents [K] form one tree whose root is its own parent."""
    count = len(parents)
    if not all(0 <= parent < count for parent in parents):
        raise InputError(f"parents {parents} must be indices from 0 to {count - 1}")
    roots = [k for k, parent in enumerate(parents) if parent == k]
    above = np.arange(count)
    for _ in range(count):
        above = np.asarray(parents)[above]
    if len(roots) != 1 or (above != roots[0]).any():
        raise InputError(f"parents {parents} must form one tree: exactly one bodypart, the root, is its own parent")

"""Long recordings in bounded memory: windows of frames that overlap, of which each keeps its middle.

What a frame says about another falls off within a few frames, wherever cameras see the animal; so with an overlap of
some hundred frames the result is that of the whole.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from pawjax.errors import InputError
from pawjax.pose3d.parameters import Fit, Noise, Observations, Prior
from pawjax.progress import track

PER_FRAME = ("mean", "covariance", "outliers", "heading", "states")


def fit_in_chunks(
    fit: Callable[..., Fit],
    observations: Observations,
    cameras: Any,
    prior: Prior,
    start: Any = None,
    frames: int = 2000,
    overlap: int = 100,
) -> Fit:
    """The fit of a whole recording, window by window.

    Args:
      fit: of a model, `pawjax.pose3d.gimbal.fit` say.
      observations: of T frames.
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      prior: as of the model; noise may go by frames.
      start: [T, K, 3] or None.
      frames: of a window; all windows have as many, so that one program serves them.
      overlap: frames that a window shares with each neighbour; the frame in its middle parts what each keeps.

    Returns:
      Fit of NumPy arrays. `surprise` and `steps` are sums over windows; `converged` is whether all have.

    Raises:
      InputError: an overlap that is no less than half of a window; as of the model.
    """
    total = len(observations.pixels)
    if not 0 <= 2 * overlap < frames:
        raise InputError(f"an overlap of {overlap} frames needs more than {2 * overlap} frames a window, not {frames}")
    if total <= frames:
        return fit(observations, cameras, prior, start)
    stops = [*range(frames, total, frames - overlap), total]
    windows = [slice(stop - frames, stop) for stop in stops]
    cuts = [0, *((a.stop + b.start) // 2 for a, b in zip(windows[:-1], windows[1:], strict=True)), total]
    parts = []
    kept_frames = zip(windows, cuts[:-1], cuts[1:], strict=True)
    for window, first, last in track(kept_frames, "frames", total, count=lambda kept: kept[2] - kept[1]):
        part = fit(
            jax.tree.map(lambda array: array[window], observations),  # noqa: B023
            cameras,
            dataclasses.replace(prior, noise=_noise_of(prior.noise, window)),
            None if start is None else start[window],
        )
        part = jax.tree.map(np.asarray, part)
        kept = slice(first - window.start, last - window.start)
        parts.append(dataclasses.replace(part, **{name: _cut(getattr(part, name), kept) for name in PER_FRAME}))
    joined = {name: _join([getattr(part, name) for part in parts]) for name in PER_FRAME}
    surprise, steps = (sum(getattr(part, name) for part in parts) for name in ("surprise", "steps"))
    converged = np.logical_and.reduce([part.converged for part in parts])
    return Fit(**joined, surprise=surprise, steps=steps, converged=converged)


def _noise_of(noise: Noise, window: slice) -> Noise:
    return jax.tree.map(lambda array: array[window] if np.ndim(array) == 3 else array, noise)


def _cut(array: np.ndarray | None, kept: slice) -> np.ndarray | None:
    return None if array is None else array[kept]


def _join(arrays: list) -> np.ndarray | None:
    return None if arrays[0] is None else np.concatenate(arrays)

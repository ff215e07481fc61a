"""Have the chains of a sampler met, and how many independent draws are theirs worth?

Both from Gelman et al., Bayesian Data Analysis, 3rd edition, 2013, sections 11.4 and 11.5, with the sum over lags of
Geyer (Statistical Science 7, 1992).
"""

from typing import Any

import numpy as np


def r_hat(draws: Any) -> np.ndarray:
    """Split R-hat [...] of draws [M, N, ...] of M chains: 1 where halves of chains agree, over 1.01 where not."""
    halves = _halves(draws)
    within, total = _variances(halves)
    return np.sqrt(total / np.maximum(within, np.finfo(np.float64).tiny))


def effective_size(draws: Any) -> np.ndarray:
    """The number [...] of independent draws with the same variance of the mean, of draws [M, N, ...] of M chains."""
    halves = _halves(draws)
    chains, count = halves.shape[:2]
    within, total = _variances(halves)
    spectrum = np.fft.rfft(halves - halves.mean(1, keepdims=True), 2 * count, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :count].mean(0) / count  # [lags, ...]
    correlation = 1 - (within - covariance * count / (count - 1)) / np.maximum(total, np.finfo(np.float64).tiny)
    correlation[0] = 1
    pairs = correlation[: count // 2 * 2].reshape(count // 2, 2, *correlation.shape[1:]).sum(1)
    pairs = np.minimum.accumulate(np.where(np.logical_and.accumulate(pairs > 0), pairs, 0))
    return chains * count / np.maximum(2 * pairs.sum(0) - 1, 1 / np.log10(max(chains * count, 10)))


def _halves(draws: Any) -> np.ndarray:
    draws = np.asarray(draws, np.float64)
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _variances(halves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean variance within chains, and the variance of all that an overdispersed start overestimates."""
    count = halves.shape[1]
    within = halves.var(1, ddof=1).mean(0)
    return within, (count - 1) / count * within + halves.mean(1).var(0, ddof=1)

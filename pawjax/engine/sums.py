"""Metrics of several steps, summed on the device until their means are needed."""

import jax
import jax.numpy as jnp

from pawjax.engine.step import FINITE, Metrics


def add_metrics(a: Metrics, b: Metrics) -> Metrics:
    """Adds metrics of `train_step`, or sums of them; 'not_finite' is the first of both."""
    return {name: jnp.minimum(a[name], b[name]) if name == "not_finite" else a[name] + b[name] for name in a}


def sum_of_steps(metrics: Metrics) -> Metrics:
    """Like `add_metrics`, for metrics stacked by `jax.lax.scan`, [steps] each."""
    return {name: values.min(0) if name == "not_finite" else values.sum(0) for name, values in metrics.items()}


class MetricSums:
    """The sums since the last record. `add` does not wait for the device; the other methods do."""

    def __init__(self):
        self._sums: Metrics = {}
        self._add = jax.jit(add_metrics)
        self.n_steps = 0

    def add(self, metrics: Metrics, n_steps: int) -> None:
        """Adds the metrics of a dispatch, which are sums over its steps."""
        self._sums = self._add(self._sums, metrics) if self._sums else metrics
        self.n_steps += n_steps

    def first_not_finite(self) -> int | None:
        """The first step (from 0) whose loss was not finite, None if all were."""
        step = int(self._sums["not_finite"]) if self._sums else FINITE
        return None if step == FINITE else step

    def take_means(self) -> dict[str, float]:
        """The mean of each metric over the steps; resets the sums."""
        sums, n = jax.device_get(self._sums), self.n_steps
        self._sums, self.n_steps = {}, 0
        return {name: float(value) / n for name, value in sums.items() if name != "not_finite"}

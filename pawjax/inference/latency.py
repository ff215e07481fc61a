"""Latencies of a live tracker, from `put` to pose: of frames at a camera's rate, and of one frame after another."""

import time
from typing import Any

import numpy as np

from pawjax.inference.live import LiveTracker
from pawjax.inference.predictor import Predictor


def measure(predictor: Predictor, frames: np.ndarray, rate: float, seconds: float) -> dict[str, Any]:
    """What `at_rate` and `flat_out` measure, for `seconds` each, with frames uint8 [N, H, W, C]."""
    with LiveTracker(predictor, frames.shape[1:3]) as live:
        return {"at_rate": at_rate(live, frames, rate, seconds), "flat_out": flat_out(live, frames, seconds)}


def in_words(result: dict[str, Any]) -> str:
    """The numbers of `measure` in one line."""
    paced, alone = result["at_rate"], result["flat_out"]

    def latency(part: dict[str, Any]) -> str:
        milliseconds = {name: 1000 * value for name, value in part["latency_seconds"].items()}
        return f"latency {milliseconds['median']:.3g} ms, 99th percentile {milliseconds['p99']:.3g} ms"

    return (
        f"live: at {paced['frames_per_second']:g} frames/s {latency(paced)}, {paced['dropped_share']:.1%} dropped; "
        f"flat out {alone['images_per_second']:.3g} frames/s, {latency(alone)}"
    )


def at_rate(live: LiveTracker, frames: np.ndarray, rate: float, seconds: float) -> dict[str, Any]:
    """Frames [N, H, W, C], repeated, come at `rate` per second for `seconds`, whether or not the tracker keeps up."""
    n_frames, dropped, start = max(1, round(rate * seconds)), live.dropped, time.monotonic()
    latencies: list[float] = []
    last = number = -1
    for i in range(n_frames):
        while (left := start + i / rate - time.monotonic()) > 0:
            if pose := live.wait(last, left):
                latencies.append(pose.latency)
                last = pose.number
        number = live.put(frames[i % len(frames)])
    while last < number:
        pose = live.wait(last)
        latencies.append(pose.latency)
        last = pose.number
    return {"frames_per_second": rate, "dropped_share": (live.dropped - dropped) / n_frames} | _summary(latencies)


def flat_out(live: LiveTracker, frames: np.ndarray, seconds: float) -> dict[str, Any]:
    """Each frame comes when the one before has its pose, for `seconds` and at least three frames."""
    latencies: list[float] = []
    while len(latencies) < 3 or sum(latencies) < seconds:
        latencies.append(live.track(frames[len(latencies) % len(frames)]).latency)
    return {"images_per_second": len(latencies) / sum(latencies)} | _summary(latencies)


def _summary(latencies: list[float]) -> dict[str, Any]:
    median, p99 = np.percentile(latencies, [50, 99])
    return {"latency_seconds": {"median": median, "p99": p99, "max": max(latencies)}, "n_poses": len(latencies)}

"""What a new run chooses by itself: fields of its config that are 0, and pairs of left and right bodyparts.

The choices are written to config.json as if the user had made them, and with their reasons to run.json. A resumed run
keeps them.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import automatic
from pawjax.automatic import Automatic
from pawjax.data import LabelledFrames
from pawjax.data.sides import mirrored_pairs
from pawjax.engine import runlog
from pawjax.engine.processes import is_main
from pawjax.errors import InputError

CHOSEN_IF_0 = ("scale", "batch_size", "steps")


class Choice(NamedTuple):
    """A value that a run chose for a field of its config, and why, in words."""

    value: Any
    because: str


Choices = dict[str, Choice]  # by the field's name


def choose(config: ConfigDict, frames: LabelledFrames, split: dict[str, np.ndarray]) -> tuple[ConfigDict, Choices]:
    """The config of a new run without open fields, and what was chosen from the training frames.

    With `config.minutes`, steps of 0 stay: `pawjax.engine.pilot` sets them. Raises InputError if frames are mirrored
    and the names of the bodyparts are ambiguous.
    """
    config, settings, chosen = config.copy_and_resolve_references(), Automatic.of(config), {}
    n_frames = len(split["train"])
    if not config.scale:
        chosen["scale"] = _scale(frames, split["train"], settings)
    if not config.batch_size:
        multiple = len(jax.devices()) * config.microbatches
        size = automatic.batch_size_for(n_frames, multiple, settings)
        chosen["batch_size"] = Choice(size, f"there are {n_frames} training frames")
        config.batch_size = size
    if not config.steps and not config.minutes:
        steps = automatic.steps_for(n_frames, config.batch_size, config.steps_per_dispatch, settings)
        shown = steps * config.batch_size / n_frames
        words = f"it shows each of the {n_frames} training frames {shown:.0f} times"
        chosen["steps"] = Choice(steps, words)
    pairs = _pairs(config, frames.bodyparts)
    if pairs is not None and len(frames.bodyparts) > 1:
        words = "the names tell left from right" if pairs else "no names of bodyparts tell left from right"
        chosen["data.symmetric_pairs"] = Choice(pairs, f"frames are mirrored, and {words}")
    config.update_from_flattened_dict({field: choice.value for field, choice in chosen.items()})
    return config, chosen


def resumed(config: ConfigDict, workdir: Path) -> ConfigDict:
    """The config with the choices of the run in the folder in place of open fields.

    Raises InputError if the run began with other `config.minutes`; they may be left out if the steps are the run's.
    """
    config, old = config.copy_and_resolve_references(), runlog.read_config(workdir)
    for field in CHOSEN_IF_0:
        config[field] = config[field] or old[field]
    if config.data.guess_pairs and not config.data.symmetric_pairs:
        config.data.symmetric_pairs = old.data.symmetric_pairs
    minutes = runlog.read_run(workdir).get("minutes", 0)
    if config.minutes != minutes and (config.minutes or config.steps != old.steps):
        begun = f"with config.minutes = {minutes:g}" if minutes else "without config.minutes"
        now = f"not {config.minutes:g}" if config.minutes else "which are missing now"
        raise InputError(
            f"{workdir} began {begun}, {now}, and has {old.steps} steps: give the same minutes, or another --workdir"
        )
    if config.minutes:
        config.minutes, config.steps = 0.0, old.steps
    return config


def record(chosen: Choices) -> dict[str, Any]:
    """The entry of run.json about the choices; empty if there are none."""
    return {"chosen": {field: choice._asdict() for field, choice in chosen.items()}} if chosen else {}


def report(chosen: Choices) -> None:
    """Prints the choices on stderr."""
    for field, choice in chosen.items() if is_main() else ():
        print(f"config.{field} = {choice.value}, because {choice.because}", file=sys.stderr, flush=True)


def _scale(frames: LabelledFrames, rows: np.ndarray, settings: Automatic) -> Choice:
    extent = automatic.median_extent(frames.keypoints[rows], frames.labelled[rows])
    if extent is None:
        return Choice(1.0, "too few training frames have two labelled bodyparts apart to tell the size of the animal")
    scale = automatic.scale_for(extent, settings)
    words = f"the labelled points of an animal extend over {extent:.0f} px (the median), which become"
    return Choice(scale, f"{words} {scale * extent:.0f} px")


def _pairs(config: ConfigDict, bodyparts: tuple[str, ...]) -> tuple[tuple[str, str], ...] | None:
    """The pairs that the names tell; None if they are not needed."""
    mirrors = config.augment.flip_p > 0 or config.predict.flip
    if not mirrors or config.data.symmetric_pairs or not config.data.guess_pairs:
        return None
    name_them = "--config.data.symmetric_pairs=\"(('leftear','rightear'),)\""
    return mirrored_pairs(
        bodyparts,
        f"name the pairs, {name_them}, or mirror no frames, --config.augment.flip_p=0",
        "guess none, --config.data.guess_pairs=False",
    )

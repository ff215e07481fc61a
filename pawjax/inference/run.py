"""Opens a training run: the only way from its folder to its config, method, variables and frames."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import data
from pawjax.engine import runlog
from pawjax.engine.checkpoints import Checkpoints
from pawjax.errors import InputError
from pawjax.inference.views import with_prediction
from pawjax.methods import Method, Variables, make_method


@dataclasses.dataclass(frozen=True)
class RunFiles:
    """The content of a run folder's JSON files; no weights are read yet.

    Attributes:
      workdir: the run folder.
      config: the run's, with the requested fields of `config.predict`.
      record: the content of run.json.
      bodyparts: names of the K points.
      method: as it was trained.
    """

    workdir: Path
    config: ConfigDict
    record: dict[str, Any]
    bodyparts: tuple[str, ...]
    method: Method

    def frames(self) -> data.LabelledFrames:
        """The labelled frames that the run was trained on. Raises InputError if they are missing or changed."""
        frames = data.load(data.DataConfig.of(self.config))
        if frames.fingerprint != self.record["data"]["fingerprint"]:
            raise InputError(
                f"the frames or labels of config.data.path = '{self.config.data.path}' are not those that "
                f"{self.workdir} was trained on: restore them, or train a new run"
            )
        return frames

    def split(self, frames: data.LabelledFrames) -> dict[str, np.ndarray]:
        """The run's own split: indices into `frames` of 'train', 'dev' and 'test'."""
        return data.read_split(self.workdir / "split.json", frames)

    def restore(self, checkpoint: str = "best", fold: bool = True) -> "Run":
        """The run with the variables of a checkpoint: 'best' (on dev), 'last' or a step's number.

        Without `fold`, method and variables are those of training, to train them further. Raises InputError if
        there is no such checkpoint.
        """
        method, (step, variables) = self.method, _restore(self.workdir, self.method, checkpoint)
        if fold:
            method, variables = method.fold(variables)
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(RunFiles)}
        return Run(**fields | {"method": method}, variables=variables, step=step)


@dataclasses.dataclass(frozen=True)
class Run(RunFiles):
    """A run with the variables of one checkpoint; method and variables are folded for prediction.

    Attributes:
      variables: the method's, on one device.
      step: the checkpoint's.
    """

    variables: Variables
    step: int


def read_run_files(workdir: Path, **prediction: Any) -> RunFiles:
    """The files of a run folder; `prediction` holds fields of `config.predict` that replace the run's own.

    Raises InputError if the folder is not a run, or for a field or value of `prediction` that the run's method refuses.
    """
    config, record = runlog.read_config(workdir), runlog.read_run(workdir)
    bodyparts = tuple(record["data"]["bodyparts"])
    config = with_prediction(config, make_method(config, bodyparts), **prediction)
    return RunFiles(workdir, config, record, bodyparts, make_method(config, bodyparts))


def open_run(workdir: str | Path, checkpoint: str | int = "best", **prediction: Any) -> Run:
    """A training run, ready to predict.

    Args:
      workdir: its run folder.
      checkpoint: 'best' (on dev), 'last' or a step's number.
      prediction: fields of `config.predict` that replace the run's own, e.g. decode='votes' or flip=True.

    Raises InputError if the folder is not a run or lacks the checkpoint, or for a wrong field or value of `prediction`.
    """
    return read_run_files(Path(workdir).expanduser(), **prediction).restore(str(checkpoint))


def _restore(workdir: Path, method: Method, checkpoint: str) -> tuple[int, Variables]:
    batch = {"image": jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)}
    shapes = jax.eval_shape(method.init, jax.random.key(0), batch)
    checkpoints = Checkpoints(workdir, read_only=True)
    try:
        return checkpoints.restore_variables(checkpoint, shapes)
    finally:
        checkpoints.close()

"""Opens a training run: the only way from its folder to its config, method, variables and frames."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import data, run_files
from pawjax.engine import runlog
from pawjax.engine.checkpoints import Checkpoints
from pawjax.errors import InputError
from pawjax.files import user_path
from pawjax.inference.views import with_prediction
from pawjax.methods import Method, Variables, make_method
from pawjax.structure import FILE, Tree, learn_tree, read_tree, tree_of_one


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
        path, hint = self.config.data.path, ""
        if path:
            hint = f"; if the data of {self.workdir} are elsewhere now, name their folder with --data=FOLDER"
            if not user_path(path).exists():
                where = "" if user_path(path).is_absolute() else ", from the working directory"
                raise InputError(f"the data folder '{path}' does not exist{where}{hint}")
        try:
            frames = data.load(data.DataConfig.of(self.config))
        except InputError as error:
            raise InputError(f"{error}{hint}") from error
        if frames.fingerprint != self.record["data"]["fingerprint"]:
            where = f"in '{path}'" if path else "that this version draws"
            raise InputError(
                f"the frames or labels {where} are not those that "
                f"{self.workdir} was trained on: restore them, or train a new run{hint}"
            )
        return frames

    def split(self, frames: data.LabelledFrames) -> dict[str, np.ndarray]:
        """The run's own split: indices into `frames` of 'train', 'dev' and 'test'.

        Raises InputError if split.json is damaged or was edited.
        """
        self.split_lists()
        return data.read_split(self.workdir / "split.json", frames)

    def split_lists(self) -> dict[str, list[str]]:
        """The content of split.json: ids of the frames. Raises InputError if it is damaged or was edited."""
        return run_files.read_split(self.workdir / "split.json", self.record)

    def find_tree(self) -> Tree | None:
        """The tree over the bodyparts that `config.predict.structure` asks for, or None.

        Older versions wrote none; it is then learned from the run's labels. Raises InputError if it is damaged, or
        cannot be learned.
        """
        if not self.config.predict.structure:
            return None
        path = self.workdir / FILE
        return read_tree(path, self.bodyparts) if path.exists() else self._learn_tree("is missing")

    def find_tree_of_animals(self, animals: int) -> Tree:
        """The tree over the bodyparts that tells `animals` animals apart; that of a single bodypart has no connections.

        Older versions wrote no distances; it is then learned from the run's labels. Raises InputError as `find_tree`.
        """
        if len(self.bodyparts) == 1:
            return tree_of_one()
        path, asked = self.workdir / FILE, (f"animals={animals}", "leave it out")
        if not path.exists():
            return self._learn_tree("is missing", asked=asked)
        tree = read_tree(path, self.bodyparts)
        older = "was written by an older version, without the distances between bodyparts"
        return tree if tree.distance is not None else self._learn_tree(older, asked=asked)

    def _learn_tree(self, why: str, **asked: tuple[str, str]) -> Tree:
        """The tree of the train labels, because that of the run `why`."""
        try:
            frames = self.frames()
        except InputError as error:
            raise InputError(f"{self.workdir / FILE} {why}, and the labels that it is learned from: {error}") from error
        train = self.split(frames)["train"]
        return learn_tree(frames.keypoints[train], frames.labelled[train], frames.bodyparts, **asked)

    def restore(self, checkpoint: str = "best", fold: bool = True) -> "Run":
        """The run with the variables of a checkpoint: 'best' (on dev), 'last' or a step's number.

        Without `fold`, method and variables are those of training, to train them further. Raises InputError if
        there is no such checkpoint.
        """
        tree = self.find_tree()
        method, (step, variables, fitted) = self.method, _restore(self.workdir, self.method, checkpoint)
        if fold:
            method, variables = method.fold(variables)
        config, origin = _with_calibration(
            self.config, step, fitted, runlog.read_config(self.workdir).predict.structure
        )
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(RunFiles)}
        return Run(
            **fields | {"method": method, "config": config},
            variables=variables,
            step=step,
            calibration_from=origin,
            tree=tree,
        )


@dataclasses.dataclass(frozen=True)
class Run(RunFiles):
    """A run with the variables of one checkpoint; method and variables are folded for prediction.

    Attributes:
      variables: the method's, on one device.
      step: the checkpoint's.
      calibration_from: where temperature, which is never 0 here, and bias in `config.predict` are from, in words.
      tree: see `find_tree`.
    """

    variables: Variables
    step: int
    calibration_from: str = ""
    tree: Tree | None = None


def read_run_files(workdir: Path, data_folder: str = "", **prediction: Any) -> RunFiles:
    """The files of a run folder.

    Args:
      workdir: the run folder.
      data_folder: where the data of the run are now; '' for where they were.
      prediction: fields of `config.predict` that replace the run's own.

    Raises InputError if the folder is not a run or damaged, for a `data_folder` of synthetic data, or for a field or
    value of `prediction` that the run's method refuses.
    """
    config, record = runlog.read_config(workdir), runlog.read_run(workdir)
    if data_folder:
        if not config.data.path:
            raise InputError(f"--data={data_folder}: {workdir} was trained on synthetic frames: leave --data out")
        config.data.path = data_folder
    bodyparts = tuple(record["data"]["bodyparts"])
    config = with_prediction(config, make_method(config, bodyparts), **prediction)
    return RunFiles(workdir, config, record, bodyparts, make_method(config, bodyparts))


def open_run(workdir: str | Path, checkpoint: str | int = "best", data_folder: str = "", **prediction: Any) -> Run:
    """A training run, ready to predict.

    Args:
      workdir: its run folder.
      checkpoint: 'best' (on dev), 'last' or a step's number.
      data_folder: where the data of the run are now, for `Run.frames`; '' for where they were.
      prediction: fields of `config.predict` that replace the run's own, e.g. decode='votes' or flip=True.

    Raises InputError if the folder is not a run or lacks the checkpoint, or for a wrong field or value of `prediction`.
    """
    return read_run_files(user_path(workdir), data_folder, **prediction).restore(str(checkpoint))


def _with_calibration(
    config: ConfigDict, step: int, fitted: tuple[float, float] | None, structure: str
) -> tuple[ConfigDict, str]:
    """The config with temperature and bias for a checkpoint's likelihoods, and where they are from.

    What was `fitted` is for the `structure` that the run was trained with: another has other likelihoods.
    """
    if config.predict.temperature:
        return config, "set by the config or a flag"
    words = ""
    if config.predict.structure != structure:
        fitted, words = None, f" for structure '{config.predict.structure}'"
    config = config.copy_and_resolve_references()
    config.predict.temperature, config.predict.bias = fitted or (1.0, 0.0)
    return config, f"fitted on dev at step {step}" if fitted else f"none was fitted on dev at step {step}{words}"


def _restore(workdir: Path, method: Method, checkpoint: str) -> tuple[int, Variables, tuple[float, float] | None]:
    """Step and variables of a checkpoint, and the temperature and bias fitted for it."""
    batch = {"image": jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)}
    shapes = jax.eval_shape(method.init, jax.random.key(0), batch)
    checkpoints = Checkpoints(workdir, read_only=True)
    try:
        step, variables = checkpoints.restore_variables(checkpoint, shapes)
        return step, variables, checkpoints.calibration(str(step))[1]
    finally:
        checkpoints.close()

"""Runs the refinement steps of DeepLabCut 3.0.2 on frames that pawjax chose, in a project of each of the two.

    .venv-dlc/bin/python third_party/deeplabcut/refine.py --pawjax-python=.venv/bin/python

pawjax's Python needs the extra `deeplabcut`. Nobody labels here: the machine labels are accepted as they are, in the
way of napari-deeplabcut, which drops the likelihood and saves under the scorer of config.yaml.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tracks as shared

OPERATORS = shared.OPERATORS  # declared before DeepLabCut is imported

import deeplabcut  # noqa: E402
from deeplabcut.refine_training_dataset.outlier_frames import ExtractFramesbasedonPreselection  # noqa: E402
from deeplabcut.utils import auxiliaryfunctions  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 3
REFINE = """
import sys
from pathlib import Path
import numpy as np
from pawjax.data.deeplabcut import read_deeplabcut
from pawjax.data.project import open_project
from pawjax.inference.refinement import Request, refine_video
from pawjax.inference.predictor import Predictor
from pawjax.inference.videos import Options

video, folder, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if what == "read":
    table = read_deeplabcut(folder)
    print(len(table.files), *table.bodyparts)
    sys.exit()

def predict(images):
    rng = np.random.default_rng(int(images.sum()))
    shape = len(images), 2
    return {"keypoints": rng.uniform(4, 40, (*shape, 2)), "likelihood": rng.uniform(0, 1, shape)}

network = Predictor(predict, ("snout", "tailbase"), 3, {"run": "/runs/mine", "checkpoint": "3"})
project = open_project(folder, network.bodyparts, None, "")
project.create()
print(refine_video(network, video, project, Request(int(what), 0.6), Options(8)))
"""


def accept(labels: Path, scorer: str) -> int:
    """Saves machine labels as the labelling tool does; returns the number of frames."""
    table = pd.read_hdf(labels).drop("likelihood", axis=1, level="coords")
    table.columns = table.columns.set_levels([scorer], level="scorer")
    target = labels.with_name(f"CollectedData_{scorer}.h5")
    if target.exists():
        table = table.combine_first(pd.read_hdf(target))
    table.to_hdf(target, key="keypoints", mode="w")
    table.to_csv(target.with_suffix(".csv"))
    return len(table)


def same_layout(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Raises AssertionError unless two tables differ in scorer, frames and values only."""
    assert ours.columns.names == theirs.columns.names and ours.index.nlevels == theirs.index.nlevels
    assert ours.columns.droplevel("scorer").equals(theirs.columns.droplevel("scorer"))
    assert ours.index[0][:2] == theirs.index[0][:2] and len(ours.index[0][2]) == len(theirs.index[0][2])
    assert (ours.dtypes == np.float64).all()


def by_deeplabcut(config: Path, video: Path, frames: list[int]) -> pd.DataFrame:
    """The machine labels that DeepLabCut itself writes for some frames of a video, beside ours."""
    project = auxiliaryfunctions.read_config(str(config))
    columns = pd.MultiIndex.from_product([["net"], shared.BODYPARTS, ["x", "y", "likelihood"]])
    columns.names = ["scorer", "bodyparts", "coords"]
    data = pd.DataFrame(np.random.default_rng(0).uniform(4, 40, (shared.N, len(columns))), columns=columns)
    project["numframes2pick"] = len(frames)
    ExtractFramesbasedonPreselection(
        frames, "uniform", data, video=str(video), cfg=project, config=str(config), savelabeled=False
    )
    return pd.read_hdf(config.parent / "labeled-data" / video.stem / "machinelabels-iter0.h5")


def later_steps(config: Path, video: str, labels: str, iteration: int) -> None:
    """Accepts machine labels, and checks, merges and makes a training set of them."""
    project = auxiliaryfunctions.read_config(str(config))
    n = accept(config.parent / "labeled-data" / video / labels, project["scorer"])
    deeplabcut.check_labels(str(config))
    assert len(list((config.parent / "labeled-data" / f"{video}_labeled").glob("*.png"))) == n
    deeplabcut.merge_datasets(str(config))
    assert auxiliaryfunctions.read_config(str(config))["iteration"] == iteration
    deeplabcut.create_training_dataset(str(config), net_type="resnet_50")
    (merged,) = (config.parent / f"training-datasets/iteration-{iteration}").rglob("CollectedData_*.h5")
    assert len(pd.read_hdf(merged)) == n
    print(f"{labels}: check_labels, merge_datasets, create_training_dataset: {n} frames")


def main(pawjax_python: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        config, video = shared.new_project(Path(name))

        def pawjax(folder: Path, what: str) -> str:
            command = [pawjax_python, "-c", REFINE, str(video), str(folder), what]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
            return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout

        new = Path(name) / "new project"
        pawjax(new, str(FRAMES))
        ours = pd.read_hdf(new / "labeled-data/mouse/machinelabels-iter0.h5")
        assert len(ours) == FRAMES
        later_steps(new / "config.yaml", "mouse", "machinelabels-iter0.h5", 1)
        assert pawjax(new, "read").split() == [str(FRAMES), *shared.BODYPARTS]

        theirs = by_deeplabcut(config, video, [1, 29])  # it never takes frame 0
        same_layout(ours, theirs)
        accept(config.parent / "labeled-data/mouse/machinelabels-iter0.h5", "Ann")
        pawjax(config.parent, "2")
        added = pd.read_hdf(config.parent / "labeled-data/mouse/machinelabels-iter1.h5")
        assert len(added) == 2 and not set(added.index) & set(theirs.index)
        later_steps(config, "mouse", "machinelabels-iter1.h5", 1)
        assert pawjax(config.parent, "read").split() == [str(len(theirs) + 2), *shared.BODYPARTS]
        print("a project of pawjax and one of DeepLabCut: done")
        print(f"DeepLabCut {deeplabcut.__version__}, pandas {pd.__version__}", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pawjax-python", required=True)
    main(parser.parse_args().pawjax_python)

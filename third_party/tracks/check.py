"""Reads each format of tracks back with the tool that it is for, and compares every value.

    PYTHONPATH=. .venv-tracks/bin/python third_party/tracks/check.py          (README.md has the installation)

`tests/tracks/test_formats.py` runs the same checks where a tool is installed.
"""

import contextlib
import importlib
import io
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pawjax.tracks import Tracks
from pawjax.tracks.file import write_tracks
from pawjax.tracks.formats import FORMATS, write_formats

VIDEO, SCORER = "m1", "pawjax_mine_1400"
BODYPARTS = ("snout", "left ear", "Schwanz")


def example() -> Tracks:
    """Tracks of 30 frames at irregular times, with a missing point in frame 3 and none at all in frame 5."""
    rng = np.random.default_rng(7)
    points = rng.uniform((0, 0), (640, 480), (30, 1, len(BODYPARTS), 2)).astype(np.float32)
    points[3, 0, 1] = points[5] = np.nan
    likelihood = rng.uniform(0, 1, points.shape[:3]).astype(np.float32)
    covariance = np.full((*points.shape[:3], 2, 2), np.nan, np.float32)
    second = np.full((*points.shape[:3], 3), np.nan, np.float32)
    times = 0.1 + np.arange(30) / 25 + rng.uniform(0, 0.01, 30)
    origin = {"video": "m1.mp4", "video_sha256": "0f", "run": "/runs/mine", "checkpoint": "1400"}
    return Tracks(points, likelihood, covariance, second, times, BODYPARTS, (480, 640), 25.0, origin)


def write_example(folder: Path, formats: list[str]) -> None:
    """Writes `example` in two pieces into `folder`, in these formats."""
    tracks, source = example(), folder / f"{VIDEO}{SCORER}.tracks.h5"
    write_tracks(source, [tracks[:11], tracks[11:]])
    write_formats(source, VIDEO, SCORER, formats)


def check_pandas(folder: Path) -> None:
    """DeepLabCut's .h5 and .csv, and Lightning Pose's .csv, read as DeepLabCut, SimBA and others read them."""
    import pandas as pd

    columns = pd.MultiIndex.from_product(
        [[f"DLC_{SCORER}"], BODYPARTS, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    h5 = pd.read_hdf(folder / f"{VIDEO}DLC_{SCORER}.h5")
    assert h5.columns.equals(columns) and h5.columns.names == columns.names and (h5.dtypes == np.float64).all()
    assert h5.index.tolist() == list(range(30))
    tables = [h5, pd.read_csv(folder / f"{VIDEO}DLC_{SCORER}.csv", header=[0, 1, 2], index_col=0)]
    assert tables[1].columns.equals(columns) and tables[1].columns.names == columns.names
    tables.append(pd.read_csv(folder / f"{VIDEO}{SCORER}.lightning_pose.csv", header=[0, 1, 2], index_col=0))
    assert set(tables[2].columns.get_level_values("scorer")) == {"heatmap_tracker"}
    for table in tables:
        values = table.to_numpy().reshape(30, 1, 3, 3)
        np.testing.assert_array_equal(values[..., :2].astype(np.float32), example().keypoints)
        np.testing.assert_array_equal(values[..., 2].astype(np.float32), example().likelihood)


def check_sleap_io(folder: Path) -> None:
    """SLEAP's analysis file. (Of COCO it reads only annotations whose pictures exist.)"""
    import sleap_io

    tracks = example()
    labels = sleap_io.load_file(str(folder / f"{VIDEO}{SCORER}.analysis.h5"))
    frames = [number for number in range(30) if number != 5]
    assert tuple(node.name for node in labels.skeleton.nodes) == BODYPARTS
    assert [frame.frame_idx for frame in labels] == frames
    points = np.stack([frame.instances[0].numpy(scores=True) for frame in labels]).astype(np.float32)
    np.testing.assert_array_equal(points[..., :2], tracks.keypoints[frames, 0])
    there = np.isfinite(points).all(-1)
    assert there.sum() == 29 * 3 - 1
    np.testing.assert_array_equal(points[..., 2][there], tracks.likelihood[frames, 0][there])
    means = [frame.instances[0].score for frame in labels]
    np.testing.assert_allclose(means, np.nanmean(np.where(there, points[..., 2], np.nan), axis=1), rtol=1e-6)


def check_movement(folder: Path) -> None:
    """movement's own netCDF, and what it reads of the other formats."""
    import xarray
    from movement.io import load_poses
    from movement.kinematics import compute_velocity
    from movement.validators.datasets import ValidPosesInputs

    tracks = example()
    with xarray.open_dataset(folder / f"{VIDEO}{SCORER}.movement.nc") as dataset:
        ValidPosesInputs.validate(dataset)
        np.testing.assert_array_equal(dataset.time, tracks.times)
        assert compute_velocity(dataset.position).shape == dataset.position.shape
        datasets = [dataset.load()]
    datasets += [
        load_poses.from_dlc_file(folder / f"{VIDEO}DLC_{SCORER}.h5", fps=25),
        load_poses.from_dlc_file(folder / f"{VIDEO}DLC_{SCORER}.csv", fps=25),
        load_poses.from_lp_file(folder / f"{VIDEO}{SCORER}.lightning_pose.csv", fps=25),
        load_poses.from_sleap_file(folder / f"{VIDEO}{SCORER}.analysis.h5", fps=25),
        load_poses.from_nwb_file(folder / f"{VIDEO}{SCORER}.nwb"),
    ]
    there = np.isfinite(tracks.keypoints).all(-1)
    for dataset in datasets:
        dataset = dataset.sel(keypoint=list(BODYPARTS))
        position = dataset.position.transpose("time", "individual", "keypoint", "space").to_numpy()
        confidence = dataset.confidence.transpose("time", "individual", "keypoint").to_numpy()
        np.testing.assert_array_equal(position.astype(np.float32), tracks.keypoints)
        np.testing.assert_array_equal(confidence.astype(np.float32)[there], tracks.likelihood[there])


def check_pynwb(folder: Path) -> None:
    """NWB with ndx-pose: valid by pynwb's own validator, and the values."""
    import ndx_pose  # noqa: F401 - registers the types
    import pynwb

    tracks, path = example(), folder / f"{VIDEO}{SCORER}.nwb"
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(str(path), mode="r") as file:
        pose = file.read().processing["behavior"]["PoseEstimation"]
        assert tuple(pose.skeleton.nodes) == BODYPARTS and pose.scorer == SCORER
        for k, name in enumerate(BODYPARTS):
            series = pose[name]
            np.testing.assert_array_equal(series.data[:].astype(np.float32), tracks.keypoints[:, 0, k])
            np.testing.assert_array_equal(series.confidence[:].astype(np.float32), tracks.likelihood[:, 0, k])
            np.testing.assert_array_equal(series.timestamps[:], tracks.times)


def check_pycocotools(folder: Path) -> None:
    """COCO as ground truth and as results of pycocotools: against itself, every animal is found."""
    import json

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    path = folder / f"{VIDEO}{SCORER}.coco.json"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        results = truth.loadRes(json.loads(path.read_text(encoding="utf-8"))["annotations"])
        evaluation = COCOeval(truth, results, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.full(len(BODYPARTS), 0.05)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert len(truth.getImgIds()) == 30 and len(truth.getAnnIds()) == 29
    assert evaluation.stats[0] == 1
    (three,) = truth.loadAnns(truth.getAnnIds(imgIds=[3]))
    points = np.reshape(three["keypoints"], (3, 3))
    assert points[:, 2].tolist() == [2, 0, 2] and three["num_keypoints"] == 2
    np.testing.assert_array_equal(points[[0, 2], :2].astype(np.float32), example().keypoints[3, 0, [0, 2]])


# What must be installed to write and read, as modules; the formats that are read; the check.
CHECKS = {
    "pandas": (("pandas", "tables"), ("dlc", "lp"), check_pandas),
    "sleap-io": (("sleap_io",), ("sleap",), check_sleap_io),
    "movement": (
        ("movement", "pandas", "tables", "pynwb", "ndx_pose", "xarray", "h5netcdf"),
        ("dlc", "lp", "sleap", "nwb", "movement"),
        check_movement,
    ),
    "pynwb": (("pynwb", "ndx_pose"), ("nwb",), check_pynwb),
    "pycocotools": (("pycocotools",), ("coco",), check_pycocotools),
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write_example(Path(name), list(FORMATS))
        for tool, (_, formats, check) in CHECKS.items():
            check(Path(name))
            print(f"{tool} {version(tool)} reads {', '.join(formats)}")
    for tool in ("tables", "ndx-pose", "xarray", "h5netcdf", "h5py", "numpy"):
        importlib.import_module(tool.replace("-", "_"))
        print(tool, version(tool))

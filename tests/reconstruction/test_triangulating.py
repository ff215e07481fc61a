"""From files to files: points in space of a made-up animal whose truth is known, and every bad input."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from pawjax import cli, triangulate
from pawjax.data.video import FrameReader, open_video
from pawjax.errors import InputError
from pawjax.pose3d.accuracy import distances
from pawjax.pose3d.calibration_files import write_calibration
from pawjax.pose3d.prior_file import read_prior
from pawjax.report.mp4 import write_mp4
from tests import recorded

EVERY = (".tracks.h5", ".csv", ".analysis.h5", ".lightning_pose.csv")


@pytest.fixture(scope="module")
def truth():
    return recorded.make_truth()


@pytest.fixture(scope="module")
def seen(truth):
    return recorded.see(recorded.rig(), truth)


@pytest.fixture(scope="module")
def files(seen, tmp_path_factory):
    return recorded.record(tmp_path_factory.mktemp("recording"), *seen, recorded.rig(), EVERY)


def words_of(files, out, model, *more):
    calibration, tracks = files
    named = ",".join(f"{name}={file}" for name, file in tracks.items())
    return [f"--calibration={calibration}", f"--tracks={named}", f"--model={model}", f"--out={out}", *more]


def run(files, out, model, *more):
    words = words_of(files, out, model, "--nopage", *more)
    assert cli.call(triangulate.ENTRY_POINT, words) == 0
    return np.load(out / "points3d.npz")


def test_tracks_of_every_format_become_tables(files, truth, seen, tmp_path, capsys):
    """Each camera's tracks are in another format."""
    made = run(files, tmp_path, "ransac")
    off = distances(made["mean"], truth)
    assert np.isfinite(off).all() and np.median(off) < 0.4 and off.max() < 5
    assert made["covariance"].shape == (recorded.FRAMES, 5, 3, 3) and made["outlier"].shape == (recorded.FRAMES, 4, 5)
    squared = np.einsum(
        "tki,tkij,tkj->tk", made["mean"] - truth, np.linalg.inv(made["covariance"]), made["mean"] - truth
    )
    assert 0.85 < (squared < 7.815).mean() <= 1
    assert "error (median)" in capsys.readouterr().out

    rows = list(csv.reader((tmp_path / "points3d.csv").open()))
    assert rows[0][0] == "scorer" and set(rows[0][1:]) == {"pawjax_ransac"} and rows[1][1:4] == ["tail"] * 3
    assert rows[2][1:7] == ["x", "y", "z"] * 2 and len(rows) == 3 + recorded.FRAMES and rows[3][0] == "0"
    np.testing.assert_allclose(np.array(rows[3:], float)[:, 1:], made["mean"].reshape(recorded.FRAMES, -1))

    table = list(csv.DictReader((tmp_path / "points3d.anipose.csv").open()))
    off = np.linalg.norm(np.asarray(recorded.project_jit(recorded.rig(), made["mean"])) - seen[0], axis=-1)
    error = np.where(made["used"], off, 0).sum(0) / made["used"].sum(0)
    some = int(np.argmin(made["views"][:, 3]))  # where a view is left out
    assert made["views"][some, 3] < 4
    for t, k in ((0, 0), (some, 3)):
        name, row = recorded.BODYPARTS[k], table[t]
        np.testing.assert_allclose([float(row[f"{name}_{axis}"]) for axis in "xyz"], made["mean"][t, k])
        assert (int(row["fnum"]), int(row[f"{name}_ncams"])) == (t, made["views"][t, k])
        assert float(row[f"{name}_error"]) == pytest.approx(error[t, k], abs=1e-3)
        assert 0.6 <= float(row[f"{name}_score"]) <= 1
        assert (float(row["M_00"]), float(row["M_01"]), float(row["center_2"])) == (1, 0, 0)


def test_table_is_read_by_pandas(files, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    made = run(files, tmp_path, "median")
    table = pandas.read_hdf(tmp_path / "points3d.h5")
    assert list(table.columns.names) == ["scorer", "bodyparts", "coords"]
    np.testing.assert_array_equal(table["pawjax_median"]["snout"][["x", "y", "z"]].to_numpy(), made["mean"][:, 2])


def test_models_know_more_and_their_prior_is_kept(files, truth, tmp_path):
    limbs = f"--skeleton={recorded.SKELETON}"
    plain = run(files, tmp_path / "ransac", "ransac")
    gimbal = run(files, tmp_path / "gimbal", "gimbal", limbs, "--spine=tail,neck", "--config.states=3")
    error = {
        name: np.sqrt((distances(made["mean"], truth) ** 2).mean())
        for name, made in (("ransac", plain), ("gimbal", gimbal))
    }
    assert error["gimbal"] < 0.9 * error["ransac"]
    outlier = gimbal["outlier"]
    assert np.nanmin(outlier) >= 0 and np.nanmax(outlier) <= 1 and gimbal["states"].shape == (recorded.FRAMES, 3)
    prior = read_prior(tmp_path / "gimbal" / "prior.npz")
    lengths = np.linalg.norm(truth - truth[:, list(recorded.PARENTS)], axis=-1).mean(0)
    np.testing.assert_allclose(prior.limbs.length[1:], lengths[1:], rtol=0.03)
    assert (np.sqrt(prior.noise.inlier) < 2 * recorded.NOISE).all()
    gaussian = run(files, tmp_path / "model0", "model0")
    assert (
        np.median(distances(gaussian["mean"], truth)) < 1
        and (gaussian["outlier"][gaussian["used"].swapaxes(0, 1)] == 0).all()
    )
    again = run(files, tmp_path / "again", "model2", f"--prior={tmp_path / 'gimbal' / 'prior.npz'}")
    assert np.median(distances(again["mean"], truth)) < 0.5


def test_likely_outliers_are_the_wrong_points(files, seen, truth, tmp_path):
    made = run(files, tmp_path, "model1")
    exact = np.asarray(recorded.project_jit(recorded.rig(), truth))
    wrong = (np.linalg.norm(seen[0] - exact, axis=-1) > 10).swapaxes(0, 1)
    said = made["outlier"] > 0.5
    assert said[wrong].mean() > 0.97 and said[~wrong].mean() < 0.03


def test_long_recordings_are_fitted_in_windows(files, tmp_path):
    whole = run(files, tmp_path / "whole", "model1")
    parts = run(files, tmp_path / "parts", "model1", "--config.frames=40", "--config.overlap=15")
    np.testing.assert_allclose(parts["mean"], whole["mean"], atol=0.1)
    assert read_prior(tmp_path / "parts" / "prior.npz").limbs is None


def test_what_seems_wrong_is_said(seen, tmp_path, capsys):
    """A camera that is three frames late, and left and right that are swapped in another."""
    pixels, likelihood = (array.copy() for array in seen)
    pixels[1, 20:30, [3, 4]] = pixels[1, 20:30, [4, 3]]
    late = np.clip(np.arange(recorded.FRAMES) - 3, 0, None)
    pixels[2], likelihood[2] = pixels[2, late], likelihood[2, late]
    files = recorded.record(tmp_path, pixels, likelihood, recorded.rig())
    run(files, tmp_path / "out", "ransac")
    told = json.loads((tmp_path / "out" / "diagnostics.json").read_text())
    assert told["shift"]["suspected"]["camera"] == "cam2" and told["shift"]["suspected"]["offset"] == 3
    assert "the camera 'cam2' seems to be 3 frames late" in capsys.readouterr().out
    assert (tmp_path / "out" / "diagnostics.png").stat().st_size > 10_000
    run(files, tmp_path / "moved", "ransac", "--offsets=cam2=3")
    told = json.loads((tmp_path / "moved" / "diagnostics.json").read_text())
    assert told["shift"]["suspected"] is None
    swap = told["swaps"][0]
    assert (swap["camera"], swap["left"], swap["right"]) == ("cam1", "paw_L", "paw_R") and swap["frames"] >= 8
    said = capsys.readouterr().out
    assert "paw_L and paw_R seem swapped in 'cam1' in" in said and "late" not in said


def test_draws_say_whether_chains_have_met(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pawjax.pose3d.fitting.BURN_IN", 30)
    made = run(files, tmp_path, "model1", "--samples=10", "--bodyparts=tail,neck")
    assert made["drawn_positions"].shape == (4, 10, recorded.FRAMES, 2, 3)
    chains = json.loads((tmp_path / "diagnostics.json").read_text())["convergence"]
    assert set(chains["r_hat"]) == {"tail", "neck"} and chains["draws"] == 40
    assert 0.9 < min(chains["r_hat"].values()) and "R-hat up to" in capsys.readouterr().out


def changed(files, folder, camera="cam1", **changes):
    """The files, with those of one camera written again: its pixels, likelihoods, bodyparts or size changed."""
    calibration, tracks = files
    path = folder / f"{camera}.tracks.h5"
    pixels, likelihood = recorded.see(recorded.rig(), recorded.make_truth())
    place = int(camera[-1])
    recorded.WRITERS[".tracks.h5"](
        path, dataclasses.replace(recorded.make_tracks(pixels[place], likelihood[place]), **changes)
    )
    return calibration, tracks | {camera: str(path)}


def test_bad_input_is_one_sentence(files, tmp_path, capsys):
    def sentence(files, *more, model="ransac"):
        assert cli.call(triangulate.ENTRY_POINT, words_of(files, tmp_path / "out", model, *more)) == 2
        said = capsys.readouterr().err
        assert said.count("pawjax: ") == said.count("\n") == 1
        assert not (tmp_path / "out").exists()
        return said

    calibration, tracks = files
    without = {name: file for name, file in tracks.items() if name != "cam3"}
    assert "no tracks of the camera 'cam3'" in sentence((calibration, without))
    renamed = {**without, "kam3": tracks["cam3"]}
    assert "no camera 'kam3': did you mean 'cam3'?" in sentence((calibration, renamed))
    alone = {name: tracks[name] if name == "cam0" else "" for name in tracks}
    assert "tracks of 1 camera:" in sentence((calibration, alone))
    other = changed(files, tmp_path, size=(480, 640))
    assert "the frames are 640x480 px" in sentence(other) and "calibrated with 640x600" in sentence(other)
    pixels, likelihood = recorded.see(recorded.rig(), recorded.make_truth())
    twice = recorded.make_tracks(2 * pixels[1], likelihood[1])
    assert "of the points lie outside the 640x600 px" in sentence(changed(files, tmp_path, keypoints=twice.keypoints))
    nowhere = calibration, tracks | {"cam1": str(tmp_path / "nowhere.csv")}
    assert "nowhere.csv: there is no such file" in sentence(nowhere)
    percent = changed(files, tmp_path, likelihood=100 * twice.likelihood)
    assert "the likelihoods of the camera 'cam1' go from" in sentence(percent)
    nothing = np.full_like(twice.keypoints, np.nan)
    assert "have no point in any frame" in sentence(changed(files, tmp_path, keypoints=nothing))
    names = ("tail", "neck", "nose", "paw_L", "paw_R")
    assert "has no bodypart 'snout', but" in sentence(changed(files, tmp_path, bodyparts=names))
    assert "did you mean 'snout'?" in sentence(files, "--bodyparts=tail,snoot")
    short = recorded.make_tracks(pixels[1, :50], likelihood[1, :50])
    fields = {name: getattr(short, name) for name in ("keypoints", "likelihood", "covariance", "second", "times")}
    fewer = changed(files, tmp_path, disagreement=None, **fields)
    assert "has 60 frames, but" in sentence(fewer) and "has 50" in sentence(fewer)
    assert "did you mean 'cam1'?" in sentence(files, "--offsets=cam_1=2")
    assert "none of which would be left" in sentence(files, "--offsets=cam1=60")
    twice_given = {**files[1], "cam2": files[1]["cam1"]}
    assert "is given for 'cam1' and for 'cam2'" in sentence((files[0], twice_given))
    assert "unit_mm" in sentence(files, "--unit_mm=0")
    assert "did you mean 'gimbal'?" in sentence(files, model="gimball")
    assert "--offsets=cam1=x must be whole numbers" in sentence(files, "--offsets=cam1=x")
    (tmp_path / "notes.txt").write_text("left and right")
    assert "is neither TOML nor YAML" in sentence((tmp_path / "notes.txt", tracks))
    assert "--tracks=cam0.csv must be CAMERA=FILE" in sentence((calibration, {}), "--tracks=cam0.csv")

    for model in ("model2", "gimbal"):
        assert "--skeleton=A-B" in sentence(files, model=model)
        assert "no limbs lead from tail to snout" in sentence(
            files, "--skeleton=tail-neck,neck-paw_L,neck-paw_R", model=model
        )
        circle = f"--skeleton={recorded.SKELETON},snout-tail"
        assert "closes a circle" in sentence(files, circle, model=model)
    limbs = f"--skeleton={recorded.SKELETON}"
    assert "--spine=: gimbal needs two bodyparts" in sentence(files, limbs, model="gimbal")
    assert "'tail-nek' must be two bodyparts" in sentence(files, "--skeleton=tail-nek")
    assert "config.states = 0 must be at least 1" in sentence(files, limbs, "--config.states=0", model="gimbal")
    assert "did you mean 'states'?" in sentence(files, limbs, "--config.state=3", model="gimbal")
    mine = "--config=configs/pose3d_model1.py"
    assert "is of model1: give one of them" in sentence(files, mine)
    assert "unknown config field" in sentence(files, "--config=configs/quickstart.py")
    assert "names no such camera" in sentence(files, "--videos=cam9=a.mp4")
    assert "with --offsets can be drawn" in sentence(files, "--videos=cam1=a.mp4", "--offsets=cam1=2")
    assert "nowhere.mp4" in sentence(files, f"--videos=cam1={tmp_path / 'nowhere.mp4'}")
    assert "ransac is no model to draw from" in sentence(files, "--samples=3")
    assert "--samples=100000000 of 60 frames are 1440.0 GB" in sentence(files, "--samples=100000000", model="model1")
    assert "nowhere.npz: there is no such file" in sentence(files, "--prior=nowhere.npz", model="model1")
    np.save(tmp_path / "array.npy", np.zeros(3))
    assert "array.npy is no prior by pawjax" in sentence(files, f"--prior={tmp_path / 'array.npy'}", model="model1")
    student = "--config.noise=student_t"
    assert "only config.noise = 'mixture' can be drawn from" in sentence(files, student, "--samples=3", model="model1")


def test_calibrations_that_cannot_be_are_refused(files, tmp_path, capsys):
    rig = recorded.rig()

    def sentence(**changes):
        path = tmp_path / "other.npz"
        write_calibration(path, rig, overwrite=True)
        with np.load(path) as content:
            arrays = dict(content)
        np.savez(path, **{**arrays, **{name: change(arrays[name]) for name, change in changes.items()}})
        assert cli.call(triangulate.ENTRY_POINT, words_of((path, files[1]), tmp_path / "out", "ransac")) == 2
        return capsys.readouterr().err

    assert "all stand at the same place" in sentence(**{"translation": lambda t: 0 * t})
    assert "looks like metres" in sentence(**{"translation": lambda t: t / 1000})
    mirror = np.diag([1.0, 1, -1])
    assert "mirrored" in sentence(**{"rotation": lambda r: np.stack([mirror] * len(r))})
    assert "not rigid" in sentence(**{"rotation": lambda r: np.stack([1.1 * np.eye(3)] * len(r))})


def test_nothing_is_overwritten(files, tmp_path, capsys):
    (tmp_path / "points3d.csv").write_text("mine")
    assert cli.call(triangulate.ENTRY_POINT, words_of(files, tmp_path / "points3d.csv", "ransac")) == 2
    assert "is a file: give the name of a folder" in capsys.readouterr().err
    words = words_of(files, tmp_path, "ransac", "--nopage")
    assert cli.call(triangulate.ENTRY_POINT, words) == 2
    assert "holds points3d.csv already" in capsys.readouterr().err and (tmp_path / "points3d.csv").read_text() == "mine"
    (tmp_path / "prior.npz").touch()
    assert cli.call(triangulate.ENTRY_POINT, [*words, "--overwrite"]) == 0
    assert not (tmp_path / "prior.npz").exists()  # of an earlier model
    assert (tmp_path / "points3d.csv").read_text() != "mine"


def test_pictures_show_the_points(seen, tmp_path):
    """The page by default, and videos on demand: of the skeleton, and of a camera with the points drawn in."""
    pixels, likelihood = (array[:, :8] for array in seen)
    files = recorded.record(tmp_path, pixels, likelihood, recorded.rig())
    grey = np.full((600, 640, 3), 90, np.uint8)
    write_mp4(tmp_path / "cam1.mp4", [(t / 25, grey) for t in range(8)], (600, 640), 25.0, {})
    words, name = words_of(files, tmp_path / "out", "median"), "cam1_median_reprojected_labeled.mp4"
    words.append(f"--skeleton={recorded.SKELETON}")
    assert (
        cli.call(triangulate.ENTRY_POINT, [*words, "--skeleton_video", f"--videos=cam1={tmp_path / 'cam1.mp4'}"]) == 0
    )
    assert "cam3" in (tmp_path / "out" / "points3d.html").read_text()
    assert open_video(tmp_path / "out" / "skeleton.mp4").n_frames == 8
    drawn = [frame.pixels for frame in FrameReader(open_video(tmp_path / "out" / name), 3)]
    assert len(drawn) == 8 and np.ptp(drawn[3].astype(int)) > 50


def test_no_position_where_two_cameras_do_not_see(seen, tmp_path, capsys):
    """Missing points stay missing in every table; a missing tracked point is an empty cell, as writers leave it."""
    pixels = seen[0].copy()
    pixels[1:, 10:15, 2] = np.nan
    files = recorded.record(tmp_path, pixels, seen[1], recorded.rig())
    made = run(files, tmp_path / "out", "ransac")
    assert "points have fewer than two views (snout in 8.3%" in (said := capsys.readouterr().out)
    assert "of the frames) and have no position" in said
    assert np.isnan(made["mean"][10:15, 2]).all() and np.isfinite(made["mean"][15:, 2]).all()
    table = list(csv.DictReader((tmp_path / "out" / "points3d.anipose.csv").open()))
    assert table[12]["snout_x"] == table[12]["snout_error"] == ""
    told = json.loads((tmp_path / "out" / "diagnostics.json").read_text())
    assert told["missing"]["snout"] == pytest.approx(5 / recorded.FRAMES, abs=1e-3)


def test_points_that_a_model_filled_are_marked(seen, tmp_path, capsys):
    """anipose's columns have their positions and numbers of views, DeepLabCut's leave them out, a sentence tells."""
    pixels = seen[0].copy()
    pixels[1:, 10:15, 2] = np.nan
    files = recorded.record(tmp_path, pixels, seen[1], recorded.rig())
    made = run(files, tmp_path / "out", "model1")
    said = capsys.readouterr().out
    few = made["views"] < 2
    assert few[10:15, 2].all() and few.sum() < 20 and np.isfinite(made["mean"]).all()
    share = f"{few.sum()} of {few.size} points have fewer than two views (snout in {few[:, 2].mean():.1%}"
    assert share in said and "were filled by model1, but are left empty in points3d.csv and .h5" in said
    table = list(csv.DictReader((tmp_path / "out" / "points3d.anipose.csv").open()))
    row = table[12]
    np.testing.assert_allclose([float(row[f"snout_{axis}"]) for axis in "xyz"], made["mean"][12, 2])
    assert int(row["snout_ncams"]) == made["views"][12, 2] <= 1 and row["snout_error"] == row["snout_score"] == ""
    rows = np.array([row[1:] for row in csv.reader((tmp_path / "out" / "points3d.csv").open())][3:])
    np.testing.assert_array_equal((rows.reshape(*few.shape, 3) == "").all(-1), few)
    told = json.loads((tmp_path / "out" / "diagnostics.json").read_text())["few_views"]
    assert (told["points"], told["filled"], told["of"]) == (few.sum(), few.sum(), few.size)


def test_unknown_words_of_tracks():
    with pytest.raises(InputError, match="'a' is named twice"):
        triangulate.pairs_of("tracks", ["a=1.csv", "a=2.csv"], "FILE")


def test_config_of_the_model_is_found():
    for words in (["--model=gimbal"], ["--model", "gimbal"]):
        _, config, *rest = triangulate.with_config(["command", *words, "--config.states=3"])
        assert config.startswith("--config=") and config.endswith("configs/pose3d_gimbal.py")
        assert rest == [*words, "--config.states=3"]
    for words in (["--model=gimbal", "--config=mine.py"], ["--config", "mine.py", "--model=gimbal"], []):
        assert triangulate.with_config(["command", *words]) == ["command", *words]

"""A tiny run leaves pawjax: as an artefact of JAX, as ONNX, and live."""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

import pawjax
from pawjax import cli, export
from pawjax.engine.loop import train_and_evaluate
from pawjax.errors import InputError
from pawjax.inference import exporting
from pawjax.inference.exporting import FORMATS, Shape, write_export
from pawjax.inference.opening import predictor_of_run
from pawjax.inference.run import open_run
from tests.tiny import tiny_config

SIZE = (64, 96)
OUTPUTS = ["covariance", "keypoints", "likelihood", "second"]


def needs(name):
    absent = [module for module in FORMATS[name].modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(absent), reason=f"--format={name} needs {', '.join(absent)}, an extra of pawjax")


@pytest.fixture(scope="module")
def run(tmp_path_factory, session_cache):
    config = tiny_config()
    config.steps = config.log_every = config.eval_every = config.checkpoint_every = 1
    config.data.cache = str(session_cache)
    train_and_evaluate(config, tmp_path_factory.mktemp("runs") / "mine")
    return open_run(next(tmp_path_factory.getbasetemp().glob("runs*/mine")))


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 256, (3, *SIZE, 1), np.uint8)


@pytest.fixture
def video(tmp_path, frames):
    folder = tmp_path / "video"
    folder.mkdir()
    for number, pixels in enumerate(frames):
        Image.fromarray(pixels[..., 0]).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def expected(run, frames):
    return jax.device_get(predictor_of_run(run).predict(frames))


def call(run, *words):
    return cli.call(export.ENTRY_POINT, [f"--workdir={run.workdir}", *words])


@needs("jax")
def test_artefact_runs_in_a_process_that_knows_only_jax(run, frames, expected, tmp_path, capsys):
    path = tmp_path / "net.jax"
    assert call(run, f"--out={path}") == 0
    assert "agrees with the run on 4 frames" in capsys.readouterr().out
    np.save(tmp_path / "frames.npy", frames)
    program = (
        "import sys, pathlib, jax, numpy\n"
        "network = jax.jit(jax.export.deserialize(bytearray(pathlib.Path('net.jax').read_bytes())).call)\n"
        "frames = numpy.load('frames.npy')\n"
        "one, all = network(frames[:1]), network(frames)\n"  # any number of frames
        "assert abs(one['keypoints'] - all['keypoints'][:1]).max() < 1e-3\n"
        "numpy.savez('points.npz', **all)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('pawjax', 'flax')]\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    found = np.load(tmp_path / "points.npz")
    assert sorted(found) == OUTPUTS
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-3, rtol=1e-4)
    about = json.loads((tmp_path / "net.jax.json").read_text())
    assert about["bodyparts"] == list(run.bodyparts) and about["checkpoint"] == run.step
    assert about["input"]["shape"] == ["batch", *SIZE, 1] and sorted(about["outputs"]) == OUTPUTS
    assert jax.export.deserialize(bytearray(path.read_bytes())).platforms == ("cpu", "cuda")
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(run.variables))
    assert weights < about["bytes"] == path.stat().st_size < 1.5 * weights  # one copy for both platforms


@needs("jax")
def test_artefact_that_predicts_otherwise_is_not_written(run, frames, tmp_path, monkeypatch):
    def make(run, find, shape):
        changed = jax.tree.map(lambda leaf: leaf * 1.01, run.variables)
        return FORMATS["jax"].make(dataclasses.replace(run, variables=changed), find, shape)

    monkeypatch.setitem(exporting.FORMATS, "jax", dataclasses.replace(kind := FORMATS["jax"], make=make))
    monkeypatch.setitem(globals(), "FORMATS", {"jax": kind})
    with pytest.raises(InputError, match="is not written: its .* differs from the run's by .* on 3 frames"):
        write_export(run, "jax", tmp_path / "net.jax", Shape(0, *SIZE, 1), frames)
    assert not list(tmp_path.iterdir())


@needs("onnx")
@pytest.mark.filterwarnings("ignore")
def test_onnx(run, frames, expected, video, tmp_path):
    import onnxruntime

    path = tmp_path / "net.onnx"
    assert call(run, "--format=onnx", f"--out={path}", "--batch=3", f"--frames={video}") == 0
    session = onnxruntime.InferenceSession(path)
    assert json.loads(session.get_modelmeta().custom_metadata_map["bodyparts"]) == list(run.bodyparts)
    for name, values in zip(OUTPUTS, session.run(OUTPUTS, {"frames": frames}), strict=True):
        np.testing.assert_allclose(values, expected[name], atol=1e-3, rtol=1e-4)


def test_missing_packages_are_named_before_anything_is_read(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(export, "frames_of", lambda *_: pytest.fail("read frames"))
    assert call(run, "--format=onnx") == call(run) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "needs jax2onnx and onnx" in errors[0] and errors[0].endswith("--no-deps 'jax2onnx>=0.17'")
    assert errors[1].endswith("--format=jax needs flatbuffers, not installed here: pip install 'pawjax[export]'")


def test_what_is_not_ours_is_refused_before_anything_is_read(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(export, "frames_of", lambda *_: pytest.fail("read frames"))
    (tmp_path / "net.jax").write_bytes(b"mine")
    assert call(run, f"--out={tmp_path / 'net.jax'}") == 2 and "was not exported" in capsys.readouterr().err
    assert (tmp_path / "net.jax").read_bytes() == b"mine"


def test_frames_to_check_with(run, video, tmp_path):
    assert export.frames_of(run, "", None).shape == (4, *SIZE, 1)
    assert export.frames_of(run, str(video), (50, 70)).shape == (3, 50, 70, 1)
    with pytest.raises(InputError, match="no such video"):
        export.frames_of(run, str(tmp_path / "none.mp4"), None)
    config = run.config.copy_and_resolve_references()
    config.data.path = str(tmp_path / "gone")
    with pytest.raises(InputError, match="does not exist.*--frames=VIDEO"):
        export.frames_of(dataclasses.replace(run, config=config), "", None)


def test_boxes_do_not_become_onnx(run, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: True)
    config = tiny_config()
    config.method = "faster_rcnn"
    method = exporting.make_method(config, run.bodyparts)
    with pytest.raises(InputError, match="config.method = 'faster_rcnn', whose suppression of boxes"):
        exporting.check_format("onnx", dataclasses.replace(run, config=config, method=method))


def test_live(run, frames, expected):
    with pawjax.live(run.workdir, SIZE, run.step) as live:
        poses = [live.track(pixels) for pixels in frames]
    for row, pose in enumerate(poses):
        np.testing.assert_allclose(pose.keypoints, expected["keypoints"][row], atol=1e-3)
        np.testing.assert_allclose(pose.points["second"], expected["second"][row], atol=1e-3)

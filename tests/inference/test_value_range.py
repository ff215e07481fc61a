"""A run on 16-bit images: evaluation reads the prepared set, the tracker the camera's own values, and they agree."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from PIL import Image

from pawjax import data
from pawjax.data.batches import make_store
from pawjax.engine.runlog import describe_run
from pawjax.errors import InputError
from pawjax.inference.run import Run
from pawjax.inference.stream import predict_store
from pawjax.inference.tracker import Tracker
from pawjax.inference.views import make_predict
from pawjax.methods import make_method
from tests.tiny import tiny_config

HEIGHT, WIDTH = 64, 96

SPLIT = {"train": np.arange(3), "dev": np.arange(0), "test": np.arange(0)}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A Lightning Pose folder of three 16-bit images of a 12-bit camera, and the images."""
    root = tmp_path_factory.mktemp("project")
    (root / "labeled-data/m1").mkdir(parents=True)
    images = np.random.default_rng(0).integers(300, 4096, (3, HEIGHT, WIDTH, 1)).astype(np.uint16)
    images[2] = images[2] // 2  # an image whose own range is not that of the set
    lines = ["scorer,Ann,Ann", "bodyparts,paw,paw", "coords,x,y"]
    for index, image in enumerate(images):
        name = f"labeled-data/m1/img{index}.png"
        Image.fromarray(image[..., 0]).save(root / name)
        lines.append(f"{name},{index + 10},20")
    (root / "CollectedData.csv").write_text("\n".join(lines))
    return root, images


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    """A run with drawn weights, whose run.json was written and read, and its frames."""
    config = tiny_config()
    config.data.source, config.data.path = "lightning_pose", str(project[0])
    config.data.cache = str(tmp_path_factory.mktemp("cache"))
    frames = data.load(data.DataConfig.of(config))
    method = make_method(config, frames.bodyparts)
    batch, rng = {"image": np.zeros((1, HEIGHT, WIDTH, 1), np.uint8)}, np.random.default_rng(0)
    shapes = jax.eval_shape(method.init, jax.random.key(0), batch)

    def draw(leaf):
        return (rng.normal(size=leaf.shape) * (2 / np.prod(leaf.shape[:-1])) ** 0.5).astype(leaf.dtype)

    variables = jax.tree.map(draw, shapes)
    variables["batch_stats"] = jax.tree.map(np.ones_like, variables["batch_stats"])
    record = json.loads(json.dumps(describe_run(config, frames, SPLIT)))
    return Run(project[0], config, record, frames.bodyparts, method, variables=variables, step=0), frames


def test_evaluation_and_tracker_agree(run, project):
    run, frames = run
    predict = jax.jit(make_predict(run.method, run.config, run.bodyparts))
    evaluated = predict_store(predict, run.variables, make_store(frames, np.arange(3), run.config.scale), 3)
    tracker = Tracker(run)
    for images in (project[1], project[1].astype(np.float32), project[1].astype(np.int32), frames.images):
        keypoints, likelihood = tracker(images[2:])
        np.testing.assert_allclose(keypoints, evaluated.keypoints[2:], rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(likelihood, evaluated.likelihood[2:], atol=1e-5)
    other, _ = tracker(255 - frames.images[2:])
    assert np.abs(other - evaluated.keypoints[2:]).max() > 0.1  # the pixels matter


def test_range_is_kept_in_the_run_and_only_there(run):
    run, frames = run
    low, high = frames.value_range
    assert run.record["data"]["value_range"] == [low, high] and 150 <= low < 160 and 4080 < high <= 4095
    eight_bit = describe_run(run.config, dataclasses.replace(frames, value_range=None), SPLIT)
    assert "value_range" not in eight_bit["data"]


def test_deep_images_of_other_runs_and_wrong_values_are_refused(run, project):
    run, images = run[0], project[1]
    with pytest.raises(InputError, match="a tracker takes uint8 images"):
        Tracker(run)(images[0])  # no batch
    with pytest.raises(InputError, match="NaN or infinite"):
        Tracker(run)(np.full(images.shape, np.nan))
    eight_bit = dataclasses.replace(run, record={"data": {}})
    with pytest.raises(InputError, match=r"a tracker takes uint8 images \[B, H, W, 1 or 3\], not uint16"):
        Tracker(eight_bit)(images)

"""A tracker as the user of the library meets it: no images, wrong images, pickling, and news of compiling."""

import copy
import dataclasses
import pickle
from contextlib import nullcontext

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pawjax.config import default_config
from pawjax.errors import InputError
from pawjax.inference import tracker as module
from pawjax.inference.run import Run
from pawjax.inference.tracker import Tracker
from pawjax.inference.views import with_prediction
from pawjax.methods import METHODS, make_method
from pawjax.methods.method import Method

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 1), np.uint8)


@dataclasses.dataclass(frozen=True)
class Brightness(Method):
    """Three points at the mean brightness of an image, and as many boxes."""

    predict_fields = ("decode",)
    loss_weights = init = loss = None  # it is not trained

    def predict(self, variables, images):
        mean = images.mean((1, 2, 3))[:, None] * variables["params"]
        return {"keypoints": jnp.stack([mean, mean], -1), "likelihood": mean / 1000}

    def detect(self, variables, images, max_detections, score_threshold, nms_threshold):
        del score_threshold, nms_threshold
        return {
            "boxes": jnp.ones((len(images), max_detections, 4)),
            "valid": jnp.ones((len(images), max_detections), bool),
        }


@pytest.fixture
def tracker(tmp_path):
    variables = {"params": np.arange(1, 4, dtype=np.float32)}
    return Tracker(Run(tmp_path, default_config(), {"data": {}}, ("a", "b", "c"), Brightness(), variables, step=5))


def test_no_images_give_no_rows(tracker):
    keypoints, likelihood = tracker(IMAGES[:0])
    assert keypoints.shape == (0, 3, 2) and likelihood.shape == (0, 3) and keypoints.dtype == np.float32
    found = tracker.detect(IMAGES[:0], max_detections=7)
    assert found["boxes"].shape == (0, 7, 4) and found["valid"].dtype == bool


@pytest.mark.parametrize(
    "images, words",
    [
        (IMAGES[:, :0], r"with pixels, not \[3, 0, 30, 1\]"),
        (IMAGES[0], r"not uint8 \[20, 30, 1\]"),
        ([IMAGES[0], IMAGES[0, :9]], "all of one size: call it once for each size"),
        (IMAGES.astype(object), "not object"),
        (np.zeros((1, 8, 8, 2), np.uint8), r"not uint8 \[1, 8, 8, 2\]"),
        ([], r"not float64 \[0\]"),
        (None, "not object"),
        ("frame.png", "not <U9"),
    ],
)
def test_what_is_no_batch_of_images_is_one_sentence(images, words, tracker):
    for call in (tracker, tracker.detect):
        with pytest.raises(InputError, match=rf"^a tracker takes uint8 images \[B, H, W, 1 or 3\].*{words}"):
            call(images)


@pytest.mark.parametrize(
    "argument, value",
    [("max_detections", value) for value in (0, -1, 1.5, True, 10**9, "7", None)]
    + [(name, value) for name in ("score_threshold", "nms_threshold") for value in (-0.1, 1.1, np.nan, "0.5", None)],
)
def test_a_wrong_argument_of_detect_is_named(argument, value, tracker):
    with pytest.raises(InputError, match=rf"^{argument}={value!r} must be a (whole )?number from"):
        tracker.detect(IMAGES, **{argument: value})


def test_a_copy_from_another_process_predicts_the_same(tracker):
    expected = tracker(IMAGES)
    for other in (pickle.loads(pickle.dumps(tracker)), copy.deepcopy(tracker)):
        assert (other.bodyparts, other.step) == (("a", "b", "c"), 5)
        for found, wanted in zip(other(IMAGES), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
        assert other.detect(IMAGES, max_detections=2)["boxes"].shape == (3, 2, 4)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_pickled(method):
    config = default_config()
    config.method = method
    made = make_method(config, ("paw",))
    assert pickle.loads(pickle.dumps(made)) == made


def test_each_new_shape_says_that_it_compiles(tracker, monkeypatch):
    messages = []
    monkeypatch.setattr(module, "announced", lambda message: messages.append(message) or nullcontext())
    for images in (IMAGES, IMAGES, IMAGES[:1], IMAGES[:, :10], IMAGES):
        tracker(images)
    sizes = ["3 images of 20x30", "1 images of 20x30", "3 images of 10x30"]
    assert messages == [f"pawjax: compiling for {size}; another number or size compiles again" for size in sizes]


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("scales", 1.0, r"scales = 1.0 must be \(a number, ...\)"),
        ("scales", (), r"scales = \(\) must be one number or more"),
        ("flip", "yes", "flip = 'yes' must be True or False"),
        ("flip", 1, "flip = 1 must be True or False"),
        ("temperature", "warm", "temperature = 'warm' must be a number"),
        ("temperature", float("nan"), "temperature = nan must be finite"),
        ("decode", 3, "decode = 3 must be a string"),
    ],
)
def test_a_wrong_value_of_prediction_is_named(field, value, words):
    with pytest.raises(InputError, match=f"^config.predict.{words}"):
        with_prediction(default_config(), Brightness(), **{field: value})
    assert with_prediction(default_config(), Brightness(), scales=[0.5, 1]).predict.scales == (0.5, 1)


def test_a_video_becomes_tracks_and_a_file(tracker, tmp_path):
    (tmp_path / "m1").mkdir()
    for number, image in enumerate(IMAGES):
        Image.fromarray(image[..., 0]).save(tmp_path / "m1" / f"{number}.png")
    tracks = tracker.predict_video(tmp_path / "m1", out=tmp_path / "out", batch_size=2)
    keypoints, likelihood = tracker(IMAGES)
    np.testing.assert_allclose(tracks.keypoints[:, 0], keypoints, rtol=1e-6)
    np.testing.assert_allclose(tracks.likelihood[:, 0], likelihood, rtol=1e-6)
    assert [path.name for path in (tmp_path / "out").glob("*.h5")] == [f"m1pawjax_{tmp_path.name}_5.tracks.h5"]
    cropped = tracker.predict_video(tmp_path / "m1", out=tmp_path / "out2", crop=(4, 2, 16, 8))
    np.testing.assert_allclose(cropped.likelihood[:, 0], tracker(IMAGES[:, 2:10, 4:20])[1], rtol=1e-6)

"""The whole way to 3D on a tiny scale: a mouse with known places, a network that learned it, points of every model."""

import importlib
import json

import jax
import numpy as np
import pytest

from launch import whole_way_3d
from launch.mouse_in_space import BODYPARTS, SKELETON, Mouse
from launch.mouse_pictures import picture, rig
from pawjax import cli
from pawjax.data.deeplabcut import read_deeplabcut
from pawjax.pose3d.cameras import project
from tests.tiny import TINY

SIZE, INSTANTS, FRAMES = (64, 96), 14, 24
STEPS = 120
TRAIN = (
    "--config=configs/quickstart.py",
    f"--config.model.backbone={TINY}",
    "--config.model.stem_channels=16",
    "--config.deeplabcut.sigma=3.0",
    "--config.deeplabcut.radius=5.0",
    "--config.augment.rotation=0.0",
    "--config.batch_size=8",
    *(f"--config.{name}={STEPS}" for name in ("steps", "eval_every", "checkpoint_every")),
)


@pytest.fixture(scope="module")
def gone(tmp_path_factory):
    """The folder of a whole way within this process, and its table."""

    def door(module, *words):
        words += ("--cut=0.05",) * (module == "triangulate")  # so short a training leaves likelihoods low
        assert cli.call(importlib.import_module(f"pawjax.{module}").ENTRY_POINT, list(words)) == 0

    out = tmp_path_factory.mktemp("whole_way")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_way_3d, "door", door)
        table = whole_way_3d.whole_way(out, SIZE, INSTANTS, FRAMES, list(TRAIN))
    return out, table


def test_pictures_show_the_mouse_where_it_is():
    cameras, mouse = rig(*SIZE), Mouse(3, 5)
    places = mouse.places(np.array([7.0]))
    seen = [picture(mouse, cameras, index, 7.0) for index in range(3)]
    with jax.enable_x64(True):
        expected = np.asarray(project(cameras, places))[:, 0]
    np.testing.assert_allclose([each.pixels for each in seen], expected, atol=1e-6)
    assert all((each.image.shape, each.image.dtype) == ((*SIZE, 1), np.uint8) for each in seen)
    knees = [BODYPARTS.index(f"{side}_knee") for side in ("left", "right")]  # on the far side of a side camera
    assert [each.visible[knees].tolist() for each in (seen[0], seen[2])] == [[True, False], [False, True]]
    nose = BODYPARTS.index("snout")
    for each in seen:  # the nose is bright before fur and background
        x, y = each.pixels[nose].round().astype(int)
        assert each.visible[nose] and each.image[y, x, 0] > 2 * np.median(each.image)


def test_bones_keep_their_lengths():
    places, names = Mouse(0, 2).places(np.arange(0, 60, 0.05)), list(BODYPARTS)
    for limb in ("left_knee-left_heel", "right_heel-right_hindpaw", "left_elbow-left_forepaw"):
        assert limb in SKELETON
        a, b = (names.index(name) for name in limb.split("-"))
        lengths = np.linalg.norm(places[:, a] - places[:, b], axis=-1)
        assert lengths.std() < 0.03 * lengths.mean()
    assert np.ptp(places[:, names.index("left_forepaw")], axis=0).min() > 4  # mm, along every axis


def test_every_model_finds_the_mouse(gone):
    out, table = gone
    assert len(read_deeplabcut(out / "project").files) == 3 * INSTANTS
    for model in whole_way_3d.MODELS:
        for name in ("points3d.csv", "points3d.anipose.csv", "points3d.html", "diagnostics.json"):
            assert (out / model / name).is_file()
        assert np.load(out / model / "points3d.npz")["mean"].shape == (FRAMES, len(BODYPARTS), 3)
        assert table[model]["common_mean_mm"] < 15, model  # of a mouse of 80 mm
    assert json.loads((out / "errors.json").read_text()) == table
    assert max(table["model1"]["mean_mm"], table["gimbal"]["mean_mm"]) < 8 and table["gimbal"]["missing"] == 0

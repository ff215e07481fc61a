"""DeepLabCut's snapshots find the points that DeepLabCut finds, and every other file gets one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.inference.snapshot_config import read_snapshot_config
from pawjax.inference.snapshots import predictor_of_snapshot
from tests.data.conftest import warnings  # noqa: F401
from tests.torch_zip import write_snapshot
from tests.weights.test_parity import deeplabcut_snapshot
from tests.weights.test_slim import checkpoint

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FOLDER = "dlc-models-pytorch/iteration-0/openfieldOct30-trainset95shuffle3/train"
BODYPARTS = ("snout", "on", "1e3")  # two of them are no text to most readers of YAML
HEAD = "model.heads.bodypart"


def pytorch_config() -> dict:
    """The fields of pytorch_config.yaml that say what a single-animal ResNet-50 of DeepLabCut 3.0.2 is."""
    layer = {"channels": [2048, 3], "kernel_size": [3], "strides": [2]}
    predictor = {"type": "HeatmapPredictor", "apply_sigmoid": False, "clip_scores": True, "location_refinement": True}
    head = {"type": "HeatmapHead", "predictor": predictor | {"locref_std": 7.2801}}
    head |= {"heatmap_config": layer, "locref_config": layer | {"channels": [2048, 6]}}
    backbone = {"type": "ResNet", "model_name": "resnet50_gn", "output_stride": 16}
    inference = {"normalize_images": True, "resize": None, "auto_padding": None, "hist_eq": False}
    return {
        "net_type": "resnet_50",
        "method": "bu",
        "model": {"backbone": backbone, "neck": None, "heads": {"bodypart": head}},
        "metadata": {"bodyparts": list(BODYPARTS), "unique_bodyparts": [], "individuals": ["animal"]},
        "data": {"colormode": "RGB", "inference": inference},
    }


def pose_cfg() -> dict:
    """The fields of pose_cfg.yaml that say what a ResNet-50 of DeepLabCut's TensorFlow engine is."""
    fields = {"net_type": "resnet_50", "dataset_type": "imgaug", "all_joints_names": list(BODYPARTS)}
    return fields | {"location_refinement": True, "locref_stdev": 7.2801, "stride": 8.0}


def changed(fields: dict, path: str, value: object) -> dict:
    """The fields, one of them with another value."""
    *tables, name = path.split(".")
    table = fields
    for key in tables:
        table = table[key]
    table[name] = value
    return fields


def write_config(snapshot: Path, fields: dict) -> Path:
    """Writes the file beside a snapshot, whose own content is not read before; JSON is YAML."""
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    name = "pose_cfg.yaml" if snapshot.suffix == ".npz" else "pytorch_config.yaml"
    snapshot.with_name(name).write_text(json.dumps(fields))
    snapshot.touch()
    return snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    (project / "config.yaml").write_text("Task: openfield")
    path = write_config(project / FOLDER / "snapshot-best-010.pt", pytorch_config())
    write_snapshot(path, deeplabcut_snapshot("resnet_50"), epoch=10)
    return path


def test_snapshot_finds_the_points_that_deeplabcut_finds(snapshot):
    predictor, golden = predictor_of_snapshot(snapshot), np.load(GOLDEN / "deeplabcut_poses.npz")
    found = {name: np.asarray(value)[0] for name, value in predictor.predict(golden["frame"][None]).items()}
    assert np.abs(found["keypoints"] - golden["poses"][:, :2]).max() < 1e-3
    assert np.abs(found["likelihood"] - golden["poses"][:, 2]).max() < 1e-5
    assert found["covariance"].shape == (3, 2, 2) and found["second"].shape == (3, 3)
    assert predictor.bodyparts == BODYPARTS and predictor.channels == 3
    assert predictor.origin["snapshot"] == str(snapshot) and len(predictor.origin["snapshot_sha256"]) == 64
    assert predictor.origin["training_step"] == "10" and predictor.project == str(snapshot.parents[4])
    assert predictor.origin["scorer"] == "DLC_Resnet50_openfieldOct30shuffle3_snapshot_best-10"


def test_snapshot_of_the_tensorflow_engine_finds_the_best_cells_of_its_maps(tmp_path):
    path = write_config(tmp_path / FOLDER / "snapshot-1030000.npz", pose_cfg())
    np.savez(path, **checkpoint(50))
    golden, predictor = np.load(GOLDEN / "tf_slim.npz"), predictor_of_snapshot(path)
    maps, offsets = golden["resnet50/odd/part_pred"][0], golden["resnet50/odd/locref_pred"][0]
    found = {name: np.asarray(value)[0] for name, value in predictor.predict(golden["images/odd"]).items()}
    for k in range(3):
        row, column = np.unravel_index(maps[..., k].argmax(), maps.shape[:2])
        point = 8 * np.array([column, row]) + 4 + 7.2801 * offsets[row, column, 2 * k : 2 * k + 2]
        np.testing.assert_allclose(found["keypoints"][k], point, atol=0.02)
        np.testing.assert_allclose(found["likelihood"][k], 1 / (1 + np.exp(-maps[row, column, k])), atol=1e-4)
    assert predictor.origin["scorer"] == "DLC_resnet50_openfieldOct30shuffle3_1030000"


@pytest.mark.parametrize(
    "path, value, words",
    [
        ("method", "td", "'resnet_50' with method = 'td'"),
        ("model.backbone.type", "HRNet", "model.backbone.type = 'HRNet'"),
        ("model.backbone.type", "DLCRNet", "model.backbone.type = 'DLCRNet'"),
        ("model.backbone.output_stride", 32, "output_stride = '32'"),
        ("model.neck", {"type": "Transformer"}, "model.neck = 'set'"),
        ("model.heads.identity", {"type": "HeatmapHead"}, "model.heads.identity = 'set'"),
        (f"{HEAD}.type", "DLCRNetHead", "type = 'DLCRNetHead'"),
        (f"{HEAD}.heatmap_config.kernel_size", [3, 3], "kernel_size = '3, 3'"),
        (f"{HEAD}.locref_config.strides", [4], "strides = '4'"),
        ("data.colormode", "BGR", "data.colormode = 'BGR'"),
        ("data.inference.normalize_images", False, "normalize_images = 'false'"),
        ("data.inference.resize", {"height": 300, "width": 300}, "resize = 'set'"),
    ],
)
def test_another_network_is_named(tmp_path, path, value, words):
    file = write_config(tmp_path / "snapshot-200.pt", changed(pytorch_config(), path, value))
    with pytest.raises(InputError, match="pytorch_config.yaml: is of a network that pawjax does not run") as caught:
        read_snapshot_config(file)
    assert words in str(caught.value) and "single-animal ResNets of 50, 101 or 152 layers" in str(caught.value)


@pytest.mark.parametrize(
    "path, value, words",
    [
        ("metadata.individuals", ["a", "b"], "for 2 animals"),
        ("metadata.bodyparts", [], "'metadata.bodyparts' is not a list of names"),
        ("metadata.bodyparts", ["a", "b", "a"], "names 'a' twice"),
        ("model.backbone.model_name", "resnet34", "model_name is 'resnet34' and must be resnet50"),
        (f"{HEAD}.predictor.locref_std", -1, "locref_std is '-1' and must be a number from 0.1 to 10000"),
        (f"{HEAD}.predictor.locref_std", {}, "locref_std is '' and must be a number from 0.1 to 10000"),
        (f"{HEAD}.predictor.apply_sigmoid", "perhaps", "apply_sigmoid is 'perhaps' and must be true or false"),
        ("model", "lost", "network that pawjax does not run"),
    ],
)
def test_odd_fields_are_named(tmp_path, path, value, words):
    file = write_config(tmp_path / "snapshot-200.pt", changed(pytorch_config(), path, value))
    with pytest.raises(InputError, match="pytorch_config.yaml: ") as caught:
        read_snapshot_config(file)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "path, value, words",
    [
        ("net_type", "mobilenet_v2_1.0", "'mobilenet_v2_1.0' with dataset_type"),
        ("dataset_type", "multi-animal-imgaug", "'multi-animal-imgaug'"),
        ("mean_pixel", [0, 0, 0], "mean_pixel = '0, 0, 0'"),
        ("stride", 4.0, "stride = '4'"),
    ],
)
def test_another_network_of_the_tensorflow_engine_is_named(tmp_path, path, value, words):
    file = write_config(tmp_path / "snapshot-5.npz", changed(pose_cfg(), path, value))
    with pytest.raises(InputError, match="pose_cfg.yaml: is of a network that pawjax does not run") as caught:
        read_snapshot_config(file)
    assert words in str(caught.value)


def test_settings_of_the_decoder_are_read(tmp_path, warnings):  # noqa: F811
    file, fields = tmp_path / "snapshot-5.pt", changed(pytorch_config(), f"{HEAD}.predictor.apply_sigmoid", "True")
    config = read_snapshot_config(write_config(file, fields))
    assert config.sigmoid and config.locref_stdev == 7.2801 and (config.backbone, config.norm) == ("resnet50", "group")
    fields = changed(pytorch_config(), f"{HEAD}.predictor.location_refinement", False)
    assert read_snapshot_config(write_config(file, fields)).locref_stdev is None
    fields = changed(pytorch_config(), "model.backbone.model_name", "resnet101.a1h_in1k")
    assert read_snapshot_config(write_config(file, fields)).norm == "frozen" and not warnings()
    read_snapshot_config(write_config(file, changed(pytorch_config(), f"{HEAD}.predictor.clip_scores", False)))
    assert "clip_scores is false" in warnings()[0]


def test_files_that_are_no_snapshot_are_named(tmp_path, snapshot):
    def refuse(path: Path, words: str) -> None:
        with pytest.raises(InputError, match=words):
            predictor_of_snapshot(path)

    refuse(tmp_path / "snapshot-9.pt", "snapshot-9.pt: there is no such snapshot")
    refuse(snapshot.parent, "train: is a folder; give one of its snapshots: snapshot-best-010.pt")
    refuse(tmp_path, "is a folder; it holds no snapshot")
    for name, words in {
        "notes.txt": "notes.txt: is no snapshot of DeepLabCut: give a .pt",
        "snapshot-5.index": "is a checkpoint of TensorFlow; convert it with third_party/tf_slim/convert.py",
        "snapshot-detector-200.pt": "is DeepLabCut's detector",
        "snapshot-200.pt": "pytorch_config.yaml: is missing, which names .* the bodyparts of snapshot-200.pt",
        "snapshot-200.npz": "pose_cfg.yaml: is missing",
    }.items():
        (tmp_path / name).write_text("no tensors")
        refuse(tmp_path / name, words)
    refuse(tmp_path / "snapshot-5", "is a checkpoint of TensorFlow")  # a prefix, as DeepLabCut names it
    write_config(tmp_path / "snapshot-200.pt", pytorch_config())
    refuse(tmp_path / "snapshot-200.pt", "snapshot-200.pt: not a PyTorch")
    (tmp_path / "pytorch_config.yaml").write_text("a: [1\nb: }")
    refuse(tmp_path / "snapshot-200.pt", "pytorch_config.yaml: is not readable YAML .* restore the file")
    (tmp_path / "pytorch_config.yaml").write_text("text")
    refuse(tmp_path / "snapshot-200.pt", "pytorch_config.yaml: holds no 'field: value' lines")


@pytest.mark.parametrize(
    "path, value, words",
    [
        ("metadata.bodyparts", ["snout"], "has no scoremap and no locref for the 1 bodyparts of pytorch_config.yaml"),
        ("model.backbone.model_name", "resnet101", "weights of another network.*resnet50.*says 'resnet_50'"),
    ],
)
def test_snapshot_of_another_training_than_its_config_is_refused(tmp_path, snapshot, path, value, words):
    other = write_config(tmp_path / "snapshot-200.pt", changed(pytorch_config(), path, value))
    other.unlink()
    other.symlink_to(snapshot)
    with pytest.raises(InputError, match=words):
        predictor_of_snapshot(other)


def test_without_location_refinement_offsets_are_zero(tmp_path, snapshot):
    fields = changed(pytorch_config(), f"{HEAD}.predictor.location_refinement", False)
    other = write_config(tmp_path / "snapshot-200.pt", fields)
    other.unlink()
    other.symlink_to(snapshot)
    params = predictor_of_snapshot(other).predict.args[0]["params"]
    assert not np.any(params["locref"]["kernel"]) and np.any(params["scoremap"]["kernel"])


@pytest.mark.parametrize(
    "name, number", [("snapshot-best-010.pt", "snapshot_best-10"), ("snapshot-200.pt", "snapshot_200"), ("a.pt", "a")]
)
def test_scorer_without_the_folder_of_deeplabcut(tmp_path, name, number, warnings):  # noqa: F811
    from pawjax.inference.snapshots import scorer_of_snapshot

    path = write_config(tmp_path / name, pytorch_config())
    assert scorer_of_snapshot(path, read_snapshot_config(path)) == f"DLC_Resnet50_{number}"
    assert "its folder is not named as DeepLabCut does" in warnings()[0]

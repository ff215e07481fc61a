"""From `config.data` through the prepared set to frames in memory, and the error messages."""

import dataclasses
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pawjax import data
from pawjax.data import builders, pictures, prepared
from pawjax.data.config import PawOnBallConfig
from pawjax.data.label_table import LabelTable, merge_tables
from pawjax.data.symmetry import pair_indices
from pawjax.errors import InputError

REPOSITORY = Path(__file__).parents[2]
SMALL = PawOnBallConfig(n_frames=3, height=48, width=64)


def test_frames_come_back_exactly(make_project, data_config, pixels):
    project = make_project(videos={"m1": 3, "m2": 2}, channels=3)
    odd = pixels(99, 30, 20, channels=3)
    Image.fromarray(odd).save(project / "labeled-data/m1/img001.png")
    frames = data.load(data_config(source="deeplabcut", path=project))
    assert frames.images.shape == (5, 30, 32, 3) and frames.images.dtype == np.uint8
    np.testing.assert_array_equal(frames.sizes, [[24, 32], [30, 20], [24, 32], [24, 32], [24, 32]])
    np.testing.assert_array_equal(frames.images[1, :30, :20], odd)
    np.testing.assert_array_equal(frames.images[0, :24], pixels(0, channels=3))
    assert not frames.images[0, 24:].any() and not frames.images[1, :, 20:].any()
    assert frames.videos == ("m1", "m1", "m1", "m2", "m2") and frames.bodyparts == ("snout", "tail")
    assert frames.ids[3] == "labeled-data/m2/img000.png"
    assert frames.keypoints.dtype == np.float32 and frames.labelled.dtype == bool


def test_missing_labels_are_zero_and_unlabelled(make_project, data_config):
    project = make_project()
    table = project / "labeled-data/m1/CollectedData_Ann.csv"
    lines = table.read_text().splitlines()
    lines[4] = ",".join([*lines[4].split(",")[:3], "", ""])
    table.write_text("\n".join(lines))
    frames = data.load(data_config(source="deeplabcut", path=project))
    assert frames.labelled.tolist() == [[[True, True]], [[True, False]], [[True, True]]]
    np.testing.assert_array_equal(frames.keypoints[1, 0, 1], [0, 0])
    expected = np.array(lines[3].split(",")[1:], np.float64).reshape(2, 2)
    np.testing.assert_array_equal(frames.keypoints[0, 0], expected.astype(np.float32))


def test_openfield(shared_data, data_config):
    config = data_config(source="deeplabcut", path=shared_data / "openfield-Pranav-2018-10-30")
    frames = data.load(config)
    assert frames.images.shape == (116, 480, 640, 1)  # saved as RGB, but gray
    assert frames.labelled.all() and frames.bodyparts == ("snout", "leftear", "rightear", "tailbase")
    np.testing.assert_allclose(frames.keypoints[0, 0, 3], [87.11, 152.698], rtol=1e-7)
    with Image.open(Path(config.path) / frames.ids[50]) as image:
        np.testing.assert_array_equal(frames.images[50, ..., 0], np.asarray(image)[..., 1])
    config = dataclasses.replace(config, split_file=str(shared_data / "splits/openfield_seed0.json"))
    assert [len(rows) for rows in data.split(config, frames).values()] == [81, 12, 23]


def test_mirror_mouse(shared_data, data_config):
    config = data_config(source="lightning_pose", path=shared_data / "mirror-mouse-example")
    frames = data.load(config)
    assert frames.images.shape == (90, 406, 396, 1) and frames.keypoints.shape == (90, 1, 17, 2)
    assert frames.labelled.sum() == 1396 and set(frames.videos) == {"labeled-data"}
    config = dataclasses.replace(config, split_file=str(shared_data / "splits/mirror_mouse_seed0.json"))
    assert [len(rows) for rows in data.split(config, frames).values()] == [63, 9, 18]


@pytest.mark.parametrize(
    ("source", "name", "fingerprint"),
    [
        (
            "deeplabcut",
            "openfield-Pranav-2018-10-30",
            "b02898fb98491720fa18dc9886002b5b",
        ),
        ("lightning_pose", "mirror-mouse-example", "783cd2e76394e1689dbff9ab26b60adc"),
    ],
)
def test_fingerprints_of_existing_runs_are_stable(shared_data, data_config, source, name, fingerprint):
    assert data.load(data_config(source=source, path=shared_data / name)).fingerprint[:32] == fingerprint


def test_fingerprint_of_synthetic_frames_is_stable(data_config):
    frames = data.load(data_config(paw_on_ball=PawOnBallConfig(n_frames=6, height=48, width=64)))
    assert frames.fingerprint == "361095af5ff73f609717c08a2ea489ef8b1298969a93ac2edb9c7f17e7882fea"


def test_records_in_another_format_are_prepared_again(data_config, tmp_path, monkeypatch):
    config = data_config(paw_on_ball=SMALL)
    first = data.load(config)
    monkeypatch.setattr("pawjax.data.sources.FORMAT_VERSION", "0.0.1")
    assert data.load(config).fingerprint == first.fingerprint
    assert len([path for path in tmp_path.glob("cache/*/*") if path.is_dir()]) == 2


def _refuse_to_write(*_args):
    raise AssertionError("prepared again")


def test_second_load_uses_the_prepared_set(make_project, data_config, monkeypatch):
    config = data_config(source="deeplabcut", path=make_project())
    first = data.load(config)
    monkeypatch.setattr("pawjax.data.sources.write_dataset", _refuse_to_write)
    second = data.load(config)
    np.testing.assert_array_equal(first.images, second.images)
    assert first.fingerprint == second.fingerprint


def test_relabelling_and_new_images_rebuild(make_project, data_config, pixels):
    project = make_project()
    config = data_config(source="deeplabcut", path=project)
    fingerprints = [data.load(config).fingerprint]
    table = project / "labeled-data/m1/CollectedData_Ann.csv"
    lines = table.read_text().splitlines()
    lines[3] = ",".join([lines[3].split(",")[0], "1.5", *lines[3].split(",")[2:]])
    table.write_text("\n".join(lines))
    frames = data.load(config)
    assert frames.keypoints[0, 0, 0, 0] == 1.5
    fingerprints.append(frames.fingerprint)
    Image.fromarray(pixels(50)).save(project / frames.ids[2])
    frames = data.load(config)
    np.testing.assert_array_equal(frames.images[2, ..., 0], pixels(50))
    assert len({*fingerprints, frames.fingerprint}) == 3


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_nothing_is_written_into_the_project(make_project, data_config):
    project = make_project()
    before = _listing(project)
    data.load(data_config(source="deeplabcut", path=project))
    assert _listing(project) == before


def test_moved_project_and_path_to_its_config(make_project, data_config, tmp_path):
    project = make_project()
    first = data.load(data_config(source="deeplabcut", path=project))
    moved = shutil.move(project, tmp_path / "elsewhere (new)")
    second = data.load(data_config(source="deeplabcut", path=Path(moved) / "config.yaml"))
    assert first.fingerprint == second.fingerprint


def test_plain_tfds_reads_what_is_prepared(make_project, data_config, tmp_path, pixels):
    data.load(data_config(source="deeplabcut", path=make_project()))
    (info,) = tmp_path.glob("cache/deeplabcut-reach-Ann-2024-01-02/*/deeplabcut/*/dataset_info.json")
    source = tfds.builder_from_directory(info.parent).as_data_source(split="frames")
    record = source[1]
    np.testing.assert_array_equal(record["image"][..., 0], pixels(1))
    assert record["id"] == b"labeled-data/m1/img001.png" and record["keypoints"].shape == (1, 2, 2)


def test_bodyparts_are_chosen_by_name(make_project, data_config):
    project = make_project(bodyparts=("snout", "leftear", "tail"))
    every = data.load(data_config(source="deeplabcut", path=project))
    some = data.load(data_config(source="deeplabcut", path=project, bodyparts=("tail", "snout")))
    assert some.bodyparts == ("tail", "snout")
    np.testing.assert_array_equal(some.keypoints, every.keypoints[:, :, [2, 0]])
    for names, words in (
        (("tial",), "there is no bodypart 'tial' among snout, leftear, tail; did you mean 'tail'"),
        (("tail", "tail"), "'tail' is named twice"),
    ):
        with pytest.raises(InputError, match=f"config.data.bodyparts: {words}"):
            data.load(data_config(source="deeplabcut", path=project, bodyparts=names))


def test_bodyparts_are_chosen_in_either_unicode_form(make_project, data_config):
    project = make_project(bodyparts=("snout", "R\u00fccken", "Fu\u0308\u00dfe"))
    names = ("Ru\u0308cken", "F\u00fc\u00dfe")
    frames = data.load(data_config(source="deeplabcut", path=project, bodyparts=names))
    assert frames.bodyparts == ("R\u00fccken", "Fu\u0308\u00dfe")  # as config.yaml spells them
    assert pair_indices([names], frames.bodyparts) == ((0, 1),)


def test_all_missing_and_broken_images_at_once(make_project, data_config, tmp_path):
    project = make_project(videos={"m1": 4, "m2": 1})
    (project / "labeled-data/m1/img001.png").unlink()
    (project / "labeled-data/m2/img000.png").unlink()
    cut = project / "labeled-data/m1/img003.png"
    cut.write_bytes(cut.read_bytes()[:300])
    with pytest.raises(InputError) as error:
        data.load(data_config(source="deeplabcut", path=project))
    text = str(error.value)
    assert "3 of 5 labelled images" in text and "1 truncated or damaged (labeled-data/m1/img003.png" in text
    assert "2 missing (labeled-data/m1/img001.png, labeled-data/m2/img000.png)" in text


@pytest.mark.parametrize("point", ["-0.6,3", "32.1,3", "3,-7", "3,24.2"])
def test_labels_outside_the_image(make_project, data_config, tmp_path, point):
    project = make_project()
    table = project / "labeled-data/m1/CollectedData_Ann.csv"
    lines = table.read_text().splitlines()
    lines[4] = f"labeled-data/m1/img001.png,1,1,{point}"
    table.write_text("\n".join(lines))
    with pytest.raises(InputError, match="1 labels lie outside.*tail at .* in labeled-data/m1/img001.png of 32x24"):
        data.load(data_config(source="deeplabcut", path=project))
    assert [path.name for path in tmp_path.glob("cache/*/*")] == [".lock"]  # nothing incomplete is left


def test_labels_on_the_border_are_fine(make_project, data_config):
    project = make_project()
    table = project / "labeled-data/m1/CollectedData_Ann.csv"
    lines = table.read_text().splitlines()
    lines[3] = "labeled-data/m1/img000.png,-0.5,-0.5,32,24"
    table.write_text("\n".join(lines))
    frames = data.load(data_config(source="deeplabcut", path=project))
    np.testing.assert_array_equal(frames.keypoints[0, 0], [[-0.5, -0.5], [32, 24]])


def test_no_label_at_all(make_project, data_config):
    project = make_project(videos={"m1": 2})
    table = project / "labeled-data/m1/CollectedData_Ann.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:3], *(line.split(",")[0] + ",,,," for line in lines[3:])]))
    with pytest.raises(InputError, match="none of its 2 frames has a label"):
        data.load(data_config(source="deeplabcut", path=project))


def test_paw_on_ball_equals_rendered_frames(data_config):
    frames = data.load(data_config(paw_on_ball=SMALL))
    from pawjax.data.paw_on_ball import render

    for index in range(3):
        drawn = render(index, seed=0, height=48, width=64)
        np.testing.assert_array_equal(frames.images[index], drawn.image)
        assert frames.labelled[index, 0, 0] == drawn.labelled
        np.testing.assert_array_equal(frames.keypoints[index, 0, 0], drawn.keypoint * drawn.labelled)
        assert frames.videos[index] == drawn.video and frames.ids[index].endswith(f"{drawn.video}/img{index:04d}.png")
    other = data.load(data_config(paw_on_ball=dataclasses.replace(SMALL, seed=1)))
    assert other.fingerprint != frames.fingerprint and (other.images != frames.images).any()


def test_unwritable_or_full_cache_is_reported(make_project, data_config, tmp_path, monkeypatch):
    project = make_project()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written there.*config.data.cache"):
        data.load(data_config(source="deeplabcut", path=project, cache=tmp_path / "file"))
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(InputError, match="0 MB are free.*make room"):
        data.load(data_config(source="deeplabcut", path=project))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("*/*/*.array_record*", Path.unlink),
        ("*/*/*.array_record*", _flip),
        ("*/*/dataset_info.json", _flip),
        ("*/*/features.json", lambda path: path.write_text("")),
        ("hashes.json", Path.unlink),  # as prepared by older versions
        ("*", lambda path: shutil.rmtree(path) if path.is_dir() else None),
    ],
)
def test_damaged_set_is_made_anew(make_project, data_config, tmp_path, capsys, name, damage):
    config = data_config(source="deeplabcut", path=make_project(videos={"m1": 1}))
    first = data.load(config)
    (folder,) = [path for path in tmp_path.glob("cache/*/*") if path.is_dir()]
    for path in list(folder.glob(name)):
        damage(path)
    for said in (True, False):
        capsys.readouterr()
        again = data.load(config)
        np.testing.assert_array_equal(again.images, first.images)
        np.testing.assert_array_equal(again.keypoints, first.keypoints)
        assert again.fingerprint == first.fingerprint
        assert capsys.readouterr().err.count("the prepared data is made anew from its source, because") == said
    assert sorted(path.name for path in folder.parent.iterdir()) == [".lock", folder.name]


def test_full_disk_in_the_writer_of_records(tmp_path, make_project, data_config, monkeypatch):
    """array_record says what the disk said only in its text; it is made to fail by a limit on the size of files."""
    project = make_project(videos={"m1": 2}, channels=3)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)).save(
        project / "labeled-data/m1/img000.png"
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputError, match="the prepared data cannot be written there .File too large."):
            data.load(data_config(source="deeplabcut", path=project))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.glob("cache/*/*")] == [".lock"]


def test_deep_images_come_back_by_the_range_of_the_set(make_project, data_config, pixels):
    project = make_project(videos={"m1": 2})
    deep = [pixels(index).astype(np.uint16) * 16 + 200 for index in range(2)]
    for index, image in enumerate(deep):
        Image.fromarray(image).save(project / f"labeled-data/m1/img{index:03d}.png")
    for _ in range(2):  # prepared, then read
        frames = data.load(data_config(source="deeplabcut", path=project))
        assert frames.value_range == (200.0, 200.0 + 255 * 16)
        np.testing.assert_array_equal(frames.images[..., 0], [pixels(0), pixels(1)])
    assert frames.select_bodyparts(("tail",)).value_range == frames.value_range
    Image.fromarray(pixels(0)).save(project / "labeled-data/m1/img000.png")
    with pytest.raises(InputError, match="differ in depth, 1 16-bit .*img001.png.; 1 8-bit .*img000.png"):
        data.load(data_config(source="deeplabcut", path=project))


def test_padding_is_warned_of_and_refused_beyond_the_memory(make_project, data_config, pixels, monkeypatch, capsys):
    project = make_project(videos={"m1": 4})
    Image.fromarray(pixels(9, 240, 320)).save(project / "labeled-data/m1/img002.png")
    config = data_config(source="deeplabcut", path=project)
    monkeypatch.setattr("pawjax.machine.available_memory", lambda: 4 * 240 * 320 - 1)
    with pytest.raises(InputError, match="4 frames, padded to 320x240, need .* the largest is .*img002.png"):
        data.load(config)
    monkeypatch.setattr("pawjax.machine.available_memory", lambda: 4 * 240 * 320)
    data.load(config)
    assert "padding" not in capsys.readouterr().err  # less than 1 GB
    monkeypatch.setattr("pawjax.data.sources.PADDING_BYTES", 3e5)
    monkeypatch.setattr("pawjax.data.sources.PADDING_FACTOR", 3.8)
    data.load(config)
    assert "padding to 320x240 takes 4 times the memory" in (said := capsys.readouterr().err)
    assert "img002.png (320x240) smaller" in said
    monkeypatch.setattr("pawjax.machine.available_memory", lambda: 0)
    with pytest.raises(InputError, match="4 frames, padded to 320x240, need"):
        data.load(config)  # prepared already


def test_too_many_synthetic_frames_are_refused_before_they_are_drawn(data_config, tmp_path):
    scene = PawOnBallConfig(n_frames=10**6, height=8192, width=8192)
    with pytest.raises(InputError, match="need 6.71e.04 GB of memory and .* make config.data.paw_on_ball.n_frames, h"):
        data.load(data_config(paw_on_ball=scene))
    assert not (tmp_path / "cache").exists()


def test_large_sets_are_written_in_chunks(tmp_path, monkeypatch, pixels):
    monkeypatch.setattr(builders, "CHUNK", 2)
    ids = [f"labeled-data/m/{index}.png" for index in range(5)]
    (tmp_path / "labeled-data/m").mkdir(parents=True)
    for index, frame in enumerate(ids):
        Image.fromarray(pixels(index)).save(tmp_path / frame)
    points, absent = np.ones((5, 1, 1, 2)), np.zeros((5, 1, 1), bool)
    table = merge_tables(tmp_path, [LabelTable(tmp_path, tuple(ids), ("p",), points, absent)])
    look = pictures.inspect_pictures(tmp_path, ids)
    make = builders.LightningPose
    builders.write_dataset(lambda data_dir: make(table, tmp_path, look, "f", data_dir=data_dir), tmp_path / "out")
    frames = builders.read_dataset(tmp_path / "out")
    assert frames.ids == tuple(ids)
    np.testing.assert_array_equal(frames.images[..., 0], [pixels(index) for index in range(5)])


SCRIPT = """
import socket, sys
def shout(*args):
    print("network")
    raise OSError
socket.getaddrinfo = socket.socket.connect = shout
from pawjax import data
from pawjax.data.config import PawOnBallConfig
config = data.DataConfig(paw_on_ball=PawOnBallConfig(n_frames=33, height=24, width=32))
print(len(data.load(config)), "tensorflow" in sys.modules)
"""


def test_script_without_main_guard_prepares_silently(tmp_path):
    """33 frames start two workers, which must not rerun the script; TFDS must not print."""
    (tmp_path / "script.py").write_text(SCRIPT)
    home = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PAWJAX_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, tmp_path / "script.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=home, cwd=tmp_path, timeout=120, check=True)
    assert done.stdout == "33 False\n"
    assert all(line.startswith("preparing paw_on_ball ") for line in done.stderr.splitlines())

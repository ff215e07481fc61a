"""Images that are not where their rows say."""

import numpy as np
import pytest

from pawjax import data
from pawjax.data.image_files import find_images
from pawjax.data.label_table import LabelTable
from pawjax.errors import InputError

COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


def found(root, files, beside="labeled-data/m1", on_disk=()):
    """Files and number of images beside the table that `find_images` finds with these files on disk."""
    for file in on_disk:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    table = LabelTable(root, tuple(files), ("p",), np.ones((len(files), 1, 1, 2)), np.zeros((len(files), 1, 1), bool))
    table, n_beside = find_images(table, root, beside)
    return list(table.files), n_beside


def test_image_is_where_its_row_says(tmp_path):
    here, there = "labeled-data/m1/0.png", "labeled-data/m2/0.png"
    assert found(tmp_path, [here, there], on_disk=[here, there]) == ([here, there], 0)


@pytest.mark.parametrize("row", ["0.png", "labeled-data/renamed/0.png", "C:/data/m9/0.png"])
def test_image_is_beside_its_table(tmp_path, row):
    assert found(tmp_path, [row], on_disk=["labeled-data/m1/0.png"]) == (["labeled-data/m1/0.png"], 1)
    assert found(tmp_path, [row], beside="") == ([row], 0)  # Lightning Pose: a table belongs to no folder of images


def test_image_that_is_missing_is_not_taken_from_another_folder(tmp_path):
    here, other = "labeled-data/m1/0.png", "labeled-data/m2/1.png"
    assert found(tmp_path, ["labeled-data/m2/0.png"], on_disk=[here, other]) == (["labeled-data/m2/0.png"], 0)
    two = ["labeled-data/gone/0.png", "labeled-data/also-gone/0.png"]
    assert found(tmp_path, two) == (two, 0)
    assert found(tmp_path, ["labeled-data/gone/2.png"]) == (["labeled-data/gone/2.png"], 0)


def test_either_unicode_form_on_disk(tmp_path):
    rows = [f"labeled-data/m{COMPOSED}/{COMPOSED}.png", f"labeled-data/m{DECOMPOSED}/1.png"]
    disk = [f"labeled-data/m{DECOMPOSED}/{DECOMPOSED}.png", f"labeled-data/m{DECOMPOSED}/1.png"]
    assert found(tmp_path, rows, on_disk=disk) == (disk, 0)
    assert found(tmp_path, [f"{COMPOSED}.png"], f"labeled-data/m{DECOMPOSED}") == (disk[:1], 1)
    assert found(tmp_path, [f"labeled-data/{COMPOSED}.png"]) == ([f"labeled-data/{COMPOSED}.png"], 0)


@pytest.mark.parametrize("prefix", ["", "labeled-data/old name/"])
def test_frames_of_rows_with_other_paths(make_project, data_config, warnings, prefix, pixels):
    project = make_project(videos={"m1": 3, "m2": 2})
    expected = data.load(data_config(source="deeplabcut", path=project))
    for video in ("m1", "m2"):
        table = project / f"labeled-data/{video}/CollectedData_Ann.csv"
        table.write_text(table.read_text().replace(f"labeled-data/{video}/", prefix))
    frames = data.load(data_config(source="deeplabcut", path=project))
    assert (frames.ids, frames.videos, frames.fingerprint) == (expected.ids, expected.videos, expected.fingerprint)
    np.testing.assert_array_equal(frames.images[4, ..., 0], pixels(1))
    (text,) = warnings()
    assert "5 rows of the label tables in m1, m2 name images that are not there; the images of the same names" in text


def test_an_old_run_on_decomposed_names_keeps_its_fingerprint(make_project, data_config, monkeypatch):
    """The fingerprint holds the paths as they are on disk, the ids their composed form."""
    project = make_project(videos={f"m{DECOMPOSED}": 2, "mf": 1})
    monkeypatch.setattr("pawjax.data.label_table.nfc", str)  # as before names were composed
    before = data.load(data_config(source="deeplabcut", path=project))
    monkeypatch.undo()
    after = data.load(data_config(source="deeplabcut", path=project))
    assert before.ids[0] == f"labeled-data/m{DECOMPOSED}/img000.png" and after.ids[0] == before.ids[0].replace(
        DECOMPOSED, COMPOSED
    )
    assert before.fingerprint == after.fingerprint and after.videos == (f"m{COMPOSED}", f"m{COMPOSED}", "mf")
    np.testing.assert_array_equal(before.images, after.images)
    (project / before.ids[0]).unlink()
    with pytest.raises(InputError, match="1 missing"):
        data.load(data_config(source="deeplabcut", path=project))

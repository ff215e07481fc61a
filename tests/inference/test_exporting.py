"""What an export compares and what it overwrites; `tests/integration/test_export.py` exports a run."""

import hashlib
import json

import numpy as np
import pytest

from pawjax import export
from pawjax.errors import InputError
from pawjax.inference.exporting import TOLERANCE, check_target, compare, predict


def points():
    rng = np.random.default_rng(0)
    return {
        "keypoints": rng.uniform(0, 600, (4, 2, 2)).astype(np.float32),
        "likelihood": rng.uniform(0.1, 1, (4, 2)).astype(np.float32),
        "covariance": rng.uniform(0, 50, (4, 2, 2, 2)).astype(np.float32),
        "second": np.concatenate([rng.uniform(0, 600, (4, 2, 2)), rng.uniform(0.1, 1, (4, 2, 1))], -1),
    }


@pytest.mark.parametrize("name, change", [("keypoints", 0.02), ("likelihood", 2e-4), ("covariance", 2.0)])
def test_differences_beyond_the_tolerance_are_seen(name, change):
    found, expected = points(), points()
    assert compare(found, expected) == dict.fromkeys(expected, 0.0)
    found[name][2, 1] += change
    differences = compare(found, expected)
    assert [output for output, value in differences.items() if value > TOLERANCE[output]] == [name]
    found[name][2, 1] = np.nan
    assert compare(found, expected)[name] == np.inf
    del found[name]
    assert compare(found, expected)[name] == np.inf


def test_second_places_count_where_they_are_likely():
    found, expected = points(), points()
    found["second"][0, 0, 0] += 0.02
    assert compare(found, expected)["second"] == pytest.approx(0.02)
    found["second"][0, 0, 0] = expected["second"][0, 0, 0]
    found["second"][0, 0, 2] += 2e-4
    assert compare(found, expected)["second"] == pytest.approx(0.02)  # two tolerances
    found, expected = points(), points()
    found["second"][0, 0] = [5, 5, 1e-3]
    expected["second"][0, 0] = [500, 5, 1e-3]
    assert compare(found, expected)["second"] == 0


def test_frames_are_predicted_in_batches_of_the_exported_size():
    shapes = []

    def program(images):
        shapes.append(images.shape)
        return {"likelihood": images[:, 0, 0]}

    frames = np.arange(7 * 12, dtype=np.uint8).reshape(7, 3, 4, 1)
    np.testing.assert_array_equal(predict(program, frames, 3)["likelihood"], frames[:, 0, 0])
    assert shapes == 3 * [(3, 3, 4, 1)]
    np.testing.assert_array_equal(predict(program, frames, 0)["likelihood"], frames[:, 0, 0])
    assert shapes[-1] == (7, 3, 4, 1)


def test_only_what_was_exported_is_overwritten(tmp_path):
    path, about = tmp_path / "net.jax", tmp_path / "net.jax.json"
    assert check_target(path) == ""
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="net.jax was not exported by pawjax, or was changed since: move it"):
        check_target(path)
    digest = hashlib.sha256(b"mine").hexdigest()
    for field in ("sha256", "replaced_sha256"):  # the second: a kill came between the two files
        about.write_text(json.dumps({"exported_by": "pawjax", "sha256": "new", "replaced_sha256": "", field: digest}))
        assert check_target(path) == digest
    path.write_bytes(b"changed")
    with pytest.raises(InputError, match="was changed since"):
        check_target(path)
    path.unlink()
    for text in ('{"mine": 1}', "[]", "{"):
        about.write_text(text)
        with pytest.raises(InputError, match="net.jax.json (was not written by pawjax|is damaged).*move it elsewhere"):
            check_target(path)


@pytest.mark.parametrize("text", ["640", "0x5", "480x", "480*640", "-4x8", "100000x4", "15x900", "480x640x3"])
def test_wrong_sizes(text):
    with pytest.raises(InputError, match=r"--size=.* must be HEIGHTxWIDTH"):
        export.size_of(text)
    assert export.size_of("480x640") == (480, 640) and export.size_of("") is None

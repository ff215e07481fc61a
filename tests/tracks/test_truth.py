"""The errors of tracks against a table of true points."""

import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.tracks.truth import compare_with_truth

TABLE = "scorer,me,me,me,me\nbodyparts,b,b,z,z\ncoords,x,y,x,y\n0,13.0,24.0,1,1\n1,,,1,1\n2,10.0,20.0,,\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text(TABLE)
    return path


def test_errors_are_those_of_points_with_truth(make_tracks, table):
    tracks = make_tracks(np.full((3, 1, 2, 2), (10, 20)))
    numbers = compare_with_truth(tracks, table, 0.6)  # of b only: 5 px in frame 0, 0 px in frame 2
    assert (numbers["n_images"], numbers["n_points"]) == (3, 2)
    assert numbers["mean_error_px"] == 2.5 and numbers["rmse_px"] == pytest.approx(np.sqrt(12.5))
    assert list(numbers["per_bodypart"]) == ["b"]


def test_other_tables_are_refused(make_tracks, table):
    with pytest.raises(InputError, match="has 3 frames, the video 2"):
        compare_with_truth(make_tracks(np.zeros((2, 1, 2, 2))), table, 0.6)
    with pytest.raises(InputError, match="has the bodyparts b, z, the tracks a"):
        compare_with_truth(make_tracks(np.zeros((3, 1, 1, 2))), table, 0.6)
    table.write_text(TABLE.replace("coords,x,y", "coords,y,y"))
    with pytest.raises(InputError, match="must have columns x and y once"):
        compare_with_truth(make_tracks(np.zeros((3, 1, 2, 2))), table, 0.6)

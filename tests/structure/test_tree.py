"""A tree in other frames and in its file."""

import dataclasses
import json

import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.structure import Tree, read_tree, write_tree

NAMES = ("left", "right", "nose")
TREE = Tree(
    *(np.array([2, 2]), np.array([0, 1]), np.array([[-9.5, 2], [8, 3]]), np.array([[4.0, 9], [1, 16]])),
    *(np.array([7, 5]), np.array([9.0, 8.5]), np.array([4.5, 2])),
)
FIELDS = ("parents", "children", "offset", "variance", "n_frames", "distance", "distance_variance")


def same(tree, other):
    for field in FIELDS:
        np.testing.assert_allclose(getattr(tree, field), getattr(other, field), err_msg=field)


def test_scaled():
    tree = TREE.scaled(0.5)
    np.testing.assert_allclose(tree.offset, TREE.offset / 2)
    np.testing.assert_allclose(tree.variance, TREE.variance / 4)
    np.testing.assert_allclose(tree.distance, TREE.distance / 2)
    np.testing.assert_allclose(tree.distance_variance, TREE.distance_variance / 4)


def test_mirrored_points_have_the_mirrored_tree():
    """The right of a mirrored frame is where the left was."""
    tree = TREE.mirrored([(0, 1)])
    assert (tree.parents.tolist(), tree.children.tolist()) == ([2, 2], [1, 0])
    np.testing.assert_allclose(tree.offset, [[9.5, 2], [-8, 3]])
    same(tree.mirrored([(0, 1)]), TREE)


def test_weights_on_a_grid():
    offset, weight = TREE.on_grid(2)
    np.testing.assert_allclose(offset, TREE.offset / 2)
    np.testing.assert_allclose(weight, 0.5 / (TREE.variance / 4 + 1 / 6), rtol=1e-6)


def test_file(tmp_path):
    write_tree(tmp_path / "tree.json", TREE, NAMES)
    same(read_tree(tmp_path / "tree.json", NAMES), TREE)
    other = read_tree(tmp_path / "tree.json", ("nose", "left", "right"))  # names, not places, say which is which
    same(other, dataclasses.replace(TREE, parents=np.array([0, 0]), children=np.array([1, 2])))


def test_file_of_an_older_version_has_no_distances(tmp_path):
    older = dataclasses.replace(TREE, distance=None, distance_variance=None)
    write_tree(tmp_path / "tree.json", older, NAMES)
    read = read_tree(tmp_path / "tree.json", NAMES)
    assert read.distance is None and read.scaled(0.5).distance_variance is None


@pytest.mark.parametrize(
    "edge, change, words",
    [
        (0, {"child": "ear"}, "does not connect left, right, nose"),
        (1, {"child": "left"}, "from 'nose' to 'left' is of no tree"),
        (1, {"parent": "right"}, "from 'right' to 'right' is of no tree"),
        (0, {"x_variance": 0}, "edges = .* must be a list of connections"),
        (0, {"y": None}, "edges = .* must be a list of connections"),
        (0, {"distance": None}, "edges = .* must be a list of connections"),
        (1, {"distance_variance": 0}, "edges = .* must be a list of connections"),
        (1, None, "does not connect left, right, nose"),
    ],
)
def test_damaged_file_is_named(edge, change, words, tmp_path):
    path = tmp_path / "tree.json"
    write_tree(path, TREE, NAMES)
    values = json.loads(path.read_text())
    if change:
        values["edges"][edge].update(change)
    else:
        del values["edges"][edge]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=rf"tree.json is damaged, .*{words}.*: restore it from a copy, or remove it"):
        read_tree(path, NAMES)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="tree.json is missing: restore it from a copy"):
        read_tree(tmp_path / "tree.json", NAMES)

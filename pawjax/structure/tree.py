"""A tree over bodyparts: where each lies relative to another, and how much that varies."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pawjax import run_files
from pawjax.files import write_json

FILE = "tree.json"  # in a run folder
ROUNDED = 1 / 6  # variance of the difference of two numbers that were rounded to whole ones


@dataclasses.dataclass(frozen=True)
class Tree:
    """The K - 1 connections of K bodyparts, each after the one that leads to its parent; the first parent is the root.

    Attributes:
      parents, children: int [K - 1], indices of the bodyparts.
      offset: [K - 1, 2], (x, y) px, from the parent to the mean place of the child.
      variance: [K - 1, 2], (x, y) px^2, of the child around that place; the axes are independent.
      n_frames: int [K - 1], frames that it was learned from.
      distance, distance_variance: [K - 1], px and px^2, of the child from the parent, whatever the direction. None in
        files of older versions.
    """

    parents: np.ndarray
    children: np.ndarray
    offset: np.ndarray
    variance: np.ndarray
    n_frames: np.ndarray
    distance: np.ndarray | None = None
    distance_variance: np.ndarray | None = None

    def scaled(self, factor: float) -> "Tree":
        """The tree in frames that are resized by a factor."""
        powers = {"offset": 1, "variance": 2, "distance": 1, "distance_variance": 2}
        known = {name: power for name, power in powers.items() if getattr(self, name) is not None}
        return dataclasses.replace(self, **{name: getattr(self, name) * factor**power for name, power in known.items()})

    def mirrored(self, pairs: Sequence[tuple[int, int]]) -> "Tree":
        """The tree in frames whose left and right are exchanged, with the bodyparts of each pair."""
        partner = np.arange(len(self.children) + 1)
        for left, right in pairs:
            partner[[left, right]] = right, left
        return dataclasses.replace(
            self, parents=partner[self.parents], children=partner[self.children], offset=self.offset * (-1, 1)
        )

    def on_grid(self, stride: float) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and weights [K - 1, 2] of `distance_transform`, for points rounded to cells `stride` px apart."""
        variance = self.variance / stride**2 + ROUNDED
        return (self.offset / stride).astype(np.float32), (0.5 / variance).astype(np.float32)


def tree_of_one() -> Tree:
    """The tree over a single bodypart, which has no connections."""
    none, pairs = np.zeros(0), np.zeros((0, 2))
    return Tree(none.astype(int), none.astype(int), pairs, pairs, none.astype(int), none, none)


def write_tree(path: Path, tree: Tree, bodyparts: Sequence[str]) -> None:
    """Writes a tree as JSON, with the names of the bodyparts; replaces the file atomically."""
    rows = zip(tree.parents, tree.children, tree.offset, tree.variance, tree.n_frames, strict=True)
    edges = [
        {"parent": bodyparts[parent], "child": bodyparts[child], "x": x, "y": y}
        | {"x_variance": across, "y_variance": down, "frames": n}
        for parent, child, (x, y), (across, down), n in rows
    ]
    if tree.distance is not None:
        for edge, distance, variance in zip(edges, tree.distance, tree.distance_variance, strict=True):
            edge |= {"distance": distance, "distance_variance": variance}
    write_json(path, {"unit": "px", "edges": edges})


def read_tree(path: Path, bodyparts: Sequence[str]) -> Tree:
    """The tree of a file. Raises `run_files.Damaged` if it is missing or is none over these bodyparts."""
    edges = run_files.read_tree(path, bodyparts)["edges"]
    index = {name: i for i, name in enumerate(bodyparts)}

    def column(*names: str) -> np.ndarray:
        return np.array([[edge[name] for name in names] for edge in edges], np.float64)

    has_distances = all("distance" in edge for edge in edges)
    return Tree(
        parents=np.array([index[edge["parent"]] for edge in edges]),
        children=np.array([index[edge["child"]] for edge in edges]),
        offset=column("x", "y"),
        variance=column("x_variance", "y_variance"),
        n_frames=np.array([edge["frames"] for edge in edges]),
        distance=column("distance")[:, 0] if has_distances else None,
        distance_variance=column("distance_variance")[:, 0] if has_distances else None,
    )

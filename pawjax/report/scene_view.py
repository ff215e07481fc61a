"""How pictures see a scene: which way is up, where the cameras are, and a view through which points are projected."""

import dataclasses

import numpy as np

from pawjax.pose3d.cameras import Cameras, camera_places, camera_rotations

FOCAL = 1.3  # of a view, in heights of its picture
MARGIN = 1.15  # of what is in sight, around the reach
NEAREST = 0.02  # of the distance of the target: nothing nearer is drawn


def sizes_of(cameras: Cameras) -> np.ndarray:
    """(width, height) of the cameras' frames, px, float64 [C, 2]; an unknown one has its principal point amid."""
    middles = np.asarray(cameras.matrix, np.float64)[:, :2, 2]
    known = [size or 2 * middle + 1 for size, middle in zip(cameras.sizes, middles, strict=True)]
    return np.array(known, np.float64).reshape(-1, 2)


def pyramids_of(cameras: Cameras, depth: float) -> np.ndarray:
    """The apex and the four corners of each camera's pyramid in the world, mm: float64 [C, 5, 3].

    The corners are those of its frame, from the upper left one clockwise, `depth` mm before the camera. Distortions of
    lenses are not seen.
    """
    rotations, places = camera_rotations(cameras), camera_places(cameras)
    matrix = np.asarray(cameras.matrix, np.float64)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * sizes_of(cameras)[:, None] - 0.5
    rays = (corners - matrix[:, None, :2, 2]) / matrix[:, None, [0, 1], [0, 1]]
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) * depth
    return np.concatenate([places[:, None], places[:, None] + np.einsum("cki,cij->ckj", rays, rotations)], axis=1)


def up_axis(cameras: Cameras, origin: np.ndarray) -> np.ndarray:
    """The axis of the world that points up, as a unit vector [3]: cameras hang above the animal, and are upright.

    A guess, for pictures alone: the axis nearest to the mean of where the cameras are from `origin`, [3] mm, and of
    where their frames have their upper side.
    """
    rotations, places = camera_rotations(cameras), camera_places(cameras)
    above = places - origin
    above /= np.maximum(np.linalg.norm(above, axis=-1, keepdims=True), 1e-9)
    direction = (above - rotations[:, 1]).mean(0)
    axis = int(np.abs(direction).argmax())
    return np.where(np.arange(3) == axis, np.sign(direction[axis]) or 1.0, 0.0)


def ground_axes(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two axes of the world that make a right-handed system with `up`."""
    first = np.roll(np.abs(up), 1)
    return first, np.cross(up, first)


@dataclasses.dataclass(frozen=True)
class View:
    """A view of the scene, as a camera's: x goes right, y down, z away from the viewer.

    Attributes:
      turn: [3, 3], from the world to the view.
      distance: of the target, mm.
      size: (height, width) of the picture, px; the target is amid.
    """

    turn: np.ndarray
    distance: float
    size: tuple[int, int]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] (x, y) of points [..., 3], mm from the target; NaN for those that are not before the view."""
        seen = points @ self.turn.T + [0, 0, self.distance]
        ahead = np.where(seen[..., 2:] > NEAREST * self.distance, seen[..., 2:], np.nan)
        height, width = self.size
        return FOCAL * height * seen[..., :2] / ahead + [(width - 1) / 2, (height - 1) / 2]


def overview(up: np.ndarray, reach: float, size: tuple[int, int]) -> View:
    """A view from the side and above, in which what lies within `reach` mm of the target is in sight."""
    first, second = ground_axes(up)
    forward = -(first - 2 * second + 1.2 * up)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    return View(turn, MARGIN * reach * 2 * FOCAL * max(1, size[0] / size[1]), size)

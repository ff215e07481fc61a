"""The world's axes: cameras and what they saw, told in another frame."""

import dataclasses

import numpy as np

from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.placing import pose_vector, vector_pose

UP = np.diag([1.0, -1, -1, 1])  # from a board's frame, whose z goes into the board, to one whose z goes out of it


def upright_on_board(block: np.ndarray) -> np.ndarray:
    """The motion [4, 4] from the world to a frame on a board of this pose [6].

    Its origin is the board's first corner, x goes along the first row, and z out of the board towards who sees it: up,
    if the board lies on the ground.
    """
    return UP @ np.linalg.inv(vector_pose(block))


def moved_world(cameras: Cameras, motion: np.ndarray) -> Cameras:
    """The same cameras in a world whose points are x' = motion [4, 4] x."""
    back = np.linalg.inv(motion)
    old = np.concatenate([cameras.rotation, cameras.translation], axis=-1)
    poses = np.stack([pose_vector(vector_pose(pose) @ back) for pose in old])
    return dataclasses.replace(cameras, rotation=poses[:, :3], translation=poses[:, 3:])

"""Cameras in space: each a pyramid from its centre through the corners of its frame."""

import numpy as np
from mpl_toolkits.mplot3d.axes3d import Axes3D

from pawjax.pose3d.cameras import Cameras, camera_places
from pawjax.report import style
from pawjax.report.scene_view import pyramids_of

LONG = 0.12  # of a pyramid, in parts of the scene's size
MARGIN = 0.08  # around the scene


def draw_rig(cameras: Cameras, axes: Axes3D, points: np.ndarray | None = None) -> None:
    """Draws cameras, and the world's axes, x red, y green and z blue; sets the limits, with equal scales.

    Args:
      cameras: of any size; where a frame's size is not known, its principal point is taken as its middle.
      axes: three-dimensional, mm.
      points: [..., 3], mm, what else the limits must hold; NaN is left out.
    """
    places = camera_places(cameras)
    others = np.zeros((0, 3)) if points is None else np.reshape(points, (-1, 3))
    scene = np.concatenate([places, np.zeros((1, 3)), others[np.isfinite(others).all(-1)]])
    low, high = scene.min(0), scene.max(0)
    size = max(float((high - low).max()), 1.0)
    colors = style.bodypart_colors(len(cameras))
    for name, color, (place, *corners) in zip(cameras.names, colors, pyramids_of(cameras, LONG * size), strict=True):
        _draw_pyramid(axes, np.array(corners), place, color)
        label = style.shorten(name, 20)
        axes.text(*corners[1], f" {label}", color=color, fontsize=9, fontweight="bold", va="bottom")
    for direction, color in zip(np.eye(3), (style.VERMILION, style.GREEN, style.BLUE), strict=True):
        axes.quiver(0, 0, 0, *(LONG * size * direction), color=color, lw=2, arrow_length_ratio=0.2)
    margin = MARGIN * size + LONG * size / 2
    axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    axes.set(zlim=(low[2] - margin, high[2] + margin), xlabel="x (mm)", ylabel="y (mm)", zlabel="z (mm)")
    axes.set_box_aspect(high - low + 2 * margin)


def _draw_pyramid(axes: Axes3D, corners: np.ndarray, place: np.ndarray, color: tuple[float, float, float]) -> None:
    axes.plot(*np.vstack([corners, corners[:1]]).T, color=color, lw=1.4)
    for corner in corners:
        axes.plot(*np.stack([place, corner]).T, color=color, lw=1)
    axes.plot(*corners[:2].T, color=color, lw=3)  # the frame's upper edge

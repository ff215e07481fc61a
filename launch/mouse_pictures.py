"""Frames of the mouse of `launch/mouse_in_space.py` by cameras around it, and which of its bodyparts they show.

Tubes, ball, blur and noise are drawn as in `pawjax.data.paw_on_ball`, from the farthest to the nearest.
"""

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from launch.mouse_in_space import BODYPARTS, MM, Capsule, Mouse, capsules
from pawjax.data.paw_on_ball.draw import (
    REFERENCE_HEIGHT,
    REFERENCE_WIDTH,
    Canvas,
    Layer,
    Part,
    View,
    blur,
    draw_parts,
    noise,
    sample,
)
from pawjax.data.paw_on_ball.look import Look, session_look
from pawjax.data.paw_on_ball.motion import BALL_RADIUS, session_motion
from pawjax.pose3d.cameras import Cameras

_HIDDEN = 0.5  # share of a bodypart that others cover, from which it counts as hidden
_BALL_ROWS, _BALL_COLUMNS = 256, 1024


class Picture(NamedTuple):
    """One camera's frame: image uint8 [H, W, 1], pixels [K, 2] (x, y) of the bodyparts, visible bool [K]."""

    image: np.ndarray
    pixels: np.ndarray
    visible: np.ndarray


def picture(mouse: Mouse, cameras: Cameras, index: int, time: float) -> Picture:
    """What one camera sees at a time, s."""
    width, height = cameras.sizes[index]
    look = session_look(mouse.seed, mouse.session, height, width)
    motion = session_motion(mouse.seed, mouse.session)
    roll = float(motion.at(motion.roll, np.array([time]))[0])
    eye = _Eye.of(cameras, index)
    canvas = Canvas(np.full((height, width), look.background, np.float32))
    canvas.over(_ball(eye, look, roll, (mouse.seed, mouse.session)))
    places = dict(zip(BODYPARTS, mouse.places(np.array([time]))[0], strict=True))
    pixels = eye.pixels(np.stack(list(places.values())))
    seen = np.ones(len(BODYPARTS))
    for capsule in sorted(capsules(places, look, time), key=lambda one: -eye.depth((one.start + one.end) / 2)):
        layer = eye.layer(capsule, look)
        canvas.over(layer)
        seen *= 1 - _alpha_at(layer, pixels)
        seen[[BODYPARTS.index(name) for name in capsule.holds]] = 1
    rng = np.random.default_rng([mouse.seed, mouse.session, index, round(time * 1e6), 83])
    image = blur(canvas.image, look.defocus * eye.scale / 2)
    image = image + rng.normal(size=image.shape) * np.sqrt(look.read_noise**2 + look.shot_noise * image)
    inside = ((pixels >= 0) & (pixels <= (width - 1, height - 1))).all(-1)
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return Picture(image[..., None], pixels, inside & (seen > 1 - _HIDDEN))


def rig(height: int, width: int, names: Sequence[str] = ("left", "front", "right")) -> Cameras:
    """Three cameras, 220 mm before the animal's middle, to its left, before it and to its right, a little above it."""
    middle, place = np.array([2.0, 0, 16]), {"left": (68, 15), "front": (0, 24), "right": (-68, 15)}  # degrees
    matrix = np.array([[1.65 * width, 0, (width - 1) / 2], [0, 1.65 * width, (height - 1) / 2], [0, 0, 1]])
    turns = []
    for name in names:
        azimuth, elevation = np.deg2rad(place[name])
        ahead = -np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        right = np.cross(ahead, (0, 0, 1.0))
        right /= np.linalg.norm(right)
        turns.append(np.stack([right, np.cross(ahead, right), ahead]))
    turns = np.stack(turns)
    shifts = np.array([0, 0, 220.0]) - turns @ middle
    vectors = Rotation.from_matrix(turns).as_rotvec()
    count = len(names)
    sizes = ((width, height),) * count
    still = np.zeros(count, bool)
    return Cameras(tuple(names), sizes, np.tile(matrix, (count, 1, 1)), np.zeros((count, 5)), vectors, shifts, still)


@dataclasses.dataclass(frozen=True)
class _Eye:
    """One camera without a lens: its matrix, rotation, place of the world's origin, and how it draws."""

    matrix: np.ndarray
    turn: np.ndarray
    shift: np.ndarray
    view: View

    @classmethod
    def of(cls, cameras: Cameras, index: int) -> "_Eye":
        width, height = cameras.sizes[index]
        unit = min(height / REFERENCE_HEIGHT, width / REFERENCE_WIDTH)
        shift = ((REFERENCE_WIDTH - width) / 2 / unit, (REFERENCE_HEIGHT - height) / 2 / unit)
        pixels = View(height, width, 1 / unit, 0.0, shift)  # whose scene is the frame itself
        turn = Rotation.from_rotvec(cameras.rotation[index]).as_matrix()
        return cls(np.asarray(cameras.matrix[index]), turn, np.asarray(cameras.translation[index]), pixels)

    @property
    def scale(self) -> float:
        """Of a frame against one of 800 px."""
        return self.view.width / REFERENCE_WIDTH

    def depth(self, point: np.ndarray) -> float:
        return float(self.turn[2] @ point + self.shift[2])

    def pixels(self, points: np.ndarray) -> np.ndarray:
        image = (points @ self.turn.T + self.shift) @ self.matrix.T
        return image[..., :2] / image[..., 2:]

    def layer(self, capsule: Capsule, look: Look) -> Layer:
        focal = self.matrix[0, 0]
        radii = tuple(
            focal * radius / self.depth(end)
            for radius, end in zip(capsule.radii, (capsule.start, capsule.end), strict=True)
        )
        ends = (self.pixels(end)[None] for end in (capsule.start, capsule.end))
        softness = capsule.softness * focal / self.depth(capsule.start)
        return draw_parts(self.view, [Part(*ends, radii, capsule.greys, softness)], look.light)


def _alpha_at(layer: Layer, pixels: np.ndarray) -> np.ndarray:
    """How much [K] the layer covers at pixels [K, 2] (x, y)."""
    column, row = np.rint(pixels).astype(int).T - np.array([[layer.left], [layer.top]])
    height, width = layer.alpha.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    found = np.zeros(len(pixels))
    found[inside] = layer.alpha[row[inside], column[inside]]
    return found


def _ball(eye: _Eye, look: Look, roll: float, seeds: tuple[int, int]) -> Layer:
    """The ball, where rays of the pixels meet it first, turned by `roll` radians about y: its top moves backwards."""
    height, width = eye.view.height, eye.view.width
    radius, centre = MM * BALL_RADIUS, np.array([0, 0, -MM * BALL_RADIUS])
    row, column = np.indices((height, width)).astype(float)
    rays = np.stack([column, row, np.ones_like(row)], -1) @ np.linalg.inv(eye.matrix).T @ eye.turn
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    from_centre = -eye.turn.T @ eye.shift - centre
    middle = rays @ from_centre
    beside = radius - np.sqrt(np.maximum(from_centre @ from_centre - middle**2, 0))  # mm inside of its outline
    normal = (
        from_centre + (-middle - np.sqrt(np.maximum(2 * radius * beside - beside**2, 0)))[..., None] * rays
    ) / radius
    turned = np.arctan2(normal[..., 0], normal[..., 2]) + roll
    rows = (np.arcsin(np.clip(normal[..., 1], -1, 1)) / np.pi + 0.5) * _BALL_ROWS
    value = sample(_texture(*seeds), rows, turned / (2 * np.pi) * _BALL_COLUMNS)
    shade = 0.35 + 0.65 * np.clip(normal @ np.array([0.25, 0.2, 0.95]), 0, 1) ** 2
    alpha = np.clip(0.5 + beside * eye.matrix[0, 0] / eye.depth(centre), 0, 1).astype(np.float32)
    return Layer((look.ball * shade * np.maximum(value, 0.1) * alpha).astype(np.float32), alpha, 0, 0)


@lru_cache
def _texture(*seeds: int) -> np.ndarray:
    rng, shape = np.random.default_rng([*seeds, 61]), (_BALL_ROWS, _BALL_COLUMNS)
    fine, patches, coarse = (noise(rng, shape, (cells, cells)) for cells in (1.0, 4.0, 12.0))
    return 1 + 0.15 * fine + 0.7 * np.clip(patches - 1.6, 0, 1) + 0.25 * coarse

"""The constant elements of a `paw_on_ball` session: background, body, ball, spout and post."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pawjax.data.paw_on_ball.body import Body, draw_body
from pawjax.data.paw_on_ball.draw import Canvas, Layer, Part, draw_parts, noise, point, sample
from pawjax.data.paw_on_ball.look import N_SESSIONS, Look, session_look
from pawjax.data.paw_on_ball.motion import BALL_CENTRE, BALL_RADIUS

_BALL_CELL = 2.0  # scene units per texel of the ball's texture
_BALL_ROWS, _BALL_COLUMNS = 256, 2048


@dataclass(frozen=True)
class Stage:
    """The cached layers of one session at one frame size."""

    background: np.ndarray
    body: Body
    ball: "BallSurface"
    front: tuple[Layer, ...]
    vignette: np.ndarray


@dataclass(frozen=True)
class BallSurface:
    """Pixels of the visible ball: texture coordinates, shading, highlights and coverage, [h, W] each."""

    texture: np.ndarray
    row: np.ndarray
    column: np.ndarray
    gain: np.ndarray
    highlight: np.ndarray
    alpha: np.ndarray
    top: int

    def layer_at(self, roll: float) -> Layer:
        """The ball turned by `roll` radians (its top moves to the right)."""
        shift = (-roll / (2 * np.pi)) % 1.0 * _BALL_COLUMNS
        column = self.column + np.float32(shift)
        low = column.astype(np.int32)
        fraction = column - low
        low &= _BALL_COLUMNS - 1
        high = (low + 1) & (_BALL_COLUMNS - 1)
        row = self.row.astype(np.int32)
        blend = self.row - row
        row *= _BALL_COLUMNS
        flat = self.texture.ravel()
        upper = flat[row + low] * (1 - fraction) + flat[row + high] * fraction
        row += _BALL_COLUMNS
        lower = flat[row + low] * (1 - fraction) + flat[row + high] * fraction
        value = (upper + blend * (lower - upper)) * self.gain + self.highlight
        return Layer(value * self.alpha, self.alpha, self.top, 0)


@lru_cache(maxsize=N_SESSIONS)
def session_stage(seed: int, session: int, height: int, width: int) -> tuple[Look, Stage]:
    """Look and cached layers of one session; a pure function of its arguments."""
    look = session_look(seed, session, height, width)
    rng = np.random.default_rng([seed, session, 37])
    grid_x, grid_y = look.view.unproject_grid()
    radius2 = ((grid_x - 400) / 400) ** 2 + ((grid_y - 300) / 300) ** 2
    stage = Stage(
        background=_background(rng, look, grid_x, grid_y),
        body=draw_body(rng, look, grid_x, grid_y),
        ball=_ball(rng, look, grid_x, grid_y),
        front=_front(look),
        vignette=(1 - look.vignette * np.clip(0.5 * radius2, 0, 1.2)).astype(np.float32),
    )
    return look, stage


def _background(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    cloud = sample(noise(rng, (32, 64), (2.5, 2.5)), y / 25, x / 17)
    canvas = Canvas(look.background * (1 + 0.25 * cloud))
    for _ in range(int(rng.integers(2, 5))):  # blurred parts of the rig far behind the mouse
        start = point(rng.uniform(0, 800), -60.0)
        end = start + point(rng.normal(0, 110), rng.uniform(500, 760))
        radius, grey = rng.uniform(4, 34), look.background * rng.uniform(1.2, 2.4)
        post = Part(start, end, (radius, radius), (grey, 0.7 * grey), softness=18.0, opacity=0.8)
        canvas.over(draw_parts(look.view, [post], (0.3, 0.0)))
    return canvas.image.astype(np.float32)


def _ball(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> BallSurface:
    shape = (_BALL_ROWS, _BALL_COLUMNS)
    grain = rng.uniform(0.06, 0.2)
    texture = 1 + grain * noise(rng, shape, (1.0, 1.0)) + 0.16 * noise(rng, shape, (12.0, 12.0))
    patches = np.clip((noise(rng, shape, (5.0, 5.0)) - rng.uniform(1.9, 2.6)) * 2, 0, 1)
    specks = np.clip((noise(rng, shape, (1.6, 1.6)) - rng.uniform(2.6, 3.2)) * 2, 0, 1)
    scuffs = np.clip((noise(rng, shape, (1.0, 9.0)) - rng.uniform(2.2, 2.9)) * 2, 0, 1)
    texture += rng.uniform(0.3, 1.3) * patches + rng.uniform(-0.6, 2.0) * specks + rng.uniform(0.2, 1.0) * scuffs

    right, down = x - BALL_CENTRE[0], y - BALL_CENTRE[1]
    radius = np.sqrt(right * right + down * down)
    top = int(np.argmax((radius < BALL_RADIUS + 3).any(1)))
    right, down, radius = right[top:], down[top:], radius[top:]
    facing = np.sqrt(np.maximum(1 - (radius / BALL_RADIUS) ** 2, 0))
    shade = np.maximum(-0.32 * right - 0.72 * down, 0) / BALL_RADIUS + 0.45 * facing
    highlight = 0.9 * look.ball * np.exp(-np.maximum(BALL_RADIUS - radius, 0) / 4.0)
    for glint_x, glint_y, across, tall, strength in look.glints:
        spot = ((x[top:] - glint_x) / across) ** 2 + ((y[top:] - glint_y) / tall) ** 2
        highlight += strength * np.exp(-0.5 * spot**1.3)
    edge = np.clip(0.5 + (BALL_RADIUS - radius) * look.view.scale / (1 + 1.5 * look.view.scale), 0, 1)
    latitude = np.arccos(np.clip(radius / BALL_RADIUS, 0, 1)) * (BALL_RADIUS / _BALL_CELL)
    turn = np.arctan2(down, right) / (2 * np.pi)
    return BallSurface(
        texture=np.maximum(texture, 0.1).astype(np.float32),
        row=np.clip(latitude, 0, _BALL_ROWS - 1.01).astype(np.float32),
        column=((turn % 1.0) * _BALL_COLUMNS).astype(np.float32),
        gain=(look.ball * (0.2 + shade)).astype(np.float32),
        highlight=highlight.astype(np.float32),
        alpha=edge.astype(np.float32),
        top=top,
    )


def _front(look: Look) -> tuple[Layer, ...]:
    """Objects between the camera and the near paw: a lick spout, and in some sessions a blurred post."""
    layers = []
    if look.spout is not None:
        x, y = look.spout
        tube = Part(point(x, y), point(-40, y + 46), (6.5, 8.5), (120, 95), 1.0)
        shine = Part(point(x - 3, y - 2), point(-40, y + 43), (1.3, 1.6), (250, 190), 1.5, 0.85)
        drop = Part(point(x + 3, y - 1), point(x + 4, y), (4.5, 4.5), (235, 235), 2.0)
        layers.append(draw_parts(look.view, [tube, shine, drop], (0.0, -0.4)))
    if look.post is not None:
        x, half = look.post
        post = Part(point(x, 372), point(x - 14, 660), (half, half), (34, 26), 9.0)
        shine = Part(point(x - 0.4 * half, 376), point(x - 14 - 0.4 * half, 660), (3, 3), (120, 80), 6.0, 0.7)
        layers.append(draw_parts(look.view, [post, shine], (-0.2, 0.0)))
    return tuple(layers)

"""`paw_on_ball`: synthetic frames of a head-fixed mouse on a ball, seen from its left under infrared light.

The labelled point is the centre of the left forepaw: the centroid of the whole foot (palm and digits, even if partly
hidden) averaged over the exposure, exact to a few hundredths of a pixel. A frame with less than `MIN_VISIBLE` of the
foot visible is not labelled. Everything is a pure function of its arguments.
"""

from typing import NamedTuple

import numpy as np

from pawjax.data.paw_on_ball.draw import Canvas, blur
from pawjax.data.paw_on_ball.limbs import (
    fore_foot_centroid,
    limb_layers,
    shadow_layer,
    tail_layer,
    whisker_layer,
)
from pawjax.data.paw_on_ball.look import N_SESSIONS, Look
from pawjax.data.paw_on_ball.motion import FRAME_RATE, SESSION_SECONDS, Motion, session_motion
from pawjax.data.paw_on_ball.scene import Stage, session_stage
from pawjax.errors import InputError

BODYPART = "left_forepaw"
MIN_VISIBLE = 0.15
FRAMES_PER_SESSION = int(SESSION_SECONDS * FRAME_RATE)
_PIXELS_PER_INSTANT, _MAX_INSTANTS = 1.6, 8  # how finely motion blur is sampled


class Frame(NamedTuple):
    """One labelled frame: image uint8 [H, W, 1]; keypoint float32 [2] (x, y) px; labelled; video 'sessionNN'."""

    image: np.ndarray
    keypoint: np.ndarray
    labelled: bool
    video: str


class Drawing(NamedTuple):
    """A frame before its noise: canvas, look and stage of the session, and the labelled point [2] (x, y) px."""

    canvas: Canvas
    look: Look
    stage: Stage
    point: np.ndarray


def frame_instant(index: int, *, seed: int = 0) -> tuple[int, float]:
    """(session, time in s) of frame `index` of data set `seed`; times are whole frames of the session's video."""
    if index < 0:
        raise InputError(f"paw_on_ball: index is {index}, but frames are numbered from 0.")
    rng = np.random.default_rng([seed, index, 5])
    return int(rng.integers(N_SESSIONS)), int(rng.integers(FRAMES_PER_SESSION)) / FRAME_RATE


def render(index: int, *, seed: int = 0, height: int = 600, width: int = 800) -> Frame:
    """Frame `index` of data set `seed`: an instant of one of N_SESSIONS sessions, both drawn from (seed, index).

    Raises InputError as `render_at` does, or for a negative index.
    """
    session, time_s = frame_instant(index, seed=seed)
    return render_at(session, time_s, seed=seed, height=height, width=width)


def render_at(session: int, time_s: float, *, seed: int = 0, height: int = 600, width: int = 800) -> Frame:
    """The frame of `session` exposed around `time_s` seconds into it.

    Raises InputError for an unknown session, a time outside it, or a frame under 16 pixels.
    """
    drawing = draw(session, time_s, seed, height, width)
    look = drawing.look
    rng = np.random.Generator(np.random.SFC64([seed, session, round(time_s * 1e6), 71]))
    image = blur(drawing.canvas.image, look.defocus * look.view.frame_scale)
    image = image * (drawing.stage.vignette * np.float32(1 + 0.012 * rng.standard_normal()))
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= np.sqrt(np.float32(look.read_noise**2) + np.float32(look.shot_noise) * image)
    pixels = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    whole = drawing.canvas.whole.alpha.sum()
    visible = bool(drawing.canvas.watched.alpha.sum() >= MIN_VISIBLE * whole)
    return Frame(pixels[..., None], drawing.point.astype(np.float32), visible, f"session{session:02d}")


def _check(session: int, time_s: float, height: int, width: int) -> None:
    if not 0 <= session < N_SESSIONS:
        raise InputError(f"paw_on_ball: session is {session}, use 0 to {N_SESSIONS - 1}.")
    if not 0 <= time_s < SESSION_SECONDS:
        raise InputError(f"paw_on_ball: time_s is {time_s}, a session lasts {SESSION_SECONDS:g} seconds.")
    if min(height, width) < 16:
        raise InputError(f"paw_on_ball: height x width is {height}x{width}, use at least 16 pixels each.")


def draw(session: int, time_s: float, seed: int, height: int, width: int) -> Drawing:
    """Draws the noiseless frame from far to near and tracks how much of the labelled foot stays visible."""
    _check(session, time_s, height, width)
    look, stage = session_stage(seed, session, height, width)
    motion = session_motion(seed, session)
    now = np.array([time_s])
    activity = float(motion.at(motion.activity, now)[0])
    phase = float(motion.at(motion.phase, now)[0])
    bob = 2.6 * activity * np.sin(4 * np.pi * phase) + 1.3 * np.sin(2 * np.pi * 2.4 * time_s)
    feet = {limb: _exposed(look, motion, limb, time_s, look.view.scale) for limb in motion.feet}

    canvas = Canvas(stage.background.copy())
    for limb in ("right_hind", "right_fore"):
        for layer in limb_layers(look, stage.body.fur, limb, feet[limb], bob):
            canvas.over(layer)
    canvas.over(stage.ball.layer_at(float(motion.at(motion.roll, now)[0])))
    for limb in ("left_hind", "left_fore"):
        canvas.over(shadow_layer(look, limb, feet[limb]))
    canvas.over(tail_layer(look, time_s, bob, session))
    canvas.over(stage.body.layer_at(bob * look.view.scale))
    for limb in ("left_fore", "left_hind"):
        layers = limb_layers(look, stage.body.fur, limb, feet[limb], bob)
        for layer in layers:
            canvas.over(layer)
        if limb == "left_fore":
            canvas.watch(layers[-1])
    canvas.over(whisker_layer(look, time_s, activity, np.random.default_rng([seed, session, 53])))
    for layer in stage.front:
        canvas.over(layer)
    # The truth is measured at the reference size, so that it scales exactly with the frame.
    centre = fore_foot_centroid(_exposed(look, motion, "left_fore", time_s, look.view.zoom), look.paw_size)
    return Drawing(canvas, look, stage, look.view.project(centre))


def _exposed(look: Look, motion: Motion, limb: str, time_s: float, scale: float) -> np.ndarray:
    """Foot table [K, 4] of `limb` at K instants of the exposure; K grows with its motion in pixels of `scale`."""
    table = motion.feet[limb]
    ends = motion.at(table, np.array([time_s - look.exposure / 2, time_s + look.exposure / 2]))
    moved = float(np.hypot(*(ends[1, :2] - ends[0, :2]))) * scale
    count = min(1 + int(moved / _PIXELS_PER_INSTANT), _MAX_INSTANTS)
    offsets = (np.arange(count) + 0.5) / count - 0.5
    return motion.at(table, time_s + look.exposure * offsets)

"""How the sessions of `paw_on_ball` differ, and where the mouse is."""

from dataclasses import dataclass

import numpy as np

from pawjax.data.paw_on_ball.draw import View
from pawjax.data.paw_on_ball.motion import BALL_CENTRE, BALL_RADIUS

N_SESSIONS = 12
HIP, SHOULDER, TAIL_BASE, SNOUT = (552.0, 338.0), (288.0, 340.0), (640.0, 322.0), (136.0, 292.0)


@dataclass(frozen=True)
class Look:
    """What differs between sessions. Grey values 0..255; lengths in scene units; exposure in seconds."""

    view: View
    background: float
    fur: float
    paw: float
    paw_size: float
    far_dim: float
    ball: float
    light: tuple[float, float]
    exposure: float
    defocus: float
    read_noise: float
    shot_noise: float
    vignette: float
    glints: np.ndarray  # [G, 5]: x, y, radius across, radius down, strength
    spout: tuple[float, float] | None
    post: tuple[float, float] | None  # x and half width of an out-of-focus post before the ball


def session_look(seed: int, session: int, height: int, width: int) -> Look:
    """Draw the look of one session; only its `view` depends on the frame size."""
    rng = np.random.default_rng([seed, session, 23])
    shift = (rng.uniform(-16, 16), rng.uniform(-14, 10))
    view = View(height, width, rng.uniform(0.96, 1.06), rng.normal(0, 0.015), shift)
    angle = rng.uniform(-2.4, -0.9)
    strength = rng.uniform(0.12, 0.34)
    n_glints = int(rng.integers(2, 5))
    x = rng.uniform(150, 560, n_glints)
    outline = BALL_CENTRE[1] - np.sqrt(BALL_RADIUS**2 - (x - BALL_CENTRE[0]) ** 2)
    glints = np.stack(
        [
            x,
            outline + rng.uniform(8, 70, n_glints),
            rng.uniform(9, 26, n_glints),
            rng.uniform(5, 13, n_glints),
            rng.uniform(50, 230, n_glints),
        ],
        -1,
    )
    spout = (SNOUT[0] - 12 + rng.normal(0, 4), SNOUT[1] + 30 + rng.normal(0, 5)) if rng.uniform() < 0.7 else None
    post = (rng.uniform(196, 218), rng.uniform(22, 27)) if session % 6 == 2 else None
    return Look(
        view=view,
        background=rng.uniform(7, 19),
        fur=rng.uniform(30, 78),
        paw=rng.uniform(165, 262),
        paw_size=rng.uniform(1.09, 1.22),
        far_dim=rng.uniform(0.72, 1.0),
        ball=rng.uniform(34, 78),
        light=(strength * np.cos(angle), strength * np.sin(angle)),
        exposure=rng.uniform(0.0015, 0.0035),
        defocus=rng.uniform(0.5, 1.25),
        read_noise=rng.uniform(1.3, 3.0),
        shot_noise=rng.uniform(0.05, 0.2),
        vignette=rng.uniform(0.25, 0.55),
        glints=glints,
        spout=spout,
        post=post,
    )

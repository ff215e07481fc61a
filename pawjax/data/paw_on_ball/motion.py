"""How the mouse of `paw_on_ball` moves: bouts of rest, walk, trot, grooming and reaching, and its four limbs in time.

A session lasts `SESSION_SECONDS`; its course is tabulated once at `TABLE_RATE` and read by linear interpolation.
In stance a foot moves exactly with the surface of the ball; in swing it is lifted and carried forward (to the left).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SESSION_SECONDS = 60.0
FRAME_RATE = 150.0
TABLE_RATE = 600.0
_LEAD_SECONDS = 8.0
BALL_RADIUS, BALL_CENTRE = 640.0, (370.0, 1094.0)  # scene units (see draw.py); the top lies at y = 454
LIMBS = ("left_fore", "right_fore", "left_hind", "right_hind")

_SHARES = {"rest": 0.22, "walk": 0.34, "trot": 0.22, "groom": 0.13, "reach": 0.09}
_SECONDS = {"rest": (0.4, 2.0), "walk": (1.0, 3.5), "trot": (0.8, 2.5), "groom": (0.7, 2.2), "reach": (0.4, 1.1)}
_SPEEDS = {"rest": (0.0, 15.0), "walk": (250.0, 800.0), "trot": (900.0, 1600.0), "groom": (0, 0), "reach": (0, 0)}
_WALK_PHASE = {"left_hind": 0.0, "left_fore": 0.27, "right_hind": 0.5, "right_fore": 0.77}
_TROT_PHASE = {"left_hind": 0.0, "left_fore": 0.47, "right_hind": 0.47, "right_fore": 0.97}
_STANCE_CENTRE = {"left_fore": 268.0, "right_fore": 256.0, "left_hind": 520.0, "right_hind": 508.0}
# Pitch of the foot (rad, toes down positive) and digit curl over the cycle: 0 touchdown, 1 lift-off, 2 touchdown.
_CYCLE = np.array([0.0, 0.5, 0.85, 1.0, 1.2, 1.5, 1.8, 2.0])
_PITCH = {
    "fore": np.array([0.0, 0.02, 0.3, 0.6, 1.15, 0.75, -0.25, 0.0]),
    "hind": np.array([0.08, 0.2, 0.55, 0.85, 1.0, 0.5, -0.05, 0.08]),
}
_CURL = np.array([0.1, 0.0, 0.1, 0.35, 0.9, 0.8, 0.25, 0.1])


@dataclass(frozen=True)
class Motion:
    """Tables of one session, each [T] at TABLE_RATE, or for each limb [T, 4]: foot x, y (scene), pitch (rad), curl."""

    roll: np.ndarray
    activity: np.ndarray
    phase: np.ndarray
    feet: dict[str, np.ndarray]

    def at(self, table: np.ndarray, times: np.ndarray) -> np.ndarray:
        """`table` [T] or [T, C] read at `times` [K] (s) by linear interpolation -> [K] or [K, C]."""
        position = np.clip(np.asarray(times) * TABLE_RATE, 0, len(table) - 1.001)
        low = position.astype(np.int64)
        fraction = (position - low).reshape((-1,) + (1,) * (table.ndim - 1))
        return table[low] * (1 - fraction) + table[low + 1] * fraction


def ball_surface(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height y of the ball's outline at scene x, and its slope dy/dx."""
    across = np.asarray(x) - BALL_CENTRE[0]
    down = np.sqrt(np.maximum(BALL_RADIUS**2 - across**2, 1.0))
    return BALL_CENTRE[1] - down, across / down


def _smooth(values: np.ndarray, seconds: float) -> np.ndarray:
    reach = int(3 * seconds * TABLE_RATE)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (seconds * TABLE_RATE)) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), "valid")


def _bouts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    speed, mode = np.zeros(n), np.zeros(n, np.int64)
    names = list(_SHARES)
    seconds = {name: sum(_SECONDS[name]) / 2 for name in names}
    rate = np.array([_SHARES[name] / seconds[name] for name in names])
    start = 0
    while start < n:
        chosen = int(rng.choice(len(names), p=rate / rate.sum()))
        name = names[chosen]
        stop = start + int(rng.uniform(*_SECONDS[name]) * TABLE_RATE)
        speed[start:stop] = rng.uniform(*_SPEEDS[name])
        mode[start:stop] = chosen
        start = stop
    weight = {name: _smooth((mode == names.index(name)).astype(float), 0.045) for name in ("groom", "reach")}
    return _smooth(speed, 0.07), weight


def _gait(
    rng: np.random.Generator, limb: str, phase: np.ndarray, duty: np.ndarray, travel: np.ndarray, activity: np.ndarray
) -> np.ndarray:
    """Foot table [T, 4] of one limb from its phase (touchdown at integers), stance share and ball travel."""
    times = np.arange(len(phase))
    first = int(np.floor(phase[0])) - 1
    strides = np.arange(first, int(np.ceil(phase[-1])) + 2)
    down = np.interp(strides, phase, times)
    off = np.interp(strides + np.interp(down, times, duty), phase, times)
    travel_down, travel_off = np.interp(down, times, travel), np.interp(off, times, travel)
    excursion = travel_off - travel_down
    landing = _STANCE_CENTRE[limb] + rng.normal(0, 7, len(strides)) - excursion / 2
    depth = rng.normal(0, 1.8, len(strides))
    lift = rng.uniform(0.75, 1.3, len(strides)) * (34.0 if limb.endswith("fore") else 24.0)

    stride = np.clip(np.searchsorted(down, times, side="right") - 1, 0, len(strides) - 2)
    swing_length = np.maximum(down[stride + 1] - off[stride], 1e-6)
    swing = np.clip((times - off[stride]) / swing_length, 0, 1)
    stance = np.clip((times - down[stride]) / np.maximum(off[stride] - down[stride], 1e-6), 0, 1)
    ease = swing * swing * (3 - 2 * swing)
    planted = landing[stride] + np.minimum(travel, travel_off[stride]) - travel_down[stride]
    x = planted + (landing[stride + 1] - planted) * ease
    cycle = np.where(swing > 0, 1 + swing, stance)
    kind = limb.split("_")[1]
    raised = np.sin(np.pi * swing**0.8) * lift[stride] * activity
    pitch = np.interp(cycle, _CYCLE, _PITCH[kind]) * (0.25 + 0.75 * activity)
    curl = np.interp(cycle, _CYCLE, _CURL) * activity
    surface, slope = ball_surface(x)
    near = 11.0 if limb.startswith("left") else -1.0
    sole = 13.5 if kind == "fore" else 10.0
    ground = surface + near - sole + depth[stride] * (1 - ease) + depth[stride + 1] * ease
    y = ground - raised - 9.0 * np.sin(np.clip(pitch, 0, 1.5)) * (1 - ease)
    return np.stack([x, y, pitch - np.arctan(slope), curl], -1)


def _gesture(feet: np.ndarray, weight: np.ndarray, target: np.ndarray) -> np.ndarray:
    blend = np.clip(weight, 0, 1)[:, None]
    return feet * (1 - blend) + target * blend


@lru_cache(maxsize=32)
def session_motion(seed: int, session: int) -> Motion:
    """The course of one session; a pure function of (seed, session)."""
    rng = np.random.default_rng([seed, session, 11])
    lead = int(_LEAD_SECONDS * TABLE_RATE)
    n = int(SESSION_SECONDS * TABLE_RATE) + 2 * lead
    speed, weight = _bouts(rng, n)
    speed[: lead // 2] = speed[-(lead // 2) :] = 500.0  # whole strides before and after the session
    speed = _smooth(speed, 0.03)
    activity = np.clip(speed / 200.0, 0, 1)
    duty = np.clip(0.74 - 0.2 * speed / 1400.0, 0.5, 0.8)
    phase = np.cumsum(np.where(speed < 40, 0.35 + 0.04 * speed, 1.95 + speed / 360.0)) / TABLE_RATE + rng.uniform()
    travel = np.cumsum(speed) / TABLE_RATE
    trot = _smooth(np.clip((speed - 700) / 300.0, 0, 1), 0.1)
    feet = {}
    for limb in LIMBS:
        offset = _WALK_PHASE[limb] * (1 - trot) + _TROT_PHASE[limb] * trot
        own = np.maximum.accumulate(phase + offset + 1e-9 * np.arange(n))
        feet[limb] = _gait(rng, limb, own, duty, travel, activity)
    t = np.arange(n) / TABLE_RATE
    stroke = 2 * np.pi * 6.5 * t + 1.5 * np.sin(2 * np.pi * 0.6 * t)
    wander = _smooth(rng.normal(0, 1, n), 0.12) * np.sqrt(2 * np.sqrt(np.pi) * 0.12 * TABLE_RATE)
    for limb, shift, sign in (("left_fore", 0.0, 1.0), ("right_fore", -13.0, -0.6)):
        x = 184.0 + shift + 13 * sign * np.cos(stroke)
        y = 326.0 + 0.5 * shift + 19 * sign * np.sin(stroke)
        pitch = -0.75 + 0.35 * np.sin(stroke + 0.7)
        feet[limb] = _gesture(feet[limb], weight["groom"], np.stack([x, y, pitch, 0.45 + 0 * t], -1))
    reach = np.stack([150.0 + 9 * wander, 344.0 + 8 * np.roll(wander, 200), -0.35 + 0.2 * wander, 0.3 + 0 * t], -1)
    feet["left_fore"] = _gesture(feet["left_fore"], weight["reach"], reach)
    session_part = slice(lead, n - lead + 2)
    feet = {limb: table[session_part] for limb, table in feet.items()}
    return Motion(travel[session_part] / BALL_RADIUS, activity[session_part], phase[session_part], feet)


def bend(root: np.ndarray, tip: np.ndarray, upper: float, lower: float, sign: float) -> np.ndarray:
    """The middle joint [K, 2] of a two-segment limb from `root` to `tip` [K, 2]; `sign` picks the side it bends to.

    If the tip is out of reach, both segments are stretched in proportion, so that the limb never comes apart.
    """
    span = tip - root
    distance = np.sqrt((span**2).sum(-1, keepdims=True))
    stretch = np.maximum(distance / (0.995 * (upper + lower)), 1.0)
    upper, lower = upper * stretch, lower * stretch
    distance = np.maximum(distance, np.abs(upper - lower) + 1e-3)
    along = (distance**2 + upper**2 - lower**2) / (2 * distance)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    unit = span / np.maximum(np.sqrt((span**2).sum(-1, keepdims=True)), 1e-6)
    return root + unit * along + sign * aside * np.stack([-unit[:, 1], unit[:, 0]], -1)

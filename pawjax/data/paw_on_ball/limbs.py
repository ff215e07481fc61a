"""The limbs, tail and whiskers of the `paw_on_ball` mouse at given instants, as layers to composite."""

import numpy as np

from pawjax.data.paw_on_ball.draw import Layer, Part, View, draw_hairs, draw_parts
from pawjax.data.paw_on_ball.look import HIP, SHOULDER, SNOUT, TAIL_BASE, Look
from pawjax.data.paw_on_ball.motion import ball_surface, bend

_FORE_BONES, _HIND_BONES = (64.0, 74.0), (78.0, 76.0)
# Feet in their own frame: root of each digit (forward, up), its direction (rad from forward, up positive), its length.
_FORE_DIGITS = (
    ((7.0, 6.5), 0.40, 14.0),
    ((10.0, 2.8), 0.14, 17.5),
    ((10.0, -2.0), -0.10, 17.0),
    ((6.5, -6.0), -0.45, 12.5),
)
_HIND_DIGITS = (((12.0, 3.5), 0.28, 19.0), ((14.0, 0.5), 0.02, 22.0), ((12.0, -3.0), -0.24, 18.0))
_REFERENCE = View(600, 800)


def _in_scene(foot: np.ndarray, forward: np.ndarray | float, up: np.ndarray | float) -> np.ndarray:
    """Points (forward, up) of the foot's frame in the scene, for foot tables [K, 4] -> [K, 2]."""
    cos, sin = np.cos(foot[:, 2]), np.sin(foot[:, 2])
    x = foot[:, 0] - forward * cos - up * sin
    y = foot[:, 1] + forward * sin - up * cos
    return np.stack([x, y], -1)


def _digit(foot: np.ndarray, root, direction: float, length: float, radii, values, size: float) -> list[Part]:
    """One digit of two phalanges; curl shortens it and bends its tip down."""
    curl = foot[:, 3]
    spread = direction * (1.15 - 0.5 * curl)
    reach = 0.55 * length * (1 - 0.15 * curl) * size
    base = np.array(root) * size
    middle = (base[0] + reach * np.cos(spread), base[1] + reach * np.sin(spread))
    tilt = spread - 0.15 - 1.2 * curl
    tip = (middle[0] + 0.8 * reach * np.cos(tilt), middle[1] + 0.8 * reach * np.sin(tilt))
    start, joint, end = (_in_scene(foot, *point) for point in (base, middle, tip))
    thick, thin = radii[0] * size, radii[1] * size
    return [
        Part(start, joint, (thick, 0.9 * thick), (values[0], values[0])),
        Part(joint, end, (0.95 * thick, thin), (values[0], values[1])),
    ]


def fore_foot(foot: np.ndarray, value: float, size: float) -> list[Part]:
    """Palm and four digits of a forepaw; `foot` is [K, 4] (x, y, pitch, curl) in the scene."""
    parts = []
    for root, direction, length in _FORE_DIGITS[::-1]:
        parts += _digit(foot, root, direction, length, (4.9, 3.6), (value, 1.12 * value), size)
    heel, ball = _in_scene(foot, -9.5 * size, 0.5 * size), _in_scene(foot, 7.0 * size, 0.0)
    return [*parts, Part(heel, ball, (9.6 * size, 12.0 * size), (0.88 * value, value), 0.5)]


def hind_foot(foot: np.ndarray, value: float, size: float) -> list[Part]:
    """The long hind foot from heel to digits, its ball at the foot's point."""
    parts = []
    for root, direction, length in _HIND_DIGITS[::-1]:
        parts += _digit(foot, root, direction, length, (4.9, 3.6), (value, 1.1 * value), size)
    heel, ball = _in_scene(foot, -52.0 * size, 2.0), _in_scene(foot, 10.0 * size, 0.0)
    return [*parts, Part(heel, ball, (9.0 * size, 11.0 * size), (0.7 * value, value), 0.8)]


def fore_foot_centroid(foot: np.ndarray, size: float) -> np.ndarray:
    """Centroid [2] (scene x, y) of the forepaw averaged over the instants of `foot` [K, 4], on the reference grid."""
    local = foot.copy()
    origin = np.rint(foot[0, :2]) - (400.0, 300.0)
    local[:, :2] -= origin
    mask = draw_parts(_REFERENCE, fore_foot(local, 1.0, size))
    down, across = (mask.alpha.sum(axis, dtype=np.float64) for axis in (1, 0))
    x = across @ np.arange(len(across)) / across.sum() + mask.left
    y = down @ np.arange(len(down)) / down.sum() + mask.top
    return origin + (x, y)


def limb_layers(
    look: Look, fur_gain: np.ndarray, limb: str, foot: np.ndarray, bob: float
) -> tuple[Layer, Layer, Layer]:
    """(leg, thigh or upper arm, foot) layers of one limb at the K instants of `foot` [K, 4].

    `fur_gain` [H, W] gives the upper segment its hairs; `bob` moves the hip down (scene units).
    """
    side, kind = limb.split("_")
    near = side == "left"
    dim = 1.0 if near else look.far_dim
    fur, skin = look.fur * (1.0 if near else 0.6), look.paw * dim
    away = np.array([0.0, 0.0] if near else [-9.0, -8.0])
    softness = 13.0 if near else 2.0
    if kind == "fore":
        root = np.array(SHOULDER)[None] + away
        tip = _in_scene(foot, -13.0 * look.paw_size, 3.0)
        joint = bend(np.repeat(root, len(foot), 0), tip, *_FORE_BONES, -1.0)
        radii, feet = ((36.0, 21.0), (17.0, 8.8)), fore_foot(foot, skin, look.paw_size)
    else:
        root = np.array(HIP)[None] + away + np.array([0.0, bob])
        tip = _in_scene(foot, -52.0, 3.0)
        joint = bend(np.repeat(root, len(foot), 0), tip, *_HIND_BONES, 1.0)
        radii, feet = ((56.0, 27.0), (23.0, 9.5)), hind_foot(foot, 0.95 * skin, 1.0)
    root = np.repeat(root, len(foot), 0)
    middle = joint + 0.45 * (tip - joint)
    upper = Part(root, joint, radii[0], (0.8 * fur, 1.35 * fur), softness, 0.8 if near else 1.0)
    leg = [
        Part(joint, middle, (radii[1][0], 0.62 * sum(radii[1])), (1.25 * fur, 0.35 * fur + 0.4 * skin), 3.0),
        Part(middle, tip, (0.6 * sum(radii[1]), radii[1][1]), (0.35 * fur + 0.4 * skin, 0.82 * skin), 1.5),
    ]
    thigh = draw_parts(look.view, [upper], look.light)
    thigh.colour[...] *= fur_gain[thigh.window]
    return draw_parts(look.view, leg, look.light), thigh, draw_parts(look.view, feet, look.light)


def shadow_layer(look: Look, limb: str, foot: np.ndarray) -> Layer:
    """The soft dark spot under a foot on the ball; it fades as the foot is lifted."""
    middle = foot[len(foot) // 2]
    surface, slope = ball_surface(middle[0])
    ground = surface + (14.0 if limb.startswith("left") else 2.0)
    height = max(ground - middle[1] - 12.0, 0.0)
    half = 16.0 if limb.endswith("fore") else 34.0
    centre = middle[0] + (4.0 if limb.endswith("fore") else 26.0)
    start = np.array([[centre - half, ground - half * slope]])
    end = np.array([[centre + half, ground + half * slope]])
    opacity = 0.55 * float(np.exp(-height / 16.0))
    return draw_parts(look.view, [Part(start, end, (5.0, 5.0), (0.0, 0.0), 16.0, opacity)])


def tail_layer(look: Look, time_s: float, bob: float, lean: float) -> Layer:
    """The tail, from the rump out of the frame to the right, swaying slowly."""
    along = np.linspace(0, 1, 7)
    sway = 14 * np.sin(1.1 * time_s + lean) + 7 * np.sin(4.7 * time_s + 2 * lean + 2 * along)
    x = TAIL_BASE[0] - 14 + 190 * along
    y = TAIL_BASE[1] + bob + (40 * np.sin(lean)) * along + sway * along**1.5 + 16 * np.sin(2.4 * along + lean)
    points = np.stack([x, y], -1)
    radius = 12.5 - 5.5 * along
    grey = 0.5 * look.fur + 0.45 * look.paw * np.clip(0.35 + along, 0, 0.85)
    parts = [
        Part(points[i : i + 1], points[i + 1 : i + 2], (radius[i], radius[i + 1]), (grey[i], grey[i + 1]), 1.0)
        for i in range(len(along) - 1)
    ]
    return draw_parts(look.view, parts, look.light)


def whisker_layer(look: Look, time_s: float, activity: float, rng: np.random.Generator) -> Layer:
    """Thin whiskers fanning from the snout, drawn from the session's `rng`."""
    n = 13
    roots = np.stack([SNOUT[0] + rng.uniform(4, 34, n), SNOUT[1] + rng.uniform(-10, 8, n)], -1)
    rest = np.linspace(2.55, 1.05, n) + rng.normal(0, 0.1, n)  # forward-down to backward-down
    phase = 2 * np.pi * 8.5 * time_s
    angle = rest + (0.06 + 0.2 * activity) * np.sin(phase + rng.normal(0, 0.2, n))
    length = rng.uniform(55, 120, n)
    along = np.linspace(0, 1, 9)[None, :]
    turn = angle[:, None] - rng.normal(0.35, 0.25, n)[:, None] * along
    x = roots[:, :1] + length[:, None] * along * np.cos(turn)
    y = roots[:, 1:] + length[:, None] * along * np.sin(turn)
    return draw_hairs(look.view, np.stack([x, y], -1), np.full(n, 1.25), 0.55 * look.paw + 30)

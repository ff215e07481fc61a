"""The mouse of `paw_on_ball` as a body in space: where its bodyparts are, and the tubes that it is drawn of.

Steps and gestures are those of `pawjax.data.paw_on_ball`, which knows one side of the mouse only. Here the feet have a
place across the body too, and elbows and knees follow from the bones' lengths. `launch/mouse_pictures.py` draws it.
The world is in mm: x points where the animal looks, y to its left, z up from the top of the ball.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pawjax.data.paw_on_ball.look import HIP, SHOULDER, SNOUT, TAIL_BASE, Look
from pawjax.data.paw_on_ball.motion import BALL_CENTRE, BALL_RADIUS, session_motion

MM = 0.16  # of a unit of paw_on_ball's scene: a ball of 205 mm, a mouse of 80 mm
SIDES = {"left": 1.0, "right": -1.0}
LIMBS = {"fore": ("elbow", "forepaw"), "hind": ("knee", "heel", "hindpaw")}
BODYPARTS = ("tail_base", "neck", "snout")
BODYPARTS += tuple(f"{side}_{name}" for side in SIDES for names in LIMBS.values() for name in names)
SKELETON = "tail_base-neck,neck-snout," + ",".join(
    f"neck-{side}_elbow,{side}_elbow-{side}_forepaw,"
    f"tail_base-{side}_knee,{side}_knee-{side}_heel,{side}_heel-{side}_hindpaw"
    for side in SIDES
)
SPINE = "tail_base,neck"
_SURFACE = (BALL_CENTRE[0], BALL_CENTRE[1] - BALL_RADIUS)  # the top of the ball in the scene, the world's origin
_NECK = (330.0, 232.0)  # on the back, between the shoulders
_ACROSS = {"fore": 9.0, "hind": 16.0}  # mm, of a planted foot from the middle of the body
_ROOTS = {"fore": (SHOULDER, 6.5), "hind": (HIP, 10.5)}
_BONES = {"fore": (64 * MM, 74 * MM), "hind": (78 * MM, 76 * MM)}
_BENT = {"fore": (-1.0, 0.35, 0.0), "hind": (1.0, 0.35, 0.0)}  # where elbow and knee point; y away from the body
_HEEL = 52 * MM  # behind the ball of the hind foot
_NEARER = 12.0  # scene units by which paw_on_ball draws the feet of its near, left side lower
_BODY = (  # tubes in the middle of the body: scene x, y of both ends, radii, grey in those of fur, bodypart on it
    ((540, 326), (305, 322), (82, 66), 1.3, "neck"),
    ((505, 305), (420, 287), (86, 84), 1.3, "neck"),
    ((330, 300), (236, 262), (70, 50), 1.3, "neck"),
    ((622, 323), (560, 326), (20, 64), 1.3, "tail_base"),
    ((240, 256), (172, 280), (48, 29), 1.6, ""),
    ((176, 280), (138, 292), (26, 9), 1.6, "snout"),
)


class Capsule(NamedTuple):
    """A tapered tube in space: ends [3], mm; radii, mm, and greys at both; the bodyparts that lie on it."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    greys: tuple[float, float]
    softness: float = 0.0
    holds: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Mouse:
    """One session of one seed."""

    seed: int
    session: int

    def places(self, times: np.ndarray) -> np.ndarray:
        """[T, K, 3], mm, of BODYPARTS at times [T], s."""
        motion = session_motion(self.seed, self.session)
        times = np.asarray(times, np.float64)
        activity, phase = motion.at(motion.activity, times), motion.at(motion.phase, times)
        sway = 2.0 * activity * np.sin(2 * np.pi * phase)  # mm, of the rump
        bob = 2.6 * activity * np.sin(4 * np.pi * phase)  # scene units, as in paw_on_ball
        rump = np.stack([0 * times, sway, -MM * bob], -1)
        found = {"tail_base": _in_world(TAIL_BASE) + rump, "neck": _in_world(_NECK) + 0 * rump}
        found["snout"] = _in_world(SNOUT) + 0 * rump
        for side, sign in SIDES.items():
            for kind in LIMBS:
                foot = motion.at(motion.feet[f"{side}_{kind}"], times)
                tip = _foot(foot, kind, sign, times)
                root = _in_world(_ROOTS[kind][0]) + (rump if kind == "hind" else 0) + (0, sign * _ROOTS[kind][1], 0)
                names = [f"{side}_{name}" for name in LIMBS[kind]]
                found[names[-1]] = tip
                if kind == "hind":
                    back = np.stack([-np.cos(foot[:, 2]), 0 * times, np.sin(np.clip(foot[:, 2], 0.1, 1.2))], -1)
                    found[names[1]] = tip = tip + _HEEL * back / np.linalg.norm(back, axis=-1, keepdims=True)
                found[names[0]] = _joint(root, tip, _BONES[kind], np.multiply(_BENT[kind], (1, sign, 1)))
        return np.stack([found[name] for name in BODYPARTS], 1)


def _in_world(point: Sequence[float]) -> np.ndarray:
    """A point (x, y) of the scene, in the middle of the body."""
    return MM * np.array([_SURFACE[0] - point[0], 0, _SURFACE[1] - point[1]])


def _foot(foot: np.ndarray, kind: str, sign: float, times: np.ndarray) -> np.ndarray:
    """Places [T, 3] of a foot by its table [T, 4]: outwards in its swing, and to the middle before the face."""
    x, y = foot[:, 0], foot[:, 1] - (_NEARER if sign > 0 else 0)
    ground = BALL_CENTRE[1] - np.sqrt(BALL_RADIUS**2 - (x - BALL_CENTRE[0]) ** 2)
    lift = np.clip(ground - y - 14, 0, 60)
    across = _ACROSS[kind] + 0.07 * lift + 0.8 * np.sin(2 * np.pi * 0.7 * times + sign)
    if kind == "fore":
        across = across * np.clip((x - 120) / 110, 0.3, 1)
    drop = across**2 / (2 * MM * BALL_RADIUS)
    return np.stack([MM * (_SURFACE[0] - x), sign * across, MM * (_SURFACE[1] - y) - drop], -1)


def _joint(root: np.ndarray, tip: np.ndarray, bones: tuple[float, float], towards: np.ndarray) -> np.ndarray:
    """The joint [T, 3] between two bones from root to tip [T, 3], on the side to which `towards` [3] points.

    Where the tip is out of reach, both bones are stretched in proportion.
    """
    span = tip - root
    distance = np.linalg.norm(span, axis=-1, keepdims=True)
    upper, lower = (bone * np.maximum(distance / (0.995 * sum(bones)), 1) for bone in bones)
    along = (distance**2 + upper**2 - lower**2) / (2 * distance)
    unit = span / distance
    aside = towards - (unit @ towards)[:, None] * unit
    aside /= np.linalg.norm(aside, axis=-1, keepdims=True)
    return root + unit * along + aside * np.sqrt(np.maximum(upper**2 - along**2, 0))


def capsules(places: dict[str, np.ndarray], look: Look, time: float) -> list[Capsule]:
    """The tubes of the body at a time, s, whose bodyparts are at places {name: [3]}, mm."""
    fur, paw = look.fur, look.paw
    off = places["tail_base"] - _in_world(TAIL_BASE)  # the sway of the rump
    made = []
    for start, end, radii, grey, name in _BODY:
        ends = [_in_world(point) + off * np.clip((point[0] - 300) / 250, 0, 1) for point in (start, end)]
        holds = (name,) if name else ()
        made.append(Capsule(*ends, tuple(MM * radius for radius in radii), (grey * fur,) * 2, 0.6, holds))
    made.append(Capsule(_in_world((284, 190)), _in_world((284, -200)), (2.2, 2.2), (80, 50), 0.2))  # holds the head
    for sign in SIDES.values():
        ear = _in_world((270, 214)) + (0, 7 * sign, 0)
        made.append(Capsule(ear, ear + (-1.5, 1.5 * sign, 2), (3.6, 4.0), (2.4 * fur, 2.1 * fur), 0.3))
        eye = _in_world((200, 246)) + (0, 5.5 * sign, 0)
        made.append(Capsule(eye, eye + (0.3, 0, 0), (1.4, 1.4), (9, 9), 0.1))
    made.append(Capsule(places["snout"], places["snout"] + (-0.5, 0, 0), (1.2, 1.2), (paw, paw), 0.2, ("snout",)))
    tail = places["tail_base"]
    for step in range(6):
        turn = 0.5 * np.sin(1.1 * time + 0.4 * step) + 0.3 * np.sin(4.7 * time)
        end = tail + 6 * np.array([-np.cos(turn), np.sin(turn), -0.25 + 0.03 * step])
        thick = 2.2 - 0.2 * step
        made.append(Capsule(tail, end, (thick, thick - 0.2), (0.7 * paw,) * 2, 0.2, ("tail_base",) * (step == 0)))
        tail = end
    for side, sign in SIDES.items():
        skin, shade = 0.9 * paw, 0.35 * fur + 0.4 * paw
        elbow, forepaw, knee, heel, hindpaw = (places[f"{side}_{name}"] for names in LIMBS.values() for name in names)
        shoulder = _in_world(SHOULDER) + (0, _ROOTS["fore"][1] * sign, 0)
        hip = _in_world(HIP) + (0, _ROOTS["hind"][1] * sign, 0) + off

        def tube(start, end, radii, greys, *holds, side=side):  # noqa: ANN001, ANN002, ANN202
            return Capsule(start, end, radii, greys, 0.3, tuple(f"{side}_{name}" for name in holds))

        made += [
            tube(shoulder, elbow, (5.2, 3.2), (1.3 * fur, 1.6 * fur), "elbow"),
            tube(elbow, forepaw, (2.8, 1.5), (1.5 * fur, shade), "elbow", "forepaw"),
            tube(hip, knee, (8.0, 4.2), (1.3 * fur, 1.6 * fur), "knee"),
            tube(knee, heel, (3.6, 1.6), (1.5 * fur, shade), "knee", "heel"),
            tube(heel, hindpaw, (1.5, 1.8), (0.8 * skin, skin), "heel", "hindpaw"),
            tube(forepaw, forepaw + (0.8, 0, -0.3), (1.9, 1.9), (skin, skin), "forepaw"),
        ]
        for name, start, length in (("forepaw", forepaw, 2.9), ("hindpaw", hindpaw, 3.6)):
            for fan in (-0.5, -0.15, 0.2, 0.55):
                end = start + length * np.array([np.cos(fan), np.sin(fan), -0.25])
                made.append(tube(start, end, (0.8, 0.6), (skin, 1.1 * skin), name))
    return made

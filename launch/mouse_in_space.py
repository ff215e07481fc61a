"""The mouse of `paw_on_ball` as a body in space that cameras around it see: its true places in mm, and its frames.

Steps, gestures and looks are those of `pawjax.data.paw_on_ball`, whose drawing knows one side only. Here the feet have
a place across the body too, elbows and knees follow from the bones' lengths, and everything is drawn from the farthest
to the nearest. The world is in mm: x points where the animal looks, y to its left, z up from the top of the ball.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

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
from pawjax.data.paw_on_ball.look import HIP, SHOULDER, SNOUT, TAIL_BASE, Look, session_look
from pawjax.data.paw_on_ball.motion import BALL_CENTRE, BALL_RADIUS, session_motion
from pawjax.pose3d.cameras import Cameras

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
_NECK = (282.0, 232.0)
_ACROSS = {"fore": 9.0, "hind": 13.0}  # mm, of a planted foot from the middle of the body
_ROOTS = {"fore": (SHOULDER, 6.5), "hind": (HIP, 8.0)}
_BONES = {"fore": (64 * MM, 74 * MM), "hind": (78 * MM, 76 * MM)}
_BENT = {"fore": (-1.0, 0.35, 0.0), "hind": (1.0, 0.35, 0.0)}  # where elbow and knee point; y away from the body
_HEEL = 52 * MM  # behind the ball of the hind foot
_NEARER = 12.0  # scene units by which paw_on_ball draws the feet of its near, left side lower
_TRUNK = (  # capsules of the body: scene x, y of both ends, radii
    ((545, 330), (305, 322), (96, 68)),
    ((520, 305), (420, 285), (100, 88)),
    ((330, 300), (236, 262), (70, 50)),
    ((600, 326), (545, 330), (40, 80)),
)
_HEAD = (((240, 256), (172, 280), (48, 29)), ((176, 280), (138, 292), (26, 9)))
_HIDDEN = 0.5  # share of a bodypart that others cover, from which it counts as hidden
_BALL_ROWS, _BALL_COLUMNS = 256, 1024


class Capsule(NamedTuple):
    """A tapered tube in space: ends [3], mm; radii, mm, and greys at both; the bodyparts that lie on it."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    greys: tuple[float, float]
    softness: float = 0.0
    holds: tuple[str, ...] = ()


class Picture(NamedTuple):
    """One camera's frame: image uint8 [H, W, 1], pixels [K, 2] (x, y) of the bodyparts, visible bool [K]."""

    image: np.ndarray
    pixels: np.ndarray
    visible: np.ndarray


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

    def picture(self, cameras: Cameras, index: int, time: float) -> Picture:
        """What one camera sees at a time, s."""
        width, height = cameras.sizes[index]
        look = session_look(self.seed, self.session, height, width)
        motion = session_motion(self.seed, self.session)
        roll = float(motion.at(motion.roll, np.array([time]))[0])
        eye = _Eye.of(cameras, index)
        canvas = Canvas(np.full((height, width), look.background, np.float32))
        canvas.over(_ball(eye, look, roll, (self.seed, self.session)))
        places = dict(zip(BODYPARTS, self.places(np.array([time]))[0], strict=True))
        pixels = eye.pixels(np.stack(list(places.values())))
        seen = np.ones(len(BODYPARTS))
        for capsule in sorted(_capsules(places, look, time), key=lambda one: -eye.depth((one.start + one.end) / 2)):
            layer = eye.layer(capsule, look)
            canvas.over(layer)
            seen *= 1 - _alpha_at(layer, pixels)
            seen[[BODYPARTS.index(name) for name in capsule.holds]] = 1
        rng = np.random.default_rng([self.seed, self.session, index, round(time * 1e6), 83])
        image = blur(canvas.image, look.defocus * eye.scale / 2)
        image = image + rng.normal(size=image.shape) * np.sqrt(look.read_noise**2 + look.shot_noise * image)
        inside = ((pixels >= 0) & (pixels <= (width - 1, height - 1))).all(-1)
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        return Picture(image[..., None], pixels, inside & (seen > 1 - _HIDDEN))


def rig(height: int, width: int, names: Sequence[str] = ("left", "front", "right")) -> Cameras:
    """Three cameras, 220 mm before the animal's middle, to its left, before it and to its right, a little above it."""
    middle, place = np.array([2.0, 0, 16]), {"left": (70, 14), "front": (4, 26), "right": (-66, 17)}  # degrees
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


def _capsules(places: dict[str, np.ndarray], look: Look, time: float) -> list[Capsule]:
    fur, paw = look.fur, look.paw
    off = places["tail_base"] - _in_world(TAIL_BASE)  # the sway of the rump
    made = []
    for parts, grey, holds in ((_TRUNK, 1.3 * fur, ("neck", "tail_base")), (_HEAD, 1.6 * fur, ("snout", "neck"))):
        for start, end, radii in parts:
            ends = [_in_world(point) + off * np.clip((point[0] - 300) / 250, 0, 1) for point in (start, end)]
            made.append(Capsule(*ends, tuple(MM * r for r in radii), (grey, grey), 0.6, holds))
    made.append(Capsule(*[_in_world((284, y)) + (0, 0, 0) for y in (190, -200)], (2.2, 2.2), (80, 50), 0.2))
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
        shoulder = _in_world(SHOULDER) + (0, 6.5 * sign, 0)
        hip = _in_world(HIP) + (0, 8.0 * sign, 0) + off
        tube = lambda start, end, radii, greys, *holds: Capsule(  # noqa: E731
            start,
            end,
            radii,
            greys,
            0.3,
            tuple(f"{side}_{name}" for name in holds),  # noqa: B023
        )
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
    rng = np.random.default_rng([*seeds, 61])
    texture = 1 + 0.15 * noise(rng, (_BALL_ROWS, _BALL_COLUMNS), (1.0, 1.0))
    texture += 0.7 * np.clip(noise(rng, texture.shape, (4.0, 4.0)) - 1.6, 0, 1)
    texture += 0.25 * noise(rng, texture.shape, (12.0, 12.0))
    turned = np.arctan2(normal[..., 0], normal[..., 2]) + roll
    rows = (np.arcsin(np.clip(normal[..., 1], -1, 1)) / np.pi + 0.5) * _BALL_ROWS
    value = sample(texture, rows, turned / (2 * np.pi) * _BALL_COLUMNS)
    shade = 0.35 + 0.65 * np.clip(normal @ np.array([0.25, 0.2, 0.95]), 0, 1) ** 2
    alpha = np.clip(0.5 + beside * eye.matrix[0, 0] / eye.depth(centre), 0, 1).astype(np.float32)
    return Layer((look.ball * shade * np.maximum(value, 0.1) * alpha).astype(np.float32), alpha, 0, 0)

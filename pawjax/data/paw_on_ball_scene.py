"""What stays the same through one session of `paw_on_ball`: its look, background, ball, fur, head, spout and post."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pawjax.data.paw_on_ball_draw import Canvas, Layer, Part, View, capsule, draw_hairs, draw_parts
from pawjax.data.paw_on_ball_motion import BALL_CENTRE, BALL_RADIUS

N_SESSIONS = 12
HIP, SHOULDER, TAIL_BASE, SNOUT = (552.0, 338.0), (288.0, 340.0), (640.0, 322.0), (136.0, 292.0)

# Tapered capsules (start x, y, end x, y, radii) that melt into the outline of the body: trunk, hump, neck, head, snout.
_BODY = (
    ((305, 322), (545, 330), (68, 96)),
    ((420, 285), (520, 305), (92, 104)),
    ((330, 300), (236, 262), (78, 52)),
    ((240, 256), (172, 280), (50, 30)),
    ((176, 280), (136, 293), (27, 10)),
    ((560, 330), (640, 325), (80, 16)),
)
_BALL_CELL = 2.0  # scene units per texel of the ball's texture
_BALL_ROWS, _BALL_COLUMNS = 256, 2048


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


@dataclass(frozen=True)
class Stage:
    """The cached layers of one session at one frame size."""

    background: np.ndarray
    body: "Body"
    ball: "BallSurface"
    front: tuple[Layer, ...]
    vignette: np.ndarray


@dataclass(frozen=True)
class Body:
    """The body with head and holder, in full-frame arrays [H, W]; fur: the gain of its hairs alone;
    sway [W]: how far a column follows the rump, 0..1."""

    colour: np.ndarray
    alpha: np.ndarray
    fur: np.ndarray
    sway: np.ndarray

    def layer_at(self, lift: float) -> Layer:
        """The body with its rump moved down by `lift` pixels, the head held fast."""
        shift = self.sway * lift
        whole = np.floor(shift).astype(int)
        fraction = (shift - whole).astype(np.float32)
        colour, alpha = self.colour.copy(), self.alpha.copy()
        height = colour.shape[0]
        for step in np.unique(whole):
            columns = np.flatnonzero((whole == step) & (shift != 0))
            if columns.size == 0:
                continue
            left, right = int(columns[0]), int(columns[-1]) + 1  # sway rises from left to right: one run of columns
            for source, target in ((self.colour, colour), (self.alpha, alpha)):
                rows = np.clip(np.arange(height) - step, 0, height - 1)
                here = source[:, left:right]
                target[:, left:right] = here[rows] + fraction[left:right] * (here[np.maximum(rows - 1, 0)] - here[rows])
        return Layer(colour, alpha, 0, 0)


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


def session_look(seed: int, session: int, height: int, width: int) -> Look:
    """Draw the look of one session; the same at every frame size but for its `view`."""
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


@lru_cache(maxsize=N_SESSIONS)
def session_stage(seed: int, session: int, height: int, width: int) -> tuple[Look, Stage]:
    """Look and cached layers of one session; a pure function of its arguments."""
    look = session_look(seed, session, height, width)
    rng = np.random.default_rng([seed, session, 37])
    grid_x, grid_y = look.view.unproject_grid()
    radius2 = ((grid_x - 400) / 400) ** 2 + ((grid_y - 300) / 300) ** 2
    stage = Stage(
        background=_background(rng, look, grid_x, grid_y),
        body=_body(rng, look, grid_x, grid_y),
        ball=_ball(rng, look, grid_x, grid_y),
        front=_front(look),
        vignette=(1 - look.vignette * np.clip(0.5 * radius2, 0, 1.2)).astype(np.float32),
    )
    return look, stage


def _one(x: float, y: float) -> np.ndarray:
    return np.array([[x, y]], np.float64)


def _noise(rng: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float]) -> np.ndarray:
    """Periodic Gaussian noise of unit variance, correlated over `sigma` cells down and across."""
    down = np.fft.fftfreq(shape[0])[:, None]
    across = np.fft.rfftfreq(shape[1])[None, :]
    response = np.exp(-2 * np.pi**2 * ((sigma[0] * down) ** 2 + (sigma[1] * across) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * response, s=shape)
    return (field / field.std()).astype(np.float32)


def _sample(field: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Periodic `field` read at fractional rows and columns by bilinear interpolation."""
    low_row, low_column = np.floor(row).astype(np.int32), np.floor(column).astype(np.int32)
    down, right = row - low_row, column - low_column
    rows, columns = field.shape
    upper_row, lower_row = low_row % rows, (low_row + 1) % rows
    near, far = low_column % columns, (low_column + 1) % columns
    upper = field[upper_row, near] * (1 - right) + field[upper_row, far] * right
    lower = field[lower_row, near] * (1 - right) + field[lower_row, far] * right
    return upper * (1 - down) + lower * down


def _background(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    cloud = _sample(_noise(rng, (32, 64), (2.5, 2.5)), y / 25, x / 17)
    canvas = Canvas(look.background * (1 + 0.25 * cloud))
    for _ in range(int(rng.integers(2, 5))):  # blurred parts of the rig far behind the mouse
        start = _one(rng.uniform(0, 800), -60.0)
        end = start + _one(rng.normal(0, 110), rng.uniform(500, 760))
        radius, grey = rng.uniform(4, 34), look.background * rng.uniform(1.2, 2.4)
        post = Part(start, end, (radius, radius), (grey, 0.7 * grey), softness=18.0, opacity=0.8)
        canvas.over(draw_parts(look.view, [post], (0.3, 0.0)))
    return canvas.image.astype(np.float32)


def _ball(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> BallSurface:
    shape = (_BALL_ROWS, _BALL_COLUMNS)
    grain = rng.uniform(0.06, 0.2)
    texture = 1 + grain * _noise(rng, shape, (1.0, 1.0)) + 0.16 * _noise(rng, shape, (12.0, 12.0))
    patches = np.clip((_noise(rng, shape, (5.0, 5.0)) - rng.uniform(1.9, 2.6)) * 2, 0, 1)
    specks = np.clip((_noise(rng, shape, (1.6, 1.6)) - rng.uniform(2.6, 3.2)) * 2, 0, 1)
    scuffs = np.clip((_noise(rng, shape, (1.0, 9.0)) - rng.uniform(2.2, 2.9)) * 2, 0, 1)
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


def body_distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance (scene units, negative inside) to the outline of the body at scene x, y of one shape."""
    total = None
    for start, end, radii in _BODY:
        *_, distance, radius = capsule(y, x, _one(*start), _one(*end), radii)
        near = distance[0] - radius[0]
        if total is None:
            total = near
            continue
        mix = np.clip(0.5 + (total - near) / 44.0, 0, 1)
        total = total + (near - total) * mix - 22.0 * mix * (1 - mix)
    return total


def _hair_curves(roots: np.ndarray, angle: np.ndarray, length: np.ndarray, sag: np.ndarray) -> np.ndarray:
    along = np.linspace(0, 1, 4)[None, :, None]
    direction = np.stack([np.cos(angle), np.sin(angle)], -1)[:, None]
    fall = np.array([0.0, 1.0])[None, None] * sag[:, None, None]
    return roots[:, None] + length[:, None, None] * (direction * along + fall * along**2)


def _body_points(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.stack([rng.uniform(120, 665, n), rng.uniform(150, 450, n)], -1)
    return points, body_distance(points[None, :, 0], points[None, :, 1])[0]


def _fur_gain(rng: np.random.Generator, look: Look, shape: tuple[int, int]) -> np.ndarray:
    """Gain [H, W] of strokes of fur, lighter and darker in turn, combed backward and down the flanks."""
    gain = np.ones(shape, np.float32)
    for grey in (2.1, 0.4, 1.8, 0.5, 1.5):
        points, depth = _body_points(rng, 6500)
        points = points[depth < -3]
        n = len(points)
        slope = 0.1 + 0.9 * np.clip((points[:, 1] - 290) / 130, -0.4, 1.0) + rng.normal(0, 0.2, n)
        length = rng.uniform(9, 24, n) * np.where(points[:, 0] < 230, 0.45, 1.0)
        curves = _hair_curves(points, slope, length, rng.uniform(-0.1, 0.25, n))
        hairs = draw_hairs(look.view, curves, np.full(n, 1.1), 1.0)
        gain[hairs.window] *= 1 + (grey - 1) * 0.55 * hairs.alpha
    return gain


def _add_fringe(rng: np.random.Generator, colour: np.ndarray, alpha: np.ndarray, look: Look) -> None:
    """Hairs that stand past the outline of the body, added in place."""
    points, depth = _body_points(rng, 16000)
    roots = points[np.abs(depth + 2) < 3]
    n = len(roots)
    slope = np.arctan2(roots[:, 1] - 310, 260.0) * 1.5 + rng.normal(0, 0.35, n)
    length = rng.uniform(6, 17, n) * np.where(roots[:, 0] < 230, 0.35, 1.0)
    below = roots[:, 1] > 370
    for part, grey in ((below, 1.7), (~below, 0.9)):
        curves = _hair_curves(roots[part], slope[part], length[part], rng.uniform(0, 0.3, int(part.sum())))
        hairs = draw_hairs(look.view, curves, np.ones(len(curves)), grey * look.fur)
        free = 1 - alpha[hairs.window]
        colour[hairs.window] += hairs.colour * free
        alpha[hairs.window] += hairs.alpha * free


def _body(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> Body:
    distance = body_distance(x, y)
    distance = distance + 1.8 * _sample(_noise(rng, (64, 128), (1.2, 1.2)), y / 8, x / 8)
    scale = np.float32(look.view.scale)
    alpha = np.clip(0.5 - distance * scale / (1 + 3.5 * scale), 0, 1).astype(np.float32)
    depth = np.clip(-distance / 85.0, 0, 1)
    height = np.sqrt(np.maximum(1 - (1 - depth) ** 2, 0)) * 85.0
    slope_y, slope_x = np.gradient(height, axis=(0, 1))
    tilt = (-slope_x * look.light[0] - slope_y * look.light[1]) * scale
    belly = np.clip((y - 335) / 70, 0, 1) ** 2 * np.clip((x - 190) / 60, 0, 1)
    face = np.clip((215 - x) / 80, 0, 1)
    mottle = _sample(_noise(rng, (48, 96), (1.5, 2.5)), y / 8, x / 8)
    value = 0.36 + 0.3 * depth + 1.1 * np.clip(tilt, -0.09, 0.6) + 1.1 * belly + 0.6 * face + 0.05 * mottle
    colour = (look.fur * np.maximum(value, 0.12) * alpha).astype(np.float32)
    fur = _fur_gain(rng, look, alpha.shape)
    colour *= fur
    _add_fringe(rng, colour, alpha, look)
    canvas, cover = Canvas(colour), Canvas(alpha)
    for layer in _head(look):
        canvas.over(layer)
        cover.over(Layer(layer.alpha, layer.alpha, layer.top, layer.left))
    sway = np.clip((x[0] - 300.0) / 220.0, 0, 1)
    return Body(canvas.image, cover.image, fur, sway * sway * (3 - 2 * sway))


def _head(look: Look) -> list[Layer]:
    """Ear, eye with its glint, nose, head plate and the holder that goes out of the frame."""
    fur, view = look.fur, look.view
    metal = 70 + 0.5 * look.paw

    def tube(start, end, radii, values, softness=0.0, opacity=1.0, light=(0.0, 0.0)):
        return draw_parts(view, [Part(_one(*start), _one(*end), radii, values, softness, opacity)], light)

    return [
        tube((284, 206), (294, 200), (30, 32), (fur * 2.1, fur * 1.9), 1.5, 0.95, look.light),
        tube((282, 210), (290, 204), (21, 22), (fur * 1.3, fur * 1.1), 7.0, 0.9),
        tube((200, 240), (204, 239), (11.5, 11), (fur * 1.2, fur * 1.2), 3.0, 0.9),
        tube((200, 240), (203, 239), (8.5, 8), (9, 9), 1.0),
        tube((198, 236.5), (199.5, 236), (1.6, 1.4), (330, 330), 1.0),
        tube((206, 242), (207, 242), (0.9, 0.9), (190, 190), 1.0),
        tube((134, 290), (139, 296), (6.5, 6), (fur * 1.5 + 40, fur + 20), 2.0, 0.9, look.light),
        tube((244, 190), (372, -60), (15, 15), (metal * 0.42, metal * 0.2), 1.0, 1.0, (-0.5, -0.1)),
        tube((238, 186), (364, -60), (1.6, 1.6), (metal * 1.7, metal * 0.7), 2.5, 0.8),
        tube((212, 206), (268, 190), (9, 9), (metal * 0.6, metal * 0.75), 0.5, 1.0, (-0.3, -0.5)),
        tube((218, 200), (258, 188.5), (1.6, 1.6), (255, 235), 2.0, 0.85),
        tube((236, 198), (238, 197), (6.5, 6.5), (metal * 0.9, metal * 0.9), 1.0, 1.0, (-0.4, -0.5)),
    ]


def _front(look: Look) -> tuple[Layer, ...]:
    """What stands between the camera and the near paw: a lick spout, and in some sessions a blurred post."""
    layers = []
    if look.spout is not None:
        x, y = look.spout
        tube = Part(_one(x, y), _one(-40, y + 46), (6.5, 8.5), (120, 95), 1.0)
        shine = Part(_one(x - 3, y - 2), _one(-40, y + 43), (1.3, 1.6), (250, 190), 1.5, 0.85)
        drop = Part(_one(x + 3, y - 1), _one(x + 4, y), (4.5, 4.5), (235, 235), 2.0)
        layers.append(draw_parts(look.view, [tube, shine, drop], (0.0, -0.4)))
    if look.post is not None:
        x, half = look.post
        post = Part(_one(x, 372), _one(x - 14, 660), (half, half), (34, 26), 9.0)
        shine = Part(_one(x - 0.4 * half, 376), _one(x - 14 - 0.4 * half, 660), (3, 3), (120, 80), 6.0, 0.7)
        layers.append(draw_parts(look.view, [post, shine], (-0.2, 0.0)))
    return tuple(layers)

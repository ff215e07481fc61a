"""The mouse of `paw_on_ball` without its limbs: outline, fur, head and holder."""

from dataclasses import dataclass

import numpy as np

from pawjax.data.paw_on_ball.draw import Canvas, Layer, Part, capsule, draw_hairs, draw_parts, noise, point, sample
from pawjax.data.paw_on_ball.look import Look

# Tapered capsules (start x, y, end x, y, radii) blended into the body outline: trunk, hump, neck, head, snout.
_BODY = (
    ((305, 322), (545, 330), (68, 96)),
    ((420, 285), (520, 305), (92, 104)),
    ((330, 300), (236, 262), (78, 52)),
    ((240, 256), (172, 280), (50, 30)),
    ((176, 280), (136, 293), (27, 10)),
    ((560, 330), (640, 325), (80, 16)),
)


@dataclass(frozen=True)
class Body:
    """The body with head and holder, in full-frame arrays [H, W]; fur: the gain of its hairs only;
    sway [W]: how far a column follows the rump, 0..1."""

    colour: np.ndarray
    alpha: np.ndarray
    fur: np.ndarray
    sway: np.ndarray

    def layer_at(self, lift: float) -> Layer:
        """The body with its rump moved down by `lift` pixels and its head fixed."""
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


def body_distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance (scene units, negative inside) to the outline of the body at scene x, y of one shape."""
    total = None
    for start, end, radii in _BODY:
        *_, distance, radius = capsule(y, x, point(*start), point(*end), radii)
        piece = distance[0] - radius[0]
        if total is None:
            total = piece
            continue
        mix = np.clip(0.5 + (total - piece) / 44.0, 0, 1)
        total = total + (piece - total) * mix - 22.0 * mix * (1 - mix)
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
    """Gain [H, W] of fur strokes, alternately lighter and darker, combed backward and down the flanks."""
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
    """Adds hairs that reach beyond the body outline, in place."""
    points, depth = _body_points(rng, 16000)
    roots = points[np.abs(depth + 2) < 3]
    n = len(roots)
    slope = np.arctan2(roots[:, 1] - 310, 260.0) * 1.5 + rng.normal(0, 0.35, n)
    length = rng.uniform(6, 17, n) * np.where(roots[:, 0] < 230, 0.35, 1.0)
    below = roots[:, 1] > 370
    for mask, grey in ((below, 1.7), (~below, 0.9)):
        curves = _hair_curves(roots[mask], slope[mask], length[mask], rng.uniform(0, 0.3, int(mask.sum())))
        hairs = draw_hairs(look.view, curves, np.ones(len(curves)), grey * look.fur)
        free = 1 - alpha[hairs.window]
        colour[hairs.window] += hairs.colour * free
        alpha[hairs.window] += hairs.alpha * free


def draw_body(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> Body:
    """Draws the body of one session; x, y [H, W] are the scene coordinates of every pixel."""
    distance = body_distance(x, y)
    distance = distance + 1.8 * sample(noise(rng, (64, 128), (1.2, 1.2)), y / 8, x / 8)
    scale = np.float32(look.view.scale)
    alpha = np.clip(0.5 - distance * scale / (1 + 3.5 * scale), 0, 1).astype(np.float32)
    depth = np.clip(-distance / 85.0, 0, 1)
    height = np.sqrt(np.maximum(1 - (1 - depth) ** 2, 0)) * 85.0
    slope_y, slope_x = np.gradient(height, axis=(0, 1))
    tilt = (-slope_x * look.light[0] - slope_y * look.light[1]) * scale
    belly = np.clip((y - 335) / 70, 0, 1) ** 2 * np.clip((x - 190) / 60, 0, 1)
    face = np.clip((215 - x) / 80, 0, 1)
    mottle = sample(noise(rng, (48, 96), (1.5, 2.5)), y / 8, x / 8)
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
    """Ear, eye with its glint, nose, head plate and the holder that leaves the frame."""
    fur, view = look.fur, look.view
    metal = 70 + 0.5 * look.paw

    def tube(start, end, radii, values, softness=0.0, opacity=1.0, light=(0.0, 0.0)):
        return draw_parts(view, [Part(point(*start), point(*end), radii, values, softness, opacity)], light)

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

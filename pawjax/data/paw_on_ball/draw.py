"""Anti-aliased drawing for `paw_on_ball`: tapered capsules and hairs, composited layer over layer.

Scene coordinates are pixels of the 800x600 reference frame (x right, y down, pixel centres at integers); a `View`
maps them to the pixels of any frame size. Grey values run from 0 to 255.
"""

from dataclasses import dataclass

import numpy as np

REFERENCE_HEIGHT, REFERENCE_WIDTH = 600, 800


@dataclass(frozen=True)
class View:
    """Similarity from the scene to a frame of `height` x `width` pixels: zoom, angle (rad), shift (scene units)."""

    height: int
    width: int
    zoom: float = 1.0
    angle: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def frame_scale(self) -> float:
        """Frame pixels per reference pixel; the reference frame always fits, centred."""
        return min(self.height / REFERENCE_HEIGHT, self.width / REFERENCE_WIDTH)

    @property
    def scale(self) -> float:
        """Frame pixels per scene unit, zoom included."""
        return self.frame_scale * self.zoom

    def project(self, points: np.ndarray) -> np.ndarray:
        """Scene points [..., 2] (x, y) to frame pixels [..., 2] (x, y)."""
        points = np.asarray(points, np.float64)
        x = (points[..., 0] + 0.5 - REFERENCE_WIDTH / 2) * self.zoom
        y = (points[..., 1] + 0.5 - REFERENCE_HEIGHT / 2) * self.zoom
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        across = self.frame_scale * (cos * x - sin * y + self.shift[0]) + self.width / 2 - 0.5
        down = self.frame_scale * (sin * x + cos * y + self.shift[1]) + self.height / 2 - 0.5
        return np.stack([across, down], -1)

    def unproject_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Scene x and y, each float32 [H, W], of every pixel centre of the frame."""
        across = (np.arange(self.width) + 0.5 - self.width / 2)[None, :] / self.frame_scale - self.shift[0]
        down = (np.arange(self.height) + 0.5 - self.height / 2)[:, None] / self.frame_scale - self.shift[1]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x = (cos * across + sin * down) / self.zoom + REFERENCE_WIDTH / 2 - 0.5
        y = (cos * down - sin * across) / self.zoom + REFERENCE_HEIGHT / 2 - 0.5
        return x.astype(np.float32), y.astype(np.float32)


@dataclass(frozen=True)
class Part:
    """One tapered capsule in scene units, at K instants of the exposure.

    start, end: [K, 2] (x, y); radii: at start and end; values: grey at start and end; softness: width of the edge
    beyond one pixel (scene units); opacity: of the whole capsule.
    """

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    values: tuple[float, float]
    softness: float = 0.0
    opacity: float = 1.0


@dataclass(frozen=True)
class Layer:
    """Premultiplied `colour` and `alpha`, float32 [h, w]; the upper left pixel lies at (top, left) of the frame."""

    colour: np.ndarray
    alpha: np.ndarray
    top: int
    left: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame that the layer covers."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


class Canvas:
    """A grey image [H, W] under construction; `watch` tracks how much of one layer stays visible."""

    def __init__(self, image: np.ndarray):
        self.image = image
        self.watched: Layer | None = None  # the visible remainder of the watched layer
        self.whole: Layer | None = None

    def over(self, layer: Layer) -> None:
        """Composite `layer` over the image and the watched layer."""
        view = self.image[layer.window]
        view *= 1 - layer.alpha
        view += layer.colour
        if self.watched is not None:
            _hide(self.watched, layer)

    def watch(self, layer: Layer) -> None:
        """Track the visible coverage of a layer just drawn: `watched.alpha` shrinks as others cover it."""
        self.whole = layer
        self.watched = Layer(layer.colour, layer.alpha.copy(), layer.top, layer.left)


def _hide(watched: Layer, cover: Layer) -> None:
    top, left = max(watched.top, cover.top), max(watched.left, cover.left)
    bottom = min(watched.top + watched.alpha.shape[0], cover.top + cover.alpha.shape[0])
    right = min(watched.left + watched.alpha.shape[1], cover.left + cover.alpha.shape[1])
    if top < bottom and left < right:
        below = watched.alpha[top - watched.top : bottom - watched.top, left - watched.left : right - watched.left]
        below *= 1 - cover.alpha[top - cover.top : bottom - cover.top, left - cover.left : right - cover.left]


def capsule(
    y: np.ndarray, x: np.ndarray, start: np.ndarray, end: np.ndarray, radii: tuple[float, float]
) -> tuple[np.ndarray, ...]:
    """Distances to tapered capsules at pixels y [h, 1], x [1, w]; start, end [K, 2] in the same pixels.

    Returns along [K, h, w] in [0, 1], offset_x, offset_y from the axis, distance to the axis, and local radius.
    """
    start = np.asarray(start, np.float32)[:, :, None, None]
    axis = np.asarray(end, np.float32)[:, :, None, None] - start
    from_x, from_y = x - start[:, 0], y - start[:, 1]
    length2 = np.maximum(axis[:, 0] ** 2 + axis[:, 1] ** 2, np.float32(1e-6))
    along = np.clip(from_x * (axis[:, 0] / length2) + from_y * (axis[:, 1] / length2), 0, 1)
    offset_x = from_x - along * axis[:, 0]
    offset_y = from_y - along * axis[:, 1]
    distance = np.sqrt(offset_x * offset_x + offset_y * offset_y)
    return along, offset_x, offset_y, distance, np.float32(radii[0]) + along * np.float32(radii[1] - radii[0])


def _window(view: View, low: np.ndarray, high: np.ndarray) -> tuple[int, int, int, int]:
    left, top = np.maximum(np.floor(low), 0).astype(int)
    right = min(int(np.ceil(high[0])) + 1, view.width)
    bottom = min(int(np.ceil(high[1])) + 1, view.height)
    left, top = min(left, view.width), min(top, view.height)
    return int(top), int(left), max(bottom, int(top)), max(right, int(left))


def draw_parts(view: View, parts: list[Part], light: tuple[float, float] = (-0.3, 0.35)) -> Layer:
    """Draw `parts` in order as rounded, shaded tubes and average them over the K instants (motion blur).

    `light` is the image-plane direction (x, y) the light comes from, times its strength. Returns one Layer.
    """
    scale = np.float32(view.scale)
    ends = [(view.project(part.start), view.project(part.end)) for part in parts]
    reach = [max(part.radii) * scale + 0.5 * part.softness * scale + 1.5 for part in parts]
    boxes = [(np.minimum(a, b).min(0) - r, np.maximum(a, b).max(0) + r) for (a, b), r in zip(ends, reach, strict=True)]
    top, left, bottom, right = _window(view, np.min([b[0] for b in boxes], 0), np.max([b[1] for b in boxes], 0))
    shape = (len(parts[0].start), bottom - top, right - left)
    colour, alpha = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for part, (start, end), box in zip(parts, ends, boxes, strict=True):
        t, lf, b, r = _window(view, *box)
        if t >= b or lf >= r:
            continue
        y = np.arange(t, b, dtype=np.float32)[:, None]
        x = np.arange(lf, r, dtype=np.float32)[None, :]
        radii = (part.radii[0] * scale, part.radii[1] * scale)
        along, offset_x, offset_y, distance, radius = capsule(y, x, start, end, radii)
        edge = 1 + np.float32(part.softness) * scale
        cover = np.clip(0.5 - (distance - radius) / edge, 0, 1) * np.float32(part.opacity)
        inverse = 1 / np.maximum(radius, distance)
        # Across the axis only: a tube goes on shading past its ends, so joints leave no dark rim.
        direction = (end - start) / np.maximum(np.sqrt(((end - start) ** 2).sum(-1, keepdims=True)), 1e-6)
        direction = direction.astype(np.float32)[:, :, None, None]
        across = (offset_y * direction[:, 0] - offset_x * direction[:, 1]) * inverse
        height = np.sqrt(np.maximum(1 - across * across, 0))
        tilt = across * (direction[:, 0] * np.float32(light[1]) - direction[:, 1] * np.float32(light[0]))
        value = np.float32(part.values[0]) + along * np.float32(part.values[1] - part.values[0])
        value *= np.float32(0.45) + np.float32(0.55) * height + tilt
        where = (slice(None), slice(t - top, b - top), slice(lf - left, r - left))
        colour[where] += cover * (np.maximum(value, 0) - colour[where])
        alpha[where] += cover * (1 - alpha[where])
    if shape[0] == 1:
        return Layer(colour[0], alpha[0], top, left)
    return Layer(colour.mean(0), alpha.mean(0), top, left)


def draw_hairs(view: View, curves: np.ndarray, width: np.ndarray, value: float) -> Layer:
    """Thin curves [N, M, 2] (scene polylines), `width` [N] scene units at the root and tapering to the tip."""
    points = view.project(curves).astype(np.float32)
    longest = np.sqrt(((points[:, 1:] - points[:, :-1]) ** 2).sum(-1)).max(initial=0.0)
    steps = max(2, int(np.ceil(longest / 0.7)))
    fraction = ((np.arange(steps) + 0.5) / steps).astype(np.float32)
    a, b = points[:, :-1, None], points[:, 1:, None]
    dense = a + (b - a) * fraction[:, None]
    length = np.sqrt(((b - a) ** 2).sum(-1)) / steps
    segments = points.shape[1] - 1
    taper = 1 - 0.8 * (np.arange(segments)[None, :, None] + fraction) / segments
    weight = (np.asarray(width, np.float32)[:, None, None] * np.float32(view.scale) * length * taper).ravel()
    x, y = dense[..., 0].ravel(), dense[..., 1].ravel()
    inside = (x >= 0) & (y >= 0) & (x < view.width - 1) & (y < view.height - 1)
    if not inside.any():
        return Layer(np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32), 0, 0)
    x, y, weight = x[inside], y[inside], weight[inside]
    column, row = x.astype(np.int64), y.astype(np.int64)
    x, y = x - column, y - row
    left, top = int(column.min()), int(row.min())
    shape = (int(row.max()) - top + 2, int(column.max()) - left + 2)
    flat = (row - top) * shape[1] + column - left
    depth = np.zeros(shape[0] * shape[1])
    for dy in (0, 1):
        for dx in (0, 1):
            share = weight * (y if dy else 1 - y) * (x if dx else 1 - x)
            depth += np.bincount(flat + dy * shape[1] + dx, share, depth.size)
    alpha = (1 - np.exp(-depth)).reshape(shape).astype(np.float32)
    return Layer(alpha * np.float32(value), alpha, top, left)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Separable Gaussian blur of [H, W] with edges repeated; returns the image itself for sigma < 0.33 px."""
    if sigma < 0.33:
        return image
    reach = int(np.ceil(2.5 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (reach, reach)
        padded = np.pad(image, padding, mode="edge")
        size = image.shape[axis]
        slices = [padded[i : i + size] if axis == 0 else padded[:, i : i + size] for i in range(2 * reach + 1)]
        image = slices[reach] * kernel[reach]
        for i in range(reach):
            image += (slices[i] + slices[-1 - i]) * kernel[i]
    return image


def point(x: float, y: float) -> np.ndarray:
    """The point (x, y) as an array [1, 2]."""
    return np.array([[x, y]], np.float64)


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float]) -> np.ndarray:
    """Periodic Gaussian noise of unit variance, correlated over `sigma` cells down and across."""
    down = np.fft.fftfreq(shape[0])[:, None]
    across = np.fft.rfftfreq(shape[1])[None, :]
    response = np.exp(-2 * np.pi**2 * ((sigma[0] * down) ** 2 + (sigma[1] * across) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * response, s=shape)
    return (field / field.std()).astype(np.float32)


def sample(field: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Periodic `field` read at fractional rows and columns by bilinear interpolation."""
    low_row, low_column = np.floor(row).astype(np.int32), np.floor(column).astype(np.int32)
    down, right = row - low_row, column - low_column
    rows, columns = field.shape
    upper_row, lower_row = low_row % rows, (low_row + 1) % rows
    near, far = low_column % columns, (low_column + 1) % columns
    upper = field[upper_row, near] * (1 - right) + field[upper_row, far] * right
    lower = field[lower_row, near] * (1 - right) + field[lower_row, far] * right
    return upper * (1 - down) + lower * down

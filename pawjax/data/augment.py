"""Augmentation of a batch inside the compiled step: one affine warp, then light, blur, noise and occluding patches.

Every draw depends only on its sample's key, not on how the batch is sharded over devices. Each kind has its own
probability; kinds with probability zero are not compiled at all.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from pawjax.data.symmetry import Pairs, swap_sides
from pawjax.ops.warp import apply_affine, compose_affine, invert_affine, warp
from pawjax.sections import Section

Batch = dict[str, jax.Array]
N_PATCHES = 3
BLUR_TAPS = 7
SHARES = ("shift", "occlusion")
LARGEST = {"crop": 16_384, "rotation": 360, "margin": 10_000, "brightness": 255, "blur": BLUR_TAPS, "noise": 255}


@dataclasses.dataclass(frozen=True)
class Augment(Section):
    """Augmentation of training frames. Lengths are pixels at the network's scale, grey levels 0..255.

    Attributes:
      crop: (height, width) of the network's input; (0, 0) uses the frame size.
      rotation, rotation_p: largest angle in degrees, and the probability of rotating.
      scale, scale_p: (smallest, largest) zoom, drawn log-uniformly.
      shift: largest shift of the crop, as a fraction of its size, if the frame leaves no room to move it.
      flip_p: probability of a left-right flip, which swaps the bodyparts of `config.data.symmetric_pairs`.
      margin: smallest distance of labelled points from the crop's border, where possible.
      anywhere_p: probability that a crop lies anywhere on the frame, with or without labelled points, so that the
        network sees background far from the animal too; whole frames show it anyway.
      brightness, brightness_p: largest change of all grey levels.
      contrast, contrast_p: (smallest, largest) factor about the mean of the frame.
      gamma, gamma_p: (smallest, largest) exponent, drawn log-uniformly.
      blur, blur_p: largest length of the motion blur, at most 7 px, at any angle.
      noise, noise_p: largest standard deviation of Gaussian noise.
      occlusion, occlusion_p: largest side of each of three grey patches, as a fraction of the crop.
    """

    section: ClassVar[str] = "augment"

    crop: tuple[int, int] = (0, 0)
    rotation: float = 25.0
    rotation_p: float = 0.5
    scale: tuple[float, float] = (0.75, 1.25)
    scale_p: float = 0.5
    shift: float = 0.1
    flip_p: float = 0.0
    margin: float = 8.0
    anywhere_p: float = 0.0
    brightness: float = 25.0
    brightness_p: float = 0.3
    contrast: tuple[float, float] = (0.7, 1.4)
    contrast_p: float = 0.3
    gamma: tuple[float, float] = (0.7, 1.4)
    gamma_p: float = 0.2
    blur: float = 7.0
    blur_p: float = 0.2
    noise: float = 12.0
    noise_p: float = 0.3
    occlusion: float = 0.15
    occlusion_p: float = 0.3

    def __post_init__(self):
        """Raises InputError for an invalid value."""
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in ("scale", "contrast", "gamma"):
                fits = len(value) == 2 and 0 < value[0] <= value[1]
                self.require(name, fits, "two positive numbers, the smaller first")
                self.require_range(name, 0.01, 100)
            elif name.endswith("_p") or name in SHARES:
                self.require_share(name)
        fits = len(self.crop) == 2 and all(isinstance(side, int) and side >= 0 for side in self.crop)
        self.require("crop", fits, "(height, width) in whole pixels, 0 for the frame size")
        for name, most in LARGEST.items():
            self.require_range(name, 0, most)


def augment(settings: Augment, keys: jax.Array, batch: Batch, pairs: Pairs = ()) -> Batch:
    """Warps and relights the frames of a batch and moves its points and `to_original` with them.

    Args:
      keys: one PRNG key per sample, [B].
      batch: as returned by `gather`.
      pairs: indices of the bodyparts that a flip swaps, see `pair_indices`.

    Returns:
      The batch, `image` uint8 [B, *crop, C], without 'size'.
    """
    height, width = output_size(settings, batch["image"].shape[1:3])

    def one(key: jax.Array, sample: Batch) -> Batch:
        key_warp, key_light = jax.random.split(key)
        to_source, flipped = _draw_warp(settings, key_warp, sample, height, width)
        image = warp(sample["image"], to_source, height, width)
        keypoints = _moved(invert_affine(to_source), sample["keypoints"])
        labelled, absent = sample["labelled"], sample["absent"]
        if settings.flip_p and pairs:
            keypoints = jnp.where(flipped, swap_sides(keypoints, pairs, axis=1), keypoints)
            labelled = jnp.where(flipped, swap_sides(labelled, pairs, axis=1), labelled)
            absent = jnp.where(flipped, swap_sides(absent, pairs, axis=1), absent)
        image = _relight(settings, key_light, image)
        return {
            "image": jnp.round(jnp.clip(image, 0, 255)).astype(jnp.uint8),
            "keypoints": keypoints,
            "labelled": labelled,
            "absent": absent,
            "weight": sample["weight"],
            "to_original": compose_affine(sample["to_original"], to_source),
        }

    return jax.vmap(one)(keys, batch)


def output_size(settings: Augment, frame_size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the augmented frames."""
    return (settings.crop[0] or frame_size[0], settings.crop[1] or frame_size[1])


def _moved(matrix: jax.Array, keypoints: jax.Array) -> jax.Array:
    """Maps keypoints [A, K, 2] of all animals with a matrix [2, 3]."""
    return apply_affine(matrix, keypoints.reshape(-1, 2)).reshape(keypoints.shape)


def _chosen(key: jax.Array, probability: float) -> jax.Array:
    return jax.random.uniform(key) < probability


def _draw_warp(
    settings: Augment, key: jax.Array, sample: Batch, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
    """The affine map [2, 3] from pixels of the crop to pixels of the frame, and whether it flips."""
    k = jax.random.split(key, 8)
    angle = jnp.deg2rad(jax.random.uniform(k[0], minval=-settings.rotation, maxval=settings.rotation))
    angle = jnp.where(_chosen(k[1], settings.rotation_p), angle, 0.0)
    low, high = (jnp.log(jnp.float32(s)) for s in settings.scale)
    zoom = jnp.exp(jax.random.uniform(k[2], minval=low, maxval=high))
    zoom = jnp.where(_chosen(k[3], settings.scale_p), zoom, 1.0)
    flipped = _chosen(k[4], settings.flip_p)
    mirror = jnp.where(flipped, -1.0, 1.0)
    cos, sin = zoom * jnp.cos(angle), zoom * jnp.sin(angle)
    linear = jnp.array([[cos * mirror, -sin], [sin * mirror, cos]])
    forward = jnp.concatenate([linear, jnp.zeros((2, 1))], axis=1)  # frame -> crop, before the crop's origin

    crop = jnp.array([width, height], jnp.float32)
    origin = _draw_origin(settings, k[5:8], sample, forward, crop)
    return invert_affine(forward.at[:, 2].set(-origin)), flipped


def _draw_origin(settings: Augment, keys: jax.Array, sample: Batch, forward: jax.Array, crop: jax.Array) -> jax.Array:
    """The crop's corner, (x, y) in rotated coordinates: on the frame, and mostly with the points inside."""
    corner = sample["size"][::-1].astype(jnp.float32) - 1
    corners = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * corner
    turned = apply_affine(forward, corners)
    first, room = turned.min(axis=0), turned.max(axis=0) - turned.min(axis=0) + 1 - crop
    place = jax.random.uniform(keys[0], (2,))
    slack = (2 * place - 1) * settings.shift * crop
    origin = first + jnp.where(room > 2 * settings.shift * crop, place * room, room / 2 + slack)

    labelled = sample["labelled"].reshape(-1)  # all animals as one set of points
    points = apply_affine(forward, sample["keypoints"].reshape(-1, 2))
    low = jnp.where(labelled[:, None], points, jnp.inf).min(axis=0)
    high = jnp.where(labelled[:, None], points, -jnp.inf).max(axis=0)
    scores = jnp.where(labelled, jax.random.uniform(keys[1], labelled.shape), -1.0)
    lucky = points[jnp.argmax(scores)]  # the point to keep if not all fit
    fits = (high - low) <= crop - 1 - 2 * settings.margin
    low, high = jnp.where(fits, low, lucky), jnp.where(fits, high, lucky)
    bounded = jnp.clip(origin, high - crop + 1 + settings.margin, low - settings.margin)
    free = ~labelled.any()
    if settings.anywhere_p and any(settings.crop):
        free |= _chosen(keys[2], settings.anywhere_p)
    return jnp.where(free, origin, bounded)


def _relight(settings: Augment, key: jax.Array, image: jax.Array) -> jax.Array:
    """Light, motion blur, noise and patches on one image, float32 [H, W, C] in 0..255."""
    k = jax.random.split(key, 8)
    if settings.contrast_p:
        low, high = settings.contrast
        factor = jax.random.uniform(k[0], minval=low, maxval=high)
        factor = jnp.where(_chosen(k[1], settings.contrast_p), factor, 1.0)
        mean = image.mean()
        image = (image - mean) * factor + mean
    if settings.brightness_p:
        change = jax.random.uniform(k[2], minval=-settings.brightness, maxval=settings.brightness)
        image = image + jnp.where(_chosen(k[3], settings.brightness_p), change, 0.0)
    if settings.gamma_p:
        image = _gamma(settings, k[4], image)
    if settings.blur_p:
        image = _motion_blur(settings, k[5], image)
    if settings.noise_p:
        k_size, k_use, k_noise = jax.random.split(k[6], 3)
        size = jax.random.uniform(k_size, maxval=settings.noise)
        size = jnp.where(_chosen(k_use, settings.noise_p), size, 0.0)
        image = image + size * jax.random.normal(k_noise, image.shape)
    if settings.occlusion_p:
        image = _occlude(settings, k[7], image)
    return image


def _gamma(settings: Augment, key: jax.Array, image: jax.Array) -> jax.Array:
    k_size, k_use = jax.random.split(key)
    low, high = (jnp.log(jnp.float32(g)) for g in settings.gamma)
    exponent = jnp.exp(jax.random.uniform(k_size, minval=low, maxval=high))
    exponent = jnp.where(_chosen(k_use, settings.gamma_p), exponent, 1.0)
    return 255.0 * (jnp.clip(image, 0, 255) / 255.0) ** exponent


def _motion_blur(settings: Augment, key: jax.Array, image: jax.Array) -> jax.Array:
    """Averages along a line, with a 7x7 kernel made of tents around points of the line."""
    k_size, k_angle, k_use = jax.random.split(key, 3)
    length = jax.random.uniform(k_size, minval=1.0, maxval=settings.blur)
    length = jnp.where(_chosen(k_use, settings.blur_p), length - 1.0, 0.0)
    angle = jax.random.uniform(k_angle, maxval=jnp.pi)
    along = jnp.linspace(-0.5, 0.5, 2 * BLUR_TAPS + 1) * length
    reach = BLUR_TAPS // 2
    taps = jnp.arange(-reach, reach + 1)
    tent_x = jnp.maximum(0, 1 - jnp.abs(taps[:, None] - along * jnp.cos(angle)))
    tent_y = jnp.maximum(0, 1 - jnp.abs(taps[:, None] - along * jnp.sin(angle)))
    kernel = tent_y @ tent_x.T
    kernel = kernel / kernel.sum()
    height, width, _ = image.shape
    padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")

    def add_row(i: jax.Array, total: jax.Array) -> jax.Array:
        row = jax.lax.dynamic_slice_in_dim(padded, i, height)
        return total + sum(kernel[i, j] * row[:, j : j + width] for j in range(BLUR_TAPS))

    # A loop, because XLA's CPU compiler would fuse all taps and the noise that follows into one slow kernel.
    return jax.lax.fori_loop(0, BLUR_TAPS, add_row, jnp.zeros_like(image))


def _occlude(settings: Augment, key: jax.Array, image: jax.Array) -> jax.Array:
    """Draws flat grey rectangles anywhere on the frame."""
    height, width, _ = image.shape
    extent = jnp.array([height, width], jnp.float32)
    k_use, k_place, k_size, k_grey = jax.random.split(key, 4)
    used = jax.random.uniform(k_use) < settings.occlusion_p
    place = jax.random.uniform(k_place, (N_PATCHES, 2)) * extent
    half = jax.random.uniform(k_size, (N_PATCHES, 2)) * settings.occlusion * extent.min() / 2
    grey = jax.random.uniform(k_grey, (N_PATCHES,), maxval=255.0)
    rows, columns = jnp.arange(height)[:, None], jnp.arange(width)[None]
    for n in range(N_PATCHES):
        inside = (jnp.abs(rows - place[n, 0]) < half[n, 0]) & (jnp.abs(columns - place[n, 1]) < half[n, 1])
        image = jnp.where((inside & used)[..., None], grey[n], image)
    return image

"""pawjax's augmentation in PyTorch, with the defaults of `pawjax.data.augment.Augment`, for a whole batch at once.

Written for torch.compile: every kind of change is applied to every frame, at size zero if not drawn. Unlike pawjax's,
the crop does not keep labelled points in view.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

ROTATION, ROTATION_P = 25.0, 0.5
SCALE, SCALE_P = (0.75, 1.25), 0.5
SHIFT = 0.1
BRIGHTNESS, BRIGHTNESS_P = 25.0, 0.3
CONTRAST, CONTRAST_P = (0.7, 1.4), 0.3
GAMMA, GAMMA_P = (0.7, 1.4), 0.2
BLUR, BLUR_P = 7, 0.2
NOISE, NOISE_P = 12.0, 0.3
OCCLUSION, OCCLUSION_P, PATCHES = 0.15, 0.3, 3


def augment(images: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 images [B, 3, H, W] and keypoints [B, K, 2], (x, y) pixels -> both, augmented."""
    images, keypoints = warp(images.float(), keypoints)
    images = relight(images)
    images = occlude(images + drawn_noise(images))
    return images.clamp(0, 255).round().to(torch.uint8), keypoints


def warp(images: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates, zooms and shifts about the middle of the frame; bilinear, zero outside."""
    batch, _, height, width = images.shape
    device = images.device
    angle = sometimes(uniform(batch, -ROTATION, ROTATION, device), ROTATION_P, 0.0).deg2rad()
    zoom = sometimes(log_uniform(batch, SCALE, device), SCALE_P, 1.0)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    forward = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    size = torch.tensor([width, height], device=device)
    middle = (size - 1) / 2
    shift = (2 * torch.rand(batch, 1, 2, device=device) - 1) * SHIFT * size

    x, y = torch.arange(width, device=device), torch.arange(height, device=device)
    cells = torch.stack([x[None].expand(height, width), y[:, None].expand(height, width)], 2).float()
    inverse = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1) / zoom[:, None, None].square()
    source = (cells.reshape(1, -1, 2) - middle - shift) @ inverse.mT + middle
    grid = ((2 * source + 1) / size - 1).reshape(batch, height, width, 2)
    warped = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return warped, (keypoints - middle) @ forward.mT + middle + shift


def relight(images: Tensor) -> Tensor:
    """Changes contrast about the frame's mean, brightness and gamma, and adds motion blur."""
    batch, device = len(images), images.device
    contrast = per_frame(sometimes(uniform(batch, *CONTRAST, device), CONTRAST_P, 1.0))
    mean = images.mean((1, 2, 3), keepdim=True)
    brightness = per_frame(sometimes(uniform(batch, -BRIGHTNESS, BRIGHTNESS, device), BRIGHTNESS_P, 0.0))
    images = (images - mean) * contrast + mean + brightness
    gamma = per_frame(sometimes(log_uniform(batch, GAMMA, device), GAMMA_P, 1.0))
    return motion_blur(255 * (images.clamp(0, 255) / 255) ** gamma)


def motion_blur(images: Tensor) -> Tensor:
    """Averages along a line of up to BLUR pixels: tap by tap, which a compiler fuses into one pass."""
    batch, _, height, width = images.shape
    device, reach = images.device, BLUR // 2
    length = sometimes(uniform(batch, 0.0, BLUR - 1.0, device), BLUR_P, 0.0)
    angle = uniform(batch, 0.0, math.pi, device)
    along = torch.linspace(-0.5, 0.5, 2 * BLUR + 1, device=device) * length[:, None]
    taps = torch.arange(-reach, reach + 1, device=device)[:, None]
    tents = [(1 - (taps - (along * f(angle)[:, None])[:, None]).abs()).clamp(min=0) for f in (torch.sin, torch.cos)]
    kernel = tents[0] @ tents[1].mT  # [B, rows, columns]
    kernel = kernel / kernel.sum((1, 2), keepdim=True)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    return sum(
        per_frame(kernel[:, i, j]) * padded[:, :, i : i + height, j : j + width]
        for i in range(BLUR)
        for j in range(BLUR)
    )


def drawn_noise(images: Tensor) -> Tensor:
    """Gaussian noise of the images' shape."""
    size = sometimes(uniform(len(images), 0.0, NOISE, images.device), NOISE_P, 0.0)
    return per_frame(size) * torch.randn_like(images)


def occlude(images: Tensor) -> Tensor:
    """Draws flat grey rectangles anywhere on the frame."""
    batch, _, height, width = images.shape
    device = images.device
    extent = torch.tensor([height, width], device=device)
    used = torch.rand(batch, 1, 1, device=device) < OCCLUSION_P
    place = torch.rand(batch, PATCHES, 2, device=device) * extent
    half = torch.rand(batch, PATCHES, 2, device=device) * OCCLUSION * min(height, width) / 2
    grey = 255 * torch.rand(batch, PATCHES, device=device)
    rows, columns = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)
    for n in range(PATCHES):
        within = [
            (cells - place[:, n, axis, None, None]).abs() < half[:, n, axis, None, None]
            for axis, cells in enumerate((rows, columns))
        ]
        images = torch.where((within[0] & within[1] & used)[:, None], per_frame(grey[:, n]), images)
    return images


def uniform(batch: int, low: float, high: float, device: torch.device) -> Tensor:
    """One number for each frame, [B]."""
    return low + (high - low) * torch.rand(batch, device=device)


def log_uniform(batch: int, bounds: tuple[float, float], device: torch.device) -> Tensor:
    """One factor for each frame, [B]."""
    return uniform(batch, math.log(bounds[0]), math.log(bounds[1]), device).exp()


def sometimes(values: Tensor, probability: float, otherwise: float) -> Tensor:
    """Each of the values [B] with a probability, else the other one."""
    return torch.where(torch.rand_like(values) < probability, values, otherwise)


def per_frame(values: Tensor) -> Tensor:
    """[B] -> [B, 1, 1, 1]."""
    return values[:, None, None, None]

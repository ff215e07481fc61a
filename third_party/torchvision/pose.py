"""DeepLabCut's network, loss and decoding in PyTorch, on torchvision's ResNet-50: the peer in the benchmarks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet50
from torchvision.models.resnet import Bottleneck

KEYPOINTS, STRIDE, RADIUS, LOCREF_STDEV, LOCREF_WEIGHT = 4, 8, 17.0, 7.2801, 0.05  # as in pawjax


class PoseNet(nn.Module):
    """uint8 [B, 3, H, W] -> maps [B, K, h, w] and [B, 2 K, h, w]."""

    def __init__(self):
        super().__init__()
        body = resnet50(replace_stride_with_dilation=[False, False, True])
        self.body = nn.Sequential(*list(body.children())[:-2])
        geometry = dict(kernel_size=3, stride=2, padding=1, output_padding=1)
        self.scores = nn.ConvTranspose2d(2048, KEYPOINTS, **geometry)
        self.offsets = nn.ConvTranspose2d(2048, 2 * KEYPOINTS, **geometry)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body((images.to(self.mean.dtype) / 255 - self.mean) / self.std)
        return self.scores(features), self.offsets(features)


def begin_as_identity(net: nn.Module) -> None:
    """Zeros the last scale of every residual unit, as pawjax initialises it; else frozen norms let maps explode."""
    for module in net.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)


def random_keypoints(batch: int, height: int, width: int) -> Tensor:
    """(x, y) pixels in the middle of images, [B, K, 2]."""
    return (0.2 + 0.6 * torch.rand(batch, KEYPOINTS, 2)) * torch.tensor([width, height])


def cell_centers(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(x, y) pixels of the cells, [2, height, width]."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack([x, y]) * STRIDE + STRIDE / 2


def make_targets(keypoints: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Keypoints [B, K, 2] in images -> discs [B, K, h, w], and offsets within them [B, K, 2, h, w]."""
    centers = cell_centers(height // STRIDE, width // STRIDE, keypoints.device)
    offsets = keypoints[..., None, None] - centers
    discs = (offsets.square().sum(2) <= RADIUS**2).float()
    return discs, offsets / LOCREF_STDEV


def loss(net: nn.Module, images: Tensor, discs: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of the discs and Huber loss of the offsets within them."""
    scores, offsets = net(images)
    errors = F.huber_loss(offsets.float().unflatten(1, (KEYPOINTS, 2)), targets, reduction="none")
    locref = (errors * discs[:, :, None]).sum() / (2 * discs.sum())
    return F.binary_cross_entropy_with_logits(scores.float(), discs) + LOCREF_WEIGHT * locref


def predict(net: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Keypoints [B, K, 2], (x, y) pixels: the best cell and its offset; and likelihoods [B, K]."""
    scores, offsets = (maps.float() for maps in net(images))
    height, width = scores.shape[2:]
    best, cell = scores.flatten(2).max(2)
    offsets = offsets.unflatten(1, (KEYPOINTS, 2)).flatten(3)
    offsets = offsets.gather(3, cell[..., None, None].expand(-1, -1, 2, -1))[..., 0]
    places = cell_centers(height, width, images.device).flatten(1).T[cell]
    return places + LOCREF_STDEV * offsets, best.sigmoid()


def fold_batch_norm(module: nn.Module) -> None:
    """Folds every batch norm that follows a convolution into its kernel, in place; only for prediction."""
    children = list(module.named_children())
    for (name, first), (name_after, second) in zip(children, children[1:], strict=False):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(first, second))
            setattr(module, name_after, nn.Identity())
    for _, child in children:
        fold_batch_norm(child)

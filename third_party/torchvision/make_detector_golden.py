"""Results of torchvision's whole Faster R-CNN, for tests/golden/detector_c4.npz and detector_vgg.npz.

    pip install torch==2.14.1 torchvision==0.29.1
    python third_party/torchvision/make_detector_golden.py

torch and torchvision must be of one build, because nms and roi_align are compiled. The networks are narrow, and no
weights are shipped: `recipe` derives every tensor from its name in torchvision; the tests repeat it and SETTINGS.

It is torchvision's own `FasterRCNN`, except where pawjax differs on purpose:

- proposals are not clipped to the image, but dropped if their clipped boxes are too small (detections are clipped in
  both programs);
- samples are the first candidates instead of random ones, with a cell's anchors in pawjax's order (size, ratio), not
  torchvision's (ratio, size);
- VGG-16's cell i is centred on pixel 16 i + 7.5: anchors lie there, and regions are pooled relative to the centre of
  the first cell. torchvision has both 7.5 px further up and left, which is right only for a ResNet.

The anchors' sizes and ratios are chosen so that torchvision's rounding of half sides changes nothing. Boxes are the
same numbers in both programs: torchvision's do not depend on where in a pixel a whole number lies.
"""

import json
import sys
import types
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn, rpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.vgg import make_layers
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops import boxes as box_ops

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
HEIGHT, WIDTH, CHANNELS = 96, 128, 8  # image size, and channels of the first layers (64 in the papers)
SIZES, RATIOS = (24, 48), (0.25, 1.0, 4.0)  # anchors
SETTINGS = dict(
    rpn_pre_nms_top_n_train=160,
    rpn_pre_nms_top_n_test=100,
    rpn_post_nms_top_n_train=80,
    rpn_post_nms_top_n_test=40,
    rpn_batch_size_per_image=64,
    box_batch_size_per_image=32,
    box_detections_per_img=80,
)
KEYPOINTS = np.array([[[40.3, 37.6], [93.1, 58.4]], [[10.7, 71.2], [66.2, 30.9]]], np.float32)  # (x, y) of two images
SIDE = 44.0  # px, of the boxes around them
GRADIENTS = {  # tensors whose gradients of the summed losses are kept
    "c4": ("backbone.body.conv1.weight", "rpn.head.conv.0.0.bias", "roi_heads.box_head.layer4.0.conv2.weight"),
    "vgg": ("backbone.0.weight", "rpn.head.conv.0.0.bias", "roi_heads.box_head.fc7.bias"),
}
FIRST_CELL = 7.5  # px, centre of a VGG's first cell


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a tensor of torchvision's state dict, in its layout, derived only from its name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return np.exp(0.1 * noise).astype(np.float32)
    if name.endswith("weight") and len(shape) == 1:  # a norm's scale; the sum over units must not grow
        return ((0.3 if "bn3" in name else 1.0) * (1 + 0.1 * noise)).astype(np.float32)
    if name.endswith("weight"):
        small = {"rpn.head.bbox_pred.weight": 0.15, "roi_heads.box_predictor.cls_score.weight": 0.5}
        return (small.get(name, 1.0) * noise * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    return (0.1 * noise).astype(np.float32)


def images_and_rois() -> tuple[np.ndarray, np.ndarray]:
    """uint8 [2, H, W, 3] of noisy blocks, so that places differ, and [2, 12, 4] regions, some across the border."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, HEIGHT // 8, WIDTH // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    images = (coarse + rng.integers(0, 256, coarse.shape)) // 2
    centre, side = rng.uniform((0, 0), (WIDTH, HEIGHT), (2, 12, 2)), rng.uniform(6, 70, (2, 12, 2))
    rois = np.concatenate([centre - side / 2, centre + side / 2], axis=-1)
    return images.astype(np.uint8), rois.astype(np.float32)


def unclipped(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Replaces torchvision's `clip_boxes_to_image`: does not clip."""
    return boxes


def clipped_and_large(boxes: Tensor, smallest: float) -> Tensor:
    """Replaces its `remove_small_boxes`: judges boxes by what is inside the image."""
    return box_ops.remove_small_boxes(box_ops.clip_boxes_to_image(boxes, (HEIGHT, WIDTH)), smallest)


class First:
    """torchvision's BalancedPositiveNegativeSampler, but takes the first candidates instead of random ones."""

    def __init__(self, size: int, positive: float, shape: tuple[int, ...] = (-1, 1, 1)):
        """`shape`: of the candidates as cells, ratios, sizes."""
        self.size, self.positive, self.shape = size, positive, shape

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        drawn = [], []
        for one in labels:
            order = torch.arange(len(one)).reshape(self.shape).transpose(1, 2).flatten()
            positive, negative = order[one[order] >= 1], order[one[order] == 0]
            positive = positive[: int(self.size * self.positive)]
            for masks, index in zip(drawn, (positive, negative[: self.size - len(positive)]), strict=True):
                masks.append(torch.zeros_like(one, dtype=torch.uint8).index_fill(0, index, 1))
        return drawn


class ShiftedAnchors(AnchorGenerator):
    def forward(self, *args) -> list[Tensor]:
        return [anchors + FIRST_CELL for anchors in super().forward(*args)]


class ShiftedPool(MultiScaleRoIAlign):
    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], sizes: list[tuple[int, int]]) -> Tensor:
        return super().forward(x, [one - FIRST_CELL for one in boxes], sizes)


class Body(nn.Module):
    """A backbone whose tensors are called 'backbone.body', as in `fasterrcnn_resnet50_fpn`."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.body(x)


def narrow_resnet() -> ResNet:
    """ResNet-26, timm's name for two units in each of four blocks."""
    net = ResNet(Bottleneck, [2, 2, 2, 2], norm_layer=FrozenBatchNorm2d)
    net.conv1, net.bn1 = nn.Conv2d(3, CHANNELS, 7, 2, 3, bias=False), FrozenBatchNorm2d(CHANNELS)
    net.inplanes = CHANNELS
    for block in range(4):
        setattr(net, f"layer{block + 1}", net._make_layer(Bottleneck, CHANNELS << block, 2, stride=1 + (block > 0)))
    return net


def make_detector(kind: str) -> FasterRCNN:
    """Two classes. The head is layer4 on 14x14 cells of layer3 for 'c4', fc6 and fc7 on 7x7 of relu5_3 for 'vgg'."""
    if kind == "c4":
        whole = narrow_resnet()
        backbone, out = Body(IntermediateLayerGetter(whole, {"layer3": "0"})), 16 * CHANNELS
        head = nn.Sequential()
        for name, module in (("layer4", whole.layer4), ("pool", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten())):
            head.add_module(name, module)
        anchors, pool = AnchorGenerator((SIZES,), (RATIOS,)), MultiScaleRoIAlign(["0"], 14, 2)
        predictor = FastRCNNPredictor(32 * CHANNELS, 3)
    else:
        blocks = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
        plan = [step for scale, layers in blocks for step in [CHANNELS * scale] * layers + ["M"]]
        backbone, out, hidden = make_layers(plan, batch_norm=False)[:30], 8 * CHANNELS, 64 * CHANNELS
        head, predictor = TwoMLPHead(49 * out, hidden), FastRCNNPredictor(hidden, 3)
        anchors, pool = ShiftedAnchors((SIZES,), (RATIOS,)), ShiftedPool(["0"], 7, 2)
    backbone.out_channels = out
    net = FasterRCNN(
        backbone,
        rpn_anchor_generator=anchors,
        box_roi_pool=pool,
        box_head=head,
        box_predictor=predictor,
        min_size=HEIGHT,
        max_size=WIDTH,
        _skip_resize=True,
        **SETTINGS,
    )
    net.rpn.fg_bg_sampler = First(SETTINGS["rpn_batch_size_per_image"], 0.5, (-1, len(RATIOS), len(SIZES)))
    net.roi_heads.fg_bg_sampler = First(SETTINGS["box_batch_size_per_image"], 0.25)
    state = net.state_dict()
    net.load_state_dict({name: torch.from_numpy(recipe(name, tuple(x.shape))) for name, x in state.items()})
    return net


def write_detector(kind: str) -> None:
    net = make_detector(kind)
    images, rois = images_and_rois()
    batch = [torch.from_numpy(image.transpose(2, 0, 1) / np.float32(255)) for image in images]
    targets = [
        {"boxes": torch.cat([centre - SIDE / 2, centre + SIDE / 2], 1), "labels": torch.arange(1, len(centre) + 1)}
        for centre in torch.from_numpy(KEYPOINTS)
    ]
    state = net.state_dict()
    arrays = {"names": np.array(list(state)), "shapes": np.array([json.dumps(list(x.shape)) for x in state.values()])}

    with torch.no_grad():
        net.eval()
        inputs, _ = net.transform(batch)
        assert inputs.tensors.shape == (2, 3, HEIGHT, WIDTH)
        features = net.backbone(inputs.tensors)
        features = features if isinstance(features, dict) else {"0": features}
        arrays["features"] = features["0"].permute(0, 2, 3, 1).numpy()
        (logits,), (deltas,) = net.rpn.head(list(features.values()))
        arrays["rpn_logits"] = logits.permute(0, 2, 3, 1).numpy()  # [2, h, w, A]
        arrays["rpn_deltas"] = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).numpy()  # [2, h, w, A, 4]
        arrays["anchors"] = net.rpn.anchor_generator(inputs, list(features.values()))[0].numpy()
        for i, boxes in enumerate(net.rpn(inputs, features)[0]):
            arrays[f"proposals{i}"] = boxes.numpy()
        pooled = net.roi_heads.box_roi_pool(features, list(torch.from_numpy(rois)), inputs.image_sizes)
        answers = net.roi_heads.box_predictor(net.roi_heads.box_head(pooled))
        for name, answer in zip(("head_logits", "head_deltas"), answers, strict=True):
            arrays[name] = answer.reshape(*rois.shape[:2], -1).numpy()
        for i, detections in enumerate(net(batch)):
            arrays |= {f"{name}{i}": values.numpy() for name, values in detections.items()}

    losses = net.train()(batch, targets)
    arrays |= {name: loss.detach().numpy() for name, loss in losses.items()}
    sum(losses.values()).backward()
    for name in GRADIENTS[kind]:
        arrays[f"gradient/{name}"] = net.get_parameter(name).grad.numpy()

    if kind == "c4":  # also the published file's names; its batch norm is frozen and does not count batches
        state = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
        state = {name: x for name, x in state.items() if not name.endswith("num_batches_tracked")}
        arrays["fpn_names"] = np.array(list(state))
        arrays["fpn_shapes"] = np.array([json.dumps(list(x.shape)) for x in state.values()])
    report(kind, arrays)
    np.savez_compressed(GOLDEN / f"detector_{kind}.npz", **arrays)


def report(kind: str, arrays: dict[str, np.ndarray]) -> None:
    """Prints the magnitude of the numbers, and how close every selection was to another outcome."""
    for name in ("features", "rpn_logits", "rpn_deltas", "head_logits", "head_deltas"):
        print(f"{kind} {name} {arrays[name].shape}, rms {np.sqrt(np.mean(arrays[name] ** 2)):.2g}", file=sys.stderr)
    losses = ", ".join(f"{name} {float(value):.3g}" for name, value in arrays.items() if name.startswith("loss_"))
    print(f"{kind} {losses}", file=sys.stderr)
    for i in (0, 1):
        best = -np.sort(-arrays["rpn_logits"][i], axis=None)[: SETTINGS["rpn_pre_nms_top_n_train"] + 1]
        scores, boxes = arrays[f"scores{i}"], torch.from_numpy(arrays[f"boxes{i}"])
        nearest = [
            -np.diff(best).max(),
            -np.diff(scores).max(),
            (box_ops.box_iou(boxes, boxes) - 0.5).abs().min().item(),
        ]
        counts = f"{len(arrays[f'proposals{i}'])} proposals, {len(scores)} detections"
        gaps = ", ".join(f"{gap:.1g}" for gap in nearest)
        print(f"{kind} image {i}: {counts}, smallest gaps of logit, score, IoU {gaps}", file=sys.stderr)


if __name__ == "__main__":
    rpn.box_ops = types.SimpleNamespace(
        **vars(box_ops) | {"clip_boxes_to_image": unclipped, "remove_small_boxes": clipped_and_large}
    )
    for kind in ("c4", "vgg"):
        write_detector(kind)
        path = GOLDEN / f"detector_{kind}.npz"
        print(path.name, path.stat().st_size, "bytes", file=sys.stderr)

"""Features of torchvision's ResNets and VGG-16, a transposed convolution, and files of torch.save, for tests/golden.

    pip install torch==2.13.0 numpy pillow && pip install --no-deps torchvision==0.28.0
    python third_party/torchvision/make_golden.py

No weights are shipped: `recipe` derives every parameter from its name in pawjax, and the tests repeat it.
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch

# A CPU build of torch lacks the operators that torchvision, built for CUDA, expects when it is imported.
operators = torch.library.Library("torchvision", "DEF")
operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision import models  # noqa: E402

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
VGG_BLOCK_ENDS = (3, 8, 15, 22, 29)  # the last ReLU of each block among VGG-16's `features`


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a parameter of pawjax, in its layout (kernels height, width, in, out), derived only from its name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    kind = name.rsplit("/", 1)[1]
    if kind == "kernel":
        return (noise * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)
    small = 0.3 if "/conv3/" in name else 1.0  # or the sum over units would grow
    values = {"scale": small * (1 + 0.1 * noise), "bias": 0.1 * noise, "mean": 0.1 * noise, "var": np.exp(0.1 * noise)}
    return values[kind].astype(np.float32)


def modules(depth: int) -> dict[str, tuple[str, str]]:
    """pawjax module -> torchvision's convolution and normalisation."""
    names = {"stem": ("conv1", "bn1")}
    for block, units in enumerate(UNITS[depth], start=1):
        for unit in range(1, units + 1):
            ours, theirs = f"block{block}_unit{unit}", f"layer{block}.{unit - 1}"
            names |= {f"{ours}/conv{i}": (f"{theirs}.conv{i}", f"{theirs}.bn{i}") for i in (1, 2, 3)}
            if unit == 1:
                names[f"{ours}/shortcut"] = (f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    return names


def fill(network: torch.nn.Module, depth: int) -> None:
    state = network.state_dict()
    for ours, (conv, norm) in modules(depth).items():
        o, i, h, w = state[f"{conv}.weight"].shape
        kernel = recipe(f"{ours}/kernel", (h, w, i, o))
        state[f"{conv}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        for kind, theirs in (("scale", "weight"), ("bias", "bias"), ("mean", "running_mean"), ("var", "running_var")):
            state[f"{norm}.{theirs}"] = torch.from_numpy(recipe(f"{ours}/{kind}", (o,)))
    network.load_state_dict(state)


@torch.no_grad()
def features(network: torch.nn.Module, images: np.ndarray) -> dict[str, np.ndarray]:
    """Maps [B, H, W, C] after the pool (every 8th channel) and after every block (every 16th)."""
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    maps = {"stem": x}
    for block in (1, 2, 3, 4):
        x = getattr(network, f"layer{block}")(x)
        maps[f"block{block}"] = x
    every = {"stem": 8, "block1": 16, "block2": 16, "block3": 16, "block4": 16}
    return {name: y.permute(0, 2, 3, 1).numpy()[..., :: every[name]] for name, y in maps.items()}


def write_resnets() -> None:
    images = np.random.default_rng(0).standard_normal((1, 64, 96, 3)).astype(np.float32)
    arrays = {"images": images}
    for depth in UNITS:
        build = getattr(models, f"resnet{depth}")
        network = build(weights=None, replace_stride_with_dilation=[False, False, True]).eval()
        fill(network, depth)
        arrays |= {f"resnet{depth}/{name}": values for name, values in features(network, images).items()}
        count = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("fc."))
        arrays[f"resnet{depth}/n_parameters"] = np.array(count)
        arrays[f"resnet{depth}/names"] = np.array(list(network.state_dict()))
        shapes = [json.dumps(list(tensor.shape)) for tensor in network.state_dict().values()]
        arrays[f"resnet{depth}/shapes"] = np.array(shapes)
    plain = models.resnet50(weights=None).eval()
    fill(plain, 50)
    arrays["resnet50/block4_stride32"] = features(plain, images)["block4"]
    count = sum(p.numel() for name, p in models.resnet152().named_parameters() if not name.startswith("fc."))
    arrays["resnet152/n_parameters"] = np.array(count)
    np.savez_compressed(GOLDEN / "torchvision_resnet.npz", **arrays)


def vgg_recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a tensor of torchvision's VGG-16, in its layout, or of an input, derived only from its name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("weight"):
        return (noise * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    return ((0.1 if name.endswith("bias") else 1.0) * noise).astype(np.float32)


@torch.no_grad()
def write_vgg() -> None:
    """Every block's output (every 32nd channel), and a classifier's first two layers, 32 instead of 4096 wide."""
    network = models.vgg16(weights=None).eval()
    count = sum(p.numel() for p in network.features.parameters())
    full = {name: json.dumps(list(tensor.shape)) for name, tensor in network.state_dict().items()}
    network.classifier[0], network.classifier[3] = torch.nn.Linear(512 * 7 * 7, 32), torch.nn.Linear(32, 32)
    del network.classifier[6]
    state = network.state_dict()
    network.load_state_dict({name: torch.from_numpy(vgg_recipe(name, tuple(t.shape))) for name, t in state.items()})
    x = torch.from_numpy(vgg_recipe("images", (1, 64, 90, 3)).transpose(0, 3, 1, 2).copy())
    arrays = {"n_parameters": np.array(count), "names": np.array(list(full)), "shapes": np.array(list(full.values()))}
    for index, layer in enumerate(network.features[:30]):
        x = layer(x)
        if index in VGG_BLOCK_ENDS:
            arrays[f"block{VGG_BLOCK_ENDS.index(index) + 1}"] = x.permute(0, 2, 3, 1).numpy()[..., ::32].copy()
    regions = torch.from_numpy(vgg_recipe("regions", (2, 7, 7, 512)).transpose(0, 3, 1, 2).copy())
    arrays["fc7"] = network.classifier(torch.flatten(regions, 1)).numpy()
    np.savez_compressed(GOLDEN / "torchvision_vgg.npz", **arrays)


@torch.no_grad()
def write_deconvolution() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5, 7, 6)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 4, 6)).astype(np.float32)  # height, width, out, in
    layer = torch.nn.ConvTranspose2d(6, 4, 3, stride=2, bias=False)
    layer.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
    y = layer(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))[:, :, :10, :14]
    np.savez_compressed(GOLDEN / "deconvolution.npz", x=x, kernel=kernel, y=y.permute(0, 2, 3, 1).numpy())


def write_files() -> None:
    """The same unusual tensors in both formats of torch.save, and as they should be read."""
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(4, 6, generator=generator)
    tensors = {
        "plain": base,
        "transposed": base.T,
        "part": base[1:3, ::2],
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "parameter": torch.nn.Parameter(base[0]),
        "flags": base > 0,
    }
    content = {"metadata": {"epoch": 3, "device": torch.device("cpu")}, "model": tensors, "optimizer": {"lr": 0.1}}
    torch.save(content, GOLDEN / "torch_zip.pth")
    torch.save(content, GOLDEN / "torch_stream.pth", _use_new_zipfile_serialization=False)
    arrays = {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}
    np.savez_compressed(GOLDEN / "torch_files.npz", **arrays)


if __name__ == "__main__":
    write_resnets()
    write_vgg()
    write_files()
    write_deconvolution()
    for path in sorted(GOLDEN.glob("*.npz")):
        print(path.name, path.stat().st_size, "bytes", file=sys.stderr)

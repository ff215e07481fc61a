"""Maps and poses of DeepLabCut 3.0.2's own networks with weights derived from their names, for tests/golden.

    .venv-dlc/bin/python third_party/deeplabcut/make_golden.py          (README.md has the installation)

ResNet-50 (group norm) and ResNet-101 (batch norm), random weights by `recipe`, which the tests repeat. The poses are
those of DeepLabCut's inference from a saved snapshot of the ResNet-50, on a frame whose sides are no
multiples of 16; two points are behind its lower and its right border.
"""

import json
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

# A CPU build of torch lacks the operators that torchvision, built for CUDA, expects when it is imported.
operators = torch.library.Library("torchvision", "DEF")
operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from deeplabcut.pose_estimation_pytorch import get_pose_inference_runner  # noqa: E402
from deeplabcut.pose_estimation_pytorch.config import make_pytorch_pose_config  # noqa: E402
from deeplabcut.pose_estimation_pytorch.models import PoseModel  # noqa: E402

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BODYPARTS = ["snout", "leftear", "tailbase"]


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a tensor of DeepLabCut's state dict, in its layout, derived only from its name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        values = np.exp(0.1 * noise)
    elif len(shape) == 4:
        fan_in = shape[0] * 9 if "deconv" in name else np.prod(shape[1:])
        values = noise * np.sqrt(2 / fan_in)
    elif name.endswith("weight"):
        values = (0.3 if "bn3" in name else 1.0) * (1 + 0.1 * noise)  # small, or the sum over the units would grow
    else:
        values = 0.1 * noise
    return values.astype(np.float32)


def network(net_type: str) -> tuple[dict, PoseModel]:
    """DeepLabCut's config of a network, and the network with the weights of `recipe`."""
    project = {"multianimalproject": False, "bodyparts": BODYPARTS, "project_path": ".", "engine": "pytorch"}
    config = make_pytorch_pose_config(project, Path("pytorch_config.yaml"), net_type=net_type)
    model = PoseModel.build(config["model"], weight_init=None, pretrained_backbone=False).eval()
    state = model.state_dict()
    filled = {
        name: tensor if tensor.ndim == 0 else torch.from_numpy(recipe(name, tuple(tensor.shape)))
        for name, tensor in state.items()
    }
    model.load_state_dict(filled)
    return config, model


def poses(net_type: str, image: np.ndarray) -> np.ndarray:
    """x, y and likelihood of each bodypart, [K, 3], by DeepLabCut's inference from a snapshot."""
    config, model = network(net_type)
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot-best-010.pt"
        torch.save({"model": model.state_dict(), "metadata": {"epoch": 10}}, snapshot)
        runner = get_pose_inference_runner(config, snapshot, device="cpu")
        (found,) = runner.inference([image])
    return found["bodyparts"][0]


@torch.no_grad()
def maps(net_type: str, images: np.ndarray) -> dict[str, np.ndarray]:
    _, model = network(net_type)
    state = model.state_dict()
    x = (images / 255.0 - np.array(MEAN)) / np.array(STD)
    outputs = model(torch.from_numpy(x.astype(np.float32).transpose(0, 3, 1, 2).copy()))["bodypart"]
    return {
        "names": np.array(list(state)),
        "shapes": np.array([json.dumps(list(tensor.shape)) for tensor in state.values()]),
        **{name: outputs[name].permute(0, 2, 3, 1).numpy() for name in ("heatmap", "locref")},
    }


if __name__ == "__main__":
    images = np.random.default_rng(3).integers(0, 256, (1, 64, 96, 3), np.uint8)
    arrays = {"images": images}
    for net_type in ("resnet_50", "resnet_101"):
        arrays |= {f"{net_type}/{name}": value for name, value in maps(net_type, images).items()}
    frame = np.random.default_rng(51).integers(0, 256, (70, 90, 3), np.uint8)
    files = {"nets": arrays, "poses": {"frame": frame, "poses": poses("resnet_50", frame)}}
    for name, content in files.items():
        path = GOLDEN / f"deeplabcut_{name}.npz"
        np.savez_compressed(path, **content)
        print(path.name, path.stat().st_size, "bytes", file=sys.stderr)

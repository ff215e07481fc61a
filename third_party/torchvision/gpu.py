"""Times PyTorch's fast variants and pawjax on a GPU, on the same network and augmentation, and prints the ratios.

python third_party/torchvision/gpu.py --pawjax-python=PYTHON --json=FILE
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pose
import torch
from augment import augment
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
WORKS = (("train", 64, 448, 448), ("predict", 1, 480, 640), ("predict", 64, 480, 640))  # mode, batch, height, width
VARIANTS = {"eager": None, "compiled": "default", "tuned": "max-autotune"}  # modes of torch.compile
SIZE = ("mode", "batch", "height", "width")


def make_training(options: argparse.Namespace) -> Callable[[], object]:
    """A whole step from frames in device memory: gather, augmentation, targets, forward, backward, update."""
    n = 2 * options.batch
    images = random_images(options, n)
    keypoints = pose.random_keypoints(n, options.height, options.width).to(options.device)
    net = pose.PoseNet()
    pose.begin_as_identity(net)
    net = net.to(options.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, fused=True)

    def make_batch() -> tuple[Tensor, Tensor, Tensor]:
        chosen = torch.randint(n, (options.batch,), device=options.device)
        frames, points = augment(images[chosen], keypoints[chosen])
        return frames, *pose.make_targets(points, options.height, options.width)

    def loss(frames: Tensor, discs: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16):
            return pose.loss(net, frames.contiguous(memory_format=torch.channels_last), discs, targets)

    make_batch, loss = compiled(options, make_batch), compiled(options, loss)

    def step() -> None:
        torch.compiler.cudagraph_mark_step_begin()
        optimizer.zero_grad()
        loss(*make_batch()).backward()
        optimizer.step()

    return step


def make_prediction(options: argparse.Namespace) -> Callable[[], object]:
    """From uint8 frames in device memory to keypoints, in bfloat16 with batch norm folded into the kernels."""
    net = pose.PoseNet().eval()
    pose.fold_batch_norm(net)
    net = net.to(options.device, torch.bfloat16, memory_format=torch.channels_last)
    images = random_images(options, options.batch)
    predict = compiled(options, lambda images: pose.predict(net, images))
    return lambda: torch.inference_mode()(predict)(images)


def random_images(options: argparse.Namespace, n: int) -> Tensor:
    """uint8 [n, 3, H, W] on the device, channels last."""
    images = torch.randint(0, 256, (n, 3, options.height, options.width), dtype=torch.uint8, device=options.device)
    return images.contiguous(memory_format=torch.channels_last)


def compiled(options: argparse.Namespace, function: Callable) -> Callable:
    mode = VARIANTS[options.variant]
    return torch.compile(function, mode=mode) if mode else function


def time_torch(options: argparse.Namespace) -> dict:
    """PyTorch's timing, reported as by `pawjax.benchmark`; as there, predictions are sent one ahead."""
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    step = (make_training if options.mode == "train" else make_prediction)(options)
    pending, ahead = [], 1 if options.mode == "predict" else 0

    def call() -> None:
        step()
        if options.device == "cuda":
            pending.append(torch.cuda.Event())
            pending[-1].record()
            while len(pending) > ahead:
                pending.pop(0).synchronize()

    start, seconds = time.perf_counter(), []
    for _ in range(4):
        call()
    compile_seconds = time.perf_counter() - start
    while len(seconds) < 3 or sum(seconds) < options.seconds:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {
        "images_per_second": options.batch / statistics.median(seconds),
        "n_steps": len(seconds),
        "compile_seconds": compile_seconds,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "CPU",
        "versions": {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()},
    }


def run(command: list[str], work: tuple, seconds: float) -> dict | None:
    """The JSON result of a side's command, run in its own process, which frees the device's memory.

    None if it fails, after its own error message: the other sides of an expensive call are still worth having.
    """
    size = [f"--{name}={value}" for name, value in zip(SIZE, work, strict=True)]
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [*command, *size, f"--seconds={seconds}", f"--json={file.name}"]
        if subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode:
            print(f"{' '.join(command)}: failed", file=sys.stderr)
            return None
        result = json.load(open(file.name))
    print(f"{' '.join(command)}: {result['images_per_second']:.1f} images/s", file=sys.stderr)
    return result


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The options, and unknown flags, which go to pawjax."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--pawjax-python", default=sys.executable)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: only to check the command")
    parser.add_argument("--works", type=lambda text: text.split(","), help="only these, mode:batch,..., as predict:1")
    parser.add_argument(
        "--variants", type=lambda text: text.split(","), default=list(VARIANTS), help="PyTorch's variants"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", type=Path)
    for name in SIZE[1:]:
        parser.add_argument(
            f"--{name}", type=int, help="overrides all works; with --mode: one measurement in this process"
        )
    parser.add_argument("--mode", choices=("train", "predict"))
    parser.add_argument("--variant", choices=VARIANTS)
    return parser.parse_known_args()


def main() -> None:
    options, flags = parse()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("gpu.py: PyTorch finds no GPU; use --device=cpu with small sizes to check the command")
    if options.mode:
        options.json.write_text(json.dumps(time_torch(options)))
        return

    theirs = [sys.executable, str(Path(__file__).resolve()), f"--device={options.device}"]
    ours = [options.pawjax_python, "-m", "pawjax.benchmark", "--config=configs/dlc_r50.py", "--config.dtype=bfloat16"]
    works = [work for work in WORKS if not options.works or f"{work[0]}:{work[1]}" in options.works]
    works = [tuple(getattr(options, name) or value for name, value in zip(SIZE, work, strict=True)) for work in works]
    sides = {name: [*theirs, f"--variant={name}"] for name in options.variants} | {"pawjax": [*ours, *flags]}
    results = {work: {name: [] for name in sides} for work in works}
    for _ in range(options.rounds):
        for work, runs in results.items():
            for name, command in sides.items():
                result = run(command, work, options.seconds)
                runs[name] += [result] if result else []
    report(options, flags, results)


def report(options: argparse.Namespace, flags: list[str], results: dict) -> None:
    """Prints the table, against PyTorch's fastest variant, and writes every measurement to --json."""
    print("| work, bfloat16, images/s | PyTorch's fastest variant | its others | pawjax | ratio | pawjax, TFLOP/s |")
    print("|---|---|---|---|---|---|")
    rows, nan = {}, float("nan")
    for (mode, batch, height, width), sides in results.items():
        rates = {name: statistics.median(r["images_per_second"] for r in runs) for name, runs in sides.items() if runs}
        pawjax_rate = rates.pop("pawjax", nan)
        flops = statistics.median([r["tflops"] for r in sides["pawjax"]] or [nan])
        best, *others = [f"{rates[name]:.1f} ({name})" for name in sorted(rates, key=rates.get, reverse=True)] or ["-"]
        ratio = pawjax_rate / max(rates.values(), default=nan)
        label = f"{mode}, {height}x{width}, batch {batch}"
        print(f"| {label} | {best} | {', '.join(others)} | {pawjax_rate:.1f} | {ratio:.2f} | {flops:.2f} |")
        rows[label] = sides
    print("; ".join(sorted({r["device"] for sides in results.values() for runs in sides.values() for r in runs})))
    if options.json:
        options.json.write_text(json.dumps({"flags": flags, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()

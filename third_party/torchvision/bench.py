"""Times eager PyTorch and pawjax on the same networks, in turns, and prints a table of ratios. See README.md.

python third_party/torchvision/bench.py --pawjax-python=.venv/bin/python --json=FILE
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pose
import torch
import torchvision
import turns
from torch import Tensor, nn
from torchvision.models import resnet50, vgg16
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

ALLOCATOR = "glibc.malloc.hugetlb=1:glibc.malloc.trim_threshold=100000000000:glibc.malloc.mmap_threshold=100000000000"
ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    "pose": "configs/dlc_r50.py",
    "c4": "configs/frcnn_r50.py",
    "fpn": "configs/frcnn_r50_fast.py",
    "vgg16": "configs/frcnn_vgg16.py",
}
POSE_WORKS = (("train", 8, 448, 448), ("predict", 1, 480, 640), ("predict", 8, 480, 640))  # mode, batch, height, width
DETECTOR_WORKS = (("predict", 1, 600, 800), ("predict", 4, 600, 800), ("train", 2, 600, 800))
VARIANTS = {
    "train": ("channels last", "contiguous"),
    "predict": ("channels last, folded", "channels last", "contiguous"),
}
DETECTOR_FLAGS = {  # one class; torchvision aligns regions, the paper pools them
    "c4": ["--bodyparts=1"],
    "fpn": ["--bodyparts=1"],
    "vgg16": ["--bodyparts=1", "--config.faster_rcnn.pool=align"],
}
RANDOM_AUGMENTATION = ("rotation", "scale", "flip", "brightness", "contrast", "gamma", "blur", "noise", "occlusion")
BOX = 100.0  # side of the labelled boxes, px


def make_detector(kind: str) -> nn.Module:
    """torchvision's Faster R-CNN for one class: 'c4', 'fpn' (its own builder) or 'vgg16'; numbers as in our configs."""
    settings = dict(min_size=600, max_size=800, _skip_resize=True)
    settings |= dict(rpn_post_nms_top_n_train=2000, rpn_post_nms_top_n_test=300, box_batch_size_per_image=128)
    if kind == "fpn":
        return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2, **settings)
    if kind == "c4":
        whole = resnet50()
        backbone, channels = IntermediateLayerGetter(whole, {"layer3": "0"}), 1024
        head = nn.Sequential(whole.layer4, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        size, predictor = 14, FastRCNNPredictor(2048, 2)
    else:
        whole = vgg16()
        backbone, channels = whole.features[:30], 512
        head = nn.Sequential(nn.Flatten(), *whole.classifier[:6])
        size, predictor = 7, FastRCNNPredictor(4096, 2)
    backbone.out_channels = channels
    return FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(sizes=((128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),)),
        rpn_pre_nms_top_n_train=12_000,
        rpn_pre_nms_top_n_test=6000,
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=size, sampling_ratio=2),
        box_head=head,
        box_predictor=predictor,
        **settings,
    )


def pose_loss(net: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """The loss of one batch; its targets are made only once, here."""
    batch, _, height, width = images.shape
    targets = pose.make_targets(pose.random_keypoints(batch, height, width), height, width)
    return lambda: pose.loss(net, images, *targets)


def detector_loss(net: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """The sum of torchvision's four detector losses; one box in each image."""
    batch, _, height, width = images.shape
    corners = torch.rand(batch, 1, 2) * torch.tensor([width - BOX, height - BOX])
    boxes = torch.cat([corners, corners + BOX], dim=2)
    targets = [{"boxes": box, "labels": torch.ones(1, dtype=torch.int64)} for box in boxes]
    return lambda: sum(net(list(images / 255), targets).values())


def make_step(options: argparse.Namespace) -> Callable[[], object]:
    """A function that makes one training step or one prediction in PyTorch."""
    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    kind, layout = options.net, torch.channels_last if "last" in options.variant else torch.contiguous_format
    net = pose.PoseNet() if kind == "pose" else make_detector(kind)
    pose.begin_as_identity(net)
    if options.mode == "predict":
        net.eval()
        if "folded" in options.variant:
            pose.fold_batch_norm(net)
    net = net.to(memory_format=layout)
    images = torch.randint(0, 256, (options.batch, 3, options.height, options.width), dtype=torch.uint8)
    images = images.contiguous(memory_format=layout)
    if options.mode == "predict":
        predict = torch.inference_mode()(pose.predict if kind == "pose" else lambda net, x: net(list(x / 255)))
        return lambda: predict(net, images)

    net.train()
    for module in net.modules():
        if options.norm == "frozen" and isinstance(module, nn.BatchNorm2d):
            module.eval()  # running statistics, scale and bias still trained: pawjax's 'frozen'
    loss = pose_loss(net, images) if kind == "pose" else detector_loss(net, images)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def time_torch(options: argparse.Namespace) -> dict:
    """PyTorch's timing, reported as by `pawjax.benchmark`: two warm-up calls, then calls for the given seconds."""
    step, seconds = make_step(options), []
    step(), step()
    while len(seconds) < 3 or sum(seconds) < options.seconds:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return {
        "images_per_second": options.batch / statistics.median(seconds),
        "n_steps": len(seconds),
        "threads": torch.get_num_threads(),
        "onednn": torch.backends.mkldnn.is_available(),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }


def run(command: list[str], work: tuple, seconds: float) -> dict:
    """The JSON result of a side's command, run in its own process, and how many cores others kept busy meanwhile."""
    mode, batch, height, width = work
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [*command, f"--mode={mode}", f"--batch={batch}", f"--height={height}", f"--width={width}"]
        command += [f"--seconds={seconds}", f"--json={file.name}"]
        start = _busy_seconds()
        subprocess.run(command, check=True, cwd=ROOT, stdout=sys.stderr)
        wall, machine, own = (after - before for after, before in zip(_busy_seconds(), start, strict=True))
        result = json.load(open(file.name)) | {"cores_of_others": max(0.0, machine - own) / wall}
    print(f"{' '.join(command)}: {result['images_per_second']:.2f} images/s", file=sys.stderr)
    return result


def _busy_seconds() -> tuple[float, float, float]:
    """Wall clock, CPU time of the whole machine, and CPU time of this process's finished children."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # idle and waiting for disks; time stolen by other machines counts as busy
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), own.ru_utime + own.ru_stime


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The options, and unknown flags, which go to pawjax."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--pawjax-python", default=sys.executable)
    parser.add_argument("--detector", dest="net", default="pose", choices=list(CONFIGS)[1:])
    parser.add_argument("--config", help="pawjax's config; default: the network's own")
    parser.add_argument(
        "--norm", choices=("batch", "frozen"), help="of both sides; default: batch for poses, frozen for detectors"
    )
    parser.add_argument("--augment", action="store_true", help="leave pawjax's augmentation on")
    parser.add_argument("--works", type=lambda text: text.split(","), help="only these, mode:batch,..., as predict:1")
    parser.add_argument("--side", choices=("both", "torch"), default="both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=0, help="calls of each side, in turns, instead of rounds")
    parser.add_argument("--against", type=Path, help="with --turns: also time this checkout of pawjax")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", type=Path)
    for name in ("batch", "height", "width"):
        parser.add_argument(f"--{name}", type=int, help="with --mode and --side=torch: one measurement in this process")
    parser.add_argument("--mode", choices=list(VARIANTS))
    parser.add_argument("--variant", default="channels last")
    options, flags = parser.parse_known_args()
    options.norm = options.norm or ("batch" if options.net == "pose" else "frozen")
    return options, flags


def main() -> None:
    options, flags = parse()
    if os.environ.get("GLIBC_TUNABLES") != ALLOCATOR:  # the same allocator for both sides, set before they start
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": ALLOCATOR})
    if options.mode:
        if options.turns:
            turns.serve(make_step(options))
        else:
            options.json.write_text(json.dumps(time_torch(options)))
        return

    theirs = [sys.executable, str(Path(__file__).resolve()), "--side=torch", f"--norm={options.norm}"]
    theirs += [] if options.net == "pose" else [f"--detector={options.net}"]
    ours = [options.pawjax_python, "-m", "pawjax.benchmark", f"--config={options.config or CONFIGS[options.net]}"]
    ours += [f"--config.model.norm={options.norm}", *DETECTOR_FLAGS.get(options.net, [])]
    ours += [] if options.augment else [f"--config.augment.{name}_p=0.0" for name in RANDOM_AUGMENTATION]
    works = POSE_WORKS if options.net == "pose" else DETECTOR_WORKS
    works = [work for work in works if not options.works or f"{work[0]}:{work[1]}" in options.works]
    if options.turns:
        take_turns(options, theirs, [*ours, *flags], works)
        return
    results = {work: {} for work in works}
    for _ in range(options.rounds):
        for work, sides in results.items():
            for name in variants_of(options, work):
                sides.setdefault(name, []).append(run([*theirs, f"--variant={name}"], work, options.seconds))
            if options.side == "both":
                sides.setdefault("pawjax", []).append(run([*ours, *flags], work, options.seconds))
    report(options, flags, results)


def variants_of(options: argparse.Namespace, work: tuple) -> list[str]:
    """PyTorch's variants to time for a work."""
    return [name for name in VARIANTS[work[0]] if not (options.net == "vgg16" and "folded" in name)]


def take_turns(options: argparse.Namespace, theirs: list[str], ours: list[str], works: list[tuple]) -> None:
    """Times calls of all sides in turns and prints the comparison."""
    print("| work, float32, CPU | side | images/s | pawjax is faster by (quartiles) |\n|---|---|---|---|")
    for work in works:
        names = ("mode", "batch", "height", "width")
        size = [f"--{name}={value}" for name, value in zip(names, work, strict=True)]
        sides = {"pawjax": ([*ours, *size, "--turns"], ROOT)}
        if options.against:
            sides["pawjax, the other"] = ([*ours, *size, "--turns"], options.against)
        for name in variants_of(options, work):
            sides[name] = ([*theirs, f"--variant={name}", *size, "--turns=1"], ROOT)
        label = f"{options.net} {work[0]}, {work[2]}x{work[3]}, batch {work[1]}"
        for row in turns.compare(turns.alternate(sides, options.turns), work[1]):
            print(f"| {label} | {row} |")


def report(options: argparse.Namespace, flags: list[str], results: dict) -> None:
    """Prints the table, against PyTorch's fastest variant, and writes every measurement to --json."""
    print("| work, float32, CPU, images/s | PyTorch's fastest variant | its others | pawjax | ratio |")
    print("|---|---|---|---|---|")
    busy, rows = [], {}
    for (mode, batch, height, width), sides in results.items():
        rates = {name: statistics.median(r["images_per_second"] for r in runs) for name, runs in sides.items()}
        busy += [r["cores_of_others"] for runs in sides.values() for r in runs]
        pawjax_rate = rates.pop("pawjax", float("nan"))
        ratio = pawjax_rate / max(rates.values())
        best, *others = (f"{rates[name]:.2f} ({name})" for name in sorted(rates, key=rates.get, reverse=True))
        label = f"{options.net} {mode}, {height}x{width}, batch {batch}"
        print(f"| {label} | {best} | {', '.join(others)} | {pawjax_rate:.2f} | {ratio:.2f} |")
        rows[label] = sides
    print(f"cores (of {os.cpu_count()}) that others kept busy: {statistics.median(busy):.2f}, at most {max(busy):.2f}")
    if options.json:
        settings = {name: getattr(options, name) for name in ("norm", "augment", "seconds")}
        options.json.write_text(json.dumps({"settings": settings, "flags": flags, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()

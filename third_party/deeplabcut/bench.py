"""Times DeepLabCut and pawjax on the same work, in turns, and prints a table of ratios. See README.md.

python third_party/deeplabcut/bench.py --project=PROJECT --pawjax-python=.venv/bin/python --json=FILE
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ALLOCATOR = "glibc.malloc.hugetlb=1:glibc.malloc.trim_threshold=100000000000:glibc.malloc.mmap_threshold=100000000000"
ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 480, 640


class DeepLabCut:
    """DeepLabCut's own loader, augmentation, model, runner and video analysis, on a copy of the project."""

    def __init__(self, project: Path, folder: Path, n_frames: int):
        import torch

        self._operators = declare_operators()
        import deeplabcut
        import deeplabcut.pose_estimation_pytorch as engine
        from deeplabcut.pose_estimation_pytorch.models import PoseModel

        self.versions = {"deeplabcut": deeplabcut.__version__, "torch": torch.__version__}
        self.threads = torch.get_num_threads()
        self._engine, self._torch = engine, torch
        config = copy_project(project, folder)
        deeplabcut.create_training_dataset(str(config), net_type="resnet_50", num_shuffles=1)
        loader = engine.DLCLoader(str(config), trainset_index=0, shuffle=1)
        self._cfg = loader.model_cfg
        self._model = PoseModel.build(self._cfg["model"], weight_init=None, pretrained_backbone=False)
        self._runner = engine.build_training_runner(
            runner_config=self._cfg["runner"],
            model_folder=loader.model_folder,
            task=engine.Task.BOTTOM_UP,
            model=self._model,
            device="cpu",
            snapshot_path=None,
        )
        transform = engine.build_transforms(self._cfg["data"]["train"])
        dataset = loader.create_dataset(transform=transform, mode="train", task=engine.Task.BOTTOM_UP)
        collate = self._cfg["data"]["train"].get("collate")
        self._batches = torch.utils.data.DataLoader(
            dataset,
            batch_size=8,
            shuffle=True,
            drop_last=True,
            collate_fn=engine.COLLATE_FUNCTIONS.build(collate) if collate else None,
        )
        self._snapshot = folder / "snapshot.pt"
        torch.save({"model": self._model.state_dict(), "metadata": {"epoch": 0}}, self._snapshot)
        self._video = _short_video(next((project / "videos").glob("*.mp4")), folder / "short.mp4", n_frames)
        self._n_frames = n_frames
        self.analyze(8)  # warm-up, not timed

    def train(self, seconds: float) -> float:
        """Images/s of training steps with loading and augmentation, batch 8, 448x448."""
        self._model.train()
        times, start = [], time.perf_counter()
        while sum(times[1:]) < seconds:
            for batch in self._batches:
                self._runner.step(batch, "train")
                now = time.perf_counter()
                times.append(now - start)
                start = now
                if sum(times[1:]) >= seconds:
                    break
        return 8 / statistics.median(times[1:])

    def analyze(self, batch: int) -> float:
        """Frames/s of its video analysis: video decoding, network, keypoint decoding."""
        runner = self._engine.get_pose_inference_runner(self._cfg, self._snapshot, batch_size=batch, device="cpu")
        start = time.perf_counter()
        self._engine.video_inference(self._video, runner)
        return self._n_frames / (time.perf_counter() - start)


def declare_operators() -> Any:
    """The operators, to be kept, that torchvision, built for CUDA, expects when it is imported beside a CPU's torch."""
    import torch

    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return operators


def copy_project(project: Path, folder: Path) -> Path:
    """Copies the open-field project into a new folder and returns its config.yaml, with the paths of the copy."""
    import yaml

    copy = folder / "project"
    shutil.copytree(project, copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o700)
    config = copy / "config.yaml"
    content = yaml.safe_load(config.read_text())
    video = next((copy / "videos").glob("*.mp4"))
    renamed = video.with_name("m4s1.mp4")  # labelled frames belong to a video of this name
    shutil.copy(video, renamed)
    content |= {"project_path": str(copy), "video_sets": {str(renamed): {"crop": f"0, {WIDTH}, 0, {HEIGHT}"}}}
    config.write_text(yaml.safe_dump(content))
    return config


def _short_video(source: Path, target: Path, n_frames: int) -> Path:
    import cv2

    reader = cv2.VideoCapture(str(source))
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*"mp4v"), 30, (WIDTH, HEIGHT))
    for _ in range(n_frames):
        writer.write(cv2.resize(reader.read()[1], (WIDTH, HEIGHT)))
    writer.release()
    return target


def pawjax(python: str, flags: list[str], mode: str, batch: int, size: tuple[int, int], seconds: float) -> float:
    """Images/s from `pawjax.benchmark`, run in its own process."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [python, "-m", "pawjax.benchmark", *flags, f"--mode={mode}", f"--batch={batch}"]
        command += [f"--height={size[0]}", f"--width={size[1]}", f"--seconds={seconds}", f"--json={file.name}"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=sys.stderr)
        return json.load(open(file.name))["images_per_second"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--pawjax-python", default=sys.executable)
    parser.add_argument("--config", default="configs/dlc_r50.py")
    parser.add_argument("--norms", default="batch,frozen,group", help="norms of pawjax's networks")
    parser.add_argument(
        "--also", default="", metavar="CONFIG,...", help="other configs of pawjax, e.g. configs/lite0.py"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if os.environ.get("GLIBC_TUNABLES") != ALLOCATOR:  # the same allocator for both sides, set before they start
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": ALLOCATOR})

    sides = {
        f"pawjax, {norm} norm": [f"--config={options.config}", f"--config.model.norm={norm}"]
        for norm in options.norms.split(",")
    }
    sides |= {f"pawjax, {Path(config).stem}": [f"--config={config}"] for config in options.also.split(",") if config}
    with tempfile.TemporaryDirectory() as folder:
        peer = DeepLabCut(options.project.resolve(), Path(folder), options.frames)
        works = {
            "training, 448x448, batch 8": (lambda: peer.train(options.seconds), ("train", 8, (448, 448))),
            "video 640x480, batch 1": (lambda: peer.analyze(1), ("predict", 1, (HEIGHT, WIDTH))),
            "video 640x480, batch 8": (lambda: peer.analyze(8), ("predict", 8, (HEIGHT, WIDTH))),
        }
        rates = {work: {"DeepLabCut": [], **{side: [] for side in sides}} for work in works}
        for _ in range(options.rounds):
            for work, (theirs, ours) in works.items():
                rates[work]["DeepLabCut"].append(theirs())
                for side, flags in sides.items():
                    rates[work][side].append(pawjax(options.pawjax_python, flags, *ours, options.seconds))
    print("| images/s, float32, CPU | DeepLabCut | " + " | ".join(sides) + " |" + "\n|---|---|" + "---|" * len(sides))
    for work, measured in rates.items():
        theirs, *ours = (statistics.median(values) for values in measured.values())
        print(f"| {work} | {theirs:.2f} | " + " | ".join(f"{rate:.2f} ({rate / theirs:.2f})" for rate in ours) + " |")
    if options.json:
        result = {"rates": rates, "versions": peer.versions, "threads": peer.threads, "config": options.config}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

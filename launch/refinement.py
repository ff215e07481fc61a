"""Are frames that `python -m pawjax.refine` chooses worth more than frames at random?

    python launch/refinement.py --project=PROJECT --split=SPLIT.json --video=VIDEO --teacher=TEACHER --seeds=3 \\
        --out=runs/refinement -- --config.model.stem_channels=16 --config.optimizer.learning_rate=2e-3 \\
        --config.scale=0.5 --config.augment.crop="(160,160)" --config.steps=300

A network is trained on 8 frames of a DeepLabCut project, then anew on these and 20 frames of a video that shows another
animal: chosen by the first network, or at random. Nobody labelled the video: the labels of the 20, and what errors are
measured against, are the points of TEACHER, a network that was trained on all frames of the project. Flags after `--`
go to every training. The same command again goes on where it was stopped.
"""

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import pawjax
from pawjax.data.deeplabcut import read_project_config
from pawjax.data.video import FrameReader, open_video

FIRST, MORE = 8, 20  # frames of the first training, and of the video
EVERY = 15  # frames of the video between those that errors are measured on
SURE = 0.6  # likelihood of the teacher's points that count
BATCH = 8


def run(module: str, *flags: str) -> None:
    subprocess.run([sys.executable, "-m", f"pawjax.{module}", *flags], check=True)


def train(workdir: Path, project: Path, split: Path, seed: int, common: list[str], *more: str) -> None:
    """Trains a run, unless it is done, and evaluates it on the project's test frames."""
    record = workdir / "run.json"
    if not record.exists() or "steps" not in json.loads(record.read_text()):
        data = [
            f"--config.data.path={project}",
            f"--config.data.split_file={split}",
            f"--config.data.split_seed={seed}",
        ]
        run("train", *common, *data, f"--workdir={workdir}", f"--config.seed={seed}", *more)
    run("evaluate", f"--workdir={workdir}", "--split=test")


def frames_of(video: Path, numbers: list[int]) -> dict[int, np.ndarray]:
    wanted = set(numbers)
    return {n: frame.pixels for n, frame in enumerate(FrameReader(open_video(video), 3)) if n in wanted}


def points_of(workdir: Path, images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints [N, K, 2] and likelihood [N, K] of frames by a run."""
    tracker = pawjax.load(workdir)
    padded = images + images[:1] * (-len(images) % BATCH)
    found = [tracker(np.stack(padded[i : i + BATCH])) for i in range(0, len(padded), BATCH)]
    return tuple(np.concatenate(arrays)[: len(images)] for arrays in zip(*found, strict=True))


def write_project(folder: Path, project: Path, video: str, labelled: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
    """Copies the project and adds frames of the video, {number: (pixels, points [K, 2])}."""
    if not folder.exists():
        shutil.copytree(project, folder, ignore=shutil.ignore_patterns("videos"), copy_function=shutil.copyfile)
    config = read_project_config(folder)
    target = folder / "labeled-data" / video
    target.mkdir(parents=True, exist_ok=True)
    columns = [(name, axis) for name in config.bodyparts for axis in "xy"]
    rows = [["scorer", *[config.scorer] * len(columns)], *(list(row) for row in zip(*columns, strict=True))]
    rows[1:] = [["bodyparts", *rows[1]], ["coords", *rows[2]]]
    for number, (pixels, points) in sorted(labelled.items()):
        Image.fromarray(pixels).save(target / f"img{number:04d}.png")
        rows.append([f"labeled-data/{video}/img{number:04d}.png", *points.ravel().tolist()])
    with (target / f"CollectedData_{config.scorer}.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def one_seed(options: argparse.Namespace, common: list[str], seed: int) -> dict[str, tuple[float, float]]:
    """Errors (on the video, on the project's test frames), px, of the three networks of a seed."""
    folder, video = options.out / f"seed{seed}", options.video.stem
    train(folder / "base", options.project, options.split, seed, common, f"--config.data.n_train={FIRST}")
    if not (folder / "chosen_frames/labeled-data" / video).exists():
        flags = [f"--workdir={folder / 'base'}", f"--out={folder / 'chosen_frames'}", f"--frames={MORE}"]
        run("refine", *flags, str(options.video))
    names = (path.name for path in (folder / "chosen_frames/labeled-data" / video).glob("img*.png"))
    chosen = sorted(int(re.findall(r"\d+", name)[0]) for name in names)
    n_frames = open_video(options.video).n_frames
    drawn = sorted(np.random.default_rng(seed).choice(n_frames, MORE, replace=False).tolist())
    judged = [n for n in range(EVERY // 2, n_frames, EVERY) if n not in {*chosen, *drawn}]
    images = frames_of(options.video, [*chosen, *drawn, *judged])
    truth, sure = points_of(options.teacher, list(images.values()))
    truth_of = dict(zip(images, truth, strict=True))
    counted = np.stack([row for n, row in zip(images, sure, strict=True) if n in set(judged)]) >= SURE
    split = json.loads((folder / "base/split.json").read_text())
    errors = {}
    for name, frames in {"base": [], "chosen": chosen, "random": drawn}.items():
        if frames:
            write_project(
                folder / f"{name}_project", options.project, video, {n: (images[n], truth_of[n]) for n in frames}
            )
            more = [f"labeled-data/{video}/img{n:04d}.png" for n in frames]
            lists = folder / f"{name}_split.json"
            lists.write_text(json.dumps(split | {"train": split["train"] + more}))
            train(folder / name, folder / f"{name}_project", lists, seed, common)
        points, _ = points_of(folder / name, [images[n] for n in judged])
        apart = np.linalg.norm(points - np.stack([truth_of[n] for n in judged]), axis=-1)[counted]
        test = json.loads((folder / name / "eval/test/metrics.json").read_text())["mean_error_px"]
        errors[name] = (float(apart.mean()), float(np.median(apart)), float((apart > 50).mean()), test)
        print(seed, name, *(f"{value:.3f}" for value in errors[name]), f"of {counted.sum()} points", flush=True)
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("project", "split", "video", "teacher", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:at])
    common = ["--config=configs/experiments/open_field_dlc_r50_fast.py", *sys.argv[at + 1 :]]
    results = [one_seed(options, common, seed) for seed in range(options.seeds)]
    print("| network | video: mean error, px | median | over 50 px | test frames: mean error, px |")
    print("|---|---|---|---|---|")
    for name in results[0]:
        values = np.array([result[name] for result in results])
        means, spread = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(4)
        cells = [f"{mean:.1f} ± {deviation:.1f}" for mean, deviation in zip(means, spread, strict=True)]
        cells[2] = f"{100 * means[2]:.0f} %"
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

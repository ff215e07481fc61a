"""Which criterion on a few dev frames chooses the checkpoint with the least error on other frames?

    python launch/checkpoints.py --out=FOLDER --seeds=3 -- --config=configs/lite0.py --config.scale=0.63 \\
        --config.steps=300 --config.data.path=PROJECT --config.data.split_file=FOLD{seed}.json [flags of training]

Trains on the split's train frames and keeps the errors on its dev frames (a fold, say 24) after every --every steps, in
FOLDER/seedN.npz; the same command again trains only what is missing. `{seed}` in a flag is the number of the seed.
Then, --draws times for each seed, --dev of these frames drawn at random choose the step by each criterion, and the
other frames tell the error at that step. Criteria are those of `config.checkpoint_by`, and 'views': the mean of the
medians over three sizes of the frame. 'best possible' chooses by the other frames themselves.
"""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import cli, train
from pawjax.data import LabelledFrames
from pawjax.data.batches import make_store
from pawjax.engine import choices
from pawjax.engine.processes import here
from pawjax.engine.setup import Split, first_state, load_frames, make_training
from pawjax.errors import InputError
from pawjax.files import replacing
from pawjax.inference import compiler
from pawjax.inference.stream import predict_store
from pawjax.inference.views import make_predict
from pawjax.metrics import GROSS_MISS, capped_mean, distances
from pawjax.progress import track

VIEWS = (1.0, 0.9, 1.1)  # sizes at which each frame is predicted
CRITERIA = ("rmse", "mean_error", "capped", "median", "views", "last", "best possible")


def errors_by_step(config: ConfigDict, frames: LabelledFrames, split: Split, every: int) -> np.ndarray:
    """Errors [steps / every, views, N, K] px on the dev frames; NaN where not labelled."""
    training, rows = make_training(config, frames, split), split["dev"]
    state = first_state(training, Path("no/such/run"), frames.bodyparts)[0]
    store, programs, found = jax.device_put(make_store(frames, rows, config.scale)), [], []
    feed = training.feed(state)
    for step in track(range(1, config.steps + 1), f"seed {config.seed}"):
        state, _ = jax.block_until_ready(training.program(state, next(feed), training.rates(step - 1)))
        if step % every:
            continue
        method, variables = training.method.fold(here(state.eval_variables))
        for view in VIEWS if not programs else ():
            settings = config.copy_and_resolve_references()
            settings.predict.update(scales=(view,), temperature=1.0)
            programs.append(compiler.jit(make_predict(method, settings, frames.bodyparts, None)))
        views = [predict_store(program, variables, store, config.batch_size).keypoints for program in programs]
        found.append([distances(frames.keypoints[rows], frames.labelled[rows], view[:, None])[:, 0] for view in views])
    return np.array(found)


def scores(d: np.ndarray, criterion: str, cap: float) -> np.ndarray:
    """What the criterion says of each step, the less the better, from errors [steps, views, N, K]."""
    if criterion == "last":
        return -np.arange(len(d))
    if criterion == "views":
        return np.nanmean(np.median(d, axis=1), (1, 2))
    d = d[:, 0]
    return {
        "rmse": lambda: np.nanmean(d**2, (1, 2)),
        "mean_error": lambda: np.nanmean(d, (1, 2)),
        "capped": lambda: np.array([capped_mean(step, cap) for step in d]),
        "median": lambda: np.nanmedian(d, (1, 2)),
    }[criterion]()


def chosen(found: list[np.ndarray], n_dev: int, draws: int, cap: float) -> dict[str, np.ndarray]:
    """For each criterion the errors on the other frames: [seeds, draws, 3], mean and RMSE in px, and gross misses."""
    rng, results = np.random.default_rng(0), {name: [] for name in CRITERIA}
    for d in found:
        for _ in range(draws):
            order = rng.permutation(d.shape[2])
            dev, others = d[:, :, order[:n_dev]], d[:, :, order[n_dev:]]
            for name in CRITERIA:
                step = np.argmin(scores(others, "mean_error", cap) if name == CRITERIA[-1] else scores(dev, name, cap))
                left = others[step, 0][np.isfinite(others[step, 0])]
                results[name].append((left.mean(), np.sqrt((left**2).mean()), (left > GROSS_MISS).sum()))
    return {name: np.reshape(values, (len(found), draws, 3)) for name, values in results.items()}


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--every", type=int, default=25)
    parser.add_argument("--dev", type=int, default=9, help="frames that choose")
    parser.add_argument("--draws", type=int, default=200)
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:at])
    options.out.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in range(options.seeds):
        flags = [flag.replace("{seed}", str(seed)) for flag in sys.argv[at + 1 :]]
        config: ConfigDict = cli.parse(train.ENTRY_POINT, [*flags, f"--config.seed={seed}"])[0].config
        path = options.out / f"seed{seed}.npz"
        if not path.exists():
            frames, split = load_frames(config, Path("no/such/run"))
            config, _ = choices.choose(config, frames, split)
            errors = errors_by_step(config, frames, split, options.every)
            with replacing(path) as part, part.open("wb") as file:
                np.savez(file, errors=errors)
        found.append(np.load(path)["errors"])
    for seed, d in enumerate(found):
        print(f"seed {seed}, mean error by step:", " ".join(f"{value:.2f}" for value in np.nanmean(d[:, 0], (1, 2))))
    print("\n| criterion | mean error, px | over draws (sd) | RMSE, px | over 50 px |\n|---|---|---|---|---|")
    for name, values in chosen(found, options.dev, options.draws, config.checkpoint_cap).items():
        mean, rmse, gross = values.mean((0, 1))
        print(f"| {name} | {mean:.2f} | {values[..., 0].std(1).mean():.2f} | {rmse:.2f} | {gross:.2f} |")


if __name__ == "__main__":
    cli.set_up_process()
    try:
        main()
    except InputError as error:
        sys.exit(f"checkpoints: {error}")

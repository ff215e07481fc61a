"""How many labelled frames does a project need, by what the network has learned before?

    python -m launch.label_efficiency --out=FOLDER --pretrained=runs/paw_on_ball --split=test -- \\
        --config=configs/lite0.py --config.steps=150 --config.batch_size=8 --config.data.path=PROJECT [other flags]

Trains a config on the first --labels train frames of the split, drawn by each seed, from four starts: ImageNet; the
same with a frozen backbone, so that the head alone learns; --pretrained, a run of the config on paw_on_ball from random
weights (`--config.init_from= --config.model.norm=batch`); and random weights. All take the same number of steps. Errors
are those of the averaged last weights on --split. Results are added to FOLDER/results.json one by one, and the same
command again goes on. FOLDER/frames.png shows them.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from ml_collections import ConfigDict

from launch import few_labels
from pawjax import cli, train
from pawjax.engine import choices
from pawjax.engine.setup import Training, first_state, load_frames, make_training
from pawjax.errors import InputError
from pawjax.report import style


def starts(pretrained: str) -> dict[str, list[str]]:
    """Flags of training by the name of each start."""
    return {
        "ImageNet": [],
        "ImageNet, frozen backbone": ["--config.optimizer.groups=(('backbone/.*',0.0,0),)"],
        "paw_on_ball": [f"--config.init_from={pretrained}"],
        "random weights": ["--config.init_from=", "--config.model.norm=batch"],
    }


def draw(path: Path, results: few_labels.Results, labels: list[int], seeds: int) -> None:
    with style.picture(path, 7.5, 4.2) as figure:
        axes = figure.add_subplot()
        style.title(axes, "Labels that a project needs", "mean error, px, by labelled frames; dots are seeds")
        for color, way in zip(style.PALETTE, starts(""), strict=False):
            values = [few_labels.values_of(results, way, n, seeds, "mean_error_px") for n in labels]
            axes.plot(labels, [v.mean() for v in values], color=color, label=way)
            for n, dots in zip(labels, values, strict=True):
                axes.plot([n] * seeds, dots, "o", ms=4, alpha=0.7, color=color)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(labels, map(str, labels))
        style.plain_log_axis(axes.yaxis)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def main() -> None:
    """Trains what results.json lacks and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    few_labels.add_options(parser, labels="5,10,20,40,63")
    parser.add_argument("--pretrained", required=True, metavar="RUN")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:at])
    labels, ways = [int(n) for n in options.labels.split(",")], starts(options.pretrained)
    compiled: dict[tuple[str, int], Training] = {}  # of the last setting: its seeds share a program

    def result(way: str, n: int, seed: int) -> dict[str, float]:
        words = [*sys.argv[at + 1 :], *ways[way], f"--config.seed={seed}"]
        config: ConfigDict = cli.parse(train.ENTRY_POINT, words)[0].config
        frames, split = load_frames(config, Path("no/such/run"))
        config, _ = choices.choose(config, frames, split)
        training = make_training(config, frames, few_labels.first_frames(split, n, seed, options.split))
        if (way, n) not in compiled:
            compiled.clear()
            compiled[way, n] = training
        first = compiled[way, n]
        training = dataclasses.replace(training, program=first.program, monitor=first.monitor)
        state = first_state(training, Path("no/such/run"), frames.bodyparts)[0]
        state, seconds = few_labels.trained(training, state, way)
        return few_labels.errors_of(training, state) | {"seconds": seconds}

    results = few_labels.collect(options.out, list(ways), labels, options.seeds, result)
    few_labels.print_table(results, list(ways), labels, options.seeds)
    draw(options.out / "frames.png", results, labels, options.seeds)


if __name__ == "__main__":
    cli.set_up_process()
    try:
        main()
    except InputError as error:
        sys.exit(f"label_efficiency: {error}")

"""Does a likelihood say how often a point is right? Draws runs before and after their calibration on dev.

    python launch/reliability.py "open field=runs/of" "mirror-mouse=runs/mm" --out=reliability.png

Evaluates each run on its test frames, once with its raw likelihoods and once as it predicts by default, prints the
expected calibration errors and draws both.
"""

import argparse
from pathlib import Path

from pawjax.inference.evaluation import evaluate_run
from pawjax.report import style
from pawjax.report.errors import draw_reliability

KINDS = {"raw": (style.VERMILION, {"temperature": 1.0, "bias": 0.0}), "calibrated": (style.BLUE, {})}


def main() -> None:
    """Prints a row for each run and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--out", type=Path, required=True)
    flags = parser.parse_args()
    print("| run | points | right | temperature, bias | ECE raw | calibrated |\n|---|---|---|---|---|---|")
    with style.picture(flags.out, 5.2 * len(flags.runs), 4.8) as figure:
        for axes, (name, run) in zip(
            figure.subplots(1, len(flags.runs), squeeze=False)[0],
            (word.split("=", 1) for word in flags.runs),
            strict=True,
        ):
            found, used = {}, {}
            for kind, (colour, settings) in KINDS.items():
                metrics = evaluate_run(Path(run), "test", "best", **settings)
                found[kind], used = metrics["reliability"], metrics["predict"]
                draw_reliability(axes, found[kind], colour, kind)
            bins, off = found["raw"]["bins"], [numbers["expected_error"] for numbers in found.values()]
            n, right = sum(b["n"] for b in bins), sum(round(b["n"] * b["right"]) for b in bins)
            print(f"| {name} | {n} | {right} | {used['temperature']}, {used['bias']} | {off[0]:.2f} | {off[1]:.2f} |")
            style.title(axes, name, f"off by {off[0]:.2f} raw, {off[1]:.2f} calibrated; {n} points")
            style.legend(axes, 1)


if __name__ == "__main__":
    main()

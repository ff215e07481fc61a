"""Which optimizer trains the patch classifier in how many steps, in how much time, and what does a step cost?

    python -m launch.optimisers RUN --bodypart=NAME --out=launch/optimisers.png

RUN is a run of configs/patch.py: patches of one bodypart are drawn from its train frames, once, as its training would
go on to draw them, and test patches likewise. Every optimizer starts at zero and tries the rates of RATES; shown is the
one that converges first or, if none does, ends nearest to the optimum. A rate is the length of a step or, with a line
search, of the first one tried. The arithmetic is float64.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from launch.solvers import Optimizer, Problem, bfgs, newton, of_optax, path
from pawjax.data.batches import as_batch, make_store
from pawjax.inference.run import Run, open_run
from pawjax.methods.method import of_single_animal
from pawjax.methods.patch import PatchClassifier, draw_patches
from pawjax.models.patch_net import PatchNet
from pawjax.ops.logistic import hessian, loss
from pawjax.ops.patches import cut_patches
from pawjax.ops.warp import apply_affine
from pawjax.report import style

RATES = 10.0 ** np.arange(-4, 1.1, 0.5)
BATCH = 64
GAPS = (1e-2, 1e-4, 1e-6)
NOISE = 1e-13  # a smaller gap is rounding
CONVERGED = 1e-10  # gap at which the clock stops
TAIL = 10
WEIGHTS = (26, 101, 290, 577, 1025, 2026, 3601)  # p of the costs: a bias and the pixels of square patches
EXAMPLES = 1000  # of the costs


def full_batch(momentum: float) -> dict[str, tuple[Callable[[float], Optimizer], int]]:
    """{name: (optimizer of a rate, steps)} of those that see all examples in each step."""
    return {
        "gradient descent": (lambda rate: of_optax(optax.sgd(rate)), 5000),
        "Nesterov": (lambda rate: of_optax(optax.sgd(rate, momentum, nesterov=True)), 2000),
        "Newton": (newton, 30),
        "BFGS": (bfgs, 200),
        "L-BFGS": (lambda rate: of_optax(optax.lbfgs(rate)), 200),
    }


MINIBATCH = {
    "SGD": lambda rate: of_optax(optax.sgd(rate)),
    "momentum": lambda rate: of_optax(optax.sgd(rate, 0.9)),
    "Adagrad": lambda rate: of_optax(optax.adagrad(rate)),
    "RMSProp": lambda rate: of_optax(optax.rmsprop(rate)),
    "Adam": lambda rate: of_optax(optax.adam(rate)),
}
EPOCHS = 30


def seconds_of(optimizer: Optimizer, problem: Problem, rows: jax.Array, turns: int = 3) -> float:
    """The least time of a step, with the program compiled and run once before."""
    program, taken = jax.jit(lambda problem, rows: path(optimizer, problem, rows, measured=False)[0]), []
    for _ in range(turns + 1):
        start = time.perf_counter()
        program(problem, rows).block_until_ready()
        taken.append(time.perf_counter() - start)
    return min(taken[1:]) / len(rows)


def steps_to(gap: float, gaps: np.ndarray) -> int | None:
    """Steps after which the gap was less for the first time; None if it never was."""
    return int(np.argmax(gaps < gap)) + 1 if (gaps < gap).any() else None


def order_of(gaps: np.ndarray) -> tuple[float, float]:
    """How the gap shrinks in the last TAIL steps before rounding: the order of convergence, and the factor per step.

    The order is the slope of log(next gap) against log(gap): 1 is linear convergence, 2 quadratic. NaN if fewer than
    three steps below 0.1 are left.
    """
    useful = np.flatnonzero((gaps[:-1] < 0.1) & (gaps[1:] > NOISE) & (gaps[1:] < gaps[:-1]))[-TAIL:]
    if len(useful) < 3:
        return math.nan, math.nan
    before, after = np.log(gaps[useful]), np.log(gaps[useful + 1])
    return float(np.polyfit(before, after, 1)[0]), float(np.exp((after - before).mean()))


def patches_of(run: Run, split: str, bodypart: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """The patches [N, size^2] of a split, labels [N], places [N, 3] (frame, row, column), and its frames."""
    frames, settings, net = run.frames(), run.method.settings, run.method.net
    batch = of_single_animal(as_batch(make_store(frames, run.split(frames)[split], run.config.scale)))
    dense = jax.jit(lambda images: net.apply(run.variables, images, train=False))(batch["image"])
    names, found = ("keypoints", "labelled", "absent"), []
    batch |= {name: jnp.asarray(batch[name][:, bodypart : bodypart + 1]) for name in names}
    for i, image in enumerate(net.features(jnp.asarray(batch["image"]))):
        known = (batch[name][i] for name in names)
        drawn = draw_patches(jax.random.key(i), *known, dense[i, None, ..., bodypart], settings)
        centers, labels, counted = map(np.asarray, drawn)
        some = counted == 1
        places = np.insert(centers[some][:, ::-1], 0, i, axis=1)
        found.append((np.asarray(cut_patches(image, drawn[0], settings.size))[some], labels[some], places))
    x, y, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return x.astype(np.float64), y.astype(np.float64), places, batch


def as_layer(w: np.ndarray, mean: np.ndarray, std: np.ndarray) -> dict[str, np.ndarray]:
    """Weights [p] of standardised features, the bias last, as the layer of a `PatchNet`, which standardises none."""
    size = math.isqrt(len(w) - 1)
    kernel = (w[:-1] / std).reshape(size, size, 1, 1)
    return {"kernel": np.float32(kernel), "bias": np.float32([w[-1] - (w[:-1] * mean / std).sum()])}


def with_ones(x: np.ndarray) -> np.ndarray:
    """The features with a last column of ones, for the bias."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def sweep(problem: Problem, accuracy: Callable[[jax.Array], float]) -> dict[str, dict[str, Any]]:
    """{name: results of the best rate} of every optimizer, and under 'Newton' the path to the optimum itself."""
    n, p = problem.x.shape
    optimum, _ = jax.jit(path, static_argnums=0)(newton(1.0), problem, jnp.zeros((50, 0), int))
    least, curvature = loss(optimum, *problem), np.linalg.eigvalsh(hessian(optimum, problem.x, problem.l2))
    condition = curvature[-1] / curvature[0]
    print(f"{n} patches, p = {p}, optimum {float(least):.6f}, condition {condition:.0f}")
    rng = np.random.default_rng(0)
    epochs = [rng.permutation(n)[: n // BATCH * BATCH].reshape(-1, BATCH) for _ in range(EPOCHS)]
    root = math.sqrt(condition)
    plans = {
        name: (make, jnp.zeros((steps, 0), int)) for name, (make, steps) in full_batch((root - 1) / (root + 1)).items()
    }
    plans |= {name: (make, jnp.asarray(np.concatenate(epochs))) for name, make in MINIBATCH.items()}
    results = {}
    for name, (make, rows) in plans.items():
        program = jax.vmap(lambda rate, *rest, make=make: path(make(rate), *rest), in_axes=(0, None, None))
        w, losses = jax.jit(program)(RATES, problem, rows)
        gaps = np.nan_to_num(np.asarray(losses), nan=np.inf) - float(least)
        steps = [steps_to(CONVERGED, some) or len(rows) + 1 for some in gaps]
        best = np.lexsort((gaps[:, -1], steps))[0]
        seconds = seconds_of(make(RATES[best]), problem, rows[: steps[best]])
        results[name] = dict(rate=RATES[best], gaps=gaps[best], seconds=seconds, accuracy=accuracy(w[best]), w=w[best])
    return results


def print_sweep(results: dict[str, dict[str, Any]]) -> None:
    """Prints a row for each optimizer."""
    reached = " / ".join(f"{gap:g}" for gap in GAPS)
    columns = ("optimizer", "rate", f"steps to {reached}", "order, factor", "last gap", "ms a step")
    print(f"| {' | '.join(columns)} | s to {GAPS[1]:g} | held out |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found in results.items():
        gaps = found["gaps"]
        steps = [steps_to(gap, gaps) for gap in GAPS]
        order, factor = order_of(gaps) if name not in MINIBATCH else (math.nan, math.nan)
        cells = [" / ".join("-" if step is None else str(step) for step in steps)]
        cells += ["-" if math.isnan(order) else f"{order:.1f}, {factor:.3g}", f"{max(gaps[-1], NOISE):.0e}"]
        cells += [f"{1000 * found['seconds']:.2f}", "-" if steps[1] is None else f"{steps[1] * found['seconds']:.3f}"]
        print(f"| {name} | {found['rate']:.2g} | {' | '.join(cells)} | {found['accuracy']:.3f} |")


def separable(n: int = 200, p: int = 5) -> Problem:
    """Examples of very different sizes, whose classes a plane separates, without a penalty: the loss has no minimum."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p)) * np.exp(2 * rng.normal(size=(n, 1)))
    return Problem(jnp.asarray(x), jnp.asarray(x[:, 0] > 0, x.dtype), jnp.zeros(p))


def costs() -> dict[str, list[float]]:
    """{optimizer: seconds of a step for each p of WEIGHTS} on random examples, whose values do not matter."""
    optimizers = {name: make(1.0) for name, (make, _) in full_batch(0.9).items() if name != "Nesterov"}
    found: dict[str, list[float]] = {name: [] for name in optimizers}
    rows = jnp.zeros((3, 0), int)
    for p in WEIGHTS:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(EXAMPLES, p)) / math.sqrt(p)
        problem = Problem(jnp.asarray(x), jnp.asarray(rng.integers(0, 2, EXAMPLES), x.dtype), jnp.full(p, 0.01))
        for name, optimizer in optimizers.items():
            found[name].append(seconds_of(optimizer, problem, rows, turns=2))
    return found


def print_costs(found: dict[str, list[float]]) -> None:
    """Prints a row for each optimizer, with the exponent between the last two p."""
    print(f"| ms a step, p = | {' | '.join(map(str, WEIGHTS))} | exponent |")
    print(f"|{'---|' * (len(WEIGHTS) + 2)}")
    for name, seconds in found.items():
        exponent = math.log(seconds[-1] / seconds[-2]) / math.log(WEIGHTS[-1] / WEIGHTS[-2])
        print(f"| {name} | {' | '.join(f'{1000 * value:.3g}' for value in seconds)} | {exponent:.1f} |")


def draw(results: dict[str, dict[str, Any]], found: dict[str, list[float]], out: Path) -> None:
    """Draws the gaps against steps and time, and the costs against p."""
    colours = dict(zip(results, (*style.PALETTE[:5], *style.PALETTE[:5]), strict=True))
    with style.picture(out, 12, 8.5) as figure:
        (whole, mini), (clock, cost) = figure.subplots(2, 2)
        for name, result in results.items():
            gaps = result["gaps"][: steps_to(NOISE, result["gaps"])]
            steps, line, axes = np.arange(1, len(gaps) + 1), "-", whole
            if name in MINIBATCH:  # means over the epochs, each drawn at its end
                steps, line, axes = steps.reshape(EPOCHS, -1)[:, -1], "--", mini
                gaps = gaps.reshape(EPOCHS, -1).mean(1)
            axes.plot(steps, np.maximum(gaps, NOISE), line, color=colours[name], label=name)
            clock.plot(steps * result["seconds"], np.maximum(gaps, NOISE), line, color=colours[name], label=name)
        for name, seconds in found.items():
            cost.plot(WEIGHTS, seconds, "o-", color=colours[name], label=name)
        style.title(whole, "All patches in each step", "gap to the optimum, by steps")
        style.title(mini, f"{BATCH} patches in each step", "gap to the optimum, mean of an epoch, by steps")
        style.title(clock, "Time", f"gap to the optimum, by seconds; dashed: {BATCH} patches in each step")
        style.title(cost, "Cost of a step", "seconds, by the number of weights p")
        for axes in (whole, mini, clock, cost):
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                style.plain_log_axis(axis)
        for axes, place in ((whole, "lower left"), (mini, "lower left"), (cost, "upper left")):
            axes.legend(loc=place)


def print_tracker(
    layer: dict[str, np.ndarray], places: np.ndarray, logits: np.ndarray, run: Run, batch: dict[str, Any]
) -> None:
    """Prints how far the map of the layer is from the logits [N] of the patches at `places`, and its errors."""
    method = PatchClassifier(PatchNet(1, run.method.settings.size), run.method.settings)
    variables = {"params": {"scoremap": layer}}
    dense = np.asarray(method.net.apply(variables, batch["image"], train=False))[..., 0]
    off = np.abs(dense[tuple(places.T)] - logits).max()
    print(f"as a convolution: largest difference {off:.1e} of logits from {logits.min():.1f} to {logits.max():.1f}")
    found = jax.jit(method.predict)(variables, batch["image"])["keypoints"]
    apart = apply_affine(batch["to_original"], found) - apply_affine(batch["to_original"], batch["keypoints"])
    d = np.linalg.norm(np.asarray(apart), axis=-1)[batch["labelled"]]
    print(f"best pixels of {len(d)} test frames: median error {np.median(d):.1f} px, mean {d.mean():.1f} px")


def main() -> None:
    """Prints the tables and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder of configs/patch.py; its data must be where they were")
    parser.add_argument("--bodypart", required=True)
    parser.add_argument("--out", type=Path, required=True)
    flags = parser.parse_args()
    run = open_run(flags.run)
    if run.config.method != "patch" or flags.bodypart not in run.bodyparts:
        parser.error(f"{flags.run} must be a run of configs/patch.py, and its bodyparts are {', '.join(run.bodyparts)}")
    bodypart = run.bodyparts.index(flags.bodypart)
    (x, y, *_), (held, truth, places, batch) = (patches_of(run, split, bodypart) for split in ("train", "test"))
    jax.config.update("jax_enable_x64", True)
    mean, std = x.mean(0), x.std(0)
    l2 = np.append(np.full(x.shape[1], run.method.settings.l2), 0.0)
    problem = Problem(*map(jnp.asarray, (with_ones((x - mean) / std), y, l2)))
    features = with_ones((held - mean) / std)
    results = sweep(problem, lambda w: float(((features @ np.asarray(w) > 0) == truth).mean()))
    print_sweep(results)

    for name, optimizer in {"undamped": newton(1.0, search=False, damping=0.0), "backtracking": newton(1.0)}.items():
        _, losses = jax.jit(path, static_argnums=0)(optimizer, separable(), jnp.zeros((100, 0), int))
        print(f"separable, Newton {name}: loss {', '.join(f'{losses[i]:.1e}' for i in (0, 9, 29, 49, 99))}")

    w = np.asarray(results["Newton"]["w"])
    print_tracker(as_layer(w, mean, std), places, features @ w, run, batch)
    found = costs()
    print_costs(found)
    draw(results, found, flags.out)


if __name__ == "__main__":
    main()

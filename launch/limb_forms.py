"""Are the two forms of Model 2 the same: a direction drawn on the sphere, and a normal distance?

    python -m launch.limb_forms --out=limb_forms.png [--data=FOLDER]

A limb of length L and deviation s, without anything else: in the form 'direction' the bodypart lies at L u + noise of
deviation s on each axis, u uniform on the sphere; in the form 'distance' its density in space is proportional to
exp(-(r - L)^2 / (2 s^2)), r the distance. Draws how r is distributed in both, with a histogram of 200,000 draws of the
first, and the total variation between both by s / L. With --data, the extract of Rat7M (`launch/rat7m.py`), its limbs
are marked there, and both forms are fitted to it.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.integrate import trapezoid

from launch.rat7m import errors, priors
from pawjax.pose3d import model2
from pawjax.pose3d.parameters import Observations
from pawjax.report import style

SHOWN = (0.05, 0.3, 1.0)  # s / L
COLORS = {"direction": style.BLUE, "distance": style.VERMILION}


def densities(share: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Distances r in lengths, and their densities in both forms, for s / L = share."""
    r = np.linspace(1e-9, 1 + 9 * share, 20_001)
    normal = np.exp(-((r - 1) ** 2) / (2 * share**2))
    made = {"direction": r * -np.expm1(-2 * r / share**2) * normal, "distance": r**2 * normal}
    return r, {name: values / trapezoid(values, r) for name, values in made.items()}


def variation(share: float) -> float:
    """Total variation between the distances of both forms: 0 if they are the same, 1 if they never agree."""
    r, made = densities(share)
    return float(trapezoid(np.abs(made["direction"] - made["distance"]), r) / 2)


def draws(share: float, number: int) -> np.ndarray:
    """Distances of draws in the form 'direction'."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(number, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return np.linalg.norm(direction + share * rng.normal(size=(number, 3)), axis=-1)


def compare(folder: Path) -> np.ndarray:
    """Fits both forms to Rat7M's extract, prints how they differ, and returns s / L of its limbs."""
    data, fitted = (np.load(folder / f"mock_{name}.npz") for name in ("data", "params"))
    names, truth, prior = tuple(map(str, data["keypoint_names"])), data["groundtruth_pos_3d"], priors(data, fitted)
    about = Observations(data["observed_pos_2d"]), data["camera_matrices"], prior["model2"], data["triangulated_pos_3d"]
    means = {form: np.asarray(model2.fit(*about, form=form).mean) for form in COLORS}
    for form, mean in means.items():
        found = errors(mean, truth, names)
        print(f"{form}: {found['raw_mm']:.2f} mm, {found['procrustes_mm']:.2f} mm after Procrustes")
    apart = np.linalg.norm(means["direction"] - means["distance"], axis=-1)
    print(f"the positions differ by {np.median(apart):.3f} mm (median), {np.percentile(apart, 99):.2f} mm (99 %)")
    limbs = prior["model2"].limbs
    is_limb = np.array(limbs.parents) != np.arange(len(names))
    return np.sqrt(np.asarray(limbs.variance)[is_limb]) / np.asarray(limbs.length)[is_limb]


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    flags = parser.parse_args()
    limbs = compare(flags.data) if flags.data else np.array([])
    with style.picture(flags.out, 12, 3.6) as figure:
        *panels, last = figure.subplots(1, len(SHOWN) + 1)
        for axes, share in zip(panels, SHOWN, strict=True):
            r, made = densities(share)
            axes.hist(draws(share, 200_000), bins=80, density=True, color=style.FAINT, label="draws of 'direction'")
            for name, values in made.items():
                axes.plot(r, values, color=COLORS[name], label=name)
            axes.set(xlim=(max(0, 1 - 4 * share), 1 + 4 * share), xlabel="distance, in lengths")
            style.title(axes, f"deviation {share:g}", f"total variation {variation(share):.2g}")
        panels[0].legend(loc="upper left", fontsize=8)
        shares = np.geomspace(0.01, 3, 60)
        last.plot(shares, [variation(share) for share in shares], color=style.INK)
        last.plot(limbs, [variation(share) for share in limbs], "o", ms=5, alpha=0.7, color=style.ORANGE)
        last.set(xscale="log", yscale="log", xlabel="deviation, in lengths")
        style.plain_log_axis(last.xaxis)
        style.plain_log_axis(last.yaxis)
        style.title(last, "Total variation", "dots: limbs of Rat7M's prior" if limbs.size else "")


if __name__ == "__main__":
    main()

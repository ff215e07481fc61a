"""Which share of the crops should lie anywhere on the frame instead of around the animal?

    CONFIGS=configs/experiments/open_field_ python launch/sweep.py launch/crops_anywhere.py \\
        --out=runs/anywhere --seeds=3 -- --config.data.path=PROJECT

The config is ${CONFIGS}dlc_r50_fast.py; without CONFIGS it is configs/dlc_r50_fast.py. As a program it makes a harder
project of DeepLabCut's open field, with much that is not the animal:

    python launch/crops_anywhere.py PROJECT FOLDER

FOLDER becomes a project whose frames are those of PROJECT, in canvases of 960x720 with dark ellipses, bars and the time
in the margins, all synthetic.
"""

import csv
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CONFIGS = os.environ.get("CONFIGS", "configs/")
SHARES = (0.0, 0.2)
WIDTH, HEIGHT, CORNER = 960, 720, (40, 200)  # of the canvas, and where frames of 640x480 lie in it, px


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    config = f"--config={CONFIGS}dlc_r50_fast.py"
    return {f"share {share:g}": [config, f"--config.augment.anywhere_p={share}"] for share in SHARES}


def empty_canvas(seed: int = 0) -> Image.Image:
    """A grey canvas with 14 dark ellipses and 8 bars."""
    rng = np.random.default_rng(seed)
    cells = Image.fromarray(rng.integers(70, 150, (9, 12), dtype=np.uint8))
    canvas = cells.resize((WIDTH, HEIGHT), Image.BICUBIC).convert("RGB")
    draw = ImageDraw.Draw(canvas)
    for _ in range(14):
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        a, b = rng.uniform(10, 45, 2)
        draw.ellipse((x - a, y - b, x + a, y + b), fill=(int(rng.integers(10, 70)),) * 3)
    for _ in range(8):
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        a, b = rng.uniform(4, 60, 2)
        draw.rectangle((x, y, x + a, y + b), fill=(int(rng.integers(0, 255)),) * 3)
    return canvas


def paste_project(project: Path, out: Path) -> None:
    """Writes the project with its frames in canvases, and its labels moved with them."""
    canvas, font = empty_canvas(), ImageFont.load_default(28)
    for table in sorted(project.glob("labeled-data/*/CollectedData_*.csv")):
        folder = out / table.parent.relative_to(project)
        folder.mkdir(parents=True)
        rows = list(csv.reader(table.open(newline="")))
        first = next(index for index, cell in enumerate(rows[1]) if index and cell)  # after the columns of the path
        for n, row in enumerate(rows[3:]):
            name = row[first - 1].split("/")[-1]
            picture = canvas.copy()
            picture.paste(Image.open(table.parent / name).convert("RGB"), CORNER)
            for place in ((700, 20), (720, 660)):
                text = f"2018-10-30 {n % 24:02d}:{n % 60:02d}"
                options = {"fill": (255,) * 3, "stroke_width": 3, "stroke_fill": (0,) * 3}
                ImageDraw.Draw(picture).text(place, text, font=font, **options)
            picture.save(folder / name)
            row[first:] = [str(float(cell) + CORNER[index % 2]) for index, cell in enumerate(row[first:])]
        with (folder / table.name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    shutil.copy(project / "config.yaml", out)


if __name__ == "__main__":
    paste_project(Path(sys.argv[1]), Path(sys.argv[2]))

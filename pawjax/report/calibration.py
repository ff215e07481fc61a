"""The report of a calibration: a folder of pictures, their numbers as JSON, and a page that holds them all."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.errors import InputError
from pawjax.files import write_json, write_text
from pawjax.pose3d.board import name_of
from pawjax.pose3d.cameras import camera_places
from pawjax.report import page, style
from pawjax.report.calibrated import Calibrated, rms
from pawjax.report.calibration_pictures import draw_coverage, draw_errors, draw_scene, draw_worst
from pawjax.report.cells import markdown_row

PICTURES = {
    "errors.png": (draw_errors, "Error of each picture and of the corners"),
    "coverage.png": (draw_coverage, "Where each camera saw corners"),
    "rig.png": (draw_scene, "The cameras and the boards in space"),
    "worst.png": (draw_worst, "The pictures with the largest errors"),
}
PAGE, NUMBERS = "index.html", "report.json"
TITLES = ("camera", "pictures", "RMS (px)", "median", "p95", "coverage", "focal length (px)", "moved (px)")


def check_report(folder: Path) -> None:
    """Raises InputError if the folder holds files of the report's names that no report wrote."""
    present = [name for name in (PAGE, NUMBERS, *PICTURES) if (folder / name).exists()]
    if present and not page.is_ours(folder / PAGE):
        raise InputError(f"{folder} holds a file {present[0]} that is not of a calibration's report: move it away")


def write_report(folder: Path, made: Calibrated) -> str:
    """Writes pictures, `report.json` and `index.html` into a folder, each atomically, the page last.

    Returns:
      The table of cameras as Markdown.
    """
    numbers = numbers_of(made)
    for name, (draw, _) in PICTURES.items():
        draw(folder / name, made)
    write_json(folder / NUMBERS, numbers)
    rows = [_cells(name, values) for name, values in numbers["cameras"].items()]
    write_text(folder / PAGE, _page(folder, made, numbers, rows))
    return "\n".join([markdown_row(TITLES), "|" + "---|" * len(TITLES), *map(markdown_row, rows)])


def numbers_of(made: Calibrated) -> dict[str, Any]:
    """The content of report.json; lengths in mm, errors in px."""
    errors, places, pictures = made.used_errors(), camera_places(made.cameras), made.picture_errors()
    shares = made.coverage()
    cameras = {}
    for index, name in enumerate(made.cameras.names):
        own = errors[index][np.isfinite(errors[index])]
        matrix = made.cameras.matrix[index]
        cameras[name] = {
            "n_pictures": np.isfinite(errors[index]).any(-1).sum(),
            "n_corners": len(own),
            "rms_px": rms(own),
            "median_px": np.median(own),
            "p95_px": np.quantile(own, 0.95),
            "max_px": own.max(),
            "coverage": shares[index],
            "focal_px": [matrix[0, 0], matrix[1, 1]],
            "centre_px": matrix[:2, 2],
            "distortion": made.cameras.distortion[index],
            "place_mm": places[index],
            "moved_px": made.moved_px[index],
        }
    labels = [
        {
            source.camera: {"picture": source.label(int(place)), "rms_px": error, "left_out": left_out}
            for source, place, error, left_out in zip(
                made.sources, made.views[:, view], pictures[:, view], made.left_out[:, view], strict=True
            )
            if np.isfinite(error)
        }
        for view in range(pictures.shape[1])
    ]
    return {
        "rms_px": rms(errors),
        "cameras": cameras,
        "distances_mm": {
            f"{made.cameras.names[a]}-{made.cameras.names[b]}": np.linalg.norm(places[a] - places[b])
            for a, b in combinations(range(len(places)), 2)
        },
        "world": made.world,
        "board": {"kind": made.board.kind, "squares": name_of(made.board.size), "square_mm": made.board.square_mm},
        "doubts": list(made.doubts),
        "views": [label for label in labels if label],
    }


def _cells(name: str, values: dict[str, Any]) -> list[str]:
    return [
        name,
        str(values["n_pictures"]),
        *(style.pixels(float(values[key])) for key in ("rms_px", "median_px", "p95_px")),
        style.share(float(values["coverage"])),
        f"{values['focal_px'][0]:.1f}",
        style.pixels(float(values["moved_px"])),
    ]


def _page(folder: Path, made: Calibrated, numbers: dict[str, Any], rows: list[list[str]]) -> str:
    best: set[tuple[int, int]] = set()
    distances = ", ".join(f"{pair} {distance:.2f} mm" for pair, distance in numbers["distances_mm"].items())
    parts = [page.paragraph(f"Not to be trusted: {doubt}.") for doubt in made.doubts]
    parts.append(
        page.paragraph(
            f"Root mean square of the reprojection errors: {style.pixels(float(numbers['rms_px']))} px over "
            f"{sum(values['n_corners'] for values in numbers['cameras'].values())} corners. The world: {made.world}."
        )
    )
    parts.append(page.table([("", title) for title in TITLES], rows, best, len(rows)))
    if distances:
        parts.append(page.note(f"Distances of the cameras: {distances}."))
    if made.left_out.any():
        parts.append(page.note(f"{made.left_out.sum()} pictures with large errors were left out of all numbers above."))
    for name, (_, description) in PICTURES.items():
        parts += [page.heading(description), page.picture(folder / name, description)]
    return page.render("Calibration", parts)

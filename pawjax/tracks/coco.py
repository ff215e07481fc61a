"""COCO keypoints: one JSON object with images, annotations and the category 'animal', which pycocotools loads.

An image is a frame (its id is its number) and an annotation an animal in it. Its keypoints are [x, y, v] of each
bodypart, centres of pixels at whole numbers, v 2, or 0, 0, 0 where there is none; its box [x, y, width, height] spans
them; 'score' is their mean likelihood, which makes `annotations` a list of results as well. 'keypoint_scores' is not
COCO's: the likelihood of each bodypart, 0 where there is none.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.files import replacing
from pawjax.tracks.tracks import Tracks

VISIBLE = 2


def write_coco(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes tracks that come in pieces, replacing the file atomically."""
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent) as annotations,  # they follow the images
    ):
        n_images = n_animals = 0
        for piece in pieces:
            if not n_images:
                file.write(f"{_header(piece, scorer)[:-1]}, {_json('images')}: [")
            for image in _images(piece, n_images):
                file.write(f"{',' if image['id'] else ''}\n{_json(image)}")
            for animal in _animals(piece, n_images):
                n_animals += 1
                annotations.write(f"{',' if n_animals > 1 else ''}\n{_json(animal | {'id': n_animals})}")
            n_images += len(piece)
        file.write(f"\n], {_json('annotations')}: [")
        annotations.seek(0)
        shutil.copyfileobj(annotations, file)
        file.write("\n]}\n")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _header(like: Tracks, scorer: str) -> str:
    category = {"id": 1, "name": "animal", "supercategory": "animal", "keypoints": like.bodyparts, "skeleton": []}
    info = {"description": f"tracks by {scorer}", "fps": like.frames_per_second, **like.origin}
    return _json({"info": info, "categories": [category]})


def _images(tracks: Tracks, first: int) -> Iterator[dict[str, Any]]:
    height, width = tracks.size
    video = tracks.origin.get("video", "video")
    for number, time in enumerate(tracks.times.tolist(), start=first):
        name = f"{video}/{number:06d}.png"
        yield {"id": number, "file_name": name, "width": width, "height": height, "frame": number, "time": time}


def _animals(tracks: Tracks, first: int) -> Iterator[dict[str, Any]]:
    found = np.isfinite(tracks.keypoints).all(-1)
    for frame, animal in np.argwhere(found.any(-1)).tolist():
        seen = found[frame, animal]
        points = tracks.keypoints[frame, animal].astype(np.float64)
        likelihood = np.where(seen, tracks.likelihood[frame, animal], 0).astype(np.float64)
        corner, side = points[seen].min(0), np.ptp(points[seen], axis=0)
        yield {
            "image_id": first + frame,
            "category_id": 1,
            "keypoints": np.where(seen[:, None], np.insert(points, 2, VISIBLE, axis=1), 0).ravel().tolist(),
            "num_keypoints": int(seen.sum()),
            "score": float(likelihood[seen].mean()),
            "keypoint_scores": likelihood.tolist(),
            "bbox": [*corner.tolist(), *side.tolist()],
            "area": float(side.prod()),
            "iscrowd": 0,
        }

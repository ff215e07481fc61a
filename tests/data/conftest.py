"""Fixtures that write small DeepLabCut projects and Lightning Pose folders."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pawjax.data import DataConfig

BODYPARTS = ("snout", "tail")


def write_label_csv(
    path: Path,
    ids: Sequence[str],
    keypoints: np.ndarray,
    bodyparts: Sequence[str] = BODYPARTS,
    *,
    path_columns: int = 1,
    separator: str = "/",
) -> None:
    """Writes a table in DeepLabCut's format; keypoints [N, K, 2], NaN if unlabelled."""
    gap = [""] * (path_columns - 1)
    columns = [(part, coord) for part in bodyparts for coord in "xy"]
    rows = [["scorer", *gap, *["Ann"] * len(columns)]]
    rows += [["bodyparts", *gap, *(part for part, _ in columns)]]
    rows += [["coords", *gap, *(coord for _, coord in columns)]]
    for frame, points in zip(ids, keypoints, strict=True):
        parts = frame.split("/") if path_columns == 3 else [frame.replace("/", separator)]
        rows.append([*parts, *("" if np.isnan(value) else repr(float(value)) for value in points.ravel())])
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def random_pixels(seed: int, height: int = 24, width: int = 32, channels: int = 1) -> np.ndarray:
    """uint8 [height, width] or [height, width, channels]."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def warnings(monkeypatch, capsys) -> Callable[[], list[str]]:
    """warnings() returns the warnings since the last call; none was printed before the test."""
    monkeypatch.setattr("pawjax.errors._said", set())
    start = "pawjax: warning: "
    return lambda: [line.removeprefix(start) for line in capsys.readouterr().err.splitlines() if line.startswith(start)]


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    """make(videos={'m1': 3}, ...) writes a DeepLabCut project with these frames per video and returns its folder."""

    def make(
        name: str = "reach-Ann-2024-01-02",
        videos: dict[str, int] | None = None,
        *,
        config: str = "",
        channels: int = 1,
        bodyparts: Sequence[str] = BODYPARTS,
        **table: object,
    ) -> Path:
        root = tmp_path / name
        root.mkdir()
        lines = "".join(f"- {part}\n" for part in bodyparts)
        (root / "config.yaml").write_text(config or f"Task: reach\nscorer: Ann\nbodyparts:\n{lines}")
        for video, n in (videos or {"m1": 3}).items():
            rng = np.random.default_rng(len(video))
            ids = [f"labeled-data/{video}/img{index:03d}.png" for index in range(n)]
            keypoints = rng.uniform(0, 20, (n, len(bodyparts), 2)) + 1 / 3
            write_label_csv(root / f"labeled-data/{video}/CollectedData_Ann.csv", ids, keypoints, bodyparts, **table)
            for index, frame in enumerate(ids):
                Image.fromarray(random_pixels(index, channels=channels)).save(root / frame)
        return root

    return make


@pytest.fixture
def data_config(tmp_path: Path) -> Callable[..., DataConfig]:
    """data_config(source=..., path=...) returns a section `data` with those fields and the test's own cache."""

    def make(**fields: object) -> DataConfig:
        fields = {"cache": tmp_path / "cache"} | fields
        return DataConfig(**{name: str(value) if isinstance(value, Path) else value for name, value in fields.items()})

    return make


@pytest.fixture
def write_csv() -> Callable[..., None]:
    """`write_label_csv`, for tests."""
    return write_label_csv


@pytest.fixture
def pixels() -> Callable[..., np.ndarray]:
    """`random_pixels`, for tests."""
    return random_pixels

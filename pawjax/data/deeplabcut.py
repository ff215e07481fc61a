"""DeepLabCut projects: config.yaml and the label tables under labeled-data/."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from pawjax.data.label_csv import read_label_csv
from pawjax.data.label_h5 import read_label_h5
from pawjax.data.label_table import LabelTable, first_difference, merge_tables, order_bodyparts
from pawjax.errors import InputError


@dataclass(frozen=True)
class ProjectConfig:
    """The fields of a config.yaml that pawjax needs."""

    file: Path
    scorer: str
    bodyparts: tuple[str, ...]


def read_deeplabcut(folder: Path, label_file: str = "auto") -> LabelTable:
    """Reads all labels of the single-animal project in `folder`: (x, y) pixels, unrounded, sorted by path.

    Every folder under labeled-data/ with a CollectedData_<scorer> table is read, whether or not the config lists its
    video; the project may have moved. `label_file` is 'csv', 'h5' or 'auto': whichever exists; if both do, they must
    agree. Raises InputError if `folder` is no such project, tables do not match the config, or there are no labels.
    """
    if folder.name == "config.yaml" and folder.is_file():
        folder = folder.parent
    config = read_project_config(folder)
    tables = [_read_labels(path, config, label_file) for path in _label_folders(folder, config)]
    tables = [table for table in tables if table.ids]
    if not tables:
        raise InputError(
            f"{folder}: no folder under labeled-data/ holds a label table CollectedData_{config.scorer}.csv or .h5 "
            f"with frames in it; label some frames, or correct the field 'scorer' in config.yaml"
        )
    table = merge_tables(folder, [order_bodyparts(table, config.bodyparts, config.file) for table in tables])
    return table


def read_project_config(folder: Path) -> ProjectConfig:
    """Reads config.yaml, where placeholders, empty values and a project_path from another machine are common.

    Raises InputError if it is missing, not YAML, for several animals, or without a scorer or bodyparts.
    """
    file = folder / "config.yaml"
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder; set config.data.path to the folder of a DeepLabCut project"
        )
    if not file.is_file():
        raise InputError(
            f"{folder}: there is no config.yaml in it; set config.data.path to the folder of a DeepLabCut project"
        )
    try:
        # The base loader keeps every value as a string: a bodypart named `on` or `1e3` stays a name.
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:  # the last: nested thousands deep
        raise InputError(f"{file}: is not readable YAML ({' '.join(str(error).split())}); fix the file") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: holds no 'field: value' lines; restore the config.yaml of the project")
    bodyparts = content.get("bodyparts", "")
    several = content.get("multianimalproject", "")
    if isinstance(several, str) and several.strip().lower() in ("true", "yes", "on") or bodyparts == "MULTI!":
        raise InputError(
            f"{file}: this is a multi-animal project (field 'multianimalproject'), which pawjax does not read; "
            f"use a single-animal project"
        )
    scorer = content.get("scorer", "")
    if not isinstance(scorer, str) or not scorer.strip():
        raise InputError(f"{file}: the field 'scorer' is empty; write the name in CollectedData_<scorer>.csv there")
    return ProjectConfig(file, scorer.strip(), _bodypart_names(file, bodyparts))


def _bodypart_names(file: Path, bodyparts: object) -> tuple[str, ...]:
    if not isinstance(bodyparts, list) or not bodyparts or not all(isinstance(name, str) for name in bodyparts):
        raise InputError(f"{file}: the field 'bodyparts' is not a list of names; write '- name' lines under it")
    names = tuple(name.strip() for name in bodyparts)
    repeated = [name for name in names if names.count(name) > 1 or not name]
    if repeated:
        raise InputError(
            f"{file}: the field 'bodyparts' names '{repeated[0]}' twice or not at all; name each bodypart once"
        )
    return names


def _label_folders(folder: Path, config: ProjectConfig) -> list[Path]:
    """Folders of labelled frames, without the images of DeepLabCut's check_labels (<video>_labeled)."""
    root = folder / "labeled-data"
    if not root.is_dir():
        raise InputError(f"{folder}: there is no folder labeled-data in it; extract and label frames first")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.endswith("_labeled"))
    labelled = [path for path in folders if any(file.is_file() for file in _label_files(path, config.scorer))]
    if not labelled:
        others = sorted({file.stem.removeprefix("CollectedData_") for file in root.glob("*/CollectedData_*.*")})
        hint = f"; the scorers of its tables are {', '.join(others)}" if others else ""
        raise InputError(
            f"{folder}: no folder under labeled-data/ holds CollectedData_{config.scorer}.csv or .h5{hint}; "
            f"label some frames, or correct the field 'scorer' in config.yaml"
        )
    return labelled


def _label_files(folder: Path, scorer: str) -> Sequence[Path]:
    return folder / f"CollectedData_{scorer}.csv", folder / f"CollectedData_{scorer}.h5"


def _read_labels(folder: Path, config: ProjectConfig, label_file: str) -> LabelTable:
    csv, h5 = _label_files(folder, config.scorer)
    if label_file != "h5" and csv.is_file() and (label_file == "csv" or not h5.is_file()):
        return read_label_csv(csv)
    if label_file != "csv" and h5.is_file() and (label_file == "h5" or not csv.is_file()):
        return read_label_h5(h5)
    if label_file != "auto":
        missing = h5 if label_file == "h5" else csv
        raise InputError(f"{missing}: is missing, though config.data.label_file={label_file}; use 'auto'")
    table, text = read_label_h5(h5), read_label_csv(csv)
    difference = first_difference(table, text)
    if difference:
        raise InputError(
            f"{folder}: {h5.name} (which DeepLabCut trains from) and {csv.name} differ: {difference}; "
            f"set config.data.label_file to h5 or csv"
        )
    return table

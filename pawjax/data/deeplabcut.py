"""DeepLabCut projects: config.yaml and the label tables under labeled-data/."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pawjax.data.bodyparts import align_bodyparts
from pawjax.data.image_files import find_images
from pawjax.data.label_csv import read_label_csv
from pawjax.data.label_h5 import read_label_h5
from pawjax.data.label_table import LabelTable, first_difference, merge_tables, with_gaps_absent
from pawjax.data.names import nfc
from pawjax.errors import InputError, listed, warn
from pawjax.files import regular

PLACEHOLDER = "WILL BE AUTOMATICALLY UPDATED BY DEMO CODE"  # a video of DeepLabCut's demo projects
READERS = {".csv": read_label_csv, ".h5": read_label_h5}
LISTED = 5  # folders listed in a message

Tables = dict[str, Path]  # the label tables of a folder


@dataclass(frozen=True)
class ProjectConfig:
    """The fields of a config.yaml that pawjax needs.

    `videos` are the names of the videos in video_sets, composed; `skeleton` holds its pairs of bodyparts.
    """

    file: Path
    scorer: str
    bodyparts: tuple[str, ...]
    videos: frozenset[str]
    skeleton: tuple[tuple[str, str], ...] = ()


def read_deeplabcut(folder: Path, label_file: str = "auto") -> LabelTable:
    """Reads all labels of the single-animal project in `folder`: (x, y) pixels, unrounded, sorted by path.

    Every folder under labeled-data/ with a CollectedData_<scorer> table is read, whether or not the config lists its
    video; the project may have moved. `label_file` is 'csv', 'h5' or 'auto': whichever exists; if both do, they must
    agree. A bodypart without a label in a frame with others is absent: DeepLabCut takes it so too, and its users label
    all that they see. Warns of what DeepLabCut would read otherwise, and of what is left out.
    Raises InputError if `folder` is no such project, tables do not match the config, or there are no labels.
    """
    folder = project_folder(folder)
    config = read_project_config(folder)
    tables, moved = {}, {}  # by video folder
    for path, files in _label_folders(folder, config).items():
        table, n_beside = _read_labels(path, files, config, label_file)
        if table.files:
            tables[path.name] = with_gaps_absent(table)
            moved |= {path.name: n_beside} if n_beside else {}
    if not tables:
        raise InputError(
            f"{folder}: no folder under labeled-data/ holds a label table CollectedData_{config.scorer}.csv or .h5 "
            f"with frames in it; label some frames, or correct the field 'scorer' in config.yaml"
        )
    if moved:
        warn(
            f"{folder}: {sum(moved.values())} rows of the label tables in {listed(list(moved), LISTED)} name images "
            f"that are not there; the images of the same names beside these tables are used"
        )
    _warn_of_unlisted_videos(config, tables)
    return merge_tables(folder, align_bodyparts(list(tables.values()), config.bodyparts, config.file))


def project_folder(path: Path) -> Path:
    """The folder of a project, which may be named by its config.yaml."""
    return path.parent if path.name == "config.yaml" and not path.is_dir() else path


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
    # DeepLabCut 3.0 itself breaks the paths of video_sets at their spaces (its issue 3286).
    fix = "fix the file: each path under video_sets stands in one line, in quotes if it has a space"
    content = read_yaml(file, fix)
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
    names, videos = bodypart_names(file, bodyparts), _video_names(content.get("video_sets"))
    return ProjectConfig(file, scorer.strip(), names, videos, _skeleton(content.get("skeleton"), names))


def read_yaml(file: Path, fix: str) -> dict[str, Any]:
    """The fields of a YAML file of DeepLabCut, all scalars as text: a bodypart named `on` or `1e3` stays a name.

    Raises InputError, with `fix` at the end, if it is no YAML or holds no fields.
    """
    try:
        content = yaml.load(regular(file).read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:  # the last: nested thousands deep
        raise InputError(f"{file}: is not readable YAML ({' '.join(str(error).split())}); {fix}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: holds no 'field: value' lines; restore the {file.name} of the project")
    return content


def _skeleton(pairs: object, bodyparts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The pairs of bodyparts. A new project's config.yaml has a skeleton of names that are no bodyparts."""
    pairs = pairs if isinstance(pairs, list) else []
    known = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    return tuple((a, b) for a, b in known if a in bodyparts and b in bodyparts)


def bodypart_names(file: Path, bodyparts: object, field: str = "bodyparts") -> tuple[str, ...]:
    """The bodyparts that a field of a file lists. Raises InputError if it is no list of different names."""
    if not isinstance(bodyparts, list) or not bodyparts or not all(isinstance(name, str) for name in bodyparts):
        raise InputError(f"{file}: the field '{field}' is not a list of names; write '- name' lines under it")
    names = tuple(name.strip() for name in bodyparts)
    composed = [nfc(name) for name in names]
    repeated = [name for name in composed if composed.count(name) > 1 or not name]
    if repeated:
        raise InputError(
            f"{file}: the field '{field}' names '{repeated[0]}' twice or not at all; name each bodypart once"
        )
    return names


def _video_names(video_sets: object) -> frozenset[str]:
    """File names without endings of the videos, whose paths may be another machine's."""
    paths = video_sets if isinstance(video_sets, dict) else ()
    names = (re.split(r"[\\/]", path.strip())[-1] for path in paths if isinstance(path, str) and path != PLACEHOLDER)
    return frozenset(nfc(Path(name).stem) for name in names if name)


def _warn_of_unlisted_videos(config: ProjectConfig, tables: Mapping[str, LabelTable]) -> None:
    unlisted = [video for video in tables if nfc(video) not in config.videos]
    if len(unlisted) == len(tables):  # with none of its videos there, DeepLabCut reads every folder
        return
    if unlisted:
        n = sum(len(tables[video].files) for video in unlisted)
        warn(
            f"{config.file}: the field 'video_sets' does not list the videos of {len(unlisted)} of {len(tables)} "
            f"labelled folders ({listed(unlisted, LISTED)}; {n} frames), so DeepLabCut would not train on them; pawjax "
            f"reads them: move their folders out of labeled-data/ to leave them out"
        )


def _label_folders(folder: Path, config: ProjectConfig) -> dict[Path, Tables]:
    """The tables of the project's scorer, by ending, in each folder under labeled-data/ that has some.

    Folders without any label table hold only images, such as those that DeepLabCut's check_labels draws.
    """
    root = folder / "labeled-data"
    if not root.is_dir():
        raise InputError(f"{folder}: there is no folder labeled-data in it; extract and label frames first")
    labelled = {path: tables for path in sorted(root.iterdir()) if (tables := _tables_in(path))}
    names = {ending: nfc(f"CollectedData_{config.scorer}{ending}") for ending in READERS}
    own = {
        path: {ending: tables[name] for ending, name in names.items() if name in tables}
        for path, tables in labelled.items()
        if any(name in tables for name in names.values())
    }
    others = {path: tables for path, tables in labelled.items() if path not in own}
    scorers = sorted({Path(name).stem.removeprefix("CollectedData_") for tables in others.values() for name in tables})
    if not own:
        hint = f"; the scorers of its tables are {', '.join(scorers)}" if scorers else ""
        raise InputError(
            f"{folder}: no folder under labeled-data/ holds CollectedData_{config.scorer}.csv or .h5{hint}; "
            f"label some frames, or correct the field 'scorer' in config.yaml"
        )
    if others:
        n = sum(map(_count_frames, others.values()))
        warn(
            f"{folder}: {len(others)} folders under labeled-data/ ({listed([path.name for path in others], LISTED)}; "
            f"{n} frames) are left out, as DeepLabCut does: the scorers of their tables are {', '.join(scorers)}, and "
            f"config.yaml names {config.scorer}; name the tables CollectedData_{config.scorer} to use them"
        )
    return own


def _tables_in(folder: Path) -> Tables:
    """All label tables in a folder by their names, with composed accents."""
    files = sorted(folder.glob("CollectedData_*")) if folder.is_dir() else []
    return {nfc(file.name): file for file in files if file.suffix in READERS and file.is_file()}


def _count_frames(tables: Tables) -> int:
    """The number of frames in the first table that can be read."""
    for file in tables.values():
        try:
            return len(READERS[file.suffix](file).files)
        except InputError:
            continue
    return 0


def _read_labels(folder: Path, own: Tables, config: ProjectConfig, label_file: str) -> tuple[LabelTable, int]:
    """The labels of a folder, and the number of images that are not where its table says, see `find_images`."""
    endings = list(own) if label_file == "auto" else [f".{label_file}"]
    if endings[0] not in own:
        missing = folder / f"CollectedData_{config.scorer}{endings[0]}"
        raise InputError(f"{missing}: is missing, though config.data.label_file={label_file}; use 'auto'")
    found = {
        ending: find_images(READERS[ending](own[ending]), folder.parents[1], f"labeled-data/{folder.name}")
        for ending in endings
    }
    if len(found) == 2:
        (table, _), (text, _) = found[".h5"], found[".csv"]
        difference = first_difference(table, text)
        if difference:
            raise InputError(
                f"{folder}: {table.source.name} (which DeepLabCut trains from) and {text.source.name} differ: "
                f"{difference}; set config.data.label_file to h5 or csv"
            )
    return found.get(".h5") or found[".csv"]

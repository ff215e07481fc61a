"""Damaged DeepLabCut projects, and valid ones that look odd: what reading them as labelled frames makes of them."""

import re
import unicodedata
from collections.abc import Callable, Hashable
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from tests.data.conftest import write_label_csv
from tests.fuzz.damage import OF_CONTENT, OF_FILES, Damage, Truth, choose

BODYPARTS = ("snout", "tail base", "leftear")
VIDEOS = {"m1": 5, "m2": 4}
CONFIG = "Task: reach\nscorer: Ann\nvideo_sets:\n{videos}bodyparts:\n{bodyparts}"
MISSING_WORDS = ("NA", "N/A", "nan", "NaN", "null", "None", "NULL", "n/a", "<NA>", "#N/A", "-nan", " ")

Change = Callable[[Path, np.random.Generator], str]


def make(folder: Path) -> None:
    """Writes a project of two videos with a CSV and an HDF5 table each."""
    root = folder / "project"
    videos = "".join(f"  /elsewhere/{video}.avi:\n    crop: 0, 48, 0, 32\n" for video in VIDEOS)
    root.mkdir(parents=True)
    bodyparts = "".join(f"- {name}\n" for name in BODYPARTS)
    (root / "config.yaml").write_text(CONFIG.format(videos=videos, bodyparts=bodyparts))
    for number, (video, n) in enumerate(VIDEOS.items()):
        rng = np.random.default_rng(number)
        ids = [f"labeled-data/{video}/img{index:03d}.png" for index in range(n)]
        keypoints = rng.uniform(1, 30, (n, len(BODYPARTS), 2)).round(3)
        keypoints[0, 1] = np.nan
        table = root / f"labeled-data/{video}/CollectedData_Ann.csv"
        write_label_csv(table, ids, keypoints, BODYPARTS, path_columns=3)
        _write_h5(table.with_suffix(".h5"), ids, keypoints)
        for frame in ids:
            Image.fromarray(rng.integers(0, 256, (32, 48), np.uint8)).save(root / frame)
    load(folder)  # prepares it


def damage(folder: Path, rng: np.random.Generator) -> Damage:
    """Changes one thing of the project, or of its prepared set, which can be made anew from the project."""
    root, place = folder / "project", rng.random()
    if place < 0.45:
        tree, truth = (folder / "cache", Truth.SAME) if place < 0.1 else (root, Truth.UNKNOWN)
        path = choose(rng, [path for path in sorted(tree.rglob("*")) if path.is_file() and path.name != ".lock"])
        change = choose(rng, OF_CONTENT * 3 + OF_FILES)
        change(path, rng)
        return Damage(f"{path.relative_to(folder)}: {change.__name__}", truth)
    video, (change, truth) = choose(rng, sorted(VIDEOS)), choose(rng, CHANGES)
    for table in root.rglob("CollectedData_Ann.h5"):
        if rng.random() < 0.7 or change in ONLY_CSV:
            table.unlink()
    return Damage(f"{change.__name__[1:]}: {change(root / 'labeled-data' / video, rng)}", truth)


def load(folder: Path) -> Hashable:
    """Pixels and labels of all frames in the order of their pixels, whatever the frames are called."""
    from pawjax import data

    config = data.DataConfig(source="deeplabcut", path=str(folder / "project"), cache=str(folder / "cache"))
    frames = data.load(config)
    data.split(config, frames)
    keypoints = np.where(frames.labelled[..., None], frames.keypoints, -1)
    rows = sorted((image.tobytes(), points.tobytes()) for image, points in zip(frames.images, keypoints, strict=True))
    return tuple(rows), frames.bodyparts


def same(good: Hashable, value: Hashable) -> bool:
    """Whether all frames and labels are the good ones."""
    return good == value


def _write_h5(path: Path, ids: list[str], keypoints: np.ndarray) -> None:
    """Writes the labels as pandas' fixed layout, with an index of three levels."""
    columns = [("Ann", name, coord) for name in BODYPARTS for coord in "xy"]
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs.update(pandas_type=np.bytes_("frame"), nblocks=1)
        for name, rows in {
            "axis1": [tuple(frame.split("/")) for frame in ids],
            "axis0": columns,
            "block0_items": columns,
        }.items():
            group.attrs[f"{name}_variety"], group.attrs[f"{name}_nlevels"] = np.bytes_("multi"), 3
            for level in range(3):
                words = sorted({row[level] for row in rows})
                group[f"{name}_level{level}"] = np.array(words, "S")
                group[f"{name}_label{level}"] = np.array([words.index(row[level]) for row in rows], np.int8)
        group["block0_values"] = keypoints.reshape(len(ids), -1)


def _rows(video: Path) -> list[list[str]]:
    return [line.split(",") for line in (video / "CollectedData_Ann.csv").read_text().splitlines()]


def _write(video: Path, rows: list[list[str]], separator: str = ",", end: str = "\n", encoding: str = "utf-8") -> None:
    text = end.join(separator.join(row) for row in rows) + end
    (video / "CollectedData_Ann.csv").write_bytes(text.encode(encoding))


def _edit(video: Path, change: Callable[[list[list[str]]], object]) -> None:
    rows = _rows(video)
    change(rows)
    _write(video, rows)


def _edit_config(video: Path, change: Callable[[str], str]) -> None:
    path = video.parents[1] / "config.yaml"
    path.write_text(change(path.read_text()))


def _cell(rng: np.random.Generator) -> tuple[int, int]:
    """A row and column of a label of a CSV table; the first frame's second bodypart is unlabelled."""
    return int(rng.integers(4, 7)), int(rng.integers(3, 9))


def _missing_word(video: Path, rng: np.random.Generator) -> str:
    word = choose(rng, MISSING_WORDS)
    _edit(video, lambda rows: rows[3].__setitem__(slice(5, 7), [word, word]))
    return repr(word)


def _no_number(video: Path, rng: np.random.Generator) -> str:
    row, column = _cell(rng)
    word = choose(
        rng, ("abc", "2_1.5", "٣.٥", "1+2j", "0x1f", "1,5", "inf", "1e999", "12 px", "=1+1", "1.2.3", "--5", "1e")
    )
    _edit(video, lambda rows: rows[row].__setitem__(column, f'"{word}"'))
    return repr(word)


def _half_label(video: Path, rng: np.random.Generator) -> str:
    row, column = _cell(rng)
    _edit(video, lambda rows: rows[row].__setitem__(column, ""))
    return f"line {row + 1}"


def _far_label(video: Path, rng: np.random.Generator) -> str:
    row, column = _cell(rng)
    value = choose(rng, ("-50", "1e6", "99999999999", "-0.6e2"))
    _edit(video, lambda rows: rows[row].__setitem__(column, value))
    return value


def _spreadsheet(video: Path, rng: np.random.Generator) -> str:
    kind = choose(rng, ("CRLF", "BOM", "empty columns", "empty rows", "quotes", "CR"))
    rows = _rows(video)
    if kind == "empty columns":
        rows = [[*row, "", ""] for row in rows]
    elif kind == "empty rows":
        rows += [[""] * len(rows[0])] * 3
    elif kind == "quotes":
        rows = [[f'"{cell}"' for cell in row] for row in rows]
    _write(
        video,
        rows,
        end={"CRLF": "\r\n", "CR": "\r"}.get(kind, "\n"),
        encoding="utf-8-sig" if kind == "BOM" else "utf-8",
    )
    return kind


def _other_form(video: Path, rng: np.random.Generator) -> str:
    kind = choose(rng, ("semicolons", "tabs", "UTF-16", "decimal commas", "row names", "no header"))
    rows, separator, encoding = _rows(video), ",", "utf-8"
    if kind == "decimal commas":
        rows, separator = (
            [*rows[:3], *([cell.replace(".", ",") if "png" not in cell else cell for cell in row] for row in rows[3:])],
            ";",
        )
    elif kind == "row names":
        rows = [[str(index), *row] for index, row in enumerate(rows)]
    elif kind == "no header":
        rows = rows[3:]
    separator = {"semicolons": ";", "tabs": "\t"}.get(kind, separator)
    encoding = "utf-16" if kind == "UTF-16" else encoding
    _write(video, rows, separator, encoding=encoding)
    return kind


def _paths(video: Path, rng: np.random.Generator) -> str:
    form = choose(
        rng,
        (
            "{0}\\{1}\\{2}",
            "C:\\Users\\ann\\{0}\\{1}\\{2}",
            "/home/ann/p/{0}/{1}/{2}",
            "{0}//{1}/./{2}",
            "{0}/x/../{1}/{2}",
        ),
    )
    rows = _rows(video)
    _write(video, [[form.format(*row[:3]) if index > 2 else row[0], *row[3:]] for index, row in enumerate(rows)])
    return form


def _image_alone(video: Path, rng: np.random.Generator) -> str:
    rows = _rows(video)
    _write(video, [[row[2] if index > 2 else row[0], *row[3:]] for index, row in enumerate(rows)])
    return video.name


def _row_twice(video: Path, rng: np.random.Generator) -> str:
    _edit(video, lambda rows: rows.append(rows[4]))
    return "the same"


def _row_contradicted(video: Path, rng: np.random.Generator) -> str:
    _edit(video, lambda rows: rows.append([*rows[4][:3], "3.25", *rows[4][4:]]))
    return "x = 3.25"


def _spelled_twice(video: Path, rng: np.random.Generator) -> str:
    _edit(
        video, lambda rows: rows.append([rows[4][0], f"{rows[4][1]}/../{rows[4][1]}", rows[4][2], "3.25", *rows[4][4:]])
    )
    return "one frame under two names"


def _tables_differ(video: Path, rng: np.random.Generator) -> str:
    table = video / "CollectedData_Ann.h5"
    if not table.exists():
        row = _rows(video)
        ids = ["/".join(cells[:3]) for cells in row[3:]]
        values = np.array([[float(cell or "nan") for cell in cells[3:]] for cells in row[3:]])
        _write_h5(table, ids, values.reshape(len(ids), -1, 2))
    with h5py.File(table, "r+") as file:
        values = file["df_with_missing/block0_values"]
        values[1, 2] = values[1, 2] + 1
    return "by 1 px"


def _renamed_folder(video: Path, rng: np.random.Generator) -> str:
    target = video.with_name(choose(rng, (f"{video.name}_labeled", "other", "Maus ä")))
    video.rename(target)
    return target.name


def _more_folders(video: Path, rng: np.random.Generator) -> str:
    (video.parent / f"{video.name}_labeled").mkdir()
    (video.parent / "unlabelled").mkdir()
    Image.new("L", (48, 32)).save(video.parent / "unlabelled" / "img0.png")
    return "without tables"


def _bodypart_added(video: Path, rng: np.random.Generator) -> str:
    _edit(
        video,
        lambda rows: (
            [
                row.extend(cells)
                for row, cells in zip(rows[:3], (["Ann"] * 2, ["whiskers"] * 2, ["x", "y"]), strict=True)
            ]
            + [row.extend(["1.5", "2.5"]) for row in rows[3:]]
        ),
    )
    return "to one table, not to config.yaml"


def _bodypart_misspelt(video: Path, rng: np.random.Generator) -> str:
    name = choose(rng, ("left-ear", "LeftEar", "leftaer", "left ear"))
    _edit(video, lambda rows: rows[1].__setitem__(slice(7, 9), [name, name]))
    return name


def _other_scorer(video: Path, rng: np.random.Generator) -> str:
    _edit_config(video, lambda text: text.replace("scorer: Ann", "scorer: Bob"))
    return "Bob"


def _decomposed(video: Path, rng: np.random.Generator) -> str:
    root, name = video.parents[1], "Zoë"
    for table in root.rglob("CollectedData_Ann.*"):
        table.rename(table.with_name(unicodedata.normalize("NFD", f"CollectedData_{name}{table.suffix}")))
    _edit_config(video, lambda text: text.replace("Ann", name))
    return name


def _config_damaged(video: Path, rng: np.random.Generator) -> str:
    kind = choose(
        rng, ("tab", "no scorer", "no bodyparts", "twice", "multianimal", "text", "nested", "null byte", "binary tag")
    )
    text = {
        "tab": lambda text: text.replace("bodyparts:\n", "bodyparts:\n\t"),
        "no scorer": lambda text: text.replace("scorer: Ann\n", ""),
        "no bodyparts": lambda text: re.sub("bodyparts:.*", "", text, flags=re.S),
        "twice": lambda text: f"{text}- snout\n",
        "multianimal": lambda text: f"multianimalproject: true\n{text}",
        "text": lambda text: "some text",
        "nested": lambda text: f"{text}skeleton: {'[' * 5000}{']' * 5000}\n",
        "null byte": lambda text: text.replace("snout", "sn\0out"),
        "binary tag": lambda text: text.replace("scorer: Ann", "scorer: !!python/object/apply:os.getpid []"),
    }[kind]
    _edit_config(video, text)
    return kind


def _picture_gone(video: Path, rng: np.random.Generator) -> str:
    picture = choose(rng, sorted(video.glob("*.png")))
    kind = choose(rng, ("gone", "other ending", "other case", "text", "truncated"))
    if kind == "gone":
        picture.unlink()
    elif kind == "text":
        picture.write_text("no picture")
    elif kind == "truncated":
        picture.write_bytes(picture.read_bytes()[:200])
    else:
        picture.rename(
            picture.with_suffix(".jpg") if kind == "other ending" else picture.with_name(picture.name.upper())
        )
    return kind


def _picture_deep(video: Path, rng: np.random.Generator) -> str:
    picture = choose(rng, sorted(video.glob("*.png")))
    Image.fromarray(np.asarray(Image.open(picture)).astype(np.uint16) * 200).save(picture)
    return "one of 16 bits"


def _frame_unlabelled(video: Path, rng: np.random.Generator) -> str:
    """All frames of one video: the others are enough for a split."""
    _edit(video, lambda rows: [row.__setitem__(slice(3, 9), [""] * 6) for row in rows[3:]])
    return "a whole video"


CHANGES: tuple[tuple[Change, Truth], ...] = (
    (_missing_word, Truth.SAME),
    (_spreadsheet, Truth.SAME),
    (_paths, Truth.SAME),
    (_image_alone, Truth.SAME),
    (_row_twice, Truth.SAME),
    (_renamed_folder, Truth.SAME),
    (_more_folders, Truth.SAME),
    (_bodypart_added, Truth.SAME),
    (_decomposed, Truth.SAME),
    (_no_number, Truth.REFUSED),
    (_half_label, Truth.REFUSED),
    (_far_label, Truth.REFUSED),
    (_other_form, Truth.REFUSED),
    (_row_contradicted, Truth.REFUSED),
    (_spelled_twice, Truth.REFUSED),
    (_tables_differ, Truth.REFUSED),
    (_bodypart_misspelt, Truth.REFUSED),
    (_other_scorer, Truth.REFUSED),
    (_config_damaged, Truth.REFUSED),
    (_picture_gone, Truth.REFUSED),
    (_picture_deep, Truth.REFUSED),
    (_frame_unlabelled, Truth.UNKNOWN),
)
ONLY_CSV = {change for change, _ in CHANGES} - {
    _tables_differ,
    _renamed_folder,
    _more_folders,
    _decomposed,
    _other_scorer,
    _config_damaged,
    _picture_gone,
    _picture_deep,
}

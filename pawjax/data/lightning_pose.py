"""Lightning Pose data folders: one CSV of labels at the root, the images under labeled-data/."""

from pathlib import Path

from pawjax.data.image_files import find_images
from pawjax.data.label_csv import read_label_csv
from pawjax.data.label_table import LabelTable, merge_tables
from pawjax.errors import InputError

DEFAULT_TABLE = "CollectedData.csv"


def read_lightning_pose(folder: Path) -> LabelTable:
    """Reads the labels from the CSV in `folder`: (x, y) pixels, sorted by path.

    The table is CollectedData.csv or the only CSV. A point is labelled if it has coordinates and its `visible` column,
    if any, is 2. A point whose `visible` is 1 (occluded) is absent: Lightning Pose trains its map to be flat. 0 and an
    empty cell say nothing.
    Raises InputError if there is no such table, or several, or it has no frames.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; set config.data.path to a Lightning Pose data folder")
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        project = (folder / "config.yaml").is_file()
        hint = "; it looks like a DeepLabCut project: set config.data.source=deeplabcut" if project else ""
        raise InputError(f"{folder}: there is no label table {DEFAULT_TABLE} in it{hint or '; put it there'}")
    default = folder / DEFAULT_TABLE
    if default not in tables and len(tables) > 1:
        raise InputError(
            f"{folder}: none of the tables {', '.join(table.name for table in tables)} is named {DEFAULT_TABLE}; "
            f"rename the one to use"
        )
    table = read_label_csv(default if default in tables else tables[0])
    if not table.files:
        raise InputError(f"{table.source}: the table has no rows; label some frames")
    table, _ = find_images(table, folder)
    return merge_tables(table.source, [table])

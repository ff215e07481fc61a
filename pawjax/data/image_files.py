"""Where the images of a label table are on disk: in another Unicode form, or beside a table of another place."""

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path

from pawjax.data.label_table import LabelTable
from pawjax.data.names import nfc

Listing = Callable[[Path], dict[str, str]]


def find_images(table: LabelTable, root: Path, beside: str = "") -> tuple[LabelTable, int]:
    """The table with the paths of its images below `root` as they are spelled on disk.

    An image is where its row says. Otherwise, if its row names the image alone, or a folder that is gone, it is in the
    folder `beside` of its table, if given. Rows whose images are nowhere keep their paths.

    The second result is the number of rows whose image is beside the table only.
    """
    listing = functools.cache(_listing)
    files = [_spelled(root, file, listing) for file in table.files]
    lost = [row for row, file in enumerate(files) if file is None] if beside else []
    folder_of = {row: table.files[row].rpartition("/")[0] for row in lost}
    gone = {folder for folder in folder_of.values() if folder and _spelled(root, folder, listing) is None}
    if len(gone) > 1:  # nobody renamed two folders to one: each may have had an image of this name
        gone = set()
    n_beside = 0
    for row in lost:
        if folder_of[row] in gone | {""}:
            files[row] = _spelled(root, f"{beside}/{table.files[row].rpartition('/')[2]}", listing)
            n_beside += files[row] is not None
    found = tuple(file or asked for file, asked in zip(files, table.files, strict=True))
    return dataclasses.replace(table, files=found), n_beside


def _spelled(root: Path, path: str, listing: Listing) -> str | None:
    """The path of an existing file below `root` as it is spelled on disk; None if there is none in any Unicode form."""
    if os.path.exists(root / path):
        return path
    if path.isascii():
        return None
    spelled = ""
    for name in path.split("/"):
        real = listing(root / spelled).get(nfc(name))
        if real is None:
            return None
        spelled = f"{spelled}/{real}" if spelled else real
    return spelled


def _listing(folder: Path) -> dict[str, str]:
    """Names in a folder by their composed form."""
    try:
        return {nfc(name): name for name in os.listdir(folder)}
    except OSError:
        return {}

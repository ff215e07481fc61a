"""What was made from a file of tracks, so that nothing else is ever overwritten.

A hidden JSON file beside the tracks holds, for each file made from them, the sha256 of the tracks it was made from
and of its content.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pawjax.errors import InputError
from pawjax.files import locked_folder, read_json, regular, replacing, write_json


class Made:
    """The files made from one file of tracks.

    Args:
      source: the file of tracks.
    """

    def __init__(self, source: Path):
        self._source, self._record = source, source.with_name(f".{source.name}.made.json")
        self._from = _sha256(source)

    def write(self, path: Path, write: Callable[[Path], None], overwrite: bool = False, how: str = "") -> None:
        """Makes `path` with `write`, which is given a temporary name, unless it was made before from the same tracks.

        `path` lies beside the tracks, or in a folder there.
        `how` says what else its content follows from: another `how` makes it again. Raises InputError if `path` is
        there but was not made here, or was changed since.
        """
        entry = self._read().get(self._name(path), {"from": "", "sha256": []})
        source = f"{self._from} {how}".strip()
        if path.exists():
            if entry["from"] == source and not overwrite:
                return
            if _sha256(path) not in entry["sha256"]:
                raise InputError(
                    f"{path} was not made from {self._source.name}, or was changed since: move it elsewhere to have it "
                    f"written, or use another --out"
                )
        with replacing(path) as temporary:
            write(temporary)
            digest = _sha256(temporary)
            # Until the new file is in place, which a kill may prevent, either content is ours but not done.
            self._note(path, {"from": "", "sha256": [*entry["sha256"], digest]})
        self._note(path, {"from": source, "sha256": [digest]})

    def _note(self, path: Path, entry: dict) -> None:
        with locked_folder(self._record.parent):  # another process may note another file of the same tracks
            write_json(self._record, self._read() | {self._name(path): entry})

    def _read(self) -> dict:
        if not self._record.exists():
            return {}
        fix = "remove it, and the files that it names"
        entries = read_json(self._record, fix)
        if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
            raise InputError(f"{self._record} is damaged (it is no record of what was made): {fix}")
        return entries

    def _name(self, path: Path) -> str:
        return path.relative_to(self._source.parent).as_posix()


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("from"), str) and isinstance(entry.get("sha256"), list)


def _sha256(path: Path) -> str:
    with regular(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

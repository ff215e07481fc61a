"""Names of frames, folders and bodyparts: one spelling of each, to compare them by."""

import re
import unicodedata

from pawjax.errors import InputError


def nfc(name: str) -> str:
    """`name` with composed accents (Unicode's NFC), the form in which names are compared: a Mac may decompose them."""
    return unicodedata.normalize("NFC", name)


def frame_path(*parts: str) -> str:
    """Path of a labelled image below its project, spelled as in `parts`: forward slashes, starting at 'labeled-data'.

    'a/../b' becomes 'b'. Only a path that leads out of the project begins with '..'. Raises InputError for a path that
    contains a NUL.
    """
    if any("\0" in part for part in parts):
        raise InputError(f"{'/'.join(parts)!r} is not the name of an image: a label table or split contains a NUL")
    pieces = [piece for part in parts for piece in re.split(r"[\\/]+", part.strip()) if piece not in ("", ".")]
    if "labeled-data" in pieces[:-1]:
        pieces = pieces[len(pieces) - 1 - pieces[::-1].index("labeled-data") :]
    path: list[str] = []
    for piece in pieces:
        if piece == ".." and path and path[-1] != "..":
            path.pop()
        else:
            path.append(piece)
    return "/".join(path)


def frame_id(*parts: str) -> str:
    """Frame id from the path of a labelled image: `frame_path`, with composed accents."""
    return nfc(frame_path(*parts))


def video_of(frame: str) -> str:
    """Video of a frame: its folder, without a leading 'labeled-data' unless that is all."""
    folders = frame.split("/")[:-1]
    if len(folders) > 1 and folders[0] == "labeled-data":
        folders = folders[1:]
    return "/".join(folders)

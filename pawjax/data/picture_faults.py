"""Why labelled images cannot be used: one message that counts them by cause, with the fix for each cause."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pawjax.errors import InputError, listed

LISTED = 5  # images of each cause that a message names

MISSING = "missing"
NO_FOLDER = "in a folder that is missing"
OTHER_NAME = "there under another name"
NO_FILE = "that is a folder, pipe or device"
NOT_READABLE = "not readable"
DAMAGED = "truncated or damaged"
UNKNOWN = "in no format that is read"
ORIENTED = "with an EXIF orientation"
DEEP_COLOUR = "with 16 bits in each of several channels"
OTHER_COLOURS = "in a colour space that is not read"
NOT_FINITE = "with values that are NaN or infinite"

FIXES = {
    MISSING: "restore them or remove their rows from the label table",
    NO_FOLDER: "restore the folder, or correct the paths in the label table",
    OTHER_NAME: "rename the files, or write their names in the label table",
    NO_FILE: "put image files there",
    NOT_READABLE: "change their permissions",
    DAMAGED: "restore them or remove their rows from the label table",
    UNKNOWN: "restore them, or save them as 8-bit or 16-bit PNG or 32-bit float TIFF",
    ORIENTED: (
        "some labelling tools turn such an image and others do not, so set the orientation to normal: delete it "
        "(exiftool -all:Orientation= FILES) if the labels fit the pixels as stored, which DeepLabCut's tools show, or "
        "turn the pixels (mogrify -auto-orient FILES) if they fit the turned image"
    ),
    DEEP_COLOUR: "save them with 8 bits per channel, or as 16-bit grayscale",
    OTHER_COLOURS: "save them as RGB or grayscale",
    NOT_FINITE: "replace those values",
}


class Unusable(Exception):
    """An image that cannot be used: the cause, a key of `FIXES`, and details for the message."""

    def __init__(self, cause: str, details: str = "") -> None:
        super().__init__(cause, details)
        self.cause, self.details = cause, details


def refusal(root: Path, faults: Mapping[str, Unusable], n_images: int) -> InputError:
    """The error about all images that cannot be used, given as {frame id: fault}, of `n_images` below `root`."""
    groups = defaultdict(list)
    for frame, fault in faults.items():
        if fault.cause == MISSING:
            cause, shown = _explain_missing(root, frame)
        else:
            cause, shown = fault.cause, f"{frame}: {fault.details}" if fault.details else frame
        groups[cause].append(shown)
    words = [
        f"{len(shown)} {cause} ({listed(list(dict.fromkeys(shown)), LISTED)}): {FIXES[cause]}"
        for cause, shown in groups.items()
    ]
    return InputError(f"{root}: {len(faults)} of {n_images} labelled images cannot be used: {'; '.join(words)}")


def _explain_missing(root: Path, frame: str) -> tuple[str, str]:
    """The likely cause, and what to name: the folder, the file under another name, or the image."""
    path = root / frame
    if not path.parent.is_dir():
        return NO_FOLDER, frame.rpartition("/")[0]
    similar = sorted(file.name for file in path.parent.iterdir() if file.stem.casefold() == path.stem.casefold())
    return (OTHER_NAME, f"{frame} is {similar[0]}") if similar else (MISSING, frame)

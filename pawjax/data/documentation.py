"""DeepLabCut's Documentation_data pickle: the train and test frames of a training dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pawjax import restricted_pickle
from pawjax.data.label_csv import read_label_csv
from pawjax.data.label_h5 import read_label_h5
from pawjax.data.names import frame_id
from pawjax.errors import InputError
from pawjax.pickled import ForbiddenPickle

LONGEST_NAME = 4096  # characters of an image's path
MOST_ROWS = 2**40


def read_documentation(path: Path, ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Reads (train, test) frame ids from the pickle [data, train rows, test rows, train fraction] at `path`.

    The row numbers index the merged label table: the CollectedData file beside the pickle or, if there is none, `ids`
    (sorted, as DeepLabCut merges them); -1 is padding. Raises InputError for a pickle of anything but plain data, rows
    beyond the table, overlapping splits, or rows that do not match the images named in the pickle.
    """
    try:
        content = restricted_pickle.read(path)
        data, train, test = list(content)[:3]
        train, test = (_rows(numbers) for numbers in (train, test))
        named = {_image(item) for item in data}
    except InputError:
        raise
    except ForbiddenPickle as error:
        raise InputError(
            f"{path}: is refused because it contains more than plain data ({error}); "
            f"use a Documentation_data pickle of DeepLabCut, or a JSON split"
        ) from error
    except Exception as error:  # its content may be of any kind
        raise InputError(
            f"{path}: is not a Documentation_data pickle of DeepLabCut ({' '.join(str(error).split())[:200]}); "
            f"correct config.data.split_file"
        ) from error
    merged = _merged_ids(path.parent) or list(ids)
    beyond = [row for row in (*train, *test) if row >= len(merged)]
    if beyond:
        raise InputError(
            f"{path}: refers to row {max(beyond)}, but there are only {len(merged)} labelled frames; "
            f"create the training dataset of this project again"
        )
    if set(train) & set(test):
        raise InputError(f"{path}: row {min(set(train) & set(test))} is in both train and test; use another split")
    train_ids, test_ids = (list(dict.fromkeys(merged[row] for row in rows)) for rows in (train, test))
    shared = sorted(set(train_ids) & set(test_ids))
    if shared:  # the table has two rows of it
        raise InputError(f"{path}: the frame {shared[0]} is in both train and test; use another split")
    unmatched = sorted(named - set(train_ids))
    if unmatched:
        raise InputError(
            f"{path}: names {unmatched[0]} for training, but its row numbers do not include it: the labels have "
            f"changed since; put the merged CollectedData table beside it, or create the training dataset again"
        )
    return train_ids, test_ids


def _rows(numbers: object) -> list[int]:
    """Unique row numbers in order, without padding."""
    flat = numbers.reshape(-1).tolist() if isinstance(numbers, np.ndarray) else numbers
    if not isinstance(flat, list | tuple) or not all(isinstance(number, int | float | np.number) for number in flat):
        raise TypeError("its row numbers are no list of numbers")
    rows = list(map(int, flat))
    if any(row != number or row > MOST_ROWS for row, number in zip(rows, flat, strict=True)):
        raise ValueError("a row number is no whole number, or too large")
    return list(dict.fromkeys(row for row in rows if row >= 0))


def _image(item: dict[str, object]) -> str:
    image = item["image"]
    parts = (image,) if isinstance(image, str) else tuple(image)
    if not all(isinstance(part, str) for part in parts) or sum(map(len, parts)) > LONGEST_NAME:
        raise TypeError("the name of an image is no path")
    return frame_id(*parts)


def _merged_ids(folder: Path) -> list[str]:
    """Frame ids of the merged label table in a folder, in table order; empty without such a table."""
    for pattern, read in (("CollectedData_*.h5", read_label_h5), ("CollectedData_*.csv", read_label_csv)):
        for file in sorted(folder.glob(pattern)):
            return list(read(file).ids)
    return []

"""The bodyparts of a project and of its label tables, which may be older than the last change of config.yaml."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pawjax.data.label_table import LabelTable
from pawjax.data.names import nfc
from pawjax.errors import InputError, did_you_mean, listed, warn

SLIP = 0.75  # names at least as similar as this are taken for two spellings of one: 'tial' and 'tail' just are
LISTED = 5


def align_bodyparts(tables: Sequence[LabelTable], bodyparts: Sequence[str], config_file: Path) -> list[LabelTable]:
    """The tables with exactly `bodyparts`, in this order: those of the project's config file.

    A bodypart that a table lacks is neither labelled nor absent there, because nobody looked for it, and columns of
    other bodyparts are left out, with a warning each. Raises InputError for a bodypart that is in no table, a table
    that has none of them, and a name that looks like another spelling of one that its table lacks.
    """
    wanted = [nfc(bodypart) for bodypart in bodyparts]
    lacking, left_out = {}, {}  # number of tables by bodypart
    for table in tables:
        missing = [name for name in wanted if name not in table.names]
        extra = [name for name in table.names if name not in wanted]
        _refuse_slips(table, missing, extra, config_file)
        if len(missing) == len(wanted):
            raise InputError(
                f"{table.source}: has columns for {listed(table.bodyparts, LISTED)}, none of which is a bodypart in "
                f"{config_file.name} ({listed(bodyparts, LISTED)}); make the field 'bodyparts' and the table agree"
            )
        for counts, names in ((lacking, missing), (left_out, extra)):
            counts.update({name: counts.get(name, 0) + 1 for name in names})
    _refuse_absent([name for name in wanted if lacking.get(name) == len(tables)], left_out, config_file)
    if lacking:
        warn(
            f"{config_file}: {_counted(lacking, tables)} lack columns of these bodyparts, which count as not labelled "
            f"there"
        )
    if left_out:
        warn(
            f"{config_file}: the field 'bodyparts' does not name columns of {_counted(left_out, tables)}; they are "
            f"left out"
        )
    return [_select(table, wanted, bodyparts) for table in tables]


def _select(table: LabelTable, wanted: Sequence[str], bodyparts: Sequence[str]) -> LabelTable:
    n, a, k, _ = table.keypoints.shape
    padded = np.concatenate([table.keypoints, np.full((n, a, 1, 2), np.nan)], axis=2)  # column k is unlabelled
    absent = np.concatenate([table.absent, np.zeros((n, a, 1), bool)], axis=2)
    columns = [table.names.index(name) if name in table.names else k for name in wanted]
    return LabelTable(table.source, table.files, tuple(bodyparts), padded[:, :, columns], absent[:, :, columns])


def _counted(counts: dict[str, int], tables: Sequence[LabelTable]) -> str:
    """'3 of 5 label tables (tail), 1 of 5 (paw)'."""
    texts = [f"{n} of {len(tables)}{' label tables' * (i == 0)} ({name})" for i, (name, n) in enumerate(counts.items())]
    return listed(texts, LISTED)


def _refuse_slips(table: LabelTable, missing: Sequence[str], extra: Sequence[str], config_file: Path) -> None:
    for other in extra:
        for name in missing:
            if _similar(name, other):
                raise InputError(
                    f"{table.source}: its bodypart '{other}' is not in {config_file.name}, which names '{name}' "
                    f"instead; give both one name or, if they are two bodyparts, list both in the field 'bodyparts'"
                )


def _similar(one: str, other: str) -> bool:
    """Whether two names differ by case, separators or a slip of the pen."""
    one, other = (re.sub(r"[\s_.-]+", "", name.casefold()) for name in (one, other))
    return difflib.SequenceMatcher(None, one, other).ratio() >= SLIP


def _refuse_absent(absent: Sequence[str], extra: Sequence[str], config_file: Path) -> None:
    if absent:
        hint = did_you_mean(absent[0], list(extra), "label it in some frames, or remove it from the field 'bodyparts'")
        raise InputError(f"{config_file}: no label table has the bodypart {listed(absent, LISTED)}; {hint}")

"""Writes small tables of labels and tracks with pandas and PyTables, as DeepLabCut does: see README.md."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

FRAMES = [("labeled-data", "m1", f"img{n}.png") for n in ("007", "010", "100")]
BODYPARTS = ["snout", "leftear", "tailbase"]


def label_table() -> pd.DataFrame:
    """Three frames and three bodyparts, one label missing; the path in one column."""
    columns = pd.MultiIndex.from_product([["Ann"], BODYPARTS, ["x", "y"]], names=["scorer", "bodyparts", "coords"])
    values = np.arange(18.0).reshape(3, 6) * 1.1 + 0.123456789
    values[1, 2:4] = np.nan
    return pd.DataFrame(values, index=["/".join(frame) for frame in FRAMES], columns=columns)


def tracks() -> pd.DataFrame:
    """Three frames and two bodyparts with likelihoods 0.25 and 0.5, as DeepLabCut writes tracks; a point missing."""
    parts = ["snout", "tailbase"]
    columns = pd.MultiIndex.from_product(
        [["DLC_Net"], parts, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    values = np.tile([0.5, 1.5, 0.25, 2.5, 3.5, 0.5], (3, 1)) + 6 * np.arange(3)[:, None] * [1, 1, 0, 1, 1, 0]
    values[1, 3:5] = np.nan
    return pd.DataFrame(values, columns=columns)


def main(out: Path) -> None:
    one = label_table()
    three = one.set_index(pd.MultiIndex.from_tuples(FRAMES))
    key = "df_with_missing"
    one.to_hdf(out / "pandas_fixed_one_column.h5", key=key, mode="w")
    three.to_hdf(out / "pandas_fixed_three_columns.h5", key=key, mode="w")
    with pd.HDFStore(out / "pandas_table_one_column.h5", "w", complevel=9, complib="zlib") as store:
        store.append(key, one, index=False)  # compressed: PyTables writes chunks of 64 kB
    with pd.HDFStore(out / "pandas_tracks.h5", "w", complevel=9, complib="zlib") as store:
        store.put(key, tracks(), format="table", index=False)
    one.to_csv(out / "pandas_one_column.csv")
    three.to_csv(out / "pandas_three_columns.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

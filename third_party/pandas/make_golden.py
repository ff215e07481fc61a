"""Writes small label tables with pandas and PyTables, as DeepLabCut does, for tests/golden. Usage: see README.md."""

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


def main(out: Path) -> None:
    one = label_table()
    three = one.set_index(pd.MultiIndex.from_tuples(FRAMES))
    key = "df_with_missing"
    one.to_hdf(out / "pandas_fixed_one_column.h5", key=key, mode="w")
    three.to_hdf(out / "pandas_fixed_three_columns.h5", key=key, mode="w")
    with pd.HDFStore(out / "pandas_table_one_column.h5", "w", complevel=9, complib="zlib") as store:
        store.append(key, one, index=False)  # compressed: PyTables writes chunks of 64 kB
    one.to_csv(out / "pandas_one_column.csv")
    three.to_csv(out / "pandas_three_columns.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

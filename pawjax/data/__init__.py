"""Labelled frames in, batches out.

`load(DataConfig.of(config))` returns `LabelledFrames` from a DeepLabCut project, a Lightning Pose folder or the
synthetic `paw_on_ball`; `split` divides them into train, dev and test; `write_split` saves a split, as a run does, and
`read_split` reads the run's own.

A **batch** (made by `pawjax.data.batches`) is a dict of arrays over B frames with A animals (1 today) of K bodyparts:

- `image` uint8 [B, H, W, C], C = 1 (grayscale) or 3 (RGB);
- `keypoints` float32 [B, A, K, 2], (x, y) pixels of `image`, pixel centres at integers; 0 where not labelled;
- `labelled` bool [B, A, K]; a labelled point may lie outside `image`;
- `absent` bool [B, A, K], where a bodypart is known not to be seen; one that is neither is unknown;
- `weight` float32 [B], 0 for padding frames, else 1;
- `to_original` float32 [B, 2, 3], the affine map from pixels (x, y, 1) of `image` to pixels of the original frame;
- `key`, only in training: PRNG keys [B] for a method's random draws, one per frame.
"""

from importlib import import_module
from typing import Any

__all__ = ["DataConfig", "LabelledFrames", "load", "read_split", "split", "write_split"]

_HOMES = {
    "DataConfig": "pawjax.data.config",
    "LabelledFrames": "pawjax.data.frames",
    "load": "pawjax.data.sources",
    "read_split": "pawjax.data.splits",
    "split": "pawjax.data.splits",
    "write_split": "pawjax.data.splits",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: TFDS takes seconds to import, and configs and methods do not need it.
    if name not in _HOMES:
        raise AttributeError(f"module 'pawjax.data' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)

"""Labelled frames: the output of every label reader and the input of every batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pawjax.data.names import nfc
from pawjax.errors import InputError, did_you_mean


@dataclass(frozen=True)
class LabelledFrames:
    """N frames of C channels with A animals (1 today) of K bodyparts, in memory, in the order of their ids.

    images uint8 [N, H, W, C], C = 1 (grayscale) or 3 (RGB); smaller frames are padded with 0 below and to the right;
    sizes int32 [N, 2], the (height, width) of each frame before padding;
    keypoints float32 [N, A, K, 2], (x, y) pixels of the original frame, pixel centres at integers, 0 where not
    labelled; labelled bool [N, A, K]; absent bool [N, A, K], where a bodypart is known not to be seen, while one that
    is neither labelled nor absent is unknown; ids, unique paths with forward slashes such as
    'labeled-data/m4s1/img0000.png'; videos, the video (folder) of each frame; bodyparts, the K names; fingerprint, a
    hash of labels and images;
    value_range, the values (low, high) that became 0 and 255 if the files hold 16 bits or floats, else None.
    """

    images: np.ndarray
    sizes: np.ndarray
    keypoints: np.ndarray
    labelled: np.ndarray
    absent: np.ndarray
    ids: tuple[str, ...]
    videos: tuple[str, ...]
    bodyparts: tuple[str, ...]
    fingerprint: str
    value_range: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def select_bodyparts(self, names: Sequence[str]) -> "LabelledFrames":
        """The same frames with only the named bodyparts, in the given order; no names means all.

        Raises InputError for an unknown or repeated name, or bodyparts without any label.
        """
        if not names:
            return self
        wanted, known = [nfc(name) for name in names], [nfc(name) for name in self.bodyparts]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], self.bodyparts, "write one of these names")
            raise InputError(
                f"config.data.bodyparts: there is no bodypart '{unknown[0]}' among {', '.join(self.bodyparts)}; {hint}"
            )
        repeated = [name for name in wanted if wanted.count(name) > 1]
        if repeated:
            raise InputError(f"config.data.bodyparts: '{repeated[0]}' is named twice; name it once")
        columns = [known.index(name) for name in wanted]
        labelled, bodyparts = self.labelled[:, :, columns], tuple(self.bodyparts[column] for column in columns)
        if not labelled.any():
            raise InputError(
                f"config.data.bodyparts: no frame has a label for {', '.join(names)}; label some or choose others"
            )
        keypoints, absent = self.keypoints[:, :, columns], self.absent[:, :, columns]
        return replace(self, keypoints=keypoints, labelled=labelled, absent=absent, bodyparts=bodyparts)

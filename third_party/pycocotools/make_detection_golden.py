"""The IoU of boxes (left, top, width, height) by pycocotools, for tests/golden/detection_pycocotools.npz.

pip install pycocotools==2.0.11 numpy
python third_party/pycocotools/make_detection_golden.py
"""

from pathlib import Path

import numpy as np
from pycocotools import mask

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "detection_pycocotools.npz"

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    first, second = (np.concatenate([rng.normal(50, 20, (n, 2)), rng.uniform(1, 60, (n, 2))], axis=1) for n in (40, 25))
    first, second = first.astype(np.float32), second.astype(np.float32)
    iou = mask.iou(first.astype(np.float64), second.astype(np.float64), [0] * len(second))
    np.savez_compressed(GOLDEN, first=first, second=second, iou=iou)

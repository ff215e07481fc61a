"""RoiAlign, MaxRoiPool and NonMaxSuppression of ONNX Runtime, for tests/golden/detection_onnxruntime.npz.

    pip install onnxruntime==1.31.1 onnx==1.23.2 numpy
    python third_party/onnxruntime/make_detection_golden.py

The file holds inputs and results.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "detection_onnxruntime.npz"
THRESHOLDS = (0.2, 0.3, 0.5, 0.7)


def run(operator: str, inputs: dict[str, np.ndarray], **attributes) -> np.ndarray:
    """The first output of one operator."""
    kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    result = "int64" if operator == "NonMaxSuppression" else "float32"
    graph = helper.make_graph(
        [helper.make_node(operator, list(inputs), ["y"], **attributes)],
        "one_operator",
        [helper.make_tensor_value_info(name, kinds[str(x.dtype)], x.shape) for name, x in inputs.items()],
        [helper.make_tensor_value_info("y", kinds[result], None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def main() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((11, 8, 2)).astype(np.float32)  # 11 x 8 cells of 16 pixels
    centre, side = rng.uniform((-20, -20), (148, 196), (30, 2)), rng.uniform(2, 150, (30, 2))
    rois = np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)
    rois[:4] = [[0, 0, 128, 176], [8, 24, 40, 88], [-200, -200, -100, -100], [60, 60, 60, 60]]
    x, image = features.transpose(2, 0, 1)[None].copy(), np.zeros(len(rois), np.int64)
    arrays = {"features": features, "rois": rois}
    for ratio in (0, 2):
        for name, mode in (("aligned", "half_pixel"), ("legacy", "output_half_pixel")):
            y = run(
                "RoiAlign",
                {"x": x, "rois": rois, "image": image},
                output_height=4,
                output_width=3,
                sampling_ratio=ratio,
                spatial_scale=1 / 16,
                mode="avg",
                coordinate_transformation_mode=mode,
            )
            arrays[f"align_{ratio}_{name}"] = y.transpose(0, 2, 3, 1)
    numbered = np.concatenate([np.zeros((len(rois), 1), np.float32), rois], axis=1)
    y = run("MaxRoiPool", {"x": x, "rois": numbered}, pooled_shape=[4, 3], spatial_scale=1 / 16)
    arrays["pool"] = y.transpose(0, 2, 3, 1)

    centre, side = rng.normal((100, 80), 25, (200, 2)), rng.uniform(20, 70, (200, 2))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)
    scores = np.round(rng.uniform(0, 1, 200), 2).astype(np.float32)  # with ties
    kept = np.full((len(THRESHOLDS), 200), -1, np.int16)
    for i, threshold in enumerate(THRESHOLDS):
        inputs = {"boxes": boxes[None, :, [1, 0, 3, 2]], "scores": scores[None, None]}
        inputs |= {"most": np.array([200]), "threshold": np.array([threshold], np.float32)}
        index = run("NonMaxSuppression", inputs)[:, 2]
        kept[i, : len(index)] = index
    arrays |= {"boxes": boxes, "scores": scores, "thresholds": np.array(THRESHOLDS), "kept": kept}
    np.savez_compressed(GOLDEN, **arrays)
    print(GOLDEN.name, GOLDEN.stat().st_size, "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()

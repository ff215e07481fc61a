"""Features of TF-slim's resnet_v1_50 and _101, and the maps of DeepLabCut's heads on them, for tests/golden.

    .venv-slim/bin/python third_party/tf_slim/make_golden.py          (README.md has the installation)

The graph is TF-slim's own, called as DeepLabCut's TensorFlow engine calls it. No weights are shipped: `recipe`
derives every variable from its name, and the tests repeat it. With --snapshot=PREFIX the ResNet-50 is also saved as a
checkpoint with Momentum's slots, to test convert.py.
"""

import argparse
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v1

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
MEAN = (123.68, 116.779, 103.939)
NETS = {50: (resnet_v1.resnet_v1_50, 4), 101: (resnet_v1.resnet_v1_101, 12)}  # with the unit of block 3 that has a head
HEADS = {"part_pred": 3, "locref_pred": 6}
SIZES = {"even": (64, 96), "odd": (70, 90)}  # the odd one's stem is 35 x 45
v1 = tf.compat.v1


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a variable, derived only from its name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    layer, kind = name.rsplit("/", 1)
    if kind == "weights":
        fan_in = 9 * shape[3] if layer.startswith("pose/") else np.prod(shape[:-1])
        return (noise * np.sqrt(2 / fan_in)).astype(np.float32)
    if kind == "gamma":
        return ((0.3 if "/conv3/" in name else 1.0) * (1 + 0.1 * noise)).astype(np.float32)
    if kind == "moving_variance":
        raw = 1e4 if layer.count("/") == 2 else 1.0  # the stem's input is 0..255
        return (raw * np.exp(0.1 * noise)).astype(np.float32)
    return (0.1 * noise).astype(np.float32)


def head(features: tf.Tensor, name: str, channels: int) -> tf.Tensor:
    with v1.variable_scope(name):
        return slim.conv2d_transpose(
            features, channels, [3, 3], stride=2, padding="SAME", activation_fn=None, normalizer_fn=None, scope="block4"
        )


def build(depth: int, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Outputs by name: the last unit of each block, every 16th channel, and the heads' maps."""
    network, unit = NETS[depth]
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        _, points = network(images - MEAN, global_pool=False, output_stride=16, is_training=False)
    outputs = {f"block{b}": points[f"resnet_v1_{depth}/block{b}"][..., ::16] for b in (1, 2, 3, 4)}
    with v1.variable_scope("pose"):
        features = points[f"resnet_v1_{depth}/block4"]
        outputs |= {name: head(features, name, channels) for name, channels in HEADS.items()}
        features = points[f"resnet_v1_{depth}/block3/unit_{unit}/bottleneck_v1"]
        return outputs | {"intermediate_supervision": head(features, "intermediate_supervision", HEADS["part_pred"])}


def run(depth: int, pictures: dict[str, np.ndarray], snapshot: str) -> dict[str, np.ndarray]:
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, [1, None, None, 3])
        outputs = build(depth, images)
        variables = v1.global_variables()
        shapes = {variable.op.name: tuple(variable.shape.as_list()) for variable in variables}
        if snapshot:
            loss = tf.reduce_mean(outputs["part_pred"])
            v1.train.MomentumOptimizer(0.0, 0.9).minimize(loss, global_step=v1.train.create_global_step())
        session.run(v1.global_variables_initializer())
        for variable in variables:
            variable.load(recipe(variable.op.name, shapes[variable.op.name]), session)
        if snapshot:
            v1.train.Saver().save(session, snapshot, global_step=5)
        arrays = {"names": np.array(list(shapes)), "shapes": np.array([json.dumps(shapes[name]) for name in shapes])}
        for size, picture in pictures.items():
            values = session.run(outputs, {images: picture})
            arrays |= {f"{size}/{name}": value for name, value in values.items()}
        return {f"resnet{depth}/{name}": value for name, value in arrays.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snapshot", default="", help="prefix of a checkpoint to write, such as /tmp/snapshot")
    options = parser.parse_args()
    rng = np.random.default_rng(4)
    pictures = {size: rng.integers(0, 256, (1, *shape, 3), np.uint8) for size, shape in SIZES.items()}
    arrays = {f"images/{size}": picture for size, picture in pictures.items()}
    arrays |= run(50, pictures, options.snapshot) | run(101, pictures, "")
    path = GOLDEN / "tf_slim.npz"
    np.savez_compressed(path, **arrays)
    print(path.name, path.stat().st_size, "bytes", file=sys.stderr)

"""Converts a TensorFlow checkpoint of TF-slim's ResNets, or DeepLabCut's `snapshot-N`, to an .npz that pawjax reads.

    pip install tensorflow-cpu                                    (2.0 or later)
    python third_party/tf_slim/convert.py dlc-models/.../train/snapshot-1030000 snapshot.npz
    python third_party/tf_slim/convert.py resnet_v1_50.ckpt resnet_v1_50.npz

The arrays keep the names, shapes and types of the variables. Optimizer variables are left out.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

# Optimizer slots have other endings.
LAYER_VARIABLES = {"weights", "biases", "gamma", "beta", "moving_mean", "moving_variance"}


def read(prefix: str) -> dict[str, np.ndarray]:
    """The variables of the layers in a checkpoint, by name.

    Args:
      prefix: of its files, such as 'snapshot-1030000', or the name of one of them.

    Raises SystemExit with a message if the checkpoint is incomplete or has none of these variables.
    """
    prefix = prefix.removesuffix(".meta").removesuffix(".index").split(".data-")[0]
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = [name for name in reader.get_variable_to_shape_map() if name.rsplit("/", 1)[-1] in LAYER_VARIABLES]
        arrays = {name: reader.get_tensor(name) for name in sorted(names)}
    except (tf.errors.OpError, ValueError, IndexError) as error:  # IndexError for a truncated file
        raise SystemExit(f"{prefix}: not a complete TensorFlow checkpoint ({error})") from error
    if not arrays:
        raise SystemExit(f"{prefix}: a checkpoint without variables of TF-slim's layers")
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="prefix of the checkpoint's files")
    parser.add_argument("output", type=Path, help="the .npz to write; it must not exist")
    options = parser.parse_args()
    if options.output.suffix != ".npz" or options.output.exists():
        raise SystemExit(f"{options.output}: the output must be a new file ending in .npz")
    arrays = read(options.checkpoint)
    np.savez(options.output, **arrays)
    print(f"{options.output}: {len(arrays)} arrays, {sum(a.nbytes for a in arrays.values()):,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()

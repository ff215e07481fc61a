"""DeepLabCut's own snapshots as predictors, without a training by pawjax.

A snapshot of its PyTorch engine (.pt) is read as it is; one of its TensorFlow engine as .npz, which
`third_party/tf_slim/convert.py` makes. The file that DeepLabCut wrote beside it says what network it is, see
`pawjax.inference.snapshot_config`. Frames go to the network as they are, as in DeepLabCut: neither resized nor padded.
"""

import functools
import hashlib
import re
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.errors import InputError, listed, warn
from pawjax.files import regular, user_path
from pawjax.inference import compiler
from pawjax.inference.predictor import Predictor
from pawjax.inference.snapshot_config import SnapshotConfig, read_snapshot_config
from pawjax.methods import Variables
from pawjax.methods.deeplabcut import DeepLabCut, Settings
from pawjax.models.backbones import Model
from pawjax.models.pose_net import PoseNet
from pawjax.weights import merge, read_tensors, read_weights

ENDINGS = (".pt", ".npz")
TENSORFLOW_ENDINGS = (".index", ".meta", ".data-00000-of-00001")
SHUFFLE = re.compile(r"(?P<task_and_date>.+)-trainset\d+shuffle(?P<shuffle>\d+)")  # DeepLabCut's folder of a network


class _Unpadded(DeepLabCut):
    """The method for images of any size: no side is filled up to a multiple of the network's stride."""

    stride: ClassVar[int] = 1


def predictor_of_snapshot(path: str | Path) -> Predictor:
    """The predictor of a snapshot of DeepLabCut.

    Its origin has the 'snapshot' and its sha256, DeepLabCut's 'training_step' (epochs of its PyTorch engine, iterations
    of its TensorFlow engine; '' if the name of the file has none) and the 'scorer', see `scorer_of_snapshot`.

    Args:
      path: a .pt, or an .npz from third_party/tf_slim/convert.py, in the folder that DeepLabCut saved it in.

    Raises InputError for a missing or damaged file, or another network than it says or than pawjax runs.
    """
    path = user_path(path)
    _check_kind(path)
    config = read_snapshot_config(path)
    method, variables = _read_network(path, config)
    find = compiler.jit(method.predict)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Predictor(
        predict=functools.partial(find, variables),
        bodyparts=config.bodyparts,
        channels=3,
        origin={
            "snapshot": str(path.resolve()),
            "snapshot_sha256": digest,
            "training_step": _step(path),
            "scorer": scorer_of_snapshot(path, config),
        },
        project=next((str(folder) for folder in path.resolve().parents if (folder / "config.yaml").is_file()), ""),
    )


def scorer_of_snapshot(path: Path, config: SnapshotConfig) -> str:
    """DeepLabCut's name for the network, 'DLC_Resnet50_openfieldOct30shuffle1_snapshot_best-90': its later steps look
    for files of tracks of this name. Task, date and shuffle are in the name of the snapshot's folder.

    Warns if the folder has another name, in which case the scorer lacks them.
    """
    step = _step(path)
    if config.is_pytorch:
        network = "".join(word.capitalize() for word in config.net_type.split("_"))
        number = f"snapshot_{'best-' if '-best' in path.stem else ''}{step}" if step else path.stem
    else:
        network, number = config.net_type.replace("_", ""), step or path.stem
    for folder in path.resolve().parents[:2]:  # ...shuffle1/train/snapshot-best-90.pt
        if match := SHUFFLE.fullmatch(folder.name):
            return f"DLC_{network}_{match['task_and_date']}shuffle{match['shuffle']}_{number}"
    warn(
        f"{path}: its folder is not named as DeepLabCut does, TASKDATE-trainset95shuffle1/train: DeepLabCut's later "
        f"steps find the tracks only by the scorer 'DLC_{network}_{number}'"
    )
    return f"DLC_{network}_{number}"


def _step(path: Path) -> str:
    match = re.search(r"-(\d+)$", path.stem)
    return str(int(match[1])) if match else ""


def _check_kind(path: Path) -> None:
    """Raises InputError for what is no snapshot by its name."""
    if path.is_dir():
        found = [file.name for file in sorted(path.rglob("*")) if file.suffix in ENDINGS]
        hint = f"give one of its snapshots: {listed(found, 5)}" if found else "it holds no snapshot (.pt or .npz)"
        raise InputError(f"{path}: is a folder; {hint}")
    if path.name.endswith(TENSORFLOW_ENDINGS) or path.with_name(f"{path.name}.index").exists():
        raise InputError(
            f"{path}: is a checkpoint of TensorFlow; convert it with third_party/tf_slim/convert.py to an .npz beside "
            "it, and give that file"
        )
    if not regular(path).exists():
        raise InputError(f"{path}: there is no such snapshot; correct the path")
    if path.suffix not in ENDINGS:
        raise InputError(
            f"{path}: is no snapshot of DeepLabCut: give a .pt, or an .npz of third_party/tf_slim/convert.py"
        )
    if path.name.startswith("snapshot-detector"):
        raise InputError(f"{path}: is DeepLabCut's detector of a top-down network, which pawjax does not run")


def _read_network(path: Path, config: SnapshotConfig) -> tuple[DeepLabCut, Variables]:
    """The method and the variables of a snapshot, folded for prediction."""
    model = Model(backbone=config.backbone, norm=config.norm, variant=config.variant)
    net = PoseNet(model.make(jnp.float32), len(config.bodyparts), rim=config.is_pytorch)
    score_loss = "cross_entropy" if config.sigmoid else "squared_error"
    method = _Unpadded(net, Settings(score_loss=score_loss, locref_stdev=config.locref_stdev or Settings.locref_stdev))
    shapes = jax.eval_shape(method.init, jax.random.key(0), {"image": jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)})
    leaves, unknown = read_weights(read_tensors(path))
    if config.locref_stdev is None:  # offsets stay zero
        leaves = {name: value for name, value in leaves.items() if not name.startswith("params/locref/")}
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    try:
        merged = merge(zeros, leaves, source=str(path), heads=method.heads, unknown=unknown)
    except InputError as error:
        raise InputError(f"{error} ({config.file.name} beside it says '{config.net_type}')") from error
    needed = ("scoremap", "locref") if config.locref_stdev is not None else ("scoremap",)
    if missing := [head for head in needed if f"params/{head}/kernel" in merged.missing]:
        raise InputError(
            f"{path}: has no {' and no '.join(missing)} for the {len(config.bodyparts)} bodyparts of "
            f"{config.file.name} beside it: give a snapshot and a file of one training"
        )
    method, variables = method.fold(merged.variables)
    return method, jax.device_put(variables)

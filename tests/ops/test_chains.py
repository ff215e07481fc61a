import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.methods import make_method
from pawjax.models.layers import ConvNorm
from pawjax.ops import chains
from pawjax.ops.chains import Bands, in_chains, over_rows
from pawjax.ops.conv import conv2d
from pawjax.ops.pooling import max_pool_3x3_stride2

BANDS_OF = chains._bands


@pytest.fixture(autouse=True)
def small_batches_too(monkeypatch):
    monkeypatch.setattr(chains, "PIXELS", 0)
    monkeypatch.setattr(chains, "BAND_PIXELS", 0)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 8])
def test_chains_change_nothing_but_the_order_of_work(n):
    images = jnp.asarray(np.random.default_rng(n).normal(size=(n, 5, 4, 3)), jnp.float32)
    calls = []

    def function(x):
        calls.append(len(x))
        return {"sum": x.sum((1, 2)), "twice": 2 * x}

    found = in_chains(function, images)
    assert sum(calls) == n and len(calls) == {1: 1, 2: 2, 3: 1, 6: 2, 8: 4}[n]
    expected = function(images)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_small_batches_stay_whole(monkeypatch):
    monkeypatch.setattr(chains, "PIXELS", 8 * 4 * 4 + 1)
    assert in_chains(len, jnp.zeros((8, 4, 4, 3))) == 8


def test_parts_join_to_the_whole():
    images = jnp.arange(8 * 2 * 2 * 1.0).reshape(8, 2, 2, 1)
    parts = chains.cut(images)
    assert [part.shape for part in parts] == [(2, 2, 2, 1)] * 4
    found = chains.joined({"cut": parts, "whole": images})
    np.testing.assert_array_equal(found["cut"], images)
    np.testing.assert_array_equal(found["whole"], images)


@pytest.mark.parametrize("n, shapes", [(1, [1] * 4), (2, [2] * 2), (3, [1] * 4), (4, [])])
def test_too_few_images_are_cut_by_rows(n, shapes):
    images = jnp.arange(n * 70 * 3.0).reshape(n, 70, 3, 1)
    parts = chains.cut(images, rows=True)
    bands = [part for part in jax.tree.leaves(parts, is_leaf=lambda x: isinstance(x, Bands)) if isinstance(part, Bands)]
    heights = [[band.shape[1] for band in part.rows] for part in bands]
    assert heights == {1: [[16, 16, 16, 22]], 2: [[32, 38]] * 2, 3: [[16, 16, 16, 22]], 4: []}[n]
    np.testing.assert_array_equal(chains.joined(chains.whole(parts)), images)


def test_low_images_have_fewer_bands():
    assert chains.cut(jnp.zeros((1, 31, 8, 3)), rows=True).shape == (1, 31, 8, 3)
    assert len(chains.cut(jnp.zeros((1, 40, 8, 3)), rows=True).rows) == 2


@pytest.mark.parametrize("height", [64, 75])
@pytest.mark.parametrize("size, stride, dilation", [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (7, 2, 1)])
def test_convolution_over_bands_is_that_of_the_whole(height, size, stride, dilation):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, height, 9, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(size, size, 3, 4)), jnp.float32)
    margin = (size - 1) * dilation // 2

    def convolve(x, rows):
        return conv2d(x, kernel, stride=stride, padding=(rows, (margin, margin)), dilation=dilation)

    def of_bands(x):
        bands = Bands(tuple(jnp.split(x, [16, 48], axis=1)))
        found = over_rows(convolve, bands, window=2 * margin + 1, stride=stride, margins=(margin, margin))
        assert [band.shape[1] for band in found.rows[:2]] == [16 // stride, 32 // stride]
        return chains.whole(found)

    np.testing.assert_allclose(of_bands(x), convolve(x, (margin, margin)), atol=1e-5)


@pytest.mark.parametrize("height", [48, 55])
@pytest.mark.parametrize("above", [0, 1])
def test_pooling_over_bands_is_that_of_the_whole(height, above):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, height, 9, 3)), jnp.float32)

    def pool(x, rows):
        return max_pool_3x3_stride2(x, rows=rows)

    bands = Bands(tuple(jnp.split(x, [16, 32], axis=1)))
    found = over_rows(pool, bands, window=3, stride=2, margins=(above, 1))
    np.testing.assert_array_equal(chains.whole(found), pool(x, (above, 1)))


NETWORKS = {
    "deeplabcut": {"model.lineage": "slim"},
    "group norm": {"model.norm": "group", "model.width": 32},
    "finer map": {"method": "faster_rcnn", "detector.map": "fine"},
    "vgg16": {"method": "faster_rcnn", "detector.backbone": "vgg16"},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_make_the_same_maps_of_bands(name):
    config = default_config()
    config.model.depth, config.model.width = 26, 8
    config.update_from_flattened_dict(NETWORKS[name])
    method = make_method(config, ("paw",))
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 80, 64, 3)), jnp.uint8)
    variables = jax.jit(method.init)(jax.random.key(0), {"image": images})
    options = {"method": "features"} if config.method == "faster_rcnn" else {}

    @jax.jit
    def maps(variables, images):
        made = method.net.apply(variables, images, train=False, **options)
        return made if options else made[0]

    expected = maps(variables, images)
    found = maps(variables, chains.cut(images, rows=True))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5 * np.abs(y).max()), found, expected)


@pytest.mark.parametrize("name", ["deeplabcut", "finer map"])
def test_prediction_cuts_rows(name, monkeypatch):
    config = default_config()
    config.model.depth, config.model.width = 26, 8
    config.update_from_flattened_dict(NETWORKS[name])
    method = make_method(config, ("paw",))
    images = jnp.zeros((1, 64, 64, 3), jnp.uint8)
    variables = jax.eval_shape(method.init, jax.random.key(0), {"image": images})
    cuts = []
    monkeypatch.setattr(chains, "_bands", lambda images, n: cuts.append(n) or BANDS_OF(images, n))
    jax.eval_shape(method.predict, variables, images)
    assert cuts == [4]


def test_live_batch_norm_joins_bands():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 64, 16, 8)), jnp.float32)
    layer = ConvNorm(8, 3)
    variables = layer.init(jax.random.key(0), x, train=True)
    run = jax.jit(lambda x: layer.apply(variables, x, train=True, mutable=["batch_stats"]))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), run(BANDS_OF(x, 4)), run(x))

"""The top-down pathway: interpolation between strides, and where the cells of every backbone's maps lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.models.backbones import Model
from pawjax.models.pose_net import PoseNet
from pawjax.models.pyramid import doubled
from tests.tiny import TINY, TINY_LITE

LITE = {"backbone": TINY_LITE}
CASES = [
    ({"backbone": TINY}, 8),
    ({"backbone": TINY, "variant": "slim"}, 4),
    (LITE, 8),
    (LITE, 4),
    ({"backbone": "vgg16"}, 8),
    ({"backbone": "convnet"}, 4),
]


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_doubled_cells_lie_where_the_shift_says(shift):
    places = jnp.arange(6.0)[None, None, :, None] * 2 + shift  # of the cells, in those of the result
    found = doubled(places, 11, axis=2, shift=shift)[0, 0, :, 0]
    np.testing.assert_allclose(found[1:-1], np.arange(1, 10), atol=1e-6)
    assert found.shape == (11,) and found[0] == max(shift, 0) and found[-1] in (10, 10 + shift / 2)


def reads_one_pixel(variables):
    """The variables with kernels that only read the pixel under their centre, averaged over the channels."""

    def changed(path, leaf):
        kind = path[-1].key
        if kind == "kernel":
            rows, columns, inputs, _ = leaf.shape
            return jnp.zeros_like(leaf).at[rows // 2, columns // 2].set(1 / inputs)
        return jnp.full_like(leaf, kind in ("scale", "var"))

    return jax.tree_util.tree_map_with_path(changed, variables)


@pytest.mark.parametrize("model, stride", CASES)
def test_cells_of_the_topdown_head_lie_where_it_says(model, stride):
    """With kernels that read single pixels a map of an intensity ramp shows the place that each cell reads."""
    settings = Model(stem_channels=8, norm="frozen", **model)
    net = PoseNet(settings.make(jnp.float32, output_stride=32), 1, head="topdown", stride=stride, channels=8)
    height, width = 96, 128
    y, x = np.mgrid[:height, :width] / 4.0
    # Opposite ramps, because a pool shows the brightest of its pixels: the mean of both is their middle.
    images = np.stack([0 * x, 0 * x + 32, x, 32 - x, y, 32 - y])[..., None].astype(np.float32) + 140
    variables = jax.eval_shape(lambda: net.init(jax.random.key(0), images, train=False))
    variables = reads_one_pixel(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), variables))
    maps = jax.jit(lambda v, x: net.apply(v, x, train=False))(variables, images)["scoremap"][..., 0]
    dark, bright = maps[:2, 1:2, 1:2]
    rising, falling, down, up = (maps[2:, 1:-2, 1:-2] - dark) / (bright - dark) * 128
    rows, columns = (np.arange(1, n // stride - 2) * stride + net.center for n in (height, width))
    place_x, place_y = (rising + 128 - falling) / 2, (down + 128 - up) / 2
    inner = slice(32 // stride, -32 // stride)  # cells whose coarsest neighbours are on the map
    np.testing.assert_allclose(place_x[:, inner], np.broadcast_to(columns, place_x.shape)[:, inner], atol=0.02)
    np.testing.assert_allclose(place_y.T[:, inner], np.broadcast_to(rows, place_y.T.shape)[:, inner], atol=0.02)

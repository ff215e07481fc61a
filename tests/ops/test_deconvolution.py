"""The deconvolution head: torch's ConvTranspose2d, and alignment."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from pawjax.ops.conv import conv_transpose_3x3_stride2

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "deconvolution.npz"


def test_output_equals_torch_cropped_to_twice_the_size():
    golden = np.load(GOLDEN)
    found = conv_transpose_3x3_stride2(jnp.asarray(golden["x"]), jnp.asarray(golden["kernel"]))
    np.testing.assert_allclose(found, golden["y"], atol=1e-5)


def test_centre_tap_of_cell_i_lands_on_2i_plus_1():
    x = jnp.zeros((1, 4, 5, 1)).at[0, 2, 3, 0].set(1.0)
    kernel = jnp.zeros((3, 3, 1, 1)).at[1, 1, 0, 0].set(7.0)
    y = np.asarray(conv_transpose_3x3_stride2(x, kernel))[0, :, :, 0]
    assert y[5, 7] == 7 and y.sum() == 7

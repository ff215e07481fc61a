"""From frames at their own size to points in their own pixels, whatever the scale of the network."""

from collections.abc import Callable

import jax

from pawjax.data.batches import scaled_size
from pawjax.inference.animals import check_animals, make_predict_animals
from pawjax.inference.run import Run
from pawjax.inference.views import make_predict, moved
from pawjax.methods import Variables
from pawjax.ops.warp import invert_affine, resize, resize_affine

FindPoints = Callable[[Variables, jax.Array], dict[str, jax.Array]]


def to_network(images: jax.Array, scale: float) -> tuple[jax.Array, jax.Array]:
    """Images [B, H, W, C] resized by `scale`, and the affine map [2, 3] from their pixels back to the original's."""
    size = images.shape[1:3]
    small = scaled_size(size, scale)
    return resize(images, *small), invert_affine(resize_affine(size, small))


def make_find_points(run: Run, animals: int = 1) -> FindPoints:
    """(variables, uint8 images [B, H, W, C]) -> the run's points in pixels of the images.

    'keypoints' [B, K, 2] and 'likelihood' [B, K]; methods with score maps add 'covariance' [B, K, 2, 2] and 'second'
    [B, K, 3], see `pawjax.ops.decoding.doubt`. Of several animals, 'keypoints' [B, A, K, 2] and 'likelihood' [B, A, K].

    Raises InputError as `make_predict_animals` does.
    """
    check_animals(animals)
    if animals > 1:
        predict = make_predict_animals(run, animals)
    else:
        predict = make_predict(run.method, run.config, run.bodyparts, run.tree)

    def find(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        resized, back = to_network(images, run.config.scale)
        return moved(predict(variables, resized), back)

    return find

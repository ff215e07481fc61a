"""Streaming batches through a program: results in order and without padding, few batches in flight."""

import jax
import numpy as np
import pytest

from pawjax.data.batches import FrameStore
from pawjax.inference.stream import predict_store, stream, stream_store


def batches(taken):
    for first in (0, 4, 8):
        taken.append(first)
        yield np.arange(first, first + 4), 4 if first < 8 else 1


def test_results_come_in_order_without_the_padding():
    program = jax.jit(lambda x: {"double": 2 * x, "pair": (x[:, None] + np.array([0, 100]),)})
    results = list(stream(program, batches([])))
    assert [len(result["double"]) for result in results] == [4, 4, 1]
    np.testing.assert_array_equal(np.concatenate([result["double"] for result in results]), 2 * np.arange(9))
    assert isinstance(results[0]["double"], np.ndarray) and results[-1]["pair"][0].tolist() == [[8, 108]]


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_next_batches_are_dispatched_before_waiting(ahead):
    taken, done = [], 0
    for _ in stream(lambda x: x, batches(taken), ahead):
        done += 1
        assert len(taken) == min(done + ahead, 3), "memory must stay bounded"
    assert done == 3


def test_empty_input_gives_no_results():
    assert list(stream(lambda x: x, iter(()))) == []


def test_store_is_predicted_in_original_pixels():
    image = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 1), np.uint8)
    half = np.tile(np.array([[2, 0, 0.5], [0, 2, 0.5]], np.float32), (5, 1, 1))
    labelled, size = np.ones((5, 1), bool), np.tile([4, 6], (5, 1))
    store = FrameStore(image, np.zeros((5, 1, 2)), labelled, ~labelled, size, half)

    def predict(variables, images):
        value = images[:, 0, 0].astype(np.float32) * variables
        return {"keypoints": value[..., None] * np.array([1.0, 10.0], np.float32), "likelihood": value / 10}

    assert stream_store(lambda images: images[:, 0, 0, 0], store, 2).tolist() == [0, 1, 2, 3, 4]
    found = predict_store(jax.jit(predict), np.float32(1), store, 2)
    expected = [[2 * i + 0.5, 20 * i + 0.5] for i in range(5)]
    np.testing.assert_allclose(found.keypoints[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(found.likelihood[:, 0], np.arange(5) / 10, rtol=1e-6)
    assert found.seconds > 0

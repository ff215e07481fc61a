"""A camera loop: the latest frame wins, poses come in order, and errors reach the caller."""

import threading
import time

import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.inference.latency import at_rate, flat_out, in_words
from pawjax.inference.live import LiveTracker
from pawjax.inference.predictor import Predictor

SIZE = (40, 60)
PATIENCE = 10  # seconds


class Network:
    """Finds the brightest pixel; after the warm-up, each call waits for `go` and notes the frame's brightness."""

    def __init__(self, waits=False):
        self.shapes, self.seen, self.waits, self.fails = [], [], waits, False
        self.started, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, images):
        self.shapes.append(images.shape)
        if images.any():
            self.started.release()
            if self.waits:
                assert self.go.acquire(timeout=PATIENCE)
            if self.fails:
                raise FloatingPointError("the network broke")
            self.seen.append(int(images.max()))
        flat = images[..., 0].reshape(len(images), -1).argmax(1)
        place = np.stack([flat % images.shape[2], flat // images.shape[2]], -1).astype(np.float32)
        return {"keypoints": place[:, None], "likelihood": images.max((1, 2, 3)).astype(np.float32)[:, None] / 255}


def frame(brightness, x=30, y=20):
    pixels = np.zeros((*SIZE, 1), np.uint8)
    pixels[y, x] = brightness
    return pixels


def predictor(network, channels=1):
    return Predictor(network, ("paw",), channels, {})


def test_the_latest_frame_wins_and_the_others_are_counted():
    network = Network(waits=True)
    with LiveTracker(predictor(network), SIZE) as live:
        assert live.latest() is None
        live.put(frame(1), time=0.5)
        assert network.started.acquire(timeout=PATIENCE)  # the network has the first; the next ones come meanwhile
        assert [live.put(frame(brightness)) for brightness in (2, 3, 4)] == [1, 2, 3]
        network.go.release(2)
        first, last = live.wait(-1, PATIENCE), live.wait(2, PATIENCE)
        assert (last.number, last.likelihood[0]) == (3, np.float32(4 / 255)) and live.latest() is last
        assert first.number in (0, 3) and (live.done, live.dropped) == (2, 2)
        assert live.wait(3, timeout=0.01) is None
    assert network.seen == [1, 4]


def test_poses_belong_to_their_frames():
    with LiveTracker(predictor(Network()), SIZE) as live:
        for number in range(20):
            pose = live.track(frame(255, x=3 * number, y=number), time=number / 30)
            assert pose.number == number and pose.time == number / 30 and 0 < pose.latency < PATIENCE
            np.testing.assert_array_equal(pose.keypoints, [[3 * number, number]])
        assert (live.done, live.dropped) == (20, 0)


def test_a_frame_may_be_overwritten_after_put():
    network, pixels = Network(waits=True), frame(200, x=7)
    with LiveTracker(predictor(network), SIZE) as live:
        live.put(pixels)
        pixels[:] = 0
        network.go.release()
        assert live.wait(timeout=PATIENCE).keypoints.tolist() == [[7, 20]]


def test_the_window_follows_and_every_shape_is_compiled_before_the_first_frame():
    network = Network()
    with LiveTracker(predictor(network), SIZE, track_window=32) as live:
        warm = set(network.shapes)
        assert warm == {(1, 32, 32, 1), (1, *SIZE, 1)}
        found = [live.track(frame(255, x=x)).keypoints[0, 0] for x in (30, 31, 33, 58)]
        assert found == [30, 31, 33, 58] and network.shapes[3] == (1, 32, 32, 1)
    assert set(network.shapes) == warm


def test_an_error_of_the_network_reaches_the_caller_once():
    network = Network()
    with LiveTracker(predictor(network), SIZE) as live:
        live.track(frame(1))
        network.fails = True
        with pytest.raises(FloatingPointError, match="the network broke"):
            live.track(frame(2))
        with pytest.raises(InputError, match="is closed"):
            live.put(frame(3))
    network = Network()
    network.fails = True
    with pytest.raises(FloatingPointError), LiveTracker(predictor(network), SIZE) as live:
        live.put(frame(2))
        assert network.started.acquire(timeout=PATIENCE)
        time.sleep(0.05)


def test_the_errors_of_the_block_go_on():
    with pytest.raises(KeyError, match="mine"), LiveTracker(predictor(Network()), SIZE) as live:
        raise KeyError("mine")
    assert not live._thread.is_alive()
    with pytest.raises(InputError, match="is closed"):
        live.latest()


@pytest.mark.parametrize(
    "pixels, words",
    [
        (np.zeros((40, 61, 3), np.uint8), r"takes frames uint8 \[40, 60, 3\], not uint8 \[40, 61, 3\]"),
        (np.zeros((40, 60, 3), np.float32), "not float32"),
        (np.zeros((40, 60, 4), np.uint8), r"not uint8 \[40, 60, 4\]"),
        (3, r"not int64 \[\]"),
    ],
)
def test_wrong_frames(pixels, words):
    with LiveTracker(predictor(Network(), 3), SIZE) as live, pytest.raises(InputError, match=words):
        live.put(pixels)


def test_gray_frames_suit_a_network_on_colour():
    network = Network()
    with LiveTracker(predictor(network, 3), SIZE) as live:
        assert live.track(frame(9)[..., 0]).likelihood == np.float32(9 / 255)
    assert set(network.shapes) == {(1, *SIZE, 3)}


def test_frames_in_colour_suit_a_network_on_gray():
    network = Network()
    with LiveTracker(predictor(network, 1), SIZE) as live:
        assert live.track(np.repeat(frame(9)[..., :1], 3, axis=-1)).likelihood == np.float32(9 / 255)
    assert set(network.shapes) == {(1, *SIZE, 1)}


@pytest.mark.parametrize(
    "size, window", [((40,), 0), (40, 0), ((0, 5), 0), ((40, 60), -1), ((True, 200), 0), ((40, 60), "x")]
)
def test_wrong_sizes(size, window):
    with pytest.raises(InputError, match="size=|track_window="):
        LiveTracker(predictor(Network()), size, window)


def test_latencies():
    network = Network()
    frames = np.stack([frame(1), frame(2)])
    with LiveTracker(predictor(lambda images: (time.sleep(0.02), network(images))[1]), SIZE) as live:
        fast, alone = at_rate(live, frames, 100, 0.5), flat_out(live, frames, 0.1)
    latency = fast["latency_seconds"]
    assert 0.02 <= latency["median"] <= latency["p99"] <= latency["max"]
    assert fast["n_poses"] + round(fast["dropped_share"] * 50) == 50 and fast["dropped_share"] > 0.2
    assert alone["latency_seconds"]["median"] >= 0.02 and alone["images_per_second"] <= 50
    assert "dropped; flat out" in in_words({"at_rate": fast, "flat_out": alone})

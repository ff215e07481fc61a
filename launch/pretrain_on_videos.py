"""Do the unlabelled frames of a lab's own videos lower the error where few frames are labelled?

    python -m launch.pretrain_on_videos VIDEO ... --out=FOLDER --labels=10,20 --seeds=3 -- \\
        --config=configs/lite0.py --config.scale=0.63 --config.steps=300 --config.data.path=PROJECT [flags of training]

Three ways to train on the first --labels train frames of the split, drawn anew by each seed:

- labels: the config as it is.
- masked: before that, as many steps in which the network fills in squares that are cut out of the videos' frames. It
  starts from the same weights (`config.init_from`) and keeps all but the last layers.
- consistency: every second frame of a batch is one of the videos'. Where the network is --sure of a bodypart, that is
  its label in the same frame after a second augmentation: the prediction shall move as the warp moves it.

All take the same number of steps with labels; the seconds are reported too, without those of compilation. Errors are
those of the averaged last weights on --split. Results are added to FOLDER/results.json one by one, and the same command
again goes on.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from launch import few_labels
from pawjax import cli, train
from pawjax.data import LabelledFrames
from pawjax.data.augment import Augment, augment
from pawjax.data.batches import make_store
from pawjax.data.video import FrameReader, open_video
from pawjax.engine import choices, parallel
from pawjax.engine.setup import Split, Training, first_state, load_frames, make_training
from pawjax.engine.state import TrainState
from pawjax.errors import InputError
from pawjax.losses import Term, weighted_sum
from pawjax.methods.deeplabcut import DeepLabCut
from pawjax.methods.method import Batch, NetworkMethod, Variables
from pawjax.models.pose_net import PoseNet
from pawjax.progress import track

WAYS = ("labels", "masked", "consistency")
SQUARE = 32  # px, of what `Masked` cuts out
HIDDEN = 0.5  # share of these squares
GREY = 128
LAST_LAYERS = ("scoremap", "locref")


@dataclasses.dataclass(frozen=True)
class Masked(NetworkMethod):
    """Fills in squares of frames: a score map for each pixel of a cell, and squared errors of the hidden ones."""

    loss_weights: ClassVar[dict[str, float]] = {"pixels": 1.0}
    heads: ClassVar[tuple[str, ...]] = DeepLabCut.heads
    net: PoseNet

    def loss(self, variables: Variables, batch: Batch) -> tuple[dict[str, Term], Variables]:
        stride = self.net.stride
        images = self.padded(batch["image"])
        n, height, width, _ = images.shape
        squares = (n, -(-height // SQUARE), -(-width // SQUARE))
        hidden = jax.vmap(lambda key: jax.random.bernoulli(key, HIDDEN, squares[1:]))(batch["key"])
        hidden = jnp.repeat(jnp.repeat(hidden, SQUARE, 1), SQUARE, 2)[:, :height, :width, None]
        maps, updates = self.apply_training(variables, jnp.where(hidden, GREY, images).astype(jnp.uint8))

        def cells(pixels: jax.Array) -> jax.Array:
            """[B, H, W] to [B, H / stride, W / stride, stride^2]."""
            blocks = pixels.reshape(n, height // stride, stride, width // stride, stride)
            return blocks.transpose(0, 1, 3, 2, 4).reshape(n, height // stride, width // stride, stride**2)

        truth = cells((images.mean(-1) - GREY) / GREY)
        errors = jnp.square(maps["scoremap"] - truth)
        weights = cells(hidden[..., 0].astype(jnp.float32)) * batch["weight"][:, None, None, None]
        return {"pixels": weighted_sum(errors, weights)}, updates

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        raise NotImplementedError("it has no keypoints")


@dataclasses.dataclass(frozen=True)
class Consistency(NetworkMethod):
    """A method that labels frames without labels by itself and learns them after a second augmentation.

    Attributes:
      method: what is trained.
      augment: the second augmentation.
      sure: likelihood from which a prediction becomes a label.
    """

    method: DeepLabCut
    augment: Augment
    sure: float

    heads: ClassVar[tuple[str, ...]] = DeepLabCut.heads

    @property
    def loss_weights(self) -> dict[str, float]:
        return self.method.loss_weights

    def loss(self, variables: Variables, batch: Batch) -> tuple[dict[str, Term], Variables]:
        found = jax.lax.stop_gradient(self.method.predict(variables, batch["image"]))
        free = ~batch["labelled"].any((1, 2))  # the videos' frames
        own = batch | {
            "keypoints": found["keypoints"][:, None],
            "labelled": (found["likelihood"] >= self.sure)[:, None],
            "size": jnp.tile(jnp.array(batch["image"].shape[1:3]), (len(free), 1)),
        }
        second = augment(self.augment, batch["key"], own)

        def chosen(name: str) -> jax.Array:
            wanted = free.reshape(-1, *[1] * (batch[name].ndim - 1))
            return jnp.where(wanted, second[name], batch[name])

        fields = ("image", "keypoints", "labelled")
        return self.method.loss(variables, batch | {name: chosen(name) for name in fields})

    def predict(self, variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
        return self.method.predict(variables, images)


def video_frames(paths: list[Path], n: int, like: LabelledFrames) -> LabelledFrames:
    """n frames at equal distances of the videos, without labels. Raises InputError if their size is another one."""
    images, ids, videos = [], [], []
    for path in paths:
        video = open_video(path)
        wanted = set(np.linspace(0, video.n_frames - 1, n // len(paths)).round().astype(int).tolist())
        if (video.height, video.width) != like.images.shape[1:3]:
            raise InputError(f"{path}: frames of {video.width}x{video.height} are no frames of this project")
        for number, frame in track(enumerate(FrameReader(video, like.images.shape[-1])), path.name, video.n_frames):
            if number in wanted:
                images.append(frame.pixels)
                ids.append(f"{path.name}/{number}")
                videos.append(path.name)
    nothing = np.zeros((len(images), *like.labelled.shape[1:]), bool)
    return dataclasses.replace(
        like,
        images=np.stack(images),
        sizes=np.tile(np.int32(images[0].shape[:2]), (len(images), 1)),
        keypoints=np.zeros((*nothing.shape, 2), np.float32),
        labelled=nothing,
        absent=nothing,
        ids=tuple(ids),
        videos=tuple(videos),
    )


def joined(frames: LabelledFrames, rows: np.ndarray, more: LabelledFrames) -> LabelledFrames:
    """The frames at `rows`, as often as all together are as many as those of `more`, and these."""
    rows = np.resize(rows, len(more))
    arrays = {
        name: np.concatenate([getattr(frames, name)[rows], getattr(more, name)])
        for name in ("images", "sizes", "keypoints", "labelled", "absent")
    }
    names = {name: (*(getattr(frames, name)[i] for i in rows), *getattr(more, name)) for name in ("ids", "videos")}
    return dataclasses.replace(frames, **arrays, **names)


def changed(training: Training, method: NetworkMethod, frames: LabelledFrames) -> Training:
    """The training of another method on other frames."""
    config = training.config
    return dataclasses.replace(
        training,
        method=method,
        program=parallel.compile_training(
            config.parallel, method, training.optimizer, parallel.StepOptions.of(config, False)
        ),
        store=make_store(frames, np.arange(len(frames)), config.scale),
    )


def with_features(state: TrainState, source: TrainState) -> TrainState:
    """The state with the weights of another one, but for the last layers."""
    kept = {name: leaf for name, leaf in source.params.items() if name not in LAST_LAYERS}
    params = jax.tree.map(jnp.copy, state.params | kept)
    average = state.average and state.average | {"params": jax.tree.map(jnp.copy, params)}
    return state.replace(params=params, average=average)


def result(
    way: str, config: ConfigDict, frames: LabelledFrames, split: Split, more: LabelledFrames, sure: float
) -> dict[str, float]:
    """Errors of one way to train, and the seconds it took."""
    training, before = make_training(config, frames, split), 0.0

    def fresh(training: Training) -> TrainState:
        return first_state(training, Path("no/such/run"), frames.bodyparts)[0]

    state = fresh(training)
    if way == "masked":
        net = dataclasses.replace(training.method.net, n_keypoints=training.method.net.stride**2, score_bias=0.0)
        filling = changed(training, Masked(net), more)
        features, before = few_labels.trained(filling, fresh(filling), "masked")
        state = with_features(state, features)
    if way == "consistency":
        method = Consistency(training.method.net, training.method, Augment.of(config), sure)
        training = changed(training, method, joined(frames, split["train"], more))
    state, seconds = few_labels.trained(training, state, way)
    return few_labels.errors_of(training, state) | {"seconds": before + seconds}


def main() -> None:
    """Trains what results.json lacks and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    few_labels.add_options(parser, labels="10,20")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--frames", type=int, default=400, help="of the videos")
    parser.add_argument("--sure", type=float, default=0.5)
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:at])
    config: ConfigDict = cli.parse(train.ENTRY_POINT, sys.argv[at + 1 :])[0].config
    frames, split = load_frames(config, Path("no/such/run"))
    config, _ = choices.choose(config, frames, split)
    more = video_frames(options.videos, options.frames, frames)
    labels, ways = [int(n) for n in options.labels.split(",")], options.ways.split(",")

    def run(way: str, n: int, seed: int) -> dict[str, float]:
        config.seed = seed
        return result(way, config, frames, few_labels.first_frames(split, n, seed, options.split), more, options.sure)

    results = few_labels.collect(options.out, ways, labels, options.seeds, run)
    few_labels.print_table(results, ways, labels, options.seeds)


if __name__ == "__main__":
    cli.set_up_process()
    try:
        main()
    except InputError as error:
        sys.exit(f"pretrain_on_videos: {error}")

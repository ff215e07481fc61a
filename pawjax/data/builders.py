"""TFDS builders for every source of labelled frames (array_record, read without TensorFlow), and their reader."""

import contextlib
import hashlib
import io
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from pawjax.data.frames import LabelledFrames
from pawjax.data.label_table import LabelTable
from pawjax.data.names import video_of
from pawjax.data.paw_on_ball import BODYPART
from pawjax.data.paw_on_ball.rendering import render_frames
from pawjax.data.pictures import THREADS, Pictures, decode_png, encode_picture
from pawjax.data.prepared import FULL
from pawjax.machine import need_memory
from pawjax.progress import track

READER_VERSION = "1.0.0"  # part of every fingerprint: bump it when the same files yield different frames
FORMAT_VERSION = "2.0.0"  # part of every cache key: bump it when the records change but the frames do not
SPLIT = "frames"
CHUNK = 64  # frames encoded ahead of the writer

Example = dict[str, object]


class FrameBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Labelled frames in a single TFDS split, 'frames', in table order.

    Features: image (PNG), keypoints float32 [A, K, 2] (x, y) px, labelled bool [A, K], id, video. The metadata holds
    bodyparts, n_animals, fingerprint, channels, the (height, width) that fits every frame, and value_range if the files
    hold 16 bits or floats.
    """

    VERSION = tfds.core.Version(FORMAT_VERSION)
    url_infos = None  # no downloads, so TFDS need not look for a checksum file beside this module

    def __init__(self, bodyparts: Sequence[str], channels: int, n_animals: int = 1, **kwargs) -> None:
        self._bodyparts = list(bodyparts)
        self._n_animals = n_animals
        self._channels = channels
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        a, k = self._n_animals, len(self._bodyparts)
        features = {
            "image": tfds.features.Image(shape=(None, None, self._channels), encoding_format="png"),
            "keypoints": tfds.features.Tensor(shape=(a, k, 2), dtype=np.float32),
            "labelled": tfds.features.Tensor(shape=(a, k), dtype=np.bool_),
            "id": tfds.features.Text(),
            "video": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Labelled frames, prepared by pawjax.",
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(bodyparts=self._bodyparts, channels=self._channels, n_animals=a),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager
        return {SPLIT: self._generate_examples()}


class _LabelledImages(FrameBuilder, skip_registration=True):
    """Images on disk, with labels from a table."""

    def __init__(self, table: LabelTable, root: Path, pictures: Pictures, fingerprint: str, **kwargs) -> None:
        self._table, self._root, self._pictures, self._fingerprint = table, root, pictures, fingerprint
        super().__init__(table.bodyparts, pictures.channels, table.n_animals, **kwargs)

    def _generate_examples(self) -> Iterator[tuple[int, Example]]:
        table, labelled = self._table, ~np.isnan(self._table.keypoints).any(axis=-1)
        keypoints = np.where(labelled[..., None], table.keypoints, 0).astype(np.float32)
        height, width = map(int, self._pictures.sizes.max(axis=0))
        value_range = self._pictures.value_range
        self.info.metadata.update(fingerprint=self._fingerprint, height=height, width=width)
        if value_range:
            self.info.metadata.update(value_range=value_range)

        def encode(row: int) -> bytes:
            return encode_picture(self._root / table.files[row], self._pictures.channels, value_range)

        rows = range(len(table.ids))
        with ThreadPoolExecutor(THREADS) as pool:
            chunks = (rows[start : start + CHUNK] for start in rows[::CHUNK])
            pngs = itertools.chain.from_iterable(pool.map(encode, chunk) for chunk in chunks)
            for row, png in enumerate(track(pngs, f"preparing {self._root.name}", len(rows))):
                frame = table.ids[row]
                yield row, _example(png, keypoints[row], labelled[row], frame, video_of(frame))


class DeepLabCut(_LabelledImages):
    """A single-animal DeepLabCut project, read by `read_deeplabcut`."""

    name = "deeplabcut"


class LightningPose(_LabelledImages):
    """A Lightning Pose data folder, read by `read_lightning_pose`."""

    name = "lightning_pose"


class PawOnBall(FrameBuilder):
    """The synthetic `paw_on_ball`: `n_frames` frames of `height` x `width` pixels, one bodypart, drawn from `seed`."""

    name = "paw_on_ball"

    def __init__(self, n_frames: int, height: int, width: int, seed: int, **kwargs) -> None:
        self._n_frames, self._scene = n_frames, {"height": height, "width": width, "seed": seed}
        super().__init__((BODYPART,), 1, **kwargs)

    def _generate_examples(self) -> Iterator[tuple[int, Example]]:
        content = hashlib.sha256(READER_VERSION.encode())
        frames = render_frames(self._n_frames, **self._scene)
        for index, frame in enumerate(track(frames, "preparing paw_on_ball", self._n_frames)):
            labelled = np.array([[frame.labelled]])
            keypoints = np.where(labelled[..., None], frame.keypoint, 0).astype(np.float32)
            frame_id = f"labeled-data/{frame.video}/img{index:04d}.png"
            content.update(frame.digest + keypoints.tobytes() + labelled.tobytes() + frame_id.encode())
            yield index, _example(frame.png, keypoints, labelled, frame_id, frame.video)
        size = {"height": self._scene["height"], "width": self._scene["width"]}
        self.info.metadata.update(fingerprint=content.hexdigest(), **size)


def _example(png: bytes, keypoints: np.ndarray, labelled: np.ndarray, frame: str, video: str) -> Example:
    return {"image": png, "keypoints": keypoints, "labelled": labelled, "id": frame, "video": video}


def write_dataset(builder: Callable[..., FrameBuilder], folder: Path) -> None:
    """Prepares builder(data_dir=folder), without output or network access. Raises OSError for a full disk."""
    tfds.disable_progress_bar()  # pawjax has its own on stderr
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints regardless of its settings
        dataset = builder(data_dir=folder)
        try:
            dataset.download_and_prepare(
                download_dir=folder / "downloads",
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            )
        except RuntimeError as error:  # array_record raises no OSError: only the text tells what happened
            number = next((number for number in FULL if os.strerror(number) in str(error)), None)
            if number is None:
                raise
            raise OSError(number, os.strerror(number)) from error
    shutil.rmtree(folder / "downloads", ignore_errors=True)


def need_memory_for_frames(n_frames: int, height: int, width: int, channels: int, fix: str) -> None:
    """Raises InputError, which ends in `fix`, if there is no memory for that many frames of that size, uint8."""
    what = f"{n_frames} frames, padded to {width}x{height},"
    need_memory(n_frames * height * width * channels, what, fix)


def read_dataset(folder: Path) -> LabelledFrames:
    """Reads the frames that `write_dataset` wrote to `folder`, decoding them in parallel threads; none is absent.

    Raises InputError if they exceed the memory.
    """
    (info,) = folder.glob("*/*/dataset_info.json")
    dataset = tfds.builder_from_directory(info.parent)
    source = dataset.as_data_source(split=SPLIT, decoders={"image": tfds.decode.SkipDecoding()})
    metadata, n = dataset.info.metadata, len(source)
    height, width, channels = metadata["height"], metadata["width"], metadata["channels"]
    a, k = metadata["n_animals"], len(metadata["bodyparts"])
    need_memory_for_frames(n, height, width, channels, "use fewer or smaller frames, or a machine with more memory")
    images = np.zeros((n, height, width, channels), np.uint8)
    sizes = np.zeros((n, 2), np.int32)
    keypoints, labelled = np.zeros((n, a, k, 2), np.float32), np.zeros((n, a, k), bool)
    ids, videos = [""] * n, [""] * n

    def read(row: int) -> None:
        record = source[row]
        pixels = decode_png(record["image"], channels)
        sizes[row] = pixels.shape[:2]
        images[row, : sizes[row, 0], : sizes[row, 1]] = pixels
        keypoints[row], labelled[row] = record["keypoints"], record["labelled"]
        ids[row], videos[row] = record["id"].decode(), record["video"].decode()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(read, range(n)))
    return LabelledFrames(
        images,
        sizes,
        keypoints,
        labelled,
        np.zeros_like(labelled),
        tuple(ids),
        tuple(videos),
        tuple(metadata["bodyparts"]),
        metadata["fingerprint"],
        tuple(metadata["value_range"]) if "value_range" in metadata else None,
    )

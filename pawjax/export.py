"""python -m pawjax.export --workdir=RUN --format=jax|onnx [--out=FILE] [--size=HEIGHTxWIDTH] [--batch=N]

Writes the network of a run, weights included, to one file that needs no pawjax: by default
RUN/export/RUN_STEP.jax or .onnx. It takes frames uint8 [batch, height, width, channels] and returns 'keypoints'
[batch, K, 2], (x, y) in pixels of these frames, and 'likelihood' [batch, K]; methods with score maps add 'covariance'
[batch, K, 2, 2] and 'second' [batch, K, 3]. FILE.json names the bodyparts, the shapes, the run and all versions.

Before it is written, the file predicts frames of the run's dev split, or of --frames=VIDEO, and must agree with the
run: keypoints to 0.01 px, likelihoods to 0.0001.

--format=jax is for CPUs and NVIDIA GPUs, and needs `pip install jax flatbuffers` where it is used:
  import jax, numpy, pathlib
  network = jax.jit(jax.export.deserialize(bytearray(pathlib.Path("FILE.jax").read_bytes())).call)
  points = network(frames)
--format=onnx needs `pip install 'pawjax[onnx]' && pip install --no-deps 'jax2onnx>=0.17'` here, and where it is used
any runtime of ONNX:
  session = onnxruntime.InferenceSession("FILE.onnx")
  keypoints, likelihood = session.run(["keypoints", "likelihood"], {"frames": frames})
"""

import itertools
import re

from absl import flags

from pawjax import cli
from pawjax.errors import InputError, warn
from pawjax.files import user_path

CHECKED = 8  # frames
LONGEST = 16_384  # px


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Exports as the flags specify. Raises InputError for user errors."""
    from pawjax.inference.exporting import (  # imported after the process is set up
        FORMATS,
        Shape,
        check_format,
        check_target,
        in_float32,
        write_export,
    )
    from pawjax.inference.run import read_run_files

    cli.no_arguments(arguments)
    size = size_of(values.size)
    files = read_run_files(user_path(values.workdir), values.data, **cli.prediction_of_flags(values))
    check_format(values.format, files)
    if values.out:
        check_target(user_path(values.out))
    frames = frames_of(files, values.frames, size)
    if values.format == "onnx" and files.config.dtype != "float32":
        warn(f"{files.workdir} computes in {files.config.dtype}; its ONNX file computes in float32")
        files = in_float32(files)
    run = files.restore(values.checkpoint)
    name = f"{run.workdir.resolve().name}_{run.step}{FORMATS[values.format].ending}"
    path = user_path(values.out) if values.out else run.workdir / "export" / name
    batch = values.batch or (1 if values.format == "onnx" else 0)
    about = write_export(run, values.format, path, Shape(batch, *frames.shape[1:]), frames)
    checked = about["checked"]
    differences = ", ".join(f"{output} {value:.2g}" for output, value in checked["largest_difference"].items())
    print(f"{path}: {about['bytes'] / 1e6:.1f} MB, agrees with the run on {checked['frames']} frames ({differences})")


def frames_of(files, video: str, size: tuple[int, int] | None):  # noqa: ANN001, ANN201
    """Frames uint8 [N, H, W, C] of a video, or of the dev split, of their own or the given (height, width).

    Raises InputError if they are missing, or of different sizes where none is given.
    """
    import numpy as np

    from pawjax.data.video import FrameReader, open_video
    from pawjax.ops.warp import resize

    channels = files.record.get("channels", 3)
    if video:
        reader = FrameReader(open_video(user_path(video)), channels)
        images = [frame.pixels for frame in itertools.islice(reader, CHECKED)]
        if not images:
            raise InputError(f"--frames={video}: no frame of it can be decoded ({reader.broken}): name another video")
    else:
        try:
            frames = files.frames()
        except InputError as error:
            raise InputError(f"{error}; or check the export with the frames of a video, --frames=VIDEO") from error
        chosen = files.split(frames)["dev"][:CHECKED]
        images = [frames.images[i, : frames.sizes[i, 0], : frames.sizes[i, 1]] for i in chosen]
    sizes = sorted({image.shape[:2] for image in images})
    if size is None and len(sizes) > 1:
        shown = ", ".join(f"{height}x{width}" for height, width in sizes)
        raise InputError(
            f"the frames of {files.workdir} have different sizes, {shown}: choose with --size=HEIGHTxWIDTH"
        )
    return np.concatenate([np.asarray(resize(image[None], *(size or sizes[0]))) for image in images])


def size_of(text: str) -> tuple[int, int] | None:
    """The (height, width) that --size names, or None. Raises InputError for anything but two numbers from 16."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    size = tuple(map(int, match.groups())) if match else (0, 0)
    if not 16 <= min(size) <= max(size) <= LONGEST:
        raise InputError(f"--size={text} must be HEIGHTxWIDTH in pixels, from 16 to {LONGEST}, e.g. 480x640")
    return size


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("workdir", None, "Run folder.", flag_values=values)
    flags.DEFINE_enum("format", "jax", ["jax", "onnx"], "Kind of file.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.", flag_values=values)
    flags.DEFINE_string("out", "", "File to write; in RUN/export if empty.", flag_values=values)
    flags.DEFINE_string(
        "size", "", "HEIGHTxWIDTH of the frames, px; as those to check with if empty.", flag_values=values
    )
    text = "Frames of a call. 0 leaves the number to the caller; ONNX then takes one, and Faster R-CNN needs a number."
    flags.DEFINE_integer("batch", 0, text, lower_bound=0, upper_bound=65_536, flag_values=values)
    text = "Check with the first frames of this video, not with those of the run's dev split."
    flags.DEFINE_string("frames", "", text, flag_values=values)
    flags.DEFINE_string("data", "", "Folder of the run's data, if it is elsewhere now.", flag_values=values)
    cli.define_prediction_flags(values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.export",
    usage=__doc__,
    examples=("python -m pawjax.export --workdir=runs/mine --format=onnx",),
    main=main,
    define_flags=define_flags,
    required=("workdir",),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)

"""A run's network, weights included, as one file that needs no pawjax: an artefact of `jax.export`, or ONNX.

A file is checked before it is written: what was made of its bytes predicts real frames like the run itself.
"""

import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from pawjax.data.batches import evaluation_batches
from pawjax.engine.runlog import params_sha256
from pawjax.errors import InputError
from pawjax.files import read_json, regular, replacing, write_json
from pawjax.inference import compiler
from pawjax.inference.points import FindPoints, make_find_points
from pawjax.inference.run import Run, RunFiles
from pawjax.machine import device_name
from pawjax.methods import Method, Variables, make_method
from pawjax.ops.chip import traced_for

PLATFORMS = ("cpu", "cuda")
TOLERANCE = {"keypoints": 0.01, "likelihood": 1e-4, "covariance": 0.01, "second": 0.01}  # px, 1, share, px
SURE = 0.01  # likelihood of a second place whose position is compared: among less likely cells rounding may choose
MEANING = {
    "keypoints": "(x, y) in pixels of the frames given; the centre of the first pixel is (0, 0)",
    "likelihood": "of each keypoint, 0..1",
    "covariance": "of each keypoint, px^2",
    "second": "(x, y, likelihood) of the next best place",
}
MOVE = "move it elsewhere, or use another --out"
Points = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of the frames: uint8 [batch, height, width, channels]; a batch of 0 leaves the number to the caller."""

    batch: int
    height: int
    width: int
    channels: int

    def dims(self, batch: Any) -> tuple:
        """(B, H, W, C), with `batch` for any number."""
        return (self.batch or batch, self.height, self.width, self.channels)


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
      ending: of its name.
      modules: that must be installed.
      install: command for the shell that installs them.
      make: (run, `make_find_points`, shape) -> the file's bytes; raises InputError if the network cannot be exported.
      load: the bytes -> uint8 frames [B, H, W, C] to points.
    """

    ending: str
    modules: tuple[str, ...]
    install: str
    make: Callable[[Run, FindPoints, Shape], bytes]
    load: Callable[[bytes], Callable[[np.ndarray], Points]]


def check_format(name: str, files: RunFiles) -> None:
    """Raises InputError if a format needs a package that is not installed, or cannot hold the run's method."""
    kind = FORMATS[name]
    if missing := [module for module in kind.modules if importlib.util.find_spec(module) is None]:
        raise InputError(f"--format={name} needs {' and '.join(missing)}, not installed here: {kind.install}")
    if name == "onnx" and type(files.method).score_maps is Method.score_maps:
        raise InputError(
            f"--format=onnx: {files.workdir} has config.method = '{files.config.method}', whose suppression of boxes "
            "jax2onnx cannot convert: use --format=jax"
        )


def in_float32(files: RunFiles) -> RunFiles:
    """The same run, computed in float32: few runtimes of ONNX have convolutions in bfloat16."""
    config = files.config.copy_and_resolve_references()
    config.dtype = "float32"
    return dataclasses.replace(files, config=config, method=make_method(config, files.bodyparts))


def check_target(path: Path) -> str:
    """The sha256 of the export at `path`, '' if there is none.

    Raises InputError if the file, or the JSON file beside it, is there but was not written by `write_export`.
    """
    about = _about(path)
    record = read_json(about, MOVE) if about.exists() else {}
    if about.exists() and not (isinstance(record, dict) and "exported_by" in record):
        raise InputError(f"{about} was not written by pawjax: {MOVE}")
    if not path.exists():
        return ""
    digest = hashlib.sha256(regular(path).read_bytes()).hexdigest()
    if digest not in (record.get("sha256"), record.get("replaced_sha256")):
        raise InputError(f"{path} was not exported by pawjax, or was changed since: {MOVE}")
    return digest


def write_export(run: Run, name: str, path: Path, shape: Shape, frames: np.ndarray) -> dict[str, Any]:
    """Exports a run, checks the result, and writes it to `path`, and what it is to `path`.json.

    Args:
      run: to export; with its settings of prediction.
      name: of the format, in `FORMATS`.
      shape: of the frames that the file takes.
      frames: uint8 [N, H, W, C] of that shape, to check it.

    Returns the content of the JSON file. Raises InputError if the network cannot be exported, the check fails, or
    `path` holds something else, see `check_target`.
    """
    replaced, find = check_target(path), make_find_points(run)
    content = FORMATS[name].make(run, find, shape)
    found = predict(FORMATS[name].load(content), frames, shape.batch)
    program = compiler.jit(find)
    expected = predict(lambda images: program(run.variables, images), frames, shape.batch)
    differences = compare(found, expected)
    if wrong := [output for output, value in differences.items() if not value <= TOLERANCE[output]]:
        raise InputError(
            f"the {name} file of {run.workdir} is not written: its {wrong[0]} differs from the run's by "
            f"{differences[wrong[0]]:.3g}, more than {TOLERANCE[wrong[0]]:g}, on {len(frames)} frames: "
            "use the other --format, and please report this"
        )
    about = _description(run, name, shape, expected) | {
        "checked": {"frames": len(frames), "device": device_name(), "largest_difference": differences},
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "replaced_sha256": replaced,  # until the new file is in place, which a kill may prevent, this one is ours too
    }
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        write_json(_about(path), about)
    return about


def predict(program: Callable[[np.ndarray], Any], frames: np.ndarray, batch: int) -> Points:
    """The points of all frames, in batches of `batch`, or in one if it is 0."""
    rows = list(evaluation_batches(len(frames), batch or len(frames)))
    results = [jax.tree.map(lambda leaf, n=n: np.asarray(leaf)[:n], program(frames[index])) for index, n in rows]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def compare(found: Points, expected: Points) -> dict[str, float]:
    """The largest difference of each output, in the units of `TOLERANCE`; infinite if one is missing or has NaN."""
    differences = {}
    for name, values in expected.items():
        apart = np.abs(found[name] - values) if name in found else np.array(np.inf)
        if name == "covariance":
            apart = apart / (1 + np.abs(values))
        if name == "second" and name in found:
            place, likelihood = apart[..., :2], apart[..., 2] * TOLERANCE["second"] / TOLERANCE["likelihood"]
            apart = np.maximum(np.where(values[..., 2:] >= SURE, place, 0).max(axis=-1), likelihood)
        differences[name] = float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max())
    return differences


def _description(run: Run, name: str, shape: Shape, points: Points) -> dict[str, Any]:
    packages = ("pawjax", "jax", "jaxlib", *(module for module in FORMATS[name].modules))
    return {
        "exported_by": "pawjax",
        "format": name,
        "bodyparts": list(run.bodyparts),
        "input": {"name": "frames", "dtype": "uint8", "shape": list(shape.dims("batch"))},
        "outputs": {
            output: {"shape": ["batch", *values.shape[1:]], "meaning": MEANING[output]}
            for output, values in sorted(points.items())
        },
        "platforms": list(PLATFORMS) if name == "jax" else ["any runtime of ONNX"],
        "run": str(run.workdir.resolve()),
        "checkpoint": run.step,
        "checkpoint_sha256": params_sha256(run.variables),
        "predict": run.config.predict.to_dict(),
        "scale": run.config.scale,
        "dtype": run.config.dtype,
        "versions": {package: _version(package) for package in packages},
    }


def _version(package: str) -> str:
    if package == "pawjax":
        import pawjax

        return pawjax.__version__
    return version(package)


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _make_jax(run: Run, find: FindPoints, shape: Shape) -> bytes:
    """One program for all `PLATFORMS`, each in its own forms, around one copy of the weights."""

    def program(frames: jax.Array) -> dict[str, jax.Array]:
        # Behind a barrier, or XLA computes for minutes, when it compiles, what depends on the weights alone.
        variables = lax.optimization_barrier(jax.tree.map(jnp.asarray, run.variables))
        return lax.platform_dependent(
            variables, frames, cpu=_traced_for("cpu", find), default=_traced_for("cuda", find)
        )

    (any_number,) = export.symbolic_shape("batch")
    frames = jax.ShapeDtypeStruct(shape.dims(any_number), np.uint8)
    try:
        return bytes(export.export(jax.jit(program), platforms=PLATFORMS)(frames).serialize())
    except jax.errors.InconclusiveDimensionOperation as error:
        raise InputError(
            f"{run.workdir}: config.method = '{run.config.method}' needs a fixed number of frames: add --batch=1"
        ) from error


def _load_jax(content: bytes) -> Callable[[np.ndarray], Points]:
    return compiler.jit(export.deserialize(bytearray(content)).call)


def _make_onnx(run: Run, find: FindPoints, shape: Shape) -> bytes:
    import jax2onnx
    import onnx

    def program(frames: jax.Array) -> list[jax.Array]:
        points = _traced_for("cuda", find)(run.variables, frames)
        return [points[name] for name in sorted(points)]

    frames = jax.ShapeDtypeStruct(shape.dims(1), np.uint8)
    names = sorted(jax.eval_shape(find, run.variables, frames))
    try:
        model = jax2onnx.to_onnx(
            program, [frames], model_name="pawjax", input_names=["frames"], output_names=names, return_mode="proto"
        )
    except Exception as error:  # of any kind: what the converter cannot take
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"jax2onnx {version('jax2onnx')} cannot convert the network of {run.workdir} ({reason}): use --format=jax"
        ) from error
    onnx.helper.set_model_props(model, {"bodyparts": json.dumps(run.bodyparts)})
    return model.SerializeToString()


def _load_onnx(content: bytes) -> Callable[[np.ndarray], Points]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda frames: dict(zip(names, session.run(names, {"frames": np.asarray(frames)}), strict=True))


def _traced_for(platform: str, find: FindPoints) -> FindPoints:
    def traced(variables: Variables, frames: jax.Array) -> dict[str, jax.Array]:
        with traced_for(platform):
            return find(variables, frames)

    return traced


# jax2onnx asks for an older orbax-checkpoint than pawjax, which it does not need for networks.
WITH_ONNX = "pip install 'pawjax[onnx]' && pip install --no-deps 'jax2onnx>=0.17'"
FORMATS = {
    "jax": Format(".jax", ("flatbuffers",), "pip install 'pawjax[export]'", _make_jax, _load_jax),
    "onnx": Format(".onnx", ("jax2onnx", "onnx", "onnxruntime"), WITH_ONNX, _make_onnx, _load_onnx),
}

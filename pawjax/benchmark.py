"""python -m pawjax.benchmark --config=configs/NAME.py --mode=train|predict|live|memory [--batch=8]
                           [--height=448 --width=448]

Times a config's network on frames in device memory: 'train' is the whole compiled step (gather, augmentation, targets,
forward, backward, update), 'predict' runs from uint8 frames to keypoints, dispatching each batch before the previous
result is fetched. Frames are random; only the time counts. 'live' is a camera loop, one frame a call: the latency from
frame to pose, median and 99th percentile, of frames that come at --fps, of which those the network has no time for are
dropped, and of frames that each come after the pose before. 'memory' runs nothing: it adds up what a training step
keeps for its backward pass and prints the largest batch for devices of 24 and 80 GB. With --turns it makes one call for
each line of standard input, to take turns with other processes. With --profile=FOLDER three more calls are traced into
the folder and summed by kind of operation.
"""

import dataclasses
import functools
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict

from pawjax import cli
from pawjax.errors import InputError

PROFILED_CALLS = 3
SHOWN_OPERATIONS = 15


class Work(NamedTuple):
    """A call to time, and its program, not yet traced, with arguments."""

    step: Callable[[], Any]
    program: Callable
    arguments: tuple


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Benchmarks as the flags specify, prints the result and writes it to --json."""
    from pawjax.config import check_config
    from pawjax.files import regular, user_path, write_json
    from pawjax.inference.flops import count_flops
    from pawjax.inference.latency import in_words
    from pawjax.machine import device_name
    from pawjax.report.profile import trace_calls

    cli.no_arguments(arguments)
    if values.json:
        regular(user_path(values.json))  # refuses a folder before anything is timed
    config = values.config
    config.batch_size = values.batch
    check_config(config)
    if values.mode == "memory":
        result = training_memory(config, values.height, values.width, values.bodyparts)
        print(", ".join(f"{name} {value}" for name, value in result.items()))
        if values.json:
            write_json(user_path(values.json), result)
        return
    if values.mode == "live":
        result = live_latency(config, values) | {"device": device_name(), "config": cli.config_name(values)}
        print(in_words(result))
        if values.json:
            write_json(user_path(values.json), result)
        return
    start = _start_training if values.mode == "train" else _start_prediction
    work = start(config, values.height, values.width, values.bodyparts)
    if values.turns:
        take_turns(work.step)
        return
    compile_seconds, seconds = time_steps(work.step, values.seconds)
    median = statistics.median(seconds)
    tflops = count_flops(work.program, *work.arguments) / median / 1e12
    result = {
        "mode": values.mode,
        "images_per_second": values.batch / median,
        "tflops": tflops,
        "seconds_per_step": {"median": median, "min": min(seconds), "max": max(seconds)},
        "n_steps": len(seconds),
        "compile_seconds": compile_seconds,
        "batch": values.batch,
        "height": values.height,
        "width": values.width,
        "device": device_name(),
        "config": cli.config_name(values),
    }
    speed = f"{result['images_per_second']:.2f} images/s, {tflops:.3g} TFLOP/s"
    print(f"{values.mode}: {speed} (step {median:.3g} s, {len(seconds)} steps)")
    if values.profile:
        result["seconds_by_operation"] = trace_calls(work.step, user_path(values.profile), PROFILED_CALLS)
        print_shares(result["seconds_by_operation"])
    if values.json:
        write_json(user_path(values.json), result)


def live_latency(config: ConfigDict, values: flags.FlagValues) -> dict[str, Any]:
    """Latencies of a camera loop; see `pawjax.inference.latency`."""
    import numpy as np

    from pawjax.inference.latency import measure
    from pawjax.inference.predictor import Predictor

    predict, images = _make_prediction(config, 1, values.height, values.width, values.bodyparts)
    predictor = Predictor(predict, tuple(map(str, range(values.bodyparts))), images.shape[-1], {})
    latencies = measure(predictor, np.asarray(images), values.fps, values.seconds)
    return {"mode": "live", **latencies, "height": values.height, "width": values.width}


def time_steps(step: Callable[[], Any], budget: float) -> tuple[float, list[float]]:
    """Seconds of the first call, which compiles, and of at least three calls that fill `budget` seconds."""
    start = time.perf_counter()
    step()
    compile_seconds = time.perf_counter() - start
    step()
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < budget:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return compile_seconds, seconds


def take_turns(step: Callable[[], Any]) -> None:
    """Makes two warm-up calls, prints 'ready', then makes a call per line of standard input and prints its seconds."""
    step(), step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


def print_shares(seconds: dict[str, float]) -> None:
    """Prints the slowest operations with their shares of the total."""
    total = sum(seconds.values())
    for operation, value in list(seconds.items())[:SHOWN_OPERATIONS]:
        print(f"{100 * value / total:5.1f} % {1000 * value:10.3f} ms  {operation}")


def training_memory(config: ConfigDict, height: int, width: int, n_bodyparts: int) -> dict[str, int]:
    """Bytes that a training step needs, from the shapes of its arrays, and the largest batches.

    'bytes_per_image': what the forward pass keeps for the backward pass. 'bytes_fixed': parameters, gradients, updates
    and the optimizer's state. A tenth of a device is left free. The compiler may need less, or more for a convolution.
    """
    import jax

    from pawjax.data.batches import as_batch
    from pawjax.losses import weighted_total
    from pawjax.methods import make_method
    from pawjax.optim import Optimizer, make_optimizer

    method = make_method(config, tuple(map(str, range(n_bodyparts))))

    def residuals(variables: Any, batch: Any) -> Any:
        def total(params: Any) -> Any:
            terms, _ = method.loss(variables | {"params": params}, batch)
            return weighted_total(terms, method.loss_weights)

        return jax.vjp(total, variables["params"])[1]

    def n_bytes(tree: Any) -> int:
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

    def batch_of(n: int) -> Any:
        return as_batch(_random_store(n, height, width, n_bodyparts)) | {"key": jax.random.split(jax.random.key(0), n)}

    batches = [jax.eval_shape(functools.partial(batch_of, n)) for n in (1, 2)]
    variables = jax.eval_shape(method.init, jax.random.key(0), batches[0])
    one, two = (n_bytes(jax.eval_shape(residuals, variables, batch)) for batch in batches)
    optimizer = make_optimizer(Optimizer.of(config))
    fixed = 3 * n_bytes(variables["params"]) + n_bytes(jax.eval_shape(optimizer.init, variables["params"]))
    largest = {f"largest_batch_{gb}_gb": int((0.9e9 * gb - fixed) // (two - one)) for gb in (24, 80)}
    return {"bytes_per_image": two - one, "bytes_fixed": fixed, **largest}


def _start_training(config: ConfigDict, height: int, width: int, n_bodyparts: int) -> Work:
    import jax
    import numpy as np

    from pawjax.engine import parallel
    from pawjax.methods import make_method
    from pawjax.optim import Optimizer, make_optimizer

    config.augment.crop = (height, width)
    method = make_method(config, tuple(map(str, range(n_bodyparts))))
    optimizer = make_optimizer(Optimizer.of(config))
    store = parallel.replicate(_random_store(2 * config.batch_size, height, width, n_bodyparts))
    options = dataclasses.replace(parallel.StepOptions.of(config), n_steps=1)

    def make_program() -> Any:
        return parallel.compile_training(config.parallel, method, optimizer, options)

    program = make_program()
    average = config.optimizer.ema_decay > 0
    state = parallel.make_state(method, optimizer, config.seed, {"image": store.image[:1]}, average)
    rates = np.full(1, 1e-3, np.float32)  # of no consequence for the time

    def step() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(program(state, store, rates))

    return Work(step, make_program(), jax.eval_shape(lambda: (state, store, rates)))


def _start_prediction(config: ConfigDict, height: int, width: int, n_bodyparts: int) -> Work:
    from pawjax.inference.stream import stream

    predict, images = _make_prediction(config, config.batch_size, height, width, n_bodyparts)
    results = stream(predict, itertools.repeat((images, len(images))), ahead=1)  # keeps the device busy
    return Work(lambda: next(results), predict.func, (*predict.args, images))


def _make_prediction(
    config: ConfigDict, n: int, height: int, width: int, n_bodyparts: int
) -> tuple[functools.partial, Any]:
    """A compiled network with its random variables, and n images for it."""
    import jax

    from pawjax.inference import compiler
    from pawjax.inference.views import make_predict
    from pawjax.methods import make_method

    if config.predict.structure:
        raise InputError(
            f"config.predict.structure = '{config.predict.structure}' needs labels, which a benchmark has none of: "
            "leave it out"
        )
    bodyparts = tuple(map(str, range(n_bodyparts)))
    method = make_method(config, bodyparts)
    images = _random_store(n, height, width, n_bodyparts).image
    variables = jax.jit(method.init)(jax.random.key(config.seed), {"image": images})
    method, variables = method.fold(variables)
    return functools.partial(compiler.jit(make_predict(method, config, bodyparts)), variables), images


def _random_store(n: int, height: int, width: int, n_bodyparts: int) -> Any:
    import jax.numpy as jnp
    import numpy as np

    from pawjax.data.batches import FrameStore

    rng = np.random.default_rng(0)
    return FrameStore(
        jnp.asarray(rng.integers(0, 256, (n, height, width, 3), np.uint8)),
        jnp.asarray(rng.uniform(0.2, 0.8, (n, 1, n_bodyparts, 2)) * (width, height), jnp.float32),
        jnp.ones((n, 1, n_bodyparts), bool),
        jnp.zeros((n, 1, n_bodyparts), bool),
        jnp.tile(jnp.array([[height, width]], jnp.int32), (n, 1)),
        jnp.tile(jnp.eye(2, 3)[None], (n, 1, 1)),
    )


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point, other than --config."""
    integer, text = (
        functools.partial(define, flag_values=values) for define in (flags.DEFINE_integer, flags.DEFINE_string)
    )
    flags.DEFINE_enum("mode", "train", ["train", "predict", "live", "memory"], "What to measure.", flag_values=values)
    integer("batch", 8, "Images per step.", lower_bound=1)
    integer("height", 448, "Height of the images, px.", lower_bound=32)
    integer("width", 448, "Width of the images, px.", lower_bound=32)
    integer("bodyparts", 4, "Number of keypoints.", lower_bound=1)
    how_long = dict(lower_bound=0.0, upper_bound=3600.0)
    flags.DEFINE_float("seconds", 20.0, "How long to measure, s.", flag_values=values, **how_long)
    rate = "Frames per second of the camera that --mode=live imitates."
    flags.DEFINE_float("fps", 30.0, rate, lower_bound=0.1, upper_bound=10_000.0, flag_values=values)
    turns = "Make one call for each line of standard input and print its seconds."
    flags.DEFINE_bool("turns", False, turns, flag_values=values)
    text("profile", "", "Output folder for a trace of three more calls.")
    text("json", "", "Output file for the result.")


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.benchmark",
    usage=__doc__,
    examples=("python -m pawjax.benchmark --config=configs/dlc_r50.py --mode=predict --batch=1",),
    main=main,
    define_flags=define_flags,
    required=("config",),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)

"""Times both forms of depthwise convolution on this CPU: shifted sums (`pawjax.ops.depthwise`) and XLA's grouped one.

    python -m tests.speed.depthwise                       # the layers of EfficientNet-Lite0 at 256 x 256, batch 8
    python -m tests.speed.depthwise --side=64 --batch=1 --calls=3

Prints, for each distinct layer, milliseconds of the forward pass and of the pass with both gradients: the median of
the calls, which alternate between the forms, and the ratio of the sums over the network. Run it on a quiet machine.
"""

import argparse
import statistics
import time
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.models.efficientnet import STEM, stages_of
from pawjax.ops import conv
from pawjax.ops.depthwise import depthwise

FORMS = {"sums": depthwise, "grouped": conv._xla_conv}


def layers_of(size: int, side: int) -> Counter:
    """{(map's side, channels, kernel, stride): number of layers} of the network's depthwise convolutions."""
    layers, side, inputs = Counter(), side // 2, STEM
    for stage, repeats, channels in stages_of(size):
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            layers[side, inputs * stage.expansion, stage.kernel, stride] += 1
            side, inputs = -(-side // stride), channels
    return layers


def works_of(form, side: int, kernel: int, stride: int) -> dict:
    """{name: compiled function of (x, kernel)}."""
    total = max(kernel - 1 - (side - 1) % stride, 0)
    padding = ((total // 2, total - total // 2),) * 2

    def forward(x, weights):
        return form(x, weights, stride, padding, 1)

    gradients = jax.grad(lambda x, weights: (forward(x, weights) ** 2).sum(), (0, 1))
    return {"forward": jax.jit(forward), "with gradients": jax.jit(gradients)}


def milliseconds(function, x, weights) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function(x, weights))
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=0, choices=[0, 1, 2, 3, 4], help="of the EfficientNet-Lite")
    parser.add_argument("--side", type=int, default=256, help="of the images, pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--calls", type=int, default=10)
    options = parser.parse_args()
    sums = Counter()
    for (side, channels, kernel, stride), count in layers_of(options.size, options.side).items():
        rng = np.random.default_rng(0)
        x = jnp.asarray(rng.standard_normal((options.batch, side, side, channels)), jnp.float32)
        weights = jnp.asarray(rng.standard_normal((kernel, kernel, 1, channels)), jnp.float32)
        works = {name: works_of(form, side, kernel, stride) for name, form in FORMS.items()}
        words = [f"{count} x {kernel}x{kernel} stride {stride}, {side}x{side}x{channels}:"]
        for work in works["sums"]:
            times = {name: [] for name in FORMS}
            for _ in range(options.calls + 1):  # the first compiles
                for name in FORMS:
                    times[name].append(milliseconds(works[name][work], x, weights))
            medians = {name: statistics.median(values[1:]) for name, values in times.items()}
            for name, value in medians.items():
                sums[work, name] += count * value
            words.append(f"{work} " + ", ".join(f"{name} {value:.2f} ms" for name, value in medians.items()) + ";")
        print(*words, flush=True)
    for work in ("forward", "with gradients"):
        ours, theirs = sums[work, "sums"], sums[work, "grouped"]
        print(f"network, {work}: sums {ours:.0f} ms, grouped {theirs:.0f} ms, ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()

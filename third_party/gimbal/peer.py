"""Iterations of the full model of GIMBAL's authors, on the file that compare.py wrote; run by the Python that has it.

It takes its orders, numbers of iterations, from standard input, one a line, and answers each with a line of JSON.
"""

import importlib
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np


def main(source: str, folder: str, target: str) -> None:
    """Draws as often as it is told; writes what it drew in float32 [N, T, K, 3] at the end."""
    sys.path.insert(0, folder)
    model = importlib.import_module("gimbal.mcmc3d_full")
    with np.load(source) as file:
        data = {name: file[name] for name in file}
    params = {
        name.removeprefix("params/"): jnp.asarray(value) for name, value in data.items() if name.startswith("params/")
    }
    params["parents"] = data["params/parents"]
    params = model.initialize_parameters(params)
    observations = jnp.asarray(data["observations"])
    frames, cameras, bodyparts = observations.shape[:3]
    outlier = jnp.broadcast_to(params["obs_outlier_probability"], (frames, cameras, bodyparts))
    key = jax.random.PRNGKey(int(data["seed"]))
    samples = model.initialize(key, params, observations, outlier, jnp.asarray(data["start"]))
    draws, accepted = [], []
    for line in sys.stdin:
        begin = time.perf_counter()
        for _ in range(int(line)):
            key, now = jax.random.split(key)
            samples = model.step(now, params, observations, outlier, samples)
            draws.append(samples["positions"])
            accepted.append(samples["hmc_log_accept_ratio"])
        jax.block_until_ready(samples)
        seconds = time.perf_counter() - begin
        share = float(np.exp(np.minimum(np.array(accepted[-int(line) :]), 0)).mean())
        print(json.dumps({"seconds": seconds, "accepted": share}), flush=True)
    np.savez(target, positions=np.array(draws))


if __name__ == "__main__":
    main(*sys.argv[1:])

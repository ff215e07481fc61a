"""Trains one run with several processes on this machine: one per group of GPUs, or several on its CPU.

    python launch/processes.py --processes=2 -- --config=configs/dlc_r101.py --workdir=runs/dlc_r101

Flags after `--` go to `python -m pawjax.train`. With GPUs, each process gets its share of CUDA_VISIBLE_DEVICES (by
default all GPUs). One process can use all GPUs of a machine: this script is for testing what several machines will do,
and for machines on which one process per GPU is faster. Ctrl-C stops all processes, after a checkpoint.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def visible_gpus() -> list[str]:
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(index) for index, line in enumerate(listed.splitlines()) if line.startswith("GPU")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("flags", nargs="+", help="flags of pawjax.train, after --")
    options = parser.parse_args()
    gpus, count = visible_gpus(), options.processes
    if count < 1 or len(gpus) % count:
        parser.error(f"--processes={count} must be positive and divide the {len(gpus)} GPUs")
    share, port = len(gpus) // count, free_port()
    started = []
    for index in range(count):
        command = [sys.executable, "-m", "pawjax.train", *options.flags, f"--coordinator=127.0.0.1:{port}"]
        command += [f"--num_processes={count}", f"--process_id={index}"]
        environment = dict(os.environ)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[index * share : (index + 1) * share])
        started.append(subprocess.Popen(command, env=environment, start_new_session=True))

    def pass_on(number: int, _: object) -> None:
        for process in started:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    return max(abs(process.wait()) for process in started)


if __name__ == "__main__":
    sys.exit(main())

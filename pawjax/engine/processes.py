"""Several processes that train one run: started together, each sees the devices of all.

The first process, number 0, is the one that writes files and speaks; all of them compute the same.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import numpy as np

from pawjax.errors import InputError

T = TypeVar("T")
LONGEST_MESSAGE = 4096  # bytes


def connect(coordinator: str, n_processes: int, process_id: int) -> None:
    """Joins the processes of a run; to be called before JAX looks for devices.

    Args:
      coordinator: HOST:PORT, an address of process 0 that all can reach; '' takes all three from a SLURM step of
        several tasks, and does nothing outside one.
      n_processes: how many there are.
      process_id: which one this is, from 0.

    Raises InputError for arguments that do not fit together, or if the processes do not find each other.
    """
    in_slurm = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1
    if not coordinator and not in_slurm:
        if n_processes > 1 or process_id >= 0:
            raise InputError("--num_processes and --process_id need --coordinator=HOST:PORT, an address of process 0")
        return
    if coordinator and not 0 <= process_id < n_processes:
        raise InputError(f"--process_id={process_id} must be one of 0 to {n_processes - 1}, --num_processes - 1")
    given = {"coordinator_address": coordinator, "num_processes": n_processes, "process_id": process_id}
    try:
        jax.distributed.initialize(**(given if coordinator else {}))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"the processes of this run do not find each other: {str(error).splitlines()[0]}") from error


def is_main() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def main_first(action: Callable[[], T]) -> T:
    """The result of `action`, which the others begin when process 0 has ended it, as with files that it prepares.

    An InputError of process 0 is raised by all.
    """
    result = main_only(action)
    return result if is_main() else action()


def main_only(action: Callable[[], T]) -> T | None:
    """Runs `action` on process 0 while the others wait; None there. An InputError is raised by all."""
    if jax.process_count() == 1:
        return action()
    from jax.experimental import multihost_utils

    result, message = None, np.zeros(LONGEST_MESSAGE, np.uint8)
    if is_main():
        try:
            result = action()
        except InputError as error:
            text = str(error).encode()[:LONGEST_MESSAGE]
            message[: len(text)] = np.frombuffer(text, np.uint8)
    heard = bytes(np.asarray(multihost_utils.broadcast_one_to_all(message))).rstrip(b"\0").decode(errors="replace")
    if heard:
        raise InputError(heard)
    return result


def any_process(flag: bool) -> bool:
    """Whether the flag is up on any process; all of them have to ask."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


@contextmanager
def ending_with_the_others() -> Iterator[None]:
    """Ends this process, with one sentence and exit code 1, when another one of the run is gone.

    At once, because JAX's own way out waits a minute for the one that will not come.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        print(
            f"pawjax: another process of this run has ended ({str(error).splitlines()[0]}): see what it said, and "
            "start all of them again; the run goes on from its last checkpoint",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)


def here(tree: Any) -> Any:
    """This process's own copy of arrays that are the same on all devices, for programs that it runs alone."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(lambda x: x.addressable_data(0), tree)

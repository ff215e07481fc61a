"""Several processes that train one run; each can address the devices of all.

All compute the same; only process 0 writes files and prints.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import numpy as np

from pawjax.errors import InputError, mute_warnings

T = TypeVar("T")
LONGEST_MESSAGE = 4096  # bytes


def connect(coordinator: str, n_processes: int, process_id: int) -> None:
    """Joins the processes of a run. Call it before JAX initializes its devices.

    Args:
      coordinator: HOST:PORT of process 0, reachable by all; '' takes all three arguments from a SLURM step of several
        tasks, and does nothing elsewhere.
      n_processes: number of processes.
      process_id: index of this process, from 0.

    Raises InputError for inconsistent arguments, or if the processes cannot connect.
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
        raise InputError(f"the processes of this run cannot connect: {str(error).splitlines()[0]}") from error
    if not is_main():
        mute_warnings()


def is_main() -> bool:
    """Whether this is process 0, which writes files."""
    return jax.process_index() == 0


def main_first(action: Callable[[], T]) -> T:
    """The result of `action`, which the others start after process 0 has finished, e.g. to read files it prepares.

    An InputError of process 0 is raised on all.
    """
    result = main_only(action)
    return result if is_main() else action()


def main_only(action: Callable[[], T]) -> T | None:
    """Runs `action` on process 0 while the others wait and return None. An InputError is raised on all."""
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
    received = bytes(np.asarray(multihost_utils.broadcast_one_to_all(message))).rstrip(b"\0").decode(errors="replace")
    if received:
        raise InputError(received)
    return result


def of_main(values: np.ndarray) -> np.ndarray:
    """The values of process 0; all of them must call this."""
    if jax.process_count() == 1:
        return values
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(values))


def any_process(flag: bool) -> bool:
    """Whether `flag` is true on any process; all of them must call this."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


@contextmanager
def ending_with_the_others() -> Iterator[None]:
    """Exits with a message and code 1 if another process of the run has ended.

    It exits at once, because JAX's own shutdown waits a minute for the missing process.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        print(
            f"pawjax: another process of this run has ended ({str(error).splitlines()[0]}): see its output, and "
            "start all of them again; the run resumes from its last checkpoint",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)


def here(tree: Any) -> Any:
    """This process's copy of arrays replicated on all devices, for programs that only it runs."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(lambda x: x.addressable_data(0), tree)

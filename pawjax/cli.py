"""What all doors share: the process is set up before JAX starts, and bad input ends in one sentence and exit code 2."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from pawjax.errors import InputError

# Huge pages for large buffers, never given back: on a CPU, page faults cost memory-bound steps 15 % and more.
_ALLOCATOR = ":".join(
    f"glibc.malloc.{name}" for name in ("hugetlb=1", "trim_threshold=100000000000", "mmap_threshold=100000000000")
)


def run(main: Callable[[list[str]], None]) -> None:
    """Runs a door's main(arguments) and exits: 0, or 2 after one sentence on stderr for bad input."""
    _tune_allocator()
    logging.set_verbosity(logging.ERROR)  # Orbax and TFDS tell much that nobody asked for

    def set_up(argv: list[str]) -> int:
        _set_up_jax()
        return guarded(main, argv[1:])

    app.run(set_up, flags_parser=_parse)


def guarded(main: Callable[[list[str]], None], arguments: list[str]) -> int:
    """The exit code of main(arguments): 0, or 2 after one sentence on stderr for bad input or a path's trouble."""
    try:
        main(arguments)
    except InputError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None:  # not a path of the user's
            raise
        return _fail(f"{error.filename}: {error.strerror}")
    return 0


def no_arguments(arguments: list[str]) -> None:
    """Raises InputError for words that are not flags."""
    if arguments:
        raise InputError(f"'{arguments[0]}' is not a flag: flags are written --name=value")


def chosen_config() -> ConfigDict:
    """The config that --config names. Raises InputError where there is no such file."""
    name = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]
    if not Path(name).is_file():
        raise InputError(f"--config={name}: there is no such file; the experiments lie in configs/")
    return flags.FLAGS.config


def use_deterministic_operations() -> None:
    """GPUs take only operations that give the same bits every time, and choose no algorithm by its time.

    To be called before JAX looks for devices.
    """
    flags = "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"
    os.environ["XLA_FLAGS"] = " ".join(filter(None, [os.environ.get("XLA_FLAGS"), flags]))


def _parse(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(_last_of_each(argv))
    except (AttributeError, KeyError) as error:  # a config field that is not there
        reason = error.args[0]
        message = f"unknown config field: {reason.args[0] if isinstance(reason, KeyError) else reason}"
    except (flags.Error, OSError, ValueError, TypeError) as error:
        message, _, trace = str(error).partition("Traceback (most recent call last):")
        if trace:  # of a config file: what it raised, without the name of its class
            message += re.sub(r"^[\w.]+: ", "", trace.strip().splitlines()[-1])
    sys.exit(_fail(re.sub(r"\s+", " ", message)))


def _last_of_each(argv: list[str]) -> list[str]:
    """Of a config field given several times the last word: tuples would be joined, and other fields are not either."""
    last = {word.partition("=")[0]: place for place, word in enumerate(argv) if re.match(r"--config\.[^=]+=", word)}
    return [word for place, word in enumerate(argv) if last.get(word.partition("=")[0], place) == place]


def _fail(message: str) -> int:
    print(f"pawjax: {message}", file=sys.stderr)
    return 2


def _tune_allocator() -> None:
    """Starts the same command again under glibc's huge-page allocator, which must be set before a process begins."""
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ or not sys.orig_argv[1:]:
        return
    os.environ["GLIBC_TUNABLES"] = _ALLOCATOR
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _set_up_jax() -> None:
    import jax  # after the allocator is set

    from pawjax.machine import cache_root, n_processors

    # A CPU's program is cut for as many processors as its process may use, which JAX's key to the cache does not name.
    jax.config.update("jax_compilation_cache_dir", str(cache_root() / "xla" / f"{n_processors()}-processors"))
    # A CPU's buffers are then allocated by this thread. What another thread frees, gigabytes a step, glibc gives back.
    jax.config.update("jax_cpu_enable_async_dispatch", False)

"""What the entry points share: flags and help, process setup before JAX starts, and messages for user errors.

On Linux an entry point restarts its own command once, because glibc reads its allocator settings when a process starts.
The environment variable PAWJAX_NO_REEXEC=1 prevents that, for debuggers and coverage tools; training on a CPU is then
slower.
"""

import dataclasses
import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from pawjax import arguments
from pawjax.errors import InputError
from pawjax.interruptions import MAKE_ROOM, STOPPED, disk_error, stopping_at_once

# Large buffers get huge pages and are never returned: on a CPU, page faults cost memory-bound steps 15 % or more.
_ALLOCATOR = ":".join(
    f"glibc.malloc.{name}" for name in ("hugetlb=1", "trim_threshold=100000000000", "mmap_threshold=100000000000")
)
READER_LEFT = 141  # 128 + SIGPIPE
_HELP = ("--help", "-help", "-h", "--helpshort", "-helpshort", "-?")
# The fields of config.predict, in their order in the name of an evaluation's folder. They are repeated here so that
# --help does not import JAX.
PREDICTION = {
    "decode": (str, "How to locate a keypoint within a cell of the score maps: locref, votes, soft_argmax or taylor."),
    "structure": (str, "tree: choose the places of all bodyparts together, as the training labels have them."),
    "proposals": (int, "Number of regions that a detector's head classifies."),
    "flip": (bool, "Also predict from the mirrored frames."),
    "temperature": (
        float,
        "Divide the logits of the likelihoods by this; 0: as fitted on dev, with a bias.",
    ),
    "bias": (float, "Add this to the logits of the likelihoods, after --temperature."),
    "scales": (tuple, "Predict from the frames at each of these scales, e.g. 0.8,1,1.25."),
}
_VALUES = {"config object": "FILE", "comma separated list of strings": "A,B,..."}  # placeholders in the help
_VALUES |= {"string": "TEXT", "int": "N", "float": "X"}
_INDENT = 6 * " "


@dataclasses.dataclass(frozen=True)
class EntryPoint:
    """An entry point.

    Attributes:
      command: what a user types, e.g. 'python -m pawjax.train'.
      usage: the text above the flags in --help, its module's docstring.
      examples: commands to start with.
      main: runs it, given the flags and the arguments that are not flags.
      define_flags: defines its flags, other than --config.
      required: names of the flags that must be given; 'config' is defined automatically.
      renamed: {old flag: what to write instead}.
      configs: the module whose `default_config` its configs start from.
      config_help: what --help says of --config.
      prepare: changes the words before they are parsed.
    """

    command: str
    usage: str
    examples: Sequence[str]
    main: Callable[[flags.FlagValues, list[str]], None]
    define_flags: Callable[[flags.FlagValues], None]
    required: Sequence[str]
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    configs: str = "pawjax.config"
    config_help: str = (
        "configs/NAME.py, or configs/NAME.py:smoke for its one-minute version; of a run also RUN/config.json."
    )
    prepare: Callable[[list[str]], list[str]] = list

    @property
    def has_config(self) -> bool:
        """Whether there is a flag --config."""
        return "config" in self.required or self.configs != EntryPoint.configs


def run(entry_point: EntryPoint) -> None:
    """Runs an entry point with the command line and exits with the code of `guarded`."""
    if _asks_for_help(sys.argv[1:]):
        sys.exit(call(entry_point, sys.argv[1:]))
    restart_with_allocator()
    for stream in (sys.stdout, sys.stderr):  # names of files may hold what the terminal's encoding does not
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")
    sys.exit(guarded(lambda: _run(entry_point)))


def _run(entry_point: EntryPoint) -> None:
    logging.set_verbosity(logging.ERROR)  # Orbax and TFDS log a lot that users do not need

    def define_and_parse(argv: list[str]) -> list[str]:
        return _parse(entry_point, flags.FLAGS, _define_flags(entry_point, flags.FLAGS, argv))

    def set_up_and_do(words: list[str]) -> None:
        _set_up_jax()
        entry_point.main(flags.FLAGS, words[1:])

    app.run(set_up_and_do, flags_parser=define_and_parse)


def call(entry_point: EntryPoint, words: list[str]) -> int:
    """Runs an entry point within this process, leaving JAX as it is set up, and returns its exit code."""
    if _asks_for_help(words):
        print(help_text(entry_point))
        return 0

    def parse_and_do() -> None:
        entry_point.main(*parse(entry_point, words))

    return guarded(parse_and_do)


def parse(entry_point: EntryPoint, words: list[str]) -> tuple[flags.FlagValues, list[str]]:
    """The flags that the words set, and the other words. Raises InputError for a wrong or missing flag."""
    values = flags.FlagValues()
    argv = _define_flags(entry_point, values, [entry_point.command, *words])
    return values, _parse(entry_point, values, argv)[1:]


def guarded(action: Callable[[], None]) -> int:
    """Runs an action and returns its exit code.

    0, or after a message on stderr 2 for a user error, a bad path or a disk that takes no more, and 3 for a signal. 141
    is for a reader of stdout that has left, e.g. `head`, as a shell has it.
    """
    stopped = bool  # False until there is the real one
    try:
        with stopping_at_once() as stopped:
            action()
    except InputError as error:
        return _fail(str(error))
    except KeyboardInterrupt:  # already announced
        return STOPPED
    except BrokenPipeError:
        _discard_stdout()
        return READER_LEFT
    except Exception as error:
        if stopped():  # a library made something else of KeyboardInterrupt
            return STOPPED
        path = error.filename if isinstance(error, OSError) else None
        words = disk_error(error)
        if path is None and not words:  # neither about a user's path nor about the disk
            raise
        reason = f"{words}: {MAKE_ROOM}" if words else error.strerror
        return _fail(f"{path}: {reason}" if path is not None else reason)
    return STOPPED if stopped() else 0


def help_text(entry_point: EntryPoint) -> str:
    """The help of an entry point: its usage, its own flags with their defaults, and its examples."""
    values = flags.FlagValues()
    _define_flags(entry_point, values, [entry_point.command])
    lines = [entry_point.usage.strip(), "", "Flags:"]
    for name in values:
        flag = values[name]
        choices = "|".join(getattr(flag.parser, "enum_values", ()))
        words = f"--[no]{name}" if flag.boolean else f"--{name}={choices or _VALUES[flag.flag_type()]}"
        default = str(flag.default).lower() if flag.boolean else flag.default
        default = "none" if default in (None, "", []) else default
        lines.append(f"  {words}  ({'required' if name in entry_point.required else f'default: {default}'})")
        lines += textwrap.wrap(flag.help.split(">: ")[-1], 100, initial_indent=_INDENT, subsequent_indent=_INDENT)
    lines += ["  --helpfull", "      Also list the flags of all libraries.", "", "Examples:"]
    return "\n".join(lines + [f"  {example}" for example in entry_point.examples])


def no_arguments(words: list[str]) -> None:
    """Raises InputError for words that are not flags."""
    if words:
        raise InputError(f"'{words[0]}' is not a flag: flags are written --name=value")


def config_name(values: flags.FlagValues) -> str:
    """What the user wrote after --config=."""
    return config_flags.get_config_filename(values["config"]).partition(":")[2]


def define_prediction_flags(values: flags.FlagValues) -> None:
    """Defines a flag for each field of `config.predict`; without it the run's own value is used."""
    define = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    define |= {bool: flags.DEFINE_bool, tuple: flags.DEFINE_list}
    for name, (kind, meaning) in PREDICTION.items():
        define[kind](name, None, f"{meaning} Default: as in the run's config.", flag_values=values)


def prediction_of_flags(values: flags.FlagValues) -> dict[str, Any]:
    """The fields of `config.predict` that flags set. Raises InputError for a list that holds anything but numbers."""
    fields = {name: values[name].value for name in PREDICTION if values[name].value not in (None, [])}
    for name, value in fields.items():
        if isinstance(value, list):
            try:
                fields[name] = tuple(map(float, value))
            except ValueError as error:
                raise InputError(f"--{name}={','.join(value)} must be numbers, e.g. 0.8,1,1.25") from error
    return fields


def use_deterministic_operations() -> None:
    """Restricts GPUs to bitwise reproducible operations, without autotuning.

    Must be called before JAX initializes its devices.
    """
    options = "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"
    os.environ["XLA_FLAGS"] = " ".join(filter(None, [os.environ.get("XLA_FLAGS"), options]))


def set_up_process() -> None:
    """Sets this process up as `run` does, for a script that trains or predicts within it.

    Without it a step of training takes about twice as long on a CPU. Must be called before JAX is used.
    """
    restart_with_allocator()
    _set_up_jax()


def restart_with_allocator() -> None:
    """Replaces this process with the same command under glibc's huge-page allocator; see the module's docstring."""
    if os.environ.get("PAWJAX_NO_REEXEC") == "1" or "GLIBC_TUNABLES" in os.environ:
        return
    if sys.platform == "linux" and sys.orig_argv[1:]:
        os.environ["GLIBC_TUNABLES"] = _ALLOCATOR
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _define_flags(entry_point: EntryPoint, values: flags.FlagValues, argv: list[str]) -> list[str]:
    """Defines the flags and returns the words to parse. Raises InputError for a wrong flag file."""
    if bad := [word for word in argv if "\0" in word]:
        raise InputError(f"{bad[0]!r} contains the character NUL, which no name of a file may: remove it")
    argv = arguments.with_loader(entry_point.prepare(arguments.expanded(argv)))
    if entry_point.has_config:
        config_flags.DEFINE_config_file("config", None, entry_point.config_help, flag_values=values, sys_argv=argv)
    entry_point.define_flags(values)
    return argv


def _parse(entry_point: EntryPoint, values: flags.FlagValues, argv: list[str]) -> list[str]:
    """Sets the flags and returns the other arguments. Raises InputError for a wrong or missing flag."""
    if entry_point.has_config and not any(re.match("--?config(=.|$)", word) for word in argv):
        _require(entry_point, values)
    arguments.check_fields(argv, entry_point.configs)
    own = flags.FlagValues()
    entry_point.define_flags(own)
    configs = entry_point.configs if entry_point.has_config else ""
    words = arguments.read(values, argv, list(own), entry_point.renamed, configs)
    _require(entry_point, values)
    return words


def _require(entry_point: EntryPoint, values: flags.FlagValues) -> None:
    """Raises InputError if a required flag is missing."""
    if missing := [name for name in entry_point.required if values[name].value in (None, "")]:
        examples = "".join(f"\n  {example}" for example in entry_point.examples)
        raise InputError(f"{entry_point.command} needs --{missing[0]}, for example:{examples}")


def _asks_for_help(words: list[str]) -> bool:
    return any(word in _HELP for word in words)


def _fail(message: str) -> int:
    print(f"pawjax: {message}", file=sys.stderr)
    return 2


def _discard_stdout() -> None:
    """Sends what is left to print nowhere, so that Python does not fail to print it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _set_up_jax() -> None:
    import jax  # after the allocator is set

    from pawjax.machine import use_compilation_cache

    use_compilation_cache()
    # Synchronous dispatch keeps allocation on this thread, so that glibc reuses buffers. It returns what another
    # thread frees, gigabytes in a step, to the operating system.
    jax.config.update("jax_cpu_enable_async_dispatch", False)

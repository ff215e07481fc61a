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
from pathlib import Path
from typing import Any

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from pawjax.config_history import explain_old_field
from pawjax.errors import InputError

# Large buffers get huge pages and are never returned: on a CPU, page faults cost memory-bound steps 15 % or more.
_ALLOCATOR = ":".join(
    f"glibc.malloc.{name}" for name in ("hugetlb=1", "trim_threshold=100000000000", "mmap_threshold=100000000000")
)
_HELP = ("--help", "-help", "-h", "--helpshort", "-helpshort", "-?")
# The fields of config.predict, in their order in the name of an evaluation's folder. They are repeated here so that
# --help does not import JAX.
PREDICTION = {
    "decode": (str, "How to locate a keypoint within a cell of the score maps: locref, votes, soft_argmax or taylor."),
    "proposals": (int, "Number of regions that a detector's head classifies."),
    "flip": (bool, "Also predict from the mirrored frames."),
    "temperature": (float, "Divide the logits of the likelihoods by this."),
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
    """

    command: str
    usage: str
    examples: Sequence[str]
    main: Callable[[flags.FlagValues, list[str]], None]
    define_flags: Callable[[flags.FlagValues], None]
    required: Sequence[str]
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)


def run(entry_point: EntryPoint) -> None:
    """Runs an entry point with the command line and exits with 0, or with 2 after a message on stderr."""
    if _asks_for_help(sys.argv[1:]):
        sys.exit(call(entry_point, sys.argv[1:]))
    restart_with_allocator()
    logging.set_verbosity(logging.ERROR)  # Orbax and TFDS log a lot that users do not need
    _define_flags(entry_point, flags.FLAGS, sys.argv)

    def set_up(words: list[str]) -> int:
        _set_up_jax()
        return guarded(lambda: entry_point.main(flags.FLAGS, words[1:]))

    def parse_or_exit(argv: list[str]) -> list[str]:
        try:
            return _parse(entry_point, flags.FLAGS, argv)
        except InputError as error:
            sys.exit(_fail(str(error)))

    app.run(set_up, flags_parser=parse_or_exit)


def call(entry_point: EntryPoint, arguments: list[str]) -> int:
    """Runs an entry point within this process, leaving JAX as it is set up, and returns its exit code."""
    if _asks_for_help(arguments):
        print(help_text(entry_point))
        return 0

    def parse_and_do() -> None:
        values, words = parse(entry_point, arguments)
        entry_point.main(values, words)

    return guarded(parse_and_do)


def parse(entry_point: EntryPoint, arguments: list[str]) -> tuple[flags.FlagValues, list[str]]:
    """The flags that `arguments` set, and the other arguments. Raises InputError for a wrong or missing flag."""
    values, argv = flags.FlagValues(), [entry_point.command, *arguments]
    _define_flags(entry_point, values, argv)
    return values, _parse(entry_point, values, argv)[1:]


def guarded(action: Callable[[], None]) -> int:
    """Runs an action and returns its exit code: 0, or 2 after a message on stderr for a user error or a bad path."""
    try:
        action()
    except InputError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None:  # not about a user's path
            raise
        return _fail(f"{error.filename}: {error.strerror}")
    return 0


def help_text(entry_point: EntryPoint) -> str:
    """The help of an entry point: its usage, its own flags with their defaults, and its examples."""
    values = flags.FlagValues()
    _define_flags(entry_point, values, [entry_point.command])
    lines = [entry_point.usage.strip(), "", "Flags:"]
    for name in values:
        flag = values[name]
        choices = "|".join(getattr(flag.parser, "enum_values", ()))
        words = f"--[no]{name}" if flag.boolean else f"--{name}={choices or _VALUES[flag.flag_type()]}"
        default = "none" if flag.default in (None, "") else str(flag.default).lower()
        lines.append(f"  {words}  ({'required' if name in entry_point.required else f'default: {default}'})")
        lines += textwrap.wrap(flag.help.split(">: ")[-1], 100, initial_indent=_INDENT, subsequent_indent=_INDENT)
    lines += ["  --helpfull", "      Also list the flags of all libraries.", "", "Examples:"]
    return "\n".join(lines + [f"  {example}" for example in entry_point.examples])


def no_arguments(arguments: list[str]) -> None:
    """Raises InputError for arguments that are not flags."""
    if arguments:
        raise InputError(f"'{arguments[0]}' is not a flag: flags are written --name=value")


def chosen_config(values: flags.FlagValues) -> ConfigDict:
    """The config that --config names. Raises InputError if there is no such file."""
    name = config_flags.get_config_filename(values["config"]).partition(":")[0]
    if not Path(name).is_file():
        raise InputError(f"--config={name}: no such file; experiments are in configs/")
    return values.config


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


def restart_with_allocator() -> None:
    """Replaces this process with the same command under glibc's huge-page allocator; see the module's docstring."""
    if os.environ.get("PAWJAX_NO_REEXEC") == "1" or "GLIBC_TUNABLES" in os.environ:
        return
    if sys.platform == "linux" and sys.orig_argv[1:]:
        os.environ["GLIBC_TUNABLES"] = _ALLOCATOR
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _define_flags(entry_point: EntryPoint, values: flags.FlagValues, argv: list[str]) -> None:
    if "config" in entry_point.required:
        text = "Experiment: configs/NAME.py, or configs/NAME.py:smoke for its one-minute version."
        config_flags.DEFINE_config_file("config", None, text, flag_values=values, sys_argv=argv)
    entry_point.define_flags(values)


def _parse(entry_point: EntryPoint, values: flags.FlagValues, argv: list[str]) -> list[str]:
    """Sets the flags and returns the other arguments. Raises InputError for a wrong or missing flag."""
    if old := next(filter(None, map(explain_old_field, argv)), ""):
        raise InputError(old)
    if bad := [word for word in argv if "\0" in word]:
        raise InputError(f"{bad[0]!r} contains the character NUL, which no name of a file may: remove it")
    try:
        words = values(_last_of_each(argv))
    except flags.UnrecognizedFlagError as error:
        if error.flagname in entry_point.renamed:
            raise InputError(f"--{error.flagname} was renamed: write {entry_point.renamed[error.flagname]}") from error
        if error.flagname.startswith("config."):
            _require(entry_point, values)
        raise InputError(str(error)) from error
    except (AttributeError, KeyError) as error:  # a config field that does not exist
        reason = error.args[0]
        message = f"unknown config field: {reason.args[0] if isinstance(reason, KeyError) else reason}"
        raise InputError(re.sub(r"\s+", " ", message)) from error
    except (flags.Error, OSError, ValueError, TypeError) as error:
        message, _, trace = str(error).partition("Traceback (most recent call last):")
        if trace:  # raised by a config file: its message, without the name of the exception
            message += re.sub(r"^[\w.]+: ", "", trace.strip().splitlines()[-1])
        raise InputError(re.sub(r"\s+", " ", message)) from error
    except Exception as error:  # raised by the code of a config file
        raise InputError(f"the file of --config cannot be run: {type(error).__name__}: {error}") from error
    _require(entry_point, values)
    return words


def _require(entry_point: EntryPoint, values: flags.FlagValues) -> None:
    """Raises InputError if a required flag is missing."""
    if missing := [name for name in entry_point.required if values[name].value in (None, "")]:
        examples = "".join(f"\n  {example}" for example in entry_point.examples)
        raise InputError(f"{entry_point.command} needs --{missing[0]}, for example:{examples}")


def _last_of_each(argv: list[str]) -> list[str]:
    """Keeps the last of several values for a config field, as for other flags; tuples would be joined."""
    last = {word.partition("=")[0]: place for place, word in enumerate(argv) if re.match(r"--config\.[^=]+=", word)}
    return [word for place, word in enumerate(argv) if last.get(word.partition("=")[0], place) == place]


def _asks_for_help(arguments: list[str]) -> bool:
    return any(word in _HELP for word in arguments)


def _fail(message: str) -> int:
    print(f"pawjax: {message}", file=sys.stderr)
    return 2


def _set_up_jax() -> None:
    import jax  # after the allocator is set

    from pawjax.machine import compilation_cache

    jax.config.update("jax_compilation_cache_dir", str(compilation_cache()))
    # Synchronous dispatch keeps allocation on this thread, so that glibc reuses buffers. It returns what another
    # thread frees, gigabytes in a step, to the operating system.
    jax.config.update("jax_cpu_enable_async_dispatch", False)

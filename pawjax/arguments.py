"""From the words of a command line to flags: flag files, config fields, and one sentence for every mistake."""

import math
import re
from collections.abc import Mapping, Sequence
from importlib import import_module

from absl import flags

from pawjax import config_file
from pawjax.config_history import explain_old_field, flat
from pawjax.errors import LONGEST, InputError, did_you_mean
from pawjax.files import regular, user_path

FIELD = re.compile(r"--?(no)?config\.([^=]+)")  # a word that sets a field of the config
FLAG_FILE = re.compile(r"--?flagfile(?:=(.*))?", re.DOTALL)
VALUES = {  # how absl and Python begin to say that a value is wrong, and what they mean
    "('Non-boolean argument": "must be true or false",
    "invalid literal for int()": "must be a whole number",
    "could not convert string to float": "must be a number",
}


def expanded(argv: Sequence[str]) -> list[str]:
    """The words, with those of flag files in the place of --flagfile=FILE. Raises InputError for a wrong file."""
    words, rest, read = [], list(argv), set()
    while rest:
        word = rest.pop(0)
        match = FLAG_FILE.fullmatch(word)
        if word == "--":  # what follows is not a flag
            return [*words, word, *rest]
        if not match:
            words.append(word)
            continue
        name = rest.pop(0) if match[1] is None and rest else match[1] or ""
        path = regular(user_path(name))
        if path in read:
            raise InputError(f"--flagfile={name} is named twice, or names itself: name it once")
        read.add(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
            raise InputError(
                f"--flagfile={name} cannot be read ({reason}): give a file with one flag a line"
            ) from error
        lines = [line.strip() for line in text.splitlines()]
        rest = [line for line in lines if line and not line.startswith(("#", "//"))] + rest
    return words


def with_loader(argv: Sequence[str]) -> list[str]:
    """The words, with `pawjax.config_file` in front of the value of --config, and the last value of each field.

    ml_collections would join several values of a tuple.
    """
    loader, words = f"{config_file.__file__}:", list(argv)
    for place, word in enumerate(words):
        name, is_set, value = word.partition("=")
        if name in ("--config", "-config") and is_set and value:
            words[place] = f"--config={loader}{value}"
        elif name in ("--config", "-config") and not is_set and place + 1 < len(words):
            words[place + 1] = loader + words[place + 1]
    last = {word.partition("=")[0]: place for place, word in enumerate(words) if re.match(r"--config\.[^=]+=", word)}
    return [word for place, word in enumerate(words) if last.get(word.partition("=")[0], place) == place]


def check_fields(argv: Sequence[str], configs: str = "pawjax.config") -> None:
    """Raises InputError for a word that sets a config field that does not exist, was renamed, or is a section.

    `configs` is the module whose `default_config` has all fields.
    """
    if old := next(filter(None, map(explain_old_field, argv)), ""):
        raise InputError(old)
    named = [match for match in map(FIELD.match, argv) if match]
    fields = _fields(configs) if named else {}
    for negated, name in (match.groups() for match in named):
        if name not in fields:
            if any(field.startswith(f"{name}.") for field in fields):
                raise InputError(f"config.{name} is a section: set its fields, as --config.{name}.FIELD=VALUE")
            file = f"{configs.replace('.', '/')}.py"
            hint = did_you_mean(name, list(fields), f"{file} says where the fields are listed")
            raise InputError(f"there is no config field '{name}'; {hint}")
        if negated and not isinstance(fields[name], bool):
            raise InputError(f"config.{name} is not true or false: write --config.{name}=VALUE")


def read(
    values: flags.FlagValues, argv: Sequence[str], own: Sequence[str], renamed: Mapping[str, str], configs: str
) -> list[str]:
    """Sets the flags and returns the other words, argv[0] first.

    Args:
      values: all flags.
      argv: the words, after `with_loader` and `check_fields`.
      own: names of the flags to suggest.
      renamed: {old flag: what to write instead}.
      configs: the module whose `default_config` has all fields; '' if there is no config.

    Raises InputError for an unknown flag or a wrong value.
    """
    try:
        words = values(argv)
    except flags.UnrecognizedFlagError as error:
        raise InputError(_about_unknown(error.flagname, own, renamed, configs)) from error
    except Exception as error:  # flags.Error, and what parsers of values raise
        raise InputError(_about_value(error)) from error
    for name in own:
        if isinstance(values[name].value, float) and not math.isfinite(values[name].value):
            raise InputError(f"--{name}={values[name].value} must be finite")
    return words


def _about_unknown(name: str, own: Sequence[str], renamed: Mapping[str, str], configs: str) -> str:
    if name in renamed:
        return f"--{name} was renamed: write {renamed[name]}"
    if configs and (fields := [field for field in _fields(configs) if field.rpartition(".")[2] == name]):
        return f"there is no flag --{name}: write {' or '.join(f'--config.{field}=VALUE' for field in fields)}"
    return f"there is no flag --{name}; {did_you_mean(name, own, '--help lists the flags')}"


def _about_value(error: BaseException) -> str:
    """The sentence of the InputError that caused this error, or what absl says, in plain words."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, InputError) and "Traceback" not in str(cause):  # not one that ml_collections made of it
            return str(cause)
        cause = cause.__context__
    message = re.sub(r"\s+", " ", str(error))
    if match := re.fullmatch(r"flag --([\w.]+)=(.*?): (.*)", message):
        words = next((words for start, words in VALUES.items() if match[3].startswith(start)), "")
        setting = f"--{match[1]}={match[2][:LONGEST]}"
        return f"{setting} {words}" if words else f"{setting}: {match[3][:LONGEST]}"
    return message


def _fields(configs: str) -> dict[str, object]:
    """{full name: default} of the fields of `default_config` of a module."""
    return dict(flat(import_module(configs).default_config().to_dict()))  # imports JAX

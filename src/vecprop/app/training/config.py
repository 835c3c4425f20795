"""The options of ``vecprop train``: checked, and as the request for a model and the files to write."""

import csv
import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Self

from ...tables.kinds.ambiguities import Asked
from ...tables.reading.file_lists import existing
from ...tables.streaming.memory_plan import as_bytes
from ...terminal.errors import UsageError
from ...terminal.output_files import FOREIGN, RunFiles, beside, named_after, require_ending, writable
from .dividing import Request, Split

SETTINGS = {
    "loss": "loss",
    "quantile": "quantile",
    "hidden_layer_sizes": "hidden_layer_sizes",
    "activation": "activation",
    "dropout": "dropout",
    "weight_decay": "weight_decay",
    "label_smoothing": "label_smoothing",
    "class_weight": "class_weight",
    "threshold": "threshold",
    "positive": "positive",
    "learning_rate_init": "learning_rate_init",
    "batch_size": "batch_size",
    "max_iter": "max_iter",
    "n_iter_no_change": "n_iter_no_change",
    "ensemble": "n_members",
    "threads": "n_jobs",
    "stages": "stages",
    "budget": "budget",
}
"""The estimator's setting for each option."""
OPTIONS = {
    "numbers": "number",
    "categories": "category",
    "codes": "code",
    "dates": "date",
    "text": "text",
    "ignore": "ignore",
}
"""The kind of the columns that each option names."""
PASSING = {"config", "force", "replace_interrupted", "debug", "quiet", "as_json", "workers"}
"""Options that do not change the result, and are not written."""


@dataclass(frozen=True)
class TrainConfig:
    """What is to be trained on what, and the files to write.

    Parameters
    ----------
    options : dict
        The options as they were given, and their defaults.
    """

    options: dict[str, Any]
    request: Request
    files: RunFiles
    checkpoint: Path | None
    workers: str | None
    threads: int | None
    refit: bool
    replace_interrupted: bool
    force: bool
    as_json: bool
    quiet: bool

    @classmethod
    def from_options(cls, options: Mapping[str, Any], of_file: Collection[str] = ()) -> Self:
        """Return it, or refuse options that do not fit together.

        Parameters
        ----------
        of_file : collection of str
            The options among "budget" and "stages" that a file of ``--config`` has given, and not the command line.
        """
        options = dict(options)
        _settle_time(options, of_file)
        _require_to_fit(options)
        table, test, seed = options["table"], options["test"], options["seed"]
        output = writable(options["output"] or named_after(existing(table)), True, table, test)
        if output.suffix.lower() in FOREIGN:
            require_ending(output, "-o", ".npz")
        files = RunFiles(output, beside(output, ".toml"), options["report"])
        asked, size = asked_of(options), options["test_size"]
        share = 0.0 if options["cv"] is not None else 0.2 if size is None else size
        request = Request(
            table,
            options["target"],
            Split(share, options["group"], options["time"], seed, asked),
            test,
            options["task"],
            options["weight"],
            settings_of(options) | given(asked),
            several_names(options["classes"]),
            options["cv"],
            _checked_memory(options["memory"]),
        )
        names = ("checkpoint", "workers", "threads", "refit", "replace_interrupted", "force", "as_json", "quiet")
        return cls(options, request, files, **{name: options[name] for name in names})

    def require_writable(self, force: bool) -> None:
        """Refuse files that exist, unless they may be replaced, or that are read."""
        table, test = self.request.table, self.request.test
        for path in self.files[:2]:
            writable(path, force, table, test)
        if self.files.page in self.files[:2]:
            raise UsageError(f"{self.files.page} is written twice: give another name with --report.")
        if self.files.page is not None:
            writable(self.files.page, force, table, test, option="--report")


def _settle_time(options: dict[str, Any], of_file: Collection[str]) -> None:
    """Let a budget or a number of stages that is given win over what a file of options has."""
    if options["budget"] is not None and options["stages"] is not None and len(of_file) == 1:
        options[next(iter(of_file))] = None  # every run writes its stages


def _require_to_fit(options: Mapping[str, Any]) -> None:
    """Refuse options that do not fit together."""
    size, test, cv = options["test_size"], options["test"], options["cv"]
    if size is not None and not (0 <= size < 1 or (size > 0 and size % 1 == 0)):
        raise UsageError(
            f"--test-size is {size:g}, but must be a share of the rows, at least 0 and less than 1, or a whole number "
            "of rows."
        )
    if options["target"] in several_names(options["ignore"]):
        raise UsageError(f"--ignore names {options['target']!r}, which is the target: leave it out.")
    if options["group"] is not None and options["time"] is not None:
        raise UsageError("Rows are kept together by --group or divided by --time: give one of the two.")
    if cv is not None and (test is not None or size):
        raise UsageError("With --cv all rows are measured on: leave out --test and --test-size.")
    if options["refit"] and test is None and (cv is not None or size == 0):
        raise UsageError("--refit trains on the rows of the test too, but there is no test: leave it out.")
    if options["report"] is not None:
        require_ending(options["report"], "--report", ".html", ".htm")


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the options give.

    Examples
    --------
    >>> settings_of({"hidden_layer_sizes": "64,32", "ensemble": 4, "dropout": None, "threshold": "0.3"})
    {'hidden_layer_sizes': (64, 32), 'threshold': 0.3, 'n_members': 4}
    """
    given = {setting: options.get(name) for name, setting in SETTINGS.items()}
    settings = {setting: value for setting, value in given.items() if value is not None}
    for name, value in options.items():
        if isinstance(value, float) and not isfinite(value):
            raise UsageError(f"{named(name)} is {value}, but must be a finite number.")
    if "hidden_layer_sizes" in settings:
        what = "whole numbers of at least 1, such as 64,64"
        settings["hidden_layer_sizes"] = _several("hidden_layer_sizes", options, int, what)
    with suppress(ValueError, KeyError):  # else it is a rule
        settings["threshold"] = float(settings["threshold"])
    if "quantile" in settings:
        if settings.get("loss") != "quantile":
            raise UsageError(f"--quantile {settings['quantile']} is for --loss quantile: give that too.")
        levels = _several("quantile", options, float, "levels between 0 and 1, such as 0.05,0.5,0.95")
        settings["quantile"] = levels[0] if len(levels) == 1 else levels
    return settings


def named(option: str) -> str:
    """Return an option as it is typed."""
    return f"--{option.replace('_', '-')}"


def _checked_memory(memory: str | None) -> str | None:
    """Return an amount of memory, or refuse a text that is none."""
    try:
        return memory if memory is None or as_bytes(memory) else None
    except ValueError:
        raise UsageError(f"--memory {memory} is no amount of memory: give one such as 4GB.") from None


def _several(option: str, options: Mapping[str, Any], kind: Callable[[str], Any], what: str) -> Sequence[Any]:
    """Return the positive numbers of an option, which are separated by commas, or refuse other text."""
    with suppress(ValueError):
        numbers = tuple(kind(part) for part in options[option].split(","))
        if min(numbers) > 0:
            return numbers
    raise UsageError(f"{named(option)} is {options[option]!r}, but must be {what}.")


def asked_of(options: Mapping[str, Any]) -> Asked:
    """Return what the options of a command say of the columns.

    Examples
    --------
    >>> asked_of({"codes": "zip, town", "decimal": ","})
    Asked(columns={'zip': 'code', 'town': 'code'}, decimal=',', date_format=None)
    """
    columns = {} if options.get("columns") is None else columns_in(options["columns"])
    named = [(name, kind) for option, kind in OPTIONS.items() for name in several_names(options.get(option))]
    for number, (name, kind) in enumerate(named):
        if other := dict(named[:number]).get(name):
            raise UsageError(f"Column {name!r} cannot be both, a {other} and a {kind}: name it once.")
    try:
        return Asked(columns | dict(named), options.get("decimal"), options.get("date_format"))
    except ValueError as error:
        raise UsageError(str(error)) from error


def columns_in(path: str | Path) -> dict[str, str]:
    """Return the section [columns] of a TOML file."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from error
    columns = values.get("columns")
    if not isinstance(columns, dict) or not all(isinstance(kind, str) for kind in columns.values()):
        raise UsageError(f'{path} has no section [columns] with lines such as zip = "code".')
    return columns


def given(asked: Asked) -> dict[str, Any]:
    """Return what is said of the columns as settings of an estimator."""
    settings = {"columns": dict(asked.columns) or None, "decimal": asked.decimal, "date_format": asked.date_format}
    return {name: value for name, value in settings.items() if value is not None}


def several_names(text: str | None) -> list[str]:
    """Return names that are separated by commas; a name that has a comma itself stands in quotes.

    Examples
    --------
    >>> several_names('age, "a,b"'), several_names(None)
    (['age', 'a,b'], [])
    """
    return [] if not text else [name.strip() for name in next(csv.reader([text], skipinitialspace=True))]


def toml(options: Mapping[str, Any]) -> str:
    """Return options that change the result as TOML; those without a value are left out."""
    values = {name: value for name, value in options.items() if name not in PASSING and value is not None}
    sections = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if name not in sections]
    for name, section in sections.items():
        if section:
            lines += [f"[{name}]", *(f"{_toml(key)} = {_toml(value)}" for key, value in section.items())]
    return "".join(f"{line}\n" for line in lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)

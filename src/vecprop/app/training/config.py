"""The options of ``vecprop train``: validation and conversion."""

import csv
import json
import re
import tomllib
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import signature
from math import isfinite
from pathlib import Path

from ...system.extras import imported
from ...tables.classifier import MOST_ONCE, TabularClassifier
from ...tables.evaluation.targets import Task
from ...tables.kinds.ambiguities import ColumnOptions
from ...tables.reading.file_lists import existing
from ...tables.regressor import TabularRegressor
from ...tables.streaming.memory_plan import as_bytes
from ...terminal.messages import UsageError, sentence
from ...terminal.output_files import (
    FOREIGN,
    RunFiles,
    named_after,
    require_ending,
    with_suffix,
    writable,
)
from .splitting import TEST_SHARE, Request

SAME = (
    "loss",
    "exposure",
    "quantile",
    "hidden_layer_sizes",
    "activation",
    "dropout",
    "weight_decay",
    "label_smoothing",
    "class_weight",
    "threshold",
    "positive",
    "learning_rate_init",
    "batch_size",
    "max_iter",
    "n_iter_no_change",
    "metric",
    "n_estimators",
)
SETTINGS = {"threads": "n_jobs"} | {name: name for name in SAME}
"""The estimator's setting for each option."""

OPTIONS = {
    "numbers": "number",
    "categories": "category",
    "codes": "code",
    "dates": "date",
    "text": "text",
    "ignore": "ignore",
}
"""The column kind for each option."""

PASSING = {
    "config",
    "force",
    "replace_interrupted",
    "debug",
    "quiet",
    "as_json",
    "workers",
}
"""Options that do not affect the result and are not saved."""


def requested(options: Mapping) -> tuple[dict, Request, RunFiles]:
    """Validate options; return the options of a run, its request and its output files."""
    options = dict(options)
    _require_to_fit(options)
    table = options["table"]
    test = options["test"]
    output = writable(
        options["output"] or named_after(existing(table)), True, table, test
    )
    if output.suffix.lower() in FOREIGN:
        require_ending(output, "-o", ".npz")
    asked = asked_of(options)
    settings = settings_of(options)
    settings |= {name: value for name, value in vars(asked).items() if value}
    task = options["task"]
    if options["loss"] and not task:
        task = "regression"
    size = options["test_size"]
    if options["cv"] is not None:
        size = 0.0
    # cross-validation needs no refit
    elif size is None and test is None and options["refit"]:
        size = TEST_SHARE
    target = options["target"]
    targets = several_names(target) if "," in target else []
    if len(targets) == 1:  # its name contains a comma
        (target,) = targets
        targets = []
    request = Request(
        table,
        target,
        size,
        group=options["group"],
        time=options["time"],
        seed=options["seed"],
        asked=asked,
        test=test,
        task=task,
        weight=options["weight"],
        settings=settings,
        classes=several_names(options["classes"]),
        folds=options["cv"],
        memory=options["memory"],
        targets=targets,
    )
    files = RunFiles(output, with_suffix(output, ".toml"), options["report"])
    return options, request, files


def _require_to_fit(options: Mapping):
    """Raise an error for incompatible options."""
    size = options["test_size"]
    test = options["test"]
    cv = options["cv"]
    if size is not None and not (0 <= size < 1 or (size > 0 and size % 1 == 0)):
        raise UsageError(
            f"--test-size is {size:g}, but must be a share of the rows, at least 0 and"
            " less than 1, or an integer number of rows."
        )
    if options["target"] in several_names(options["ignore"]):
        raise UsageError(
            f"--ignore names the target {options['target']!r}: leave it out."
        )
    if options["group"] is not None and options["time"] is not None:
        raise UsageError("--group and --time cannot be combined: give one of the two.")
    if cv is not None and (test is not None or size):
        raise UsageError(
            "--cv uses all rows for evaluation: leave out --test and --test-size."
        )
    if options["refit"] and test is None and (cv is not None or size == 0):
        raise UsageError(
            "--refit needs a test set, to train on its rows too: leave it out."
        )
    if options["report"] is not None:
        require_ending(options["report"], "--report", ".html", ".htm")
        imported("matplotlib", "--report", "pictures")  # before training
    if options["memory"] is not None:
        try:
            as_bytes(options["memory"])
        except ValueError:
            raise UsageError(
                f"--memory {options['memory']} is not an amount of memory: give one"
                " such as 4GB."
            ) from None


def settings_of(options: Mapping) -> dict:
    """Return the estimator settings from the options.

    Examples
    --------
    >>> settings_of({"hidden_layer_sizes": "64,32", "n_estimators": 4, "dropout": None, "threshold": "0.3"})
    {'hidden_layer_sizes': (64, 32), 'threshold': 0.3, 'n_estimators': 4}
    """
    settings = {}
    for name, setting in SETTINGS.items():
        if options.get(name) is not None:
            settings[setting] = options[name]
    for name, value in options.items():
        if isinstance(value, float) and not isfinite(value):
            raise UsageError(f"{named(name)} is {value}, but must be a finite number.")
    if "hidden_layer_sizes" in settings:
        widths = _several(
            "hidden_layer_sizes", options, int, "integers of at least 1, such as 64,64"
        )
        settings["hidden_layer_sizes"] = widths
    with suppress(ValueError, KeyError):  # a string that is not a number is a rule
        settings["threshold"] = float(settings["threshold"])
    if "quantile" in settings:
        if settings.get("loss") != "quantile":
            raise UsageError(
                f"--quantile {settings['quantile']} needs --loss quantile: give both."
            )
        levels = _several(
            "quantile", options, float, "levels between 0 and 1, such as 0.05,0.5,0.95"
        )
        settings["quantile"] = levels[0] if len(levels) == 1 else levels
    return settings


def estimator_of(request: Request, task: Task, **settings):
    """Return the estimator for a task, with the settings of the request and additional settings."""
    estimator_class = TabularRegressor
    if task == "classification":
        estimator_class = TabularClassifier
    unknown = request.settings.keys() - signature(estimator_class).parameters.keys()
    if unknown:
        raise UsageError(
            f"A {estimator_class.__name__} (for {task}) has no option {min(unknown)}:"
            " leave it out, or give another --task."
        )
    estimator = estimator_class(
        request.target, random_state=request.seed, **request.settings, **settings
    )
    try:
        estimator._validate_params()
    except ValueError as error:
        raise UsageError(_about_option(estimator, str(error))) from error
    warnings.filterwarnings("ignore", f".*{MOST_ONCE}")  # the warning is also a note
    return estimator


def _about_option(estimator, message: str) -> str:
    """Convert scikit-learn's message about a setting to a message about the option; return other messages unchanged."""
    pattern = r"The '(\w+)' parameter of .*? must be (.*?)\. Got "
    match = re.match(pattern, message, re.DOTALL)
    if match is None or match[1] not in SETTINGS:
        return message
    setting, allowed = match.groups()
    constraints = estimator._parameter_constraints[setting]
    if "in the range" in allowed:
        for constraint in constraints:
            if hasattr(constraint, "closed"):
                allowed = _described_interval(constraint)
    else:
        names = []
        for constraint in constraints:
            names += getattr(constraint, "options", ())
        if names:
            *first_names, last_name = sorted(names)
            allowed = f"{', '.join(first_names)} or {last_name}"
    value = getattr(estimator, setting)
    return f"{named(setting)} is {value!r}, but must be {allowed}."


def _described_interval(interval) -> str:
    """Describe one of scikit-learn's intervals, such as "a number above 0 and at most 1"."""
    lower_bound = "above"
    if interval.closed in ("left", "both"):
        lower_bound = "of at least"
    text = f"a number {lower_bound} {interval.left:g}"
    if interval.right is None:
        return text
    upper_bound = "less than"
    if interval.closed in ("right", "both"):
        upper_bound = "at most"
    return f"{text} and {upper_bound} {interval.right:g}"


def named(option: str) -> str:
    """Return an option as typed on the command line."""
    return f"--{option.replace('_', '-')}"


def _several(option: str, options: Mapping, number: Callable, allowed: str) -> tuple:
    """Parse the positive, comma-separated numbers of an option."""
    with suppress(ValueError):
        numbers = tuple(map(number, options[option].split(",")))
        if min(numbers) > 0:
            return numbers
    raise UsageError(f"{named(option)} is {options[option]!r}, but must be {allowed}.")


def asked_of(options: Mapping) -> ColumnOptions:
    """Return the column options of a command.

    Examples
    --------
    >>> asked_of({"codes": "zip, town", "decimal": ","})
    ColumnOptions(columns={'zip': 'code', 'town': 'code'}, decimal=',', date_format=None)
    """
    columns = {}
    for option, kind in OPTIONS.items():
        for name in several_names(options.get(option)):
            if name in columns:
                raise UsageError(
                    f"Column {name!r} cannot be both a {columns[name]} and a {kind}:"
                    " name it once."
                )
            columns[name] = kind
    path = options.get("columns")
    if path is not None:
        section = read_toml(path).get("columns")
        if not isinstance(section, dict) or not all(
            isinstance(kind, str) for kind in section.values()
        ):
            raise UsageError(
                f'{path} has no section [columns] with lines such as zip = "code".'
            )
        columns = section | columns
    try:
        return ColumnOptions(
            columns, options.get("decimal"), options.get("date_format")
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def read_toml(path: str | Path) -> dict:
    """Return the values in a TOML file."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    except OSError as error:
        raise UsageError(sentence(error)) from error


def several_names(text: str | None) -> list[str]:
    """Parse comma-separated names; a name that contains a comma must be quoted.

    Examples
    --------
    >>> several_names('age, "a,b"'), several_names(None)
    (['age', 'a,b'], [])
    """
    if not text:
        return []
    return list(map(str.strip, next(csv.reader([text], skipinitialspace=True))))


def toml(options: Mapping) -> str:
    """Return the options that affect the result as TOML, without options that have no value."""
    text = ""
    sections = ""
    for name, value in options.items():
        if name in PASSING or value is None:
            continue
        if not isinstance(value, Mapping):
            plain = value if isinstance(value, bool | int | float) else str(value)
            text += f"{name} = {json.dumps(plain, ensure_ascii=False)}\n"
        elif value:
            sections += f"[{name}]\n"
            for key, entry in value.items():
                sections += (
                    f"{json.dumps(key, ensure_ascii=False)} ="
                    f" {json.dumps(entry, ensure_ascii=False)}\n"
                )
    return text + sections

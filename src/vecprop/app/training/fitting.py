"""The fit of ``vecprop train``: options as settings, and a progress bar."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any

from ...estimators.sklearn_compat import require_valid_settings
from ...tables.classifier import MOST_ONCE
from ...tables.ensemble.ensemble_fit import INTERRUPTED
from ...tables.evaluation.metrics import levels_of
from ...tables.streaming.memory_plan import as_bytes
from ...terminal.errors import UsageError
from ...train.progress import progress_bar
from .dividing import Parts

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
            raise UsageError(f"{_named(name)} is {value}, but must be a finite number.")
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


def found(model: Any) -> dict[str, Any]:
    """Return the options for a model's settings, without those that it chooses by the number of rows or by time."""
    settings = model.get_params() | {"stages": model.stages_, "budget": None}
    values = {name: settings.get(setting) for name, setting in SETTINGS.items()}
    values["hidden_layer_sizes"] = ",".join(map(str, model.widths))
    values["quantile"] = ",".join(map(str, levels_of(model))) or None
    return {name: None if value == "auto" else value for name, value in values.items()}


def fitting(quiet: bool) -> Callable[[Any, Parts], Any]:
    """Return a function that fits an estimator to the parts of a table, with a progress bar unless it is quiet."""

    def fit(estimator: Any, parts: Parts) -> Any:
        try:
            require_valid_settings(estimator)
        except ValueError as error:
            raise UsageError(_about_options(str(error))) from error
        warnings.filterwarnings("ignore", f".*{MOST_ONCE}")  # which is a note too
        with progress_bar("training", quiet) as show:
            return estimator.set_params(progress=show).fit(**parts.training).set_params(progress=None)

    return fit


def _about_options(message: str) -> str:
    """Return a message on an option for scikit-learn's message on its setting; other messages stay unchanged."""
    found = re.fullmatch(r"The '(\w+)' parameter of \w+ must be (.*)\. Got (.*) instead\.", message)
    option = found and next((name for name, setting in SETTINGS.items() if setting == found[1]), None)
    if not (found and option):
        return message
    allowed, ends = found[2], re.search(r"in the range ([\[(])(.*?), (.*?)([\])])", found[2])
    if names := sorted(re.findall(r"'(\w+)'(?=[,}])", allowed)):
        allowed = f"{', '.join(names[:-1])} or {names[-1]}"
    if ends is not None:
        allowed = f"a number {'of at least' if ends[1] == '[' else 'above'} {float(ends[2]):g}"
        if ends[3] != "inf":
            allowed += f" and {'at most' if ends[4] == ']' else 'less than'} {float(ends[3]):g}"
    return f"{_named(option)} is {found[3]}, but must be {allowed}."


def _named(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def checked_memory(memory: str | None) -> str | None:
    """Return an amount of memory, or refuse a text that is none."""
    try:
        return memory if memory is None or as_bytes(memory) else None
    except ValueError:
        raise UsageError(f"--memory {memory} is no amount of memory: give one such as 4GB.") from None


def was_interrupted(model: Any) -> bool:
    """Return whether Ctrl-C has ended training early."""
    return INTERRUPTED in model.notes_


def _several(option: str, options: Mapping[str, Any], kind: Callable[[str], Any], what: str) -> Sequence[Any]:
    """Return the positive numbers of an option, which are separated by commas, or refuse other text."""
    with suppress(ValueError):
        numbers = tuple(kind(part) for part in options[option].split(","))
        if min(numbers) > 0:
            return numbers
    raise UsageError(f"{_named(option)} is {options[option]!r}, but must be {what}.")

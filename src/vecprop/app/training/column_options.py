"""What options and files say of a table's columns."""

import csv
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...tables.kinds.options import Asked
from ...terminal.errors import UsageError

OPTIONS = {
    "numbers": "number",
    "categories": "category",
    "codes": "code",
    "dates": "date",
    "text": "text",
    "ignore": "ignore",
}
"""The kind of the columns that each option names."""


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

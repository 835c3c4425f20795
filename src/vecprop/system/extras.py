"""Modules of the extras, which a plain installation does not have."""

from importlib import import_module
from typing import Any


def imported(name: str, user: str, extra: str) -> Any:
    """Return a module, or raise an error that says who needs it and how to install it."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ImportError(f'{user} needs {name.partition(".")[0]}: pip install "vecprop[{extra}]".') from None

"""Import modules that are installed only with an extra."""

from importlib import import_module


def imported(name: str, user: str, extra: str):
    """Import a module, or raise ImportError that names the extra to install."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ImportError(
            f'{user} needs {name.partition(".")[0]}: pip install "vecprop[{extra}]".'
        ) from None

"""Versions of packages, and pickles that contain the version of vecprop."""

import pickle
import platform
import warnings
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import __version__
from .suggestions import SuggestsNames


def version_of(package: str) -> str:
    """Return the version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor_name() -> str:
    """Return the name of this processor, from LLVM if it is installed."""
    try:
        from llvmlite import binding
    except ImportError:
        return platform.processor()
    return binding.get_host_cpu_name()


def numba_fails(error: Exception) -> str:
    """Return why Numba cannot be used and what to do, as the end of a sentence."""
    if isinstance(error, ModuleNotFoundError) and error.name in ("numba", "llvmlite"):
        return f'{error.name} is not installed, run "pip install {error.name}"'
    line = str(error).strip().partition("\n")[0].rstrip(".")
    return (
        f"Numba {version_of('numba')} does not work here ({type(error).__name__}:"
        f" {line}), install another release"
    )


class VersionWarning(UserWarning):
    """A pickle was written by another version of vecprop.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", VersionWarning)  # refuse pickles of other versions
    ...     model = pickle.loads(pickle.dumps(MLPClassifier()))
    """


class Versioned(SuggestsNames):
    """Base class of objects whose pickles contain the version of vecprop.

    Examples
    --------
    >>> "_vecprop_version" in History().__getstate__()
    True
    """

    def __getstate__(self) -> dict:
        """Return the attributes and the version."""
        state: Any = super().__getstate__()
        return {**(state or {}), "_vecprop_version": __version__}

    def __setstate__(self, state):
        """Restore the attributes, and warn if another version wrote the pickle.

        Raises
        ------
        pickle.UnpicklingError
            If an attribute of the current class is missing and has no default.
        """
        state = {**state} if isinstance(state, dict) else {}
        version = state.pop("_vecprop_version", None)
        if version != __version__:
            state = _read(state, version, type(self))
        self._restore(state)

    def _restore(self, state: dict):
        """Set the attributes."""
        restore = getattr(super(), "__setstate__", vars(self).update)
        restore(state)


def _read(state: dict, version: str | None, cls: type) -> dict:
    """Return the state from another version, with defaults for missing attributes."""
    written = "an earlier vecprop" if version is None else f"vecprop {version}"
    warnings.warn(
        f"A pickle of {written} is read by vecprop {__version__}, which may fail or"
        " give different results: use vecprop.save, whose files can be read by later"
        " versions.",
        VersionWarning,
        stacklevel=3,
    )
    is_readable = bool(state)
    for part in fields(cls) if is_dataclass(cls) else ():
        if part.name in state:
            continue
        if part.default_factory is not MISSING:
            state[part.name] = part.default_factory()
        elif part.default is MISSING:
            is_readable = False
    if not is_readable:
        raise pickle.UnpicklingError(
            f"The pickle of a {cls.__name__} was written by {written} in a format that"
            f" vecprop {__version__} cannot read: load it with that version and use"
            " vecprop.save."
        )
    return state

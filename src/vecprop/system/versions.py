"""Pickles carry the version of vecprop that wrote them: what one has written may mean something else to another."""

import pickle
import warnings
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from .. import __version__


class VersionWarning(UserWarning):
    """A pickle was written by another version of vecprop.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", VersionWarning)  # such a pickle is refused
    ...     model = pickle.loads(pickle.dumps(MLPClassifier()))
    """


class Versioned:
    """The base of what carries the version in its pickles.

    Examples
    --------
    >>> "_vecprop_version" in History().__getstate__()
    True
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, and the version."""
        state: Any = super().__getstate__()
        return {**(state or {}), "_vecprop_version": __version__}

    def __setstate__(self, state: Any) -> None:
        """Restore the attributes, and warn if another version has written them.

        Raises
        ------
        pickle.UnpicklingError
            If they are not those that the class has now.
        """
        known = dict(state) if isinstance(state, dict) else {}
        version = known.pop("_vecprop_version", None)
        written = "an earlier vecprop" if version is None else f"vecprop {version}"
        if version != __version__:
            warnings.warn(
                f"A pickle of {written} is read by vecprop {__version__}, where it may fail or mean something else: "
                "vecprop.save writes files that later versions read.",
                VersionWarning,
                stacklevel=2,
            )
        parts = fields(self) if is_dataclass(self) else ()
        lacks = [part for part in parts if part.name not in known and part.default is MISSING]
        if not known or any(part.default_factory is MISSING for part in lacks):
            raise pickle.UnpicklingError(
                f"The pickle of a {type(self).__name__} was written by {written}, which kept it otherwise than vecprop "
                f"{__version__}: read it with that version, and write it by vecprop.save."
            )
        known |= {part.name: part.default_factory() for part in lacks if part.default_factory is not MISSING}
        self._restore(known)

    def _restore(self, state: dict[str, Any]) -> None:
        """Set the attributes."""
        restore: Any = getattr(super(), "__setstate__", vars(self).update)
        restore(state)

"""The source files that kernels are compiled from, as they were when vecprop was imported."""

from pathlib import Path

_PARTS = ("core", "optimize", "compiled")


def sources() -> list[Path]:
    """Return the source files of formulas and kernels."""
    package = Path(__file__).parent.parent
    return [source for part in _PARTS for source in sorted((package / part).rglob("[!.]*.py"))]


def _times() -> list[tuple[Path, int]]:
    return [(source, source.stat().st_mtime_ns) for source in sources()]


def require_unchanged() -> None:
    """Refuse sources that have changed since: what is compiled would be made of old code and new.

    Raises
    ------
    RuntimeError
        Where a file has changed, or there are others.
    """
    if _times() != _at_import:
        raise RuntimeError("The files of vecprop have changed since it was imported: restart Python.")


_at_import = _times()

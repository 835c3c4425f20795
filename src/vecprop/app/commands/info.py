"""``vecprop info``: the contents of a model file."""

from ...terminal.output import show, to_json
from .shared_options import Debug, Json, Model


def info(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Describe a model file: its columns, metrics, networks and versions.

    Example: vecprop info titanic.npz
    """
    from ... import load
    from ...files.model_file import information
    from ..models.describing import described

    said = described(load(model), information(model))
    show(to_json(said) if as_json else "\n".join(f"{name:<12}{value}" for name, value in _lines(said)))


def _lines(said: dict[str, object]) -> list[tuple[str, object]]:
    """Return a line for each value, and for each of several values."""
    lines: list[tuple[str, object]] = []
    for name, value in said.items():
        several = [f"{key}: {of}" for key, of in value.items()] if isinstance(value, dict) else str(value).splitlines()
        lines += [(name if number == 0 else "", line) for number, line in enumerate(several)]
    return lines

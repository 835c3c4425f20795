"""The templates of pages, with the style that they share."""

from collections.abc import Mapping
from importlib.resources import files
from string import Template


def filled(package: str, name: str, values: Mapping[str, str]) -> str:
    """Return a template of a package with HTML for its names, and the shared style for ``$style``."""
    template = files(package).joinpath(name).read_text(encoding="utf-8")
    style = files("vecprop.pictures").joinpath("page.css").read_text(encoding="utf-8")
    return Template(template).substitute(values, style=style)

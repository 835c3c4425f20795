"""The templates of pages, with the look that they share."""

from collections.abc import Mapping
from importlib.resources import files
from string import Template


def filled(name: str, values: Mapping[str, str]) -> str:
    """Return a template of this folder with HTML for its names, and the shared look for ``$style``."""
    folder = files("vecprop.app")
    template, style = (folder.joinpath(each).read_text(encoding="utf-8") for each in (name, "page.css"))
    return Template(template).substitute(values, style=style)

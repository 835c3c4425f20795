"""Read pages, styles and scripts that are part of the package."""

from importlib.resources import files


def package_text(path: str) -> str:
    """Return the text of a file of the package, such as "pictures/page.css"."""
    return (files("vecprop") / path).read_text("utf-8")

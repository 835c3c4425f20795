"""Public names that are imported when they are first used, with suggestions for wrong names."""

import sys
from collections.abc import Callable
from typing import Any

import lazy_loader


def attach(module: str, package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a module, whose names stand in a .pyi file next to it."""
    load, listed, names = lazy_loader.attach_stub(package, file)

    def load_or_suggest(name: str) -> Any:
        if name in names:
            value = vars(sys.modules[module])[name] = load(name)
            if module != package:  # where lazy_loader keeps it, too
                vars(sys.modules[package]).pop(name, None)
            return value
        wrong, meant = f"module {module!r} has no attribute {name!r}", ""
        if not name.startswith("_"):  # which only tools look for
            from .suggestions import public_name

            meant = public_name(name)
        raise AttributeError(f"{wrong}: did you mean {meant}?" if meant else wrong, name=name)

    return load_or_suggest, listed, names

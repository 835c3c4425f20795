"""The public names of packages, and suggestions for wrong names."""

import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec

import lazy_loader

ELSEWHERE = {
    "pass optimizer=Adam(learning_rate=0.001)": "lr learning-rate eta step-size momentum",
    "pass penalty=L2(0.0001) to Network, or optimizer=AdamW(weight_decay=0.01) to train": "weight-decay alpha l2",
    "pass callbacks=[ProgressBar()]": "verbose progress",
    "pass the loss to Network": "loss criterion",
    "add a layer, as in [Dense(3), ReLU(), Dropout(0.5)]": "activation dropout",
}
"""What to do instead of passing a setting to the wrong function, with the names of these settings."""


def attach(module: str, package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a module, whose names are listed in a .pyi file next to it."""
    load, listed, names = lazy_loader.attach_stub(package, file)

    def load_or_suggest(name: str) -> object:
        if name in names:
            value = vars(sys.modules[module])[name] = in_large_frame(load, name)
            if module != package:  # where lazy_loader keeps it, too
                vars(sys.modules[package]).pop(name, None)
            return value
        # Tools look for names with _, and "from vecprop import catalog" looks for an attribute before it imports.
        is_module = module == package and name.isidentifier() and find_spec(f"{package}.{name}")
        meant = "" if name.startswith("_") or is_module else public_name(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}{meant and f': did you mean {meant}?'}")

    return load_or_suggest, listed, names


def in_large_frame(load: Callable[[str], object], name: str) -> object:
    """Load a name in a frame so large that the frames of all its imports fit in the same block of memory.

    CPython keeps frames in blocks of 16 KB. A call at the end of a block allocates the next block and frees it. In
    imports of scikit-learn, thousands of calls were at such an end: 60 to 80 ms of 1.2 s.
    """
    return load(name)


in_large_frame.__code__ = in_large_frame.__code__.replace(co_stacksize=2**15)


def public_name(guess: str) -> str:
    """Return the public name of vecprop that a guess means, or an empty string."""
    vecprop = sys.modules["vecprop"]
    packages = [*(getattr(vecprop, name) for name in ("pictures", "tables", "blocks", "cluster", "export", "extend"))]
    known = {name: f"{package.__name__}.{name}" for package in [*packages, vecprop] for name in package.__all__}
    return known.get(closest(guess, known, synonyms()), "")


def synonyms() -> list[str]:
    """Return groups of names with one meaning, here and in other tools. The names to suggest come first."""
    from importlib.resources import files

    return files("vecprop.system").joinpath("synonyms.txt").read_text(encoding="utf-8").splitlines()


def closest(guess: str, names: Iterable[str], groups: Iterable[str] = ()) -> str:
    """Return the name that a guess means: an equal name, a synonym, a completion or a similar name; else "".

    Examples
    --------
    >>> closest("Relu", ["ReLU", "ELU"]), closest("lr", ["alpha", "learning_rate"], synonyms())
    ('ReLU', 'learning_rate')
    """
    from difflib import get_close_matches

    guess, plain = _plain(guess), {_plain(name): name for name in names}
    found = [guess, *(word for group in map(_words, groups) if guess in group for word in group)]
    found += [name for name in plain if len(guess) > 2 and name.startswith(guess)]
    found += get_close_matches(guess, plain, n=1)
    return next((plain[name] for name in found if name in plain), "")


def suggestion(guess: str, names: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the most similar name, or an empty string."""
    found = closest(guess, names)
    return f": did you mean {found!r}?" if found else ""


def unknown_keyword(function: str, guess: str, names: Iterable[str]) -> str:
    """Return the message for an unknown keyword argument."""
    found = closest(guess, names, synonyms())
    elsewhere = [f"{advice}." for advice, words in ELSEWHERE.items() if _plain(guess) in words.split()]
    advice = f"did you mean {found!r}?" if found else [*elsewhere, f"see help({function})."][0]
    return f"{function}() got an unexpected keyword argument {guess!r}: {advice}"


def wrong_part(what: str, part: object, needed: str) -> str:
    """Return the error message for a value, such as a class or a name, where an object is needed."""
    from inspect import signature

    known = public_name(part) if isinstance(part, str) else ""
    cls = getattr(sys.modules["vecprop"], known.rpartition(".")[2], part)
    if not isinstance(cls, type):
        return f"{what} must be {needed}, got {part!r}."
    has_defaults = all(parameter.default is not parameter.empty for parameter in signature(cls).parameters.values())
    instance = f"{cls.__name__}({'' if has_defaults else '…'})"
    return f"{what} is {part!r}: pass {instance}." if known else f"{what} is a class: pass an instance, {instance}."


def _words(group: str) -> list[str]:
    return list(map(_plain, group.split()))


def _plain(name: str) -> str:
    return name.casefold().strip().replace("_", "-")

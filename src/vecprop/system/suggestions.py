"""The public names of packages, and suggestions for wrong names."""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from pathlib import Path


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
        hint = "" if name.startswith("_") or is_module else _module_hint(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}")

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


def missing_file(path: "Path") -> str:
    """Return an error message for a missing file that suggests the most similar name in its folder."""
    there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"There is no file {path}{suggestion(path.name, there) or '.'}"


def unknown_keyword(function: str, guess: str, names: Iterable[str], owner: Any = None) -> str:
    """Return the message for an unknown keyword argument of a function, or of a method of the owner."""
    from .other_names import KEYWORDS

    settings = owner.get_params(deep=False) if hasattr(owner, "get_params") else ()
    setting = closest(guess, settings, synonyms())
    meant = closest(guess, names, synonyms())
    if function == "GradientDescent" and _plain(guess) in ("momentum", "nesterov"):
        advice = "use Momentum or Nesterov instead."
    elif meant and guess not in settings:
        advice = f"did you mean {meant!r}?"
    elif setting:
        advice = f"it is a setting, so pass it to the constructor, as in {type(owner).__name__}({setting}=…)."
    else:
        advice = f"{_advice(guess, KEYWORDS) or f'see help({function})'}."
    return f"{function}() got an unexpected keyword argument {guess!r}: {advice}"


def setting_hint(name: str, value: Any, options: Iterable[str]) -> str:
    """Return what to do instead of giving a setting this value, or an empty string; options are the valid names."""
    meant = closest(value, options, synonyms()) if isinstance(value, str) else ""
    if name == "learning_rate" and isinstance(value, float | int):
        return f"pass learning_rate_init={value!r}, because learning_rate is the name of a schedule."
    if name == "activation" and value == "softmax":
        return "leave it out, because the loss of a classifier contains the softmax of the outputs."
    if meant:
        return f"did you mean {meant!r}?"
    if isinstance(value, type):
        return f"pass an instance, {value.__name__}()."
    if name in _VALUES:
        return f"{_VALUES[name]}."
    return "choose one of these names." if isinstance(value, str) and len([*options]) > 1 else ""


_VALUES = {
    "activation": "pass one of these names, or an object derived from vecprop.extend.Activation",
    "callbacks": "pass a list of functions, such as callbacks=[function]",
    "checkpoint": 'pass Checkpoint("folder")',
    "columns": 'pass a dict of names and kinds, such as columns={"age": "number"}',
    "early_stopping": "pass early_stopping=True, and the number of epochs as n_iter_no_change",
    "loss": "use a regressor for losses of numbers, and a classifier for classes",
    "hidden_layer_sizes": "pass the width of each hidden layer, such as (64, 64)",
    "n_jobs": "pass the number of threads, or None for all",
    "target": "pass the name of one column",
    "workers": "pass vecprop.cluster.DaskWorkers(), or the number of threads as n_jobs",
}
"""For each setting, what to pass instead of an invalid value."""


class UnknownAttribute(AttributeError):
    """The error for a missing attribute. The hint is computed when the error is printed, so that hasattr is fast."""

    def __init__(self, owner: Any, name: str) -> None:
        super().__init__(owner, name, obj=owner)  # without name=, so that Python adds no second suggestion

    def __str__(self) -> str:
        owner, name = self.args
        return f"{type(owner).__name__!r} object has no attribute {name!r}{_attribute_hint(owner, name)}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the error as its text, because the object may be large."""
        return AttributeError, (str(self),)


class SuggestsNames:
    """The base class of objects that say what to do if an attribute does not exist."""

    if not TYPE_CHECKING:  # type checkers read the attributes

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or any(name in vars(cls) for cls in type(self).__mro__):
                return object.__getattribute__(self, name)  # raises the error of the property again
            raise UnknownAttribute(self, name)


def _attribute_hint(owner: Any, name: str) -> str:
    from .other_names import ATTRIBUTES

    for cls in type(owner).__mro__:
        if advice := _advice(name, ATTRIBUTES.get(cls.__name__, {})):
            return f": {advice}."
    names = [public for public in dir(owner) if not public.startswith("_")]
    return suggestion(name, names) or f": see help({type(owner).__name__})."


def _module_hint(name: str) -> str:
    from .other_names import MODULE

    advice = _advice(name, MODULE)
    meant = "" if advice else public_name(name)
    return f": {advice}." if advice else f": did you mean {meant}?" if meant else ""


def _advice(guess: str, table: Mapping[str, str]) -> str:
    """Return the advice for a name of another library, or an empty string."""
    return next((advice for advice, words in table.items() if _plain(guess) in words.split()), "")


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

"""The public names of packages, and advice for wrong names and values."""

import gc
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import lazy_loader

if TYPE_CHECKING:
    from pathlib import Path

SIMILARITY = 0.65
"""The least similarity of a name that is suggested; with 0.6, "time" would be
suggested for "optimizer".
"""


def attach(module: str, package: str, file: str):
    """Return `__getattr__`, `__dir__` and `__all__` of a module with a .pyi file."""
    load, listed, names = lazy_loader.attach_stub(package, file)

    def load_or_suggest(name: str) -> object:
        """Return a public name and store it in the module, or suggest another name."""
        if name not in names:
            raise AttributeError(
                f"module {module!r} has no attribute"
                f" {name!r}{_module_hint(module, package, name)}"
            )
        value = without_garbage_collection(load, name)
        vars(sys.modules[module])[name] = value
        if module != package:  # where lazy_loader keeps it, too
            vars(sys.modules[package]).pop(name, None)
        return value

    return load_or_suggest, listed, names


def without_garbage_collection(load: Callable, name: str) -> object:
    """Load a name without garbage collection, because imports create little garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return load(name)
    finally:
        if was_enabled:
            gc.enable()


def public_name(guess: str) -> str:
    """Return the public name of vecprop that a guess means, or an empty string."""
    vecprop = sys.modules["vecprop"]
    public_names = {}
    for package in ("pictures", "tables", "blocks", "cluster", "export", "extend"):
        public_names |= {
            name: f"vecprop.{package}.{name}"
            for name in getattr(vecprop, package).__all__
        }
    public_names |= {name: f"vecprop.{name}" for name in vecprop.__all__}
    return public_names.get(closest(guess, public_names, synonyms()), "")


def synonyms() -> list[str]:
    """Return groups of names with one meaning; names to suggest come first."""
    from importlib.resources import files

    return (
        files("vecprop.system")
        .joinpath("synonyms.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )


def closest(guess: str, names: Iterable[str], groups: Iterable[str] = ()) -> str:
    """Return the name that a guess means: an equal name, a synonym, a completion or a similar name; else "".

    Examples
    --------
    >>> closest("Relu", ["ReLU", "ELU"]), closest("lr", ["alpha", "learning_rate"], synonyms())
    ('ReLU', 'learning_rate')
    """
    from difflib import get_close_matches

    guess = _plain(guess)
    plain_names = {_plain(name): name for name in names}
    candidates = [guess]
    for group in groups:
        words = list(map(_plain, group.split()))
        if guess in words:
            candidates += words
    if len(guess) > 2:
        candidates += [name for name in plain_names if name.startswith(guess)]
    candidates += get_close_matches(guess, plain_names, n=1, cutoff=SIMILARITY)
    for name in candidates:
        if name in plain_names:
            return plain_names[name]
    return ""


def suggestion(guess: str, names: Iterable[str], groups: Iterable[str] = ()) -> str:
    """Return the end of a sentence that suggests the most similar name, or ""."""
    question = _question(closest(guess, names, groups))
    return f": {question}" if question else ""


def advice_on(name: str, *owners: str) -> str:
    """Return the advice on a name of another library, or ""."""
    from .other_names import ADVICE

    for owner in owners:
        for advice, names in ADVICE.get(owner, {}).items():
            if _plain(name) in names.split():
                return f"{advice}."
    return ""


def missing_file(path: "Path") -> str:
    """Return an error message that suggests the most similar name in the folder."""
    folder = path.parent.absolute()
    if not folder.is_dir():
        return (
            f"There is no file {path}, because the folder {folder} does not exist:"
            " check the path."
        )
    names = {entry.stem: entry.name for entry in folder.iterdir()}
    names |= {entry.stem: entry.name for entry in folder.glob(f"*{path.suffix}")}
    meant = closest(path.stem, names)
    if meant:
        return f"There is no file {path}: did you mean {names[meant]!r}?"
    return f"There is no file {path.name} in {folder}: check the path."


def unknown_keyword(called, guess: str, names: Sequence[str], owner: Any = None) -> str:
    """Return the message for an unknown keyword argument of a function, or of a method of the owner."""
    function = called.__name__
    classes = getattr(called, "__mro__", [called])
    settings = owner.get_params(deep=False) if hasattr(owner, "get_params") else ()
    advice = advice_on(guess, *(f"{cls.__name__}()" for cls in classes))
    if not advice and guess not in settings:
        advice = _question(closest(guess, names, synonyms()))
    if not advice:
        setting = closest(guess, settings, synonyms())
        if setting:
            advice = (
                "it is a setting, so pass it to the constructor, as in"
                f" {type(owner).__name__}({setting}=…)."
            )
    if not advice:
        advice = advice_on(guess, "()") or f"see help({function})."
    return f"{function}() got an unexpected keyword argument {guess!r}: {advice}"


def setting_hint(name: str, value, options: Sequence[str]) -> str:
    """Return what to do instead of giving a setting this value, or ""."""
    from .other_names import SETTINGS

    hint = ""
    if isinstance(value, type):
        hint = f"pass an instance, {value.__name__}()."
    elif isinstance(value, str):
        hint = advice_on(value, f"{name}=") or _question(
            closest(value, options, synonyms())
        )
    elif name == "learning_rate" and isinstance(value, float | int):
        hint = (
            f"pass learning_rate_init={value!r}, because learning_rate is the name of a"
            " schedule."
        )
    if not hint and name in SETTINGS:
        return f"{SETTINGS[name]}."
    if not hint and isinstance(value, str) and len(options) > 1:
        return "choose one of these names."
    return hint


class UnknownAttribute(AttributeError):
    """The error for a missing attribute; computes its hint when it is printed."""

    def __init__(self, owner, name: str):
        # without name=, so that Python adds no second suggestion
        super().__init__(owner, name, obj=owner)

    def __str__(self) -> str:
        """Return the message with the most similar public name."""
        owner, name = self.args
        cls = type(owner)
        hint = advice_on(name, *(base.__name__ for base in cls.__mro__))
        if not hint:
            names = [known for known in dir(owner) if not known.startswith("_")]
            hint = _question(closest(name, names))
        if not hint:
            hint = f"see help({cls.__name__})."
        return f"{cls.__name__!r} object has no attribute {name!r}: {hint}"

    def __reduce__(self) -> tuple:
        """Pickle the error as its text, because the object may be large."""
        return AttributeError, (str(self),)


class SuggestsNames:
    """The base class of objects that say what to do if an attribute does not exist."""

    if not TYPE_CHECKING:  # type checkers read the attributes

        def __getattr__(self, name: str):
            if name.startswith("_") or any(
                name in vars(cls) for cls in type(self).__mro__
            ):
                # raises the error of the property again
                return object.__getattribute__(self, name)
            raise UnknownAttribute(self, name)


class SuggestsSettings:
    """A mixin for estimators whose errors say what to pass as a setting instead."""

    _parameter_constraints: ClassVar[dict[str, list]]

    def _validate_params(self):
        """Validate the settings as scikit-learn does, and add a hint to the error."""
        # a private method of scikit-learn, which a later release may not have
        validate = getattr(super(), "_validate_params", lambda: None)
        try:
            validate()
        except ValueError as error:
            text = str(error).removesuffix(".")
            # "The 'alpha' parameter of MLPClassifier must be …"
            _, _, name = text.partition("'")
            name, _, _ = name.partition("'")
            options = []
            for constraint in self._parameter_constraints.get(name, ()):
                options.extend(getattr(constraint, "options", ()))
            hint = setting_hint(name, getattr(self, name, None), options)
            if not hint:
                raise
            raise type(error)(f"{text}: {hint}") from None


def _module_hint(module: str, package: str, name: str) -> str:
    """Return advice on an unknown name of a module as the end of an error, or "" if a program looks for it."""
    # Tools look for names with _, and "from vecprop import catalog" looks for an
    # attribute before it imports.
    if name.startswith("_"):
        return ""
    if module == package and name.isidentifier() and find_spec(f"{package}.{name}"):
        return ""
    advice = advice_on(name, "vecprop")
    if not advice:
        meant = public_name(name)
        advice = f"did you mean {meant}?" if meant else f"see dir({module})."
    return f": {advice}"


def _question(meant: str) -> str:
    return f"did you mean {meant!r}?" if meant else ""


def wrong_part(name: str, part: object, needed: str) -> str:
    """Return the error message for a class, name or other value in place of an object."""
    from inspect import signature

    kind = "a class"
    advice = "pass an instance,"
    cls = part
    if isinstance(part, str):
        kind = repr(part)
        advice = "pass"
        *_, class_name = public_name(part).split(".")
        cls = getattr(sys.modules["vecprop"], class_name, None)
    if not isinstance(cls, type):
        return f"{name} must be {needed}, got {part!r}."
    arguments = ""
    for parameter in signature(cls).parameters.values():
        if parameter.default is parameter.empty:
            arguments = "…"
    return f"{name} is {kind}: {advice} {cls.__name__}({arguments})."


def _plain(name: object) -> str:
    return str(name).casefold().strip().replace("_", "-")

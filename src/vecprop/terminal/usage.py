"""Error messages for wrong options and commands, with suggestions."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..system.suggestions import closest, synonyms

COMMANDS = (
    "train fit build create",
    "predict infer inference apply run prediction predictions forecast",
    "evaluate score test eval measure validate metrics",
    "explain importance importances shap interpret why feature-importance",
    "info describe show summary inspect",
    "playground play web gui ui serve app",
    "check-gradients check gradcheck verify gradients",
    "export onnx to-onnx numpy save",
    "convert to-parquet parquet",
    "demo tutorial example",
    "learn teach student",
    "grade check",
    "--help help usage",
    "--version version",
)
"""Commands, each with its names in other tools."""


def sentence_of(error: Any, command: Any, args: Sequence[str]) -> str:
    """Return one sentence that states what is wrong with the arguments of a command, and what to do."""
    kind, path = type(error).__name__, "vecprop"
    for arg in args:
        if arg in getattr(command, "commands", ()):
            command, path = command.commands[arg], f"{path} {arg}"
    parameter: Any = getattr(error, "param", None)
    option = getattr(error, "option_name", "")
    see = f"see {path} --help."
    if kind == "NoArgsIsHelpError":
        return f"{path} needs a command: {see}"
    if kind == "NoSuchOption":
        given = next((arg for arg in args if arg.startswith(option) and not option.startswith("--")), option)
        meant = _meant(given.partition("=")[0].lstrip("-"), command)
        return f"{path} has no option {given}: {f'did you mean {meant}? S' if meant else 's'}{see[1:]}"
    if option:
        parameter = next((each for each in command.params if option in each.opts), None)
        if getattr(parameter, "is_flag", True):  # --help is not in params
            return f"{option} takes no value."
    if parameter is not None:
        annotated, info, *_ = get_args(get_type_hints(command.callback, include_extras=True)[parameter.name])
        needed = info.help.replace("\\[", "[")  # typer 0.19 loses the help of arguments with click 8.5
        needed = needed if needed[1:2].isupper() else needed[:1].lower() + needed[1:]
        if option:
            return f"{option} needs a value: {needed.rstrip('.')}."
        if kind == "MissingParameter":
            return f"{path} needs {_shown(parameter)}: {needed}"
        after = [after for option, after in pairwise(args) if option in parameter.opts]
        after += [arg.partition("=")[2] for arg in args if arg.partition("=")[0] in parameter.opts and "=" in arg]
        of_file = (getattr(error.ctx, "default_map", None) or {}).get(parameter.name)
        given = ", ".join(map(repr, after if parameter.multiple else after[-1:])) or repr(of_file)
        return f"{_shown(parameter)} is {given}, but must be {_allowed(annotated, info)}."
    found = re.search(r"'(.*?)'|arguments?(?:\(s\))? \((.*)\)", error.message)
    if found is None:
        return error.message
    if found[1] is None:
        takes = " ".join(_shown(each) for each in command.params if each.param_type_name == "argument")
        return f"{path} takes {takes or 'no arguments'}, but got also {found[2]!r}: {see}"
    meant = closest(found[1], [*command.commands, "--help", "--version"], COMMANDS)
    return f"{path} has no command {found[1]!r}: {f'did you mean {path} {meant}? S' if meant else 's'}{see[1:]}"


def _meant(guess: str, command: Any) -> str:
    """Return the option or argument that a guess probably means, or an empty string."""
    shown: dict[str, Any] = {each.opts[-1 if each.opts[0] == "-o" else 0].lstrip("-"): each for each in command.params}
    shown = {name: each for name, each in shown.items() if not getattr(each, "hidden", False)} | {"help": None}
    name = closest(guess, shown, synonyms())
    if name and shown[name] is not None and shown[name].param_type_name == "argument":
        return f"{_shown(shown[name])}, without a name"
    return name and f"--{name}"


def _shown(parameter: Any) -> str:
    return parameter.opts[0] if parameter.opts[0].startswith("-") else (parameter.metavar or parameter.name).strip("[]")


def _allowed(annotated: Any, info: Any) -> str:
    """Describe the allowed values of an option, given its annotation and declaration."""
    kinds = [annotated, *get_args(annotated)]
    for kind in kinds:
        if get_origin(kind) is Literal:
            return " or ".join(get_args(kind))
    low, high = info.min, info.max
    range_of = f" from {low} to {high}" if None not in (low, high) else f" of at least {low}" if low is not None else ""
    return ("an integer" if {int, list[int]} & set(kinds) else "a number") + range_of

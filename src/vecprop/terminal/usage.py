"""Error messages for wrong options and commands, with suggestions."""

from collections.abc import Sequence
from inspect import signature
from itertools import pairwise
from typing import Literal, get_args, get_origin, get_type_hints

from ..system.suggestions import advice_on, closest, synonyms

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
    "--version version v",
)
"""Commands, each with its names in other tools."""


def sentence_of(error, root, args: Sequence[str]) -> str:
    """Return one sentence that states what is wrong with the arguments of a command, and what to do."""
    if type(error).__name__ == "BadOptionUsage":  # has no context
        return _wrong_number_of_values(error.option_name, root, args)
    command = error.ctx.command
    path = error.ctx.command_path
    advice = f"see {path} --help."
    match type(error).__name__:
        case "NoArgsIsHelpError":
            return f"{path} needs a command: {advice}"
        case "NoSuchOption":
            return f"{path} has no option {_unknown_option(error, args, advice)}"
        case "MissingParameter":
            return f"{path} needs {_shown(error.param)}: {_help(command, error.param)}."
        case "BadParameter":
            return _wrong_value(error, args)
    if hasattr(command, "commands"):
        words = [argument for argument in args if not argument.startswith("-")]
        # after the words of the path, which begins with "vecprop"
        name = words[path.count(" ")]
        meant = closest(name, [*command.commands, "--help", "--version"], COMMANDS)
        question = _question(f"{path} {meant}" if meant else "", advice)
        return f"{path} has no command {name!r}: {question}"
    # the message ends with the arguments in parentheses
    _, _, extra = error.message.partition(" (")
    arguments = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            arguments.append(_shown(parameter))
    return (
        f"{path} takes {' '.join(arguments) or 'no arguments'}, but got also"
        f" {extra.removesuffix(')')!r}: {advice}"
    )


def _unknown_option(error, args: Sequence[str], advice: str) -> str:
    """Return the unknown option, and the option that is meant or the commands that have the option."""
    option = error.option_name
    if not option.startswith("--"):  # the parser has split -name into letters
        words = [word for word in args if word.startswith(option)]
        option, *_ = [*words, option]
    option, *_ = option.split("=")
    name = option.lstrip("-")
    specific_advice = advice_on(name, "--")
    meant = _option_meant(name, error.ctx.command)
    commands_with_option = []
    commands = getattr(error.ctx.find_root().command, "commands", {})
    for command, declaration in commands.items():
        if any(option in parameter.opts for parameter in declaration.params):
            commands_with_option.append(command)
    if specific_advice:
        advice = specific_advice
    elif meant:
        advice = _question(meant, advice)
    elif commands_with_option:
        names = ", ".join(commands_with_option)
        advice = f"it is an option of vecprop {names}; {advice}"
    return f"{option}: {advice}"


def _option_meant(guess: str, command) -> str:
    """Return the option or argument that a guess probably means, or an empty string."""
    options = {"help": "--help"}
    for parameter in command.params:
        name = max(parameter.opts, key=len).lstrip("-")
        if parameter.param_type_name == "argument":
            options[name] = f"{_shown(parameter)}, without a name"
        elif not parameter.hidden:
            options[name] = f"--{name}"
    return options.get(closest(guess, options, synonyms()), "")


def _wrong_number_of_values(option: str, command, args: Sequence[str]) -> str:
    for arg in args:
        command = getattr(command, "commands", {}).get(arg, command)
    for parameter in command.params:
        if option in parameter.opts and not parameter.is_flag:
            return f"{option} needs a value: {_help(command, parameter)}."
    return f"{option} takes no value."  # a flag, or --help, which is not in params


def _wrong_value(error, args: Sequence[str]) -> str:
    """Return which value of an option is wrong, and which values are allowed."""
    parameter = error.param
    words = []
    for argument in args:
        words += argument.split("=", 1)
    values = []
    for option, value in pairwise(words):
        if option in parameter.opts:
            values.append(repr(value))
    if not values:
        value_of_file = error.ctx.default_map[parameter.name]
        values.append(repr(value_of_file))
    if not parameter.multiple:
        values = values[-1:]
    return (
        f"{_shown(parameter)} is {', '.join(values)}, but must be"
        f" {_allowed(error.ctx.command, parameter)}."
    )


def _allowed(command, parameter) -> str:
    """Describe the allowed values of an option."""
    annotation, info = _declaration(command, parameter)
    types = [annotation, *get_args(annotation)]
    for allowed in types:
        if get_origin(allowed) is Literal:
            return " or ".join(get_args(allowed))
    number = "a number"
    if int in types or list[int] in types:
        number = "an integer"
    if info.max is not None:
        return f"{number} from {info.min} to {info.max}"
    if info.min is None:
        return f"{number}: {_help(command, parameter)}"
    text = f"{number} of at least {info.min}"
    if parameter.multiple:
        text += "; repeat the option for several"
    return text


def _help(command, parameter) -> str:
    """Return the help of a parameter as the end of a sentence."""
    _, info = _declaration(command, parameter)
    text = info.help.replace("\\[", "[").rstrip(".")
    if text[1:2].isupper():  # an abbreviation
        return text
    return text[:1].lower() + text[1:]


def _declaration(command, parameter) -> Sequence:
    """Return the annotation and the declaration, because typer 0.19 loses the help of arguments with click 8.5."""
    annotation = get_type_hints(command.callback, include_extras=True)[parameter.name]
    default = signature(command.callback).parameters[parameter.name].default
    if hasattr(default, "help"):
        return annotation, default
    return get_args(annotation)


def _question(meant: str, advice: str) -> str:
    """Ask whether a name is meant, and add advice; return only the advice without a name."""
    if not meant:
        return advice
    return f"did you mean {meant}? {advice.capitalize()}"


def _shown(parameter) -> str:
    name = parameter.opts[0]
    if name.startswith("-"):
        return name
    return (parameter.metavar or parameter.name).strip("[]")

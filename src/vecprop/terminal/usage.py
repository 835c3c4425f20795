"""Error messages for wrong options and commands, with suggestions."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

SYNONYMS = {
    "max-iter": "epochs epoch n-epochs num-epochs max-epochs iterations iters n-iter num-iter steps max-steps",
    "learning-rate-init": "lr learning-rate eta step-size rate",
    "hidden-layer-sizes": "hidden layers hidden-layers hidden-sizes hidden-size layer-sizes units width widths neurons",
    "n-iter-no-change": "patience early-stopping",
    "weight-decay": "alpha l2 decay regularization penalty",
    "batch-size": "batch bs",
    "n-estimators": "ensemble members n-members networks n-networks models",
    "seed": "random-state random-seed rng",
    "output": "out o out-file output-file outfile output-path model-file model save save-to to-file destination",
    "out": "output o folder directory dir",
    "target": "y label labels target-column label-column class-column response outcome predict t",
    "positive": "pos-label positive-class positive-label pos",
    "task": "type problem mode objective",
    "test-size": "validation-size validation-split val-size test-split split test-fraction holdout",
    "test": "test-file test-table test-data validation validation-file eval",
    "cv": "folds fold n-folds k-folds kfold k-fold k n-splits cross-validation cross-validate",
    "refit": "retrain final",
    "group": "groups group-by group-column",
    "time": "time-column timestamp date-column order-by",
    "weight": "weights sample-weight sample-weights weight-column",
    "class-weight": "class-weights balanced balance",
    "threshold": "cutoff cut-off decision-threshold",
    "quantile": "quantiles",
    "loss": "loss-function criterion",
    "ignore": "drop exclude skip drop-columns",
    "numbers": "number numeric numerical",
    "categories": "category categorical cat",
    "codes": "code id-columns",
    "dates": "date datetime",
    "columns": "schema types dtypes kinds",
    "interval": "intervals coverage confidence confidence-level level",
    "keep": "include id id-column keep-columns",
    "chunk": "chunksize chunk-size batch-size batch",
    "row": "rows line lines index",
    "background": "reference baseline",
    "threads": "n-jobs jobs cores cpus num-threads n-threads",
    "time-limit": "budget time-budget max-time timeout",
    "seconds": "timeout time-limit",
    "memory": "ram mem memory-limit",
    "report": "html page html-report",
    "to": "format as",
    "json": "format output-format as-json",
    "format": "kind to",
    "force": "overwrite yes replace f y",
    "quiet": "silent no-progress verbose v",
    "size": "parameters n-parameters",
    "table": "data input file csv path dataset data-file input-file train-data training-data i",
    "model": "model-file model-path m",
    "help": "h usage",
}
"""The names of options and arguments in other tools."""
COMMANDS = {
    "train": "fit build create",
    "predict": "infer inference apply run prediction predictions forecast",
    "evaluate": "score test eval measure validate metrics",
    "explain": "importance importances shap interpret why feature-importance",
    "info": "describe show summary inspect",
    "playground": "play web gui ui serve app",
    "check-gradients": "check gradcheck verify gradients",
    "export": "onnx to-onnx numpy save",
    "convert": "to-parquet parquet",
    "demo": "tutorial example",
    "learn": "teach student",
    "grade": "check",
    "--help": "help usage",
    "--version": "version",
}
"""The names of commands in other tools."""


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
    meant = _nearest(found[1], COMMANDS, [*command.commands, "--help", "--version"])
    return f"{path} has no command {found[1]!r}: {f'did you mean {path} {meant}? S' if meant else 's'}{see[1:]}"


def _meant(guess: str, command: Any) -> str:
    """Return the option or argument that a guess probably means, or an empty string."""
    shown: dict[str, Any] = {each.opts[-1 if each.opts[0] == "-o" else 0].lstrip("-"): each for each in command.params}
    shown = {name: each for name, each in shown.items() if not getattr(each, "hidden", False)} | {"help": None}
    name = _nearest(guess, SYNONYMS, shown)
    if name and shown[name] is not None and shown[name].param_type_name == "argument":
        return f"{_shown(shown[name])}, without a name"
    return name and f"--{name}"


def _nearest(guess: str, synonyms: dict[str, str], names: Iterable[str]) -> str:
    """Return the name that a guess probably means: an equal name, a synonym, a completion, or a similar name."""
    guess, names = guess.casefold().replace("_", "-"), list(names)
    same = [name for name in names if name == guess]
    same += [name for name in names if guess in synonyms.get(name, "").split()]
    same += [name for name in names if len(guess) > 2 and name.startswith(guess)]
    return next(iter([*same, *get_close_matches(guess, names, n=1)]), "")


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

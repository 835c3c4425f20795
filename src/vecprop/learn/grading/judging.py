"""The judgement on one function: right, or the mistake that explains all that it returned."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .comparison import as_list, difference, fits, right, same, shown
from .mistakes import LOOK, Mistake, mistakes_of
from .student import Outcome
from .tasks import TASKS, Task, arguments_of, functions

Caller = Callable[[str, Mapping[str, Any], bool], Outcome]
"""A call of a student's function by name, with arguments, as lists if asked."""

ENDED = ("time", "blocked", "crash", "untried")
"""The kinds of outcomes after which the student's process is no more."""

UNJUDGED = ("time", "blocked", "untried", "unset")
"""The kinds of outcomes that say nothing about whether a function is right."""

MISSING = "it is missing"

SQUARE = 2
"""The case in which products of any two matrices exist."""


@dataclass(frozen=True)
class Judgement:
    """What is wrong with a function.

    Parameters
    ----------
    mistake : str
        The mistake; empty if the function is right.
    hints : tuple of str
        What to look at, the step of the derivation, the entry with both values; none if it is right.
    share : float
        The share of the points that it gets.
    notes : tuple of str
        Further sentences.
    judged : bool
        Whether it could be judged.
    """

    mistake: str = ""
    hints: tuple[str, ...] = ()
    share: float = 1.0
    notes: tuple[str, ...] = ()
    judged: bool = True


def judged(task: Task, caller: Caller, wrong: Mapping[str, Callable[..., Any]] | None = None) -> Judgement:
    """Return the judgement on a function.

    Parameters
    ----------
    task : Task
        What the function should do.
    caller : callable
        Calls the student's functions.
    wrong : mapping of str to callable, optional
        The student's own functions that are wrong, which this one may call.
    """
    expected = [functions()[task.name](*arguments_of(task, case).values()) for case in (0, 1)]
    outcomes: list[Outcome] = []
    for clothes in _clothes(task):
        tried = []
        for case in (0, 1):
            tried.append(caller(task.name, *_given(arguments_of(task, case), clothes)))
            if tried[-1]["kind"] in ENDED:
                return problem(task, tried[-1])
        outcomes = outcomes or tried
        if all(_is_right(o, e, task) for o, e in zip(tried, expected, strict=True)):
            return _right(task, tried[0])
    return _wrong(task, caller, outcomes, expected, wrong or {})


def _clothes(task: Task) -> list[str]:
    """Return the forms in which arguments are tried: arrays, biases without an axis of rows, lists."""
    has_biases = {"bh", "bo", "ls_of_params"} & set(task.arguments)
    return ["arrays", *(["vectors"] if has_biases else []), "lists"]


def _given(arguments: Mapping[str, Any], clothes: str) -> tuple[dict[str, Any], bool]:
    """Return arguments as they are given, and whether as lists."""

    def dressed(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [dressed("b" if len(part) == 1 else "W", part) for part in value]
        return value[0] if clothes == "vectors" and name.startswith("b") else value

    return {name: dressed(name, value) for name, value in arguments.items()}, clothes == "lists"


def _is_right(outcome: Outcome, expected: Any, task: Task) -> bool:
    return outcome["kind"] == "value" and right(outcome["value"], expected, task.result)


def _right(task: Task, outcome: Outcome) -> Judgement:
    notes = ("It prints something; the result is what it returns.",) if outcome["printed"].strip() else ()
    if not outcome["changed"]:
        return Judgement(notes=notes)
    names = " and ".join(outcome["changed"])
    hints = (
        "The numbers are right. Look at what happens to the arguments.",
        f"{names} {'is' if len(outcome['changed']) == 1 else 'are'} changed in place: whoever calls the function has "
        "other numbers after it than before. Compute a new array instead, or work on a copy.",
        f"After the call {names} of the caller has other values than before.",
    )
    return Judgement(f"{names} is changed in place", hints, 0.5, notes)


def _wrong(
    task: Task, caller: Caller, outcomes: list[Outcome], expected: list[Any], wrong: Mapping[str, Callable[..., Any]]
) -> Judgement:
    """Return the judgement on a function that is not right, from what it came to in two cases."""
    bad = next((outcome for outcome in outcomes if outcome["kind"] != "value"), None)
    found = [outcome.get("value") for outcome in outcomes]
    cases = [0, 1]
    if bad is not None:
        raised = problem(task, bad)
        if not _is_of_shapes(bad):
            return raised
        cases = [SQUARE]  # in which the mistake does not raise
        arguments = arguments_of(task, SQUARE)
        outcome = caller(task.name, *_given(arguments, "arrays"))
        if outcome["kind"] != "value":
            return raised
        found, expected = [outcome["value"]], [functions()[task.name](*arguments.values())]
        explained = _explained(task, cases, found, expected, wrong)
        if explained is None:
            return raised
        return _with_hints(task, explained, f"{_capital(bad['error'])}{_at(bad)}; {_shapes(arguments_of(task, 0))}")
    if found[0] is None:
        return _nothing(task, outcomes[0])
    if isinstance(found[0], tuple) or (task.result == "list" and as_list(found[0]) is None):
        what = shown(found[0]) if not isinstance(found[0], np.ndarray) else "a single array"
        name = f"the result is {what}"
        return Judgement(
            name, _hints(task, "Look at the type of what is returned.", name, f"It should be {task.shape}."), 0
        )
    explained = _explained(task, cases, found, expected, wrong) or _unknown(task, outcomes, expected)
    last = _capital(difference(found[0], expected[0], task.result))
    judgement = _with_hints(task, explained, f"{last}, for arguments of the shapes {_shapes(arguments_of(task, 0))}")
    if explained.name.startswith(FOLLOWS):
        return Judgement(judgement.mistake, judgement.hints, 0.5)
    return judgement


FOLLOWS = "it is right but for "


def _explained(
    task: Task, cases: list[int], found: list[Any], expected: list[Any], wrong: Mapping[str, Callable[..., Any]]
) -> Mistake | None:
    """Return the mistake that leads to all results, if one is known."""
    arguments = [list(arguments_of(task, case).values()) for case in cases]

    def explains(made: Callable[..., Any]) -> bool:
        for number, given in enumerate(arguments):
            try:
                with np.errstate(all="ignore"):
                    value = made(*given)
            except Exception:  # a mistake may raise on shapes that do not fit
                return False
            if not same(found[number], value) or not _alike(found[number], value):
                return False
        return True

    called = [name for name in task.calls if name in wrong]
    if called and explains(functions({name: wrong[name] for name in called})[task.name]):
        names = " and ".join(called)
        return Mistake(f"{FOLLOWS}{names}, which it calls and which is not right yet", "argument", len)
    known = list(mistakes_of(task))
    for mistake in known:
        if explains(mistake.made):
            return mistake
    exact = functions()[task.name]
    for words, look, change in _changes(len(expected[0]) if task.result == "list" else 0):
        if explains(lambda *args, change=change: change(exact(*args), args)):
            return Mistake(words, look, len)
    for mistake in known:
        for words, _, change in _changes(0)[:2]:
            if explains(lambda *args, made=mistake.made, change=change: change(made(*args), args)):
                return Mistake(f"{mistake.name}; and {words}", mistake.look, len)
    return None


def _alike(found: Any, value: Any) -> bool:
    """Return whether shapes agree where they tell mistakes apart: matrices, and the columns that vectors are not."""
    if not isinstance(found, np.ndarray) or isinstance(value, list):
        return True
    return found.ndim < 2 or np.ndim(value) < 2 or found.shape == np.shape(value)


def _rows(arguments: Any) -> int:
    return next((len(argument) for argument in arguments if getattr(argument, "ndim", 0) == 2), 1)


def _changes(parts: int) -> list[tuple[str, str, Callable[[Any, Any], Any]]]:
    """Return changes of a right result that are mistakes of any function; of lists, of each part and of all."""

    def each(change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda value, args: (
            [change(part, args) for part in value] if isinstance(value, list) else change(value, args)
        )

    simple: list[tuple[str, str, Callable[[Any, Any], Any]]] = [
        ("the sign is wrong", "sign", lambda E, args: -1.0 * np.asarray(E)),
        ("it is divided by N, the number of rows", "size", lambda E, args: np.asarray(E) / _rows(args)),
        ("it is multiplied by N, the number of rows", "size", lambda E, args: np.asarray(E) * _rows(args)),
        ("a factor 2 is too many", "size", lambda E, args: 2 * np.asarray(E)),
        ("a factor 2 is missing", "size", lambda E, args: np.asarray(E) / 2),
        ("the result is transposed", "shape", lambda E, args: np.asarray(E).T),
        ("the numbers are rounded to whole ones", "numbers", lambda E, args: np.round(E)),
        ("the numbers are cut to whole ones", "numbers", lambda E, args: np.trunc(E)),
        ("the numbers are rounded down to whole ones", "numbers", lambda E, args: np.floor(E)),
        ("the absolute value is taken", "sign", lambda E, args: np.abs(E)),
        ("it is squared", "function", lambda E, args: np.square(E)),
        ("it is 0 everywhere", "factors", lambda E, args: 0 * np.asarray(E)),
        ("it is 1 everywhere", "factors", lambda E, args: 0 * np.asarray(E) + 1),
        ("the last row is left out", "axis", lambda E, args: _without(E, -1)),
        ("the first row is left out", "axis", lambda E, args: _without(E, 0)),
        ("only the first row is computed", "axis", lambda E, args: _only(E, 0)),
    ]
    changes = [(words, look, each(change)) for words, look, change in simple]
    for k in range(parts):
        for words, look, change in simple:
            changes.append((f"in part {k} of the list {words}", look, partial(_changed_part, k=k, change=change)))
    return changes


def _changed_part(value: Any, args: Any, k: int, change: Callable[[Any, Any], Any]) -> Any:
    return [change(part, args) if number == k else part for number, part in enumerate(value)]


def _without(E: Any, row: int) -> Any:
    changed = np.array(E, float)
    changed[row] = 0
    return changed


def _only(E: Any, row: int) -> Any:
    changed = np.zeros_like(np.asarray(E, float))
    changed[row] = np.asarray(E)[row]
    return changed


def _unknown(task: Task, outcomes: list[Outcome], expected: list[Any]) -> Mistake:
    """Return what can be said of a mistake that is not known."""
    found = [outcome["value"] for outcome in outcomes]
    if isinstance(found[0], np.ndarray) and isinstance(found[1], np.ndarray):
        if np.array_equal(found[0], found[1]):
            return Mistake("the result is the same for other arguments: they are not used", "argument", len)
        if not np.isfinite(found[0]).all():
            return Mistake("the result is not finite", "argument", len)
        if not fits(found[0], expected[0], task.result):
            return Mistake("the shape of the result is wrong", "shape", len)
        if found[0].shape == np.shape(expected[0]) and found[0].ndim == 2:
            wrong = ~np.isclose(found[0], expected[0], rtol=1e-5)
            if not wrong.all():
                places = [[int(i) for i in place] for place in np.argwhere(wrong)[:3]]
                some = ", ".join(map(str, places))
                return Mistake(f"{wrong.sum()} of {wrong.size} entries are wrong, such as {some}", "factors", len)
        first, second = (_ratio(f, np.asarray(e)) for f, e in zip(found, expected, strict=True))
        if first is not None and second is not None and abs(first - second) <= 1e-5 * abs(first):
            return Mistake(f"every entry is {first:.6g} times what it should be", "size", len)
    parts, whole = as_list(found[0]), expected[0]
    if task.result == "list" and parts is not None:
        if len(parts) != len(whole):
            return Mistake(f"the list has {len(parts)} parts, but should have {len(whole)}", "list", len)
        kinds = ["bias" if len(part) == 1 else "array" for part in whole]
        wrong = [k for k in range(len(whole)) if not right(parts[k], whole[k], kinds[k])]
        return Mistake(f"of the list's parts, {', '.join(map(str, wrong))} are wrong", "list", len)
    return Mistake("the numbers are wrong", "factors", len)


def _ratio(found: np.ndarray, expected: np.ndarray) -> float | None:
    """Return the constant ratio of two results, if there is one."""
    if found.shape != expected.shape or not expected.all():
        return None
    ratios = found / expected
    return float(ratios.flat[0]) if np.ptp(ratios) <= 1e-5 * np.abs(ratios).max() else None


def _with_hints(task: Task, mistake: Mistake, last: str) -> Judgement:
    return Judgement(mistake.name, _hints(task, LOOK[mistake.look], mistake.name, f"{last}."), 0)


def _hints(task: Task, first: str, name: str, last: str) -> tuple[str, str, str]:
    """Return the hints: a function that is called comes with the step of its own derivation."""
    of = next((called for called in TASKS if name.startswith(f"{called}: ")), task.name)
    return first, f"{TASKS[of].step} Here, {name}.", last


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shapes(arguments: Mapping[str, Any]) -> str:
    """Return the shapes of arguments in words."""
    words = [f"{name} {value.shape}" for name, value in arguments.items() if getattr(value, "ndim", 0)]
    return ", ".join(
        [*words, *(f"{name} with four arrays" for name, value in arguments.items() if isinstance(value, list))]
    )


def _at(outcome: Outcome) -> str:
    """Return the line of an error in words."""
    if not outcome.get("line"):
        return ""
    return f", in line {outcome['line']}" + (f": {outcome['code']}" if outcome.get("code") else "")


def _is_of_shapes(outcome: Outcome) -> bool:
    words = "matmul|broadcast|shapes|aligned|dimension|core dim|axis|size|out of bounds|sequence"
    of_shapes = ("ValueError", "IndexError", "AxisError", "TypeError")
    text = outcome.get("error", "")
    return outcome["kind"] == "error" and text.startswith(of_shapes) and re.search(words, text) is not None


def _nothing(task: Task, outcome: Outcome) -> Judgement:
    if outcome["printed"].strip():
        name = "the result is printed, not returned"
    elif outcome["changed"]:
        name = f"{' and '.join(outcome['changed'])} is changed in place, and nothing is returned"
    else:
        name = "nothing is returned"
    return Judgement(
        name,
        _hints(
            task,
            "Look at the end of the function: what does it give back?",
            name,
            f"It returns None, but should return {task.shape}.",
        ),
        0,
    )


def problem(task: Task, outcome: Outcome, arguments: Mapping[str, Any] | None = None) -> Judgement:
    """Return the judgement on a call that did not come to a value."""
    error, at = outcome.get("error", ""), _at(outcome)
    name, advice = next(
        ((name, advice) for pattern, name, advice in _PROBLEMS if re.search(pattern, f"{outcome['kind']} {error}")),
        ("it raises an error", "The sentence of the error says what does not fit."),
    )
    if name == "it takes other arguments":
        advice = advice.format(", ".join(task.arguments))
        if outcome.get("line"):  # the error is of a call in it
            name, advice = "it calls a function with other arguments", "Look at the call in the line of the error."
    first = f"{_capital(name)}" + (f": {error}{at}." if error else ".")
    return Judgement(
        name,
        (
            first,
            f"{advice} {task.step}",
            f"The arguments were {_shapes(arguments or arguments_of(task, 0))}; it should return {task.shape}.",
        ),
        0,
        judged=outcome["kind"] not in UNJUDGED,
    )


_PROBLEMS = [
    ("File too large", "it writes a large file", "A function returns its result; it writes nothing."),
    ("^untried", "it was not tried, since three functions before it do not end", "Mend those first."),
    ("^time", "it does not end", "Look at the loops: which condition ends them? No loop is needed here."),
    ("^blocked", "it waits without end", "It computes nothing and waits: a function needs its arguments only."),
    (
        "^unset",
        "it needs what the file does not come to define",
        "Mend what does not end in the file, or pass what the function needs as arguments.",
    ),
    (
        "^memory|MemoryError",
        "it needs too much memory",
        "Look at the shapes of arrays that are made: none has to be large.",
    ),
    ("^crash", "it ends the whole process", "A function returns its result; it never ends the program."),
    ("^exit", "it ends the program by exit()", "A function returns its result; it never ends the program."),
    ("EOFError|reading from stdin", "it asks for input", "All that it needs are its arguments."),
    (
        "RecursionError",
        "it calls itself without end",
        "Look at the names: does it call itself where another is meant?",
    ),
    (
        r"NameError: name 'np'",
        "NumPy is not imported as np",
        "Write import numpy as np in the file or cell of the function.",
    ),
    (
        "NameError|UnboundLocalError",
        "a name is not defined",
        "Look at the name in the error: is it an argument, a function that is defined, or a typing error?",
    ),
    (
        "positional argument|keyword argument|required argument",
        "it takes other arguments",
        "Its arguments are {}, in this order.",
    ),
    (
        "only length-1|only 0-dimensional|must be real number",
        "a function of math takes one number, not an array",
        "NumPy's functions of the same names take arrays.",
    ),
    (
        "truth value of an array",
        "an array is used as a condition",
        "A condition holds for some entries and not for others: np.where takes each by itself.",
    ),
    (
        "matmul|broadcast|shapes|aligned|core dim",
        "the shapes do not fit",
        "Write the shape under each factor: the inner lengths of a product of matrices are equal.",
    ),
    ("IndexError|AxisError", "an index or axis is out of range", "Look at the shape of what is indexed."),
    ("read-only|assignment destination", "it changes an argument", "Compute a new array instead."),
    ("NotImplementedError", "it is not written yet", "Write it."),
]


def missing(task: Task) -> Judgement:
    """Return the judgement on a function that is not there."""
    return Judgement(
        MISSING, ("It is missing.", f"Write it, under this name. {task.step}", f"It should return {task.shape}."), 0
    )


def unset(task: Task, why: str) -> Judgement:
    """Return the judgement on a function that a file contains but does not come to define."""
    name = f"it is not defined: {why.rstrip('.')}"
    first = f"{_capital(name)}."
    return Judgement(name, (first, f"Mend that first. {task.step}", f"It should return {task.shape}."), 0, judged=False)


def not_own(task: Task) -> Judgement:
    """Return the judgement on the library's function that is given in place of one's own."""
    name = "it is the library's own function"
    return Judgement(name, (f"{_capital(name)}: write your own.", task.step, f"It should return {task.shape}."), 0)


def each_task(names: Any) -> Iterator[Task]:
    """Yield the tasks of these names; of all if there are none."""
    for name in TASKS if names is None else names:
        if name not in TASKS:
            raise ValueError(f"There is no function {name!r} in the tutorial, only {', '.join(TASKS)}.")
        yield TASKS[name]

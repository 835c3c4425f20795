"""Judge one function and explain its mistake."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, combinations

import numpy as np
from numpy import ndarray

from .explaining import Trial, explained, follows, kept_state, listed
from .grades import Grade
from .mistakes import LOOK, Mistake
from .student import Outcome
from .tasks import (
    AGAIN,
    CASES,
    TASKS,
    Function,
    Task,
    arguments_of,
    as_list,
    difference,
    fits,
    same,
    type_in_words,
)

Caller = Callable[..., Outcome]
"""A function that calls a student's function by name, with arguments as lists if
requested; see `student.call`.
"""

WrongFunctions = Callable[[str], Function | None]
"""A function that returns the student's function of a name if it is wrong, and
otherwise None.
"""

ENDED = ("time", "blocked", "crash", "untried")
"""The kinds of outcomes that end the student's process."""

UNJUDGED = ("time", "blocked", "untried", "unset")
"""The kinds of outcomes that do not allow a judgment."""


def judged(task: Task, caller: Caller, wrong: WrongFunctions) -> Grade:
    """Grade a function of the tutorial."""
    trials = _tried(task, caller)
    if isinstance(trials, Grade):
        return trials
    wrong_functions = {}
    for name in task.calls:
        if function := wrong(name):
            wrong_functions[name] = function
    if wrong_functions and _is_right_with_solutions(
        task, caller, wrong, [*wrong_functions]
    ):
        first = _first_wrong(trials)
        return replace(
            _with_hints(task, follows([*wrong_functions]), _last_hint(first)),
            case=first.case,
        )
    grade = _wrong(task, caller, trials, wrong_functions)
    changed = _changed_arguments(task, trials)
    if changed and "in place" not in grade.mistake:
        return replace(grade, notes=(f"It also changes {changed} in place.",))
    return grade


def _is_right_with_solutions(task, caller, wrong, names):
    """Return whether a function is right if it calls the solutions of wrong functions."""
    # the list grows; each function is judged before the student's code can see its
    # solution
    for name in names:
        wrong(name)
        names += [called for called in TASKS[name].calls if called not in names]
    solutions = "\n".join(TASKS[name].source for name in names)
    result = _tried(task, partial(caller, instead=solutions))
    return isinstance(result, Grade) and result.right


def _first_wrong(trials):
    return next(trial for trial in trials if not trial.is_right)


def _tried(task, caller):
    """Return the grade of a function that is right or ends its process, and otherwise its trials."""
    best_trials = []
    most_right = -1
    formats = ["arrays", "vectors", "lists"]
    if not {"bh", "bo", "ls_of_params"}.intersection(task.arguments):
        formats.remove("vectors")
    for arguments_format in formats:
        trials = []
        for case in range(len(CASES)):
            arguments = arguments_of(task, case)
            passed = arguments
            if arguments_format == "vectors":
                passed = {
                    name: _flat_bias(name, value) for name, value in arguments.items()
                }
            outcome = caller(task.name, passed, arguments_format == "lists")
            if outcome["kind"] in ENDED:
                return replace(problem(task, outcome, arguments), case=case)
            trials.append(Trial.from_call(task, case, arguments, outcome))
        right = sum(trial.is_right for trial in trials)
        if right == len(trials):
            return _right(task, trials)
        if right > most_right:
            best_trials = trials
            most_right = right
    return best_trials


def _flat_bias(name, value):
    """Remove the row axis of biases; return other arguments unchanged."""
    if isinstance(value, list):
        return [_flat_bias("b" if len(part) == 1 else "W", part) for part in value]
    return value[0] if name.startswith("b") else value


def _changed_arguments(task, trials):
    """Return the names of arguments changed in place."""
    changed = {name for trial in trials for name in trial.outcome["changed"]}
    return " and ".join(name for name in task.arguments if name in changed)


CHANGED_ARGUMENTS = "Look at what happens to the arguments."


def _right(task, trials):
    grade = Grade(task.name, 1.0)
    if trials[0].outcome["printed"].strip():
        grade = replace(
            grade, notes=("It prints something; only the returned value counts.",)
        )
    names = _changed_arguments(task, trials)
    if not names:
        return grade
    verb = "are" if " and " in names else "is"
    consequence = "the caller's arrays have different values after the call"
    hints = (
        f"The numbers are correct. {CHANGED_ARGUMENTS}",
        (
            f"{names} {verb} changed in place: {consequence}. Compute a new array"
            " instead, or work on a copy."
        ),
        f"The caller's {names} has different values after the call.",
    )
    return replace(
        grade, points=0.5, mistake=f"{names} is changed in place", hints=hints
    )


def _wrong(task, caller, trials, wrong_functions):
    """Grade a wrong function from all its calls."""
    first = _first_wrong(trials)
    trials_with_value = [trial for trial in trials if trial.has_value]
    for trial in trials:
        kind = trial.outcome["kind"]
        if kind != "value":
            if trial is trials[0] or kind not in ("error", "exit"):
                return _without_result(task, trial, trials_with_value, wrong_functions)
            break
    if first.has_value and (grade := _wrong_type(first)):
        return grade
    if state := kept_state(trials):
        mistake = Mistake(state, "kept")
    else:
        mistake = explained(task, trials_with_value, wrong_functions)
    if not mistake and task.name == "loss":
        mistake = _mistake_with_soft_targets(task, caller)
    if not mistake:
        mistake = _unknown(task, trials)
        if wrong_functions:
            names = listed(wrong_functions)
            verb = "are" if len(wrong_functions) > 1 else "is"
            note = f"if it calls {names}, note that {names} {verb} wrong"
            mistake = replace(mistake, name=f"{mistake.name}; {note}")
    return replace(_with_hints(task, mistake, _last_hint(first)), case=first.case)


def _without_result(task, trial, trials_with_value, wrong_functions):
    """Grade a function that raises an error; other results may explain an error of shapes."""
    outcome = trial.outcome
    error = outcome.get("error", "")
    grade = problem(task, outcome, trial.arguments)
    words = (
        "matmul|broadcast|shapes|aligned|dimension|core dim|axis|size|out of"
        " bounds|sequence"
    )
    shape_error = rf"^error (ValueError|IndexError|AxisError|TypeError).*({words})"
    mistake = None
    if re.search(shape_error, f"{outcome['kind']} {error}"):
        mistake = explained(task, trials_with_value, wrong_functions)
    if mistake:
        last_hint = f"{_capital(error)}{_line_of(outcome)}; {_shapes(trial.arguments)}"
        grade = _with_hints(task, mistake, last_hint)
    return replace(grade, case=trial.case)


def _mistake_with_soft_targets(task, caller):
    """Explain the loss with other targets, because log(0) is infinite and targets of 0 and 1 hide the mistake."""
    trials = []
    for case in range(len(CASES)):
        arguments = arguments_of(task, case)
        T = arguments["T"]
        arguments["T"] = 0.8 * T + 0.2 / T.shape[1]
        trials.append(
            Trial.from_call(task, case, arguments, caller(task.name, arguments, False))
        )
    if all(trial.has_value for trial in trials):
        return explained(task, trials, {})
    return None


def _wrong_type(trial):
    """Grade a function that returns a wrong type."""
    task = trial.task
    value = trial.value
    if value is None:
        name = "nothing is returned"
        if trial.outcome["printed"].strip():
            name = "the result is printed, not returned"
        elif trial.outcome["changed"]:
            name = (
                f"{' and '.join(trial.outcome['changed'])} is changed in place, and"
                " nothing is returned"
            )
        look = "Look at the end of the function: what does it return?"
        return with_step(
            task, look, name, f"It returns None, but should return {task.shape}."
        )
    is_array = isinstance(value, ndarray)
    has_right_type = is_array
    if task.result == "list":
        has_right_type = as_list(value) is not None
    if has_right_type:
        return None
    result = "a single array" if is_array else type_in_words(value)
    if isinstance(value, list) and len(value) == 1 and same(value[0], trial.expected):
        result = "a list or tuple that contains the array, not the array itself"
    look = "Look at the type of the returned value."
    return with_step(
        task, look, f"the result is {result}", f"It should be {task.shape}."
    )


def _last_hint(trial):
    """Return the last hint: a wrong entry and its correct value, or the error."""
    if trial.has_value:
        hint = difference(
            trial.value, trial.expected, trial.task.result, trial.precision
        )
    else:
        hint = f"{trial.outcome['error']}{_line_of(trial.outcome)}"
    hint = f"{_capital(hint)}, for arguments of the shapes {_shapes(trial.arguments)}"
    return f"{hint}: {CASES[trial.case].words}" if trial.case else hint


def _unknown(task, trials):
    """Describe a mistake that no known mistake explains."""
    wrong_trials = [trial for trial in trials if not trial.is_right]
    first = wrong_trials[0]
    misfit = None
    if task.result != "list":
        for trial in reversed(wrong_trials):
            is_array = isinstance(trial.value, ndarray)
            if is_array and not fits(trial.value, trial.expected, task.result):
                misfit = trial
    if trials[0].is_right:
        return _unknown_in_some_cases(wrong_trials, misfit)
    values = [trial.value for trial in trials if trial.has_value]
    if len(values) > 2 and all(isinstance(value, ndarray) for value in values):
        if not np.isfinite(values[0]).all():
            return Mistake("the result is not finite", "argument")
        if same(values[0], values[1]) and same(values[0], values[-2]):
            return Mistake("the result does not depend on the arguments", "argument")
    if misfit:
        words = f"for {CASES[misfit.case].words} " if misfit.case else ""
        return Mistake(
            f"the shape of the result is wrong: {words}it is {misfit.value.shape}",
            "shape",
        )
    if task.result == "list":
        count = len(as_list(first.value) or ())
        if count != len(first.expected):
            return Mistake(
                f"the list has {count} parts, but should have {len(first.expected)}",
                "list",
            )
    return Mistake(f"the numbers are wrong{_share(first)}", "entry")


def _unknown_in_some_cases(wrong_trials, misfit):
    """Describe the wrong cases of a function."""
    first = wrong_trials[0]
    is_correct = f"it is correct for {CASES[0].words}"
    cases = listed([CASES[trial.case].words for trial in wrong_trials])
    if not first.has_value:
        error = first.outcome["error"].partition(":")[0]
        return Mistake(f"{is_correct}, but raises {error} for {cases}", "cases")
    if _are_repetitions([trial.case for trial in wrong_trials]):
        return Mistake(LATER, "kept")
    if misfit is first:
        return Mistake(
            f"{is_correct}, but has the shape {np.shape(first.value)} for {cases}",
            "shape",
        )
    return Mistake(f"{is_correct}, but wrong for {cases}", "cases")


LATER = (
    "it is correct for the first arguments of each shape, but wrong for the next: it"
    " keeps state between calls"
)


def _are_repetitions(wrong_cases):
    """Return whether all cases that repeat some lengths of an earlier case are wrong, and no others."""
    for axes in chain.from_iterable(
        combinations(range(4), count) for count in (4, 3, 2, 1)
    ):
        lengths = [tuple(case.shape[axis] for axis in axes) for case in CASES]
        if wrong_cases == [k for k in range(AGAIN) if lengths[k] in lengths[:k]]:
            return True
    return False


def _share(trial):
    """Describe the first wrong entry and the number or the size of the errors."""
    if trial.task.result == "number":
        return ""
    errors = []
    for value, expected in trial.parts:
        if not isinstance(value, ndarray) or value.size != np.size(expected):
            return ""
        errors.append(
            np.abs(np.ravel(value) - np.ravel(expected))
            / max(np.abs(expected).max(), 1e-300)
        )
    errors = np.concatenate(errors)
    words = f"{(errors > trial.precision).sum()} of {errors.size} entries are wrong"
    if errors.max() < 0.1:
        words = (
            f"all errors are at most {100 * errors.max():.1g} % of the largest entry"
        )
    return (
        f": {difference(trial.value, trial.expected, trial.task.result, trial.precision)};"
        f" {words}"
    )


def _with_hints(task, mistake, last_hint):
    """Build the grade of a function with a mistake; the last hint has no period yet."""
    points = 0
    if mistake.look == "called":
        points = 0.5
        look = f"{_capital(mistake.name)}."
    elif mistake.look == "entry":
        look = f"{last_hint.partition(', for arg')[0]}."
    else:
        look = LOOK[mistake.look]
    return replace(with_step(task, look, mistake.name, f"{last_hint}."), points=points)


def with_step(task: Task, look: str, mistake: str, last_hint: str) -> Grade:
    """Build a grade with hints; if the mistake is in a called function, use the derivation of that function."""
    step = TASKS.get(mistake.partition(": ")[0], task).step
    return Grade(
        task.name,
        0,
        mistake=mistake,
        hints=(look, f"{step} Here, {mistake}.", last_hint),
    )


def absent(task: Task, mistake: str, advice: str, judged: bool = True) -> Grade:
    """Build the grade of a function that cannot be called."""
    hints = (
        f"{_capital(mistake)}.",
        f"{advice} {task.step}",
        f"It should return {task.shape}.",
    )
    return Grade(task.name, 0, mistake=mistake, hints=hints, judged=judged)


def _capital(text):
    return text[:1].upper() + text[1:]


def _shapes(arguments):
    arrays = [
        f"{name} {value.shape}"
        for name, value in arguments.items()
        if getattr(value, "ndim", 0)
    ]
    lists = [
        f"{name} with four arrays"
        for name, value in arguments.items()
        if isinstance(value, list)
    ]
    return ", ".join(arrays + lists)


def _line_of(outcome):
    """Describe the line of an error."""
    if not outcome.get("line"):
        return ""
    line = f", in line {outcome['line']}"
    return f"{line}: {outcome['code']}" if outcome.get("code") else line


def problem(task: Task, outcome: Outcome, arguments: Mapping) -> Grade:
    """Build the grade of a function from a call without a result."""
    error = outcome.get("error", "")
    name = "it raises an error"
    advice = "Read the error message."
    for pattern, *description in _PROBLEMS:
        if re.search(pattern, f"{outcome['kind']} {error}"):
            name, advice = description
            break
    if name == "it has the wrong arguments":
        advice = advice.format(", ".join(task.arguments))
        if outcome.get("line"):  # the error comes from a call inside the function
            name = "it calls a function with wrong arguments"
            advice = "Look at the call in this line."
    first_hint = f"{_capital(name)}."
    if error:
        first_hint = f"{_capital(name)}: {error}{_line_of(outcome)}."
    last_hint = (
        f"The arguments were {_shapes(arguments)}; it should return {task.shape}."
    )
    hints = (first_hint, f"{advice} {task.step}", last_hint)
    return Grade(
        task.name, 0, mistake=name, hints=hints, judged=outcome["kind"] not in UNJUDGED
    )


_PROBLEMS = [
    line.split(" ; ")
    for line in """
File too large ; it writes a large file ; A function returns its result and writes no files.
^untried ; it was not run, because three earlier functions do not end ; Fix those first.
^time ; it does not end ; Look at the conditions of the loops. No loop is needed here.
^blocked ; it waits forever ; It waits without computing. A function needs only its arguments.
^unset ; it needs a name that the file does not define ; Fix the endless code, or pass the value as an argument.
^memory|MemoryError ; it needs too much memory ; Look at the shapes of new arrays: none needs to be large.
^crash ; it ends the whole process ; A function returns its result and never ends the program.
^exit ; it ends the program by exit() ; A function returns its result and never ends the program.
EOFError|reading from stdin ; it asks for input ; A function needs only its arguments.
RecursionError ; it calls itself endlessly ; Does it call itself instead of another function?
NameError: name 'np' ; NumPy is not imported as np ; Write import numpy as np in the file or cell of the function.
NameError|UnboundLocalError ; a name is not defined ; Is it an argument, a defined function, or a typing error?
positional argument|keyword argument|required argument ; it has the wrong arguments ; Expected {}, in this order.
only length-1|0-dimensional|must be real ; a function of math takes one number, not an array ; Use NumPy's function.
truth value of an array ; an array is used as a condition ; The condition differs between entries: use np.where.
matmul|broadcast|shapes|aligned|core dim ; the shapes do not match ; A matrix product needs equal inner lengths.
can't multiply sequence ; a list is multiplied by a number ; Multiply each array in the list instead.
IndexError|AxisError ; an index or axis is out of range ; Look at the shape of the indexed array.
read-only|assignment destination ; it changes an argument ; Compute a new array instead.
NotImplementedError ; it is not implemented yet ; Implement it.
""".strip().splitlines()
]
"""Patterns of outcomes and errors, the mistake, and advice."""

"""Judge one function and explain its mistake."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, combinations
from typing import Any

import numpy as np

from .explaining import Trial, explained, follows, kept_state, listed
from .grades import Grade
from .mistakes import LOOK, Mistake
from .student import Outcome
from .tasks import AGAIN, CASES, TASKS, Task, arguments_of, as_list, difference, fits, same, shown

Caller = Callable[..., Outcome]
"""A function that calls a student's function by name, with arguments as lists if requested; see `student.call`."""

Wrong = Callable[[str], Callable[..., Any] | None]
"""A function that returns the student's function of a name if it is wrong, and otherwise None."""

ENDED = ("time", "blocked", "crash", "untried")
"""The kinds of outcomes that end the student's process."""

UNJUDGED = ("time", "blocked", "untried", "unset")
"""The kinds of outcomes that do not allow a judgment."""


def judged(task: Task, caller: Caller, wrong: Wrong) -> Grade:
    best = _tried(task, caller)
    if isinstance(best, Grade):
        return best
    called = {name: function for name in task.calls if (function := wrong(name))}
    if called:
        needed = [*called]
        for name in needed:  # the list grows; each function is judged before the student's code can see its solution
            wrong(name)
            needed += [other for other in TASKS[name].calls if other not in needed]
        correct = partial(caller, instead="\n".join(TASKS[name].source for name in needed))
        again = _tried(task, correct)
        if isinstance(again, Grade) and again.right:
            first = next(trial for trial in best if not trial.right)
            return replace(_with_hints(task, follows(called), _last(first)), case=first.case)
    found, changed = _wrong(task, caller, best, called), _changed(task, best)
    if changed and "in place" not in found.mistake:
        return replace(found, notes=(f"It also changes {changed} in place.",))
    return found


def _tried(task: Task, caller: Caller) -> Grade | list[Trial]:
    """Return the grade of a function that is right or ends its process, and otherwise its trials."""
    best: list[Trial] = []
    has_biases = {"bh", "bo", "ls_of_params"} & set(task.arguments)
    for clothes in ("arrays", *(["vectors"] if has_biases else []), "lists"):
        trials = []
        for case in range(len(CASES)):
            arguments = arguments_of(task, case)
            given = {name: _flat_bias(name, value) for name, value in arguments.items()}
            outcome = caller(task.name, given if clothes == "vectors" else arguments, clothes == "lists")
            if outcome["kind"] in ENDED:
                return replace(problem(task, outcome, arguments), case=case)
            trials.append(Trial.of(task, case, arguments, outcome))
        if all(trial.right for trial in trials):
            return _right(task, trials)
        best = max(best or trials, trials, key=lambda tried: sum(trial.right for trial in tried))
    return best


def _flat_bias(name: str, value: Any) -> Any:
    """Remove the row axis of biases; return other arguments unchanged."""
    if isinstance(value, list):
        return [_flat_bias("b" if len(part) == 1 else "W", part) for part in value]
    return value[0] if name.startswith("b") else value


def _changed(task: Task, trials: Sequence[Trial]) -> str:
    """Return the names of arguments changed in place."""
    return " and ".join(name for name in task.arguments if any(name in trial.outcome["changed"] for trial in trials))


def _right(task: Task, trials: list[Trial]) -> Grade:
    notes = ("It prints something; only the returned value counts.",) if trials[0].outcome["printed"].strip() else ()
    if not (names := _changed(task, trials)):
        return Grade(task.name, 1.0, notes=notes)
    look = "The numbers are correct. Look at what happens to the arguments."
    changed = f"{names} {'are' if ' and ' in names else 'is'} changed in place"
    why = "the caller's arrays have different values after the call"
    last = f"The caller's {names} has different values after the call."
    hints = (look, f"{changed}: {why}. Compute a new array instead, or work on a copy.", last)
    return Grade(task.name, 0.5, mistake=f"{names} is changed in place", hints=hints, notes=notes)


def _wrong(task: Task, caller: Caller, trials: list[Trial], wrong: Mapping[str, Callable[..., Any]]) -> Grade:
    """Grade a wrong function from all its calls."""
    first = next(trial for trial in trials if not trial.right)
    valued = [trial for trial in trials if trial.has_value]
    bad = next((trial for trial in trials if not trial.has_value), None)
    if bad and (bad is trials[0] or bad.outcome["kind"] not in ("error", "exit")):
        words = "matmul|broadcast|shapes|aligned|dimension|core dim|axis|size|out of bounds|sequence"
        of_shapes = rf"^error (ValueError|IndexError|AxisError|TypeError).*({words})"
        is_of_shapes = re.search(of_shapes, f"{bad.outcome['kind']} {bad.outcome.get('error')}")
        mistake = explained(task, valued, wrong) if is_of_shapes else None
        last = f"{_capital(bad.outcome.get('error', ''))}{_at(bad.outcome)}; {_shapes(bad.named)}"
        found = _with_hints(task, mistake, last) if mistake else problem(task, bad.outcome, bad.named)
        return replace(found, case=bad.case)
    if first.has_value and (about := _of_type(first)):
        return with_step(task, *about)
    keeps = kept_state(trials)
    mistake = Mistake(keeps, "kept") if keeps else explained(task, valued, wrong)
    if not mistake and task.name == "loss":  # log(0) is infinite, so targets of 0 and 1 hide the mistake
        soft = []
        for case in range(len(CASES)):
            given = arguments_of(task, case)
            given["T"] = 0.8 * given["T"] + 0.2 / given["T"].shape[1]
            soft.append(Trial.of(task, case, given, caller(task.name, given, False)))
        mistake = explained(task, soft, wrong) if all(trial.has_value for trial in soft) else None
    if not mistake:
        mistake = _unknown(task, trials)
        if called := listed([*wrong]):
            are = f"{called} {'are' if len(wrong) > 1 else 'is'}"
            mistake = replace(mistake, name=f"{mistake.name}; if it calls {called}, note that {are} wrong")
    return replace(_with_hints(task, mistake, _last(first)), case=first.case)


def _of_type(trial: Trial) -> tuple[str, str, str] | None:
    """Return where to look, the mistake and the last hint for a wrong type."""
    task, found = trial.task, trial.found
    if found is None:
        name = "nothing is returned"
        if trial.outcome["printed"].strip():
            name = "the result is printed, not returned"
        elif trial.outcome["changed"]:
            name = f"{' and '.join(trial.outcome['changed'])} is changed in place, and nothing is returned"
        look = "Look at the end of the function: what does it return?"
        return look, name, f"It returns None, but should return {task.shape}."
    is_list = as_list(found) is not None if task.result == "list" else not isinstance(found, list)
    if is_list and not isinstance(found, tuple):
        return None
    what = shown(found) if not isinstance(found, np.ndarray) else "a single array"
    if isinstance(found, list) and len(found) == 1 and same(found[0], trial.expected):
        what = "a list or tuple that contains the array, not the array itself"
    return "Look at the type of the returned value.", f"the result is {what}", f"It should be {task.shape}."


def _last(trial: Trial) -> str:
    """Return the last hint: a wrong entry and its correct value, or the error."""
    about = f": {CASES[trial.case].words}" if trial.case else ""
    if trial.has_value:
        what = difference(trial.found, trial.expected, trial.task.result, trial.precision)
    else:
        what = f"{trial.outcome['error']}{_at(trial.outcome)}"
    return f"{_capital(what)}, for arguments of the shapes {_shapes(trial.named)}{about}"


def _unknown(task: Task, trials: list[Trial]) -> Mistake:
    """Describe a mistake that no known mistake explains."""
    valued = [trial for trial in trials if trial.has_value]
    wrong = [trial for trial in trials if not trial.right]
    first = wrong[0]
    arrays = [trial for trial in wrong if isinstance(trial.found, np.ndarray) and task.result != "list"]
    misfit = next((trial for trial in arrays if not fits(trial.found, trial.expected, task.result)), None)
    if trials[0].right:
        right_for, some = f"it is correct for {CASES[0].words}", listed([CASES[trial.case].words for trial in wrong])
        if not first.has_value:
            why = first.outcome["error"].partition(":")[0]
            return Mistake(f"{right_for}, but raises {why} for {some}", "cases")
        number = [trial.case for trial in wrong]
        for axes in chain.from_iterable(combinations(range(4), count) for count in (4, 3, 2, 1)):
            keys = [tuple(case.shape[axis] for axis in axes) for case in CASES]
            if number == [k for k in range(AGAIN) if keys[k] in keys[:k]]:
                return Mistake(LATER, "kept")
        if misfit is first:
            return Mistake(f"{right_for}, but has the shape {np.shape(first.found)} for {some}", "shape")
        return Mistake(f"{right_for}, but wrong for {some}", "cases")
    if len(valued) > 2 and all(isinstance(trial.found, np.ndarray) for trial in valued):
        if not np.isfinite(valued[0].found).all():
            return Mistake("the result is not finite", "argument")
        if same(valued[0].found, valued[1].found) and same(valued[0].found, valued[-2].found):
            return Mistake("the result does not depend on the arguments", "argument")
    if misfit:
        where = f"for {CASES[misfit.case].words} " if misfit.case else ""
        return Mistake(f"the shape of the result is wrong: {where}it is {misfit.found.shape}", "shape")
    if task.result == "list" and (count := len(as_list(first.found) or ())) != len(first.expected):
        return Mistake(f"the list has {count} parts, but should have {len(first.expected)}", "list")
    return Mistake(f"the numbers are wrong{_share(first)}", "entry")


LATER = "it is correct for the first arguments of each shape, but wrong for the next: it keeps state between calls"


def _share(trial: Trial) -> str:
    """Describe the first wrong entry and the number or the size of the errors."""
    pairs = trial.parts
    if trial.task.result == "number" or any(not isinstance(f, np.ndarray) or f.size != np.size(e) for f, e in pairs):
        return ""
    errors = np.concatenate([np.abs(np.ravel(f) - np.ravel(e)) / max(np.abs(e).max(), 1e-300) for f, e in pairs])
    words = f"{(errors > trial.precision).sum()} of {errors.size} entries are wrong"
    if errors.max() < 0.1:
        words = f"all errors are at most {100 * errors.max():.1g} % of the largest entry"
    return f": {difference(trial.found, trial.expected, trial.task.result, trial.precision)}; {words}"


def _with_hints(task: Task, mistake: Mistake, last: str) -> Grade:
    """Build the grade of a function with a mistake; the last hint has no period yet."""
    own = {"entry": f"{last.partition(', for arg')[0]}.", "called": f"{_capital(mistake.name)}."}
    first = own.get(mistake.look) or LOOK[mistake.look]
    return replace(with_step(task, first, mistake.name, f"{last}."), points=0.5 if mistake.look == "called" else 0)


def with_step(task: Task, first: str, name: str, last: str) -> Grade:
    """Build a grade with hints; if the mistake is in a called function, use the derivation of that function."""
    of = next((TASKS[called] for called in TASKS if name.startswith(f"{called}: ")), task)
    return Grade(task.name, 0, mistake=name, hints=(first, f"{of.step} Here, {name}.", last))


def absent(task: Task, mistake: str, advice: str, judged: bool = True) -> Grade:
    """Build the grade of a function that cannot be called."""
    hints = (f"{_capital(mistake)}.", f"{advice} {task.step}", f"It should return {task.shape}.")
    return Grade(task.name, 0, mistake=mistake, hints=hints, judged=judged)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shapes(arguments: Mapping[str, Any]) -> str:
    arrays = [f"{name} {value.shape}" for name, value in arguments.items() if getattr(value, "ndim", 0)]
    lists = [f"{name} with four arrays" for name, value in arguments.items() if isinstance(value, list)]
    return ", ".join(arrays + lists)


def _at(outcome: Outcome) -> str:
    """Describe the line of an error."""
    if not outcome.get("line"):
        return ""
    return f", in line {outcome['line']}" + (f": {outcome['code']}" if outcome.get("code") else "")


def problem(task: Task, outcome: Outcome, arguments: Mapping[str, Any]) -> Grade:
    """Build the grade of a function from a call without a result."""
    error = outcome.get("error", "")
    found = (about for pattern, *about in _PROBLEMS if re.search(pattern, f"{outcome['kind']} {error}"))
    name, advice = next(found, ("it raises an error", "Read the error message."))
    if name == "it has the wrong arguments":
        advice = advice.format(", ".join(task.arguments))
        if outcome.get("line"):  # the error comes from a call inside the function
            name, advice = "it calls a function with wrong arguments", "Look at the call in this line."
    first = f"{_capital(name)}" + (f": {error}{_at(outcome)}." if error else ".")
    last = f"The arguments were {_shapes(arguments)}; it should return {task.shape}."
    hints = (first, f"{advice} {task.step}", last)
    return Grade(task.name, 0, mistake=name, hints=hints, judged=outcome["kind"] not in UNJUDGED)


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

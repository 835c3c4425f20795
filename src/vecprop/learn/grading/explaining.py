"""Find a mistake that explains all results of a wrong function."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, compress, product
from typing import Any

import numpy as np

from .mistakes import Mistake, named
from .mutations import any_of, changed_result, in_parts, inherited, mutated, rows_of, said, with_numbers
from .student import Outcome
from .tasks import CASES, PRECISION, Task, as_list, functions, right, same

OFTEN: dict[str, Callable[[Any, Any], Any]] = {
    "the sign is wrong": lambda E, args: [-part for part in E] if isinstance(E, list) else -E,
    "it is divided by N, the number of rows": lambda E, args: np.asarray(E) / rows_of(args),
    "it is the mean over all entries": lambda E, args: E / np.size(args[0]),
    "a factor 2 is missing": lambda E, args: E / 2,
    "a factor 2 is too many": lambda E, args: 2 * E,
}
"""Changes that are also tried in combination with known mistakes."""


def listed(words: Sequence[str]) -> str:
    """Join words for a sentence, such as "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def follows(called: Iterable[str]) -> Mistake:
    """Return the mistake of a function that is wrong only because of the functions that it calls."""
    names = [*called]
    are = "are" if names[1:] else "is"
    return Mistake(f"it is correct except for {listed(names)}, which it calls and which {are} wrong", "called")


@dataclass(frozen=True)
class Trial:
    """One call of a student's function, with a relative tolerance for comparisons."""

    task: Task
    case: int
    named: Mapping[str, Any]
    outcome: Outcome
    expected: Any
    precision: float

    @classmethod
    def of(cls, task: Task, case: int, arguments: Mapping[str, Any], outcome: Outcome) -> "Trial":
        """Create the trial of a tutorial function."""
        least = {"logistic": PRECISION, "error_output": PRECISION, "loss": 1e-3}.get(task.name, 2e-4)
        expected = functions()[task.name](*arguments.values())
        return cls(task, case, arguments, outcome, expected, least if CASES[case].size > 1 else PRECISION)

    @property
    def arguments(self) -> tuple[Any, ...]:
        return tuple(self.named.values())

    @property
    def found(self) -> Any:
        return self.outcome.get("value")

    @property
    def has_value(self) -> bool:
        return self.outcome["kind"] == "value"

    @cached_property
    def right(self) -> bool:
        return self.has_value and right(self.found, self.expected, self.task.result, self.precision)

    @property
    def parts(self) -> list[tuple[Any, Any]]:
        """Pairs of returned and expected list elements, or one pair for other results."""
        if self.task.result != "list":
            return [(self.found, self.expected)]
        return list(zip(as_list(self.found) or [], self.expected, strict=False))

    def agrees(self, value: Any) -> bool:
        """Return whether a value equals the function's result in numbers and shape."""
        found, shape = self.found, np.shape(value) if not isinstance(value, list) else ()
        if not isinstance(found, np.ndarray) or isinstance(value, list):
            return same(found, value, self.precision)
        if not found.ndim and np.size(value):
            found = np.full(shape, found)  # empty sums are 0
        is_of_shape = not self.right and same(found, self.expected, self.precision)  # the shape is wrong
        if (is_of_shape or min(found.ndim, len(shape)) >= 2) and found.shape != shape:
            return False
        return same(found, value, self.precision)

    def differs(self, value: Any) -> bool:
        """Return whether a value differs from the expected one in numbers or shape."""
        pairs = [(value, self.expected)]
        if isinstance(value, list):
            if len(value) != len(self.expected):
                return True
            pairs = zip(value, self.expected, strict=True)
        return any(np.shape(a) != np.shape(b) or not same(np.asarray(a), b, self.precision) for a, b in pairs)


def explained(task: Task, trials: Sequence[Trial], wrong: Mapping[str, Callable[..., Any]]) -> Mistake | None:
    """Return a mistake that explains all results, or None if no known mistake does."""
    arrays = [[found for found, _ in trial.parts if isinstance(found, np.ndarray)] for trial in trials]
    finite = [all(np.isfinite(array).all() for array in each) for each in arrays]
    trials = sorted(compress(trials, finite), key=lambda trial: trial.right)
    if not trials or trials[0].right:
        return None

    def explains(mistake: Mistake) -> bool:
        for trial in trials:
            try:
                value = mistake.made(*trial.arguments)
            except Exception:  # a mistake may raise for mismatched shapes
                return False
            if not trial.agrees(value) or not (trial.right or trial.differs(value)):
                return False
        return True

    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        candidates = _candidates(task, trials, wrong)
        found = next((mistake for mistake in candidates if mistake.made is len or explains(mistake)), None)
        if not found or not found.words:
            return found
        # other numbers or the same change of another factor may give the same results
        simple = {said(found.words, name) for name in (*task.arguments, "M", "P", "J")}
        is_number = "some number" in found.words
        others = [one for one in chain(mutated(task), with_numbers(task)) if one.words == found.words]
        equal = [one.name for one in others if (is_number or one.name in simple) and explains(one)]
        names = list(dict.fromkeys([found.name, *equal]))
        return replace(found, name=found.words if is_number and names[1:] else " or ".join(names))


def _candidates(task: Task, trials: Sequence[Trial], wrong: Mapping[str, Callable[..., Any]]) -> Iterator[Mistake]:
    """Yield possible mistakes, the most likely first."""
    exact = functions()[task.name]
    names = trials[0].outcome.get("parameters", [])
    order = [names.index(name) for name in task.arguments if name in names]
    if sorted(order) == list(range(len(task.arguments))) != order:
        words = f"its arguments are in another order: ({', '.join(names)}), not ({', '.join(task.arguments)})"
        yield Mistake(words, "argument", lambda *args: exact(*(args[k] for k in order)))
    if wrong:
        yield replace(follows(wrong), made=functions(wrong)[task.name])
    parts = len(trials[0].expected) if task.result == "list" else 0
    part_numbers = _wrong_parts(trials) if parts else []
    changes = list(changed_result(task, parts, part_numbers))
    yield from chain(changes[:2] if parts else (), named(task), inherited(task, named, part_numbers), changes)
    for words, rows in OF_ROWS:

        def of_rows(*args: Any, rows: slice = rows) -> Any:
            has_rows = [name in ("z", "X", "T", "Y", "H", "Eo", "Eh") for name in task.arguments]
            return exact(*(a[rows] if has else a for has, a in zip(has_rows, args, strict=True)))

        yield Mistake(words, "axis", of_rows)
    if parts:
        yield Mistake("the list is in reverse order", "list", lambda *args: exact(*args)[::-1])
    yield from mutated(task)
    if relation := _fitted(trials):
        yield relation
    yield from chain(inherited(task, any_of, part_numbers), with_numbers(task))
    often = [mistake for mistake in changes if mistake.name in OFTEN]
    for mistake, (words, change) in product([*named(task), *often], OFTEN.items()):
        if words not in mistake.name:
            both = lambda *args, made=mistake.made, change=change: change(made(*args), args)  # noqa: E731
            yield Mistake(f"{mistake.name}; and {words}", mistake.look, both)


def _wrong_parts(trials: Sequence[Trial]) -> list[int]:
    """Return the indices of list elements that are wrong in any trial."""
    pairs = [(k, trial, *pair) for trial in trials for k, pair in enumerate(trial.parts)]
    return sorted({k for k, trial, found, expected in pairs if not same(found, expected, trial.precision)})


OF_ROWS = [
    ("only the first row is used", slice(0, 1)),
    ("only the last row is used", slice(-1, None)),
    ("the first row is left out", slice(1, None)),
    ("the last row is left out", slice(None, -1)),
    ("only every other row is used", slice(None, None, 2)),
    *((f"only the first {k} rows are used", slice(k)) for k in (2, 3, 4, 5, 8, 10, 16, 20, 32)),
]
"""Subsets of rows that a wrong function may use."""


def kept_state(trials: Sequence[Trial]) -> str:
    """Describe state that a function keeps between calls, or return "" if it keeps none."""
    first, last = trials[0], trials[-1]
    if not (first.has_value and last.has_value):
        return ""
    if not all(isinstance(found, np.ndarray) for trial in (first, last) for found, _ in trial.parts):
        return ""
    if same(last.found, first.found):
        for number, trial in enumerate(trials):
            for earlier in trials[:number] if trial.has_value and not trial.right else ():
                if earlier.right and same(trial.found, earlier.found):
                    return EARLIER
        return ""
    before: dict[str, list[Any]] = {}
    for trial in trials:
        shape = str([np.shape(expected) for _, expected in trial.parts])
        for (found, expected), total in zip(trial.parts, before.get(shape, []), strict=False):
            is_array = isinstance(total, np.ndarray) and total.size == np.size(expected)
            if not is_array or not same(found, total.reshape(np.shape(expected)) + expected, trial.precision):
                return AT_RANDOM
        before[shape] = [found for found, _ in trial.parts]
    return "results of earlier calls are added: the function keeps state between calls"


EARLIER = "results of an earlier call are returned for other arguments: the function keeps state between calls"
AT_RANDOM = "a second call with the same arguments returns another result: the function keeps state or is random"


Pair = tuple[Trial, int, np.ndarray, np.ndarray]
"""A trial, the index of a list element, and the returned and expected values."""


def _fitted(trials: Sequence[Trial]) -> Mistake | None:
    """Return a mistake if the results have a simple relation to the expected results."""
    task, parts, where = trials[0].task, [0], ""
    if task.result == "list":
        parts = _wrong_parts(trials)
        where = "in each part of the list " if len(parts) == len(trials[0].expected) else in_parts(parts)
    pairs = list[Pair]()
    for trial, k in product(trials, parts):
        found, expected = trial.parts[k] if k < len(trial.parts) else (None, 0)
        if not isinstance(found, np.ndarray) or np.squeeze(found).shape != np.squeeze(expected).shape:
            return None
        pairs.append((trial, k, found.reshape(np.shape(expected)), np.asarray(expected, float)))
    if all(same(f, e, trial.precision) for trial, _, f, e in pairs):
        return None  # the shapes are wrong
    if task.name == "update_momentum" and (words := _sums_of_moments(pairs)):
        return Mistake(where.replace("in each part of the list ", "") + words, "factors")
    words, look = next(relations(pairs, (*task.arguments, "the parameter"), _argument), ("", ""))
    return Mistake(where + words, look) if words else None


def _coefficients(pairs: Sequence[Pair], columns: Callable[[Pair], Sequence[Any]]) -> Any:
    """Fit the results by a linear combination of columns; return None if the fit is inexact."""
    sums = []
    for pair in pairs:
        trial, _, f, e = pair
        terms = columns(pair)
        if any(term is None or np.shape(term) not in ((), e.shape) for term in terms):
            return None
        A = np.stack([np.broadcast_to(term, e.shape).ravel() for term in terms], axis=1)
        sums.append((trial.precision, 1 / max(np.abs(f).max(), 1e-300), A, f.ravel()))
    A, b = (np.concatenate([one[1] * one[k] for one in sums]) for k in (2, 3))
    if not (np.isfinite(A).all() and len(b) > A.shape[1]):
        return None
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    return x if all(same(f, A @ x, precision) for precision, _, A, f in sums) else None


def _sums_of_moments(pairs: Sequence[Pair]) -> str:
    """Describe new moments as sums of old moments, gradients and parameters."""
    found = []
    for trial in [pair[0] for k, pair in enumerate(pairs) if not pair[0].right and pair[0] is not pairs[k - 1][0]]:
        X, T, params, Ms, m, r = trial.arguments
        lists = (Ms, functions()["backprop_gradients"](X, T, *params), params)
        own = [pair for pair in pairs if pair[0] is trial]
        x = _coefficients(own, lambda pair, lists=lists: [one[pair[1]] for one in lists])
        if x is None:
            return ""
        terms = [f"{c:+.4g} {name}" for c, name in zip(x, "MJP", strict=True) if abs(c) > 1e-6]
        words = re.sub(r"([+-])1 ", r"\1", " ".join(terms)).removeprefix("+")
        found.append((words or "0", f"{m:g}", f"{r:g}"))
    if len(found) > 1 and len({words for words, *_ in found}) == 1:
        return f"for each momentum_term and learning_rate it is {found[0][0]}"
    return "with momentum_term {1} and learning_rate {2} it is {0}, not {1} M - {2} J".format(*found[0])


def relations(pairs: Sequence[Any], names: Iterable[str], term: Callable[[Any, str], Any]) -> Iterator[tuple[str, str]]:
    """Yield simple relations between the results and the expected values."""
    if (x := _coefficients(pairs, lambda pair: (pair[3],))) is not None:
        yield f"every entry is {x[0]:.6g} times what it should be", "size"
    if (x := _coefficients(pairs, lambda pair: (pair[3], 1.0))) is not None and abs(x[0]) > 1e-6:
        times = "the correct number" if abs(x[0] - 1) < 1e-4 else f"{x[0]:.6g} times the correct number"
        yield f"every entry is {times} {'plus' if x[1] > 0 else 'minus'} {abs(x[1]):.6g}", "terms"
    F, E = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (2, 3))
    low, high = F.min(), F.max()
    below, above = (low > E).sum(), (high < E).sum()
    if low < high and below + above > 2 and all(same(f, np.clip(e, low, high), t.precision) for t, _, f, e in pairs):
        bounds = [f"below {low:.6g}"] * bool(below) + [f"above {high:.6g}"] * bool(above)
        yield f"numbers {' and '.join(bounds)} are clipped", "function"
    added = [(_coefficients(pairs, lambda pair, name=name: (pair[3], term(pair, name))), name) for name in names]
    for x, name in sorted((one for one in added if one[0] is not None), key=lambda one: abs(one[0][0] - 1) > 1e-4):
        times = "" if abs(x[0] - 1) < 1e-4 else f"it is {x[0]:.6g} times what it should be, and "
        yield f"{times}{x[1]:.6g} times {name} is added to what it should be", "terms"
    wrong = [np.abs(f - e) > t.precision * np.abs(e).max(initial=0) for t, _, f, e in pairs if not t.right]
    for (word, axis), (place, k) in product((("column", 0), ("row", 1)), (("first", 0), ("last", -1))):
        if len(wrong) < 2 or any(errors.ndim != 2 or errors.shape[1 - axis] == 1 for errors in wrong):
            continue
        lines = [errors.any(axis=axis) for errors in wrong]
        alone = [np.arange(len(line)) == k % len(line) for line in lines]
        for is_wrong, which in ((np.equal, "wrong"), (np.not_equal, "right")):
            if all(map(np.all, map(is_wrong, lines, alone))):
                yield f"only the {place} {word} of the result is {which}", "axis"
    if all((np.float16(f) == f).all() and (np.round(f) != f).any() and np.ptp(f) for *_, f, _ in pairs):
        yield "the numbers are rounded to float16", "numbers"


def _argument(pair: Pair, name: str) -> Any:
    """Return an argument, or the corresponding element if it is a list of arrays."""
    trial, part = pair[:2]
    value = trial.named.get(("Wh", "bh", "Wo", "bo")[part]) if name == "the parameter" else trial.named[name]
    return value[part] if isinstance(value, list) else value

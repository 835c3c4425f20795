"""Find a mistake that explains all results of a wrong function."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...core.elementary import Array
from .mistakes import Mistake, named
from .mutations import (
    any_of,
    changed_result,
    described,
    in_parts,
    inherited,
    mutated,
    with_changed_result,
    with_constants,
    with_numbers,
)
from .student import Outcome
from .tasks import (
    CASES,
    PARAMETERS,
    PRECISION,
    Function,
    Task,
    as_list,
    functions,
    has_shape_of,
    is_right,
    same,
)

OFTEN = {
    "the sign is wrong": with_constants(np.negative),
    "it is divided by N, the number of rows": np.divide,
    "a factor 2 is missing": with_constants(np.divide, 2),
    "a factor 2 is too many": with_constants(np.multiply, 2),
}
"""Changes that are also tried in combination with known mistakes."""


def listed(words: Iterable[str]) -> str:
    """Join words for a sentence, such as "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def follows(called: Sequence[str]) -> Mistake:
    """Return the mistake of a function that is wrong only because of the functions that it calls."""
    verb = "is" if len(called) == 1 else "are"
    return Mistake(
        f"it is correct except for {listed(called)}, which it calls and which {verb}"
        " wrong",
        "called",
    )


@dataclass(frozen=True)
class Trial:
    """One call of a student's function, with a relative tolerance for comparisons."""

    task: Task
    case: int
    arguments: Mapping
    outcome: Outcome
    expected: Any
    precision: float

    @classmethod
    def from_call(
        cls, task: Task, case: int, arguments: Mapping, outcome: Outcome
    ) -> "Trial":
        """Return the trial of a tutorial function."""
        precision = PRECISION
        if CASES[case].size > 1:
            precision = {
                "logistic": PRECISION,
                "error_output": PRECISION,
                "loss": 1e-3,
            }.get(task.name, 2e-4)
        expected = functions()[task.name](*arguments.values())
        return cls(task, case, arguments, outcome, expected, precision)

    @property
    def value(self) -> Any:
        return self.outcome.get("value")

    @property
    def has_value(self) -> bool:
        return self.outcome["kind"] == "value"

    @cached_property
    def is_right(self) -> bool:
        return self.has_value and is_right(
            self.value, self.expected, self.task.result, self.precision
        )

    @property
    def parts(self) -> list[tuple[Any, Any]]:
        """Pairs of returned and expected list elements, or one pair for other results."""
        if self.task.result != "list":
            return [(self.value, self.expected)]
        return list(zip(as_list(self.value) or [], self.expected, strict=False))

    @property
    def is_finite(self) -> bool:
        return all(
            np.isfinite(part).all()
            for part, _ in self.parts
            if isinstance(part, ndarray)
        )

    def agrees(self, value) -> bool:
        """Return whether a value equals the function's result in numbers and shape."""
        result = self.value
        if not isinstance(result, ndarray) or isinstance(value, list):
            return same(result, value, self.precision)
        shape = np.shape(value)
        if not result.ndim and np.size(value):
            result = np.full(shape, result)  # empty sums are 0
        only_shape_is_wrong = not self.is_right and same(
            result, self.expected, self.precision
        )
        compares_shapes = only_shape_is_wrong or min(result.ndim, len(shape)) >= 2
        if compares_shapes and result.shape != shape:
            return False
        return same(result, value, self.precision)

    def differs(self, value) -> bool:
        """Return whether a value differs from the expected one in numbers or shape."""
        if not isinstance(value, list):
            return self._part_differs(value, self.expected)
        return len(value) != len(self.expected) or any(
            map(self._part_differs, value, self.expected)
        )

    def _part_differs(self, value, expected):
        return np.shape(value) != np.shape(expected) or not same(
            np.asarray(value), expected, self.precision
        )


def explained(
    task: Task, trials: Sequence[Trial], wrong_functions: Mapping[str, Function]
) -> Mistake | None:
    """Return a mistake that explains all results, or None if no known mistake does."""
    trials = sorted(
        (trial for trial in trials if trial.is_finite), key=lambda trial: trial.is_right
    )
    if not trials or trials[0].is_right:
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        for mistake in _candidates(task, trials, wrong_functions):
            if mistake.function is None:
                return mistake
            if explains(mistake.function, trials):
                return _with_alternatives(mistake, task, trials)
    return None


def explains(function, trials: Sequence[Trial]) -> bool:
    """Return whether a wrong function gives the results of all trials."""
    for trial in trials:
        try:
            value = function(*trial.arguments.values())
        except Exception:  # mismatched shapes, or an error in a user's layer
            return False
        if not trial.agrees(value) or not (trial.is_right or trial.differs(value)):
            return False
    return True


def _with_alternatives(mistake, task, trials):
    """Add other numbers and changes of other factors that give the same results."""
    if not mistake.family:
        return mistake
    names = [mistake.name]
    simple_names = [
        described(mistake.family, name) for name in (*task.arguments, "M", "P", "J")
    ]
    is_number = "some number" in mistake.family
    for alternative in chain(mutated(task), with_numbers(task)):
        if alternative.family != mistake.family or alternative.name in names:
            continue
        if (is_number or alternative.name in simple_names) and explains(
            alternative.function, trials
        ):
            names.append(alternative.name)
    if is_number and len(names) > 1:
        return replace(mistake, name=mistake.family)
    return replace(mistake, name=" or ".join(names))


def _candidates(task, trials, wrong_functions):
    """Yield possible mistakes, the most likely first."""
    yield from _other_order_of_arguments(task, trials[0].outcome.get("parameters", []))
    if wrong_functions:
        yield replace(
            follows([*wrong_functions]), function=functions(wrong_functions)[task.name]
        )
    is_list = task.result == "list"
    wrong_parts = []
    if is_list:
        wrong_parts = _wrong_parts(trials)
    changes = list(changed_result(task, wrong_parts))
    if is_list:
        yield from changes[:2]
    yield from named(task)
    yield from inherited(task, named, wrong_parts)
    yield from changes
    yield from _with_few_rows(task)
    if is_list:
        exact = functions()[task.name]
        yield Mistake(
            "the list is in reverse order",
            "list",
            lambda *arguments: exact(*arguments)[::-1],
        )
    yield from mutated(task)
    yield from _relation(trials)
    yield from inherited(task, any_of, wrong_parts)
    yield from with_numbers(task)
    frequent_changes = [mistake for mistake in changes if mistake.name in OFTEN]
    for mistake in named(task) + frequent_changes:
        yield from _combined(mistake)


def _other_order_of_arguments(task, names):
    count = len(task.arguments)
    if (
        sorted(names[:count]) == sorted(task.arguments)
        and tuple(names[:count]) != task.arguments
    ):
        exact = functions()[task.name]
        yield Mistake(
            f"its arguments are in another order: ({', '.join(names)}), not"
            f" ({', '.join(task.arguments)})",
            "argument",
            lambda *arguments: exact(**dict(zip(names, arguments, strict=False))),
        )


def _combined(mistake):
    """Yield combinations of a mistake with a frequent second one."""
    for words, change in OFTEN.items():
        if words not in mistake.name:
            function = with_changed_result(mistake.function, change)
            yield Mistake(f"{mistake.name}; and {words}", mistake.look, function)
    words = "it is the mean over all entries"
    if words not in mistake.name:

        def mean(*arguments):
            return mistake.function(*arguments) / np.size(arguments[0])

        yield Mistake(f"{mistake.name}; and {words}", mistake.look, mean)


def _wrong_parts(trials):
    """Return the indices of list elements that are wrong in any trial."""
    wrong_parts = set()
    for trial in trials:
        for k, (value, expected) in enumerate(trial.parts):
            if not same(value, expected, trial.precision):
                wrong_parts.add(k)
    return sorted(wrong_parts)


ROW_SUBSETS = {
    "only the first row is used": slice(0, 1),
    "only the last row is used": slice(-1, None),
    "the first row is left out": slice(1, None),
    "the last row is left out": slice(None, -1),
    "only every other row is used": slice(None, None, 2),
} | {
    f"only the first {k} rows are used": slice(k)
    for k in (2, 3, 4, 5, 8, 10, 16, 20, 32)
}
"""Subsets of rows that a wrong function may use."""


def _with_few_rows(task):
    exact = functions()[task.name]
    for words, rows in ROW_SUBSETS.items():

        def function(*arguments, rows=rows):
            values = dict(zip(task.arguments, arguments, strict=True))
            for name in {"z", "X", "T", "Y", "H", "Eo", "Eh"}.intersection(values):
                values[name] = values[name][rows]
            return exact(**values)

        yield Mistake(words, "axis", function)


def kept_state(trials: Sequence[Trial]) -> str:
    """Describe state that a function keeps between calls, or return "" if it keeps none."""
    first = trials[0]
    last = trials[-1]  # repeats the first call
    if not (first.has_value and last.has_value):
        return ""
    if not all(isinstance(value, ndarray) for value, _ in first.parts + last.parts):
        return ""
    if same(last.value, first.value):
        if _repeats_earlier_results(trials):
            return (
                "results of an earlier call are returned for other arguments: the"
                " function keeps state between calls"
            )
        return ""
    if _accumulates(trials):
        return (
            "results of earlier calls are added: the function keeps state between calls"
        )
    return (
        "a second call with the same arguments returns another result: the function"
        " keeps state or is random"
    )


def _repeats_earlier_results(trials):
    right_values = []
    for trial in trials:
        if trial.is_right:
            right_values.append(trial.value)
        elif trial.has_value and any(
            same(trial.value, value) for value in right_values
        ):
            return True
    return False


def _accumulates(trials):
    """Return whether each result is the sum of the expected one and the previous result of the same shape."""
    totals = {}
    for trial in trials:
        shapes = str([np.shape(expected) for _, expected in trial.parts])
        for (value, expected), total in zip(
            trial.parts, totals.get(shapes, []), strict=False
        ):
            if not isinstance(total, ndarray) or total.size != np.size(expected):
                return False
            if not same(
                value, total.reshape(np.shape(expected)) + expected, trial.precision
            ):
                return False
        totals[shapes] = [value for value, _ in trial.parts]
    return True


IN_ALL_PARTS = "in each part of the list "


class Pair(NamedTuple):
    """The returned and the expected value of a list element in a trial."""

    trial: Trial
    part: int
    value: Array
    expected: Array


def _relation(trials):
    """Yield a mistake if the results have a simple relation to the expected results."""
    task = trials[0].task
    parts = [0]
    prefix = ""
    if task.result == "list":
        parts = _wrong_parts(trials)
        prefix = (
            in_parts(parts) if len(parts) < len(trials[0].expected) else IN_ALL_PARTS
        )
    pairs = []
    for trial, part in product(trials, parts):
        if part >= len(trial.parts):
            return
        value, expected = trial.parts[part]
        if not has_shape_of(value, expected):
            return
        pairs.append(
            Pair(
                trial,
                part,
                value.reshape(np.shape(expected)),
                np.asarray(expected, float),
            )
        )
    if all(same(pair.value, pair.expected, pair.trial.precision) for pair in pairs):
        return  # the shapes are wrong
    if task.name == "update_momentum" and (words := _sums_of_moments(pairs)):
        yield Mistake(prefix.replace(IN_ALL_PARTS, "") + words, "factors")
        return
    terms = {
        name: [_argument(pair, name) for pair in pairs]
        for name in (*task.arguments, "the parameter")
    }
    for words, look in relations(pairs, terms):
        yield Mistake(prefix + words, look)


def _coefficients(pairs, *terms):
    """Fit the results by a linear combination of terms; return None if the fit is inexact.

    A term is a sequence with one array or number per pair.
    """
    matrices = []
    weighted_matrices = []
    weighted_values = []
    for pair, *values in zip(pairs, *terms, strict=True):
        shape = pair.expected.shape
        if any(value is None or np.shape(value) not in ((), shape) for value in values):
            return None
        matrix = np.stack(
            [np.broadcast_to(value, shape).ravel() for value in values], axis=1
        )
        size = max(np.abs(pair.value).max(), 1e-300)
        matrices.append(matrix)
        weighted_matrices.append(matrix / size)
        weighted_values.append(pair.value.ravel() / size)
    A = np.concatenate(weighted_matrices)
    b = np.concatenate(weighted_values)
    if not np.isfinite(A).all() or len(b) <= A.shape[1]:
        return None
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    for pair, matrix in zip(pairs, matrices, strict=True):
        if not same(pair.value.ravel(), matrix @ x, pair.trial.precision):
            return None
    return x


def _sums_of_moments(pairs):
    """Describe new moments as sums of old moments, gradients and parameters."""
    sums = []
    settings = []
    wrong_trials = {
        id(pair.trial): pair.trial for pair in pairs if not pair.trial.is_right
    }
    for trial in wrong_trials.values():
        X, T, parameters, moments, momentum, learning_rate = trial.arguments.values()
        gradients = functions()["backprop_gradients"](X, T, *parameters)
        trial_pairs = [pair for pair in pairs if pair.trial is trial]
        terms = [
            [arrays[pair.part] for pair in trial_pairs]
            for arrays in (moments, gradients, parameters)
        ]
        x = _coefficients(trial_pairs, *terms)
        if x is None:
            return ""
        words = " ".join(
            f"{c:+.4g} {name}"
            for c, name in zip(x, "MJP", strict=True)
            if abs(c) > 1e-6
        )
        sums.append(re.sub(r"([+-])1 ", r"\1", words).removeprefix("+") or "0")
        settings.append((f"{momentum:g}", f"{learning_rate:g}"))
    if len(sums) > 1 and len(set(sums)) == 1:
        return f"for each momentum_term and learning_rate it is {sums[0]}"
    m, r = settings[0]
    return (
        f"with momentum_term {m} and learning_rate {r} it is {sums[0]}, not {m} M -"
        f" {r} J"
    )


def relations(
    pairs: Sequence[Pair], terms: Mapping[str, Sequence]
) -> Iterator[tuple[str, str]]:
    """Yield simple relations between the results and the expected values, perhaps with another term."""
    expected = [pair.expected for pair in pairs]
    x = _coefficients(pairs, expected)
    if x is not None:
        yield f"every entry is {x[0]:.6g} times what it should be", "size"
    x = _coefficients(pairs, expected, [1.0] * len(pairs))
    if x is not None and abs(x[0]) > 1e-6:
        number = (
            "the correct number"
            if _is_one(x[0])
            else f"{x[0]:.6g} times the correct number"
        )
        sign = "plus" if x[1] > 0 else "minus"
        yield f"every entry is {number} {sign} {abs(x[1]):.6g}", "terms"
    yield from _clipped(pairs)
    scaled_sums = []
    for name, values in terms.items():
        x = _coefficients(pairs, expected, values)
        if x is None:
            continue
        words = f"{x[1]:.6g} times {name} is added to what it should be"
        if _is_one(x[0]):
            yield words, "terms"
        else:
            scaled_sums.append(f"it is {x[0]:.6g} times what it should be, and {words}")
    for words in scaled_sums:
        yield words, "terms"
    yield from _single_lines(pairs)
    if all(_is_float16(pair.value) for pair in pairs):
        yield "the numbers are rounded to float16", "numbers"


def _is_one(number):
    return abs(number - 1) < 1e-4


def _is_float16(values):
    return bool(
        (np.float16(values) == values).all()
        and (np.round(values) != values).any()
        and np.ptp(values)
    )


def _clipped(pairs):
    values = np.concatenate([pair.value.ravel() for pair in pairs])
    expected = np.concatenate([pair.expected.ravel() for pair in pairs])
    low = values.min()
    high = values.max()
    below = (expected < low).sum()
    above = (expected > high).sum()
    if low == high or below + above <= 2:
        return
    for pair in pairs:
        if not same(
            pair.value, np.clip(pair.expected, low, high), pair.trial.precision
        ):
            return
    bounds = []
    if below:
        bounds.append(f"below {low:.6g}")
    if above:
        bounds.append(f"above {high:.6g}")
    yield f"numbers {' and '.join(bounds)} are clipped", "function"


def _single_lines(pairs):
    """Yield the only row or column that is wrong, or that is right."""
    errors = []
    for pair in pairs:
        if not pair.trial.is_right:
            tolerance = pair.trial.precision * np.abs(pair.expected).max(initial=0)
            errors.append(np.abs(pair.value - pair.expected) > tolerance)
    if len(errors) < 2 or any(is_wrong.ndim != 2 for is_wrong in errors):
        return
    for noun, axis in (("column", 0), ("row", 1)):
        wrong_lines = [is_wrong.any(axis=axis) for is_wrong in errors]
        if any(len(line) == 1 for line in wrong_lines):
            continue
        right_lines = [~line for line in wrong_lines]
        for position, k in (("first", 0), ("last", -1)):
            for verdict, lines in (("wrong", wrong_lines), ("right", right_lines)):
                if all(line[k] and line.sum() == 1 for line in lines):
                    yield (
                        f"only the {position} {noun} of the result is {verdict}",
                        "axis",
                    )


def _argument(pair, name):
    """Return an argument, or the corresponding element if it is a list of arrays."""
    if name == "the parameter":
        name = PARAMETERS[pair.part]
    value = pair.trial.arguments.get(name)
    return value[pair.part] if isinstance(value, list) else value

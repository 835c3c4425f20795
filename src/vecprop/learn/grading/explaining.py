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

LARGE_NUMBERS_PRECISION = {
    "logistic": PRECISION,
    "error_output": PRECISION,
    "loss": 1e-3,
}
"""The tolerances of functions of large numbers, if float32 allows another than 2e-4."""

NEGLIGIBLE = 1e-6
"""The largest coefficient that counts as 0."""

FEWEST_CLIPPED = 3
"""The fewest clipped entries; fewer may be a coincidence."""


def listed(words: Iterable[str]) -> str:
    """Join words for a sentence, such as "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


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
        """Return the trial of a tutorial function; large numbers need a larger tolerance."""
        precision = PRECISION
        if CASES[case].size > 1:
            precision = LARGE_NUMBERS_PRECISION.get(task.name, 2e-4)
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
        """Return whether a value equals the function's result in numbers and shape.

        Shapes matter if only the shape of the result is wrong, or for two matrices.
        """
        result = self.value
        if not isinstance(result, ndarray) or isinstance(value, list):
            return same(result, value, self.precision)
        shape = np.shape(value)
        if result.ndim == 0 and np.size(value) > 0:
            # functions such as `reduced` return an array of equal entries for a number
            result = np.full(shape, result)
        only_shape_is_wrong = not self.is_right and same(
            result, self.expected, self.precision
        )
        has_matrices = result.ndim >= 2 and len(shape) >= 2
        if (only_shape_is_wrong or has_matrices) and result.shape != shape:
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


def explained(task: Task, trials: Sequence[Trial]) -> Mistake | None:
    """Return a mistake that explains all results, or None if no known mistake does."""
    trials = [trial for trial in trials if trial.has_value and trial.is_finite]
    trials.sort(key=lambda trial: trial.is_right)  # wrong results exclude most mistakes
    if not trials or trials[0].is_right:
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        for mistake in _candidates(task, trials):
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
    """Name also the other changes of the same family that give the same results."""
    if not mistake.family:
        return mistake
    is_number = "some number" in mistake.family
    arguments = (*task.arguments, "M", "P", "J")
    simple_names = [described(mistake.family, argument) for argument in arguments]
    names = [mistake.name]
    for alternative in chain(mutated(task), with_numbers(task)):
        if alternative.family != mistake.family or alternative.name in names:
            continue
        # a change without a number is named only if it changes an argument
        if not is_number and alternative.name not in simple_names:
            continue
        if explains(alternative.function, trials):
            names.append(alternative.name)
    if is_number and len(names) > 1:
        return replace(mistake, name=mistake.family)
    return replace(mistake, name=" or ".join(names))


def _candidates(task, trials):
    """Yield possible mistakes, the most likely first."""
    parameters = trials[0].outcome.get("parameters", [])
    yield from _other_order_of_arguments(task, parameters)
    wrong_parts = _wrong_parts(trials)
    changes = list(changed_result(task, wrong_parts))
    if task.result == "list":
        yield from changes[:2]  # all arrays, or the wrong ones, are 0
    yield from named(task)
    yield from inherited(task, named)
    yield from changes
    yield from _with_few_rows(task)
    if task.result == "list":
        exact = functions()[task.name]
        yield Mistake(
            "the list is in reverse order", "list", lambda *a: exact(*a)[::-1]
        )
    yield from mutated(task)
    yield from _relation(trials)
    if task.name != "train":  # it would take seconds
        yield from inherited(task, any_of)
    yield from with_numbers(task)
    frequent_changes = [mistake for mistake in changes if mistake.name in OFTEN]
    for mistake in named(task) + frequent_changes:
        yield from _combined(mistake)


def _other_order_of_arguments(task, parameters):
    """Yield a mistake if a function's parameters are the task's arguments in another order."""
    names = parameters[: len(task.arguments)]
    if names == list(task.arguments) or sorted(names) != sorted(task.arguments):
        return
    exact = functions()[task.name]

    def function(*arguments):
        return exact(**dict(zip(names, arguments, strict=True)))

    yield Mistake(
        f"its arguments are in another order: ({', '.join(parameters)}), not"
        f" ({', '.join(task.arguments)})",
        "argument",
        function,
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
    """Return the indices of list elements that are wrong in any trial, or [] for arrays."""
    if trials[0].task.result != "list":
        return []
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

ARGUMENTS_WITH_ROWS = {"z", "X", "T", "Y", "H", "Eo", "Eh"}


def _with_few_rows(task):
    """Yield mistakes that use only some data rows."""
    exact = functions()[task.name]
    for words, rows in ROW_SUBSETS.items():

        def function(*arguments, rows=rows):
            values = dict(zip(task.arguments, arguments, strict=True))
            for name in ARGUMENTS_WITH_ROWS.intersection(values):
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
    """Return whether each result is the expected one plus the previous result of its shape."""
    previous_results = {}
    for trial in trials:
        shapes = str([np.shape(expected) for _, expected in trial.parts])
        previous = previous_results.get(shapes, [])
        for (value, expected), total in zip(trial.parts, previous, strict=False):
            if not isinstance(total, ndarray) or total.size != np.size(expected):
                return False
            sum_with_previous = total.reshape(np.shape(expected)) + expected
            if not same(value, sum_with_previous, trial.precision):
                return False
        previous_results[shapes] = [value for value, _ in trial.parts]
    return True


IN_ALL_PARTS = "in each part of the list "


class Pair(NamedTuple):
    """The returned and the expected value of a list element in a trial."""

    trial: Trial
    part: int
    value: Array
    expected: Array


def _relation(trials):
    """Yield mistakes if the results have a simple relation to the expected results."""
    task = trials[0].task
    parts = [0]
    prefix = ""
    if task.result == "list":
        parts = _wrong_parts(trials)
        prefix = in_parts(parts)
        if len(parts) == len(trials[0].expected):
            prefix = IN_ALL_PARTS
    pairs = _pairs(trials, parts)
    if all(same(pair.value, pair.expected, pair.trial.precision) for pair in pairs):
        return  # only the shapes are wrong, or values are missing
    if task.name == "update_momentum":
        words = _sums_of_moments(pairs)
        if words:
            yield Mistake(f"{prefix.removeprefix(IN_ALL_PARTS)}{words}", "factors")
            return
    terms = {
        name: [_argument(pair, name) for pair in pairs]
        for name in (*task.arguments, "the parameter")
    }
    for mistake in relations(pairs, terms):
        yield replace(mistake, name=f"{prefix}{mistake.name}")


def _pairs(trials, parts):
    """Pair the returned and the expected parts; return [] if any is missing or has another shape."""
    pairs = []
    for trial, part in product(trials, parts):
        if part >= len(trial.parts):
            return []
        value, expected = trial.parts[part]
        if not has_shape_of(value, expected):
            return []
        value = value.reshape(np.shape(expected))
        expected = np.asarray(expected, float)
        pairs.append(Pair(trial, part, value=value, expected=expected))
    return pairs


def _coefficients(pairs, *terms):
    """Solve value = x[0] terms[0] + x[1] terms[1] + ... for x; return None without a solution.

    A term contains an array or a number for each pair.
    """
    for term in terms:
        for array, pair in zip(term, pairs, strict=True):
            if array is None or np.shape(array) not in ((), pair.expected.shape):
                return None
    A = np.stack([_entries(term, pairs) for term in terms], axis=1)
    b = _entries([pair.value for pair in pairs], pairs)
    # least squares, after the values of each pair are divided by the largest
    largest = [max(np.abs(pair.value).max(), 1e-300) for pair in pairs]
    scale = _entries(largest, pairs)
    if not np.isfinite(A / scale[:, None]).all() or len(b) <= len(terms):
        return None
    x = np.linalg.lstsq(A / scale[:, None], b / scale, rcond=None)[0]
    start = 0
    for pair in pairs:
        end = start + pair.value.size
        if not same(b[start:end], A[start:end] @ x, pair.trial.precision):
            return None
        start = end
    return x


def _entries(term, pairs):
    """Return the entries of a term for all pairs; a number is repeated."""
    arrays = []
    for array, pair in zip(term, pairs, strict=True):
        arrays.append(np.broadcast_to(array, pair.expected.shape).ravel())
    return np.concatenate(arrays)


def _sums_of_moments(pairs):
    """Describe wrong moments by formulas such as "0.9 M -0.1 J"; return "" if there are none.

    M are the old moments, J the gradients and P the parameters.
    """
    wrong_pairs = [pair for pair in pairs if not pair.trial.is_right]
    formulas = []
    for case in dict.fromkeys(pair.trial.case for pair in wrong_pairs):
        pairs_of_case = [pair for pair in wrong_pairs if pair.trial.case == case]
        formula = _sum_of_moments(pairs_of_case)
        if not formula:
            return ""
        formulas.append(formula)
    first = formulas[0]
    if len(formulas) > 1 and set(formulas) == {first}:
        return f"for each momentum_term and learning_rate it is {first}"
    arguments = wrong_pairs[0].trial.arguments
    m = f"{arguments['momentum_term']:g}"
    r = f"{arguments['learning_rate']:g}"
    return (
        f"with momentum_term {m} and learning_rate {r} it is {first}, not {m} M - {r} J"
    )


def _sum_of_moments(pairs):
    """Return the formula of the new moments in a trial; return "" without a formula."""
    X, T, parameters, moments, *_ = pairs[0].trial.arguments.values()
    gradients = functions()["backprop_gradients"](X, T, *parameters)
    terms = []
    for arrays in (moments, gradients, parameters):
        terms.append([arrays[pair.part] for pair in pairs])
    coefficients = _coefficients(pairs, *terms)
    if coefficients is None:
        return ""
    summands = []
    for coefficient, name in zip(coefficients, "MJP", strict=True):
        if abs(coefficient) > NEGLIGIBLE:
            summands.append(f"{coefficient:+.4g} {name}")
    formula = " ".join(summands).removeprefix("+")
    formula = re.sub(r"(^|[+-])1 ", r"\1", formula)  # M, not 1 M
    return formula or "0"


def relations(
    pairs: Sequence[Pair], terms: Mapping[str, Sequence]
) -> Iterator[Mistake]:
    """Yield simple relations between the results and the expected values, perhaps with another term."""
    expected = [pair.expected for pair in pairs]
    coefficients = _coefficients(pairs, expected)
    if coefficients is not None:
        (factor,) = coefficients
        yield Mistake(f"every entry is {factor:.6g} times what it should be", "size")
    yield from _with_constant(pairs, expected)
    yield from _clipped(pairs)
    yield from _with_terms(pairs, expected, terms)
    yield from _single_lines(pairs)
    if all(_is_float16(pair.value) for pair in pairs):
        yield Mistake("the numbers are rounded to float16", "numbers")


def _with_constant(pairs, expected):
    """Yield a mistake if value = factor * expected + constant."""
    coefficients = _coefficients(pairs, expected, [1.0] * len(pairs))
    if coefficients is None:
        return
    factor, constant = coefficients
    if abs(factor) <= NEGLIGIBLE:
        return
    number = "the correct number"
    if not _is_one(factor):
        number = f"{factor:.6g} times the correct number"
    sign = "plus" if constant > 0 else "minus"
    yield Mistake(f"every entry is {number} {sign} {abs(constant):.6g}", "terms")


def _with_terms(pairs, expected, terms):
    """Yield mistakes if value = factor * expected + multiple * term, first with a factor of 1."""
    scaled_sums = []
    for name, term in terms.items():
        coefficients = _coefficients(pairs, expected, term)
        if coefficients is None:
            continue
        factor, multiple = coefficients
        words = f"{abs(multiple):.6g} times {name} is added to what it should be"
        if multiple < 0:
            words = words.replace("added to", "subtracted from")
        if _is_one(factor):
            yield Mistake(words, "terms")
        else:
            scaled_sums.append(
                f"it is {factor:.6g} times what it should be, and {words}"
            )
    for words in scaled_sums:
        yield Mistake(words, "terms")


def _is_one(number):
    return abs(number - 1) < 1e-4


def _is_float16(values):
    return bool(
        (np.float16(values) == values).all()
        and (np.round(values) != values).any()
        and np.ptp(values)
    )


def _clipped(pairs):
    """Yield a mistake if the values are the expected ones, clipped to an interval."""
    values = np.concatenate([pair.value.ravel() for pair in pairs])
    expected = np.concatenate([pair.expected.ravel() for pair in pairs])
    low = values.min()
    high = values.max()
    below = (expected < low).sum()
    above = (expected > high).sum()
    if low == high or below + above < FEWEST_CLIPPED:
        return
    for pair in pairs:
        clipped = np.clip(pair.expected, low, high)
        if not same(pair.value, clipped, pair.trial.precision):
            return
    bounds = []
    if below:
        bounds.append(f"below {low:.6g}")
    if above:
        bounds.append(f"above {high:.6g}")
    yield Mistake(f"numbers {' and '.join(bounds)} are clipped", "function")


def _single_lines(pairs):
    """Yield a mistake if only the first or last row or column is wrong, or is right."""
    wrong_entries = []  # masks of the wrong trials
    for pair in pairs:
        if not pair.trial.is_right:
            tolerance = pair.trial.precision * np.abs(pair.expected).max(initial=0)
            wrong_entries.append(np.abs(pair.value - pair.expected) > tolerance)
    if len(wrong_entries) < 2 or any(is_wrong.ndim != 2 for is_wrong in wrong_entries):
        return
    for noun, axis in (("column", 0), ("row", 1)):
        wrong_lines = [is_wrong.any(axis=axis) for is_wrong in wrong_entries]
        if any(len(is_wrong) == 1 for is_wrong in wrong_lines):
            continue  # the first line is also the last
        right_lines = [~is_wrong for is_wrong in wrong_lines]
        for position, index in (("first", 0), ("last", -1)):
            words = f"only the {position} {noun} of the result is"
            if _is_true_only_at(wrong_lines, index):
                yield Mistake(f"{words} wrong", "axis")
            if _is_true_only_at(right_lines, index):
                yield Mistake(f"{words} right", "axis")


def _is_true_only_at(masks, index):
    return all(mask[index] and mask.sum() == 1 for mask in masks)


def _argument(pair, name):
    """Return an argument, or the corresponding element if it is a list of arrays."""
    if name == "the parameter":
        name = PARAMETERS[pair.part]
    value = pair.trial.arguments.get(name)
    return value[pair.part] if isinstance(value, list) else value

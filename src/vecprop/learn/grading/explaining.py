"""What explains all results of a wrong function: a known mistake, a change of the right result or of an argument."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from .comparison import PRECISION, as_list, right, same
from .mistakes import Mistake, mistakes_of
from .student import Outcome
from .tasks import AGAIN, CASES, Task, functions
from .transforms import transformed

FOLLOWS = "it is right but for "
OFTEN = ("the sign is wrong", "it is divided by N")
"""The changes that are looked for together with a known mistake."""

ROWS = ("z", "X", "T", "Y", "H", "Eo", "Eh")
"""The arguments that have a row for each row of data."""


@dataclass(frozen=True)
class Trial:
    """One call of a student's function."""

    task: Task
    case: int
    arguments: tuple[Any, ...]
    outcome: Outcome

    @property
    def precision(self) -> float:
        """The largest difference of equal values, relative to the largest."""
        least = {"logistic": PRECISION, "loss": 1e-3}.get(self.task.name, 2e-4)
        return least if CASES[self.case].size > 1 else PRECISION

    @property
    def found(self) -> Any:
        """What the function returned."""
        return self.outcome.get("value")

    @property
    def has_value(self) -> bool:
        """Whether it returned something."""
        return self.outcome["kind"] == "value"

    @cached_property
    def expected(self) -> Any:
        """The right result."""
        return functions()[self.task.name](*self.arguments)

    @cached_property
    def right(self) -> bool:
        """Whether that is right."""
        return self.has_value and right(self.found, self.expected, self.task.result, self.precision)

    def agrees(self, value: Any) -> bool:
        """Return whether a value is what the function returned, with numbers and shape."""
        found = self.found
        if isinstance(found, np.ndarray) and not found.ndim and isinstance(value, np.ndarray) and value.size:
            found = np.full_like(value, found)  # the sum of nothing is 0
        return same(found, value, self.precision) and _alike(found, value)

    def differs(self, value: Any) -> bool:
        """Return whether a value is not the right one, or has another shape."""
        pairs = zip(value, self.expected, strict=False) if isinstance(value, list) else [(value, self.expected)]
        return any(np.shape(a) != np.shape(b) or not same(np.asarray(a), b, self.precision) for a, b in pairs)


def explained(task: Task, trials: Sequence[Trial], wrong: Mapping[str, Callable[..., Any]]) -> Mistake | None:
    """Return the mistake that leads to all results, if there is one.

    Parameters
    ----------
    task : Task
        What the function should do.
    trials : sequence of Trial
        Its calls that came to a value.
    wrong : mapping of str to callable
        The student's own functions that are wrong, which this one may call.
    """
    trials = [trial for trial in trials if _finite(trial.found)]
    if not trials or all(trial.right for trial in trials):
        return None

    def explains(made: Callable[..., Any]) -> bool:
        for trial in trials:
            try:
                with np.errstate(all="ignore"):
                    value = made(*trial.arguments)
            except Exception:  # a mistake may raise on shapes that do not fit
                return False
            if not trial.agrees(value) or not (trial.right or trial.differs(value)):
                return False
        return True

    exact = functions()[task.name]
    names = trials[0].outcome.get("parameters", [])
    order = [names.index(name) for name in task.arguments if name in names]
    if sorted(order) == list(range(len(task.arguments))) != order and explains(
        lambda *args: exact(*(args[k] for k in order))
    ):
        words = f"its arguments are in another order: ({', '.join(names)}), not ({', '.join(task.arguments)})"
        return Mistake(words, "argument", len)
    called = [name for name in task.calls if name in wrong]
    if called and explains(functions({name: wrong[name] for name in called})[task.name]):
        words = " and ".join(called)
        return Mistake(f"{FOLLOWS}{words}, which it calls and which is not right yet", "argument", len)
    known = list(mistakes_of(task))
    count = len(trials[0].expected) if task.result == "list" else 0
    changed = [
        Mistake(words, look, lambda *args, change=change: change(exact(*args), args))
        for words, look, change in _changes(count, _wrong_parts(trials) if count else ())
    ]
    for mistake in [*known, *changed, *_of_rows(task, exact), *transformed(task)]:
        if explains(mistake.made):
            return mistake
    often = [(words, change) for words, _, change in _changes(0) if words.startswith(OFTEN)]
    for mistake in known:
        for words, change in often:
            if words not in mistake.name and explains(
                lambda *args, made=mistake.made, change=change: change(made(*args), args)
            ):
                return Mistake(f"{mistake.name}; and {words}", mistake.look, len)
    return None


def _finite(found: Any) -> bool:
    if isinstance(found, list):
        return all(map(_finite, found))
    return not isinstance(found, np.ndarray) or bool(np.isfinite(found).all())


def _alike(found: Any, value: Any) -> bool:
    """Return whether shapes agree where they tell mistakes apart: matrices, and the columns that vectors are not."""
    if not isinstance(found, np.ndarray) or isinstance(value, list):
        return True
    return found.ndim < 2 or np.ndim(value) < 2 or found.shape == np.shape(value)


def _wrong_parts(trials: Sequence[Trial]) -> tuple[int, ...]:
    """Return the numbers of the parts of a list that are wrong in some trial."""
    wrong = set()
    for trial in trials:
        parts = as_list(trial.found) or []
        pairs = enumerate(zip(parts, trial.expected, strict=False))
        wrong |= {k for k, (part, whole) in pairs if not same(part, whole, trial.precision)}
    return tuple(sorted(wrong))


def _of_rows(task: Task, exact: Callable[..., Any]) -> Iterator[Mistake]:
    """Yield the mistakes of functions that use only some of the rows."""
    for words, rows in (
        ("only the first row is used", slice(0, 1)),
        ("only the last row is used", slice(-1, None)),
        ("the first row is left out", slice(1, None)),
        ("the last row is left out", slice(None, -1)),
        ("only every other row is used", slice(None, None, 2)),
    ):

        def made(*args: Any, rows: slice = rows) -> Any:
            return exact(*(a[rows] if name in ROWS else a for name, a in zip(task.arguments, args, strict=True)))

        yield Mistake(words, "axis", made)


def _rows(arguments: Any) -> int:
    return next((len(argument) for argument in arguments if getattr(argument, "ndim", 0) == 2), 1)


Change = Callable[[Any, Any], Any]


def _changes(parts: int, wrong: Sequence[int] = ()) -> list[tuple[str, str, Change]]:
    """Return changes of a right result that are mistakes of any function; of lists, of all parts and of those wrong."""
    simple: list[tuple[str, str, Change]] = [
        ("it is 0 everywhere", "factors", lambda E, args: 0 * np.asarray(E)),
        ("it is 1 everywhere", "factors", lambda E, args: 0 * np.asarray(E) + 1),
        ("the sign is wrong", "sign", lambda E, args: -1.0 * np.asarray(E)),
        ("it is divided by N, the number of rows", "size", lambda E, args: np.asarray(E) / _rows(args)),
        ("it is multiplied by N, the number of rows", "size", lambda E, args: np.asarray(E) * _rows(args)),
        ("a factor 2 is too many", "size", lambda E, args: 2 * np.asarray(E)),
        ("a factor 2 is missing", "size", lambda E, args: np.asarray(E) / 2),
        ("the result is transposed", "shape", lambda E, args: np.asarray(E).T),
        ("the columns are in reverse order", "order", lambda E, args: np.asarray(E)[..., ::-1]),
        ("the rows are in reverse order", "order", lambda E, args: np.asarray(E)[::-1]),
        ("the transposed result is reshaped", "shape", lambda E, args: np.asarray(E).T.reshape(np.shape(E))),
        ("the numbers are rounded to whole ones", "numbers", lambda E, args: np.round(E)),
        ("the numbers are cut to whole ones", "numbers", lambda E, args: np.trunc(E)),
        ("the numbers are rounded down to whole ones", "numbers", lambda E, args: np.floor(E)),
        ("the numbers are rounded up to whole ones", "numbers", lambda E, args: np.ceil(E)),
        *(
            (f"the numbers are rounded to {k} decimal{'s' * (k > 1)}", "numbers", lambda E, args, k=k: np.round(E, k))
            for k in (1, 2, 3, 4, 5, 6)
        ),
        (
            "the numbers have only three digits, as float16 has",
            "numbers",
            lambda E, args: np.asarray(E, np.float16).astype(float),
        ),
        ("the absolute value is taken", "sign", lambda E, args: np.abs(E)),
        ("negative numbers are set to 0", "sign", lambda E, args: np.maximum(E, 0)),
        ("only the sign is kept", "sign", lambda E, args: np.sign(E)),
        ("it is squared", "function", lambda E, args: np.square(E)),
        ("the square root is taken", "function", lambda E, args: np.sqrt(E)),
        ("it is divided by its Euclidean norm", "size", lambda E, args: np.asarray(E) / np.linalg.norm(E)),
        ("it is divided by its largest absolute value", "size", lambda E, args: np.asarray(E) / np.abs(E).max()),
        ("it is divided by its number of entries", "size", lambda E, args: np.asarray(E) / np.size(E)),
        ("the last row is left out", "axis", lambda E, args: _without(E, -1)),
        ("the first row is left out", "axis", lambda E, args: _without(E, 0)),
        ("only the first row is computed", "axis", lambda E, args: _only(E, 0)),
    ]
    changes: list[tuple[str, str, Change]] = [
        (words, look, lambda E, args, change=change: change(E, args)) for words, look, change in simple if not parts
    ]
    if parts:
        changes.append(("the list is in reverse order", "list", lambda E, args: E[::-1]))
    for words, look, change in simple if parts else ():
        changes.append((words, look, partial(_changed_parts, parts=range(parts), change=change)))
        some = " and ".join(map(str, wrong))
        if 0 < len(wrong) < parts:
            place = f"in part{'s' * (len(wrong) > 1)} {some} of the list {words}"
            changes.append((place, look, partial(_changed_parts, parts=wrong, change=change)))
    return changes


def _changed_parts(value: Any, args: Any, parts: Sequence[int], change: Change) -> Any:
    return [change(part, args) if number in parts else part for number, part in enumerate(value)]


def _without(E: Any, row: int) -> Any:
    changed = np.array(E, float)
    changed[row] = 0
    return changed


def _only(E: Any, row: int) -> Any:
    changed = np.zeros_like(np.asarray(E, float))
    changed[row] = np.asarray(E)[row]
    return changed


def kept(trials: Sequence[Trial]) -> str:
    """Return what a function keeps between calls, in words, if equal arguments come to different results.

    Parameters
    ----------
    trials : sequence of Trial
        All calls, in order; the last one repeats the first.
    """
    first, last = trials[0], trials[-1]
    if not (first.has_value and last.has_value and last.case == AGAIN):
        return ""
    again = same(last.found, first.found) if isinstance(first.found, np.ndarray | list) else True
    for trial in trials[1:-1] if again else ():
        earlier = [t for t in trials[: trial.case] if t.right and CASES[t.case].shape == CASES[trial.case].shape]
        if trial.right or not earlier or not trial.has_value:
            continue
        if any(same(trial.found, t.found) and not same(t.found, trial.expected) for t in earlier):
            return "the result of an earlier call is returned for other arguments: something is kept between calls"
    if again:
        return ""
    before: dict[Any, Any] = {}
    for trial in trials:
        shape = _shape(trial.expected)
        total = _added(before[shape], trial.expected) if shape in before else trial.found
        if not (trial.has_value and same(trial.found, total, trial.precision)):
            return "a second call with the same arguments comes to another result: something is kept or drawn at random"
        before[shape] = trial.found
    return "results of earlier calls are added to it: something is kept between calls"


def _shape(value: Any) -> Any:
    return [_shape(part) for part in value].__repr__() if isinstance(value, list) else np.shape(np.squeeze(value))


def _added(found: Any, expected: Any) -> Any:
    if isinstance(expected, list):
        return [_added(x, y) for x, y in zip(as_list(found) or [], expected, strict=False)]
    return np.reshape(found, np.shape(expected)) + expected


def fitted(trials: Sequence[Trial]) -> tuple[str, str]:
    """Return the mistake and what to look at, of a function whose results have a simple relation to the right ones."""
    pairs, where = [], ""
    if trials[0].task.name == "update_momentum" and (words := _factors(trials)):
        return words, "factors"
    if isinstance(trials[0].expected, list):
        parts = _wrong_parts(trials)
        where = f"in part{'s' * (len(parts) > 1)} {' and '.join(map(str, parts))} of the list "
        where = "in each part of the list " if len(parts) == len(trials[0].expected) else where
    else:
        parts = (None,)
    for trial in trials:
        found = trial.found if parts[0] is None else as_list(trial.found)
        for k in parts:
            f, e = (found, trial.expected) if k is None or found is None else (found[k], trial.expected[k])
            if not isinstance(f, np.ndarray) or np.squeeze(f).shape != np.squeeze(e).shape:
                return "", ""
            pairs.append((trial, k, f.reshape(np.shape(e)), np.asarray(e, float)))
    if all(same(f, e, trial.precision) for trial, _, f, e in pairs):
        return "", ""  # only shapes are wrong
    words, look = _relation(pairs)
    return (where + words if words else ""), look


def _factors(trials: Sequence[Trial]) -> str:
    """Return the factors of the old moments and of the gradients, if the new moments are a sum of these."""
    found = []
    for trial in trials:
        X, T, params, Ms, m, r = trial.arguments
        Js = functions()["backprop_gradients"](X, T, *params)
        A = np.stack([np.concatenate([part.ravel() for part in parts]) for parts in (Ms, Js)], axis=1)
        y = np.concatenate([np.ravel(part) for part in as_list(trial.found) or []])
        if len(y) != len(A):
            return ""
        a, b = np.linalg.lstsq(A, y, rcond=None)[0]
        if not same(y, A @ np.array([a, b]), trial.precision):
            return ""
        found.append((a, b, float(m), float(r)))
    a, b, m, r = found[0]
    if all(np.allclose(one[:2], (a, b), rtol=1e-3, atol=1e-6) for one in found):
        return f"for each momentum_term and learning_rate it is {a:.6g} M {b:+.6g} J"
    return f"with momentum_term {m:g} and learning_rate {r:g} it is {a:.6g} M {b:+.6g} J, not {m:g} M - {r:g} J"


Pair = tuple[Trial, int | None, np.ndarray, np.ndarray]


def _relation(pairs: list[Pair]) -> tuple[str, str]:
    """Return a linear relation, bounds, a multiple of an argument that is added, or the column that is wrong."""

    def holds(made: Callable[[int, Any], Any]) -> bool:
        with np.errstate(all="ignore"):
            return all(same(f, made(k, e), trial.precision) for k, (trial, _, f, e) in enumerate(pairs))

    middle = int(np.argsort([np.abs(e).max() for *_, e in pairs])[len(pairs) // 2])
    f, e = pairs[middle][2].ravel(), pairs[middle][3].ravel()
    a = float(f @ e / (e @ e)) if e.any() else 0.0
    if holds(lambda k, E: a * E):
        return f"every entry is {a:.6g} times what it should be", "size"
    if e.size > 1 and np.ptp(e):
        a, b = map(float, np.polyfit(e, f, 1))
        if holds(lambda k, E: a * E + b):
            times = "the right number" if abs(a - 1) < 1e-5 else f"{a:.6g} times the right number"
            return f"every entry is {times} {'plus' if b > 0 else 'minus'} {abs(b):.6g}", "terms"
    low, high = min(f.min() for _, _, f, _ in pairs), max(f.max() for _, _, f, _ in pairs)
    below, above = (
        sum(int(cut.sum()) for cut in cuts) for cuts in zip(*((e < low, e > high) for *_, e in pairs), strict=True)
    )
    if low < high and below + above > 2 and holds(lambda k, E: np.clip(E, low, high)):
        bounds = [f"below {low:.6g}"] * bool(below) + [f"above {high:.6g}"] * bool(above)
        return f"numbers {' and '.join(bounds)} are cut off", "function"
    for name in (*pairs[0][0].task.arguments, "the parameter"):
        others = [_argument(pair, name) for pair in pairs]
        if any(A is None or np.shape(A) != np.shape(e) for A, (*_, e) in zip(others, pairs, strict=True)):
            continue
        A = others[middle].ravel()
        c = float((f - e) @ A / (A @ A)) if A.any() else 0.0
        if holds(lambda k, E, c=c, others=others: E + c * others[k]):
            return f"{c:.6g} times {name} is added to what it should be", "terms"
    return _wrong_columns(pairs), "axis"


def _argument(pair: Pair, name: str) -> Any:
    """Return an argument, or of a list of arrays the one in the place of the part."""
    trial, part = pair[:2]
    values = dict(zip(trial.task.arguments, trial.arguments, strict=True))
    if name == "the parameter":
        return values.get(("Wh", "bh", "Wo", "bo")[part or 0])
    return values[name][part or 0] if isinstance(values[name], list) else values[name]


def _wrong_columns(pairs: list[Pair]) -> str:
    """Return the column or row that is the only wrong one, or the only right one, in all results."""
    wrong = [np.abs(f - e) > t.precision * np.abs(e).max(initial=0) for t, _, f, e in pairs if not t.right]
    if any(errors.ndim != 2 for errors in wrong):
        return ""
    for word, axis in (("column", 0), ("row", 1)):
        lines = [errors.any(axis=axis) for errors in wrong]
        if any(len(line) == 1 for line in lines):
            continue
        for place, k in (("first", 0), ("last", -1)):
            alone = [np.arange(len(line)) == k % len(line) for line in lines]
            if all((line == only).all() for line, only in zip(lines, alone, strict=True)):
                return f"only the {place} {word} is wrong"
            if all((line != only).all() for line, only in zip(lines, alone, strict=True)):
                return f"only the {place} {word} is right"
    return ""

"""Worksheets: students fill in the values of one pass of a small network."""

import re
import reprlib
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from .. import catalog
from ..core import BinaryCrossEntropy, Dense, Network, SoftmaxCrossEntropy, SquaredError
from .grading.grades import Grade, Grades
from .tracing.equations import INFINITE, computed
from .tracing.trace import Trace, trace
from .tracing.values import Value

LAST, WORKING = 1e-3, 0.5e-4
"""The last decimal of answers, and the rounding error of computing with one more decimal."""

NUMBER = re.compile(r"([+-]?) ?(?:(\d+) (?=\d+ ?/))?([\d.]+(?:e[+-]?\d+)?|inf)(?: ?/ ?([\d.]+))? ?(%?)")
SIGNS = str.maketrans({",": ".", "⁄": "/", "∕": "/", "∞": "inf", **dict.fromkeys("‐‑‒–−﹣－", "-")})
"""A translation of typographic signs in numbers to ASCII."""

LOSSES = {"softmax": SoftmaxCrossEntropy, "logistic": BinaryCrossEntropy, "squared_error": SquaredError}
"""The losses by name."""


def network_of_shape(shape: str, activation: str = "logistic", loss: str = "softmax") -> Network:
    """Build a network such as "2-3-2" with a loss that is summed over the rows."""
    if not re.fullmatch(r"[1-9]\d{0,2}(-[1-9]\d{0,2}){1,9}", shape):
        raise ValueError(f"shape must be 2 to 10 integers from 1 to 999, such as 2-3-2, got {shape!r}.")
    activations = catalog.named(catalog.ACTIVATIONS)
    if activation not in activations:
        raise ValueError(f"Unknown activation {activation!r}: choose from {', '.join(activations)}.")
    if loss not in LOSSES:
        raise ValueError(f"Unknown loss {loss!r}: choose from {', '.join(LOSSES)}.")
    inputs, *widths = map(int, shape.split("-"))
    if loss == "softmax" and widths[-1] == 1:
        raise ValueError("The softmax loss needs at least 2 outputs: use the logistic loss for one output.")
    layers = [layer for width in widths for layer in (Dense(width), activations[activation]())]
    return Network(inputs, layers[:-1], LOSSES[loss](reduction="sum"))


@dataclass(frozen=True)
class Worksheet:
    """A worksheet on one pass of a small network (alias ``learn.worksheet``).

    Parameters
    ----------
    shape : str, default "2-3-2"
        The number of inputs, of units per hidden layer, and of outputs.
    rows : int, default 4
        The number of rows.
    activation : str, default "logistic"
        The activation of the hidden layers, such as "tanh" or "relu".
    loss : {"softmax", "logistic", "squared_error"}, default "softmax"
        The loss, summed over the rows.
    seed : int, default 0
        The seed of the random numbers.
    name : str, optional
        The name of the student.

    Attributes
    ----------
    network : Network
        The network.
    trace : Trace
        The solution.
    given, blanks : list of Value
        The values printed on the sheet, and the values to fill in.

    Raises
    ------
    ValueError
        If the network is invalid or too large for a worksheet.

    Examples
    --------
    >>> sheet = learn.worksheet("2-3-2", seed=7)
    >>> [value.name for value in sheet.blanks][:4]
    ['Z1', 'H1', 'Z2', 'Y']
    """

    shape: str = "2-3-2"
    rows: int = 4
    activation: str = "logistic"
    loss: str = "softmax"
    seed: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        network_of_shape(self.shape, self.activation, self.loss)
        if max(map(int, self.shape.split("-"))) > 50:
            raise ValueError(f"A worksheet must have at most 50 units per layer, got {self.shape}.")
        for what, value, least, most in (("rows", self.rows, 1, 50), ("seed", self.seed, 0, 2**53)):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{what} must be an integer from {least} to {most}, got {value!r}.")
        if not isinstance(self.name, str) or len(self.name) > 200:
            raise ValueError("name must be a string of at most 200 characters.")

    @property
    def network(self) -> Network:
        """The network."""
        return network_of_shape(self.shape, self.activation, self.loss)

    @cached_property
    def trace(self) -> Trace:
        """The trace with the solution."""
        for attempt in range(100):  # until each unit has an error and no unit is at a kink of its activation
            drawn = self._drawn(np.random.default_rng([self.seed, attempt]))
            errors = [array for name, array in drawn.items() if name.startswith("delta_") and name != "delta_X"]
            inputs = [array for name, array in drawn.items() if re.fullmatch(r"Z\d+", name)]
            if all((np.abs(array).max(axis=0) > 0.02).all() for array in errors) and all(map(np.all, inputs)):
                break
        return drawn  # pyright: ignore[reportPossiblyUnboundVariable]

    def _drawn(self, rng: np.random.Generator) -> Trace:
        """Draw a trace with multiples of 1/2, nonzero weights and balanced classes."""
        network = self.network
        theta, O = rng.integers(-2, 3, network.layout.size) / 2, network.outputs
        for tensor in network.layout.tensors:
            if tensor.name == "W":
                theta[tensor.span] = rng.choice([-1.5, -1.0, -0.5, 0.5, 1.0, 1.5], tensor.size)
        X = rng.integers(-4, 5, (self.rows, network.inputs)) / 2
        if self.loss == "softmax":
            T = np.eye(O)[rng.permutation(np.arange(self.rows) % O)]
        elif self.loss == "logistic":
            T = rng.integers(0, 2, (self.rows, O)).astype(float)
        else:
            T = rng.integers(-4, 5, (self.rows, O)) / 2
        return trace(network, theta, X, T)

    @property
    def given(self) -> list[Value]:
        """The values printed on the sheet."""
        return [value for value in self.trace.values_in_order if value.stage == "given"]

    @property
    def blanks(self) -> list[Value]:
        """The values to fill in."""
        return [value for value in self.trace.values_in_order if value.stage != "given" and value.name != "delta_X"]

    def grade(self, answers: Mapping[str, Any], names: Any = None) -> Grades:
        """Grade each value; a value is worth one point, divided equally among its entries.

        An entry is correct if it is the true number or follows from the student's earlier answers, within the error of
        rounding to three decimals.

        Parameters
        ----------
        answers : mapping of str to array_like
            The answers by name, such as "Z1"; unknown names are ignored. Numbers may be strings, such as "-0,5", "1/2"
            or "50 %". None, empty strings and nan count as not filled in.
        names : str or sequence of str, optional
            The values to grade; all by default.

        Examples
        --------
        >>> sheet = learn.worksheet("2-2", rows=1)
        >>> print(sheet.grade({"Z1": sheet.trace["Z1"] * [1, -1]}, "Z1"))
        Z1: not right yet. Look at the entries [0, 1]. (0.5 of 1)
        0.5 of 1 points.
        """
        wanted = [names] if isinstance(names, str) else names
        blanks = [value.name for value in self.blanks]
        for name in wanted or ():
            if name not in blanks:
                raise ValueError(f"Unknown value {name!r}: choose from {', '.join(blanks)}.")
        intervals: dict[str, list[np.ndarray]] = {value.name: [np.stack([value.array] * 2)] for value in self.given}
        roots = dict[str, list[str]]()
        grades = {value.name: _grade(value, answers.get(value.name), intervals, roots) for value in self.blanks}
        return Grades(tuple(grades[name] for name in dict.fromkeys(blanks if wanted is None else wanted)))

    def to_dict(self) -> dict[str, Any]:
        """Return the worksheet's settings."""
        return asdict(self)


worksheet = Worksheet


def _grade(value: Value, answer: Any, intervals: dict[str, list[np.ndarray]], roots: dict[str, list[str]]) -> Grade:
    """Grade a value; add its bounds to `intervals` and its errors to `roots`.

    Intervals bound the true value, the student's value, and the student's value with its wrong entries replaced by
    results computed from earlier answers.
    """
    name, used = value.name, list(dict.fromkeys(re.findall(r"\{([^}]+)\}", value.equation)))
    found, unread = as_answer(answer, value.array.shape)
    is_empty = np.isnan(found)
    follows = _bounds(value, {key: intervals[key][:2][-1] for key in used})
    is_true = fits = _within(found, _bounds(value, {key: intervals[key][0] for key in used}))
    for boxes in product(*(intervals[key] for key in used)):
        if not (fits | is_empty).all():
            fits = fits | _within(found, _bounds(value, dict(zip(used, boxes, strict=True))))
    wrong = ~(fits | is_empty)
    kinds, true_kinds = len(np.unique(found[~is_empty])), len(np.unique(value.array.round(3)))
    is_guess = wrong.sum() > max(1, wrong.size / 2) and kinds == 1 < true_kinds  # for example, 0 in all entries
    unseen = np.stack([follows[0] - LAST / 2, follows[1] + LAST / 2])
    own = np.where(is_empty | (wrong & is_guess), unseen, _interval(found, follows))
    intervals[name] = [_interval(value.array.round(3), np.stack([value.array] * 2)), own]
    intervals[name] += [np.where(wrong, unseen, own)] if wrong.any() else []

    earlier, notes = list(dict.fromkeys(root for key in used for root in roots.get(key, ()))), ()
    if earlier and (fits & ~is_true).any():
        notes = (f"It follows from {' and '.join(earlier)}, which contains an error.",)
    roots[name] = [name] if wrong.any() else earlier if notes or is_empty.any() else []
    if fits.all():
        return Grade(name, 1, notes=notes)
    hints, of = list(dict.fromkeys(unread.values()))[:3], "the entries " if found.ndim else ""
    for word, places in {"Not filled in: ": is_empty, f"Look at {of}": wrong}.items():
        some = [str([*place] or name) for place in np.ndindex(found.shape) if places[place] and place not in unread]
        hints += [f"{word}{', '.join(some[:3])}{', …' * (len(some) > 3)}."] if some else []
    first = last = " ".join(hints)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        last = f"Now {name}{[*place] or ''} is {found[place]:.6g}, but should be {value.array[place]:.6g}."
    second = f"{first} {name} = {value.equation.replace('{', '').replace('}', '')}, in Python."
    mistake = f"{(~fits).sum()} of {fits.size} entries are wrong"
    return Grade(name, float(fits.mean()), mistake=mistake, hints=(first, second, last), notes=notes)


def _bounds(value: Value, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Bound the result of an equation over intervals, varying one input at a time."""
    middle = {name: box.mean(axis=0) for name, box in inputs.items()}

    def result(moved: dict[str, np.ndarray]) -> np.ndarray:
        found = computed(value.name, value.equation, middle | moved)
        return np.clip(found, -1e3 * INFINITE, 1e3 * INFINITE)  # sums may contain several log(0)

    reach = np.stack([centre := result({})] * 2)
    for name, box in inputs.items():
        size = box.shape[-1 if value.of_rows else 1] if np.ptp(box, axis=0).any() else 0
        for number in range(size):  # vary columns if the result has independent rows
            place = (..., number) if value.of_rows else (slice(None), number)
            moved = np.stack([middle[name]] * 2)
            moved[place] = box[place]
            changes = [0 * centre, *(result({name: end}) - centre for end in moved)]
            reach += np.min(changes, axis=0), np.max(changes, axis=0)
    return reach


def _interval(written: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """Return bounds of the numbers a student may use in later equations."""
    low = np.maximum(follows[0] - WORKING, written - LAST)
    high = np.minimum(follows[1] + WORKING, written + LAST)
    box = np.minimum(low, written), np.maximum(high, written)
    return np.where(low <= high, box, (written - LAST / 2, written + LAST / 2))


def _within(found: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return whether each number is in its interval, within the tolerance LAST."""
    box = np.clip(box, -INFINITE, INFINITE)
    return np.array(np.abs(found - np.clip(found, *box)) <= LAST + 1e-6 * np.abs(found))


def as_answer(answer: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, dict[tuple[int, ...], str]]:
    """Return an answer's numbers, with nan for missing ones, and messages for unreadable entries."""
    numbers, unread = np.full(shape, np.nan), dict[tuple[int, ...], str]()
    parts = np.array(type(answer).__name__)
    with suppress(ValueError, RuntimeError):  # ragged lists or tensors that require gradients
        parts = np.array(answer, object)
    if not parts.ndim and (parts.item() is None or not str(parts.item()).strip()):
        return numbers, unread
    is_flat = isinstance(answer, list) and parts.shape == (numbers.size,)  # saved pages contain flat lists
    if not is_flat and np.squeeze(parts).shape != tuple(length for length in shape if length != 1):
        what = f"{parts.shape}" if parts.ndim else reprlib.repr(parts.item())
        return numbers, dict.fromkeys(np.ndindex(shape), f"It should have the shape {shape}, got {what}.")
    for place, part in zip(np.ndindex(shape), parts.ravel(), strict=True):
        try:
            numbers[place] = np.nan if part is None else number_of(part) if isinstance(part, str) else float(part)
        except (TypeError, ValueError, ArithmeticError):
            unread[place] = f"{f'Entry {[*place]}' if place else 'It'} is not a number: {reprlib.repr(part)}."
    return np.clip(numbers, -INFINITE, INFINITE), unread


def number_of(text: str) -> float:
    """Parse a number such as "-1 1/2", "½", "0,5", "50 %" or "∞"; an empty string becomes nan."""
    text = re.sub("[¼-¾⅐-⅞]", lambda sign: f" {unicodedata.normalize('NFKC', sign[0])} ", text)
    text = re.sub(r"[\s\u200b\u2060\ufeff]+", " ", text).strip().lower().translate(SIGNS)
    text = re.sub(r"(?<=\d) (?=\d{3}(?![\d/]| /))", "", text)  # remove thousands separators
    if not text:
        return np.nan
    if len(text) > 100 or not (found := NUMBER.fullmatch(text)):
        raise ValueError
    sign, whole, number, divisor, percent = found.groups()
    number = (float(whole or 0) + float(number) / float(divisor or 1)) / (100 if percent else 1)
    return -number if sign == "-" else number

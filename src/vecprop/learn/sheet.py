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
from ..core.elementary import Array
from .grading.grades import Grade, Grades
from .tracing.equations import INFINITE, computed
from .tracing.trace import Trace, trace
from .tracing.traced_values import Value

LAST, WORKING = 1e-3, 0.5e-4
"""The last decimal of answers, and the rounding error of computing with one more
decimal.
"""

VISIBLE = 0.02
"""The smallest largest error of a unit on an instructive sheet."""

NUMBER = re.compile(
    r"([+-]?) ?(?:(\d+) (?=\d+ ?/))?([\d.]+(?:e[+-]?\d+)?|inf)(?: ?/ ?([\d.]+))? ?(%?)"
)
SIGNS = str.maketrans(
    {",": ".", "⁄": "/", "∕": "/", "∞": "inf", **dict.fromkeys("‐‑‒–−﹣－", "-")}
)
"""A translation of typographic signs in numbers to ASCII."""

LOSSES = {
    "softmax": SoftmaxCrossEntropy,
    "logistic": BinaryCrossEntropy,
    "squared_error": SquaredError,
}
"""The losses by name."""


def network_of_shape(
    shape: str, activation: str = "logistic", loss: str = "softmax"
) -> Network:
    """Build a network such as "2-3-2" with a loss that is summed over the rows."""
    if not re.fullmatch(r"[1-9]\d{0,2}(-[1-9]\d{0,2}){1,9}", shape):
        raise ValueError(
            "shape must be 2 to 10 integers from 1 to 999, such as 2-3-2, got"
            f" {shape!r}."
        )
    activations = catalog.named(catalog.ACTIVATIONS)
    if activation not in activations:
        raise ValueError(
            f"Unknown activation {activation!r}: choose from {', '.join(activations)}."
        )
    if loss not in LOSSES:
        raise ValueError(f"Unknown loss {loss!r}: choose from {', '.join(LOSSES)}.")
    inputs, *widths = map(int, shape.split("-"))
    if loss == "softmax" and widths[-1] == 1:
        raise ValueError(
            "The softmax loss needs at least 2 outputs: use the logistic loss for one"
            " output."
        )
    layers = []
    for width in widths:
        layers += [Dense(width), activations[activation]()]
    return Network(inputs, layers[:-1], LOSSES[loss](reduction="sum"))


@dataclass(frozen=True)
class Worksheet:
    """A worksheet on one pass of a small network, also available as ``learn.worksheet``.

    Parameters
    ----------
    shape : str, default "2-2-2"
        The number of inputs, of units per hidden layer, and of outputs.
    rows : int, default 1
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

    shape: str = "2-2-2"
    rows: int = 1
    activation: str = "logistic"
    loss: str = "softmax"
    seed: int = 0
    name: str = ""

    def __post_init__(self):
        network_of_shape(self.shape, self.activation, self.loss)
        if max(map(int, self.shape.split("-"))) > 50:
            raise ValueError(
                f"A worksheet must have at most 50 units per layer, got {self.shape}."
            )
        for setting, value, least, most in (
            ("rows", self.rows, 1, 50),
            ("seed", self.seed, 0, 2**53),
        ):
            if type(value) is not int or not least <= value <= most:
                raise ValueError(
                    f"{setting} must be an integer from {least} to {most}, got"
                    f" {value!r}."
                )
        if not isinstance(self.name, str) or len(self.name) > 200:
            raise ValueError("name must be a string of at most 200 characters.")

    @property
    def network(self) -> Network:
        """The network."""
        return network_of_shape(self.shape, self.activation, self.loss)

    @cached_property
    def trace(self) -> Trace:
        """The trace with the solution."""
        for attempt in range(100):
            drawn = self._drawn(np.random.default_rng([self.seed, attempt]))
            if _is_instructive(drawn):
                break
        return drawn  # pyright: ignore[reportPossiblyUnboundVariable]

    def _drawn(self, rng):
        """Draw a trace with multiples of 1/2, nonzero weights and balanced classes."""
        network = self.network
        theta = rng.integers(-2, 3, network.layout.size) / 2
        for tensor in network.layout.tensors:
            if tensor.name == "W":
                theta[tensor.span] = rng.choice(
                    [-1.5, -1.0, -0.5, 0.5, 1.0, 1.5], tensor.size
                )
        X = rng.integers(-4, 5, (self.rows, network.inputs)) / 2
        shape = (self.rows, network.outputs)
        if self.loss == "softmax":
            T = np.eye(network.outputs)[
                rng.permutation(np.arange(self.rows) % network.outputs)
            ]
        elif self.loss == "logistic":
            T = rng.integers(0, 2, shape).astype(float)
        else:
            T = rng.integers(-4, 5, shape) / 2
        return trace(network, theta, X, T)

    @property
    def given(self) -> list[Value]:
        """The values printed on the sheet."""
        return [value for value in self.trace.values_in_order if value.stage == "given"]

    @property
    def blanks(self) -> list[Value]:
        """The values to fill in."""
        return [
            value
            for value in self.trace.values_in_order
            if value.stage != "given" and value.name != "delta_X"
        ]

    def grade(self, answers: Mapping[str, Any], names: Any = None) -> Grades:
        """Grade each value; a value is worth one point, divided equally among its entries.

        An entry is correct if it is the true number or follows from the student's
        earlier answers, within the error of rounding to three decimals.

        Parameters
        ----------
        answers : mapping of str to array_like
            The answers by name, such as "Z1". Unknown names are ignored. Numbers may be
            strings, such as "-0,5", "1/2" or "50 %". None, empty strings and nan count
            as not filled in.
        names : str or sequence of str, optional
            The values to grade. By default, all values are graded.

        Examples
        --------
        >>> sheet = learn.worksheet("2-2", rows=1)
        >>> print(sheet.grade({"Z1": sheet.trace["Z1"] * [1, -1]}, "Z1"))
        Z1: not right yet. Look at the entries [0, 1]. (0.5 of 1)
        0.5 of 1 points.
        """
        blanks = {value.name: value for value in self.blanks}
        if names is None:
            names = blanks
        elif isinstance(names, str):
            names = [names]
        for name in names:
            if name not in blanks:
                raise ValueError(
                    f"Unknown value {name!r}: choose from {', '.join(blanks)}."
                )
        grader = _Grader(self.given)
        grades = {
            name: grader.grade(value, answers.get(name))
            for name, value in blanks.items()
        }
        return Grades(tuple(grades[name] for name in dict.fromkeys(names)))

    def to_dict(self) -> dict[str, Any]:
        """Return the worksheet's settings."""
        return asdict(self)


worksheet = Worksheet


def _is_instructive(drawn):
    """Return whether each unit has an error, and no unit is at a kink of its activation."""
    for name, array in drawn.items():
        if re.fullmatch(r"Z\d+", name) and not np.all(array):
            return False
        if name.startswith("delta_") and name != "delta_X":
            largest_errors = np.abs(array).max(axis=0)
            if (largest_errors <= VISIBLE).any():
                return False
    return True


class _Grader:
    """Grades the values of a worksheet in order.

    `intervals` contains bounds, (2, *shape), of each true value, of the student's
    value, and of the student's value after its wrong entries are replaced by results
    computed from earlier answers. `roots` names the wrong values that a value follows
    from.
    """

    def __init__(self, values: list[Value]):
        self.intervals = {value.name: [_point(value.array)] for value in values}
        self.roots: dict[str, list[str]] = {}

    def grade(self, value: Value, answer: Any) -> Grade:
        name = value.name
        inputs = list(dict.fromkeys(re.findall(r"\{([^}]+)\}", value.equation)))
        numbers, messages = as_answer(answer, value.array.shape)
        is_empty = np.isnan(numbers)
        is_true = _within(
            numbers, _bounds(value, {key: self.intervals[key][0] for key in inputs})
        )
        fits = is_true
        for boxes in product(*(self.intervals[key] for key in inputs)):
            if not (fits | is_empty).all():
                fits = fits | _within(
                    numbers, _bounds(value, dict(zip(inputs, boxes, strict=True)))
                )
        is_wrong = ~(fits | is_empty)
        self._add_intervals(value, inputs, numbers, is_wrong)

        roots = dict.fromkeys(
            root for key in inputs for root in self.roots.get(key, ())
        )
        notes = ()
        if roots and (fits & ~is_true).any():
            notes = (
                f"It follows from {' and '.join(roots)}, which contains an error.",
            )
        self.roots[name] = []
        if is_wrong.any():
            self.roots[name] = [name]
        elif notes or is_empty.any():
            self.roots[name] = list(roots)
        if fits.all():
            return Grade(name, 1, notes=notes)
        hints = _hints(value, numbers, is_wrong, messages)
        mistake = f"{(~fits).sum()} of {fits.size} entries are wrong"
        return Grade(
            name, float(fits.mean()), mistake=mistake, hints=hints, notes=notes
        )

    def _add_intervals(self, value, inputs, numbers, is_wrong):
        """Store the intervals of a value for the grading of later values."""
        # the second interval is the student's; given values have only one
        student_inputs = {key: self.intervals[key][:2][-1] for key in inputs}
        bounds = _bounds(value, student_inputs)
        low, high = bounds
        unwritten = np.stack([low - LAST / 2, high + LAST / 2])
        is_unwritten = np.isnan(numbers)
        if _is_guess(value, numbers, is_wrong):
            is_unwritten = is_unwritten | is_wrong
        answered = np.where(is_unwritten, unwritten, _interval(numbers, bounds))
        true = _interval(value.array.round(3), _point(value.array))
        self.intervals[value.name] = [true, answered]
        if is_wrong.any():
            corrected = np.where(is_wrong, unwritten, answered)
            self.intervals[value.name].append(corrected)


def _is_guess(value, numbers, is_wrong):
    """Return whether most entries are wrong and all are equal, for example 0."""
    if is_wrong.sum() <= max(1, is_wrong.size / 2):
        return False
    answers = np.unique(numbers[~np.isnan(numbers)])
    solutions = np.unique(value.array.round(3))
    return len(answers) == 1 and len(solutions) > 1


def _hints(value, numbers, is_wrong, messages):
    """Return where to look, the equation, and a wrong entry with its correct value."""
    hints = list(dict.fromkeys(messages.values()))[:3]
    look = "Look at the entries " if numbers.ndim else "Look at "
    for words, is_listed in (("Not filled in: ", np.isnan(numbers)), (look, is_wrong)):
        entries = []
        for index in np.ndindex(numbers.shape):
            if is_listed[index] and index not in messages:
                entries.append(str([*index] or value.name))
        if len(entries) > 3:
            entries = [*entries[:3], "…"]
        if entries:
            hints.append(f"{words}{', '.join(entries)}.")
    first_hint = " ".join(hints)
    equation = re.sub("[{}]", "", value.equation)
    equation_hint = f"{first_hint} {value.name} = {equation}, in Python."
    last_hint = first_hint
    if is_wrong.any():
        index = tuple(np.argwhere(is_wrong)[0].tolist())
        entry = f"{value.name}{[*index] or ''}"
        last_hint = (
            f"Now {entry} is {numbers[index]:.6g}, but should be"
            f" {value.array[index]:.6g}."
        )
    return first_hint, equation_hint, last_hint


def _point(array):
    """Return an interval without width."""
    return np.stack([array, array])


def _bounds(value, inputs):
    """Bound a value's equation if each input is between its bounds, (2, *shape).

    Each input is moved from the center of its interval to both ends, one column (or
    row) at a time. The bounds of the result are its center plus the sums of all
    decreases and of all increases.
    """
    centers = {name: box.mean(axis=0) for name, box in inputs.items()}

    def result(moved_inputs):
        numbers = computed(value.name, value.equation, centers | moved_inputs)
        # sums may contain several log(0)
        return np.clip(numbers, -1e3 * INFINITE, 1e3 * INFINITE)

    center = result({})
    bounds = _point(center)
    for name, box in inputs.items():
        if not np.ptp(box, axis=0).any():
            continue
        # columns affect all rows of the result in the same way if rows are independent
        count = box.shape[-1] if value.of_rows else box.shape[1]
        for number in range(count):
            line = (..., number) if value.of_rows else (slice(None), number)
            ends = _point(centers[name])
            ends[line] = box[line]
            changes = [0 * center, *(result({name: end}) - center for end in ends)]
            bounds += np.min(changes, axis=0), np.max(changes, axis=0)
    return bounds


def _interval(written, computed_bounds):
    """Return bounds of the numbers that a student may use in later equations.

    A number with more decimals than written lies in both the computed bounds and the
    rounding interval of the written number.
    """
    low, high = computed_bounds
    low = np.maximum(low - WORKING, written - LAST)
    high = np.minimum(high + WORKING, written + LAST)
    box = np.minimum(low, written), np.maximum(high, written)
    return np.where(low <= high, box, (written - LAST / 2, written + LAST / 2))


def _within(numbers, box):
    """Return whether each number is in its interval, within the tolerance LAST."""
    nearest = np.clip(numbers, *np.clip(box, -INFINITE, INFINITE))
    return np.array(np.abs(numbers - nearest) <= LAST + 1e-6 * np.abs(numbers))


def as_answer(
    answer: Any, shape: tuple[int, ...]
) -> tuple[Array, dict[tuple[int, ...], str]]:
    """Return an answer's numbers, with nan for missing ones, and messages for unreadable entries."""
    numbers = np.full(shape, np.nan)
    messages = {}
    # the name of the type stands for ragged lists and tensors that require gradients
    entries = np.array(type(answer).__name__)
    with suppress(ValueError, RuntimeError):
        entries = np.array(answer, object)
    if not entries.ndim and (entries.item() is None or not str(entries.item()).strip()):
        return numbers, messages
    # saved pages contain flat lists
    is_flat = isinstance(answer, list) and entries.shape == (numbers.size,)
    if not is_flat and np.squeeze(entries).shape != np.squeeze(numbers).shape:
        answered = entries.shape if entries.ndim else reprlib.repr(entries.item())
        message = f"It should have the shape {shape}, got {answered}."
        return numbers, dict.fromkeys(np.ndindex(shape), message)
    for index, entry in zip(np.ndindex(shape), entries.ravel(), strict=True):
        try:
            if isinstance(entry, str):
                numbers[index] = number_of(entry)
            elif entry is not None:
                numbers[index] = float(entry)
        except (TypeError, ValueError, ArithmeticError):
            subject = f"Entry {[*index]}" if index else "It"
            messages[index] = f"{subject} is not a number: {reprlib.repr(entry)}."
    return np.clip(numbers, -INFINITE, INFINITE), messages


def number_of(text: str) -> float:
    """Parse a number such as "-1 1/2", "½", "0,5", "50 %" or "∞"; an empty string becomes nan."""
    text = re.sub(
        "[¼-¾⅐-⅞]", lambda sign: f" {unicodedata.normalize('NFKC', sign[0])} ", text
    )
    text = (
        re.sub(r"[\s\u200b\u2060\ufeff]+", " ", text).strip().lower().translate(SIGNS)
    )
    # remove thousands separators
    text = re.sub(r"(?<=\d) (?=\d{3}(?![\d/]| /))", "", text)
    if not text:
        return np.nan
    match = NUMBER.fullmatch(text)
    if len(text) > 100 or not match:
        raise ValueError
    sign, integer, numerator, divisor, percent = match.groups()
    number = float(integer or 0) + float(numerator) / float(divisor or 1)
    if percent:
        number /= 100
    return -number if sign == "-" else number

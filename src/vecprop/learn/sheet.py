"""A worksheet: a network with round numbers that a seed draws, and the values of its pass that are to be filled in."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import catalog
from ..core.layers import Dense
from ..core.losses import BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError
from ..core.network import Network
from .grading.grades import Grade, Grades
from .tracing.equations import computed
from .tracing.trace import Trace, trace
from .tracing.values import Value

LOSSES = {"softmax": SoftmaxCrossEntropy, "logistic": BinaryCrossEntropy, "squared_error": SquaredError}
"""The losses by the name of their link."""


def network_of_shape(shape: str, activation: str = "logistic", loss: str = "softmax") -> Network:
    """Return a network with an activation between its dense layers, and a loss that is summed over rows."""
    if not re.fullmatch(r"[1-9]\d{0,2}(-[1-9]\d{0,2}){1,9}", shape):
        raise ValueError(f"The shape {shape!r} is not one such as 2-3-2, of 2 to 10 numbers from 1 to 999.")
    activations = catalog.named(catalog.ACTIVATIONS)
    if activation not in activations:
        raise ValueError(f"There is no activation {activation!r}: take one of {', '.join(activations)}.")
    if loss not in LOSSES:
        raise ValueError(f"There is no loss {loss!r}: take one of {', '.join(LOSSES)}.")
    inputs, *widths = map(int, shape.split("-"))
    if loss == "softmax" and widths[-1] == 1:
        raise ValueError("A softmax needs at least 2 outputs: for one take the loss logistic.")
    layers = [layer for width in widths for layer in (Dense(width), activations[activation]())]
    return Network(inputs, layers[:-1], LOSSES[loss](reduction="sum"))


@dataclass(frozen=True)
class Worksheet:
    """A worksheet on one pass of a small network with round numbers; ``learn.worksheet`` is another name of the class.

    Parameters
    ----------
    shape : str, default "2-3-2"
        The numbers of inputs, of units of each hidden layer, and of outputs.
    rows : int, default 4
        The number of rows.
    activation : str, default "logistic"
        The activation of the hidden layers, by its name, such as "tanh" or "relu".
    loss : {"softmax", "logistic", "squared_error"}, default "softmax"
        The loss, summed over the rows.
    seed : int, default 0
        Draws the numbers: other sheets have other seeds.
    name : str, optional
        Whose sheet it is.

    Raises
    ------
    ValueError
        If there is no such network, or it is too large for a sheet.

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
            raise ValueError(f"A worksheet has at most 50 units in a layer, not {self.shape}.")
        for what, value, least, most in (("rows", self.rows, 1, 50), ("seed", self.seed, 0, 2**53)):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"A worksheet takes {what} from {least} to {most}, not {value!r}.")
        if not isinstance(self.name, str) or len(self.name) > 200:
            raise ValueError("The name of a worksheet is a text of at most 200 letters.")

    @property
    def network(self) -> Network:
        """The network."""
        return network_of_shape(self.shape, self.activation, self.loss)

    @cached_property
    def trace(self) -> Trace:
        """All values: the solution."""
        for attempt in range(100):  # until no unit is without error, or at a kink, where two derivatives are right
            drawn = self._drawn(np.random.default_rng([self.seed, attempt]))
            errors = [array for name, array in drawn.items() if name.startswith("delta_") and name != "delta_X"]
            inputs = [array for name, array in drawn.items() if re.fullmatch(r"Z\d+", name)]
            if all((np.abs(array).max(axis=0) > 0.02).all() for array in errors) and all(map(np.all, inputs)):
                break
        return drawn  # pyright: ignore[reportPossiblyUnboundVariable]

    def _drawn(self, rng: np.random.Generator) -> Trace:
        """Return the trace of multiples of a half, with weights that are not 0, and classes in turn."""
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
        """The values that the sheet shows."""
        return [value for value in self.trace.values_in_order if value.stage == "given"]

    @property
    def blanks(self) -> list[Value]:
        """The values that are filled in."""
        return [value for value in self.trace.values_in_order if value.stage != "given" and value.name != "delta_X"]

    def check(self, answers: Mapping[str, Any], names: Any = None) -> Grades:
        """Return the grade of each value that is filled in.

        A value is right up to rounding to three decimals; one that follows from an earlier wrong one has half a point.

        Parameters
        ----------
        answers : mapping of str to array_like
            The values by their names, such as "Z1"; of others nothing is looked at.
        names : str or sequence of str, optional
            Those that are graded; by default all.

        Examples
        --------
        >>> sheet = learn.worksheet("2-2", rows=1)
        >>> print(sheet.check({"Z1": sheet.trace["Z1"]}, "Z1"))
        Z1: right.
        1 of 1 points.
        """
        wanted = [names] if isinstance(names, str) else names
        blanks = {value.name: value for value in self.blanks}
        for name in wanted or ():
            if name not in blanks:
                raise ValueError(f"There is no blank {name!r}, only {', '.join(blanks)}.")
        known = {value.name: value.array for value in self.given}
        known |= {name: as_answer(answers.get(name), value.array.shape) for name, value in blanks.items()}
        graded = blanks if wanted is None else {name: blanks[name] for name in wanted}
        return Grades(tuple(self._grade(value, known) for value in graded.values()))

    def _grade(self, value: Value, known: Mapping[str, np.ndarray | None]) -> Grade:
        found, name = known[value.name], value.name
        if found is None:
            hint = f"It should have the shape {value.array.shape}." if value.array.ndim else "It is one number."
            hints = (f"Nothing of its shape is filled in. {hint}",) * 3
            return Grade(name, 0, mistake="it is not filled in, or of another shape", hints=hints)
        wrong = ~close(found, value.array)
        if not wrong.any():
            return Grade(name, 1)
        used = set(re.findall(r"\{([^}]+)\}", value.equation))
        whole = {key: array for key, array in known.items() if array is not None}
        if used <= whole.keys():
            follows = np.asarray(computed(name, value.equation, whole, self.network.loss_function))
            if follows.shape == found.shape and close(found, follows).all():
                hint = f"It follows from {' and '.join(sorted(used))}, of which something is wrong."
                return Grade(name, 0.5, mistake="it follows from a value that is wrong", hints=(hint,) * 3)
        places = np.argwhere(wrong).tolist()
        where, entry, place = "Look at its equation.", "it", tuple(places[0])
        if place:
            some = ", ".join(map(str, places[:3])) + (", …" if len(places) > 3 else "")
            where, entry = f"Look at the entries {some}.", f"entry {places[0]}"
        equation = value.equation.replace("{", "").replace("}", "")
        second = f"{where} {name} = {equation}, as Python computes it."
        last = f"Now {entry} is {found[place]:.6g}, but should be {value.array[place]:.6g}."
        mistake = f"{wrong.sum()} of {wrong.size} entries are wrong"
        return Grade(name, 0, mistake=mistake, hints=(where, second, last))

    def to_dict(self) -> dict[str, Any]:
        """Return what the sheet is drawn from."""
        return asdict(self)


worksheet = Worksheet


def as_answer(answer: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return an answer, of numbers or of texts of numbers, as an array; None if it is none or lacks some."""

    def number(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return [number(each) for each in part]
        return float(part.strip().replace(",", ".").replace("−", "-")) if isinstance(part, str) else part

    try:
        array = np.asarray(number(answer), float)
    except (TypeError, ValueError):
        return None
    if np.squeeze(array).shape != tuple(length for length in shape if length != 1) or not np.isfinite(array).all():
        return None
    return array.reshape(shape)


def close(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return which entries are equal but for rounding to three decimals on the way."""
    size = np.abs(expected).max(initial=0)
    return np.abs(found - expected) <= max(0.6e-3, min(0.005 * max(1.0, size), 0.05 * size))

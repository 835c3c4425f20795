"""Diagnosis of training problems, in sentences with remedies."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from scipy import sparse

from ..core import Activation, Logistic, SparseNetwork, Tanh
from ..core.losses import RegressionLoss
from . import parts
from .data import Labels, Rows, dense
from .fit import Ending

LARGE, SMALL = 10.0, 0.01
"""A column is unscaled if its root mean square exceeds LARGE, or its largest entry
is below SMALL.
"""

CROWDED = 1 / 3
"""The share of dead or saturated units above which a layer is reported; good
networks have up to a quarter.
"""

BOUNDED = Logistic, Tanh
"""The activations whose units can saturate; units of other activations can die."""

SATURATED = 0.02
"""A unit is saturated if its mean derivative is below this share of the largest
derivative.
"""

WINDOW = 20
"""Oscillation is measured over at most this number of final epochs."""

JITTER = 0.05
"""The smallest mean rise per epoch of an oscillating loss, relative to the loss;
batch noise stays below it.
"""

RETURN = 0.4
"""The smallest rise of an oscillating loss, relative to its fall."""

NAMED = 5
"""The largest number of columns or classes that a sentence lists."""

SAMPLE, FEW = 1_000, 200
"""The maximum number of rows for the diagnosis in `fit`, and for the hidden units,
which take longest.
"""


class Diagnosis(tuple[str, ...]):
    """Sentences, each with a problem and a remedy. The tuple is empty if no problem was found."""

    def __repr__(self) -> str:
        return "\n".join(self) or "No problem found."

    __str__ = __repr__


class HiddenUnits(NamedTuple):
    """A hidden layer's index and activation, and the mean derivative of each unit over some rows."""

    number: int
    activation: Activation
    derivatives: ndarray


@dataclass(frozen=True, eq=False)
class Case:
    """A model and the rows for its diagnosis. Hidden units are examined on at most `few` rows."""

    model: Any
    ending: Ending | None
    rows: Rows
    few: int | None = None

    @cached_property
    def hidden(self) -> "list[HiddenUnits]":
        """The units of each hidden layer, measured on a few rows."""
        network = self.model.network_
        X = sample_of(self.rows, self.few).chosen.X
        if sparse.issparse(X):
            outputs, _ = SparseNetwork(network).forward(self.model.theta_, X.tocsr())
        else:
            # of all layers, without the link
            outputs, _ = network.forward(self.model.theta_, X)
        hidden = []
        for number, index in enumerate(network._activations):
            activation = network.layers[index]
            z = outputs[index - 1]
            y = outputs[index]
            derivatives = np.broadcast_to(np.abs(activation.derivative(z, y)), y.shape)
            hidden.append(HiddenUnits(number, activation, derivatives.mean(axis=0)))
        return hidden

    @property
    def rate(self) -> str:
        """The name and value of the learning rate setting, or "" if the solver does not have one."""
        rate = getattr(parts.optimizer(self.model), "learning_rate", None)
        if rate is None:
            return ""
        name = "the solver's learning_rate"
        if isinstance(self.model.solver, str):
            name = "learning_rate_init"
        return f"{name} (now {rate:g})"

    def remedy(self, *remedies: str) -> str:
        """Join remedies with "or"; the last is to lower the learning rate, if there is one."""
        if self.rate:
            remedies = (*remedies, f"lower {self.rate}")
        if len(remedies) == 2:
            return " or ".join(remedies)
        return f"{', '.join(remedies[:-1])}, or {remedies[-1]}"

    @property
    def latest(self) -> ndarray:
        """The losses of the last epochs; the first half is excluded because losses fall fast there."""
        losses = self.model.loss_curve_
        return np.array(losses[-min(max(len(losses) // 2, 5), WINDOW) :])

    @property
    def oscillates(self) -> bool:
        """Whether the latest losses rise considerably, relative to their size and to their fall."""
        moves = np.diff(self.latest)
        if len(moves) < 4:
            return False
        rise = np.maximum(moves, 0).mean()
        fall = np.maximum(-moves, 0).mean()
        jitter = JITTER * abs(np.median(self.latest))
        return bool(rise > max(jitter, RETURN * fall, self.model.tol))


def sample_of(rows: Rows, count: int | None) -> Rows:
    """Return at most this number of rows, evenly spaced."""
    if count is None or len(rows) <= count:
        return rows
    return rows.take(np.linspace(0, len(rows) - 1, count).astype(int))


def divergence(case: Case) -> Iterator[str]:
    """Report that a loss or gradient was not finite."""
    if case.ending is None or case.ending.reason != "diverged":
        return
    if case.ending.step == 0:
        yield (
            "The loss is not finite before the first step: scale the inputs and"
            " targets."
        )
        return
    problem = (
        f"Training diverged: after step {case.ending.step} a loss or gradient was not"
        " finite"
    )
    if case.rate:
        yield (
            f"{problem}, so the learning rate is too high for these data: lower"
            f" {case.rate}."
        )
    else:
        yield f"{problem}: scale the inputs and targets."


def unscaled_inputs(case: Case) -> Iterator[str]:
    """Report the columns of X whose scale is far from 1."""
    X = case.rows.chosen.X
    names = getattr(case.model, "feature_names_in_", range(X.shape[1]))
    if columns := _unscaled(X, names):
        scaler = "MaxAbsScaler" if sparse.issparse(X) else "StandardScaler"
        yield (
            f"Inputs are unscaled, far from 1 in magnitude: {columns}; put a {scaler}"
            " before the network."
        )


def unscaled_targets(case: Case) -> Iterator[str]:
    """Report regression targets (with the identity link) whose scale is far from 1."""
    T = case.rows.chosen.T
    if not isinstance(case.model.network_.loss_function, RegressionLoss):
        return
    if columns := _unscaled(T, ["y"] if T.shape[1] == 1 else range(T.shape[1])):
        remedy = "scale y"
        if not getattr(case.model, "scale_target", True):
            remedy = "set scale_target=True (predictions stay in the units of y)"
        yield f"Targets are unscaled, far from 1 in magnitude: {columns}; {remedy}."


def dead_units(case: Case) -> Iterator[str]:
    """Report layers with many dead units, which have a derivative of 0 on every row."""
    dead = []
    for number, activation, derivatives in case.hidden:
        if not isinstance(activation, BOUNDED):
            dead.append((number, derivatives < 1e-6))
    if layers := _crowded(dead):
        remedy = case.remedy("use activation='leaky_relu'", "scale the inputs")
        yield (
            f"Units are dead, with a derivative of 0 on every row: {layers}; {remedy}."
        )


def saturated_units(case: Case) -> Iterator[str]:
    """Report layers with many saturated units, which pass little gradient because their derivatives are near 0."""
    saturated = []
    for number, activation, derivatives in case.hidden:
        if isinstance(activation, BOUNDED):
            largest = float(activation.derivative(0.0, activation.value(0.0)))
            saturated.append((number, derivatives < SATURATED * largest))
    if layers := _crowded(saturated):
        remedy = case.remedy(
            "scale the inputs", f"raise alpha (now {case.model.alpha:g})"
        )
        yield f"Units are saturated, with derivatives near 0: {layers}; {remedy}."


def oscillation(case: Case) -> Iterator[str]:
    """Report a loss that oscillates from epoch to epoch, or only rises."""
    has_diverged = case.ending is not None and case.ending.reason == "diverged"
    if case.rate and not has_diverged and case.oscillates:
        moves = np.diff(case.latest)
        share = np.maximum(moves, 0).mean() / abs(np.median(case.latest))
        yield (
            f"The learning rate is too high: over the last {len(moves)} epochs, the"
            f" loss rose on average by {share:.2g} times its size; lower {case.rate}."
        )


def slowness(case: Case) -> Iterator[str]:
    """Report a loss that is still falling after the last epoch."""
    model = case.model
    losses = model.loss_curve_[-11:]
    uses_all_epochs = case.ending is not None and case.ending.reason == "epochs"
    if not uses_all_epochs or not case.rate or not losses or case.oscillates:
        return
    fall = losses[0] - losses[-1]
    if fall > model.tol:
        yield (
            "The learning rate is too low, or there are too few epochs: the loss still"
            f" fell by {fall / abs(losses[0]):.2%} over the last {len(losses) - 1}"
            f" epochs; raise {case.rate} or max_iter (now {model.max_iter})."
        )


def missing_classes(case: Case) -> Iterator[str]:
    """Report classes that occur in the rows but are never predicted."""
    model = case.model
    rows = case.rows.chosen
    targets = model.targets_
    if not isinstance(targets, Labels) or not model.loss_curve_:
        return
    if sparse.issparse(rows.X):
        outputs = SparseNetwork(model.network_).predict(model.theta_, rows.X.tocsr())
    else:
        # without compiling kernels
        outputs = model.network_.predict(model.theta_, rows.X)
    y = rows.y
    predicted = targets.decode(outputs)
    if rows.weight is not None:
        has_weight = rows.weight > 0
        y = y[has_weight]
        predicted = predicted[has_weight]
    classes = targets.classes
    is_missing = _contains(y, classes) & ~_contains(predicted, classes)
    missing = [repr(name) for name in classes[is_missing].tolist()]
    if not missing:
        return
    subject = f"Class {missing[0]} is"
    if len(missing) > 1:
        subject = f"Classes {_listed(missing)} are"
    balance = "set class_weight='balanced', or "
    if model.class_weight == "balanced":
        balance = ""
    yield (
        f"{subject} never predicted, although present in the rows: {balance}train"
        " longer."
    )


def _contains(labels, classes: ndarray) -> ndarray:
    """Return whether labels contain each class; multilabel targets have one column per class."""
    if labels.ndim == 2:
        return _row(labels.sum(axis=0)) > 0
    return np.isin(classes, labels)


SYMPTOMS: tuple[Callable[[Case], Iterator[str]], ...] = (
    divergence,
    unscaled_inputs,
    unscaled_targets,
    oscillation,
    slowness,
    dead_units,
    saturated_units,
    missing_classes,
)
"""All checks; causes come before their effects."""


def diagnosis_of(case: Case) -> Diagnosis:
    """Return the sentences of all symptoms."""
    with np.errstate(all="ignore"):  # overflow is a symptom
        return Diagnosis(sentence for symptom in SYMPTOMS for sentence in symptom(case))


def _unscaled(X, names: Sequence) -> str:
    """List the columns whose scale is far from 1, with their scales, worst first; the result may be empty.

    The scale is the root mean square √(Σ x² / N), or the largest entry if it is small.
    """
    largest = _row(abs(X).max(axis=0)).astype(float)
    # Squares of x / unit neither overflow nor underflow.
    unit = np.where(largest > 0, largest, 1)
    if sparse.issparse(X):
        normalized = X.multiply(1 / unit).tocsr()
        squares = normalized.multiply(normalized)
    else:
        normalized = X / unit
        squares = normalized * normalized
    is_small = largest < SMALL
    root_mean_square = unit * np.sqrt(_row(squares.mean(axis=0)))
    scale = np.where(is_small, largest, root_mean_square)
    is_unscaled = (scale > LARGE) | (is_small & (largest > 0))
    columns = np.flatnonzero(is_unscaled)
    worst_first = np.argsort(-abs(np.log(scale[columns])), kind="stable")
    texts = []
    for column in columns[worst_first].tolist():
        texts.append(f"{_column_name(names[column])} ({scale[column]:.3g})")
    return _listed(texts)


def _column_name(name) -> str:
    """Return the name of a column for a sentence."""
    if isinstance(name, int):
        return f"column {name}"
    return name if name == "y" else repr(str(name))


def _row(values) -> ndarray:
    """Return a dense or sparse matrix's column reduction as a flat array."""
    return dense(values).ravel()


def _listed(words: list[str]) -> str:
    """Join the first words with commas, and add the number of omitted ones."""
    text = ", ".join(words[:NAMED])
    return text if len(words) <= NAMED else f"{text} and {len(words) - NAMED} more"


def _crowded(layers: list[tuple[int, ndarray]]) -> str:
    """List the hidden layers with too many marked units, and their numbers; the result may be empty."""
    crowded = [(number, marked) for number, marked in layers if marked.mean() > CROWDED]
    return ", ".join(
        f"{marked.sum()} of {len(marked)} in hidden layer {number}"
        for number, marked in crowded
    )

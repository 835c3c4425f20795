"""The diagnosis: what is wrong with a model's training, in sentences that say what to change."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .rows import Rows
from .symptoms import SYMPTOMS, Case, Ending, some

if TYPE_CHECKING:
    from .base import MultilayerPerceptron

MANY, FEW = 1_000, 200
"""How many rows are looked at, at most, where nobody asked; and how many for the hidden units, which takes longest."""


class Diagnosis(tuple[str, ...]):
    """The sentences that say what is wrong and what to change; empty where nothing is.

    Examples
    --------
    >>> Diagnosis(["Inputs are unscaled.", "Targets are unscaled."])
    Inputs are unscaled.
    Targets are unscaled.
    >>> Diagnosis(), len(Diagnosis())
    (Nothing seems wrong., 0)
    """

    def __repr__(self) -> str:
        return "\n".join(self) or "Nothing seems wrong."

    __str__ = __repr__

    def after(self, message: str) -> str:
        """Return a message followed by the sentences."""
        return " ".join([message, *self])


class Diagnosable:
    """A model that says what is wrong with its training."""

    _ending: Ending | None = None

    def diagnose(self: Any, X: Any, y: Any) -> Diagnosis:
        """Say what is wrong with the model's training on these rows.

        Looked for are: divergence; inputs or targets that are far from 1 in size (a root mean square above 10, or no
        entry above 0.01); a learning rate that is too high, so that the loss rises and falls, or too low, so that it
        still falls when ``max_iter`` is reached; more than a third of a hidden layer's units dead, with a slope of 0 on
        every row, or saturated; and classes that are never predicted. `fit` shows the same with a
        ``ConvergenceWarning``, and with the error where it diverges.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs, best those of training.
        y : array (N,) or (N, O)
            The labels, or the numbers.

        Returns
        -------
        Diagnosis
            A tuple of sentences, each with what to change; it prints as them, and is empty where nothing seems wrong.

        Examples
        --------
        >>> X, y = np.array([[0.0, 1000.0], [1.0, 2000.0], [2.0, 3000.0]]), [0, 1, 1]
        >>> MLPClassifier(activation="leaky_relu").initialize(X, y).diagnose(X, y)
        Inputs are unscaled, far from 1 in size: column 1 (2.16e+03): put a StandardScaler before the network.
        """
        check_is_fitted(self)
        return diagnosis_of(self, self._read(X, y, None))


def diagnosis_of(model: "MultilayerPerceptron", rows: Rows, few: int | None = None) -> Diagnosis:
    """Return what is wrong with a model's training on rows that it has read; of units, on few of them."""
    case = Case(model, rows, few)
    with np.errstate(all="ignore"):  # what overflows is what is looked for
        return Diagnosis(sentence for symptom in SYMPTOMS for sentence in symptom(case))


def diagnosis_of_sample(model: "MultilayerPerceptron", rows: Rows) -> Diagnosis:
    """Return the same from some of the rows, so that it takes no time to speak of beside training."""
    return diagnosis_of(model, some(rows, MANY), FEW)

"""The settings that classifier and regressor share: names, defaults, constraints and documentation."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from inspect import cleandoc
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import catalog
from ..core.elementary import SuggestsKeywords
from ..core.layers import Activation, Initializer
from ..optimize import LBFGS, Optimizer, Schedule
from .sklearn_compat import CheckpointType, Interval, Options, StrOptions

SHARE = Interval(Real, 0, 1, closed="left")
FROM_ZERO = Interval(Real, 0, None, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")
COUNT = Interval(Integral, 1, None, closed="left")
CHECKPOINT = [CheckpointType(["_members", "_fits", "_part"]), None]


def names(parts: Iterable[catalog.Part]):
    """Return a constraint that accepts the names of these parts."""
    return StrOptions(set(catalog.named(parts)))


CONSTRAINTS: dict[str, list] = {
    **{
        key: ["boolean"]
        for key in (
            "shuffle",
            "warm_start",
            "nesterovs_momentum",
            "early_stopping",
            "layer_norm",
        )
    },
    **{key: [COUNT] for key in ("max_iter", "max_fun", "n_restarts")},
    **{key: [FROM_ZERO] for key in ("alpha", "power_t", "tol")},
    **{key: [POSITIVE] for key in ("learning_rate_init", "epsilon")},
    **{key: [SHARE] for key in ("validation_fraction", "beta_1", "beta_2")},
    "hidden_layer_sizes": ["array-like", COUNT],
    "activation": [names(catalog.ACTIVATIONS), Activation, list, tuple],
    "solver": [names(catalog.OPTIMIZERS), Optimizer, LBFGS],
    "batch_size": [StrOptions({"auto"}), COUNT],
    "learning_rate": [names(catalog.SCHEDULES), Schedule],
    "random_state": ["random_state"],
    "verbose": ["verbose", StrOptions({"bar"})],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "n_iter_no_change": [COUNT, Options(Real, {np.inf})],
    "dropout": [SHARE, list, tuple],
    "initializer": [names(catalog.INITIALIZERS), Initializer, None],
    "scoring": [str, callable, None],
    "callbacks": [list, tuple, None],
    "checkpoint": CHECKPOINT,
    "n_jobs": [Integral, None],
}
"""The constraints of each setting."""


class Positional(SuggestsKeywords):
    """The positional settings. Each estimator has a different order."""

    hidden_layer_sizes: Any
    activation: Any
    loss: Any


@dataclass(init=False, eq=False, repr=False)
class Constructor(Positional):
    """The settings of scikit-learn's networks and additional ones, stored unchanged.

    Parameters
    ----------
    solver : str, Optimizer or LBFGS, default "adam"
        The optimizer: {optimizers}, or an `Optimizer` with its own learning rate, such
        as ``AdamW(0.01, weight_decay=0.1)``. "sgd" uses momentum. "lbfgs" is a
        full-batch method for small tables.
    alpha : float, default 0.0001
        The strength α of the L2 penalty ½ α Σ W² on weights. The penalty is divided by
        the total weight of the batch.
    batch_size : int or "auto", default "auto"
        The number of rows in a batch. "auto" means at most 200 rows. "lbfgs" always
        uses all rows.
    learning_rate : str or Schedule, default "constant"
        The learning rate schedule: {schedules}, or a `Schedule`. After each epoch,
        "invscaling" divides the rate by (1 + rows seen) to the power ``power_t``.
        "adaptive" divides the rate by 5 whenever training would stop, until the rate is
        below 1e-6. As in scikit-learn, "invscaling" and "adaptive" have no effect with
        "adam" and "adamw".
    learning_rate_init : float, default 0.001
        The initial learning rate.
    power_t : float, default 0.5
        The exponent of "invscaling".
    max_iter : int, default 200
        The maximum number of epochs, or of iterations of "lbfgs".
    shuffle : bool, default True
        Whether to shuffle the rows before each epoch.
    random_state : int, RandomState or None, default None
        The seed of initial parameters, held-out rows, shuffling and dropout. An integer
        gives bit-identical results in every run, with any number of threads.
    tol : float, default 1e-4
        The smallest improvement of the loss or score that counts as progress. "lbfgs"
        stops when no entry of the gradient is larger than ``tol``.
    verbose : bool, int or "bar", default False
        Whether to print a line for each epoch, or to show a progress bar.
    warm_start : bool, default False
        Whether `fit` continues from the last fit; see Notes.
    momentum : float, default 0.9
        The momentum of "sgd" and "nesterov", between 0 and 1.
    nesterovs_momentum : bool, default True
        Whether "sgd" uses Nesterov momentum.
    early_stopping : bool, default False
        Whether to stop training when the validation score stops improving, and to
        restore the best parameters. The validation rows are X_val. Without X_val, a
        part of X is held out, except for "lbfgs".
    validation_fraction : float, default 0.1
        The share of the rows that is held out for validation. With two classes, the
        same share of each class is held out.
    beta_1, beta_2 : float, default 0.9 and 0.999
        The decay rates of the two moment estimates in "adam" and "adamw".
    epsilon : float, default 1e-8
        A small constant that keeps divisions finite in "adam", "adamw" and "rmsprop".
    n_iter_no_change : int or inf, default 10
        Training stops after more than this number of consecutive epochs without
        progress.
    max_fun : int, default 15000
        The maximum number of loss evaluations of "lbfgs".
    dropout : float or list of float, default 0
        The dropout rate of the hidden layers, or a list with one rate for each layer.
    layer_norm : bool, default False
        Whether to normalize each hidden layer before its activation.
    initializer : str, Initializer or None, default None
        The distribution of initial weights: {initializers}, or an `Initializer`. None
        draws the same weights and biases as scikit-learn with the same seed.
    scoring : str, callable or None, default None
        The score to measure after each epoch and to monitor for early stopping. Pass a
        scikit-learn scorer, or "loss" for the negative validation loss. None means
        `score`. A scorer is called with sample weights if it accepts sample weights.
    callbacks : list of callable or None, default None
        Functions that `fit` calls with a `TrainingState` after each epoch. If a
        callback returns True, training ends.
    checkpoint : Checkpoint or None, default None
        Where `fit` saves the training state: a file, ``Checkpoint("run.npz")``, or a
        folder if there are restarts. If the program is killed, the same call of `fit`
        resumes, with bit-identical results. A checkpoint needs an integer as
        random_state.
    n_restarts : int, default 1
        The number of random initializations. `fit` trains a network from each
        initialization and selects the network with the best validation score. Without
        validation rows, `fit` selects the network with the lowest loss.
    n_jobs : int or None, default None
        The maximum number of threads. None means the number of processors.
    """

    _: KW_ONLY
    solver: Any = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str | Schedule = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    verbose: bool | int | str = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    dropout: float | Sequence[float] = 0.0
    layer_norm: bool = False
    initializer: str | Initializer | None = None
    scoring: str | Callable[..., float] | None = None
    callbacks: Sequence[Callable[..., Any]] | None = None
    checkpoint: Any = None
    n_restarts: int = 1
    n_jobs: int | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS


def require_repeatable(model, checkpoint=None):
    """Raise an error if a checkpoint is combined with an unseeded model."""
    has_checkpoint = checkpoint or getattr(model, "checkpoint", None)
    if has_checkpoint and model.random_state is None:
        raise ValueError(
            "random_state is None, so each call of fit trains different networks, but a"
            " checkpoint needs the same: give random_state=0, or another integer."
        )


def require_no_checkpoint(model, instead: str):
    """Raise an error if a model that is not trained by a single call of `fit` has a checkpoint."""
    if getattr(model, "checkpoint", None) is not None:
        raise ValueError(
            f"{type(model).__name__} has a checkpoint, which saves a single fit from"
            f" its start: {instead}."
        )


T = TypeVar("T", bound=type)


def documented(cls: T) -> T:
    """Fill ``{settings}``, ``{attributes}`` and ``{notes}`` in a docstring from the docstrings of its base classes.

    ``{activations}``, ``{losses}`` and similar placeholders become the names that the
    setting accepts.
    """
    replacements = {}
    sections = {}
    for base in cls.__mro__[1:]:
        if base.__module__.startswith("vecprop."):
            sections |= _sections(base.__doc__ or "")
    replacements["settings"] = sections.get("Parameters", "")
    replacements["attributes"] = sections.get("Attributes", "")
    replacements["notes"] = sections.get("Notes", "")
    for kind in ("activations", "losses", "optimizers", "schedules", "initializers"):
        names_of_kind = catalog.named(getattr(catalog, kind.upper()))
        replacements[kind] = ", ".join(f'"{name}"' for name in names_of_kind)
    text = cleandoc(cls.__doc__ or "")
    for placeholder, replacement in replacements.items():
        text = text.replace("{" + placeholder + "}", replacement)
    cls.__doc__ = text
    return cls


def _sections(docstring: str) -> dict:
    """Return the underlined sections of a docstring by title."""
    title_and_line = r"\n*^(\w+)\n-+\n"
    _, *parts = re.split(title_and_line, cleandoc(docstring), flags=re.MULTILINE)
    titles = parts[::2]
    return dict(zip(titles, parts[1::2], strict=True))

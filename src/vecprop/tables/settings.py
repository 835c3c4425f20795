"""The settings that both estimators of tables share: the name, default and constraint of each, told once."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

from .. import catalog
from ..core import Activation, Dense, Dropout, Loss, Network
from ..estimators.parts import ACTIVATIONS
from ..estimators.settings import CHECKPOINT, COUNT, FROM_ZERO, POSITIVE, SHARE, names
from ..estimators.settings import documented as filled
from ..estimators.sklearn_compat import HasMethods, Interval, StrOptions
from ..system.versions import Versioned
from ..train.progress import Progress
from .encoding.encoder import View
from .ensemble.ensemble import Training
from .ensemble.stages import Stage
from .kinds.ambiguities import Asked

T = TypeVar("T", bound=type)

CONSTRAINTS: dict[str, list[Any]] = {
    "target": [str, None],
    "columns": [dict, None],
    "decimal": [StrOptions({".", ","}), None],
    "date_format": [str, None],
    "n_estimators": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left")],
    "hidden_layer_sizes": ["array-like", COUNT],
    "activation": [StrOptions({"auto"}), names(catalog.ACTIVATIONS), Activation],
    "dropout": [SHARE],
    "weight_decay": [FROM_ZERO],
    "learning_rate_init": [POSITIVE],
    "batch_size": [StrOptions({"auto"}), COUNT],
    "max_iter": [StrOptions({"auto"}), COUNT],
    "n_iter_no_change": [COUNT],
    "random_state": ["random_state"],
    "n_jobs": [Integral, None],
    "workers": [HasMethods("run"), None],
    "stages": [COUNT, None],
    "time_limit": [Interval(Real, 0, None, closed="neither"), None],
    "verbose": ["boolean"],
    "progress": [callable, None],
    "checkpoint": CHECKPOINT,
}
"""What each setting may be."""


SEVERAL_ROWS = 2_500
"""A view has 6 networks from this number of rows on, and 8 below, where training is short and errors differ more."""
MANY_ROWS = 20_000
"""A view has 4 networks from this number of rows on, where training takes long."""
MOST_EPOCHS = 400
"""The largest number of epochs that "auto" stands for."""
ROWS_IN_ALL = 2_000_000
"""The largest number of rows that "auto" trains on, summed over epochs, which bounds the time of a fit."""


@dataclass(eq=False, repr=False)
class SharedSettings(Versioned, BaseEstimator, ABC):
    """The constructor, which stores the settings, and the numbers and networks that they stand for.

    Parameters
    ----------
    target : str or None, default None
        The name of the column to predict, if it is part of the table that `fit` takes.
    columns : dict of str to str or None, default None
        What columns are, by name: "number", "category", "code", "date", "text", "tags" or "ignore"; see docs/tables.md.
        After "number" may stand its decimal sign, as in "number ,", and after "date" a format, as in "date %d.%m.%Y" or
        "date day first". The kinds of all other columns are found from their values.
    decimal : "." or "," or None, default None
        The decimal sign of numbers that are text; None to find it from the values of each column.
    date_format : str or None, default None
        The format of dates that are text, as in ``datetime.strptime``; or "day first", "month first", or "excel" for
        Excel's serial numbers. None to find it from the values of each column.
    n_estimators : int or "auto", default "auto"
        The number of networks of each view, at least 2, each trained without another part of the rows; "auto" is 8, 6
        from 2,500 rows on, and 4 from 20,000. There are two views, which both see standardised numbers and ranks, and
        one of them also pieces; of some tables of 190,000 rows and more there is one view without pieces.
    hidden_layer_sizes : int or sequence of int, default (64, 64)
        The width of each hidden layer.{deeper}
    activation : str or Activation, default "auto"
        The hidden layers' activation, as in `MLPClassifier`; "auto" is {activation}.
    dropout : float, default 0
        The share of each hidden layer's outputs that is dropped in each step.
    weight_decay : float, default {weight_decay}
        The decay of AdamW over an epoch, divided among its steps, so that its effect does not depend on the number of
        rows.
    learning_rate_init : float, default 0.01
        The learning rate at the start; it falls to 0 along a cosine.
    batch_size : int or "auto", default "auto"
        The number of rows in a batch; "auto" is a hundredth of all rows, from 64 to 256.
    max_iter : int or "auto", default "auto"
        The largest number of epochs; "auto" is {epochs}, but so few that at most two million rows are trained on, and
        at least 10; in small tables more, up to 400, until they have {steps} steps, with the same decay in all; and
        twice as many if there is one view.
    n_iter_no_change : int, default 20
        A network's training ends after this number of epochs in a row without progress on its validation rows, those
        that it is not trained on; its best parameters are restored.
    random_state : int, RandomState or None, default None
        Fixes the members' validation rows, initial parameters, order of rows and dropout: an integer gives the same
        bits each time, with any number of threads.
    n_jobs : int or None, default None
        The largest number of threads; None for the number of processors.
    workers : DaskWorkers or None, default None
        Trains the networks on a cluster, with the bits that they have here. The table is read and encoded here. In a
        block of ``joblib.parallel_config("dask")`` its cluster does, without being given.
    stages : int or None, default None
        The number of stages of training; None for one. Each stage after the first trains one more network for each part
        of the rows, with other settings, and they are kept if the loss on rows that they have not seen is then lower.
    time_limit : float or None, default None
        The seconds for training, instead of a number of stages: a stage begins if it is likely to end in time. The
        first is always trained, and there are at most 16. ``stages=model.stages_`` and the same integer as random_state
        later make the same model to the bit, in whatever time that takes.
    verbose : bool, default False
        Whether to show a progress bar on the error stream of a terminal or notebook, from the second stage on with the
        lowest loss so far on rows that networks have not seen.
    progress : callable or None, default None
        Called several times a second with a `Progress`: the number of networks that have ended, the rows trained on,
        the losses, the stage. If it returns True, the others are stopped, of a later stage all.
    checkpoint : Checkpoint or None, default None
        Keeps the networks whose training has ended in a folder, ``Checkpoint("folder")``. If the program is killed, the
        same `fit` goes on at the stage it was in, and makes the same model to the bit. It needs an integer as
        random_state.

    Attributes
    ----------
    notes_ : list of str
        Sentences on columns that are not used, with the reason, and on values that were not used as they are.
    encoder_ : Encoder
        The columns as inputs: ``encoder_.kinds`` by name, and ``encoder_.dropped`` with the reasons.
    profiles_ : list of Profile
        What each column had in training, which `detect_drift` compares other tables with.
    ensemble_ : Ensemble
        The networks: each of ``ensemble_.views`` has a ``network``, the parameters ``thetas``, (M, P), and its
        ``share`` of the prediction.
    loss_curves_, validation_loss_curves_ : list of list of float
        The loss of each network after each epoch, and its loss on its validation rows before the first epoch and after
        each; those that see pieces are the first.
    stages_ : int
        The number of stages that were trained, whether or not their networks were kept.
    n_iter_ : int
        The number of epochs of the longest training.
    n_features_in_, feature_names_in_ : int and ndarray
        The number of columns without the target, and their names if all are text.
    """

    target: str | None = None
    _: KW_ONLY
    columns: dict[str, str] | None = None
    decimal: str | None = None
    date_format: str | None = None
    n_estimators: int | str = "auto"
    hidden_layer_sizes: Any = (64, 64)
    activation: Any = "auto"
    dropout: float = 0.0
    weight_decay: float = 1.0
    learning_rate_init: float = 0.01
    batch_size: int | str = "auto"
    max_iter: int | str = "auto"
    n_iter_no_change: int = 20
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None
    workers: Any = None
    stages: int | None = None
    time_limit: float | None = None
    verbose: bool = False
    progress: Callable[[Progress], object] | None = None
    checkpoint: Any = None

    auto_activations: ClassVar[dict[View, str]]
    first_stage: ClassVar[list[Stage]]
    """What the networks of each view are like in the first stage."""
    instead: ClassVar[list[Stage]]
    """What those of the standardised view may be like instead, see `with_views_that_pay`."""
    auto_epochs: ClassVar[int]
    fewest_steps: ClassVar[int]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    @property
    def asked(self) -> Asked:
        """What is said of the columns."""
        return Asked(self.columns or {}, self.decimal, self.date_format)

    def members(self, rows: int) -> int:
        """Return the number of networks of each view, and of folds, for a number of rows."""
        auto = 8 if rows < SEVERAL_ROWS else 6 if rows < MANY_ROWS else 4
        return min(auto if self.n_estimators == "auto" else int(self.n_estimators), rows)

    def first_stages(self, rows: int) -> list[Stage]:
        """Return what networks may be like in the first stage, for a number of rows."""
        return self.first_stage + (self.instead if rows >= SEVERAL_ROWS else [])

    def training(self, rows: int) -> Training:
        """Return how networks are trained on a number of rows.

        They may take at least a number of steps, if that is not too many epochs, with the same decay in all.
        """
        batch = int(np.clip(rows // 100, 64, 256)) if self.batch_size == "auto" else int(self.batch_size)
        decay = self.weight_decay
        if self.max_iter == "auto":
            usual, steps = int(np.clip(ROWS_IN_ALL // rows, 10, self.auto_epochs)), -(-rows // batch)
            epochs = max(usual, min(-(-self.fewest_steps // steps), MOST_EPOCHS))
            decay *= usual / epochs
        else:
            epochs = int(self.max_iter)
        return Training(epochs, batch, self.n_iter_no_change, self.learning_rate_init, decay)

    @property
    def widths(self) -> list[int]:
        """The widths of the hidden layers."""
        return [int(width) for width in np.atleast_1d(self.hidden_layer_sizes)]

    @abstractmethod
    def losses(self) -> list[Loss]:
        """Return the loss of the networks that predict, and then the losses of other ensembles beside them."""

    def networks(self, inputs: int, outputs: int, stage: Stage) -> list[Network]:
        """Return a network of a stage for each loss."""
        own = self.auto_activations[stage.view] if self.activation == "auto" else self.activation
        name, dropout = stage.activation or own, max(self.dropout, stage.dropout)
        layers = []
        for width in stage.widths(self.widths):
            layers += [Dense(width), ACTIVATIONS.get(name, name), *([Dropout(dropout)] if dropout else [])]
        return [Network(inputs, [*layers, Dense(outputs)], loss) for loss in self.losses()]


def documented(**defaults: str) -> Callable[[T], T]:
    """Return a decorator that fills the shared sections of a docstring, and in them what differs by its name."""

    def write(cls: T) -> T:
        text = filled(cls).__doc__ or ""
        for name, default in defaults.items():
            text = text.replace("{" + name + "}", default)
        cls.__doc__ = text
        return cls

    return write

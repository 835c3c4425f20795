"""The settings of both table estimators: names, defaults, constraints and documentation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import ceil
from numbers import Integral
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer_names
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import catalog
from ..core import Activation, Dense, Dropout, Loss, Network, SuggestsKeywords
from ..estimators.parts import ACTIVATIONS
from ..estimators.settings import (
    CHECKPOINT,
    COUNT,
    FROM_ZERO,
    POSITIVE,
    SHARE,
    names,
    require_repeatable,
)
from ..estimators.settings import documented as filled
from ..estimators.sklearn_compat import HasMethods, Interval, StrOptions
from ..pictures.loss import side_by_side
from ..system.suggestions import SuggestsSettings, suggestion
from ..system.versions import Versioned
from ..train.progress import Progress
from .encoding.encoder import Encoder, View
from .ensemble.ensemble import Training
from .explaining.importance import feature_importances
from .explaining.plots import TablePlots
from .kinds.ambiguities import ColumnOptions
from .reading.frames import Frame, as_frame, has_names, names_of_array

T = TypeVar("T", bound=type)

COLUMN_CONSTRAINTS: dict[str, list[Any]] = {
    "columns": [dict, None],
    "decimal": [StrOptions({".", ","}), None],
    "date_format": [str, None],
}
"""The valid values of each setting."""

CONSTRAINTS: dict[str, list[Any]] = {
    "target": [str, list, tuple, None],
    **COLUMN_CONSTRAINTS,
    "n_estimators": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left")],
    "hidden_layer_sizes": ["array-like", COUNT],
    "activation": [StrOptions({"auto"}), names(catalog.ACTIVATIONS), Activation],
    "dropout": [SHARE],
    "weight_decay": [FROM_ZERO],
    "learning_rate_init": [POSITIVE],
    "batch_size": [StrOptions({"auto"}), COUNT],
    "max_iter": [StrOptions({"auto"}), COUNT],
    "n_iter_no_change": [COUNT],
    "metric": [str, callable, None],
    "random_state": ["random_state"],
    "n_jobs": [Integral, None],
    "workers": [HasMethods("run"), None],
    "verbose": ["boolean"],
    "progress": [callable, None],
    "checkpoint": CHECKPOINT,
}
"""The valid values of each setting."""


SEVERAL_ROWS = 2_500
"""With at least this number of rows, a view has 6 networks instead of 8, because
errors of networks differ less.
"""
MANY_ROWS = 20_000
"""With at least this number of rows, a view has 4 networks, because training takes
long.
"""
MAX_EPOCHS = 400
"""The largest number of epochs for ``max_iter="auto"``."""
MAX_TOTAL_ROWS = 2_000_000
"""The largest number of rows, summed over epochs, for ``max_iter="auto"``."""


@dataclass(eq=False, repr=False)
class ColumnSettings(SuggestsSettings, SuggestsKeywords, Versioned, BaseEstimator, ABC):
    """Base class of estimators that read tables."""

    _: KW_ONLY
    columns: dict[str, str] | None = None
    decimal: str | None = None
    date_format: str | None = None

    @property
    def _target_names(self) -> list[str]:
        """The names of the target columns."""
        return []

    @property
    def _column_options(self) -> ColumnOptions:
        """The settings of the columns."""
        return ColumnOptions(self.columns or {}, self.decimal, self.date_format)

    def _learn_columns(self: Any, frame: Frame, aside: Mapping[str, str]):
        """Learn to convert columns to inputs, and note which ones are not used."""
        options = self._column_options
        options.require([*frame.columns, *self._target_names], self.notes_)
        self.encoder_, notes = Encoder.of(frame, options, aside)
        self.notes_ += notes

    @property
    def _training_names(self: Any) -> Sequence[str]:
        """The names of the training columns."""
        return getattr(self, "feature_names_in_", names_of_array(self.n_features_in_))

    def _check_columns(self, X, frame: Frame, *, reset: bool):
        """Store the number and names of the columns of a table, or compare them with the training columns."""
        columns: Any = frame
        if not has_names(X):
            columns = np.broadcast_to(0.0, frame.shape)
        validate_data(self, columns, reset=reset, skip_check_array=True)

    def _table(self, X) -> Frame:
        """Return a table for prediction, with the column names used in training but without the target.

        Columns are matched by position if this table or the training table is an array,
        with scikit-learn's warning if only one of them has names.
        """
        check_is_fitted(self)
        frame = as_frame(X, self)
        has_training_names = hasattr(self, "feature_names_in_") or (
            set(self.encoder_.names) <= set(frame.columns)
        )
        if has_names(X) and has_training_names:
            return frame.drop(columns=self._target_names, errors="ignore")
        frame = frame.drop(columns=frame.attrs.get("index", []))
        self._check_columns(X, frame, reset=False)
        return frame.set_axis(self._training_names, axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


@dataclass(eq=False, repr=False)
class SharedSettings(ColumnSettings):
    """Base class of table estimators: stores the settings and builds the networks.

    Parameters
    ----------
    target : str, list of str or None, default None
        The name of the column to predict, if the table passed to `fit` contains it. A
        list names several targets, which joint networks predict with one output each;
        see docs/tables.md.
    columns : dict of str to str or None, default None
        The kinds of columns: "number", "category", "code", "date", "text", "tags" or
        "ignore"; see docs/tables.md. "number" can be followed by a decimal separator
        ("number ,"), and "date" by a format ("date %d.%m.%Y" or "date day first"). The
        kinds of all other columns are inferred from their values.
    decimal : "." or "," or None, default None
        The decimal separator of numbers in text. None infers the sign for each column.
    date_format : str or None, default None
        The format of dates in text, as in ``datetime.strptime``, or "day first", "month
        first", or "excel" for Excel's serial dates. None infers the format of each
        column.
    n_estimators : int or "auto", default "auto"
        The number of networks in each view, at least 2. Each network leaves out a
        different fold of the rows. "auto" is 8 below 2,500 rows, 6 below 20,000 rows,
        and otherwise 4. There are two views: both contain standardized numbers and
        ranks, and one also contains a piecewise linear encoding. Linear models
        of these inputs form two more views if they reduce the validation loss.
    hidden_layer_sizes : int or sequence of int, default (64, 64)
        The width of each hidden layer.{deeper}
    activation : str or Activation, default "auto"
        The activation of the hidden layers, as in `MLPClassifier`; "auto" is
        {activation}.
    dropout : float, default 0
        The fraction of each hidden layer's outputs that is dropped in each step.
    weight_decay : float, default {weight_decay}
        The decay of AdamW in an epoch. The decay of a step is this number divided by
        the number of steps, so the effect does not depend on the number of rows.
    learning_rate_init : float, default 0.01
        The initial learning rate, which decays to 0 on a cosine schedule.
    batch_size : int or "auto", default "auto"
        The number of rows in a batch. "auto" is 1 % of the rows, but at least 64 and at
        most 256.
    max_iter : int or "auto", default "auto"
        The largest number of epochs. "auto" is {epochs}, or fewer (at least 10) if
        these would process more than two million rows. Small tables get more epochs (up
        to 400) to reach {steps} steps, with the same total decay.
    n_iter_no_change : int, default 20
        A network stops after this number of epochs without improvement of the
        validation loss. The best parameters are then restored. The validation rows of a
        network are the fold that the network is not trained on.
    metric : str, callable or None, default None
        The name of a scikit-learn scorer, such as "f1", or a scorer. Early stopping
        uses this score of the validation rows instead of the loss. If the score of two
        classes depends on decisions, it also chooses the threshold. For the names of
        scorers, two classes are 0 and 1, the positive class. The curves of validation
        losses are then negative scores. The networks are trained one after the other.
        Not with ``workers``, ``checkpoint``, several targets, or tables that do not fit
        into memory.
    random_state : int, RandomState or None, default None
        The seed of validation rows, initial parameters, the order of rows and dropout.
        An integer gives bit-identical results with any number of threads.
    n_jobs : int or None, default None
        The largest number of threads. None uses one thread per processor.
    workers : DaskWorkers or None, default None
        The cluster that trains the networks, with bit-identical results. This process
        reads and encodes the table. In a block of ``joblib.parallel_config("dask")``,
        the default is the cluster of this block.
    verbose : bool, default False
        Whether to show a `ProgressBar`.
    progress : callable or None, default None
        A function that is called several times a second with a `Progress`, which
        contains the number of finished networks, the rows trained on and the losses. If
        the function returns True, training stops.
    checkpoint : Checkpoint or None, default None
        The folder for trained networks, ``Checkpoint("folder")``. If the process is
        killed, the same call of `fit` resumes, with bit-identical results. The
        random_state must be an integer.

    Attributes
    ----------
    notes_ : list of str
        Notes on columns that are not used, with the reasons, and on values that cannot
        be read. The text of a note has the attributes ``kind``, such as "trust" or
        "unused", and ``column``, a name or None.
    encoder_ : Encoder
        Converts columns to inputs: ``encoder_.kinds`` by name, and ``encoder_.dropped``
        with the reasons.
    profiles_ : list of Profile
        Statistics of each training column, which `detect_drift` compares with other
        tables.
    ensemble_ : Ensemble
        The networks. Each view in ``ensemble_.views`` has a ``network``, the parameters
        ``thetas``, (M, P), and a ``share`` of the prediction. The views
        "linear_pieces" and "linear", if any, contain linear models and their
        ``penalty``.
    loss_curves_, validation_loss_curves_ : list of list of float
        The loss of each network after each epoch, and the validation loss before
        training and after each epoch. Networks with the piecewise linear encoding come
        first. Linear models have no curves.
    n_iter_ : int
        The largest number of epochs of any network.
    n_features_in_, feature_names_in_ : int and ndarray
        The number of columns without the target, and their names if all are strings.
    feature_importances_ : ndarray (n_features_in_,)
        The importance of each column, in the order of ``feature_names_in_``, computed
        on first use. The total effect of a column is
        ½ E‖f(x) - f(x')‖², where f(x) are the predictions or the class probabilities,
        and the rows x and x' differ only in this column (Sobol' indices; Jansen, 1999).
        The importance is the total effect divided by the sum of all total effects.
        Ignored and constant columns have the importance 0. Rows are drawn from the
        distribution of each training column, independently of other columns. Text is
        simulated by single words, so its importance is often too small. These
        importances describe the predictions, not their errors: use `evaluate` to see
        how much the loss rises without a column.
    models_ : list
        With several targets, one model for each target, for example to explain or
        evaluate its predictions. The other attributes describe the joint networks:
        ``out_of_fold_`` has an axis for the targets, and ``validation_loss_`` is the
        mean over the targets.
    plot : TablePlots
        Plots of the model: ``plot()`` or ``plot.loss()`` draws the losses of the
        networks, and ``plot.dependence(column)`` draws how predictions depend on a
        column.
    trained_rows_ : TrainedRows
        The number and the fingerprints of the training rows. `evaluate` uses the
        fingerprints to find duplicates of training rows.
    """

    target: Any = None
    _: KW_ONLY
    n_estimators: int | str = "auto"
    hidden_layer_sizes: Any = (64, 64)
    activation: Any = "auto"
    dropout: float = 0.0
    weight_decay: float = 1.0
    learning_rate_init: float = 0.01
    batch_size: int | str = "auto"
    max_iter: int | str = "auto"
    n_iter_no_change: int = 20
    metric: Any = None
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None
    workers: Any = None
    verbose: bool = False
    progress: Callable[[Progress], object] | None = None
    checkpoint: Any = None

    _auto_activations: ClassVar[dict[View, str]]
    _deeper_views: ClassVar[set[View]] = set()
    """The views whose networks repeat the last hidden layer."""
    _auto_epochs: ClassVar[int]
    _fewest_steps: ClassVar[int]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    def __post_init__(self):
        """Raise an error if a table is passed instead of the name of its target."""
        if hasattr(self.target, "columns"):
            kind = type(self).__name__
            raise TypeError(
                f"The target of {kind} is a {type(self.target).__name__}: pass the name"
                " of the column to predict, and the table to fit:"
                f" {kind}('column').fit(table)."
            )

    def _validate_params(self):
        super()._validate_params()
        names = self._target_names
        are_names = all(isinstance(name, str) for name in names)
        has_none = self.target is not None and not names
        if has_none or not are_names or len(set(names)) < len(names):
            raise ValueError(
                f"The 'target' parameter of {type(self).__name__} must be the name of a"
                f" column or a list of distinct names. Got {self.target!r} instead."
            )
        scorers = get_scorer_names()
        if isinstance(self.metric, str) and self.metric not in scorers:
            advice = suggestion(self.metric, scorers) or ": see get_scorer_names()."
            raise ValueError(
                f"metric={self.metric!r} is not the name of a scikit-learn"
                f" scorer{advice}"
            )
        for name in ("checkpoint", "workers"):
            if self.metric is not None and getattr(self, name) is not None:
                raise ValueError(f"metric does not work with {name}: leave one out.")
        if self.checkpoint is not None:
            require_repeatable(self)

    @property
    def _target_names(self) -> list[str]:
        """The names of the target columns."""
        if isinstance(self.target, list | tuple):
            return list(self.target)
        return [] if self.target is None else [self.target]

    @property
    def _has_tags(self) -> bool:
        """Whether a classifier's target is a column with several tags in each row."""
        if not isinstance(self.target, str) or not hasattr(self, "predict_proba"):
            return False
        return self._column_options.kind(self.target) == "tags"

    def _members(self, rows: int) -> int:
        """Return the number of networks per view, which is the number of folds."""
        if self.n_estimators != "auto":
            return min(int(self.n_estimators), rows)
        if rows >= MANY_ROWS:
            return 4
        if rows >= SEVERAL_ROWS:
            return 6
        return min(8, rows)

    def _training(self, rows: int) -> Training:
        """Return the training settings for a number of rows."""
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = np.clip(rows // 100, 64, 256)
        batch_size = int(batch_size)
        epochs = self.max_iter
        decay = self.weight_decay
        if epochs == "auto":
            usual = int(np.clip(MAX_TOTAL_ROWS // rows, 10, self._auto_epochs))
            steps_per_epoch = ceil(rows / batch_size)
            required = ceil(self._fewest_steps / steps_per_epoch)
            epochs = max(usual, min(required, MAX_EPOCHS))
            decay *= usual / epochs
        return Training(
            int(epochs),
            batch_size,
            self.n_iter_no_change,
            learning_rate=self.learning_rate_init,
            weight_decay=decay,
        )

    @property
    def _widths(self) -> list[int]:
        """The widths of the hidden layers."""
        sizes = self.hidden_layer_sizes
        if not np.iterable(sizes):
            sizes = [sizes]
        if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be integers > 0, got {list(sizes)}."
            )
        return [int(size) for size in sizes]

    @property
    def _histories(self: Any) -> list[SimpleNamespace]:
        """The losses of the main ensemble's networks, except networks without a finished epoch."""
        check_is_fitted(self)
        count = len(self.loss_curves_) // len(self._losses())
        histories = []
        for loss, validation_loss in zip(
            self.loss_curves_[:count], self.validation_loss_curves_, strict=False
        ):
            if loss:
                history = SimpleNamespace(loss=loss, validation_loss=validation_loss)
                history.time = range(len(loss) + 1)
                histories.append(history)
        return histories

    @property
    def plot(self) -> TablePlots:
        """Plots of the model, such as ``plot.loss()`` and ``plot.dependence("age")``."""
        return TablePlots(self)

    @cached_property
    def feature_importances_(self) -> np.ndarray:
        """The share of each training column in the total effects on predictions."""
        check_is_fitted(self)
        return feature_importances(self)

    def _loss_history(self) -> tuple[Any, int]:
        """Return the losses of the main ensemble's networks as a history, and the epoch of the first loss."""
        return side_by_side(self._histories), 0

    @abstractmethod
    def _losses(self) -> Sequence[Loss]:
        """Return the losses of all networks: first those used for prediction, then auxiliary ensembles."""

    def _networks(
        self, view: View, inputs: int, outputs: int, losses: Sequence[Loss]
    ) -> list[Network]:
        """Build the network of a view for each loss."""
        name = self.activation
        if name == "auto":
            name = self._auto_activations[view]
        widths = self._widths
        if view in self._deeper_views:
            widths += widths[-1:]
        layers = []
        for width in widths:
            layers += [Dense(width), ACTIVATIONS.get(name, name)]
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return [Network(inputs, [*layers, Dense(outputs)], loss) for loss in losses]


def documented(**defaults: str) -> Callable[[T], T]:
    """Return a decorator that inserts the shared sections and these defaults into a docstring."""

    def write(cls: T) -> T:
        text = filled(cls).__doc__ or ""
        for name, default in defaults.items():
            text = text.replace("{" + name + "}", default)
        cls.__doc__ = text
        return cls

    return write

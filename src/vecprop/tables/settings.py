"""The settings that both estimators of tables share: each name, its default and what it may be, once."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .. import catalog
from ..core.layers import Activation
from ..estimators.constructor import COUNT, FROM_ZERO, POSITIVE, SHARE, names
from ..train.progress import Progress

T = TypeVar("T", bound=type)

DOCUMENTED = """\
target : str or None, default None
    The name of the column that is to be predicted, where it stands in the table that `fit` is given.
n_members : int or "auto", default "auto"
    How many networks are trained and averaged, each without another part of the rows, at least 2; "auto" is 8, and 4
    from 20,000 rows.
hidden_layer_sizes : int or sequence of int, default (64, 64)
    The width of each hidden layer.
activation : str or Activation, default {activation}
    The hidden layers' activation, as in `MLPClassifier`.
dropout : float, default 0
    The share of each hidden layer's outputs that is left out in each step.
weight_decay : float, default {weight_decay}
    The decay of AdamW over an epoch: each step has its share of it, so that it means the same for any number of rows.
learning_rate_init : float, default 0.01
    The learning rate at the start, which falls to 0 along a cosine.
batch_size : int or "auto", default "auto"
    How many rows a step sees; "auto" is a hundredth of them, from 64 to 256.
max_iter : int or "auto", default "auto"
    How many epochs at most; "auto" is {epochs}, fewer where that would be more than two million rows, and 10 at least.
n_iter_no_change : int, default {n_iter_no_change}
    Training of a member ends after so many epochs in a row without progress on the rows that it is not trained on; its
    best parameters are restored.
random_state : int, RandomState or None, default None
    Fixes which rows a member does without, initial parameters, order of rows and dropout: an integer gives the same
    bits each time, with any number of threads.
n_jobs : int or None, default None
    How many threads to use at most; None for as many as there are processors.
progress : callable or None, default None
    Called several times a second with a `Progress`: the number of networks that have ended, the rows trained on, the
    losses. If it returns True, the others are stopped."""

ATTRIBUTES = """\
notes_ : list of str
    In sentences: which columns are not used and why, and what of the table was not taken as it is.
encoder_ : Encoder
    What has been learned of the columns: ``encoder_.kinds`` by name, ``encoder_.dropped`` with the reasons.
ensemble_ : Ensemble
    The networks: ``ensemble_.network`` and ``ensemble_.thetas``, (M, P).
loss_curves_, validation_loss_curves_ : list of list of float
    For each network trained the loss of each epoch, and that of the rows it is not trained on, before the first epoch
    and after each.
n_iter_ : int
    How many epochs the longest training took.
n_features_in_, feature_names_in_ : int and ndarray
    How many columns the table has beside the target, and their names if all are text."""


class OwnDefaults:
    """What each estimator has of its own."""

    target: str | None
    activation: Any
    weight_decay: float
    n_iter_no_change: int
    auto_epochs: ClassVar[int]


@dataclass(eq=False, repr=False)
class SharedSettings(OwnDefaults):
    """Takes the settings as they are."""

    _: KW_ONLY
    n_members: int | str = "auto"
    hidden_layer_sizes: Any = (64, 64)
    dropout: float = 0.0
    learning_rate_init: float = 0.01
    batch_size: int | str = "auto"
    max_iter: int | str = "auto"
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None
    progress: Callable[[Progress], object] | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "target": [str, None],
        "n_members": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left")],
        "hidden_layer_sizes": ["array-like", COUNT],
        "activation": [names(catalog.ACTIVATIONS), Activation],
        "dropout": [SHARE],
        "weight_decay": [FROM_ZERO],
        "learning_rate_init": [POSITIVE],
        "batch_size": [StrOptions({"auto"}), COUNT],
        "max_iter": [StrOptions({"auto"}), COUNT],
        "n_iter_no_change": [COUNT],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "progress": [callable, None],
    }

    def members(self, rows: int) -> int:
        """Return how many members there are for so many rows."""
        wished = (8 if rows < MANY_ROWS else 4) if self.n_members == "auto" else int(self.n_members)
        return min(wished, rows)

    def rows_a_step(self, rows: int) -> int:
        """Return how many rows a step sees."""
        return int(np.clip(rows // 100, 64, 256)) if self.batch_size == "auto" else int(self.batch_size)

    def epochs(self, rows: int) -> int:
        """Return how many epochs there are at most."""
        if self.max_iter != "auto":
            return int(self.max_iter)
        return int(np.clip(ROWS_IN_ALL // rows, 10, self.auto_epochs))

    @property
    def widths(self) -> Sequence[int]:
        """The widths of the hidden layers."""
        return [int(width) for width in np.atleast_1d(self.hidden_layer_sizes)]


MANY_ROWS = 20_000
ROWS_IN_ALL = 2_000_000


def documented(**defaults: str) -> Callable[[T], T]:
    """Return what writes the shared text into a docstring, where it says ``{settings}`` and ``{attributes}``."""

    def write(cls: T) -> T:
        settings = DOCUMENTED
        for name, default in defaults.items():
            settings = settings.replace("{" + name + "}", default)
        text = cls.__doc__ or ""
        for name, part in {"settings": settings, "attributes": ATTRIBUTES}.items():
            text = text.replace("{" + name + "}", part.replace("\n", "\n    "))
        cls.__doc__ = text
        return cls

    return write

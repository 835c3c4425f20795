"""The settings that classifier and regressor share: each name, its default and its constraints, once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from .. import catalog
from ..core.initializers import Initializer
from ..core.layers import Activation
from ..optimize.lbfgs import LBFGS
from ..optimize.optimizers import Optimizer
from ..optimize.schedules import Schedule

SHARE = Interval(Real, 0, 1, closed="left")
FROM_ZERO = Interval(Real, 0, None, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")
COUNT = Interval(Integral, 1, None, closed="left")


def names(parts: Iterable[catalog.Part]) -> StrOptions:
    """Return the constraint that a setting is the name of one of these parts."""
    return StrOptions(set(catalog.named(parts)))


class Positional:
    """The settings that may be given by position, in an order that each estimator has of its own."""

    hidden_layer_sizes: Any
    activation: Any
    loss: Any


@dataclass(eq=False, repr=False)
class Constructor(Positional):
    """Takes scikit-learn's settings, and those beyond them, as they are."""

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
    n_restarts: int = 1
    n_jobs: int | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", COUNT],
        "activation": [names(catalog.ACTIVATIONS), Activation, list, tuple],
        "solver": [names(catalog.OPTIMIZERS), Optimizer, LBFGS],
        "alpha": [FROM_ZERO],
        "batch_size": [StrOptions({"auto"}), COUNT],
        "learning_rate": [names(catalog.SCHEDULES), Schedule],
        "learning_rate_init": [POSITIVE],
        "power_t": [FROM_ZERO],
        "max_iter": [COUNT],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [FROM_ZERO],
        "verbose": ["verbose", StrOptions({"bar"})],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [SHARE],
        "beta_1": [SHARE],
        "beta_2": [SHARE],
        "epsilon": [POSITIVE],
        "n_iter_no_change": [COUNT, Options(Real, {np.inf})],
        "max_fun": [COUNT],
        "dropout": [SHARE, list, tuple],
        "layer_norm": ["boolean"],
        "initializer": [names(catalog.INITIALIZERS), Initializer, None],
        "scoring": [str, callable, None],
        "callbacks": [list, tuple, None],
        "n_restarts": [COUNT],
        "n_jobs": [Integral, None],
    }

"""The regressor."""

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy
from sklearn.base import RegressorMixin
from sklearn.utils import assert_all_finite, column_or_1d

from .. import catalog
from ..core.losses import Loss, Poisson, Quantile
from . import parts
from .base import MultilayerPerceptron
from .data import Numbers, Rows
from .settings import CONSTRAINTS, documented, names
from .sklearn_compat import Interval


@documented
@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """A dense neural network for regression, with scikit-learn's interface.

    To replace scikit-learn's class, change ``from sklearn.neural_network import
    MLPRegressor`` to ``from vecprop import MLPRegressor``. Settings, attributes,
    warnings and errors are the same. For the same ``random_state``, the initial
    parameters are the same.

    Parameters
    ----------
    loss : str or Loss, default "squared_error"
        The loss function: {losses}, or a `Loss`, such as ``Huber(threshold=3)``. With d
        = prediction - y, "squared_error" is ½ d²; "absolute_error" is |d|, which
        predicts the median; "huber" is quadratic for |d| ≤ 1 and linear beyond;
        "quantile" predicts the quantile at level ``quantile``; "poisson" is half the
        deviance, for counts and rates, with predictions exp(z).
    hidden_layer_sizes : int or sequence of int, default (100,)
        The width of each hidden layer.
    activation : str, Activation or list, default "relu"
        The activation of the hidden layers, or a list with one for each layer:
        {activations},
        or a custom `Activation`.
    {settings}
    quantile : float, default 0.5
        The level for the loss "quantile", between 0 and 1: the share of targets below
        the prediction.
    scale_target : bool, default False
        Whether to standardize each output's targets to mean 0 and standard deviation 1
        for training, as measured in the first fit. Predictions are scaled back. Losses
        stay in standardized units. Not available for "poisson".

    Attributes
    ----------
    {attributes}

    Notes
    -----
    {notes}

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from vecprop import MLPRegressor
    >>> X, y = make_regression(n_features=5, random_state=0)
    >>> model = MLPRegressor(solver="lbfgs", scale_target=True, random_state=0).fit(X[:80], y[:80])
    >>> model.score(X[80:], y[80:]) > 0.9
    True
    """

    loss: str | Loss = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    quantile: float = 0.5
    scale_target: bool = False

    _y_is: ClassVar[dict[str, bool]] = {"y_numeric": True}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [names(catalog.LOSSES), Loss],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "scale_target": ["boolean"],
    }

    def _network_loss(self) -> Loss:
        """Return the loss of the network."""
        if isinstance(self.loss, Loss):
            return self.loss
        return (
            Quantile(self.quantile)
            if self.loss == "quantile"
            else parts.LOSSES[self.loss]()
        )

    def _own_score(self, rows: Rows) -> str | None:
        cls = type(self)
        is_own = (
            cls.score is RegressorMixin.score
            and cls.predict is MultilayerPerceptron.predict
        )
        return "r2" if is_own and len(rows) > 1 else None

    def _read_targets(
        self, y, weight: np.ndarray | None, new: bool, trains: bool = False
    ) -> tuple[Any, np.ndarray]:
        """Return the numbers and their encoding. If `new`, set the encoding."""
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"y has dtype {y.dtype}, expected numbers: use MLPClassifier for class"
                " names."
            )
        # scikit-learn does not check objects such as None
        assert_all_finite(y, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns = y[:, None] if y.ndim == 1 else y
        if new or "targets_" not in vars(self):
            self.targets_ = (
                Numbers.standard(columns, weight)
                if self.scale_target
                else Numbers(columns.shape[1])
            )
        elif columns.shape[1] != self.targets_.outputs:
            raise ValueError(
                f"y has {columns.shape[1]} outputs, but the first fit had"
                f" {self.targets_.outputs}."
            )
        counts = isinstance(self._network_loss(), Poisson)
        if counts and self.scale_target:
            raise ValueError(
                "scale_target=True does not work with loss='poisson': remove it."
            )
        if counts and np.any(y < 0):
            raise ValueError(
                "y has negative values, but loss='poisson' needs counts or rates of at"
                " least 0."
            )
        return y, self.targets_.encode(columns)

    def _loss_constant(self, rows: Rows) -> float:
        """Return Σ w (t log t - t) / Σ w for Poisson: adding it turns the loss into half the deviance."""
        if self.loss != "poisson":
            return 0.0
        T = rows.T
        return float(np.average(xlogy(T, T) - T, axis=0, weights=rows.weight).sum())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

"""The coefficients: views of the one vector theta, which can be assigned."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.network import Network


class Views(list):
    """A list of views; to set an item is to write into its view.

    Examples
    --------
    >>> theta = np.zeros(3)
    >>> views = Views([theta[:2], theta[2:]])
    >>> views[0] = [1.0, 2.0]
    >>> theta
    array([1., 2., 0.])
    """

    def __setitem__(self, index: Any, values: Any) -> None:
        view, given = self[index], np.asarray(values)
        if given.shape != view.shape:
            raise ValueError(f"Entry {index} has shape {view.shape}, but an array of shape {given.shape} is set.")
        view[...] = given


class Coefficients:
    """The parameters of a model: the network and theta, and weights and biases as views of theta.

    Weights and biases that are set before the first training are those that `partial_fit` starts from.
    """

    network_: Network
    theta_: np.ndarray

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each dense layer, (inputs, outputs), views of ``theta_``, which may be written into."""
        return self._parameters("coefs_", "W")

    @coefs_.setter
    def coefs_(self, values: Sequence[Any]) -> None:
        self._set_parameters("coefs_", values)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each dense layer, (outputs,), views of ``theta_``, which may be written into."""
        return self._parameters("intercepts_", "b")

    @intercepts_.setter
    def intercepts_(self, values: Sequence[Any]) -> None:
        self._set_parameters("intercepts_", values)

    def _parameters(self, attribute: str, name: str) -> Any:
        if "network_" in vars(self):
            return Views(p[name] for p in self.network_.layout.views(self.theta_) if "W" in p)
        try:
            return vars(self)["_given"][attribute]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no {attribute} before it is fitted.") from None

    def _set_parameters(self, attribute: str, values: Sequence[Any]) -> None:
        if "network_" in vars(self):
            views = getattr(self, attribute)
            if len(values) != len(views):
                raise ValueError(f"{attribute} has {len(views)} arrays, but {len(values)} are set.")
            for number, own in enumerate(values):
                views[number] = own
        else:
            vars(self).setdefault("_given", {})[attribute] = list(values)

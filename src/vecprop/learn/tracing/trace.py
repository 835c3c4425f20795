"""Trace all values of a forward and backward pass and of an optimizer step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray

from ...core import Network, RandomKey, checked_theta
from ...optimize.optimizers import Optimizer, State
from ...system.extras import imported
from .output import as_html, as_latex, as_text
from .traced_values import Value, record, step_values


def trace(
    network: Network,
    theta: Any,
    X: Any,
    T: Any,
    sample_weight: Any = None,
    noise: RandomKey | int | None = None,
) -> "Trace":
    """Compute all intermediate values of one forward and backward pass, by name.

    Parameters
    ----------
    network : Network
        The network.
    theta : array_like (P,)
        The parameters.
    X : array_like (N, I)
        The inputs.
    T : array_like (N, O) or (N,)
        The targets, in the format of the network's loss.
    sample_weight : array_like (N,), optional
        The weights of the rows. By default, all weights are 1.
    noise : RandomKey or int, optional
        The key, or its seed, for random layers such as dropout. None disables
        randomness, as in prediction.

    Returns
    -------
    Trace
        A mapping from names to arrays. ``print`` shows the trace as text, and notebooks
        show the trace as HTML.

    Raises
    ------
    ValueError, TypeError
        If an argument has a wrong shape or type or is not finite, or if theta contains
        several members.

    Notes
    -----
    The k-th dense layer has the parameters Wk and bk and the output Zk. Hk is the
    output of the following activation. Y are the predictions, l the losses of the rows,
    w their weights and L the total loss. delta_Zk is ∂L/∂Zk, S_Hk is the derivative of
    the activation, and J_Wk is ∂L/∂Wk. F1.Z2 is a value inside the composite layer of
    F1.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy(reduction="sum"))
    >>> pass_ = trace(network, network.init(seed=0), [[0.0, 1.0], [1.0, 0.0]], [0, 1])
    >>> list(pass_)
    ['X', 'T', 'W1', 'b1', 'W2', 'b2', 'Z1', 'H1', 'Z2', 'Y', 'l', 'L', 'delta_Z2', 'J_W2', 'J_b2', 'delta_H1', 'S_H1',
     'delta_Z1', 'J_W1', 'J_b1', 'delta_X']
    >>> bool((pass_["J_W2"] == pass_["H1"].T @ pass_["delta_Z2"]).all())
    True
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}.")
    theta = np.array(checked_theta(network, theta))
    if theta.ndim != 1 or theta.dtype.kind != "f":
        raise ValueError(
            f"theta has shape {theta.shape} and dtype {theta.dtype}: trace real"
            " parameters of one member at a time, for example theta[0]."
        )
    batch = network._batch(theta, X, T, sample_weight)
    if batch.X.ndim != 2 or batch.members:
        raise ValueError(
            f"X has shape {batch.X.shape}: trace one member at a time, for example"
            " X[0]."
        )
    return _traced(network, theta, batch, RandomKey._of(noise), None)


def _traced(network, theta, batch, noise, row):
    values, parameters, gradient = record(network, theta, batch, noise, row)
    return Trace(
        tuple(values), theta, gradient, None, (network, batch, noise, parameters), row
    )


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Mapping[str, ndarray]):
    """The values of one forward and backward pass by name; see `trace`.

    Parameters
    ----------
    values_in_order : tuple of Value
        The values in the order of the computation.
    theta : ndarray (P,)
        The parameters, which `step` replaces by the updated parameters.
    gradient : ndarray (P,)
        The gradient of the loss, or the contribution of the traced row to it.
    state : dict or None
        The optimizer's state after `step`.
    point, row_number : tuple, int or None
        The traced network and batch, and the index of the traced row; None means all
        rows.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError(reduction="sum"))
    >>> traced = trace(network, np.array([1.0, 0.0]), [[2.0]], [1.0])
    >>> {name: float(traced[name].squeeze()) for name in ("Z1", "L", "delta_Z1", "J_W1")}
    {'Z1': 2.0, 'L': 0.5, 'delta_Z1': 1.0, 'J_W1': 2.0}
    """

    values_in_order: tuple[Value, ...]
    theta: ndarray
    gradient: ndarray
    state: State | None
    point: tuple[Any, ...]
    row_number: int | None

    def __getitem__(self, name: str) -> ndarray:
        arrays = {value.name: value.array for value in self.values_in_order}
        if name not in arrays:
            raise KeyError(
                f"The trace has no value {name!r}: choose from {', '.join(self)}."
            )
        return arrays[name]

    def __iter__(self) -> Iterator[str]:
        return (value.name for value in self.values_in_order)

    def __len__(self) -> int:
        return len(self.values_in_order)

    def row(self, number: int) -> "Trace":
        """Return the trace of one row, with its contributions to the gradients.

        The contributions of all rows sum to the gradients of the loss without
        penalties.

        Parameters
        ----------
        number : int
            The index of the row. Negative indices count from the end.

        Examples
        --------
        >>> network = Network(2, [Dense(1)], SquaredError())
        >>> whole = trace(network, network.init(0), np.ones((3, 2)), np.array([1.0, 2.0, 3.0]))
        >>> parts = [whole.row(number)["J_W1"] for number in range(3)]
        >>> bool(np.allclose(sum(parts), whole["J_W1"]))
        True
        """
        network, batch, noise, _ = self.point
        if (
            not isinstance(number, int | np.integer)
            or not -batch.rows <= number < batch.rows
        ):
            raise IndexError(
                f"The row index must be between 0 and {batch.rows - 1}, got {number!r}."
            )
        if self.state is not None:
            raise ValueError(
                "A trace with a step cannot be split into rows: call row on the trace"
                " before the step."
            )
        return _traced(network, self.theta, batch, noise, int(number) % batch.rows)

    def step(self, optimizer: Optimizer, state: State | None = None) -> "Trace":
        """Return the trace extended by an optimizer step.

        Parameters
        ----------
        optimizer : Optimizer
            The optimizer, with a single learning rate.
        state : dict, optional
            The state of the optimizer after earlier steps, such as ``state`` of an
            earlier trace. By default, the optimizer starts with a new state.

        Returns
        -------
        Trace
            A trace with moments and updated parameters, such as M_W1 and W1_new, and
            the new ``theta`` and ``state``.

        Examples
        --------
        >>> network = Network(1, [Dense(1)], SquaredError())
        >>> pass_ = trace(network, np.array([1.0, 0.0]), np.array([[2.0]]), np.array([1.0]))
        >>> moved = pass_.step(Momentum(learning_rate=0.5, momentum=0.9))
        >>> moved["J_W1"], moved["M_W1"], moved["W1_new"], moved.theta
        (array([[2.]]), array([[-1.]]), array([[0.]]), array([ 0. , -0.5]))
        >>> moved = trace(network, moved.theta, np.array([[2.0]]), np.array([1.0])).step(Momentum(0.5), moved.state)
        """
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                "optimizer must be an Optimizer such as Momentum(0.1), got"
                f" {optimizer!r}."
            )
        if not isinstance(optimizer.learning_rate, float | int):
            raise ValueError(
                "A trace needs a single learning rate, but the optimizer has several."
            )
        if self.row_number is not None:
            raise ValueError(
                "A step needs all rows: call step on the trace of all rows."
            )
        if self.state is not None:
            raise ValueError(
                "This trace already has a step: trace the network at its theta for the"
                " next step."
            )
        *_, parameters = self.point
        theta, state, values = step_values(
            optimizer, state, self.theta, self.gradient, parameters=parameters
        )
        return replace(
            self,
            values_in_order=(*self.values_in_order, *values),
            theta=theta,
            state=state,
        )

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row per array entry.

        The columns are stage, layer, name, row, column and value. Most vectors have no
        row index.
        """
        pd = imported("pandas", "Trace.to_frame", "tables")
        lines = []
        for value in self.values_in_order:
            for index, number in np.ndenumerate(value.array):
                row = column = None
                if len(index) == 2:
                    row, column = index
                elif index and value.of_rows:
                    (row,) = index
                elif index:
                    (column,) = index
                if value.of_rows and row is not None:
                    row += self.row_number or 0
                lines.append(
                    (value.stage, value.layer, value.name, row, column, float(number))
                )
        frame = pd.DataFrame(
            lines, columns=["stage", "layer", "name", "row", "column", "value"]
        )
        return frame.astype({"row": "Int64", "column": "Int64"})

    def to_latex(self) -> str:
        """Return equations, shapes and numbers as LaTeX; requires amsmath."""
        return as_latex(self.values_in_order)

    def to_html(self) -> str:
        """Return equations, shapes and numbers as HTML."""
        return as_html(self.values_in_order, self.row_number)

    def __str__(self) -> str:
        return as_text(self.values_in_order, self.row_number)

    def __repr__(self) -> str:
        return f"Trace({', '.join(self)})"

    _repr_html_ = to_html

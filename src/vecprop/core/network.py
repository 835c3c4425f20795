"""The network: a frozen description of layers and a loss, with the forward and the backward pass."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..system.versions import Versioned
from .counter_rng import RandomKey
from .elementary import Array, namespace
from .layers import Activation, Layer, Layout, fill
from .losses import Loss
from .penalties import Penalty
from .rows.inputs import Batch, checked_batch, checked_rows, checked_theta, require_writable
from .summary import Summary, summarize


@dataclass(frozen=True, init=False)
class Network(Versioned):
    """A dense network: layers, a loss and penalties.

    It holds no parameters: those are one flat vector theta, an argument of every method. Leading axes of theta are
    members, (*M, P): many networks of one description, computed at once. X, T and sample_weight may have the same
    leading axes, or none.

    Parameters
    ----------
    inputs : int
        The number of inputs, I.
    layers : sequence of Layer
        The layers, from the first.
    loss : Loss
        The loss, composed with the link of the outputs.
    penalty : Penalty or sequence of Penalty, optional
        The penalty on large weights, added once to the reduced loss of the rows; several are summed.

    Attributes
    ----------
    layout : Layout
        The place of each parameter in theta.
    widths : tuple of int
        Each layer's number of outputs.

    Raises
    ------
    TypeError
        If a layer, the loss or a penalty is an object of another type.
    ValueError
        If inputs is not a positive whole number, or there is no layer.

    Examples
    --------
    >>> from vecprop import Dense, Logistic, Network, SoftmaxCrossEntropy
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    >>> theta = network.init(seed=0)
    >>> theta.shape
    (17,)
    >>> X, T = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> loss, gradient = network.loss_and_gradient(theta, X, T)
    >>> gradient.shape
    (17,)
    """

    inputs: int
    layers: tuple[Layer, ...]
    loss_function: Loss
    penalties: tuple[Penalty, ...]
    widths: tuple[int, ...] = field(compare=False)
    layout: Layout = field(compare=False)

    def __init__(
        self, inputs: int, layers: Iterable[Layer], loss: Loss, penalty: Penalty | Sequence[Penalty] | None = None
    ) -> None:
        if isinstance(inputs, bool) or not isinstance(inputs, int | np.integer) or inputs < 1:
            raise ValueError(f"A network needs a positive whole number of inputs, not {inputs!r}.")
        if isinstance(layers, Layer):
            raise TypeError(f"The layers are a list, but got one {type(layers).__name__}: write [{layers!r}].")
        if not isinstance(layers, Iterable):
            raise TypeError(f"The layers are a list, not {layers!r}: write Network(inputs, [layers], loss).")
        layers = tuple(layers)
        if not layers:
            raise ValueError("A network needs at least one layer, for example Dense(2).")
        for number, layer in enumerate(layers):
            _require(layer, f"Layer {number}", "layer", ("parameters", "forward", "backward"))
        _require(loss, "The loss", "loss", ("predict", "value", "delta"))
        penalties = () if penalty is None else tuple(penalty) if isinstance(penalty, Sequence) else (penalty,)
        for part in penalties:
            _require(part, "The penalty", "penalty", ("value", "gradient"))
        shapes, widths = [], [int(inputs)]
        for layer in layers:
            named, width = layer.parameters(widths[-1])
            shapes.append(named)
            widths.append(width)
        layout = Layout(shapes, [type(layer).__name__ for layer in layers])
        parts = {"layers": layers, "loss_function": loss, "penalties": penalties}
        vars(self).update(inputs=int(inputs), **parts, widths=tuple(widths[1:]), layout=layout)  # though it is frozen

    def _restore(self, state: dict[str, Any]) -> None:
        """Restore layers, loss and penalties, and compute the layout again: older commits may have stored another."""
        Network.__init__(self, state["inputs"], state["layers"], state["loss_function"], state["penalties"])

    def __repr__(self) -> str:
        penalty = f", {list(self.penalties)!r}" if self.penalties else ""
        return f"Network({self.inputs}, {list(self.layers)!r}, {self.loss_function!r}{penalty})"

    @property
    def outputs(self) -> int:
        """The number of outputs, O."""
        return self.widths[-1]

    @property
    def reduction(self) -> str:
        """The reduction of the rows' losses, "mean" or "sum"."""
        return getattr(self.loss_function, "reduction", "mean")

    @property
    def random(self) -> bool:
        """Whether some layer draws random numbers in training."""
        return any(getattr(layer, "random", False) for layer in self.layers)

    @property
    def activations(self) -> list[int]:
        """The numbers of the layers that are activations."""
        return [number for number, layer in enumerate(self.layers) if isinstance(layer, Activation)]

    def init(self, seed: int | Sequence[int], dtype: Any = np.float64) -> np.ndarray:
        """Draw initial parameters.

        Parameters
        ----------
        seed : int or sequence of int
            One seed for one network; M seeds for M members, each as it would be drawn alone.
        dtype : dtype, default float64
            The floating type. Numbers are drawn in float64 and rounded.

        Returns
        -------
        ndarray, (P,) or (M, P)
            The parameters.

        Examples
        --------
        >>> from vecprop import Dense, Network, SquaredError
        >>> network = Network(2, [Dense(1)], SquaredError())
        >>> bool((network.init([4, 5])[1] == network.init(5)).all())
        True
        """
        if not np.issubdtype(dtype, np.floating):
            raise TypeError(f"Parameters are floating-point numbers, so dtype cannot be {np.dtype(dtype)}.")
        if isinstance(seed, str | bytes):
            raise TypeError(f"A seed is a whole number, not {seed!r}.")
        if isinstance(seed, Sequence | np.ndarray):
            thetas = [self.init(one_seed, dtype) for one_seed in seed]
            return np.stack(thetas) if thetas else np.empty((0, self.layout.size), dtype)
        generator = np.random.default_rng(seed)
        theta = np.zeros(self.layout.size)
        for layer, p in zip(self.layers, self.layout.views(theta), strict=True):
            getattr(layer, "init", fill)(p, generator)
        return theta.astype(dtype)

    def forward(self, theta: Array, X: Array, noise: RandomKey | None = None) -> tuple[list[Array], list[Any]]:
        """Run the layers.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        X : array (*M, N, I)
            The inputs.
        noise : RandomKey, optional
            The key of random layers; None is prediction.

        Returns
        -------
        outputs : list of array (*M, N, width)
            Each layer's output; the last is Z, before the link.
        saved : list
            The values that each layer saved for its backward pass.
        """
        outputs, saved = [], []
        for number, (layer, p) in enumerate(zip(self.layers, self.layout.views(theta), strict=True)):
            X, kept = layer.forward(p, X, noise and noise.at_layer(number))
            if X.shape[-1] != self.widths[number]:
                promised = f"its parameters() promised (*M, N, {self.widths[number]})"
                gave = f"Layer {number} ({type(layer).__name__}) gave shape {tuple(X.shape)}"
                raise ValueError(f"{gave}, but {promised}.")
            outputs.append(X)
            saved.append(kept)
        return outputs, saved

    def backward(self, theta: Array, saved: list[Any], delta: Array, gradient: Array) -> Array:
        """Run the layers backwards.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        saved : list
            The values that the forward pass saved.
        delta : array (*M, N, O)
            The gradient with respect to Z.
        gradient : array (*M, P)
            The gradient with respect to theta is written into it.

        Returns
        -------
        array (*M, N, I)
            The gradient with respect to X.
        """
        views, J = self.layout.views(theta), self.layout.views(gradient)
        for number in reversed(range(len(self.layers))):
            delta = self.layers[number].backward(views[number], saved[number], delta, J[number])
        return delta

    def hidden(self, theta: Array, X: Array, layer: int) -> Array:
        """Return a layer's output in prediction: the features that it has learned.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        X : array (*M, N, I)
            The inputs.
        layer : int
            The number of the layer; negative numbers count from the last.

        Returns
        -------
        array (*M, N, width)
        """
        if not -len(self.layers) <= layer < len(self.layers):
            raise IndexError(f"There is no layer {layer}: this network has layers 0 to {len(self.layers) - 1}.")
        theta = checked_theta(self, theta)
        return self.forward(theta, checked_rows(self, theta, X))[0][layer]

    def predict(self, theta: Array, X: Array) -> Array:
        """Return the predictions Y, after the link.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        X : array (*M, N, I)
            The inputs.

        Returns
        -------
        array (*M, N, O)

        Raises
        ------
        ValueError, TypeError
            If theta or X has a wrong shape or type, or is not finite.
        """
        return self.loss_function.predict(self.hidden(theta, X, -1))

    def batch(
        self,
        theta: Array,
        X: Array,
        T: Array,
        sample_weight: Array | None = None,
        *,
        finite: bool = True,
        as_read: bool = False,
    ) -> Batch:
        """Return inputs, targets and weights, checked and in theta's library and precision; see `loss`.

        With finite=False, whether X is finite is left to `Batch.require_finite_inputs`, and with as_read=True the
        conversion of a large X to who reads it.
        """
        return checked_batch(self, theta, X, T, sample_weight, finite, as_read)

    def loss(
        self, theta: Array, X: Array, T: Array, sample_weight: Array | None = None, noise: RandomKey | int | None = None
    ) -> Array:
        """Return the loss: the reduced losses of the rows, plus the penalties.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters, real or complex.
        X : array (*M, N, I)
            The inputs, converted to theta's precision.
        T : array (*M, N, O) or (*M, N)
            The targets, as the loss takes them. Real targets may be (N,) if there is one output. Integers of shape
            (N, O) are one-hot rows, even if they could be the classes of N members.
        sample_weight : array (*M, N), optional
            The rows' weights, at least 0; 1 by default.
        noise : RandomKey or int, optional
            The key of random layers such as dropout, or its seed; None is prediction.

        Returns
        -------
        array (*M,)
            The loss of each member.

        Raises
        ------
        ValueError, TypeError
            If an argument has a wrong shape or type, is not finite, or does not suit the loss.
        """
        theta = checked_theta(self, theta)
        return self.batch_loss(theta, self.batch(theta, X, T, sample_weight), RandomKey.of(noise))

    def loss_and_gradient(
        self, theta: Array, X: Array, T: Array, sample_weight: Array | None = None, noise: RandomKey | int | None = None
    ) -> tuple[Array, Array]:
        """Return the loss and its gradient with respect to theta, by backpropagation.

        The parameters, errors and shapes are those of `loss`.

        Returns
        -------
        loss : array (*M,)
            The loss of each member.
        gradient : array (*M, P)
            Its gradient. For one theta and X of shape (N, 1, I) it is the gradient of each row.
        """
        theta = checked_theta(self, theta)
        if not isinstance(theta, np.ndarray):
            require_writable(theta)
        return self.batch_loss_and_gradient(theta, self.batch(theta, X, T, sample_weight), RandomKey.of(noise))

    def batch_loss(self, theta: Array, batch: Batch, noise: RandomKey | None = None) -> Array:
        """Return the loss on a batch that has been checked; see `loss`."""
        outputs, _ = self.forward(theta, batch.X, noise)
        return self._reduced(theta, outputs[-1], batch)

    def batch_loss_and_gradient(
        self, theta: Array, batch: Batch, noise: RandomKey | None = None
    ) -> tuple[Array, Array]:
        """Return the loss and gradient on a batch that has been checked; see `loss_and_gradient`."""
        outputs, saved = self.forward(theta, batch.X, noise)
        loss = self._reduced(theta, outputs[-1], batch)
        delta = _column(self.row_weight(batch)) * self.loss_function.delta(outputs[-1], batch.T)
        gradient = namespace(delta).zeros((*loss.shape, self.layout.size), dtype=delta.dtype, device=delta.device)
        self.backward(theta, saved, delta, gradient)
        self.add_penalty_gradient(theta, gradient, batch)
        return loss, gradient

    def _reduced(self, theta: Array, Z: Array, batch: Batch) -> Array:
        """Return Σ w ℓ over the rows, with the weights of `row_weight`, plus the penalty."""
        loss = namespace(Z).sum(self.row_weight(batch) * self.loss_function.value(Z, batch.T), axis=-1)
        return loss + self.penalty(theta, batch) if self.penalties else loss

    def penalty(self, theta: Array, batch: Batch) -> Array:
        """Return the penalty that is added to the loss of a batch, (*M,) for theta of shape (*M, P)."""
        divisor = self.divisor(batch)
        pairs = [(penalty, W) for W in self._weights(theta) for penalty in self.penalties]
        return sum(p.value(W) / divisor if _is_averaged(p) else p.value(W) for p, W in pairs)

    def add_penalty_gradient(self, theta: Array, gradient: Array, batch: Batch) -> None:
        """Add the penalties' gradient at theta to a batch's gradient, in place."""
        divisor = _column(_column(self.divisor(batch)))
        for W, J_W in zip(self._weights(theta), self._weights(gradient), strict=True):
            for penalty in self.penalties:
                J_W[...] = J_W + (penalty.gradient(W) / divisor if _is_averaged(penalty) else penalty.gradient(W))

    def row_weight(self, batch: Batch) -> Array:
        """Return each row's factor in the sum: w, or w / Σ w for a mean; one number if there are no weights."""
        divisor = _column(self.divisor(batch))
        return 1 / divisor if batch.weight is None else batch.weight / divisor

    def divisor(self, batch: Batch) -> Array:
        """Return the divisor of sums over the rows, (*M,) or a number: 1, or Σ w for a mean.

        If all of a batch's weights are 0 it is infinite, so that no row counts.
        """
        if self.reduction == "sum":
            return 1.0
        if batch.weight is None:
            return float(batch.rows)
        xp = namespace(batch.weight)
        total = xp.sum(batch.weight, axis=-1)
        return xp.where(total > 0, total, xp.inf)

    def _weights(self, vector: Array) -> list[Array]:
        """Return the matrices that penalties apply to, as the layers declare them."""
        if not self.penalties:
            return []
        views = self.layout.views(vector)
        return [views[tensor.layer][tensor.name] for tensor in self.layout.tensors if tensor.penalized]

    def summary(self, rows: int | None = None, batch_size: int | None = None) -> Summary:
        """Return a table of the layers: output shapes, parameters and operations per row; and the memory of a fit.

        An operation is a multiplication or an addition in a matrix product, or one evaluation of an elementwise
        formula. The operations of a forward pass are counted; a gradient takes about three times as many.

        Parameters
        ----------
        rows : int, optional
            The rows of a fit. The last line then tells about the most memory that `train` takes beside X, T and
            weights, with Adam and early stopping. X is not copied if it is an array of NumPy, or a memory map, in the
            type of theta and by rows. If it is large, nor is one of other numbers, or by columns.
        batch_size : int, optional
            The rows of a batch; all by default.

        Examples
        --------
        >>> from vecprop import Dense, Logistic, Network, SoftmaxCrossEntropy, SquaredError
        >>> Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy()).summary()
        layer                  output  parameters            operations per row
        input                  (N, 2)
        0 Dense(3)             (N, 3)  W (2, 3), b (3,)   9                  12
        1 Logistic()           (N, 3)                                         3
        2 Dense(2)             (N, 2)  W (3, 2), b (2,)   8                  12
        SoftmaxCrossEntropy()  (N, 2)
        total                                            17                  27
        >>> print(Network(2, [Dense(1)], SquaredError()).summary(rows=1_000_000).splitlines()[-1])
        a fit of 1,000,000 rows takes 8.0 MB in float32 or 8.1 MB in float64 beside its data
        """
        return summarize(self, rows, batch_size)


def _require(part: Any, what: str, role: str, methods: tuple[str, ...]) -> None:
    if isinstance(part, type):
        raise TypeError(f"{what} is the class {part.__name__}, not an object of it: write {part.__name__}(…).")
    missing = [method for method in methods if not callable(getattr(part, method, None))]
    if missing:
        example = {"layer": "Dense(3) or ReLU()", "loss": "SquaredError()", "penalty": "L2(0.0001)"}[role]
        advice = f"give one such as {example}."
        raise TypeError(f"{what} is {part!r}, which lacks the method {missing[0]} of a {role}: {advice}")


def _is_averaged(penalty: Any) -> bool:
    return getattr(penalty, "averaged", False)


def _column(weight: Array) -> Array:
    return weight[..., None] if getattr(weight, "ndim", 0) else weight

"""The network: a frozen description of layers and a loss, with the forward and backward passes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from ..system.versions import Versioned
from .composites import Composite, expanded, require_layer, require_methods
from .counter_rng import RandomKey
from .elementary import Array, SuggestsKeywords, is_within, namespace
from .joints import open_forks, sources_of
from .layers import Activation, Layer, Layout, Shapes, WrongInputs, fill
from .losses import Loss
from .penalties import Penalty
from .rows.inputs import (
    Batch,
    checked_batch,
    checked_rows,
    checked_theta,
    require_writable,
)
from .summary import Summary, summarize


@dataclass(frozen=True, init=False)
class Network(SuggestsKeywords, Versioned):
    """A dense network: layers, a loss and penalties.

    A network does not store parameters. Pass the parameters to each method as a flat
    vector theta. Theta may have leading axes, (*M, P). Each of these members is a
    separate network with the same layers, and all members are computed at once. X, T
    and sample_weight may have the same leading axes.

    Parameters
    ----------
    inputs : int
        The number of inputs, I.
    layers : sequence of Layer
        The layers, in order. Composite layers such as `Residual` are replaced by their
        layers, with marks such as Fork and Add where the data flow forks and joins.
    loss : Loss
        The loss, which includes the link function of the outputs.
    penalty : Penalty or sequence of Penalty, optional
        The penalty on large weights. The penalties are added to the loss of the rows.

    Attributes
    ----------
    layout : Layout
        The position of each parameter in theta.
    widths : tuple of int
        The number of outputs of each layer.
    outputs : int
        The number of outputs, O.
    loss_function : Loss
        The loss.
    penalties : tuple of Penalty
        The penalties.
    reduction : str
        The reduction of the rows' losses, "mean" or "sum".

    Raises
    ------
    TypeError
        If a layer, the loss or a penalty has the wrong type.
    ValueError
        If inputs is not a positive integer, or layers is empty.

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
    _sources: tuple[tuple[int, ...], ...] = field(compare=False)

    def __init__(
        self,
        inputs: int,
        layers: Iterable[Layer | Composite],
        loss: Loss,
        penalty: Penalty | Sequence[Penalty] | None = None,
    ):
        if not isinstance(inputs, int | np.integer) or not is_within(inputs, 1):
            raise ValueError(
                "The number of inputs of a network must be a positive integer, got"
                f" {inputs!r}."
            )
        if isinstance(layers, Layer | Composite):
            raise TypeError(
                f"layers must be a list, got one {type(layers).__name__}: write"
                f" [{layers!r}]."
            )
        if not isinstance(layers, Iterable):
            raise TypeError(
                f"layers must be a list, got {layers!r}: write Network(inputs,"
                " [layers], loss)."
            )
        layers = tuple(layers)
        if not layers:
            raise ValueError(
                "A network needs at least one layer, for example Dense(2)."
            )
        for number, layer in enumerate(layers):
            require_layer(layer, f"Layer {number}")
        layers = expanded(layers)
        require_methods(loss, "The loss", "loss", ("predict", "value", "delta"))
        penalties = ()
        if isinstance(penalty, Sequence):
            penalties = tuple(penalty)
        elif penalty is not None:
            penalties = (penalty,)
        for part in penalties:
            require_methods(part, "The penalty", "penalty", ("value", "gradient"))
        sources = sources_of(layers)
        shapes = []
        widths = [int(inputs)]
        for number, layer in enumerate(layers):
            layer_shapes, width = _parameters(layer, number, sources[number], widths)
            shapes.append(layer_shapes)
            widths.append(width)
        layout = Layout(shapes, [type(layer).__name__ for layer in layers])
        vars(self).update(  # self is frozen
            inputs=int(inputs),
            layers=layers,
            loss_function=loss,
            penalties=penalties,
            widths=tuple(widths[1:]),
            layout=layout,
            _sources=sources,
        )

    if not TYPE_CHECKING:

        def __call__(self, *arguments):
            """Raise an error, because a network does not store its parameters."""
            raise TypeError(
                "A network does not store its parameters: call"
                " network.predict(theta, X)."
            )

    def _restore(self, state: dict[str, Any]):
        """Restore the parts and recompute the layout, which older versions may have stored differently."""
        Network.__init__(
            self,
            state["inputs"],
            state["layers"],
            state["loss_function"],
            state["penalties"],
        )

    def __repr__(self) -> str:
        penalty = f", {list(self.penalties)!r}" if self.penalties else ""
        return (
            f"Network({self.inputs}, {list(self.layers)!r},"
            f" {self.loss_function!r}{penalty})"
        )

    @property
    def outputs(self) -> int:
        """The number of outputs, O."""
        return self.widths[-1]

    @property
    def reduction(self) -> str:
        """The reduction of the rows' losses, "mean" or "sum"."""
        return getattr(self.loss_function, "reduction", "mean")

    @property
    def _random(self) -> bool:
        """Whether any layer draws random numbers in training."""
        return any(getattr(layer, "random", False) for layer in self.layers)

    @property
    def _activations(self) -> list[int]:
        """The indices of the layers that are activations."""
        return [
            number
            for number, layer in enumerate(self.layers)
            if isinstance(layer, Activation)
        ]

    def _outside_forks(self, number: int) -> int:
        """Return a layer's number, or the number of the outermost fork that contains the layer."""
        forks = open_forks(self.layers[:number])
        return forks[0][0] if forks else number

    def init(self, seed: int | Sequence[int], dtype: Any = np.float64) -> ndarray:
        """Draw initial parameters.

        Parameters
        ----------
        seed : int or sequence of int
            One seed, or M seeds for M members. The parameters of a member depend only
            on its seed.
        dtype : dtype, default float64
            The floating-point dtype. Parameters are drawn in float64 and then rounded.

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
            raise TypeError(
                f"dtype must be a floating-point dtype, got {np.dtype(dtype)}."
            )
        if isinstance(seed, str | bytes):
            raise TypeError(f"seed must be an integer, got {seed!r}.")
        if isinstance(seed, Sequence | ndarray):
            thetas = [self.init(member_seed, dtype) for member_seed in seed]
            return np.array(thetas, dtype).reshape(*np.shape(seed), self.layout.size)
        generator = np.random.default_rng(seed)
        theta = np.zeros(self.layout.size)
        for layer, p in zip(self.layers, self.layout.views(theta), strict=True):
            getattr(layer, "init", fill)(p, generator)
        return theta.astype(dtype)

    def forward(
        self, theta: Array, X: Array, noise: RandomKey | None = None
    ) -> tuple[list[Array], list[Any]]:
        """Run the forward pass.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        X : array (*M, N, I)
            The inputs.
        noise : RandomKey, optional
            The random key for layers such as dropout. None means prediction.

        Returns
        -------
        outputs : list of array (*M, N, width)
            The output of each layer. The last output is Z, before the link function.
        saved : list
            The values that each layer saved for its backward pass.
        """
        values = [X]
        saved = self._run(self.layout.views(theta), values, noise)
        return values[1:], saved

    def _run(self, parameters, values: list[Array], noise: RandomKey | None):
        """Run the remaining layers, given X and the outputs of the first layers, and return their saved values.

        The outputs are appended to the values.
        """
        saved = []
        for number in range(len(values) - 1, len(self.layers)):
            layer = self.layers[number]
            X = _selected(values, self._sources[number])
            key = noise and noise._at_layer(number)
            Y, saved_values = layer.forward(parameters[number], X, key)
            if Y.shape[-1] != self.widths[number]:
                raise ValueError(
                    f"Layer {number} ({type(layer).__name__}) returned shape"
                    f" {tuple(Y.shape)}, but its parameters() declared (*M, N,"
                    f" {self.widths[number]})."
                )
            values.append(Y)
            saved.append(saved_values)
        return saved

    def backward(
        self, theta: Array, saved: list[Any], delta: Array, gradient: Array
    ) -> Array:
        """Run the backward pass.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        saved : list
            The values that the forward pass saved.
        delta : array (*M, N, O)
            The gradient with respect to Z.
        gradient : array (*M, P)
            The output array for the gradient with respect to theta.

        Returns
        -------
        array (*M, N, I)
            The gradient with respect to X.
        """
        parameters = self.layout.views(theta)
        gradients = self.layout.views(gradient)
        deltas: list[Any] = [None] * len(self.layers)  # of X and of each layer's output
        deltas.append(delta)
        for number in reversed(range(len(self.layers))):
            delta = self.layers[number].backward(
                parameters[number], saved[number], deltas.pop(), gradients[number]
            )
            sources = self._sources[number]
            if len(sources) == 1:
                delta = (delta,)
            for source, part in zip(sources, delta, strict=True):
                other = deltas[source + 1]
                deltas[source + 1] = part if other is None else other + part
        return deltas[0]

    def hidden(self, theta: Array, X: Array, layer: int) -> Array:
        """Return the output of a layer in prediction: its learned features.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        X : array (*M, N, I)
            The inputs.
        layer : int
            The index of the layer. Negative indices count from the last layer.

        Returns
        -------
        array (*M, N, width)
        """
        if not -len(self.layers) <= layer < len(self.layers):
            raise IndexError(
                f"layer {layer} is out of range: this network has layers 0 to"
                f" {len(self.layers) - 1}."
            )
        theta = checked_theta(self, theta)
        return self.forward(theta, checked_rows(self, theta, X))[0][layer]

    def predict(self, theta: Array, X: Array) -> Array:
        """Return the predictions Y, after the link function.

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
            If theta or X has the wrong shape or type, or is not finite.
        """
        return self.loss_function.predict(self.hidden(theta, X, -1))

    def _batch(
        self,
        theta,
        X,
        T,
        sample_weight: Array | None = None,
        *,
        finite: bool = True,
        as_read: bool = False,
    ) -> Batch:
        """Validate inputs, targets and weights, and return them as a `Batch`; see `loss`.

        finite=False skips the check that X is finite; as_read=True converts a large X
        lazily.
        """
        return checked_batch(self, theta, X, T, sample_weight, finite, as_read)

    def loss(
        self,
        theta: Array,
        X: Array,
        T: Array,
        sample_weight: Array | None = None,
        noise: RandomKey | int | None = None,
    ) -> Array:
        """Return the reduced loss of the rows plus the penalties.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters, real or complex.
        X : array (*M, N, I)
            The inputs, converted to theta's precision.
        T : array (*M, N, O) or (*M, N)
            The targets. Floating-point targets may have shape (N,) if there is one
            output. Integers of shape (N, O) are interpreted as one-hot rows, not as
            classes of N members.
        sample_weight : array (*M, N), optional
            The weights of the rows, at least 0. By default, all weights are 1.
        noise : RandomKey or int, optional
            The random key for layers such as dropout, or the seed of the key. None
            means prediction.

        Returns
        -------
        array (*M,)
            The loss of each member.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape or type, is not finite, or is invalid for
            the loss.
        """
        theta = checked_theta(self, theta)
        return self._batch_loss(
            theta, self._batch(theta, X, T, sample_weight), RandomKey._of(noise)
        )

    def loss_and_gradient(
        self,
        theta: Array,
        X: Array,
        T: Array,
        sample_weight: Array | None = None,
        noise: RandomKey | int | None = None,
    ) -> tuple[Array, Array]:
        """Return the loss and its gradient with respect to theta, by backpropagation.

        See `loss` for the parameters, shapes and errors.

        Returns
        -------
        loss : array (*M,)
            The loss of each member.
        gradient : array (*M, P)
            The gradient of each member. Pass X of shape (N, 1, I) to get the gradient
            of each row.
        """
        theta = checked_theta(self, theta)
        if not isinstance(theta, ndarray):
            require_writable(theta)
        return self._batch_loss_and_gradient(
            theta, self._batch(theta, X, T, sample_weight), RandomKey._of(noise)
        )

    def _batch_loss(self, theta, batch: Batch, noise: RandomKey | None = None):
        """Return the loss on a validated batch; see `loss`."""
        outputs, _ = self.forward(theta, batch.X, noise)
        return self._reduced(theta, outputs[-1], batch)

    def _batch_loss_and_gradient(
        self, theta, batch: Batch, noise: RandomKey | None = None
    ) -> tuple[Array, Array]:
        """Return the loss and gradient on a validated batch; see `loss_and_gradient`."""
        outputs, saved = self.forward(theta, batch.X, noise)
        loss = self._reduced(theta, outputs[-1], batch)
        delta = _column(self._row_weight(batch)) * self.loss_function.delta(
            outputs[-1], batch.T
        )
        gradient = namespace(delta).zeros(
            (*loss.shape, self.layout.size), dtype=delta.dtype, device=delta.device
        )
        self.backward(theta, saved, delta, gradient)
        self._add_penalty_gradient(theta, gradient, batch)
        return loss, gradient

    def _reduced(self, theta, Z, batch: Batch):
        """Return Σ w ℓ over the rows plus the penalty, with w from `row_weight`."""
        loss = namespace(Z).sum(
            self._row_weight(batch) * self.loss_function.value(Z, batch.T), axis=-1
        )
        if self.penalties:
            loss = loss + self._penalty(theta, batch)
        return loss

    def _penalty(self, theta, batch: Batch):
        """Return the penalty for a batch, (*M,) for theta of shape (*M, P)."""
        divisor = self._divisor(batch)
        total = 0
        for W in self._weights(theta):
            for penalty in self.penalties:
                total = total + _averaged(penalty, penalty.value(W), divisor)
        return total

    def _add_penalty_gradient(self, theta, gradient, batch: Batch):
        """Add the gradient of the penalties at theta to the gradient of a batch, in place."""
        divisor = _column(_column(self._divisor(batch)))
        for W, J_W in zip(self._weights(theta), self._weights(gradient), strict=True):
            for penalty in self.penalties:
                J_W[...] = J_W + _averaged(penalty, penalty.gradient(W), divisor)

    def _row_weight(self, batch: Batch):
        """Return the factor of each row in the loss: w, or w / Σ w for a mean. Without weights, return a scalar."""
        divisor = _column(self._divisor(batch))
        return 1 / divisor if batch.weight is None else batch.weight / divisor

    def _divisor(self, batch: Batch):
        """Return the divisor of sums over the rows: 1, or Σ w for a mean, or infinity if all weights are 0."""
        if self.reduction == "sum":
            return 1.0
        if batch.weight is None:
            return float(batch.rows)
        xp = namespace(batch.weight)
        total = xp.sum(batch.weight, axis=-1)
        return xp.where(total > 0, total, xp.inf)

    def _weights(self, vector) -> list[Array]:
        """Return the penalized matrices of theta or of a gradient."""
        if not self.penalties:
            return []
        views = self.layout.views(vector)
        return [
            views[tensor.layer][tensor.name]
            for tensor in self.layout.tensors
            if tensor.penalized
        ]

    def summary(
        self, rows: int | None = None, batch_size: int | None = None
    ) -> Summary:
        """Return a table of the layers with output shapes, parameters and operations per row.

        An operation is a multiplication or an addition in a matrix product, or one
        evaluation of an elementwise formula. The table counts the operations of a
        forward pass. A gradient needs about three times as many operations.

        Parameters
        ----------
        rows : int, optional
            The number of rows of a fit. If given, the last line estimates the peak
            memory of `train` with Adam and early stopping, excluding X, T and weights.
            X is not copied if it is a C-contiguous NumPy array or memory map with the
            dtype of theta. A large X of another dtype or memory order is converted in
            parts.
        batch_size : int, optional
            The number of rows per batch; by default all rows.

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
        a fit of 1,000,000 rows takes 8.0 MB in float32 or 8.1 MB in float64 in addition to its data
        """
        return summarize(self, rows, batch_size)


def _parameters(
    layer: Layer, number: int, sources: tuple[int, ...], widths: list[int]
) -> tuple[Shapes, int]:
    """Return a layer's parameter shapes and number of outputs, given the widths of X and of all outputs before."""
    try:
        return layer.parameters(_selected(widths, sources))
    except WrongInputs as error:
        raise ValueError(f"Layer {number} ({type(layer).__name__}) {error}.") from None


def _selected(values: list[Any], sources: tuple[int, ...]):
    """Return the value of the only source, or a list of the values of several sources.

    The values belong to X and to the outputs of the layers.
    """
    if len(sources) == 1:
        return values[sources[0] + 1]
    return [values[source + 1] for source in sources]


def _averaged(penalty, term, divisor):
    """Return a term of a penalty, divided by the sum of weights if the penalty is averaged."""
    return term / divisor if getattr(penalty, "averaged", False) else term


def _column(weight):
    return weight[..., None] if getattr(weight, "ndim", 0) else weight

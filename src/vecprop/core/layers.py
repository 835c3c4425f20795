"""Layers, and the layout of their parameters in theta.

A layer is a frozen dataclass; its methods take the parameters as arguments. ``forward``
returns the output and the values that ``backward`` needs. ``backward`` takes delta, the
gradient with respect to the output, writes the parameter gradients into J, and returns
the gradient with respect to the input.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from .counter_rng import RandomKey
from .elementary import (
    AT_LEAST_0,
    POSITIVE,
    SHARE,
    Array,
    Range,
    Ranged,
    is_within,
    namespace,
    real,
    sqrt,
)


class Penalized(tuple[int, ...]):
    """The shape of a penalized weight matrix, returned by `Layer.parameters`.

    A composite layer should return the shapes of its nested layers unchanged, so that
    penalties apply to them.

    Parameters
    ----------
    shape : tuple of int
        The numbers of inputs and outputs.

    Examples
    --------
    >>> Penalized((2, 3))
    (2, 3)
    >>> [tensor.penalized for tensor in Layout([{"W": Penalized((2, 3)), "b": (3,)}]).tensors]
    [True, False]
    """

    __slots__ = ()


class WrongInputs(ValueError):
    """A layer does not accept its number of inputs; the message continues the name of the layer."""


class Initializer(ABC):
    """The base class of weight initializers. To write a custom initializer, implement ``__call__``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Signs(Initializer):
    ...     def __call__(self, generator, inputs, outputs):
    ...         return generator.choice([-1.0, 1.0], (inputs, outputs))
    >>> network = Network(2, [Dense(3, Signs())], SquaredError())
    >>> W = network.layout.views(network.init(seed=0))[0]["W"]
    >>> bool((abs(W) == 1).all())
    True
    """

    @abstractmethod
    def __call__(
        self, generator: np.random.Generator, inputs: int, outputs: int
    ) -> ndarray:
        """Draw an (inputs, outputs) matrix of weights."""


@dataclass(frozen=True)
class Normal(Ranged, Initializer):
    r"""Independent normal weights.

    .. math:: W \sim N(0, σ^2)

    Parameters
    ----------
    scale : float, default 1.0
        The standard deviation σ, at least 0.

    Raises
    ------
    ValueError
        If scale is negative or not a finite number.

    Examples
    --------
    >>> Normal(0.1)(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """

    scale: float = 1.0
    _ranges: ClassVar[dict[str, Range]] = {"scale": AT_LEAST_0}

    def __call__(self, generator, inputs, outputs):
        """Return scale times an (inputs, outputs) matrix of standard normal numbers."""
        return self.scale * generator.standard_normal((inputs, outputs))


@dataclass(frozen=True)
class Glorot(Initializer):
    r"""Uniform weights, for logistic, tanh and linear layers.

    .. math:: W \sim U(-a, a), \quad a = \sqrt{6 / (I + O)}

    The variance of activations and gradients stays about the same from layer to layer
    (Glorot and Bengio, 2010).

    Examples
    --------
    >>> W = Glorot()(np.random.default_rng(0), 2, 4)
    >>> W.shape, bool(abs(W).max() <= 1)
    ((2, 4), True)
    """

    def __call__(self, generator, inputs, outputs):
        """Return an (inputs, outputs) matrix drawn from U(-a, a)."""
        bound = (6 / (inputs + outputs)) ** 0.5
        return generator.uniform(-bound, bound, (inputs, outputs))


@dataclass(frozen=True)
class He(Initializer):
    r"""Normal weights for rectifiers, which halve the variance of their inputs (He et al., 2015).

    .. math:: W \sim N(0, 2 / I)

    Examples
    --------
    >>> He()(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """

    def __call__(self, generator, inputs, outputs):
        """Return an (inputs, outputs) matrix drawn from N(0, 2 / inputs)."""
        return (2 / inputs) ** 0.5 * generator.standard_normal((inputs, outputs))


def fill(
    p: dict[str, ndarray],
    generator: np.random.Generator,
    initializer: Initializer | None = None,
):
    """Draw a layer's matrices from the initializer, and set its other parameters to 0, in place."""
    draw = initializer or Glorot()
    for values in p.values():
        values[...] = 0
        if values.ndim == 2:
            values[...] = draw(generator, *values.shape)


Parameters = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]


class Layer(Ranged, ABC):
    """The base class of layers. To write a custom layer, derive a frozen dataclass from it.

    Attributes
    ----------
    random : bool
        Whether the layer draws random numbers in training; a class variable, False by
        default.

    Examples
    --------
    This layer multiplies each input by a separate gain, and the check shows that its
    gradient is correct:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Gain(Layer):
    ...     def parameters(self, inputs):
    ...         return {"g": (inputs,)}, inputs
    ...
    ...     def forward(self, p, X, noise=None):
    ...         return p["g"][..., None, :] * X, X
    ...
    ...     def backward(self, p, saved, delta, J):
    ...         J["g"][...] = (saved * delta).sum(axis=-2)  # over the rows
    ...         return p["g"][..., None, :] * delta
    >>> network = Network(2, [Gain(), Dense(3), Tanh(), Gain(), Dense(1)], SquaredError())
    >>> X, T = np.array([[1.0, -2.0], [0.5, 1.5]]), np.array([[1.0], [2.0]])
    >>> theta = np.random.default_rng(0).normal(size=network.layout.size)
    >>> print(check_gradients(network, theta, X, T).verdict)
    PASS
    """

    random: ClassVar[bool] = False

    def parameters(self, inputs: int) -> tuple[Shapes, int]:
        """Return the parameter shapes by name, and the number of outputs.

        Penalties apply to matrices with a `Penalized` shape.
        """
        return {}, inputs

    def init(self, p: dict[str, ndarray], generator: np.random.Generator) -> None:
        """Set the initial parameters p in place: draw matrices from `Glorot`, and set everything else to 0."""
        fill(p, generator)

    @abstractmethod
    def forward(
        self, p: Parameters, X: Array, noise: RandomKey | None = None
    ) -> tuple[Array, Any]:
        """Return the output (*M, N, outputs) and the values that `backward` needs; noise is None in prediction.

        A composite layer passes ``noise.split(index)`` to each nested layer, so that
        their random numbers differ.
        """

    @abstractmethod
    def backward(self, p: Parameters, saved: Any, delta: Array, J: Parameters) -> Array:
        """Write the parameter gradients into J, and return the gradient with respect to X."""


def affine(X, W, b):
    """Return Z = X W + b, with the bias added to every row."""
    return X @ W + b[..., None, :]


def weight_gradient(X, delta):
    """Return J_W = Xᵀ delta, summed over the rows."""
    return X.mT @ delta


def bias_gradient(delta):
    """Return J_b = 1ᵀ delta, summed over the rows."""
    return namespace(delta).sum(delta, axis=-2)


def input_gradient(delta, W):
    """Return delta_X = delta Wᵀ."""
    return delta @ W.mT


@dataclass(frozen=True)
class Dense(Layer):
    """A dense (fully connected) layer.

    .. math:: Y = X W + b

    Parameters
    ----------
    outputs : int
        The number of outputs, O. The parameters are W of shape (I, O) and b of shape
        (O,).
    initializer : Initializer, default Glorot()
        The initializer of W. The bias b starts at 0.

    Raises
    ------
    ValueError
        If outputs is not a positive integer.
    TypeError
        If initializer is not an `Initializer`.

    Examples
    --------
    >>> Dense(3).parameters(inputs=2)
    ({'W': (2, 3), 'b': (3,)}, 3)
    """

    outputs: int
    initializer: Initializer = field(default_factory=Glorot)

    def __post_init__(self):
        """Validate the number of outputs and the initializer."""
        if not isinstance(self.outputs, int | np.integer) or not is_within(
            self.outputs, 1
        ):
            raise ValueError(
                "The number of outputs of Dense must be a positive integer, got"
                f" {self.outputs!r}."
            )
        if not isinstance(self.initializer, Initializer):
            raise TypeError(
                "The initializer of Dense must be one such as Glorot(), got"
                f" {self.initializer!r}: an activation is a separate layer, as in"
                " [Dense(3), ReLU()]."
            )

    def parameters(self, inputs):
        """Return the shapes of W (penalized) and b, and the number of outputs."""
        outputs = int(self.outputs)
        return {"W": Penalized((inputs, outputs)), "b": (outputs,)}, outputs

    def init(self, p, generator):
        """Draw W from the initializer and set b to 0."""
        fill(p, generator, self.initializer)

    def forward(self, p, X, noise=None):
        """Return X W + b, and X for the backward pass."""
        return affine(X, p["W"], p["b"]), X

    def backward(self, p, saved, delta, J):
        """Fill J_W = Xᵀ delta and J_b = 1ᵀ delta; return delta Wᵀ."""
        J["W"][...] = weight_gradient(saved, delta)
        J["b"][...] = bias_gradient(delta)
        return input_gradient(delta, p["W"])


@dataclass(frozen=True)
class Activation(Layer):
    """The base class of activations: elementwise functions without parameters.

    To write a custom activation, derive a frozen dataclass from it and implement
    ``value`` and ``derivative``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Cube(Activation):
    ...     def value(self, z):
    ...         return z**3
    ...
    ...     def derivative(self, z, y):
    ...         return 3 * z**2
    >>> network = Network(2, [Dense(3), Cube(), Dense(1)], SquaredError())
    >>> X, T = np.array([[1.0, -2.0], [0.5, 1.5]]), np.array([[1.0], [2.0]])
    >>> print(check_gradients(network, network.init(seed=0), X, T).verdict)
    PASS
    """

    @abstractmethod
    def value(self, z: Array) -> Array:
        """Return the function's value at z."""

    @abstractmethod
    def derivative(self, z: Array, y: Array) -> Array:
        """Return the function's derivative at z, where y = value(z)."""

    def forward(self, p, X, noise=None):
        """Return Y = value(X), with X and Y for the backward pass."""
        Y = self.value(X)
        return Y, (X, Y)

    def backward(self, p, saved, delta, J):
        """Return derivative * delta."""
        return self.derivative(*saved) * delta


@dataclass(frozen=True)
class Dropout(Layer):
    """Dropout: set inputs to 0 with probability rate in training, and divide the others by 1 - rate.

    The division preserves the expected value (Srivastava et al., 2014). Prediction
    leaves the inputs unchanged.

    Parameters
    ----------
    rate : float, default 0.5
        The probability of setting an input to 0, at least 0 and less than 1.

    Raises
    ------
    ValueError
        If rate is out of range.

    Examples
    --------
    >>> Y, mask = Dropout(0.5).forward({}, np.ones((1, 4)), noise=RandomKey(seed=1))
    >>> sorted(set(Y.ravel().tolist())) == [0.0, 2.0]
    True
    """

    rate: float = 0.5
    random: ClassVar[bool] = True
    _ranges: ClassVar[dict[str, Range]] = {"rate": SHARE}

    def forward(self, p, X, noise=None):
        """Return X times a mask of 0 and 1 / (1 - rate), and the mask; in prediction, return X and None."""
        if noise is None:
            return X, None
        xp = namespace(X)
        survives = noise.uniform(*X.shape[-2:]) >= self.rate
        mask = xp.asarray(
            survives / (1 - self.rate), dtype=real(X).dtype, device=X.device
        )
        return X * mask, mask

    def backward(self, p, saved, delta, J):
        """Return delta times the mask."""
        return delta if saved is None else delta * saved


@dataclass(frozen=True)
class LayerNorm(Layer):
    r"""Layer normalization: center each row and scale it to unit variance (Ba et al., 2016).

    .. math:: y = g \hat{x} + b, \quad \hat{x} = \frac{x - m}{\sqrt{v + ε}}

    The mean m and the variance v are computed per row, so rows stay independent.

    Parameters
    ----------
    epsilon : float, default 1e-5
        The number ε added to the variance, which avoids a division by 0 for constant
        rows. The parameters are the gain g of shape (I,), initially 1, and the offset b
        of shape (I,), initially 0.

    Raises
    ------
    ValueError
        If epsilon is not positive.

    Examples
    --------
    >>> p = {"g": np.ones(2), "b": np.zeros(2)}
    >>> LayerNorm(epsilon=1e-12).forward(p, np.array([[3.0, 5.0]]))[0].round(6)
    array([[-1.,  1.]])
    """

    epsilon: float = 1e-5
    _ranges: ClassVar[dict[str, Range]] = {"epsilon": POSITIVE}

    def parameters(self, inputs):
        """Return the shapes of g and b, and the number of outputs, which equals the number of inputs."""
        return {"g": (inputs,), "b": (inputs,)}, inputs

    def init(self, p, generator):
        """Set g to 1 and b to 0."""
        p["g"][...] = 1
        p["b"][...] = 0

    def forward(self, p, X, noise=None):
        """Return g x̂ + b, with x̂ and the rows' standard deviations for the backward pass."""
        centered = X - _row_mean(X)
        deviation = sqrt(_row_mean(centered * centered) + self.epsilon)
        normal = centered / deviation
        return p["g"][..., None, :] * normal + p["b"][..., None, :], (normal, deviation)

    def backward(self, p, saved, delta, J):
        """Fill J_g = Σ delta x̂ and J_b = Σ delta; return (d - mean(d) - x̂ mean(d x̂)) / deviation with d = g delta."""
        normal, deviation = saved
        J["g"][...] = bias_gradient(delta * normal)
        J["b"][...] = bias_gradient(delta)
        d = p["g"][..., None, :] * delta
        return (d - _row_mean(d) - normal * _row_mean(d * normal)) / deviation


def _row_mean(X):
    """Return each row's mean, as a column."""
    # The mean function of the array API standard does not support complex numbers.
    return namespace(X).sum(X, axis=-1, keepdims=True) / X.shape[-1]


@dataclass(frozen=True)
class Tensor:
    """A parameter tensor of a layer, with its position in theta."""

    layer: int
    kind: str
    name: str
    start: int
    size: int
    shape: tuple[int, ...]
    penalized: bool = False

    @property
    def span(self) -> slice:
        """The slice of theta's last axis that contains the tensor."""
        return slice(self.start, self.start + self.size)

    def __str__(self) -> str:
        return f"layer {self.layer} ({self.kind}) {self.name}"


class Layout:
    """The positions of all parameters in a flat vector, with named views.

    Parameters
    ----------
    shapes : sequence of mapping
        For each layer, its parameter shapes by name.
    kinds : sequence of str, optional
        For each layer, its class name, used in messages.

    Attributes
    ----------
    tensors : tuple of Tensor
        All parameter tensors, in the order of the vector.
    layers : int
        The number of layers.
    size : int
        The number of parameters, P.

    Raises
    ------
    ValueError
        If a penalized parameter is not a matrix.

    Examples
    --------
    >>> layout = Layout([{"W": (2, 3), "b": (3,)}, {}, {"W": (3, 2), "b": (2,)}])
    >>> layout.size
    17
    >>> layout.views(np.arange(17))[2]["b"]
    array([15, 16])
    """

    def __init__(
        self,
        shapes: Sequence[Mapping[str, Sequence[int]]],
        kinds: Sequence[str] | None = None,
    ):
        self.tensors: tuple[Tensor, ...] = ()
        self.layers = len(shapes)
        self.size = 0
        for layer, layer_shapes in enumerate(shapes):
            kind = kinds[layer] if kinds else "layer"
            for name, shape in layer_shapes.items():
                lengths = tuple(map(int, shape))
                tensor = Tensor(
                    layer=layer,
                    kind=kind,
                    name=name,
                    start=self.size,
                    size=prod(lengths),
                    shape=lengths,
                    penalized=isinstance(shape, Penalized),
                )
                if tensor.penalized and len(lengths) != 2:
                    raise ValueError(
                        f"{tensor} has shape {lengths}, but only matrices can have"
                        " penalties."
                    )
                self.tensors += (tensor,)
                self.size += tensor.size

    def views(self, vector: Array) -> list[dict[str, Array]]:
        """Return each layer's parameters by name, as views of the vector.

        Parameters
        ----------
        vector : array (*M, P)
            The parameters or their gradient.

        Returns
        -------
        list of dict
            For each layer, arrays of shape (*M, *shape) by name, which share memory
            with the vector.
        """
        xp = namespace(vector)
        members = tuple(vector.shape[:-1])
        views = [{} for _ in range(self.layers)]
        for tensor in self.tensors:
            # Splitting the last axis never copies, for any strides.
            views[tensor.layer][tensor.name] = xp.reshape(
                vector[..., tensor.span], members + tensor.shape
            )
        return views

    def locate(self, index: int) -> str:
        """Return the name of the parameter at an index of the flat vector.

        Examples
        --------
        >>> Layout([{"W": (2, 3), "b": (3,)}], ["Dense"]).locate(4)
        'layer 0 (Dense) W[1, 1]'
        """
        for tensor in self.tensors:
            if tensor.start <= index < tensor.start + tensor.size:
                entry = np.unravel_index(index - tensor.start, tensor.shape)
                return f"{tensor}[{', '.join(map(str, entry))}]"
        raise IndexError(
            f"The index {index} is out of range for {self.size} parameters."
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and (self.tensors, self.layers) == (
            other.tensors,
            other.layers,
        )

    def __hash__(self) -> int:
        return hash((self.tensors, self.layers))

    def __repr__(self) -> str:
        return f"Layout({', '.join(f'{tensor} {tensor.shape}' for tensor in self.tensors)})"

"""Networks at a point: gradients, bounds on rounding errors, and losses at nearby parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy import ndarray

from ...core import Batch, Network, Penalty, RandomKey
from ...train.trainer import ENGINE_CLASSES
from ..arithmetic.rounding import EPS, rounding_bound, rounding_experiment
from ..arithmetic.steps import complex_step
from ..arithmetic.tangents import (
    BY_TANGENT,
    GREATER,
    LESS,
    OneSided,
    Tangent,
    Tied,
    Ties,
)
from ..derivatives import unconfirmed
from .function import Point, called, random_signs, typical_size, values_at
from .parameters import Directions, NamedPart

Engine = Literal["both", "reference", "compiled"]

ENGINES = get_args(Engine)
BOTH, *SINGLE_ENGINES = ENGINES

NUMBERS_AT_ONCE = 1 << 18
"""The number of activations per layer when several networks run at once: 2 MB, to
stay in the processor cache.
"""

NEXT_TO = 1e-9
"""The distance of points next to theta, relative to the parameters."""

JUMP = 1e-5
"""The smallest relative difference between one-sided derivatives at a kink."""


class Changed:
    """A layer or loss with some methods replaced."""

    def __init__(self, part, **methods: Callable[..., Any]):
        vars(self).update(methods, part=part)

    def __getattr__(self, name: str):
        return getattr(vars(self)["part"], name)


@dataclass(frozen=True)
class JudgedGradient:
    """A function of theta that returns a loss and the gradient to judge, and the engine that computes them.

    A gradient that the user passed has no engine, and its loss is None.
    """

    gradient: Callable[[ndarray], tuple[Any, ndarray]]
    engine: str = ""
    name: str = ""


class _Tail(NamedTuple):
    """The part of a network from a layer on, the inputs of this layer, and the start of its parameters in theta."""

    network: Network
    batch: Batch
    start: int


def _forward_with_key(layer, key: RandomKey | None, p, X, _noise):
    """Run the forward pass of a layer with a random key in place of the one that is passed."""
    return layer.forward(p, X, key)


@dataclass(eq=False)
class NetworkPoint(Point):
    """A network with its data and random masks, at parameters theta.

    ``value`` is the loss of the reference engine; ``losses`` contains one loss per
    judged gradient. ``unrounded`` is the batch at other points.
    """

    network: Network
    theta: ndarray
    batch: Batch
    noise_key: RandomKey | None
    judged: tuple[JudgedGradient, ...]
    dtype: Any
    unrounded: Batch | None = None

    def __post_init__(self):
        self.dtype = np.dtype(self.dtype)
        self.engines = tuple(judged.engine for judged in self.judged)
        self.outputs = ()
        self.rows = (self.batch.rows,)
        self.eps = EPS  # the spacing of the gradients' dtypes
        parts = []
        for tensor in self.network.layout.tensors:
            part = NamedPart(str(tensor), tensor.start, tensor.shape, tensor.layer)
            parts.append(part)
        self.parts = tuple(parts)
        self._tails: dict[int, _Tail] = {}
        self._loss_and_gradient = partial(
            self.network._batch_loss_and_gradient, noise=self.noise_key
        )

    def at(self, theta: ndarray) -> "NetworkPoint":
        batch = self.unrounded or self.batch
        return replace(self, theta=theta, batch=batch, dtype=np.float64)

    def evaluated(self):
        """Return the gradients to judge, each (1, P), and update the value, the losses and the spacing."""
        self.losses = []
        gradients = []
        for judged in self.judged:
            loss, gradient = self._judged_values(judged)
            if judged.engine == "reference" and self.dtype == np.float64:
                self.value = np.atleast_1d(loss)
            self.losses.append(loss)
            if gradient.dtype.kind == "f":
                self.eps = max(self.eps, float(np.finfo(gradient.dtype).eps))
            gradients.append(gradient.astype(float)[None])
        return gradients

    def _judged_values(self, judged: JudgedGradient):
        """Return the loss and the gradient at theta, in the dtype of the parameters."""
        theta = self.theta.astype(self.dtype)
        if judged.engine and not self.is_built_in:
            loss, gradient = called(judged.gradient, theta, (), "The network")
        else:
            loss, gradient = judged.gradient(theta)
        if np.shape(gradient) != self.theta.shape:
            raise ValueError(
                f"The gradient has shape {np.shape(gradient)}, expected"
                f" {self.theta.shape}."
            )
        return loss, gradient

    @cached_property
    def value(self) -> ndarray:
        return np.atleast_1d(
            self.network._batch_loss(self.theta, self.batch, self.noise_key)
        )

    @cached_property
    def may_be_random(self):
        """Whether a gradient or a part of the network is user-defined."""
        return not (self.is_built_in and self.engines[0])

    @cached_property
    def value_bound(self) -> ndarray:
        return np.zeros(1)

    def _unit(self, part: NamedPart):
        return 1.0

    @cached_property
    def reference_gradient(self) -> ndarray:
        return self._loss_and_gradient(self.theta, self.batch)[1][None]

    def _bound(self, rounds_differently: bool = False):
        """Return the bound on the rounding error of the reference engine, or of code that rounds differently."""
        try:
            bound = rounding_bound(
                self._loss_and_gradient,
                self.theta,
                self.batch,
                dtype=self.dtype,
                rounds_differently=rounds_differently,
            )
        # a user-defined layer may raise any exception for an array pair
        except Exception:
            return self._measured_bound()
        if self.eps <= np.finfo(self.dtype).eps:
            return bound
        rounding_of_result = self.eps * abs(self.reference_gradient)
        return replace(bound, gradient=bound.gradient + rounding_of_result)

    bound = cached_property(_bound)

    @cached_property
    def bound_elsewhere(self):
        """The bound for code that may round numbers differently that are equal or computed from inputs here."""
        return self._bound(rounds_differently=True)

    def _measured_bound(self):
        """Measure the rounding errors of the gradient and of the loss."""

        def loss_and_gradient(theta):
            """Return the loss and the gradient in one row, (1, 1 + P)."""
            theta = theta.astype(self.dtype)
            return np.hstack(self._loss_and_gradient(theta, self.batch))[None]

        def scale(row):
            loss = row[:, :1]
            gradient = row[:, 1:]
            return np.hstack([abs(loss), self.scale(gradient)])

        bound = rounding_experiment(
            loss_and_gradient,
            self.theta,
            self.lines,
            scale=scale,
            eps=self.eps,
            may_be_coarse=True,
        )
        errors = bound.gradient
        return replace(bound, gradient=errors[:, 1:], value=float(errors[0, 0]))

    def values(self, thetas: ndarray) -> ndarray:
        numbers = self.batch.rows * max(self.network.widths) + self.theta.size
        size = max(1, NUMBERS_AT_ONCE // numbers)
        pieces = np.array_split(thetas, -(-len(thetas) // size))
        return np.concatenate(
            [self._losses(self.network, piece, self.batch) for piece in pieces]
        )

    def _losses(self, network: Network, thetas: ndarray, batch: Batch):
        """Return the losses of a network, (K, 1), with NaN where a layer raises.

        Networks with user-defined layers run once per theta, since such layers may not
        support several members.
        """
        if self.is_built_in:
            return network._batch_loss(thetas, batch, self.noise_key)[:, None]
        return values_at(
            lambda theta: network._batch_loss(theta, batch, self.noise_key), thetas, 1
        )

    @cached_property
    def is_built_in(self):
        """Whether all parts of the network are built-in, so that vecprop's tests cover their derivatives."""
        network = self.network
        parts = (*network.layers, network.loss_function, *network.penalties)
        return all(
            type(part).__module__.partition(".")[0] == __name__.partition(".")[0]
            for part in parts
        )

    @property
    def rounding(self) -> ndarray:
        return 4 * EPS * abs(self.value) if self.is_built_in else super().rounding

    @cached_property
    def has_tangents(self):
        """Whether tangents can compute the derivatives, confirmed by finite differences for user-defined layers."""
        if self.is_built_in:
            return True
        draw = np.random.default_rng(4)
        group = []
        for part in self.parts:
            u = self.sizes(part) * random_signs(draw, (1, part.size))
            group.append(Directions(part, u))
        try:
            summands = self._summands(group, partial(Tangent, ties=Ties()))
        except Exception:  # as in `bound`
            return False
        derivatives = summands.sum(axis=1)
        for (part, u), derivative in zip(group, derivatives, strict=True):
            if unconfirmed(self, part, u, derivative=np.array([[derivative]])):
                return False
        return True

    @cached_property
    def _inputs(self):
        """The inputs of each layer, and the outputs of the last layer."""
        return [
            self.batch.X,
            *self.network.forward(self.theta, self.batch.X, self.noise_key)[0],
        ]

    def penalty_divisor(self, penalty: Penalty):
        """Return the divisor of a penalty: the divisor of the sum over rows if the penalty is averaged, else 1."""
        if getattr(penalty, "averaged", False):
            return float(self.network._divisor(self.batch))
        return 1.0

    def _noise_at(self, layer: int) -> RandomKey | None:
        return self.noise_key and self.noise_key._at_layer(layer)

    def _tail(self, first: int):
        """Return the part of the network from a layer on, which does not depend on parameters of earlier layers.

        Its loss lacks the penalties of earlier layers, which do not change.
        """
        first = self.network._outside_forks(first)
        if first not in self._tails:
            network = self.network
            X = self._inputs[first]
            layers: list[Any] = []
            for number in range(first, len(network.layers)):
                layer = network.layers[number]
                # the random numbers of a layer depend on its number in the network
                key = self._noise_at(number)
                forward = partial(_forward_with_key, layer, key)
                layers.append(Changed(layer, forward=forward))
            tail = Network(
                X.shape[-1], layers, network.loss_function, network.penalties
            )
            batch = Batch(X, self.batch.T, self.batch.weight)
            start = network.layout.size - tail.layout.size
            self._tails[first] = _Tail(tail, batch, start)
        return self._tails[first]

    def points_at_once(self, part: NamedPart) -> int:
        widths = (self.network.inputs, *self.network.widths)[part.layer or 0 :]
        parameters = self.network.layout.size - part.start
        return max(1, NUMBERS_AT_ONCE // (self.batch.rows * max(widths) + parameters))

    def _values_after(self, part: NamedPart, steps: ndarray):
        """Run only the layers from this part on."""
        tail = self._tail(part.layer or 0)
        theta = self.theta[None, tail.start :].astype(steps.dtype)
        thetas = np.repeat(theta, len(steps), axis=0)
        first = part.start - tail.start
        thetas[:, first : first + part.size] += steps
        return self._losses(tail.network, thetas, tail.batch)

    def derivatives(self, group: Sequence[Directions]) -> tuple[ndarray, bool]:
        if not self.has_tangents:
            return super().derivatives(group)
        # A group fits into memory, but all directions of a single part may not.
        passes = [group]
        if len(group) == 1:
            [(part, U)] = group
            passes = [[Directions(part, piece)] for piece in self.pieces(part, U)]
        ties = Ties()
        tangent = partial(Tangent, ties=ties)
        derivatives = []
        for directions in passes:
            derivatives.append(self._summands(directions, tangent).sum(axis=1))
        return np.concatenate(derivatives)[None], ties.met

    def _summands(self, group: Sequence[Directions], tangent: Callable[..., Tangent]):
        """Return the derivatives of the summands of the loss, (K, N + penalties).

        The summands are the losses of the rows, followed by the penalties. K is the
        number of directions of all parts. ``tangent`` constructs the numbers.
        """
        network = self.network
        batch = self.batch
        parameters = self._tangent_parameters(group, tangent)
        directions = sum(len(U) for _, U in group)
        summands = np.zeros((directions, batch.rows + len(network.penalties)))
        for tensor in network.layout.tensors:
            values = parameters[tensor.layer][tensor.name]
            if tensor.penalized and isinstance(values, Tangent):
                derivatives = self._penalty_derivatives(values)
                summands[values.span, batch.rows :] = derivatives
        # The inputs of the first layer with a tangent do not change.
        first_layer = min(part.layer or 0 for part, _ in group)
        values: list[Any] = self._inputs[: first_layer + 1]
        network._run(parameters, values, self.noise_key)
        loss = network.loss_function.value(values[-1], batch.T)
        derivatives = loss.tangent
        if batch.weight is not None:
            derivatives = batch.weight * derivatives
        divisor = network._divisor(batch)
        summands[loss.span, : batch.rows] = derivatives / divisor
        return summands

    def _tangent_parameters(
        self, group: Sequence[Directions], tangent: Callable[..., Tangent]
    ):
        """Return the parameters of each layer by name; the directions of a part are the tangents of its parameters."""
        tensors = {str(tensor): tensor for tensor in self.network.layout.tensors}
        parameters: list[dict[str, Any]] = []
        for views in self.network.layout.views(self.theta):
            parameters.append(dict(views))
        first = 0
        for part, U in group:
            tensor = tensors[part.name]
            layer_parameters = parameters[tensor.layer]
            values = layer_parameters[tensor.name][None]
            seed = U.reshape(len(U), *part.shape)
            layer_parameters[tensor.name] = tangent(values, seed, first=first)
            first += len(U)
        return parameters

    def _penalty_derivatives(self, matrix: Tangent):
        """Return the derivatives of each penalty of a matrix with tangents, (K, penalties)."""
        derivatives = np.empty((len(matrix.companion), len(self.network.penalties)))
        for column, penalty in enumerate(self.network.penalties):
            slope = penalty.value(matrix).tangent
            derivatives[:, column] = slope / self.penalty_divisor(penalty)
        return derivatives

    def one_sided(self, part: NamedPart, U: ndarray):
        """Return the one-sided derivatives along each row of U, (1, K).

        Backpropagation selects a side separately for each row and penalty that has a
        kink, so its gradient may be any sum of one-sided derivatives.
        """
        if not self.has_tangents:
            return self._one_sided_nearby(part, U)
        try:
            right = self._summands_after_ties(part, U, BY_TANGENT)
            left = -self._summands_after_ties(part, -U, BY_TANGENT)
            less = self._summands_after_ties(part, U, LESS)
            greater = self._summands_after_ties(part, U, GREATER)
        except Exception:  # as in `bound`
            return self._one_sided_nearby(part, U)
        sides = [right, left, less, greater]
        least = np.min(sides, axis=0).sum(axis=1)[None]
        largest = np.max(sides, axis=0).sum(axis=1)[None]
        right_sum = right.sum(axis=1)[None]
        left_sum = left.sum(axis=1)[None]
        own_derivatives = U @ self.reference_gradient[0, part.span]
        return OneSided(
            usual=np.clip(own_derivatives, least, largest),
            low=np.minimum(left_sum, right_sum),
            high=np.maximum(left_sum, right_sum),
            least=least,
            largest=largest,
        )

    def _summands_after_ties(self, part: NamedPart, U: ndarray, outcome: int):
        """Return the derivatives of the summands if comparisons of equal numbers have this outcome."""
        tangent = partial(Tied, ties=Ties(outcome))
        return self._summands([Directions(part, U)], tangent)

    def _one_sided_nearby(self, part: NamedPart, U: ndarray):
        """Return the derivatives slightly to the left and right, for code that does not support ties."""
        here = self.by_complex_step(part, U).T
        distance = NEXT_TO * typical_size(self.sizes(part)) * U

        def left_of(steps):
            return self.values_after(part, steps - distance)

        def right_of(steps):
            return self.values_after(part, steps + distance)

        left = complex_step(left_of, U).T
        right = complex_step(right_of, U).T
        low = np.minimum(left, right)
        high = np.maximum(left, right)
        # without a jump, the function is smooth
        is_kink = high - low > JUMP * np.maximum(abs(low), abs(high))
        low = np.where(is_kink, low, here)
        high = np.where(is_kink, high, here)
        return OneSided(usual=here, low=low, high=high, least=low, largest=high)


def judged_gradients(
    network: Network,
    batch_at: Callable[[ndarray], Batch],
    noise: RandomKey | None,
    dtype: np.dtype,
    engine: Engine,
) -> tuple[JudgedGradient, ...]:
    """Return the gradients of the engines to check; raise if the requested engine does not support the network.

    ``batch_at`` returns the batch in the dtype of some parameters.
    """
    theta = np.zeros(network.layout.size, dtype)
    batches = [batch_at(theta)]

    def evaluate(gradient: Callable[..., Any], theta):
        return gradient(theta, batch_at(theta))

    judged = []
    names = SINGLE_ENGINES if engine == BOTH else [engine]
    for name in names:
        cls = ENGINE_CLASSES[name]
        refusal = cls.unsupported_reason(network, theta, batches, None, noise)
        if refusal is None:
            for title, gradient in cls(network).gradients(noise).items():
                judged.append(JudgedGradient(partial(evaluate, gradient), name, title))
        elif engine == name:
            raise ValueError(
                f"The {name} engine cannot be checked: {refusal.reason}; use"
                ' engine="reference".'
            )
    return tuple(judged)

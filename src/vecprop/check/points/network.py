"""Networks at a point: gradients, bounds on rounding errors, and losses at nearby parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, get_args

import numpy as np
from numpy import ndarray

from ...core import Batch, Network, Penalty, RandomKey
from ...train.trainer import ENGINE_CLASSES
from ..arithmetic.rounding import EPS, Bound, rounding_bound, rounding_experiment
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
from .parameters import Move, NamedPart

Engine = Literal["both", "reference", "compiled"]

ENGINES = get_args(Engine)
BOTH, *EACH = ENGINES

NUMBERS_AT_ONCE = 1 << 18
"""The number of activations per layer when several networks run at once: 2 MB, to
stay in the processor cache.
"""


class Changed:
    """A layer or loss with some methods replaced."""

    def __init__(self, part: Any, **methods: Callable[..., Any]):
        vars(self).update(methods, part=part)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["part"], name)


@dataclass(frozen=True)
class JudgedGradient:
    gradient: Callable[[ndarray], tuple[Any, ndarray]]
    engine: str = ""
    name: str = ""


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
        self.parts = tuple(
            NamedPart(str(tensor), tensor.start, tensor.shape, tensor.layer)
            for tensor in self.network.layout.tensors
        )
        self._tails: dict[int, tuple[Network, int, Batch]] = {}
        self._loss_and_gradient = partial(
            self.network._batch_loss_and_gradient, noise=self.noise_key
        )

    def at(self, theta: ndarray) -> "NetworkPoint":
        batch = self.unrounded or self.batch
        return replace(self, theta=theta, batch=batch, dtype=np.float64)

    def evaluated(self) -> list[ndarray]:
        self.losses = []
        gradients = []
        for judged in self.judged:
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
            if judged.engine == "reference" and self.dtype == np.float64:
                self.value = np.atleast_1d(loss)
            self.losses.append(loss)
            if gradient.dtype.kind == "f":
                self.eps = max(self.eps, float(np.finfo(gradient.dtype).eps))
            gradients.append(gradient.astype(float)[None])
        return gradients

    @cached_property
    def value(self) -> ndarray:
        return np.atleast_1d(
            self.network._batch_loss(self.theta, self.batch, self.noise_key)
        )

    @cached_property
    def may_be_random(self) -> bool:
        """Whether a gradient or a part of the network is user-defined."""
        return not (self.is_built_in and self.engines[0])

    @cached_property
    def value_bound(self) -> ndarray:
        return np.zeros(1)

    def _unit(self, part: NamedPart) -> float:
        return 1.0

    @cached_property
    def own_gradient(self) -> ndarray:
        return self._loss_and_gradient(self.theta, self.batch)[1][None]

    def _bound(self, elsewhere: bool = False) -> Bound:
        """Return the bound on the rounding error, of the reference engine or of other code."""
        try:
            bound = rounding_bound(
                self._loss_and_gradient, self.theta, self.batch, self.dtype, elsewhere
            )
        # a user-defined layer may raise any exception for an array pair
        except Exception:
            return self._experiment()
        if self.eps <= np.finfo(self.dtype).eps:
            return bound
        return replace(
            bound, gradient=bound.gradient + self.eps * abs(self.own_gradient)
        )

    bound = cached_property(_bound)

    @cached_property
    def bound_elsewhere(self) -> Bound:
        """The bound for code that may round numbers differently that are equal or computed from inputs here."""
        return self._bound(elsewhere=True)

    def _experiment(self) -> Bound:
        """Measure the rounding errors of the gradient and of the loss."""

        def loss_and_gradient(theta: ndarray) -> ndarray:
            theta = theta.astype(self.dtype)
            return np.hstack(self._loss_and_gradient(theta, self.batch))[None]

        def scale(numbers: ndarray) -> ndarray:
            return np.hstack([abs(numbers[:, :1]), self.scale(numbers[:, 1:])])

        bound = rounding_experiment(
            loss_and_gradient,
            self.theta,
            self.lines,
            scale=scale,
            eps=self.eps,
            may_be_coarse=True,
        )
        value = float(bound.gradient[0, 0])
        return replace(bound, gradient=bound.gradient[:, 1:], value=value)

    def values(self, thetas: ndarray) -> ndarray:
        numbers = self.batch.rows * max(self.network.widths) + self.theta.size
        size = max(1, NUMBERS_AT_ONCE // numbers)
        pieces = np.array_split(thetas, -(-len(thetas) // size))
        return np.concatenate(
            [self._losses(self.network, piece, self.batch) for piece in pieces]
        )

    def _losses(self, network: Network, thetas: ndarray, batch: Batch) -> ndarray:
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
    def is_built_in(self) -> bool:
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
    def has_tangents(self) -> bool:
        """Whether tangents can compute the derivatives, confirmed by finite differences for user-defined layers."""
        if self.is_built_in:
            return True
        draw = np.random.default_rng(4)
        moves = []
        for part in self.parts:
            U = self.sizes(part) * random_signs(draw, (1, part.size))
            moves.append((part, U))
        try:
            summands = self._summands(moves, partial(Tangent, ties=Ties()))
        except Exception:  # as in `bound`
            return False
        return not any(
            unconfirmed(self, part, u, np.array([[derivative]]))
            for (part, u), derivative in zip(moves, summands.sum(axis=1), strict=True)
        )

    @cached_property
    def _inputs(self) -> list[ndarray]:
        """The inputs of each layer, and the outputs of the last layer."""
        return [
            self.batch.X,
            *self.network.forward(self.theta, self.batch.X, self.noise_key)[0],
        ]

    def penalty_divisor(self, penalty: Penalty) -> float:
        """Return the divisor of a penalty: the divisor of the sum over rows if the penalty is averaged, else 1."""
        if getattr(penalty, "averaged", False):
            return float(self.network._divisor(self.batch))
        return 1.0

    def _noise_at(self, layer: int) -> RandomKey | None:
        return self.noise_key and self.noise_key._at_layer(layer)

    def _tail(self, first: int) -> tuple[Network, int, Batch]:
        """Return the part of the network from a layer on, the start of its parameters, and its batch."""
        # The loss lacks the penalties of earlier layers, which do not change.
        if first not in self._tails:
            network = self.network
            X = self._inputs[first]

            def forward(number: int, p, X, _noise) -> Any:
                """Use the random numbers of the layer with this number in the network."""
                return network.layers[number].forward(p, X, self._noise_at(number))

            layers: list[Any] = []
            for number in range(first, len(network.layers)):
                layer = network.layers[number]
                layers.append(Changed(layer, forward=partial(forward, number)))
            tail = Network(
                X.shape[-1], layers, network.loss_function, network.penalties
            )
            batch = Batch(X, self.batch.T, self.batch.weight)
            start = network.layout.size - tail.layout.size
            self._tails[first] = (tail, start, batch)
        return self._tails[first]

    def at_once(self, part: NamedPart) -> int:
        widths = (self.network.inputs, *self.network.widths)[part.layer or 0 :]
        parameters = self.network.layout.size - part.start
        return max(1, NUMBERS_AT_ONCE // (self.batch.rows * max(widths) + parameters))

    def _moved(self, part: NamedPart, steps: ndarray) -> ndarray:
        """Run only the layers from this part on."""
        tail, start, batch = self._tail(part.layer or 0)
        theta = self.theta[None, start:].astype(steps.dtype)
        thetas = np.repeat(theta, len(steps), axis=0)
        first = part.start - start
        thetas[:, first : first + part.size] += steps
        return self._losses(tail, thetas, batch)

    def derivatives(self, moves: Sequence[Move]) -> tuple[ndarray, bool]:
        if not self.has_tangents:
            return super().derivatives(moves)
        ties = Ties()
        pieces = [moves]
        if len(moves) == 1:
            [(part, U)] = moves
            pieces = [[(part, piece)] for piece in self.pieces(part, U)]
        tangent = partial(Tangent, ties=ties)
        derivatives = [self._summands(piece, tangent).sum(axis=1) for piece in pieces]
        return np.concatenate(derivatives)[None], ties.met

    def _summands(
        self, moves: Sequence[Move], tangent: Callable[..., Tangent]
    ) -> ndarray:
        """Return the derivatives of the summands of the loss, rows first and then penalties, (K, N + penalties)."""
        network = self.network
        batch = self.batch
        starts = np.cumsum([0, *(len(U) for _, U in moves)])
        summands = np.zeros((starts[-1], batch.rows + len(network.penalties)))
        # The tangent of a part starts at its layer.
        first_layer = min(part.layer or 0 for part, _ in moves)
        X: Any = self._inputs[first_layer]
        views = network.layout.views(self.theta)
        tensors = {t.start: t for t in network.layout.tensors if t.size}
        for number in range(first_layer, len(network.layers)):
            p: dict[str, Any] = dict(views[number])
            for (part, U), start in zip(moves, starts.tolist(), strict=False):
                if part.layer != number:
                    continue
                tensor = tensors[part.start]
                seed = U.reshape(len(U), *part.shape)
                values = tangent(p[tensor.name][None], seed, first=start)
                p[tensor.name] = values
                if not tensor.penalized:
                    continue
                for column, penalty in enumerate(network.penalties, batch.rows):
                    slope = penalty.value(values).tangent
                    derivatives = slope / self.penalty_divisor(penalty)
                    summands[start : start + len(U), column] = derivatives
            X, _ = network.layers[number].forward(p, X, self._noise_at(number))
        loss = network.loss_function.value(X, batch.T)
        derivatives = loss.tangent
        if batch.weight is not None:
            derivatives = batch.weight * derivatives
        end = loss.first + len(loss.companion)
        divisor = network._divisor(batch)
        summands[loss.first : end, : batch.rows] = derivatives / divisor
        return summands

    def one_sided(self, part: NamedPart, U: ndarray) -> OneSided:
        """Return the one-sided derivatives along each row of U, (1, K).

        Backpropagation selects a side separately for each row and penalty that has a
        kink, so its gradient may be any sum of one-sided derivatives.
        """
        if not self.has_tangents:
            return self._one_sided_nearby(part, U)

        def derivatives(sign: int, broken: int = BY_TANGENT) -> ndarray:
            tangent = partial(Tied, ties=Ties(broken))
            return sign * self._summands([(part, sign * U)], tangent)

        try:
            right = derivatives(1)
            left = derivatives(-1)
            sides = [right, left, derivatives(1, LESS), derivatives(1, GREATER)]
        except Exception:  # as in `derivatives`
            return self._one_sided_nearby(part, U)
        right = right.sum(axis=1)[None]
        left = left.sum(axis=1)[None]
        least = np.min(sides, axis=0).sum(axis=1)[None]
        largest = np.max(sides, axis=0).sum(axis=1)[None]
        usual = np.clip(U @ self.own_gradient[0, part.span], least, largest)
        low = np.minimum(left, right)
        return OneSided(usual, low, np.maximum(left, right), least, largest)

    def _one_sided_nearby(self, part: NamedPart, U: ndarray) -> OneSided:
        """Return the derivatives slightly to the left and right, for code that does not support ties."""
        here = self.stepped(part, U).T
        distance = 1e-9 * typical_size(self.sizes(part)) * U
        left = complex_step(lambda steps: self.moved(part, steps - distance), U).T
        right = complex_step(lambda steps: self.moved(part, steps + distance), U).T
        low = np.minimum(left, right)
        high = np.maximum(left, right)
        # without a jump, the function is smooth
        jumps = high - low > 1e-5 * np.maximum(abs(low), abs(high))
        low = np.where(jumps, low, here)
        high = np.where(jumps, high, here)
        return OneSided(here, low, high, low, high)


def judged_gradients(
    network: Network,
    batch_at: Callable[[ndarray], Batch],
    noise: RandomKey | None,
    dtype: np.dtype,
    engine: Engine,
) -> tuple[JudgedGradient, ...]:
    """Return the gradients of the engines to check; raise if the requested engine does not support the network."""
    theta = np.zeros(network.layout.size, dtype)
    batches = [batch_at(theta)]

    def evaluate(gradient: Callable[..., Any], theta: ndarray) -> Any:
        return gradient(theta, batch_at(theta))

    judged = []
    for name in EACH if engine == BOTH else [engine]:
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

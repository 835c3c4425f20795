"""Networks at a point: gradients, bounds on rounding errors, and losses at nearby parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, get_args

import numpy as np
from numpy import ndarray

from ...core import Batch, Layer, Network, Penalty, RandomKey
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
from .parameters import NamedPart

Engine = Literal["both", "reference", "compiled"]

ENGINES = get_args(Engine)
BOTH, *EACH = ENGINES

NUMBERS_AT_ONCE = 1 << 18
"""The number of activations per layer when several networks run at once: 2 MB, to
stay in the processor cache.
"""


class Changed:
    """A layer or loss with some methods replaced."""

    def __init__(self, part: Any, **methods: Callable[..., Any]) -> None:
        vars(self).update(methods, part=part)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["part"], name)


def penalty_divisor(network: Network, penalty: Penalty, batch: Batch) -> float:
    """Return the divisor of a penalty: the divisor of the sum over rows if the penalty is averaged, else 1."""
    return (
        float(network._divisor(batch)) if getattr(penalty, "averaged", False) else 1.0
    )


@dataclass(frozen=True)
class JudgedGradient:
    gradient: Callable[[ndarray], tuple[Any, ndarray]]
    engine: str = ""
    name: str = ""


class NetworkPoint(Point):
    """A network with its data and random masks, at parameters theta.

    ``value`` is the loss of the reference engine; ``losses`` contains one loss per
    judged gradient.
    """

    def __init__(
        self,
        network: Network,
        theta: ndarray,
        batch: Batch,
        noise: RandomKey | None,
        judged: tuple[JudgedGradient, ...],
        dtype,
        elsewhere: Batch | None = None,
    ) -> None:
        self._elsewhere, self.judged, self.outputs = elsewhere or batch, judged, ()
        self.engines = tuple(own.engine for own in judged)
        self.network, self.theta, self.batch, self.noise_key, self.dtype = (
            network,
            theta,
            batch,
            noise,
            np.dtype(dtype),
        )
        self.parts = tuple(
            NamedPart(str(t), t.start, t.shape, t.layer) for t in network.layout.tensors
        )
        # eps: the spacing of the gradients' dtypes
        self.rows, self.eps = (batch.rows,), EPS
        self._tensors = {t.start: t for t in network.layout.tensors if t.size}
        self._tails: dict[int, tuple[Network, int, Batch]] = {}
        self._loss_and_gradient = partial(network._batch_loss_and_gradient, noise=noise)

    def at(self, theta: ndarray) -> "NetworkPoint":
        return NetworkPoint(
            self.network,
            theta,
            self._elsewhere,
            self.noise_key,
            self.judged,
            np.float64,
        )

    def evaluated(self) -> list[ndarray]:
        self.losses, gradients = [], []
        for judged in self.judged:
            theta, is_foreign = (
                self.theta.astype(self.dtype),
                judged.engine and not self.is_built_in,
            )
            of = judged.gradient
            loss, gradient = (
                called(of, theta, (), "The network") if is_foreign else of(theta)
            )
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
            gradients.append(gradient.astype(np.float64)[None])
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
            bound, gradient=bound.gradient + self.eps * np.abs(self.own_gradient)
        )

    bound = cached_property(_bound)

    @cached_property
    def bound_elsewhere(self) -> Bound:
        """The bound for code that may round numbers differently that are equal or computed from inputs here."""
        return self._bound(elsewhere=True)

    def _experiment(self) -> Bound:
        """Measure the rounding errors of the gradient and of the loss."""

        def loss_and_gradient(at: ndarray) -> ndarray:
            loss, gradient = self._loss_and_gradient(at.astype(self.dtype), self.batch)
            return np.concatenate([np.atleast_1d(loss), gradient])[None]

        def scale(both: ndarray) -> ndarray:
            return np.concatenate(
                [np.abs(both[:, :1]), self.scale(both[:, 1:])], axis=1
            )

        found = rounding_experiment(
            loss_and_gradient,
            self.theta,
            self.lines,
            scale,
            self.eps,
            may_be_coarse=True,
        )
        return replace(
            found, gradient=found.gradient[:, 1:], value=float(found.gradient[0, 0])
        )

    def values(self, thetas: ndarray) -> ndarray:
        size = max(
            1,
            NUMBERS_AT_ONCE
            // (self.batch.rows * max(self.network.widths) + self.theta.size),
        )
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
        return 4 * EPS * np.abs(self.value) if self.is_built_in else super().rounding

    @cached_property
    def has_tangents(self) -> bool:
        """Whether tangents can compute the derivatives, confirmed by finite differences for user-defined layers."""
        if self.is_built_in:
            return True
        draw = np.random.default_rng(4)
        moves = [
            (part, self.sizes(part).reshape(1, -1) * random_signs(draw, (1, part.size)))
            for part in self.parts
        ]
        try:
            derivatives = self._summands(moves, partial(Tangent, ties=Ties())).sum(
                axis=1
            )
        except Exception:  # as in `bound`
            return False
        return not any(
            unconfirmed(self, part, U, derivatives[k : k + 1, None])
            for k, (part, U) in enumerate(moves)
        )

    @cached_property
    def _inputs(self) -> list[ndarray]:
        """The inputs of each layer, and the outputs of the last layer."""
        return [
            self.batch.X,
            *self.network.forward(self.theta, self.batch.X, self.noise_key)[0],
        ]

    def _tail(self, layer: int) -> tuple[Network, int, Batch]:
        """Return the part of the network from a layer on, the start of its parameters, and its batch."""
        # The loss lacks the penalties of earlier layers, which do not change.
        if layer not in self._tails:
            network, X = self.network, self._inputs[layer]

            # use the random numbers of this layer
            def at(number: int, part: Layer) -> Any:
                return Changed(
                    part,
                    forward=lambda p, X, noise: part.forward(
                        p, X, noise and noise._at_layer(number)
                    ),
                )

            layers = [at(number, part) for number, part in enumerate(network.layers)][
                layer:
            ]
            tail = Network(
                X.shape[-1], layers, network.loss_function, network.penalties
            )
            self._tails[layer] = (
                tail,
                network.layout.size - tail.layout.size,
                Batch(X, self.batch.T, self.batch.weight),
            )
        return self._tails[layer]

    def at_once(self, part: NamedPart) -> int:
        widths = (self.network.inputs, *self.network.widths)[part.layer or 0 :]
        return max(
            1,
            NUMBERS_AT_ONCE
            // (self.batch.rows * max(widths) + self.network.layout.size - part.start),
        )

    def moved(self, part: NamedPart, steps: ndarray) -> ndarray:
        """Return the losses after adding steps to a part, (K, 1), running only the layers from this part on."""
        tail, start, batch = self._tail(part.layer or 0)
        thetas = np.repeat(
            self.theta[None, start:].astype(steps.dtype), len(steps), axis=0
        )
        thetas[:, part.start - start : part.start - start + part.size] += steps
        return self._losses(tail, thetas, batch)

    def derivatives(
        self, moves: Sequence[tuple[NamedPart, ndarray]]
    ) -> tuple[ndarray, bool]:
        if not self.has_tangents:
            return super().derivatives(moves)
        ties = Ties()
        return (
            self._summands(moves, partial(Tangent, ties=ties)).sum(axis=1)[:, None],
            ties.met,
        )

    def _summands(
        self,
        moves: Sequence[tuple[NamedPart, ndarray]],
        tangent: Callable[..., Tangent],
    ) -> ndarray:
        """Return the derivatives of the summands of the loss, rows first and then penalties, (K, N + penalties)."""
        # The tangent of a part starts at its layer.
        network, batch = self.network, self.batch
        summands = np.zeros(
            (sum(len(U) for _, U in moves), batch.rows + len(network.penalties))
        )
        start = min(part.layer or 0 for part, _ in moves)
        X: Any = self._inputs[start]
        views = network.layout.views(self.theta)
        for number, layer in enumerate(network.layers[start:], start):
            p: dict[str, Any] = dict(views[number])
            first = 0
            for part, U in moves:
                along = slice(first, first + len(U))
                if part.layer == number:
                    tensor = self._tensors[part.start]
                    name, penalties = (
                        tensor.name,
                        network.penalties if tensor.penalized else (),
                    )
                    p[name] = tangent(
                        p[name][None], U.reshape(len(U), *part.shape), first=first
                    )
                    for column, penalty in enumerate(penalties, batch.rows):
                        divided = penalty.value(p[name]).tangent / penalty_divisor(
                            network, penalty, batch
                        )
                        summands[along, column] = divided
                first = along.stop
            X, _ = layer.forward(
                p, X, self.noise_key and self.noise_key._at_layer(number)
            )
        loss = network.loss_function.value(X, batch.T)
        weighted = loss.tangent if batch.weight is None else batch.weight * loss.tangent
        summands[loss.first : loss.first + len(loss.companion), : batch.rows] = (
            weighted / network._divisor(batch)
        )
        return summands

    def one_sided(self, part: NamedPart, U: ndarray) -> OneSided:
        """Return the one-sided derivatives along each row of U, (1, K).

        Backpropagation selects a side separately for each row and penalty that has a
        kink, so its gradient may be any sum of one-sided derivatives.
        """
        if not self.has_tangents:
            return self._one_sided_nearby(part, U)
        try:
            sides = [
                sign
                * self._summands([(part, sign * U)], partial(Tied, ties=Ties(broken)))
                for sign, broken in (
                    (1, BY_TANGENT),
                    (-1, BY_TANGENT),
                    (1, LESS),
                    (1, GREATER),
                )
            ]
        except Exception:  # as in `derivatives`
            return self._one_sided_nearby(part, U)
        right = sides[0].sum(axis=1)[None]
        left = sides[1].sum(axis=1)[None]
        least = np.min(sides, axis=0).sum(axis=1)[None]
        largest = np.max(sides, axis=0).sum(axis=1)[None]
        usual = np.clip(U @ self.own_gradient[0, part.span], least, largest)
        return OneSided(
            usual, np.minimum(left, right), np.maximum(left, right), least, largest
        )

    def _one_sided_nearby(self, part: NamedPart, U: ndarray) -> OneSided:
        """Return the derivatives slightly to the left and right, for code that does not support ties."""
        here = self.stepped(part, U).T
        distance = 1e-9 * typical_size(self.sizes(part)) * U
        left = complex_step(lambda steps: self.moved(part, steps - distance), U).T
        right = complex_step(lambda steps: self.moved(part, steps + distance), U).T
        low = np.minimum(left, right)
        high = np.maximum(left, right)
        # without a jump, the function is smooth
        jumps = high - low > 1e-5 * np.maximum(np.abs(low), np.abs(high))
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
    batch = batch_at(np.zeros(0, dtype))
    judged = []
    for name in EACH if engine == BOTH else [engine]:
        cls = ENGINE_CLASSES[name]
        refusal = cls.unsupported_reason(
            network, np.zeros(network.layout.size, dtype), [batch], None, noise
        )
        if refusal is None:
            for of, gradient in cls(network).gradients(noise).items():
                judged.append(
                    JudgedGradient(
                        lambda at, gradient=gradient: gradient(at, batch_at(at)),
                        name,
                        of,
                    )
                )
        elif engine == name:
            raise ValueError(
                f"The {name} engine cannot be checked: {refusal.reason}; use"
                ' engine="reference".'
            )
    return tuple(judged)

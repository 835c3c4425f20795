"""A network at a point: its gradient there, how far rounding reaches, and its loss at points nearby."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..core.counted import Noise
from ..core.inputs import Batch
from ..core.layers import Layer
from ..core.network import Network
from ..core.penalties import Penalty
from .complex_step import complex_step
from .kinks import BY_TANGENT, GREATER, LESS, Slopes, Tied
from .parameters import Part
from .rounding import Bound, jitters, rounding_bound, rounding_experiment
from .tangents import Tangent, Ties

NUMBERS_AT_ONCE = 1 << 18
"""How many numbers a layer may hold when many moved networks are run at once: 2 MB, which a processor keeps near."""


@dataclass(frozen=True)
class _AtLayer:
    """A layer that finds the random numbers of its place in the whole network."""

    layer: Layer
    number: int

    def parameters(self, inputs: int) -> Any:
        return self.layer.parameters(inputs)

    def forward(self, p: Any, X: Any, noise: Noise | None = None) -> Any:
        return self.layer.forward(p, X, noise and noise.at_layer(self.number))

    def backward(self, p: Any, saved: Any, delta: Any, J: Any) -> Any:
        return self.layer.backward(p, saved, delta, J)


def penalty_divisor(network: Network, penalty: Penalty, batch: Batch) -> float:
    """Return what a penalty is divided by: where it is averaged, what the rows are."""
    return float(network.divisor(batch)) if getattr(penalty, "averaged", False) else 1.0


class NetworkPoint:
    """A network with its rows and random masks, at parameters theta.

    Parameters
    ----------
    network : Network
        The network.
    theta : ndarray (P,)
        The parameters, in float64.
    batch : Batch
        The rows, in float64.
    noise : Noise or None
        The key of random layers.
    gradient : callable
        The gradient that is checked, as a function of theta.
    dtype : dtype
        The type in which that function computes here.
    elsewhere : Batch, optional
        The rows at other parameters: as they are before they are rounded to dtype.
    own : bool, default False
        Whether the gradient that is checked is the network's own.
    """

    outputs: tuple[int, ...] = ()

    def __init__(
        self,
        network: Network,
        theta: np.ndarray,
        batch: Batch,
        noise: Noise | None,
        gradient: Callable[[np.ndarray], np.ndarray],
        dtype: Any,
        elsewhere: Batch | None = None,
        own: bool = False,
    ) -> None:
        self._elsewhere, self._is_own = elsewhere or batch, own
        self.network, self.theta, self.batch, self.noise, self.dtype = network, theta, batch, noise, np.dtype(dtype)
        self._gradient = gradient
        self.parts = tuple(Part(str(t), t.start, t.shape, t.layer) for t in network.layout.tensors)
        self._names = {t.start: t.name for t in network.layout.tensors if t.size}
        self._tails: dict[int, tuple[Network, int, Batch]] = {}

    def at(self, theta: np.ndarray) -> "NetworkPoint":
        """Return the same network at other parameters, in float64."""
        rest = (self.noise, self._gradient, np.float64)
        return NetworkPoint(self.network, theta, self._elsewhere, *rest, own=self._is_own)

    def gradient(self) -> np.ndarray:
        """Return the gradient that is checked, (1, P)."""
        found = np.asarray(self._gradient(self.theta.astype(self.dtype)))
        if found.shape != self.theta.shape:
            raise ValueError(f"The gradient has shape {found.shape}, but theta has {self.theta.shape}.")
        return found.astype(np.float64)[None]

    def loss(self) -> np.ndarray:
        """Return the loss, (1,)."""
        return np.atleast_1d(self.network.batch_loss(self.theta, self.batch, self.noise))

    def _own(self, theta: np.ndarray) -> np.ndarray:
        """Return the network's own gradient, by backpropagation, (1, P)."""
        return self.network.batch_loss_and_gradient(theta, self.batch, self.noise)[1][None]

    def evaluated(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss and the gradient that is checked, computed together where one pass gives both."""
        if not (self._is_own and self.dtype == np.float64):
            return self.loss(), self.gradient()
        loss, gradient = self.network.batch_loss_and_gradient(self.theta, self.batch, self.noise)
        return np.atleast_1d(loss), gradient[None]

    @cached_property
    def own_gradient(self) -> np.ndarray:
        """The network's own gradient, by backpropagation in float64, (1, P)."""
        return self._own(self.theta)

    @property
    def rows(self) -> tuple[int, ...]:
        """What N may be, for the diagnosis."""
        return (self.batch.rows,)

    @cached_property
    def jittered(self) -> tuple["NetworkPoint", ...]:
        """The network moved by a few units in the last place, where its arithmetic could not be followed."""
        return () if self.bound.running else tuple(self.at(theta) for theta in jitters(self.theta, np.float64, 3))

    @cached_property
    def bound(self) -> Bound:
        """How far rounding can have moved the loss and the gradient."""
        try:
            return rounding_bound(self.network, self.theta, self.batch, self.noise, self.dtype)
        except Exception:  # whatever a user's own layer raises when it is given numbers that are no plain array
            return rounding_experiment(self._own, self.theta, self.dtype)

    @cached_property
    def _outputs(self) -> list[np.ndarray]:
        return self.network.forward(self.theta, self.batch.X, self.noise)[0]

    def _reaching(self, layer: int) -> np.ndarray:
        """Return what a layer is given."""
        return self._outputs[layer - 1] if layer else self.batch.X

    @cached_property
    def _views(self) -> list[dict[str, np.ndarray]]:
        return self.network.layout.views(self.theta)

    def _tail(self, layer: int) -> tuple[Network, int, Batch]:
        """Return the network from a layer on, the start of its parameters and the activations that reach it.

        Its loss is the whole network's, less the penalties of the layers before, which do not move.
        """
        if layer not in self._tails:
            network = self.network
            X = self._reaching(layer)
            layers: Any = [_AtLayer(part, number) for number, part in enumerate(network.layers)][layer:]
            tail = Network(X.shape[-1], layers, network.loss_function, network.penalties)
            self._tails[layer] = tail, network.layout.size - tail.layout.size, Batch(X, self.batch.T, self.batch.weight)
        return self._tails[layer]

    def at_once(self, part: Part) -> int:
        """Return how many moved networks are run at once."""
        widths = (self.network.inputs, *self.network.widths)[part.layer or 0 :]
        return max(1, NUMBERS_AT_ONCE // (self.batch.rows * max(widths) + self.network.layout.size - part.start))

    def moved(self, part: Part, steps: np.ndarray) -> np.ndarray:
        """Return the losses, (K, 1), where each row of steps, (K, size), is added to a part of the parameters.

        Only the layers from the part's own on are run: nothing before them moves.
        """
        tail, start, batch = self._tail(part.layer or 0)
        thetas = np.repeat(self.theta[None, start:].astype(steps.dtype), len(steps), axis=0)
        thetas[:, part.start - start : part.start - start + part.size] += steps
        return tail.batch_loss(thetas, batch, self.noise)[:, None]

    def derivatives(self, moves: Sequence[tuple[Part, np.ndarray]]) -> tuple[np.ndarray, bool]:
        """Return the slopes along the rows of each part's U, part by part, (K, 1), and whether there are ties."""
        ties = Ties()
        try:
            return self._summands(moves, partial(Tangent, ties=ties)).sum(axis=1)[:, None], ties.met
        except Exception:  # whatever a user's own layer raises when it is given numbers that are no plain array
            return np.concatenate([complex_step(partial(self.moved, part), U) for part, U in moves]), True

    def _summands(self, moves: Sequence[tuple[Part, np.ndarray]], tangent: Callable[..., Tangent]) -> np.ndarray:
        """Return the slopes of the loss's summands, the rows' and then the penalties', (K, N + penalties).

        Each part begins to move at its own layer: nothing before it does.
        """
        network, batch = self.network, self.batch
        summands = np.zeros((sum(len(U) for _, U in moves), batch.rows + len(network.penalties)))
        start = min(part.layer or 0 for part, _ in moves)
        X: Any = self._reaching(start)
        for number, layer in enumerate(network.layers[start:], start):
            p: dict[str, Any] = dict(self._views[number])
            first = 0
            for part, U in moves:
                along = slice(first, first + len(U))
                if part.layer == number:
                    name = self._names[part.start]
                    p[name] = tangent(p[name][None], U.reshape(len(U), *part.shape), first=first)
                    for column, penalty in enumerate(network.penalties if name == "W" else (), batch.rows):
                        divided = penalty.value(p[name]).tangent / penalty_divisor(network, penalty, batch)
                        summands[along, column] = divided
                first = along.stop
            X, _ = layer.forward(p, X, self.noise and self.noise.at_layer(number))
        loss = network.loss_function.value(X, batch.T)
        weighted = loss.tangent if batch.weight is None else batch.weight * loss.tangent
        summands[loss.first : loss.first + len(loss.companion), : batch.rows] = weighted / network.divisor(batch)
        return summands

    def slopes(self, part: Part, U: np.ndarray) -> Slopes:
        """Return the slopes along each row of U, (K, 1), where ties may make more than one.

        Rows are independent, and so are penalties: each may be on its own side of its own kink, whatever the direction
        of theta. So backpropagation, which takes one slope at each tie, may give any sum of theirs.
        """
        if not self.bound.running:
            return self._slopes_beside(part, U)
        try:
            sides = [
                sign * self._summands([(part, sign * U)], partial(Tied, ties=Ties(broken)))
                for sign, broken in ((1, BY_TANGENT), (-1, BY_TANGENT), (1, LESS), (1, GREATER))
            ]
        except Exception:  # as in `derivatives`
            return self._slopes_beside(part, U)
        right, left = sides[0].sum(axis=1)[:, None], sides[1].sum(axis=1)[:, None]
        least, largest = np.min(sides, axis=0).sum(axis=1)[:, None], np.max(sides, axis=0).sum(axis=1)[:, None]
        own = (U @ self.own_gradient[0, part.span])[:, None]
        return Slopes(np.minimum(left, right), np.maximum(left, right), np.clip(own, least, largest), largest - least)

    def _slopes_beside(self, part: Part, U: np.ndarray) -> Slopes:
        """Return the slopes a little to the left and to the right, where the arithmetic at ties cannot be followed."""
        here = complex_step(lambda steps: self.moved(part, steps), U)
        beside = [complex_step(lambda steps, t=t: self.moved(part, t * U + steps), U) for t in (-1e-9, 1e-9)]
        low, high = np.minimum(*beside), np.maximum(*beside)
        jumps = high - low > 1e-5 * np.maximum(np.abs(low), np.abs(high))  # else it is the curve of a smooth function
        return Slopes(np.where(jumps, low, here), np.where(jumps, high, here), here, np.where(jumps, high - low, 0))

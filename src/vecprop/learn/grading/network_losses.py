"""What explains wrong losses and gradients of a network: other networks, and other orders of the parameters."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...catalog import ACTIVATIONS
from ...core.losses import BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError
from ...core.network import Network
from .comparison import same
from .mistakes import softmax


@dataclass(frozen=True)
class Given:
    """The loss and the gradient that a function returned for some arguments, or None."""

    arguments: dict[str, Any]
    loss: float | None
    gradient: np.ndarray | None


Change = Callable[[np.ndarray], np.ndarray]


def other_loss(network: Network, given: Sequence[Given]) -> str:
    """Return in words what leads to all losses; empty if nothing that is known does."""
    known = [each for each in given if each.loss is not None]
    for words, loss in _losses(network):
        with np.errstate(all="ignore"), suppress(Exception):  # user-defined layers may raise anything
            if all(same(np.array(each.loss), loss(**each.arguments), 1e-3) for each in known):
                return words
    return ""


def other_gradient(network: Network, given: Sequence[Given]) -> str:
    """Return in words what leads to all gradients; empty if nothing that is known does."""
    if any(each.gradient is None or each.gradient.size != network.layout.size for each in given):
        return ""
    expected = [network.loss_and_gradient(**each.arguments)[1] for each in given]
    found = [each.gradient for each in given]
    for words, order in _orders(network):
        returned = [np.concatenate([J[tensor.span] for tensor in order]) for J in expected]
        if all(same(J, other, 1e-3) for J, other in zip(found, returned, strict=True)):
            return f"the parts of the gradient have another order than theta: {words}"
    for words, rows in (("last", slice(-1, None)), ("first", slice(0, 1))):
        alone = []
        for each in given:
            theta, X, T = each.arguments.values()
            alone.append(network.loss_and_gradient(theta, X[rows], T[rows])[1])
        for scale, count in (("", 0), (", divided by N", -1), (", multiplied by N", 1)):
            sizes = [float(len(each.arguments["X"])) ** count for each in given]
            if all(same(J, size * one, 1e-3) for J, size, one in zip(found, sizes, alone, strict=True)):
                return f"only the {words} row enters the gradient{scale}"
    error = np.abs(found[0] - expected[0]).max() / (np.abs(expected[0]).max() or 1)
    if error < 0.1:
        return f"the gradient is right up to {100 * error:.1g} % only, as if differences with a large step were taken"
    return ""


def _losses(network: Network) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield other losses that a student may compute."""

    def at(change: Change, of: Network = network) -> Callable[..., Any]:
        return lambda theta, X, T: of.loss(change(theta), X, T)

    tensors = network.layout.tensors
    for words, order in _orders(network):

        def read(theta: np.ndarray, order: Any = order) -> np.ndarray:
            changed, start = np.empty_like(theta), 0
            for tensor in order:
                changed[tensor.span] = theta[start : start + tensor.size]
                start += tensor.size
            return changed

        yield f"theta is read in another order: {words}", at(read)
    matrices = [tensor for tensor in tensors if len(tensor.shape) == 2]
    for some, words in ((matrices, "each matrix"), *(([tensor], str(tensor)) for tensor in matrices)):

        def read_transposed(theta: np.ndarray, some: Any = some) -> np.ndarray:
            changed = theta.copy()
            for tensor in some:
                changed[tensor.span] = theta[tensor.span].reshape(tensor.shape[::-1]).T.ravel()
            return changed

        yield f"{words} is read column by column, not row by row", at(read_transposed)
    for tensor in tensors:

        def without(theta: np.ndarray, tensor: Any = tensor) -> np.ndarray:
            changed = theta.copy()
            changed[tensor.span] = 0
            return changed

        yield f"{tensor} is left out", at(without)
    for number in network.activations:
        for part in ACTIVATIONS:
            for layer in (part.cls(), *([part.cls(0.01), part.cls(0.1)] if part.name == "leaky_relu" else [])):
                layers = [*network.layers[:number], layer, *network.layers[number + 1 :]]
                other = Network(network.inputs, layers, network.loss_function, network.penalties)
                old = f"layer {number} ({type(network.layers[number]).__name__})"
                new = f"is {type(layer).__name__}" if part.name != "identity" else "is left out"
                yield f"{old} {new} in the forward pass", at(lambda theta: theta, other)
    yield from _reduced(network)
    bare = Network(network.inputs, network.layers, network.loss_function)

    def with_penalties(share: Callable[..., Any]) -> Callable[..., Any]:
        def loss(theta: Any, X: Any, T: Any) -> Any:
            return bare.loss(theta, X, T) + share(theta, X) * (network.loss(theta, X, T) - bare.loss(theta, X, T))

        return loss

    def of_tensor(theta: Any, tensor: Any) -> float:
        values = [sum(float(p.value(theta[t.span].reshape(t.shape))) for p in network.penalties) for t in matrices]
        return values[matrices.index(tensor)] / sum(values)

    for tensor in matrices if network.penalties else ():
        yield (
            f"only {tensor} enters the penalty",
            with_penalties(lambda theta, X, tensor=tensor: of_tensor(theta, tensor)),
        )
    if network.penalties:
        yield "the penalty is divided by N, the number of rows", with_penalties(lambda theta, X: 1 / len(X))
        yield "the penalty is multiplied by N, the number of rows", with_penalties(lambda theta, X: len(X))
        yield "the penalty is doubled", with_penalties(lambda theta, X: 2)
        yield "the penalty is halved", with_penalties(lambda theta, X: 0.5)
        yield "the penalty is subtracted", with_penalties(lambda theta, X: -1)


def _reduced(network: Network) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield losses that rows or classes enter in another way."""

    def of_outputs(made: Callable[..., Any]) -> Callable[..., Any]:
        def loss(theta: Any, X: Any, T: Any) -> Any:
            rows = len(X) if network.reduction == "mean" else 1
            return made(network.forward(theta, X)[0][-1], T) / rows + network.penalty(theta, network.batch(theta, X, T))

        return loss

    if isinstance(network.loss_function, SoftmaxCrossEntropy):
        over_rows = of_outputs(lambda Z, T: -np.sum(T * np.log(softmax(Z, 0))))
        yield "the softmax is taken over the rows, not over the classes of each row", over_rows
    if isinstance(network.loss_function, BinaryCrossEntropy):
        yield (
            "the terms of the targets that are 0 are left out",
            of_outputs(lambda Z, T: np.sum(T * np.log1p(np.exp(-Z)))),
        )
        yield (
            "the terms of the targets that are 1 are left out",
            of_outputs(lambda Z, T: np.sum((1 - T) * np.log1p(np.exp(Z)))),
        )
    if isinstance(network.loss_function, SquaredError) and network.outputs == 1:
        for factor in (0.5, 1.0):
            for mean in (False, True):

                def squares(Z: Any, T: Any, factor: float = factor, mean: bool = mean) -> Any:
                    total = factor * np.sum((Z - T.ravel()) ** 2)
                    return total / len(Z) if mean else total

                yield "(N, 1) less (N,) is (N, N): T has lost its axis of outputs", of_outputs(squares)
    for words, rows in (("the first row is left out", slice(1, None)), ("the last row is left out", slice(None, -1))):
        yield words, lambda theta, X, T, rows=rows: network.loss(theta, X[rows], T[rows]) if len(X) > 1 else 0.0


def _orders(network: Network) -> Iterator[tuple[str, list[Any]]]:
    """Yield other orders of the parameters, in words and as tensors."""
    tensors = list(network.layout.tensors)
    for words, key in (
        ("the last layer comes first", lambda t: (-t.layer, t.start)),
        ("the bias of each layer comes before its weights", lambda t: (t.layer, -t.start)),
        ("all weights come first, and then all biases", lambda t: (len(t.shape) != 2, t.start)),
        ("all biases come first, and then all weights", lambda t: (len(t.shape) == 2, t.start)),
        ("everything is reversed", lambda t: -t.start),
    ):
        order = sorted(tensors, key=key)
        if order != tensors:
            yield words, order

"""Find mistakes in the loss or gradient of a network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice, permutations, product
from typing import Any

import numpy as np

from ...catalog import ACTIVATIONS, LOSSES
from ...core.network import Network
from .explaining import OF_ROWS, Trial, relations
from .mistakes import named, softmax
from .mutations import CHANGES, NUMBERS, OF_NUMBERS, Change, mutated, said, with_numbers
from .tasks import TASKS, same

Pass = Callable[..., tuple[Any, Any]]
"""A function of theta, X and T that returns the loss and the gradient."""


def explained(network: Network, trials: Sequence[Trial], is_loss: bool) -> str:
    """Describe a mistake that explains all losses or gradients, or return "" if none does."""
    calls = sorted((trial for trial in trials if trial.has_value), key=lambda trial: trial.right)
    comparable = (np.isfinite(trial.found).all() and trial.found.shape == trial.expected.shape for trial in calls)
    if calls[0].right or not all(comparable):
        return ""

    def explains(made: Pass) -> bool:
        for trial in calls:
            value = made(*trial.arguments)[0 if is_loss else 1]
            if not same(trial.found, value, trial.precision):
                return False
            if not trial.right and same(value, trial.expected, trial.precision):
                return False
        return True

    for words, made in chain(_of_losses(network) if is_loss else _of_gradients(network), _of_parts(network, is_loss)):
        with np.errstate(all="ignore"), suppress(Exception):  # user-defined layers may raise anything
            if explains(made):
                return words
    tensors = [] if is_loss else network.layout.tensors
    errors = [np.abs(trial.found - trial.expected) > trial.precision * np.abs(trial.expected).max() for trial in calls]
    wrong = [tensor for tensor in tensors if any(error[tensor.span].any() for error in errors)]
    places = np.concatenate([np.arange(network.layout.size)[tensor.span] for tensor in wrong]) if wrong else ...
    pairs = [(trial, 0, trial.found[places], trial.expected[places]) for trial in calls]
    terms: dict[str, Callable[[Any], Any]] = {
        "theta": lambda theta: theta[places],
        "the sum of the squares of theta": lambda theta: np.sum(theta**2),
        "the sum of the absolute values of theta": lambda theta: np.sum(np.abs(theta)),
    }
    words, _ = next(relations(pairs, terms, lambda pair, name: terms[name](pair[0].arguments[0])), ("", ""))
    where = f"gradient of {' and '.join(map(str, wrong))}" if 0 < len(wrong) < len(tensors) else "gradient"
    return f"in the {'loss' if is_loss else where}, {words}" if words else ""


ERROR, BACK = "the error at the output", " in the backward pass"


def _changed_pass(network: Network, place: str, change: Change) -> Pass:
    """Return a network's pass with one value changed, such as "the gradient"."""

    def made(theta: Any, X: Any, T: Any) -> tuple[Any, Any]:
        N, layout, gradient, saved = len(X), network.layout, np.zeros_like(theta), []

        def at(name: str, value: Any) -> Any:
            return change(value, N) if name == place else value

        def at_tensors(name: str, values: Any) -> Any:
            """Change each tensor of a flat vector."""
            changed = values.copy()
            for tensor in layout.tensors:
                changed[tensor.span] = at(name.format(tensor), values[tensor.span].reshape(tensor.shape)).ravel()
            return changed

        used, batch = at_tensors("{}", theta), network._batch(theta, X, T)
        Js, backward = layout.views(gradient), layout.views(at_tensors(f"{{}}{BACK}", theta))
        Z, targets = at("X", X), at("T", batch.T)
        for number, (layer, p) in enumerate(zip(network.layers, layout.views(used), strict=True)):
            Z, cache = layer.forward(p, Z, None)
            Z = at(_at_layer(network, "output of", number), Z)
            saved.append(cache)
        weight = 1 if network.reduction == "sum" else 1 / N
        loss = np.sum(weight * network.loss_function.value(Z, targets)) + network._penalty(used, batch)
        delta = at(ERROR, weight * network.loss_function.delta(Z, targets))
        for number in reversed(range(len(network.layers))):
            delta = network.layers[number].backward(backward[number], saved[number], delta, Js[number])
            delta = at(_at_layer(network, "error before", number), delta)
        gradient = at_tensors("the gradient of {}", gradient)
        network._add_penalty_gradient(used, gradient, batch)
        return loss, at("the gradient", gradient)

    return made


def _at_layer(network: Network, what: str, number: int) -> str:
    return f"the {what} layer {number} ({type(network.layers[number]).__name__})"


def _of_parts(network: Network, is_loss: bool) -> Iterator[tuple[str, Pass]]:
    """Yield passes with one value changed."""
    layers, tensors = range(len(network.layers)), [str(tensor) for tensor in network.layout.tensors]
    places = ["X", "T", *tensors, *(_at_layer(network, "output of", k) for k in layers)]
    if not is_loss:
        errors = [_at_layer(network, "error before", k) for k in layers]
        gradients, back = [f"the gradient of {tensor}" for tensor in tensors], [f"{tensor}{BACK}" for tensor in tensors]
        places = ["the gradient", ERROR, *gradients, *errors, *back, *places]
    for place, (words, _, change) in product(places, CHANGES):
        yield said(words, place), _changed_pass(network, place, change)
    places = [place for place in places if not any(tensor in place for tensor in tensors)]  # `relations` covers tensors
    for place, (words, _, change), c in product(places, OF_NUMBERS, NUMBERS):
        made = _changed_pass(network, place, lambda A, N, change=change, c=c: change(A, c))
        yield said(words, place, c), made


def _of_losses(network: Network) -> Iterator[tuple[str, Pass]]:
    """Yield wrong losses."""

    def read(places: np.ndarray) -> Pass:
        return lambda theta, X, T: network.loss_and_gradient(theta[places], X, T)

    I, layers, loss, penalties = network.inputs, network.layers, network.loss_function, network.penalties
    tensors = network.layout.tensors
    for words, places in _orders(network):
        yield f"theta is read in another order: {words}", read(np.argsort(places))
    matrices = [tensor for tensor in tensors if len(tensor.shape) == 2]
    for some, words in ((matrices, "each matrix"), *(([tensor], str(tensor)) for tensor in matrices)):
        places = np.arange(network.layout.size)
        for tensor in some:
            places[tensor.span] = places[tensor.span].reshape(tensor.shape[::-1]).T.ravel()
        yield f"{words} is read in column-major order, not row-major order", read(places)
    for tensor in tensors:
        yield f"{tensor} is left out", _changed_pass(network, str(tensor), lambda A, N: 0 * A)
    for number, part in product(network._activations, ACTIVATIONS):
        new = f"is {part.cls.__name__}" if part.name != "identity" else "is left out"
        words = f"layer {number} ({type(layers[number]).__name__}) {new} in the forward pass"
        for layer in (part.cls(), *([part.cls(0.01), part.cls(0.1)] if part.name == "leaky_relu" else [])):
            yield words, Network(I, [*layers[:number], layer, *layers[number + 1 :]], loss, penalties).loss_and_gradient
    for part, reduction in product(LOSSES, ("mean", "sum")):
        with suppress(Exception):  # some losses have no reduction
            other = Network(I, layers, part.cls(reduction=reduction), penalties)
            yield f"the loss is {part.cls.__name__} with the reduction {reduction}", other.loss_and_gradient
    yield from _of_outputs(network)
    for words, rows in OF_ROWS:
        yield words, lambda theta, X, T, rows=rows: network.loss_and_gradient(theta, X[rows], T[rows])
    bare = Network(I, layers, loss)
    others: list[tuple[str, Any, Callable[[int], float]]] = [
        *((f"the penalty includes only {tensor}", [tensor], lambda N: 1) for tensor in matrices),
        ("the penalty includes biases", tensors, lambda N: 1),
        ("the penalty is divided by N, the number of rows", matrices, lambda N: 1 / N),
        *((f"the penalty is multiplied by {c:g}", matrices, lambda N, c=c: c) for c in (0.5, 2, -1)),
    ]
    for words, some, scale in others if penalties else ():

        def of_penalty(theta: Any, X: Any, T: Any, some: Any = some, scale: Any = scale) -> Any:
            values = (p.value(theta[tensor.span].reshape(1, -1)) for tensor in some for p in penalties)
            return bare.loss(theta, X, T) + sum(values) * scale(len(X)), None

        yield words, of_penalty


def _of_outputs(network: Network) -> Iterator[tuple[str, Pass]]:
    """Yield losses that combine rows or classes wrongly."""

    def with_sum(made: Callable[..., Any], scale: Callable[[int, int], float] = lambda N, O: 1) -> Pass:
        def passed(theta: Any, X: Any, T: Any) -> Any:
            Z, penalty = network.forward(theta, X)[0][-1], network._penalty(theta, network._batch(theta, X, T))
            rows = len(X) if network.reduction == "mean" else 1
            return made(Z, network.loss_function.predict(Z), T) * scale(*Z.shape) / rows + penalty, None

        return passed

    right = lambda Z, Y, T: np.sum(network.loss_function.value(Z, T))  # noqa: E731
    for c in (2, 3, 4, 5, 7, 8, 10, 16, 20, 32, 64, 100) if network.reduction == "mean" else ():
        yield f"N is always {c}", with_sum(right, lambda N, O, c=c: N / c)
        yield f"N is at most {c}", with_sum(right, lambda N, O, c=c: max(N / c, 1))
    for shift, (axis, words) in product((0, 1), ((0, "the rows"), (None, "all entries"))):

        def over(Z: Any, Y: Any, T: Any, axis: int | None = axis, shift: int = shift) -> Any:
            return -np.sum(T * np.log(softmax(Z - shift * Z.max(axis=1, keepdims=True), axis)))

        yield f"the softmax is computed over {words}, not over the classes of each row", with_sum(over)
    lost = "(N, 1) - (N,) broadcasts to (N, N): T lacks its output axis"
    wrong = [
        ("the terms of targets equal to 0 are left out", lambda Z, Y, T: -np.sum(T * np.log(Y))),
        ("the terms of targets equal to 1 are left out", lambda Z, Y, T: -np.sum((1 - T) * np.log(1 - Y))),
        ("half of the squared error is used", lambda Z, Y, T: np.sum((Y - T) ** 2) / 2),
        ("the root mean squared error is used", lambda Z, Y, T: len(Z) * np.sqrt(np.mean((Y - T) ** 2))),
        (lost, lambda Z, Y, T: np.sum((Y - T.T) ** 2)),
        (lost, lambda Z, Y, T: np.sum((Y - T.T) ** 2) / 2),
        *((one.name, lambda Z, Y, T, made=one.made: made(Y, T)) for one in named(TASKS["loss"])),
    ]
    for words, loss in wrong:
        yield words, with_sum(loss)
        yield f"{words}; and the rows are summed, not averaged", with_sum(loss, lambda N, O: N)
        yield f"{words}; and it is divided by the number of outputs", with_sum(loss, lambda N, O: 1 / O)
        yield f"{words}; and it is the mean over all entries", with_sum(loss, lambda N, O: 1 / (N * O))
    for one in chain(mutated(TASKS["loss"]), with_numbers(TASKS["loss"])):
        yield one.name, with_sum(lambda Z, Y, T, made=one.made: made(Y, T))


def _of_gradients(network: Network) -> Iterator[tuple[str, Pass]]:
    """Yield wrong gradients of correct losses."""
    for words, places in _orders(network):
        made = lambda *args, places=places: (None, network.loss_and_gradient(*args)[1][places])  # noqa: E731
        yield f"the parts of the gradient are in another order than theta: {words}", made
    for words, rows in OF_ROWS:
        for is_part, scale in ((False, ""), (True, ", divided by N")):

            def of_rows(theta: Any, X: Any, T: Any, rows: slice = rows, is_part: bool = is_part) -> Any:
                J = network.loss_and_gradient(theta, X[rows], T[rows])[1] if len(X[rows]) else 0 * theta
                return None, J * (len(X[rows]) / len(X) if is_part else 1)

            yield f"in the gradient, {words}{scale}", of_rows
    for h in (1e-3, 1e-2, 0.05, 0.1, 0.5, 1.0) if network.layout.size <= 200 else ():  # two losses per parameter
        for back, words in ((0, "forward"), (1, "central")):

            def differences(theta: Any, X: Any, T: Any, h: float = h, back: int = back) -> Any:
                steps = h * np.eye(len(theta))
                after = [network.loss(theta + step, X, T) - network.loss(theta - back * step, X, T) for step in steps]
                return None, np.array(after) / (h * (1 + back))

            yield f"it is a {words} difference with a step of {h:g}, which is too large", differences


def _orders(network: Network) -> Iterator[tuple[str, np.ndarray]]:
    """Yield wrong orders of the parameters, as words and as indices of theta."""
    tensors = list(network.layout.tensors)
    keys: dict[str, Callable[[Any], Any]] = {
        "the last layer is first": lambda t: (-t.layer, t.start),
        "the bias of each layer precedes its weights": lambda t: (t.layer, -t.start),
        "all weights precede all biases": lambda t: (len(t.shape) != 2, t.start),
        "all biases precede all weights": lambda t: (len(t.shape) == 2, t.start),
        "all tensors are reversed": lambda t: -t.start,
    }
    orders = [(words, sorted(tensors, key=key)) for words, key in keys.items()]
    orders += [(", ".join(map(str, order)), [*order]) for order in islice(permutations(tensors), 1, 120)]
    for words, order in orders:
        yield words, np.concatenate([np.arange(tensor.start, tensor.start + tensor.size) for tensor in order])

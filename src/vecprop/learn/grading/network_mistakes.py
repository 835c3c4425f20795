"""Find mistakes in the loss or gradient of a network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice, permutations, product
from typing import Any

import numpy as np

from ...catalog import ACTIVATIONS, LOSSES
from ...check.points.network import Changed
from ...core.elementary import Array
from ...core.network import Network
from .explaining import ROW_SUBSETS, Pair, Trial, explains, relations
from .mistakes import named, softmax
from .mutations import (
    CHANGES,
    NUMBER_CHANGES,
    ChangeFunction,
    constant,
    described,
    mutated,
    with_constants,
    with_numbers,
)
from .tasks import TASKS

Mistakes = Iterator[tuple[str, Callable[..., Any]]]
"""Descriptions of mistakes, and wrong losses or gradients as functions of theta, X, T."""


def explained(network: Network, trials: Sequence[Trial], is_loss: bool) -> str:
    """Describe a mistake that explains all losses or gradients, or return "" if none does."""
    trials = [trial for trial in trials if trial.has_value]
    trials.sort(key=lambda trial: trial.is_right)  # wrong results exclude most mistakes
    if trials[0].is_right:
        return ""
    for trial in trials:
        if not trial.is_finite or trial.value.shape != trial.expected.shape:
            return ""
    mistakes = wrong_losses(network) if is_loss else wrong_gradients(network)
    with np.errstate(all="ignore"):
        for words, function in chain(mistakes, changed_values(network, is_loss)):
            if explains(function, trials):
                return words
    return _relation(network, trials, is_loss)


def _relation(network, trials, is_loss):
    """Describe a simple relation between the results and the expected values, or return ""."""
    subject = "loss"
    entries: Any = ...  # all
    if not is_loss:
        subject = "gradient"
        tensors = network.layout.tensors
        wrong_tensors = [tensor for tensor in tensors if _is_wrong(tensor, trials)]
        if wrong_tensors:
            entries = np.concatenate([_indices(tensor) for tensor in wrong_tensors])
            if len(wrong_tensors) < len(tensors):
                subject = f"gradient of {' and '.join(map(str, wrong_tensors))}"
    pairs = []
    parameters = []
    squares = []
    absolute_values = []
    for trial in trials:
        value = trial.value[entries]
        pairs.append(Pair(trial, 0, value, expected=trial.expected[entries]))
        theta = trial.arguments["theta"]
        parameters.append(theta[entries])
        squares.append(np.sum(theta**2))
        absolute_values.append(np.abs(theta).sum())
    terms = {
        "theta": parameters,
        "the sum of the squares of theta": squares,
        "the sum of the absolute values of theta": absolute_values,
    }
    for mistake in relations(pairs, terms):
        return f"in the {subject}, {mistake.name}"
    return ""


def _is_wrong(tensor, trials):
    for trial in trials:
        error = np.abs(trial.value - trial.expected)[tensor.span]
        if (error > trial.precision * np.abs(trial.expected).max()).any():
            return True
    return False


def _indices(tensor):
    """Return the indices of a tensor's entries in theta."""
    return np.arange(tensor.start, tensor.start + tensor.size)


ERROR, BACK = "the error at the output", " in the backward pass"

MOST_ORDERS = 120
"""The largest number of permutations of tensors that are tried."""

MOST_DIFFERENCES = 200
"""The most parameters for finite differences, which need two losses per parameter."""


class ChangedPass:
    """A network's loss or gradient with one value changed, such as "X"."""

    def __init__(
        self, network: Network, value_name: str, change: ChangeFunction, is_loss: bool
    ):
        self.network = network
        self.value_name = value_name
        self.change = change
        self.is_loss = is_loss
        layers: list[Any] = list(map(self.changed_layer, range(len(network.layers))))
        self.twin = Network(network.inputs, layers, network.loss_function)

    def changed_layer(self, number: int):
        """Return a layer whose output and whose error before it are changed."""
        layer = self.network.layers[number]

        def forward(p, X, noise=None):
            Z, cache = layer.forward(p, X, noise)
            return self.changed(_output_name(self.network, number), Z, len(Z)), cache

        def backward(p, cache, delta, J):
            before = layer.backward(p, cache, delta, J)
            return self.changed(_error_name(self.network, number), before, len(delta))

        return Changed(layer, forward=forward, backward=backward)

    def changed(self, name: str, value, rows: int) -> Array:
        return self.change(value, rows) if name == self.value_name else value

    def changed_tensors(self, name: str, vector, rows: int) -> Array:
        """Change each tensor of a flat vector."""
        changed = vector.copy()
        for tensor in self.network.layout.tensors:
            values = vector[tensor.span].reshape(tensor.shape)
            changed[tensor.span] = self.changed(
                name.format(tensor), values, rows
            ).ravel()
        return changed

    def __call__(self, theta, X, T) -> Array:
        network = self.network
        rows = len(X)
        changed_theta = self.changed_tensors("{}", theta, rows)
        batch = network._batch(theta, X, T)
        targets = self.changed("T", batch.T, rows)

        outputs, caches = self.twin.forward(changed_theta, self.changed("X", X, rows))
        Z = outputs[-1]
        weight = 1 if network.reduction == "sum" else 1 / rows
        if self.is_loss:
            losses = weight * network.loss_function.value(Z, targets)
            return np.sum(losses) + network._penalty(changed_theta, batch)

        delta = weight * network.loss_function.delta(Z, targets)
        delta = self.changed(ERROR, delta, rows)
        backward_theta = self.changed_tensors(f"{{}}{BACK}", theta, rows)
        gradient = np.zeros_like(theta)
        self.twin.backward(backward_theta, caches, delta, gradient)
        gradient = self.changed_tensors("the gradient of {}", gradient, rows)
        network._add_penalty_gradient(changed_theta, gradient, batch)
        return self.changed("the gradient", gradient, rows)


def _layer_name(network, number):
    return f"layer {number} ({type(network.layers[number]).__name__})"


def _output_name(network, number):
    return f"the output of {_layer_name(network, number)}"


def _error_name(network, number):
    return f"the error before {_layer_name(network, number)}"


def changed_values(network: Network, is_loss: bool) -> Mistakes:
    """Yield losses or gradients with one value changed."""
    layers = []
    for number, sources in enumerate(network._sources):
        if len(sources) == 1:
            layers.append(number)
    tensors = [str(tensor) for tensor in network.layout.tensors]
    outputs = [_output_name(network, number) for number in layers]
    names = ["X", "T", *tensors, *outputs]
    names_without_tensors = ["X", "T", *outputs]
    if not is_loss:
        gradient = ["the gradient", ERROR]
        errors = [_error_name(network, number) for number in layers]
        gradients = [f"the gradient of {tensor}" for tensor in tensors]
        backward_tensors = [f"{tensor}{BACK}" for tensor in tensors]
        names = gradient + gradients + errors + backward_tensors + names
        names_without_tensors = gradient + errors + names_without_tensors
    # `relations` covers tensors that change by a number
    for name, change in chain(
        product(names, CHANGES), product(names_without_tensors, NUMBER_CHANGES)
    ):
        function = ChangedPass(network, name, change.function, is_loss=is_loss)
        yield described(change.words, name), function


def wrong_losses(network: Network) -> Mistakes:
    """Yield wrong losses."""
    yield from _other_parameters(network)
    yield from _other_parts(network)
    yield from _other_sums(network)
    for words, rows in ROW_SUBSETS.items():
        yield (
            words,
            lambda theta, X, T, rows=rows: network.loss(theta, X[rows], T[rows]),
        )
    if network.penalties:
        yield from _wrong_penalties(network)


def _reading_theta(network, indices):
    return lambda theta, X, T: network.loss(theta[indices], X, T)


def _matrices(network):
    return [tensor for tensor in network.layout.tensors if len(tensor.shape) == 2]


def _other_parameters(network):
    """Yield losses of parameters that are read in another order or left out."""
    for words, indices in _orders(network):
        yield (
            f"theta is read in another order: {words}",
            _reading_theta(network, np.argsort(indices)),
        )
    matrices = _matrices(network)
    misread_matrices = {"each matrix": matrices}
    for matrix in matrices:
        misread_matrices[str(matrix)] = [matrix]
    for words, tensors in misread_matrices.items():
        yield (
            f"{words} is read in column-major order, not row-major order",
            _reading_theta(network, _column_major_indices(network, tensors)),
        )
    set_to_zero = with_constants(constant, 0)
    for tensor in network.layout.tensors:
        yield (
            f"{tensor} is left out",
            ChangedPass(network, str(tensor), set_to_zero, is_loss=True),
        )


def _column_major_indices(network, matrices):
    """Return the indices of theta if some matrices are read in column-major order."""
    indices = np.arange(network.layout.size)
    for matrix in matrices:
        rows, columns = matrix.shape
        transposed = _indices(matrix).reshape(columns, rows)
        indices[matrix.span] = transposed.T.ravel()
    return indices


def _other_parts(network):
    """Yield losses of networks with another activation or loss."""
    loss = network.loss_function
    for number in network._activations:
        for words, activation in _activations():
            layers = [*network.layers]
            layers[number] = activation
            changed_network = Network(network.inputs, layers, loss, network.penalties)
            yield (
                f"{_layer_name(network, number)} {words} in the forward pass",
                changed_network.loss,
            )
    for part, reduction in product(LOSSES, ("mean", "sum")):
        with suppress(Exception):  # some losses have no reduction
            loss = part.cls(reduction=reduction)
            changed_network = Network(
                network.inputs, network.layers, loss, network.penalties
            )
            yield (
                f"the loss is {part.cls.__name__} with the reduction {reduction}",
                changed_network.loss,
            )


def _activations():
    for part in ACTIVATIONS:
        words = "is left out" if part.name == "identity" else f"is {part.cls.__name__}"
        yield words, part.cls()
        if part.name == "leaky_relu":
            yield words, part.cls(0.01)
            yield words, part.cls(0.1)


def _wrong_penalties(network):
    matrices = _matrices(network)
    for tensor in matrices:
        yield f"the penalty includes only {tensor}", _with_penalty(network, [tensor])
    yield "the penalty includes biases", _with_penalty(network, network.layout.tensors)
    yield (
        "the penalty is divided by N, the number of rows",
        _with_penalty(network, matrices, rows_power=-1),
    )
    for factor in (0.5, 2, -1):
        yield (
            f"the penalty is multiplied by {factor:g}",
            _with_penalty(network, matrices, factor=factor),
        )


def _with_penalty(network, tensors, factor=1.0, rows_power=0):
    """Return the loss of a network with a scaled penalty of some tensors."""
    without_penalties = Network(network.inputs, network.layers, network.loss_function)

    def wrong_loss(theta, X, T):
        loss = without_penalties.loss(theta, X, T)
        scale = factor * float(len(X)) ** rows_power
        for tensor, penalty in product(tensors, network.penalties):
            loss += scale * penalty.value(theta[tensor.span].reshape(1, -1))
        return loss

    return wrong_loss


def _with_sum(network, loss_sum, rows_power=0, outputs_power=0):
    """Return the loss of a network with another sum of the row losses.

    `loss_sum` is a function of the last layer's outputs Z and the targets T. The sum is
    multiplied by N^rows_power O^outputs_power, with N rows and O outputs.
    """

    def wrong_loss(theta, X, T):
        layer_outputs, _ = network.forward(theta, X)
        Z = layer_outputs[-1]
        rows, outputs = Z.shape
        scale = float(rows) ** rows_power * float(outputs) ** outputs_power
        total = loss_sum(Z, T) * scale
        if network.reduction == "mean":
            total = total / rows
        return total + network._penalty(theta, network._batch(theta, X, T))

    return wrong_loss


LOST_AXIS = "(N, 1) - (N,) broadcasts to (N, N): T lacks its output axis"
LOSS_SUMS = [
    (
        "the terms of targets equal to 0 are left out",
        lambda Y, T: -np.sum(T * np.log(Y)),
    ),
    (
        "the terms of targets equal to 1 are left out",
        lambda Y, T: -np.sum((1 - T) * np.log(1 - Y)),
    ),
    ("half of the squared error is used", lambda Y, T: np.sum((Y - T) ** 2) / 2),
    (
        "the root mean squared error is used",
        lambda Y, T: len(Y) * np.sqrt(np.mean((Y - T) ** 2)),
    ),
    (LOST_AXIS, lambda Y, T: np.sum((Y - T.T) ** 2)),
    (LOST_AXIS, lambda Y, T: np.sum((Y - T.T) ** 2) / 2),
]
"""Wrong sums of the losses of all rows."""

SCALES = [
    ("", 0, 0),
    ("; and the rows are summed, not averaged", 1, 0),
    ("; and it is divided by the number of outputs", 0, -1),
    ("; and it is the mean over all entries", -1, -1),
]
"""Second mistakes: their descriptions, and powers of the numbers of rows and outputs."""


def _other_sums(network):
    """Yield losses that combine rows or classes wrongly."""
    if network.reduction == "mean":
        yield from _wrong_row_counts(network)
    yield from _wrong_softmax_axes(network)
    loss_task = TASKS["loss"]
    for words, wrong_sum in chain(LOSS_SUMS, _mistakes(named(loss_task))):
        loss_sum = _of_predictions(network, wrong_sum)
        # with and without a second mistake
        for ending, rows_power, outputs_power in SCALES:
            loss = _with_sum(
                network, loss_sum, rows_power=rows_power, outputs_power=outputs_power
            )
            yield f"{words}{ending}", loss
    mutations = chain(mutated(loss_task), with_numbers(loss_task))
    for words, wrong_sum in _mistakes(mutations):
        yield words, _with_sum(network, _of_predictions(network, wrong_sum))


def _wrong_row_counts(network):
    """Yield losses that are divided by a constant, not by the number N of rows."""
    for count in (2, 3, 4, 5, 7, 8, 10, 16, 20, 32, 64, 100):
        loss_sum = _with_row_count(network, count)
        yield f"N is always {count}", _with_sum(network, loss_sum)
        loss_sum = _with_row_count(network, count, is_limit=True)
        yield f"N is at most {count}", _with_sum(network, loss_sum)


def _wrong_softmax_axes(network):
    for is_shifted in (False, True):
        for axis, entries in ((0, "the rows"), (None, "all entries")):
            words = (
                f"the softmax is computed over {entries}, not over the classes of"
                " each row"
            )
            yield words, _with_sum(network, _cross_entropy(axis, is_shifted))


def _mistakes(mistakes):
    return ((mistake.name, mistake.function) for mistake in mistakes)


def _with_row_count(network, count, is_limit=False):
    """Return the sum of the losses if they are divided by a constant, not by the number of rows."""

    def loss_sum(Z, T):
        factor = len(Z) / count
        if is_limit:
            factor = max(factor, 1)
        return factor * np.sum(network.loss_function.value(Z, T))

    return loss_sum


def _cross_entropy(axis, is_shifted):
    """Return the cross-entropy with a softmax along a wrong axis."""

    def loss_sum(Z, T):
        if is_shifted:
            Z = Z - Z.max(axis=1, keepdims=True)
        return -np.sum(T * np.log(softmax(Z, axis)))

    return loss_sum


def _of_predictions(network, loss):
    return lambda Z, T: loss(network.loss_function.predict(Z), T)


def wrong_gradients(network: Network) -> Mistakes:
    """Yield wrong gradients of correct losses."""
    for words, indices in _orders(network):
        yield (
            f"the parts of the gradient are in another order than theta: {words}",
            _reordered_gradient(network, indices),
        )
    for words, rows in ROW_SUBSETS.items():
        yield f"in the gradient, {words}", _gradient_of_rows(network, rows)
        yield (
            f"in the gradient, {words}, divided by N",
            _gradient_of_rows(network, rows, divides_by_all=True),
        )
    if network.layout.size > MOST_DIFFERENCES:
        return
    for h in (1e-3, 1e-2, 0.05, 0.1, 0.5, 1.0):
        words = f"difference with a step of {h:g}, which is too large"
        yield f"it is a forward {words}", _differences(network, h, 0)
        yield f"it is a central {words}", _differences(network, h, h)


def _reordered_gradient(network, indices):
    def wrong_gradient(theta, X, T):
        _, gradient = network.loss_and_gradient(theta, X, T)
        return gradient[indices]

    return wrong_gradient


def _gradient_of_rows(network, rows, divides_by_all=False):
    """Return the gradient of some rows, whose sum may be divided by the number of all rows."""

    def wrong_gradient(theta, X, T):
        count = len(X[rows])
        if count == 0:
            return 0 * theta
        _, gradient = network.loss_and_gradient(theta, X[rows], T[rows])
        if divides_by_all:
            gradient = gradient * (count / len(X))
        return gradient

    return wrong_gradient


def _differences(network, forward, backward):
    """Return the gradient by finite differences."""

    def wrong_gradient(theta, X, T):
        differences = []
        for direction in np.eye(len(theta)):
            after = network.loss(theta + forward * direction, X, T)
            before = network.loss(theta - backward * direction, X, T)
            differences.append(after - before)
        return np.array(differences) / (forward + backward)

    return wrong_gradient


def _orders(network):
    """Yield wrong orders of the parameters, as words and as indices of theta."""
    tensors = list(network.layout.tensors)
    weights = _matrices(network)
    biases = [tensor for tensor in tensors if tensor not in weights]
    last_layer_first = sorted(tensors, key=lambda tensor: -tensor.layer)
    bias_first = sorted(tensors, key=lambda tensor: (tensor.layer, -tensor.start))
    orders = [
        ("the last layer is first", last_layer_first),
        ("the bias of each layer precedes its weights", bias_first),
        ("all weights precede all biases", weights + biases),
        ("all biases precede all weights", biases + weights),
        ("all tensors are reversed", tensors[::-1]),
    ]
    for order in islice(permutations(tensors), 1, MOST_ORDERS):
        orders.append((", ".join(map(str, order)), list(order)))
    for words, order in orders:
        yield words, np.concatenate([_indices(tensor) for tensor in order])

"""Collect the values of a pass by name: X, T, Z1, H1, …, Y, l, L, delta_Z2, J_W2.

The network's own methods compute all values. Layers, including nested layers, and the
loss are replaced by recording copies.
"""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from string import ascii_lowercase
from typing import Any, Literal

import numpy as np

from ...core import Array, Batch, Dense, Layer, Network, RandomKey, one_hot
from ...core.joints import Add, Branch, Concatenate, Fork
from ...core.layers import Tensor
from ...optimize.optimizers import Optimizer, State
from .equations import (
    DROPOUT,
    LAYER_NORM,
    LOSSES,
    OPTIMIZERS,
    LayerEquations,
    LossEquations,
    layer_equations,
)

Stage = Literal["given", "forward", "loss", "backward", "step"]
Parameter = tuple[str, Tensor]
"""The name of a parameter in the trace, and its place in theta."""


@dataclass(frozen=True)
class Value:
    """A named value; names in its equation are in braces.

    With `of_rows`, the first axis of the array contains the data rows.
    """

    name: str
    array: Array
    stage: Stage
    equation: str = ""
    layer: str = ""
    of_rows: bool = False


@dataclass
class LayerPass:
    """The recorded values of one layer in a pass, and the names of the values.

    `inside` contains the passes of the layers of a composite layer. `names` maps the
    roles in the layer's equations, such as "X" and "dX", to names such as "H1".
    """

    layer: Layer
    p: dict[str, Array]
    X: Array
    Y: Array = None
    saved: Any = None
    delta: Array = None
    delta_X: Array = None
    J: dict[str, Array] = field(default_factory=dict)
    inside: list["LayerPass"] = field(default_factory=list)
    title: str = ""
    names: dict[str, str] = field(default_factory=dict)
    equations: LayerEquations = field(default_factory=LayerEquations)

    def value(self, role: str, array: Array, stage: Stage, template: str = "") -> Value:
        """Return the value of a role, which has a row for each data row."""
        equation = filled(template, self.names, self.layer)
        return Value(
            self.names[role], array, stage, equation, layer=self.title, of_rows=True
        )


def record(
    network: Network, theta, batch: Batch, noise: RandomKey | None, row: int | None
) -> tuple[list[Value], list[Parameter], Array]:
    """Compute the values of a pass, the parameters and the gradient.

    If a row is given, the gradient is the contribution of this row: delta is 0 in all
    other rows.
    """
    layers = []
    row_losses = []
    twin = Network(
        network.inputs,
        [_twin(layer, [layers]) for layer in network.layers],
        _loss_twin(network.loss_function, row_losses, row),
        # gradients of single rows exclude penalties
        network.penalties if row is None else (),
    )
    loss, gradient = twin._batch_loss_and_gradient(theta, batch, noise)
    _give_names(layers, [(batch.X, "X")], "", sources=network._sources)
    last = layers[-1]
    T = one_hot(batch.T, last.Y) if batch.of_classes else batch.T
    values = [
        Value("X", batch.X, "given", of_rows=True),
        Value("T", T, "given", of_rows=True),
    ]
    parameters = []
    for tensor in network.layout.tensors:
        name = layers[tensor.layer].names[tensor.name]
        parameters.append((name, tensor))
        values.append(Value(name, _entries(theta, tensor), "given"))
    for layer in layers:
        values += _forward(layer)
    values += _loss_values(
        network,
        theta,
        batch,
        last=last,
        row_losses=row_losses[0],
        loss=loss if row is None else None,
    )

    penalty_gradients = {}
    if twin.penalties:
        R = np.zeros_like(theta)
        network._add_penalty_gradient(theta, R, batch)
        for name, tensor in parameters:
            if tensor.penalized:
                penalty_gradients[name] = _entries(R, tensor)
    gradients = network.layout.views(gradient)
    for layer, J in zip(reversed(layers), reversed(gradients), strict=True):
        values += _backward(layer, J, penalty_gradients)
    return _with_unique_names(values, row), parameters, gradient


def _entries(vector, tensor):
    """Return the array of a tensor in a vector such as theta."""
    return vector[tensor.span].reshape(tensor.shape)


def _loss_values(network, theta, batch, last, row_losses, loss):
    """Yield the predictions, the losses and the gradient at the last layer's output.

    `last` is the last layer's pass. The total loss is None for a single row.
    """
    function = network.loss_function
    equations = LOSSES.get(type(function), LossEquations())
    names = {"Y": "Y", "T": "T", "Z": last.names["Y"]}
    predictions = function.predict(last.Y)
    equation = filled(equations.Y, names, function)
    yield Value("Y", predictions, "loss", equation, of_rows=True)
    equation = filled(equations.l, names, function)
    yield Value("l", row_losses, "loss", equation, of_rows=True)
    delta_equation = filled(equations.d, names, function)
    loss_equation = "sum({l})"
    if network.reduction == "mean" or batch.weight is not None:
        delta_equation = f"{{w}} * ({delta_equation})"
        loss_equation = "sum({w} * {l})"
        weight = np.asarray(network._row_weight(batch))
        equation = "" if weight.ndim else f"1 / {batch.rows}"
        yield Value("w", weight, "loss", equation, of_rows=weight.ndim > 0)
    if loss is not None:
        if network.penalties:
            loss_equation += " + {R}"
            yield Value("R", np.asarray(network._penalty(theta, batch)), "loss")
        yield Value("L", loss, "loss", loss_equation)
    delta = last.value("dY", last.delta, "backward")
    yield replace(delta, equation=delta_equation)


def _with_unique_names(values, row):
    """Select a row, skip duplicates, and rename different values of the same name."""
    unique = {}
    for value in values:
        array = value.array
        if row is not None and value.of_rows:
            array = array[row : row + 1]
        earlier = unique.get(value.name)
        if earlier is None or not np.array_equal(earlier.array, array, equal_nan=True):
            name = _unused(value.name, unique)
            unique[name] = replace(value, name=name, array=np.array(array))
    return list(unique.values())


def filled(template: str, names: Mapping[str, str], part, **numbers) -> str:
    """Replace roles by names, and words such as epsilon by numbers or attributes of a part.

    Examples
    --------
    >>> filled("{old} - rate * {J}", {"old": "W1", "J": "J_W1"}, None, rate=0.1)
    '{W1} - 0.1 * {J_W1}'
    """
    for name, value in getattr(part, "__dict__", {}).items():
        if isinstance(value, int | float):
            numbers.setdefault(name, value)

    def number_or_word(match):
        word = match[0]
        return f"{numbers[word]:.6g}" if word in numbers else word

    # words that are neither roles in braces nor functions
    template = re.sub(r"(?<![\w{])[A-Za-z]\w*(?![\w(}′])", number_or_word, template)
    return re.sub(r"\{(\w+)\}", lambda match: f"{{{names[match[1]]}}}", template)


def _give_names(steps, named_arrays, prefix, sources=()):
    """Set the title, names and equations of the passes of consecutive layers.

    For example, the first dense layer has the input X, the output Z1, the parameters W1
    and b1 and the gradients J_W1 and J_b1. `named_arrays` contains pairs of an array and
    its name. The sources are the numbers of the steps whose outputs each step takes, or
    empty inside a layer that contains others. There, the prefix is the name of the
    layer's output and a period.
    """
    outputs = []
    forks = []
    count = 0  # of dense layers and of layers without known equations
    for number, step in enumerate(steps):
        step.title = f"{number} {type(step.layer).__name__}"
        step.equations = layer_equations(step.layer, step.p, step.saved)
        is_dense = isinstance(step.layer, Dense)
        if is_dense or step.equations.letter == "F":
            count += 1
        names = [f"{prefix}X{number}"]
        for array, name in named_arrays:
            if array is step.X:
                names = [name]
        if sources:
            names = [
                steps[source].names["Y"] if source >= 0 else "X"
                for source in sources[number]
            ]
        X = names[0]
        Y = _unused(f"{prefix}{step.equations.letter}{count}", outputs)
        outputs.append(Y)
        # dense layers have W1 and Z1, and other layers g_N1 and N1
        short_Y = Y.removeprefix(prefix)
        index = short_Y.removeprefix("Z") if is_dense else f"_{short_Y}"
        step.names = {
            "X": X,
            "Y": Y,
            "S": f"{prefix}S{index}",
            "dX": f"delta_{X}" if X.startswith(prefix) else f"delta_{prefix}{X}",
            "dY": f"delta_{Y}",
            "dU": f"{prefix}d{index}",
        }
        for index, name in enumerate(names[1:], start=1):
            step.names |= {f"X{index}": name, f"dX{index}": f"delta_{name}"}
        _connect(step, forks)
        for role in (*step.equations.saved, *step.p):
            step.names[role] = f"{prefix}{role}{index}"
        for role in step.p:
            step.names[f"J_{role}"] = f"J_{step.names[role]}"
        _give_names(step.inside, named_arrays, f"{Y}.")
        named_arrays = [*named_arrays, (step.Y, Y)]


def _connect(step, forks):
    """Name the connections of a joint with its fork, which is the last of the open forks."""
    kind = type(step.layer)
    if kind is Fork:
        step.names["deltas"] = ""
        forks.append(step)
    elif kind in (Branch, Add):
        names = step.names
        names["dX"] = f"delta_{names['X']}_{names['Y']}"
        fork = forks[-1].names
        separator = "} + {" if fork["deltas"] else ""
        fork["deltas"] += separator + names["dX"]
    if kind in (Add, Concatenate):
        forks.pop()


def _unused(name, taken):
    """Return an unused name, with a letter appended if necessary."""
    candidates = (name + letter for letter in ["", *ascii_lowercase[1:]])
    return next(candidate for candidate in candidates if candidate not in taken)


def _forward(step):
    """Yield the values of a layer's forward pass, after the values of inner layers."""
    for inner in step.inside:
        for role, array in inner.p.items():
            equation = _outer_parameter(step, array)
            yield Value(
                inner.names[role], array, "forward", equation, layer=inner.title
            )
        yield from _forward(inner)
    arrays = {"Y": step.Y}
    if step.equations is LAYER_NORM:
        arrays |= dict(zip(LAYER_NORM.saved, step.saved, strict=True))
    elif step.equations is DROPOUT:
        yield step.value("mask", step.saved, "forward")
    for role, template in step.equations.forward.items():
        yield step.value(role, arrays[role], "forward", template=template)


def _outer_parameter(step, array):
    """Return the parameter of a layer that an inner layer shares, or an empty string."""
    for name, p in step.p.items():
        if array.shape == p.shape and np.shares_memory(array, p):
            return f"{{{step.names[name]}}}"
    return ""


def _backward(step, J, penalty_gradients):
    """Yield the gradients of a layer; J contains the gradients of its parameters."""
    for inner in reversed(step.inside):
        yield replace(inner.value("dY", inner.delta, "backward"), layer=step.title)
        yield from _backward(inner, inner.J, {})
    for role, template in step.equations.backward.items():
        if role.startswith("J_"):
            yield from _parameter_gradient(step, role, J, penalty_gradients)
            continue
        if role == "S":  # the slope of an activation
            array = np.asarray(step.layer.derivative(*step.saved))
        elif role == "dU":  # the gradient of LayerNorm's standardized inputs
            array = step.p["g"] * step.delta
        elif isinstance(step.delta_X, list):
            array = step.delta_X[int(role[2:] or 0)]
        else:  # dX
            array = step.delta_X
        yield step.value(role, array, "backward", template=template)


def _parameter_gradient(step, role, J, penalty_gradients):
    """Yield the gradient of a parameter, after the gradient of its penalty."""
    parameter = role.removeprefix("J_")
    name = step.names[parameter]
    equation = filled(step.equations.backward[role], step.names, step.layer)
    if not equation:
        equation = _inner_gradient(step, step.J[parameter])
    if name in penalty_gradients:
        penalty = f"R_{name}"
        gradient = penalty_gradients[name]
        yield Value(penalty, gradient, "backward", layer=step.title)
        if equation:
            equation += f" + {{{penalty}}}"
    yield Value(f"J_{name}", J[parameter], "backward", equation, layer=step.title)


def _inner_gradient(step, gradient):
    """Return the equal gradient of an inner layer, or an empty string."""
    for inner in step.inside:
        for name, J in inner.J.items():
            if np.array_equal(J, gradient):
                return f"{{J_{inner.names[name]}}}"
    return ""


def step_values(
    optimizer: Optimizer,
    state: State | None,
    theta,
    gradient,
    parameters: Sequence[Parameter],
) -> tuple[Array, State, list[Value]]:
    """Compute theta, the optimizer's state and all values of a step.

    The values are the old moments such as M_W1_old, the new moments such as M_W1 and the
    new parameters such as W1_new.
    """
    old_state = optimizer.init(theta) if state is None else state
    theta = theta.copy()
    state = {name: copy(value) for name, value in old_state.items()}
    optimizer.step(theta, gradient, state)
    # the flat vectors of roles such as M, M_old and theta, and patterns such as M_{}_old
    # for the names of their parts
    vectors = {**state, "theta": theta}
    names = {}
    for moment in optimizer.moments:
        vectors[f"{moment}_old"] = old_state[moment]
        names[f"{moment}_old"] = f"{moment}_{{}}_old"
    for moment in optimizer.moments:
        names[moment] = f"{moment}_{{}}"
    names["theta"] = "{}_new"
    equations = OPTIMIZERS.get(type(optimizer), {"theta": "update({old}, {J})"})
    numbers = {"rate": optimizer.learning_rate, "t": state["t"]}
    values = []
    for parameter, tensor in parameters:
        names_of_roles = {"old": parameter, "J": f"J_{parameter}"}
        for role, name in names.items():
            names_of_roles[role] = name.format(parameter)
        for role in names:
            template = equations.get(role, "")
            equation = filled(template, names_of_roles, optimizer, **numbers)
            array = _entries(vectors[role], tensor)
            values.append(Value(names_of_roles[role], array, "step", equation))
    return theta, state, values


def _twin(layer, enclosing):
    """Copy a layer so that the copy records its passes in `LayerPass` objects.

    `enclosing` is a stack of lists. The copy appends each pass to the last list, which
    contains the passes inside the enclosing layer.
    """
    twin = copy(layer)
    cls = type(layer)
    passes = []

    def forward(p, X, noise=None):
        step = LayerPass(layer, p, X)
        enclosing[-1].append(step)
        enclosing.append(step.inside)  # for layers that this layer calls
        step.Y, step.saved = cls.forward(twin, p, X, noise)
        enclosing.pop()
        passes.append(step)
        return step.Y, step.saved

    def backward(p, saved, delta, J):
        step = passes.pop()  # a shared layer runs backward in reverse order
        step.delta = delta
        step.delta_X = cls.backward(twin, p, saved, delta, J)
        # penalties are added in place later
        step.J = {name: copy(gradient) for name, gradient in J.items()}
        return step.delta_X

    for name, value in vars(layer).items():
        # the dataclass may be frozen
        object.__setattr__(twin, name, _with_twins(value, enclosing))
    object.__setattr__(twin, "forward", forward)
    object.__setattr__(twin, "backward", backward)
    return twin


def _with_twins(value, enclosing):
    """Replace the layers in an attribute by recording copies."""
    if isinstance(value, Layer):
        return _twin(value, enclosing)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_with_twins(part, enclosing) for part in value)
    if type(value) is dict:
        return {name: _with_twins(part, enclosing) for name, part in value.items()}
    return value


def _loss_twin(loss, row_losses, row):
    """Copy a loss so that the copy records row losses. If a row is given, delta is 0 in all other rows."""
    twin = copy(loss)

    def value(Z, T):
        row_losses.append(loss.value(Z, T))
        return row_losses[-1]

    def delta(Z, T):
        all_rows = loss.delta(Z, T)
        if row is None:
            return all_rows
        single_row = 0 * all_rows
        single_row[..., row, :] = all_rows[..., row, :]
        return single_row

    object.__setattr__(twin, "value", value)  # the dataclass may be frozen
    object.__setattr__(twin, "delta", delta)
    return twin

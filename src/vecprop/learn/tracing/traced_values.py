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
    """A named value with an optional equation; names in the equation are in braces."""

    name: str
    array: Array
    equation: str
    stage: Stage
    layer: str = ""
    of_rows: bool = False


@dataclass
class LayerPass:
    """The recorded values of one layer in a pass, and the names of the values."""

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
    _give_names(layers, [(batch.X, "X")], "")
    parameters = [
        (layers[tensor.layer].names[tensor.name], tensor)
        for tensor in network.layout.tensors
    ]
    T = one_hot(batch.T, layers[-1].Y) if batch.of_classes else batch.T
    values = [
        Value("X", batch.X, "", "given", of_rows=True),
        Value("T", T, "", "given", of_rows=True),
    ]
    for name, tensor in parameters:
        values.append(
            Value(name, theta[tensor.span].reshape(tensor.shape), "", "given")
        )
    for layer in layers:
        values += _forward(layer)
    values += _loss_values(
        network, theta, batch, layers[-1], row_losses[0], loss if row is None else None
    )

    gradients: Sequence[Mapping[str, Array]] = [layer.J for layer in layers]
    penalty_gradients = {}
    if twin.penalties:
        gradients = network.layout.views(gradient)
        R = np.zeros_like(theta)
        network._add_penalty_gradient(theta, R, batch)
        for name, tensor in parameters:
            if tensor.penalized:
                penalty_gradients[name] = R[tensor.span].reshape(tensor.shape)
    for layer, J in zip(reversed(layers), reversed(gradients), strict=True):
        values += _backward(layer, J, penalty_gradients)
    return _with_unique_names(values, row), parameters, gradient


def _loss_values(network, theta, batch, last, row_losses, loss):
    """Yield the predictions, the losses and the error of the last layer; a single row has no total loss."""
    function = network.loss_function
    equations = LOSSES.get(type(function), LossEquations())
    names = {"Y": "Y", "T": "T", "Z": last.names["Y"]}
    error = filled(equations.d, names, function)
    total = "sum({l})"
    yield Value(
        "Y",
        function.predict(last.Y),
        filled(equations.Y, names, function),
        "loss",
        of_rows=True,
    )
    yield Value(
        "l", row_losses, filled(equations.l, names, function), "loss", of_rows=True
    )
    if network.reduction == "mean" or batch.weight is not None:
        error = f"{{w}} * ({error})"
        total = "sum({w} * {l})"
        weight = np.asarray(network._row_weight(batch))
        equation = "" if weight.ndim else f"1 / {batch.rows}"
        yield Value("w", weight, equation, "loss", of_rows=weight.ndim > 0)
    if loss is not None:
        if network.penalties:
            total += " + {R}"
            yield Value("R", np.asarray(network._penalty(theta, batch)), "", "loss")
        yield Value("L", loss, total, "loss")
    yield Value(last.names["dY"], last.delta, error, "backward", last.title, True)


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
    """Replace roles by names, and words such as epsilon by numbers."""
    settings = {
        name: value
        for name, value in vars(part).items()
        if isinstance(value, int | float)
    } | numbers

    def number(word):
        return f"{settings[word[0]]:.6g}" if word[0] in settings else word[0]

    template = re.sub(r"(?<![\w{])[A-Za-z]\w*(?![\w(}′])", number, template)
    return re.sub(r"\{(\w+)\}", lambda role: f"{{{names[role[1]]}}}", template)


def _give_names(steps, named, prefix):
    """Set the title, names and equations of each layer's pass.

    `named` contains the arrays with names. Names inside a composite layer start with
    the name of the layer's output.
    """
    outputs = []
    count = 0
    for number, step in enumerate(steps):
        step.equations = layer_equations(step.layer, step.p, step.saved)
        is_dense = isinstance(step.layer, Dense)
        if is_dense or step.equations.letter == "F":
            count += 1
        X = next(
            (name for array, name in reversed(named) if array is step.X),
            f"{prefix}X{number}",
        )
        Y = _unused(f"{prefix}{step.equations.letter}{count}", outputs)
        outputs.append(Y)
        index = (
            Y.removeprefix(f"{prefix}Z") if is_dense else f"_{Y.removeprefix(prefix)}"
        )
        step.names = {
            "X": X,
            "Y": Y,
            "S": f"{prefix}S{index}",
            "dX": f"delta_{X}" if X.startswith(prefix) else f"delta_{prefix}{X}",
            "dY": f"delta_{Y}",
            "dU": f"{prefix}d{index}",
        }
        for role in (*step.equations.saved, *step.p):
            step.names[role] = f"{prefix}{role}{index}"
        for role in step.p:
            step.names[f"J_{role}"] = f"J_{step.names[role]}"
        step.title = f"{number} {type(step.layer).__name__}"
        _give_names(step.inside, named, f"{Y}.")
        named = [*named, (step.Y, Y)]


def _unused(name, taken):
    """Return an unused name, with a letter appended if necessary."""
    candidates = (name + letter for letter in ["", *ascii_lowercase[1:]])
    return next(candidate for candidate in candidates if candidate not in taken)


def _forward(step):
    for inner in step.inside:
        for name, array in inner.p.items():
            yield Value(
                inner.names[name],
                array,
                _outer_parameter(step, array),
                "forward",
                inner.title,
            )
        yield from _forward(inner)
    arrays = {"Y": step.Y}
    if step.equations is LAYER_NORM:
        arrays |= dict(zip(LAYER_NORM.saved, step.saved, strict=True))
    elif step.equations is DROPOUT:
        yield Value(step.names["mask"], step.saved, "", "forward", step.title, True)
    for role, template in step.equations.forward.items():
        equation = filled(template, step.names, step.layer)
        yield Value(
            step.names[role], arrays[role], equation, "forward", step.title, True
        )


def _outer_parameter(step, array):
    """Return the parameter of a layer that an inner layer shares, or an empty string."""
    for name, p in step.p.items():
        if array.shape == p.shape and np.shares_memory(array, p):
            return f"{{{step.names[name]}}}"
    return ""


def _backward(step, J, penalty_gradients):
    """Yield the gradients of a layer."""
    for inner in reversed(step.inside):
        yield Value(inner.names["dY"], inner.delta, "", "backward", step.title, True)
        yield from _backward(inner, inner.J, {})
    for role, template in step.equations.backward.items():
        equation = filled(template, step.names, step.layer)
        if role.startswith("J_"):
            parameter = role.removeprefix("J_")
            equation = equation or _inner_gradient(step, step.J[parameter])
            name = step.names[parameter]
            if name in penalty_gradients:
                yield Value(
                    f"R_{name}", penalty_gradients[name], "", "backward", step.title
                )
                equation = equation and f"{equation} + {{R_{name}}}"
            yield Value(f"J_{name}", J[parameter], equation, "backward", step.title)
            continue
        if role == "S":
            array = np.asarray(step.layer.derivative(*step.saved))  # pyright: ignore[reportAttributeAccessIssue]
        elif role == "dU":
            array = step.p["g"] * step.delta
        else:
            array = step.delta_X
        yield Value(step.names[role], array, equation, "backward", step.title, True)


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
    """Compute theta, the optimizer's state and all values of a step."""
    old_state = optimizer.init(theta) if state is None else state
    theta = theta.copy()
    state = {name: copy(value) for name, value in old_state.items()}
    optimizer.step(theta, gradient, state)
    arrays = {**state, "theta": theta}
    names = {}
    for moment in optimizer.moments:
        arrays[f"{moment}_old"] = old_state[moment]
        names[f"{moment}_old"] = f"{moment}_{{}}_old"
    for moment in optimizer.moments:
        names[moment] = f"{moment}_{{}}"
    names["theta"] = "{}_new"
    equations = OPTIMIZERS.get(type(optimizer), {"theta": "update({old}, {J})"})
    values = []
    for parameter, tensor in parameters:
        roles = {role: name.format(parameter) for role, name in names.items()}
        roles_in_equations = roles | {"old": parameter, "J": f"J_{parameter}"}
        for role, name in roles.items():
            template = equations.get(role, "")
            equation = filled(
                template,
                roles_in_equations,
                optimizer,
                rate=optimizer.learning_rate,
                t=state["t"],
            )
            values.append(
                Value(
                    name,
                    arrays[role][tensor.span].reshape(tensor.shape),
                    equation,
                    "step",
                )
            )
    return theta, state, values


def _twin(layer, enclosing):
    """Copy a layer so that the copy records its passes.

    The copy appends each pass to the last list in `enclosing`, which belongs to the
    enclosing layer.
    """
    twin = copy(layer)
    cls = type(layer)
    passes = []

    def forward(p, X, noise=None):
        step = LayerPass(layer, p, X)
        enclosing[-1].append(step)
        enclosing.append(step.inside)
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
        whole = loss.delta(Z, T)
        if row is None:
            return whole
        part = 0 * whole
        part[..., row, :] = whole[..., row, :]
        return part

    object.__setattr__(twin, "value", value)  # the dataclass may be frozen
    object.__setattr__(twin, "delta", delta)
    return twin

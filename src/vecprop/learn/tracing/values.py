"""Collect the values of a pass by name: X, T, Z1, H1, …, Y, l, L, delta_Z2, J_W2.

The network's own methods compute all values. Layers, including nested layers, and the loss are replaced by recording
copies.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from string import ascii_lowercase
from types import new_class
from typing import Any, Literal

import numpy as np

from ...core import Array, Batch, Dense, Layer, Network, RandomKey, one_hot
from ...optimize.optimizers import Optimizer, State
from .equations import DROPOUT, LAYER_NORM, LOSSES, OPTIMIZERS, LayerEquations, LossEquations, layer_equations

Stage = Literal["given", "forward", "loss", "backward", "step"]
Place = tuple[str, slice, tuple[int, ...]]
"""The name of a parameter, its slice of theta and its shape."""


@dataclass(frozen=True)
class Value:
    """A named value with an optional equation; names in the equation are in braces."""

    name: str
    array: np.ndarray
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


def values_of(
    network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None, row: int | None
) -> tuple[list[Value], list[Place], np.ndarray]:
    """Compute the values of a pass, the parameters and the gradient.

    If a row is given, the gradient is the contribution of this row: delta is 0 in all other rows.
    """
    layers, row_losses = list[LayerPass](), list[Array]()
    twins = [_twin(layer, [layers]) for layer in network.layers]
    penalties = network.penalties if row is None else ()  # gradients of single rows exclude penalties
    twin = Network(network.inputs, twins, _loss_twin(network.loss_function, row_losses, row), penalties)
    loss, gradient = twin._batch_loss_and_gradient(theta, batch, noise)
    _give_names(layers, [(batch.X, "X")], "")
    parameters = [(layers[t.layer].names[t.name], t.span, t.shape) for t in network.layout.tensors]
    T = one_hot(batch.T, layers[-1].Y) if batch.of_classes else batch.T
    values = [Value("X", batch.X, "", "given", of_rows=True), Value("T", T, "", "given", of_rows=True)]
    values += [Value(name, theta[place].reshape(shape), "", "given") for name, place, shape in parameters]
    for layer in layers:
        values += _forward(layer)

    part, last = network.loss_function, layers[-1]
    equations, names = LOSSES.get(type(part), LossEquations()), {"Y": "Y", "T": "T", "Z": last.names["Y"]}
    error, total = filled(equations.d, names, part), "sum({l})"
    values.append(Value("Y", part.predict(last.Y), filled(equations.Y, names, part), "loss", of_rows=True))
    values.append(Value("l", row_losses[0], filled(equations.l, names, part), "loss", of_rows=True))
    if network.reduction == "mean" or batch.weight is not None:
        error, total, weight = f"{{w}} * ({error})", "sum({w} * {l})", np.asarray(network._row_weight(batch))
        values.append(Value("w", weight, "" if weight.ndim else f"1 / {batch.rows}", "loss", of_rows=weight.ndim > 0))
    Js, added = [layer.J for layer in layers], dict[str, np.ndarray]()
    if row is None and network.penalties:
        total += " + {R}"
        values.append(Value("R", np.asarray(network._penalty(theta, batch)), "", "loss"))
        R = np.zeros_like(theta)
        network._add_penalty_gradient(theta, R, batch)
        Js, views = network.layout.views(gradient), network.layout.views(R)
        tensors = [tensor for tensor in network.layout.tensors if tensor.penalized]
        added = {layers[t.layer].names[t.name]: views[t.layer][t.name] for t in tensors}
    if row is None:
        values.append(Value("L", loss, total, "loss"))
    values.append(Value(last.names["dY"], last.delta, error, "backward", last.title, True))
    for layer, J in zip(reversed(layers), reversed(Js), strict=True):
        values += _backward(layer, J, added)
    found: dict[str, Value] = {}
    for value in values:  # skip duplicates and rename different values of the same name
        array = np.array(value.array if row is None or not value.of_rows else value.array[row : row + 1])
        before = found.get(value.name)
        if before is None or not np.array_equal(before.array, array, equal_nan=True):
            name = _free(value.name, found)
            found[name] = replace(value, name=name, array=array)
    return list(found.values()), parameters, gradient


def filled(template: str, names: Mapping[str, str], part: Any, **also: Any) -> str:
    """Replace roles by names, and words such as epsilon by numbers."""
    settings = {name: value for name, value in vars(part).items() if isinstance(value, int | float)} | also

    def number(word: re.Match[str]) -> str:
        return f"{settings[word[0]]:.6g}" if word[0] in settings else word[0]

    template = re.sub(r"(?<![\w{])[A-Za-z]\w*(?![\w(}′])", number, template)
    return re.sub(r"\{(\w+)\}", lambda role: f"{{{names[role[1]]}}}", template)


def _give_names(steps: list[LayerPass], named: list[tuple[np.ndarray, str]], prefix: str) -> None:
    """Set the title, names and equations of each layer's pass.

    `named` contains the arrays with names. Names inside a composite layer start with the name of the layer's output.
    """
    taken, k = dict[str, None](), 0
    for number, step in enumerate(steps):
        step.equations = equations = layer_equations(step.layer, step.p, step.saved)
        k += isinstance(step.layer, Dense) or equations.letter == "F"
        X = next((name for array, name in reversed(named) if array is step.X), f"{prefix}X{number}")
        Y = _free(f"{prefix}{equations.letter}{k}", taken)
        taken[Y] = None
        own = Y.removeprefix(prefix + "Z") if isinstance(step.layer, Dense) else f"_{Y.removeprefix(prefix)}"
        dX = f"delta_{X}" if X.startswith(prefix) else f"delta_{prefix}{X}"
        names = {"X": X, "Y": Y, "S": f"{prefix}S{own}", "dX": dX, "dY": f"delta_{Y}", "dU": f"{prefix}d{own}"}
        names |= {role: f"{prefix}{role}{own}" for role in (*equations.saved, *step.p)}
        step.names = names | {f"J_{role}": f"J_{names[role]}" for role in step.p}
        step.title = f"{number} {type(step.layer).__name__}"
        _give_names(step.inside, named, f"{Y}.")
        named = [*named, (step.Y, Y)]


def _free(name: str, taken: Collection[str]) -> str:
    """Return an unused name, with a letter appended if necessary."""
    return next(each for each in (name, *(name + letter for letter in ascii_lowercase[1:])) if each not in taken)


def _forward(step: LayerPass) -> Iterator[Value]:
    for inner in step.inside:
        for name, array in inner.p.items():
            own = [own for own, p in step.p.items() if array.shape == p.shape and np.shares_memory(array, p)]
            yield Value(inner.names[name], array, f"{{{step.names[own[0]]}}}" if own else "", "forward", inner.title)
        yield from _forward(inner)
    arrays = {"Y": step.Y}
    if step.equations is LAYER_NORM:
        arrays |= dict(zip(LAYER_NORM.saved, step.saved, strict=True))
    elif step.equations is DROPOUT:
        yield Value(step.names["mask"], step.saved, "", "forward", step.title, True)
    for role, template in step.equations.forward.items():
        equation = filled(template, step.names, step.layer)
        yield Value(step.names[role], arrays[role], equation, "forward", step.title, True)


def _backward(step: LayerPass, J: Mapping[str, np.ndarray], added: Mapping[str, np.ndarray]) -> Iterator[Value]:
    """Yield the gradients of a layer; `added` contains the penalty gradients."""
    names = step.names
    for inner in reversed(step.inside):
        yield Value(inner.names["dY"], inner.delta, "", "backward", step.title, True)
        yield from _backward(inner, inner.J, {})
    for role, template in step.equations.backward.items():
        name, equation = names[role], filled(template, names, step.layer)
        if role.startswith("J_"):
            parameter = role.removeprefix("J_")
            inside = [(inner.names[f"J_{own}"], array) for inner in step.inside for own, array in inner.J.items()]
            same = (f"{{{own}}}" for own, array in inside if np.array_equal(array, step.J[parameter]))
            equation = equation or next(same, "")
            if (part := added.get(names[parameter])) is not None:
                yield Value(f"R_{names[parameter]}", part, "", "backward", step.title)
                equation = equation and f"{equation} + {{R_{names[parameter]}}}"
            yield Value(name, J[parameter], equation, "backward", step.title)
            continue
        if role == "S":
            array = np.asarray(step.layer.derivative(*step.saved))  # pyright: ignore[reportAttributeAccessIssue]
        else:
            array = step.p["g"] * step.delta if role == "dU" else step.delta_X
        yield Value(name, array, equation, "backward", step.title, True)


def step_values(
    optimizer: Optimizer, state: State | None, theta: np.ndarray, gradient: np.ndarray, parameters: Sequence[Place]
) -> tuple[np.ndarray, State, list[Value]]:
    """Compute theta, the optimizer's state and all values of a step."""
    before = optimizer.init(theta) if state is None else state
    theta = theta.copy()
    state = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in before.items()}
    optimizer.step(theta, gradient, state)
    equations = OPTIMIZERS.get(type(optimizer), {"theta": "update({old}, {J})"})
    values = []
    for parameter, place, shape in parameters:
        olds = {f"{moment}_old": f"{moment}_{parameter}_old" for moment in optimizer.moments}
        moments = {moment: f"{moment}_{parameter}" for moment in optimizer.moments}
        names = {"old": parameter, "J": f"J_{parameter}", **olds, **moments, "theta": f"{parameter}_new"}
        arrays = {f"{moment}_old": before[moment] for moment in optimizer.moments} | state | {"theta": theta}
        for role in (*olds, *moments, "theta"):
            equation = filled(equations.get(role, ""), names, optimizer, rate=optimizer.learning_rate, t=state["t"])
            values.append(Value(names[role], arrays[role][place].reshape(shape), equation, "step"))
    return theta, state, values


def _twin(layer: Any, places: list[list[LayerPass]]) -> Any:
    """Copy a layer so that the copy records its passes.

    The copy appends each pass to the last list in `places`, which belongs to the enclosing layer.
    """
    cls, passes = type(layer), []

    def forward(self: Any, p: dict[str, Array], X: Array, noise: RandomKey | None = None) -> tuple[Array, Any]:
        step = LayerPass(layer, p, X)
        places[-1].append(step)
        places.append(step.inside)
        step.Y, step.saved = cls.forward(self, p, X, noise)
        places.pop()
        passes.append(step)
        return step.Y, step.saved

    def backward(self: Any, p: dict[str, Array], saved: Any, delta: Array, J: dict[str, Array]) -> Array:
        step = passes.pop()  # a shared layer runs backward in reverse order
        step.delta = delta
        step.delta_X = cls.backward(self, p, saved, delta, J)
        step.J = {name: copy(gradient) for name, gradient in J.items()}  # penalties are added in place later
        return step.delta_X

    def inside(value: Any) -> Any:
        """Replace the layers in an attribute by recording copies."""
        if isinstance(value, Layer):
            return _twin(value, places)
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            return type(value)(map(inside, value))
        return {name: inside(part) for name, part in value.items()} if type(value) is dict else value

    twin = _of_class(layer, {"forward": forward, "backward": backward})
    for name, value in vars(layer).items():
        object.__setattr__(twin, name, inside(value))  # the dataclass may be frozen
    return twin


def _loss_twin(loss: Any, row_losses: list[Array], row: int | None) -> Any:
    """Copy a loss so that the copy records row losses. If a row is given, delta is 0 in all other rows."""
    cls = type(loss)

    def value(self: Any, Z: Array, T: Array) -> Array:
        row_losses.append(cls.value(self, Z, T))
        return row_losses[-1]

    def delta(self: Any, Z: Array, T: Array) -> Array:
        whole = cls.delta(self, Z, T)
        if row is None:
            return whole
        part = 0 * whole
        part[..., row, :] = whole[..., row, :]
        return part

    return _of_class(loss, {"value": value, "delta": delta})


def _of_class(part: Any, methods: dict[str, Any]) -> Any:
    """Copy an object with some methods replaced, through a subclass."""
    cls, twin = type(part), copy(part)
    derived = new_class(cls.__name__, (cls,), exec_body=lambda names: names.update(methods, __module__=cls.__module__))
    object.__setattr__(twin, "__class__", derived)
    return twin

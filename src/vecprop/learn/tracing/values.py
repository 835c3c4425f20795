"""The values of a pass by their names: X, T, Z1, H1, …, Y, l, L, then delta_Z2, J_W2, … down to the first layer."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any, Literal

import numpy as np

from ...core.counter_rng import RandomKey
from ...core.layers import Dense
from ...core.losses import one_hot
from ...core.network import Network
from ...core.rows.inputs import Batch
from ...optimize.optimizers import Optimizer, State
from .equations import DROPOUT, LAYER_NORM, LayerEquations, layer_equations, loss_equations, optimizer_equations
from .recording import LayerPass, Recording, record

Stage = Literal["given", "forward", "loss", "backward", "step"]


@dataclass(frozen=True)
class Value:
    """A value with its name and its equation.

    Parameters
    ----------
    equation : str
        The right side of its equation, with names in braces; empty if it is given, or if it has none.
    """

    name: str
    array: np.ndarray
    equation: str
    stage: Stage
    layer: str = ""
    of_rows: bool = False


@dataclass(frozen=True)
class Named:
    """A layer's pass with the name of each of its roles, and its equations."""

    step: LayerPass
    title: str
    names: Mapping[str, str]
    equations: LayerEquations
    inside: tuple["Named", ...]

    def equation(self, template: str) -> str:
        """Return a template with the names of the roles, and with the layer's settings as numbers."""
        return with_names(with_settings(template, self.step.layer), self.names)


def values_of(
    network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None, row: int | None
) -> tuple[list[Value], list[tuple[str, slice, tuple[int, ...]]], np.ndarray]:
    """Return the values of a pass; the name, place in theta and shape of each parameter; and the gradient."""
    recording = record(network, theta, batch, noise, row)
    layers = _named(recording.layers, [(batch.X, "X")], "")
    parameters = [(layers[t.layer].names[t.name], t.span, t.shape) for t in network.layout.tensors]
    T = one_hot(batch.T, recording.layers[-1].Y) if batch.of_classes else batch.T
    values = [Value("X", batch.X, "", "given", of_rows=True), Value("T", T, "", "given", of_rows=True)]
    values += [Value(name, theta[place].reshape(shape), "", "given") for name, place, shape in parameters]
    for layer in layers:
        values += _forward(layer)
    values += _loss(network, theta, batch, layers[-1], recording, row is None)
    values += _backward(network, theta, batch, layers, recording.gradient if row is None else None)
    if row is not None:
        values = [replace(value, array=value.array[row : row + 1]) if value.of_rows else value for value in values]
    return _once(values), parameters, recording.gradient


def _once(values: list[Value]) -> list[Value]:
    """Return the values without those that are there before, and other ones of the same name with another name."""
    found: dict[str, Value] = {}
    for value in values:
        before = found.get(value.name)
        if before is None or not np.array_equal(before.array, value.array, equal_nan=True):
            name = _free(value.name, found)
            found[name] = replace(value, name=name)
    return list(found.values())


def with_names(template: str, names: Mapping[str, str]) -> str:
    """Return a template with names in the place of roles."""
    return re.sub(r"\{(\w+)\}", lambda role: f"{{{names[role[1]]}}}", template)


def with_settings(template: str, part: Any, **also: Any) -> str:
    """Return a template with a part's settings, and others, as numbers.

    Examples
    --------
    >>> with_settings("momentum * {M}", Momentum(momentum=0.9))
    '0.9 * {M}'
    """
    settings = {name: value for name, value in vars(part).items() if isinstance(value, int | float)} | also

    def number(word: re.Match[str]) -> str:
        name = word[0]
        return f"{settings[name]:.6g}" if name in settings else name

    return re.sub(r"(?<![\w{])[A-Za-z]\w*(?![\w(}′])", number, template)


def _named(steps: list[LayerPass], known: list[tuple[np.ndarray, str]], prefix: str) -> list[Named]:
    """Return the passes of layers with their names: the k-th dense layer gives Zk, the activation after it Hk.

    Known are the arrays that have a name. Names of what is inside a layer start with the name of its output.
    """
    named, taken, k = [], dict[str, None](), 0
    for number, step in enumerate(steps):
        equations = layer_equations(step.layer, step.p, step.saved)
        k += isinstance(step.layer, Dense) or equations.letter == "F"
        X = next((name for array, name in reversed(known) if array is step.X), f"{prefix}X{number}")
        Y = _free(f"{prefix}{equations.letter}{k}", taken)
        taken[Y] = None
        own = Y.removeprefix(prefix + "Z") if isinstance(step.layer, Dense) else f"_{Y.removeprefix(prefix)}"
        dX = f"delta_{X}" if X.startswith(prefix) else f"delta_{prefix}{X}"
        names = {"X": X, "Y": Y, "S": f"{prefix}S{own}", "dX": dX, "dY": f"delta_{Y}", "dU": f"{prefix}d{own}"}
        names |= {role: f"{prefix}{role}{own}" for role in (*equations.saved, *step.p)}
        names |= {f"J_{role}": f"J_{names[role]}" for role in step.p}
        inside = _named(step.inside, known, f"{Y}.")
        named.append(Named(step, f"{number} {type(step.layer).__name__}", names, equations, tuple(inside)))
        known = [*known, (step.Y, Y)]
    return named


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, with a letter after it if it is."""
    return next(each for each in (name, *(name + letter for letter in ascii_lowercase[1:])) if each not in taken)


def _forward(layer: Named) -> Iterator[Value]:
    for inner in layer.inside:
        for name, array in inner.step.p.items():
            same = next((own for own, whole in layer.step.p.items() if _is_part(array, whole)), "")
            equation = f"{{{layer.names[same]}}}" if same else ""
            yield Value(inner.names[name], array, equation, "forward", inner.title)
        yield from _forward(inner)
    step = layer.step
    arrays = {"Y": step.Y}
    if layer.equations is LAYER_NORM:
        arrays |= dict(zip(layer.equations.saved, step.saved, strict=True))
    elif layer.equations is DROPOUT:
        yield Value(layer.names["mask"], step.saved, "", "forward", layer.title, True)
    for role, template in layer.equations.forward.items():
        yield Value(layer.names[role], arrays[role], layer.equation(template), "forward", layer.title, True)


def _loss(
    network: Network, theta: np.ndarray, batch: Batch, last: Named, recording: Recording, is_whole: bool
) -> Iterator[Value]:
    """Yield Y, the loss of each row, its factor if there is one, and, of all rows, the penalty and the loss."""
    part, Z = network.loss_function, last.step.Y
    equations, names = loss_equations(part), {"Y": "Y", "T": "T", "Z": last.names["Y"]}
    yield Value("Y", part.predict(Z), with_names(equations.Y, names), "loss", of_rows=True)
    yield Value("l", recording.row_losses, with_names(with_settings(equations.l, part), names), "loss", of_rows=True)
    total = "sum({l})"
    if _has_factor(network, batch):
        total, weight = "sum({w} * {l})", np.asarray(network.row_weight(batch))
        yield Value("w", weight, "" if weight.ndim else f"1 / {batch.rows}", "loss", of_rows=weight.ndim > 0)
    if is_whole and network.penalties:
        total += " + {R}"
        yield Value("R", np.asarray(network.penalty(theta, batch)), "", "loss")
    if is_whole:
        yield Value("L", recording.loss, total, "loss")


def _has_factor(network: Network, batch: Batch) -> bool:
    return network.reduction == "mean" or batch.weight is not None


def _backward(
    network: Network, theta: np.ndarray, batch: Batch, layers: list[Named], gradient: np.ndarray | None
) -> Iterator[Value]:
    """Yield the error at the output, and the gradients of all layers from the last to the first.

    The gradient of all rows has the parts of penalties; without it, gradients are those of one row.
    """
    last, part = layers[-1], network.loss_function
    names = {"Y": "Y", "T": "T", "Z": last.names["Y"]}
    error = with_names(with_settings(loss_equations(part).d, part), names)
    if _has_factor(network, batch):
        error = f"{{w}} * ({error})"
    yield Value(last.names["dY"], last.step.delta, error, "backward", last.title, True)
    if gradient is None or not network.penalties:
        for layer in reversed(layers):
            yield from _backward_of(layer, layer.step.J, {})
        return
    R = np.zeros_like(theta)
    network.add_penalty_gradient(theta, R, batch)
    views = network.layout.views(R)
    added = {layers[t.layer].names[t.name]: views[t.layer][t.name] for t in network.layout.tensors if t.penalized}
    for layer, J in zip(reversed(layers), reversed(network.layout.views(gradient)), strict=True):
        yield from _backward_of(layer, J, added)


def _backward_of(layer: Named, J: Mapping[str, np.ndarray], added: Mapping[str, np.ndarray]) -> Iterator[Value]:
    """Yield the gradients J of a layer's parameters, in which penalties have the parts `added`, and of its input."""
    step, names = layer.step, layer.names
    for inner in reversed(layer.inside):
        yield Value(inner.names["dY"], inner.step.delta, "", "backward", layer.title, True)
        yield from _backward_of(inner, inner.step.J, {})
    for role, template in layer.equations.backward.items():
        name, equation = names[role], layer.equation(template)
        if role.startswith("J_"):
            parameter = role.removeprefix("J_")
            equation = equation or _same_inside(layer, step.J[parameter])
            penalty = f"R_{names[parameter]}"
            if names[parameter] in added:
                yield Value(penalty, added[names[parameter]], "", "backward", layer.title)
                equation = equation and f"{equation} + {{{penalty}}}"
            yield Value(name, J[parameter], equation, "backward", layer.title)
            continue
        if role == "S":
            array = np.asarray(step.layer.derivative(*step.saved))  # pyright: ignore[reportAttributeAccessIssue]
        elif role == "dU":
            array = step.p["g"] * step.delta
        else:
            array = step.delta_X
        yield Value(name, array, equation, "backward", layer.title, True)


def _is_part(array: np.ndarray, whole: np.ndarray) -> bool:
    return array.shape == whole.shape and np.shares_memory(array, whole)


def _same_inside(layer: Named, array: np.ndarray) -> str:
    """Return the name of the gradient of a layer inside that is this one, in braces; empty if there is none."""
    for inner in layer.inside:
        for role, gradient in inner.step.J.items():
            if gradient.shape == array.shape and np.array_equal(gradient, array):
                return f"{{{inner.names[f'J_{role}']}}}"
    return ""


def step_values(
    optimizer: Optimizer,
    state: State | None,
    theta: np.ndarray,
    gradient: np.ndarray,
    parameters: Sequence[tuple[str, slice, tuple[int, ...]]],
) -> tuple[np.ndarray, State, list[Value]]:
    """Return theta and the state after a step, and its values for each parameter."""
    before = optimizer.init(theta) if state is None else state
    theta = theta.copy()
    state = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in before.items()}
    optimizer.step(theta, gradient, state)
    equations = optimizer_equations(optimizer)
    values = []
    for parameter, place, shape in parameters:
        names = {"old": parameter, "J": f"J_{parameter}"}
        names |= {name: f"{name}_{parameter}" for name in optimizer.moments}
        names |= {f"{name}_old": f"{name}_{parameter}_old" for name in optimizer.moments}
        rows = [("", names[f"{name}_old"], before[name]) for name in optimizer.moments]
        rows += [(name, names[name], state[name]) for name in optimizer.moments]
        for role, name, array in [*rows, ("theta", f"{parameter}_new", theta)]:
            template = with_settings(equations.get(role, ""), optimizer, rate=optimizer.learning_rate, t=state["t"])
            values.append(Value(name, array[place].reshape(shape), with_names(template, names), "step"))
    return theta, state, values

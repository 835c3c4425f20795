"""The values of a step: the optimizer's moments and the moved parameters, by name."""

from collections.abc import Sequence

import numpy as np

from ...optimize.optimizers import Optimizer, State
from .equations import optimizer_equations
from .values import Value, with_names, with_settings


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

        def value(
            role: str,
            name: str,
            array: np.ndarray,
            place: slice = place,
            shape: tuple[int, ...] = shape,
            names: dict[str, str] = names,
        ) -> Value:
            template = with_settings(equations.get(role, ""), optimizer, rate=optimizer.learning_rate, t=state["t"])
            return Value(name, array[place].reshape(shape), with_names(template, names), "step")

        values += [value("", names[f"{name}_old"], before[name]) for name in optimizer.moments]
        values += [value(name, names[name], state[name]) for name in optimizer.moments]
        values.append(value("theta", f"{parameter}_new", theta))
    return theta, state, values

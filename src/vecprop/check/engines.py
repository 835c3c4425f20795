"""The engines of a network: their gradients, and one row for each part from the rows of all engines."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from ..core.counter_rng import RandomKey
from ..core.inputs import Batch
from ..core.network import Network
from ..train.engines import engine_class
from .comparison import SAFETY
from .network_point import JudgedGradient, NetworkPoint
from .verdict import Row, Verdict

Engine = Literal["both", "reference", "compiled"]

ENGINES = get_args(Engine)
BOTH, *EACH = ENGINES


def judged_gradients(
    network: Network,
    batch_at: Callable[[np.ndarray], Batch],
    noise: RandomKey | None,
    dtype: np.dtype,
    engine: Engine,
) -> tuple[JudgedGradient, ...]:
    """Return the gradients of the engines to check.

    Raises
    ------
    ValueError
        If only the compiled engine is to be checked, and it does not take the network.
    """
    batch = batch_at(np.zeros(0, dtype))
    judged = []
    for name in EACH if engine == BOTH else [engine]:
        cls = engine_class(name)
        refusal = cls.refusal(network, np.zeros(network.layout.size, dtype), [batch], None, noise)
        if refusal is None:
            for of, gradient in cls(network).gradients(noise).items():
                judged.append(JudgedGradient(_at(gradient, batch_at), name, is_own=name == "reference", name=of))
        elif engine == name:
            raise ValueError(f'The {name} engine cannot be checked: {refusal.reason}; take engine="reference".')
    return tuple(judged)


def _at(gradient: Callable[[np.ndarray, Batch], Any], batch_at: Callable[[np.ndarray], Batch]) -> Any:
    return lambda theta: gradient(theta, batch_at(theta))


def merged(
    point: Any, judged: list[list[Row]], nearby: list[dict[str, Row]]
) -> tuple[tuple[Row, ...], tuple[Row, ...], int]:
    """Return the worst row for each part, the rows nearby, and the number of the gradient that is the worst of all.

    If the engines have the same verdict on a part, its row says "both".
    """
    if not isinstance(point, NetworkPoint) or not point.judged[0].engine:
        return tuple(judged[0]), tuple(nearby[0].values()), 0
    order = list(Verdict)
    rows, rows_nearby, worst = [], [], []
    engines = {own.engine for own in point.judged}
    for column in zip(*judged, strict=True):
        number = min(range(len(column)), key=lambda k: (order.index(column[k].verdict), -column[k].ratio))
        row, own = column[number], point.judged[number]
        same = {column[k].verdict for k in range(len(column))} == {row.verdict}
        failed = {point.judged[k].engine for k in range(len(column)) if column[k].verdict is row.verdict}
        alone = row.verdict is Verdict.FAIL and len(failed) < len(engines)
        others_fail = any(column[k].verdict is Verdict.FAIL for k in range(len(column)) if k != number)
        said = [f"in the {own.engine} engine alone"] if alone else []
        said += [f"in {own.name}"] if own.name and not others_fail else []
        diagnosis = "; ".join(text for text in (row.diagnosis, ", and there ".join(said)) if text)
        engine = BOTH if same and len(engines) > 1 else own.engine
        rows.append(replace(row, engine=engine, diagnosis=diagnosis if row.verdict is Verdict.FAIL else ""))
        worst.append((order.index(row.verdict), -row.ratio, number))
        if row.name in nearby[number]:
            rows_nearby.append(replace(nearby[number][row.name], engine=engine))
    number = min(worst)[2]
    return (*_losses(point), *rows), tuple(rows_nearby), number


def _losses(point: NetworkPoint) -> list[Row]:
    """Return a row that fails for each compiled loss that is not the reference's in float64."""
    expected = float(point.value[0])
    rows = []
    for own, loss in zip(point.judged, point.losses, strict=True):
        error = abs(float(loss) - expected)
        if own.engine != "compiled" or error <= np.finfo(point.dtype).eps * abs(expected):
            continue
        tolerance = SAFETY * point.bound.value  # takes longer to compute, and is rarely needed
        if error <= tolerance:
            continue
        name = f"the loss{f' of {own.name}' if own.name else ''}"
        said = "the compiled engine's loss is not the reference's"
        row = Row(name, (), Verdict.FAIL, error, tolerance, (), float(loss), expected, 0.0, 1, said, engine="compiled")
        rows.append(row)
    return rows

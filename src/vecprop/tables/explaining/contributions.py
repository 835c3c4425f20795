"""Why a row is predicted so: the contribution of each of its columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..encoding.column import row_named, shortened
from ..error import one_line, pandas
from ..reading.frames import Frame
from .background import background_inputs
from .outputs import output, output_name
from .shapley import draws_for, shapley_values

SHOWN = 20
"""The largest number of columns of a row that are shown as text."""


@dataclass(frozen=True)
class Contribution:
    """What one column contributes to a prediction."""

    column: str
    value: str | None
    contribution: float
    error: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why a row is predicted so."""

    row: str
    predicted: Any
    output: str
    explained: float
    base: float
    contributions: tuple[Contribution, ...]

    def __repr__(self) -> str:
        few, more = self.contributions[:SHOWN], self.contributions[SHOWN:]
        rows = [("column", "value", "contribution", "standard error")]
        rows += [(_short(each.column), _short(each.value), *_numbers(each.contribution, each.error)) for each in few]
        if more:
            rows.append((f"{len(more)} more", "", f"{sum(each.contribution for each in more):+.4g}", ""))
        rows.append(("sum", "", f"{self.explained - self.base:+.4g}", ""))
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        signs = ("<", "<", ">", ">")
        return "\n".join(
            [
                f"{self.row}: {self.output} is {self.explained:.4g}, and {self.base:.4g} on average",
                *("  ".join(map(format, row, map("{}{}".format, signs, widths))).rstrip() for row in rows),
            ]
        )


def _short(text: str | None) -> str:
    return "(missing)" if text is None else shortened(one_line(text))


def _numbers(contribution: float, error: float) -> tuple[str, str]:
    return f"{contribution:+.4g}", f"{error:.1g}"


class Explanations(tuple[Explanation, ...]):
    """The explanations of rows, in their order, which are shown as text."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def to_frame(self) -> Frame:
        """Return the contributions as a data frame with a row for each column of each row."""
        return pandas().DataFrame(
            [
                {
                    "row": of.row,
                    "output": of.output,
                    "explained": of.explained,
                    "base": of.base,
                    "column": each.column,
                    "value": each.value,
                    "contribution": each.contribution,
                    "standard error": each.error,
                }
                for of in self
                for each in of.contributions
            ]
        )


def explanations(model: Any, frame: Frame, background: Frame | None = None, seed: int = 0) -> Explanations:
    """Return the contributions of columns to the prediction of each row; see `TableModel.explain`."""
    rng, encoder = np.random.default_rng(seed), model.encoder_
    inputs = encoder(frame)
    behind = background_inputs(model, background, draws_for(len(encoder.names), encoder.width), rng)
    return Explanations(_each(model, frame, inputs, behind, rng))


def _each(
    model: Any, frame: Frame, inputs: np.ndarray, background: np.ndarray, rng: np.random.Generator
) -> Iterator[Explanation]:
    names, places = model.encoder_.names, list(model.encoder_.places.values())
    outputs, predicted = model.of_inputs(inputs), model.predict(frame)
    numbers = np.searchsorted(model.classes_, predicted) if hasattr(model, "classes_") else np.zeros(len(inputs), int)
    for row, (x, number) in enumerate(zip(inputs, numbers.tolist(), strict=True)):
        shares = shapley_values(lambda X, k=number: output(model.of_inputs(X), k), x, background, places, rng)
        values = [_text(frame[name].iloc[row]) for name in names]  # each of its own type
        found = map(Contribution, names, values, shares.values.tolist(), shares.errors.tolist())
        yield Explanation(
            row_named(frame.index, row),
            predicted.tolist()[row],
            output_name(model, number),
            output(outputs[[row]], number).item(),
            shares.base,
            tuple(sorted(found, key=lambda each: -abs(each.contribution))),
        )


def _text(value: Any) -> str | None:
    return None if pandas().isna(value) else str(value)

"""The evaluation of a model with several targets: one evaluation for each target, side by side."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..error import RequestError, pandas
from ..reading.frames import as_frame
from ..several_targets import true_targets
from .measured import OURS
from .metrics import columns_of_text, title
from .report import page_of_targets


@dataclass(frozen=True, eq=False)
class EvaluationOfTargets:
    """The result of `evaluate` for a model with several targets. ``print`` shows the metrics and the verdicts.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        The evaluation of each target.
    """

    evaluations: dict[str, Any]

    def __getitem__(self, target: str) -> Any:
        """Return the evaluation of a target."""
        if target not in self.evaluations:
            names = ", ".join(map(repr, self.evaluations))
            raise RequestError(f"There is no target {target!r}: choose one of {names}.")
        return self.evaluations[target]

    def to_frame(self) -> Any:
        """Return the metrics as a data frame with the columns model and metric, and one column for each target."""
        columns = {}
        for target, evaluation in self.evaluations.items():
            rows = evaluation.to_frame().set_index(["model", "metric"])
            columns[target] = rows["value"]
        return pandas().DataFrame(columns).reset_index()

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML report with a table of all targets, and sections for each target.

        Parameters
        ----------
        path : path
            The file, such as ``report.html``. An existing file is replaced.
        """
        for evaluation in self.evaluations.values():
            evaluation._require_rows(path)
        verdicts = ["verdict"]
        for evaluation in self.evaluations.values():
            verdict = evaluation.verdict
            says = "not compared" if verdict is None else verdict.says
            headline, _, _ = says.partition(": ")
            verdicts.append(headline)
        rows = [*self._rows, verdicts]
        page = page_of_targets(self.evaluations, heads=self._heads, rows=rows)
        Path(path).write_text(page, encoding="utf-8")

    @property
    def _heads(self) -> list[str]:
        rows = {len(evaluation.truth) for evaluation in self.evaluations.values()}
        counts = " to ".join(map(str, sorted({min(rows), max(rows)})))
        return [f"on {counts} rows (95 % interval)", *self.evaluations]

    @property
    def _rows(self) -> list[list[str]]:
        """The title of each metric, followed by the metric for each target."""
        evaluations = list(self.evaluations.values())
        rows = []
        for metric in evaluations[0].metrics:
            row = [title(metric, None)]
            for evaluation in evaluations:
                texts, _ = evaluation._compared(metric)
                row.append(str(texts[OURS]))
            rows.append(row)
        return rows

    def __repr__(self) -> str:
        paragraphs = [columns_of_text([self._heads, *self._rows])]
        for target, evaluation in self.evaluations.items():
            if evaluation.verdict is not None:
                paragraphs.append(f"{target}: {evaluation.verdict.says}")
        return "\n\n".join(paragraphs)


def tables_of_targets(model: Any, table: Any, y: Any = None) -> list[Any]:
    """Return a table for each target, which contains only this target."""
    frame = as_frame(table, model)
    targets = true_targets(model, frame, y)
    inputs = frame.drop(columns=model._target_names, errors="ignore")
    tables = []
    for number, single in enumerate(model.models_):
        target = targets.iloc[:, number].set_axis(inputs.index)
        tables.append(inputs.assign(**{single.target: target}))
    return tables

"""``vecprop train`` with several targets, which joint networks predict."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from typer import Exit

from ...tables.encoding.folds import Dependence
from ...tables.error import Note, pandas
from ...tables.evaluation import EvaluationOfTargets
from ...tables.evaluation.measured import Measured
from ...tables.evaluation.measuring import Parts, measured_unseen
from ...tables.evaluation.report import page_of_targets
from ...tables.evaluation.targets import target_of
from ...tables.reading.delimited import require_columns
from ...tables.reading.frames import Frame, as_frame
from ...tables.rows import Roles, UsedRows
from ...terminal.messages import INTERRUPTED, UsageError, say
from .config import estimator_of
from .job import TrainingJob
from .splitting import MIN_TEST_ROWS, Request, rows_of_parts, target_of_request


class SeveralTargetsJob(TrainingJob):
    """A run of ``vecprop train`` with several targets."""

    def _split(self) -> Parts:
        return split_targets(self.request)

    def _estimator(self, **settings):
        estimator = estimator_of(self.request, self.parts.task, **settings)
        return estimator.set_params(target=list(self.request.targets))

    def _measured(self) -> Measured:
        """Evaluate the predictions of all targets, and return the predictions of the first target."""
        evaluations = {}
        for number, single in enumerate(self.model.models_):
            parts = replace(
                self.parts,
                y=_plain(self.parts.y[:, number]),
                y_test=_plain(self.parts.y_test[:, number]),
            )
            evaluations[single.target] = measured_unseen(
                single, parts, self.request.seed
            )
        self.evaluation = EvaluationOfTargets(evaluations)
        return next(iter(evaluations.values()))

    def finish_unmeasured(self):
        """Save the trained model without metrics and without a report, and exit."""
        self.save()
        say(
            "Interrupted during evaluation: the trained model is saved in"
            f" {self.saved.model}, without metrics."
        )
        raise Exit(INTERRUPTED)

    def _types_of_targets(self) -> dict[str, str]:
        kind = "classes" if self.parts.task == "classification" else "numbers"
        return dict.fromkeys(self.request.targets, kind)

    def _metrics(self) -> dict[str, float]:
        metrics = {}
        for target, measured in self.evaluation.evaluations.items():
            for name, estimate in measured.metrics.items():
                metrics[f"{name} of {target}"] = estimate.value
        return metrics

    def _page(self, measured: Measured, result: dict, interrupts: list[int]) -> str:
        evaluations = self.evaluation.evaluations
        run = replace(self._run(measured, result), explain="")
        return page_of_targets(
            evaluations,
            heads=self.evaluation._heads,
            rows=self.evaluation._rows,
            run=run,
            interrupts=interrupts,
        )

    def result(self) -> dict:
        """Return the results as JSON values, with the scores of each target."""
        result = super().result()
        result["target"] = list(self.request.targets)
        for name in ("summary", "scores", "verdict", "judgements"):
            result.pop(name, None)
        if self.measured is not None:
            result["targets"] = {}
            for target, measured in self.evaluation.evaluations.items():
                result["targets"][target] = {
                    "summary": measured.summary,
                    "scores": measured.scores,
                    "verdict": measured.verdict,
                }
        return result

    def _text(self, result: dict) -> str:
        rows = result["rows"]
        names = ", ".join(map(repr, self.request.targets))
        lines = [
            f"{result['task']} of {names} in {self.request.table}",
            f"rows      {rows['train']} to train, {rows['test'] or 'none'} to test",
            f"columns   {len(result['columns']['used'])} used as inputs",
            f"networks  {result['networks']}, with {result['parameters']:,} parameters",
            "",
            repr(self.evaluation),
            "",
            f"model     {result['model']}, reproduced by: {result['command']}",
        ]
        return "\n".join(lines)


def split_targets(request: Request) -> Parts:
    """Split a table with several targets into training and test rows. The targets are (N, K)."""
    if request.folds is not None:
        raise UsageError("--cv needs one target: leave it out, or give one target.")
    notes = []
    frame = _complete_rows(request, request.table, notes)
    names = list(request.targets)
    roles = Roles(names[0], request.weight, request.group, request.time)
    aside = roles.set_aside(frame.drop(columns=names), request.asked)
    used = UsedRows.of(frame, roles)
    notes += used.notes
    targets = []
    for name in names:
        single = replace(request, target=name)
        targets.append(target_of_request(single, used.frame, notes))
    if len({target.task for target in targets}) > 1:
        raise UsageError(
            "--target names numbers and classes: give --task, or train a model for"
            " each."
        )
    y = _values(targets, used.frame)
    X = used.frame.drop(columns=names)
    X.attrs["aside"] = aside
    parts = Parts.untested(
        targets[0].task,
        X,
        y,
        used.weight,
        notes=notes,
        dependence=Dependence.of(
            used.frame, request.group, request.time, request.asked
        ),
        group=request.group,
    )
    if request.test is not None:
        test = UsedRows.of(
            _complete_rows(request, request.test, notes),
            replace(roles, group=None, time=None),
        )
        return replace(
            parts,
            X_test=test.frame.drop(columns=names),
            y_test=_values(targets, test.frame),
            weight_test=test.weight,
        )
    if request.size is None and len(y) < MIN_TEST_ROWS:
        return parts
    training, tested = rows_of_parts(
        request, used.frame, _plain(y[:, 0]), parts.task == "classification"
    )
    return parts.split(training, tested)


def _complete_rows(request: Request, path: Path, notes: list[str]) -> Frame:
    """Return the rows of a file that have all targets, and note how many have not."""
    frame = as_frame(path)
    if frame.index.name != "line":
        frame = frame.reset_index(drop=True)
    names = list(request.targets)
    if request.target in frame.columns:
        raise UsageError(
            f"{path} has a column {request.target!r}: quote the name of the target,"
            f" --target '\"{request.target}\"'."
        )
    require_columns(frame, names)
    is_complete = frame[names].notna().all(axis=1)
    missing = int((~is_complete).sum())
    if missing:
        text = f"Rows without one of the targets are not used: {missing} of"
        notes.append(Note(f"{text} {len(frame)}.", "unused"))
    return frame[is_complete]


def _values(targets, frame: Frame) -> np.ndarray:
    """Return the targets of rows, (N, K), as objects, because their types may differ."""
    columns = []
    for target in targets:
        values = target_of(frame, target.name, target.task, reading=target.reading)
        columns.append(values.astype(object))
    return np.stack(columns, axis=1)


def _plain(values: np.ndarray) -> Any:
    """Return objects as an array of numbers, Booleans or text."""
    return pandas().Series(values).infer_objects().to_numpy()

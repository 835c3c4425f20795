"""The second judgement of a model, on later rows or new groups, if its rows may depend on each other."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import clone

from ..encoding.encoder import Encoder
from ..encoding.folds import Dependence
from ..error import pandas
from ..explaining.relations import Relation, relations
from ..rows import OF_GROUPS
from .baselines import NAIVE
from .measured import Measured
from .measuring import Parts, cross_validated, measured_unseen
from .metrics import title
from .targets import as_learned
from .verdict import OURS, Verdict

RANDOM = "random rows"
"""The key of predictions by models that know random rows."""
RISE = 0.1
"""A loss is worse if it rises significantly, and by this fraction of the loss."""
RISE_OF_NAIVE = 0.01
"""A loss is worse only if it rises by this fraction of the naive loss."""
LATEST = 2
"""The number of folds of times. The last one is held out: the latest quarter."""
GROUPS = 5
"""The number of folds of groups. A fifth of the groups is held out."""
PERIODS = 364, 7
"""A year has about 364 days, which are 52 weeks, and a week has 7 days."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """The scores of a model that knows only earlier rows or other groups.

    Parameters
    ----------
    measured : Measured
        The predictions of this model and its baselines.
    both : Measured
        The predictions of this model and of models that know random rows, for the same
        rows. If rows are independent, so are their differences; therefore bootstrap
        samples need not contain whole groups.
    """

    relation: Relation
    measured: Measured
    both: Measured

    @property
    def _rise(self) -> float:
        """The rise of the loss, relative to a rise that matters."""
        matters = max(
            RISE * self.both._losses[RANDOM].value,
            RISE_OF_NAIVE * self.measured._losses[NAIVE].value,
        )
        return -self.both.margins[RANDOM].value / matters

    @cached_property
    def is_worse(self) -> bool:
        """Whether the loss is significantly and notably higher than the loss of models that know random rows."""
        return self._rise >= 1 and self.both.margins[RANDOM].high < 0

    @property
    def note(self) -> str:
        """The scores of both models as text."""
        headline = "Perhaps worse" if self._rise >= 1 else "About the same"
        if self.is_worse:
            headline = "Worse"
        values = []
        for metric in self.both.metrics:
            if metric in (self.both._loss, "r2", "d2", "d2_log_loss"):
                scores, _ = self.both._compared(metric)
                values.append(
                    f"the {title(metric)} is {scores[OURS].value}"
                    f" ({scores[RANDOM].value} on random rows)"
                )
        return (
            f"{headline} on {self.relation.rows}: {' and '.join(values)},"
            f" {self.relation.source}."
        )

    def applied(self, verdict: Verdict) -> Verdict:
        """Return the verdict, or a negative one if this model is worse or no better than a baseline."""
        second = self.measured.verdict
        assert second is not None
        rows = self.relation.rows
        if self.is_worse:
            level = f"worse on {rows}"
            says = self.note
        elif (
            verdict.is_positive
            and second.margin.value <= 0
            and second.margin.high < verdict.margin.low
        ):
            level = second.level
            says = f"Not better than {second.baseline} on {rows}: {self.note}"
        else:
            return verdict
        says += f" {self.relation.advice}"
        worries = [
            f"On {rows}: {second.says}",
            f"On random rows: {verdict.says}",
            *verdict.worries,
        ]
        return replace(second, level=level, says=says, worries=worries)


def judgements(
    model, parts: Parts, measured: Measured, progress_bar: Callable[[str], Any]
) -> list[Judgement]:
    """Judge a model on later rows and on new groups, until it is worse, if the table has times or identifiers.

    In large tables, two judgements have half the networks each. If the table does not
    fit into memory, models of the sample are compared.

    Raises
    ------
    KeyboardInterrupt
        If training is interrupted.
    """
    if parts.stream is not None:
        parts = replace(parts, stream=None)
        model = _model_of_sample(model, parts, progress_bar)
        measured = measured_unseen(model, parts, measured.seed, baselines=False)
    combined = parts.combined
    predictions = np.full(
        (len(combined.y), *measured.predictions[OURS].shape[1:]), np.nan
    )
    predictions[: len(parts.y)] = model.out_of_fold_
    predictions[combined.X.index.get_indexer(measured.index)] = measured.predictions[
        OURS
    ]
    related = relations(
        model.encoder_,
        combined.X.drop(columns=list(combined.X.attrs["aside"])),
        combined.y,
    )
    share = 1 if measured.folds else len(related)
    judge = Judge(model, combined, measured, predictions, share, progress_bar)
    judged = []
    for relation in related:
        try:
            judgement = judge(relation, relation.role)
            if judgement.is_worse and relation.is_time:
                without_trend = judge.without_trend(relation)
                if not without_trend.is_worse:
                    judgement = without_trend
        except ValueError as error:
            parts.notes.append(
                f"Scores on {relation.rows} (column {relation.column!r}) are unknown:"
                f" {error}"
            )
            continue
        judged.append(judgement)
        if judgement.is_worse:
            break
    return judged


def _model_of_sample(model, parts: Parts, progress_bar: Callable[[str], Any]):
    """Return a model trained on the sample of a table that does not fit into memory."""
    with progress_bar("training on the sample") as progress:
        sample_model: Any = clone(model)
        sample_model.set_params(
            progress=progress, checkpoint=model._checkpoint_part("sample")
        )
        return sample_model.fit(**parts.training)


@dataclass(frozen=True, eq=False)
class Judge:
    """Trains models that know only earlier rows or other groups.

    ``predictions`` of all rows are by models that know random rows. ``share`` divides
    the number of networks.
    """

    model: Any
    combined: Parts
    measured: Measured
    predictions: np.ndarray
    share: int
    progress_bar: Callable[[str], Any]

    def __call__(self, relation: Relation, name: str) -> Judgement:
        """Return the judgement on later rows or new groups; ``name`` is the part of the checkpoint."""
        model = copy(self.model)
        members = model._members(len(self.combined.y)) // self.share
        model.set_params(
            n_estimators=max(members, 2), checkpoint=model._checkpoint_part(name)
        )
        with self.progress_bar(f"training for {relation.rows}") as progress:
            second = self._on_other_rows(model, relation, progress)
        ours = second.predictions[OURS]
        random = self.predictions[self.combined.X.index.get_indexer(second.index)]
        both = {OURS: ours, RANDOM: np.where(np.isnan(random), ours, random)}
        return Judgement(
            relation, second, replace(second, predictions=both, groups=None)
        )

    def without_trend(self, relation: Relation) -> Judgement:
        """Return the judgement of models that know only the season or the weekday of a date.

        A model may learn a trend that does not continue, although rows are independent.
        """
        X = self.combined.X.copy(deep=False)
        is_date = self.model.encoder_.kinds.get(relation.column) == "dates"
        length = np.ptp(relation.values)
        period = next((period for period in PERIODS if length >= 1.5 * period), None)
        if is_date and period is not None:
            X[relation.column] = pandas().to_datetime(
                relation.values % period, unit="D"
            )
        else:
            X.attrs["aside"] = {
                **X.attrs["aside"],
                relation.column: "its trend may not continue",
            }
        judge = replace(
            self,
            combined=replace(self.combined, X=X),
            share=1 if self.measured.folds else 2,
        )
        return judge(relation, "season")

    def _on_other_rows(self, model, relation: Relation, progress) -> Measured:
        """Return predictions of later rows, or of groups in one fold or all folds, by models of other rows."""
        parts = self.combined
        seed = self.measured.seed
        folds = 0
        if relation.is_time:
            fold = Dependence(time=relation.values).folds(parts.y, LATEST, seed)
        else:
            X = parts.X.assign(**{relation.column: relation.values})
            X.attrs["aside"] = {**X.attrs["aside"], relation.column: OF_GROUPS}
            dependence = Dependence(groups=relation.values)
            parts = replace(parts, X=X, dependence=dependence, group=relation.column)
            folds = len(self.measured.folds)
            y = as_learned(model, parts.y)
            fold = dependence.folds(y, folds or GROUPS, seed)
        inputs = parts.X.drop(columns=list(parts.X.attrs["aside"]))
        model.encoder_, _ = Encoder.of(inputs, model._column_options)
        if folds:
            return cross_validated(model, parts, folds, seed, progress, fold)
        # the rows of the last fold are held out, and the others (-1) only train
        held_out = np.where(fold == fold.max(), 0, -1)
        scored = cross_validated(
            model, parts, folds, seed, progress, held_out, is_time=True
        )
        return replace(scored, how="test", folds=[])

"""Judgement of a model by its test and its training: reasons not to trust it, as sentences."""

from collections.abc import Iterator

import numpy as np

from ..models.metrics import TITLES
from .train_on_table import Trained

FEW = 50
"""With fewer rows than this, a test is too imprecise to judge a model."""


def judgement(trained: Trained) -> list[str]:
    """Return the reasons not to trust a model; none if there are none."""
    return [
        sentence
        for rule in (_against_baselines, _few_rows, _unfinished, _never_predicted)
        for sentence in rule(trained)
    ]


def _against_baselines(trained: Trained) -> Iterator[str]:
    ours, *others = trained.scores
    metric = next(iter(trained.scores[ours]))
    value = trained.scores[ours][metric].value
    for other in reversed(others):
        score = trained.scores[other][metric]
        if score.value <= value:
            yield f"On the test, {other} is no worse: its {TITLES[metric]} is {score.value:.4g}, ours {value:.4g}."


def _few_rows(trained: Trained) -> Iterator[str]:
    rows = len(trained.parts.y_test)
    if rows < FEW:
        yield f"The test has {rows} rows only: see how wide the intervals are."


def _unfinished(trained: Trained) -> Iterator[str]:
    """Say if most networks were still getting better at the last epoch."""
    curves = trained.model.validation_loss_curves_
    epochs = trained.model.epochs(len(trained.parts.y))
    late = sum(len(curve) > epochs and int(np.argmin(curve)) >= 0.95 * epochs for curve in curves)
    if 2 * late > len(curves):
        yield f"{late} of {len(curves)} networks were still getting better after {epochs} epochs: raise --max-iter."


def _never_predicted(trained: Trained) -> Iterator[str]:
    if not trained.is_classifier:
        return
    there = np.unique(trained.truth[trained.truth >= 0])
    never = np.setdiff1d(there, np.unique(trained.predicted.argmax(axis=1)))
    if len(never):
        shown = ", ".join(repr(name) for name in trained.model.classes_[never[:5]].tolist())
        yield f"The test has rows of {shown}{' and others' if len(never) > 5 else ''}, but none was predicted so."

"""The verdict on a model: whether it is better than its baselines on the test, and reasons not to trust it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...tables.evaluation.baselines import NAIVE
from ...tables.evaluation.metrics import TITLES, Estimate
from .measured import OURS
from .train_on_table import Trained

FEW, FEW_GROUPS = 50, 20
"""With fewer rows or groups than this, a test is too imprecise to judge a model."""

Level = Literal["better", "slightly better", "no better", "worse"]


@dataclass(frozen=True)
class Verdict:
    """Whether a model is better than its baselines.

    Parameters
    ----------
    level : str
        By the 95 % intervals of differences in paired draws: "better" if the loss is lower than that of each baseline,
        and its own interval overlaps none of theirs; "slightly better" if it is lower, but intervals overlap; "worse"
        if the loss of the best baseline is lower; "no better" if the rows do not tell.
    """

    level: Level
    metric: str
    ours: Estimate
    baseline: str
    theirs: Estimate
    margin: Estimate
    overlaps: list[str]
    says: str
    worries: list[str]

    @property
    def sentences(self) -> list[str]:
        """The verdict and the worries."""
        return [self.says, *self.worries]


def verdict(trained: Trained) -> Verdict:
    """Return the verdict on a model."""
    scores, metric = trained.scores, next(iter(trained.metrics))
    ours, *others = [(name, of[metric]) for name, of in scores.items()]
    baseline = decisive({name: score.value for name, score in others}, trained.margins)
    theirs, margin = scores[baseline][metric], trained.margins[baseline]
    overlaps = [name for name, score in others if ours[1].overlaps(score)]
    level = _level(trained.margins, baseline, overlaps)
    rules = (
        _without_test,
        _like_naive,
        _worse_than_frequencies,
        _few_rows,
        _unfinished,
        _one_class,
        _never_predicted,
    )
    worries = [sentence for rule in rules for sentence in rule(trained)]
    says = _says(level, TITLES[metric], ours[1], baseline, theirs, margin)
    return Verdict(level, metric, ours[1], baseline, theirs, margin, overlaps, says, worries)


def decisive(losses: dict[str, float], margins: dict[str, Estimate]) -> str:
    """Return the baseline by which a model is judged: the best, or if that is surely beaten, one that is not.

    Examples
    --------
    >>> margins = {"linear": Estimate(0.03, 0.01, 0.05), "boosting": Estimate(0.04, -0.01, 0.09)}
    >>> decisive({"linear": 0.33, "boosting": 0.34}, margins)
    'boosting'
    """
    best = min(losses, key=lambda name: losses[name])
    closest = min(margins, key=lambda name: margins[name].low)
    return closest if margins[best].low > 0 >= margins[closest].low else best


def _level(margins: dict[str, Estimate], best: str, overlaps: list[str]) -> Level:
    if margins[best].high < 0:
        return "worse"
    if not all(margin.low > 0 for margin in margins.values()):
        return "no better"
    return "slightly better" if overlaps else "better"


def _says(level: Level, loss: str, ours: Estimate, baseline: str, theirs: Estimate, margin: Estimate) -> str:
    """Return a verdict as a sentence."""
    values = f"the {loss} is {ours.value:.4g}, that of {baseline} {theirs.value:.4g}"
    apart = _apart(margin)
    return {
        "better": f"Better than all baselines: {values}, the best of them; ours is {apart}.",
        "slightly better": f"Slightly better than {baseline}: {values}; ours is {apart}, but intervals overlap.",
        "no better": f"No better than {baseline}, as far as can be told: {values}; ours is {apart}.",
        "worse": f"Not the best choice, which is {baseline}: {values}; ours is {apart}.",
    }[level]


def _apart(margin: Estimate) -> str:
    return f"lower by {margin}" if margin.value >= 0 else f"higher by {-margin}"


def _without_test(trained: Trained) -> Iterator[str]:
    if trained.measured.how == "out of fold":
        yield (
            "There is no test: each training row is predicted by networks that were neither trained on it nor stopped "
            "by it."
        )


def _like_naive(trained: Trained) -> Iterator[str]:
    """Say if the model may be no better than naive, unless that is what the verdict is about."""
    metric = next(iter(trained.metrics))
    losses = {name: of[metric].value for name, of in trained.scores.items() if name != OURS}
    if trained.margins[NAIVE].low <= 0 and decisive(losses, trained.margins) != NAIVE:
        yield (
            f"The {TITLES[metric]} may be no better than without inputs, which is {losses[NAIVE]:.4g}: ours is "
            f"{_apart(trained.margins[NAIVE])}."
        )


def _worse_than_frequencies(trained: Trained) -> Iterator[str]:
    explained = trained.scores[OURS].get("d2_log_loss")
    if explained is not None and explained.high < 0:
        weighted = ", since classes have weights: use them to rank and to decide" if trained.model.class_weight else ""
        yield (
            "The probabilities tell less than how frequent the classes are in these rows (D² of log loss is "
            f"{explained}){weighted}."
        )


def _few_rows(trained: Trained) -> Iterator[str]:
    rows, groups = len(trained.truth), None if trained.groups is None else len(np.unique(trained.groups))
    if rows < FEW:
        yield f"The scores are of {rows} rows only: see how wide the intervals are."
    if groups is not None and groups < FEW_GROUPS:
        yield f"The scores are of {groups} groups only, from which intervals are rather too narrow."


def _unfinished(trained: Trained) -> Iterator[str]:
    """Say if most networks were still getting better at the last epoch."""
    curves = trained.model.validation_loss_curves_
    epochs = trained.model.training(trained.parts.rows).epochs
    late = sum(len(curve) > epochs and int(np.argmin(curve)) >= 0.95 * epochs for curve in curves)
    if 2 * late > len(curves):
        yield f"{late} of {len(curves)} networks were still getting better after {epochs} epochs: raise --max-iter."


def _one_class(trained: Trained) -> Iterator[str]:
    there = np.unique(trained.truth)
    if trained.is_classifier and len(there) == 1 and there[0] >= 0:
        named = repr(trained.model.classes_.tolist()[there[0]])
        yield f"All rows measured are of the class {named}: they cannot tell how well classes are told apart."


def _never_predicted(trained: Trained) -> Iterator[str]:
    if not trained.is_classifier:
        return
    there = np.unique(trained.truth[trained.truth >= 0])
    never = np.setdiff1d(there, np.unique(trained.measured.decided))
    if len(never):
        shown = ", ".join(repr(name) for name in trained.model.classes_[never[:5]].tolist())
        lower = ": try --threshold f1" if len(trained.model.classes_) == 2 and trained.model.threshold is None else ""
        more = " and others" if len(never) > 5 else ""
        yield f"The rows measured have {shown}{more}, but none was predicted so{lower}."

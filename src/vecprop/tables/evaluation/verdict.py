"""The verdict on a model: whether it is better than its baselines."""

from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal

import numpy as np
from scipy.stats import norm, t

from ...system.estimates import Estimate
from .baselines import NAIVE
from .metrics import title

OURS = "vecprop"
"""The key of the model in dictionaries of models and baselines."""
How = Literal["table", "test", "out of fold", "cross-validation"]
Level = Literal[
    "better",
    "slightly better",
    "worse",
    "not distinguishable",
    "too few rows to tell",  # prose: ok
    "worse on later rows",
    "worse on new groups",
]
UNCLEAR = "too few rows to tell"  # prose: ok
SLIGHT = 0.05
"""A difference of losses matters if it exceeds this fraction of the loss of the
baseline.
"""
SLIGHT_OF_NAIVE = 0.01
"""A difference of losses matters if it exceeds this fraction of the naive loss."""
FEW = 50
"""Below this number of rows, no model is called equal to a baseline or without
skill.
"""
FEW_UNITS = 20
"""Below this number of rows or groups, bootstrap intervals prove nothing."""
MAX_SEEN = 0.05
"""If the share of training rows among the scored rows is larger, no model is called
better.
"""
GUESSING = {"r2": 0.0, "d2": 0.0, "roc_auc": 0.5}
"""Scores of predictions that ignore the inputs."""
NO_SKILL = {"r2": 0.05, "d2": 0.05, "d2_log_loss": 0.05, "roc_auc": 0.55}
"""A model has no skill only if the intervals of its scores end below these values."""
SCORED: dict[How, str] = {
    "out of fold": "Out of fold, without a test",
    "cross-validation": "In cross-validation",
}
"""How rows were scored without a test set."""


@dataclass(frozen=True)
class Verdict:
    """Whether a model is better than its baselines.

    Parameters
    ----------
    level : str
        Determined by the 95 % intervals of the paired loss differences. "better": the
        loss is lower than the loss of every baseline, and R² and ROC AUC are better
        than guessing; "slightly better": as before, but by less than 5 %; "worse": the
        loss is higher than the loss of a baseline; "not distinguishable": at least 50
        rows and 20 groups were scored, and the intervals exclude differences of 5 % of
        the loss (or 1 % of the naive loss, if it is more), or prove that the model has
        no skill; ``"too few rows to tell"``: otherwise, also if more than 5 % of the
        rows are training rows.

        "worse on later rows" and "worse on new groups": the loss is at least 10 % and
        significantly higher if the model knows only earlier rows or other groups. Other
        attributes then describe the model's scores on these rows.
    metric : str
        The loss that decides.
    ours, theirs, margin : Estimate
        The loss of the model, the loss of ``baseline``, and the difference (theirs
        minus ours).
    baseline : str
        The best baseline that the model does not beat, or the best of all baselines if
        the model beats them.
    beaten : list of str
        The baselines with a significantly higher loss.
    says : str
        The verdict as text. The part before the first colon is a headline.
    worries : list of str
        Reasons not to trust the model or its metrics.
    """

    level: Level
    metric: str
    ours: Estimate
    baseline: str
    theirs: Estimate
    margin: Estimate
    beaten: list[str]
    says: str
    worries: list[str]

    @property
    def is_positive(self) -> bool:
        """Whether the model is better than all baselines."""
        return self.level in ("better", "slightly better")


def widening(how: How, units: int, folds: int) -> float:
    """Return the ratio of the widths of intervals of differences and of bootstrap intervals.

    For few rows or groups, it is the ratio of the quantiles of the t distribution and
    the normal distribution. In cross-validation, the training sets of the folds
    overlap, so the variance is multiplied by 1 + K / (K - 1) (Nadeau and Bengio, 2003).
    Out-of-fold predictions also choose the number of epochs and the temperature, so
    their intervals are doubled.

    Examples
    --------
    >>> round(widening("test", 100, 0), 2), round(widening("cross-validation", 100, 5), 2)
    (1.02, 1.53)
    """
    if units < 2:
        return nan
    few = float(t.ppf(0.975, units - 1) / norm.ppf(0.975)) * sqrt(units / (units - 1))
    if how == "out of fold":
        return 2 * few
    if how == "cross-validation":
        return few * sqrt(1 + folds / max(folds - 1, 1))
    return few


def verdict_of(measured, worries: list[str]) -> Verdict:
    """Return the verdict on the model of a `Measured`, given reasons not to trust the model."""
    losses = measured._losses
    loss_title = title(measured._loss)
    subject = f"the {loss_title}"
    beaten, superior = significant(measured)
    undecided = [name for name in measured.margins if name not in beaten + superior]
    has_no_skill = NAIVE not in beaten and lacks_skill(measured)
    # the baselines in the headline
    compared = superior or undecided or beaten
    level: Level = "not distinguishable"
    if has_no_skill:
        headline = f"The {loss_title} shows no skill"
        subject = "it"
        compared = [NAIVE]
        if superior:
            level = "worse"
    elif superior:
        level = "worse"
        headline = f"Worse than {listed(superior)}"
    elif not undecided:
        best = _lowest(losses, beaten)
        level = "better"
        if measured.margins[best].value < SLIGHT * losses[best].value:
            level = "slightly better"
        headline = f"{level.capitalize()} than all baselines"
    elif all(is_equivalent(measured, name) for name in undecided):
        headline = f"Not distinguishable from {listed(undecided)}"
    else:
        level = UNCLEAR
        headline = (
            f"{UNCLEAR.capitalize()} (n = {described_rows(measured)}) whether the model"
            f" is better than {listed(undecided)}"
        )
    baseline = _lowest(losses, compared)
    says = f"{headline}: {subject} is {_comparison(measured, baseline)}"
    if beaten and (superior or undecided):
        says += f" The model is significantly better than {listed(beaten)}."
    if has_no_skill and superior:
        says += f" It is significantly worse than {listed(superior)}."
    scored_rows = SCORED.get(measured.how)
    if measured.trained_on:
        scored_rows = "Partly on training rows"
    if scored_rows:
        says = f"{scored_rows}, {says[0].lower()}{says[1:]}"
    return Verdict(
        level,
        metric=measured._loss,
        ours=losses[OURS],
        baseline=baseline,
        theirs=losses[baseline],
        margin=measured.margins[baseline],
        beaten=beaten,
        says=says,
        worries=worries,
    )


def _lowest(losses: dict[str, Estimate], names: list[str]) -> str:
    """Return the name of the lowest loss."""
    return min(names, key=lambda name: losses[name].value)


def _comparison(measured, baseline: str) -> str:
    """Return the loss of the model, the loss of a baseline, and their difference as text."""
    scores, margins = measured._compared(measured._loss)
    explanation = " (which ignores the inputs)" if baseline == NAIVE else ""
    text = (
        f"{scores[OURS].value}, compared with {scores[baseline].value} for"
        f" {baseline}{explanation}; the difference is {margins[baseline]}."
    )
    if baseline == NAIVE and measured.margins[NAIVE].low > 0:
        for guess in guesses(measured):
            text += f" But {guess}."
    return text


def significant(measured) -> tuple[list[str], list[str]]:
    """Return the baselines with a significantly higher loss, and those with a significantly lower loss."""
    if measured.units < FEW_UNITS:
        return [], []
    beaten = [name for name, margin in measured.margins.items() if margin.low > 0]
    superior = [name for name, margin in measured.margins.items() if margin.high < 0]
    if NAIVE in beaten and guesses(measured):
        beaten.remove(NAIVE)
    if is_seen(measured):
        beaten = []
    return beaten, superior


def guesses(measured) -> list[str]:
    """Return the scores of the model that may be no better than the scores of guesses, as text."""
    return [
        f"the {title(metric)} is {score}, and {GUESSING[metric]:g} for guesses"
        for metric, score in measured._judged(GUESSING)
        if not score.low > GUESSING[metric]
    ]


def is_seen(measured) -> bool:
    """Whether so many rows are training rows that low losses prove nothing."""
    return measured.trained_on > MAX_SEEN * len(measured.truth)


def is_small(measured) -> bool:
    """Whether there are too few unseen rows or groups to call models equal."""
    return is_seen(measured) or len(measured.truth) < FEW or measured.units < FEW_UNITS


def lacks_skill(measured) -> bool:
    """Whether the intervals exclude that the model is clearly better than without inputs."""
    if (
        is_small(measured)
        or measured.margins[NAIVE].high > SLIGHT / 2 * measured._losses[NAIVE].value
    ):
        return False
    return not any(
        score.high > NO_SKILL[metric] for metric, score in measured._judged(NO_SKILL)
    )


def is_equivalent(measured, baseline: str) -> bool:
    """Whether the interval excludes a difference that matters."""
    losses = measured._losses
    matters = max(
        SLIGHT * losses[baseline].value, SLIGHT_OF_NAIVE * losses[NAIVE].value
    )
    margin = measured.margins[baseline]
    return not is_small(measured) and -matters <= margin.low and margin.high <= matters


def described_rows(measured) -> str:
    """Return the number of scored rows and groups."""
    rows = f"{len(measured.truth):,}"
    if is_seen(measured):
        return f"{rows}, {measured.trained_on:,} of them training rows"
    if measured.groups is not None:
        groups = "groups" if measured.units > 1 else "group"
        return f"{rows} in {measured.units} {groups}"
    if len(np.unique(measured.truth)) == 1:
        return f"{rows}, all with the same target"
    return rows


def listed(names: list[str]) -> str:
    """Return names as text, such as "A, B and C"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"

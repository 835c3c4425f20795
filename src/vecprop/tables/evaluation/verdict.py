"""A plain summary of the scores of a model, and the verdict: whether it is better than its baselines."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any, Literal

import numpy as np
from scipy.stats import norm, t

from ..ensemble.calibration import positive_of
from ..estimates import Estimate, compared
from .baselines import NAIVE
from .metrics import title
from .targets import levels_of

OURS = "vecprop"
"""The key of the model in dictionaries of models and baselines."""
How = Literal["table", "test", "out of fold", "cross-validation"]
Level = Literal["better", "slightly better", "worse", "not distinguishable", "too few rows to tell"]  # prose: ok
UNCLEAR = "too few rows to tell"  # prose: ok
SLIGHT, SLIGHT_OF_NAIVE = 0.05, 0.01
"""A difference of losses matters if it exceeds these fractions of the loss of the baseline and of the naive loss."""
FEW, FEW_GROUPS = 50, 20
"""Below this number of rows or groups, no model is called equal to a baseline or without skill."""
TOO_FEW = 10
"""Below this number of rows or groups, bootstrap intervals prove nothing."""
GUESSING = {"r2": 0.0, "roc_auc": 0.5}
"""Scores of predictions that ignore the inputs."""
NO_SKILL = {"r2": 0.05, "d2_log_loss": 0.05, "roc_auc": 0.55}
"""A model has no skill only if the intervals of its scores end below these values."""
SCORED: dict[How, str] = {"out of fold": "Out of fold, without a test", "cross-validation": "In cross-validation"}
"""How rows were scored without a test set."""


@dataclass(frozen=True)
class Verdict:
    """Whether a model is better than its baselines.

    Parameters
    ----------
    level : str
        Determined by the 95 % intervals of the paired loss differences. "better": the loss is lower than the loss of
        every baseline, and R² and ROC AUC are better than guessing; "slightly better": as before, but by less than 5 %;
        "worse": the loss is higher than the loss of a baseline; "not distinguishable": at least 50 rows and 20 groups
        were scored, and the intervals exclude differences of 5 % of the loss (or 1 % of the naive loss, if it is more),
        or prove that the model has no skill; ``"too few rows to tell"``: otherwise.
    metric : str
        The loss that decides.
    ours, theirs, margin : Estimate
        The loss of the model, the loss of ``baseline``, and the difference (theirs minus ours).
    baseline : str
        The best baseline that the model does not beat, or the best of all baselines if the model beats them.
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


def widening(how: How, units: int, folds: int) -> float:
    """Return the ratio of the widths of intervals of differences and of bootstrap intervals.

    For few rows or groups, it is the ratio of the quantiles of the t distribution and the normal distribution. In
    cross-validation, the training sets of the folds overlap, so the variance is multiplied by 1 + K / (K - 1) (Nadeau
    and Bengio, 2003). Out-of-fold predictions also choose the number of epochs and the temperature, so their intervals
    are doubled.

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


@dataclass(frozen=True)
class Comparison:
    """The comparison of a model with its baselines by a loss; ``measured`` is a `Measured`."""

    measured: Any
    metric: str

    @property
    def ours(self) -> Estimate:
        """The loss of the model."""
        return self.measured.scores[OURS][self.metric]

    @property
    def losses(self) -> dict[str, Estimate]:
        """The loss of each baseline."""
        return {name: scores[self.metric] for name, scores in self.measured.scores.items() if name != OURS}

    @property
    def is_tiny(self) -> bool:
        """Whether bootstrap samples of so few rows or groups prove nothing."""
        return self.measured.units < TOO_FEW

    @property
    def is_small(self) -> bool:
        """Whether there are too few rows or groups to call two models equal."""
        has_few_groups = self.measured.groups is not None and self.measured.units < FEW_GROUPS
        return has_few_groups or len(self.measured.truth) < FEW

    @property
    def beaten(self) -> list[str]:
        """The baselines with a significantly higher loss."""
        if self.is_tiny:
            return []
        margins = self.measured.margins
        return [name for name in margins if margins[name].low > 0 and (name != NAIVE or self._beats_guessing)]

    @property
    def better(self) -> list[str]:
        """The baselines with a significantly lower loss."""
        if self.is_tiny:
            return []
        return [name for name, margin in self.measured.margins.items() if margin.high < 0]

    @property
    def undecided(self) -> list[str]:
        """The other baselines."""
        return [name for name in self.measured.margins if name not in (*self.beaten, *self.better)]

    def _skill(self, metric: str) -> Estimate:
        """Return a score of the model with the interval that is used to judge differences."""
        return self.measured.scores[OURS][metric].widened(self.measured._widening)

    @property
    def _beats_guessing(self) -> bool:
        """Whether R² and ROC AUC, where they exist, are significantly better than without inputs."""
        scores = self.measured.scores[OURS]
        return all(self._skill(metric).low > guess for metric, guess in GUESSING.items() if metric in scores)

    @property
    def has_no_skill(self) -> bool:
        """Whether the intervals exclude that the model is clearly better than without inputs."""
        margins, scores = self.measured.margins, self.measured.scores[OURS]
        if self.is_small or NAIVE in self.beaten or NAIVE not in margins:
            return False
        is_excluded = margins[NAIVE].high <= SLIGHT / 2 * self.losses[NAIVE].value
        return is_excluded and all(
            not self._skill(metric).high > limit for metric, limit in NO_SKILL.items() if metric in scores
        )

    def is_equivalent(self, baseline: str) -> bool:
        """Whether the interval excludes a difference that matters."""
        margin, loss = self.measured.margins[baseline], self.losses[baseline].value
        naive = self.losses[NAIVE].value if NAIVE in self.losses else 0.0
        matters = max(SLIGHT * loss, SLIGHT_OF_NAIVE * naive)
        return not self.is_small and -matters <= margin.low and margin.high <= matters

    @property
    def level(self) -> Level:
        """The level of the verdict."""
        if self.better:
            return "worse"
        if self.has_no_skill:
            return "not distinguishable"
        if self.undecided:
            is_equal = all(map(self.is_equivalent, self.undecided))
            return "not distinguishable" if is_equal else UNCLEAR
        best = self.baseline
        is_slight = self.measured.margins[best].value < SLIGHT * self.losses[best].value
        return "slightly better" if is_slight else "better"

    @property
    def baseline(self) -> str:
        """The baseline that the verdict names."""
        if self.has_no_skill:
            return NAIVE
        candidates = self.better or self.undecided or self.beaten
        return min(candidates, key=lambda name: self.losses[name].value)

    @property
    def headline(self) -> str:
        """The level in words."""
        others = listed(self.undecided)
        if self.has_no_skill:
            return f"The {title(self.metric)} shows no skill"
        if self.level == "worse":
            return f"Worse than {listed(self.better)}"
        if self.level == "not distinguishable":
            return f"Not distinguishable from {others}"
        if self.level == UNCLEAR:
            return f"{UNCLEAR.capitalize()} (n = {self._count}) whether the model is better than {others}"
        return f"{self.level.capitalize()} than all baselines"

    @property
    def _count(self) -> str:
        """The number of scored rows and groups."""
        measured, count = self.measured, f"{len(self.measured.truth):,}"
        if measured.groups is not None:
            return f"{count} in {measured.units} group{'s' if measured.units > 1 else ''}"
        if len(np.unique(measured.truth)) == 1:
            return f"{count}, all with the same target"
        return count

    @property
    def says(self) -> str:
        """The verdict as text."""
        names, margins = list(self.losses), self.measured.margins
        texts = compared([self.ours, *self.losses.values()], [margins[name] for name in names])
        place = names.index(self.baseline)
        ours, theirs, margin = texts[0].value, texts[1 + place].value, texts[1 + len(names) + place]
        name = f"{NAIVE} (which ignores the inputs)" if self.baseline == NAIVE else self.baseline
        subject = "it" if self.has_no_skill else f"the {title(self.metric)}"
        says = f"{self.headline}: {subject} is {ours}, compared with {theirs} for {name}"
        says += f"; the difference is {margin}."
        if self.beaten and self.level not in ("better", "slightly better"):
            says += f" The model is significantly better than {listed(self.beaten)}."
        if self.better and self.has_no_skill:
            says += f" It is significantly worse than {listed(self.better)}."
        scored = "Partly on training rows" if self.measured.trained_on else SCORED.get(self.measured.how)
        return f"{scored}, {says[0].lower()}{says[1:]}" if scored else says

    def verdict(self, worries: Sequence[str]) -> Verdict:
        """Return the verdict, given reasons not to trust the model."""
        name = self.baseline
        theirs, margin = self.losses[name], self.measured.margins[name]
        return Verdict(self.level, self.metric, self.ours, name, theirs, margin, self.beaten, self.says, list(worries))


def listed(names: list[str]) -> str:
    """Return names as text, such as "A, B and C"."""
    *others, last = names or [""]
    return f"{', '.join(others)} and {last}" if others else last


SEEN: dict[How, str] = {
    "table": "",
    "test": " unseen",
    "out of fold": ", each predicted by networks that were trained without it",
    "cross-validation": ", each predicted by a model that was trained without it",
}
"""How the rows of a summary were predicted."""
RARE = 0.2
"""For a positive class below this share of the rows, the summary also counts hits and false alarms."""


def summary_of(measured: Any) -> str:
    """Return the accuracy, the typical error or the coverage of a model in plain words."""
    seen = SEEN[measured.how]
    rows = f"{len(measured.truth):,}{seen} rows" if seen.startswith(" ") else f"{len(measured.truth):,} rows{seen}"
    if measured.trained_on:
        rows += f" ({measured.trained_on} of them are training rows)"
    if measured.is_classifier:
        summary = _summary_of_classes(measured, rows)
    elif "share_below" in measured.metrics:
        (share,) = percents(measured.metrics["share_below"].value)
        level = levels_of(measured.model)[0]
        summary = f"Of {rows}, {share} have a target that is at most the predicted quantile of level {level:g}."
    else:
        summary = _summary_of_numbers(measured, rows)
    has_weights = measured.weight.min() < measured.weight.max()
    return f"{summary} Rows count by their weight." if has_weights else summary


def _summary_of_classes(measured: Any, rows: str) -> str:
    names, truth, decided = measured.model.classes_.tolist(), measured.truth, measured.decided
    counts = np.bincount(truth[truth >= 0], measured.weight[truth >= 0], minlength=len(names))
    right, guess = percents(measured.metrics["accuracy"].value, counts.max() / measured.weight.sum())
    said = f"Of {rows}, {right} are classified correctly; always predicting {names[counts.argmax()]!r} gets {guess}."
    positive = positive_of(measured.model) if len(names) == 2 else None
    if positive is None or counts[positive] > RARE * counts.sum():
        return said
    is_positive, is_found = truth == positive, decided == positive
    hits, alarms = int((is_positive & is_found).sum()), int((~is_positive & is_found).sum())
    found = f"{hits:,} of {int(is_positive.sum()):,} rows of class {names[positive]!r} are found"
    return f"{said} {found}, with {alarms:,} false alarm{'s' if alarms != 1 else ''}."


def _summary_of_numbers(measured: Any, rows: str) -> str:
    is_interval = "coverage" in measured.metrics
    constant = "median" if is_interval else "mean"
    ours = measured.metrics["mae"]
    if NAIVE in measured.baselines:
        naive = measured.baselines[NAIVE]["mae"]
    else:
        truth, weight = measured.truth, measured.weight
        center = np.median(truth) if is_interval else np.average(truth, weights=weight)
        naive = Estimate(float(np.average(np.abs(truth - center), weights=weight)))
    error, of_naive = (text.value for text in compared([ours, naive]))
    errors = f"predictions are off by {error} on average; always predicting the {constant} is off by {of_naive}."
    if not is_interval:
        return f"On {rows}, {errors}"
    low, _, high = levels_of(measured.model)
    share, wanted = percents(measured.metrics["coverage"].value, high - low)
    return (
        f"Of {rows}, {share} have a target within the predicted interval, which should contain {wanted}. The {errors}"
    )


def percents(*shares: float) -> list[str]:
    """Return shares in percent, with equal decimals and enough of them to distinguish the shares from each other.

    Examples
    --------
    >>> percents(0.801, 0.62), percents(0.9996, 0.9994), percents(float("nan"))
    (['80 %', '62 %'], ['99.96 %', '99.94 %'], ['undefined'])
    """
    finite = [round(share, 9) for share in shares if not np.isnan(share)]
    distinct = {0.0, 1.0, *finite}
    decimals = 0
    while decimals < 7 and len({f"{100 * share:.{decimals}f}" for share in distinct}) < len(distinct):
        decimals += 1
    return ["undefined" if np.isnan(share) else f"{100 * share:.{decimals}f} %" for share in shares]

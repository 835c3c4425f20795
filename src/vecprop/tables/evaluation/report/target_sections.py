"""The sections on the target, the errors and the calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....system.estimates import percents
from ...ensemble.calibration import positive_of
from ...error import figures
from ..baselines import NAIVE
from ..measured import Measured
from ..targets import levels_of
from . import drawings as draw
from .markup import Html, parts, picture
from .sections import name_of

MAX_CLASSES = 20
"""Above this number of classes, the report lists confused pairs instead of a confusion matrix."""
MAX_PAIRS = 15
JUDGED = 0.9
"""The nominal coverage of the intervals in plots of groups of rows."""


def target_of_classes(measured: Measured) -> Html:
    """Return the class counts in the training and test rows, or in the table."""
    learned, count = measured.learned, len(measured.model.classes_)
    measured_rows = np.bincount(measured.truth[measured.truth >= 0], minlength=count)
    counts = measured_rows if learned is None else np.bincount(learned.y[learned.y >= 0], minlength=count)
    shown = [f"{count:,} ({count / max(counts.sum(), 1):.1%})" for count in counts]
    shares = counts / max(counts.max(), 1)
    rows = [list(row) for row in zip(_names(measured), map(parts().bar, shares, shown), strict=True)]
    heads = {"class": "name", "rows" if learned is None else "training rows": "bars"}
    if learned is not None and measured.has_test:
        rows = [[*row, f"{of:,}"] for row, of in zip(rows, measured_rows, strict=True)]
        heads |= {"test rows": "number"}
    return parts().long_table(heads, [rows[k] for k in np.argsort(-counts, kind="stable")], MAX_CLASSES)


def errors_of_classes(measured: Measured) -> Html:
    """Return the confused classes, the scores of each class, and the ROC and precision-recall curves."""
    known = measured.truth >= 0
    if not known.any():
        return parts().paragraph("None of these rows has a class that occurred in training.")
    truth, decided = measured.truth[known], measured.decided[known]
    names, curves = _names(measured), []
    if len(names) == 2 and len(np.unique(truth)) == 2:
        positive = positive_of(measured.model)
        predictions = {of: P[known, positive] for of, P in measured.predictions.items() if of != NAIVE}
        both = truth == positive, predictions, decided == positive
        guess = f"for {names[positive]}. The dotted line shows guessing"
        point = "; the point marks the decisions of the model."
        is_predicted = (decided == positive).any()  # otherwise, the precision is undefined
        curves = [
            picture(f"ROC curves {guess}{point}", draw.roc, *both),
            picture(f"Precision against recall {guess}{point if is_predicted else '.'}", draw.precision, *both),
        ]
    confused = confusion_matrix if len(names) <= MAX_CLASSES else confused_pairs
    of_truth = truth, decided, names
    return parts().errors_of_classes(confused(*of_truth), each_class(*of_truth), curves)


def confusion_matrix(truth: np.ndarray, decided: np.ndarray, names: Sequence[str]) -> Html:
    """Return a confusion matrix with counts, normalized over the true classes."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (truth, decided), 1)
    return parts().confusion_matrix(names, counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def confused_pairs(truth: np.ndarray, decided: np.ndarray, names: Sequence[str]) -> Html:
    """Return the most often confused pairs of classes, without computing a full matrix."""
    pairs = np.stack([truth, decided], axis=1)
    found, counts = np.unique(pairs[truth != decided], axis=0, return_counts=True)
    of_class = np.bincount(truth, minlength=len(names))
    order = np.argsort(-counts, kind="stable")[:MAX_PAIRS]
    rows = [
        [names[true], names[other], parts().bar(count / of_class[true], f"{count:,} of {of_class[true]:,}")]
        for (true, other), count in zip(found[order], counts[order], strict=True)
    ]
    heads = {"true": "name", "predicted": "name", "rows of the true class": "bars"}
    return parts().confused_pairs(len(found), heads, rows)


def each_class(truth: np.ndarray, decided: np.ndarray, names: Sequence[str]) -> Html:
    """Return the precision, recall and F1 of each class, the largest class first."""
    from sklearn.metrics import precision_recall_fscore_support

    undefined: Any = np.nan
    found = precision_recall_fscore_support(truth, decided, labels=range(len(names)), zero_division=undefined)
    *shares, support = map(np.asarray, found)
    rows = [
        [names[k], *("–" if np.isnan(of[k]) else f"{of[k]:.1%}" for of in shares), f"{support[k]:,}"]
        for k in np.argsort(-support, kind="stable")
    ]
    heads = {"class": "name"} | dict.fromkeys(("precision", "recall", "F1", "rows"), "number")
    return parts().each_class(heads, rows, MAX_CLASSES)


def calibration_of_classes(measured: Measured) -> Html:
    """Return a calibration plot."""
    known = measured.truth >= 0
    if not known.any():
        return ""
    if len(measured.model.classes_) == 2:
        positive = positive_of(measured.model)
        what = f"probability of {_names(measured)[positive]}"
        chance, is_true = measured.predicted[:, positive], measured.truth == positive
    else:
        what = "probability of the predicted class"
        decided = measured.decided
        chance, is_true = measured.predicted[np.arange(len(decided)), decided], decided == measured.truth
    line = "Below the dotted line, the probabilities are too high; above it, they are too low."
    bars = "Gray bars show how often each probability occurs."
    text = f"Observed frequency against the {what}, with {intervals_of(measured)}. {line} {bars}"
    return picture(text, draw.calibration, chance[known], is_true[known], what, height=3.5)


def intervals_of(measured: Measured) -> str:
    """Return what the error bars of a plot show: intervals that ignore groups."""
    return "95 % intervals" + ("" if measured.groups is None else " for independent rows")


def _names(measured: Measured) -> list[str]:
    return list(map(name_of, measured.model.classes_))


def target_of_numbers(measured: Measured) -> Html:
    """Return a histogram of the target, and its range and quartiles as text."""
    learned = measured.learned
    y = measured.truth if learned is None else learned.y
    low, first, middle, third, high = map(figures, np.quantile(y, [0, 0.25, 0.5, 0.75, 1]))
    text = f"Range {low} to {high}, median {middle}, quartiles {first} and {third}."
    if learned is not None and len(y) < learned.rows:
        text = f"A sample of {len(y):,} training rows. {text}"
    targets = {"table" if learned is None else "training": y}
    targets |= {"test": measured.truth} if learned is not None and measured.has_test else {}
    return picture(text, draw.targets, targets)


def errors_of_numbers(measured: Measured) -> Html:
    """Return plots of true values and of errors against predictions."""
    rows = len(measured.truth)
    some = f" Only {draw.MAX_POINTS:,} of {rows:,} rows are drawn." if rows > draw.MAX_POINTS else ""
    levels = levels_of(measured.model)
    if len(levels) == 1:
        (share,) = percents(levels[0])
        predicted = (
            f"True values against the predicted quantile; {share} of them should lie below the dotted line.{some}"
        )
        errors = f"True values minus predicted quantiles; {share} of them should be negative at each prediction."
    else:
        predicted = f"True against predicted values; exact predictions lie on the dotted line.{some}"
        errors = "Errors against predictions. A trend shows bias; a funnel shows errors that grow with the prediction."
    x, y = measured.predicted, measured.truth
    of_errors = picture(errors, draw.scattered, x, y - x, 0, "true − predicted")
    return parts().pictures([picture(predicted, draw.scattered, x, y, 1, "true"), of_errors])


def calibration_of_numbers(measured: Measured) -> Html:
    """Return plots of the coverage of intervals: overall, by prediction and by interval width."""
    if not measured.has_test:
        return parts().paragraph("The intervals are calibrated on the training rows, so only a test can check them.")
    ends = {share: measured.model.predict_interval(measured.X, share).T for share in draw.COVERAGES}
    within = {share: (low <= measured.truth) & (measured.truth <= high) for share, (low, high) in ends.items()}
    low, high = ends[JUDGED]
    of_all = f"Observed against nominal coverage of the intervals, with {intervals_of(measured)}."
    of_all += " Points below the dotted line mean that the intervals are too narrow."
    by_size = f"Observed coverage of {JUDGED:.0%} intervals, in groups of rows by"
    judged = within[JUDGED], JUDGED
    width = "interval width"
    return parts().pictures(
        [
            picture(of_all, draw.nominal_coverage, within),
            picture(f"{by_size} prediction.", draw.coverage, measured.predicted, *judged, "predicted"),
            picture(f"{by_size} {width}.", draw.coverage, high - low, *judged, width),
        ]
    )

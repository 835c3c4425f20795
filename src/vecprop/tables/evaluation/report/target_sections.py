"""The target and its predictions: which classes are confused, how far numbers are off, and calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ensemble.calibration import positive_of
from ..baselines import NAIVE
from ..measured import Measured
from ..metrics import figures
from . import drawings as draw
from .markup import Html, parts, picture
from .sections import name_of

MOST_CLASSES = 20
"""With more classes than this, a matrix of all pairs cannot be read."""
MOST_PAIRS = 15
JUDGED = 0.9
"""The coverage of the intervals that are judged by the size of rows."""


def target_of_classes(measured: Measured) -> Html:
    """Return the number of rows of each class, in training and in the test, or in the table."""
    learned, count = measured.learned, len(measured.model.classes_)
    measured_rows = np.bincount(measured.truth[measured.truth >= 0], minlength=count)
    counts = measured_rows if learned is None else np.bincount(learned.y[learned.y >= 0], minlength=count)
    shown = [f"{count:,} ({count / max(counts.sum(), 1):.1%})" for count in counts]
    shares = counts / max(counts.max(), 1)
    rows = [list(row) for row in zip(_names(measured), map(parts().bar, shares, shown), strict=True)]
    heads = {"class": "name", "rows" if learned is None else "rows to train": "bars"}
    if learned is not None and measured.has_test:
        rows = [[*row, f"{of:,}"] for row, of in zip(rows, measured_rows, strict=True)]
        heads |= {"rows to test": "number"}
    return parts().long_table(heads, [rows[k] for k in np.argsort(-counts, kind="stable")], MOST_CLASSES)


def errors_of_classes(measured: Measured) -> Html:
    """Return which classes are confused, how well each is found, and for two classes the curves of all thresholds."""
    known = measured.truth >= 0
    if not known.any():
        return parts().paragraph("No row of the test is of a class that training had.")
    truth, decided = measured.truth[known], measured.decided[known]
    names, curves = _names(measured), []
    if len(names) == 2 and len(np.unique(truth)) == 2:
        positive = positive_of(measured.model)
        predictions = {of: P[known, positive] for of, P in measured.predictions.items() if of != NAIVE}
        both = truth == positive, predictions, decided == positive
        guess = f"of {names[positive]}. A guess is on the dotted line; the point is at the model's threshold."
        curves = [
            picture(f"ROC curves {guess}", draw.roc, *both),
            picture(f"Precision against recall {guess}", draw.precision, *both),
        ]
    confused = confusion_matrix if len(names) <= MOST_CLASSES else confused_pairs
    of_truth = truth, decided, names
    return parts().errors_of_classes(confused(*of_truth), each_class(*of_truth), curves)


def confusion_matrix(truth: np.ndarray, decided: np.ndarray, names: Sequence[str]) -> Html:
    """Return the share of each true class that was predicted as each class, and the number of rows."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (truth, decided), 1)
    return parts().confusion_matrix(names, counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def confused_pairs(truth: np.ndarray, decided: np.ndarray, names: Sequence[str]) -> Html:
    """Return the pairs of classes that are confused most often: counted, without a matrix of all pairs."""
    pairs = np.stack([truth, decided], axis=1)
    found, counts = np.unique(pairs[truth != decided], axis=0, return_counts=True)
    of_class = np.bincount(truth, minlength=len(names))
    order = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    rows = [
        [names[true], names[other], parts().bar(count / of_class[true], f"{count:,} of {of_class[true]:,}")]
        for (true, other), count in zip(found[order], counts[order], strict=True)
    ]
    heads = {"true": "name", "predicted": "name", "rows of the true class": "bars"}
    return parts().confused_pairs(len(found), heads, rows)


def each_class(truth: np.ndarray, decided: np.ndarray, names: Sequence[str]) -> Html:
    """Return the precision and recall of each class, those with the most rows in the test first."""
    from sklearn.metrics import precision_recall_fscore_support

    undefined: Any = np.nan
    found = precision_recall_fscore_support(truth, decided, labels=range(len(names)), zero_division=undefined)
    *shares, support = map(np.asarray, found)
    rows = [
        [names[k], *("–" if np.isnan(of[k]) else f"{of[k]:.1%}" for of in shares), f"{support[k]:,}"]
        for k in np.argsort(-support, kind="stable")
    ]
    heads = {"class": "name"} | dict.fromkeys(("precision", "recall", "F1", "rows"), "number")
    return parts().each_class(heads, rows, MOST_CLASSES)


def calibration_of_classes(measured: Measured) -> Html:
    """Return a picture of how right the probabilities are."""
    known = measured.truth >= 0
    if not known.any():
        return ""
    if len(measured.model.classes_) == 2:
        positive = positive_of(measured.model)
        what = f"probability of {_names(measured)[positive]}"
        chance, is_so = measured.predicted[:, positive], measured.truth == positive
    else:
        what = "probability of the predicted class"
        decided = measured.decided
        chance, is_so = measured.predicted[np.arange(len(decided)), decided], decided == measured.truth
    line = "On the dotted line both are equal; below it the model is too sure."
    bars = "Grey bars show how many rows have such a probability."
    told = f"The {what}, and the share of rows in which it is so, with 95 % intervals. {line} {bars}"
    return picture(told, draw.calibration, chance[known], is_so[known], what, height=3.5)


def _names(measured: Measured) -> list[str]:
    return list(map(name_of, measured.model.classes_))


def target_of_numbers(measured: Measured) -> Html:
    """Return a picture of the target's distribution, and its quartiles in words."""
    learned = measured.learned
    y = measured.truth if learned is None else learned.y
    low, first, middle, third, high = map(figures, np.quantile(y, [0, 0.25, 0.5, 0.75, 1]))
    told = f"From {low} to {high}; half of the rows lie between {first} and {third}, around {middle}."
    targets = {"table" if learned is None else "training": y}
    targets |= {"test": measured.truth} if learned is not None and measured.has_test else {}
    return picture(told, draw.targets, targets)


def errors_of_numbers(measured: Measured) -> Html:
    """Return pictures of predictions and of their errors."""
    rows = len(measured.truth)
    some = f" {draw.MOST_POINTS:,} of {rows:,} rows are drawn." if rows > draw.MOST_POINTS else ""
    predicted = f"True numbers against predicted ones; right ones are on the dotted line.{some}"
    errors = "Errors against predictions. A trend or a funnel shows what was not learned."
    x, y = measured.predicted, measured.truth
    of_errors = picture(errors, draw.scattered, x, y - x, 0, "true − predicted")
    return parts().pictures([picture(predicted, draw.scattered, x, y, 1, "true"), of_errors])


def calibration_of_numbers(measured: Measured) -> Html:
    """Return pictures of the shares of rows that lie within their intervals: of all rows, and by their size."""
    if not measured.has_test:
        return parts().paragraph("Intervals are judged on a test only, since they were made by the rows of training.")
    ends = {share: measured.model.predict_interval(measured.X, share).T for share in draw.COVERAGES}
    within = {share: (low <= measured.truth) & (measured.truth <= high) for share, (low, high) in ends.items()}
    low, high = ends[JUDGED]
    of_all = "The share of rows that intervals are to hold, and the share that they do, with 95 % intervals."
    of_all += " Below the dotted line the model is too sure."
    by_size = f"The share of rows within {JUDGED:.0%} intervals, in groups of rows by"
    judged = within[JUDGED], JUDGED
    width = "width of the interval"
    return parts().pictures(
        [
            picture(of_all, draw.kept, within),
            picture(f"{by_size} what is predicted.", draw.coverage, measured.predicted, *judged, "predicted"),
            picture(f"{by_size} the {width}.", draw.coverage, high - low, *judged, width),
        ]
    )

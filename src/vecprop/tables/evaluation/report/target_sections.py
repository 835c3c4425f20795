"""The sections on the target, the errors and the calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ....system.estimates import percents
from ...ensemble.calibration import ThresholdRule, positive_of
from ...error import figures
from ...objectives import levels_of
from ..baselines import NAIVE
from ..measured import OURS, Measured
from . import drawings as draw
from .markup import Html, parts, picture
from .sections import name_of

MAX_CLASSES = 20
"""Above this number of classes, the report lists confused pairs instead of a
confusion matrix.
"""
MAX_PAIRS = 15
JUDGED = 0.9
"""The nominal coverage of the intervals in plots of groups of rows."""


def target_of_classes(measured: Measured) -> Html:
    """Return the class counts in the training and test rows, or in the table."""
    names = _names(measured)
    test_counts = np.bincount(measured.truth[measured.truth >= 0], minlength=len(names))
    heads = {"class": "name"}
    if measured.learned is None:
        counts = test_counts
        heads["rows"] = "bars"
    else:
        y = measured.learned.y
        counts = np.bincount(y[y >= 0], minlength=len(names))
        heads["training rows"] = "bars"
        if measured.has_test:
            heads["test rows"] = "number"
    largest = max(counts.max(), 1)
    total = max(counts.sum(), 1)
    rows = []
    for k in np.argsort(-counts, kind="stable"):
        bar = parts().bar(
            counts[k] / largest, f"{counts[k]:,} ({counts[k] / total:.1%})"
        )
        rows.append([names[k], bar, f"{test_counts[k]:,}"])
    return parts().long_table(heads, rows, MAX_CLASSES)


def errors_of_classes(measured: Measured) -> Html:
    """Return the confused classes, the scores of each class, and curves of two classes."""
    is_known = measured.truth >= 0
    if not is_known.any():
        return parts().paragraph(
            "None of these rows has a class that occurred in training."
        )
    truth = measured.truth[is_known]
    decided = measured.decided[is_known]
    names = _names(measured)
    curves = ""
    if len(names) == 2 and len(np.unique(truth)) == 2:
        curves = curves_of_classes(measured, is_known)
    if len(names) <= MAX_CLASSES:
        confused = confusion_matrix(truth, decided, names)
    else:
        confused = confused_pairs(truth, decided, names)
    scores = each_class(truth, decided, names)
    return parts().errors_of_classes(confused, scores, curves)


def curves_of_classes(measured: Measured, is_known: ndarray) -> Html:
    """Return the choice of the threshold, the ROC curves and the precision-recall curves."""
    positive = positive_of(measured.model)
    is_positive = measured.truth[is_known] == positive
    is_alarm = measured.decided[is_known] == positive
    chances = {}
    for name, P in measured.predictions.items():
        if name != NAIVE:
            chances[name] = P[is_known, positive]
    guess = f"for {_names(measured)[positive]}. The dotted line shows guessing"
    point = "; the point marks the decisions of the model"
    roc = picture(
        f"ROC curves {guess}{point}.", draw.roc, is_positive, chances, is_alarm
    )
    if not is_alarm.any():  # the precision is undefined
        point = ""
    text = f"Precision against recall {guess}{point}."
    precision = picture(text, draw.precision, is_positive, chances, is_alarm)
    weight = measured.weight[is_known]
    choice = choice_of_threshold(measured.model, chances[OURS], is_positive, weight)
    return parts().curves(choice, [roc, precision])


def choice_of_threshold(
    model, p: ndarray, is_positive: ndarray, weight: ndarray
) -> Html:
    """Return the shares of the rows of both classes that are flagged at each threshold."""
    from sklearn.metrics import roc_curve

    alarm_rate, recall, scores = roc_curve(
        is_positive, p, sample_weight=weight, drop_intermediate=False
    )
    chosen = getattr(model, "threshold_", 0.5)
    end = max(p.max(), chosen)
    thresholds = np.unique(np.append(np.linspace(0, end, 201), chosen))
    # rows are flagged if their probability is above the threshold
    numbers = np.searchsorted(-scores, -thresholds) - 1
    return parts().thresholds(
        thresholds.tolist(),
        recall[numbers],
        alarm_rate[numbers],
        share=np.average(is_positive, weights=weight),
        chosen=chosen,
        rule=ThresholdRule.of(model.threshold or chosen),
        positive=name_of(model.positive_),
    )


def confusion_matrix(truth: ndarray, decided: ndarray, names: Sequence[str]) -> Html:
    """Return a confusion matrix with counts, normalized over the true classes."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (truth, decided), 1)
    class_counts = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return parts().confusion_matrix(names, counts, counts / class_counts)


def confused_pairs(truth: ndarray, decided: ndarray, names: Sequence[str]) -> Html:
    """Return the most often confused pairs of classes, without computing a full matrix."""
    pairs = np.stack([truth, decided], axis=1)
    confused, counts = np.unique(pairs[truth != decided], axis=0, return_counts=True)
    class_counts = np.bincount(truth, minlength=len(names))
    rows = []
    for k in np.argsort(-counts, kind="stable")[:MAX_PAIRS]:
        true, predicted = confused[k]
        text = f"{counts[k]:,} of {class_counts[true]:,}"
        bar = parts().bar(counts[k] / class_counts[true], text)
        rows.append([names[true], names[predicted], bar])
    heads = {"true": "name", "predicted": "name", "rows of the true class": "bars"}
    return parts().confused_pairs(len(confused), heads, rows)


def each_class(truth: ndarray, decided: ndarray, names: Sequence[str]) -> Html:
    """Return the precision, recall and F1 of each class, the largest class first."""
    from sklearn.metrics import precision_recall_fscore_support

    undefined: Any = np.nan
    labels = range(len(names))
    *ratios, support = map(
        np.asarray,
        precision_recall_fscore_support(
            truth, decided, labels=labels, zero_division=undefined
        ),
    )
    rows = []
    for k in np.argsort(-support, kind="stable"):
        shares = [f"{ratio[k]:.1%}".replace("nan%", "–") for ratio in ratios]
        rows.append([names[k], *shares, f"{support[k]:,}"])
    scores = ("precision", "recall", "F1", "rows")
    heads = {"class": "name", **dict.fromkeys(scores, "number")}
    return parts().each_class(heads, rows, MAX_CLASSES)


def calibration_of_classes(measured: Measured) -> Html:
    """Return a calibration plot."""
    is_known = measured.truth >= 0
    if not is_known.any():
        return ""
    if len(measured.model.classes_) == 2:
        classes = np.full(len(measured.truth), positive_of(measured.model))
        quantity = f"probability of {_names(measured)[classes[0]]}"
    else:
        classes = measured.decided
        quantity = "probability of the predicted class"
    chance = measured.predicted[np.arange(len(classes)), classes]
    is_true = measured.truth == classes
    text = (
        f"Observed frequency against the {quantity}, with {intervals_of(measured)}."
        " Below the dotted line, the probabilities are too high; above it, they are"
        " too low. Gray bars show how often each probability occurs."
    )
    chance = chance[is_known]
    is_true = is_true[is_known]
    return picture(text, draw.calibration, chance, is_true, quantity, height=3.5)


def intervals_of(measured: Measured) -> str:
    """Return what the error bars of a plot show: intervals that ignore groups."""
    if measured.groups is None:
        return "95 % intervals"
    return "95 % intervals for independent rows"


def _names(measured: Measured) -> list[str]:
    return list(map(name_of, measured.model.classes_))


def target_of_numbers(measured: Measured) -> Html:
    """Return a histogram of the target, and its range and quartiles as text."""
    learned = measured.learned
    y = measured.truth if learned is None else learned.y
    quantiles = np.quantile(y, [0, 0.25, 0.5, 0.75, 1])
    low, first, middle, third, high = map(figures, quantiles)
    text = f"Range {low} to {high}, median {middle}, quartiles {first} and {third}."
    if learned is not None and len(y) < learned.rows:
        text = f"A sample of {len(y):,} training rows. {text}"
    if learned is None:
        return picture(text, draw.targets, {"table": y})
    targets = {"training": y}
    if measured.has_test:
        targets["test"] = measured.truth
    return picture(text, draw.targets, targets)


def errors_of_numbers(measured: Measured) -> Html:
    """Return plots of true values and of errors against predictions."""
    y = measured.truth
    x = measured.predicted
    levels = levels_of(measured.model)
    if len(levels) == 1:
        (share,) = percents(levels[0])
        values = (
            f"True values against the predicted quantile; {share} of them should lie"
            " below the dotted line."
        )
        errors = (
            f"True values minus predicted quantiles; {share} of them should be negative"
            " at each prediction."
        )
    else:
        values = (
            "True against predicted values; exact predictions lie on the dotted line."
        )
        errors = (
            "Errors against predictions. A trend shows bias; a funnel shows errors that"
            " grow with the prediction."
        )
    if len(y) > draw.MAX_POINTS:
        values += f" Only {draw.MAX_POINTS:,} of {len(y):,} rows are drawn."
    true = picture(values, draw.scattered, x, y, 1, "true")
    difference = picture(errors, draw.scattered, x, y - x, 0, "true − predicted")
    return parts().pictures([true, difference])


def calibration_of_numbers(measured: Measured) -> Html:
    """Return plots of the coverage of intervals: of all rows, by prediction and by width."""
    if not measured.has_test:
        return parts().paragraph(
            "The intervals are calibrated on the training rows, so only a test can"
            " check them."
        )
    is_inside = {}
    widths = {}
    for share in draw.COVERAGES:
        low, high = measured.model.predict_interval(measured.X, share).T
        is_inside[share] = (low <= measured.truth) & (measured.truth <= high)
        widths[share] = high - low
    nominal = (
        "Observed against nominal coverage of the intervals, with"
        f" {intervals_of(measured)}."
        " Points below the dotted line mean that the intervals are too narrow."
    )
    observed = f"Observed coverage of {JUDGED:.0%} intervals, in groups of rows by"
    pictures = [picture(nominal, draw.nominal_coverage, is_inside)]
    sizes = {"prediction": measured.predicted, "interval width": widths[JUDGED]}
    for name, size in sizes.items():
        arguments = (size, is_inside[JUDGED], JUDGED, name)
        pictures.append(picture(f"{observed} {name}.", draw.coverage, *arguments))
    return parts().pictures(pictures)

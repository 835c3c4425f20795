"""The plain summary of a model's scores, and metrics that are undefined."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vecprop.system.estimates import percents
from vecprop.tables.evaluation.measured import Measured
from vecprop.tables.evaluation.metrics import (
    estimates,
    metrics_of_classes,
    metrics_of_numbers,
)


def of_classes(truth, decided, how: Any = "test", names=("no", "yes"), **fields):
    """Return scores of a model that decides with probability 0.9."""
    P = np.full((len(truth), len(names)), 0.1 / (len(names) - 1))
    P[np.arange(len(truth)), decided] = 0.9
    model = SimpleNamespace(classes_=np.array(names), positive_=names[-1])
    weight = fields.pop("weight", np.ones(len(truth)))
    return Measured(
        how, model, None, None, np.array(truth), weight, {"vecprop": P}, **fields
    )


def of_numbers(truth, predicted, loss="squared_error", quantile: Any = 0.5, **fields):
    """Return scores of predicted numbers or quantiles."""
    levels = np.ravel(quantile).tolist()
    model = SimpleNamespace(loss=loss, quantile=quantile, _levels=levels)
    predictions = {"vecprop": np.asarray(predicted, float)} | fields.pop(
        "baselines", {}
    )
    return Measured(
        "test",
        model,
        None,
        None,
        np.asarray(truth, float),
        np.ones(len(truth)),
        predictions,
        **fields,
    )


@pytest.mark.parametrize(
    ("how", "rows"),
    [
        ("table", "Of 10 rows, "),
        ("test", "Of 10 unseen rows, "),
        (
            "out of fold",
            "Of 10 rows, each predicted by networks that were trained without it, ",
        ),
        (
            "cross-validation",
            "Of 10 rows, each predicted by a model that was trained without it, ",
        ),
    ],
)
def test_the_accuracy_is_compared_with_the_most_frequent_class(how, rows):
    found = of_classes([0] * 6 + [1] * 4, [0] * 5 + [1] * 4 + [0], how)
    assert (
        found.summary
        == f"{rows}80 % are classified correctly; always predicting 'no' gets 60 %."
    )


def test_rare_classes_count_hits_and_false_alarms():
    found = of_classes([0] * 18 + [1] * 2, [0] * 17 + [1, 1, 0])
    assert (
        found.summary
        == "Of 20 unseen rows, 90 % are classified correctly; always predicting 'no'"
        " gets 90 %. 1 of 2 rows of class 'yes' are found, with 1 false alarm."
    )


def test_thresholds_weights_and_unknown_classes_count():
    truth = np.array([0] * 5 + [1] * 5)
    lower = of_classes(truth, [0] * 5 + [1] * 5, thresholds=np.full(10, 0.05))
    assert (
        "50 % are classified correctly; always predicting 'no' gets 50 %."
        in lower.summary
    )
    weighted = of_classes(
        truth, np.zeros(10, int), weight=np.where(truth == 0, 3.0, 1.0)
    )
    assert (
        "75 % are classified correctly; always predicting 'no' gets 75 %. Rows count by"
        " their weight." in weighted.summary
    )
    unknown = of_classes(np.array([0, 0, -1, -1]), [0, 0, 0, 1])
    assert (
        "50 % are classified correctly; always predicting 'no' gets 50 %."
        in unknown.summary
    )
    three = of_classes([0, 1, 2, 2], [0, 1, 2, 2], names=("a", "b", "c"), trained_on=3)
    begin = "Of 4 unseen rows (3 of them duplicate training rows), "
    assert (
        three.summary
        == f"{begin}100 % are classified correctly; always predicting 'c' gets 50 %."
    )


def test_errors_of_numbers_are_compared_with_a_constant():
    truth = np.arange(100.0)
    said = (
        "On 100 unseen rows, predictions are off by {} on average; always predicting"
        " the mean is off by {}."
    )
    assert of_numbers(truth, truth + 2).summary == said.format("2", "25")
    one = of_numbers(truth[:1], truth[:1] + 2)
    assert one.summary.startswith("On 1 unseen row, predictions are off by 2")
    naive = of_numbers(truth, truth + 2, baselines={"naive": np.full(100, 49.5)})
    assert naive.summary == said.format("2.0", "25.0")


def test_quantiles_state_their_shares():
    truth = np.arange(100.0)
    one = of_numbers(truth, np.full((100, 1), 87.5), loss="quantile", quantile=0.9)
    assert (
        one.summary
        == "Of 100 unseen rows, 88 % have a target of at most the predicted quantile,"
        " and 90 % should."
    )
    three = of_numbers(
        truth,
        np.tile([4.5, 49.5, 94.5], (100, 1)),
        loss="quantile",
        quantile=(0.05, 0.5, 0.95),
    )
    assert (
        three.summary
        == "Of 100 unseen rows, 90 % have a target within the predicted interval, which"
        " should contain 90 %. The predictions are off by 25.0 on average; always"
        " predicting the median is off by 25.0."
    )


def test_percentages_distinguish_shares():
    assert percents(0.9996, 0.9994) == ["99.96 %", "99.94 %"]
    assert percents(0.999, 0.5) == ["99.9 %", "50.0 %"]
    assert percents(1.0, 0.0) == ["100 %", "0 %"]
    assert percents(1 / 3, 1 / 3 + 1e-12) == ["33 %", "33 %"]


@pytest.mark.parametrize("weight", [1.0, 0.1, 1 / 3])
@pytest.mark.parametrize("rows", [2, 7, 100])
def test_metrics_of_a_constant_target_are_undefined(rows, weight):
    weights = np.full(rows, weight)
    for y in (0, 1):
        P = np.random.default_rng(0).dirichlet([1, 1], rows)
        found = estimates(
            metrics_of_classes(np.full(rows, y), P, weight=weights), weights
        )
        for metric in ("d2_log_loss", "roc_auc"):
            assert np.isnan(
                [found[metric].value, found[metric].low, found[metric].high]
            ).all()
            assert str(found[metric]) == "undefined"
        assert 0 <= found["accuracy"].value <= 1
    assert np.isnan(found["precision"].value) == (P[:, 1] <= 0.5).all()
    for constant in (0.1, -1e9 / 3, 0.0):
        r2 = estimates(
            metrics_of_numbers(np.full(rows, constant), np.arange(rows) * 1.0), weights
        )["r2"]
        assert np.isnan([r2.value, r2.low, r2.high]).all()


def test_small_deviations_of_a_large_target_are_no_rounding():
    y = 1e6 + np.arange(10.0)
    assert estimates(metrics_of_numbers(y, y + 0.1), np.ones(10))[
        "r2"
    ].value == pytest.approx(1, abs=0.01)

"""Metrics agree with scikit-learn, intervals have their coverage, and summaries name both."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from vecprop.system.estimates import percents
from vecprop.tables.evaluation.measured import Measured
from vecprop.tables.evaluation.metrics import (
    estimates,
    metrics_of_classes,
    metrics_of_numbers,
    metrics_of_quantiles,
)

RNG = np.random.default_rng(0)


def values(of, rows, weight=None):
    """Return metrics of rows, weighted if weight is given."""
    counts = np.ones(rows) if weight is None else weight
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: value.item() for name, value in of(counts[None]).items()}


def accuracy(right, seed=0, weight=None):
    """Return the accuracy with its interval, given which decisions are right."""
    P = np.where(right[:, None], [[0.1, 0.9]], [[0.9, 0.1]])
    of = metrics_of_classes(np.ones(len(right), int), P, weight=weight)
    return estimates(of, np.ones(len(right)) if weight is None else weight, seed)[
        "accuracy"
    ]


@pytest.mark.parametrize("count", [2, 4])
def test_metrics_of_classes_equal_scikit_learn(count):
    y = RNG.integers(count, size=300)
    P = RNG.dirichlet(np.ones(count), size=300).round(2)  # with ties
    P /= P.sum(axis=1, keepdims=True)
    decided, chances = P.argmax(axis=1), np.clip(P, 1e-15, 1)
    expected = {
        "log_loss": metrics.log_loss(y, chances),
        "accuracy": metrics.accuracy_score(y, decided),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, decided),
        "d2_log_loss": metrics.d2_log_loss_score(y, chances),
    }
    for name in ("f1", "precision", "recall"):
        score, average = (
            getattr(metrics, f"{name}_score"),
            "binary" if count == 2 else "macro",
        )
        expected[name] = score(y, decided, average=average, zero_division=0)
    if count == 2:
        expected["roc_auc"] = metrics.roc_auc_score(y, P[:, 1])
        expected["average_precision"] = metrics.average_precision_score(y, P[:, 1])
    assert values(metrics_of_classes(y, P), 300) == pytest.approx(expected)


def test_metrics_of_numbers_and_quantiles_equal_scikit_learn():
    y = RNG.normal(size=100)
    prediction = y + RNG.normal(size=100)
    rmse, mae = (
        metrics.root_mean_squared_error(y, prediction),
        metrics.mean_absolute_error(y, prediction),
    )
    expected = {"rmse": rmse, "mae": mae, "r2": metrics.r2_score(y, prediction)}
    assert values(metrics_of_numbers(y, prediction), 100) == pytest.approx(expected)
    levels = [0.1, 0.5, 0.8]
    Y = np.quantile(RNG.normal(size=(100, 30)), levels, axis=1).T
    losses = [
        metrics.mean_pinball_loss(y, of, alpha=level)
        for of, level in zip(Y.T, levels, strict=True)
    ]
    expected = {
        "pinball_loss": np.mean(losses),
        "mae": metrics.mean_absolute_error(y, Y[:, 1]),
    }
    expected |= {
        "coverage": np.mean((Y[:, 0] <= y) & (y <= Y[:, 2])),
        "width": np.mean(Y[:, 2] - Y[:, 0]),
    }
    assert values(metrics_of_quantiles(y, Y, levels), 100) == pytest.approx(expected)
    expected = {"pinball_loss": losses[0], "share_below": np.mean(y <= Y[:, 0])}
    assert values(metrics_of_quantiles(y, Y[:, :1], levels[:1]), 100) == pytest.approx(
        expected
    )


def test_a_weight_of_three_equals_three_copies_of_a_row():
    weight, y, Y = (
        RNG.integers(0, 4, 200),
        RNG.integers(2, size=200),
        np.sort(RNG.random((200, 3)), axis=1),
    )
    P, levels = Y[:, :2] / Y[:, :2].sum(axis=1, keepdims=True), [0.1, 0.5, 0.9]
    each, rows = np.arange(200), np.repeat(np.arange(200), weight)
    for of in (
        lambda own, weight: metrics_of_classes(y[own], P[own], weight=weight),
        lambda own, _: metrics_of_numbers(y[own], Y[own, 0]),
        lambda own, _: metrics_of_quantiles(y[own], Y[own], levels),
    ):
        assert values(of(each, weight), 200, weight) == pytest.approx(
            values(of(rows, None), len(rows))
        )


def test_rows_with_zero_weight_do_not_change_intervals():
    right = np.arange(100) < 50
    score = accuracy(right, weight=right * 1.0)
    assert (score.low, score.value, score.high) == (1, 1, 1)


@pytest.mark.long
def test_intervals_have_their_nominal_coverage():
    scores = [
        accuracy(np.random.default_rng(seed).random(400) < 0.8, seed)
        for seed in range(100)
    ]
    # 95 ± 2 σ
    assert 90 <= sum(score.low <= 0.8 <= score.high for score in scores) <= 99


def test_intervals_of_d2_contain_it_with_many_classes():
    y = RNG.integers(100, size=400)
    score = estimates(metrics_of_classes(y, np.full((400, 100), 0.01)), np.ones(400))[
        "d2_log_loss"
    ]
    assert score.low <= score.value <= score.high


def test_intervals_equal_a_plain_bootstrap():
    y, prediction = np.arange(50.0), np.arange(50.0) + np.sin(np.arange(50))
    rng = np.random.default_rng(7)
    draws = [rng.integers(50, size=50) for _ in range(1000)]
    scores = [
        1 - np.mean((y[rows] - prediction[rows]) ** 2) / y[rows].var() for rows in draws
    ]
    ends = np.quantile(scores, [0.025, 0.975])
    score = estimates(metrics_of_numbers(y, prediction), np.ones(50), seed=7)["r2"]
    assert [score.low, score.high] == pytest.approx(ends)


def test_unknown_classes_count_as_errors():
    found = values(
        metrics_of_classes(np.array([0, -1]), np.array([[1.0, 0.0], [0.5, 0.5]])), 2
    )
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx(-np.log(1e-15) / 2)


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

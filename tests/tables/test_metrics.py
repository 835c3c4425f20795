"""Metrics agree with scikit-learn, and intervals have their nominal coverage."""

import numpy as np
import pytest
from sklearn import metrics

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

"""Metrics agree with scikit-learn's, and intervals hold what they promise."""

import numpy as np
import pytest
from sklearn import metrics

from vecprop.tables.evaluation.metrics import estimates, metrics_of_classes, metrics_of_numbers, metrics_of_quantiles

RNG = np.random.default_rng(0)


def scores_of_classes(y, P, weight=None, seed=0):
    return estimates(metrics_of_classes(y, P, weight=weight), np.ones(len(y)) if weight is None else weight, seed)


def scores_of_numbers(y, predicted, weight=None, seed=0):
    return estimates(metrics_of_numbers(y, predicted), np.ones(len(y)) if weight is None else weight, seed)


def scores_of_quantiles(y, Y, levels, weight=None):
    return estimates(metrics_of_quantiles(y, Y, levels), np.ones(len(y)) if weight is None else weight)


@pytest.mark.parametrize("count", [2, 4])
def test_metrics_of_classes_are_scikit_learns(count):
    y = RNG.integers(count, size=300)
    P = RNG.dirichlet(np.ones(count), size=300).round(2)  # with ties
    P /= P.sum(axis=1, keepdims=True)
    found = {name: score.value for name, score in scores_of_classes(y, P).items()}
    assert found.pop("log_loss") == pytest.approx(metrics.log_loss(y, np.clip(P, 1e-15, 1)))
    assert found.pop("accuracy") == pytest.approx(metrics.accuracy_score(y, P.argmax(axis=1)))
    assert found.pop("balanced_accuracy") == pytest.approx(metrics.balanced_accuracy_score(y, P.argmax(axis=1)))
    assert found.pop("d2_log_loss") == pytest.approx(metrics.d2_log_loss_score(y, np.clip(P, 1e-15, 1)))
    for name in ("f1", "precision", "recall"):
        score = getattr(metrics, f"{name}_score")
        average = "binary" if count == 2 else "macro"
        assert found.pop(name) == pytest.approx(score(y, P.argmax(axis=1), average=average, zero_division=0))
    if count == 2:
        assert found.pop("roc_auc") == pytest.approx(metrics.roc_auc_score(y, P[:, 1]))
        assert found.pop("average_precision") == pytest.approx(metrics.average_precision_score(y, P[:, 1]))
    assert not found


def test_metrics_of_numbers_are_scikit_learns():
    y = RNG.normal(size=100)
    prediction = y + RNG.normal(size=100)
    found = {name: score.value for name, score in scores_of_numbers(y, prediction).items()}
    assert found == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(y, prediction),
            "mae": metrics.mean_absolute_error(y, prediction),
            "r2": metrics.r2_score(y, prediction),
        }
    )


def test_metrics_of_quantiles_are_scikit_learns():
    y, levels = RNG.normal(size=100), [0.1, 0.5, 0.8]
    Y = np.quantile(RNG.normal(size=(100, 30)), levels, axis=1).T
    found = {name: score.value for name, score in scores_of_quantiles(y, Y, levels).items()}
    losses = [metrics.mean_pinball_loss(y, of, alpha=level) for of, level in zip(Y.T, levels, strict=True)]
    assert found == pytest.approx(
        {
            "pinball_loss": np.mean(losses),
            "mae": metrics.mean_absolute_error(y, Y[:, 1]),
            "coverage": np.mean((Y[:, 0] <= y) & (y <= Y[:, 2])),
            "width": np.mean(Y[:, 2] - Y[:, 0]),
        }
    )
    found = scores_of_quantiles(y, Y[:, :1], levels[:1])
    assert found["pinball_loss"].value == pytest.approx(losses[0])
    assert found["share_below"].value == np.mean(y <= Y[:, 0])


@pytest.mark.parametrize("kind", ["classes", "numbers", "quantiles"])
def test_a_weight_of_three_is_a_row_three_times(kind):
    weight = RNG.integers(0, 4, 200)
    y, Y = RNG.integers(2, size=200), RNG.random((200, 3))
    if kind == "classes":
        P = Y[:, :2] / Y[:, :2].sum(axis=1, keepdims=True)
        pairs = scores_of_classes(y, P, weight), scores_of_classes(np.repeat(y, weight), np.repeat(P, weight, axis=0))
    elif kind == "numbers":
        Y = Y[:, 0]
        pairs = scores_of_numbers(y, Y, weight), scores_of_numbers(np.repeat(y, weight), np.repeat(Y, weight))
    else:
        levels, Y = [0.1, 0.5, 0.9], np.sort(Y, axis=1)
        repeated = scores_of_quantiles(np.repeat(y, weight), np.repeat(Y, weight, axis=0), levels)
        pairs = scores_of_quantiles(y, Y, levels, weight), repeated
    weighted, repeated = ({name: score.value for name, score in scores.items()} for scores in pairs)
    assert weighted == pytest.approx(repeated)


def test_rows_that_count_nothing_say_nothing_of_intervals():
    right = np.arange(100) < 50
    score = scores_of_classes(np.ones(100, int), np.where(right[:, None], [[0, 1]], [[1, 0]]), right * 1.0)["accuracy"]
    assert (score.low, score.value, score.high) == (1, 1, 1)


@pytest.mark.long
def test_intervals_hold_the_truth_in_about_95_of_100_cases():
    truth, held = 0.8, 0
    for seed in range(100):
        right = np.random.default_rng(seed).random(400) < truth
        P = np.where(right[:, None], [[0.1, 0.9]], [[0.9, 0.1]])
        score = scores_of_classes(np.ones(400, int), P, seed=seed)["accuracy"]
        held += score.low <= truth <= score.high
    assert 90 <= held <= 99  # 95 ± 2 σ


def test_intervals_of_d2_are_around_it_with_many_classes():
    y = RNG.integers(100, size=400)
    score = scores_of_classes(y, np.full((400, 100), 0.01))["d2_log_loss"]
    assert score.low <= score.value <= score.high


def test_intervals_are_those_of_draws_done_one_by_one():
    y, prediction = np.arange(50.0), np.arange(50.0) + np.sin(np.arange(50))
    rng, draws = np.random.default_rng(7), []
    for _ in range(1000):
        rows = rng.integers(50, size=50)
        draws.append(metrics.r2_score(y[rows], prediction[rows]))
    score = scores_of_numbers(y, prediction, seed=7)["r2"]
    assert [score.low, score.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_a_class_that_is_not_known_is_wrong():
    found = scores_of_classes(np.array([0, -1]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert found["accuracy"].value == 0.5
    assert found["log_loss"].value == pytest.approx(-np.log(1e-15) / 2)

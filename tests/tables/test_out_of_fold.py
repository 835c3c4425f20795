"""Out-of-fold predictions are as good as predictions of new rows: no network is stopped by the rows it predicts."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from sampled import sampled
from vecprop import SoftmaxCrossEntropy, SquaredError, TabularClassifier, TabularRegressor
from vecprop.tables.ensemble.ensemble import TrainingRows, at_epochs_of_others

FEW: dict[str, Any] = {"n_members": 4, "hidden_layer_sizes": (8,), "max_iter": 60}


def numbers(rows, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(size=(rows, 8))).add_prefix("x"), rng


@pytest.mark.parametrize("rows", sampled([50, 150]))
def test_random_labels_are_not_predictable(rows):
    losses, areas = [], []
    for seed in range(12):
        X, rng = numbers(rows + 500, seed)
        y = rng.integers(0, 2, len(X))
        model = TabularClassifier(**FEW, random_state=seed).fit(X[:rows], y[:rows])
        losses.append([model.validation_loss_, log_loss(y[rows:], model.predict_proba(X[rows:]))])
        areas.append(roc_auc_score(y[:rows], model.out_of_fold_[:, 1]))
        assert model.validation_loss_ == pytest.approx(log_loss(y[:rows], model.out_of_fold_))
    seen, new = np.mean(losses, axis=0)
    assert -0.03 < new - seen < 0.012
    assert new < 0.72
    assert np.mean(areas) < 0.53


def test_intervals_of_few_rows_contain_nine_of_ten_targets():
    covered = []
    for seed in range(12):
        X, rng = numbers(430, seed)
        y = X["x0"] + rng.normal(size=len(X))
        model = TabularRegressor(**FEW, random_state=seed).fit(X[:30], y[:30])
        low, high = model.predict_interval(X[30:]).T
        covered.append(((low <= y[30:]) & (y[30:] <= high)).mean())
    assert 0.87 < np.mean(covered) < 0.95


def test_each_row_is_predicted_after_the_epochs_of_the_other_networks():
    # Three networks, each with one validation row of target 0: the squared errors are lowest after epochs 2, 1 and 0.
    fold, T = np.array([0, 1, 2]), np.zeros((3, 1))
    kept = [np.array([[[y]] for y in path]) for path in ([3.0, 2.0, 1.0], [4.0, 0.0, 5.0], [0.5, 6.0])]
    found = at_epochs_of_others(kept, [fold[:1], fold[1:2], fold[2:]], SquaredError(), TrainingRows(T, None, fold))
    assert [own.tolist() for own, _ in found] == [[0], [1], [2]]
    # The first after epochs 1 and 0, the second after 0 and 2, the third after 2, which is its last epoch 1, and 1.
    assert [predicted[0, :, 0].tolist() for _, predicted in found] == [[2.0, 3.0], [4.0, 5.0], [6.0, 6.0]]


def test_rows_of_later_times_are_predicted_after_epochs_that_other_rows_choose():
    # The first network is validated on rows 0 and 1, of two times, the second on row 1 alone.
    fold, T = np.array([0, 1]), np.zeros((2, 1))
    first = np.array([[[1.0], [5.0]], [[2.0], [0.0]]])  # row 0 is best before the first epoch, row 1 after it
    second = np.array([[[7.0]], [[8.0]], [[0.0]]])
    found = at_epochs_of_others(
        [first, second], [np.array([0, 1]), np.array([1])], SquaredError(), TrainingRows(T, None, fold)
    )
    assert found[0][1][0, :, 0].tolist() == [2.0]  # the second network is best after 2 epochs, the first had but 1
    assert found[0][1][1, :, 0].tolist() == [0.0]  # row 1 has no say, and no other network has another row: the last
    assert found[1][1][0, :, 0].tolist() == [7.0]  # the first network by row 0 alone
    rows = TrainingRows(T, np.array([0.0, 1.0]), fold)
    weighed = at_epochs_of_others([first, second], [np.array([0, 1]), np.array([1])], SquaredError(), rows)
    assert weighed[1][1][0, :, 0].tolist() == [0.0]  # no row with a weight chooses: the last


def test_classes_choose_epochs_by_the_log_loss():
    fold, T = np.array([0, 1]), np.eye(2)
    kept = [np.array([[[0.5, 0.5]], [[0.9, 0.1]]]), np.array([[[0.6, 0.4]], [[0.8, 0.2]]])]
    found = at_epochs_of_others(kept, [fold[:1], fold[1:]], SoftmaxCrossEntropy(), TrainingRows(T, None, fold))
    assert found[0][1].tolist() == [[[0.5, 0.5]]]  # the second network is best before its first epoch
    assert found[1][1].tolist() == [[[0.8, 0.2]]]


def test_tables_whose_predictions_are_not_kept(monkeypatch):
    X, rng = numbers(60, 0)
    y = rng.integers(0, 2, 60)
    kept = TabularClassifier(**FEW, random_state=0).fit(X, y)
    monkeypatch.setattr("vecprop.tables.ensemble.ensemble.MOST_KEPT", 0)
    alone = TabularClassifier(**FEW, random_state=0).fit(X, y)
    assert (alone.ensemble_.theta == kept.ensemble_.theta).all()
    assert alone.validation_loss_ < kept.validation_loss_

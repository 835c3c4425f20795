"""The two views of a model: inputs, weights, temperatures and out-of-fold predictions."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis, rankdata
from sklearn.metrics import log_loss, roc_auc_score

from sampled import sampled
from vecprop import (
    ELU,
    Dense,
    ReLU,
    SiLU,
    SoftmaxCrossEntropy,
    SquaredError,
    TabularClassifier,
    TabularRegressor,
    Tanh,
    load,
    save,
)
from vecprop.tables import table_model
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.ensemble import ensemble as ensembles
from vecprop.tables.ensemble.calibration import PRIOR_ROWS, best_shares
from vecprop.tables.ensemble.ensemble import (
    Ensemble,
    EnsembleFit,
    TrainingRows,
    at_epochs_of_others,
    temperature_scaled,
    train_fits,
)

FEW: dict[str, Any] = {
    "n_estimators": 3,
    "hidden_layer_sizes": (8,),
    "max_iter": 40,
    "random_state": 0,
}
FEW |= {"learning_rate_init": 0.03}
r = np.random.default_rng(0)
x = r.normal(size=240)
TABLE = pd.DataFrame(
    {
        "x": np.where(r.random(240) < 0.1, np.nan, x),
        "town": r.choice(["Oslo", "Rome"], 240),
    }
)
TABLE["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
    r.integers(0, 300, 240), unit="D"
)
Y = np.sin(2 * x) + 0.3 * r.normal(size=240)
CLASSES = np.where(Y > 0.3, "high", np.where(Y < -0.5, "low", "middle"))


@pytest.fixture(scope="module", autouse=True)
def no_linear_models():
    largest = ensembles.MAX_LINEAR
    ensembles.MAX_LINEAR = 0
    yield
    ensembles.MAX_LINEAR = largest


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(**FEW).fit(TABLE, CLASSES)


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(**FEW).fit(TABLE, Y)


def of_view(model, view, X=TABLE):
    """Return the predictions of each network of a view."""
    inputs = model.encoder_(X)[:, view.inputs]
    return np.stack(
        [view.network.predict(theta, inputs) for theta in view.thetas]
    ).astype(float)


def test_only_one_view_contains_pieces_of_numbers():
    encoder, _ = Encoder.of(TABLE)
    pieces, standardised = (
        encoder.of_view(view) for view in ("pieces", "standardised")
    )
    inputs, known = encoder(TABLE), TABLE["x"].notna().to_numpy()
    z = TABLE["x"].to_numpy()[known]
    np.testing.assert_array_equal(pieces, np.arange(encoder.width))
    hidden = np.setdiff1d(pieces, standardised)
    assert len(hidden) == 2 * 17  # of x and of days: the scaled number and 16 pieces
    shared = 1 + 3 + 4 + 7  # x is missing; two towns and others; circles and weekdays
    assert len(standardised) == shared + 2 * 2
    own, score = standardised[1:3]
    np.testing.assert_allclose(
        inputs[known, own], (z - z.mean()) / z.std(), rtol=1e-5, atol=1e-6
    )
    assert np.corrcoef(rankdata(inputs[known, score]), rankdata(z))[0, 1] > 0.999
    assert abs(kurtosis(inputs[known, score])) < 0.3
    assert abs(kurtosis(z**3)) > 5
    cubes = Encoder.of(TABLE.assign(x=TABLE["x"] ** 3))[0](
        TABLE.assign(x=TABLE["x"] ** 3)
    )
    # whatever the distribution
    np.testing.assert_allclose(cubes[known, score], inputs[known, score], atol=0.3)


def test_views_have_different_layers():
    def layers(model, target):
        fit = model._plan(TABLE, target).fit
        return [view.networks[0].layers for view in fit.views]

    few = {**FEW, "hidden_layer_sizes": (8, 5)}
    pieces, standardised = layers(TabularClassifier(**few), CLASSES)
    assert pieces == (Dense(8), ReLU(), Dense(5), ReLU(), Dense(3))
    assert standardised == (Dense(8), ELU(), Dense(5), ELU(), Dense(5), ELU(), Dense(3))
    assert (
        layers(TabularRegressor(**few), Y)
        == [(Dense(8), SiLU(), Dense(5), SiLU(), Dense(1))] * 2
    )
    for layer in layers(TabularClassifier(**few, activation="tanh"), CLASSES):
        assert [own for own in layer if not isinstance(own, Dense)] == [Tanh()] * (
            len(layer) // 2
        )


def test_small_tables_use_more_epochs_with_the_same_total_decay():
    training = TabularClassifier(weight_decay=6.0)._training(700)
    # 11 steps an epoch, and 1,500 at least
    assert (training.epochs, training.patience) == (137, 20)
    assert training.epochs * training.weight_decay == pytest.approx(60 * 6.0)
    assert [
        TabularRegressor()._training(rows).epochs for rows in (10**6, 20_000, 64)
    ] == [10, 100, 400]
    asked = TabularRegressor(max_iter=7, weight_decay=2.0)._training(64)
    assert (asked.epochs, asked.weight_decay) == (7, 2.0)


def test_small_tables_have_more_networks():
    assert [TabularClassifier()._members(rows) for rows in (5, 1000, 5000, 30_000)] == [
        5,
        8,
        6,
        4,
    ]
    assert TabularClassifier(n_estimators=3)._members(1000) == 3


def test_probabilities_equal_the_formula(classifier):
    pieces, standardised = classifier.ensemble_.views
    assert (pieces.view, standardised.view) == ("pieces", "standardised")
    assert pieces.share + standardised.share == pytest.approx(1)
    one, other = (
        view.share
        * np.stack(
            [
                temperature_scaled(P, view.inverse_temperature)
                for P in of_view(classifier, view)
            ]
        )
        for view in (pieces, standardised)
    )
    expected = np.mean(
        [temperature_scaled(P, classifier.inverse_temperature_) for P in one + other],
        axis=0,
    )
    np.testing.assert_allclose(
        classifier.predict_proba(TABLE), expected, rtol=1e-5, atol=1e-8
    )


def test_predictions_equal_the_formula(regressor):
    one, other = (
        view.share * of_view(regressor, view)[:, :, 0]
        for view in regressor.ensemble_.views
    )
    expected = np.clip((one + other) * Y.std() + Y.mean(), Y.min(), Y.max()).mean(
        axis=0
    )
    np.testing.assert_allclose(regressor.predict(TABLE), expected, rtol=1e-5, atol=1e-5)


def test_weights_of_views_minimize_the_out_of_fold_loss(classifier, regressor):
    for model, target in ((classifier, CLASSES), (regressor, Y)):
        loss_at = losses_out_of_fold(model, target)
        found = [loss_at(move) for move in (-0.2, -0.02, 0.0, 0.02, 0.2)]
        assert found[2] <= min(found) * (1 + 1e-5), found
        assert max(found) > found[2] * 1.002, found


def losses_out_of_fold(model, target):
    """Return the out-of-fold loss as a function of a change of the standardised view's weight."""
    fit = model._plan(TABLE, target).fit
    (results,) = train_fits([fit], [fit.members()])
    unseen = fit.outcome(results).unseen[0][: len(model.ensemble_.views)]

    def loss_at(move):
        share, loss = float(np.clip(model.ensemble_.views[1].share + move, 0, 1)), 0.0
        for (own, pieces), (_, standardised) in zip(*unseen, strict=True):
            pieces, standardised = (
                (
                    P
                    if view.inverse_temperature is None
                    else temperature_scaled(P, view.inverse_temperature)
                ).mean(axis=1)
                for view, P in zip(
                    model.ensemble_.views, (pieces, standardised), strict=True
                )
            )
            mixed = (1 - share) * pieces + share * standardised
            T = fit.rows.T[own]
            if target is Y:
                loss += float(np.sum((mixed - T) ** 2))
            else:
                loss += log_loss(
                    T.argmax(axis=1), mixed, normalize=False, labels=range(3)
                )
        return loss if target is Y else loss - PRIOR_ROWS * np.log(share * (1 - share))

    return loss_at


def test_the_best_weight_can_be_zero():
    truth = r.normal(size=50)
    right, wrong = truth + 0.1 * r.normal(size=50), -truth
    for place in (0, 1):
        shares = best_shares(
            [right, wrong][:: 1 - 2 * place], lambda Y: float(np.mean((Y - truth) ** 2))
        )
        assert shares[place] == pytest.approx(1, abs=1e-2)


def test_a_single_view_is_an_ensemble_of_its_networks(regressor):
    view, _ = regressor.ensemble_.views
    alone = Ensemble([replace(view, share=1.0)])
    inputs = regressor.encoder_(TABLE)
    np.testing.assert_allclose(
        np.stack(list(alone.predictions(inputs))),
        of_view(regressor, view),
        rtol=1e-5,
        atol=1e-6,
    )


def results_with(fit: EnsembleFit, without: set[int], reason: Any, members=None):
    """Return the results of a fit, with some members diverged or not started."""
    (results,) = train_fits([fit], [members or fit.members()])
    results = list(results)
    for number in without:
        result = results[number]
        state = (
            replace(result.state, epoch=0) if reason == "interrupted" else result.state
        )
        results[number] = type(result)(result.theta, result.history, state, reason)
    return results


def test_the_largest_complete_set_of_networks_is_used(classifier):
    fit = classifier._plan(TABLE, CLASSES).fit
    for without, views, folds in (
        (set(), ["pieces", "standardised"], [0, 1, 2]),
        ({1}, ["pieces", "standardised"], [0, 2]),
        ({3, 4, 5}, ["pieces"], [0, 1, 2]),
        ({0, 1}, ["standardised"], [0, 1, 2]),
        ({0, 4}, ["pieces", "standardised"], [2]),
    ):
        for reason in ("diverged", "interrupted"):
            outcome = fit.outcome(results_with(fit, without, reason))
            (ensemble,) = outcome.ensembles
            assert [view.view for view in ensemble.views] == views
            assert outcome.folds.tolist() == folds
            assert {len(view.thetas) for view in ensemble.views} == {len(folds)}
            assert outcome.results.size + outcome.others.size == 6
            assert sum(view.share for view in ensemble.nonlinear) == 1


def test_a_model_with_one_trained_view_predicts_and_refits(classifier, tmp_path):
    model = TabularClassifier(**FEW)
    plan = model._plan(TABLE, CLASSES)
    model._learn(
        plan, plan.fit.outcome(results_with(plan.fit, {3, 4, 5}, "interrupted"))
    )
    assert any(
        note.startswith("3 of 6 networks were not trained") for note in model.notes_
    )
    save(model, tmp_path / "model.npz")
    np.testing.assert_array_equal(
        load(tmp_path / "model.npz").predict_proba(TABLE), model.predict_proba(TABLE)
    )
    refitted = model.refit(TABLE, CLASSES)
    assert [view.view for view in refitted.ensemble_.nonlinear] == ["pieces"]


def test_a_refit_with_a_diverged_view_is_an_error(classifier, monkeypatch):
    def without_second_view(fits, members, **settings):
        return [results_with(fits[0], {3, 4, 5}, "diverged", members[0])]

    monkeypatch.setattr(table_model, "train_fits", without_second_view)
    with pytest.raises(ValueError, match="lower learning_rate_init"):
        classifier.refit(TABLE, CLASSES)


OF_FOUR: dict[str, Any] = {
    "n_estimators": 4,
    "hidden_layer_sizes": (8,),
    "max_iter": 60,
}


def numbers(rows, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(size=(rows, 8))).add_prefix("x"), rng


@pytest.mark.parametrize("rows", sampled([50, 150]))
def test_random_labels_are_not_predictable(rows):
    losses, areas = [], []
    for seed in range(6):
        X, rng = numbers(rows + 500, seed)
        y = rng.integers(0, 2, len(X))
        model = TabularClassifier(**OF_FOUR, random_state=seed).fit(X[:rows], y[:rows])
        losses.append(
            [model.validation_loss_, log_loss(y[rows:], model.predict_proba(X[rows:]))]
        )
        areas.append(roc_auc_score(y[:rows], model.out_of_fold_[:, 1]))
        assert model.validation_loss_ == pytest.approx(
            log_loss(y[:rows], model.out_of_fold_)
        )
    seen, new = np.mean(losses, axis=0)
    assert -0.03 < new - seen < 0.012
    assert new < 0.72
    assert np.mean(areas) < 0.53


def test_intervals_from_few_rows_have_their_coverage():
    covered = []
    for seed in range(6):
        X, rng = numbers(430, seed)
        y = X["x0"] + rng.normal(size=len(X))
        model = TabularRegressor(**OF_FOUR, random_state=seed).fit(X[:30], y[:30])
        low, high = model.predict_interval(X[30:]).T
        covered.append(((low <= y[30:]) & (y[30:] <= high)).mean())
    assert 0.87 < np.mean(covered) < 0.95


def test_epochs_of_a_row_are_selected_by_other_networks():
    # Three networks, each with one validation row of target 0: the squared errors are
    # lowest after epochs 2, 1 and 0.
    fold, T = np.array([0, 1, 2]), np.zeros((3, 1))
    kept = [
        np.array([[[y]] for y in path])
        for path in ([3.0, 2.0, 1.0], [4.0, 0.0, 5.0], [0.5, 6.0])
    ]
    found = at_epochs_of_others(
        kept,
        [fold[:1], fold[1:2], fold[2:]],
        SquaredError(),
        TrainingRows(T, None, fold),
    )
    assert [own.tolist() for own, _ in found] == [[0], [1], [2]]
    # The first after epochs 1 and 0, the second after 0 and 2, the third after 2, which
    # is its last epoch 1, and 1.
    assert [predicted[0, :, 0].tolist() for _, predicted in found] == [
        [2.0, 3.0],
        [4.0, 5.0],
        [6.0, 6.0],
    ]


def test_epochs_of_later_rows_are_selected_by_other_rows():
    # The first network is validated on rows 0 and 1 (of different times), the second
    # only on row 1.
    fold, T = np.array([0, 1]), np.zeros((2, 1))
    # row 0 is best before the first epoch, row 1 after it
    first = np.array([[[1.0], [5.0]], [[2.0], [0.0]]])
    second = np.array([[[7.0]], [[8.0]], [[0.0]]])
    found = at_epochs_of_others(
        [first, second],
        [np.array([0, 1]), np.array([1])],
        SquaredError(),
        TrainingRows(T, None, fold),
    )
    # the second network is best after 2 epochs, the first had but 1
    assert found[0][1][0, :, 0].tolist() == [2.0]
    assert found[0][1][1, :, 0].tolist() == [
        0.0
    ]  # row 1 does not count, and no other network has another row: the last epoch
    assert found[1][1][0, :, 0].tolist() == [7.0]  # the first network, only by row 0
    rows = TrainingRows(T, np.array([0.0, 1.0]), fold)
    weighed = at_epochs_of_others(
        [first, second], [np.array([0, 1]), np.array([1])], SquaredError(), rows
    )
    # no row has a weight: the last epoch
    assert weighed[1][1][0, :, 0].tolist() == [0.0]


def test_epochs_of_classifiers_are_selected_by_log_loss():
    fold, T = np.array([0, 1]), np.eye(2)
    kept = [
        np.array([[[0.5, 0.5]], [[0.9, 0.1]]]),
        np.array([[[0.6, 0.4]], [[0.8, 0.2]]]),
    ]
    found = at_epochs_of_others(
        kept, [fold[:1], fold[1:]], SoftmaxCrossEntropy(), TrainingRows(T, None, fold)
    )
    # the second network is best before its first epoch
    assert found[0][1].tolist() == [[[0.5, 0.5]]]
    assert found[1][1].tolist() == [[[0.8, 0.2]]]


def test_large_tables_do_not_store_validation_predictions(limit):
    X, rng = numbers(60, 0)
    y = rng.integers(0, 2, 60)
    kept = TabularClassifier(**OF_FOUR, random_state=0).fit(X, y)
    limit("ensemble: stored parameters", 0)
    alone = TabularClassifier(**OF_FOUR, random_state=0).fit(X, y)
    assert (alone.ensemble_.theta == kept.ensemble_.theta).all()
    assert alone.validation_loss_ < kept.validation_loss_

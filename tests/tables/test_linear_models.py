"""Linear models in ensembles: their accuracy, their penalty, and when they take part."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from vecprop import TabularClassifier, TabularRegressor, load, save

FEW: dict[str, Any] = {
    "n_estimators": 4,
    "hidden_layer_sizes": (8,),
    "max_iter": 30,
    "random_state": 0,
}
FASTER: dict[str, Any] = FEW | {"learning_rate_init": 0.03}


def numbers(rows: int, columns: int, seed: int = 0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def frame(X):
    return pd.DataFrame(X).add_prefix("x")


X = numbers(300, 6)
LINEAR = X @ np.arange(1.0, 7) + numbers(300, 1, seed=1)[:, 0]
CLASSES = np.array(["low", "middle", "high"])[np.digitize(LINEAR, [-6, 6])]


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(**FEW).fit(frame(X), LINEAR)


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(**FEW).fit(frame(X), CLASSES)


def linear_models(model) -> Any:
    last_view = model.ensemble_.views[-1]
    assert last_view.view == "linear"
    return last_view


def test_linear_tables_are_predicted_like_by_ridge_regression(regressor):
    new = numbers(2000, 6, seed=2)
    truth = new @ np.arange(1.0, 7)
    error = np.mean((regressor.predict(frame(new)) - truth) ** 2)
    ridge = Ridge(alpha=1.0).fit(X, LINEAR)
    predicted = np.clip(ridge.predict(new), LINEAR.min(), LINEAR.max())
    variance = 1.0  # of the noise
    assert error + variance < 1.02 * (np.mean((predicted - truth) ** 2) + variance)
    assert linear_models(regressor).share > 0.9


def test_tables_with_more_columns_than_rows_are_predicted_like_by_ridge_regression():
    weights = numbers(150, 1, seed=3)[:, 0]
    wide, new = numbers(80, 150, seed=4), numbers(1000, 150, seed=5)
    factors = numbers(3, 150, seed=6)
    wide = wide[:, :3] @ factors + 0.3 * wide
    new = new[:, :3] @ factors + 0.3 * new
    y = wide @ weights
    model = TabularRegressor(**FEW).fit(frame(wide), y)
    score = model.score(frame(new), new @ weights)
    assert score > 0.99 * Ridge(alpha=10.0).fit(wide, y).score(new, new @ weights)


def test_linear_classes_are_predicted_like_by_logistic_regression(classifier):
    new = numbers(2000, 6, seed=2)
    noisy = new @ np.arange(1.0, 7) + numbers(2000, 1, seed=7)[:, 0]
    classes = np.array(["low", "middle", "high"])[np.digitize(noisy, [-6, 6])]
    logistic = LogisticRegression(C=1.0).fit(X, CLASSES)
    loss = log_loss(classes, classifier.predict_proba(frame(new)))
    assert loss < 1.02 * log_loss(classes, logistic.predict_proba(new))
    assert linear_models(classifier).share > 0.4


PRODUCT = X[:, 0] * X[:, 1]


@pytest.mark.parametrize("y", [PRODUCT, np.sign(PRODUCT) + 0.2 * X[:, 2] ** 2])
def test_linear_models_that_do_not_help_are_left_out(y):
    for model, target in (
        (TabularRegressor(**FASTER), y),
        (TabularClassifier(**FASTER), y > np.median(y)),
    ):
        views = model.fit(frame(X), target).ensemble_.views
        assert [view.view for view in views] == ["pieces", "standardised"]
        assert sum(view.share for view in views) == pytest.approx(1)


@pytest.mark.parametrize("rows", [300, 60])  # 60 rows are fewer than inputs
@pytest.mark.parametrize("view", [0, 1])
def test_models_minimize_the_penalized_loss_of_their_training_rows(rows, view):
    fit = TabularRegressor(**FEW)._plan(frame(X[:rows]), LINEAR[:rows]).fit
    linear = fit.linear_networks(np.arange(4))[view]
    inputs = np.asarray(fit.linear[view].X, float)
    for fold, theta in enumerate(linear.thetas):
        is_trained = fit.rows.fold != fold
        X_trained = inputs[is_trained]
        t = fit.rows.T[is_trained, 0]

        def penalized(W, b, X=X_trained, t=t):
            return np.sum((X @ W + b - t) ** 2) + linear.penalty * np.sum(W**2)

        ridge = Ridge(alpha=linear.penalty).fit(X_trained, t)
        lowest = penalized(ridge.coef_, ridge.intercept_)
        *W, b = theta.astype(float)
        loss = penalized(np.array(W), b)
        assert lowest * (1 - 1e-6) <= loss < 1.05 * lowest  # the search stops early


def test_sums_of_steps_are_predicted_by_linear_models_of_pieces():
    Z = numbers(600, 5, seed=8)
    steps = (Z > [0, 0.5, -0.5, 1, -1]) @ np.array([1.0, -2.0, 1.0, 2.0, -1.0])
    model = TabularRegressor(**FEW).fit(frame(Z[:400]), steps[:400])
    classifier = TabularClassifier(**FEW).fit(frame(Z[:400]), steps[:400] > 0)
    for fitted in (model, classifier):
        assert fitted.ensemble_.views[2].view == "linear_pieces"
        assert fitted.ensemble_.views[2].share > 0.5
    assert model.score(frame(Z[400:]), steps[400:]) > 0.87


def test_categories_have_one_kind_of_linear_models():
    table = pd.DataFrame({"town": np.resize(["Oslo", "Rome", "Bern"], 60)})
    fit = TabularRegressor(**FEW)._plan(table, np.arange(60.0)).fit
    assert [view.view for view in fit.linear] == ["linear"]


def test_predictions_of_linear_models_leave_the_range_of_targets_if_they_are_right():
    y = X @ np.arange(1.0, 7)
    model = TabularRegressor(**FEW).fit(frame(X), y)
    new = frame(2 * X)
    np.testing.assert_allclose(model.predict(new[y == y.max()]), 2 * y.max(), rtol=0.1)
    middle = frame(X[np.abs(y) < 10])
    refitted = model.refit(middle, y[np.abs(y) < 10])
    assert refitted.range_ == model.range_
    positive = np.maximum(y, 0)
    bounded = TabularRegressor(**FEW).fit(frame(X), positive)
    assert bounded.range_[0] == 0
    with_two = TabularRegressor(target=["y", "z"], **FEW)
    with_two.fit(frame(X).assign(y=y, z=positive))
    assert with_two.models_[0].range_[1] > 1.2 * y.max()


def test_times_of_validation_rows_are_later_than_times_of_training_rows():
    time = np.arange(300.0)
    fit = TabularRegressor(**FEW)._plan(frame(X), LINEAR, time=time).fit
    # With two equal penalties, validation rows do not affect the models.
    fit = replace(fit, linear=[replace(fit.linear[-1], penalties=[1.0, 1.0])])
    changed = np.where(time[:, None] >= 200, -fit.rows.T, fit.rows.T)
    folds = np.arange(4)
    (one,) = fit.linear_networks(folds)
    (other,) = replace(fit, rows=replace(fit.rows, T=changed)).linear_networks(folds)
    inputs: Any = fit.views[-1].X
    is_equal = []
    predictions = zip(
        one.predictions(inputs),
        other.predictions(inputs),
        strict=True,
    )
    for before, after in predictions:
        is_equal.append(np.allclose(before, after, atol=0.05))
    assert is_equal == [True, True, False, False]


def test_rows_of_low_weight_hardly_count():
    weight = np.where(np.arange(300) % 3 == 0, 1e-6, 1000.0)
    wrong = np.where(weight < 1, -5 * LINEAR, LINEAR)
    model = TabularRegressor(**FEW).fit(frame(X), wrong, sample_weight=weight)
    is_right = weight > 1
    assert model.score(frame(X[is_right]), LINEAR[is_right]) > 0.98
    assert linear_models(model).share > 0.8


def test_losses_that_are_not_smooth_and_large_tables_have_no_linear_models(limit):
    levels = {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}
    model = TabularRegressor(**FEW, **levels).fit(frame(X), LINEAR)
    assert len(model.ensemble_.views) == len(model.outer_[0].views) == 2
    limit("ensemble: inputs of linear models", 300 * 6)
    model = TabularRegressor(**FEW).fit(frame(X), LINEAR)
    assert len(model.ensemble_.views) == 2


def test_refits_fit_linear_models_on_all_rows(regressor):
    refitted = regressor.refit(frame(X), LINEAR)
    before, after = linear_models(regressor), linear_models(refitted)
    assert after.penalty == before.penalty
    assert after.share == before.share
    assert (after.thetas == after.thetas[0]).all()
    assert (after.thetas != before.thetas).any()
    without = TabularRegressor(**FASTER)
    without.fit(frame(X), PRODUCT)
    assert len(without.refit(frame(X), PRODUCT).ensemble_.views) == 2


def test_files_contain_linear_models(classifier, tmp_path):
    save(classifier, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert linear_models(loaded).penalty == linear_models(classifier).penalty
    np.testing.assert_array_equal(
        loaded.predict_proba(frame(X)), classifier.predict_proba(frame(X))
    )


def test_the_number_of_threads_does_not_change_bits(classifier):
    one = TabularClassifier(**FEW, n_jobs=1).fit(frame(X), CLASSES)
    assert (one.ensemble_.theta == classifier.ensemble_.theta).all()


def test_linear_models_have_no_loss_curves(classifier):
    assert len(classifier.ensemble_) > 8
    assert len(classifier.loss_curves_) == len(classifier.validation_loss_curves_) == 8


def test_several_targets_have_joint_linear_models(tmp_path):
    y = pd.DataFrame({"sum": LINEAR, "product": X[:, 0] * X[:, 1]})
    model = TabularRegressor(target=["sum", "product"], **FEW)
    model.fit(frame(X).join(y))
    of_sum, of_product = model.models_
    assert linear_models(of_sum).share > 0.9
    assert linear_models(of_product).share < 0.1
    save(model, tmp_path / "model.npz")
    np.testing.assert_array_equal(
        load(tmp_path / "model.npz").predict(frame(X)), model.predict(frame(X))
    )
    refitted = model.refit(frame(X).join(y))
    assert linear_models(refitted).penalty == linear_models(model).penalty


def test_labels_have_joint_linear_models():
    labels = pd.DataFrame({"a": LINEAR > 0, "b": X @ np.arange(6, 0, -1) > 0})
    model = TabularClassifier(target=["a", "b"], **FEW).fit(frame(X).join(labels))
    assert [linear_models(single).share > 0.2 for single in model.models_] == [True] * 2

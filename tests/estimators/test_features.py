"""Test features beyond scikit-learn's networks by equivalences and hand-computed numbers."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.metrics import accuracy_score, balanced_accuracy_score, make_scorer

import vecprop
from vecprop import MLPClassifier, MLPRegressor

X2, y2 = map(np.asarray, make_classification(80, 5, weights=[0.8], random_state=0))
X3, y3 = map(
    np.asarray,
    make_classification(
        80, 5, n_classes=3, n_informative=4, n_redundant=0, random_state=1
    ),
)
XR, yR = map(np.asarray, make_regression(80, 5, noise=5, random_state=3))
yR = yR / yR.std()
counts = np.random.default_rng(0).poisson(np.exp(XR[:, 0] / 2))
LINEAR = {
    "hidden_layer_sizes": (),
    "alpha": 0,
    "solver": "lbfgs",
    "max_iter": 5000,
    "random_state": 0,
}
SMALL = {
    "hidden_layer_sizes": (6,),
    "max_iter": 20,
    "random_state": 0,
    "learning_rate_init": 0.01,
}


def same(one, other, tolerance=1e-12):
    np.testing.assert_allclose(one.theta_, other.theta_, rtol=tolerance, atol=tolerance)


def test_without_hidden_layers_it_is_linear_or_poisson_regression():
    ours, theirs = (
        MLPRegressor(**LINEAR, tol=1e-9).fit(XR, yR),
        LinearRegression().fit(XR, yR),
    )
    np.testing.assert_allclose(ours.coefs_[0][:, 0], theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercepts_[0], theirs.intercept_, atol=1e-6)
    ours = MLPRegressor("poisson", **LINEAR, tol=1e-9).fit(XR, counts)
    theirs = PoissonRegressor(alpha=0, tol=1e-9, max_iter=1000).fit(XR, counts)
    np.testing.assert_allclose(ours.predict(XR), theirs.predict(XR), rtol=1e-5)


@pytest.mark.parametrize(("X", "y"), [(X2, y2), (X3, y3)], ids=["two", "three"])
def test_without_hidden_layers_it_is_logistic_regression(X, y):
    ours = MLPClassifier(**LINEAR | {"alpha": 1.0}, tol=1e-9).fit(X, y)
    theirs = LogisticRegression(C=1.0, tol=1e-9, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6
    )
    if y is y2:
        np.testing.assert_allclose(ours.coefs_[0][:, 0], theirs.coef_[0], atol=1e-6)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_quantile_has_its_share_of_targets_below(level):
    y = np.random.default_rng(0).exponential(size=1000)
    model = MLPRegressor(
        "quantile", (), quantile=level, alpha=0, learning_rate_init=0.1, max_iter=300
    )
    model.set_params(
        random_state=0, learning_rate="cosine", batch_size=1000, n_iter_no_change=1000
    )
    predicted = model.fit(np.zeros((1000, 1)), y).predict(np.zeros((1, 1)))[0]
    assert abs((y < predicted).mean() - level) < 0.01


def test_absolute_error_predicts_the_median_and_huber_lies_between():
    y = np.array([0.0, 1.0, 2.0, 3.0, 100.0])
    X, at = np.zeros((5, 1)), {}
    for loss in ("squared_error", "absolute_error", "huber"):
        model = MLPRegressor(
            loss,
            (),
            alpha=0,
            learning_rate_init=0.3,
            learning_rate="cosine",
            max_iter=500,
        )
        at[loss] = (
            model.set_params(random_state=0, n_iter_no_change=1000)
            .fit(X, y)
            .predict(X[:1])[0]
        )
    assert abs(at["absolute_error"] - 2) < 0.1
    # Σ clip(c - y) = 0 with clips at 0 and 100: 1 + (c - 1) + (c - 2) + (c - 3) - 1 = 0
    # gives c = 2.
    assert abs(at["huber"] - 2) < 0.01
    assert at["squared_error"] > 10


def test_a_loss_object_is_the_loss_it_is_named_after():
    for name, loss in (
        ("quantile", vecprop.Quantile(0.3)),
        ("huber", vecprop.Huber(1.0)),
    ):
        same(
            MLPRegressor(name, quantile=0.3, **SMALL).fit(XR, yR),
            MLPRegressor(loss, **SMALL).fit(XR, yR),
        )
    same(
        MLPClassifier(**SMALL).fit(X3, y3),
        MLPClassifier(loss=vecprop.SoftmaxCrossEntropy(), **SMALL).fit(X3, y3),
    )


def test_softmax_of_two_classes_has_an_output_for_each_and_squared_error_no_probabilities():
    model = MLPClassifier(loss=vecprop.SoftmaxCrossEntropy(), **SMALL).fit(X2, y2)
    assert model.predict_proba(X2).shape == (80, 2)
    assert model.n_outputs_ == 2
    assert model.score(X2, y2) > 0.8
    model = MLPClassifier(loss=vecprop.SquaredError(), **SMALL | {"max_iter": 200}).fit(
        X2, y2
    )
    assert model.score(X2, y2) > 0.85
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weight_is_sample_weight(solver):
    weights = {0: 1.0, 1: 3.0}
    by_class = MLPClassifier(class_weight=weights, solver=solver, **SMALL).fit(X2, y2)
    same(
        by_class,
        MLPClassifier(solver=solver, **SMALL).fit(
            X2, y2, sample_weight=np.where(y2 == 1, 3.0, 1.0)
        ),
    )
    own = np.linspace(0.1, 1, 80)
    both = MLPClassifier(class_weight=weights, solver=solver, **SMALL).fit(
        X2, y2, sample_weight=own
    )
    same(
        both,
        MLPClassifier(solver=solver, **SMALL).fit(
            X2, y2, sample_weight=np.where(y2 == 1, 3.0, 1.0) * own
        ),
    )
    balanced = MLPClassifier(class_weight="balanced", solver=solver, **SMALL).fit(
        X2, y2
    )
    n1 = y2.sum()
    by_hand = np.where(y2 == 1, 80 / (2 * n1), 80 / (2 * (80 - n1)))
    same(
        balanced,
        MLPClassifier(solver=solver, **SMALL).fit(X2, y2, sample_weight=by_hand),
    )


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_weights_are_repeated_rows(solver, class_weight):
    weight = np.random.default_rng(0).integers(0, 4, 80)
    settings = SMALL | {
        "class_weight": class_weight,
        "solver": solver,
        "batch_size": 500,
        "max_iter": 8,
    }
    with (
        pytest.warns(UserWarning, match="clipped")
        if solver != "lbfgs"
        else nullcontext()
    ):
        weighted = MLPClassifier(**settings).fit(X2, y2, sample_weight=weight)
        repeated = MLPClassifier(**settings).fit(
            np.repeat(X2, weight, axis=0), np.repeat(y2, weight)
        )
    same(weighted, repeated, 1e-6)


def test_weights_of_scaled_targets_are_repeated_rows():
    weight = np.random.default_rng(0).integers(0, 4, 80)
    settings = SMALL | {"scale_target": True, "solver": "lbfgs", "max_iter": 5}
    weighted = MLPRegressor(**settings).fit(XR, 50 * yR, sample_weight=weight)
    repeated = MLPRegressor(**settings).fit(
        np.repeat(XR, weight, axis=0), np.repeat(50 * yR, weight)
    )
    np.testing.assert_allclose(weighted.predict(XR), repeated.predict(XR), rtol=1e-6)


def test_scaled_targets_are_targets_scaled_by_hand():
    Y = np.column_stack([1000 + 50 * yR, -3 + 0.1 * yR])
    inside = MLPRegressor(scale_target=True, **SMALL).fit(XR, Y)
    outside = MLPRegressor(**SMALL).fit(XR, (Y - Y.mean(axis=0)) / Y.std(axis=0))
    same(inside, outside)
    np.testing.assert_allclose(
        inside.predict(XR), outside.predict(XR) * Y.std(axis=0) + Y.mean(axis=0)
    )
    constant = MLPRegressor(scale_target=True, **SMALL).fit(XR, np.full(80, 7.0))
    np.testing.assert_allclose(constant.predict(XR), 7.0, atol=1)


def test_layers_follow_the_settings():
    class Cube(vecprop.extend.Activation):
        def value(self, z):
            return z * z * z

        def derivative(self, z, y):
            return 3 * z * z

    model = MLPClassifier(
        (4, 3), ["tanh", Cube()], dropout=[0.0, 0.2], layer_norm=True, random_state=0
    )
    layers = model.initialize(X2, y2).network_.layers
    names = [
        "Dense",
        "LayerNorm",
        "Tanh",
        "Dense",
        "LayerNorm",
        "Cube",
        "Dropout",
        "Dense",
    ]
    assert [type(layer).__name__ for layer in layers] == names
    assert layers[6] == vecprop.Dropout(0.2)
    with pytest.warns(ConvergenceWarning):  # only this one: its formulas are compiled
        assert np.isfinite(model.set_params(max_iter=2).fit(X2, y2).loss_)


def test_dropout_acts_in_training_only_and_is_fixed_by_the_seed():
    one, two = (MLPClassifier(dropout=0.5, **SMALL).fit(X2, y2) for _ in range(2))
    assert (one.theta_ == two.theta_).all()
    assert not np.allclose(one.theta_, MLPClassifier(**SMALL).fit(X2, y2).theta_)
    np.testing.assert_array_equal(one.predict_proba(X2), one.predict_proba(X2))


def test_initializers():
    def first(initializer):
        return MLPClassifier(
            (200,), initializer=initializer, random_state=0
        ).initialize(X2, y2)

    glorot, he, normal = first("glorot"), first("he"), first(vecprop.Normal(0.01))
    assert abs(glorot.coefs_[0]).max() <= np.sqrt(6 / 205)
    assert abs(he.coefs_[0].std() - np.sqrt(2 / 5)) < 0.05
    assert abs(normal.coefs_[0].std() - 0.01) < 0.001
    assert not any(b.any() for model in (glorot, he, normal) for b in model.intercepts_)


SOLVERS = {
    "adamw": vecprop.AdamW(0.01),
    "rmsprop": vecprop.RMSProp(0.01),
    "nesterov": vecprop.Nesterov(0.01),
}
SOLVERS |= {"lbfgs": vecprop.LBFGS(tolerance=1e-4)}


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_is_its_optimizer(solver):
    same(
        *(
            MLPClassifier(solver=own, **SMALL).fit(X2, y2)
            for own in (solver, SOLVERS[solver])
        )
    )


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("cosine", vecprop.Cosine()),
        ("one_cycle", vecprop.OneCycle()),
        ("constant", None),
    ],
)
def test_a_fit_is_train_on_the_same_network(name, schedule):
    model = MLPClassifier(
        learning_rate=name, batch_size=20, solver="rmsprop", **SMALL
    ).fit(X3, y3)
    start: Any = MLPClassifier(**SMALL).initialize(X3, y3)
    settings = {
        "epochs": 20,
        "batch_size": 20,
        "seed": start._seed,
        "schedule": schedule,
        "training_loss": "running",
    }
    result = vecprop.train(
        model.network_,
        start.theta_,
        X3,
        y3,
        optimizer=vecprop.RMSProp(0.01),
        **settings,
    )
    assert (result.theta == model.theta_).all()
    np.testing.assert_array_equal(result.history.loss, model.loss_curve_)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_curves_of_training_and_validation(solver):
    settings = SMALL | {"scoring": "accuracy", "solver": solver}
    model: Any = MLPClassifier(**settings).fit(
        X2[:60], y2[:60], X_val=X2[60:], y_val=y2[60:]
    )
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_
    assert len(model.score_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.score_curve_[-1] == model.score(X2[:60], y2[:60])
    assert model.validation_scores_[-1] == model.score(X2[60:], y2[60:])
    network = model.network_
    validation_loss = network.loss(model.theta_, X2[60:], y2[60:, None].astype(float))
    assert abs(model.validation_loss_curve_[-1] - validation_loss) < 1e-12
    assert model.best_loss_ is not None


def test_early_stopping_on_a_scorer_restores_the_best():
    scoring = make_scorer(balanced_accuracy_score)
    settings = SMALL | {"max_iter": 200, "learning_rate_init": 0.03}
    model: Any = MLPClassifier(
        early_stopping=True, scoring=scoring, n_iter_no_change=5, **settings
    )
    model.fit(X2[:60], y2[:60], X_val=X2[60:], y_val=y2[60:])
    assert model.n_iter_ < 200
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert (
        balanced_accuracy_score(y2[60:], model.predict(X2[60:]))
        == model.best_validation_score_
    )


def test_early_stopping_on_the_loss_restores_the_best_also_with_lbfgs():
    for solver in ("adam", "lbfgs"):
        settings = SMALL | {
            "max_iter": 200,
            "learning_rate_init": 0.03,
            "solver": solver,
            "n_iter_no_change": 3,
        }
        model: Any = MLPRegressor(
            early_stopping=True,
            scoring="loss",
            **settings | {"hidden_layer_sizes": (50,)},
        )
        model.fit(
            XR[:40],
            yR[:40],
            X_val=XR[40:],
            y_val=yR[40:],
            sample_weight_val=np.arange(1.0, 41),
        )
        assert model.n_iter_ < 200
        best = model.network_.loss(model.theta_, XR[40:], yR[40:], np.arange(1.0, 41))
        assert abs(best + model.best_validation_score_) < 1e-12
        assert abs(min(model.validation_loss_curve_) - best) < 1e-12


def test_early_stopping_of_a_multiclass_score_sees_labels():
    labels = np.array(["x", "y", "z"])[y3.astype(int)]
    model: Any = MLPClassifier(
        early_stopping=True, scoring="roc_auc_ovr", **SMALL | {"max_iter": 5}
    )
    model.fit(X3, labels)
    assert len(model.validation_scores_) == 5


def test_random_state_and_threads_fix_every_bit():
    X, y = map(np.asarray, make_classification(2000, 30, random_state=0))
    settings = {
        "hidden_layer_sizes": (64, 64),
        "max_iter": 2,
        "batch_size": 1000,
        "random_state": 0,
        "dropout": 0.1,
    }
    bits = [
        MLPClassifier(n_jobs=n_jobs, **settings).fit(X, y).theta_
        for n_jobs in (1, 2, -1)
    ]
    assert all((theta == bits[0]).all() for theta in bits)


def test_callbacks_see_the_model_and_end_training():
    seen = []

    def after_epoch(state):
        seen.append(model.score(X2, y2))
        return state.epoch == 3

    model = MLPClassifier(callbacks=[after_epoch], **SMALL)
    model.fit(X2, y2)
    assert model.n_iter_ == len(seen) == 3


def test_verbose_prints_epochs_or_shows_a_bar(capsys):
    MLPClassifier(verbose=True, **SMALL).fit(X2, y2, X_val=X2, y_val=y2)
    out = capsys.readouterr().out
    assert "Iteration 20, loss = 0." in out
    assert "Validation score: 0." in out
    MLPClassifier(verbose="bar", **SMALL).fit(X2, y2)
    captured = capsys.readouterr()
    assert "MLPClassifier" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], ["a", "b", "c"], [0.5, 1.5, 2.5], [True, False, True]]
)
def test_the_score_is_scikit_learns_accuracy(labels):
    rng = np.random.default_rng(0)
    X, places = rng.normal(size=(37, 3)), rng.integers(3, size=37)
    y = np.array(labels)[places]
    if y.dtype.kind == "f":
        y = y.astype(object).astype(str)
    model = MLPClassifier((4,), max_iter=20, tol=0.0, random_state=0).fit(X, y)
    weight = rng.random(37)
    assert model.score(X, y) == accuracy_score(y, model.predict(X))
    assert model.score(X, list(y)) == model.score(X, y)
    assert model.score(X, y, weight) == accuracy_score(
        y, model.predict(X), sample_weight=weight
    )
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(X, y[:-1])

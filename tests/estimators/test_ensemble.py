"""Test ensembles, which average members that equal separate fits."""

import copy

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV

from models import fresh
from vecprop import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
    SquaredError,
)

X, y = map(np.asarray, load_iris(return_X_y=True))
NAMES = np.array(["setosa", "versicolor", "virginica"])
FEW = {"hidden_layer_sizes": (4,), "max_iter": 5, "batch_size": 40}
CLASSIFIER = MLPClassifier(**FEW)
SUBSETS = {
    "seeds": {},
    "bootstrap": {"bootstrap": True, "max_samples": 0.7},
    "few rows": {"max_samples": 60},
    "few features": {"max_features": 0.5, "bootstrap": True},
}


@pytest.mark.parametrize("subsets", SUBSETS.values(), ids=SUBSETS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_each_member_equals_a_separate_fit(subsets, solver):
    model = fresh(CLASSIFIER, solver=solver)
    ensemble = MLPEnsembleClassifier(model, 3, random_state=3, **subsets).fit(
        X, NAMES[y]
    )
    assert len({member.random_state for member in ensemble.estimators_}) == 3
    together = [
        ensemble.estimators_,
        ensemble.estimators_samples_,
        ensemble.estimators_features_,
    ]
    for member, samples, features in zip(*together, strict=True):
        alone = fresh(member).fit(X[samples][:, features], NAMES[y][samples])
        np.testing.assert_array_equal(member.theta_, alone.theta_)
        assert member.loss_curve_ == alone.loss_curve_
        assert member.n_features_in_ == len(features)
    P = np.mean(
        [
            m.predict_proba(X[:, f])
            for m, f in zip(
                ensemble.estimators_, ensemble.estimators_features_, strict=True
            )
        ],
        axis=0,
    )
    np.testing.assert_allclose(ensemble.predict_proba(X), P, rtol=1e-12)
    np.testing.assert_array_equal(
        ensemble.predict(X), np.unique(NAMES)[P.argmax(axis=1)]
    )
    np.testing.assert_array_equal(
        ensemble.predict_log_proba(X), np.log(ensemble.predict_proba(X))
    )


def test_rows_and_features_are_drawn_by_the_settings():
    ensemble = MLPEnsembleClassifier(
        CLASSIFIER, 30, bootstrap=True, max_features=2, random_state=0
    ).fit(X, y)
    samples, features = (
        np.array(ensemble.estimators_samples_),
        np.array(ensemble.estimators_features_),
    )
    assert samples.shape == (30, 150)
    assert 0.6 < np.mean([len(set(rows)) for rows in samples]) / 150 < 0.67  # 1 - 1/e
    assert features.shape == (30, 2)
    assert set(map(tuple, features)) == {
        (a, b) for a in range(4) for b in range(a + 1, 4)
    }
    fewer = MLPEnsembleClassifier(CLASSIFIER, 30, max_samples=0.5, random_state=0).fit(
        X, y
    )
    assert {len(set(rows)) for rows in fewer.estimators_samples_} == {75}


@pytest.mark.parametrize("classes", [2, 3])
def test_the_spread_of_probabilities(classes):
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 6, random_state=0).fit(
        X[y < classes], y[y < classes]
    )
    P, spread = ensemble.predict_proba(X, return_std=True)
    members = np.array([member.predict_proba(X) for member in ensemble.estimators_])
    np.testing.assert_allclose(P, members.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(spread, members.std(axis=0), rtol=1e-9, atol=1e-15)
    assert spread.shape == (150, classes)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(
    "settings", [{"scale_target": True}, {"loss": "poisson"}], ids=str
)
def test_the_regressors_mean_and_spread_are_in_the_units_of_y(outputs, settings):
    rows, numbers = map(np.asarray, load_diabetes(return_X_y=True))
    numbers = numbers / 50 if outputs == 1 else np.c_[numbers, 400 - numbers] / 50
    ensemble = MLPEnsembleRegressor(
        MLPRegressor(**FEW | settings), 5, random_state=0
    ).fit(rows, numbers)
    members = np.array([member.predict(rows) for member in ensemble.estimators_])
    mean, spread = ensemble.predict(rows, return_std=True)
    np.testing.assert_allclose(mean, members.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(spread, members.std(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(ensemble.predict(rows), mean)


def test_an_ensemble_is_better_than_its_members():
    rows, labels = map(np.asarray, make_moons(300, noise=0.3, random_state=0))
    model = MLPClassifier((8,), solver="lbfgs", max_iter=50, alpha=0)
    ensemble = MLPEnsembleClassifier(model, 4, bootstrap=True, random_state=0).fit(
        rows[:100], labels[:100]
    )
    alone = [member.score(rows[100:], labels[100:]) for member in ensemble.estimators_]
    assert ensemble.score(rows[100:], labels[100:]) > np.mean(alone)


def out_of_bag(ensemble, votes):
    """Compute each row's mean out-of-bag vote in a plain loop."""
    for row in range(150):
        yield np.mean(
            [
                vote[row]
                for vote, samples in zip(
                    votes, ensemble.estimators_samples_, strict=True
                )
                if row not in samples
            ],
            axis=0,
        )


def test_the_out_of_bag_score():
    settings = {
        "n_estimators": 30,
        "bootstrap": True,
        "oob_score": True,
        "random_state": 0,
    }
    ensemble = MLPEnsembleClassifier(CLASSIFIER, **settings).fit(X, NAMES[y])
    expected = np.array(
        list(
            out_of_bag(
                ensemble, [member.predict_proba(X) for member in ensemble.estimators_]
            )
        )
    )
    np.testing.assert_allclose(ensemble.oob_decision_function_, expected, rtol=1e-12)
    assert ensemble.oob_score_ == accuracy_score(
        NAMES[y], NAMES[expected.argmax(axis=1)]
    )
    regression = MLPEnsembleRegressor(
        MLPRegressor(**FEW), max_features=3, **settings
    ).fit(X, X[:, 0] * 2)
    votes = [
        m.predict(X[:, f])
        for m, f in zip(
            regression.estimators_, regression.estimators_features_, strict=True
        )
    ]
    expected = np.array(list(out_of_bag(regression, votes)))
    np.testing.assert_allclose(regression.oob_prediction_, expected, rtol=1e-12)
    assert regression.oob_score_ == pytest.approx(r2_score(X[:, 0] * 2, expected))


def test_rows_used_by_every_member_have_no_out_of_bag_score():
    ensemble = MLPEnsembleClassifier(
        CLASSIFIER, 2, bootstrap=True, oob_score=True, random_state=0
    )
    with pytest.warns(
        UserWarning, match=r"\d+ of 150 rows have no out-of-bag prediction"
    ):
        ensemble.fit(X, y)
    seen = set(ensemble.estimators_samples_[0]) & set(ensemble.estimators_samples_[1])
    assert (
        set(np.flatnonzero(np.isnan(ensemble.oob_decision_function_).all(axis=1)))
        == seen
    )
    with pytest.raises(
        ValueError,
        match="needs out-of-bag rows: set bootstrap=True, or max_samples below 1",
    ):
        ensemble.set_params(bootstrap=False).fit(X, y)


def test_weights_and_several_labels_and_sparse_rows():
    weight = (y > 0).astype(float)
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 3, random_state=0, max_features=3).fit(
        X, y, sample_weight=weight
    )
    member, features = ensemble.estimators_[1], ensemble.estimators_features_[1]
    alone = fresh(member).fit(X[:, features], y, sample_weight=weight)
    np.testing.assert_array_equal(member.theta_, alone.theta_)
    labels = np.c_[y > 0, y > 1].astype(int)
    several = MLPEnsembleClassifier(
        CLASSIFIER, 3, random_state=0, bootstrap=True, oob_score=False
    ).fit(X, labels)
    P = several.predict_proba(X)
    np.testing.assert_array_equal(several.predict(X), P > 0.5)
    rows = sparse.csr_matrix(X)
    thin = MLPEnsembleClassifier(
        CLASSIFIER, 3, random_state=0, max_features=3, bootstrap=True
    ).fit(rows, y)
    dense = fresh(thin).fit(X, y)
    np.testing.assert_allclose(
        thin.predict_proba(rows), dense.predict_proba(X), rtol=1e-6
    )


def test_a_loss_without_probabilities_has_labels():
    ensemble = MLPEnsembleClassifier(
        MLPClassifier(**FEW, loss=SquaredError()), 3, random_state=0
    ).fit(X, y)
    assert ensemble.predict(X).shape == (150,)
    assert not hasattr(ensemble, "predict_proba")
    assert not hasattr(ensemble, "predict_log_proba")


def test_all_members_know_all_classes():
    ensemble = MLPEnsembleClassifier(
        MLPClassifier(max_iter=2), 20, max_samples=4, random_state=0
    ).fit(X, y)
    assert {len(set(y[rows])) for rows in ensemble.estimators_samples_} >= {2, 3}
    assert {member.predict_proba(X).shape for member in ensemble.estimators_} == {
        (150, 3)
    }


def test_frames_copies_and_searches():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 3, random_state=0).fit(frame, y)
    assert ensemble.feature_names_in_.tolist() == list("abcd")
    before = ensemble.predict_proba(frame)
    np.testing.assert_array_equal(copy.deepcopy(ensemble).predict_proba(frame), before)
    np.testing.assert_array_equal(fresh(ensemble).fit(X, y).predict_proba(X), before)
    assert not hasattr(ensemble.fit(X, y), "feature_names_in_")
    search = GridSearchCV(
        ensemble, {"estimator__alpha": [0, 1], "n_estimators": [2, 3]}, cv=2
    ).fit(X, y)
    assert search.best_params_["n_estimators"] in (2, 3)


def test_restarts_of_members():
    ensemble = MLPEnsembleClassifier(
        fresh(CLASSIFIER, n_restarts=3), 3, random_state=0
    ).fit(X, y)
    for member in ensemble.estimators_:
        assert member.loss_ == member.restart_losses_.min()
        np.testing.assert_array_equal(member.theta_, fresh(member).fit(X, y).theta_)


def test_members_that_have_not_converged_give_one_warning():
    with pytest.warns(ConvergenceWarning) as caught:
        MLPEnsembleClassifier(CLASSIFIER, 4, random_state=0).fit(X, y)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        (
            {"estimator": LogisticRegression()},
            TypeError,
            "estimator is a LogisticRegression, but MLPEnsembleClassifier needs",
        ),
        ({"estimator": MLPRegressor()}, TypeError, "estimator is a MLPRegressor, but"),
        (
            {"estimator": MLPClassifier(alpha=-1)},
            ValueError,
            "'alpha' parameter of MLPClassifier",
        ),
        ({"max_samples": 151}, ValueError, "max_samples is 151, expected at most 150"),
        ({"max_features": 5}, ValueError, "max_features is 5, expected at most 4"),
        (
            {"max_features": 1.5},
            ValueError,
            "'max_features' parameter of MLPEnsembleClassifier",
        ),
        (
            {"estimator": MLPClassifier(**FEW, solver="sgd", learning_rate_init=1e200)},
            ValueError,
            "non-finite param",
        ),
    ],
)
def test_says_what_is_wrong(settings, error, says):
    with pytest.raises(error, match=says):
        MLPEnsembleClassifier(**settings).fit(X, y)


def test_a_failed_fit_keeps_the_earlier_fit():
    ensemble = MLPEnsembleClassifier(CLASSIFIER, 3, random_state=0, max_samples=10**6)
    with pytest.raises(ValueError, match="max_samples is 1000000"):
        ensemble.fit(X, y)
    with pytest.raises(NotFittedError):
        ensemble.predict(X)
    before = ensemble.set_params(max_samples=0.9).fit(X, y).predict_proba(X)
    with pytest.raises(ValueError, match="max_samples is 1000000"):
        ensemble.set_params(max_samples=10**6).fit(X[:, :2], NAMES[y])
    np.testing.assert_array_equal(ensemble.predict_proba(X), before)
    assert set(ensemble.predict(X)) <= {0, 1, 2}


def test_dtypes_follow_the_rows():
    single = X.astype(np.float32)
    assert (
        MLPEnsembleClassifier(CLASSIFIER, 2, random_state=0)
        .fit(single, y)
        .predict_proba(X)
        .dtype
        == np.float32
    )
    ensemble = MLPEnsembleRegressor(MLPRegressor(**FEW), 2, random_state=0).fit(
        single, single[:, 0]
    )
    assert [part.dtype for part in ensemble.predict(X, return_std=True)] == [
        np.float32
    ] * 2


def test_scores_of_an_earlier_fit_are_removed():
    ensemble = MLPEnsembleClassifier(
        CLASSIFIER, 20, random_state=0, bootstrap=True, oob_score=True
    ).fit(X, y)
    assert {name for name in vars(ensemble) if name.startswith("oob_")} > {"oob_score"}
    ensemble.set_params(oob_score=False).fit(X, y)
    assert {name for name in vars(ensemble) if name.startswith("oob_")} == {"oob_score"}

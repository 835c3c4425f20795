"""Test that searches give the same results as scikit-learn's searches."""

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn import model_selection as selection
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models import fresh, restart_states
from sampled import sampled
from vecprop import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPRegressor,
    MLPSearchCV,
    SoftmaxCrossEntropy,
)

X, y = map(np.asarray, load_iris(return_X_y=True))
NAMES = np.array(["setosa", "versicolor", "virginica"])
FEW = {"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0, "batch_size": 40}
CLASSIFIER = MLPClassifier(**FEW)
RATES = {"learning_rate_init": [0.01, 0.1]}


def assert_same(search, reference):
    """Assert that all results except the times are equal."""
    ours, theirs = search.cv_results_, reference.cv_results_
    assert set(ours) == set(theirs)
    assert ours["params"] == theirs["params"]
    for name, column in theirs.items():
        if name.endswith("_time"):
            assert (ours[name] >= 0).all()
        elif name != "params":
            np.testing.assert_array_equal(ours[name], column, err_msg=name)
            assert ours[name].dtype == column.dtype
            assert type(ours[name]) is type(column)
    for name in (
        "best_score_",
        "best_params_",
        "best_index_",
        "n_splits_",
        "multimetric_",
    ):
        assert getattr(search, name, None) == getattr(reference, name, None)
    if reference.refit:
        assert search.refit_time_ > 0


def both(estimator, grid, rows=(X, y), fit=None, **settings):
    fit = fit or {}
    search = MLPSearchCV(estimator, grid, **settings).fit(*rows, **fit)
    reference = GridSearchCV(estimator, grid, **settings).fit(*rows, **fit)
    assert_same(search, reference)
    return search, reference


GRIDS = {
    "widths": [
        {"hidden_layer_sizes": [(3,)], "activation": ["tanh"]},
        {"hidden_layer_sizes": [(4, 2)]},
    ],
    "two grids": [
        {"alpha": [0.1], "batch_size": [16, "auto"]},
        {"dropout": [0.2], "max_iter": [3, 9]},
    ],
    "rules that end training": {
        "tol": [0.05, 0.2],
        "n_iter_no_change": [1, 2],
        "max_iter": [20],
    },
    "cuts": {
        "tol": [0.05, 0.2],
        "n_iter_no_change": [1],
        "max_iter": [20],
        "solver": ["sgd"],
    }
    | {"learning_rate": ["adaptive"]},
    "Python after each epoch": [
        {"early_stopping": [True, False], "solver": ["lbfgs"]},
        {
            "early_stopping": [True],
            "solver": ["sgd"],
            "learning_rate": ["invscaling", "adaptive"],
        },
    ],
    "class weights": {"class_weight": [None, "balanced", {0: 5, 1: 1, 2: 1}]},
    "restarts": {"n_restarts": [1, 3]},
    "one setting": {},
}


CASES = [(grid, number % 2 == 0) for number, grid in enumerate(GRIDS)]


@pytest.mark.parametrize(
    ("grid", "return_train_score"),
    [
        *CASES,
        *(
            pytest.param(grid, not scored, marks=pytest.mark.long)
            for grid, scored in CASES
        ),
    ],
)
def test_the_results_are_those_of_grid_search(grid, return_train_score):
    settings = {
        "cv": 2,
        "scoring": "neg_log_loss",
        "return_train_score": return_train_score,
    }
    search, reference = both(CLASSIFIER, GRIDS[grid], **settings)
    np.testing.assert_array_equal(
        search.best_estimator_.theta_, reference.best_estimator_.theta_
    )
    np.testing.assert_array_equal(search.predict_proba(X), reference.predict_proba(X))
    assert search.score(X, y) == reference.score(X, y)


def test_labels_are_names_and_a_fold_lacks_a_class():
    rows = np.flatnonzero(y < 2), np.flatnonzero(y > 0)
    cv = [
        (rows[0], rows[1]),
        (np.arange(150)[::2], np.arange(150)[1::2]),
        (y > 0, y == 0),
    ]
    search, _ = both(CLASSIFIER, RATES, (X, NAMES[y]), cv=cv, scoring="accuracy")
    assert set(search.classes_) == set(NAMES)
    assert set(search.predict(X)) <= set(NAMES)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
def test_regression(loss):
    rows, numbers = map(np.asarray, load_diabetes(return_X_y=True))
    model = MLPRegressor(loss, **FEW | {"batch_size": 100})
    grid = RATES | ({} if loss == "poisson" else {"scale_target": [False, True]})
    both(model, grid, (rows, numbers / 100), cv=2, scoring="neg_mean_absolute_error")
    both(model, RATES, (rows, np.c_[numbers, 400 - numbers] / 100), cv=2, refit=False)


def test_dtypes_of_rows():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))
    search, _ = both(CLASSIFIER, RATES, (frame, y), cv=3)
    assert search.feature_names_in_.tolist() == list("abcd")
    sparse = pytest.importorskip("scipy.sparse").csr_matrix(X)
    for rows in (sparse, X.astype(np.float32), (10 * X).astype(int), X.tolist()):
        both(CLASSIFIER, {"alpha": [0.1]}, (rows, y.tolist()), cv=2)
    both(CLASSIFIER, RATES, (X, np.eye(3, dtype=int)[y]), cv=2)
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER).set_output(
        transform="pandas"
    )
    both(pipeline, {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2)


def test_groups_weights_and_validation_rows():
    groups = np.arange(150) % 7
    weight = np.linspace(0, 2, 150)
    both(CLASSIFIER, RATES, fit={"groups": groups}, cv=selection.GroupKFold(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both(CLASSIFIER, RATES, fit={"sample_weight": weight}, cv=2)
        both(CLASSIFIER, RATES, fit={"X_val": X[:20], "y_val": y[:20]}, cv=2)
        pipeline = make_pipeline(StandardScaler(), CLASSIFIER)
        grid = {"mlpclassifier__alpha": [0.1, 1.0]}
        both(pipeline, grid, fit={"mlpclassifier__sample_weight": weight}, cv=2)
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(**FEW).set_fit_request(sample_weight=True)
        scoring = get_scorer("accuracy").set_score_request(sample_weight=True)
        pipeline = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), model
        )
        for estimator, choices in ((model, RATES), (pipeline, grid)):
            fit = {"groups": groups, "sample_weight": weight}
            both(
                estimator, choices, fit=fit, cv=selection.GroupKFold(2), scoring=scoring
            )


def test_preprocessing_is_fitted_once_per_fold():
    fits = []

    class Counted(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            fits.append(len(X))
            return super().fit(X, y, sample_weight)

    pipeline = make_pipeline(Counted(), PCA(2), CLASSIFIER)
    grid = {"counted__with_std": [True, False], "pca": [PCA(2), "passthrough"]}
    grid |= {"mlpclassifier__alpha": [0, 1e-3]}
    search = MLPSearchCV(pipeline, grid, cv=2, return_train_score=True).fit(X, y)
    assert fits == [75] * (2 * 2 * 2) + [150]
    reference = GridSearchCV(pipeline, grid, cv=2, return_train_score=True).fit(X, y)
    assert_same(search, reference)
    assert (
        search.best_estimator_.named_steps.keys()
        == reference.best_estimator_.named_steps.keys()
    )
    both(
        pipeline,
        {"mlpclassifier": [CLASSIFIER, MLPClassifier(max_iter=2, random_state=3)]},
        cv=2,
    )


SCORINGS = {
    "list": {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"},
    "dict": {
        "scoring": {"a": "accuracy", "r": make_scorer(recall_score, average="macro")},
        "refit": False,
    },
    "function": {"scoring": lambda model, X, y: -model.loss_},
    "function of several": {
        "scoring": lambda m, X, y: {"n": m.n_iter_, "s": m.score(X, y)},
        "refit": "s",
    },
    "refit chooses": {
        "scoring": "accuracy",
        "refit": lambda results: len(results["params"]) - 1,
    },
}


FOLDS = [2, selection.ShuffleSplit(2, random_state=0), selection.StratifiedKFold(2)]


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize(
    "shift", [0, *(pytest.param(shift, marks=pytest.mark.long) for shift in (1, 2))]
)
def test_scores(scoring, shift):
    """All kinds of scoring; long tests use all folds."""
    cv = FOLDS[([*SCORINGS].index(scoring) + shift) % 3]
    both(CLASSIFIER, RATES, cv=cv, return_train_score=True, **SCORINGS[scoring])


@pytest.mark.filterwarnings("ignore:One or more of the")
@pytest.mark.parametrize(
    ("scoring", "error_score"),
    [
        (None, -3),
        (["accuracy", "neg_log_loss"], np.nan),
        (lambda m, X, y: {"s": m.score(X, y)}, np.nan),
    ],
)
def test_a_diverging_candidate_does_not_affect_others(scoring, error_score):
    grid = {
        "learning_rate_init": [0.01, 1e200],
        "solver": ["sgd"],
        "alpha": [-1.0, 0.0],
    }
    settings = {
        "cv": 2,
        "scoring": scoring,
        "refit": False,
        "return_train_score": True,
        "error_score": error_score,
    }
    with pytest.warns(
        FitFailedWarning, match="6 fits failed out of a total of 8"
    ) as caught:
        both(CLASSIFIER, grid, **settings)
    assert "The 'alpha' parameter of MLPClassifier must be a float" in str(
        caught[0].message
    )
    assert "non-finite parameter weights" in str(caught[0].message)


def test_error_score_raise_stops_the_search():
    grid = {"learning_rate_init": [0.01], "alpha": [-1.0, 0.0]}
    with pytest.raises(ValueError, match="'alpha' parameter"):
        MLPSearchCV(CLASSIFIER, grid, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="All the 5 fits failed"):
        MLPSearchCV(CLASSIFIER, {"alpha": [-1.0]}).fit(X, y)


def test_failing_preprocessing_does_not_affect_others():
    pipeline = make_pipeline(PCA(2), CLASSIFIER)
    grid = {"pca__n_components": [2, 9], "mlpclassifier__alpha": [0, 1]}
    search = MLPSearchCV(pipeline, grid, cv=3, error_score=0)
    with pytest.warns(FitFailedWarning, match="6 fits failed out of a total of 12"):
        search.fit(X, y)
    assert search.cv_results_["mean_test_score"].nonzero()[0].tolist() == [0, 2]


@pytest.mark.filterwarnings("ignore:One or more of the")
def test_an_invalid_candidate_does_not_affect_others():
    grid = {"class_weight": [None, {0: -1}, "balanced", {1: np.nan}]}
    with pytest.warns(
        FitFailedWarning, match="weights must be finite and at least 0"
    ) as said:
        search, _ = both(CLASSIFIER, grid, cv=2)
    assert len([each for each in said if each.category is FitFailedWarning]) == 2
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [
        False,
        True,
        False,
        True,
    ]


def test_targets_that_may_not_be_zero():
    shares = np.exp(X[:, :3]) / np.exp(X[:, :3]).sum(axis=1, keepdims=True)
    both(
        MLPRegressor(**FEW, loss=SoftmaxCrossEntropy()),
        {"alpha": [0.1, 1.0]},
        (X, shares),
        cv=2,
    )


@pytest.mark.parametrize(
    ("most", "halving", "rounds"),
    [(200, 3, [22, 66, 200]), (8, 2.5, [1, 3, 8]), (2, 3, [1, 1, 2])],
)
def test_the_last_round_of_halving_has_all_epochs(most, halving, rounds):
    grid = {"alpha": np.geomspace(1e-6, 1e-2, 9).tolist()}
    model = fresh(CLASSIFIER, max_iter=most)
    search = MLPSearchCV(model, grid, cv=2, halving=halving).fit(X, y)
    assert np.unique(search.cv_results_["n_resources"]).tolist() == sorted(set(rounds))
    assert search.best_params_["max_iter"] == most


class OwnFit(MLPClassifier):
    def fit(self, X, y, *more, **of_validation):
        return super().fit(-X, y, *more, **of_validation)


def test_an_estimator_that_overrides_fit_raises_an_error():
    with pytest.raises(TypeError, match="OwnFit overrides fit"):
        MLPSearchCV(OwnFit(**FEW), RATES).fit(X, y)
    with pytest.raises(TypeError, match="OwnFit overrides fit"):
        MLPEnsembleClassifier(OwnFit(**FEW)).fit(X, y)


def test_distributions():
    draws = {"alpha": loguniform(1e-5, 1), "hidden_layer_sizes": [(3,), (4,), (5,)]}
    settings: dict[str, Any] = {"n_iter": 4, "random_state": 3, "cv": 2}
    search = MLPSearchCV(CLASSIFIER, param_distributions=draws, **settings).fit(X, y)
    assert_same(
        search, selection.RandomizedSearchCV(CLASSIFIER, draws, **settings).fit(X, y)
    )


MANY_RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7]


@pytest.mark.parametrize("rates", sampled([[0.001, 0.01, 0.03, 0.1], MANY_RATES]))
@pytest.mark.parametrize("pipeline", sampled([True, False]))
def test_halving(pipeline, rates):
    name = "mlpclassifier__" if pipeline else ""
    model = MLPClassifier(**FEW | {"max_iter": 18})
    estimator = make_pipeline(StandardScaler(), model) if pipeline else model
    grid = {f"{name}learning_rate_init": rates}
    settings = {"cv": 2, "scoring": "neg_log_loss"}  # without ties
    search = MLPSearchCV(estimator, grid, halving=3, **settings).fit(X, y)
    resources: dict[str, Any] = {
        "resource": f"{name}max_iter",
        "max_resources": 18,
        "min_resources": "exhaust",
    }
    reference = selection.HalvingGridSearchCV(
        estimator, grid, **settings, **resources, factor=3
    ).fit(X, y)
    assert set(search.cv_results_) == set(reference.cv_results_) - {
        "mean_train_score",
        "std_train_score",
    } - {f"split{n}_train_score" for n in range(2)}
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], reference.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(
        search.cv_results_["n_resources"], reference.cv_results_["n_resources"]
    )
    assert search.cv_results_["params"] == reference.cv_results_["params"]
    assert search.best_index_ == reference.best_index_
    assert search.best_params_[f"{name}max_iter"] == 18
    assert search.n_resources_ == reference.n_resources_
    assert search.n_candidates_ == reference.n_candidates_


def test_the_spread_over_seeds():
    search = MLPSearchCV(
        CLASSIFIER,
        RATES,
        cv=2,
        n_seeds=3,
        scoring=["accuracy", "neg_log_loss"],
        refit="accuracy",
    )
    results = search.fit(X, y).cv_results_
    states = restart_states(0, 3)
    alone = [
        GridSearchCV(MLPClassifier(**FEW | {"random_state": state}), RATES, cv=2).fit(
            X, y
        )
        for state in states
    ]
    by_seed = np.array([one.cv_results_["mean_test_score"] for one in alone])
    for seed, scores in enumerate(by_seed):
        np.testing.assert_array_equal(results[f"seed{seed}_test_accuracy"], scores)
    np.testing.assert_allclose(
        results["std_seed_test_accuracy"], by_seed.std(axis=0, ddof=1), rtol=1e-12
    )
    np.testing.assert_allclose(
        results["mean_test_accuracy"], by_seed.mean(axis=0), rtol=1e-12
    )
    split = np.mean([one.cv_results_["split1_test_score"] for one in alone], axis=0)
    np.testing.assert_allclose(results["split1_test_accuracy"], split, rtol=1e-12)
    assert len(set(by_seed[:, 0])) > 1
    assert {"std_seed_test_neg_log_loss", "seed2_test_neg_log_loss"} < set(results)


@pytest.mark.parametrize(
    "random_state", [None, np.random.RandomState(4)], ids=["none", "instance"]
)
def test_random_states_that_are_not_integers(random_state):
    model = MLPClassifier(**FEW | {"random_state": random_state})
    search = MLPSearchCV(model, RATES, cv=2, n_seeds=2, refit=False)
    one, other = (
        fresh(search).fit(X, y).cv_results_["mean_test_score"].tolist()
        for _ in range(2)
    )
    assert (one == other) is (random_state is not None)
    if random_state is not None:
        both(model, RATES, cv=2)


def test_all_fits_are_one_population_that_shares_its_rows(populations):
    MLPSearchCV(CLASSIFIER, RATES, cv=5, n_seeds=3, refit=False).fit(X, y)
    MLPSearchCV(
        make_pipeline(StandardScaler(), CLASSIFIER),
        {"mlpclassifier__alpha": [0, 1]},
        cv=5,
    ).fit(X, y)
    networks, pipelines = populations
    assert (len(networks), len(pipelines)) == (2 * 5 * 3, 2 * 5)
    assert all(member.X is X for member in networks)
    assert len({id(member.T) for member in networks}) == 5
    assert len({id(member.X) for member in pipelines}) == 5


@pytest.mark.parametrize("n_jobs", sampled([2, 1, -1], 3))
def test_threads_change_nothing(n_jobs):
    grid = {"early_stopping": [True, False], "dropout": [0.0, 0.5]}
    one, other = (
        MLPSearchCV(CLASSIFIER, grid, n_jobs=n).fit(X, y) for n in (None, n_jobs)
    )
    assert_same(one, other)


def test_vecprops_estimators_inside_scikit_learns():
    nested = [
        cross_val_score(kind(CLASSIFIER, RATES, cv=2), X, y, cv=3)
        for kind in (MLPSearchCV, GridSearchCV)
    ]
    np.testing.assert_array_equal(*nested)
    rows, labels = map(np.asarray, make_classification(120, 5, random_state=0))
    model = MLPClassifier(**FEW | {"max_iter": 60, "learning_rate_init": 0.05})
    assert cross_val_score(model, rows, labels, cv=2).mean() > 0.8
    assert GridSearchCV(model, RATES, cv=2).fit(rows, labels).best_score_ > 0.8
    assert (
        BaggingClassifier(model, 2, random_state=0)
        .fit(rows, labels)
        .score(rows, labels)
        > 0.85
    )
    calibrated = CalibratedClassifierCV(model, cv=2).fit(rows, labels)
    assert calibrated.score(rows, labels) > 0.85
    probabilities: Any = selection.cross_val_predict(
        model, rows, labels, cv=2, method="predict_proba"
    )
    assert probabilities.shape == (120, 2)


def test_all_settings_of_grid_search_have_the_same_default():
    theirs, ours = (
        of(CLASSIFIER, RATES).get_params(deep=False)
        for of in (GridSearchCV, MLPSearchCV)
    )
    assert theirs.items() <= ours.items()


def test_verbose_prints_the_number_of_fits(capsys):
    MLPSearchCV(CLASSIFIER, RATES, cv=3, n_seeds=2, verbose=1, refit=False).fit(X, y)
    says = "Fitting 3 folds for each of 2 candidates, with 2 seeds, totalling 12 fits\n"
    assert capsys.readouterr().out == says


def test_interrupts_stop_the_search():
    calls = []

    def interrupt(state):
        calls.append(state.epoch)
        raise KeyboardInterrupt

    model = MLPClassifier(callbacks=[interrupt], **FEW)
    search = MLPSearchCV(model, RATES, n_jobs=1)
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(UserWarning, match="Training interrupted by user"),
    ):
        search.fit(X, y)
    assert calls == [1]
    with pytest.raises(
        NotFittedError, match="This MLPSearchCV instance is not fitted yet"
    ):
        search.score(X, y)
    with pytest.raises(KeyboardInterrupt):
        MLPSearchCV(CLASSIFIER, {"callbacks": [[interrupt], None]}, n_jobs=1, cv=2).fit(
            X, y
        )


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, ValueError, "Give exactly one of param_grid"),
        (
            {"param_grid": {"alpha": loguniform(0.1, 1)}},
            TypeError,
            "'alpha' is a distribution: use param_distributio",
        ),
        (
            {"param_grid": RATES, "param_distributions": RATES},
            ValueError,
            "Give exactly one of param_grid",
        ),
        (
            {"estimator": LogisticRegression(), "param_grid": {}},
            TypeError,
            "got LogisticRegression: use scikit-",
        ),
        ({"param_grid": []}, ValueError, "There are no candidates"),
        ({"param_grid": RATES, "cv": []}, ValueError, "cv yields no splits"),
        (
            {"estimator": LogisticRegression(), "param_grid": {}, "halving": 2},
            TypeError,
            "needs vecprop's MLPClass",
        ),
        (
            {
                "estimator": MLPClassifier(max_iter="a"),
                "param_grid": RATES,
                "halving": 2,
            },
            ValueError,
            "The 'max_iter' pa",
        ),
        (
            {"param_grid": {"max_iter": [1]}, "halving": 2},
            ValueError,
            "halving sets max_iter itself",
        ),
        (
            {"param_grid": RATES, "halving": 1},
            ValueError,
            "'halving' parameter of MLPSearchCV must be a float in",
        ),
        ({"param_grid": RATES, "n_seeds": 0}, ValueError, "'n_seeds' parameter"),
        (
            {"param_grid": {"no": [1]}},
            ValueError,
            "Invalid parameter 'no' for estimator MLPClassifier",
        ),
        (
            {"param_grid": RATES, "scoring": ["accuracy", "r2"]},
            ValueError,
            "refit is True, but with several",
        ),
        (
            {"param_grid": RATES, "scoring": ["r2"], "refit": False, "halving": 2},
            ValueError,
            "halving needs one score",
        ),
    ],
)
def test_says_what_is_wrong(arguments, error, says):
    with pytest.raises(error, match=says):
        MLPSearchCV(**{"estimator": CLASSIFIER} | arguments).fit(X, y)


def test_further_arguments_of_scikit_learns_searches():
    search = MLPSearchCV(CLASSIFIER, RATES, pre_dispatch="n_jobs")
    assert search.get_params()["pre_dispatch"] == "n_jobs"
    with pytest.raises(TypeError, match="set them on its estimator"):
        search.set_callbacks(print)

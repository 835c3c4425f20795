"""Test that searches and early stopping read rows lazily, with little memory and identical bits."""

import tracemalloc
import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from models import fresh
from sampled import sampled
from vecprop import MLPClassifier, MLPRegressor, MLPSearchCV
from vecprop.core.rows import selection
from vecprop.estimators.many import scaling
from vecprop.estimators.many.folds import Split

RNG = np.random.default_rng(0)
X = 3 * RNG.normal(size=(150, 6)) + RNG.normal(size=6)
y = (X[:, 0] + X[:, 1] > X[:, 2]).astype(int)
FEW = {"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0, "batch_size": 40}
CLASSIFIER = MLPClassifier(**FEW)
SCALERS = {
    "standard": StandardScaler(),
    "without mean": StandardScaler(with_mean=False),
    "without scale": StandardScaler(with_std=False),
    "least and greatest": MinMaxScaler((-1, 2)),
    "greatest": MaxAbsScaler(),
    "robust": RobustScaler(),
    "robust without center": RobustScaler(with_centering=False),
}


@pytest.mark.usefixtures("all_is_large")
def test_a_verbose_pipeline_prints_its_steps(capsys):
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER).set_params(verbose=True)
    MLPSearchCV(pipeline, {"mlpclassifier__alpha": [0.1]}, cv=2, refit=False).fit(X, y)
    assert capsys.readouterr().out.count("(step 1 of 2) Processing standardscaler") == 2


@pytest.fixture
def all_is_large(limit):
    """Read small data in many small chunks, like large data."""
    limit("search: large data of a fold", 0)
    limit("search: large data of scores", 0)
    limit("search: numbers scaled at once", 100)
    limit("search: numbers in a sample", 10)
    limit("selection: numbers in a part", 1)
    limit("selection: rows in a part", 8)


def assert_same(search, reference, X):
    for name, column in reference.cv_results_.items():
        if not name.endswith("_time") and name != "params":
            np.testing.assert_array_equal(
                search.cv_results_[name], column, err_msg=name
            )
    best, other = search.best_estimator_, reference.best_estimator_
    np.testing.assert_array_equal(best[-1].theta_, other[-1].theta_)
    assert best[-1].loss_curve_ == other[-1].loss_curve_
    assert vars(best[-2]).keys() == vars(other[-2]).keys()
    for name, value in vars(other[-2]).items():
        np.testing.assert_array_equal(getattr(best[-2], name), value, err_msg=name)
        assert type(getattr(best[-2], name)) is type(value)
    np.testing.assert_array_equal(search.predict(X), reference.predict(X))


def both(pipeline, rows, fit=None, **settings):
    grid = {f"{pipeline.steps[-1][0]}__alpha": [0.1]}
    settings = {"cv": 2, "return_train_score": True} | settings
    search, reference = (
        kind(pipeline, grid, **settings).fit(*rows, **fit or {})
        for kind in (MLPSearchCV, GridSearchCV)
    )
    assert_same(search, reference, rows[0])


@pytest.mark.parametrize("F", sampled([np.float32, np.float64]))
@pytest.mark.parametrize("scaler", SCALERS.values(), ids=SCALERS)
def test_rows_are_scaled_lazily(scaler, F, all_is_large, populations):
    both(make_pipeline(scaler, CLASSIFIER), (X.astype(F), y))
    members = [member for members in populations for member in members]
    assert len(members) == 2
    assert all(isinstance(member.X, selection.Selection) for member in members)
    assert len({id(member.X.X) for member in members}) == 1
    assert len({id(member.T) for member in members}) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"early_stopping": True, "class_weight": "balanced"},
        {"n_restarts": 2},
        {"solver": "lbfgs"},
        {"callbacks": [lambda state: False], "scoring": "accuracy"},
    ],
    ids=[
        "early stopping of weighted classes",
        "restarts",
        "lbfgs",
        "callbacks with scores",
    ],
)
def test_all_ways_of_training(settings, all_is_large):
    model = MLPClassifier(**FEW | {"max_iter": 3} | settings)
    both(
        make_pipeline("passthrough", StandardScaler(), model),
        (X, y),
        scoring="neg_log_loss",
    )


def test_regression_and_its_targets(all_is_large):
    numbers = np.exp(X[:, 0] / 3)
    for settings in (
        {},
        {"scale_target": True},
        {"loss": "poisson", "early_stopping": True},
    ):
        both(
            make_pipeline(MinMaxScaler(), MLPRegressor(**FEW, **settings)),
            (X, numbers),
            cv=KFold(2),
        )


def test_rows_of_other_layouts(all_is_large):
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER)
    both(pipeline, (np.asfortranarray(X), y), cv=ShuffleSplit(2, random_state=0))
    both(pipeline, (X[::2, ::2], y[::2]), cv=3)
    both(pipeline, (X[:, :1], y))


@pytest.mark.parametrize("is_one_array", [True, False])
def test_frames(is_one_array, all_is_large, populations):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcdef"))
    if not is_one_array:
        frame.insert(0, "g", X[:, 0])
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER)
    scoring = None if is_one_array else lambda model, X, y: model.score(X, y)
    both(pipeline, (frame, pd.Series(y, index=np.arange(150) + 7)), scoring=scoring)
    if is_one_array:
        assert (
            len({id(member.X.X) for members in populations for member in members}) == 1
        )
    search, reference = (
        kind(CLASSIFIER, {"alpha": [0.1]}, cv=2).fit(frame, y)
        for kind in (MLPSearchCV, GridSearchCV)
    )
    assert search.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_array_equal(
        search.best_estimator_.theta_, reference.best_estimator_.theta_
    )


def test_weights_and_targets_in_only_some_folds(all_is_large):
    weight, rare = np.linspace(0, 2, 150), np.where(np.arange(150) < 9, 2, y)
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER)
    both(pipeline, (X, y), {"mlpclassifier__sample_weight": weight})
    both(pipeline, (X, y), {"standardscaler__sample_weight": weight + 1})
    both(pipeline, (X, rare), cv=KFold(3))


def test_an_overflowing_scaler_does_not_affect_other_folds(all_is_large):
    wide = X.astype(np.float32)
    wide[:, 0] = np.where(np.arange(150) < 3, 3e38, 1e-4 * np.arange(150))
    pipeline, grid = (
        make_pipeline(RobustScaler(), CLASSIFIER),
        {"mlpclassifier__alpha": [0.1]},
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        search, reference = (
            kind(
                pipeline,
                grid,
                cv=[
                    (np.arange(50, 100), np.arange(100, 150)),
                    (np.arange(100), np.arange(100, 150)),
                ],
                refit=False,
            ).fit(wide, y)
            for kind in (MLPSearchCV, GridSearchCV)
        )
    scores = [
        [each.cv_results_[f"split{fold}_test_score"][0] for fold in (0, 1)]
        for each in (search, reference)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.isnan(scores[0]).tolist() == [False, True]


def test_score_functions_receive_arrays_and_the_pipeline(all_is_large):
    seen = []

    def scored(model, X, y):
        seen.append((type(X), len(model.steps), X.shape))
        return model.score(X, y)

    grid = {"mlpclassifier__alpha": [0.1]}
    MLPSearchCV(
        make_pipeline(StandardScaler(), CLASSIFIER),
        grid,
        scoring=scored,
        cv=3,
        refit=False,
    ).fit(X, y)
    assert seen == [(np.ndarray, 2, (50, 6))] * 3


def test_folds_that_copy_rows_are_fitted_in_turn(all_is_large, populations):
    grid = {"mlpclassifier__alpha": [0.1, 1.0]}
    for steps, sizes in (
        ((FunctionTransformer(),), [2] * 6),
        ((StandardScaler(),), [4] * 3),
    ):
        populations.clear()
        MLPSearchCV(
            make_pipeline(*steps, CLASSIFIER), grid, cv=6, n_jobs=2, refit=False
        ).fit(X, y)
        assert [len(members) for members in populations] in (
            sizes,
            [2 * size for size in sizes][: len(sizes) // 2],
        )


def test_splits_store_only_unusual_training_rows():
    test = np.array([4, 1])
    assert Split.from_indices(np.array([0, 2, 3]), test, 5).stored_train is None
    for train in (
        np.array([3, 2, 0]),
        np.array([0, 2]),
        np.array([True, False, True, True, False]),
    ):
        np.testing.assert_array_equal(Split.from_indices(train, test, 5).train, train)


def assert_fitted_alike(scaler, rows):
    X, numbers = rows
    alone, in_parts = (
        fresh(scaler).fit(X[numbers]),
        scaling.fitted_in_parts(scaler, X, numbers),
    )
    for name, value in vars(alone).items():
        np.testing.assert_array_equal(
            getattr(in_parts, name), value, err_msg=f"{name} of {scaler} on {X.shape}"
        )


def test_a_column_that_varies_little_is_scaled_as_by_scikit_learn():
    """The variance is 1e-12; scikit-learn takes rounding errors of the mean of 5,000 rows as about 1e-24."""
    X = 1 + 1e-6 * np.random.default_rng(0).normal(size=(5000, 2))
    assert_fitted_alike(StandardScaler(), (X, np.arange(5000)))


def random_rows(rng):
    N, I = int(rng.integers(2, 5000)), int(rng.integers(1, 50))
    X = rng.normal(size=(N, I)) * rng.gamma(1, 3, I) + rng.normal(0, 100, I)
    X[:, rng.integers(I)] = rng.choice([0, 7.3, 1e-20])
    X = X.astype(rng.choice([np.float32, np.float64]))
    return np.asfortranarray(X) if rng.random() < 0.2 else X, rng.permutation(N)[
        : int(rng.integers(1, N + 1))
    ]


@pytest.mark.parametrize("count", [3, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize("scaler", SCALERS.values(), ids=SCALERS)
def test_scalers_are_fitted_in_chunks(scaler, count, limit):
    rng = np.random.default_rng(count)
    for _ in range(count):
        limit(
            "search: numbers scaled at once",
            5000 if count == 3 else int(rng.integers(100, 100_000)),
        )
        assert_fitted_alike(scaler, random_rows(rng))


N, I = 12_000, 250
ROW_NUMBERS = 80 * N  # indices of folds, and of epochs in two threads; targets
TILES = 8_500_000  # and other memory that does not grow with the rows


@pytest.fixture(scope="module")
def table():
    large = np.resize(
        np.random.default_rng(0).normal(size=(97, I)).astype(np.float32), (N, I)
    )
    assert large.nbytes > scaling.LARGE
    return large, (large[:, 0] > 0).astype(int)


def peak(call, table):
    """Return the peak memory that a call allocates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # compile and import everything first, also what only large tables need
        call(*table)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        call(*table)
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return most


MODEL = MLPClassifier((2,), max_iter=1, batch_size=1000, random_state=0, n_jobs=2)


def searched(estimator, cv=3, **settings):
    grid = {
        "mlpclassifier__alpha" if hasattr(estimator, "steps") else "alpha": [1e-4, 1e-2]
    }
    return MLPSearchCV(estimator, grid, cv=cv, n_jobs=2, **settings).fit


@pytest.mark.parametrize("scaler", sampled([StandardScaler(), None, MinMaxScaler()], 3))
def test_a_search_copies_no_rows(scaler, table):
    estimator = MODEL if scaler is None else make_pipeline(scaler, MODEL)
    assert (
        peak(searched(estimator, return_train_score=True), table) < ROW_NUMBERS + TILES
    )


@pytest.mark.long
def test_a_search_copies_the_rows_of_one_fold_for_other_steps_and_of_a_frame_once(
    table,
):
    pd = pytest.importorskip("pandas")
    pipeline = make_pipeline(FunctionTransformer(np.tanh), MODEL)
    assert (
        peak(searched(pipeline, refit=False), table)
        < 3 * table[0].nbytes + ROW_NUMBERS + TILES
    )
    frame = pd.DataFrame(table[0], columns=[f"c{column}" for column in range(I)])
    assert (
        peak(searched(MODEL), (frame, table[1]))
        < 1.1 * table[0].nbytes + ROW_NUMBERS + TILES
    )


@pytest.mark.parametrize(
    "more", [{}, {"callbacks": [lambda state: False]}, {"scoring": "loss"}]
)
def test_early_stopping_copies_no_rows(more, table):
    model = fresh(MODEL, early_stopping=True, **more)
    assert peak(model.fit, table) < ROW_NUMBERS + TILES


@pytest.mark.parametrize(
    ("fit", "most"),
    sampled(
        [
            (searched(MODEL, refit=False), 80),
            (fresh(MODEL, early_stopping=True).fit, 60),
        ]
    ),
)
def test_memory_per_row_of_a_search(fit, most):
    rows = 150_000
    narrow = np.random.default_rng(0).normal(size=(rows, 16)).astype(np.float32)
    assert narrow.nbytes > scaling.LARGE
    assert peak(fit, (narrow, (narrow[:, 0] > 0).astype(int))) < most * rows


@pytest.mark.parametrize("scaler", sampled([None, StandardScaler(), MinMaxScaler()], 3))
def test_memory_mapped_rows_are_not_copied(scaler, table, tmp_path):
    np.save(tmp_path / "X.npy", table[0])
    estimator = MODEL if scaler is None else make_pipeline(scaler, MODEL)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r"), table[1]
    assert peak(searched(estimator), on_disk) < ROW_NUMBERS + TILES
    if scaler is None:
        assert (
            peak(fresh(MODEL, early_stopping=True).fit, on_disk) < ROW_NUMBERS + TILES
        )

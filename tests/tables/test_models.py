import pickle
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_friedman1
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import d2_pinball_score, log_loss, mean_pinball_loss
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from models import fresh
from sampled import sampled
from vecprop import TableError, TabularClassifier, TabularRegressor
from vecprop.tables.encoding.folds import folds
from vecprop.tables.ensemble.calibration import Residuals, best_inverse_temperature
from vecprop.tables.ensemble.ensemble import temperature_scaled

SMALL: dict[str, Any] = {
    "n_estimators": 3,
    "hidden_layer_sizes": 16,
    "max_iter": 30,
    "random_state": 0,
}
SMALL |= {"learning_rate_init": 0.02}


def people(rows=240, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": rng.integers(18, 90, rows).astype(float)})
    frame["town"] = rng.choice(["Rome", "Oslo", "Lima"], rows, p=[0.5, 0.3, 0.2])
    frame["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        rng.integers(0, 900, rows), unit="D"
    )
    score = (
        (frame["age"] - 50) / 20
        + 2 * (frame["town"] == "Oslo")
        + rng.normal(size=rows) / 4
    )
    frame = frame.mask(rng.random(frame.shape) < 0.05)
    return frame.assign(
        buys=np.where(score > 0.5, "yes", "no"), spends=10 * score + 100
    )


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier("buys", **SMALL).fit(people().drop(columns="spends"))


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor("spends", **SMALL).fit(people().drop(columns="buys"))


def test_a_classifier_learns_from_a_raw_table(classifier):
    new = people(seed=1)
    P = classifier.predict_proba(new)
    assert classifier.classes_.tolist() == ["no", "yes"]
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert classifier.score(new) > 0.85
    assert log_loss(new["buys"], P) < 0.4
    assert classifier.validation_loss_ < 0.5
    assert classifier.feature_names_in_.tolist() == ["age", "town", "since"]
    assert classifier.n_features_in_ == 3


def test_a_regressor_learns_from_a_raw_table(regressor):
    new = people(seed=1)
    assert regressor.score(new) > 0.8
    residuals = new["spends"] - regressor.predict(new)
    assert regressor.validation_loss_ == pytest.approx(residuals.std(), rel=0.4)
    assert regressor.predict(new).max() <= people()["spends"].max()
    assert regressor.range_ == (people()["spends"].min(), people()["spends"].max())
    assert tuple(regressor._in_units(np.array([-99.0, 99.0]))) == regressor.range_


def test_intervals_have_their_coverage(regressor):
    new = people(rows=1000, seed=2)
    for coverage in (0.6, 0.9):
        low, high = regressor.predict_interval(new, coverage).T
        inside = (low <= new["spends"]) & (new["spends"] <= high)
        assert coverage - 0.03 < inside.mean() < coverage + 0.15
    for wrong in (1.0, "a", None, np.nan):
        with pytest.raises(ValueError, match=r"must be at least 0\.5 and less than 1"):
            regressor.predict_interval(new, wrong)


def test_intervals_equal_the_formula():
    residuals = Residuals.of(
        [np.array([1.0, 2.0]), np.array([3.0, 4.0])], [np.ones(2)] * 2
    )
    each = np.array([[10.0], [20.0]])
    # Lower ends 8, 9, 16, 17; upper ends 11, 12, 23, 24.
    assert residuals.interval(each, each, coverage=0.75).tolist() == [[8.0, 23.0]]
    # With predicted ends 10 to 11 and 20 to 21 upper ends are 12, 13, 24, 25.
    assert residuals.interval(each, each + 1, coverage=0.75).tolist() == [[8.0, 24.0]]


def spread(rows, seed):
    """Return a table whose targets spread the more the larger x is."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=rows)
    return pd.DataFrame(
        {"x": x, "y": np.sin(4 * x) + (0.2 + x) * rng.normal(size=rows)}
    )


def quantile_of(table, level):
    return np.sin(4 * table["x"]) + (0.2 + table["x"]) * norm.ppf(level)


@pytest.mark.parametrize("level", sampled([0.1, 0.5, 0.9], 3))
def test_a_quantile_is_learned(level):
    old, new = spread(1000, seed=0), spread(4000, seed=1)
    settings: dict[str, Any] = {
        "n_estimators": 2,
        "hidden_layer_sizes": 16,
        "random_state": 0,
    }
    model = TabularRegressor("y", loss="quantile", quantile=level, **settings).fit(old)
    predicted = model.predict(new)
    assert np.mean(new["y"].to_numpy() <= predicted) == pytest.approx(level, abs=0.03)
    assert np.abs(predicted - quantile_of(new, level)).mean() < 0.12
    expected = mean_pinball_loss(new["y"], quantile_of(new, level), alpha=level)
    assert mean_pinball_loss(new["y"], predicted, alpha=level) < 1.05 * expected
    assert model.validation_loss_ == pytest.approx(expected, rel=0.1)
    assert model.score(new) == pytest.approx(
        d2_pinball_score(new["y"], predicted, alpha=level)
    )


def test_quantile_intervals_follow_the_spread_of_targets():
    old, new = spread(1000, seed=0), spread(4000, seed=1)
    narrow, wide = new["x"] < 0.3, new["x"] > 0.7
    settings: dict[str, Any] = {
        "target": "y",
        "n_estimators": 2,
        "hidden_layer_sizes": 16,
        "random_state": 0,
    }
    of_mean = TabularRegressor(**settings).fit(old)
    of_quantiles = TabularRegressor(
        **settings, loss="quantile", quantile=(0.05, 0.5, 0.95)
    ).fit(old)
    covered = []
    for model in (of_mean, of_quantiles):
        low, high = model.predict_interval(new, 0.9).T
        predicted = model.predict(new)
        assert ((low <= predicted) & (predicted <= high)).all()
        inside = (low <= new["y"]) & (new["y"] <= high)
        covered.append([inside.mean(), inside[narrow].mean(), inside[wide].mean()])
    assert covered[0][0] == pytest.approx(0.9, abs=0.03)
    # all are as wide, and so hold another share elsewhere
    assert covered[0][1] > 0.97 > 0.83 > covered[0][2]
    assert covered[1] == pytest.approx([0.9, 0.9, 0.9], abs=0.04)
    # of other levels than those learned
    low, high = of_quantiles.predict_interval(new, 0.6).T
    assert ((low <= new["y"]) & (new["y"] <= high)).mean() == pytest.approx(
        0.6, abs=0.05
    )


def test_invalid_quantile_levels_are_rejected():
    wrong: Any
    for wrong in ((0.1, 0.9), (0.9, 0.5, 0.1), (0.4, 0.5, 0.6), (0.0, 0.5, 0.9), 1.0):
        with pytest.raises(
            ValueError, match="The 'quantile' parameter of TabularRegressor must be"
        ):
            TabularRegressor("y", loss="quantile", quantile=wrong).fit(
                spread(20, seed=0)
            )
    with pytest.raises(
        ValueError, match=r'quantile=0\.9 needs loss="quantile": pass both'
    ):
        TabularRegressor("y", quantile=0.9).fit(spread(20, seed=0))


def test_rows_with_zero_weight_equal_missing_rows():
    frame, new = (people(seed=seed).drop(columns="since") for seed in (0, 1))
    counts = np.random.default_rng(0).random(len(frame)) < 0.7
    quick: dict[str, Any] = {
        "n_estimators": 2,
        "hidden_layer_sizes": 4,
        "max_iter": 2,
        "random_state": 0,
    }
    for model in (
        TabularClassifier("buys", **quick),
        TabularRegressor("spends", **quick),
    ):
        some = model.fit(frame[counts]).predict(new)
        assert (model.fit(frame, sample_weight=counts).predict(new) == some).all()
        every = model.fit(frame).predict(new)
        assert (every != some).any()
        assert (
            model.fit(frame, sample_weight=np.full(len(frame), 7.0)).predict(new)
            == every
        ).all()


def test_weights_change_predictions():
    x = np.tile([0.0, 1.0], 200)
    y = np.repeat([0.0, 1.0], 200)  # whatever x is
    weight = np.where(y == x, 3.0, 1.0)
    for scale in (1.0, 1000.0):
        model = TabularRegressor(**SMALL).fit(
            x[:, None], y, sample_weight=scale * weight
        )
        assert model.predict(np.array([[0.0], [1.0]])) == pytest.approx(
            [0.25, 0.75], abs=0.1
        )
        classifier = TabularClassifier(**SMALL).fit(
            x[:, None], y, sample_weight=scale * weight
        )
        P = classifier.predict_proba(np.array([[0.0], [1.0]]))
        assert P[:, 1] == pytest.approx([0.25, 0.75], abs=0.1)
        expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
        assert classifier.validation_loss_ == pytest.approx(expected, abs=0.05)
        assert model.validation_loss_ == pytest.approx(np.sqrt(0.25 * 0.75), abs=0.03)


def test_intervals_cover_their_share_of_the_weight():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 1)), rng.normal(size=2000)
    wide = np.arange(2000) % 2 == 0
    y[wide] *= 5
    few = (
        TabularRegressor(**SMALL)
        .fit(X, y, sample_weight=np.where(wide, 1.0, 9.0))
        .predict_interval(X, 0.8)
    )
    all_alike = TabularRegressor(**SMALL).fit(X, y).predict_interval(X, 0.8)
    inside = (few[:, 0] <= y) & (y <= few[:, 1])
    assert np.average(inside, weights=np.where(wide, 1.0, 9.0)) == pytest.approx(
        0.8, abs=0.04
    )
    assert np.ptp(few, axis=1).mean() < 0.6 * np.ptp(all_alike, axis=1).mean()


def test_invalid_weights_are_rejected():
    frame = people()
    for weight, said in (
        ([1.0], r"240 rows, but sample_weight has shape \(1,\)"),
        ([-1.0] * 240, "240 invalid value.*, such as -1.0 in row 0"),
        ([np.nan] * 240, "invalid value.*, such as nan"),
        ([0.0] * 240, "is zero in all rows"),
        ([1e-40] * 240, "is zero, or below 1e-30, in all rows"),
        (
            [1e40] * 240,
            (
                r"invalid value.*, such as 1e\+40 in row 0: weights must be numbers"
                r" from 0 to 1e\+30"
            ),
        ),
        (
            ["much"] * 240,
            "sample_weight is not numbers: could not convert string to float: 'much'",
        ),
        ([1.0] + [0.0] * 239, "only one sample"),
    ):
        with pytest.raises(TableError, match=said):
            TabularRegressor("spends").fit(frame, sample_weight=weight)


def test_scores_use_weights_and_skip_missing_targets(classifier, regressor):
    weight, new = np.linspace(1, 9, 240), people(seed=1)
    known = np.arange(240) % 3 > 0
    for model in (classifier, regressor):
        holes = new.assign(**{model.target: new[model.target].where(known)})
        expected = model.score(new[known], sample_weight=weight[known])
        assert (
            model.score(holes, sample_weight=weight)
            == expected
            != model.score(new[known])
        )


def test_too_large_targets_are_rejected():
    for scale in (1e200, 1e308, 1e-200):
        with pytest.raises(
            TableError, match="and the squares overflow or underflow: multiply it"
        ):
            TabularRegressor(**SMALL).fit(
                people()[["age"]], np.linspace(-1, 1, 240) * scale
            )
    at_the_edge = TabularRegressor(**SMALL).fit(
        people()[["age"]], np.linspace(-1, 1, 240) * 4e149
    )
    assert np.isfinite(at_the_edge.predict_interval(people())).all()
    assert np.isfinite(at_the_edge.validation_loss_)


@pytest.mark.parametrize("setting", ["sample_weight", "groups", "time"])
def test_the_target_cannot_have_a_second_role(setting):
    with pytest.raises(
        TableError,
        match=(
            r"^Column 'spends' is the target and cannot contain the .* another column"
        ),
    ):
        TabularRegressor("spends", **SMALL).fit(people(), **{setting: "spends"})


def test_columns_are_matched_by_position_for_arrays():
    X, y = make_friedman1(60, random_state=0)
    frame = pd.DataFrame(X[:, :5], columns=list("abcde"))
    of_array, of_frame = (
        TabularRegressor(**SMALL).fit(table, y) for table in (X[:, :5], frame)
    )
    for model, other in ((of_array, frame), (of_frame, X[:, :5])):
        with pytest.warns(UserWarning, match="feature names"):
            Y = model.predict(other)
        np.testing.assert_array_equal(Y, of_array.predict(X[:, :5]))
    assert not hasattr(of_array, "feature_names_in_")
    with (
        pytest.raises(
            ValueError, match="X has 4 features, but TabularRegressor is expecting 5"
        ),
        pytest.warns(),
    ):
        of_array.predict(frame[list("abcd")])
    np.testing.assert_array_equal(
        of_array.predict(frame.set_axis([f"x{k}" for k in range(5)], axis=1)), Y
    )


def test_a_single_row_has_the_same_prediction_as_among_others():
    X, y = make_friedman1(80, random_state=0)
    model = TabularRegressor(
        n_estimators=8, hidden_layer_sizes=8, max_iter=3, random_state=0
    ).fit(X, y)
    for predict in (model.predict, model.predict_interval):
        np.testing.assert_array_equal(
            np.concatenate([predict(X[row : row + 1]) for row in range(9)]),
            predict(X)[:9],
        )


def test_equal_seeds_and_pickles_give_equal_predictions(classifier):
    frame, new = people().drop(columns="spends"), people(seed=1)
    P = classifier.predict_proba(new)
    assert (fresh(classifier, n_jobs=1).fit(frame).predict_proba(new) == P).all()
    assert (pickle.loads(pickle.dumps(classifier)).predict_proba(new) == P).all()
    assert (fresh(classifier, random_state=1).fit(frame).predict_proba(new) != P).any()


def test_all_table_types_give_equal_predictions(tmp_path, classifier):
    polars = pytest.importorskip("polars")
    remote = type("RemoteFrame", (), {"collect": list})()
    with pytest.raises(
        TableError,
        match=r"X is a RemoteFrame, not a data frame: call its collect\(\)",
    ):
        classifier.predict(remote)
    new = people(seed=1)
    expected = classifier.predict_proba(new)
    new.to_parquet(tmp_path / "new.parquet")
    new.to_csv(tmp_path / "new.csv", index=False)
    for table in (
        polars.from_pandas(new),
        polars.from_pandas(new).to_arrow(),
        tmp_path / "new.parquet",
        str(tmp_path / "new.csv"),
        new.drop(columns="buys")[["town", "since", "age"]],
    ):
        np.testing.assert_allclose(classifier.predict_proba(table), expected, rtol=1e-5)
    people().drop(columns="spends").to_csv(tmp_path / "people.csv", index=False)
    model = TabularClassifier("buys", **SMALL).fit(tmp_path / "people.csv")
    np.testing.assert_allclose(model.predict_proba(new), expected, rtol=1e-5)
    assert vars(model)["feature_names_in_"].tolist() == ["age", "town", "since"]


def test_arrays_can_contain_columns_of_several_kinds():
    mixed = np.array([["a", 1], ["b", 2]] * 20, dtype=object)
    kinds = TabularClassifier(**SMALL).fit(mixed, ["x", "y"] * 20).encoder_.kinds
    assert kinds == {"x0": "categories", "x1": "numbers"}


def test_notes_report_leaks_and_unused_rows_and_columns():
    frame = (
        people()
        .drop(columns="spends")
        .assign(constant=1, copy=lambda table: table["buys"] + "!")
    )
    frame.loc[:4, "buys"] = None
    assert TabularClassifier("buys", **SMALL).fit(frame).notes_ == [
        (
            "Column 'copy' predicts the target almost perfectly: leave it out if it is"
            " unknown at prediction time."
        ),
        "Rows without a target are not used: 5 of 240.",
        "Column 'constant' is not used: all values are the same.",
    ]


def test_invalid_targets_are_rejected():
    for model, changes, said in (
        (TabularClassifier("buy"), {}, r"no column 'buy': did you mean 'buys'\?"),
        (TabularClassifier("buys"), {"buys": "no"}, "'buys' has only one class, 'no'"),
        (
            TabularClassifier("buys"),
            {"buys": None},
            "'buys' has no values: all 240 are missing",
        ),
        (
            TabularRegressor("buys"),
            {},
            r"'buys' must be numeric, but 240 value.* are not numbers, such as 'yes'",
        ),
        (TabularRegressor("spends"), {"spends": np.inf}, "infinite"),
    ):
        with pytest.raises(TableError, match=said):
            model.fit(people().assign(**changes))


def test_invalid_tables_are_rejected():
    frame = people()
    for X, y, said in (
        (frame[:1], frame["spends"][:1], "only one sample"),
        (frame, [1, 2, 3], "has 240 rows, but y has 3"),
        (
            frame,
            "spends",
            r"y is the text 'spends'.* TabularRegressor\(target='spends'\)",
        ),
        (pd.concat([frame, frame[["age"]]], axis=1), None, "two columns named 'age'"),
        (
            {"a": [1, 2]},
            [1, 2],
            r"X is a dict, not a data frame: convert it with pandas.DataFrame\(X\)",
        ),
    ):
        with pytest.raises(TableError, match=said):
            TabularRegressor().fit(X, y)
    with pytest.raises(NotFittedError):
        TabularRegressor().predict(frame)


def test_a_failed_fit_keeps_the_previous_one():
    table = pd.DataFrame(
        np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "y"]
    )
    model = TabularRegressor("y", n_estimators=2, max_iter=2, random_state=0).fit(table)
    before = model.predict(table)
    for other in (table[["a", "y"]], table.assign(y=9 * table["y"] + 3)):
        with (
            pytest.raises(ValueError, match="lower learning_rate_init"),
            np.errstate(all="ignore"),
        ):
            model.set_params(learning_rate_init=1e300).fit(other)
        np.testing.assert_array_equal(model.predict(table), before)
        assert model.feature_names_in_.tolist() == ["a", "b"]
    new = TabularRegressor("y", n_estimators=2, max_iter=2, learning_rate_init=1e300)
    with pytest.raises(ValueError, match="diverged"), np.errstate(all="ignore"):
        new.fit(table)
    assert not [name for name in vars(new) if name.endswith("_")]


def test_a_table_without_inputs_is_rejected():
    table = pd.DataFrame({"y": np.arange(30.0), "w": 1.0})
    for X, weight in ((table[["y"]], None), (table, "w")):
        with pytest.raises(
            TableError,
            match="no input columns: at least one column other than the target",
        ):
            TabularRegressor("y", n_estimators=2, max_iter=2).fit(
                X, sample_weight=weight
            )


def test_rare_classes_are_accepted():
    frame = pd.DataFrame(
        {"x": [0.0, 1.0, 2.0, 3.0, 9.0], "y": ["a", "b", "a", "b", "c"]}
    )
    model = TabularClassifier("y", n_estimators=8, max_iter=5).fit(frame)
    assert model.predict_proba(frame).shape == (5, 3)
    assert np.isfinite(model.predict_proba(frame)).all()


def test_weight_decay_is_per_epoch():
    model = TabularRegressor(
        n_estimators=2, max_iter=1, batch_size=10, weight_decay=6.0
    )
    optimizer: Any = (
        model._plan(np.arange(50.0)[:, None] % 7, np.arange(50.0))
        .fit.members()[0]
        .optimizer
    )
    assert optimizer.weight_decay == 2.0  # of 25 rows, in 3 steps


def test_folds_are_stratified():
    y = np.random.default_rng(0).normal(size=100)
    fold = folds(y, 4, seed=0)
    assert np.bincount(fold).tolist() == [25] * 4
    means = [y[fold == k].mean() for k in range(4)]
    assert np.ptp(means) < 0.15 < y.std()
    assert (folds(y, 4, seed=1) != fold).any()


def test_the_temperature_corrects_overconfidence():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(4000, 3))
    P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    classes = (P.cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    P = temperature_scaled(P, 3.0)[:, None]
    assert best_inverse_temperature(P, classes) == pytest.approx(1 / 3, rel=0.1)
    assert best_inverse_temperature(P[:5], classes[:5]) < 0.28  # few rows prove little


@pytest.mark.long
def test_defaults_are_better_than_scikit_learn():
    tables = [
        load(return_X_y=True, as_frame=True)
        for load in (load_breast_cancer, load_iris, load_wine)
    ]
    losses = [
        np.mean(
            [
                -cross_val_score(model, X, y, cv=3, scoring="neg_log_loss").mean()
                for X, y in tables
            ]
        )
        for model in (
            TabularClassifier(random_state=0),
            HistGradientBoostingClassifier(random_state=0),
            make_pipeline(
                StandardScaler(), MLPClassifier(random_state=0, max_iter=500)
            ),
        )
    ]
    assert losses[0] == min(losses)


def test_identifiers_are_rejected_without_using_memory():
    names = np.array([f"name {number}" for number in range(25_000)])
    frame = pd.DataFrame({"x": np.arange(25_000), "name": names})
    tracemalloc.start()
    with pytest.raises(
        TableError,
        match="25000 distinct values in 25000 rows and looks like an identifier",
    ):
        TabularClassifier("name").fit(frame)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_small_tables_of_identifiers_are_rejected():
    frame = pd.DataFrame(
        {
            "x": np.arange(30) % 7,
            "name": [f"name {number}" for number in range(28)] + ["name 0"] * 2,
        }
    )
    with pytest.raises(
        TableError, match="28 distinct values in 30 rows and looks like an identifier"
    ):
        TabularClassifier("name").fit(frame)


def test_label_smoothing_uses_weighted_frequencies_in_linear_memory():
    T = TabularClassifier(label_smoothing=0.2)._read_target(
        np.array(["a", "b"]), np.array([3.0, 1.0])
    )
    np.testing.assert_allclose(T, [[0.95, 0.05], [0.15, 0.85]], rtol=1e-6)
    y = np.repeat(np.arange(400), 2)
    model = TabularClassifier(
        n_estimators=2, hidden_layer_sizes=2, max_iter=1, random_state=0
    )
    T = model._read_target(y, None)
    shares = np.full(400, 1 / 400)
    expected = (0.1 * shares + 0.9 * np.eye(400)[y]).astype(np.float32)
    np.testing.assert_array_equal(T, expected)
    with pytest.raises(TableError, match="too much for memory"):
        model._read_target(np.repeat(np.arange(20_000), 2), None)


FEW: dict[str, Any] = {
    "n_estimators": 2,
    "hidden_layer_sizes": 8,
    "max_iter": 20,
    "random_state": 0,
}


def checks(model, every):
    """Return scikit-learn's checks of a model; those that it is meant to fail are skipped."""
    meant = {
        "check_sample_weight_equivalence_on_dense_data": (
            "a row twice may be in two folds and two batches"
        ),
        "check_dataframe_column_names_consistency": (
            "columns are found by name, in any order, and others are ignored"
        ),
    }
    return sampled(
        estimator_checks_generator(model, expected_failed_checks=meant, mark="skip"),
        every,
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [*checks(TabularClassifier(**FEW), 4), *checks(TabularRegressor(**FEW), 99)],
)
def test_checks_pass(estimator, check):
    check(estimator)


def test_scores_skip_missing_values_of_a_given_target(classifier, regressor):
    table, weight = people(60, seed=4), np.arange(60.0)
    few = table[5:]
    for model, name in ((classifier, "buys"), (regressor, "spends")):
        y = table[name].mask(np.arange(60) < 5)
        assert model.score(table, y) == model.score(few, few[name])
        assert model.score(table, y.to_numpy(), weight) == model.score(
            few, few[name], weight[5:]
        )
        with pytest.raises(TableError, match="nothing to score"):
            model.score(table, [None] * 60)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            model.score(table, y, weight[1:])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"hidden_layer_sizes": [2.5]}, r"must be integers > 0, got \[2.5\]"),
        ({"hidden_layer_sizes": ["a"]}, r"must be integers > 0, got \['a'\]"),
        ({"hidden_layer_sizes": [[4, 4], [3, 3]]}, "must be integers > 0"),
        ({"columns": {1: "number"}}, "key 1: column names are text, such as '1'"),
        ({"loss": "quantile", "quantile": ("a", "b", "c")}, "three increasing levels"),
    ],
)
def test_settings_of_a_wrong_type_are_named(settings, says):
    with pytest.raises(ValueError, match=says):
        TabularRegressor("spends", **SMALL | settings).fit(people(40))

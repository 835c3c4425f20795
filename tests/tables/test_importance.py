"""Importances of columns and groups of columns, partial dependence, and the rows with the largest loss."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel

import vecprop as vp
from vecprop import (
    Dense,
    Network,
    Quantile,
    ReLU,
    SquaredError,
    TabularClassifier,
    TabularRegressor,
)
from vecprop.tables.encoding.columns import NumberInputs
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.ensemble.ensemble import Ensemble, Networks
from vecprop.tables.explaining.contributions import dependences
from vecprop.tables.explaining.importance import (
    _basis,
    associations,
    importances,
    redundant_groups,
    row_losses,
    worst_rows,
)

r = np.random.default_rng(0)
A = r.normal(size=400)
TABLE = pd.DataFrame(
    {"a": A, "copy": A + r.normal(0, 0.01, 400), "c": r.normal(size=400)}
)
ENCODER = Encoder.of(TABLE)[0]


@pytest.fixture(autouse=True)
def few_draws(limit):
    limit("importance: draws", 200)


def by_first_input(inputs):
    return inputs[:, 0].astype(float)


MODEL = SimpleNamespace(encoder_=ENCODER, _levels=[], _of_inputs=by_first_input)
TRUTH = by_first_input(ENCODER(TABLE))


def bases(*columns):
    encoder, _ = Encoder.of(
        pd.DataFrame({str(number): column for number, column in enumerate(columns)})
    )
    return [
        _basis(part, pd.Series(column))
        for part, column in zip(encoder.parts, columns, strict=True)
    ]


def test_redundant_columns_are_shuffled_together_and_separately():
    first, second = importances(MODEL, TABLE, TRUTH)
    assert (set(first.columns), second.columns) == ({"a", "copy"}, ("c",))
    assert first.low < 2 * TRUTH.var() < first.high  # of two independent draws
    alone, copy = first.alone
    assert (alone.columns, alone.rise) == (("a",), first.rise)  # the copy is not used
    assert (
        (copy.rise, copy.low, copy.high)
        == (second.rise, second.low, second.high)
        == (0, 0, 0)
    )
    assert second.alone == ()


def test_importances_use_weights_and_groups():
    half = np.arange(400) < 200
    (of_half, *_), (first, *_) = (
        importances(MODEL, TABLE, TRUTH, half * 1.0),
        importances(MODEL, TABLE, TRUTH),
    )
    assert of_half.rise != first.rise
    only, *_ = importances(MODEL, TABLE, np.where(half, TRUTH, 1e6), half * 1.0)
    assert only == of_half  # rows with zero weight are ignored
    heavy = importances(MODEL, TABLE, TRUTH, 1 + 99.0 * (np.abs(TRUTH) > 1))[0]
    assert first.high < heavy.low < heavy.rise < heavy.high
    pairs = importances(
        MODEL, TABLE, TRUTH, groups=np.argsort(np.argsort(TRUTH)) // 80
    )[0]
    assert pairs.rise == first.rise
    # rows of a group are similar
    assert pairs.high - pairs.low > 1.2 * (first.high - first.low)


@pytest.mark.long
def test_intervals_contain_the_importance_on_new_rows():
    held = []
    for seed in range(100):
        new = np.random.default_rng(seed).normal(size=(100, 3))
        table = pd.DataFrame(new, columns=list(TABLE))
        z = ENCODER(table)[:, 0]
        first = {
            found.columns: found
            for found in importances(MODEL, table, z + new[:, 1], seed=seed)
        }["a",]
        held.append(first.low < 2 * 0.78 < first.high)  # the variance of z is 0.78
    assert np.mean(held) >= 0.92


def test_rows_of_unknown_classes_are_left_out():
    def sure(inputs):
        return np.stack([inputs[:, 0] > 0, inputs[:, 0] <= 0], axis=1).astype(float)

    model = SimpleNamespace(
        encoder_=ENCODER, classes_=np.array(["p", "q"]), _of_inputs=sure
    )
    truth = sure(ENCODER(TABLE)).argmax(axis=1)
    first, *_ = importances(model, TABLE, np.where(np.arange(400) < 300, truth, -1))
    assert first.rise == pytest.approx(-0.5 * np.log(1e-15), rel=0.1)
    assert importances(model, TABLE, np.full(400, -1)) == []


def test_only_columns_with_the_largest_effect_on_the_first_layer_are_shuffled(
    limit,
):
    network = Network(ENCODER.width, [Dense(2), ReLU(), Dense(1)], SquaredError())
    networks = Networks(
        network, network.init([0, 1]), "pieces", np.arange(ENCODER.width)
    )
    network.layout.views(networks.thetas)[0]["W"][:, ENCODER.places["c"]] *= 100
    model = SimpleNamespace(ensemble_=Ensemble([networks]), **vars(MODEL))
    limit("importance: columns", 1)
    assert [found.columns for found in importances(model, TABLE, TRUTH)] == [("c",)]


def test_ten_columns_of_a_wide_model_are_shuffled(limit):
    table = pd.DataFrame(r.normal(size=(400, 12))).rename(columns=str)
    encoder = Encoder.of(table)[0]
    network = Network(encoder.width, [Dense(1)], SquaredError())
    networks = Networks(network, network.init([0]), "pieces", np.arange(encoder.width))
    model = SimpleNamespace(
        **vars(MODEL) | {"encoder_": encoder}, ensemble_=Ensemble([networks])
    )
    limit("importance: inputs", 1)
    found = importances(model, table, by_first_input(encoder(table)))
    assert sum(len(each.columns) for each in found) == 10


def test_associations_equal_spearman_cramer_and_correlation_ratio():
    x = np.round(r.normal(size=300), 1)
    y, few = np.exp(x + r.normal(size=300)), r.integers(0, 3, 300).astype(str)
    more = np.where(r.random(300) < 0.5, few, r.integers(0, 5, 300).astype(str))
    few, more = np.char.add("n", few), np.char.add("m", more)
    A, B, C, D = bases(x, y, few, more)
    for basis in (A, B, C, D):
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
        np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)

    def with_chance(found, k):
        return np.sqrt(found**2 * (1 - k / 299) + k / 299)

    found = associations([A, B, C, D])
    assert with_chance(found[0, 1], 1) == pytest.approx(
        pd.Series(x).corr(pd.Series(y), "spearman")
    )
    assert with_chance(found[2, 3], 4) == pytest.approx(
        association(pd.crosstab(few, more).to_numpy())
    )
    ranks = pd.Series(x).rank()
    between = ranks.groupby(few).transform("mean").var(ddof=0) / ranks.var(ddof=0)
    assert (C.T @ A).ravel() @ (C.T @ A).ravel() == pytest.approx(between)


def test_groups_are_joined_by_average_linkage():
    basis, _ = np.linalg.qr(r.normal(size=(500, 3)))
    a, b = basis[:, 0], 0.8 * basis[:, 0] + 0.6 * basis[:, 1]
    c = 0.75 * b + np.sqrt(1 - 0.75**2) * basis[:, 2]  # 0.75 to b, 0.6 to a
    far = 0.6 * basis[:, 2] + 0.8 * basis[:, 1]  # 0.48 to b

    def groups(*columns):
        return redundant_groups(
            [
                (NumberInputs.of(pd.Series(column)), pd.Series(column))
                for column in columns
            ]
        )

    assert groups(a, b) == [[0, 1]]
    assert groups(b, far) == [[0], [1]]
    assert groups(a, b, c) == [[0, 1], [2]]
    columns = [
        pd.Series(np.char.add("n", r.integers(0, 60, 200).astype(str)))
        for _ in range(5)
    ]
    # independent categories with many values are not associated
    found = associations(bases(*columns))
    assert found[~np.eye(5, dtype=bool)].max() < 0.3


def test_groups_accept_missing_values_text_and_constants():
    table = pd.DataFrame(
        {"x": [1.0, None, 3.0, 4.0] * 10, "y": [1.0, 2.0, None, 4.0] * 10}
    )
    table["text"] = [f"a text of number {number}" for number in range(40)]
    table["town"] = [None, "Rome", "Oslo", "Rome"] * 10
    encoder, _ = Encoder.of(table)
    parts = dict(zip(encoder.names, encoder.parts, strict=True))
    assert sorted(
        np.concatenate(redundant_groups([(parts[name], table[name]) for name in parts]))
    ) == [0, 1, 2, 3]
    few = table.iloc[[0, 4, 8]].assign(x=None, y=2.0)
    assert len(redundant_groups([(parts[name], few[name]) for name in parts])) == 4
    assert redundant_groups([]) == []


def test_row_losses_depend_on_the_task():
    classes = SimpleNamespace(classes_=np.array(["p", "q"]))
    losses = row_losses(
        classes, np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]]), np.array([1, 1, -1])
    )
    np.testing.assert_allclose(losses, [-np.log(0.75), -np.log(1e-15), np.nan])
    y, Y = np.array([1.0, 5.0]), np.array([2.0, 2.0])
    assert row_losses(TabularRegressor(), Y, y).tolist() == [1.0, 9.0]
    outer = TabularRegressor(loss="quantile", quantile=(0.1, 0.6, 0.9))
    np.testing.assert_allclose(row_losses(outer, Y, y), Quantile(0.6).element(Y, y))


OF_KINDS = pd.DataFrame(
    {
        "x": np.arange(300.0) % 100,
        "town": r.choice(["Rome", "Oslo", "Lima"], 300, p=[0.6, 0.3, 0.1]),
        "when": (
            pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(300) % 90, unit="D")
        ),
        "said": [f"a text of number {number}" for number in range(300)],
    }
)
OF_KINDS.loc[::3, "town"] = None
ALL_KINDS = Encoder.of(OF_KINDS)[0]


def model(output, **more):
    return SimpleNamespace(
        **{
            "encoder_": ALL_KINDS,
            "_levels": [],
            "target": "y",
            "_of_inputs": output,
            **more,
        }
    )


def test_partial_dependence_changes_only_one_column_of_each_kind():
    places = ALL_KINDS.places

    def output(inputs):
        weekdays = inputs[:, places["when"]][:, -7:]
        return (
            inputs[:, 0]
            + 100 * inputs[:, places["town"].start]
            + 1000 * weekdays[:, 0].astype(float)
        )

    x, town, when = dependences(model(output), OF_KINDS, ["x", "town", "said", "when"])
    assert [each.column for each in (x, town, when)] == ["x", "town", "when"]
    assert {each.output for each in (x, town, when)} == {"y"}
    assert (len(x.values), x.values.min(), x.values.max()) == (20, 0, 99)
    alone = ALL_KINDS.parts[0].of_values(x.values)[:, 0]
    sample = OF_KINDS.iloc[np.unique(np.linspace(0, 299, 200).astype(int))]
    others = output(ALL_KINDS(sample)) - ALL_KINDS(sample)[:, 0]
    np.testing.assert_allclose(x.curves, others[:, None] + alone, atol=1e-4)
    np.testing.assert_allclose(x.mean, x.curves.mean(axis=0))
    assert town.values.tolist() == ["missing", "Rome", "Oslo", "Lima"]
    at_first = town.values == "missing"  # whose name begins with \0
    np.testing.assert_allclose(
        town.curves[:, at_first] - town.curves[:, ~at_first][:, :1], 100, atol=1e-4
    )
    assert when.values.dtype == "datetime64[s]"
    mondays = np.array([pd.Timestamp(day).day_of_week == 0 for day in when.values])
    assert 0 < mondays.sum() < len(mondays)
    assert (when.curves[:, mondays] - when.curves[:, ~mondays][:, :1] > 900).all()


def test_dependence_shows_the_positive_or_the_most_probable_class():
    def two(inputs):
        return np.stack([1 - inputs[:, 0], inputs[:, 0]], axis=1).astype(float)

    def three(inputs):
        return np.tile([0.2, 0.7, 0.1], (len(inputs), 1))

    (found,) = dependences(
        model(two, classes_=np.array([False, True])), OF_KINDS, ["x"]
    )
    assert found.output == "probability of 'True'"
    np.testing.assert_allclose(
        found.mean, ALL_KINDS.parts[0].of_values(found.values)[:, 0], rtol=1e-6
    )
    (found,) = dependences(
        model(three, classes_=np.array(["a", "b", "c"])), OF_KINDS, ["x"]
    )
    assert (found.output, set(found.curves.ravel())) == ("probability of 'b'", {0.7})
    assert (
        dependences(
            model(lambda inputs: np.zeros(len(inputs))),
            OF_KINDS.assign(x=np.nan),
            ["x"],
        )
        == []
    )


def test_the_worst_rows_have_the_largest_loss_and_their_lines():
    classes = SimpleNamespace(classes_=np.array(["no", "yes"], dtype=object))
    P = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]])
    lines = pd.Index([2, 3, 7, 8], name="line")
    first, second, _ = worst_rows(classes, lines, np.array([1, 1, 0, -1]), P)
    assert (first.row, first.truth, first.predicted) == ("line 2", "yes", "no")
    assert (second.row, second.truth, second.predicted) == ("line 7", "no", "yes")
    np.testing.assert_allclose([first.loss, second.loss], -np.log([0.1, 0.4]))
    rows = worst_rows(
        TabularRegressor(),
        pd.RangeIndex(3),
        np.array([1.0, 2.0, 3.0]),
        np.array([1.0, 0.0, 4.0]),
    )
    assert [(row.row, row.truth, row.predicted, row.loss) for row in rows] == [
        ("row 1", 2.0, 0.0, 4.0),
        ("row 2", 3.0, 4.0, 1.0),
        ("row 0", 1.0, 1.0, 0.0),
    ]


QUICK: Any = {"n_estimators": 2, "hidden_layer_sizes": 8, "random_state": 0}


@pytest.fixture(scope="module")
def mixed():
    """Return a table with columns of all kinds, and a target that uses some of them."""
    rng = np.random.default_rng(3)
    words = rng.choice(["good food", "bad food", "cold soup", "warm soup"], 240)
    table = pd.DataFrame(
        {
            "constant": 1.0,
            "unrelated": rng.normal(size=240),
            "size": rng.normal(size=240),
            "notes": words,
            "tags": rng.choice(["red;big", "red", "big;old", "old"], 240),
            "secret": rng.normal(size=240),
            "weight": rng.uniform(1, 2, 240),
        }
    )
    is_good = np.char.startswith(words.astype(str), "good")
    is_red = table["tags"].str.contains("red")
    return table, table["size"] + 2.0 * is_good + 2.0 * is_red + 9 * table["secret"]


def test_feature_importances_are_shares_of_all_training_columns(mixed, tmp_path):
    table, y = mixed
    columns = {"notes": "text", "tags": "tags", "secret": "ignore"}
    model = TabularRegressor(columns=columns, **QUICK)
    model.fit(table, y - 9 * table["secret"], sample_weight="weight")
    importances = model.feature_importances_
    shares = dict(zip(model.feature_names_in_, importances, strict=True))
    assert list(shares) == list(table)
    assert shares["constant"] == shares["secret"] == shares["weight"] == 0
    assert min(shares["size"], shares["notes"], shares["tags"]) > 0.1
    assert 0 < shares["unrelated"] < 0.05
    assert importances.sum() == pytest.approx(1)
    vp.save(model, tmp_path / "model.vecprop")
    loaded = vp.load(tmp_path / "model.vecprop")
    assert np.array_equal(loaded.feature_importances_, importances)


def test_feature_importances_are_shares_of_the_variance_of_a_sum():
    X = np.random.default_rng(0).normal(size=(400, 3))
    model = TabularRegressor(n_estimators=2, random_state=0).fit(X, X @ [0, 2, 1])
    assert model.feature_importances_ == pytest.approx([0, 0.8, 0.2], abs=0.04)
    model.fit(X[:, 1:], X[:, 1])  # of the last fit
    assert model.feature_importances_ == pytest.approx([1, 0], abs=0.01)


def test_feature_importances_of_classes_select_columns(mixed):
    table, _ = mixed
    table = table[["unrelated", "size", "constant"]]
    y = np.select([table["size"] > 0.5, table["size"] > -0.5], ["a", "b"], "c")
    selector = SelectFromModel(TabularClassifier(max_iter=20, **QUICK))
    selector.set_output(transform="pandas").fit(table, y)
    assert list(selector.transform(table)) == ["size"]
    ranks = RFE(TabularClassifier(max_iter=20, **QUICK), n_features_to_select=1)
    assert ranks.fit(table[["unrelated", "size"]], y).ranking_.tolist() == [2, 1]


def test_feature_importances_need_a_fitted_model():
    assert not hasattr(TabularRegressor(), "feature_importances_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        TabularRegressor().feature_importances_  # noqa: B018
    constant = TabularRegressor(max_iter=1, **QUICK).fit(TABLE, np.ones(400))
    assert np.isfinite(constant.feature_importances_).all()


@pytest.mark.long
def test_feature_importances_of_more_categories_than_a_profile_counts():
    rng = np.random.default_rng(0)
    code = rng.integers(4500, size=18_000)
    table = pd.DataFrame(
        {"code": np.char.add("c", code.astype(str)), "x": rng.normal(size=18_000)}
    )
    model = TabularRegressor(max_iter=3, **QUICK).fit(table, code % 2 + 0.1 * table.x)
    assert not len(model.profiles_[0].values)
    assert model.feature_importances_[0] > 0.8

"""Contributions of columns to the prediction of a row are Shapley values."""

import re
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop import TableError, TabularClassifier, TabularRegressor
from vecprop.tables.encoding.columns import Categories, Dates, NumberInputs
from vecprop.tables.encoding.texts import LatentTexts
from vecprop.tables.evaluation.report.sections import drivers
from vecprop.tables.explaining.contributions import (
    Contribution,
    Explanation,
    background_inputs,
    drawn,
    explanations,
    shapley_values,
)
from vecprop.tables.explaining.drift import Profile

r = np.random.default_rng(0)
BACKGROUND = r.normal(size=(300, 4))
X = np.array([1.0, 1.0, -2.0, 3.0])
PLACES = [slice(0, 1), slice(1, 2), slice(2, 4)]  # the last column has two inputs


def shares(function, background=BACKGROUND, x=X, seed=0):
    return shapley_values(function, x, background, PLACES, np.random.default_rng(seed))


def bent(X):
    return np.tanh(X[:, 0] * X[:, 2]) + X[:, 1] ** 2 * X[:, 3]


def exact(function):
    """Return exact Shapley values from all orders and all background rows."""
    values, orders = np.zeros(3), list(permutations(range(3)))
    for order in orders:
        rows = BACKGROUND.copy()
        for column in order:
            before = function(rows).mean()
            rows[:, PLACES[column]] = X[PLACES[column]]
            values[column] += (function(rows).mean() - before) / len(orders)
    return values


def test_contributions_of_a_linear_model_equal_the_formula():
    w = np.array([2.0, -1.0, 0.5, 3.0])
    values, errors, base = shares(lambda X: X @ w)
    part = w * (X - BACKGROUND.mean(axis=0))
    np.testing.assert_allclose(values, [part[0], part[1], part[2] + part[3]])
    assert base == pytest.approx(w @ BACKGROUND.mean(axis=0))
    np.testing.assert_allclose(
        errors[0], 2 * BACKGROUND[:, 0].std(ddof=1) / np.sqrt(300)
    )


def test_contributions_add_up_and_approximate_shapley_values():
    wanted = exact(bent)
    found = [shares(bent, seed=seed) for seed in range(20)]
    for values, _, base in found:
        assert base == pytest.approx(bent(BACKGROUND).mean(), rel=1e-12)
        assert values.sum() == pytest.approx(bent(X[None])[0] - base, rel=1e-12)
    distances = np.array([(values - wanted) / errors for values, errors, _ in found])
    assert np.abs(distances).max() < 4
    assert np.sqrt((distances**2).mean()) < 1.2


def test_columns_without_effect_get_zero_and_equal_columns_equal_contributions():
    values, errors, _ = shares(lambda X: np.exp(X[:, 1]) * X[:, 3])
    assert (values[0], errors[0]) == (0, 0)
    same = BACKGROUND.copy()
    same[:, 1] = same[:, 0]
    values, errors, _ = shares(
        lambda X: np.exp(X[:, 0] * X[:, 1]) * (X[:, 0] + X[:, 1]), same
    )
    assert abs(values[0] - values[1]) < 4 * errors[0]
    assert values[2] == 0


def test_batches_bound_the_memory_without_changing_results(limit):
    sizes = []

    def sized(X):
        sizes.append(len(X))
        return bent(X)

    whole = shares(sized)
    limit("contributions: inputs at once", 40 * 4)
    few = shares(sized)
    assert (sizes[0], max(sizes[1:])) == (2400, 40)
    for one, other in zip(whole, few, strict=True):
        np.testing.assert_array_equal(one, other)
    # one draw gives no standard error
    assert np.isnan(shares(bent, BACKGROUND[:1])[1]).all()


def test_a_report_names_contributions_of_five_percent_of_the_first_or_more():
    sizes = {"first": -20.0, "more": 1.01, "less": 0.99}
    found = tuple(Contribution(name, None, size, 0.1) for name, size in sizes.items())
    shown = drivers(Explanation("row 0", 1.0, "price", 1.0, 0.0, found))
    assert re.findall("<span>(.*?)</span>", shown) == ["first -20", "more +1"]


TABLE = pd.DataFrame(
    {
        "size": r.normal(50, 10, 120).round(1),
        "zip": r.choice(["01001", "02002", "98101"], 120),
        "sold": (np.datetime64("2024-01-01") + r.integers(0, 300, 120)).astype(str),
        "said": [f"a text of number {number}" for number in range(120)],
    }
)
TABLE.loc[::4, "zip"] = None
TABLE["price"] = 3 * TABLE["size"] + 20 * (TABLE["zip"] == "01001")
TABLE["dear"] = np.where(TABLE["price"] > 150, "yes", "no")
FEW: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 3,
    "hidden_layer_sizes": 4,
    "random_state": 1,
}


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor("price", **FEW).fit(TABLE.drop(columns="dear"))


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier("dear", **FEW).fit(TABLE.drop(columns="price"))


def total(explanation):
    return sum(each.contribution for each in explanation.contributions)


@pytest.mark.parametrize("of", ["training", "distributions"])
def test_predictions_and_probabilities_are_explained(regressor, classifier, of):
    background = TABLE if of == "training" else None
    found = regressor.explain(TABLE[:2], background)
    for explanation, predicted in zip(found, regressor.predict(TABLE[:2]), strict=True):
        assert explanation.predicted == explanation.explained == predicted
        assert explanation.base == pytest.approx(
            regressor.predict(TABLE).mean(), rel=0.02
        )
        assert total(explanation) == pytest.approx(
            predicted - explanation.base, abs=1e-5 * abs(predicted)
        )
    P = classifier.predict_proba(TABLE[:2])
    found = classifier.explain(TABLE[:2], background)
    assert [explanation.predicted for explanation in found] == classifier.predict(
        TABLE[:2]
    ).tolist()
    for explanation, chance, number in zip(
        found, P.max(axis=1), P.argmax(axis=1), strict=True
    ):
        assert explanation.output == f"probability of {classifier.classes_[number]!r}"
        assert explanation.explained == chance
        assert explanation.base == pytest.approx(
            classifier.predict_proba(TABLE)[:, number].mean(), abs=0.02
        )
        assert total(explanation) == pytest.approx(chance - explanation.base, abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("quantile", [0.9, (0.1, 0.5, 0.9)])
def test_the_predicted_quantile_is_explained(quantile):
    model = TabularRegressor("price", loss="quantile", quantile=quantile, **FEW).fit(
        TABLE.drop(columns="dear")
    )
    (explanation,) = model.explain(TABLE[7:8])
    assert explanation.output == f"quantile {np.atleast_1d(quantile)[-2:][0]} of price"
    assert explanation.explained == model.predict(TABLE[7:8])[0]
    assert total(explanation) == pytest.approx(
        explanation.explained - explanation.base, rel=1e-4
    )


def test_explanations_show_the_values_of_the_table(regressor, tmp_path):
    TABLE[:2].to_csv(tmp_path / "sold.csv", index=False)
    first, second = regressor.explain(tmp_path / "sold.csv")
    assert (first.row, second.row) == ("line 2", "line 3")
    values = {each.column: each.value for each in second.contributions}
    assert values == {
        name: str(TABLE[name][1]) for name in ("size", "zip", "sold", "said")
    }
    assert {each.column: each.value for each in first.contributions}["zip"] is None
    sizes = [abs(each.contribution) for each in first.contributions]
    assert sizes == sorted(sizes, reverse=True)
    title, names, *rows, last = repr(first).splitlines()
    assert (
        title
        == f"line 2: price is {first.explained:#.4g}, compared with {first.base:.4g} on"
        " average"
    )
    assert names.split("  ")[0] == "column"
    assert len(rows) == 4
    assert any(row.split()[:2] == ["zip", "(missing)"] for row in rows)
    assert float(last.split()[1]) == pytest.approx(
        first.explained - first.base, rel=1e-3
    )


def test_the_inputs_of_changed_rows_are_bounded(regressor):
    class Recorded(TabularRegressor):
        def _of_inputs(self, inputs, exposure=1.0):
            sizes.append(inputs.size)
            return super()._of_inputs(inputs, exposure)

    sizes = []
    most = 20 * 2 * (4 + 1) * regressor.encoder_.width
    recorded = Recorded()
    vars(recorded).update(vars(regressor))
    explanations(recorded, TABLE[:1], most=most)
    assert sizes[-1] == most  # in each random order and in its reverse


def test_integer_values_stay_integers_next_to_floats():
    numbers = pd.DataFrame(
        {"rooms": [3, 4, 5, 9] * 10, "size": [1.5, 2.5, 4.0, 9.0] * 10}
    )
    model = TabularRegressor(**FEW).fit(numbers, numbers["rooms"])
    (explanation,) = model.explain(numbers[:1])
    assert {each.column: each.value for each in explanation.contributions} == {
        "rooms": "3",
        "size": "1.5",
    }


def test_large_numbers_are_shown_without_exponents():
    made = Explanation(
        "row 1",
        396_312.0,
        "price",
        396_312.0,
        271_061.4,
        (Contribution("area", "54", 125_250.6, 812.0),),
    )
    assert repr(made).startswith(
        "row 1: price is 396,300, compared with 271,100 on average"
    )
    assert repr(made).splitlines()[2].split() == ["area", "54", "+125,300", "800"]


def test_contributions_have_equal_decimals():
    contributions = (
        Contribution("area", "54", 0.4012, 0.01),
        Contribution("rooms", "3", -0.00317, 0.0005),
    )
    explanation = Explanation("row 1", 1.39803, "price", 1.39803, 1.0, contributions)
    numbers = [line.split()[-2:] for line in repr(explanation).splitlines()[2:-1]]
    assert numbers == [["+0.4012", "0.0100"], ["-0.0032", "0.0005"]]
    assert repr(explanation).splitlines()[-1].split() == ["sum", "+0.3980"]


def test_further_columns_are_summed_and_control_characters_escaped(regressor, limit):
    (explanation,) = regressor.explain(TABLE[:1].assign(said="\x1b[31m\nred", size=1e6))
    assert r"\x1b[31m red" in repr(explanation)
    limit("contributions: lines", 1)
    *_, more, total = repr(explanation).splitlines()
    rest = sum(each.contribution for each in explanation.contributions[1:])
    *_, shown, _ = repr(explanation).splitlines()[2].split()
    decimals = len(shown.partition(".")[2])
    assert more.split() == ["3", "more", f"{rest:+.{decimals}f}"]
    assert total.startswith("sum")


def test_explanations_are_deterministic_and_convert_to_a_frame(regressor):
    one, again = (regressor.explain(TABLE[:2]) for _ in range(2))
    frame = one.to_frame()
    pd.testing.assert_frame_equal(frame, again.to_frame())
    assert frame.columns.tolist()[:4] == ["row", "output", "explained", "base"]
    assert frame["row"].tolist() == ["row 0"] * 4 + ["row 1"] * 4
    assert repr(one) == f"{one[0]!r}\n\n{one[1]!r}"


def test_constant_columns_contribute_nothing(regressor):
    rows = TABLE[:50].assign(size=50.0)
    (explanation,) = regressor.explain(rows[:1], background=rows)
    (of_size,) = [each for each in explanation.contributions if each.column == "size"]
    assert abs(of_size.contribution) < 1e-5
    with pytest.raises(TableError, match="no column 'size'"):
        regressor.explain(TABLE[:1], background=TABLE.drop(columns="size"))


def sample(part, series, count=512):
    return drawn(part, Profile.learn(part, series), count, np.random.default_rng(0))


@pytest.mark.parametrize(
    "x",
    [
        r.normal(size=3000),
        r.exponential(size=3000),
        r.uniform(size=3000),
        r.poisson(30, 3000).astype(float),
        np.where(r.random(3000) < 0.6, 0.0, r.gamma(2, size=3000)),
        (r.random(3000) < 0.3) * 1.0,
        r.normal(size=12),
    ],
)
def test_background_numbers_have_the_training_distribution(x):
    found = sample(NumberInputs.of(pd.Series(x)), pd.Series(x))
    assert found.mean() == pytest.approx(x.mean(), abs=0.07 * x.std())
    assert found.std() == pytest.approx(x.std(), rel=0.06)
    assert x.min() <= found.min() <= found.max() <= x.max()
    if np.all(x == np.round(x)):
        assert np.all(found == np.round(found))


def test_background_columns_have_the_training_share_of_missing_values():
    constant = pd.Series([7.0, None] * 20)
    found = sample(NumberInputs.of(constant), constant)
    assert np.isnan(found).mean() == 0.5
    assert set(found[~np.isnan(found)]) == {7}
    days = pd.Series(
        [*(np.datetime64("2024-01-01") + np.arange(30)).astype(str), *[None] * 10]
    )
    found = sample(Dates.of(days), days)
    assert np.isnan(found).mean() == 0.25
    assert np.nanmedian(found) == pytest.approx(19723 + 15, abs=1)
    names = pd.Series(["a"] * 30 + ["b"] * 6 + [None] * 4)
    kinds, counts = np.unique(
        sample(Categories.of(names), names, 400), return_counts=True
    )
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == {
        "a": 300,
        "b": 60,
        "\0missing": 40,
    }
    texts = pd.Series(["a red hat", "a red car"])
    assert set(sample(LatentTexts.of(texts), texts)) == {""}


def test_few_background_rows_are_used_equally_often(regressor):
    inputs = background_inputs(regressor, TABLE[:3], 100, np.random.default_rng(0))
    assert len(inputs) == 99
    assert np.unique(inputs, axis=0, return_counts=True)[1].tolist() == [33, 33, 33]
    assert (
        len(background_inputs(regressor, TABLE, 100, np.random.default_rng(0))) == 100
    )

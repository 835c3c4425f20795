"""Partial dependence with the curves of rows, and the rows that are predicted worst."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from vecprop import TabularRegressor
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.explaining.contributions import dependences
from vecprop.tables.explaining.importance import worst_rows

r = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "x": np.arange(300.0) % 100,
        "town": r.choice(["Rome", "Oslo", "Lima"], 300, p=[0.6, 0.3, 0.1]),
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(300) % 90, unit="D"),
        "said": [f"a text of number {number}" for number in range(300)],
    }
)
TABLE.loc[::3, "town"] = None
ENCODER = Encoder.of(TABLE)[0]


def model(output, **more):
    return SimpleNamespace(**{"encoder_": ENCODER, "levels": [], "target": "y", "of_inputs": output, **more})


def test_each_kind_of_column_takes_its_values_and_other_columns_stay():
    places = ENCODER.places

    def output(inputs):
        weekdays = inputs[:, places["when"]][:, -7:]
        return inputs[:, 0] + 100 * inputs[:, places["town"].start] + 1000 * weekdays[:, 0].astype(float)

    x, town, when = dependences(model(output), TABLE, ["x", "town", "said", "when"])
    assert [each.column for each in (x, town, when)] == ["x", "town", "when"]
    assert {each.output for each in (x, town, when)} == {"y"}
    assert (len(x.values), x.values.min(), x.values.max()) == (20, 0, 99)
    alone = ENCODER.parts[0].of_values(x.values)[:, 0]
    sample = TABLE.iloc[np.unique(np.linspace(0, 299, 200).astype(int))]
    others = output(ENCODER(sample)) - ENCODER(sample)[:, 0]
    np.testing.assert_allclose(x.curves, others[:, None] + alone, atol=1e-4)
    np.testing.assert_allclose(x.mean, x.curves.mean(axis=0))
    assert town.values.tolist() == ["missing", "Rome", "Oslo", "Lima"]
    at_first = town.values == "missing"  # whose name begins with \0
    np.testing.assert_allclose(town.curves[:, at_first] - town.curves[:, ~at_first][:, :1], 100, atol=1e-4)
    assert when.values.dtype == "datetime64[s]"
    mondays = np.array([pd.Timestamp(day).day_of_week == 0 for day in when.values])
    assert 0 < mondays.sum() < len(mondays)
    assert (when.curves[:, mondays] - when.curves[:, ~mondays][:, :1] > 900).all()


def test_of_two_classes_the_second_is_shown_and_of_more_the_most_probable():
    def two(inputs):
        return np.stack([1 - inputs[:, 0], inputs[:, 0]], axis=1).astype(float)

    def three(inputs):
        return np.tile([0.2, 0.7, 0.1], (len(inputs), 1))

    (found,) = dependences(model(two, classes_=np.array([False, True])), TABLE, ["x"])
    assert found.output == "probability of 'True'"
    np.testing.assert_allclose(found.mean, ENCODER.parts[0].of_values(found.values)[:, 0], rtol=1e-6)
    (found,) = dependences(model(three, classes_=np.array(["a", "b", "c"])), TABLE, ["x"])
    assert (found.output, set(found.curves.ravel())) == ("probability of 'b'", {0.7})


def test_a_column_without_values_has_no_dependence():
    assert dependences(model(lambda inputs: np.zeros(len(inputs))), TABLE.assign(x=np.nan), ["x"]) == []


def test_the_worst_rows_are_those_of_the_largest_loss_by_their_lines():
    classes = SimpleNamespace(classes_=np.array(["no", "yes"], dtype=object))
    P = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]])
    lines = pd.Index([2, 3, 7, 8], name="line")
    first, second, _ = worst_rows(classes, lines, np.array([1, 1, 0, -1]), P)
    assert (first.row, first.truth, first.predicted) == ("line 2", "yes", "no")
    assert (second.row, second.truth, second.predicted) == ("line 7", "no", "yes")
    np.testing.assert_allclose([first.loss, second.loss], -np.log([0.1, 0.4]))
    rows = worst_rows(TabularRegressor(), pd.RangeIndex(3), np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 4.0]))
    assert [(row.row, row.truth, row.predicted, row.loss) for row in rows] == [
        ("row 1", 2.0, 0.0, 4.0),
        ("row 2", 3.0, 4.0, 1.0),
        ("row 0", 1.0, 1.0, 0.0),
    ]

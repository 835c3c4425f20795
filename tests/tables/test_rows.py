"""Estimators, streamed tables and commands select the same rows and inputs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop import TableError, TabularClassifier, TabularRegressor, read_table

QUICK: dict[str, Any] = {
    "max_iter": 2,
    "n_estimators": 2,
    "hidden_layer_sizes": 4,
    "random_state": 0,
}
ROWS = 80


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=ROWS),
            "b": rng.normal(size=ROWS),
            "w": rng.uniform(1, 2, ROWS),
        }
    )
    return frame.assign(y=np.where(frame["a"] + rng.normal(size=ROWS) > 0, "yes", "no"))


def test_weights_of_rows_without_a_target_are_ignored(table):
    table.loc[0, ["w", "y"]] = [-1, None]
    notes = TabularClassifier("y", **QUICK).fit(table, sample_weight="w").notes_
    assert notes[:1] == [f"Rows without a target are not used: 1 of {ROWS}."]


def test_row_numbers_of_streamed_tables_are_inputs_if_declared_as_numbers(
    table, tmp_path, little
):
    table.assign(id=range(ROWS)).to_parquet(tmp_path / "t.parquet", row_group_size=50)
    plain = TabularClassifier("y", **QUICK).fit(tmp_path, memory=little + 300_000)
    assert "id" in plain.encoder_.dropped
    assert any("block by block" in note for note in plain.notes_)
    called = TabularClassifier("y", columns={"id": "number"}, **QUICK).fit(
        tmp_path, memory=little + 300_000
    )
    assert "id" in called.encoder_.names


@pytest.fixture
def months():
    """A table indexed by month, with a target that depends on the month."""
    rng = np.random.default_rng(1)
    month = pd.Index(rng.integers(1, 13, ROWS), name="month")
    return pd.DataFrame(
        {"a": rng.normal(size=ROWS), "y": 10.0 * month + rng.normal(size=ROWS)},
        index=month,
    )


def test_a_named_index_becomes_a_column_with_a_note(months, tmp_path):
    model = TabularRegressor("y", **QUICK).fit(months)
    note = (
        "The index 'month' of the data frame is used as a column: call"
        " reset_index(drop=True) to drop the index."
    )
    assert note in model.notes_
    assert model.feature_names_in_.tolist() == ["month", "a"]
    X = months.drop(columns="y")
    np.testing.assert_array_equal(
        model.predict(X), model.predict(X.reset_index()[["a", "month"]])
    )
    months.to_parquet(tmp_path / "t.parquet")
    of_file = TabularRegressor("y", **QUICK).fit(tmp_path / "t.parquet")
    np.testing.assert_array_equal(model.predict(X), of_file.predict(X))
    assert (model.score(months), model.detect_drift(months)) == (
        model.score(months.reset_index()),
        [],
    )
    with pytest.raises(TableError, match="month"):
        model.predict(X.reset_index(drop=True))


DRAWN = pd.Index(np.random.default_rng(0).permutation(5 * ROWS)[:ROWS])
JOINED = pd.Index([*range(ROWS // 2)] * 2)


@pytest.mark.parametrize(
    "index", [pd.RangeIndex(ROWS), pd.RangeIndex(0, 2 * ROWS, 2), DRAWN, JOINED, "a"]
)
def test_row_numbers_and_duplicate_levels_do_not_become_columns(table, index):
    table = (
        table.set_index("a", drop=False)
        if isinstance(index, str)
        else table.set_axis(index)
    )
    model = TabularClassifier("y", **QUICK).fit(table)
    assert (model.feature_names_in_.tolist(), model.notes_) == (["a", "b", "w"], [])


def test_an_index_of_dates_or_several_levels_becomes_columns(table):
    dates = table.set_axis(pd.date_range("2020-01-01", periods=ROWS))
    assert TabularClassifier("y", **QUICK).fit(dates).encoder_.kinds["index"] == "dates"
    towns = ["Oslo", "Rome"] * (ROWS // 2)
    levels = table.set_axis(
        pd.MultiIndex.from_arrays([towns, range(ROWS)], names=["town", None])
    )
    model = TabularClassifier("y", **QUICK).fit(levels)
    assert model.feature_names_in_.tolist() == ["town", "a", "b", "w"]
    half = np.repeat([2.5, 7.5], ROWS // 2)
    both = table.set_axis(
        pd.MultiIndex.from_arrays([towns, half], names=["town", "half"])
    )
    assert TabularClassifier("y", **QUICK).fit(both).notes_[:1] == [
        "The levels 'town' and 'half' of the data frame's index are used as columns: "
        "call reset_index(drop=True) to drop the index."
    ]


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([*"uvwx"] * (ROWS // 4)),
        DRAWN,
        pd.MultiIndex.from_arrays(
            [pd.date_range("2020-01-01", periods=ROWS), range(ROWS)],
            names=["day", None],
        ),
    ],
    ids=["text", "drawn", "levels"],
)
def test_an_index_in_a_parquet_file_equals_that_of_the_data_frame(
    table, index, tmp_path
):
    table, path = table.set_axis(index), tmp_path / "t.parquet"
    table.to_parquet(path, row_group_size=50)
    of_frame, of_file = (TabularClassifier("y", **QUICK).fit(X) for X in (table, path))
    assert of_frame.feature_names_in_.tolist() == of_file.feature_names_in_.tolist()
    expected = of_frame.predict_proba(table)
    for model, X in ((of_frame, path), (of_frame, read_table(path)), (of_file, table)):
        np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert of_file.score(path) == of_frame.score(table)


def test_an_index_can_be_the_target_groups_or_weights(months):
    X = months.set_index("y")
    model = TabularRegressor("y", **QUICK).fit(X.assign(month=months.index))
    assert model.feature_names_in_.tolist() == ["a", "month"]
    # it would drop the target
    assert not [note for note in model.notes_ if "reset_index" in note]
    assert len(model.predict(X.assign(month=months.index))) == ROWS
    grouped = TabularRegressor("y", **QUICK).fit(months, groups="month")
    assert grouped.encoder_.dropped["month"] == "it defines the groups"


def test_rows_without_a_group_are_counted():
    table = pd.DataFrame(
        {
            "a": np.arange(40.0),
            "g": ["x", "y", "z", None] * 10,
            "y": np.arange(40.0) % 7,
        }
    )
    table.loc[4, "y"] = np.nan
    notes = TabularRegressor("y", **QUICK).fit(table, groups="g").notes_
    assert "Rows without a value in 'g' form one group: 10 of 39." in notes


def test_a_model_fitted_to_an_array_predicts_a_frame_with_a_named_index(months):
    model = TabularRegressor(**QUICK).fit(months[["a"]].to_numpy(), months["y"])
    with pytest.warns(UserWarning, match="feature names"):
        assert len(model.predict(months[["a"]])) == ROWS

"""The encoder of tables as a transformer of scikit-learn."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import vecprop as vp
from vecprop import TableEncoder, TableError, TabularClassifier

RNG = np.random.default_rng(0)
N = 120
AGE = RNG.uniform(20, 80, N)
TABLE: Any = pd.DataFrame(
    {
        "age": np.where(np.arange(N) % 9 == 0, np.nan, AGE),
        "town": RNG.choice(["Oslo", "Rome", "Bern"], N),
        "since": pd.date_range("2024-01-01", periods=N, freq="D"),
        "notes": RNG.choice(["a red hat", "the red car", "the blue car"], N),
        "tags": RNG.choice(["red;big", "red", "big;old"], N),
        "nothing": 1,
    }
)
COLUMNS = {"notes": "text", "tags": "tags"}
y = (AGE > 50) ^ (RNG.random(N) < 0.05)


@parametrize_with_checks([TableEncoder(), TableEncoder(piecewise=False)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


def test_inputs_are_finite_and_are_those_of_the_models():
    encoder: Any = TableEncoder(columns=COLUMNS).fit(TABLE)
    inputs = encoder.transform(TABLE)
    assert inputs.dtype == np.float32
    assert np.isfinite(inputs).all()
    model = TabularClassifier(columns=COLUMNS, n_estimators=2, max_iter=1)
    assert np.array_equal(inputs, model.fit(TABLE, y).encoder_(TABLE))
    assert encoder.n_features_in_ == 6
    assert list(encoder.feature_names_in_) == list(TABLE)
    assert encoder.encoder_.dropped == {"nothing": "all values are the same"}
    assert "Column 'nothing' is not used" in encoder.notes_[0]


def test_unseen_categories_missing_values_and_extra_columns_are_encoded():
    encoder: Any = TableEncoder().fit(TABLE[["age", "town"]])
    names = encoder.get_feature_names_out()
    row = pd.DataFrame({"town": ["Paris", None], "age": ["?", 30], "other": [1, 2]})
    inputs = pd.DataFrame(encoder.transform(row), columns=names)
    assert inputs["age_missing"].tolist() == [1, 0]
    assert inputs["town_other"].tolist() == [1, 1]
    assert inputs["town_Oslo"].tolist() == [0, 0]
    with pytest.raises(TableError, match="The table has no column 'age'"):
        encoder.transform(row[["town"]])


def test_names_of_inputs_are_distinct_and_readable():
    table = TABLE.assign(town=TABLE["town"].replace("Bern", "other"))
    encoder: Any = TableEncoder(columns=COLUMNS).fit(table)
    names = encoder.get_feature_names_out().tolist()
    assert len(set(names)) == len(names) == encoder.transform(table).shape[1]
    few = {"age_clipped", "age_piece", "age_piece_2", "age_rank", "town_Oslo"}
    assert {*few, "town_other", "town_other_2", "tags_big", "notes_0"} <= set(names)
    assert {"since_year", "since_month_2", "since_weekday_7"} <= set(names)
    position = names.index("town_other")
    assert np.array_equal(
        encoder.transform(table)[:, position], table["town"] == "other"
    )
    with pytest.raises(ValueError, match="input_features is not equal"):
        encoder.get_feature_names_out(["age"] * 6)
    of_array = TableEncoder(piecewise=False).fit(RNG.normal(size=(30, 1)))
    assert list(of_array.get_feature_names_out()) == ["x0_standardized", "x0_rank"]
    assert list(of_array.get_feature_names_out(["size"])) == [
        "size_standardized",
        "size_rank",
    ]


def test_the_view_without_pieces_has_fewer_inputs():
    names = TableEncoder(piecewise=False).fit(TABLE).get_feature_names_out()
    assert not any("piece" in name or "clipped" in name for name in names)
    assert TableEncoder(piecewise=False).fit_transform(TABLE).shape[1] == len(names)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_output_is_a_data_frame(library, tmp_path):
    TABLE.to_csv(tmp_path / "table.csv", index=False)
    encoder: Any = TableEncoder().set_output(transform=library)
    frame = encoder.fit_transform(TABLE[5:])
    assert list(frame.columns) == list(encoder.get_feature_names_out())
    assert type(frame).__module__.startswith(library)
    if library == "pandas":
        assert frame.index.equals(TABLE.index[5:])
    from_file = encoder.fit_transform(tmp_path / "table.csv")
    assert len(from_file) == N


def test_tables_of_all_libraries_and_files_have_equal_inputs(tmp_path):
    table = TABLE[["age", "town"]]
    encoder: Any = TableEncoder().fit(table)
    expected = encoder.transform(table)
    table.to_parquet(tmp_path / "table.parquet")
    for other in (
        pl.from_pandas(table),
        pa.Table.from_pandas(table),
        tmp_path / "table.parquet",
        [tmp_path / "table.parquet"],
        str(tmp_path / "table.parquet"),
    ):
        assert np.array_equal(encoder.transform(other), expected)
        assert np.array_equal(TableEncoder().fit(other).transform(other), expected)


def test_large_tables_have_the_same_inputs_as_their_rows():
    table = pd.concat([TABLE[["age", "town", "since"]]] * 40)
    encoder: Any = TableEncoder().fit(table)
    parts = [encoder.transform(table[:9]), encoder.transform(table[9:])]
    assert np.allclose(encoder.transform(table), np.concatenate(parts), atol=1e-6)


def test_encoders_are_cloned_and_pickled():
    encoder: Any = TableEncoder(columns=COLUMNS, piecewise=False).fit(TABLE)
    encoder.set_output(transform="pandas")
    copy: Any = pickle.loads(pickle.dumps(encoder))
    assert copy.transform(TABLE).equals(encoder.transform(TABLE))
    assert copy.notes_ == encoder.notes_
    unfitted: Any = clone(encoder)
    assert unfitted.get_params() == encoder.get_params()
    with pytest.raises(NotFittedError):
        unfitted.transform(TABLE)
    with pytest.raises(NotFittedError):
        unfitted.get_feature_names_out()


def test_model_files_store_an_encoder_in_front_of_a_network(tmp_path):
    network = vp.MLPClassifier([4], max_iter=3, random_state=0)
    model: Any = make_pipeline(TableEncoder(), network)
    with pytest.warns(ConvergenceWarning):
        model.fit(TABLE, y)
    vp.save(model, tmp_path / "model.vecprop")
    loaded: Any = vp.load(tmp_path / "model.vecprop")
    assert np.array_equal(loaded.predict_proba(TABLE), model.predict_proba(TABLE))
    assert loaded[0].notes_ == model[0].notes_
    with pytest.raises(vp.FileError, match="A TableEncoder cannot be saved"):
        vp.save(model[0], tmp_path / "encoder.vecprop")


def test_an_encoder_works_in_front_of_any_model(tmp_path):
    model = make_pipeline(TableEncoder(columns=COLUMNS), LogisticRegression())
    assert cross_val_score(model, TABLE, y, cv=3).min() > 0.7
    neighbors = make_pipeline(TableEncoder(columns=COLUMNS), KNeighborsClassifier())
    search = GridSearchCV(neighbors, {"tableencoder__piecewise": [True, False]}, cv=2)
    assert search.fit(TABLE, y).best_score_ > 0.6
    TABLE.to_csv(tmp_path / "table.csv", index=False)
    from_file = make_pipeline(TableEncoder(), Ridge()).fit(tmp_path / "table.csv", AGE)
    assert from_file.score(TABLE.astype("string"), AGE) > 0.9


def test_an_encoder_works_on_some_columns_of_a_column_transformer():
    encoders = [
        ("plain", TableEncoder(piecewise=False), ["age"]),
        ("town", TableEncoder(), ["town"]),
    ]
    transformer = ColumnTransformer(encoders, remainder="drop")
    frame: Any = transformer.set_output(transform="pandas").fit_transform(TABLE, y)
    assert {"plain__age_rank", "town__town_Rome"} <= set(frame.columns)
    arrays = ColumnTransformer([("one", TableEncoder(piecewise=False), [1])])
    arrays.fit(RNG.normal(size=(30, 2)))
    assert arrays.get_feature_names_out()[0] == "one__x1_standardized"


def test_row_numbers_and_the_index_are_not_inputs():
    table = TABLE[["age"]].assign(id=range(N)).set_index(TABLE["town"])
    encoder: Any = TableEncoder().fit(table)
    assert encoder.encoder_.names == ["age"]
    assert list(encoder.feature_names_in_) == ["age", "id"]
    assert "row" in encoder.encoder_.dropped["id"]
    assert "'id' is not used" in str(encoder.notes_)
    assert encoder.transform(table).shape[0] == N
    declared = TableEncoder(columns={"id": "number"}).fit(table)
    assert declared.encoder_.names == ["age", "id"]


@pytest.mark.parametrize(
    ("settings", "X", "says"),
    [
        ({}, TABLE[:1], "only one sample"),
        ({}, TABLE[["nothing"]], "No column can be used as input"),
        ({}, TABLE["age"], "X is a Series, not a data frame"),
        ({}, "missing.csv", "There is no file missing.csv"),
        ({"columns": {"aeg": "number"}}, TABLE, "no column 'aeg'.*'age'"),
        ({"columns": {"age": "numbr"}}, TABLE, "'numbr'"),
        ({"decimal": ";"}, TABLE, "'decimal' parameter of TableEncoder"),
        ({"piecewise": 2}, TABLE, "'piecewise' parameter of TableEncoder"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(settings, X, says):
    with pytest.raises((ValueError, OSError), match=says):
        TableEncoder(**settings).fit(X)


def test_unknown_settings_and_attributes_are_refused():
    encoder_class: Any = TableEncoder
    with pytest.raises(TypeError, match="piecewise"):
        encoder_class(pieces=False)
    with pytest.raises(AttributeError, match="get_feature_names_out"):
        encoder_class().get_feature_names()

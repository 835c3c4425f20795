"""Mistakes that users make end in a sentence that says what is wrong, where, and what to do."""

from importlib import import_module
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

vp: Any = import_module("vecprop")  # untyped, since wrong arguments are the subject
mpl.use("Agg")

TABLE = pd.DataFrame(
    {"age": range(20, 40), "town": ["Rome", "Oslo"] * 10, "buys": ["yes", "no"] * 10}
)
X = TABLE[["age"]].to_numpy(float)
CLASSES = TABLE["buys"].to_numpy()
NETWORK = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
THETA = NETWORK.init(0)
MODEL = vp.MLPClassifier(random_state=0).initialize(X, CLASSES)


def table_model():
    return vp.TabularClassifier(
        "buys", n_estimators=2, max_iter=1, hidden_layer_sizes=2, random_state=0
    )


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda: vp.save(MODEL, "folder"), "folder is a folder: choose the name of a file in it"),
        (lambda: vp.save(MODEL, "none/m.npz"), "The folder .*none does not exist: create it"),
        (lambda: vp.save(MODEL, 3), "The path of a file must be text or a Path, got 3"),
        (lambda: vp.save("m.npz", MODEL), r"must be text or a Path, got MLPClassifier\("),
        (lambda: vp.export.to_numpy(MODEL, "folder"), "folder is a folder: choose the name of a file in it"),
        (lambda: vp.load("folder"), "folder is a folder: give the model file in it"),
        (lambda: vp.load("people.csv"), "people.csv is not a model file: give a file written by vecprop.save"),
        (lambda: vp.load("arrays.npz"), "arrays.npz is not a model file: give a file written by vecprop.save"),
        (lambda: vp.load("volcano.npz"), "There is no file volcano.npz in /.*: check the path"),
        (lambda: vp.load("none/m.npz"), "There is no file none/m.npz, because the folder .*/none does not exist"),
        (lambda: vp.Checkpoint(3), "The path of a file must be text or a Path, got 3"),
        (lambda: vp.cluster.DaskWorkers(4), "The client of DaskWorkers must be a Dask client, such as Client.*, got 4"),
        (lambda: vp.TabularClassifier(TABLE), r"The target of TabularClassifier is a DataFrame: pass the name"),
        (lambda: vp.TabularRegressor(["buys", "buys"]).fit(TABLE), "or a list of distinct names"),
        (lambda: vp.TabularRegressor(stages=2), "stages': it was removed: lower max_iter or n_estimators instead"),
        (lambda: vp.TabularClassifier(loss="mse"), "a classifier minimizes the log loss: leave it out"),
        (lambda: vp.TabularClassifier(memory="4GB"), "pass it to fit"),
        (lambda: vp.MLPClassifier(workers=4), "pass the number of threads as n_jobs"),
        (lambda: table_model().fit(TABLE, memory="lots"), 'memory must be .* such as "4GB", got \'lots\''),
        (lambda: table_model().fit(None), "X is None, not a table: pass a data frame"),
        (lambda: table_model().fit(TABLE).predict(TABLE.iloc[0]), r"X is a Series, .* pass a row as X.to_frame\(\).T"),
        (lambda: vp.TabularRegressor().predict_interval(X, alpha=0.1), "pass coverage, such as 0.9"),
        (lambda: vp.tables.evaluate(TABLE, MODEL), "evaluate takes a model, not a DataFrame: pass a fitted model"),
        (lambda: vp.tables.evaluate("m.npz", TABLE), "evaluate takes a model, not a str"),
        (lambda: vp.read_table("people.csv", sep=";"), "separators and encodings are detected: leave it out"),
        (lambda: vp.read_table("model.npz"), "model.npz is a model file, not delimited text: pass a table"),
        (lambda: vp.read_table("arrays.npz"), "arrays.npz is a NumPy archive, .* with numpy.load"),
        (lambda: vp.read_table("empty.csv"), "empty.csv is empty: expected a header and rows"),
        (lambda: vp.MLPClassifier().fit(TABLE, CLASSES), "Column 'town' of X contains text such as 'Rome': encode it"),
        (lambda: MODEL.predict(TABLE[["town"]]), "Column 'town' of X contains text .* or use TabularClassifier"),
        (lambda: vp.pictures.plot_loss([1.0, 0.5], 3), r"ax must be the Axes .* such as plt.gca\(\), got 3"),
        (lambda: vp.pictures.plot_calibration, r"no attribute 'plot_calibration': see dir\(vecprop.pictures\)"),
        (lambda: vp.Network(1, [vp.Dense(1)], vp.SquaredError(), optimizer=vp.Adam()), "pass it to train"),
        (lambda: vp.train_population(NETWORK, X, X), r"got one Network: pass \[member\], such as \[Member"),
        (lambda: vp.train_population([NETWORK], X, X), r"members\[0\] must be a Member, got Network"),
        (lambda: vp.blocks.ParquetBlocks("none.parquet", "y"), "There is no file none.parquet in /.*: check the path"),
        (lambda: vp.check_gradients(MODEL, X, CLASSES), r"call model.check_gradients\(X, y\) for a fitted model"),
        (lambda: vp.check_gradients(lambda t: t @ t, THETA, lambda t: 2 * t), "and the gradient as gradient="),
        (lambda: vp.learn.grade_file("none.py"), "There is no file none.py in /.*: check the path"),
    ],
)  # fmt: skip
def test_messages_say_what_to_do(mistake, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    TABLE.to_csv("people.csv", index=False)
    (tmp_path / "empty.csv").touch()
    np.savez("arrays.npz", a=X)
    vp.save(MODEL, "model.npz")
    with pytest.raises(
        (TypeError, ValueError, OSError, AttributeError), match=says
    ) as caught:
        mistake()
    assert "\n" not in str(caught.value)


def test_numbers_as_text_are_inputs():
    table = TABLE[["age"]].astype(str)
    np.testing.assert_array_equal(
        MODEL.predict(table.to_numpy(object)), MODEL.predict(X)
    )
    np.testing.assert_array_equal(
        vp.MLPClassifier(random_state=0).initialize(table, CLASSES).predict(table),
        MODEL.predict(X),
    )

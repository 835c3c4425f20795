"""The positive class of two: which one it is, and that thresholds, exports, files and pictures are about it."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from vecprop import TableError, TabularClassifier, load, save
from vecprop.export import to_numpy, to_onnx
from vecprop.tables.ensemble.calibration import ThresholdRule, positive_index
from vecprop.tables.explaining.contributions import dependences

FEW: dict[str, Any] = {
    "n_members": 3,
    "hidden_layer_sizes": 8,
    "max_iter": 8,
    "learning_rate_init": 0.05,
    "random_state": 0,
}
RNG = np.random.default_rng(0)
X = pd.DataFrame({"x": RNG.normal(size=300)})
IS_FRAUD = (X["x"] + RNG.normal(size=300) > 1.8).to_numpy()
Y = pd.Series(np.where(IS_FRAUD, "fraud", "ok"))


@pytest.fixture(scope="module")
def model():
    return TabularClassifier(**FEW, threshold="f1").fit(X, Y)


@pytest.mark.parametrize(
    ("classes", "counts", "expected"),
    [
        (["fraud", "ok"], [3, 90], "fraud"),
        (["fraud", "ok"], [90, 3], "ok"),
        (["a", "b"], [5, 5], "b"),
        (["Yes", "no"], [90, 3], "Yes"),
        (["N", "Y"], [3, 90], "Y"),
        ([0, 1], [3, 90], 1),
        ([1, 2], [90, 3], 1),
        ([0.0, 1.0], [3, 90], 1.0),
        ([False, True], [3, 90], True),
        (["FALSE", "TRUE"], [3, 90], "TRUE"),
        (["1", "yes"], [90, 3], "yes"),  # both would do: the rarer one
    ],
)
def test_the_default_is_yes_or_the_rarer_class(classes, counts, expected):
    assert classes[positive_index(np.array(classes), counts)] == expected


@pytest.mark.parametrize(
    ("classes", "asked"),
    [
        (["a", "b"], "a"),
        ([0, 1], 0),
        ([0, 1], "0"),
        ([0.0, 1.0], "0"),
        ([False, True], False),
        ([False, True], "false"),
    ],
)
def test_a_class_is_named_by_its_value_or_text(classes, asked):
    assert positive_index(np.array(classes), [3, 90], asked) == 0


def test_names_that_no_class_or_not_two_have_are_refused():
    with pytest.raises(
        TableError, match=r"has the classes 'fraud' and 'ok', but positive is 'scam': give one of the two"
    ):
        TabularClassifier(**FEW, positive="scam").fit(X, Y)
    with pytest.raises(TableError, match="has 3 classes, but a positive class is one of two: leave positive out"):
        TabularClassifier(**FEW, positive=1).fit(X, np.arange(300) % 3)
    three = TabularClassifier(**FEW).fit(X, np.arange(300) % 3)
    assert not hasattr(three, "positive_")


def test_thresholds_are_on_the_positive_class(model, tmp_path):
    assert model.positive_ == "fraud"
    P = model.out_of_fold_[:, 0]
    assert model.threshold_ == ThresholdRule("f1").best(P, IS_FRAUD, np.ones(300))
    predicted = model.predict(X)
    np.testing.assert_array_equal(predicted == "fraud", model.predict_proba(X)[:, 0] > model.threshold_)
    assert f1_score(IS_FRAUD, predicted == "fraud") > 0.3
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert (again.positive_, again.threshold_) == ("fraud", model.threshold_)
    np.testing.assert_array_equal(again.predict(X), predicted)
    names: dict[str, Any] = {}
    exec(to_numpy(model), names)
    np.testing.assert_array_equal(names["predict"](X), predicted)
    assert dependences(model, X, ["x"])[0].output == "probability of 'fraud'"


def test_a_graph_decides_by_the_positive_class(model):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(to_onnx(model).SerializeToString())
    label, P = session.run(None, {"x": X[["x"]].to_numpy(np.float32)})
    np.testing.assert_array_equal(label == "fraud", P[:, 0] > np.float32(model.threshold_))


def test_costs_are_those_of_the_positive_class():
    costs = {}
    for positive in ("fraud", "ok"):
        found = TabularClassifier(**FEW, threshold="cost:20,1", positive=positive).fit(X, Y)
        costs[positive] = (found.predict(X) == "fraud").mean()
    assert costs["fraud"] > 0.2 > 0.05 > costs["ok"]


def test_a_model_of_an_earlier_version_has_the_second_class(model, tmp_path):
    before = TabularClassifier(**FEW, threshold=0.3).fit(X, Y)
    del before._positive
    save(before, tmp_path / "old.npz")
    again = load(tmp_path / "old.npz")
    assert again.positive_ == "ok"
    np.testing.assert_array_equal(again.predict(X) == "ok", again.predict_proba(X)[:, 1] > 0.3)


def test_a_model_that_is_trained_anew_keeps_the_class():
    few = TabularClassifier(**FEW, threshold="f1").fit(X[:200], Y[:200])
    more = np.append(Y[:200], ["fraud"] * 200)
    assert few.refitted(pd.concat([X[:200], X[:200]]), more).positive_ == "fraud"


@pytest.mark.parametrize(
    "values", [(True, False, None), (1, 0, None), (True, False), (True, False, float("nan"))], ids=str
)
def test_classes_may_be_objects_of_which_some_are_missing(values):
    y = np.array([values[i % len(values)] for i in range(300)], dtype=object)
    found = TabularClassifier(**FEW).fit(X, y)
    assert found.classes_.tolist() == [0, 1]
    assert found.positive_ == 1
    known = pd.Series(y).notna().to_numpy()
    assert ("rows have no target and are left out" in " ".join(found.notes_)) == (not known.all())
    assert 0 <= found.score(X[known], y[known]) <= 1


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([1, "a"], "has values of the type int and str, such as 1 .*: make all of them text"),
        ([b"x", b"y"], "has values of the type bytes"),
        ([0.5, 1.25], r"has numbers such as 0.5, not classes .*: use TabularRegressor \(--task regression\)"),
    ],
)
def test_values_that_are_not_classes_are_named(y, said):
    with pytest.raises(TableError, match=said):
        TabularClassifier(**FEW).fit(X, np.array(y * 150, dtype=object if y[0] != 0.5 else float))


def test_nearly_as_many_classes_as_rows_raise_a_warning():
    with pytest.warns(UserWarning, match=r"has 300 classes in 300 rows.*use TabularRegressor \(--task regression\)"):
        TabularClassifier(n_members=2, max_iter=1, random_state=0).fit(X, np.arange(300))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TabularClassifier(n_members=2, max_iter=1, random_state=0).fit(X, np.arange(300) % 20)

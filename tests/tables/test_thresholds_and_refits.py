"""Positive classes, thresholds, class weights, out-of-fold predictions and refits."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    f1_score,
    log_loss,
    mean_pinball_loss,
    root_mean_squared_error,
)
from sklearn.utils.class_weight import compute_sample_weight

from models import fresh
from vecprop import TableError, TabularClassifier, TabularRegressor, load, save
from vecprop.export import to_numpy, to_onnx
from vecprop.tables.ensemble.calibration import ThresholdRule, positive_index
from vecprop.tables.explaining.contributions import dependences
from vecprop.tables.explaining.importance import worst_rows

FEW: dict[str, Any] = {
    "n_estimators": 3,
    "hidden_layer_sizes": 8,
    "max_iter": 8,
    "random_state": 0,
}
FEW |= {"learning_rate_init": 0.05}


def rare(rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    is_rare = x + rng.normal(size=rows) > 2
    return pd.DataFrame(
        {
            "x": x,
            "y": np.where(is_rare, "yes", "no"),
            "z": x + rng.normal(size=rows) / 4,
        }
    )


TABLE = rare(300, seed=0)


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier("y", **FEW, threshold="f1").fit(TABLE[["x", "y"]])


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor("z", **FEW).fit(TABLE[["x", "z"]])


def scores_of(goal, numbers, p, is_second, weight, threshold):
    """Return the score of a threshold, computed row by row."""
    is_said = p > threshold
    recall = weight[is_said & is_second].sum() / weight[is_second].sum()
    if goal == "f1":
        return (
            f1_score(is_second, is_said, sample_weight=weight) if is_said.any() else 0.0
        )
    if goal == "recall":
        return (recall >= numbers[0] - 1e-9) * (1 + threshold)
    missed, alarm = numbers
    return -(
        missed * weight[~is_said & is_second].sum()
        + alarm * weight[is_said & ~is_second].sum()
    )


@pytest.mark.parametrize(
    ("goal", "numbers"),
    [("f1", ()), ("recall", (0.9,)), ("recall", (1.0,)), ("cost", (5.0, 1.0))],
)
def test_the_threshold_is_optimal(goal, numbers):
    rng = np.random.default_rng(1)
    p = rng.random(80).round(1)  # with ties
    is_second, weight = rng.random(80) < p / 2, rng.integers(1, 4, 80).astype(float)
    found = ThresholdRule(goal, numbers).best(p, is_second, weight)
    of = [
        scores_of(goal, numbers, p, is_second, weight, t)
        for t in [found, *np.arange(0.01, 1, 0.02)]
    ]
    assert of[0] >= max(of) - (0.05 if goal == "recall" else 1e-9)
    assert not np.any(np.abs(p - found) < 0.02)  # it lies between probabilities
    assert ThresholdRule.of(found).best(p, is_second, weight) == found


def test_invalid_thresholds_are_rejected():
    wrong: Any
    for wrong in (
        "f2",
        "recall",
        "recall:2",
        "recall:x",
        "cost:1",
        "cost:0,1",
        "f1:3",
        0.0,
        1.5,
        "",
    ):
        with pytest.raises(
            ValueError, match=r"must be a probability between 0 and 1, .* costs"
        ):
            TabularClassifier("y", threshold=wrong).fit(TABLE)


def test_a_threshold_is_chosen_on_out_of_fold_rows(classifier):
    P, is_rare = classifier.out_of_fold_, TABLE["y"].to_numpy() == "yes"
    assert classifier.threshold_ == ThresholdRule("f1").best(
        P[:, 1], is_rare, np.ones(300)
    )
    assert 0 < classifier.threshold_ < 0.5
    predicted = classifier.predict_proba(TABLE)[:, 1] > classifier.threshold_
    np.testing.assert_array_equal(classifier.predict(TABLE) == "yes", predicted)
    assert predicted.sum() > (classifier.predict_proba(TABLE)[:, 1] > 0.5).sum()


def test_the_threshold_is_one_half_without_rows_of_both_classes():
    table = pd.DataFrame({"day": range(40), "y": ["yes"] * 15 + ["no"] * 25})
    model = TabularClassifier("y", **FEW, threshold="f1").fit(table, time="day")
    assert model.threshold_ == 0.5
    assert (
        "The threshold is 0.5 instead of 'f1', because all 20 validation rows"
        in model.notes_[-1]
    )
    assert "have the class 'no'" in model.notes_[-1]


def test_a_new_fit_forgets_the_threshold():
    model = TabularClassifier("y", **FEW, threshold=0.9).fit(TABLE)
    assert model.threshold_ == 0.9
    assert not hasattr(model.set_params(threshold=None).fit(TABLE), "threshold_")


def test_class_weights_equal_sample_weights():
    own = {"no": 1.0, "yes": 4.0}
    weight = compute_sample_weight(own, TABLE["y"])
    by_rows = TabularClassifier("y", **FEW).fit(TABLE, sample_weight=weight)
    by_classes = TabularClassifier("y", **FEW, class_weight=own).fit(TABLE)
    np.testing.assert_array_equal(
        by_classes.predict_proba(TABLE), by_rows.predict_proba(TABLE)
    )
    assert by_classes.notes_[0].startswith("Classes are weighted in training")
    with pytest.raises(TableError, match="class_weight does not fit the target 'y'"):
        TabularClassifier("y", **FEW, class_weight={"maybe": [2.0]}).fit(TABLE)
    for wrong in (-1.0, np.nan):
        with pytest.raises(
            TableError,
            match=(
                "class_weight does not fit the target 'y': weights must be finite and"
                f" at least 0, got {wrong}"
            ),
        ):
            TabularClassifier("y", **FEW, class_weight={"yes": wrong}).fit(TABLE)


def test_balanced_class_weights_do_not_affect_the_threshold():
    model = TabularClassifier(
        "y", **FEW, class_weight="balanced", threshold="cost:1,1"
    ).fit(TABLE)
    plain = TabularClassifier("y", **FEW).fit(TABLE)
    assert (
        model.predict_proba(TABLE)[:, 1].mean()
        > plain.predict_proba(TABLE)[:, 1].mean() + 0.1
    )
    expected = ThresholdRule("cost", (1.0, 1.0)).best(
        model.out_of_fold_[:, 1], TABLE["y"].to_numpy() == "yes", np.ones(300)
    )
    assert model.threshold_ == expected


def test_out_of_fold_predictions_are_in_the_order_of_the_rows():
    weight = np.where(np.arange(300) < 10, 0, 1 + np.arange(300) % 2)
    model = TabularClassifier("y", **FEW).fit(TABLE, sample_weight=weight)
    P = model.out_of_fold_
    assert np.isnan(P[:10]).all()
    assert log_loss(
        TABLE["y"][10:], P[10:], sample_weight=weight[10:]
    ) == pytest.approx(model.validation_loss_)


def test_out_of_fold_numbers_and_quantiles(regressor):
    z = TABLE["z"].to_numpy()
    assert regressor.validation_loss_ == pytest.approx(
        root_mean_squared_error(z, regressor.out_of_fold_)
    )
    for quantile in (0.8, (0.1, 0.5, 0.9)):
        model = fresh(regressor, loss="quantile", quantile=quantile).fit(
            TABLE[["x", "z"]]
        )
        levels = zip(model.out_of_fold_.T, model._levels, strict=True)
        losses = [mean_pinball_loss(z, Y, alpha=level) for Y, level in levels]
        assert model.validation_loss_ == pytest.approx(np.mean(losses))
    model = fresh(regressor).fit(TABLE.assign(day=np.arange(300)), time="day")
    assert np.isnan(model.out_of_fold_).tolist() == [True] * 150 + [False] * 150
    constant = TABLE[:20].assign(z=3.5)
    assert (
        "The target 'z' is 3.5 in all rows, so there is nothing to learn."
        in fresh(regressor).fit(constant).notes_
    )


def test_refit_uses_all_rows(classifier, regressor, tmp_path):
    more = pd.concat([TABLE, rare(100, seed=1)])
    for model, target in ((classifier, "y"), (regressor, "z")):
        again = model.refit(more[["x", target]])
        assert "400 rows for" in again.notes_[-1]
        assert again.validation_loss_ == model.validation_loss_
        assert len(again.ensemble_) == len(model.ensemble_)
        assert (again.ensemble_.theta != model.ensemble_.theta).all()
        of_views = np.reshape(
            [int(np.argmin(curve)) for curve in model.validation_loss_curves_], (2, 3)
        )
        assert again.n_iter_ == max(np.round(np.median(of_views, axis=1)).max(), 1)
        save(again, tmp_path / "model.npz")
        np.testing.assert_array_equal(
            load(tmp_path / "model.npz").predict(TABLE), again.predict(TABLE)
        )
    again = classifier.refit(more[["x", "y"]])
    assert (again.temperature_, again.threshold_) == (
        classifier.temperature_,
        classifier.threshold_,
    )
    same, other = (
        np.ptp(model.predict_interval(TABLE), axis=1)
        for model in (regressor, regressor.refit(more[["x", "z"]]))
    )
    assert other.mean() == pytest.approx(same.mean(), rel=0.2)


@pytest.mark.parametrize("together", [{"groups": "g"}, {"time": "day"}])
def test_refit_uses_the_same_columns(regressor, together):
    table = TABLE[:60].assign(g=[f"g{k % 7}" for k in range(60)], day=range(60))
    model = fresh(regressor).fit(table, **together)
    assert model.refit(table).encoder_.names == model.encoder_.names
    assert ("g" in model.encoder_.names, "day" in model.encoder_.names) == (
        "time" in together,
    ) * 2
    assert (
        model.refit(
            table.drop(columns="g" if "groups" in together else [])
        ).encoder_.names
        == model.encoder_.names
    )


def test_an_interrupted_refit_is_an_error(regressor):
    model = fresh(regressor).fit(TABLE[["x", "z"]])
    model.validation_loss_curves_ = [list(range(10_000, 0, -1))] * 6
    with pytest.raises(KeyboardInterrupt):
        model.refit(TABLE[["x", "z"]], progress=lambda now: True)


def test_explanations_and_worst_rows_use_the_threshold(classifier):
    p = classifier.predict_proba(TABLE)[:, 1]
    row = int(np.argmax((p > classifier.threshold_) & (p < 0.5)))
    assert p[row] < 0.5
    (explanation,) = classifier.explain(TABLE[row : row + 1])
    assert explanation.predicted == classifier.predict(TABLE[row : row + 1])[0] == "yes"
    p = 1.01 * classifier.threshold_
    P = np.array([[1 - p, p]] * 2)
    (worst,) = worst_rows(classifier, TABLE.index[:2], np.array([0, 1]), P, count=1)
    assert (worst.truth, worst.predicted) == ("yes", "yes")


RNG = np.random.default_rng(0)
X = pd.DataFrame({"x": RNG.normal(size=300)})
IS_FRAUD = (X["x"] + RNG.normal(size=300) > 1.8).to_numpy()
Y = pd.Series(np.where(IS_FRAUD, "fraud", "ok"))


@pytest.fixture(scope="module")
def fraud():
    return TabularClassifier(**FEW, threshold="f1").fit(X, Y)


def test_the_positive_class_is_given_or_yes_or_the_rarer_one():
    for classes, counts, expected in (
        (["fraud", "ok"], [3, 90], "fraud"),
        (["fraud", "ok"], [90, 3], "ok"),
        (["a", "b"], [5, 5], "b"),
        (["Yes", "no"], [90, 3], "Yes"),
        (["N", "Y"], [3, 90], "Y"),
        ([0, 1], [3, 90], 1),
        ([1, 2], [90, 3], 1),
        ([False, True], [3, 90], True),
        (["1", "yes"], [90, 3], "yes"),  # both would do: the rarer one
    ):
        assert classes[positive_index(np.array(classes), counts)] == expected
    for classes, asked in (
        (["a", "b"], "a"),
        ([0, 1], 0),
        ([0.0, 1.0], "0"),
        ([False, True], "false"),
    ):
        assert positive_index(np.array(classes), [3, 90], asked) == 0


def test_invalid_positive_classes_are_rejected():
    with pytest.raises(
        TableError,
        match=(
            r"has the classes 'fraud' and 'ok', but positive is 'scam': choose one of"
            r" them"
        ),
    ):
        TabularClassifier(**FEW, positive="scam").fit(X, Y)
    for wrong, said in (
        (
            TabularClassifier(**FEW, positive=1),
            "a positive class needs two: leave positive out",
        ),
        (
            TabularClassifier(**FEW, threshold=0.5),
            "a threshold needs two: leave threshold out",
        ),
    ):
        with pytest.raises(TableError, match=f"has 3 classes, but {said}"):
            wrong.fit(X, np.arange(300) % 3)
    three = TabularClassifier(**FEW).fit(X, np.arange(300) % 3)
    assert not hasattr(three, "positive_")


def test_thresholds_apply_to_the_positive_class(fraud, tmp_path):
    assert fraud.positive_ == "fraud"
    P = fraud.out_of_fold_[:, 0]
    assert (
        0
        < fraud.threshold_
        == ThresholdRule("f1").best(P, IS_FRAUD, np.ones(300))
        < 0.5
    )
    predicted = fraud.predict(X)
    np.testing.assert_array_equal(
        predicted == "fraud", fraud.predict_proba(X)[:, 0] > fraud.threshold_
    )
    assert f1_score(IS_FRAUD, predicted == "fraud") > 0.3
    save(fraud, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert (again.positive_, again.threshold, again.threshold_) == (
        "fraud",
        "f1",
        fraud.threshold_,
    )
    assert not hasattr(again, "out_of_fold_")
    np.testing.assert_array_equal(again.predict(X), predicted)
    names: dict[str, Any] = {}
    exec(to_numpy(fraud), names)
    np.testing.assert_array_equal(names["predict"](X), predicted)
    assert dependences(fraud, X, ["x"])[0].output == "probability of 'fraud'"
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(to_onnx(fraud).SerializeToString())
    label, P = session.run(None, {"x": X[["x"]].to_numpy(np.float32)})
    np.testing.assert_array_equal(
        label == "fraud", P[:, 0] > np.float32(fraud.threshold_)
    )


def test_costs_apply_to_the_positive_class():
    costs = {}
    for positive in ("fraud", "ok"):
        found = TabularClassifier(**FEW, threshold="cost:20,1", positive=positive).fit(
            X, Y
        )
        costs[positive] = (found.predict(X) == "fraud").mean()
    assert costs["fraud"] > 0.2 > 0.05 > costs["ok"]


def test_models_of_earlier_versions_use_the_second_class(tmp_path):
    before = TabularClassifier(**FEW, threshold=0.3).fit(X, Y)
    del before._positive
    save(before, tmp_path / "old.npz")
    again = load(tmp_path / "old.npz")
    assert again.positive_ == "ok"
    np.testing.assert_array_equal(
        again.predict(X) == "ok", again.predict_proba(X)[:, 1] > 0.3
    )


def test_refit_keeps_the_positive_class():
    few = TabularClassifier(**FEW, threshold="f1").fit(X[:200], Y[:200])
    more = np.append(Y[:200], ["fraud"] * 200)
    assert few.refit(pd.concat([X[:200], X[:200]]), more).positive_ == "fraud"


@pytest.mark.parametrize(
    "values",
    [(True, False, None), (1, 0, None), (True, False), (True, False, float("nan"))],
    ids=str,
)
def test_classes_can_be_objects_with_missing_values(values):
    y = np.array([values[i % len(values)] for i in range(300)], dtype=object)
    found = TabularClassifier(**FEW).fit(X, y)
    assert found.classes_.tolist() == [0, 1]
    assert found.positive_ == 1
    known = pd.Series(y).notna().to_numpy()
    assert ("Rows without a target are not used" in " ".join(found.notes_)) == (
        not known.all()
    )
    assert 0 <= found.score(X[known], y[known]) <= 1


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (
            [1, "a"],
            "has values of type int and str, such as 1 .*: convert all of them to text",
        ),
        ([b"x", b"y"], "has values of type bytes"),
        (
            [0.5, 1.25],
            (
                r"has numbers such as 0.5, not classes .*: use TabularRegressor"
                r" \(--task regression\)"
            ),
        ),
    ],
)
def test_values_that_are_not_classes_are_reported(y, said):
    with pytest.raises(TableError, match=said):
        TabularClassifier(**FEW).fit(
            X, np.array(y * 150, dtype=object if y[0] != 0.5 else float)
        )


def test_almost_as_many_classes_as_rows_raise_a_warning():
    with pytest.warns(
        UserWarning,
        match=(
            r"has 300 classes in 300 rows.*use TabularRegressor \(--task regression\)"
        ),
    ):
        TabularClassifier(n_estimators=2, max_iter=1, random_state=0).fit(
            X, np.arange(300)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TabularClassifier(n_estimators=2, max_iter=1, random_state=0).fit(
            X, np.arange(300) % 20
        )


def test_a_refit_ignores_other_columns_and_needs_all_of_its_own(regressor):
    model = fresh(regressor).fit(TABLE[["x", "y", "z"]])
    more = TABLE.assign(other=TABLE["z"])
    again = model.refit(more)
    assert again.encoder_.names == ["x", "y"]
    assert again.encoder_.dropped == {"other": "the original model does not use it"}
    np.testing.assert_array_equal(
        again.predict(more), model.refit(TABLE).predict(TABLE)
    )
    with pytest.raises(TableError, match="no column 'x', which the model needs"):
        model.refit(TABLE[["y", "z"]])
    model = fresh(regressor, target=None).fit(TABLE[["x"]].to_numpy(), TABLE["z"])
    assert model.refit(TABLE[["x", "z"]].to_numpy(), TABLE["z"]).encoder_.names == [
        "x0"
    ]

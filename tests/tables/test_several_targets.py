"""Models with several targets: numbers, labels with two classes, and tags."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import cross_val_score

import vecprop as vp

FAST: dict[str, Any] = {"n_estimators": 2, "max_iter": 10, "random_state": 0}
rng = np.random.default_rng(0)
N = 160
INPUTS: Any = pd.DataFrame(
    {
        "x": rng.normal(size=N),
        "z": rng.normal(size=N),
        "town": rng.choice(["Rome", "Oslo", "Lima"], N),
    }
)
NUMBERS: Any = INPUTS.assign(
    price=100 * INPUTS["x"] + rng.normal(size=N),
    weight=INPUTS["z"] - (INPUTS["town"] == "Rome"),
)
LABELS: Any = INPUTS.assign(
    warm=(INPUTS["x"] + rng.normal(size=N) > 0).astype(int),
    far=np.where(INPUTS["z"] > 0.5, "yes", "no"),
)
TAGS: Any = INPUTS.assign(
    genres=[
        ";".join(
            name
            for name, applies in (
                ("jazz", x > 0),
                ("rock", z > 0.3),
                ("pop", x + z > 1),
            )
            if applies
        )
        or "folk"
        for x, z in zip(INPUTS["x"], INPUTS["z"], strict=True)
    ]
)


@pytest.fixture(scope="module")
def regressor():
    return vp.TabularRegressor(["price", "weight"], **FAST).fit(NUMBERS[:120])


@pytest.fixture(scope="module")
def classifier():
    model = vp.TabularClassifier(["warm", "far"], threshold="f1", **FAST)
    return model.fit(LABELS[:120])


@pytest.fixture(scope="module")
def tagger():
    model = vp.TabularClassifier("genres", columns={"genres": "tags"}, **FAST)
    return model.fit(TAGS[:120])


def test_numbers_have_one_column_of_predictions_for_each_target(regressor):
    test = NUMBERS[120:]
    predicted = regressor.predict(test)
    assert predicted.shape == (40, 2)
    assert regressor.out_of_fold_.shape == (120, 2)
    assert [model.target for model in regressor.models_] == ["price", "weight"]
    truth = test[["price", "weight"]].to_numpy()
    assert regressor.score(test) == pytest.approx(r2_score(truth, predicted))
    assert regressor.score(test, truth) == pytest.approx(regressor.score(test))
    assert regressor.score(test) > 0.5
    intervals = regressor.predict_interval(test, coverage=0.8)
    assert intervals.shape == (40, 2, 2)
    low, high = np.moveaxis(intervals, 2, 0)
    assert (low <= predicted).all()
    assert (predicted <= high).all()


def test_the_validation_loss_is_the_mean_over_targets(regressor):
    errors = []
    for number, name in enumerate(["price", "weight"]):
        truth = NUMBERS[name][:120].to_numpy()
        error = np.sqrt(np.mean((regressor.out_of_fold_[:, number] - truth) ** 2))
        errors.append(error)
    assert regressor.validation_loss_ == pytest.approx(np.mean(errors))


@pytest.mark.parametrize("loss", ["absolute", "huber", "poisson"])
def test_losses_apply_to_all_targets(loss):
    table = NUMBERS[["price", "weight"]].abs().join(INPUTS)
    model = vp.TabularRegressor(["price", "weight"], loss=loss, **FAST).fit(table)
    alone = vp.TabularRegressor("price", loss=loss, **FAST).fit(
        table.drop(columns="weight")
    )
    assert model.models_[0].score(table) == pytest.approx(alone.score(table), abs=0.2)
    assert model.score(table) == pytest.approx(
        np.mean([single.score(table) for single in model.models_])
    )


def test_a_threshold_in_units_is_refused():
    model = vp.TabularRegressor(
        ["price", "weight"], loss=vp.Huber(threshold=3.0), **FAST
    )
    with pytest.raises(vp.TableError, match="Huber loss has the units of one target"):
        model.fit(NUMBERS)


def test_the_model_of_each_target_predicts_its_column(regressor, classifier, tagger):
    for number, model in enumerate(regressor.models_):
        assert (model.out_of_fold_ == regressor.out_of_fold_[:, number]).all()
        expected = regressor.predict(NUMBERS)[:, number]
        np.testing.assert_allclose(model.predict(NUMBERS), expected, rtol=1e-6)
        interval = regressor.predict_interval(NUMBERS)[:, number]
        np.testing.assert_allclose(model.predict_interval(NUMBERS), interval)
    for several, table in ((classifier, LABELS), (tagger, TAGS)):
        P = several.predict_proba(table)
        for number, model in enumerate(several.models_):
            predicted = model.predict_proba(table)
            # temperatures magnify the rounding of probabilities near 1
            np.testing.assert_allclose(predicted[:, 1], P[:, number], atol=2e-5)
            np.testing.assert_allclose(predicted.sum(axis=1), 1)
            unseen = model.out_of_fold_
            assert unseen.shape == (120, 2)
            assert (unseen[:, 1] == several.out_of_fold_[:, number]).all()
            decided = several.predict(table)[:, number]
            assert (model.predict(table) == decided).all()


def test_the_model_of_a_target_can_be_explained_evaluated_and_exported(regressor):
    model = regressor.models_[0]
    (explanation,) = model.explain(NUMBERS[120:121])
    assert explanation.contributions[0].column == "x"
    evaluation = vp.tables.evaluate(model, NUMBERS[120:], baselines=False)
    assert evaluation.metrics["r2"].value > 0.5
    names: dict[str, Any] = {}
    exec(vp.export.to_numpy(model), names)
    table = {name: INPUTS[name].tolist() for name in INPUTS}
    np.testing.assert_allclose(
        names["predict"](table), model.predict(INPUTS), rtol=1e-4, atol=1e-3
    )


def test_labels_are_independent_and_have_thresholds(classifier):
    test = LABELS[120:]
    P = classifier.predict_proba(test)
    assert P.shape == (40, 2)
    assert (np.abs(P.sum(axis=1) - 1) > 0.01).any()
    predicted = classifier.predict(test)
    for number, model in enumerate(classifier.models_):
        first, second = model.classes_
        expected = np.where(P[:, number] > model.threshold_, second, first)
        assert (predicted[:, number] == expected).all()
    assert set(predicted[:, 1]) == {"no", "yes"}
    is_right = (predicted == test[["warm", "far"]].to_numpy()).all(axis=1)
    assert classifier.score(test) == pytest.approx(is_right.mean())


def test_the_probabilities_of_joint_networks_are_logistic(classifier):
    joint = classifier.ensemble_.views[0]
    alone = classifier.models_[1].ensemble_.views[0]
    X = np.random.default_rng(1).normal(size=(5, joint.network.inputs))
    Y = joint.network.predict(joint.thetas[0], X)
    P = alone.network.predict(alone.thetas[0], X)
    np.testing.assert_allclose(P[:, 1], Y[:, 1], atol=1e-6)


def test_tags_have_one_label_each(tagger):
    names = [model.target for model in tagger.models_]
    assert names == ["genres: folk", "genres: jazz", "genres: pop", "genres: rock"]
    test = TAGS[120:]
    predicted = tagger.predict(test)
    truth = test["genres"].str.get_dummies(";").to_numpy()
    assert tagger.score(test) == pytest.approx(accuracy_score(truth, predicted))
    assert tagger.score(test) > 0.3


def test_rare_and_constant_tags_are_noted():
    genres = TAGS["genres"] + ";all"
    genres.iloc[3] = "odd;all"
    model = vp.TabularClassifier("genres", columns={"genres": "tags"}, **FAST)
    notes = model.fit(TAGS.assign(genres=genres)).notes_
    assert any("in fewer than 2 rows" in note and "'odd'" in note for note in notes)
    assert any("in all rows" in note and "'all'" in note for note in notes)
    assert len(model.models_) == 4
    with pytest.raises(vp.TableError, match="fewer than two tags"):
        model.fit(TAGS.assign(genres="jazz"))


def test_models_are_saved_and_loaded(regressor, classifier, tagger, tmp_path):
    models = ((regressor, NUMBERS), (classifier, LABELS), (tagger, TAGS))
    for number, (model, table) in enumerate(models):
        path = tmp_path / f"{number}.npz"
        vp.save(model, path)
        loaded = vp.load(path)
        np.testing.assert_array_equal(loaded.predict(table), model.predict(table))
        assert loaded.score(table) == model.score(table)
        vp.save(model.models_[1], path)
        alone = vp.load(path)
        assert alone.target == model.models_[1].target
        expected = model.models_[1].predict(table)
        np.testing.assert_array_equal(alone.predict(table), expected)


def test_a_refit_keeps_the_calibration(regressor, classifier):
    refitted = regressor.refit(NUMBERS)
    width = np.diff(regressor.predict_interval(NUMBERS), axis=2)
    np.testing.assert_allclose(
        np.median(np.diff(refitted.predict_interval(NUMBERS), axis=2), axis=0),
        np.median(width, axis=0),
        rtol=0.2,
    )
    refitted = classifier.refit(LABELS)
    for model, original in zip(refitted.models_, classifier.models_, strict=True):
        assert model.threshold_ == original.threshold_


def test_three_quantiles_of_each_target():
    model = vp.TabularRegressor(
        ["price", "weight"], loss="quantile", quantile=(0.1, 0.5, 0.9), **FAST
    ).fit(NUMBERS)
    assert model.out_of_fold_.shape == (N, 2, 3)
    intervals = model.predict_interval(NUMBERS, coverage=0.8)
    truth = NUMBERS[["price", "weight"]].to_numpy()
    inside = (intervals[..., 0] <= truth) & (truth <= intervals[..., 1])
    assert (inside.mean(axis=0) > 0.7).all()


def test_arrays_of_targets_and_cross_validation():
    X = INPUTS[["x", "z"]].to_numpy()
    Y = NUMBERS[["price", "weight"]].to_numpy()
    model = vp.TabularRegressor(**FAST).fit(X, Y)
    assert model.predict(X).shape == (N, 2)
    assert cross_val_score(vp.TabularRegressor(**FAST), X, Y, cv=2).shape == (2,)
    labels = (Y > 0).astype(int)
    for scoring in ("roc_auc", "f1_macro"):
        scores = cross_val_score(
            vp.TabularClassifier(**FAST), X, labels, scoring=scoring, cv=2
        )
        assert np.isfinite(scores).all()


def test_rows_with_a_missing_target_are_not_used():
    table = NUMBERS.copy()
    table.loc[3, "price"] = None
    table.loc[5, "weight"] = None
    model = vp.TabularRegressor(["price", "weight"], **FAST).fit(table)
    assert "Rows without a target are not used: 2 of 160." in model.notes_
    assert np.isnan(model.out_of_fold_).all(axis=1).sum() == 2
    assert np.isfinite(model.score(table))


def test_weights_groups_and_times_apply_to_all_targets():
    table = NUMBERS.assign(w=rng.uniform(0, 2, N), patient=np.arange(N) // 4)
    model = vp.TabularRegressor(["price", "weight"], **FAST)
    model.fit(table, sample_weight="w", groups="patient")
    assert model.score(table) > 0
    model.fit(NUMBERS.assign(day=np.arange(N)), time="day")
    assert np.isnan(model.out_of_fold_[: N // 2]).all()


@pytest.mark.parametrize(
    ("model", "table", "message"),
    [
        (
            vp.TabularClassifier(["warm", "town"], **FAST),
            LABELS,
            "The target 'town' has 3 classes, but each of several targets needs two",
        ),
        (
            vp.TabularClassifier(["warm", "far"], class_weight="balanced", **FAST),
            LABELS,
            "class_weight needs one target",
        ),
        (vp.TabularRegressor(["price", "none"], **FAST), NUMBERS, "'none'"),
        (
            vp.TabularRegressor(["price", "town"], **FAST),
            NUMBERS,
            "The target 'town' must be numeric",
        ),
        (vp.TabularRegressor([], **FAST), NUMBERS, "list of distinct names"),
        (vp.TabularRegressor([3], **FAST), NUMBERS, "list of distinct names"),
        (
            vp.TabularRegressor(["price", "price"], **FAST),
            NUMBERS,
            "list of distinct names",
        ),
    ],
)
def test_wrong_targets_raise_one_sentence(model, table, message):
    with pytest.raises(ValueError, match=message):
        model.fit(table)


def test_other_numbers_of_targets_raise():
    model = vp.TabularRegressor(["price", "weight"], **FAST)
    with pytest.raises(vp.TableError, match=r"y has 3 columns, but target has 2 name"):
        model.fit(INPUTS, rng.normal(size=(N, 3)))


def test_functions_of_one_target_name_the_models(regressor):
    for function in (
        regressor.explain,
        regressor.plot.dependence,
        lambda table: vp.export.to_numpy(regressor),
    ):
        with pytest.raises(vp.TableError, match=r"one of its models_, such as"):
            function(NUMBERS)
    model = vp.TabularRegressor("price", **FAST).fit(NUMBERS)
    with pytest.raises(AttributeError, match="one target"):
        _ = model.models_


def test_each_target_is_evaluated_like_a_single_target(regressor, tmp_path):
    test = NUMBERS[120:]
    result: Any = vp.tables.evaluate(regressor, test, training=NUMBERS[:120])
    alone = vp.tables.evaluate(
        regressor.models_[1],
        test.drop(columns="price"),
        training=NUMBERS[:120].drop(columns="price"),
    )
    assert result["weight"].metrics == alone.metrics
    assert result["weight"].baselines == alone.baselines
    frame = result.to_frame()
    assert frame.columns.tolist() == ["model", "metric", "price", "weight"]
    assert frame["weight"].tolist() == alone.to_frame()["value"].tolist()
    heads, rmse, *_ = str(result).splitlines()
    one = vp.tables.evaluate(regressor, test, target="weight", baselines=False)
    assert one.metrics == alone.metrics
    with pytest.raises(vp.TableError, match=r"There is no target 'x': choose one of"):
        vp.tables.evaluate(regressor, test, target="x", baselines=False)
    assert heads.split() == [
        *["on", "40", "rows", "(95", "%", "interval)"],
        "price",
        "weight",
    ]
    assert rmse.startswith("RMSE")


@pytest.mark.long
def test_the_report_has_a_column_and_sections_for_each_target(regressor, tmp_path):
    result: Any = vp.tables.evaluate(regressor, NUMBERS[120:])
    result.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for section in ("Metrics", "Columns", "Errors"):
        assert f"<h2>{section}: price</h2>" in page
        assert f"<h2>{section}: weight</h2>" in page
    assert '<th class="number" scope="col">price</th>' in page
    with pytest.raises(IsADirectoryError):
        result.report(tmp_path)


def test_y_and_missing_targets_in_an_evaluation(tagger, regressor):
    test = TAGS[120:].copy()
    test.loc[130, "genres"] = None
    result: Any = vp.tables.evaluate(tagger, test, baselines=False)
    assert [len(result[model.target].truth) for model in tagger.models_] == [39] * 4
    assert result["genres: jazz"].verdict is None
    truth = NUMBERS[["price", "weight"]][120:].to_numpy()
    given: Any = vp.tables.evaluate(regressor, INPUTS[120:], truth, baselines=False)
    read: Any = vp.tables.evaluate(regressor, NUMBERS[120:], baselines=False)
    assert given["price"].metrics == read["price"].metrics

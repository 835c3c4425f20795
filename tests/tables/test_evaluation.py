"""`vecprop.tables.evaluate`: metrics, baselines, the verdict, and duplicates of training rows."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, log_loss, mean_pinball_loss, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import vecprop as vp
from conditions import empty_pictures, terminal
from models import fresh
from vecprop.tables import evaluate

FEW: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 5,
    "hidden_layer_sizes": 4,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    age = rng.integers(20, 80, 200)
    frame = pd.DataFrame(
        {
            "age": age,
            "town": rng.choice(["Rome", "Oslo", "Lima"], 200),
            "visits": rng.poisson(3, 200),
        }
    )
    frame["day"] = pd.date_range("2024-01-01", periods=200, freq="h")
    frame["words"] = [
        f"word{number % 11} and word{number % 13}" for number in range(200)
    ]
    frame["buys"] = np.where(age + rng.normal(0, 5, 200) > 50, "yes", "no")
    frame["spends"] = age * 2.0 + rng.normal(0, 5, 200)
    frame["visits"] = frame["visits"].where(frame.index % 9 > 0)
    return frame


@pytest.fixture(scope="module")
def models(people):
    """Models of both targets and of quantiles, trained on the first 150 rows."""
    quantiles = {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}
    few: dict[str, Any] = {**FEW, "columns": {"day": "ignore", "words": "ignore"}}
    others: dict[str, Any] = {**FEW, "columns": {"town": "ignore", "visits": "ignore"}}
    return {
        "buys": vp.TabularClassifier("buys", **few).fit(people[:150]),
        "spends": vp.TabularRegressor("spends", **few).fit(people[:150]),
        "quantiles": (
            vp.TabularRegressor("spends", **others, **quantiles).fit(people[:150])
        ),
    }


@pytest.fixture(scope="module")
def found_of_classes(models, people):
    return evaluate(models["buys"], people[150:])


def test_metrics_equal_scikit_learn(models, people):
    new = people[150:]
    found = evaluate(models["buys"], new, baselines=False)
    assert found.metrics["log_loss"].value == pytest.approx(
        log_loss(new.buys, models["buys"].predict_proba(new))
    )
    assert found.metrics["accuracy"].value == accuracy_score(
        new.buys, models["buys"].predict(new)
    )
    assert (found.baselines, found.verdict) == ({}, None)
    found = evaluate(
        models["spends"], new.drop(columns="spends"), new.spends, baselines=False
    )
    assert found.metrics["r2"].value == pytest.approx(
        r2_score(new.spends, models["spends"].predict(new))
    )
    found = evaluate(models["quantiles"], new, baselines=False)
    middle = mean_pinball_loss(new.spends, models["quantiles"].predict(new))
    assert found.metrics["mae"].value == pytest.approx(2 * middle)
    summary, metrics = repr(found).split("\n\n", 1)
    assert summary.startswith(
        "Of 50 rows, 82 % have a target within the predicted interval, which should"
        " contain 80 %. "
    )
    assert metrics.startswith("on 50 rows (95 % interval)  vecprop\nquantile loss")
    table = found.to_frame()
    assert table.columns.tolist() == ["model", "metric", "value", "low", "high"]
    assert table["metric"].tolist() == list(found.metrics)


def test_a_narrow_terminal_shows_the_metrics_in_several_tables(
    found_of_classes, monkeypatch
):
    wide = repr(found_of_classes).split("\n\n")[1].splitlines()
    monkeypatch.setenv("COLUMNS", "60")
    with terminal():
        shown = repr(found_of_classes)
    title, *lines = shown.partition("\n\n")[2].splitlines()
    assert max(map(len, wide)) > 100
    assert title == "on 50 rows (95 % interval)"
    assert max(map(len, lines[: 4 * (len(wide) + 1)])) <= 60
    shown = [re.split(r"\s{2,}", line.strip()) for line in lines]
    for line in wide[1:]:
        label, *cells = re.split(r"\s{2,}", line.strip())
        assert [cell for row in shown if row[0] == label for cell in row[1:]] == cells


@pytest.mark.parametrize("target", ["buys", "spends", "quantiles"])
def test_baselines_are_fitted_on_training_or_on_other_rows(
    models, people, found_of_classes, target
):
    found, is_given = found_of_classes, target == "quantiles"
    if target != "buys":
        found = evaluate(
            models[target], people[150:], training=people[:150] if is_given else None
        )
    assert (
        any("the model on 150 rows: pass training=" in note for note in found.notes)
        is not is_given
    )
    linear = "logistic regression" if target == "buys" else "linear regression"
    assert (
        list(found.baselines)
        == list(found.margins)
        == ["naive", linear, "gradient boosting"]
    )
    loss = next(iter(found.metrics))
    assert all(not np.isnan(of[loss].value) for of in found.scores.values())
    assert found.verdict is not None
    assert found.verdict.metric == loss
    assert found.verdict.says in repr(found)
    (margins,) = re.findall("  difference from vecprop  +(.*)", repr(found))
    assert re.split("  +", margins) == list(map(str, found._compared(loss)[1].values()))
    naive = found.predictions["naive"]
    assert len(np.unique(naive, axis=0)) == (
        1 if is_given else 5 if target == "spends" else 2
    )
    if is_given:
        np.testing.assert_allclose(
            naive[0], np.quantile(people.spends[:150], [0.1, 0.5, 0.9]), rtol=0.02
        )
    elif target == "spends":
        assert naive.mean() == pytest.approx(people.spends[150:].mean(), rel=0.02)


def test_too_few_rows_have_no_baselines_and_unknown_classes_are_errors(models, people):
    assert (
        "too few to fit baselines"
        in evaluate(models["buys"], people[150:160]).notes[-1]
    )
    other = people[150:].assign(
        buys=lambda own: own.buys.where(own.index > 160, "perhaps")
    )
    found = evaluate(models["buys"], other)
    assert any(
        "11 rows have classes that did not occur in training" in note
        for note in found.notes
    )
    assert found.baselines["naive"]["accuracy"].value < 1
    assert found.metrics["accuracy"].value <= 39 / 50


@pytest.mark.long
def test_a_report_of_one_row_or_of_unknown_classes_is_complete(
    models, people, tmp_path
):
    page = tmp_path / "page.html"
    evaluate(models["quantiles"], people[150:151], baselines=False).report(page)
    assert "</html>" in page.read_text(encoding="utf-8")
    of_towns = vp.TabularClassifier("buys", **FEW).fit(people[["town", "buys"]][:150])
    evaluate(of_towns, people[150:151].assign(buys="perhaps")).report(page)
    text = page.read_text(encoding="utf-8")
    assert "the model knows none of the classes of these rows" in text
    assert "None of these rows has a class that occurred in training" in text


def test_duplicates_of_training_rows_are_counted(models, people, tmp_path):
    for target in ("buys", "spends"):
        new, mixed = (
            evaluate(models[target], rows, baselines=False)
            for rows in (people[150:], people[100:])
        )
        assert new.trained_on == 0
        assert not any("duplicates" in note for note in new.notes)
        assert mixed.trained_on == 50
        assert mixed.notes[0].startswith(
            "50 of 100 rows are exact duplicates of training rows"
        )
    other = people[:150].assign(buys=people.buys.map({"yes": "no", "no": "yes"}))
    # of another target
    assert evaluate(models["buys"], other, baselines=False).trained_on == 0
    people.to_csv(tmp_path / "people.csv", index=False)
    people[::-1].to_parquet(tmp_path / "people.parquet")
    vp.save(models["buys"], tmp_path / "model.npz")
    # also in another order, and of a model that was loaded
    for name in ("people.csv", "people.parquet"):
        found = evaluate(
            vp.load(tmp_path / "model.npz"), tmp_path / name, baselines=False
        )
        assert (found.trained_on, len(found.truth)) == (150, 200)
    of_text = fresh(models["spends"]).fit(tmp_path / "people.csv")
    assert evaluate(of_text, people, baselines=False).trained_on == 200


def test_duplicates_of_many_training_rows_are_estimated(models, people, limit):
    limit("drift: digests", 50)
    model = fresh(models["buys"]).fit(people[:150])
    assert len(model.trained_rows_.digests) == 50
    found = evaluate(model, people[:150], baselines=False)
    assert 140 <= found.trained_on <= 150
    assert found.notes[0].startswith("About 1")
    assert evaluate(model, people[150:], baselines=False).trained_on == 0


def test_duplicates_by_chance_are_not_counted():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": rng.integers(9, size=400), "z": rng.integers(9, size=400)}
    )
    frame["y"] = np.where(frame.x > 4, "a", "b")
    model = vp.TabularClassifier("y", **FEW).fit(frame[:200])
    new, same = (
        evaluate(model, frame[200:], baselines=False),
        evaluate(model, frame[:200], baselines=False),
    )
    assert (new.trained_on, new.notes) == (0, [])
    assert same.trained_on == 200


def test_the_worst_rows_have_the_largest_errors(models, people):
    found = evaluate(models["spends"], people[150:], baselines=False)
    errors = np.abs(people.spends[150:] - models["spends"].predict(people[150:]))
    assert found.worst_rows[0].row == f"row {errors.idxmax()}"
    assert len(found.worst_rows) == 10
    assert found.importances[0].columns == ("age",) or "age" in str(
        found.importances[0].columns
    )


def test_a_report_names_the_most_important_column_of_each_group(people, tmp_path):
    twins = people.assign(twin=people.age + np.sin(people.index))[
        ["age", "twin", "town", "spends"]
    ]
    found = evaluate(
        vp.TabularRegressor("spends", **FEW).fit(twins[:150]),
        twins[150:],
        baselines=False,
    )
    assert found.importances[0].columns == ("age", "twin")
    most, less = found.importances[0].alone
    assert most.rise > less.rise
    with empty_pictures():
        found.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    drawn = re.findall(r'aria-label="[^"]* by (\w+)"', page)
    assert list(dict.fromkeys(drawn)) == [*most.columns, "town"]


def test_rows_with_zero_weight_are_left_out(models, people):
    weighed = people[150:].assign(w=np.arange(50) % 2, who=np.arange(50) // 10)
    found = evaluate(models["buys"], weighed, weight="w", groups="who", baselines=False)
    rows = weighed[weighed.w > 0]
    assert len(found.truth) == 25
    assert "Rows with the weight 0 are not used: 25 of 50." in found.notes
    assert found.metrics["accuracy"].value == accuracy_score(
        rows.buys, models["buys"].predict(rows)
    )
    # an input of the model
    by_input = evaluate(
        models["buys"], people[150:], weight="age", training=people[:150]
    )
    expected = accuracy_score(
        people[150:].buys,
        models["buys"].predict(people[150:]),
        sample_weight=people[150:].age,
    )
    assert by_input.metrics["accuracy"].value == pytest.approx(expected)
    with pytest.raises(vp.TableError, match="is zero in all rows"):
        evaluate(models["buys"], weighed.assign(w=0), weight="w")


def test_one_group_has_neither_intervals_nor_significance(models, people, tmp_path):
    rows = people[150:].assign(
        city="Rome", town=np.where(people.index[150:] % 20, "Rome", "Oslo")
    )
    # Rome has larger errors
    rows["spends"] = rows.spends.where(
        rows.town == "Rome", models["spends"].predict(rows)
    )
    assert (
        "only one group, too few to fit baselines"
        in evaluate(models["spends"], rows, groups="city").notes[-1]
    )
    found = evaluate(models["spends"], rows, groups="city", training=people[:150])
    verdict: Any = found.verdict
    assert (verdict.level, verdict.beaten) == ("too few rows to tell", [])
    assert re.match(
        r"Too few rows to tell \(n = \d+ in 1 group\) whether the model is better"
        r" than .*: the RMSE is ",
        verdict.says,
    )
    assert (
        "Only one group was scored, so there are no intervals: score at least two."
        in verdict.worries
    )
    assert "95 % interval" not in repr(found)
    with empty_pictures():
        found.report(tmp_path / "report.html")
    assert "The 95 % interval below each value" not in (
        tmp_path / "report.html"
    ).read_text("utf-8")
    each = [*found.metrics.values(), *found.margins.values(), *found.importances]
    assert np.isnan([end for of in each for end in (of.low, of.high)]).all()
    assert "nan" not in repr(found)


def test_files_are_read_in_chunks_without_baselines(
    models, people, found_of_classes, tmp_path
):
    people[150:].to_parquet(tmp_path / "new.parquet", row_group_size=9)
    parts = evaluate(models["buys"], tmp_path / "new.parquet", baselines=False)
    assert parts.metrics == found_of_classes.metrics
    with pytest.raises(vp.TableError, match="evaluate with baselines=True"):
        parts.report(tmp_path / "page.html")
    with pytest.raises(vp.TableError, match="evaluate with baselines=True"):
        _ = parts.importances


def test_other_estimators_have_only_metrics(people, tmp_path):
    network = vp.MLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", max_iter=500, random_state=0
    )
    model = make_pipeline(StandardScaler(), network).fit(people[["age"]], people.spends)
    found = evaluate(model, people[["age", "town"]], people.spends)
    assert found.metrics["r2"].value == pytest.approx(
        r2_score(people.spends, model.predict(people[["age"]]))
    )
    assert (found.baselines, found.trained_on, found.worst_rows, found.importances) == (
        {},
        0,
        [],
        [],
    )
    for call, message in {
        lambda: found.report(tmp_path / "page.html"): "A report needs a tabular model",
        lambda: evaluate(model, people): "target column is unknown",
        lambda: evaluate(model, people, target="age"): "is an input of the model",
        lambda: evaluate(model, people, people.spends[:9]): "200 rows, but y has 9",
    }.items():
        with pytest.raises(vp.TableError, match=message):
            call()


def test_arguments_that_do_not_fit_are_named(people, models):
    cases: Any = (
        ({"weight": np.ones(200)}, "weight must be the name of a column, not ndarray"),
        ({"groups": np.ones(200)}, "groups must be the name of a column, not ndarray"),
        ({"y": np.ones((200, 2))}, r"200 rows, but y has the shape \(200, 2\)"),
        ({"y": 3}, r"200 rows, but y has the shape \(\)"),
    )
    for arguments, says in cases:
        with pytest.raises(vp.TableError, match=says):
            evaluate(models["buys"], people, **arguments)
    with pytest.raises(NotFittedError):
        evaluate(vp.TabularClassifier("buys"), people)
    table, target = people[["age"]], people["buys"]
    with pytest.raises(vp.TableError, match="SVC has no predict_proba"):
        evaluate(SVC().fit(table, target), table, target)


def test_a_column_without_values_does_not_end_the_evaluation():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120)})
    table["y"] = table["a"] + 0.1 * rng.normal(size=120)
    model = vp.TabularRegressor("y", n_estimators=2, max_iter=3, random_state=0).fit(
        table
    )
    assert "gradient boosting" in str(evaluate(model, table.assign(b=np.nan)))

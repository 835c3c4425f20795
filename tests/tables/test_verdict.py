"""The verdict on a model: by paired draws against all baselines, and never good where intervals overlap."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.evaluation import baselines
from vecprop.tables.evaluation.baselines import Baselines, _of_columns, columns_for_trees
from vecprop.tables.evaluation.measured import How, Measured, worries_of
from vecprop.tables.evaluation.metrics import Estimate, estimates, metrics_of_classes, metrics_of_numbers


def measured(ours, naive, boosting, how: How = "test", **more):
    """Return what a verdict is on: losses with their intervals, and margins, all in thousandths."""
    each = {"vecprop": ours, "naive": naive[:3], "gradient boosting": boosting[:3]}
    model: Any = SimpleNamespace(
        validation_loss_curves_=[[3.0, 2.0, 3.0]],
        training=lambda rows: SimpleNamespace(epochs=50),
        trained_rows_=SimpleNamespace(rows=400),
        **more.pop("model", {}),
    )
    fields: dict[str, Any] = {"truth": np.arange(100)} | more
    made = Measured(how, model, None, None, weight=np.ones(100), predictions={}, **fields)
    scores = {name: {"rmse": Estimate(*of)} for name, of in each.items()}
    margins = {"naive": Estimate(*naive[3:]), "gradient boosting": Estimate(*boosting[3:])}
    vars(made)["_estimates"] = scores, margins
    return made


NAIVE = (500, 450, 550, 400, 380, 420)


@pytest.mark.parametrize(
    ("ours", "naive", "boosting", "level", "overlaps"),
    [
        ((100, 90, 110), NAIVE, (150, 140, 160, 50, 40, 60), "better", []),
        ((100, 90, 110), NAIVE, (110, 105, 120, 10, 5, 20), "slightly better", ["gradient boosting"]),
        ((100, 90, 110), NAIVE, (101, 95, 110, 1, -5, 6), "no better", ["gradient boosting"]),
        ((100, 90, 110), NAIVE, (90, 85, 95, -10, -15, -5), "worse", ["gradient boosting"]),
        ((480, 440, 520), (500, 450, 550, 20, 5, 30), (499, 460, 560, 19, 2, 40), "slightly better", None),
    ],
)
def test_the_level_goes_by_paired_draws_and_intervals(ours, naive, boosting, level, overlaps):
    found = measured(ours, naive, boosting).verdict
    assert found is not None
    assert (found.level, found.baseline) == (level, "gradient boosting")
    assert found.overlaps == (["naive", "gradient boosting"] if overlaps is None else overlaps)
    assert len(found.worries) == (naive[4] < 0)
    assert all(worry.startswith("The RMSE may be no better than without inputs") for worry in found.worries)
    assert found.says.endswith(f"({abs(boosting[4])} to {abs(boosting[5])})." if level == "better" else ".")
    if level == "worse":
        assert "Not the best choice, which is gradient boosting" in found.says
        assert "ours is higher by 10 (5 to 15)" in found.says


def test_a_model_is_judged_by_a_baseline_that_is_not_surely_beaten():
    found = measured((100, 90, 110), (130, 120, 140, 30, -1, 60), (120, 115, 130, 20, 10, 30)).verdict
    assert found is not None
    assert (found.level, found.baseline, found.theirs.value) == ("no better", "naive", 130)
    assert found.says.startswith("No better than naive, as far as can be told")


def test_what_to_worry_about():
    losses = (100, 90, 110), NAIVE, (150, 140, 160, 50, 40, 60)
    (worry,) = worries_of(measured(*losses, groups=np.arange(100) // 10))
    assert worry.startswith("The scores are of 10 groups only")
    (worry,) = worries_of(measured(*losses, how="out of fold"))
    assert worry.startswith("There is no test")
    (worry,) = worries_of(measured(*losses, trained_on=60))
    assert worry == "60 of 100 rows are in training too: metrics of these are too good."
    classes = {"classes_": np.array(["no", "yes"]), "threshold": None, "class_weight": "balanced"}
    one = measured(*losses, truth=np.ones(100, int), model=classes)
    one.predictions["vecprop"] = np.tile([0.9, 0.1], (100, 1))
    one.metrics["d2_log_loss"] = Estimate(-0.5, -0.9, -0.1)
    lower, all_of_one, never = worries_of(one)
    assert "since classes have weights: use them to rank and to decide" in lower
    assert all_of_one.startswith("All rows measured are of the class 'yes'")
    assert never.endswith("none was predicted so: try --threshold f1.")


def test_groups_are_drawn_whole():
    groups = np.arange(200) // 10
    errors = np.random.default_rng(0).normal(size=20)[groups]
    metrics = metrics_of_numbers(errors, np.zeros(200))
    rows, whole = (estimates(metrics, np.ones(200), groups=of)["mae"] for of in (None, groups))
    assert rows.value == whole.value
    assert (whole.high - whole.low) / (rows.high - rows.low) == pytest.approx(np.sqrt(10), rel=0.1)


def test_a_margin_is_that_of_the_same_draws():
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    hard = rng.normal(size=300)
    predictions = {"vecprop": y + hard, "other": y + 1.1 * hard}
    found = Measured("test", SimpleNamespace(), None, None, y, np.ones(300), predictions)
    ours, theirs, margin = found.metrics["rmse"], found.baselines["other"]["rmse"], found.margins["other"]
    assert ours.overlaps(theirs)
    assert margin.value == pytest.approx(theirs.value - ours.value)
    assert 0 < margin.low < margin.value == pytest.approx(0.1 * ours.value)


def test_a_draw_without_a_class_says_nothing():
    y = np.repeat([0, 1], [30, 1])
    found = estimates(metrics_of_classes(y, np.eye(2)[y] * 0.8 + 0.1), np.ones(31))
    assert found["average_precision"] == found["recall"] == Estimate(1, 1, 1)


TABLE = pd.DataFrame({"x": np.where(np.arange(90) % 8 == 0, np.nan, np.sin(np.arange(90.0))), "town": list("abc") * 30})
TABLE["day"] = pd.date_range("2024-01-01", periods=90)
TABLE["words"] = [f"word{k % 11} and word{k % 13}" for k in range(90)]


def test_trees_have_missing_values_categories_dates_and_words():
    encoder, _ = Encoder.of(TABLE)
    columns, is_category = columns_for_trees(encoder, TABLE)
    assert columns.shape == (90, 1 + 1 + 12 + encoder.parts[3].width)
    np.testing.assert_array_equal(columns[:, 0], TABLE["x"])
    assert np.flatnonzero(is_category).tolist() == [1]
    assert columns[:6, 1].tolist() == [0, 1, 2, 0, 1, 2]
    assert columns[[0, 1], 2].tolist() == [19723, 19724]


def test_gradient_boosting_is_scikit_learns():
    frame, y, weight = TABLE[["x", "town"]], np.cos(np.arange(90.0)), 1.0 + np.arange(90) % 2
    encoder, _ = Encoder.of(frame)
    columns, is_category = columns_for_trees(encoder, frame)
    made = Baselines(encoder, frame, frame[:9], y, weight, seed=0)
    plain = HistGradientBoostingRegressor(max_iter=3).set_params(categorical_features=is_category)
    with threadpool_limits(1):
        expected = plain.fit(columns, y, weight).predict(columns[:9])
        np.testing.assert_allclose(made.of_numbers()["gradient boosting"], expected)
        assert made.of_quantiles([0.1, 0.9])["gradient boosting"].shape == (9, 2)


def test_many_columns_have_fewer_values_but_all_categories():
    few, many = (_of_columns(np.full((2, width), 80.0), [True] + [False] * (width - 1)) for width in (250, 251))
    assert (few["max_bins"], many["max_bins"]) == (255, 81)
    assert _of_columns(np.zeros((2, 251)), [False] * 251)["max_bins"] == 63


def test_rare_and_many_classes_have_baselines(monkeypatch):
    frame = TABLE[["x", "town"]]
    y = np.where(np.arange(90) == 5, 2, np.arange(90) % 2)
    made = Baselines(Encoder.of(frame)[0], frame, frame[:9], y, np.ones(90), seed=0)
    monkeypatch.setattr(baselines, "ENTRIES", 1)
    for P in made.of_classes(4).values():
        np.testing.assert_allclose(P.sum(axis=1), 1)
        assert (P[:, 3] == 0).all()
    monkeypatch.setattr(baselines, "MOST_CLASSES", 3)
    assert list(made.of_classes(4)) == ["naive", "logistic regression"]

"""The verdict on a model: paired comparisons with all baselines, and never good without skill."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.evaluation import baselines
from vecprop.tables.evaluation.baselines import Baselines, columns_for_trees
from vecprop.tables.evaluation.measured import Measured, worries_of
from vecprop.tables.evaluation.metrics import Estimate, estimates, metrics_of_classes, metrics_of_numbers


def measured(ours, naive, boosting, how: Any = "test", **more):
    """Return a Measured with given losses and margins."""
    each = {"vecprop": ours, "naive": naive[:3], "gradient boosting": boosting[:3]}
    model: Any = SimpleNamespace(
        validation_loss_curves_=[[3.0, 2.0, 3.0]],
        training=lambda rows: SimpleNamespace(epochs=50),
        trained_rows_=SimpleNamespace(rows=400),
        **more.pop("model", {}),
    )
    skill = {"r2": Estimate(*more.pop("r2", (0.9, 0.8, 1)))}
    fields: dict[str, Any] = {"truth": np.arange(100)} | more
    made = Measured(how, model, None, None, weight=np.ones(100), predictions={}, **fields)
    scores = {name: {"rmse": Estimate(*of)} | skill for name, of in each.items()}
    margins = {"naive": Estimate(*naive[3:]), "gradient boosting": Estimate(*boosting[3:])}
    vars(made)["_estimates"] = scores, margins
    return made


NAIVE = (500, 450, 550, 400, 380, 420)


OVERLAPPING, NO_BETTER = (105, 95, 115, 8, 6, 10), (101, 90, 120, 1, -1, 3)


@pytest.mark.parametrize(
    ("naive", "boosting", "level", "says"),
    [
        (NAIVE, (150, 140, 160, 50, 40, 60), "better", "Better than all baselines: the RMSE is 100, compared with 150"),
        (NAIVE, OVERLAPPING, "better", "Better than all baselines: the RMSE is 100, compared with 105 for"),
        (NAIVE, (102, 95, 110, 2, 1, 3), "slightly better", "Slightly better than all baselines: the RMSE is 100"),
        (NAIVE, (101, 95, 110, 1, -5, 6), "no better", "Not distinguishable from gradient boosting: the"),
        (NAIVE, (99, 90, 110, -1, -5, 3), "no better", "Not distinguishable from gradient boosting: the"),
        (
            NAIVE,
            (90, 85, 95, -10, -15, -5),
            "worse",
            "Worse than gradient boosting: the RMSE is 100, compared with 90 for",
        ),
        (NO_BETTER, OVERLAPPING, "no better", "The RMSE shows no skill: it is 100, compared with 101"),
        (NO_BETTER, (90, 85, 95, -10, -15, -5), "worse", "The RMSE shows no skill: it is 100, compared with 101"),
    ],
)
def test_level_and_sentence_follow_the_paired_differences(naive, boosting, level, says):
    found: Any = measured((100, 90, 110), naive, boosting).verdict
    assert (found.level, found.says[: len(says)]) == (level, says)
    assert found.beaten == [name for name, of in (("naive", naive), ("gradient boosting", boosting)) if of[4] > 0]
    assert f" for {found.baseline}" in found.says
    assert f"the difference is {found.margin}." in found.says
    assert ("significantly better than" in found.says) == (0 < len(found.beaten) < 2)
    assert (level == "worse") == bool(re.search("([wW]orse than) gradient boosting", found.says))


@pytest.mark.parametrize("r2", [(-4e14, -5e14, -3e14), (0.1, -0.1, 0.2), (np.nan, np.nan, np.nan)])
def test_the_level_is_no_better_without_skill(r2):
    found: Any = measured((100, 90, 110), NAIVE, (150, 140, 160, 50, 40, 60), r2=r2).verdict
    assert (found.level, found.baseline) == ("no better", "naive")
    assert found.says.startswith(f"The R² shows no skill: it is {Estimate(*r2)}, and 0 for guessing; the RMSE is 100")


def test_the_verdict_starts_with_the_kind_of_scores_without_a_test_set():
    losses = (100, 90, 110), NAIVE, (150, 140, 160, 50, 40, 60)
    for how, first in (("out of fold", "Out of fold, without a test, "), ("cross-validation", "In cross-validation, ")):
        found: Any = measured(*losses, how=how).verdict
        assert found.says.startswith(f"{first}better than all baselines: ")


def test_out_of_fold_intervals_are_doubled():
    y = np.random.default_rng(0).normal(size=(3, 100))
    predictions = {"vecprop": y[0] + y[1], "other": y[0] + y[2]}
    test, unseen = (
        Measured(how, SimpleNamespace(), None, None, y[0], np.ones(100), predictions).margins["other"]
        for how in ("test", "out of fold")
    )
    assert unseen.high - unseen.low == pytest.approx(2 * (test.high - test.low))
    assert unseen.value == test.value


def test_problems_are_reported_as_worries():
    losses = (100, 90, 110), NAIVE, (150, 140, 160, 50, 40, 60)
    (worry,) = worries_of(measured(*losses, groups=np.arange(100) // 10))
    assert worry.startswith("Only 10 groups were scored")
    (worry,) = worries_of(measured(*losses, how="out of fold"))
    assert worry.startswith("Without a test set")
    (worry,) = worries_of(measured(*losses[:2], (506, 400, 600, 406, 300, 500)))
    assert worry == "These baselines are worse than guessing (naive), so beating them says little: gradient boosting."
    (worry,) = worries_of(measured(*losses, trained_on=60))
    assert worry == "60 of 100 rows are also training rows, so the metrics are too optimistic."
    classes = {"classes_": np.array(["no", "yes"]), "threshold": None, "class_weight": "balanced"}
    one = measured(*losses, truth=np.ones(100, int), model=classes)
    one.predictions["vecprop"] = np.tile([0.9, 0.1], (100, 1))
    one.metrics["d2_log_loss"] = Estimate(-0.5, -0.9, -0.1)
    lower, all_of_one, never = worries_of(one)
    assert "because classes are weighted: use them only to rank and to decide" in lower
    assert all_of_one.startswith("All scored rows belong to class 'yes'")
    assert never.startswith("No row is predicted as 'yes', although")
    assert never.endswith(": try --threshold f1.")


def test_groups_are_sampled_as_a_whole():
    groups = np.arange(200) // 10
    errors = np.random.default_rng(0).normal(size=20)[groups]
    metrics = metrics_of_numbers(errors, np.zeros(200))
    rows, whole = (estimates(metrics, np.ones(200), groups=of)["mae"] for of in (None, groups))
    assert rows.value == whole.value
    assert (whole.high - whole.low) / (rows.high - rows.low) == pytest.approx(np.sqrt(10), rel=0.1)


def test_margins_use_paired_bootstrap_samples():
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    hard = rng.normal(size=300)
    predictions = {"vecprop": y + hard, "other": y + 1.1 * hard}
    found = Measured("test", SimpleNamespace(), None, None, y, np.ones(300), predictions)
    ours, theirs, margin = found.metrics["rmse"], found.baselines["other"]["rmse"], found.margins["other"]
    assert ours.high > theirs.low
    assert margin.value == pytest.approx(theirs.value - ours.value)
    assert 0 < margin.low < margin.value == pytest.approx(0.1 * ours.value)


def test_samples_without_a_class_are_ignored():
    y = np.repeat([0, 1], [30, 1])
    found = estimates(metrics_of_classes(y, np.eye(2)[y] * 0.8 + 0.1), np.ones(31))
    assert found["average_precision"] == found["recall"] == Estimate(1, 1, 1)


TABLE = pd.DataFrame({"x": np.where(np.arange(90) % 8 == 0, np.nan, np.sin(np.arange(90.0))), "town": list("abc") * 30})
TABLE["day"] = pd.date_range("2024-01-01", periods=90)
TABLE["words"] = [f"word{k % 11} and word{k % 13}" for k in range(90)]


def test_trees_receive_missing_values_categories_dates_and_words():
    encoder, _ = Encoder.of(TABLE)
    columns, is_category = columns_for_trees(encoder, TABLE)
    assert columns.shape == (90, 1 + 1 + 12 + 16)
    np.testing.assert_array_equal(columns[:, 0], TABLE["x"])
    assert np.flatnonzero(is_category).tolist() == [1]
    assert columns[:6, 1].tolist() == [0, 1, 2, 0, 1, 2]
    assert columns[[0, 1], 2].tolist() == [19723, 19724]
    y = np.arange(90.0)[:, None]
    encoder, means = encoder.with_means(TABLE, y, np.arange(90) % 5, most=2)
    (columns, is_category), (others, _) = (columns_for_trees(encoder, TABLE, of) for of in (means, None))
    assert not any(is_category)
    np.testing.assert_array_equal(columns[:, 1:2], means["town"])
    assert (columns != others).any(axis=0).nonzero()[0].tolist() == [0, 1]  # the first has missing values


def test_gradient_boosting_equals_scikit_learn():
    frame, y, weight = TABLE[["x", "town"]], np.cos(np.arange(90.0)), 1.0 + np.arange(90) % 2
    encoder, _ = Encoder.of(frame)
    columns, is_category = columns_for_trees(encoder, frame)
    made = Baselines(encoder, frame, frame[:9], y, weight, seed=0)
    plain = HistGradientBoostingRegressor(max_iter=3, validation_fraction=0.2, random_state=0)
    plain = plain.set_params(categorical_features=is_category, early_stopping=True)
    with threadpool_limits(1):
        expected = plain.fit(columns, y, weight).predict(columns[:9])
        np.testing.assert_allclose(made.of_numbers()["gradient boosting"], expected)
        assert made.of_quantiles([0.1, 0.9])["gradient boosting"].shape == (9, 2)


def test_baselines_do_not_fit_noise_in_text_and_many_categories():
    rng = np.random.default_rng(0)
    x, words = rng.normal(size=900), [f"w{number}" for number in range(500)]
    frame = pd.DataFrame({"x": x, "town": [f"t{number}" for number in rng.integers(0, 150, 900)]})
    frame["note"] = [" ".join(rng.choice(words, 12)) for _ in range(900)]
    y = (x + rng.normal(size=900) > 0).astype(int)
    plain, all_of_it = (
        Baselines(Encoder.of(of[:300])[0], of[:300], of[300:], y[:300], np.ones(300), seed=0).of_classes(2)
        for of in (frame[["x"]], frame)
    )
    for name in ("logistic regression", "gradient boosting"):
        assert log_loss(y[300:], all_of_it[name]) < log_loss(y[300:], plain[name]) + 0.05 < 0.69


def test_one_class_is_certain():
    made = Baselines(Encoder.of(TABLE[["x"]])[0], TABLE[["x"]], TABLE[["x"]][:2], np.ones(90, int), np.ones(90), seed=0)
    for P in made.of_classes(3).values():
        assert P.tolist() == [[0, 1, 0]] * 2


def test_rare_and_many_classes_have_baselines(monkeypatch):
    frame = TABLE[["x", "town"]]
    y = np.where(np.arange(90) == 5, 2, np.arange(90) % 2)
    made = Baselines(Encoder.of(frame)[0], frame, frame[:9], y, np.ones(90), seed=0)
    monkeypatch.setattr(baselines, "ENTRIES", 1)
    for P in made.of_classes(4).values():
        np.testing.assert_allclose(P.sum(axis=1), 1)
        assert (P[:, 3] == 0).all()
    monkeypatch.setattr(baselines, "MAX_CLASSES", 3)
    assert list(made.of_classes(4)) == ["naive", "logistic regression"]

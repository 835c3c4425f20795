"""The verdict on a model: paired comparisons with all baselines, which say only what the scored rows prove."""

import re
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.evaluation.baselines import Baselines, columns_for_trees
from vecprop.tables.evaluation.measured import Learned, Measured, worries_of
from vecprop.tables.evaluation.measuring import with_duplicates
from vecprop.tables.evaluation.metrics import (
    Estimate,
    estimates,
    metrics_of_classes,
    metrics_of_numbers,
)
from vecprop.tables.evaluation.verdict import UNCLEAR, widening


def measured(ours, naive, boosting, how: Any = "test", **more):
    """Return a Measured with given losses and margins."""
    each = {"vecprop": ours, "naive": naive[:3], "gradient boosting": boosting[:3]}
    model: Any = SimpleNamespace(
        validation_loss_curves_=[[3.0, 2.0, 3.0]],
        _training=lambda rows: SimpleNamespace(epochs=50),
        trained_rows_=SimpleNamespace(rows=400),
        **more.pop("model", {}),
    )
    skill = {"r2": Estimate(*more.pop("r2", (0.9, 0.8, 1)))}
    fields: dict[str, Any] = {"truth": np.arange(100)} | more
    made = Measured(
        how, model, None, None, weight=np.ones(100), predictions={}, **fields
    )
    scores = {name: {"rmse": Estimate(*of)} | skill for name, of in each.items()}
    margins = {
        "naive": Estimate(*naive[3:]),
        "gradient boosting": Estimate(*boosting[3:]),
    }
    vars(made)["_estimates"] = scores, margins
    return made


NAIVE = (500, 450, 550, 400, 380, 420)


OVERLAPPING = (106, 95, 115, 6, 4, 8)
WORSE = (90, 85, 95, -10, -15, -5)
EQUAL_NAIVE, UNCLEAR_NAIVE = (
    (100.5, 90, 120, 0.5, -1, 2),
    (100.5, 90, 120, 0.5, -30, 30),
)


@pytest.mark.parametrize(
    ("naive", "boosting", "r2", "level", "says"),
    [
        (
            NAIVE,
            (150, 140, 160, 50, 40, 60),
            0.9,
            "better",
            "Better than all baselines: the RMSE is 100, compared",
        ),
        (
            NAIVE,
            OVERLAPPING,
            0.9,
            "better",
            "Better than all baselines: the RMSE is 100, compared with 106 for",
        ),
        (
            NAIVE,
            (102, 95, 110, 2, 1, 3),
            0.9,
            "slightly better",
            "Slightly better than all baselines: the RMSE is",
        ),
        (
            NAIVE,
            (101, 95, 110, 1, -4, 5),
            0.9,
            "not distinguishable",
            "Not distinguishable from gradient boosting: the",
        ),
        (
            NAIVE,
            (99, 90, 110, -1, -4, 3),
            0.9,
            "not distinguishable",
            "Not distinguishable from gradient boosting: the",
        ),
        (
            NAIVE,
            (101, 95, 110, 1, -5, 8),
            0.9,
            UNCLEAR,
            f"{UNCLEAR.capitalize()} (n = 100) whether",
        ),
        (
            NAIVE,
            (99, 90, 110, -1, -8, 3),
            0.9,
            UNCLEAR,
            f"{UNCLEAR.capitalize()} (n = 100) whether",
        ),
        (
            NAIVE,
            WORSE,
            0.9,
            "worse",
            "Worse than gradient boosting: the RMSE is 100, compared with 90 for",
        ),
        (
            EQUAL_NAIVE,
            OVERLAPPING,
            0.01,
            "not distinguishable",
            "The RMSE shows no skill: it is 100.0, compared",
        ),
        (
            EQUAL_NAIVE,
            WORSE,
            0.01,
            "worse",
            "The RMSE shows no skill: it is 100.0, compared with 100.5",
        ),
        (
            UNCLEAR_NAIVE,
            OVERLAPPING,
            0.01,
            UNCLEAR,
            f"{UNCLEAR.capitalize()} (n = 100) whether the model",
        ),
        (
            UNCLEAR_NAIVE,
            WORSE,
            0.01,
            "worse",
            "Worse than gradient boosting: the RMSE is 100.0, c",
        ),
    ],
)
def test_level_and_sentence_follow_the_paired_differences(
    naive, boosting, r2, level, says
):
    found: Any = measured(
        (100, 90, 110), naive, boosting, r2=(r2, r2 - 0.03, r2 + 0.03)
    ).verdict
    assert (found.level, found.says[: len(says)]) == (level, says)
    assert found.beaten == [
        name
        for name, of in (("naive", naive), ("gradient boosting", boosting))
        if of[4] > 0
    ]
    assert f" for {found.baseline}" in found.says
    assert ("significantly better than" in found.says) == (0 < len(found.beaten) < 2)
    assert (level == "worse") == bool(
        re.search("([wW]orse than) gradient boosting", found.says)
    )


@pytest.mark.parametrize(
    "r2", [(-0.4, -0.5, -0.3), (0.85, -0.14, 0.89), (np.nan, np.nan, np.nan)]
)
def test_naive_is_not_beaten_unless_the_skill_is_proven(r2):
    found: Any = measured(
        (100, 90, 110), NAIVE, (150, 140, 160, 50, 40, 60), r2=r2
    ).verdict
    assert (found.level, found.baseline) == (UNCLEAR, "naive")
    assert found.beaten == ["gradient boosting"]
    assert "no skill" not in found.says


def test_the_verdict_names_the_score_that_may_be_guessing():
    seen: Any = measured(
        (100, 90, 110), NAIVE, (600, 550, 650, 500, 480, 520), r2=(0.85, -0.14, 0.89)
    ).verdict
    assert (
        "the difference is 400 (380 to 420). But the R² is 0.85 (-0.16 to 0.89), and 0"
        " for guesses." in seen.says
    )


@pytest.mark.parametrize(
    ("rows", "groups"), [(49, None), (100, np.arange(100) % 19), (49, np.arange(49))]
)
def test_few_rows_and_groups_prove_neither_equality_nor_absence_of_skill(rows, groups):
    for naive in (EQUAL_NAIVE, NAIVE):
        few = measured(
            (100, 90, 110),
            naive,
            (101, 95, 110, 1, -2, 3),
            truth=np.arange(rows),
            groups=groups,
        )
        found: Any = few.verdict
        assert found.level == UNCLEAR
        assert found.says.startswith(f"{UNCLEAR.capitalize()} (n = {rows}")
    for count in (1, 19):
        found = measured((100, 90, 110), NAIVE, WORSE, truth=np.arange(count)).verdict
        assert (found.level, found.beaten) == (UNCLEAR, [])


@pytest.mark.parametrize(
    "boosting", [(150, 140, 160, 50, 40, 60), (101, 95, 110, 1, -2, 3), WORSE]
)
def test_low_losses_on_training_rows_prove_nothing(boosting):
    seen: Any = measured((100, 90, 110), NAIVE, boosting, trained_on=6).verdict
    assert (seen.level, seen.beaten) == ("worse" if boosting is WORSE else UNCLEAR, [])
    assert seen.says.startswith("Partly on training rows, ")
    assert boosting is WORSE or "(n = 100, 6 of them training rows)" in seen.says
    fewer: Any = measured((100, 90, 110), NAIVE, boosting, trained_on=5).verdict
    assert fewer.beaten


def scored_twice(X, y, how: Any = "cross-validation") -> Any:
    """Return scored rows, where the model knows every target, and a baseline none."""
    noise = np.random.default_rng(1).normal(size=len(y))
    model: Any = SimpleNamespace(
        encoder_=Encoder.of(X)[0],
        validation_loss_curves_=[[3.0, 2.0, 3.0]],
        _training=lambda rows: SimpleNamespace(epochs=50),
        trained_rows_=SimpleNamespace(rows=len(y)),
    )
    predictions = {"vecprop": y + 0.1 * noise, "naive": np.full(len(y), y.mean())}
    folds = np.array_split(np.arange(len(y)), 5) if how == "cross-validation" else []
    return Measured(
        how,
        model,
        X,
        X.index,
        y,
        np.ones(len(y)),
        predictions,
        Learned(X, y, len(y)),
        folds,
    )


def test_duplicates_in_other_folds_prove_nothing():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=300)})
    y = rng.normal(size=300)
    thrice = X.loc[np.tile(np.arange(100), 3)]
    repeated = scored_twice(thrice.reset_index(drop=True), np.tile(y[:100], 3))
    assert repeated.verdict.level == "better"
    found: Any = with_duplicates(repeated)
    assert (found.trained_on, found.verdict.level) == (300, UNCLEAR)
    assert "(300 of them duplicate training rows)" in found.summary
    tested: Any = with_duplicates(scored_twice(X, y, "test"))
    assert (tested.trained_on, tested.verdict.level) == (300, UNCLEAR)


def test_few_duplicates_and_duplicates_by_chance_do_not_change_the_verdict():
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    unique = pd.DataFrame({"x": rng.normal(size=300)})
    some = np.append(np.arange(200), np.arange(100))
    categories = pd.DataFrame(
        {"a": rng.integers(0, 3, 300), "b": rng.integers(0, 2, 300)}
    )
    for X, targets in (
        (unique, y),
        (unique.iloc[some].reset_index(drop=True), y[some]),
        (categories, categories["a"]),
    ):
        found: Any = with_duplicates(scored_twice(X, np.asarray(targets, float)))
        assert (found.trained_on, found.verdict.level) == (0, "better")


def test_intervals_of_differences_are_wider_for_few_rows_and_in_cross_validation():
    assert widening("test", 10**6, 0) == pytest.approx(1, abs=1e-5)
    assert widening("test", 5, 0) == pytest.approx(
        2.776 / 1.96 * np.sqrt(5 / 4), rel=1e-3
    )
    assert widening("cross-validation", 10**6, 5) == pytest.approx(1.5, abs=1e-4)
    assert widening("out of fold", 10**6, 0) == pytest.approx(2, abs=1e-4)


def decimals(text):
    return {
        len(number.partition(".")[2])
        for number in re.findall(r"\d+(?:\.\d+)?", text.replace(",", ""))
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (0.4506, 0.4516),
        (0.45049, 0.45051),
        (0.4, 0.40000004),
        (12345.6, 12346.4),
        (3e-9, 3.01e-9),
    ],
)
def test_compared_numbers_have_equal_decimals_and_show_which_is_better(ours, theirs):
    difference = theirs - ours
    naive = (
        2 * theirs,
        1.9 * theirs,
        2.1 * theirs,
        2 * theirs - ours,
        ours,
        2 * theirs,
    )
    boosting = (
        theirs,
        theirs * 0.9,
        theirs * 1.1,
        difference,
        difference / 3,
        2 * difference,
    )
    found: Any = measured((ours, ours * 0.9, ours * 1.1), naive, boosting).verdict
    pattern = (
        r"the RMSE is (\S+), compared with (\S+) for gradient boosting; the difference"
        r" is (\S+) \((\S+) to (\S+)\)"
    )
    ((mine, other, shown, low, high),) = re.findall(pattern, found.says)
    numbers = [Decimal(text.replace(",", "")) for text in (mine, other, shown)]
    assert numbers[0] < numbers[1]
    assert numbers[1] - numbers[0] == numbers[2]
    assert (
        len(
            decimals(
                " ".join(
                    text.partition("e")[0] for text in (mine, other, shown, low, high)
                )
            )
        )
        == 1
    )
    assert float(low.replace(",", "")) > 0


def test_metrics_of_all_models_have_equal_decimals():
    scores = measured(
        (0.4506, 0.43, 0.47),
        (0.7, 0.69, 0.71, 0.2494, 0.2, 0.3),
        (0.4516, 0.43, 0.47, 0.001, -0.1, 0.2),
    )
    for line in scores._text("on the test set").splitlines()[1:4]:
        assert len(decimals(line.partition("  ")[2].replace("R²", ""))) == 1, line


def test_the_verdict_starts_with_the_kind_of_scores_without_a_test_set():
    losses = (100, 90, 110), NAIVE, (150, 140, 160, 50, 40, 60)
    for how, first in (
        ("out of fold", "Out of fold, without a test, "),
        ("cross-validation", "In cross-validation, "),
    ):
        found: Any = measured(*losses, how=how).verdict
        assert found.says.startswith(f"{first}better than all baselines: ")


def test_out_of_fold_intervals_are_doubled():
    y = np.random.default_rng(0).normal(size=(3, 100))
    predictions = {"vecprop": y[0] + y[1], "other": y[0] + y[2]}
    test, unseen = (
        Measured(
            how, SimpleNamespace(), None, None, y[0], np.ones(100), predictions
        ).margins["other"]
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
    assert (
        worry == "These baselines are worse than guessing (naive), so beating them says"
        " little: gradient boosting."
    )
    (worry,) = worries_of(measured(*losses, trained_on=60))
    assert (
        worry
        == "60 of 100 rows are also training rows, so the metrics are too optimistic."
    )
    classes = {
        "classes_": np.array(["no", "yes"]),
        "threshold": None,
        "class_weight": "balanced",
    }
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
    rows, whole = (
        estimates(metrics, np.ones(200), groups=of)["mae"] for of in (None, groups)
    )
    assert rows.value == whole.value
    assert (whole.high - whole.low) / (rows.high - rows.low) == pytest.approx(
        np.sqrt(10), rel=0.1
    )


def test_margins_use_paired_bootstrap_samples():
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    hard = rng.normal(size=300)
    predictions = {"vecprop": y + hard, "other": y + 1.1 * hard}
    found = Measured(
        "test", SimpleNamespace(), None, None, y, np.ones(300), predictions
    )
    ours, theirs, margin = (
        found.metrics["rmse"],
        found.baselines["other"]["rmse"],
        found.margins["other"],
    )
    assert ours.high > theirs.low
    assert margin.value == pytest.approx(theirs.value - ours.value)
    assert 0 < margin.low < margin.value == pytest.approx(0.1 * ours.value)


def test_samples_without_a_class_are_ignored():
    y = np.repeat([0, 1], [30, 1])
    found = estimates(metrics_of_classes(y, np.eye(2)[y] * 0.8 + 0.1), np.ones(31))
    assert found["average_precision"] == found["recall"] == Estimate(1, 1, 1)


TABLE = pd.DataFrame(
    {
        "x": np.where(np.arange(90) % 8 == 0, np.nan, np.sin(np.arange(90.0))),
        "town": list("abc") * 30,
    }
)
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
    (columns, is_category), (others, _) = (
        columns_for_trees(encoder, TABLE, of) for of in (means, None)
    )
    assert not any(is_category)
    np.testing.assert_array_equal(columns[:, 1:2], means["town"])
    # the first has missing values
    assert (columns != others).any(axis=0).nonzero()[0].tolist() == [0, 1]


def test_gradient_boosting_equals_scikit_learn():
    frame, y, weight = (
        TABLE[["x", "town"]],
        np.cos(np.arange(90.0)),
        1.0 + np.arange(90) % 2,
    )
    encoder, _ = Encoder.of(frame)
    columns, is_category = columns_for_trees(encoder, frame)
    made = Baselines(encoder, frame, frame[:9], y, weight, seed=0)
    plain = HistGradientBoostingRegressor(
        max_iter=3, validation_fraction=0.2, random_state=0
    )
    plain = plain.set_params(categorical_features=is_category, early_stopping=True)
    with threadpool_limits(1):
        expected = plain.fit(columns, y, weight).predict(columns[:9])
        np.testing.assert_allclose(made.numbers()["gradient boosting"], expected)
        assert made.quantiles([0.1, 0.9])["gradient boosting"].shape == (9, 2)


def test_baselines_do_not_fit_noise_in_text_and_many_categories():
    rng = np.random.default_rng(0)
    x, words = rng.normal(size=900), [f"w{number}" for number in range(500)]
    frame = pd.DataFrame(
        {"x": x, "town": [f"t{number}" for number in rng.integers(0, 150, 900)]}
    )
    frame["note"] = [" ".join(rng.choice(words, 12)) for _ in range(900)]
    y = (x + rng.normal(size=900) > 0).astype(int)
    plain, all_of_it = (
        Baselines(
            Encoder.of(of[:300])[0], of[:300], of[300:], y[:300], np.ones(300), seed=0
        ).probabilities(2)
        for of in (frame[["x"]], frame)
    )
    for name in ("logistic regression", "gradient boosting"):
        assert (
            log_loss(y[300:], all_of_it[name])
            < log_loss(y[300:], plain[name]) + 0.05
            < 0.69
        )


def test_one_class_is_certain():
    made = Baselines(
        Encoder.of(TABLE[["x"]])[0],
        TABLE[["x"]],
        TABLE[["x"]][:2],
        np.ones(90, int),
        np.ones(90),
        seed=0,
    )
    for P in made.probabilities(3).values():
        assert P.tolist() == [[0, 1, 0]] * 2


def test_rare_and_many_classes_have_baselines(limit):
    frame = TABLE[["x", "town"]]
    y = np.where(np.arange(90) == 5, 2, np.arange(90) % 2)
    made = Baselines(Encoder.of(frame)[0], frame, frame[:9], y, np.ones(90), seed=0)
    limit("baselines: entries at once", 1)
    for P in made.probabilities(4).values():
        np.testing.assert_allclose(P.sum(axis=1), 1)
        assert (P[:, 3] == 0).all()
    limit("baselines: classes of trees", 3)
    assert list(made.probabilities(4)) == ["naive", "logistic regression"]

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = " ".join((ROOT / "docs" / "tables.md").read_text(encoding="utf-8").split())


@pytest.fixture
def report(monkeypatch):
    """Return the module that makes the page of the comparison of tabular models."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("tables_report")


@pytest.fixture
def results():
    return json.loads((RESULTS / "tables.json").read_text(encoding="utf-8"))


def test_the_comparison_shows_the_results(report, results):
    assert report.page(results) == (RESULTS / "tables.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_table_in_the_docs_shows_the_results(report, results, task):
    outcomes = report.measured(results, task)
    assert f"{len(outcomes.tables)} {task} tables" in PAGE
    measure, column = (
        (report.LOSS, 1) if task == "classification" else (report.SCORE, 3)
    )
    means = dict(
        zip(outcomes.names, outcomes.figures[:, :, measure].mean(axis=0), strict=True)
    )
    losses = outcomes.figures[:, :, report.LOSS]
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    rows = text.split("## How good they are")[1].split("![Rank and time")[0]
    shown = {
        cells[0]: cells
        for cells in (
            row.strip("| ").split(" | ") for row in rows.splitlines() if "| 0." in row
        )
    }
    assert len(shown) == 8
    for name, cells in shown.items():
        assert cells[column] == f"{means[name]:.3f}"
        wins = (losses[:, 0] < losses[:, outcomes.names.index(name)]).sum()
        assert cells[column + 1] == (
            "-" if name == "vecprop" else f"{wins} of {len(losses)}"
        )


def test_sentences_in_the_docs_follow_from_the_results(report, results):
    """Each claim of the page on tables that a new measurement may change."""
    classes = report.measured(results, "classification")
    numbers = report.measured(results, "regression")
    losses = classes.figures[:, :, report.LOSS].mean(axis=0)
    scores = numbers.figures[:, :, report.SCORE].mean(axis=0)
    defaults = [
        name
        for name in classes.names
        if "folds" not in name and "by log loss" not in name and name != "TabM"
    ]
    assert len(defaults) == 10
    by_loss = sorted(defaults, key=lambda name: losses[classes.names.index(name)])
    by_score = sorted(defaults, key=lambda name: -scores[numbers.names.index(name)])
    assert by_loss[:2] == ["vecprop", "CatBoost"]
    assert by_score[:2] == ["vecprop", "RealMLP"]
    loss = losses[classes.names.index("CatBoost")]
    assert f"`TabularClassifier` has the lowest mean log loss ({losses[0]:.4f})" in PAGE
    assert f"CatBoost has the second lowest mean log loss ({loss:.4f})" in PAGE
    score = scores[numbers.names.index("RealMLP")]
    assert f"`TabularRegressor` has the highest mean R² ({scores[0]:.4f})" in PAGE
    assert f"RealMLP has the second highest mean R² ({score:.4f})" in PAGE
    place = classes.names.index("CatBoost, 5 folds")
    differences = (
        classes.figures[:, place, report.LOSS] - classes.figures[:, 0, report.LOSS]
    )
    low, high = report.interval(differences)
    assert f"{differences.mean():.3f} higher than the mean log loss of vecprop" in PAGE
    assert f"95 % interval of this difference is {low:.3f} to {high:.3f}" in PAGE
    accuracies = classes.figures[:, :, report.SCORE].mean(axis=0)
    assert accuracies[place] == pytest.approx(accuracies[0], abs=5e-4)
    best = 0
    for outcomes in (classes, numbers):
        table_losses = outcomes.figures[:, :, report.LOSS]
        best += (table_losses[:, 0] < table_losses[:, 1:].min(axis=1)).sum()
    assert f"the lowest loss of all models on {best} of the 43 tables" in PAGE


def test_the_comparison_with_tabm_follows_from_the_results(report, results):
    counts = []
    wins = []
    for task in ("classification", "regression"):
        shared = report.measured_with(results, task, "TabM")
        losses = shared.figures[:, :, report.LOSS]
        counts.append(len(losses))
        wins.append((losses[:, 0] < losses[:, 1]).sum())
        result: Any = wilcoxon(losses[:, 0], losses[:, 1])
        assert result.pvalue < report.LEVEL
    assert (
        f"measured on {counts[0]} classification tables and {counts[1]} regression"
        " tables" in PAGE
    )
    for task, won, count in zip(
        ("classification", "regression"), wins, counts, strict=True
    ):
        assert (
            f"For {task}, vecprop has a lower loss than TabM on {won} of {count} tables"
            in PAGE
        )


def test_realmlp_with_settings_for_log_loss_follows_from_the_results(report, results):
    shared = report.measured_with(results, "classification", "RealMLP, by log loss")
    losses = shared.figures[:, :, report.LOSS]
    wins = (losses[:, 0] < losses[:, 1]).sum()
    mean = losses[:, 1].mean()
    assert (
        f"With settings for log loss, RealMLP has a mean log loss of {mean:.3f}."
        in PAGE
    )
    assert f"than RealMLP with these settings on {wins} of {len(losses)} tables" in PAGE


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_significance_in_the_docs_follows_from_the_results(report, results, task):
    outcomes = report.measured(results, task)
    losses = outcomes.figures[:, :, report.LOSS]
    results_of_tests: list[Any] = [
        wilcoxon(losses[:, 0] - column) for column in losses.T[1:]
    ]
    tests = report.adjusted([outcome.pvalue for outcome in results_of_tests])
    not_significant = {
        name for name, p in zip(outcomes.names[1:], tests, strict=True) if p > 0.05
    }
    assert not_significant == (
        {"CatBoost, 5 folds"} if task == "classification" else set()
    )
    ranks = report.ranks(losses) - report.ranks(losses)[0]
    least = report.critical_difference(len(ranks), len(losses))
    close = {
        name
        for name, rank in zip(outcomes.names[1:], ranks[1:], strict=True)
        if rank <= least
    }
    expected = {"CatBoost", "CatBoost, 5 folds", "XGBoost, 5 folds"}
    assert close == expected | {
        "LightGBM, 5 folds" if task == "classification" else "RealMLP"
    }


def test_p_values_are_adjusted_for_their_number(report):
    assert report.adjusted([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert report.adjusted([0.9, 0.8]) == [1, 1]


def test_a_table_that_dominates_a_difference_is_named(report):
    figures = np.zeros((3, 3, 3))
    figures[:, 1, report.LOSS] = [0.1, 9.0, 0.2]
    figures[:, 2, report.LOSS] = [0.4, 0.5, 0.4]
    outcomes = report.Outcomes(
        "classification",
        ["a", "airports", "c"],
        ["vecprop", "trees", "networks"],
        figures,
    )
    (sentence,) = report.dominant_tables(outcomes)
    assert (
        "trees: the table airports (log loss 9.000). Without it, the mean log loss is"
        " 0.1500" in sentence
    )


def test_seconds_of_another_machine_are_not_compared(report):
    here = {
        "processor": "Xeon, model 167",
        "cores": 2,
        "blas": ["openblas"],
        "date": "2026-12-02",
    }
    machines = {
        "vecprop": here,
        "later": here | {"date": "2026-12-03"},
        "elsewhere": here | {"processor": "EPYC"},
    }
    assert report.comparable({"machines": machines}, "later")
    assert not report.comparable({"machines": machines}, "elsewhere")


class Overconfident(LogisticRegression):
    """A model whose logits are four times too large."""

    def predict_proba(self, X):
        P = super().predict_proba(X) ** 4
        return P / P.sum(axis=1, keepdims=True)


def test_boosting_of_folds_corrects_overconfidence(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("table_folds")
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(2000, 2)), columns=["a", "b"])
    y = np.where(X["a"] + rng.logistic(size=2000) > 0, "yes", "no")
    fits = []

    def fit_model(task, train, unseen):
        fits.append((set(train[0].index), set(unseen[0].index)))
        return Overconfident().fit(*train)

    model = module.BoostedFolds("classification", fit_model).fit(X, y)
    assert model.temperature == pytest.approx(4, rel=0.3)
    expected = LogisticRegression().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=0.05)
    assert all(
        train.isdisjoint(unseen) and len(train | unseen) == 2000
        for train, unseen in fits
    )
    assert set.union(*(unseen for _, unseen in fits)) == set(range(2000))

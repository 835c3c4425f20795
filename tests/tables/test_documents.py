import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_figures_in_the_docs_match_the_results():
    results = (ROOT / "benchmarks/results/tables.md").read_text(encoding="utf-8")
    shown = " ".join((ROOT / "docs/tables.md").read_text(encoding="utf-8").split())
    kinds = results.split("## Classification: ")[1].split("## Regression: ")
    measured = [dict(re.findall(r"^\| ([\w ]+) \| (0\.\d{4} .*) \|$", kind, re.M)) for kind in kinds]
    classes, numbers = ({name: row.split(" | ") for name, row in kind.items()} for kind in measured)
    counts = [int(kind.split()[0]) for kind in kinds]
    assert f"on {counts[0]} classification tables and {counts[1]} regression tables" in shown
    losses, scores = (
        sorted((row[0], name) for name, row in classes.items()),
        sorted((row[2], name) for name, row in numbers.items()),
    )
    assert [losses[0][1], losses[1][1], scores[-1][1], scores[-2][1]] == ["vecprop", "CatBoost", "vecprop", "RealMLP"]
    assert f"mean log loss, {losses[0][0]}. CatBoost comes second with {losses[1][0]}" in shown
    assert f"mean R², {scores[-1][0]}. RealMLP comes second with {scores[-2][0]}" in shown
    seconds = [float(of["CatBoost"][4]) / float(of["vecprop"][4]) for of in (classes, numbers)]
    assert seconds == pytest.approx([4, 3], rel=0.15)
    seconds = [float(of["vecprop"][4]) / float(of["MLP"][4]) for of in (classes, numbers)]
    assert seconds == pytest.approx([1, 1.3], rel=0.15)

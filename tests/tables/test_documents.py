import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_of_the_readme_is_right(capsys):
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## A table in, a model out")[2]
    exec(re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0], {})
    score = float(capsys.readouterr().out.split()[0])
    assert score > 0.9


def test_figures_of_the_readme_are_those_measured():
    results = (ROOT / "benchmarks/results/tables.md").read_text(encoding="utf-8")
    classification, regression = (row.split(" | ") for row in re.findall(r"\*\*mean\*\* \| (.*) \|", results))
    shown = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    losses = "log loss of classification is {}, that of scikit-learn's MLP {} and of its gradient boosting {}"
    assert losses.format(*classification[:3]) in shown
    assert "R² of regression is {}, against {} and {}".format(*regression[3:6]) in shown

"""Run the campaign of real tables on scikit-learn's data sets, also in parts."""

import sys
from importlib.resources import files
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
real_tables = pytest.importorskip(
    "real_tables", reason="the benchmarks are not in the source distribution"
)


@pytest.mark.long
@pytest.mark.parametrize("name", ["iris", "wine_data", "breast_cancer"])
def test_sample(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = files("sklearn.datasets.data").joinpath(f"{name}.csv").read_bytes()
    names = ",".join(
        f"column {number}" for number in range(content.splitlines()[1].count(b",") + 1)
    )
    found = real_tables.outcome(b"\n".join([names.encode(), *content.splitlines()[1:]]))
    assert (found["exit"], found["parts are alike"], found["read otherwise"]) == (
        0,
        True,
        [],
    )
    assert "- models: 1, trained on " in real_tables.page({name: found})


@pytest.mark.long
def test_invalid_tables_give_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = real_tables.outcome(b"a,b\n1,2\n3,4\n")
    assert (found["exit"], found["sentence"][:35]) == (
        3,
        "Only 2 row(s) have a target; at lea",
    )

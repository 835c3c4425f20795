"""The README is true to the letter."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_entries_run_in_order(capsys, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    ages, sexes = rng.uniform(1, 80, 60).round(1), rng.choice(["male", "female"], 60)
    rows = [f"{age},{sex},{int(sex == 'female')}" for age, sex in zip(ages, sexes, strict=True)]
    for name in ("titanic.csv", "new.csv"):
        Path(name).write_text("\n".join(["age,sex,survived", *rows]), encoding="utf-8")
    X, A = rng.normal(size=(1000, 4)), rng.normal(size=(5, 3))
    y = (X[:, 0] > 0).astype(int)
    names = {"X": X, "y": y, "X_test": X, "y_test": y, "A": A, "b": rng.normal(size=5), "w": rng.normal(size=3)}
    table, network, check, ten_lines = PROGRAMS
    for program in (table, network, check):
        assert len(program.splitlines()) == 3
        exec(program, names)
    assert names["model"].score(X, y) > 0.8
    assert "No gradient errors found" in capsys.readouterr().out
    assert len([line for line in ten_lines.splitlines() if line.strip()]) <= 10
    exec(ten_lines, {})
    shown = capsys.readouterr().out
    assert "No gradient errors found" in shown
    assert "right: 1.0" in shown


def test_scikit_learns_networks_have_one_import_changed(capsys):
    text = (ROOT / "docs" / "estimators.md").read_text(encoding="utf-8")
    (program,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class_weight" in code)
    exec(program, {})
    shown = capsys.readouterr().out
    found = re.search(r"right: ([\d.]+)", shown)
    assert found
    assert float(found[1]) > 0.95
    assert "Inputs are unscaled" in shown
    assert "'worst area'" in shown
    assert "Units are dead" in shown


def readme_table():
    """Return the module that makes the table of times from the results."""
    spec = importlib.util.spec_from_file_location("readme_table", ROOT / "benchmarks" / "readme_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_times_shows_the_results():
    module = readme_table()
    times = module.workloads(module.RESULTS)
    rows = re.findall(r"^\| .* \|$", README, re.MULTILINE)
    header, _, *expected = module.table(times)
    assert rows == [header, *expected]
    for sentence in re.findall(r"The first call also compiles[^|]*?\d s in JAX\.", README):
        assert " ".join(sentence.split()) == module.first_calls(times)


def test_the_table_of_times_shows_the_fastest_form_of_a_peer():
    module = readme_table()
    forms = {
        "vecprop": {"median": 2.0, "first": 1002.0},
        "scikit-learn": {"median": 30.0, "first": 30.0},
        "PyTorch, eager": {"median": 500.0, "first": 500.0},
        "PyTorch, compiled step": {"median": 9.96, "first": 20009.96},
        "JAX, scan": {"median": 5.0, "first": 305.0},
        "JAX, step": {"median": 4.0, "first": 704.0},
    }
    (row,) = module.table({"a network": forms})[2:]
    assert row == "| a network | 2.0 | 30 (15) | 10 (5.0), compiled step | 4.0 (2.0), step |"
    slower = forms | {"JAX, step": {"median": 4.0, "first": 1604.0}}
    times = "1.0 to 1.0 s in vecprop, 20 to 20 s in PyTorch and 0.7 to 1.6 s in JAX"
    assert module.first_calls({"a": forms, "b": slower}) == f"The first call also compiles, which takes {times}."


@pytest.mark.parametrize("page", sorted((ROOT / "benchmarks" / "results").glob("*.md")), ids=lambda page: page.stem)
def test_figures_say_when_and_on_what_they_were_measured(page):
    text = page.read_text(encoding="utf-8")
    assert re.search(r"^- date: 20\d\d-\d\d-\d\d$", text, re.MULTILINE)
    if page.stem != "mutations":  # which counts what any machine finds
        assert re.search(r"^- processor: .+\n- cores: \d+$", text, re.MULTILINE)


def test_the_commands_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^make ([\w-]+)", README, re.MULTILINE)
    assert commands == ["demo", "test"]
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)


def test_links_and_folders_exist():
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        links = re.findall(r"""(?:\]\(|src="|srcset=")((?!https?:)[^)#"]+)[)#"]""", text)
        for target in links + re.findall(r"`((?:src|tests)/[\w/.]*)`", text):
            assert (ROOT / target).exists(), f"{page} names {target}"

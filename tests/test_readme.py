"""The README is true to the letter."""

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


def test_figures_are_those_measured():
    """Each row of the table of times is one of the benchmarks' pages, rounded."""
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| .* \|$", README, re.MULTILINE)]
    (_, *peers), *rows = rows
    measured = {}
    for page, kind in (("engine", " | momentum | float32"), ("populations", "")):
        text = (ROOT / "benchmarks" / "results" / f"{page}.md").read_text(encoding="utf-8")
        for name, peer, time in re.findall(
            rf"^\| ([^|]+?){re.escape(kind)} \| ([\w -]+) \| ([\d.]+) \|", text, re.MULTILINE
        ):
            measured[name.removeprefix("seed "), peer] = float(time) * (1000 if page == "populations" else 1)
    other = {"scikit-learn": "GridSearchCV", "PyTorch": "skorch", "JAX": "JAX vmap"}
    for name, *cells in rows:
        work = name.split(",")[0] if not name.startswith("a search") else "20 settings x 5 folds"
        ours = measured[work, "vecprop"]
        for peer, cell in zip(peers, cells, strict=True):
            theirs = measured[work, other.get(peer, peer) if work.startswith("20") else peer]
            time, *times = (float(part.replace(",", "")) for part in re.findall(r"[\d.,]+", cell))
            assert time == pytest.approx(theirs, rel=0.03), (name, peer)
            assert times == ([] if peer == "vecprop" else [pytest.approx(theirs / ours, rel=0.05)]), (name, peer)


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

"""The README is true to the letter."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def output_of(program, capsys, names):
    """Run a program as if it were pasted into Python, and return what it prints."""
    exec(program, names)
    return capsys.readouterr().out


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_each_program_runs_alone_in_an_empty_folder(
    number, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert output_of(PROGRAMS[number], capsys, {})
    assert not list(tmp_path.iterdir())


def test_the_programs_run_in_order_and_print_what_the_text_says(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = {}
    table, network, check, ten_lines = (
        output_of(program, capsys, names) for program in PROGRAMS
    )
    assert len(table.splitlines()) > 5
    assert float(network) > 0.95
    assert "No gradient errors found" in check
    assert "No gradient errors found" in ten_lines
    assert "right: 1.0" in ten_lines
    assert len([line for line in PROGRAMS[-1].splitlines() if line.strip()]) <= 10


def test_the_commands_of_an_installation_need_no_package_index():
    commands = re.findall(r"(?m)^pip install (.*?) *(?:#.*)?$", README)
    assert commands == ['".[all]"']


def test_scikit_learns_networks_have_one_import_changed(capsys):
    text = (ROOT / "docs" / "estimators.md").read_text(encoding="utf-8")
    (program,) = (
        code
        for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        if "class_weight" in code
    )
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
    spec = importlib.util.spec_from_file_location(
        "readme_table", ROOT / "benchmarks" / "readme_table.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_times_shows_the_results():
    module = readme_table()
    times = module.workloads(module.RESULTS)
    rows = re.findall(r"^\| .* \|$", README, re.MULTILINE)
    header, _, *expected = module.table(times)
    assert rows == [header, *expected]
    assert module.first_calls(times) in " ".join(README.split())


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
    assert (
        row
        == "| a network | 2.0 | 30 (15) | 10 (5.0), compiled step | 4.0 (2.0), step |"
    )
    slower = forms | {"JAX, step": {"median": 4.0, "first": 1604.0}}
    times = ("1.0 to 1.0 s in vecprop", "20 to 20 s in PyTorch", "0.7 to 1.6 s in JAX")
    expected = " ".join(f"Compilation takes {seconds}." for seconds in times)
    assert module.first_calls({"a": forms, "b": slower}) == expected


@pytest.mark.parametrize(
    "page",
    sorted((ROOT / "benchmarks" / "results").glob("*.md")),
    ids=lambda page: page.stem,
)
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
        links = re.findall(
            r"""(?:\]\(|src="|srcset=")((?!https?:)[^)#"]+)[)#"]""", text
        )
        for target in links + re.findall(r"`((?:src|tests)/[\w/.]*)`", text):
            assert (ROOT / target).exists(), f"{page} names {target}"

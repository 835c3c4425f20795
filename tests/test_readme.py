"""The README is true to the letter."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def number_after(words, shown):
    """Return the number that is printed after some words."""
    found = re.search(rf"{re.escape(words)}([\d.]+)", shown)
    assert found, shown
    return float(found[1])


def test_the_first_network_runs_and_is_right(capsys):
    program = PROGRAMS[0]
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    exec(program, {})
    shown = capsys.readouterr().out
    assert "No gradient errors found" in shown
    assert "right: 1.0" in shown


def test_the_wrong_gradient_is_named(capsys):
    exec(PROGRAMS[1], {})
    shown = capsys.readouterr().out
    assert "FAIL" in shown
    assert "the gradient given is 50 times what it should be" in shown


def test_scikit_learns_networks_have_one_import_changed(capsys):
    exec(PROGRAMS[2], {})
    shown = capsys.readouterr().out
    assert number_after("right: ", shown) > 0.95
    assert "Inputs are unscaled" in shown
    assert "'worst area'" in shown
    assert "Units are dead" in shown


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_many_networks_at_once(capsys):
    exec(PROGRAMS[3], {})
    shown = capsys.readouterr().out
    assert number_after("} ", shown) > 0.96
    assert number_after("left out: ", shown) > 0.95
    exec(PROGRAMS[4], {})
    assert float(capsys.readouterr().out) < 0.02


def test_the_commands_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^make ([\w-]+)", README, re.MULTILINE)
    assert commands == ["demo", "test"]
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)


def test_links_and_folders_exist():
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", text) + re.findall(r"`((?:src|tests)/[\w/.]*)`", text):
            assert (ROOT / target).exists(), f"{page} names {target}"


@pytest.mark.long
def test_wheel_and_sdist_build_and_install(tmp_path):
    subprocess.run([sys.executable, "-m", "build", "--outdir", tmp_path / "dist", ROOT], check=True)
    wheel, sdist = (next((tmp_path / "dist").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    for package in (wheel, sdist):
        target = tmp_path / package.suffix
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, package]
        subprocess.run(pip, check=True)
        assert (target / "vecprop" / "py.typed").exists()
        assert (target / "vecprop" / "app" / "pages" / "report.html").exists()
        code = "import vecprop; print(vecprop.__version__, vecprop.__file__)"
        shown = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(target)}, cwd=tmp_path, check=True, capture_output=True
        ).stdout.decode()
        assert str(target) in shown

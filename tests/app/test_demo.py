"""Test the command ``vecprop demo``."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import vecprop as vp

COMMAND = [sys.executable, "-c", "from vecprop.app import main; main()"]
PICTURES = {
    "boundary.png",
    "classes.png",
    "gradients.png",
    "hidden.png",
    "loss.png",
    "momentum.png",
    "starts.png",
}
DARK = {name.replace(".png", "-dark.png") for name in PICTURES}


@pytest.mark.long
def test_the_demo_writes_a_page_with_plots(tmp_path):
    out = tmp_path / "a folder"
    done = subprocess.run(
        [*COMMAND, "demo", "--out", out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "X (100, 2), T (100, 2)" in done.stdout
    assert "No gradient errors found" in done.stdout
    assert "loss 69.474040 to 0.380753, 100 of 100 points correct" in done.stdout
    assert re.search(r"  momentum, 300 steps: 1\d\d of 200 starts", done.stdout)
    assert "momentum" in done.stderr  # the progress bar
    for package in ("Python 3", "numpy", "matplotlib", "scikit-learn"):
        assert package in done.stdout
    assert {path.name for path in out.iterdir()} == PICTURES | DARK | {"index.html"}
    assert str(out / "index.html") in done.stdout
    for picture in PICTURES | DARK:
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
        assert (out / picture).stat().st_size > 5000
    page = (out / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<img src="(.+?)" alt="[^"]', page)) == PICTURES
    assert set(re.findall(r'<source srcset="(.+?)"', page)) == DARK
    assert page.count("<img") == len(PICTURES)
    assert page.count("<math") > 10
    assert "69.474040" in page
    assert "0.380753" in page
    for left_over in ("$", r"\(", r"\[", r"\delta"):
        assert left_over not in page


def test_another_seed_gives_other_results(vecprop, at_step, limit):
    limit("demo: starts", 3)
    limit("demo: starts with patience", 2)
    at_step("drawing the demo", lambda: None)
    done = vecprop("demo", "--out", "there", "--seed", 3)
    assert "100 of 100 points correct" in done.stdout
    assert "69.474040" not in done.stdout


def test_an_unwritable_folder_gives_one_sentence_and_the_version_is_shown(vecprop):
    Path("taken").write_text("a file")
    done = vecprop("demo", "--out", "taken", code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("Cannot write to ")
    assert "--out" in done.stderr
    assert done.stderr.count("\n") == 1
    assert vecprop("--version").stdout == f"vecprop {vp.__version__}\n"


def test_missing_extras_give_one_sentence():
    code = (
        "import sys; sys.modules['typer'] = None; from vecprop.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr

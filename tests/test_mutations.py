"""The campaign of mutations changes what it says, and sees what tests notice."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
mutations = pytest.importorskip(
    "mutations", reason="the benchmarks are not in the source distribution"
)
FOLDERS, ROOT, SEED, changes, drawn = (
    getattr(mutations, n) for n in ("FOLDERS", "ROOT", "SEED", "changes", "drawn")
)
ACTIVATIONS = ROOT / "src" / "vecprop" / "core" / "activations.py"


@pytest.mark.parametrize(
    "folder",
    [
        folder if folder == "optimize" else pytest.param(folder, marks=pytest.mark.long)
        for folder in FOLDERS
    ],
)
def test_every_change_is_one_that_python_reads(folder):
    some = drawn(folder, 40, SEED)
    assert some == drawn(folder, 40, SEED)
    for change in some:
        source = (ROOT / change.file).read_text(encoding="utf-8")
        changed = change.applied(source)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source)), change.key


def test_what_is_changed():
    """Operators, signs, constants and conditions, but no annotation, text or error message."""
    found = {(change.old, change.new) for change in changes(ACTIVATIONS)}
    assert ("1 - y * y", "(1 + y * y)") in found
    assert ("-absolute(z)", "(absolute(z))") in found
    assert not any(
        old.lstrip("f")[0] == '"' or "needs" in old or "Array" in old
        for old, _ in found
    )


@pytest.mark.long
def test_a_wrong_slope_is_noticed_and_no_change_is_not(tmp_path):
    copy = mutations.Copy(tmp_path)
    wrong = next(change for change in changes(ACTIVATIONS) if change.old == "1 - y * y")
    assert "test_" in copy.failed(wrong, "core")
    assert copy.failed(replace(wrong, new="(1 - y * y)"), "optimize") == ""
    assert copy.failed_unchanged("optimize") == ""
    (tmp_path / wrong.file).write_text("broken =")
    assert copy.failed_unchanged("core")

"""The code does not become harder to read: its figures only fall."""

import ast
import io
import tokenize
import tomllib
from pathlib import Path

import pytest

import density

LIMITS = tomllib.loads(Path(__file__).with_name("density.toml").read_text("utf-8"))

TOKENS = """
x = 1.5e-3 + 0xFF - 1_000 * .5j ** 2 // 3  # 'a comment'
x //= 2; y: int = x if x != 3 else ...; z = lambda *a, **k: a[1:2] @ {"a#": b'b'}
def f(a, /) -> None: return (a := r"\\" "it's", '"')
"""

CODE = '''
"""A module."""

def first(rows, own):
    """Return a number."""
    width, height = rows[0], own
    a, b = rows, own
    scale = [row for row in rows if row and own]
    return max(width, height, a, b, key=lambda value: value) if scale else 0
'''


TESTS = """
import vecprop as vp
import vecprop.core.layers
from vecprop import Network, catalog, tables
from vecprop.tables import TableError, table_model
from vecprop.files.onnx import register

monkeypatch.setattr("vecprop.train.run.SECONDS", 1)
monkeypatch.setenv("VECPROP_ENGINE", "reference")
patch.delitem(records, "name")
setattr(vp, "name", 1)
"""


def test_figures_do_not_rise():
    figures: dict[str, float] = density.density([density.SOURCE])
    figures |= density.density_of_tests(density.TESTS)
    risen = {name: figure for name, figure in figures.items() if figure > LIMITS[name]}
    assert risen == {}


def test_figures_count_constructs(tmp_path):
    (tmp_path / "module.py").write_text(CODE)
    figures = density.density([tmp_path])
    # A docstring of the module, the function, its docstring, three assignments, return.
    statements = 7
    assert figures["conditional expressions"] == pytest.approx(1000 / statements)
    assert figures["comprehensions"] == pytest.approx(1000 / statements)
    assert figures["packed assignments"] == pytest.approx(1000 / statements)
    assert figures["and, or"] == pytest.approx(1000 / statements)
    assert figures["lambdas"] == pytest.approx(1000 / statements)
    # rows, own, width, height, a, b, scale, row, value
    assert figures["vague names"] == pytest.approx(100 / 9)
    assert figures["calls with more than 3 positional arguments"] == 1
    assert figures["functions of more than 60 lines"] == 0
    assert figures["tokens"] == 60


def test_long_functions_are_counted_without_docstrings(tmp_path):
    long = "def long():\n    '''Return.\n\n    More.\n    '''\n" + "    x = 1\n" * 60
    short = "def short():\n    '''Return.\n\n    More.\n    '''\n" + "    x = 1\n" * 59
    (tmp_path / "module.py").write_text(long + short)
    assert density.density([tmp_path])["functions of more than 60 lines"] == 1


def test_internals_that_tests_reach_are_counted(tmp_path):
    tree = ast.parse(TESTS)
    internal_names = filter(density.is_internal, density.imported_names(tree))
    assert sorted(internal_names) == [
        "vecprop.catalog",
        "vecprop.core.layers",
        "vecprop.tables.table_model",
        "vecprop.train.run.SECONDS",
    ]
    (tmp_path / "test_module.py").write_text(TESTS)
    (tmp_path / "test_public.py").write_text("import vecprop\n")
    assert density.density_of_tests(tmp_path) == {
        "test files that import internals": 1,
        "monkeypatches": 2,
    }


def test_tokens_are_those_of_python():
    text = Path(__file__).read_text("utf-8") + CODE + TOKENS
    kinds = {tokenize.NAME, tokenize.NUMBER, tokenize.OP}
    readline = io.StringIO(text).readline
    expected = sum(token.type in kinds for token in tokenize.generate_tokens(readline))
    assert density.tokens(text) == expected

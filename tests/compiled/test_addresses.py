"""An address holds no reference to its array, so a name must refer to the array until the kernel returns."""

import ast
from pathlib import Path

import pytest

import vecprop

SOURCE = Path(vecprop.__file__).parent


def addresses_without_arrays(text):
    """Yield the lines that take the address of an array that only an expression or a generator refers to."""
    for node in ast.walk(ast.parse(text)):
        array = None
        if isinstance(node, ast.Attribute) and node.attr == "ctypes":
            array = node.value
        elif (
            isinstance(node, ast.Call) and ast.unparse(node.func) == "address_of_array"
        ):
            array = node.args[0]
        elif isinstance(node, ast.GeneratorExp) and "ctypes" in ast.unparse(node.elt):
            array = node
        if isinstance(array, (ast.Call, ast.BinOp, ast.GeneratorExp)):
            yield array.lineno


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("f(np.array([1]).ctypes.data)", [1]),
        ("f(address_of_array(np.zeros(3)))", [1]),
        ("x = 1\nf(*(a.ctypes.data for a in (np.zeros(3), b)))", [2]),
        (
            (
                "a = np.zeros(3)\nf(a.ctypes.data, address_of_array(a),"
                " rows[2].ctypes.data)"
            ),
            [],
        ),
    ],
)
def test_lines_with_temporary_arrays(text, lines):
    assert list(addresses_without_arrays(text)) == lines


def test_no_address_of_a_temporary_array_is_taken():
    found = [
        f"{file.relative_to(SOURCE)}:{line}"
        for file in sorted(SOURCE.rglob("*.py"))
        for line in addresses_without_arrays(file.read_text(encoding="utf-8"))
    ]
    assert found == []

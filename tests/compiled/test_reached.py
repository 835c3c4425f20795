"""A kernel is cached under a digest of the code that it references, so other edits do not cause recompilation."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit, types

import vecprop as vp
from vecprop.compiled.jit.cache import digest

PACKAGE = Path(vp.__file__).parent

NAMES = """
from vecprop.compiled.jit.machine_code import Kernel
compiled = Kernel.address
Kernel.address = lambda kernel: print(kernel.name) or (compiled(kernel) if "trial" in kernel.name else 1)
from vecprop.compiled.warm_up import kernels
for name, address in kernels():
    if "float32" in name:
        address()
"""

LIVE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np, vecprop as vp
from pathlib import Path
from test_reached import reworded
from vecprop.compiled.lower.loops import derivative_address
file = Path(vp.core.activations.__file__)
file.write_text(reworded(file.read_text()))
derivative_address(vp.LeakyReLU(), np.float64)
file.write_text(file.read_text().replace("return y * (1 - y)", "return y * (1 - y) * 2"))
try:
    derivative_address(vp.Logistic(), np.float64)
except RuntimeError as error:
    print(error)
"""


def reworded(source):
    """Return a source with different comments, docstrings and line numbers."""
    source = re.sub(
        r'^( *)"""(?=\w)', r'\1"""In other words: ', source, flags=re.MULTILINE
    )
    return "# A comment.\n\n\n" + re.sub(
        r"^( +)(return .*)$", r"\1# a comment\n\1\2", source, flags=re.MULTILINE
    )


def started(package, code):
    variables = {**os.environ, "PYTHONPATH": str(package.parent)}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE, text=True
    )


def lines_of(process):
    output, _ = process.communicate()
    assert process.returncode == 0
    return output.splitlines()


@pytest.mark.long
def test_only_referenced_code_affects_the_name_of_a_kernel(tmp_path):
    """A session continues after an edit of comments in imported code, but not after an edit of a formula."""
    other = Path(
        shutil.copytree(
            PACKAGE, tmp_path / "vecprop", ignore=shutil.ignore_patterns("__pycache__")
        )
    )
    for part in ("core", "optimize", "compiled"):
        for file in (other / part).rglob("*.py"):
            file.write_text(reworded(file.read_text()))
    file = other / "core" / "activations.py"
    # the derivative of the logistic
    assert file.read_text().count("return y * (1 - y)") == 1
    file.write_text(
        file.read_text().replace("return y * (1 - y)", "return y * (1 - y) * 2")
    )
    names, (*of_other, name, error) = map(
        lines_of, [started(PACKAGE, NAMES), started(other, NAMES + LIVE)]
    )
    assert len(names) == len(set(names)) == len(of_other) > 50
    changed = {name.split("-")[0] for name in set(of_other) - set(names)}
    assert changed == {"loops._derivative_float32_Logistic"}
    assert name.startswith("loops._derivative_float64_LeakyReLU-")
    assert (
        error
        == f"Logistic.derivative in {file} has changed since it was imported: restart"
        " Python."
    )


def function(source, **names):
    made = {}
    exec(source, {"np": np, **names}, made)
    return made["f"]


@njit
def helper(x):
    return x + 1


@njit
def other_helper(x):
    return x + 2


PLAIN = "def f(x):\n    return helper(x) * 2.0"


@pytest.mark.parametrize(
    "same",
    [
        function(
            'def f(x):\n    """Say something."""\n    # and more\n    return helper(x)'
            " * 2.0",
            helper=helper,
        ),
        function(
            "def f(x: float) -> float:\n\n    return helper(x) * 2.0", helper=helper
        ),
        function(PLAIN, helper=helper, another=3),
    ],
)
def test_equivalent_code_has_the_same_digest(same):
    plain = function(PLAIN, helper=helper)
    assert digest(same) == digest(plain)


@pytest.mark.parametrize(
    "other",
    [
        function("def f(x):\n    return helper(x) * 3.0", helper=helper),
        function("def f(x):\n    return helper(x) / 2.0", helper=helper),
        function("def f(x):\n    return helper(x) * 2", helper=helper),
        function("def f(x, y=1):\n    return helper(x) * 2.0", helper=helper),
        function(PLAIN, helper=other_helper),
        function(PLAIN, helper=njit(fastmath=True)(helper.py_func)),
        function(PLAIN, helper=helper.py_func),
    ],
)
def test_different_code_has_a_different_digest(other):
    assert digest(other) != digest(function(PLAIN, helper=helper))


def test_different_values_have_different_digests():
    values = [
        1,
        1.0,
        True,
        "1",
        np.float32(1),
        np.int64(1),
        (1,),
        [1],
        None,
        np.float32,
        types.float32,
        np.ones(1),
    ]
    values += [
        np.ones(2),
        np.zeros(1),
        -0.0,
        0.0,
        {1: 2},
        {1: 3},
        frozenset([1]),
        (1, (2,)),
        (1, 2),
    ]
    values += [helper, other_helper]
    assert len({digest(value) for value in values}) == len(values)


def test_functions_that_call_each_other():
    names = {}
    exec(
        "def f(x):\n    return g(x - 1) if x else 0\n\ndef g(x):\n    return f(x) + 1",
        names,
    )
    assert digest(names["f"]) != digest(names["g"])


def test_values_of_unknown_types_are_refused():
    with pytest.raises(TypeError, match="whose contents cannot be hashed"):
        digest(function("def f(x):\n    return thing", thing=object()))

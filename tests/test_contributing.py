"""CONTRIBUTING.md is true: what it names exists, and a part that is added as it says works everywhere."""

import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import get_args

import pytest

import registry
import vecprop as vp
from vecprop import catalog, pictures
from vecprop.compiled.lower.row_loops import LOOPS
from vecprop.core.scores import SCORES, Score

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "vecprop"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in row.split("|")[1:-1]]
    for row in re.findall(r"^\|.*\|$", TEXT, re.MULTILINE)[2:]
]
NAME = re.compile(r"`(\w+)(?:\([^)]*\))?`")


def module_of(path):
    return import_module("vecprop." + path.removesuffix(".py").replace("/", "."))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_of_the_table(row):
    """The file holds the base and parts of the list; the list holds parts of that base alone; tests have them all."""
    _, file, in_catalog, in_registry, task = row
    (path,), (listed,), (tested,) = (
        re.findall(r"`([^`]+)`", cell) for cell in (file, in_catalog, in_registry)
    )
    module, (base, *methods) = module_of(path), NAME.findall(task)
    classes = [part.cls for part in getattr(catalog, listed)]
    base = getattr(vp.extend, base)
    assert any(cls.__module__ == module.__name__ for cls in classes)
    assert base.__module__ == module.__name__ or (
        base is vp.extend.Activation and path == "core/activations.py"
    )
    bases = (
        base,
        *(getattr(vp.extend, name) for name in methods if hasattr(vp.extend, name)),
    )
    assert all(issubclass(cls, bases) for cls in classes if cls is not vp.LBFGS)
    for method in methods:
        assert hasattr(vp.extend, method) or any(
            hasattr(each, method) for each in bases
        ), method
    instances = {type(part) for part in getattr(registry, tested)} | {vp.LBFGS}
    assert {part.cls for part in getattr(catalog, listed) if part.savable} <= instances


def test_there_is_a_row_for_each_list_of_the_catalog():
    lists = [
        name
        for name, value in vars(catalog).items()
        if name.isupper() and isinstance(value, tuple)
    ]
    assert {row[2].strip("`") for row in ROWS} == {*lists} - {"PARTS", "JOINTS"}


def test_every_file_that_it_names_is_there():
    paths = {
        name
        for name in re.findall(r"`([\w./]+)`", TEXT)
        if "/" in name or name.endswith((".py", ".pyi", ".toml"))
    }
    assert len(paths) > 12
    # which a source distribution does without
    paths = {path for path in paths if not path.startswith("benchmarks/")}
    missing = [
        path
        for path in paths
        if not any((folder / path).exists() for folder in (ROOT, PACKAGE))
    ]
    assert missing == []


def test_its_commands_are_there_after_make_test():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    installed = {
        requirement.partition(">=")[0]
        for requirement in settings["optional-dependencies"]["dev"]
    }
    commands = set(re.findall(r"\.venv/bin/([\w-]+)", TEXT))
    assert "pre-commit" in commands
    assert commands <= installed


def test_scores_and_pictures_are_where_it_says():
    assert all(
        SCORES[name].__module__ == "vecprop.core.scores" for name in get_args(Score)
    )
    assert set(LOOPS) <= set(SCORES)
    files = {
        getattr(pictures, name).__module__.rpartition(".")[2]
        for name in pictures.__all__
    }
    assert {f"{file}.py" for file in files} < {
        path.name for path in (PACKAGE / "pictures").iterdir()
    }
    for name in pictures.__all__:
        parameters = inspect.signature(getattr(pictures, name)).parameters
        assert name.endswith("_each") or parameters["ax"].default is None, name


def test_its_floors_and_rooms_are_those_of_the_import_contracts():
    drawn = re.search(r"```\n(__main__ .*?)```", TEXT, re.DOTALL)
    assert drawn is not None
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "tool"
    ]["importlinter"]
    whole, *parts = settings["contracts"]
    lines = [line[:22] for line in drawn[1].splitlines()]
    assert [line.split() for line in lines if not line.startswith(" ")] == [
        row.split(" | ") for row in whole["layers"]
    ]
    for contract in parts:
        floor = contract["containers"][0].rpartition(".")[2]
        names = " ".join(contract["layers"]).replace(" | ", " ").split()
        start = [line.split() for line in lines].index([floor]) + 1
        shown = " ".join(
            takewhile(lambda line: line.startswith(" "), lines[start:])
        ).split()
        assert shown == [name for name in names if (PACKAGE / floor / name).is_dir()], (
            floor
        )


MISH = {
    "src/vecprop/core/activations.py": [("@dataclass(frozen=True)\nclass Softplus(", '''@dataclass(frozen=True)
class Mish(Activation):
    """Mish, y = z tanh(softplus(z)) (Misra, 2019)."""

    def value(self, z: Array) -> Array:
        """Return z tanh(softplus(z))."""
        return z * tanh(softplus(z))

    def derivative(self, z: Array, y: Array) -> Array:
        """Return t + z (1 - t²) logistic(z) with t = tanh(softplus(z))."""
        t = tanh(softplus(z))
        return t + z * (1 - t * t) * logistic(z)


''')],
    "src/vecprop/catalog.py": [
        ("    ReLU,\n", "    Mish,\n"), ("    Part(Softplus,", '    Part(Mish, "mish", kernel=True),\n'),
    ],
    "src/vecprop/__init__.pyi": [
        ("from .core.activations import ReLU", "from .core.activations import Mish as Mish\n")
    ],
    "tests/registry.py": [("    vp.Softplus(),\n", "    vp.Mish(),\n")],
    "docs/reference.md": [("   Softplus\n", "   Mish\n")],
}  # fmt: skip
"""For each file that a new part touches, where its text is inserted, and the text."""


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the source tree, and a function that runs a program in it."""
    for folder in ("src", "tests", "docs"):
        built = shutil.ignore_patterns(
            "__pycache__", "reference", "pictured", "measured"
        )
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=built)
    for file in ("conftest.py", "pyproject.toml", "CONTRIBUTING.md", "README.md"):
        shutil.copy(ROOT / file, tmp_path)
    settings = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "src"),
        "VECPROP_CACHE_DIR": str(tmp_path / "kernels"),
    }

    def run(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout

    return tmp_path, run


def insert(path, before, text):
    whole = path.read_text(encoding="utf-8")
    assert whole.count(before) == 1, before
    path.write_text(whole.replace(before, text + before), encoding="utf-8")


PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
USES = """
import warnings
warnings.simplefilter("error")  # as a notice of the reference engine would be
import numpy as np, vecprop as vp, onnxruntime
assert vp.__file__.startswith({folder!r})
assert "mish" in vp.MLPClassifier.__doc__
X = np.random.default_rng(0).normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int)
model = vp.MLPClassifier((4,), "mish", tol=10.0, n_iter_no_change=1, random_state=0).fit(X, y)
assert type(model.network_.layers[1]) is vp.Mish
expected = model.predict_proba(X)
vp.save(model, "model.vecprop")
np.testing.assert_array_equal(vp.load("model.vecprop").predict_proba(X), expected)
exec(vp.export.to_numpy(model), source := {{}})
np.testing.assert_allclose(source["predict_proba"](X), expected, rtol=1e-9)
graph = vp.export.to_onnx(model, dtype=np.float64).SerializeToString()
session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
np.testing.assert_allclose(session.run(["probabilities"], {{"X": X}})[0], expected, rtol=1e-6)
print("done")
"""
COMPILED = ("elementary_and_formulas", "compiled_network", "compiled_training", "cache")
GO_THROUGH = [
    "core",
    "files",
    "check/test_check_networks.py",
    "test_contributing.py",
    "test_catalog.py",
    "test_public_names.py",
]
GO_THROUGH += [f"compiled/test_{name}.py" for name in COMPILED]


@pytest.mark.long
def test_the_first_change_fails_as_it_says(copy):
    folder, run = copy
    patterns = r"in `(src/[\w/.]+)`, let", r"be `(1 - .*?)`", r'-k "(.*?)"'
    (path,), (formula,), (test,) = (re.findall(pattern, TEXT) for pattern in patterns)
    whole = (folder / path).read_text(encoding="utf-8")
    right = '"""Return logistic(z)."""\n        return '
    assert whole.count(f"{right}logistic(z)") == 1
    (folder / path).write_text(
        whole.replace(f"{right}logistic(z)", f"{right}{formula}"), encoding="utf-8"
    )
    with pytest.raises(AssertionError, match="ACTUAL"):
        run(*PYTEST, "tests/core", "-k", test)


@pytest.mark.long
def test_an_activation_added_as_described_works_everywhere(copy):
    folder, run = copy
    for path, edits in MISH.items():
        for edit in edits:
            insert(folder / path, *edit)
    assert run("-c", USES.format(folder=str(folder))).endswith("done\n")
    every = ["-m", "not long", *(f"tests/{path}" for path in GO_THROUGH)]
    run(
        *PYTEST,
        "-k",
        "Mish or catalog or contributing or kernels or public_names",
        *every,
    )
    listed = run(*PYTEST, "--collect-only", "-k", "Mish", *every[2:])
    for name in (
        "gradients",
        "elementary_and_formulas",
        "compiled_training",
        "exports",
        "model_file",
    ):
        assert f"test_{name}.py: " in listed

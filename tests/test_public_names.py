"""What tab completion shows on a public object is documented in the reference."""

import ast
import importlib
import inspect
import re
import textwrap
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

import vecprop as vp

REFERENCE = (Path(__file__).parent.parent / "docs" / "reference.md").read_text(
    encoding="utf-8"
)


def names_of_the_reference():
    """Yield the full names that the reference lists."""
    module = ""
    for line in REFERENCE.splitlines():
        if found := re.match(r"\.\. currentmodule:: (.+)", line):
            module = found[1]
        elif found := re.match(r"   ([\w.]+)$", line):
            yield f"{module}.{found[1]}"


def objects_of_the_reference():
    for name in names_of_the_reference():
        module, _, last = name.rpartition(".")
        yield name, getattr(importlib.import_module(module), last)


CLASSES = {
    name: value for name, value in objects_of_the_reference() if inspect.isclass(value)
}


def is_ours(value):
    return getattr(value, "__module__", "").startswith("vecprop")


def assigned_attributes(cls):
    """Return the attributes that the methods of a class assign."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    nodes = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    )
    return {
        node.attr
        for node in nodes
        if isinstance(node.value, ast.Name) and node.value.id == "self"
    }


def public_names(cls):
    """Return the names without an underscore that vecprop's classes define, and whether each is a method."""
    names = {}
    for base in filter(is_ours, reversed(cls.__mro__)):
        fields = {*vars(base).get("__annotations__", ()), *assigned_attributes(base)}
        names |= dict.fromkeys(fields, False)
        names |= {name: is_method(value) for name, value in vars(base).items()}
    return {
        name: value
        for name, value in names.items()
        if not re.match("_|set_[a-z_]+_request$", name)
    }


def is_method(value):
    return inspect.isroutine(value) and not isinstance(value, cached_property)


def documented_fields(cls):
    """Return the names in the sections on parameters and attributes of a class and its bases."""
    names = set()
    for base in filter(is_ours, cls.__mro__):
        text = inspect.cleandoc(vars(base).get("__doc__") or "")
        for block in re.findall(
            r"(?ms)^(?:Parameters|Attributes)\n-+\n(.*?)(?=^[^\n]+\n-+$|\Z)", text
        ):
            for line in re.findall(r"(?m)^([\w*, ]+)(?= :|$)", block):
                names |= {name.strip("* ") for name in line.split(",")}
    return names


METHODS = {
    "Activation": "derivative value",
    "ArrayBlocks": "open read",
    "Blocks": "read",
    "CompiledNetwork": "loss loss_and_gradient predict predictor",
    "DaskBlocks": "place prefetch read",
    "DaskWorkers": "processes run",
    "ElementwiseLoss": "element",
    "Evaluation": "report to_frame",
    "EvaluationOfTargets": "report to_frame",
    "Grade": "hint solution to_dict",
    "Grades": "to_dict",
    "History": "to_frame",
    "Inspection": "check_gradients hidden_activations per_sample_gradients",
    "LBFGS": "minimize",
    "Layer": "backward forward init parameters",
    "Layout": "locate views",
    "LogProbabilities": "predict_log_proba",
    "Loss": "delta exact_targets predict value wrong_targets",
    "MLPClassifier": "predict_proba score",
    "MLPEnsemble": "fit",
    "MLPEnsembleClassifier": "predict predict_proba",
    "MLPEnsembleRegressor": "predict",
    "MLPSearchCV": "fit plot set_callbacks to_frame",
    "MultilayerPerceptron": "diagnose fit initialize partial_fit predict",
    "Network": "backward forward hidden init loss loss_and_gradient predict summary",
    "Optimizer": "init step update",
    "ParquetBlocks": "digest place read",
    "Penalty": "gradient value",
    "RandomKey": "split uniform",
    "Report": "plot raise_if_failed text to_dict to_frame",
    "Schedule": "factor init observe",
    "TableEncoder": "fit get_feature_names_out transform",
    "TableModel": "detect_drift explain fit predict refit",
    "TabularClassifier": "predict_proba score",
    "TabularRegressor": "predict_interval score",
    "Trace": "row step to_frame to_html to_latex",
    "TrainingResult": "plot to_frame",
    "TrainingResults": "plot to_frame",
    "Worksheet": "grade to_dict",
}
"""The public methods by the class that introduces them. The reference prints their
docstrings.
"""


def methods_of_the_reference(cls):
    return {
        name for base in cls.__mro__ for name in METHODS.get(base.__name__, "").split()
    }


@pytest.mark.parametrize("name", CLASSES)
def test_public_names_are_documented(name):
    cls, names = CLASSES[name], public_names(CLASSES[name])
    missing = {
        name for name, is_method in names.items() if not is_method
    } - documented_fields(cls)
    assert not missing, (
        "Document these names under Attributes, or start them with an underscore."
    )
    missing = {
        name for name, is_method in names.items() if is_method
    } - methods_of_the_reference(cls)
    assert not missing, (
        "Document these methods and add them to METHODS, or start them with an"
        " underscore."
    )
    assert all(
        inspect.getdoc(getattr(cls, name))
        for name, is_method in names.items()
        if is_method
    )


def test_the_reference_lists_all_public_names():
    packages = [
        "",
        ".blocks",
        ".check",
        ".cluster",
        ".export",
        ".extend",
        ".pictures",
        ".tables",
    ]
    for module in (
        importlib.import_module(f"vecprop{package}") for package in packages
    ):
        for name in module.__all__:
            value = getattr(module, name)
            assert inspect.ismodule(value) or value in REFERENCED, name


REFERENCED = [value for _, value in objects_of_the_reference()]


@pytest.mark.parametrize(
    "model",
    [vp.MLPClassifier(max_iter=2), vp.TabularClassifier(n_estimators=2, max_iter=2)],
    ids=lambda model: type(model).__name__,
)
def test_a_fit_sets_only_documented_attributes(model):
    model.set_params(random_state=0)
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    with warnings.catch_warnings(action="ignore"):
        model.fit(X, y)
    assert {
        name for name in vars(model) if not name.startswith("_")
    } <= documented_fields(type(model))


def test_tab_completion_shows_few_names():
    model = vp.TabularClassifier()
    usual = {
        name
        for cls in vp.TabularClassifier.__mro__
        if not is_ours(cls)
        for name in dir(cls)
    }
    names = (
        {name for name in dir(model) if not re.match("_|set_", name)}
        - usual
        - {*model.get_params()}
    )
    expected = {
        "detect_drift",
        "explain",
        "fit",
        "plot",
        "predict",
        "predict_proba",
        "refit",
    }
    # Earlier releases of scikit-learn also show attributes of fitted models.
    fitted = {"feature_importances_", "models_", "positive_", "temperature_"}
    assert expected <= names <= expected | fitted

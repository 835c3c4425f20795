"""Test that fits, searches and files work without private names of other libraries."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp

X, y = map(np.asarray, make_classification(60, 4, random_state=0))
FEW = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
LIBRARIES = "sklearn|pandas|pyarrow|scipy|joblib|dask|distributed|onnx|skl2onnx|mlflow"
SEARCH = GridSearchCV.__base__


def private_imports(file):
    """Yield the module and name of each private import from another library."""
    text = file.read_text(encoding="utf-8")
    for node in (
        ast.walk(ast.parse(text))
        if re.search(rf"(from|import) ({LIBRARIES})\b", text)
        else ()
    ):
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(
            node, "level", 0
        ):
            for alias in node.names:
                module = node.module if isinstance(node, ast.ImportFrom) else alias.name
                if re.match(rf"({LIBRARIES})\b", module or "") and re.search(
                    r"(^|\.)_(?!_)", f"{module}.{alias.name}"
                ):
                    yield module, alias.name


SOURCE = Path(vp.__file__).parent
COMPATIBILITY = SOURCE / "estimators" / "sklearn_compat.py"
PRIVATE = [*private_imports(COMPATIBILITY)]


def test_private_names_are_imported_in_one_module():
    files = {file.name for file in SOURCE.rglob("*.py") if [*private_imports(file)]}
    assert files <= {COMPATIBILITY.name}


WITHOUT = """
import builtins, os, sys, warnings
import numpy, numba, pandas, sklearn.metrics, sklearn.model_selection, sklearn.preprocessing
plain, (folder, *hidden) = builtins.__import__, sys.argv[1:]

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    if name == module and private in (fromlist or ()) and (globals or {}).get("__name__", "").startswith("vecprop"):
        raise ImportError(f"no {private}")
    return plain(name, globals, locals, fromlist, level)

def work():
    builtins.__import__ = guarded
    import vecprop as vp
    rows = numpy.random.default_rng(0).normal(size=(60, 4))
    y = numpy.where(rows[:, 0] > 0, "yes", "no")
    few = {"max_iter": 2, "random_state": 0}
    model = vp.MLPClassifier(early_stopping=True, **few).fit(rows, y, numpy.arange(60) + 1.0)
    vp.MLPEnsembleClassifier(vp.MLPClassifier(**few), 2, max_samples=0.5).fit(rows, y)
    scoring = {"scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy"}
    vp.MLPSearchCV(vp.MLPClassifier(**few), {"alpha": [0, 1]}, cv=2, **scoring).fit(rows, y).predict(rows)
    vp.TabularClassifier(n_estimators=2, **few).fit(rows, y).predict(rows)
    for file in ("network.npz", "table.npz"):
        assert numpy.isfinite(vp.load(os.path.join(folder, file)).predict_proba(rows)).all()

warnings.simplefilter("ignore")
for pair in hidden:
    module, private = pair.split(":")
    child = os.fork()
    if not child:
        work()
        print(pair, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each name is hidden in a fork")
def test_fits_searches_and_files_work_without_any_of_them(tmp_path):
    vp.save(vp.MLPClassifier(**FEW).fit(X, y), tmp_path / "network.npz")
    vp.save(
        vp.TabularClassifier(n_estimators=2, **FEW).fit(X, y), tmp_path / "table.npz"
    )
    names = [f"{module}:{name}" for module, name in PRIVATE]
    assert len(names) > 5
    environment = os.environ | {"VECPROP_ENGINE": "reference"}
    command = [sys.executable, "-c", WITHOUT, tmp_path, *names]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == names, done.stderr


def search(**settings):
    found = vp.MLPSearchCV(
        vp.MLPClassifier(**FEW),
        {"alpha": [0.0, 1.0, -1.0]},
        cv=2,
        refit=False,
        **settings,
    )
    return found.fit(X, y, sample_weight=np.ones(60)).cv_results_


@pytest.mark.filterwarnings(
    "ignore:One or more of the", "ignore::sklearn.exceptions.FitFailedWarning"
)
@pytest.mark.parametrize("scoring", [None, ["accuracy", "neg_log_loss"]])
def test_a_search_without_scikit_learns_methods_has_the_same_scores_and_ranks(
    monkeypatch, scoring
):
    expected = search(scoring=scoring)
    for name in ("_format_results", "_get_routed_params_for_fit"):
        monkeypatch.delattr(SEARCH, name)
    found = search(scoring=scoring)
    assert {
        "params",
        "rank_test_score" if scoring is None else "rank_test_accuracy",
    } < found.keys()
    for name, column in found.items():
        np.testing.assert_array_equal(column, expected[name])


def test_files_without_scikit_learns_check_of_settings(monkeypatch, tmp_path):
    model = make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)).fit(X, y)
    vp.save(model, tmp_path / "model.npz")
    monkeypatch.delattr(BaseEstimator, "_validate_params")
    np.testing.assert_array_equal(
        vp.load(tmp_path / "model.npz").predict(X), model.predict(X)
    )


def test_numpy_source_needs_the_columns_of_each_transformer():
    columns = make_column_transformer((StandardScaler(), [0, 1]))
    model = make_pipeline(columns, vp.MLPClassifier(**FEW)).fit(X, y)
    names: dict[str, Any] = {}
    exec(vp.export.to_numpy(model), names)
    np.testing.assert_allclose(names["predict_proba"](X), model.predict_proba(X))
    del columns._transformer_to_input_indices
    with pytest.raises(ValueError, match="install another"):
        vp.export.to_numpy(model)

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
from joblib import wrap_non_picklable_objects

import vecprop as vp


def test_all_public_names_exist_and_are_documented():
    packages = (vp, vp.blocks, vp.cluster, vp.export, vp.extend, vp.tables)
    for name, documented in [
        (name, getattr(package, name))
        for package in packages
        for name in package.__all__
    ]:
        assert documented.__doc__, name
        assert not documented.__doc__.startswith(f"{name}("), (
            f"{name} has no docstring of its own"
        )
        assert "np.ndarray" not in documented.__doc__, name


def test_second_names_are_the_same_classes():
    assert vp.SGD is vp.GradientDescent
    assert vp.Sigmoid is vp.Logistic
    assert (
        repr(vp.Network(2, [vp.Sigmoid()], vp.SquaredError()).layers) == "(Logistic(),)"
    )


def test_imports_are_light():
    heavy = {
        "scipy",
        "sklearn",
        "matplotlib",
        "pandas",
        "rich",
        "typer",
        "torch",
        "jax",
    }
    code = f"""import sys, vecprop
print(sorted({heavy | {"array_api_compat"}} & set(sys.modules)))
import vecprop.check
print(sorted({heavy | {"vecprop.pictures"}} & set(sys.modules)))"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n[]\n"


@pytest.mark.long
def test_an_estimator_is_imported_without_what_only_some_fits_need():
    code = "import sys; from vecprop import MLPClassifier; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    rare = (
        "pictures check compiled tables estimators.many estimators.diagnosis"
        " train.population train.progress"
    )
    assert not {"numba", *(f"vecprop.{name}" for name in rare.split())} & {
        *done.stdout.split()
    }


def test_functions_that_use_the_module_go_to_other_processes():
    # whose functions joblib sends with all that they use
    program: dict[str, Any] = {"__name__": "__main__"}
    exec(
        "import vecprop as vp\ndef width(outputs):\n    return"
        " vp.Dense(outputs).outputs",
        program,
    )
    assert (
        pickle.loads(pickle.dumps(wrap_non_picklable_objects(program["width"])))(3) == 3
    )


def test_submodules_and_the_module_itself():
    assert vp.learn.tutorial.nn.__name__ == "nn"
    assert callable(vp.pictures.plot_loss)
    done = subprocess.run(
        [sys.executable, "-m", "vecprop", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"vecprop {vp.__version__}\n"


@pytest.mark.long
def test_editors_complete_the_names_without_running_anything():
    jedi = pytest.importorskip("jedi")
    project = jedi.Project(
        Path(vp.__file__).parent, added_sys_path=[str(Path(vp.__file__).parents[1])]
    )

    def completed(code):
        script = jedi.Script(f"import vecprop as vp\n{code}", project=project)
        return {found.name: found for found in script.complete()}

    names = completed("vp.")
    assert {*vp.__all__} <= {*names}
    assert "Train a network" in names["train"].docstring()
    assert {*vp.pictures.__all__} <= {*completed("vp.pictures.")}
    assert {"grade", "tutorial", "trace", "worksheet", "Trace"} <= {
        *completed("vp.learn.")
    }
    assert {"nn", "softmax", "loss"} <= {*completed("vp.learn.tutorial.")}
    assert {"theta", "history", "state"} <= {
        *completed("vp.train(n, w, X, T, optimizer=vp.Adam()).")
    }
    assert {"predict_proba", "diagnose", "plot"} <= {*completed("vp.MLPClassifier().")}


def test_methods_that_depend_on_settings_and_attributes_that_a_fit_sets_have_types():
    model = vp.MLPClassifier(solver="lbfgs").fit([[0.0], [1.0]], [0, 1])
    assert assert_type(model.predict_proba([[0.0]]), np.ndarray).shape == (1, 2)
    assert len(assert_type(model.coefs_, list[np.ndarray])) == len(
        assert_type(model.intercepts_, list[np.ndarray])
    )
    assert assert_type(vp.History().loss, np.ndarray).shape == (0,)
    X, y = (
        pytest.importorskip("pandas").DataFrame({"a": [0.0, 1.0] * 10}),
        ["no", "yes"] * 10,
    )
    ensemble = vp.MLPEnsembleClassifier(
        vp.MLPClassifier(solver="lbfgs"), 2, random_state=0
    ).fit(X, y)
    assert assert_type(ensemble.classes_, np.ndarray).tolist() == ["no", "yes"]
    assert assert_type(ensemble.feature_names_in_, np.ndarray).tolist() == ["a"]
    table = vp.TabularClassifier(n_estimators=2, max_iter=1, random_state=0).fit(X, y)
    assert assert_type(table.feature_names_in_, np.ndarray).tolist() == ["a"]
    assert assert_type(table.n_features_in_, int) == 1

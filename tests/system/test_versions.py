"""Pickles contain the version of vecprop, and a different version warns."""

import copy
import pickle
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import vecprop as vp

X = np.random.default_rng(0).normal(size=(20, 2))
Y = (X[:, 0] > 0).astype(int)


def results():
    network = vp.Network(2, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
    return vp.train_population(
        [vp.Member(network, network.init(k), vp.Adam(), epochs=1) for k in range(2)],
        X,
        Y,
    )


def search():
    return vp.MLPSearchCV(vp.MLPClassifier(max_iter=1), {"alpha": [0.1]}, cv=2).fit(
        X, Y
    )


WRITTEN: dict[str, Any] = {
    "classifier": lambda: vp.MLPClassifier(max_iter=1).fit(X, Y),
    "regressor": lambda: vp.MLPRegressor(max_iter=1).fit(X, Y),
    "ensemble": lambda: vp.MLPEnsembleClassifier(vp.MLPClassifier(max_iter=1), 2).fit(
        X, Y
    ),
    "ensemble of regressors": lambda: vp.MLPEnsembleRegressor(
        vp.MLPRegressor(max_iter=1), 2
    ).fit(X, Y),
    "search": search,
    "table": lambda: vp.TabularClassifier(max_iter=1, n_estimators=2).fit(X, Y),
    "table of numbers": vp.TabularRegressor,
    "network": lambda: results()[0].state.network,
    "result": lambda: results()[0],
    "results": results,
    "history": lambda: results()[0].history,
    "compiled network": lambda: vp.compile(
        vp.Network(2, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
    ),
    "predictor": lambda: vp.compile(
        vp.Network(2, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
    ).predictor(np.ones(6)),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", WRITTEN)
def test_pickles_of_another_version_warn(kind, limit):
    if kind.startswith("table"):
        pytest.importorskip("pandas")
    written = WRITTEN[kind]()
    content = pickle.dumps(written)
    again = pickle.loads(content)  # warnings are errors in tests
    assert "_vecprop_version" not in vars(again)
    limit("version of the program", "99.1")
    with pytest.warns(
        vp.VersionWarning,
        match=rf"vecprop {vp.__version__} is read by vecprop 99\.1, which",
    ):
        pickle.loads(content)
    copy.deepcopy(written)


@pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
)
def test_the_warning_is_issued_once_at_the_line_that_unpickles(tmp_path, limit):
    joblib.dump(WRITTEN["ensemble"](), tmp_path / "model")
    limit("version of the program", "99.1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", vp.VersionWarning)
        joblib.load(tmp_path / "model")
    assert len(caught) == 1


def test_pickles_without_a_version_count_as_earlier():
    model, network = (
        vp.MLPClassifier(),
        vp.Network(2, [vp.Dense(2)], vp.SoftmaxCrossEntropy()),
    )
    for written in (model, network):
        state = written.__getstate__()
        del state["_vecprop_version"]
        with pytest.warns(
            vp.VersionWarning, match="A pickle of an earlier vecprop is read by"
        ):
            type(written).__new__(type(written)).__setstate__(state)


def test_incompatible_pickles_are_refused(limit):
    history: Any = vp.History()
    with (
        pytest.warns(vp.VersionWarning),
        pytest.raises(pickle.UnpicklingError, match="pickle of a History was written"),
    ):
        history.__setstate__([[], [], []])  # as a class with __slots__ had it
    state: Any = results()[0]
    lacking = {
        name: value for name, value in state.__getstate__().items() if name != "reason"
    }
    limit("version of the program", "99.1")
    refusal = (
        rf"TrainingResult was written by vecprop {vp.__version__} in a format that"
    )
    with (
        pytest.warns(vp.VersionWarning),
        pytest.raises(pickle.UnpicklingError, match=refusal),
    ):
        vp.TrainingResult.__new__(vp.TrainingResult).__setstate__(lacking)


def test_missing_attributes_get_their_defaults():
    history = vp.History()
    history._loss.append(np.array([2.0]))
    history._time.append(np.array([0.0]))
    state = history.__getstate__()
    del state["_validation_score"], state["_vecprop_version"]
    again = vp.History.__new__(vp.History)
    with pytest.warns(vp.VersionWarning):
        again.__setstate__(state)
    assert again.loss.tolist() == [2.0]
    assert again.validation_score.shape == (0,)

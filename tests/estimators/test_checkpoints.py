"""Test that killed fits, restarts, ensembles and searches resume bit-identically."""

import json
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conditions import Killed, kill_at
from models import fresh as unfitted
from vecprop import (
    Checkpoint,
    MLPClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
    MLPSearchCV,
)
from vecprop.files.model_file import information

R = np.random.default_rng(0)
X = R.normal(size=(80, 4))
y = X @ R.normal(size=4) + 0.3 * R.normal(size=80)
c = np.where(y > 0, "a", "b")
SMALL: dict[str, Any] = {
    "hidden_layer_sizes": (5,),
    "max_iter": 12,
    "batch_size": 16,
    "random_state": 0,
}
CURVES = [
    "loss_curve_",
    "validation_loss_curve_",
    "validation_scores_",
    "score_curve_",
    "restart_losses_",
]
COUNTS = [
    "n_iter_",
    "t_",
    "loss_",
    "best_loss_",
    "best_validation_score_",
    "_no_improvement_count",
    "best_restart_",
]
LEARNED = ["theta_", "_ending", *CURVES, *COUNTS]


@pytest.fixture(autouse=True)
def kept_often(limit):
    """Write files after each single epoch."""
    limit("checkpoint: share of the time", np.inf)
    limit("compiled: seconds in a call", 0)


def require_same(one, whole):
    for name in LEARNED:
        np.testing.assert_array_equal(
            getattr(one, name), getattr(whole, name), err_msg=name
        )
    if whole._state is not None:
        np.testing.assert_array_equal(one._state.theta, whole._state.theta)
        for name, value in whole._state.optimizer.items():
            np.testing.assert_array_equal(one._state.optimizer[name], value)


def print_nothing(state):
    pass


SINGLE: dict[str, tuple[Any, Any]] = {
    "mini-batches": (MLPRegressor(**SMALL), {}),
    "early stopping": (
        MLPClassifier(**SMALL, early_stopping=True, n_iter_no_change=3),
        {},
    ),
    "callbacks": (
        MLPRegressor(
            **SMALL, callbacks=[print_nothing], early_stopping=True, dropout=0.2
        ),
        {},
    ),
    "scores": (MLPClassifier(**SMALL, scoring="f1_macro", early_stopping=True), {}),
    "adaptive": (
        MLPRegressor(
            **SMALL, solver="sgd", learning_rate="adaptive", n_iter_no_change=1, tol=1.0
        ),
        {},
    ),
    "inverse scaling": (
        MLPRegressor(**SMALL, solver="sgd", learning_rate="invscaling"),
        {},
    ),
    "one cycle": (MLPClassifier(**SMALL, learning_rate="one_cycle"), {}),
    "validation": (MLPRegressor(**SMALL), {"X_val": X[:20], "y_val": y[:20]}),
    "sparse": (MLPRegressor(**SMALL), {"X": sparse.csr_matrix(X)}),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name == "callbacks" else pytest.param(name, marks=pytest.mark.long)
        for name in SINGLE
    ],
)
def test_a_killed_fit_resumes_bit_identically(name, tmp_path, monkeypatch):
    model, given = SINGLE[name]
    data = {"X": X, "y": c if isinstance(model, MLPClassifier) else y} | given
    whole = unfitted(model).fit(**data)
    kept = unfitted(model, checkpoint=Checkpoint(tmp_path / "run.npz", every=0))
    last = whole.n_iter_
    for kills in ([0], [1, last // 2], [last - 1]):
        (tmp_path / "run.npz").unlink(missing_ok=True)
        for kill in kills:
            with monkeypatch.context() as patch:
                kill_at(patch, kill)
                with pytest.raises(Killed):
                    unfitted(kept).fit(**data)
        require_same(unfitted(kept).fit(**data), whole)
        require_same(unfitted(kept).fit(**data), whole)
    if name != "one cycle":
        require_same(
            unfitted(kept, max_iter=15).fit(**data),
            unfitted(model, max_iter=15).fit(**data),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_checkpoints_of_fits_keep_their_identity(tmp_path):
    """A fit resumes from the files of earlier versions only if they describe the same run."""
    path = tmp_path / "run.npz"
    MLPRegressor(**SMALL, callbacks=[print_nothing], checkpoint=Checkpoint(path)).fit(
        X, y
    )
    assert information(path)["checkpoint"]["run"]["record"] == "Recorder"


def kept_by_search(path, rates=(0.001, 0.01), kinds=4, **settings):
    """Return a search with joint and separate fits."""
    checkpoint = None if path is None else Checkpoint(path, every=0)
    model = make_pipeline(StandardScaler(), MLPRegressor(**SMALL))
    grid = [
        {"mlpregressor__learning_rate_init": list(rates)},
        {"mlpregressor__solver": ["lbfgs"], "mlpregressor__alpha": [0.01, 1.0]},
        {"mlpregressor__n_restarts": [2]},
        {"mlpregressor__scoring": ["r2"], "mlpregressor__early_stopping": [True]},
    ]
    return MLPSearchCV(model, grid[:kinds], cv=2, checkpoint=checkpoint, **settings)


def ensemble(path, count=3, **settings):
    checkpoint = None if path is None else Checkpoint(path, every=0)
    return MLPEnsembleRegressor(
        MLPRegressor(**SMALL, **settings),
        n_estimators=count,
        bootstrap=True,
        random_state=0,
        checkpoint=checkpoint,
    )


def searched(search):
    results = {
        name: value for name, value in search.cv_results_.items() if "time" not in name
    }
    best = search.best_estimator_.steps[-1][1]
    assert best.checkpoint is None
    return [
        *(results[name] for name in sorted(results) if name != "params"),
        best.theta_,
    ]


def of_members(model):
    return [member.theta_ for member in model.estimators_] + [
        member.loss_curve_ for member in model.estimators_
    ]


MANY: dict[str, tuple[Any, Any]] = {
    "search": (kept_by_search, searched),
    "halving": (lambda path: kept_by_search(path, halving=2), searched),
    "ensemble": (ensemble, of_members),
    "ensemble of restarts": (lambda path: ensemble(path, n_restarts=2), of_members),
}


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("ensemble", [0, 1]),
        pytest.param("search", [0, 1, 1, 0], marks=pytest.mark.long),
        pytest.param("halving", [3, 3, 3], marks=pytest.mark.long),
        pytest.param("ensemble of restarts", [1], marks=pytest.mark.long),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_many_killed_fits_resume_bit_identically(name, kills, tmp_path, monkeypatch):
    make, learned = MANY[name]
    whole = learned(make(None).fit(X, y))
    for kill in kills:
        with monkeypatch.context() as patch:
            kill_at(patch, kill)
            with pytest.raises(Killed):
                make(tmp_path / "folder").fit(X, y)
    for _ in range(2):
        for one, other in zip(
            learned(make(tmp_path / "folder").fit(X, y)), whole, strict=True
        ):
            np.testing.assert_array_equal(one, other)
    for changed in ({"X": X + 1}, {"y": y**2}):
        with pytest.raises(ValueError, match="is the checkpoint of another run: its"):
            make(tmp_path / "folder").fit(**{"X": X, "y": y} | changed)


def restarts(path, count):
    checkpoint = None if path is None else Checkpoint(path, every=0)
    return MLPRegressor(**SMALL, n_restarts=count, checkpoint=checkpoint)


GROWN: dict[str, Any] = {
    "members": (lambda path, more: ensemble(path, 3 + more), of_members),
    "members alone": (
        lambda path, more: ensemble(path, 3 + more, solver="lbfgs"),
        of_members,
    ),
    "restarts": (
        lambda path, more: restarts(path, 3 + 2 * more),
        lambda model: [model.theta_, model.restart_losses_],
    ),
    "candidates": (
        lambda path, more: kept_by_search(
            path, [0.01, 0.001, 0.05][: 2 + more], kinds=1
        ),
        searched,
    ),
    "seeds": (lambda path, more: kept_by_search(path, n_seeds=1 + more), searched),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long) if name == "seeds" else name
        for name in GROWN
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_changed_candidates_reuse_saved_fits(name, tmp_path):
    make, learned = GROWN[name]
    kept: list[list[str]] = []
    whole = [learned(make(None, more).fit(X, y)) for more in (0, 1)]
    for more in (0, 1, 0):
        for one, other in zip(
            learned(make(tmp_path / "folder", more).fit(X, y)), whole[more], strict=True
        ):
            np.testing.assert_array_equal(one, other)
        width = 32  # of a digest
        keys = "".join(
            json.loads(np.load(path)["document"].tobytes())["keys"]
            for path in (tmp_path / "folder").rglob("part-*.npz")
        )
        kept.append(
            [keys[first : first + width] for first in range(0, len(keys), width)]
        )
        assert len(set(kept[-1])) == len(kept[-1])
    assert set(kept[0]) < set(kept[1]) == set(kept[2])


@pytest.mark.parametrize(
    "solver", ["adam", pytest.param("lbfgs", marks=pytest.mark.long)]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_killed_restarts_resume_bit_identically(solver, tmp_path, monkeypatch):
    model = MLPClassifier(**SMALL, solver=solver, n_restarts=3)
    whole = unfitted(model).fit(X, c)
    kept = unfitted(model, checkpoint=Checkpoint(tmp_path / "folder", every=0))
    with monkeypatch.context() as patch:
        kill_at(patch, 1)
        with pytest.raises(Killed):
            unfitted(kept).fit(X, c)
    for _ in range(2):
        require_same(unfitted(kept).fit(X, c), whole)


def test_a_checkpoint_in_the_wrong_place_raises(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.npz")
    model: Any = MLPRegressor(**SMALL, checkpoint=checkpoint)
    many = "MLPRegressor has a checkpoint, which saves a single fit from its start"
    for wrong, error in (
        (
            MLPSearchCV(model, {"alpha": [0.1]}),
            f"{many}: give it to MLPSearchCV instead",
        ),
        (
            MLPSearchCV(make_pipeline(model), {"mlpregressor__alpha": [0.1]}),
            f"{many}: give it to MLPSearchCV instead",
        ),
        (
            MLPEnsembleRegressor(model, random_state=0),
            f"{many}: give it to MLPEnsembleRegressor instead",
        ),
        (
            unfitted(model, random_state=None),
            "random_state is None, so each call of fit trains different networks",
        ),
        (MLPEnsembleRegressor(checkpoint=checkpoint), "random_state is None"),
        (
            MLPSearchCV(MLPRegressor(), {"alpha": [0.1]}, checkpoint=checkpoint),
            "random_state is None",
        ),
        (unfitted(model, checkpoint="run.npz"), "The 'checkpoint' parameter"),
        (unfitted(model, solver="lbfgs"), "LBFGS cannot resume"),
        (
            MLPSearchCV(MLPRegressor(), {"alpha": [0.1]}, checkpoint="folder"),
            "The 'checkpoint' parameter",
        ),
    ):
        with pytest.raises(ValueError, match=error):
            wrong.fit(X, y)
    with pytest.raises(ValueError, match=f"{many}: leave it out for partial_fit"):
        model.partial_fit(X, y)
    warm = MLPRegressor(**SMALL, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=f"{many}: leave it out when warm_start"):
        warm.set_params(checkpoint=checkpoint).fit(X, y)
    with pytest.raises(
        TypeError,
        match=(
            r"callbacks must be a list of functions.*; pass a Checkpoint as checkpoint="
        ),
    ):
        MLPRegressor(**SMALL, callbacks=[checkpoint]).fit(X, y)
    assert not list(tmp_path.iterdir())

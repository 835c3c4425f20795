"""Test that invalid data and settings raise one-sentence errors, and that unusual data work."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import vecprop
from vecprop import MLPClassifier, MLPRegressor

X, y = map(np.asarray, make_classification(40, 4, random_state=0))
FEW = {"max_iter": 3, "hidden_layer_sizes": (4,), "random_state": 0}


def changed(X, row, column, value):
    X = X.astype(object if isinstance(value, str) else float)
    X[row, column] = value
    return X


def warm(model):
    return model.set_params(warm_start=True)


BAD = {
    "text": (
        lambda m: m.fit(changed(X, 3, 1, "red"), y),
        "could not convert string to float",
    ),
    "lengths": (lambda m: m.fit(X, y[:-1]), "inconsistent numbers of samples"),
    "nothing predicted": (
        lambda m: m.fit(X, y).predict(X[:0]),
        "Found array with 0 sample",
    ),
    "weights' length": (
        lambda m: m.fit(X, y, np.ones(3)),
        r"shape \(3,\), expected \(40,\)",
    ),
    "negative weight": (
        lambda m: m.fit(X, y, -np.ones(40)),
        "weights must be finite and at least 0",
    ),
    "zero weights": (lambda m: m.fit(X, y, np.zeros(40)), "zero in every row"),
    "nan weight": (
        lambda m: m.fit(X, y, np.full(40, np.nan)),
        "sample_weight contains NaN",
    ),
    "no X_val": (lambda m: m.fit(X, y, sample_weight_val=y), "needs X_val and y_val"),
    "no y_val": (
        lambda m: m.fit(X, y, X_val=X),
        "Only one of X_val and y_val is given",
    ),
    "narrow X_val": (
        lambda m: m.fit(X, y, X_val=X[:, :2], y_val=y),
        "X has 2 features",
    ),
    "sizes": (
        lambda m: m.set_params(hidden_layer_sizes=(3, -1)).fit(X, y),
        "hidden_layer_sizes must be > 0",
    ),
    "activation": (
        lambda m: m.set_params(activation=["rely"]).fit(X, y),
        "hidden layer 0 is 'rely', expected an Act",
    ),
    "activations": (
        lambda m: m.set_params(activation=["relu"] * 2).fit(X, y),
        "2 entries, expected 1, one for each hidden",
    ),
    "dropout": (
        lambda m: m.set_params(dropout=[0.1, 0.1]).fit(X, y),
        "dropout has 2 entries",
    ),
    "rate": (
        lambda m: m.set_params(dropout=[1.5]).fit(X, y),
        "rate of at least 0 and less than 1",
    ),
    "scoring": (
        lambda m: m.set_params(scoring="speed").fit(X, y, X_val=X, y_val=y),
        "'speed' is not a valid scoring",
    ),
    "layers": (
        lambda m: warm(m).fit(X, y).set_params(hidden_layer_sizes=(9,)).fit(X, y),
        "refit with warm_start=False",
    ),
}


CLASSIFIER = {
    "numbers": (lambda m: m.fit(X, X[:, 0]), "Unknown label type: continuous"),
    "two columns of labels": (
        lambda m: m.fit(X, np.column_stack([y + 1, y + 5])),
        "Multioutput target data",
    ),
    "no classes": (
        lambda m: m.partial_fit(X, y),
        "classes must be passed on the first call",
    ),
    "other classes": (
        lambda m: m.partial_fit(X, y, classes=[0, 1]).partial_fit(X, y, classes=[0, 2]),
        "not the same",
    ),
    "unseen class": (
        lambda m: m.partial_fit(X, y + 1, classes=[0, 1]),
        "`y` has classes not in `self.classes_`",
    ),
    "unseen in validation": (
        lambda m: m.fit(X, y, X_val=X, y_val=y + 1),
        "has classes not in",
    ),
    "balanced parts": (
        lambda m: m.set_params(class_weight="balanced").partial_fit(X, y, [0, 1]),
        "needs all rows, but",
    ),
    "labels, then one": (
        lambda m: warm(m).fit(X, np.c_[y, 1 - y]).fit(X, y),
        "multilabel in one call",
    ),
    "unknown class_weight": (
        lambda m: m.set_params(class_weight={5: 2.0}).fit(X, y),
        "class_weight",
    ),
}


REGRESSOR = {
    "negative counts": (
        lambda m: m.set_params(loss="poisson").fit(X, -np.ones(40)),
        "y has negative values",
    ),
    "scaled counts": (
        lambda m: m.set_params(loss="poisson", scale_target=True).fit(X, y),
        "does not work with loss='poisson'",
    ),
    "outputs": (
        lambda m: m.partial_fit(X, y).partial_fit(X, X[:, :2]),
        "2 outputs, but the first fit had 1",
    ),
    "nan": (lambda m: m.fit(X, np.full(40, np.nan)), "contains NaN"),
}


CASES = [(MLPClassifier, *case) for case in (*BAD.values(), *CLASSIFIER.values())]
CASES += [(MLPRegressor, *case) for case in (*BAD.values(), *REGRESSOR.values())]


@pytest.mark.parametrize(
    ("kind", "fit", "message"), CASES, ids=[*BAD, *CLASSIFIER, *BAD, *REGRESSOR]
)
def test_invalid_arguments_raise_an_error(kind, fit, message):
    with pytest.raises(ValueError, match=message):
        fit(kind(**FEW))


WRONG = [
    ("solver", "newton"),
    ("solver", vecprop.Adam),
    ("alpha", -1),
    ("dropout", 1.0),
    ("class_weight", "even"),
]


@pytest.mark.parametrize(
    ("name", "value"), [*WRONG, ("loss", "hinge"), ("n_jobs", 0.5)]
)
def test_invalid_settings_raise_scikit_learns_errors(name, value):
    with pytest.raises(
        ValueError, match=f"The '{name}' parameter of MLPClassifier must be"
    ):
        MLPClassifier(**{name: value}).fit(X, y)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_edge_cases(kind):
    one_row = kind(**FEW).fit(X[:1], y[:1])
    assert one_row.predict(X[:1]).shape == (1,)
    constant = kind(**FEW).fit(np.ones((40, 4)), np.ones(40, int))
    assert constant.predict(X).shape == (40,)
    huge_weights = kind(**FEW).fit(X, y, np.full(40, 1e100))
    assert np.isfinite(huge_weights.theta_).all()
    assert set(MLPClassifier(**FEW).fit(X, np.full(40, "only")).predict(X)) == {"only"}


@pytest.mark.long
def test_ten_thousand_classes():
    rows = np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32)
    model = MLPClassifier((2,), max_iter=1, random_state=0).fit(
        rows, np.repeat(np.arange(10_000), 2)
    )
    assert model.n_outputs_ == 10_000
    assert model.predict(rows[:5]).shape == (5,)


def test_an_unfitted_model_raises_not_fitted_error():
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(MLPClassifier(), method)(X)
    with pytest.raises(AttributeError, match="is not fitted and has no coefs_"):
        MLPClassifier().coefs_  # noqa: B018
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_divergence_ends_training_at_once_with_the_last_finite_parameters(
    early_stopping,
):
    epochs = []
    model = MLPRegressor(
        solver="sgd",
        learning_rate_init=1e10,
        activation="identity",
        random_state=0,
        max_iter=200,
    )
    model.set_params(
        early_stopping=early_stopping,
        callbacks=[lambda state: epochs.append(state.epoch)],
    )
    with pytest.raises(
        ValueError,
        match=(
            r"Solver produced non-finite parameter weights.*Training diverged: after"
            r" step"
        ),
    ):
        model.fit(X, y)
    assert len(epochs) < 40
    assert np.isfinite(model.theta_).all()
    assert np.isfinite(model.predict(X)).all()


def test_warnings_are_scikit_learns():
    with pytest.warns(
        ConvergenceWarning,
        match=r"Stochastic Optimizer: Maximum iterations \(3\) reached",
    ):
        MLPClassifier(**FEW).fit(X, y)
    with pytest.warns(
        ConvergenceWarning, match=r"lbfgs failed to converge after 3 iteration\(s\)"
    ):
        MLPClassifier(solver="lbfgs", **FEW).fit(X, y)
    with pytest.warns(UserWarning, match="going to be clipped"):
        MLPClassifier(batch_size=99, **FEW).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(**FEW | {"max_iter": 500, "tol": 0.1}).fit(X, y)
        MLPClassifier(**FEW).partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize(("method", "end"), [("fit", 2), ("partial_fit", 1)])
def test_ctrl_c_keeps_finished_epochs_and_warns(method, end):
    def interrupt(state):
        if state.epoch == end:
            raise KeyboardInterrupt

    model = MLPClassifier(**FEW, callbacks=[interrupt])
    with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
        model.fit(X, y) if method == "fit" else model.partial_fit(X, y, classes=[0, 1])
    assert caught[0].filename == __file__  # the line that calls it
    assert model.n_iter_ == end
    assert model.predict(X).shape == (40,)


def test_a_rejected_first_fit_leaves_the_model_unfitted():
    model = MLPRegressor("poisson", **FEW)
    with pytest.raises(ValueError, match="negative"):
        model.fit(X, -np.ones(40))
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_initialize_accepts_new_classes_with_warm_start():
    model = MLPClassifier(warm_start=True, **FEW).fit(X, y)
    assert model.initialize(X, np.arange(40) % 3).classes_.tolist() == [0, 1, 2]


def test_a_regressor_rejects_text_targets():
    names = np.where(y == 1, "red", "blue").astype(object)
    with pytest.raises(
        ValueError,
        match=(
            r"y has the text '.*', but a regressor predicts numbers: use MLPClassifier"
        ),
    ):
        MLPRegressor(**FEW).fit(X, names)
    with pytest.raises(ValueError, match="could not convert string to float: 'red'"):
        MLPRegressor(**FEW).fit(changed(X, 3, 1, "red"), y)


def test_progress_lost_in_rounding_is_not_convergence():
    model = MLPRegressor(
        callbacks=[lambda state: state.epoch == 2],
        hidden_layer_sizes=(4,),
        random_state=0,
    )
    with pytest.warns(
        ConvergenceWarning,
        match=(
            r"The loss, 5.*e\+58, is so large .* lost in rounding.*Targets are unscaled"
        ),
    ):
        model.fit(X, X[:, 0] * 1e30)
    model.fit(X, X[:, 0])  # warnings are errors in tests


def test_a_regressor_rejects_missing_objects_as_targets():
    missing = X[:, 0].astype(object)
    missing[5] = None
    model = MLPRegressor(**FEW, scale_target=True).fit(X, X[:, 0])
    for method in (
        model.fit,
        model.diagnose,
        model.per_sample_gradients,
        model.initialize,
    ):
        with pytest.raises(ValueError, match="Input y contains NaN"):
            method(X, missing)


@pytest.mark.parametrize("sizes", [["a"], [[4, 4], [3, 3]]])
def test_layer_sizes_of_a_wrong_type_are_a_value_error(sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        MLPClassifier(sizes).fit(X, y)


def test_with_warm_start_only_training_rows_need_all_classes():
    own = y == 1
    model = MLPClassifier(**FEW, warm_start=True).fit(X, y, X_val=X[own], y_val=y[own])
    plain = MLPClassifier(**FEW).fit(X, y, X_val=X[own], y_val=y[own])
    assert model.validation_loss_curve_ == plain.validation_loss_curve_
    assert model.per_sample_gradients(X[own], y[own]).shape == (
        own.sum(),
        model.theta_.size,
    )
    with pytest.raises(
        ValueError, match="warm_start can only be used where `y` has the same classes"
    ):
        model.fit(X[own], y[own])

"""Test that the diagnosis names training problems, and is empty without problems."""

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_moons,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import StandardScaler

from sampled import sampled
from vecprop import ELU, Adam, MLPClassifier, MLPRegressor
from vecprop.estimators import diagnosis as checks
from vecprop.estimators.diagnosis import Diagnosis
from vecprop.extend import Activation

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
y = (X[:, 0] > 0).astype(int)
t = X @ [1.0, -1.0, 0.5]


def said(model, word, X: Any = X, y: Any = y):
    """Check that the diagnosis consists of sentences; return those that contain a word."""
    diagnosis = model.diagnose(X, y)
    assert all(
        sentence[0].isupper() and sentence.endswith(".") and ". " not in sentence
        for sentence in diagnosis
    )
    return [sentence for sentence in diagnosis if word in sentence]


def with_parameters(model, coefs, intercepts):
    """Return a model with the given parameters."""
    model.coefs_, model.intercepts_ = (
        [np.array(W) for W in coefs],
        [np.array(b) for b in intercepts],
    )
    return model


def with_curve(model, losses, reason="epochs"):
    """Return a fitted model with the given loss curve."""
    model.loss_curve_, model._ending = (
        list(losses),
        model._ending._replace(reason=reason),
    )
    return model


@pytest.mark.parametrize(
    ("table", "kind", "settings"),
    [
        pytest.param(
            load_breast_cancer,
            MLPClassifier,
            {"max_iter": 1000},
            marks=pytest.mark.long,
        ),
        *(
            pytest.param(load_digits, MLPClassifier, of, marks=pytest.mark.long)
            for of in ({}, {"activation": "tanh"})
        ),
        (
            load_digits,
            MLPClassifier,
            {"solver": "sgd", "learning_rate_init": 0.1, "hidden_layer_sizes": 20},
        ),
        (load_iris, MLPClassifier, {"max_iter": 1000}),
        (load_iris, MLPClassifier, {"learning_rate_init": 0.1}),
        (load_iris, MLPClassifier, {"solver": "lbfgs", "max_iter": 2000}),
        (
            load_diabetes,
            MLPRegressor,
            {"scale_target": True, "activation": "logistic", "max_iter": 1000},
        ),
        (
            load_diabetes,
            MLPRegressor,
            {"scale_target": True, "batch_size": 16, "max_iter": 1000},
        ),
    ],
)
def test_a_converged_fit_on_scaled_data_has_an_empty_diagnosis(table, kind, settings):
    X, y = table(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = kind(random_state=0, **settings).fit(X, y)
    diagnosis = model.diagnose(X, y)
    assert (len(diagnosis), str(diagnosis)) == (0, "No problem found.")
    assert pickle.loads(pickle.dumps(model)).diagnose(X, y) == diagnosis


@pytest.mark.parametrize("noise", sampled([0.3, 0.2]))
def test_good_networks_with_some_dead_units_are_not_reported(noise):
    X, y = map(np.asarray, make_moons(300, noise=noise, random_state=0))
    model = MLPClassifier(
        (50, 50), max_iter=1000, learning_rate_init=0.003, random_state=0
    ).fit(X, y)
    assert model.diagnose(X, y) == ()


def test_five_unscaled_columns_are_named_worst_first():
    scaled = pd.DataFrame(X, columns=["a", "b", "c"])
    wrong = scaled.assign(b=1000 + X[:, 1], c=1e-5 * X[:, 2])
    assert said(MLPClassifier().initialize(scaled, y), "Inputs", scaled) == []
    [sentence] = said(MLPClassifier().initialize(wrong, y), "Inputs", wrong)
    size = np.abs(wrong["c"]).max()
    assert (
        f"in magnitude: 'c' ({size:.3g}), 'b' (1e+03); put a StandardScaler" in sentence
    )


def test_columns_above_ten_or_below_a_hundredth_are_unscaled():
    def sentence(size):
        rows = np.column_stack([size * np.sign(X[:, 0]), X[:, 1]])
        return said(MLPClassifier().initialize(rows, y), "Inputs", rows)

    assert [bool(sentence(size)) for size in (0.009, 0.011, 9.9, 10.1)] == [
        True,
        False,
        False,
        True,
    ]
    assert "column 0 (10.1)" in sentence(10.1)[0]
    # constant zeros are harmless
    assert not said(MLPClassifier().initialize(0 * X, y), "Inputs", 0 * X)
    wide = 100.0 ** np.arange(1, 9) * np.ones((60, 1))
    [of_wide] = said(MLPClassifier().initialize(wide, y), "Inputs", wide)
    assert (
        "column 7 (1e+16), column 6 (1e+14), column 5 (1e+12), column 4 (1e+10), column"
        " 3 (1e+08) and 3" in of_wide
    )


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
def test_zeros_count_in_the_scale_of_sparse_columns(kind):
    rows = np.zeros((60, 3))
    rows[0, 0], rows[:, 1] = 80, 0.5  # √(80² / 60) = 10.3
    [sentence] = said(MLPClassifier().initialize(kind(rows), y), "Inputs", kind(rows))
    assert "column 0 (10.3); put a MaxAbsScaler" in sentence
    rows[0, 0] = 70
    assert not said(MLPClassifier().initialize(kind(rows), y), "Inputs", kind(rows))


def test_the_scale_of_huge_numbers_is_finite():
    rows = X.astype(np.float32) * np.float32(1e30)
    assert "e+30)" in said(MLPClassifier().initialize(rows, y), "Inputs", rows)[0]
    rows = X * 1e250
    assert "e+250)" in said(MLPClassifier().initialize(rows, y), "Inputs", rows)[0]


def test_unscaled_targets_are_reported():
    def sentence(t, **settings):
        return said(MLPRegressor(**settings).initialize(X, t), "Targets", y=t)

    assert sentence(t) == []
    assert sentence(1000 * t, scale_target=True) == []
    assert "y (1e+03); set scale_target=True" in sentence(1000 + t)[0]
    assert "set scale_target=True" in sentence(1e-4 * t)[0]
    assert "column 1 (1e+03)" in sentence(np.column_stack([t, 1000 + t]))[0]
    assert sentence(np.round(np.exp(t + 5)), loss="poisson") == []  # its link is exp


def test_dead_units_are_counted_by_layer():
    W = [rng.standard_normal((3, 4)), rng.standard_normal((4, 4)), np.ones((4, 1))]
    b = [np.array([-100.0, -100, 0, 0]), np.zeros(4), np.zeros(1)]
    for activation, dead in (
        ("relu", True),
        ("elu", True),
        ("leaky_relu", False),
        ("identity", False),
    ):
        model = MLPClassifier((4, 4), activation).initialize(X, y)
        sentences = said(with_parameters(model, W, b), "dead")
        assert [
            ("derivative of 0 on every row: 2 of 4 in hidden layer 0;" in s)
            for s in sentences
        ] == [True] * dead
    model = MLPClassifier((4, 4), [ELU(), "relu"]).initialize(X, y)
    # a quarter may be
    assert (
        said(with_parameters(model, W, [np.array([-100.0, 0, 0, 0]), *b[1:]]), "dead")
        == []
    )
    [sentence] = said(
        with_parameters(model, W, [b[0], np.full(4, -100.0), b[2]]), "dead"
    )
    assert (
        "2 of 4 in hidden layer 0, 4 of 4 in hidden layer 1; use"
        " activation='leaky_relu'" in sentence
    )


def test_a_unit_active_on_a_single_row_is_not_dead():
    one = np.zeros((60, 3))
    one[7] = 1
    model = with_parameters(
        MLPClassifier((1,)).initialize(one, y),
        [np.ones((3, 1)), [[1.0]]],
        [[-1.0], [0.0]],
    )
    assert said(model, "dead", one) == []
    model.intercepts_[0][:] = -4
    assert len(said(model, "dead", one)) == 1
    # its derivative at z = log(1.5e-6) is 1.5e-6
    model = MLPClassifier((1,), "elu").initialize(one, y)
    assert (
        said(
            with_parameters(
                model, [np.zeros((3, 1)), [[1.0]]], [[np.log(1.5e-6)], [0.0]]
            ),
            "dead",
            one,
        )
        == []
    )


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
def test_saturated_units_are_counted(activation):
    def sentences(weight):
        model = MLPClassifier((2,), activation, solver="lbfgs").initialize(X, y)
        return said(
            with_parameters(
                model, [np.full((3, 2), weight), [[1.0], [1.0]]], [[0.0, 0.0], [0.0]]
            ),
            "saturated",
        )

    assert sentences(1.0) == []
    assert (
        "2 of 2 in hidden layer 0; scale the inputs or raise alpha (now 0.0001)."
        in sentences(1000.0)[0]
    )


def test_divergence_names_the_learning_rate_to_lower():
    model = MLPRegressor(solver="sgd", learning_rate_init=1e6, random_state=0)
    with pytest.raises(
        ValueError,
        match=(
            r"to be preprocessed\. Training diverged: after step \d+ .*: lower"
            r" learning_"
        ),
    ):
        model.fit(X, t)
    assert (
        "lower learning_rate_init (now 1e+06)"
        in said(model, "Training diverged", y=t)[0]
    )
    with_curve(model, np.geomspace(1, 1e9, 20), reason="diverged")
    assert said(model, "rises", y=t) == []  # one message is enough
    assert np.isfinite(model.theta_).all()
    model.set_params(learning_rate_init=0.01).fit(X, t)
    assert said(model, "diverged", y=t) == []


def test_a_nonfinite_initial_loss_does_not_blame_the_learning_rate():
    model = MLPRegressor(solver="sgd", max_iter=1, random_state=0)
    with pytest.raises(
        ValueError,
        match=r"The loss is not finite before the first step: scale .* Inputs are unsc",
    ) as e:
        model.fit(1e200 * X, t, X_val=1e200 * X, y_val=t)
    assert "Training diverged" not in str(e.value)
    assert isinstance(e.value.__cause__, ArithmeticError)
    with pytest.raises(
        ValueError, match="The loss is not finite before the first step"
    ):
        MLPRegressor(solver="lbfgs", random_state=0).fit(1e200 * X, t)


def test_a_high_learning_rate_makes_the_loss_oscillate():
    X, y = (np.asarray(part)[:500] for part in load_digits(return_X_y=True))
    X = StandardScaler().fit_transform(X)
    model = MLPClassifier(20, learning_rate_init=1.0, random_state=0, max_iter=30).fit(
        X, y
    )
    assert "lower learning_rate_init (now 1)" in said(model, "too high", X, y)[0]
    solver = MLPClassifier(20, solver=Adam(1.0), random_state=0, max_iter=30).fit(X, y)
    assert (
        "lower the solver's learning_rate (now 1)" in said(solver, "too high", X, y)[0]
    )


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        (np.tile([1.0, 1.2], 10), True),
        (np.tile([1.0, 1.01], 10), False),  # as batches do
        (np.tile([1e-6, 2e-6], 10), False),  # less than tol
        (np.geomspace(1, 0.01, 20), False),
        (np.geomspace(1, 1e200, 12), True),
        # long ago
        (np.concatenate([np.tile([1.0, 1.2], 10), np.linspace(1, 0.9, 30)]), False),
        ([1.0, 2.0], False),  # too few to tell
    ],
)
def test_what_counts_as_oscillation(losses, says):
    model = with_curve(MLPClassifier(max_iter=1).fit(X, y), losses)
    assert bool(said(model, "too high")) == says


def test_the_rise_is_a_mean_relative_to_the_loss():
    (sentence,) = said(
        with_curve(MLPClassifier(max_iter=1).fit(X, y), [2.0, 3.0, 2.0, 3.0, 2.0]),
        "too high",
    )
    assert "over the last 4 epochs, the loss rose on average by 0.25 times" in sentence


def test_a_falling_loss_at_max_iter_is_reported():
    model = MLPClassifier(max_iter=20, learning_rate_init=1e-4, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=r"hasn't converged yet\. The learning rate is too low"
    ) as caught:
        model.fit(X, y)
    assert caught[0].filename == __file__
    curve = model.loss_curve_
    fall = (
        f"by {1 - curve[-1] / curve[-11]:.2%} over the last 10 epochs; raise"
        " learning_rate_init (now 0.0001)"
    )
    assert fall in said(model, "too low")[0]
    assert fall in str(caught[0].message)
    assert said(with_curve(model, curve, reason="callback"), "too low") == []
    assert said(with_curve(model, [0.5] * 20), "too low") == []
    assert said(with_curve(model, [0.5]), "too low") == []
    # it oscillates
    assert (
        said(with_curve(model, np.geomspace(3, 1, 20) * np.tile([1, 2], 10)), "too low")
        == []
    )


def test_ignored_warnings_skip_the_diagnosis(monkeypatch):
    looked = []
    filters: Any
    monkeypatch.setattr(
        checks,
        "diagnosis_of",
        lambda *arguments: looked.append(arguments) or Diagnosis(),
    )
    for filters, looks in (
        ([{"action": "ignore"}], 0),
        ([{"action": "ignore", "category": ConvergenceWarning}], 0),
        ([{"action": "ignore", "message": "L-BFGS"}], 1),
        ([{"action": "ignore"}, {"action": "ignore", "message": "L-BFGS"}], 0),
        (
            [
                {"action": "ignore"},
                {"action": "always", "category": ConvergenceWarning},
            ],
            1,
        ),
        (
            [
                {"action": "always"},
                {"action": "ignore", "category": DeprecationWarning},
            ],
            1,
        ),
    ):
        looked.clear()
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            for filter in filters:
                warnings.filterwarnings(**filter)
            MLPClassifier(max_iter=1).fit(X, y)
        assert len(looked) == looks


def test_lbfgs_has_no_learning_rate_to_change():
    with pytest.warns(
        ConvergenceWarning,
        match=r"lbfgs failed .* scale the data\. Inputs are unscaled",
    ) as caught:
        model = MLPClassifier(solver="lbfgs", max_iter=2, random_state=0).fit(
            1000 * X, y
        )
    assert caught[0].filename == __file__
    assert "learning_rate" not in str(model.diagnose(1000 * X, y))


def test_classes_that_are_never_predicted_are_named():
    names = np.array(["cat", "dog", "eel"])[np.arange(60) % 3]
    model = MLPClassifier((2,), max_iter=1, random_state=0).fit(X, names)
    model.intercepts_[-1][:] = 0, 0, -1e3
    assert said(model, "never predicted", y=names) == [
        "Class 'eel' is never predicted, although present in the rows: set"
        " class_weight='balanced', or train longer."
    ]
    model.intercepts_[-1][:] = 1e3, 0, 0
    assert (
        "Classes 'dog', 'eel' are never predicted" in said(model, "never", y=names)[0]
    )
    without = names == "cat"
    assert said(model, "never", X[without], names[without]) == []
    # nothing has been learned yet
    assert said(model.initialize(X, names), "never", y=names) == []
    many = MLPClassifier((2,), max_iter=1).fit(X, np.arange(60) % 9)
    many.intercepts_[-1][:] = 1e3, *[0] * 8
    assert (
        "Classes 1, 2, 3, 4, 5 and 3 more are"
        in said(many, "never", y=np.arange(60) % 9)[0]
    )


@pytest.mark.parametrize("kind", [np.array, sparse.csr_matrix])
def test_labels_that_are_never_predicted_are_named(kind):
    marks = np.column_stack([y, 1 - y, np.zeros(60, int)])
    model = MLPClassifier((2,), max_iter=1, random_state=0).fit(X, kind(marks))
    model.intercepts_[-1][:] = 1e3, -1e3, -1e3
    assert "Class 1 is never" in said(model, "never", y=kind(marks))[0]


def test_classes_with_zero_weight_are_not_reported():
    with pytest.warns(ConvergenceWarning) as caught:
        model = MLPClassifier(
            class_weight={1: 0},
            max_iter=50,
            n_iter_no_change=50,
            learning_rate_init=0.1,
        ).fit(X, y)
    # the diagnosis ignores sample weights
    assert said(model, "Class 1 is never predicted")
    assert "never predicted" not in str(caught[0].message)


def test_warnings_use_a_thousand_rows_and_diagnose_uses_all():
    many = np.zeros((5_000, 2))
    many[1::2] = 1
    labels = many[:, 0].astype(int)
    many[7] = 1e8
    model = MLPClassifier((2,), max_iter=1)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(many, labels)
    assert "Inputs" not in str(caught[0].message)
    assert said(model, "Inputs", many, labels)


def test_custom_activations_are_diagnosed(telling):
    class Step(Activation):
        def value(self, z):
            return 1.0 * (z > 0)

        def derivative(self, z, y):
            return 0.0

    model = MLPRegressor(activation=Step(), max_iter=2, random_state=0).fit(X, t)
    assert "100 of 100 in hidden layer 0" in said(model, "dead", y=t)[0]
    with pytest.raises(NotFittedError):
        MLPClassifier().diagnose(X, y)

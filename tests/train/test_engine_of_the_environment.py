"""The environment variable VECPROP_ENGINE can select the reference engine, for debugging."""

from typing import Any

import numpy as np
import pytest

import vecprop as vp

NETWORK = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(1)], vp.SquaredError())
X = np.random.default_rng(0).normal(size=(20, 2))


@pytest.fixture
def calls(monkeypatch):
    """The calls of the reference loss and gradient; kernels make none."""
    counted, original = [], vp.Network._batch_loss_and_gradient

    def count(*arguments, **options):
        counted.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(vp.Network, "_batch_loss_and_gradient", count)
    return counted


def in_train(optimizer: Any = vp.Momentum(0.1), **options):  # noqa: B008 (frozen)
    vp.train(
        NETWORK, NETWORK.init(0), X, X[:, 0], optimizer=optimizer, epochs=2, **options
    )


def in_lbfgs():
    in_train(vp.LBFGS())


def in_a_population():
    vp.train_population(
        [vp.Member(NETWORK, NETWORK.init(0), vp.Momentum(0.1), epochs=2)], X, X[:, 0]
    )


def in_an_estimator():
    model = vp.MLPRegressor(
        hidden_layer_sizes=(3,), max_iter=2, tol=0, random_state=0, early_stopping=True
    )
    model.fit(X, X[:, 0]).predict(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("run", [in_train, in_lbfgs, in_a_population, in_an_estimator])
def test_the_environment_selects_only_the_reference_engine(run, calls, monkeypatch):
    for value in ("", "auto", "reference"):
        assert not calls
        monkeypatch.setenv("VECPROP_ENGINE", value)
        run()
    assert calls
    monkeypatch.setenv("VECPROP_ENGINE", "fast")
    with pytest.raises(
        ValueError,
        match=(
            r'^(In member 0: )?VECPROP_ENGINE must be "auto" or "reference", got'
            r" \'fast\'\.$"
        ),
    ):
        run()


def test_an_argument_overrides_the_environment(calls, monkeypatch):
    monkeypatch.setenv("VECPROP_ENGINE", "reference")
    in_train(engine="compiled")
    assert not calls

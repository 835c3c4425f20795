"""The results of a population are a sequence whose items are created on access."""

import copy
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import vecprop as vp

X = np.random.default_rng(0).normal(size=(40, 2))
T = X.sum(axis=1, keepdims=True)
NETWORK = vp.Network(2, [vp.Dense(3), vp.Tanh(), vp.Dense(1)], vp.SquaredError())


def results(X=X, optimizers=(vp.Momentum(0.1), vp.Adam(0.1), vp.LBFGS()), **settings):  # noqa: B008 (frozen)
    members = [
        vp.Member(NETWORK, NETWORK.init(seed), optimizer, epochs=4, **settings)
        for seed in range(2)
        for optimizer in optimizers
    ]
    return vp.train_population(members, X, T)


def test_results_are_a_sequence():
    found = results()
    every = list(found)
    assert len(found) == len(every) == 6
    assert found[-1] is found[5] is every[5]
    number: Any = np.int64(2)
    assert found[number] is every[2]
    assert found[1:5:2] == [every[1], every[3]]
    assert every[3] in found
    assert found.index(every[4]) == 4
    assert found == every
    assert found != every[:-1]
    assert found != 6
    assert repr(found).startswith(
        "<TrainingResults of 6 member(s), ended 6 by 'epochs'; lowest loss 0."
    )
    assert (
        repr(vp.train_population([], X, T))
        == "<TrainingResults of 0 member(s), ended by nothing>"
    )
    assert vp.train_population([], X, T) == []
    wrong: dict[Any, str] = {
        6: "index 6 is out of range for a population of 6 members",
        -7: "index -7 is out of range",
    }
    for index, message in (wrong | {"a": "integer", 1.0: "integer"}).items():
        with pytest.raises((IndexError, TypeError), match=message):
            found[index]
    groups, others = found._groups, found._others
    assert sorted(
        [*others, *(number for group in groups for number in group.numbers)]
    ) == list(range(6))


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda found: pickle.loads(pickle.dumps(found))]
)
def test_results_can_be_pickled(again):
    found, same = results(), again(results())
    np.testing.assert_array_equal(same.last_loss, found.last_loss)
    for one, other in zip(same, found, strict=True):
        np.testing.assert_array_equal(one.theta, other.theta)
        np.testing.assert_array_equal(one.history.loss, other.history.loss)
        assert one.reason == other.reason


def test_latest_losses_equal_those_of_histories():
    found = results(early_stopping=vp.EarlyStopping(patience=3))
    np.testing.assert_array_equal(
        found.last_loss, [result.history.loss[-1] for result in found]
    )
    running = results(
        optimizers=[vp.Adam(0.1), vp.GradientDescent(1e200)],
        training_loss="running",
        batch_size=8,
    )
    losses = [
        result.history.loss[-1] if len(result.history.loss) else np.nan
        for result in running
    ]
    np.testing.assert_array_equal(running.last_loss, losses)
    assert np.isnan(losses).any()


def test_the_data_are_released():
    own = X.copy()
    data = weakref.ref(own)
    found = results(own, optimizers=[vp.Momentum(0.1)])
    del own
    assert data() is None
    assert np.isfinite(found[1].theta).all()


def test_a_fit_that_was_not_started_has_no_loss(monkeypatch):
    """If Ctrl-C arrives before a fit starts, its array of losses is uninitialized."""
    monkeypatch.setattr(
        "vecprop.compiled.fits.run",
        lambda fits, look: [of.losses.fill(7) for of in fits],
    )
    found = results(optimizers=[vp.Momentum(0.1)])
    assert np.isnan(found.last_loss).all()
    assert [result.reason for result in found] == ["interrupted"] * 2
    assert found[0].history.last_loss is None


def test_results_convert_to_a_data_frame():
    pytest.importorskip("pandas")
    found = results(validation_rows=np.arange(9), validation_score="r2")
    frame = found.to_frame()
    assert frame.reason.tolist() == ["epochs"] * 6
    np.testing.assert_array_equal(frame.loss, found.last_loss)
    np.testing.assert_array_equal(
        frame.validation_loss, [each.history.validation_loss[-1] for each in found]
    )
    np.testing.assert_array_equal(frame.epochs, [each.state.epoch for each in found])
    assert frame.validation_score.between(-9, 1).all()
    assert results().to_frame().validation_loss.isna().all()
    assert vp.train_population([], X, T).to_frame().shape == (0, 6)


def test_histories_of_members_without_an_epoch_convert_to_a_data_frame():
    pytest.importorskip("pandas")
    network, rows = (
        vp.Network(1, [vp.Dense(1)], vp.SquaredError()),
        np.linspace(-1, 1, 20)[:, None],
    )
    settings: dict[str, Any] = {
        "optimizer": vp.Momentum(),
        "epochs": 0,
        "batch_size": 5,
        "validation": (rows, rows),
    }
    history = vp.train(network, np.zeros((3, 2)), rows, rows, **settings).history
    frame = history.to_frame()
    assert frame.index.tolist() == [(0, 0), (0, 1), (0, 2)]
    assert frame.loss.isna().all()
    np.testing.assert_array_equal(frame.validation_loss, history.validation_loss[0])

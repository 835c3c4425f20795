"""The members of a population are bit-identical to results of `train`, independent of the other members."""

import json
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from alike_members import (
    HALF,
    MEMBERS,
    TWICE,
    Failing,
    N,
    T,
    W,
    X,
    alone,
    assert_equal,
    member,
    network,
    t,
)


@pytest.mark.parametrize("threads", [1, 3])
def test_members_are_trained_as_by_train(threads, monkeypatch):
    monkeypatch.setenv("VECPROP_NUM_THREADS", str(threads))
    expected = [alone(member) for member in MEMBERS]
    for found, one in zip(vp.train_population(MEMBERS, X, T), expected, strict=True):
        assert_equal(found, one)
    order = np.random.default_rng(threads).permutation(len(MEMBERS))
    results = vp.train_population([MEMBERS[k] for k in order], X, T)
    latest = [expected[number].history.last_loss for number in order]
    np.testing.assert_array_equal(
        results.last_loss, [np.nan if loss is None else loss for loss in latest]
    )
    for number, found in zip(order, results, strict=True):
        assert_equal(found, expected[number])
    assert {"epochs", "diverged", "early stopping"} <= {one.reason for one in expected}


def test_classes_and_shared_weights():
    loss = vp.SoftmaxCrossEntropy()
    members = [
        member(network(loss=loss), seed, rows=rows, batch_size=16)
        for seed in range(3)
        for rows in (HALF, TWICE)
    ]
    for found, one in zip(
        vp.train_population(members, X, t, sample_weight=W), members, strict=True
    ):
        assert_equal(found, alone(one, X, t, W))


def test_nonfinite_parameters_of_a_member_do_not_affect_others():
    huge = replace(member(), theta=np.full_like(member().theta, 1e200))
    bad, good = vp.train_population([huge, member()], X, T)
    assert bad.reason == "diverged"
    assert not len(bad.history.loss)
    np.testing.assert_array_equal(bad.theta, huge.theta)
    assert_equal(good, alone(member()))


def test_progress_and_stopping():
    seen = []

    def progress(progress):
        seen.append((progress.ended, progress.members))
        return len(seen) > 1

    members = [member(seed=seed, epochs=10**6) for seed in range(8)]
    results = vp.train_population(members, X, T, progress=progress)
    assert seen == [(0, 8), (0, 8)]
    assert {result.reason for result in results} == {"interrupted"}
    for result, one in zip(results, members, strict=True):
        assert np.isfinite(result.theta).all()
        first = alone(replace(one, epochs=min(result.state.epoch, 100))).history.loss
        np.testing.assert_array_equal(
            first[: len(result.history.loss)], result.history.loss[: len(first)]
        )


@pytest.mark.parametrize(
    ("training_loss", "validation"), [("exact", True), ("running", False)]
)
def test_progress_has_the_latest_losses_and_the_rows(training_loss, validation):
    seen = []
    one = member(
        epochs=10**6,
        batch_size=16,
        training_loss=training_loss,
        validation_rows=np.arange(9) if validation else None,
    )

    def progress(progress):
        seen.append(progress)
        return progress.rows > 0

    [result] = vp.train_population([one], X, T, progress=progress)
    last, history = seen[-1], result.history
    epoch, rest = divmod(last.rows, len(X))
    assert rest == 0
    assert last.share == pytest.approx(epoch / 10**6)
    assert last.loss == history.loss[epoch - (training_loss == "running")]
    assert (
        last.validation_loss == history.validation_loss[epoch]
        if validation
        else np.isnan(last.validation_loss)
    )
    assert (last.ended, last.members) == (0, 1)


def test_ctrl_c_returns_the_results_so_far():
    timer = threading.Timer(0, os.kill, (os.getpid(), signal.SIGINT))

    def press(progress):
        if progress.rows and not timer.ident:
            timer.start()

    results = vp.train_population(
        [member(epochs=10**6, seed=seed) for seed in range(3)], X, T, progress=press
    )
    assert [result.reason for result in results] == ["interrupted"] * 3
    assert any(result.state.epoch for result in results)


def test_seconds_are_measured_per_member():
    began = time.perf_counter()
    results = vp.train_population([member(epochs=epochs) for epochs in (50, 100)], X, T)
    elapsed = time.perf_counter() - began
    assert all(0 < result.history.time[-1] < elapsed for result in results)
    assert results[0].history.time[0] == 0


def test_a_finished_member_counts_as_a_share_of_one():
    seen = []

    def progress(now):
        seen.append(now)
        return now.ended == 1

    vp.train_population(
        [member(epochs=1), member(epochs=10**7, seed=1)], X, T, progress=progress
    )
    assert seen[-1].ended == 1
    assert 0.5 <= seen[-1].share < 0.6


def test_stopping_a_population_stops_all_of_it():
    long: dict[str, Any] = {"epochs": 10**6}
    # watches the loss, so it is trained by itself
    adaptive = member(schedule=vp.Adaptive(), seed=3)
    members = [
        adaptive,
        member(**long),
        member(F=np.float32, **long),
        replace(adaptive, optimizer=vp.LBFGS(), schedule=None),
    ]
    seen = []

    def stop(progress):
        seen.append(progress)
        return progress.rows > 0

    results = vp.train_population(members, X, T, progress=stop)
    assert [result.reason for result in results] == ["interrupted"] * 4
    assert results[1].state.epoch > 0
    for result, never_begun in zip(results, (True, False, True, True), strict=True):
        assert (result.state.epoch == 0) == never_begun
    np.testing.assert_array_equal(results[0].theta, adaptive.theta)
    assert not np.shares_memory(results[0].theta, adaptive.theta)


def test_each_member_is_checked_only_on_its_rows():
    holes = np.where(np.arange(N)[:, None] == 5, np.nan, X)
    search = member(optimizer=vp.LBFGS(), rows=np.arange(10, 60))
    assert_equal(vp.train_population([search], holes, T)[0], alone(search))


def test_an_exception_of_a_custom_part_keeps_its_traceback():
    with pytest.raises(ValueError, match="In member 1: deep in my code") as caught:
        vp.train_population(
            [member(), member(optimizer=Failing(0.1))], X, T, engine="reference"
        )
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)


def test_progress_has_the_loss_of_a_single_epoch():
    seen = []
    [result] = vp.train_population([member(epochs=1)], X, T, progress=seen.append)
    assert (seen[-1].ended, seen[-1].loss) == (1, result.history.loss[-1])


def test_progress_counts_members_trained_one_by_one():
    seen = []
    vp.train_population(
        [member(seed=seed) for seed in range(3)],
        X,
        T,
        progress=seen.append,
        engine="reference",
    )
    assert [progress.ended for progress in seen] == [1, 2, 3]
    assert [progress.rows for progress in seen] == [6 * N, 12 * N, 18 * N]
    assert seen[-1].share == 1


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 0}, {"optimizer": vp.GradientDescent(1e30), "batch_size": 1}],
)
@pytest.mark.parametrize("training_loss", ["exact", "running"])
def test_histories_without_an_epoch(settings, training_loss):
    short = member(F=np.float32, training_loss=training_loss, **settings)
    assert_equal(vp.train_population([short], X, T)[0], alone(short))


@pytest.mark.parametrize(
    ("members", "error", "pattern"),
    [
        (["mlp"], TypeError, r"members\[0\] must be a Member, got 'mlp'"),
        (
            [member(), member(epochs=-1)],
            ValueError,
            "In member 1: epochs must be an integer of at least 0, got -1",
        ),
        (
            [member(rows=[N])],
            ValueError,
            (
                "In member 0: rows has indices from 120 to 120, but X has the rows 0"
                " to 119"
            ),
        ),
        (
            [member(rows=[])],
            ValueError,
            "rows must be a one-dimensional array of at least one integer",
        ),
        (
            [member(rows=[0.5])],
            ValueError,
            "rows must be a one-dimensional array of at least one integer",
        ),
        (
            [member(rows=HALF, sample_weight=np.arange(N) % 2)],
            ValueError,
            "0 in every selected row",
        ),
        ([member(X=X[:, :2])], ValueError, r"In member 0: X has shape \(120, 2\)"),
        ([replace(member(), theta=np.zeros(3))], ValueError, r"theta has shape"),
        (
            [member(validation_score="r2", validation_rows=[3])],
            ValueError,
            "at least 2 validation rows",
        ),
        (
            [member(), replace(member(), seed=1.5)],
            TypeError,
            "In member 1: seed must be an integer, got 1.5",
        ),
        (
            [member(), member(batch_size=[3])],
            ValueError,
            r"In member 1: batch_size must be .* got \[3\]",
        ),
        (
            [*[member()] * 5, replace(member(), theta=np.full(43, np.nan))],
            ValueError,
            "In member 5: theta is not fini",
        ),
        (
            [
                member(epochs=10**9),
                replace(member(optimizer=vp.LBFGS()), theta=np.full(43, np.nan)),
            ],
            ValueError,
            "member 1: the",
        ),
        (
            [member(epochs=10**9), member(optimizer=vp.LBFGS(), rows=[500])],
            ValueError,
            "In member 1: rows has indices",
        ),
        (
            [member(), replace(member(), network=None)],
            TypeError,
            "In member 1: network must be a Network, got None",
        ),
        (
            [member(), member(optimizer=vp.LBFGS(), clip_norm=1.0)],
            ValueError,
            "In member 1: LBFGS trains on full batches",
        ),
        (
            member(),
            TypeError,
            (
                r"members must be a list of Member objects, got one Member: pass"
                r" \[member\]"
            ),
        ),
    ],
)
def test_invalid_members_are_named(members, error, pattern):
    with pytest.raises(error, match=pattern):
        vp.train_population(members, X, T)


@pytest.mark.parametrize("optimizer", [vp.Momentum(0.05), vp.LBFGS()])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_rows_of_lists_and_data_frames_are_selected_by_position(optimizer, engine):
    pd = pytest.importorskip("pandas")
    members = [member(optimizer=optimizer, rows=TWICE, validation_rows=HALF)]
    expected = vp.train_population(members, X, T, sample_weight=W, engine=engine)[0]
    labels = np.random.default_rng(1).permutation(N)  # unlike the positions
    frames = [pd.DataFrame(X, labels), pd.DataFrame(T, labels), pd.Series(W, labels)]
    for given in (frames, [X.tolist(), T.tolist(), W.tolist()]):
        found = vp.train_population(
            members, *given[:2], sample_weight=given[2], engine=engine
        )[0]
        assert_equal(found, expected)


def test_an_exception_of_progress_is_raised_after_all_stopped():
    members = [member(seed=seed, epochs=10**7, batch_size=4) for seed in range(4)]

    def progress(progress):
        raise RuntimeError("my mistake")

    with pytest.raises(RuntimeError, match="my mistake"):
        vp.train_population(members, X, T, progress=progress)
    assert_equal(vp.train_population([member()], X, T)[0], alone(member()))


def test_only_members_with_equal_settings_form_a_group():
    def own(width=5, rate=0.05, decay=1e-3, start=0.1, seed=0):
        schedule = vp.Cosine(final=start)
        return member(
            network(width, penalty=vp.L2(decay)),
            seed,
            optimizer=vp.Momentum(rate),
            schedule=schedule,
        )

    equal = [own(seed=seed) for seed in range(3)]
    others = [own(width=6), own(rate=0.1), own(decay=1e-2), own(start=0.2)]
    results = vp.train_population([*equal, *others], X, T)
    assert [group.numbers for group in results._groups] == [
        [0, 1, 2],
        [3],
        [4],
        [5],
        [6],
    ]
    for each, result in zip([*equal, *others], results, strict=True):
        assert_equal(result, alone(each))


@dataclass(frozen=True)
class Rescaled(vp.Momentum):
    """A custom optimizer whose settings cannot be compared."""

    factors: Any = None

    def update(self, theta, J, rate, t, *moments):
        return super().update(theta, self.factors * J, rate, t, *moments)


@pytest.mark.parametrize("factors", [[np.ones(43), np.full(43, 2.0)], [1.0, 2.0]])
@pytest.mark.filterwarnings("ignore:Training on the reference engine")
def test_custom_parts_are_distinguished(factors):
    members = [member(optimizer=Rescaled(0.05, factors=factor)) for factor in factors]
    results = vp.train_population(members, X, T)
    for each, result in zip(members, results, strict=True):
        assert_equal(result, alone(each))
    assert (results[0].theta != results[1].theta).any()


@pytest.mark.parametrize("kind", [np.int32, np.uint64])
def test_numpy_integers_are_accepted(kind):
    expected = alone(member(seed=3, batch_size=32))
    same = replace(member(seed=3), seed=kind(3), batch_size=kind(32), epochs=kind(6))
    for found in (alone(same), *vp.train_population([same], X, T)):
        assert_equal(found, expected)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_predictions_of_validation_rows_are_stored(engine):
    rule, rows = (
        vp.EarlyStopping(patience=3),
        np.flatnonzero(~np.isin(np.arange(N), HALF)),
    )
    settings = {
        "rows": HALF,
        "validation_rows": rows,
        "epochs": 30,
        "batch_size": 16,
        "early_stopping": rule,
    }
    members = [member(network(), seed, **settings) for seed in range(2)]
    results = vp.train_population(
        [replace(one, keeps_predictions=True) for one in members], X, T, engine=engine
    )
    for found, one in zip(
        results, vp.train_population(members, X, T, engine=engine), strict=True
    ):
        assert_equal(found, one)
        kept, losses = (
            found.history.validation_predictions,
            found.history.validation_loss,
        )
        assert kept.shape == (len(losses), len(rows), T.shape[1])
        net: Any = found.state.network
        np.testing.assert_allclose(
            kept[losses.argmin()], net.predict(found.theta, X[rows]), rtol=1e-12
        )
        np.testing.assert_allclose(
            kept[-1], net.predict(found.state.theta, X[rows]), rtol=1e-12
        )
        assert one.history.validation_predictions.shape == (0,)


def test_ctrl_c_between_members_that_are_trained_one_by_one_keeps_their_results():
    members = [member(seed=seed, optimizer=vp.LBFGS(), epochs=3) for seed in range(3)]
    whole = vp.train_population(members, X, T)
    results = vp.train_population(
        members, X, T, progress=lambda now: signal.raise_signal(signal.SIGINT)
    )
    assert_equal(results[0], whole[0])
    for unstarted, result in zip(members[1:], results[1:], strict=True):
        assert (result.reason, result.state.epoch) == ("interrupted", 0)
        np.testing.assert_array_equal(result.theta, unstarted.theta)

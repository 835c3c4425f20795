"""A real local cluster, some of whose workers are killed, is bit-identical to local training."""

import os
import signal
import threading
import time
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import alike_members as of
import vecprop as vp
from vecprop.tables.streaming.streamed import StreamedRows

dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 6)).astype(np.float32)
y = (X[:, 0] * X[:, 1] > 0).astype(int)


@pytest.fixture(scope="module")
def cluster():
    settings = {
        "n_workers": 1,
        "threads_per_worker": 1,
        "silence_logs": 50,
        "memory_limit": "1GB",
    }
    settings |= {
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
    }
    # After these seconds, a worker in place of one that was killed, which is only
    # starting, would count as gone.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1d"}),
        distributed.LocalCluster(**settings) as own,
    ):
        yield own


@pytest.fixture
def client(cluster):
    cluster.scale(2)
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture(autouse=True)
def small(limit):
    limit("bundle: seconds", 0.05)


def population(count):
    network = of.network(width=20, activation=vp.ReLU())
    optimizers = [
        vp.Adam(0.01),
        vp.AdamW(0.01),
        vp.Momentum(0.1),
        vp.GradientDescent(0.1),
    ]
    rows = [(of.HALF, of.OTHERS), (of.OTHERS, of.HALF)]
    return [
        of.member(
            network,
            seed,
            optimizer=optimizers[seed % 4],
            rows=rows[seed % 2][0],
            validation_rows=rows[seed % 2][1],
            early_stopping=vp.EarlyStopping(patience=20) if seed % 3 else None,
            batch_size=16,
            epochs=150,
        )
        for seed in range(count)
    ]


def assert_bits(results, expected):
    assert len(results) == len(expected)
    for found, own in zip(results, expected, strict=True):
        of.assert_equal(found, own)


def test_one_two_and_four_workers_are_bit_identical_to_local_training(cluster, client):
    members = [*population(60), *of.MEMBERS]
    expected = vp.train_population(members, of.X, of.T)
    for count in (1, 2, 4):
        cluster.scale(count)
        while len(client.nthreads()) != count:
            time.sleep(0.05)
        seen: list[Any] = []
        workers = vp.cluster.DaskWorkers(client)
        assert_bits(
            vp.train_population(
                members, of.X, of.T, workers=workers, progress=seen.append
            ),
            expected,
        )
        assert seen[-1].ended == len(members)


def test_a_lost_cluster_is_reported(cluster, client, limit):
    limit("cluster: patience", 2.0)
    members = population(400)

    def leave(progress):
        cluster.scale(0)

    with pytest.raises(
        RuntimeError,
        match=r"The cluster at tcp://\S+ has had no worker for 2 s: start workers",
    ):
        vp.train_population(
            members, of.X, of.T, workers=vp.cluster.DaskWorkers(client), progress=leave
        )


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_closed_client_is_reported(cluster, client, seconds):
    def close(progress):
        if seconds:
            threading.Timer(seconds, own.close).start()
        else:
            own.close()

    with (
        distributed.Client(cluster) as own,
        pytest.raises(RuntimeError, match="The client of the Dask cluster is clos"),
    ):
        vp.train_population(
            population(2000),
            of.X,
            of.T,
            workers=vp.cluster.DaskWorkers(own),
            progress=close,
        )


class Bundle(NamedTuple):
    numbers: list[int]


def greedy(bundle, data):
    kept = []
    while True:
        kept.append(np.ones(5 * 10**7))
        time.sleep(0.2)


def test_a_bundle_that_needs_too_much_memory_is_reported(client):
    with pytest.raises(
        RuntimeError, match=r"exceeded (its|their) memory .*: give|last: give"
    ):
        list(vp.cluster.DaskWorkers(client, retries=1).run(greedy, [Bundle([7])], None))


def running(dask_worker):
    return len(dask_worker.state.executing)


def test_ctrl_c_stops_the_workers(client):
    members = [
        of.member(
            of.network(width=200),
            seed,
            optimizer=vp.Adam(1e-5),
            epochs=10**5,
            batch_size=2,
        )
        for seed in range(4)
    ]

    def press():
        while min(client.run(running).values()) == 0:
            time.sleep(0.05)
        time.sleep(1)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=press).start()
    results = vp.train_population(
        members, of.X, of.T, workers=vp.cluster.DaskWorkers(client)
    )
    assert {result.reason for result in results} == {"interrupted"}
    assert sum(result.state.epoch > 0 for result in results) == 2  # those under way
    for _ in range(1000):
        if not any(client.run(running).values()):
            break
        time.sleep(0.05)
    else:
        pytest.fail("The fits under way are not stopped.")


def test_a_task_that_waits_for_the_cluster_releases_its_thread(client):
    def within():
        members = [
            vp.Member(
                vp.Network(1, [vp.Dense(1)], vp.SquaredError()),
                np.zeros(2),
                vp.Adam(0.1),
            )
        ]
        line = np.linspace(-1, 1, 20)[:, None]
        return vp.train_population(
            members, line, line, workers=vp.cluster.DaskWorkers()
        )[0].theta

    first, second = client.gather([client.submit(within, pure=False) for _ in range(2)])
    np.testing.assert_array_equal(first, second)


def search(workers=None):
    model = make_pipeline(
        StandardScaler(), vp.MLPClassifier((8,), max_iter=20, random_state=0)
    )
    grid = {
        "mlpclassifier__alpha": [1e-4, 1.0],
        "mlpclassifier__early_stopping": [True, False],
    }
    return vp.MLPSearchCV(model, grid, cv=3, n_seeds=2, workers=workers)


def ensemble(workers=None):
    return vp.MLPEnsembleClassifier(
        vp.MLPClassifier((8,), max_iter=20),
        6,
        bootstrap=True,
        oob_score=True,
        random_state=0,
        workers=workers,
    )


def table(workers=None):
    return vp.TabularClassifier(
        n_estimators=3, max_iter=8, random_state=0, workers=workers
    )


def unread(*arguments):
    raise AssertionError("A row is read here.")


def test_a_large_table_is_read_while_workers_die_and_join(
    cluster, client, tmp_path, monkeypatch, little
):
    rows = RNG.normal(size=(16_000, 6))
    frame = pd.DataFrame(rows, columns=list("abcdef")).assign(
        y=np.where(rows[:, 0] * rows[:, 1] > 0, "yes", "no")
    )
    for part in range(6):
        frame[part::6].to_parquet(tmp_path / f"{part}.parquet", row_group_size=2_000)

    def fitted(workers):
        model = vp.TabularClassifier(
            "y", n_estimators=2, max_iter=12, random_state=0, workers=workers
        )
        return model.fit(tmp_path, memory=little + 20_000_000)

    def harm():
        while sum(client.run(running).values()) < 2:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        cluster.scale(3)

    here, thread = fitted(None), threading.Thread(target=harm, daemon=True)
    monkeypatch.setattr(StreamedRows, "batches", unread)
    thread.start()
    there = fitted(vp.cluster.DaskWorkers(client))
    thread.join(60)
    np.testing.assert_array_equal(there.ensemble_.theta, here.ensemble_.theta)
    assert (there.notes_, there.validation_loss_) == (
        here.notes_,
        here.validation_loss_,
    )


@pytest.mark.parametrize("make", [search, ensemble, table])
@pytest.mark.parametrize("way", ["given", "joblib"])
def test_estimators_on_the_cluster_are_bit_identical(
    client, make, way, tmp_path, monkeypatch
):
    ran, run = [], vp.cluster.DaskWorkers.run

    def counted(self, function, bundles, data):
        ran.append(len(bundles))
        return run(self, function, bundles, data)

    monkeypatch.setattr(vp.cluster.DaskWorkers, "run", counted)
    here = make().fit(X, y)
    assert not ran
    if way == "given":
        there = make(vp.cluster.DaskWorkers(client)).fit(X, y)
    else:
        with joblib.parallel_config("dask"):
            there = make().fit(X, y)
    assert len(ran) == 1
    np.testing.assert_array_equal(there.predict_proba(X), here.predict_proba(X))
    for name in ("oob_score_", "best_params_", "out_of_fold_", "validation_loss_"):
        if hasattr(here, name):
            np.testing.assert_equal(getattr(there, name), getattr(here, name))
    if make is search:
        np.testing.assert_array_equal(
            there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
        )
    if make is table and way == "given":
        vp.save(there, tmp_path / "model.npz")
        assert vp.load(tmp_path / "model.npz").workers is None

"""Populations on lost, killed or incompatible workers: bit-identical results, or a one-line error."""

import copy
import pickle
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone

import alike_members as of
import vecprop as vp
from scale.fake_client import FakeClient, KilledWorker
from vecprop.scale import workers
from vecprop.scale.cluster import machine

MEMBERS = [of.member(seed=seed, batch_size=40) for seed in range(12)]


@pytest.fixture(autouse=True)
def small(limit):
    """Bundles of two members, and no waiting."""
    limit("bundle: members", 2)
    limit("cluster: seconds until the last bundles", 0.0)
    limit("cluster: seconds between polls", 0.0)
    limit("cluster: patience", 0.0)


def trained(client, members=MEMBERS, progress=None, **settings):
    return vp.train_population(
        members,
        of.X,
        of.T,
        progress=progress,
        workers=vp.cluster.DaskWorkers(client, **settings),
    )


def assert_bits(results, members=MEMBERS):
    expected = vp.train_population(members, of.X, of.T)
    assert len(results) == len(expected)
    for found, own in zip(results, expected, strict=True):
        of.assert_equal(found, own)


def test_members_of_every_kind_are_bit_identical_to_local_training():
    client = FakeClient()
    assert_bits(trained(client, of.MEMBERS), of.MEMBERS)
    assert client.calls[:3] == ["run machine", "scatter", "map"]
    assert client.calls.count("scatter") == 1
    assert all(call == "map" for call in client.calls[2:])
    assert {given["threads"] for given in client.given} == {1}
    # more than there is room for at once
    assert sum(given["bundles"] for given in client.given) > 12


def test_lost_workers_and_data_do_not_change_bits():
    killed = KilledWorker()
    client = FakeClient(
        "done",
        killed,
        "gone",
        "lost",
        "done",
        killed,
        killed,
        "gone",
        "lost",
        "done",
        killed,
    )
    seen = []
    assert_bits(trained(client, progress=seen.append))
    assert client.calls.count("scatter") >= 3  # again, each time all holders have died
    assert not client.cues
    assert [each.ended for each in seen] == [2, 4, 6, 8, 10, 12]
    assert_bits(
        trained(FakeClient("done", "lost", "done", "lost", "done", "lost"), retries=1)
    )


def test_few_bundles_get_more_threads_and_are_submitted_when_there_is_room():
    client = FakeClient(threads={"tcp://a": 16, "tcp://b": 16})
    assert_bits(trained(client, MEMBERS[:4]), MEMBERS[:4])
    assert client.given[0]["threads"] == 16
    client = FakeClient(threads={"tcp://a": 1})
    assert_bits(trained(client))
    assert [given["bundles"] for given in client.given] == [4, 2]


@pytest.mark.parametrize(
    ("cues", "events", "sentence"),
    [
        (
            [KilledWorker()] * 20,
            (),
            (
                r"The workers that trained 2 members from member \d+ on died 8 times:"
                r" check"
            ),
        ),
        (
            ["lost"] * 20,
            (),
            "All workers that had the data were lost, 2 times in a row: check",
        ),
        (
            ["lost"] * 20,
            [(1.0, {"worker": "tcp://b"})],
            "ended 1 times because they .*, tcp://b last",
        ),
        (
            [MemoryError()],
            (),
            (
                "A worker has too little memory to train 2 members from member 0 on:"
                " increase"
            ),
        ),
        (
            [KilledWorker()],
            [(1.0, {"worker": "tcp://a"})],
            "tcp://a was ended .* because it exceeded its memory limit",
        ),
    ],
)
def test_repeated_losses_are_reported(cues, events, sentence):
    client = FakeClient(*cues, events=events)
    with pytest.raises(RuntimeError, match=sentence):
        trained(client, retries=1)


def test_a_missing_worker_or_scheduler_and_unplaced_data_are_reported():
    client = FakeClient()
    client.threads = {}
    with pytest.raises(
        RuntimeError, match=r"at tcp://scheduler:8786 has had no worker for 0 s"
    ):
        trained(client)
    assert client.calls == ["submit"]  # which makes a cluster grow

    class Gone(FakeClient):
        def nthreads(self):
            raise OSError("connection refused")

    with pytest.raises(
        RuntimeError,
        match=r"The scheduler at tcp://scheduler:8786 does not respond: connection",
    ):
        trained(Gone())

    class Full(FakeClient):
        def scatter(self, each, broadcast, hash):
            self.calls.append("scatter")
            raise TimeoutError("No valid workers found.")

    client = Full()
    with pytest.raises(
        RuntimeError,
        match=r"could not be sent to the cluster at tcp://scheduler:8786: No valid",
    ):
        trained(client, retries=2)
    assert client.calls.count("scatter") == 3


def test_a_client_that_is_closed_during_a_run_is_reported():
    class Closed(FakeClient):
        def gather(self, futures, errors):
            self.status = "closing"
            raise OSError("in <TCP (closed)>: Stream is closed")

    with pytest.raises(
        RuntimeError, match="The client of the Dask cluster is closed: create a new one"
    ):
        trained(Closed())


def test_incompatible_workers_are_refused_before_training():
    unlike = {"the processor": "z80", "its instructions": "avx"}
    client = FakeClient(there={"tcp://b": machine() | unlike})
    with pytest.raises(
        RuntimeError,
        match=r"Worker tcp://b differs: the processor is z80 there and \S+ here; its",
    ):
        trained(client)
    assert client.calls == ["run machine"]
    assert_bits(trained(client, same_bits=False))
    client = FakeClient(
        there={"tcp://b": ModuleNotFoundError("No module named 'vecprop'")}
    )
    for same_bits in (True, False):
        with pytest.raises(
            RuntimeError,
            match="Worker tcp://b cannot train: ModuleNotFoundError: No module",
        ):
            trained(client, same_bits=same_bits)
    assert_bits(trained(FakeClient(there={"tcp://b": OSError("it has ended")})))


def test_an_incompatible_worker_that_joins_later_is_excluded():
    client = FakeClient("done", "unlike")
    with pytest.warns(
        UserWarning,
        match=r"Worker tcp://c has joined the cluster but is not used: NumPy is",
    ):
        results = trained(client)
    assert_bits(results)
    assert client.given[0]["workers"] is None
    assert client.given[-1]["workers"] == ["tcp://a", "tcp://b"]


def test_ctrl_c_and_errors_cancel_bundles_and_keep_results():
    def press(progress):
        raise KeyboardInterrupt

    client = FakeClient("running", "running", "done")
    results = trained(client, MEMBERS[:8], press)
    assert [result.reason for result in results] == ["interrupted"] * 4 + [
        "epochs"
    ] * 2 + ["interrupted"] * 2
    assert client.calls[-2:] == ["cancel 3", "run stop"]
    client = FakeClient("running", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        trained(client)
    assert client.calls[-2:] == ["cancel 5", "run stop"]


def test_data_on_workers_are_released_while_an_error_is_held():
    class Watched(FakeClient):
        def scatter(self, each, broadcast, hash):
            futures = super().scatter(each, broadcast, hash)
            self.placed = weakref.ref(futures[0])
            return futures

    client = Watched("running", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError) as caught:
        trained(client)
    assert caught.tb
    assert client.placed() is None


def test_cancelled_work_ends_within_an_epoch():
    def train(bundle, data):
        results.append(vp.train_population(bundle, of.X, of.T))
        return results[-1]

    results, members = [], [of.member(epochs=10**7)]
    # as the threads of a worker are not its main one
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(workers.work, members, train, None, "called off", 1, None)
        time.sleep(0.05)
        workers.stop("called off")
        running.result(20)
        assert (
            pool.submit(
                workers.work, members, train, None, "called off", 1, None
            ).result(20)
            is None
        )
    assert [result.reason for each in results for result in each] == ["interrupted"]


def test_settings_are_copied_and_pickled_without_the_client():
    own = vp.cluster.DaskWorkers(FakeClient(), retries=5, same_bits=False)
    assert copy.deepcopy(own) is clone(own, safe=False) is own
    other = pickle.loads(pickle.dumps(own))
    assert (other.client, other.retries, other.same_bits) == (None, 5, False)
    for retries in (-1, 1.5, "3"):
        with pytest.raises(
            ValueError, match="retries must be an integer of at least 0"
        ):
            vp.cluster.DaskWorkers(retries=retries)  # pyright: ignore[reportArgumentType]


def test_a_missing_dask_or_client_is_reported_with_advice(without_package):
    without_package("distributed")
    with pytest.raises(
        ImportError, match=r'DaskWorkers needs Dask: pip install "vecprop\[dask\]"'
    ):
        trained(None)
    with pytest.raises(
        TypeError,
        match=(
            r"The client of DaskWorkers must be a Dask client, such as Client.* got"
            r" 'tcp://x'"
        ),
    ):
        trained("tcp://x")
    client = FakeClient()
    client.status = "closed"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(
        RuntimeError, match="The client of the Dask cluster is closed: create a new one"
    ):
        trained(client)
    with pytest.raises(
        TypeError,
        match=r"workers must be DaskWorkers\(client\), or an object whose run",
    ):
        vp.train_population([], np.ones((2, 1)), np.ones(2), workers=client)  # pyright: ignore
    client = FakeClient()
    client.asynchronous = True  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(RuntimeError, match="The client is asynchronous"):
        trained(client)


def test_the_machine_lists_everything_that_affects_bits(monkeypatch):
    here = machine()
    assert all(
        here[name]
        for name in ("vecprop", "NumPy", "the processor", "its instructions", "BLAS")
    )
    machine.cache_clear()
    monkeypatch.setenv("VECPROP_PRODUCTS", "BLAS")
    assert {name for name, value in machine().items() if here[name] != value} == {
        "VECPROP_PRODUCTS"
    }
    machine.cache_clear()
    np.testing.assert_equal(len(here), len(machine()))

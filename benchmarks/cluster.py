"""A cluster whose workers are killed, and what it costs: ``python benchmarks/cluster.py``.

Each seed trains a population on two to four processes of this machine, of which some
are killed with -9 at random moments, one by one or all at once, and compares all bits
with those of training here. What a seed has shown is kept, so that an interrupted run
continues. In the end a search of 2,000 networks is timed here and on one, two and four
processes, and so is the client of a search of 10,000; each of these five is kept too.
"""

import hashlib
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# whose own threads spin, here and in the processes of a cluster
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import psutil
from campaign import results_of
from distributed import Client
from machine import described, machine
from sklearn.datasets import load_digits

import vecprop as vp
from vecprop.app.training.cluster import local_cluster
from vecprop.scale.workers import Dispatcher
from vecprop.train.population import bundles

PAGE = Path(__file__).parent / "results" / "cluster.md"
SEEDS = range(1, 41)
PROCESSES = (1, 2, 4)
NETWORKS, LARGE = 2_000, 10_000
MEASUREMENTS = (0, *(-count for count in PROCESSES), -LARGE)
"""The numbers of the measurements among the seeds, after all of them: here, on
processes, and of a large search.
"""


@contextmanager
def cluster_of(processes: int) -> Iterator[tuple[Any, Client]]:
    """Give the cluster of ``--workers local:N``, which replaces a process that is killed, and its client."""
    with local_cluster(processes, 1) as cluster, Client(cluster) as client:
        client.wait_for_workers(processes)
        yield cluster, client


def population(seed: int) -> tuple[list[vp.Member], np.ndarray, np.ndarray]:
    """Return a population of some seconds, with members of all kinds, and its data."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    rows, F = draw.choice([500, 2_000]), draw.choice([np.float32, np.float64])
    X = rng.normal(size=(rows, 12)).astype(F)
    t = (X[:, 0] * X[:, 1] + 0.3 * X[:, 2] > 0).astype(int)
    folds = [
        (
            np.flatnonzero(np.arange(rows) % 5 != k),
            np.flatnonzero(np.arange(rows) % 5 == k),
        )
        for k in range(5)
    ]
    loss = vp.SoftmaxCrossEntropy(reduction="mean")
    networks = [
        vp.Network(12, [vp.Dense(16), vp.ReLU(), vp.Dense(2)], loss),
        vp.Network(
            12,
            [vp.Dense(64), vp.Tanh(), vp.Dropout(0.2), vp.Dense(2)],
            loss,
            vp.L2(1e-4),
        ),
        vp.Network(
            12,
            [
                vp.Dense(32),
                vp.LayerNorm(),
                vp.GELU(),
                vp.Dense(16),
                vp.SiLU(),
                vp.Dense(2),
            ],
            loss,
        ),
    ]
    optimizers = [
        vp.Adam(1e-3),
        vp.AdamW(3e-3),
        vp.Momentum(0.05),
        vp.RMSProp(1e-3),
        vp.LBFGS(),
    ]
    schedules = [None, vp.Cosine(), vp.OneCycle(), vp.Adaptive()]
    members = []
    for number in range(1_200):
        network, fold, optimizer = (
            draw.choice(networks),
            draw.choice(folds),
            draw.choice(optimizers),
        )
        settings: dict[str, Any] = {
            "rows": fold[0],
            "validation_rows": fold[1],
            "epochs": 12,
        }
        if not isinstance(optimizer, vp.LBFGS):
            settings |= {
                "batch_size": draw.choice([32, 64, 256]),
                "schedule": draw.choice(schedules),
                "epochs": 60,
            }
            settings["early_stopping"] = draw.choice(
                [None, vp.EarlyStopping(patience=5)]
            )
        elif network is networks[1]:  # L-BFGS has no use for dropout
            network = networks[0]
        members.append(
            vp.Member(
                network, network.init(number, F), optimizer, seed=number, **settings
            )
        )
    return members, X, t


def bits(results: Any) -> str:
    """Return a digest of all that results hold, except times."""
    digest = hashlib.sha256()
    for result in results:
        history, state = result.history, result.state
        curves = (history.loss, history.validation_loss, history.gradient_norm)
        moments = [value for _, value in sorted(state.optimizer.items())]
        for array in (
            result.theta,
            state.theta,
            *curves,
            *moments,
            [state.epoch, state.step],
        ):
            digest.update(np.asarray([] if array is None else array).tobytes())
        digest.update(result.reason.encode())
    return digest.hexdigest()


class Killer(threading.Thread):
    """Kills workers at random moments, until it is told to stop.

    One that is only starting is left alone: Dask starts no other in its place.
    """

    def __init__(self, cluster: Any, seed: int, all_at_once: bool) -> None:
        super().__init__(daemon=True)
        self.cluster, self.draw, self.all_at_once = (
            cluster,
            random.Random(seed),
            all_at_once,
        )
        self.kills, self.over = 0, threading.Event()

    def run(self) -> None:
        """Kill at most a dozen times."""
        while not self.over.wait(self.draw.uniform(0.05, 1.5)) and self.kills < 12:
            pids = [
                worker.pid
                for worker in self.cluster.workers.values()
                if is_running(worker)
            ]
            for pid in (
                pids if self.all_at_once else self.draw.sample(pids, min(len(pids), 1))
            ):
                # it has just ended by itself
                with suppress(ProcessLookupError, TypeError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills += 1


def is_running(nanny: Any) -> bool:
    """Return whether the worker of one of Dask's nannies runs, and is not only starting."""
    return (
        nanny.process is not None
        and nanny.status.name == nanny.process.status.name == "running"
    )


def killed(seed: int) -> dict[str, Any]:
    """Train a population while workers are killed, or end if a bit is not that of training here; return the kills."""
    bundles.SECONDS = 0.2  # so that each kill meets some
    members, X, t = population(seed)
    here = bits(vp.train_population(members, X, t))
    reissued: list[int] = []
    for name in ("failed", "lost"):
        setattr(Dispatcher, name, counted(getattr(Dispatcher, name), reissued))
    processes, all_at_once = 2 + seed % 3, seed % 2 == 0
    with cluster_of(processes) as (cluster, client):
        killer = Killer(cluster, seed, all_at_once)
        killer.start()
        there = bits(
            vp.train_population(
                members, X, t, workers=vp.cluster.DaskWorkers(client, retries=20)
            )
        )
        killer.over.set()
        killer.join()
    bundles.SECONDS = 1.0
    if there != here:
        sys.exit(
            f"Seed {seed}: other bits on {processes} processes after {killer.kills}"
            " kills."
        )
    return {
        "all": all_at_once,
        "kills": killer.kills,
        "reissued": sum(reissued),
        "members": len(members),
    }


def counted(method: Callable[..., Any], counts: list[int]) -> Callable[..., Any]:
    """Return a method that counts the bundles that it gives out again."""

    def count(self: Any, places: Any, *arguments: Any) -> Any:
        counts.append(len(places) if isinstance(places, list) else 1)
        return method(self, places, *arguments)

    return count


def search(workers: Any, networks: int = NETWORKS, epochs: int = 40) -> vp.MLPSearchCV:
    """Return a search whose settings, 5 folds and 4 seeds make a given number of networks."""
    network = vp.MLPClassifier(
        (64,),
        batch_size=32,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=40,
        random_state=0,
    )
    rates, penalties = (
        np.geomspace(1e-4, 1e-2, networks // 200),
        np.geomspace(1e-6, 1e-1, 10),
    )
    grid = {"learning_rate_init": list(rates), "alpha": list(penalties)}
    return vp.MLPSearchCV(network, grid, cv=5, n_seeds=4, refit=False, workers=workers)


def seconds_of(processes: list[psutil.Process]) -> float:
    """Return the processor time of processes."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def timed(search: vp.MLPSearchCV, processes: list[psutil.Process]) -> dict[str, Any]:
    """Fit a search; return its processor time in all processes, its wall time and its scores."""
    X, t = load_digits(return_X_y=True)
    own = [psutil.Process(), *processes]
    cpu, wall = seconds_of(own), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit((X / 16).astype(np.float32), t)
    cpu, wall = seconds_of(own) - cpu, time.perf_counter() - wall
    return {
        "cpu": cpu,
        "wall": wall,
        "scores": search.cv_results_["mean_test_score"].tolist(),
    }


SERVE = """
import sys
from distributed import LocalCluster
with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


def of_client() -> dict[str, float]:
    """Return the processor time of a client for each fit of a search; the scheduler is in another process."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        with Client(server.stdout.readline().strip()) as client:
            workers = vp.cluster.DaskWorkers(client)
            timed(search(workers, networks=200), [])  # imports and compiles
            found = timed(search(workers, LARGE, epochs=10), [])
        server.stdin.close()
    return {"fit": found["cpu"] / LARGE, "wall": found["wall"]}


def measured(processes: int) -> dict[str, Any]:
    """Return the median time of three searches on some processes, or in this one, with digests of the scores.

    If the number is `LARGE`, return the time of the client of a large search.
    """
    if processes == LARGE:
        return of_client()
    if not processes:
        return median_of_search(None, [])
    with cluster_of(processes) as (cluster, client):
        own = [psutil.Process(worker.pid) for worker in cluster.workers.values()]
        return median_of_search(vp.cluster.DaskWorkers(client), own)


def median_of_search(workers: Any, processes: list[psutil.Process]) -> dict[str, Any]:
    """Return the median times of three searches, and a digest of the scores of each."""
    timed(search(workers, networks=200), processes)  # imports what is needed
    each = [timed(search(workers), processes) for _ in range(3)]
    digests = {hashlib.sha256(repr(one["scores"]).encode()).hexdigest() for one in each}
    return {
        name: statistics.median(one[name] for one in each) for name in ("cpu", "wall")
    } | {"scores": [*digests]}


def one(seed: int) -> dict[str, Any]:
    """Return what a seed shows, or a measurement."""
    return killed(seed) if seed > 0 else measured(-seed)


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return the results as a page."""
    lines = [
        "# A cluster",
        "",
        (
            "Made by `python benchmarks/cluster.py`. The cluster consists of processes"
            " on this machine."
        ),
    ]
    lines += ["", *described(machine("vecprop", "numba", "dask", "distributed")), ""]
    kills = [each for seed, each in found.items() if int(seed) > 0]
    if kills:
        lines += [
            "| workers killed with -9 | populations | members | kills | bundles sent"
            " again | different results |"
        ]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        for name, all_at_once in (("one by one", False), ("all at once", True)):
            own = [each for each in kills if each["all"] == all_at_once]
            sums = (
                f"{sum(each[of] for each in own):,}"
                for of in ("members", "kills", "reissued")
            )
            lines.append(f"| {name} | {len(own)} | {' | '.join(sums)} | 0 |")
    if all(str(number) in found for number in MEASUREMENTS):
        lines += ["", *times([found[str(number)] for number in MEASUREMENTS])]
    return "\n".join(lines) + "\n"


def times(each: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the measurements, of which the first is that of training here."""
    of_here, *of_processes, client = each
    here = of_here["cpu"]
    are_same = len({score for of in each[:-1] for score in of["scores"]}) == 1
    lines = [
        f"A search trains {NETWORKS:,} networks 64-64-10 on 1,437 rows for 40 epochs"
        " each. " + ("All scores are identical:" if are_same else "The scores DIFFER:"),
        "",
        "| where | CPU s, all processes | more than in one process | wall s |",
        "|---|---:|---:|---:|",
        f"| this process | {here:.1f} | | {of_here['wall']:.1f} |",
    ]
    for count, of in zip(PROCESSES, of_processes, strict=True):
        more = f"{100 * (of['cpu'] / here - 1):.1f} %"
        lines.append(
            f"| {count} process(es) of one thread | {of['cpu']:.1f} | {more} |"
            f" {of['wall']:.1f} |"
        )
    return [*lines, "", *of_large(client)]


def of_large(client: dict[str, float]) -> list[str]:
    """Return the lines on the client of a large search."""
    return [
        (
            "Workers train the networks of a search, and the client prepares and scores"
            " the fits. In a search of"
        ),
        (
            f"{LARGE:,} such networks for 10 epochs on two processes, which took"
            f" {client['wall']:.0f} s, the client used"
        ),
        (
            f"{1000 * client['fit']:.2f} ms of CPU time for each fit. The scheduler ran"
            " in another process."
        ),
    ]


def main() -> None:
    found, is_whole = results_of(
        "vecprop-cluster", __doc__, [*SEEDS, *MEASUREMENTS], one
    )
    if is_whole:
        PAGE.write_text(page(found))
    print(page(found), end="")


if __name__ == "__main__":
    main()

"""Thousands of small fits of one kind: memory, threads and open files stay as they are."""

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from draws import fit, one
from vecprop.core.rows.selection import Scaling, Selection
from vecprop.core.rows.sparse import SparseNetwork

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(60, 6)), RNG.normal(size=(60, 2))
t = RNG.integers(0, 2, 60)
NET = vp.Network(6, [vp.Dense(5), vp.Tanh(), vp.Dense(2)], vp.SquaredError())
THETA = NET.init(0)
OPTIONS: dict[str, Any] = {"optimizer": vp.Adam(), "epochs": 2, "batch_size": 20}
SMALL: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
SPARSE = sparse.csr_array(np.where(X > 1, X, 0))
COUNT = 2000
MOST = 4 * 2**20
"""The bytes by which memory may grow in the second half of the fits."""


def diverging() -> None:
    try:
        vp.train(NET, THETA, 1e200 * X, T, **OPTIONS)
    except vp.DivergenceError:
        return


def refused() -> None:
    try:
        vp.train(NET, THETA, np.where(X > 0, X, np.nan), T, **OPTIONS)
    except ValueError:
        return


def another() -> None:
    drawn = fit(np.random.default_rng(int(RNG.integers(40))))
    drawn.alone(engine="compiled")


KINDS: dict[str, tuple[int, Callable[[], Any]]] = {
    "train": (1, lambda: vp.train(NET, THETA, X, T, **OPTIONS)),
    "full batches": (
        1,
        lambda: vp.train(NET, THETA, X, T, optimizer=vp.Adam(), epochs=2),
    ),
    "L-BFGS": (1, lambda: vp.train(NET, THETA, X, T, optimizer=vp.LBFGS(), epochs=2)),
    "sparse": (1, lambda: vp.train(SparseNetwork(NET), THETA, SPARSE, T, **OPTIONS)),
    "selected": (
        1,
        lambda: vp.train(
            NET, THETA, Selection(X, np.arange(9), Scaling(X[0], X[1])), T, **OPTIONS
        ),
    ),
    "callback": (
        1,
        lambda: vp.train(NET, THETA, X, T, callbacks=[lambda state: None], **OPTIONS),
    ),
    "diverging": (1, diverging),
    "refused": (1, refused),
    "population": (
        2,
        lambda: vp.train_population([vp.Member(NET, THETA, **OPTIONS)] * 4, X, T),
    ),
    "classifier": (2, lambda: vp.MLPClassifier(**SMALL).fit(X, t).predict(X)),
    "early stopping": (
        4,
        lambda: vp.MLPClassifier(**SMALL, early_stopping=True).fit(X, t),
    ),
    "sparse classifier": (
        2,
        lambda: vp.MLPClassifier(**SMALL).fit(SPARSE, t).predict(SPARSE),
    ),
    "search": (
        20,
        lambda: vp.MLPSearchCV(
            vp.MLPClassifier(**SMALL), {"alpha": [0.1, 1]}, cv=2
        ).fit(X, t),
    ),
    "scaled search": (
        40,
        lambda: vp.MLPSearchCV(
            make_pipeline(StandardScaler(), vp.MLPClassifier(**SMALL)),
            {"mlpclassifier__alpha": [0.1, 1]},
            cv=2,
        ).fit(X, t),
    ),
    "40 networks": (10, another),
    "compile": (2, lambda: vp.compile(NET).predictor(THETA)(X)),
}
"""The kinds of fits, with how many times fewer there are of them."""


def attack(rng: np.random.Generator) -> None:
    """Attack with fits of one kind."""
    name = one(rng, list(KINDS))
    leaves_nothing(name)


def leaves_nothing(name: str, count: int = COUNT) -> None:
    """Require that fits of a kind leave nothing behind."""
    fewer, work = KINDS[name]
    used = []
    for _ in range(2):
        for _ in range(max(count // fewer // 2, 2)):
            work()
        gc.collect()
        used.append(
            (resident(), threading.active_count(), len(os.listdir("/proc/self/fd")))
        )
    (memory, *before), (after, *now) = used
    assert after - memory < MOST, f"{name}: {(after - memory) / 2**20:.1f} MiB more"
    assert before == now, f"{name}: threads and files {before} became {now}"


def resident() -> int:
    """Return the bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )

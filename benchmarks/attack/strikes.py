"""Interruptions at random moments: ``python benchmarks/attack/strikes.py SEED COUNT``.

Handlers of a signal that raise, Ctrl-C pressed once or several times, and exceptions
that another thread sets, one or several. After each, the exception must have reached
the caller, no thread may run, handlers must be as before, and what is done again must
have the same bits. It prints the number of interruptions by work and kind, or ends with
an error.
"""

import ctypes
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import vecprop as vp
from vecprop.compiled.jit.machine_code import Kernel
from vecprop.system import threads

LONGEST = 60
"""The seconds after which an exception counts as lost."""


class SoftLimit(TimeoutError):
    """A time-out, which is an OSError as well."""


class Alarm(Exception):
    """An exception of a signal's handler."""


class Set(Exception):
    """An exception that another thread sets."""


class Final(BaseException):
    """An exception that code which takes any Exception of a user's own formulas for theirs lets pass."""


STRIKES = (KeyboardInterrupt, SoftLimit, Alarm, Set, Final)


class Striker:
    """Strikes the main thread after a delay, once or several times.

    Parameters
    ----------
    kind : str
        "alarm", "time-out", "Ctrl-C" or "set".
    delays : sequence of float
        The seconds before each strike.
    is_final : bool
        Whether it raises `Final` instead of an Exception.
    """

    def __init__(self, kind: str, delays: list[float], is_final: bool) -> None:
        self.kind, self.delays, self.is_armed = kind, delays, True
        self.raised_in = ""
        self.error = (
            Final
            if is_final
            else {"alarm": Alarm, "time-out": SoftLimit}.get(kind, Set)
        )
        signal.signal(signal.SIGALRM, self.alarm)
        self.thread = threading.Thread(target=self.strike, daemon=True)

    def alarm(self, number: int, frame: Any) -> None:
        if self.is_armed:
            self.raised_in = "".join(traceback.format_stack(frame)[-4:])
            raise self.error("soft limit")

    def strike(self) -> None:
        main = threading.main_thread().ident or 0
        for delay in self.delays:
            time.sleep(delay)
            if not self.is_armed:
                return
            if self.kind == "set":
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(main), ctypes.py_object(self.error)
                )
            else:
                os.kill(
                    os.getpid(),
                    signal.SIGINT if self.kind == "Ctrl-C" else signal.SIGALRM,
                )

    def disarm(self) -> None:
        self.is_armed = False


RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 30))
t = RNG.integers(0, 3, 600)
THIN = vp.Network(
    30,
    [vp.Dense(20), vp.ReLU(), vp.Dropout(0.2), vp.Dense(3)],
    vp.SoftmaxCrossEntropy(),
    vp.L2(1e-4),
)
WIDE = vp.Network(
    400, [vp.Dense(300), vp.Tanh(), vp.Dense(3)], vp.SoftmaxCrossEntropy()
)
WIDE_X = RNG.normal(size=(600, 400))
MODEL: dict[str, Any] = {"hidden_layer_sizes": (8,), "random_state": 0, "max_iter": 8}


class Works:
    """What is interrupted: methods that return arrays, equal in each call, and whether Ctrl-C has ended training."""

    def __init__(self, folder: Path) -> None:
        import pandas as pd

        self.path = folder / "model.npz"
        self.table = pd.DataFrame(X[:200, :3], columns=list("abc")).assign(
            kind=t[:200].astype(str), y=t[:200] > 0
        )
        self.fitted = vp.MLPClassifier(**MODEL).fit(X, t)
        self.begun = vp.MLPClassifier(**MODEL).partial_fit(X, t, classes=[0, 1, 2])
        self.predictor = vp.compile(WIDE).predictor(WIDE.init(0))
        self.rows = RNG.normal(size=(20_000, 400))
        vp.save(self.fitted, self.path)

    def trained(
        self, network: vp.Network, inputs: Any, epochs: int, **settings: Any
    ) -> tuple[Any, bool]:
        settings = {"optimizer": vp.Adam(), **settings}
        result = vp.train(
            network, network.init(0), inputs, t, epochs=epochs, **settings
        )
        was_interrupted = result.reason == "interrupted"
        if was_interrupted:  # it goes on to the bit, though it may be struck again
            result = vp.train(
                network,
                result.theta,
                inputs,
                t,
                epochs=epochs - result.state.epoch,
                **settings,
                state=result.state,
            )
        return [result.theta], was_interrupted

    def batches(self) -> Any:
        return self.trained(
            THIN,
            X,
            10,
            batch_size=32,
            validation=(X, t),
            early_stopping=vp.EarlyStopping(patience=50),
        )

    def full_batches(self) -> Any:
        return self.trained(THIN, X, 100)

    def split_layers(self) -> Any:
        return self.trained(WIDE, WIDE_X, 4, batch_size=200, training_loss="exact")

    def callbacks(self) -> Any:
        return self.trained(THIN, X, 5, batch_size=100, callbacks=[lambda state: None])

    def reference(self) -> Any:
        return self.trained(
            THIN, X, 2, batch_size=100, engine="reference", validation=(X, t)
        )

    def lbfgs(self) -> Any:
        result = vp.train(WIDE, WIDE.init(0), WIDE_X, t, optimizer=vp.LBFGS(), epochs=3)
        return [result.theta], result.reason == "interrupted"

    def population(self) -> Any:
        members = [
            vp.Member(THIN, THIN.init(k), vp.Adam(), epochs=5, batch_size=50, seed=k)
            for k in range(5)
        ]
        results = vp.train_population(members, X, t)
        return [result.theta for result in results], any(
            result.reason == "interrupted" for result in results
        )

    def classifier(self) -> Any:
        return [vp.MLPClassifier(**MODEL).fit(X, t).theta_], False

    def regressor(self) -> Any:
        model = vp.MLPRegressor(**MODEL, early_stopping=True, n_restarts=2).fit(
            X, X[:, 0]
        )
        return [model.theta_], False

    def sparse_rows(self) -> Any:
        model = vp.MLPEnsembleRegressor(
            vp.MLPRegressor(**MODEL), n_estimators=3, n_jobs=2, random_state=0
        )
        model.fit(sparse.csr_matrix(X[:200]), X[:200, 0])
        return [
            member.theta_ for member in model.estimators_ if hasattr(member, "theta_")
        ], False

    def partial_fit(self) -> Any:
        import copy

        return [copy.deepcopy(self.begun).partial_fit(X, t).theta_], False

    def predictions(self) -> Any:
        return [self.fitted.predict_proba(X), self.predictor(self.rows)], False

    def search(self) -> Any:
        search = vp.MLPSearchCV(
            vp.MLPClassifier(**MODEL),
            {"alpha": [1e-4, 1e-2]},
            cv=2,
            error_score="raise",
        )
        return [search.fit(X, t).cv_results_["mean_test_score"]], False

    def ensemble(self) -> Any:
        model = vp.MLPEnsembleClassifier(
            vp.MLPClassifier(**MODEL), n_estimators=3, random_state=0
        ).fit(X, t)
        return [member.theta_ for member in model.estimators_], False

    def saved(self) -> Any:
        vp.save(self.fitted, self.path)
        return [self.fitted.theta_], False

    def loaded(self) -> Any:
        return [vp.load(self.path).theta_], False

    def gradients(self) -> Any:
        report = vp.check_gradients(THIN, THIN.init(0), X[:5], t[:5])
        return [np.array(report.passed)], False

    def tables(self) -> Any:
        model = vp.TabularClassifier(
            "y", n_estimators=2, max_iter=3, hidden_layer_sizes=4, random_state=0
        )
        return [model.fit(self.table).predict_proba(self.table)], any(
            "interrupted" in note for note in model.notes_
        )

    def kernels(self) -> Any:
        name = f"attack_{os.getpid()}_{time.monotonic_ns()}"
        address = Kernel(_twice, float, suffix=name, factor=2.0).address()
        return [
            np.array(ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(address)(21.0))
        ], False


factor = 1.0


def _twice(x: float) -> float:
    return factor * x


RARE = {"kernels": 0.1, "tables": 0.3, "search": 0.5}
"""How often works are chosen that take long; 1 is the weight of others."""


FOREIGN = ("gradients", "loaded")
"""Works in which every Exception is part of the answer: of a user's formulas, or of
a file that may be damaged.
"""


def ticks() -> dict[str, int]:
    """Return the processor time that each other thread of this process has used, in hundredths of a second."""
    found = {}
    for task in os.listdir("/proc/self/task"):
        try:
            fields = (
                Path("/proc/self/task", task, "stat")
                .read_text()
                .rpartition(")")[2]
                .split()
            )
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if int(task) != threading.main_thread().native_id:
            found[task] = int(fields[11]) + int(fields[12])
    return found


def soon(is_true: Callable[[], bool]) -> bool:
    """Return whether something becomes true."""
    ends = time.monotonic() + LONGEST
    while not is_true():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def is_quiet() -> bool:
    """Return whether no other thread uses the processor."""
    before = ticks()
    time.sleep(0.025)
    return all(used == before.get(task, used) for task, used in ticks().items())


def struck(
    work: Callable[[], Any],
    striker: Striker,
    expected: list[np.ndarray],
    said: list[str],
) -> str:
    """Do a work until a strike ends it, or Python ignores one in a finalizer; return how that was seen, or "lost"."""
    ends = time.monotonic() + LONGEST
    try:
        striker.thread.start()
        while time.monotonic() < ends:
            found, was_interrupted = work()
            if was_interrupted or said:
                return said[0] if said else "result"
            assert all(map(np.array_equal, found, expected)), (
                f"{work.__name__}, {striker.kind}: other bits"
            )
            assert len(found) == len(expected), (
                f"{work.__name__}, {striker.kind}: something is missing"
            )
    except STRIKES as error:
        return type(error).__name__
    return "lost"


def attack(seed: int, count: int) -> dict[str, int]:
    """Interrupt works at random; return how often each was interrupted by what, and how that was seen."""
    warnings.simplefilter("ignore")
    said: list[str] = []

    def ignored(unraisable: Any) -> None:
        assert "vecprop" not in getattr(unraisable.object, "__module__", ""), unraisable
        said.append("ignored by Python")

    sys.unraisablehook = ignored
    warnings.filterwarnings("always", message="Training interrupted")
    warnings.showwarning = lambda message, *rest, **more: said.append(str(message))
    # a shell's background ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    draw, outcomes = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        works = Works(Path(folder))
        names = [
            name
            for name in vars(Works)
            if name not in ("__init__", "trained") and name[0] != "_"
        ]
        expected, seconds = {}, {}
        for name in names:
            getattr(works, name)()
            began = time.monotonic()
            expected[name] = getattr(works, name)()[0]
            seconds[name] = time.monotonic() - began
        for number in range(count):
            (name,) = draw.choices(names, [RARE.get(name, 1) for name in names])
            kind, times = (
                draw.choice(["alarm", "time-out", "Ctrl-C", "set"]),
                draw.choice([1, 1, 2, 3]),
            )
            delays = [
                draw.uniform(0, seconds[name]),
                *(draw.uniform(0, 0.005) for _ in range(times - 1)),
            ]
            striker = Striker(kind, delays, is_final=name in FOREIGN)
            said.clear()
            # then no strike is on its way
            ends = [striker.disarm, striker.thread.join, partial(time.sleep, 0.002)]
            try:
                seen = struck(getattr(works, name), striker, expected[name], said)
            except STRIKES:  # a second one, between two calls of this program
                seen = "struck twice"
            while ends:
                try:
                    while ends:
                        ends[0]()
                        ends.pop(0)
                except STRIKES:
                    pass
            what = (
                f"{number}: {name}, {kind} after {delays}, {seen}, raised in"
                f" {striker.raised_in}"
            )
            assert seen != "lost", what
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, what
            assert soon(is_quiet), what
            assert not threads._blas_lock.locked(), what
            assert threads._blas_users == 0, what
            assert len(threads._idle) <= 16, what
            if name == "saved":
                assert np.array_equal(vp.load(works.path).theta_, expected[name][0]), (
                    what
                )
                assert soon(
                    lambda: not list(works.path.parent.glob(".*.unfinished"))
                ), what
            again = draw.choice([name, "batches"])
            if again not in RARE:
                assert all(
                    map(np.array_equal, getattr(works, again)()[0], expected[again])
                ), what
            outcomes[f"{name}: {kind}"] += 1
            outcomes["ignored by Python"] += seen == "ignored by Python"
        outcomes["threads that are left"] = len(os.listdir("/proc/self/task")) - 1
    return dict(outcomes)


if __name__ == "__main__":
    print(json.dumps(attack(*map(int, sys.argv[1:]))))

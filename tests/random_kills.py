"""Kills -9 at random moments of a training that is kept: ``python tests/random_kills.py WORK SEED``.

The work trains in a process of its own, which is killed: after a random time, or inside of a write, on a disk with
room or on a full one. The same work then goes on, is killed again, and must end with the bits of the whole run. After
each kill every file must be whole. It prints the number of kills by kind, or ends with an error.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from vecprop.app.command_line import app
from vecprop.files.checkpoint import store as pace
from vecprop.files.model_file import container
from vecprop.tables.evaluation import baselines

MOST_KILLS = 8
"""The most kills of one training; it then ends undisturbed."""

EVERY = 0.01
"""The seconds after which files are written in these trainings, so that kills meet many."""

SHARE = 0.2
"""The share of the time that writing may take, likewise."""

FULL = 3
"""The code with which a process ends whose disk is full."""

R = np.random.default_rng(0)
X = R.normal(size=(600, 6))
T = np.sin(X @ R.normal(size=(6, 2))) + R.normal(0, 0.3, (600, 2))
OPTIMIZERS = (vp.GradientDescent, vp.Momentum, vp.Nesterov, vp.RMSProp, vp.Adam, vp.AdamW)
SCHEDULES = (None, None, vp.Cosine(), vp.OneCycle(), vp.WarmUp(20, vp.Cosine()), vp.Adaptive(0.5, 3))
FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "town": R.choice(list("xyz"), 600)})


def digest_of(values: Any) -> str:
    """Return a digest of arrays and other values, in any containers."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            value = [entry for name in sorted(value) for entry in (name, value[name])]
        if isinstance(value, list | tuple):
            for entry in value:
                add(entry)
        elif isinstance(value, np.ndarray):
            found.update(f"{value.dtype} {value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            found.update(repr(value).encode())

    add(values)
    return found.hexdigest()


def all_of(result: vp.TrainingResult) -> list[Any]:
    """Return all of a result but the time."""
    state, history = result.state, result.history
    curves = ("loss", "validation_loss", "validation_score", "gradient_norm", "step_size")
    parts = [result.theta, state.theta, state.optimizer, state.schedule, state.early_stopping]
    return [*parts, result.reason, state.epoch, state.step, *(getattr(history, curve) for curve in curves)]


def checkpoint(folder: Path | None, name: str) -> vp.Checkpoint | None:
    return None if folder is None else vp.Checkpoint(folder / name, EVERY)


def network(rng: random.Random, width: int) -> vp.Network:
    dropout = [vp.Dropout(0.2)] if rng.random() < 0.5 else []
    return vp.Network(6, [vp.Dense(width), vp.Tanh(), *dropout, vp.Dense(2)], vp.SquaredError(), vp.L2(1e-5))


def single(seed: int, folder: Path | None, width: int, epochs: int) -> str:
    """Train one network."""
    rng = random.Random(seed)
    model, F = network(rng, width), rng.choice([np.float32, np.float64])
    validation = {"validation": (X[500:], T[500:])} if rng.random() < 0.7 else {}
    rule = rng.choice([None, vp.EarlyStopping(30), vp.EarlyStopping(200), vp.Stagnation(40, 1e-4)])
    settings: dict[str, Any] = {
        "optimizer": rng.choice(OPTIMIZERS)(rng.choice([0.003, 0.01])),
        "epochs": epochs,
        "batch_size": rng.choice([None, 20, 64]),
        "schedule": rng.choice(SCHEDULES),
        "early_stopping": rule if validation or isinstance(rule, vp.Stagnation) else None,
        "clip": rng.choice([None, 1.0]),
        "training_loss": rng.choice(["auto", "exact"]),
        "callbacks": rng.choice([(), (lambda state: None,)]),
        "seed": seed,
        **validation,
    }
    kept = checkpoint(folder, "run.npz")
    return digest_of(all_of(vp.train(model, model.init(seed, F), X[:500], T[:500], **settings, checkpoint=kept)))


def population(seed: int, folder: Path | None) -> str:
    """Train a population of many kinds of members."""
    rng = random.Random(seed)
    members = []
    for number in range(rng.randrange(60, 120)):
        model = network(rng, rng.choice([4, 8]))
        rows = rng.choice([{}, {"rows": np.arange(300), "validation_rows": np.arange(300, 600)}])
        stops = {"early_stopping": vp.EarlyStopping(20)} if rows and rng.random() < 0.5 else {}
        schedule = None if number % 20 else vp.Adaptive(0.5, 3)
        optimizer: Any = rng.choice(OPTIMIZERS)(0.005) if number % 30 else vp.LBFGS()
        batch = {} if isinstance(optimizer, vp.LBFGS) else {"batch_size": 32, "schedule": schedule}
        if isinstance(optimizer, vp.LBFGS):
            model = vp.Network(6, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SquaredError())
        members.append(
            vp.Member(model, model.init(number), optimizer, epochs=60, seed=number, **rows, **stops, **batch)
        )
    results = vp.train_population(members, X, T, moments=bool(seed % 2), checkpoint=checkpoint(folder, "members"))
    return digest_of([all_of(result) for result in results])


def table(seed: int, folder: Path | None) -> str:
    """Fit a model to a table, in stages."""
    rng = random.Random(seed)
    kind, y = rng.choice([(vp.TabularClassifier, np.where(T[:, 0] > 0, "yes", "no")), (vp.TabularRegressor, T[:, 0])])
    kept = checkpoint(folder, "table")
    model = kind(n_members=4, max_iter=25, stages=rng.choice([1, 3]), random_state=seed, checkpoint=kept).fit(FRAME, y)
    thetas = [view.thetas for ensemble in model.ensembles for view in ensemble.views]
    return digest_of([thetas, model.out_of_fold_, model.loss_curves_, model.validation_loss_, model.stages_])


def command(seed: int, folder: Path | None) -> str:
    """Run ``vecprop train`` and return the digest of its model."""
    place = Path("whole" if folder is None else "kept")
    place.mkdir(exist_ok=True)
    written = place / "model.npz"
    kept = [] if folder is None else ["--checkpoint", str(folder / "command")]
    FRAME.assign(target=T[:, 0]).to_csv(place / "table.csv", index=False)
    arguments = ["train", "table.csv", "--target", "target", "--stages", "2", "--seed", str(seed), "-o", "model.npz"]
    os.chdir(place)
    for trees in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        setattr(baselines, trees, partial(getattr(baselines, trees), max_iter=3))
    try:
        app([*arguments, "--quiet", *kept], standalone_mode=False)
    except SystemExit as end:
        sys.exit(end.code)
    os.chdir("..")
    model = vp.load(written)
    assert folder is None or not (folder / "command").exists()
    return digest_of([view.thetas for view in model.ensemble_.views])


def do_nothing(state: vp.TrainingState) -> None:
    """Follow each epoch, as callbacks do."""


def estimator(seed: int, folder: Path | None) -> str:
    """Fit a classifier or regressor, with a checkpoint among its callbacks."""
    rng = random.Random(seed)
    kind, y = rng.choice([(vp.MLPClassifier, T[:, 0] > 0), (vp.MLPRegressor, T[:, 0])])
    settings: dict[str, Any] = {
        "solver": rng.choice(["adam", "sgd", "adamw"]),
        "learning_rate": rng.choice(["constant", "adaptive", "invscaling", "cosine"]),
        "early_stopping": rng.random() < 0.5,
        "n_iter_no_change": rng.choice([20, 300]),
        "dropout": rng.choice([0.0, 0.2]),
        "scoring": rng.choice([None, "loss"]),
        "n_restarts": rng.choice([1, 1, 6]),
    }
    kept = [] if folder is None else [checkpoint(folder, "run" if settings["n_restarts"] > 1 else "run.npz")]
    callbacks = rng.choice([[], [do_nothing]]) + kept  # with one, Python follows each epoch
    model: Any = kind(hidden_layer_sizes=(16,), random_state=seed, max_iter=300, callbacks=callbacks, **settings).fit(
        X, y
    )
    parts = [model.theta_, model.loss_curve_, model.validation_scores_, model.best_loss_, model.n_iter_, model.t_]
    return digest_of([*parts, model._state and all_of_state(model._state)])


def all_of_state(state: vp.TrainingState) -> list[Any]:
    return [state.theta, state.optimizer, state.schedule, state.epoch, state.step]


def many_fits(seed: int, folder: Path | None) -> str:
    """Search settings of a network, or fit an ensemble."""
    rng, kept = random.Random(seed), checkpoint(folder, "many")
    network = vp.MLPRegressor(hidden_layer_sizes=(8,), random_state=seed, max_iter=40, n_iter_no_change=40)
    if rng.random() < 0.5:
        model: Any = vp.MLPEnsembleRegressor(network, 40, bootstrap=True, random_state=seed, checkpoint=kept)
        return digest_of([(own.theta_, own.loss_curve_) for own in model.fit(X, T[:, 0]).estimators_])
    network = make_pipeline(StandardScaler(), network)
    grid = [
        {"mlpregressor__alpha": [1e-4, 1e-2, 1.0], "mlpregressor__learning_rate_init": [0.001, 0.003, 0.01]},
        {"mlpregressor__solver": ["lbfgs"], "mlpregressor__alpha": [0.1, 1.0]},
        {"mlpregressor__scoring": ["r2"], "mlpregressor__early_stopping": [True]},
    ]
    search = vp.MLPSearchCV(network, grid, cv=3, halving=rng.choice([None, 3]), checkpoint=kept).fit(X, T[:, 0])
    scores = [values for name, values in sorted(search.cv_results_.items()) if "score" in name and "time" not in name]
    return digest_of([*scores, search.best_estimator_[-1].theta_])


def blocks(seed: int, folder: Path | None) -> str:
    """Train a network on rows in blocks, of arrays or of Parquet."""
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    rows = draw.normal(size=(12_000, 6)).astype(np.float32)
    targets, model = (rows[:, 0] * rows[:, 1] > draw.normal(0, 0.3, 12_000)).astype(int), network(rng, 16)
    model = vp.Network(6, model.layers, vp.SoftmaxCrossEntropy())
    parts: vp.blocks.Blocks = vp.blocks.ArrayBlocks(
        rows, targets, draw.random(12_000) if rng.random() < 0.5 else None, rows=100
    )
    if rng.random() < 0.5:
        path = Path("rows.parquet")
        if not path.exists():  # the whole run has written it
            table = pd.DataFrame(rows, columns=list("abcdef")).assign(t=targets)
            table.to_parquet(path, row_group_size=100, index=False)
        parts = vp.blocks.ParquetBlocks(path, "t")
    settings: dict[str, Any] = {
        "optimizer": rng.choice(OPTIMIZERS)(rng.choice([0.003, 0.01])),
        "epochs": 60,
        "batch_size": rng.choice([30, 70, 1900]),
        "window": rng.choice([2000, 5000, 12_000]),
        "schedule": rng.choice(SCHEDULES),
        "early_stopping": rng.choice([None, vp.EarlyStopping(15), vp.Stagnation(10, 1e-4)]),
        "validation": (rows[:500], targets[:500]),
        "clip": rng.choice([None, 1.0]),
        "seed": seed,
    }
    theta, kept = model.init(seed, rng.choice([np.float32, np.float64])), checkpoint(folder, "run.npz")
    return digest_of(all_of(vp.blocks.train_blocks(model, theta, parts, **settings, checkpoint=kept)))


WORKS: dict[str, Callable[[int, Path | None], str]] = {
    "small networks": partial(single, width=6, epochs=1500),
    "large networks": partial(single, width=20_000, epochs=25),
    "populations": population,
    "estimators": estimator,
    "searches and ensembles": many_fits,
    "tables": table,
    "the command": command,
    "rows in blocks": blocks,
}
"""The works: each trains something that its seed decides, kept in a folder or not, and returns a digest of the result.
"""


class Ending:
    """How a process is ended: a moment, or a place inside of a write.

    Parameters
    ----------
    rng : random.Random
        Draws both.
    seconds : float
        The time of the whole work.
    """

    def __init__(self, rng: random.Random, seconds: float) -> None:
        self.within = rng.random() < 0.4
        self.after = rng.uniform(0.02, 1.0) * seconds
        self.place = rng.choice(["an array", "sync", "rename", "renamed"])
        self.number = rng.randrange(1, 8)

    def set(self) -> None:
        """End this process at the place, when it is there for the time of this number."""
        if not self.within:
            return
        left = [self.number]

        def die() -> None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        write_array, sync, rename = container.npy.write_array, os.fsync, os.replace

        def dying(call: Callable[..., Any], before: bool) -> Callable[..., Any]:
            def instead(*arguments: Any, **named: Any) -> Any:
                if before:
                    die()
                result = call(*arguments, **named)
                if not before:
                    die()
                return result

            return instead

        match self.place:
            case "an array":
                container.npy.write_array = dying(write_array, before=False)
            case "sync":
                os.fsync = dying(sync, before=True)
            case _:
                os.replace = dying(rename, before=self.place == "rename")


def child(work: Callable[..., str], seed: int, folder: Path | None, out: Path, ending: Ending | None) -> int:
    """Start the work in a process of its own, which writes its digest; return the process's number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        warnings.simplefilter("ignore", ConvergenceWarning)
        pace.SHARE = SHARE
        if ending is not None:
            ending.set()
        out.write_text(work(seed, folder))
        code = 0
    except OSError as error:
        code = FULL if error.errno in (27, 28) and error.filename else 1
        if code == 1:
            traceback.print_exc()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(number: int, after: float | None) -> int:
    """Wait for a process, and kill it after some seconds; return its exit code, negative for that of a signal."""
    began = time.perf_counter()
    while True:
        done, status = os.waitpid(number, 0 if after is None else os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if after is not None and time.perf_counter() - began > after:
            os.kill(number, signal.SIGKILL)
            after = None
        time.sleep(0.0005)


def require_whole(folder: Path) -> int:
    """Read every file, all of which must be whole; return the number of unfinished ones."""
    unfinished = 0
    for path in folder.rglob("*"):
        if path.suffix == ".npz":
            container.read(path)
        unfinished += path.suffix == ".unfinished"
    return unfinished


@contextmanager
def small_disk(size: int) -> Iterator[Path | None]:
    """Give a disk with room for some bytes, if one can be mounted here."""
    with tempfile.TemporaryDirectory() as place:
        options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
        is_mounted = (
            hasattr(os, "getuid")
            and os.getuid() == 0
            and not subprocess.run(["mount", *options], capture_output=True, check=False).returncode
        )
        try:
            yield Path(place) if is_mounted else None
        finally:
            if is_mounted:
                subprocess.run(["umount", place], check=True)


def fill(place: Path, rng: random.Random, largest: int) -> Path:
    """Fill a disk but for some bytes; return the file that fills it."""
    filler, room = place / "filler", shutil.disk_usage(place).free
    leave = min(rng.randrange(1, 3 * largest + 2), room)
    with open(filler, "wb") as file:
        file.write(bytes(max(room - leave, 0)))
    return filler


def limited(work: Callable[..., str], most: int, seed: int, folder: Path | None) -> str:
    """Do the work in a process that can write no file larger than some bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    return work(seed, folder)


def killed(name: str, seed: int, on: Path, is_small: bool) -> Counter[str]:
    """Kill a work and let it go on until it ends; return the number of kills by kind."""
    rng, work, counts = random.Random(f"{name} {seed}"), WORKS[name], Counter[str]()
    out, folder = Path("digest").absolute(), on / "kept"
    folder.mkdir()
    began = time.perf_counter()
    code = wait(child(work, seed, None, out, None), None)
    assert code == 0, f"{name} {seed} ends with {code}"
    whole, seconds = out.read_text(), time.perf_counter() - began
    for number in range(MOST_KILLS + 1):
        ending = Ending(rng, seconds) if number < MOST_KILLS else None
        is_full, filler, own = number < MOST_KILLS and rng.random() < (0.7 if is_small else 0.2), None, work
        if is_full:
            largest = max((path.stat().st_size for path in folder.rglob("*.npz")), default=5_000)
            if is_small:
                filler = fill(on, rng, largest)
            else:
                own = partial(limited, work, rng.randrange(200, largest + 200))
        out.unlink(missing_ok=True)
        after = None if ending is None or ending.within else ending.after
        code = wait(child(own, seed, folder, out, ending), after)
        left = require_whole(folder)
        if filler is not None:
            filler.unlink()
        if code == -signal.SIGKILL:
            counts["inside a write" if left or (ending and ending.within) else "at a random moment"] += 1
            counts["left unfinished"] += left > 0
            counts["on a full disk"] += is_full
        elif code == FULL or (is_full and name == "the command" and code == 1):
            counts["ended by a full disk"] += 1
        elif code == 0:
            assert out.read_text() == whole, f"{name} {seed} has other bits"
            counts["runs"] += 1
            return counts
        else:
            raise AssertionError(f"{name} {seed} ends with {code}")
    raise AssertionError(f"{name} {seed} does not end")


def main(name: str, seed: int) -> None:
    is_small = seed % 2 == 0
    with small_disk(64 * 2**20) if is_small else tempfile.TemporaryDirectory() as place:
        if place is not None:
            print(json.dumps(killed(name, seed, Path(place), is_small)))
            return
    with tempfile.TemporaryDirectory() as other:  # no disk can be mounted here: files are limited instead
        print(json.dumps(killed(name, seed, Path(other), is_small=False)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

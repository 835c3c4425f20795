"""Ends of trainings that are kept, at random moments: ``python benchmarks/attack/kills.py WORK SEED``.

A process of its own trains, and is ended: by kill -9 after a random time or inside of a
write, by SIGTERM, by an exception of a signal's handler, by a full disk; and sometimes
a second process trains on the same checkpoint. The same work then goes on, is ended
again, and must end with the bits of the whole run. After each end every file must be
whole, and after the last none may be left over. It prints the number of ends by kind,
or ends with an error.
"""

import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from vecprop import blocks
from vecprop.app.command_line import app
from vecprop.files.checkpoint import store
from vecprop.files.model_file import container
from vecprop.tables.evaluation import baselines

MOST = 8
"""The most ends of one training; it then ends undisturbed."""

SECONDS, FULL, RAISED, IN_USE, TERMINATED = 0.01, 3, 5, 6, 143
"""The seconds after which files are written, so that ends meet many; and the exit
codes of a process that is ended.
"""

ENDS = {
    "killed": [-9],
    "killed inside a write": [-9],
    "SIGTERM": [TERMINATED, -15],  # the second before training has begun
    "exception": [RAISED],
    "full disk": [FULL],
}
"""The exit codes of a process that is ended, by kind."""

R = np.random.default_rng(0)
X = R.normal(size=(600, 6))
T = np.sin(X @ R.normal(size=(6, 2))) + R.normal(0, 0.3, (600, 2))
FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "town": R.choice(list("xyz"), 600)})
OPTIMIZERS = (
    vp.GradientDescent,
    vp.Momentum,
    vp.Nesterov,
    vp.RMSProp,
    vp.Adam,
    vp.AdamW,
)
SCHEDULES = (
    None,
    None,
    vp.Cosine(),
    vp.OneCycle(),
    vp.WarmUp(20, vp.Cosine()),
    vp.Adaptive(0.5, 3),
)


def digest_of(values: Any) -> str:
    """Return a digest of arrays and other values, in any containers."""
    if isinstance(values, dict):
        values = [entry for name in sorted(values) for entry in (name, values[name])]
    if isinstance(values, list | tuple):
        return hashlib.sha256("".join(map(digest_of, values)).encode()).hexdigest()
    if isinstance(values, np.ndarray):
        return hashlib.sha256(
            f"{values.dtype} {values.shape}".encode() + values.tobytes()
        ).hexdigest()
    return repr(values)


def all_of(result: vp.TrainingResult) -> list[Any]:
    """Return all of a result but the time."""
    state, history = result.state, result.history
    curves = (
        "loss",
        "validation_loss",
        "validation_score",
        "gradient_norm",
        "step_size",
    )
    parts = [
        result.theta,
        state.theta,
        state.optimizer,
        state.schedule,
        state.early_stopping,
    ]
    return [
        *parts,
        result.reason,
        state.epoch,
        state.step,
        *(getattr(history, curve) for curve in curves),
    ]


def kept(folder: Path | None, name: str) -> vp.Checkpoint | None:
    return None if folder is None else vp.Checkpoint(folder / name, SECONDS)


def follow(state: vp.TrainingState) -> None:
    """Follow each epoch, as callbacks do."""


def network(rng: random.Random, width: int) -> vp.Network:
    dropout = [vp.Dropout(0.2)] if rng.random() < 0.5 else []
    return vp.Network(
        6,
        [vp.Dense(width), vp.Tanh(), *dropout, vp.Dense(2)],
        vp.SquaredError(),
        vp.L2(1e-5),
    )


def single(
    rng: random.Random,
    folder: Path | None,
    width: int,
    epochs: int,
    callbacks: tuple[Any, ...] = (),
) -> Any:
    """Train one network."""
    model, F = network(rng, width), rng.choice([np.float32, np.float64])
    validation = {"validation": (X[500:], T[500:])} if rng.random() < 0.7 else {}
    rule = rng.choice(
        [
            None,
            vp.EarlyStopping(patience=30),
            vp.EarlyStopping(patience=200),
            vp.EarlyStopping("loss", 1e-4, 40, restore_best=False, compare_to="best"),
        ]
    )
    settings: dict[str, Any] = {
        "optimizer": rng.choice(OPTIMIZERS)(rng.choice([0.003, 0.01])),
        "epochs": epochs,
        "batch_size": rng.choice([None, 20, 64]),
        "schedule": rng.choice(SCHEDULES),
        "early_stopping": (
            rule if validation or (rule and rule.monitor == "loss") else None
        ),
        "clip_norm": rng.choice([None, 1.0]),
        "training_loss": rng.choice(["auto", "exact"]),
        "callbacks": callbacks,
        **validation,
    }
    return all_of(
        vp.train(
            model,
            model.init(1, F),
            X[:500],
            T[:500],
            **settings,
            checkpoint=kept(folder, "run.npz"),
        )
    )


class Here:
    """Workers that are this process."""

    def run(self, function: Any, bundles: Any, data: Any) -> Any:
        for place, bundle in enumerate(bundles):
            yield place, function(bundle, data)


def population(rng: random.Random, folder: Path | None, workers: Any = None) -> Any:
    """Train a population of many kinds of members."""
    members = []
    for number in range(rng.randrange(60, 120)):
        model = network(rng, rng.choice([4, 8]))
        rows = rng.choice(
            [{}, {"rows": np.arange(300), "validation_rows": np.arange(300, 600)}]
        )
        stops = (
            {"early_stopping": vp.EarlyStopping(patience=20)}
            if rows and rng.random() < 0.5
            else {}
        )
        optimizer: Any = rng.choice(OPTIMIZERS)(0.005)
        batch = {
            "batch_size": 32,
            "schedule": None if number % 20 else vp.Adaptive(0.5, 3),
        }
        if number % 30 == 0:
            model, optimizer, batch = (
                vp.Network(6, [vp.Dense(4), vp.Dense(2)], vp.SquaredError()),
                vp.LBFGS(),
                {},
            )
        own: dict[str, Any] = {**rows, **stops, **batch, "seed": number, "epochs": 60}
        members.append(vp.Member(model, model.init(number), optimizer, **own))
    results = vp.train_population(
        members, X, T, checkpoint=kept(folder, "members"), workers=workers
    )
    return [all_of(result) for result in results]


def table(rng: random.Random, folder: Path | None) -> Any:
    """Fit a model to a table."""
    kind, y = rng.choice(
        [
            (vp.TabularClassifier, np.where(T[:, 0] > 0, "yes", "no")),
            (vp.TabularRegressor, T[:, 0]),
        ]
    )
    settings: dict[str, Any] = {"n_estimators": 4, "max_iter": 25, "random_state": 0}
    model = kind(**settings, checkpoint=kept(folder, "table")).fit(FRAME, y)
    thetas = [view.thetas for ensemble in model._ensembles for view in ensemble.views]
    return [thetas, model.out_of_fold_, model.loss_curves_, model.validation_loss_]


def command(rng: random.Random, folder: Path | None) -> Any:
    """Run ``vecprop train``."""
    place = Path("whole" if folder is None else "kept").absolute()
    place.mkdir(exist_ok=True)
    FRAME.assign(target=T[:, 0]).to_csv(place / "table.csv", index=False)
    os.chdir(place)
    own = [] if folder is None else ["--checkpoint", str(folder / "command")]
    for trees in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        setattr(baselines, trees, partial(getattr(baselines, trees), max_iter=3))
    options = [
        "--seed",
        str(rng.randrange(9)),
        "-o",
        "model.npz",
        "--force",
        "--quiet",
        *own,
    ]
    code = app(
        ["train", "table.csv", "--target", "target", *options], standalone_mode=False
    )
    if code:
        sys.exit(code)
    assert folder is None or not (folder / "command").exists()
    assert not list(place.glob(".*"))
    return [view.thetas for view in vp.load("model.npz").ensemble_.views]


def estimator(rng: random.Random, folder: Path | None, restarts: int = 1) -> Any:
    """Fit a classifier or regressor with a checkpoint."""
    kind, y = rng.choice([(vp.MLPClassifier, T[:, 0] > 0), (vp.MLPRegressor, T[:, 0])])
    settings: dict[str, Any] = {
        "solver": rng.choice(["adam", "sgd", "adamw"]),
        "learning_rate": rng.choice(["constant", "adaptive", "invscaling", "cosine"]),
        "early_stopping": rng.random() < 0.5,
        "n_iter_no_change": rng.choice([20, 300]),
        "dropout": rng.choice([0.0, 0.2]),
        "scoring": rng.choice([None, "loss"]),
        "n_restarts": restarts,
        "callbacks": rng.choice([None, [follow]]),
        "checkpoint": kept(folder, "run" if restarts > 1 else "run.npz"),
    }
    model: Any = kind(
        hidden_layer_sizes=(16,), random_state=0, max_iter=300, **settings
    ).fit(X, y)
    state = model._state
    parts = [
        model.theta_,
        model.loss_curve_,
        model.validation_scores_,
        model.best_loss_,
        model.n_iter_,
        model.t_,
    ]
    return [
        *parts,
        state
        and [state.theta, state.optimizer, state.schedule, state.epoch, state.step],
    ]


REGRESSOR = vp.MLPRegressor(
    hidden_layer_sizes=(8,), random_state=0, max_iter=40, n_iter_no_change=40
)


def ensemble(rng: random.Random, folder: Path | None) -> Any:
    """Fit an ensemble."""
    settings: dict[str, Any] = {
        "bootstrap": rng.random() < 0.5,
        "random_state": 0,
        "checkpoint": kept(folder, "many"),
    }
    model = vp.MLPEnsembleRegressor(REGRESSOR, 40, **settings).fit(X, T[:, 0])
    return [(own.theta_, own.loss_curve_) for own in model.estimators_]


def search(rng: random.Random, folder: Path | None) -> Any:
    """Search settings of a network."""
    grid = [
        {
            "mlpregressor__alpha": [1e-4, 1e-2, 1.0],
            "mlpregressor__learning_rate_init": [0.001, 0.003, 0.01],
        },
        {"mlpregressor__solver": ["lbfgs"], "mlpregressor__alpha": [0.1, 1.0]},
        {"mlpregressor__scoring": ["r2"], "mlpregressor__early_stopping": [True]},
    ]
    settings: dict[str, Any] = {
        "cv": 3,
        "halving": rng.choice([None, 3]),
        "checkpoint": kept(folder, "many"),
    }
    found = vp.MLPSearchCV(
        make_pipeline(StandardScaler(), REGRESSOR), grid, **settings
    ).fit(X, T[:, 0])
    scores = [
        values
        for name, values in sorted(found.cv_results_.items())
        if "score" in name and "time" not in name
    ]
    return [*scores, found.best_estimator_[-1].theta_]


def in_blocks(rng: random.Random, folder: Path | None) -> Any:
    """Train a network on rows in blocks, of arrays or of Parquet."""
    rows = np.random.default_rng(1).normal(size=(12_000, 6)).astype(np.float32)
    targets, model = (rows[:, 0] * rows[:, 1] > 0.1).astype(int), network(rng, 16)
    model = vp.Network(6, model.layers, vp.SoftmaxCrossEntropy())
    settings: dict[str, Any] = {
        "optimizer": rng.choice(OPTIMIZERS)(rng.choice([0.003, 0.01])),
        "epochs": 60,
        "batch_size": rng.choice([30, 70, 1900]),
        "window": rng.choice([2000, 5000, 12_000]),
        "schedule": rng.choice(SCHEDULES),
        "early_stopping": rng.choice(
            [
                None,
                vp.EarlyStopping(patience=15),
                vp.EarlyStopping(
                    "loss", 1e-4, 10, restore_best=False, compare_to="best"
                ),
            ]
        ),
        "validation": (rows[:500], targets[:500]),
        "checkpoint": kept(folder, "run.npz"),
    }
    parts: blocks.Blocks = blocks.ArrayBlocks(rows, targets, rows=100)
    if rng.random() < 0.5:
        path = Path("rows.parquet")
        if folder is None:
            pd.DataFrame(rows, columns=list("abcdef")).assign(t=targets).to_parquet(
                path, row_group_size=100, index=False
            )
        parts = blocks.ParquetBlocks(path, "t")
    return all_of(blocks.train_blocks(model, model.init(1), parts, **settings))


WORKS: dict[str, Callable[[random.Random, Path | None], Any]] = {
    "small networks": partial(single, width=6, epochs=1500),
    "large networks": partial(single, width=20_000, epochs=15),
    "networks with callbacks": partial(
        single, width=6, epochs=800, callbacks=(follow,)
    ),
    "populations": population,
    "populations by workers": partial(population, workers=Here()),
    "estimators": estimator,
    "restarts": partial(estimator, restarts=6),
    "ensembles": ensemble,
    "searches": search,
    "tables": table,
    "the command": command,
    "rows in blocks": in_blocks,
}
"""The works: each trains something that its random numbers decide, kept in a folder
or not, and returns the result.
"""


def die_inside_a_write(rng: random.Random) -> None:
    """Kill this process in one of its next writes: after an array, before the file is synced, or as it is renamed."""
    left, is_after = [rng.randrange(1, 8)], rng.random() < 0.5
    owner, name = rng.choice(
        [(container.npy, "write_array"), (os, "fsync"), (os, "replace")]
    )
    call = getattr(owner, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if not (left[0] or is_after):
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **named)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def fill_the_disk(rng: random.Random) -> None:
    """Let this process write no file larger than some bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (rng.randrange(200, 20_000), resource.RLIM_INFINITY)
    )


def leave(number: int, frame: Any) -> None:
    """Leave this process by an exception, as handlers of signals do."""
    sys.exit(RAISED)


def child(
    work: Callable[[], Any], out: Path, prepare: Callable[[], None] = lambda: None
) -> int:
    """Start the work in a process of its own, which writes the digest of its result; return the process's number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        warnings.simplefilter("ignore")
        store.SHARE = 0.2
        signal.signal(signal.SIGALRM, leave)
        prepare()
        digest = digest_of(work())
        signal.setitimer(signal.ITIMER_REAL, 0)
        out.write_text(digest)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:
        causes = [error, error.__cause__, error.__context__]
        code = (
            FULL
            if any(
                isinstance(each, OSError) and each.errno in (27, 28) for each in causes
            )
            else 1
        )
        code = IN_USE if "is in use by process" in str(error) else code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(name: str, seed: int) -> Counter[str]:
    """End a work and let it go on until it ends by itself; return the number of ends by kind."""
    rng, counts, out = (
        random.Random(f"{name} {seed}"),
        Counter[str](),
        Path("digest").absolute(),
    )
    folder, began = Path("checkpoint").absolute(), time.perf_counter()
    folder.mkdir()

    def code_of(number: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])

    def work(place: Path | None = folder) -> Any:
        return WORKS[name](random.Random(f"{name} {seed}"), place)

    assert code_of(child(partial(work, None), out)) == 0, Path(f"{out}.log").read_text()
    whole, seconds = out.read_text(), time.perf_counter() - began
    for turn in range(MOST + 1):
        kinds = [
            *["killed", "killed inside a write"] * 2,
            "SIGTERM",
            "exception",
            "full disk",
        ]
        kind = rng.choice(kinds) if turn < MOST else "undisturbed"
        after, is_double = rng.uniform(0.02, 1.0) * seconds, rng.random() < 0.2
        prepare: dict[str, Callable[[], Any]] = {
            "killed inside a write": partial(die_inside_a_write, rng),
            "full disk": partial(fill_the_disk, rng),
            "exception": partial(signal.setitimer, signal.ITIMER_REAL, after),
        }
        number = child(work, out, prepare.get(kind, lambda: None))
        if is_double:
            time.sleep(after / 2)
            code = code_of(child(work, Path("second").absolute()))
            assert code in (IN_USE, 0) or (name == "the command" and code == 2), Path(
                "second.log"
            ).read_text()
            counts["a second process was told"] += code != 0
        if kind in ("killed", "SIGTERM"):
            time.sleep(0 if is_double else after)
            os.kill(number, signal.SIGKILL if kind == "killed" else signal.SIGTERM)
        code = code_of(number)
        for path in folder.rglob("*.npz"):
            container.read(path)
        if code in ENDS.get(kind, ()) or (
            name == "the command" and code == 1 and kind == "full disk"
        ):
            counts[kind] += 1
        else:
            assert code == 0, (
                f"{name} {seed}, {kind}: {code} {Path(f'{out}.log').read_text()}"
            )
            assert out.read_text() == whole, f"{name} {seed} has other bits"
            counts["trainings"] += 1
            left = [*folder.rglob("*.unfinished"), *folder.rglob("*.lock")]
            assert not left, f"{name} {seed} leaves {left}"
            return counts
    raise AssertionError(f"{name} {seed} does not end")


if __name__ == "__main__":
    print(json.dumps(ended(sys.argv[1], int(sys.argv[2]))))

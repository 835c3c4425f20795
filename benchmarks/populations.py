"""Many networks at once against the tools that train them one by one: ``python benchmarks/populations.py``.

A search of 20 settings by 5 folds, a search over widths and activations, 1,000 restarts
of the tutorial's network and an ensemble of 32 on digits. Peers run in turns with
vecprop in one process, warm, each with two processes or threads; joblib sets the number
of BLAS threads in the processes of a pool.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

THREADS = "2"
os.environ["VECPROP_NUM_THREADS"] = THREADS

import numpy as np  # noqa: E402
from machine import described, machine  # noqa: E402
from searches import by_jax, by_pytorch, members_of, restarts_by_jax  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_digits, make_circles  # noqa: E402
from sklearn.model_selection import GridSearchCV, StratifiedKFold  # noqa: E402
from sklearn.neural_network import MLPClassifier as Peer  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import vecprop as vp  # noqa: E402

RESULTS = Path(__file__).parent / "results"
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)
GRID = {
    "learning_rate_init": [0.001, 0.002, 0.005, 0.01],
    "alpha": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
}
SHAPES = {
    "hidden_layer_sizes": [(8,), (16,), (32,), (64,), (32, 32)],
    "activation": ["relu", "tanh", "logistic"],
}
SETTINGS = {
    "batch_size": 32,
    "max_iter": 50,
    "tol": 0.0,
    "n_iter_no_change": 50,
    "random_state": 0,
}


def cancer() -> tuple[np.ndarray, np.ndarray]:
    """Return the breast cancer table, scaled, in float32."""
    X, t = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(np.float32), t


def search(
    model: type,
    grid: dict,
    X: np.ndarray,
    t: np.ndarray,
    hidden: tuple[int, ...] = (32,),
) -> float:
    """Return the best mean accuracy that a search finds: vecprop's own for its model, GridSearchCV for others."""
    estimator = model(hidden, **SETTINGS)
    if model is vp.MLPClassifier:
        found = vp.MLPSearchCV(estimator, grid, cv=FOLDS, refit=False)
    else:
        found = GridSearchCV(
            estimator, grid, cv=FOLDS, refit=False, n_jobs=int(THREADS)
        )
    return float(found.fit(X, t).cv_results_["mean_test_score"].max())


def skorch(X: np.ndarray, t: np.ndarray) -> Callable[[], float]:
    """Return the search of 20 settings by skorch, which makes PyTorch networks estimators for GridSearchCV."""
    import torch
    from skorch import NeuralNetClassifier

    module = torch.nn.Sequential(
        torch.nn.Linear(30, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2)
    )
    model = NeuralNetClassifier(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=32,
        max_epochs=50,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    grid = {"lr": GRID["learning_rate_init"], "optimizer__weight_decay": GRID["alpha"]}
    found = GridSearchCV(model, grid, cv=FOLDS, refit=False, n_jobs=int(THREADS))
    return lambda: float(
        found.fit(X, t.astype(np.int64)).cv_results_["mean_test_score"].max()
    )


def together(X: np.ndarray, t: np.ndarray) -> dict[str, Callable[[], float]]:
    """Return the search of 20 settings by the forms of PyTorch and JAX that train all members together."""
    members = members_of(
        X,
        t,
        rates=GRID["learning_rate_init"],
        alphas=GRID["alpha"],
        folds=FOLDS,
        batch=SETTINGS["batch_size"],
        epochs=SETTINGS["max_iter"],
        threads=int(THREADS),
    )
    searches = {}
    if find_spec("torch"):
        searches["PyTorch, members together"] = by_pytorch(members, is_compiled=False)
        searches["PyTorch, members together, compiled"] = by_pytorch(
            members, is_compiled=True
        )
    if find_spec("jax"):
        searches["JAX, vmap and scan"] = by_jax(members, is_one_program=True)
        searches["JAX, vmap and step"] = by_jax(members, is_one_program=False)
    return searches


def restarts() -> tuple[dict[str, Callable[[], float]], Callable[[], float]]:
    """Return 1,000 restarts of the tutorial's network by each contender, and the seconds of one restart's kernel."""
    X, t = make_circles(
        n_samples=100, shuffle=False, factor=0.3, noise=0.1, random_state=1
    )
    X = X.astype(np.float32)
    network = vp.Network(
        2,
        [vp.Dense(3), vp.Logistic(), vp.Dense(2)],
        vp.SoftmaxCrossEntropy(reduction="sum"),
    )
    draws = 0.1 * np.random.default_rng(0).standard_normal((1000, 17)).astype(
        np.float32
    )
    optimizer = vp.Momentum(0.02, 0.9)
    members = [
        vp.Member(network, theta, optimizer, epochs=300, training_loss="running")
        for theta in draws
    ]

    def run() -> float:
        results = vp.train_population(members, X, t)
        return float(results[results.last_loss.argmin()].history.last_loss)

    def kernel() -> float:
        os.environ["VECPROP_NUM_THREADS"] = "1"
        times = [
            result.history.time[-1]
            for result in vp.train_population(members[:100], X, t)
        ]
        os.environ["VECPROP_NUM_THREADS"] = THREADS
        return statistics.median(times)

    runs = {"vecprop": run}
    if find_spec("jax"):
        runs["JAX, vmap and scan"] = restarts_by_jax(network, draws, X, t, steps=300)
    return runs, kernel


def ensembles(X: np.ndarray, t: np.ndarray) -> dict[str, Callable[[], float]]:
    """Return 32 members on half of digits, by vecprop and by bagging scikit-learn's; each returns its test accuracy."""
    from sklearn.ensemble import BaggingClassifier

    settings = {
        "hidden_layer_sizes": (64,),
        "max_iter": 20,
        "tol": 0.0,
        "n_iter_no_change": 20,
    }
    ours = vp.MLPEnsembleClassifier(
        vp.MLPClassifier(**settings), n_estimators=32, bootstrap=True, random_state=0
    )
    theirs = BaggingClassifier(
        Peer(**settings), n_estimators=32, n_jobs=int(THREADS), random_state=0
    )
    half = len(X) // 2
    return {
        "vecprop": lambda: float(
            ours.fit(X[:half], t[:half]).score(X[half:], t[half:])
        ),
        "scikit-learn": lambda: float(
            theirs.fit(X[:half], t[:half]).score(X[half:], t[half:])
        ),
    }


def in_turns(
    runs: dict[str, Callable[[], float]], rounds: int
) -> dict[str, dict[str, float]]:
    """Return each contender's median seconds, its ratio to vecprop, its first call and the score that it reaches."""
    first_calls, scores = {}, {}
    for name, run in runs.items():
        first_calls[name], scores[name] = timed(run)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(timed(run)[0])
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        name: {
            "seconds": median,
            "ratio": median / medians["vecprop"],
            "first_s": first_calls[name],
            "score": scores[name],
        }
        for name, median in medians.items()
    }


def timed(run: Callable[[], float]) -> tuple[float, float]:
    """Return the seconds of a call, and its result."""
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def share_of_kernel(
    run: Callable[[], float], kernel: Callable[[], float], rounds: int
) -> tuple[float, float]:
    """Return the seconds of one restart's kernel, and of all restarts as a share of 1,000 times that, in turns."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began, kernel()))
    return statistics.median(one for _, one in times), statistics.median(
        whole / (1000 * one) for whole, one in times
    )


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="the number of turns of each contender"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="the folder of the results"
    )
    options = parser.parse_args()
    rounds = options.rounds
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the processes of a pool
    compiled_code = tempfile.TemporaryDirectory()
    os.environ["VECPROP_CACHE_DIR"] = f"{compiled_code.name}/vecprop"
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{compiled_code.name}/torch"
    X, t = cancer()
    runs = {
        "vecprop": lambda: search(vp.MLPClassifier, GRID, X, t),
        "GridSearchCV": lambda: search(Peer, GRID, X, t),
    }
    runs |= together(X, t)
    if find_spec("skorch"):
        runs["PyTorch, skorch"] = skorch(X, t)
    results = {"20 settings x 5 folds": in_turns(runs, rounds)}
    shapes = {
        "vecprop": lambda: search(vp.MLPClassifier, SHAPES, X, t),
        "GridSearchCV": lambda: search(Peer, SHAPES, X, t),
    }
    results["widths and activations, 15 x 5 folds"] = in_turns(shapes, rounds)
    runs, kernel = restarts()
    results["1,000 restarts, 2-3-2"] = in_turns(runs, rounds)
    one, share = share_of_kernel(runs["vecprop"], kernel, 5 * rounds)
    digits, labels = load_digits(return_X_y=True)
    results["ensemble of 32 on digits"] = in_turns(
        ensembles((digits / 16).astype(np.float32), labels), rounds
    )
    lines = [
        "# Many networks at once",
        "",
        (
            "Made by `python benchmarks/populations.py`. Times are medians of"
            " alternating rounds, with two threads or"
        ),
        (
            "processes. GridSearchCV and skorch train one network at a time. PyTorch"
            " and JAX also train all settings and"
        ),
        (
            "folds together, as members of each step. No compiled code is on disk"
            " before the first call."
        ),
        "",
        *described(
            where := machine(
                "numpy",
                "scipy",
                "numba",
                "scikit-learn",
                "skorch",
                "torch",
                "jax",
                "optax",
            )
        ),
    ]
    lines += [
        "",
        (
            "| workload | contender | seconds | times vecprop's | best score | first"
            " call, seconds |"
        ),
    ]
    lines += ["|---|---|---|---|---|---|"]
    for workload, contenders in results.items():
        for name, c in contenders.items():
            figures = (
                f"{c['seconds']:.3f} | {c['ratio']:.1f} | {c['score']:.4f} |"
                f" {c['first_s']:.1f}"
            )
            lines.append(f"| {workload} | {name} | {figures} |")
    lines += [
        "",
        (
            f"The kernel of one restart takes {1e6 * one:.0f} µs on one thread. 1,000"
            f" restarts take {share:.2f} times 1,000 times as long."
        ),
    ]
    results |= {"kernel_s": one, "share": share, "machine": where}
    options.results.mkdir(exist_ok=True)
    (options.results / "populations.md").write_text("\n".join(lines) + "\n")
    (options.results / "populations.json").write_text(
        json.dumps(results, indent=1) + "\n"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()

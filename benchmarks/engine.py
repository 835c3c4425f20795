"""Training and prediction against the tools that people use today, in one run: ``make bench``.

Every workload runs on vecprop and on each peer that is installed, in turns in one process, warm, and the medians are
compared. All have two threads (BLAS, PyTorch's, XLA's own). The loss that each reaches is printed beside its time:
who does less work shows there. vecprop's time includes the loss of all rows after each epoch, which the peers do not
measure. What XLA compiles is compiled before, and that time is shown apart.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

THREADS = "2"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECPROP_NUM_THREADS"):
    os.environ[variable] = THREADS  # before the libraries are imported

import numpy as np  # noqa: E402

import vecprop as vp  # noqa: E402

TURN = 0.05
RESULTS = Path(__file__).parent / "results"
Run = Callable[[], float]


@dataclass(frozen=True)
class Workload:
    """What is trained: widths from inputs to classes, rows, rows a batch, epochs, optimizer and type."""

    name: str
    widths: tuple[int, ...]
    rows: int
    batch: int
    epochs: int
    optimizer: str = "momentum"
    dtype: str = "float32"
    learning_rate: float = 0.001
    logistic: bool = False

    @property
    def operations(self) -> float:
        """The arithmetic of the products alone: two passes for the first layer, three for the others."""
        layers = zip(self.widths[:-1], self.widths[1:], strict=True)
        return self.epochs * self.rows * sum(2.0 * i * o * (2 if n == 0 else 3) for n, (i, o) in enumerate(layers))

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and classes that can be learned."""
        rng = np.random.default_rng(0)
        if self.logistic:
            from sklearn.datasets import make_circles

            X, t = make_circles(n_samples=self.rows, shuffle=False, factor=0.3, noise=0.1, random_state=1)
        else:
            X = rng.standard_normal((self.rows, self.widths[0]))
            t = (X @ rng.standard_normal((self.widths[0], self.widths[-1]))).argmax(axis=1)
        return np.ascontiguousarray(X, self.dtype), t

    def theta(self) -> np.ndarray:
        """Return the initial parameters that all start from, but scikit-learn, which draws its own."""
        theta = self.network().init(seed=1, dtype=self.dtype)
        if self.logistic:  # the tutorial's scale
            theta = (0.1 * np.random.default_rng(1).standard_normal(theta.shape)).astype(self.dtype)
        return theta

    def network(self) -> vp.Network:
        """Return the network."""
        activation = vp.Logistic() if self.logistic else vp.ReLU()
        layers = [part for width in self.widths[1:-1] for part in (vp.Dense(width), activation)]
        reduction = "sum" if self.logistic else "mean"
        return vp.Network(
            self.widths[0], [*layers, vp.Dense(self.widths[-1])], vp.SoftmaxCrossEntropy(reduction=reduction)
        )

    def layers(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each layer's weights and bias."""
        return [(p["W"].copy(), p["b"].copy()) for p in self.network().layout.views(theta) if p]


def vecprop(work: Workload, X: np.ndarray, t: np.ndarray) -> Run:
    """Train with vecprop's compiled engine."""
    network, theta = work.network(), work.theta()
    rate = work.learning_rate
    optimizer = vp.Momentum(rate, 0.9) if work.optimizer == "momentum" else vp.Adam(rate)

    def run() -> float:
        batch = None if work.batch == work.rows else work.batch
        options = {"optimizer": optimizer, "epochs": work.epochs, "batch_size": batch, "engine": "compiled"}
        return float(vp.train(network, theta, X, t, **options).history.loss[-1])

    return run


def plain_numpy(work: Workload, X: np.ndarray, t: np.ndarray) -> Run | None:
    """Train as the founding tutorial does: its formulas in plain NumPy, with its loss after each step."""
    if not work.logistic or work.optimizer != "momentum":
        return None
    T = np.eye(2, dtype=work.dtype)[t]
    start = [part for W, b in work.layers(work.theta()) for part in (W, b[None, :])]

    def forward(Wh, bh, Wo, bo):
        H = 1 / (1 + np.exp(-(X @ Wh + bh)))
        E = np.exp(H @ Wo + bo)
        return H, E / E.sum(axis=1, keepdims=True)

    def run() -> float:
        parameters, moments = [p.copy() for p in start], [np.zeros_like(p) for p in start]
        losses = []
        for _ in range(work.epochs):
            H, Y = forward(*parameters)
            Eo = Y - T
            Eh = H * (1 - H) * (Eo @ parameters[2].T)
            gradients = [X.T @ Eh, Eh.sum(axis=0, keepdims=True), H.T @ Eo, Eo.sum(axis=0, keepdims=True)]
            moments = [0.9 * M - work.learning_rate * J for M, J in zip(moments, gradients, strict=True)]
            parameters = [P + M for P, M in zip(parameters, moments, strict=True)]
            losses.append(-(T * np.log(forward(*parameters)[1])).sum())
        return float(losses[-1])

    return run


def scikit_learn(work: Workload, X: np.ndarray, t: np.ndarray) -> Run:
    """Train with scikit-learn's MLPClassifier."""
    from sklearn.neural_network import MLPClassifier

    scale = work.rows if work.logistic else 1  # it takes the mean over rows
    model = MLPClassifier(
        work.widths[1:-1],
        activation="logistic" if work.logistic else "relu",
        solver="sgd" if work.optimizer == "momentum" else "adam",
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=work.batch,
        learning_rate_init=work.learning_rate * scale,
        max_iter=work.epochs,
        n_iter_no_change=10**9,
        tol=0.0,
        random_state=1,
    )

    def run() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(model.fit(X, t).loss_ * scale)

    return run


def pytorch(work: Workload, X: np.ndarray, t: np.ndarray) -> Run:
    """Train with PyTorch, eagerly."""
    import torch

    torch.set_num_threads(int(THREADS))
    rows, classes = torch.from_numpy(X), torch.from_numpy(t)
    cost = torch.nn.CrossEntropyLoss(reduction="sum" if work.logistic else "mean")

    def run() -> float:
        parts = []
        for W, b in work.layers(work.theta()):
            linear = torch.nn.Linear(*W.shape, dtype=getattr(torch, work.dtype))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.copy_(torch.from_numpy(b))
            parts += [linear, torch.nn.Sigmoid() if work.logistic else torch.nn.ReLU()]
        model = torch.nn.Sequential(*parts[:-1])
        if work.optimizer == "momentum":
            optimizer = torch.optim.SGD(model.parameters(), lr=work.learning_rate, momentum=0.9, fused=True)
        else:
            optimizer = torch.optim.Adam(model.parameters(), lr=work.learning_rate, fused=True)
        for _ in range(work.epochs):
            order = None if work.batch == work.rows else torch.randperm(work.rows)
            x, y = (rows, classes) if order is None else (rows[order], classes[order])
            for start in range(0, work.rows, work.batch):
                optimizer.zero_grad()
                cost(model(x[start : start + work.batch]), y[start : start + work.batch]).backward()
                optimizer.step()
        with torch.no_grad():
            return float(cost(model(rows), classes))

    return run


def jax(work: Workload, X: np.ndarray, t: np.ndarray) -> Run:
    """Train with JAX: one compiled scan over batches and epochs."""
    import jax as j
    import optax

    j.config.update("jax_enable_x64", work.dtype == "float64")
    rows, classes = j.numpy.asarray(X), j.numpy.asarray(t)
    activation = j.nn.sigmoid if work.logistic else j.nn.relu
    rate = work.learning_rate
    optimizer = optax.sgd(rate, momentum=0.9) if work.optimizer == "momentum" else optax.adam(rate)
    full = work.batch == work.rows
    batches = work.rows // work.batch  # whole batches; the few rows left over are dropped in each epoch

    def loss(parameters, x, y):
        for W, b in parameters[:-1]:
            x = activation(x @ W + b)
        W, b = parameters[-1]
        losses = optax.softmax_cross_entropy_with_integer_labels(x @ W + b, y)
        return losses.sum() if work.logistic else losses.mean()

    def step(carry, batch):
        parameters, state = carry
        updates, state = optimizer.update(j.grad(loss)(parameters, *batch), state, parameters)
        return (optax.apply_updates(parameters, updates), state), None

    def epoch(carry, key):
        if full:
            return step(carry, (rows, classes))
        order = j.random.permutation(key, work.rows)[: batches * work.batch]
        x = rows[order].reshape(batches, work.batch, -1)
        return j.lax.scan(step, carry, (x, classes[order].reshape(batches, work.batch)))[0], None

    @j.jit
    def train(parameters, keys):
        parameters = j.lax.scan(epoch, (parameters, optimizer.init(parameters)), keys)[0][0]
        return loss(parameters, rows, classes)

    start = [(j.numpy.asarray(W), j.numpy.asarray(b)) for W, b in work.layers(work.theta())]
    keys = j.random.split(j.random.PRNGKey(0), work.epochs)
    return lambda: float(train(start, keys))


CONTENDERS = {
    "vecprop": vecprop,
    "tutorial": plain_numpy,
    "scikit-learn": scikit_learn,
    "PyTorch": pytorch,
    "JAX": jax,
}

WORKLOADS = [
    Workload("seed 2-3-2", (2, 3, 2), 100, 100, 300, learning_rate=0.02, logistic=True),
    Workload("30-64-64-2", (30, 64, 64, 2), 10_000, 256, 5),
    Workload("784-128-10", (784, 128, 10), 20_000, 128, 1),
    Workload("1024-1024-1024-10", (1024, 1024, 1024, 10), 8_192, 1_024, 1),
]


def product_rate(dtype: str) -> float:
    """Return the operations a second of a large matrix product."""
    A = np.random.default_rng(0).standard_normal((2048, 2048)).astype(dtype)
    out = np.empty_like(A)
    return 2 * 2048**3 / min(timed(lambda: np.matmul(A, A, out=out))[0] for _ in range(5))


def timed(run: Callable[[], object]) -> tuple[float, object]:
    """Return how long a call took, and what it gave."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def measure(work: Workload, rounds: int) -> dict:
    """Return each contender's median time, spread and loss, all measured in turns."""
    X, t = work.data()
    runs, compiling = {}, {}
    for name, contender in CONTENDERS.items():
        try:
            run = contender(work, X, t)
        except ImportError:
            continue
        if run is not None:
            runs[name], compiling[name] = run, timed(run)[0]  # warm
    times: dict[str, list[float]] = {name: [] for name in runs}
    losses: dict[str, float] = {}
    # A turn lasts a twentieth of a second at least, so that what others left in the caches does not count.
    repeats = {name: 1 + int(TURN / timed(run)[0]) for name, run in runs.items()}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                losses[name] = run()
            times[name].append((time.perf_counter() - start) / repeats[name])
    peak = product_rate(work.dtype)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "workload": work.name,
        "optimizer": work.optimizer,
        "dtype": work.dtype,
        "floor_ms": 1e3 * work.operations / peak,
        "share_of_peak": work.operations / peak / medians["vecprop"],
        "contenders": {
            name: {
                "median_ms": 1e3 * medians[name],
                "min_ms": 1e3 * min(values),
                "max_ms": 1e3 * max(values),
                "first_ms": 1e3 * compiling[name],
                "ratio": medians[name] / medians["vecprop"],
                "loss": losses[name],
            }
            for name, values in times.items()
        },
    }


def one_row() -> dict:
    """Return the median time of predicting a single row, in microseconds."""
    work = Workload("one row", (30, 64, 64, 2), 200, 200, 1)
    X, t = work.data()
    theta = work.theta()
    calls: dict[str, Callable[[], object]] = {}
    predict = vp.compile(work.network()).predictor(theta)
    calls["vecprop"] = lambda: predict(X[:1])
    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((64, 64), max_iter=1).fit(X, t)
    calls["scikit-learn"] = lambda: model.predict_proba(X[:1])
    try:
        import torch

        parts = []
        for W, _ in work.layers(theta):
            parts += [torch.nn.Linear(*W.shape), torch.nn.ReLU()]
        network, row = torch.nn.Sequential(*parts[:-1]), torch.from_numpy(X[:1])

        def by_torch() -> object:
            with torch.inference_mode():
                return network(row).softmax(1)

        calls["PyTorch"] = by_torch
    except ImportError:
        pass
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(400):
        for name, call in calls.items():
            times[name].append(timed(call)[0])
    return {name: 1e6 * statistics.median(values) for name, values in times.items()}


def starts() -> dict:
    """Return the seconds of a small first fit in a new process: kernels compiled, and kernels found on disk."""
    code = (
        "import time, numba, scipy.linalg, numpy as np\n"
        "imported = time.perf_counter()\n"
        "import vecprop as vp\n"
        "network = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy())\n"
        "X = np.ones((10, 2), np.float32); t = np.zeros(10, int)\n"
        "theta = network.init(0, dtype=np.float32)\n"
        "vp.train(network, theta, X, t, optimizer=vp.Momentum(), epochs=2, engine='compiled')\n"
        "print(time.perf_counter() - imported)"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "VECPROP_CACHE_DIR": folder}
        seconds = [
            float(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
            for _ in range(4)
        ]
    return {"cold_s": seconds[0], "warm_s": statistics.median(seconds[1:])}


def scaling(rounds: int) -> dict:
    """Return vecprop's microseconds a row and epoch as rows, widths and depths grow."""
    base = {"batch": 256, "epochs": 1}
    series = {
        "rows": [Workload(str(n), (30, 64, 2), n, **base) for n in (1_000, 10_000, 100_000, 1_000_000)],
        "width": [Workload(str(n), (30, n, n, 2), 4_096, **base) for n in (2, 8, 32, 128, 512, 2048)],
        "depth": [Workload(str(n), (30, *(64,) * n, 2), 8_192, **base) for n in (1, 2, 4, 8, 16)],
    }
    result = {}
    for name, works in series.items():
        result[name] = {}
        for work in works:
            run = vecprop(work, *work.data())
            run()
            seconds = statistics.median(timed(run)[0] for _ in range(rounds))
            result[name][work.name] = 1e6 * seconds / work.rows
    return result


def machine() -> dict:
    """Return what the figures were measured on and with."""
    import importlib.metadata

    import scipy.linalg  # noqa: F401 (its BLAS is the kernels')
    from threadpoolctl import threadpool_info

    versions = {}
    for package in ("numpy", "scipy", "numba", "scikit-learn", "torch", "jax", "optax"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    blas = sorted({f"{pool['internal_api']} {pool.get('architecture', '')}" for pool in threadpool_info()})
    return {"processor": model, "cores": os.cpu_count(), "blas": blas, "python": platform.python_version(), **versions}


def table(results: dict) -> str:
    """Return the figures as a page of Markdown."""
    lines = [
        "# Training and prediction against peers",
        "",
        "Made by `make bench`; ratios are the peer's time over vecprop's.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in results["machine"].items()]
    lines += ["", "| workload | optimizer | type | contender | median ms | min-max | ratio | loss | first call ms |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for entry in results["training"]:
        for name, c in entry["contenders"].items():
            lines.append(
                f"| {entry['workload']} | {entry['optimizer']} | {entry['dtype']} | {name} | {c['median_ms']:.2f} "
                f"| {c['min_ms']:.2f}-{c['max_ms']:.2f} | {c['ratio']:.2f} | {c['loss']:.4g} | {c['first_ms']:.0f} |"
            )
        lines.append(
            f"| {entry['workload']} | {entry['optimizer']} | {entry['dtype']} | *products alone* "
            f"| {entry['floor_ms']:.2f} | | {entry['share_of_peak']:.0%} of the product's rate | | |"
        )
    lines += [
        "",
        "One row predicted, median: " + ", ".join(f"{n} {us:.1f} µs" for n, us in results["one_row"].items()) + ".",
    ]
    cold, warm = results["starts"]["cold_s"], results["starts"]["warm_s"]
    lines += [
        "",
        f"A small first fit, beyond importing Numba and SciPy: {cold:.2f} s compiling, {warm:.2f} s from disk.",
    ]
    lines += ["", "Microseconds a row and epoch (batches of 256, float32, momentum):", ""]
    for name, values in results["scaling"].items():
        lines.append(f"- by {name}: " + ", ".join(f"{size}: {us:.2f}" for size, us in values.items()))
    return "\n".join(lines) + "\n"


def picture(results: dict, path: Path) -> None:
    """Draw each peer's ratio for the float32 workloads."""
    from matplotlib.figure import Figure

    from vecprop.pictures.style import colour, marker

    entries = [e for e in results["training"] if e["dtype"] == "float32"]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    ax = figure.add_subplot()
    names = [name for name in CONTENDERS if name != "vecprop"]
    for number, name in enumerate(names):
        points = [(e["contenders"][name]["ratio"], k) for k, e in enumerate(entries) if name in e["contenders"]]
        if points:
            ax.plot(*zip(*points, strict=True), marker(number), color=colour(number), markersize=9, label=name)
    ax.axvline(1, color="0.4", linestyle="--", label="vecprop")
    ax.set(xscale="log", xlabel="time, as a multiple of vecprop's", yticks=range(len(entries)))
    ax.set_yticklabels([f"{e['workload']}, {e['optimizer']}" for e in entries])
    ax.invert_yaxis()
    ax.legend(loc="best")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how many turns each contender has")
    parser.add_argument("--quick", action="store_true", help="float32 and no scaling")
    options = parser.parse_args()
    results: dict = {"training": []}
    for work in WORKLOADS:
        for dtype in ("float32",) if options.quick else ("float32", "float64"):
            for optimizer in ("momentum", "adam"):
                entry = measure(Workload(**{**vars(work), "dtype": dtype, "optimizer": optimizer}), options.rounds)
                results["training"].append(entry)
                ratios = {name: round(c["ratio"], 2) for name, c in entry["contenders"].items()}
                ms = entry["contenders"]["vecprop"]["median_ms"]
                print(
                    f"{work.name} {optimizer} {dtype}: {ms:.2f} ms, {entry['share_of_peak']:.0%}, {ratios}", flush=True
                )
    results["one_row"] = one_row()
    results["starts"] = starts()
    results["scaling"] = {} if options.quick else scaling(3)
    results["machine"] = machine()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "engine.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "engine.md").write_text(table(results))
    picture(results, RESULTS / "engine.png")
    print(table(results))


if __name__ == "__main__":
    main()

"""The workloads of the benchmark, and functions that train them with vecprop, NumPy and scikit-learn."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

THREADS = "2"
for variable in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECPROP_NUM_THREADS",
):
    os.environ[variable] = THREADS  # before the libraries are imported

import numpy as np  # noqa: E402

import vecprop as vp  # noqa: E402


@dataclass(frozen=True)
class Contest:
    """A contender's training, and the loss of the result on all rows, which is not timed."""

    train: Callable[[], Any]
    loss: Callable[[Any], float]


@dataclass(frozen=True)
class Workload:
    """A problem: widths from inputs to classes, rows, rows of a batch, epochs, optimizer and type."""

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
    def torch_threads(self) -> int:
        """PyTorch's number of threads: two threads make the smallest network slower."""
        return 1 if self.logistic else int(THREADS)

    @property
    def operations(self) -> float:
        """The arithmetic of the products alone: two passes for the first layer, three for the others."""
        layers = zip(self.widths[:-1], self.widths[1:], strict=True)
        return (
            self.epochs
            * self.rows
            * sum(2.0 * i * o * (2 if n == 0 else 3) for n, (i, o) in enumerate(layers))
        )

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and classes that can be learned."""
        rng = np.random.default_rng(0)
        if self.logistic:
            from sklearn.datasets import make_circles

            X, t = make_circles(
                n_samples=self.rows,
                shuffle=False,
                factor=0.3,
                noise=0.1,
                random_state=1,
            )
        else:
            X = rng.standard_normal((self.rows, self.widths[0]))
            t = (X @ rng.standard_normal((self.widths[0], self.widths[-1]))).argmax(
                axis=1
            )
        return np.ascontiguousarray(X, self.dtype), t

    def theta(self) -> np.ndarray:
        """Return the initial parameters of all contenders except scikit-learn, which draws its own."""
        theta = self.network().init(seed=1, dtype=self.dtype)
        if self.logistic:  # the tutorial's scale
            theta = (
                0.1 * np.random.default_rng(1).standard_normal(theta.shape)
            ).astype(self.dtype)
        return theta

    def network(self) -> vp.Network:
        """Return the network."""
        activation = vp.Logistic() if self.logistic else vp.ReLU()
        layers = [
            part
            for width in self.widths[1:-1]
            for part in (vp.Dense(width), activation)
        ]
        reduction = "sum" if self.logistic else "mean"
        return vp.Network(
            self.widths[0],
            [*layers, vp.Dense(self.widths[-1])],
            vp.SoftmaxCrossEntropy(reduction=reduction),
        )

    def layers(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each layer's weights and bias."""
        return [
            (p["W"].copy(), p["b"].copy())
            for p in self.network().layout.views(theta)
            if p
        ]


def vecprop(work: Workload, X: np.ndarray, t: np.ndarray) -> Contest:
    """Train with vecprop's compiled engine."""
    network, theta = work.network(), work.theta()
    rate = work.learning_rate
    optimizer = (
        vp.Momentum(rate, 0.9) if work.optimizer == "momentum" else vp.Adam(rate)
    )

    def train() -> vp.TrainingResult:
        batch = None if work.batch == work.rows else work.batch
        options = {
            "optimizer": optimizer,
            "epochs": work.epochs,
            "batch_size": batch,
            "engine": "compiled",
        }
        return vp.train(network, theta, X, t, training_loss="running", **options)

    return Contest(train, lambda result: float(network.loss(result.theta, X, t)))


def plain_numpy(work: Workload, X: np.ndarray, t: np.ndarray) -> Contest | None:
    """Train as the founding tutorial does: its formulas in plain NumPy, with its loss after each step."""
    if not work.logistic or work.optimizer != "momentum":
        return None
    T = np.eye(2, dtype=work.dtype)[t]
    start = [part for W, b in work.layers(work.theta()) for part in (W, b[None, :])]

    def forward(Wh, bh, Wo, bo):
        H = 1 / (1 + np.exp(-(X @ Wh + bh)))
        E = np.exp(H @ Wo + bo)
        return H, E / E.sum(axis=1, keepdims=True)

    def train() -> list[float]:
        parameters, moments = (
            [p.copy() for p in start],
            [np.zeros_like(p) for p in start],
        )
        losses = []
        for _ in range(work.epochs):
            H, Y = forward(*parameters)
            Eo = Y - T
            Eh = H * (1 - H) * (Eo @ parameters[2].T)
            gradients = [
                X.T @ Eh,
                Eh.sum(axis=0, keepdims=True),
                H.T @ Eo,
                Eo.sum(axis=0, keepdims=True),
            ]
            moments = [
                0.9 * M - work.learning_rate * J
                for M, J in zip(moments, gradients, strict=True)
            ]
            parameters = [P + M for P, M in zip(parameters, moments, strict=True)]
            losses.append(-(T * np.log(forward(*parameters)[1])).sum())
        return losses

    return Contest(train, lambda losses: float(losses[-1]))


def scikit_learn(work: Workload, X: np.ndarray, t: np.ndarray) -> Contest:
    """Train with scikit-learn's MLPClassifier."""
    from sklearn.metrics import log_loss
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

    def train() -> MLPClassifier:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(X, t)

    return Contest(
        train, lambda fitted: float(log_loss(t, fitted.predict_proba(X))) * scale
    )


WORKLOADS = [
    Workload("seed 2-3-2", (2, 3, 2), 100, 100, 300, learning_rate=0.02, logistic=True),
    Workload("30-64-64-2", (30, 64, 64, 2), 10_000, 256, 5),
    Workload("784-128-10", (784, 128, 10), 20_000, 128, 1),
    Workload("1024-1024-1024-10", (1024, 1024, 1024, 10), 8_192, 1_024, 1),
]

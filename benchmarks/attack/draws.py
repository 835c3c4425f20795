"""Random networks, data and settings of all the library's parts, and what a fit of them must be equal in."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import registry
import vecprop as vp

RULES: list[Any] = [
    None,
    None,
    vp.EarlyStopping(patience=1),
    vp.EarlyStopping("loss", patience=2),
    vp.EarlyStopping("validation_score", min_delta=1e-3, patience=2),
    vp.EarlyStopping("loss", 1e-2, 1, restore_best=False, compare_to="best"),
    vp.EarlyStopping("validation_loss", 1e-3, 2, compare_to="best"),
]
HISTORIES = (
    "loss",
    "validation_loss",
    "validation_score",
    "gradient_norm",
    "step_size",
)


def one(rng: np.random.Generator, choices: Any) -> Any:
    """Return one of the choices."""
    return choices[int(rng.integers(len(choices)))]


def width(rng: np.random.Generator, most: int = 300) -> int:
    """Return a width, small ones as often as large ones."""
    return int(np.exp(rng.uniform(0, np.log(most + 0.99))))


@dataclass(frozen=True, eq=False)
class Fit:
    """A call of `train`.

    Parameters
    ----------
    network : Network
        The network.
    theta, X, T : ndarray
        The parameters and all rows.
    weight : ndarray or None
        Their weights.
    settings : dict
        The other arguments, except those of validation.
    rows, seen : ndarray of int
        The rows to train on, and those of validation, if there are any.
    """

    network: vp.Network
    theta: np.ndarray
    X: Any
    T: np.ndarray
    weight: np.ndarray | None
    settings: dict[str, Any]
    rows: np.ndarray
    seen: np.ndarray | None = None

    def alone(self, **changes: Any) -> "Outcome":
        """Return the outcome with copies of the rows."""
        settings: dict[str, Any] = dict(self.settings)
        if self.seen is not None:
            settings["validation"] = self.chosen(self.seen)
        theta = changes.pop("theta", self.theta)
        X, T, *weight = self.chosen(self.rows)
        arguments: dict[str, Any] = (
            settings | {"sample_weight": weight[0] if weight else None} | changes
        )
        return Outcome.of(lambda: vp.train(self.network, theta, X, T, **arguments))

    def chosen(self, rows: np.ndarray) -> tuple[Any, ...]:
        """Return a copy of rows, of their targets and, if there are any, of their weights."""
        return (
            self.X[rows],
            self.T[rows],
            *([] if self.weight is None else [self.weight[rows]]),
        )

    def widened(self) -> "Fit":
        """Return the fit in the next wider type."""
        wide = np.promote_types(
            self.theta.dtype,
            np.float64 if self.theta.dtype == np.float32 else np.longdouble,
        )
        T = self.T if self.T.dtype.kind in "iu" else self.T.astype(wide)
        return replace(self, theta=self.theta.astype(wide), X=self.X.astype(wide), T=T)

    def member(self) -> vp.Member:
        """Return it as a member of a population that shares X, T and the weights."""
        return vp.Member(
            self.network,
            self.theta,
            rows=self.rows,
            validation_rows=self.seen,
            **self.settings,
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a fit has led to: arrays and other values by name."""

    result: vp.TrainingResult
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, fit: Callable[[], vp.TrainingResult]) -> "Outcome":
        """Return the outcome of a fit, which may diverge."""
        try:
            result = fit()
        except vp.DivergenceError as error:
            result = error.result
        state, values = (
            result.state,
            {name: getattr(result.history, name) for name in HISTORIES},
        )
        values |= {"theta": result.theta, "last theta": state.theta}
        values |= {f"state {name}": value for name, value in state.optimizer.items()}
        return cls(
            result,
            values
            | {
                "reason": result.reason,
                "epoch": state.epoch,
                "step": state.step,
            },
        )

    def require_equal(self, other: "Outcome", what: str) -> None:
        """Require the same bits."""
        for name, value in self.values.items():
            np.testing.assert_array_equal(
                other.values[name], value, err_msg=f"{what}: {name}", strict=True
            )

    def require_near(
        self, other: "Outcome", others: list["Outcome"], what: str
    ) -> None:
        """Require what differs from the other outcome by no more than rounding does, as further outcomes show it."""
        names = [*HISTORIES, "theta", "last theta"]
        for name in ("reason", "epoch", "step"):
            assert self.values[name] == other.values[name], (
                f"{what}: {name} {self.values[name]} {other.values[name]}"
            )
        for name in names:
            found, expected = self.values[name], other.values[name]
            assert found.shape == expected.shape, (
                f"{what}: {name} has shape {found.shape}, not {expected.shape}"
            )
            assert found.dtype == expected.dtype, (
                f"{what}: {name} has type {found.dtype}, not {expected.dtype}"
            )
            if not found.size:
                continue
            with np.errstate(all="ignore"):
                wide, own = expected.astype(float), found.astype(float)
                alike = [
                    each.values[name].astype(float)
                    for each in others
                    if each.values[name].shape == found.shape
                ]
                spread = max(
                    (np.abs(each - wide).max() for each in alike), default=np.inf
                )
                error, scale = np.abs(own - wide).max(), np.abs(wide).max()
            if scale > 1e9:
                continue  # it blows up, and rounding with it
            epsilon = np.finfo(self.values["theta"].dtype).eps
            # a row may be on the other side of ½
            share = 0.02 if name == "validation_score" else 0
            allowed = 1000 * spread + 1e4 * epsilon * scale + share
            assert not error > allowed, (
                f"{what}: {name} is off by {error:.3g} of {scale:.3g}, allowed"
                f" {allowed:.3g}"
            )


def network(rng: np.random.Generator, first: int | None = None) -> vp.Network:
    """Return a network of the library's own parts."""
    layers: list[vp.extend.Layer] = []
    depth, most = int(rng.integers(1, 5)), 1200 if rng.random() < 0.02 else 300
    for _ in range(depth - 1):
        layers.append(vp.Dense(width(rng, most), one(rng, registry.INITIALIZERS)))
        norm = [vp.LayerNorm()] if rng.random() < 0.2 else []
        layers += [*norm, one(rng, registry.ACTIVATIONS)]
        layers += (
            [vp.Dropout(float(rng.uniform(0.05, 0.6)))] if rng.random() < 0.25 else []
        )
    layers.append(
        vp.Dense(
            width(rng, 12 if rng.random() < 0.8 else 300),
            one(rng, registry.INITIALIZERS),
        )
    )
    penalty = one(rng, [(), (), vp.L2(1e-3), vp.L1(1e-3), (vp.L2(0.1), vp.L1(0.01))])
    inputs = width(rng) if first is None else first
    return vp.Network(inputs, layers, one(rng, registry.LOSSES), penalty)


def fit(rng: np.random.Generator, first: int | None = None) -> Fit:
    """Return a random fit."""
    net = network(rng, first)
    N, F = width(rng, 700), one(rng, [np.float32, np.float64])
    X = rng.normal(size=(N, net.inputs)).astype(F)
    T = registry.targets(net.loss_function, rng, N, net.outputs).astype(F)
    if isinstance(net.loss_function, vp.SoftmaxCrossEntropy):
        T = T.argmax(axis=1) if rng.random() < 0.7 else T / T.sum(axis=1, keepdims=True)
    weight = one(
        rng,
        [None, rng.uniform(0.1, 2, N), rng.uniform(0.1, 2, N) * (rng.random(N) < 0.6)],
    )
    if weight is not None:
        weight[0] = 1
    size = int(rng.integers(1, N + 1))
    rows = one(
        rng,
        [
            np.arange(N),
            rng.permutation(N)[:size],
            rng.integers(0, N, size),
            np.array([0]),
        ],
    )
    rows = np.concatenate([rows, [0]])  # some weight
    seen = one(rng, [None, rng.integers(0, N, size), rng.permutation(N)[:size]])
    if seen is not None:
        seen = np.concatenate([seen, [0]])
    rule = one(rng, RULES)
    if seen is None and rule is not None and "validation" in rule.monitor:
        rule = None
    scored = seen is not None and (
        rng.random() < 0.5 or (rule is not None and rule.monitor == "validation_score")
    )
    batch = (
        None
        if rng.random() < 0.3
        else int(rng.integers(max(len(rows) // 12, 1), len(rows) + 2))
    )
    rate = float(10 ** rng.uniform(-4, -1))
    settings = {
        "optimizer": replace(one(rng, registry.OPTIMIZERS), learning_rate=rate),
        "epochs": int(rng.integers(0, 5)),
        "batch_size": batch,
        "shuffle": bool(rng.random() < 0.8),
        "seed": int(rng.integers(2**31)),
        "validation_score": score_of(net, rng) if scored else None,
        "training_loss": one(rng, ["auto", "exact", "running"]),
        "schedule": one(rng, [None, *registry.SCHEDULES]),
        "early_stopping": rule,
        "clip_norm": one(rng, [None, None, float(10 ** rng.uniform(-3, 1))]),
    }
    theta = net.init(int(rng.integers(2**31)), dtype=F)
    return Fit(net, theta, X, T, weight, settings, rows, seen)


def score_of(net: vp.Network, rng: np.random.Generator) -> str:
    """Return a score that suits the network's targets."""
    if isinstance(net.loss_function, vp.SoftmaxCrossEntropy):
        return "accuracy"
    if isinstance(net.loss_function, vp.BinaryCrossEntropy):
        return one(rng, ["subset_accuracy", "accuracy"])
    return "r2"

"""Random networks at every difficult point, and gradients with every common mistake."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vecprop.check import Verdict, check_gradients
from vecprop.core.activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Logistic,
    ReLU,
    SiLU,
    Softplus,
    Tanh,
)
from vecprop.core.counter_rng import RandomKey
from vecprop.core.layers import Activation, Dense, Dropout, LayerNorm
from vecprop.core.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SquaredError,
)
from vecprop.core.network import Network
from vecprop.core.penalties import L1, L2

ACTIVATIONS = (
    ELU(),
    ELU(0.5),
    GELU(),
    Identity(),
    LeakyReLU(0.1),
    Logistic(),
    ReLU(),
    SiLU(),
    Softplus(),
    Tanh(),
)
KINKED = (ReLU(), LeakyReLU(0.1), ELU(0.5))
LOSSES = (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SoftmaxCrossEntropy,
    SquaredError,
)
PLACES = (
    "ordinary",
    "exact kink",
    "near a kink",
    "saturated",
    "inputs × 1e6",
    "inputs × 1e-6",
    "constant columns",
    "balanced columns",
    "converged",
    "wide",
    "float32",
    "float32",
)


@dataclass(frozen=True)
class Case:
    """A network at a point."""

    seed: int
    place: str
    network: Network
    theta: np.ndarray
    X: np.ndarray
    T: np.ndarray
    weight: np.ndarray | None
    noise: RandomKey | None

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the right gradient."""
        return self.of(self.network, theta)

    def loss(self) -> float:
        """Return the loss."""
        return float(
            self.network.loss(self.theta, self.X, self.T, self.weight, self.noise)
        )

    def of(self, network: Network, theta: np.ndarray, weight: Any = 0) -> np.ndarray:
        """Return another network's gradient on the same rows."""
        weight = self.weight if isinstance(weight, int) else weight
        return network.loss_and_gradient(theta, self.X, self.T, weight, self.noise)[
            1
        ].copy()

    def check(
        self, gradient: Callable[[np.ndarray], np.ndarray], method: str = "complex step"
    ) -> Any:
        """Check a gradient."""
        rows = (self.X, self.T, self.weight, self.noise)
        return check_gradients(
            self.network, self.theta, *rows, gradient=gradient, method=method
        )


def case(seed: int) -> Case:
    """Return a random network in the place that the seed falls on."""
    draw = np.random.default_rng(seed)
    place = PLACES[seed % len(PLACES)]
    pick = KINKED if "kink" in place else ACTIVATIONS
    depth = int(draw.integers(0, 2 if place == "wide" else 4))
    inputs, rows = int(draw.integers(1, 7)), int(draw.integers(1, 40))
    layers: list[Any] = []
    for _ in range(depth):
        width = (
            int(draw.integers(64, 257))
            if place == "wide"
            else int(draw.integers(1, 13))
        )
        layers.append(Dense(width))
        if draw.random() < 0.15 and width > 2:
            layers.append(LayerNorm())
        layers.append(pick[draw.integers(len(pick))])
        if draw.random() < 0.15:
            layers.append(Dropout(0.3))
    outputs = int(draw.integers(1, 6))
    loss = LOSSES[draw.integers(len(LOSSES))]
    if loss is SoftmaxCrossEntropy:
        outputs = max(outputs, 2)
    layers.append(Dense(outputs))
    if place == "wide":
        rows = min(rows, 6)
    penalties: list[Any] = [[], [], [L2(0.1)], [L1(0.01)], [L2(0.01), L1(0.1)]][
        draw.integers(5)
    ]
    penalties = [replace(penalty, averaged=seed % 2 == 1) for penalty in penalties]
    network = Network(
        inputs, layers, loss(reduction="sum" if draw.integers(2) else "mean"), penalties
    )
    theta = network.init(seed)
    for tensor in network.layout.tensors:
        if tensor.name == "b":
            theta[tensor.span] = 0.3 * draw.standard_normal(tensor.size)
    X = draw.standard_normal((rows, inputs))
    T = targets(draw, loss, rows, outputs)
    weight = draw.uniform(0.1, 3, rows) if draw.random() < 0.4 else None
    noise = RandomKey(seed) if draw.random() < 0.7 else None
    if place in ("exact kink", "near a kink"):
        # Zero inputs and biases put every unit of a row at its kink; whole numbers put
        # others there by cancelling.
        X, theta = np.round(X), np.round(2 * theta)
        X[draw.integers(rows)] = 0
        for tensor in network.layout.tensors:
            if tensor.name == "b":
                theta[tensor.span] = 0
            if tensor.name == "g":
                theta[tensor.span] = 1
        if place == "near a kink":
            theta += 10.0 ** draw.uniform(-14, -5) * draw.standard_normal(theta.shape)
    elif place == "saturated":
        theta = theta * 30
    elif place == "inputs × 1e6":
        X = X * 1e6
    elif place == "inputs × 1e-6":
        X = X * 1e-6
    elif place == "constant columns":
        X[:, 0] = 1
        X[:, -1] = 0
    elif place == "balanced columns":
        X = np.concatenate([X, -X])
        T = np.concatenate([T, T])
        weight = None if weight is None else np.concatenate([weight, weight])
    elif place == "converged":
        theta = converged(network, theta, X, T, weight, noise)
    elif place == "float32":
        scale = [1, 1, 1, 1e3, 1e-3, 1e6, 1e-6][draw.integers(7)]
        theta, X, T = (
            theta.astype(np.float32),
            X * scale,
            T if T.dtype.kind == "i" else T.astype(np.float32),
        )
    if loss is Poisson and place in ("saturated", "inputs × 1e6", "float32"):
        X, theta = (
            X / max(1.0, float(np.abs(X).max())),
            theta / max(1.0, float(np.abs(theta).max())),
        )
    return Case(seed, place, network, theta, X, T, weight, noise)


@np.errstate(all="ignore")
def hostile_case(seed: int) -> Case:
    """Return a random network with layer normalization anywhere, at inputs with hostile offsets and scales."""
    draw = np.random.default_rng([seed, 1])
    while True:
        drawn = _hostile_case(seed, draw)
        if np.isfinite(drawn.gradient(drawn.theta)).all() and np.isfinite(drawn.loss()):
            return drawn


def _hostile_case(seed: int, draw: np.random.Generator) -> Case:
    inputs, rows = int(draw.integers(1, 9)), int(draw.integers(1, 30))
    X = hostile_inputs(draw, rows, inputs)
    loss = LOSSES[draw.integers(len(LOSSES))]
    outputs = max(int(draw.integers(1, 5)), 2 if loss is SoftmaxCrossEntropy else 1)
    layers = [*hostile_layers(draw), Dense(outputs)]
    penalties: list[Any] = [[], [], [L2(0.1)], [L1(0.01)], [L2(1e-6), L1(1e3)]][
        draw.integers(5)
    ]
    penalties = [
        replace(penalty, averaged=bool(draw.integers(2))) for penalty in penalties
    ]
    network = Network(
        inputs, layers, loss(reduction="sum" if draw.integers(2) else "mean"), penalties
    )
    theta = network.init(seed)
    for tensor in network.layout.tensors:
        if tensor.name == "b":
            theta[tensor.span] = draw.choice([0, 0.3, 1e3]) * draw.standard_normal(
                tensor.size
            )
        if tensor.name == "W" and draw.random() < 0.1:
            theta[tensor.span] *= draw.choice([0, 1e-8, 1e4])
    T = targets(draw, loss, rows, outputs)
    if T.dtype.kind == "f" and loss not in (BinaryCrossEntropy, Poisson):
        T = T * draw.choice([1, 1, 1e6, 1e-6]) + draw.choice([0, 0, 1e6])
    weight = (
        draw.uniform(0.1, 3, rows) * draw.choice([1, 1, 1e-12, 1e12])
        if draw.random() < 0.4
        else None
    )
    if weight is not None and draw.random() < 0.3:
        weight[: rows // 2] = 0
    if draw.random() < 0.3:
        theta = theta.astype(np.float32)
        X = np.clip(X, -1e38, 1e38).astype(np.float32)
        T = T if T.dtype.kind == "i" else T.astype(np.float32)
    return Case(seed, "hostile", network, theta, X, T, weight, RandomKey(seed))


def hostile_inputs(draw: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return inputs such as years, large prices, shares, counts and constants."""
    X = draw.standard_normal((rows, columns))
    scales, offsets = 10.0 ** draw.uniform(-8, 8, (2, columns))
    return [
        X,
        2000 + X,
        1e6 + X,
        1 + 1e-6 * X,
        1e-8 * X,
        1e8 * X,
        scales * X + offsets,
        10.0 ** draw.uniform(-300, 300) * X,
        10.0 ** draw.uniform(-3, 12) + 10.0 ** draw.uniform(-12, 3) * X,
        np.repeat(X[:, :1], columns, axis=1),
        np.full((rows, columns), draw.choice([0.1, 1.0, 1 / 3, 1e5, 0.0])),
        draw.integers(0, 3, (rows, columns)).astype(float),
    ][draw.integers(12)]


def hostile_layers(draw: np.random.Generator) -> list[Any]:
    """Return hidden layers, with layer normalization as the first layer, twice in a row, or after an activation."""
    layers: list[Any] = []

    def normalize(probability: float) -> None:
        if draw.random() < probability:
            layers.append(
                LayerNorm(float(draw.choice([1e-5, 1e-5, 1e-8, 1e-12, 1e-3, 1e-30])))
            )

    normalize(0.5)
    normalize(0.15)
    if draw.random() < 0.15:
        layers.append(ACTIVATIONS[draw.integers(len(ACTIVATIONS))])
    for _ in range(draw.integers(0, 4)):
        layers.append(Dense(int(draw.integers(1, 10))))
        normalize(0.35)
        layers.append(ACTIVATIONS[draw.integers(len(ACTIVATIONS))])
        normalize(0.15)
        if draw.random() < 0.15:
            layers.append(Dropout(0.3))
    return layers


def targets(
    draw: np.random.Generator, loss: Any, rows: int, outputs: int
) -> np.ndarray:
    """Return targets that suit a loss."""
    if loss is SoftmaxCrossEntropy:
        return draw.integers(0, outputs, rows)
    if loss is BinaryCrossEntropy:
        return draw.integers(0, 2, (rows, outputs)).astype(float)
    if loss is Poisson:
        return draw.poisson(2.0, (rows, outputs)).astype(float)
    return draw.standard_normal((rows, outputs))


def converged(
    network: Network, theta: np.ndarray, X: Any, T: Any, weight: Any, noise: Any
) -> np.ndarray:
    """Return parameters at which SciPy's L-BFGS cannot reduce the loss."""
    from scipy.optimize import minimize

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = network.loss_and_gradient(at, X, T, weight, noise)
        return float(value), gradient

    with np.errstate(all="ignore"):
        found = minimize(
            loss,
            theta,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 0, "gtol": 1e-14},
        )
    return found.x if np.isfinite(found.x).all() else theta


Mutation = tuple[str, Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Faulty(Activation):
    """An activation whose backward pass uses the derivative of another, or none."""

    right: Activation
    taken: Activation | None

    def value(self, z: Any) -> Any:
        """Return the right value."""
        return self.right.value(z)

    def derivative(self, z: Any, y: Any) -> Any:
        """Return a wrong derivative."""
        return np.ones_like(z) if self.taken is None else self.taken.derivative(z, y)


def mutations(case: Case, count: int) -> Iterator[Mutation]:
    """Yield some wrong gradients, each a function of theta."""
    draw = np.random.default_rng(case.seed + 1_000_000)
    every = list(_every(case, draw))
    for place in draw.permutation(len(every))[:count]:
        yield every[place]


def _every(case: Case, draw: np.random.Generator) -> Iterator[Mutation]:
    tensors = case.network.layout.tensors
    rows = case.X.shape[0]
    smallest = -3.0 if case.theta.dtype == np.float32 else -6.0

    def changed(
        change: Callable[[np.ndarray], Any], tensor: Any
    ) -> Callable[[np.ndarray], np.ndarray]:
        def gradient(theta: np.ndarray) -> np.ndarray:
            J = case.gradient(theta)
            J[tensor.span] = np.ravel(change(J[tensor.span].reshape(tensor.shape)))
            return J

        return gradient

    def entry(
        share: float, place: int, sign: int
    ) -> Callable[[np.ndarray], np.ndarray]:
        def change(J: np.ndarray) -> np.ndarray:
            J = J.copy()
            J.flat[place] += sign * share * np.abs(J).max()
            return J

        return change

    def swap(a: int, b: int) -> Callable[[np.ndarray], np.ndarray]:
        def change(J: np.ndarray) -> np.ndarray:
            J = J.copy()
            J.flat[[a, b]] = J.flat[[b, a]]
            return J

        return change

    for share in (
        10.0**smallest,
        10.0 ** draw.uniform(smallest, 0),
        10.0 ** draw.uniform(smallest, 0),
    ):
        tensor = tensors[draw.integers(len(tensors))]
        yield (
            f"one entry of {tensor} by {share:.0e}",
            changed(
                entry(
                    1.01 * share,
                    int(draw.integers(tensor.size)),
                    int(draw.choice([-1, 1])),
                ),
                tensor,
            ),
        )
    tensor = tensors[draw.integers(len(tensors))]
    for name, factor in (
        ("2", 2),
        ("1/2", 0.5),
        ("N", rows),
        ("1/N", 1 / rows),
        ("sign", -1),
        ("1.37", 1.37),
    ):
        yield (
            f"all × {name}",
            lambda theta, factor=factor: factor * case.gradient(theta),
        )
        yield f"{tensor} × {name}", changed(lambda J, factor=factor: factor * J, tensor)
    for tensor in tensors:
        if len(tensor.shape) == 2 and tensor.shape[0] == tensor.shape[1] > 1:
            yield f"{tensor} transposed", changed(lambda J: J.T, tensor)
        if tensor.size > 1:
            a, b = draw.choice(tensor.size, 2, replace=False)
            yield f"{tensor} swapped", changed(swap(int(a), int(b)), tensor)
        if tensor.name == "b":
            yield f"{tensor} left at 0", changed(lambda J: 0 * J, tensor)
            yield f"{tensor} averaged", changed(lambda J: J / rows, tensor)
    for number, layer in enumerate(case.network.layers):
        factor = float(draw.choice([2, -1, 0.9]))

        def onwards(
            theta: np.ndarray, number: int = number, factor: float = factor
        ) -> np.ndarray:
            J = case.gradient(theta)
            for tensor in tensors:
                if tensor.layer <= number:
                    J[tensor.span] *= factor
            return J

        yield f"× {factor} from layer {number} on", onwards
        if isinstance(layer, Activation):
            other = ACTIVATIONS[draw.integers(len(ACTIVATIONS))]
            for name, taken in (
                ("no slope", None),
                (f"slope of {type(other).__name__}", other),
            ):
                layers = list(case.network.layers)
                layers[number] = Faulty(layer, taken)
                faulty = Network(
                    case.network.inputs,
                    layers,
                    case.network.loss_function,
                    case.network.penalties,
                )
                yield (
                    f"layer {number}, {name}",
                    lambda theta, faulty=faulty: case.of(faulty, theta),
                )
    for penalty in case.network.penalties:

        def on_biases(theta: np.ndarray, penalty: Any = penalty) -> np.ndarray:
            J = case.gradient(theta)
            for tensor in tensors:
                if tensor.name == "b":
                    J[tensor.span] += penalty.gradient(theta[tensor.span])
            return J

        yield f"{type(penalty).__name__} on biases", on_biases
    if case.network.reduction == "mean":
        summed = Network(
            case.network.inputs,
            case.network.layers,
            replace(case.network.loss_function, reduction="sum"),
            case.network.penalties,
        )
        yield "the mean forgotten", lambda theta: case.of(summed, theta)
    if case.weight is not None:
        yield "the weights forgotten", lambda theta: case.of(case.network, theta, None)


def planted(case: Case, gradient: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Return whether a gradient is wrong here by at least the smallest error that is to be found.

    Tensors whose derivatives are only rounding errors of other tensors are skipped.
    """
    least = 1e-3 if case.theta.dtype == np.float32 else 1e-6
    right, wrong = case.gradient(case.theta), gradient(case.theta)
    if not np.isfinite(wrong).all():  # the check refuses it
        return False
    rounding = 1e-6 * least * np.abs(right).max()
    for tensor in case.network.layout.tensors:
        error = np.abs(wrong[tensor.span].astype(float) - right[tensor.span])
        largest = np.abs(right[tensor.span]).max(initial=0)
        if largest > rounding and error.max(initial=0) >= least * largest:
            return True
    return False


def between(case: Case, gradient: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Return whether every wrong entry lies between the derivatives just beside theta, so that KINK is right."""
    right, wrong = case.gradient(case.theta), gradient(case.theta)
    for i in np.flatnonzero(np.abs(wrong - right) > 1e-9 * np.abs(right).max()):
        sides = []
        for t in (-1e-8, 1e-8):
            theta = case.theta.astype(complex)
            theta[i] += t + 1e-20j
            sides.append(
                case.network.loss(theta, case.X, case.T, case.weight, case.noise).imag
                / 1e-20
            )
        margin = 1e-6 * (np.abs(sides).max() + np.abs(right).max())
        if not min(sides) - margin <= wrong[i] <= max(sides) + margin:
            return False
    return True


@dataclass
class Tally:
    """The counts of the suite."""

    networks: int = 0
    errors: int = 0
    false_alarms: int = 0
    misses: int = 0
    undecided_right: int = 0
    undecided_wrong: int = 0
    stories: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.networks} right gradients: {self.false_alarms} false alarms,"
            f" {self.undecided_right} undecided; {self.errors} planted errors:"
            f" {self.misses} missed, {self.undecided_wrong} undecided"
        )


@np.errstate(all="ignore")
def run(
    seeds: Any,
    errors_each: int,
    method: str = "complex step",
    cases: Callable[[int], Case] = case,
) -> Tally:
    """Run the suite and count."""
    tally = Tally()
    for seed in seeds:
        one = cases(seed)
        # An absolute error that is minimized puts the output on a target, which is a
        # real kink.
        on_target = one.place == "converged" and isinstance(
            one.network.loss_function, AbsoluteError | Quantile
        )
        kink_allowed = one.place in ("exact kink", "hostile") or on_target
        report = one.check(one.gradient, method)
        tally.networks += 1
        story = (
            f"seed {seed}, {one.place}, {one.network.loss_function},"
            f" {one.network.layers}"
        )
        if report.verdict is Verdict.INCONCLUSIVE or (
            report.verdict is Verdict.KINK and not kink_allowed
        ):
            tally.undecided_right += 1
            tally.stories.append(f"right but {report.verdict}: {story}")
        elif report.verdict not in (Verdict.PASS, Verdict.KINK):
            tally.false_alarms += 1
            tally.stories.append(f"right but {report.verdict}: {story}")
        for name, gradient in mutations(one, errors_each):
            if not planted(one, gradient):
                continue
            tally.errors += 1
            verdict = one.check(gradient, method).verdict
            if verdict is Verdict.FAIL or (
                verdict is Verdict.KINK and kink_allowed and between(one, gradient)
            ):
                continue
            if verdict in (Verdict.INCONCLUSIVE, Verdict.KINK):
                tally.undecided_wrong += 1
            else:
                tally.misses += 1
            tally.stories.append(f"wrong ({name}) but {verdict}: {story}")
    return tally


if __name__ == "__main__":
    import sys
    import time

    began = time.time()
    first, last, each = (int(argument) for argument in sys.argv[1:4])
    if sys.argv[4:5] == ["hostile"]:
        tally = run(range(first, last), each, cases=hostile_case)
    else:
        tally = run(range(first, last), each, *sys.argv[4:5])
    print("\n".join(tally.stories or []))
    print(tally, f"({time.time() - began:.0f} s)")

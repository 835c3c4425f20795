"""The story of the demo: the founding tutorial from data to a trained network, with its gradients and claim tested."""

import importlib.metadata
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ... import (
    Dense,
    GradientDescent,
    Logistic,
    Member,
    Momentum,
    Network,
    ProgressBar,
    SoftmaxCrossEntropy,
    check_gradients,
    train,
    train_population,
)
from ... import __version__ as version
from ...train.progress import progress_bar
from ...train.state import TrainingResult

if TYPE_CHECKING:
    from ...check import Report

NETWORK = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy(reduction="sum"))
CLASSES = ("orange star", "blue circle")
LEARNING_RATE, MOMENTUM, STEPS = 0.02, 0.9, 300
STARTS, PATIENT_STARTS, SUCCESS = 200, 50, 5.0


@dataclass(frozen=True)
class Claim:
    """The test of the tutorial's claim with one method: the losses that random starts end at."""

    method: str
    steps: int
    losses: np.ndarray

    @property
    def successes(self) -> int:
        """The number of starts that ended at a loss that separates the classes."""
        return int((self.losses <= SUCCESS).sum())


@dataclass(frozen=True)
class Story:
    """The data, results and figures of the demo, for its pictures and its page."""

    seed: int
    X: np.ndarray
    t: np.ndarray
    report: "Report"
    result: TrainingResult
    right: int
    claims: list[Claim]
    versions: dict[str, str]


def tell(seed: int) -> Story:
    """Generate the data, check the gradients, train and test the claim."""
    # The tutorial draws everything from one legacy stream, in this order; its figures come back only so.
    generator = np.random.RandomState(seed)
    X, t = circles(generator)
    checked, theta = draw_parameters(generator, 1.0), draw_parameters(generator, 0.1)
    T = np.eye(2)[t]

    print("The data: two classes, a circle around a disc.")
    print(f"X {X.shape}, T {T.shape}\n\nThe network:\n{NETWORK.summary()}\n")

    report = check_gradients(NETWORK, checked, X, T)
    print(f"Gradient check, backpropagation against a complex step:\n{report}\n")

    optimizer = Momentum(LEARNING_RATE, MOMENTUM)
    result = train(NETWORK, theta, X, T, optimizer=optimizer, epochs=STEPS, callbacks=[ProgressBar("momentum")])
    right = int((NETWORK.predict(result.theta, X).argmax(axis=1) == t).sum())
    first, last = result.history.loss[0], result.history.loss[-1]
    print(f"Training, {STEPS} steps of momentum: loss {first:.6f} to {last:.6f}, {right} of {len(t)} points right.\n")

    claims = try_claim(X, T, seed)
    print(f"The claim that gradient descent stays behind, from random starts (success: a loss of at most {SUCCESS:g}):")
    for claim in claims:
        print(f"  {claim.method}, {claim.steps} steps: {claim.successes} of {len(claim.losses)} starts")
    return Story(seed, X, t, report, result, right, claims, versions())


def circles(generator: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return the tutorial's points (100, 2) and their classes (100,): 0 the outer circle, 1 the inner."""
    from sklearn.datasets import make_circles

    X, t = make_circles(n_samples=100, shuffle=False, factor=0.3, noise=0.1, random_state=generator)
    return np.asarray(X), np.asarray(t)


def draw_parameters(generator: np.random.RandomState, scale: float) -> np.ndarray:
    """Return theta with normal parameters, each layer's bias drawn before its weights as in the tutorial."""
    theta = np.empty(NETWORK.layout.size)
    for p in NETWORK.layout.views(theta):
        for name in ("b", "W"):
            if name in p:
                p[name][...] = scale * generator.standard_normal(p[name].shape)
    return theta


def try_claim(X: np.ndarray, T: np.ndarray, seed: int) -> list[Claim]:
    """Train random starts, as one population, by gradient descent and momentum; some also with ten times the steps."""
    thetas = 0.1 * np.random.default_rng(seed).standard_normal((STARTS, NETWORK.layout.size))
    descent, momentum = GradientDescent(LEARNING_RATE), Momentum(LEARNING_RATE, MOMENTUM)
    claims = []
    for method, optimizer, steps, starts in (
        ("gradient descent", descent, STEPS, STARTS),
        ("momentum", momentum, STEPS, STARTS),
        ("patient gradient descent", descent, 10 * STEPS, PATIENT_STARTS),
    ):
        members = [Member(NETWORK, theta, optimizer, epochs=steps) for theta in thetas[:starts]]
        with progress_bar(method, quiet=False) as show:
            results = train_population(members, X, T, progress=show)
        claims.append(Claim(method, steps, results.last_loss))
    return claims


def versions() -> dict[str, str]:
    """Return the versions of the packages that the figures were made with."""
    packages = ("numpy", "scipy", "scikit-learn", "matplotlib")
    return {
        "Python": platform.python_version(),
        "vecprop": version,
        **{package: importlib.metadata.version(package) for package in packages},
    }

"""The demo: the founding tutorial from data to a trained network, told on standard output and as a page of pictures."""

import importlib.metadata
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import (
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
from .. import __version__ as version
from ..pictures.style import filled
from ..train.progress import progress_bar
from ..train.state import TrainingResult
from .pictures import plot_momentum, plot_random_starts

if TYPE_CHECKING:
    from ..check import Report

NETWORK = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy(reduction="sum"))
CLASSES = ("orange star", "blue circle")
LEARNING_RATE, MOMENTUM, STEPS = 0.02, 0.9, 300
STARTS, PATIENT_STARTS, SUCCESS = 200, 50, 5.0
LIGHT = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "#fdfdfb")
DARK = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "#1b1c1e")
"""The page's own background, in light and dark mode."""
_EQUATIONS = re.compile(r"\\\[(?P<block>.+?)\\\]|\\\((?P<inline>.+?)\\\)", re.DOTALL)


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


def run(out: Path, seed: int) -> None:
    """Tell the story on standard output, and write its pictures and a page into the folder."""
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    story = tell(seed)
    draw(story, out)
    page = write_page(story, out)
    print(f"\nPictures and page: {page.resolve()}")
    print("Versions: " + ", ".join(f"{name} {number}" for name, number in story.versions.items()))
    print(f"Done in {time.perf_counter() - started:.1f} s.")


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


def draw(story: Story, out: Path) -> None:
    """Draw all pictures into the folder."""
    import matplotlib

    from .. import pictures

    matplotlib.use("agg")
    theta, X, t = story.result.theta, story.X, story.t
    losses = {claim.method: claim.losses for claim in story.claims}
    save(out / "classes.png", pictures.plot_classes, X, t, class_names=CLASSES)
    save(out / "loss.png", pictures.plot_loss, story.result.history)
    save(out / "boundary.png", pictures.plot_decision_boundary, NETWORK, theta, X, t, class_names=CLASSES)
    save(out / "hidden.png", pictures.plot_hidden_space, NETWORK, theta, X, t, layer=1, class_names=CLASSES)
    save(out / "gradients.png", story.report.plot)
    save(out / "momentum.png", plot_momentum)
    save(out / "starts.png", plot_random_starts, losses, threshold=SUCCESS)


def save(path: Path, plot: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Draw one picture into a file, and once more for dark pages into another."""
    from matplotlib import pyplot as plt

    for target, look in ((path, ["default", LIGHT]), (path.with_stem(f"{path.stem}-dark"), ["dark_background", DARK])):
        with plt.style.context(look):
            ax = plot(*arguments, **options)
            ax.figure.savefig(target, dpi=120)
        plt.close(ax.figure)


def write_page(story: Story, out: Path) -> Path:
    """Write index.html beside the pictures, and return its path."""
    page = _EQUATIONS.sub(_mathml, filled("vecprop.learn", "demo.html", _figures(story)))
    path = out / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _mathml(equation: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    block = equation["block"]
    return convert(block.strip(), display="block") if block else convert(equation["inline"])


def _figures(story: Story) -> dict[str, str]:
    """Return the values of the template's names, as HTML."""
    loss = story.result.history.loss
    return {
        "seed": str(story.seed),
        "points": str(len(story.t)),
        "shape_X": str(story.X.shape),
        "shape_T": str((len(story.t), NETWORK.outputs)),
        "summary": escape(str(NETWORK.summary())),
        "report": escape(str(story.report)),
        "momentum_is": f" = {MOMENTUM}",
        "rate_is": f" = {LEARNING_RATE}",
        "steps": str(STEPS),
        "first_loss": f"{loss[0]:.6f}",
        "last_loss": f"{loss[-1]:.6f}",
        "right": str(story.right),
        "starts": str(STARTS),
        "success": f"{SUCCESS:g}",
        "claims": "\n".join(_row(claim) for claim in story.claims),
        "finding": _finding(story.claims),
        "versions": escape(", ".join(f"{name} {number}" for name, number in story.versions.items())),
    }


def _row(claim: Claim) -> str:
    numbers = (str(claim.steps), str(len(claim.losses)), str(claim.successes), f"{np.median(claim.losses):.3f}")
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f"<tr><td>{escape(claim.method)}</td>{cells}</tr>"


def _finding(claims: list[Claim]) -> str:
    """Return the conclusion of the trial, which its own figures decide."""
    descent, momentum, patient = (claim.successes / len(claim.losses) for claim in claims)
    sooner = (
        "The claim holds: within these steps momentum arrives far more often."
        if momentum > descent + 0.1
        else "The claim does not hold here: within these steps gradient descent arrives about as often."
    )
    later = (
        "But the minimum was never out of reach: with ten times the steps gradient descent arrives as well. "
        "What it lacked is speed on the plateau at the start, which is what momentum gives."
        if patient > momentum - 0.1
        else "Ten times the steps do not make up for it: gradient descent ends in worse places."
    )
    return f"{sooner} {later}"

"""The demo: train the tutorial's network and write a page with pictures."""

import importlib.metadata
import platform
import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
from ..core import Array
from ..system.extras import imported
from ..system.package_text import package_text
from ..train.progress import progress_bar
from ..train.state import TrainingResult
from .pictures import plot_momentum, plot_random_starts

if TYPE_CHECKING:
    from ..check import Report

NETWORK = Network(
    2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy(reduction="sum")
)
LEARNING_RATE, MOMENTUM, STEPS = 0.02, 0.9, 300
STARTS, PATIENT_STARTS = 200, 50
SUCCESS = 5.0
"""The maximum loss of a successful start."""

GROUNDS = {"default": "#fdfdfb", "dark_background": "#1b1c1e"}
"""The background color of the light and the dark page, by matplotlib style."""


class Claim(NamedTuple):
    """The results of one method from many random starts."""

    steps: int
    losses: Array
    successes: int
    share: float
    median: float


class Story(NamedTuple):
    """The data and results of the demo."""

    X: Array
    t: Array
    report: "Report"
    result: TrainingResult
    right: int
    claims: dict[str, Claim]


def run(out: Path, seed: int):
    """Print the results and write the pictures and the page to a folder."""
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    story = compute(seed)
    draw(story, out)
    versions = f"Python {platform.python_version()}, vecprop {version}"
    for name in ("numpy", "scipy", "scikit-learn", "matplotlib"):
        versions += f", {name} {importlib.metadata.version(name)}"
    page = out / "index.html"
    page.write_text(page_of(story, seed, versions), encoding="utf-8")
    print(f"\nPictures and page: {page.resolve()}\nVersions: {versions}")
    print(f"Done in {time.perf_counter() - started:.1f} s.")


def compute(seed: int) -> Story:
    """Generate the data, check the gradients, train, and compare optimizers."""
    from sklearn.datasets import make_circles

    # The tutorial draws all random numbers from one legacy generator in this order.
    generator = np.random.RandomState(seed)
    points = make_circles(
        n_samples=100, shuffle=False, factor=0.3, noise=0.1, random_state=generator
    )
    X, t = map(np.asarray, points)
    checked = _parameters(generator, 1.0)
    theta = _parameters(generator, 0.1)
    T = np.eye(2)[t]

    print("The data: two classes, a ring around a disc.")
    print(f"X {X.shape}, T {T.shape}\n\nThe network:\n{NETWORK.summary()}\n")

    report = check_gradients(NETWORK, checked, X, T)
    print(f"Gradient check of backpropagation with the complex step:\n{report}\n")

    optimizer = Momentum(LEARNING_RATE, MOMENTUM)
    result = train(
        NETWORK,
        theta,
        X,
        T,
        optimizer=optimizer,
        epochs=STEPS,
        callbacks=[ProgressBar("momentum")],
    )
    right = int((NETWORK.predict(result.theta, X).argmax(axis=1) == t).sum())
    losses = result.history.loss
    print(
        f"Training, {STEPS} steps of momentum: loss {losses[0]:.6f} to"
        f" {losses[-1]:.6f}, {right} of {len(t)} points correct.\n"
    )

    print(
        "Is momentum better from random starts? Successful starts (final loss of at"
        f" most {SUCCESS:g}):"
    )
    claims = try_claim(X, T, seed)
    for method, claim in claims.items():
        print(
            f"  {method}, {claim.steps} steps: {claim.successes} of {len(claim.losses)}"
            " starts"
        )
    return Story(X, t, report, result, right, claims)


def _parameters(generator, scale):
    """Draw normal parameters; like the tutorial, draw each bias before the weights."""
    theta = np.empty(NETWORK.layout.size)
    for p in NETWORK.layout.views(theta):
        for name in sorted(p, reverse=True):
            p[name][...] = scale * generator.standard_normal(p[name].shape)
    return theta


def try_claim(X, T, seed: int) -> dict[str, Claim]:
    """Train random starts with gradient descent, momentum and ten times the steps."""
    thetas = 0.1 * np.random.default_rng(seed).standard_normal(
        (STARTS, NETWORK.layout.size)
    )
    descent = GradientDescent(LEARNING_RATE)
    momentum = Momentum(LEARNING_RATE, MOMENTUM)
    claims = {}
    for method, optimizer, steps, starts in (
        ("gradient descent", descent, STEPS, STARTS),
        ("momentum", momentum, STEPS, STARTS),
        ("patient gradient descent", descent, 10 * STEPS, PATIENT_STARTS),
    ):
        members = [
            Member(NETWORK, theta, optimizer, epochs=steps) for theta in thetas[:starts]
        ]
        with progress_bar(method, quiet=False) as show:
            losses = train_population(members, X, T, progress=show).last_loss
        is_success = losses <= SUCCESS
        claims[method] = Claim(
            steps, losses, is_success.sum(), is_success.mean(), np.median(losses)
        )
    return claims


def draw(story: Story, out: Path):
    """Draw all pictures for the light and the dark page."""
    matplotlib = imported("matplotlib", "The demo", "pictures")
    from matplotlib import pyplot as plt

    matplotlib.use("agg")
    for style, colour in GROUNDS.items():
        suffix = "-dark" if style == "dark_background" else ""
        look: dict = dict.fromkeys(
            ("figure.facecolor", "axes.facecolor", "savefig.facecolor"), colour
        )
        for name, plot in _plots(story).items():
            with plt.style.context([style, look]):
                figure: Any = plot().figure
                figure.savefig(out / f"{name}{suffix}.png", dpi=120)
            plt.close(figure)


def _plots(story):
    """Return the functions that draw the pictures, by file name."""
    from .. import pictures

    theta = story.result.theta
    points = {"X": story.X, "t": story.t, "class_names": ("orange star", "blue circle")}
    losses = {method: claim.losses for method, claim in story.claims.items()}
    return {
        "classes": partial(pictures.plot_classes, **points),
        "loss": partial(pictures.plot_loss, story.result.history),
        "boundary": partial(pictures.plot_decision_boundary, NETWORK, theta, **points),
        "hidden": partial(
            pictures.plot_hidden_space, NETWORK, theta, layer=1, **points
        ),
        "gradients": story.report.plot,
        "momentum": plot_momentum,
        "starts": partial(plot_random_starts, losses, threshold=SUCCESS),
    }


def page_of(story: Story, seed: int, versions: str) -> str:
    """Render the page, with equations as MathML."""
    from latex2mathml.converter import convert

    jinja = imported("jinja2", "The demo", "tables")
    template = jinja.Template(
        package_text("learn/demo.html"),
        autoescape=True,
        undefined=jinja.StrictUndefined,
    )
    page = template.render(
        network=NETWORK,
        momentum=MOMENTUM,
        learning_rate=LEARNING_RATE,
        steps=STEPS,
        starts=STARTS,
        success=SUCCESS,
        style=package_text("pictures/page.css"),
        story=story,
        seed=seed,
        versions=versions,
    )
    page = re.sub(
        r"\\\[(.+?)\\\]",
        lambda match: convert(match[1].strip(), display="block"),
        page,
        flags=re.DOTALL,
    )
    return re.sub(
        r"\\\((.+?)\\\)", lambda match: convert(match[1]), page, flags=re.DOTALL
    )

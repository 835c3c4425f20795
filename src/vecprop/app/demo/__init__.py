"""The demo: the story of the founding tutorial, told on standard output, drawn, and written as a page."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .demo_page import write_page
from .story import CLASSES, NETWORK, SUCCESS, Story, tell

LIGHT = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "#fdfdfb")
DARK = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "#1b1c1e")
"""The page's own background, in light and dark mode."""


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


def draw(story: Story, out: Path) -> None:
    """Draw all pictures into the folder."""
    import matplotlib

    from ... import pictures

    matplotlib.use("agg")
    theta, X, t = story.result.theta, story.X, story.t
    losses = {claim.method: claim.losses for claim in story.claims}
    save(out / "classes.png", pictures.plot_classes, X, t, class_names=CLASSES)
    save(out / "loss.png", pictures.plot_loss, story.result.history)
    save(out / "boundary.png", pictures.plot_decision_boundary, NETWORK, theta, X, t, class_names=CLASSES)
    save(out / "hidden.png", pictures.plot_hidden_space, NETWORK, theta, X, t, layer=1, class_names=CLASSES)
    save(out / "gradients.png", story.report.plot)
    save(out / "momentum.png", pictures.plot_momentum)
    save(out / "starts.png", pictures.plot_random_starts, losses, threshold=SUCCESS)


def save(path: Path, plot: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Draw one picture into a file, and once more for dark pages into another."""
    from matplotlib import pyplot as plt

    for target, look in ((path, ["default", LIGHT]), (path.with_stem(f"{path.stem}-dark"), ["dark_background", DARK])):
        with plt.style.context(look):
            ax = plot(*arguments, **options)
            ax.figure.savefig(target, dpi=120)
        plt.close(ax.figure)

"""Painted frames a second of the playground, in Chromium: ``python benchmarks/playground.py``.

The map's frames are counted where BokehJS has painted them. The same program takes the
pictures of the page in the README and the documentation: ``python
benchmarks/playground.py --pictures docs/pictures``.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine import described, machine
from playwright.sync_api import sync_playwright

from vecprop.learn.playground.session import Session
from vecprop.learn.playground.session_settings import Settings

POINTS, SECONDS = 500, 10
WINDOW = {"width": 1400, "height": 900}
COUNT = """
const map = Bokeh.documents[0].get_model_by_name("map")
const view = Bokeh.index.find_one(map)
const paint = view._actual_paint
view._actual_paint = function () { window.painted += 1; return paint.call(this) }
window.painted = 0
"""


@contextmanager
def page(settings: str, color_scheme: Any = "light") -> Iterator[Any]:
    """Open the page in Chromium, with settings as a text."""
    command = [
        sys.executable,
        "-m",
        "vecprop",
        "playground",
        "--no-browser",
        "--open",
        settings,
    ]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        assert server.stdout
        (address,) = re.findall(r"http\S+", server.stdout.readline())
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page(viewport=WINDOW, color_scheme=color_scheme)
        opened.goto(address)
        opened.wait_for_selector("#run:enabled")
        opened.wait_for_function(
            "window.Bokeh &&"
            " Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name('map'))"
        )
        yield opened
        browser.close()
        server.terminate()


def frames(speed: str) -> tuple[float, float]:
    """Return the painted frames and the epochs of a second while the page trains."""
    with page(f"data=circles rows={POINTS}") as opened:
        opened.evaluate(COUNT)
        opened.select_option("#speed", speed)
        opened.click("#run")
        opened.wait_for_timeout(2_000)
        before, began = _counts(opened), time.perf_counter()
        opened.wait_for_timeout(1_000 * SECONDS)
        after, seconds = _counts(opened), time.perf_counter() - began
    painted, epochs = ((b - a) / seconds for a, b in zip(before, after, strict=True))
    return painted, epochs


def _counts(opened: Any) -> tuple[int, int]:
    return opened.evaluate(
        "[window.painted,"
        " Number(document.querySelector('#epochs').textContent.replaceAll(',', ''))]"
    )


def epochs_without_page() -> float:
    """Return the epochs of a second of the tutorial's network when nothing is drawn."""
    session = Session(
        Settings(data="tutorial", rows=100, test=0.0, activation="logistic")
    )
    session.run_epochs(1_000)
    began = time.perf_counter()
    session.run_epochs(50_000)
    return 50_000 / (time.perf_counter() - began)


def first_picture() -> float:
    """Return the seconds from opening the page to its first map: the least of three browsers."""
    times = []
    for _ in range(3):
        with page(f"data=circles rows={POINTS}") as opened:
            times.append(opened.evaluate("performance.now()") / 1_000)
    return min(times)


def take_pictures(folder: Path) -> None:
    """Take pictures of the page after some training: its top in light and dark, and the whole page."""
    for scheme in ("light", "dark"):
        with page("data=circles", scheme) as opened:
            opened.select_option("#speed", "10")
            opened.click("#run")
            opened.wait_for_function(
                "Number(document.querySelector('#epochs').textContent.replaceAll(',',"
                " '')) > 150"
            )
            opened.click("#run")
            opened.click("#tab-hidden")
            opened.evaluate("scrollTo(0, 0)")
            opened.wait_for_timeout(1_500)
            top = {"x": 0, "y": 0, "width": WINDOW["width"], "height": 880}
            opened.screenshot(path=folder / f"playground-top-{scheme}.png", clip=top)
            if scheme == "light":
                opened.screenshot(path=folder / "playground.png", full_page=True)


def main() -> None:
    if "--pictures" in sys.argv:
        take_pictures(Path(sys.argv[sys.argv.index("--pictures") + 1]))
        return
    rows = []
    for name, speed in (
        ("1 epoch a frame", "1"),
        ("100 epochs a frame", "100"),
        ("as fast as it can", "100000"),
    ):
        painted, epochs = frames(speed)
        rows.append(f"| {name} | {painted:.1f} | {epochs:,.0f} |")
    about = (
        f"Made by `python benchmarks/playground.py` with {POINTS} points in a window of"
        f" {WINDOW['width']} x {WINDOW['height']} pixels. Headless Chromium draws in"
        f" software for {SECONDS} seconds, on the same cores as the server. A frame"
        " counts when the map has been painted.\n\nThe first map appears"
        f" {first_picture():.1f} s after a browser opens the page.\n\nWithout a page,"
        f" the tutorial's network trains {epochs_without_page():,.0f} epochs a second."
    )
    table = (
        "| speed | frames a second | epochs a second |\n|---|---:|---:|\n"
        + "\n".join(rows)
    )
    where = "\n".join(described(machine("vecprop", "bokeh", "numpy", "numba")))
    target = Path(__file__).parent / "results" / "playground.md"
    target.write_text(
        f"# The playground\n\n{about}\n\n{table}\n\n{where}\n", encoding="utf-8"
    )
    print(target.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

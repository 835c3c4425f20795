"""One page that tells whether to trust a model, with all its pictures in it; its verdict, and where it comes from."""

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import file_digest
from pathlib import Path

from ....pictures.style import filled
from ...error import printable
from ...reading.file_lists import files_of
from ..baselines import NAIVE
from ..measured import Measured, Verdict
from ..metrics import TITLES, Estimate, Scores
from .columns import columns
from .markup import Html, bullets, element, figures, folded, html, join
from .sections import metrics, table_of_worst_rows, training
from .target_sections import (
    calibration_of_classes,
    calibration_of_numbers,
    errors_of_classes,
    errors_of_numbers,
    target_of_classes,
    target_of_numbers,
)

FEW_NOTES = 5
"""More notes than this are folded."""
SAID = {
    "better": "Better than all baselines",
    "slightly better": "Slightly better than {baseline}, but intervals overlap",
    "no better": "No better than {baseline}, as far as can be told",
    "worse": "Not the best choice: {baseline} is better",
}
"""What is said of each level."""
LIBRARIES = ("numpy", "numba", "scikit-learn", "pandas", "matplotlib")


@dataclass(frozen=True)
class Run:
    """What a page tells of a training on the command line.

    Parameters
    ----------
    chosen : str
        How the rows were chosen that the model is measured on, with code in backticks.
    """

    title: str = ""
    chosen: str = ""
    refit: str = ""
    seconds: float | None = None
    explain: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    command: str = ""
    settings: str = ""
    is_measured: bool = True


def page_of(measured: Measured, run: Run | None = None, interrupts: Sequence[int] = ()) -> str:
    """Return a page about a model as HTML; sections that have not begun when Ctrl-C comes are left out."""
    run = run or Run(f"{measured.model.target or 'The target'}, predicted by a {type(measured.model).__name__}")
    sections = [
        _section(title, element("p", "Ctrl-C came before this was computed.") if interrupts else section())
        for title, section in _sections(measured, run).items()
    ]
    values = {
        "title": html(printable(run.title)),
        "verdict": verdict_box(measured, run),
        "sections": join(sections, "\n\n"),
        "origin": _section("Where this page comes from", origin(run)),
    }
    return filled("vecprop.tables.evaluation.report", "report.html", values)


def _section(title: str, content: Html) -> Html:
    return element("section", element("h2", title), content)


def _sections(measured: Measured, run: Run) -> dict[str, Callable[[], Html]]:
    """Return what makes each section of the page, by its title."""
    if measured.is_classifier:
        title, of_task = "Which classes are confused", (errors_of_classes, calibration_of_classes, target_of_classes)
    else:
        title, of_task = "Errors", (errors_of_numbers, calibration_of_numbers, target_of_numbers)
    errors, calibration, target = (partial(section, measured) for section in of_task)
    return {
        "Metrics": partial(metrics, measured, run.chosen, run.refit, is_measured=run.is_measured),
        "The columns": partial(columns, measured),
        "The target": target,
        title: errors,
        "The rows predicted worst": partial(table_of_worst_rows, measured, run.explain),
        "Calibration": calibration,
        "Training": partial(training, measured, run.seconds),
    }


def verdict_box(measured: Measured, run: Run) -> Html:
    """Return the verdict on a model, coloured by its level, and the notes on the table."""
    found, notes = measured.verdict if run.is_measured else None, bullets(measured.notes)
    if notes:
        count = len(measured.notes)
        notes = folded(f"Notes on the table: {count}", notes, is_open=count <= FEW_NOTES)
    if found is None:
        why = "Not compared with baselines" if run.is_measured else "Not measured, since Ctrl-C came before"
        return element("div", element("p", why, class_="level"), notes, class_="verdict")
    kind = f"verdict {found.level.replace(' ', '-')}"
    said = element("p", SAID[found.level].format(baseline=found.baseline), class_="level")
    worries = bullets(found.worries)
    if worries:
        worries = join([element("p", "What to worry about:"), worries])
    return element("div", said, _margin(found), intervals(measured.scores, found.metric), worries, notes, class_=kind)


def _margin(found: Verdict) -> Html:
    title = TITLES[found.metric]
    apart, side = (found.margin, "higher") if found.margin.value >= 0 else (-found.margin, "lower")
    return element(
        "p",
        f"The {title} is ",
        element("strong", in_words(found.ours)),
        f"; that of {found.baseline} is {side} by {in_words(apart)}.",
    )


def intervals(scores: Scores, metric: str) -> Html:
    """Return the intervals of the model's and the baselines' losses on one scale, which need not reach to naive."""
    each = {name: of_model[metric] for name, of_model in scores.items()}
    near = [of for name, of in each.items() if name != NAIVE]
    low, high = min(of.low for of in near), max(of.high for of in near)
    lines = (_interval(name, of, low, (high - low) or 1.0) for name, of in each.items())
    return element("div", *lines, class_="intervals")


def _interval(name: str, estimate: Estimate, start: float, length: float) -> Html:
    ends = (estimate.low, estimate.value, estimate.high)
    left, middle, right = (min(max(100 * (end - start) / length, 0.0), 100.0) for end in ends)
    line = element("span", class_="line", style=f"left: {left:.1f}%; width: {right - left:.1f}%")
    point = element("span", class_="point", style=f"left: {middle:.1f}%")
    drawn = [element("span", "→", class_="beyond")] if estimate.low > start + length else [line, point]
    value = element("span", figures(estimate.value))
    return join([element("span", name), element("span", *drawn, class_="track"), value])


def in_words(estimate: Estimate) -> str:
    """Return an estimate with its interval.

    Examples
    --------
    >>> in_words(Estimate(15123.4, 12000.0, 18001.2))
    '15,120 (12,000 to 18,000)'
    """
    return f"{figures(estimate.value)} ({figures(estimate.low)} to {figures(estimate.high)})"


def origin(run: Run) -> Html:
    """Return a table with the date, the data's digest and the model's path, and the command with its settings."""
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    made_with = [f"vecprop {importlib.metadata.version('vecprop')}", f"Python {platform.python_version()}", *libraries]
    rows: dict[str, object] = {"made": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"}
    rows |= {name: join([str(path), *_digest(path)]) if name != "model" else path for name, path in run.files.items()}
    rows |= {"with": ", ".join(made_with)}
    cells = (element("tr", element("th", name, scope="row"), element("td", of)) for name, of in rows.items())
    table = element("table", element("tbody", join(cells, "\n")), class_="summary")
    if not run.command:
        return table
    again = element("p", f"This command makes the model again, in the folder {Path.cwd()}:")
    settings = folded("The settings", element("pre", run.settings))
    return join([table, again, element("pre", run.command, class_="command"), settings])


def _digest(path: Path) -> list[object]:
    """Return the digest of a file, if it can be read a second time, unlike standard input."""
    if path.is_dir():
        return [f" (a folder of {len(files_of(path))} files)"]
    if not path.is_file():
        return [" (which is not kept)"]
    with path.open("rb") as file:
        return [element("br"), element("small", f"SHA-256 {file_digest(file, 'sha256').hexdigest()}")]

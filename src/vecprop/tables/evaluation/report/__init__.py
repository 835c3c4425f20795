"""The self-contained HTML report: the page, the verdict box and the provenance."""

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from ....system.estimates import Estimate, Text
from ....system.extras import imported
from ....system.package_text import package_text
from ....system.versions import version_of
from ...error import printable
from ...reading.file_lists import files_of
from ..baselines import NAIVE
from ..measured import Measured
from . import target_sections as target
from .columns import columns
from .markup import Html, parts, template
from .sections import metrics, training, worst_rows

LIBRARIES = ("numpy", "numba", "scikit-learn", "pandas", "matplotlib")


@dataclass(frozen=True)
class Run:
    """The training run that a report of the command line describes.

    Parameters
    ----------
    chosen : str
        How the scored rows were chosen, with code in backticks.
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


def page_of(
    measured: Measured, run: Run | None = None, interrupts: Sequence[int] = ()
) -> str:
    """Return a report as HTML. After Ctrl-C, sections that have not started are left out."""
    imported("matplotlib", "A report", "pictures")
    run = run or Run(
        f"{measured.model.target or 'The target'}, predicted by a"
        f" {type(measured.model).__name__}"
    )
    sections = []
    for name, width, section in sections_of(measured, run):
        sections.append((name, width, None if interrupts else section(measured)))
    summary = measured.summary if run.is_measured else ""
    return _page(run, summary, verdict_box(measured, run), sections=sections)


def _page(run: Run, summary: str, verdict: Html, *, sections: Sequence[Any]) -> str:
    return template("report.html").render(
        title=printable(run.title),
        style=package_text("pictures/page.css"),
        script=package_text("tables/evaluation/report/report.js"),
        summary=summary,
        verdict=verdict,
        sections=sections,
        origin=origin(run),
    )


def page_of_targets(
    evaluations: Mapping[str, Measured],
    heads: Sequence[str],
    rows: Sequence[Any],
    run: Run | None = None,
    interrupts: Sequence[int] = (),
) -> str:
    """Return a report on several targets as HTML, given the heads and rows of their common table."""
    imported("matplotlib", "A report", "pictures")
    run = run or Run(f"{len(evaluations)} targets: {', '.join(evaluations)}")
    table = parts().table(dict.fromkeys(heads, "number") | {heads[0]: "name"}, rows)
    sections = [("All targets", "", table)]
    for name, measured in evaluations.items():
        sections.append((name, "", verdict_box(measured, run)))
        for title, width, section in sections_of(measured, run):
            content = None if interrupts else section(measured)
            sections.append((f"{title}: {name}", width, content))
    return _page(run, summary="", verdict="", sections=sections)


def sections_of(
    measured: Measured, run: Run
) -> list[tuple[str, str, Callable[[Measured], Html]]]:
    """Return the title, the width on large screens, and the function of each section."""
    scores = partial(metrics, run=run)
    worst = ("Worst predictions", "", partial(worst_rows, explain=run.explain))
    losses = ("Training", "least", partial(training, seconds=run.seconds))
    sections = [("Metrics", "most tall", scores), ("Columns", "", columns), worst]
    if not measured.is_classifier:
        sections.insert(1, ("Target", "least", target.target_of_numbers))
        sections.append(("Errors", "most", target.errors_of_numbers))
        return [*sections, losses, ("Calibration", "", target.calibration_of_numbers)]
    width = "most" if len(measured.model.classes_) <= 8 else ""
    sections.insert(1, ("Target", "least", target.target_of_classes))
    sections.insert(2, ("Calibration", "least", target.calibration_of_classes))
    return [*sections, ("Errors", width, target.errors_of_classes), losses]


def verdict_box(measured: Measured, run: Run) -> Html:
    """Return the verdict on a model, colored by its level, and the notes on the table."""
    if not run.is_measured:
        return parts().verdict(
            "Not evaluated, because Ctrl-C was pressed", measured.notes
        )
    verdict = measured.verdict
    if verdict is None:
        return parts().verdict("Not compared with baselines", measured.notes)
    headline, _, reason = verdict.says.partition(": ")
    deciding = measured._worse.measured if measured._worse else measured
    scale = ""
    if deciding.units > 1:
        texts, _ = deciding._compared(deciding._loss)
        scale = intervals(deciding._losses, list(texts.values()))
    reason = reason[0].upper() + reason[1:]
    return parts().verdict(headline, measured.notes, verdict, reason, scale)


def intervals(losses: dict[str, Estimate], texts: Sequence[Text]) -> Html:
    """Draw the loss intervals of all models on one scale, which may exclude "naive"."""
    scaled = [loss for name, loss in losses.items() if name != NAIVE]
    start = min(loss.low for loss in scaled)
    length = max(loss.high for loss in scaled) - start or 1.0
    lines = []
    for (name, loss), text in zip(losses.items(), texts, strict=True):
        ends = np.array([loss.low, loss.value, loss.high])
        low, middle, high = np.clip((ends - start) / length, 0, 1)
        is_beyond = loss.low > start + length
        lines.append((name, text.value, is_beyond, low, middle, high - low))
    return parts().intervals(lines)


def origin(run: Run) -> Html:
    """Return the date, the files, the versions, and the command with its settings."""
    versions = [
        f"vecprop {importlib.metadata.version('vecprop')}",
        f"Python {platform.python_version()}",
    ]
    versions += [f"{name} {version_of(name)}" for name in LIBRARIES]
    rows = [("created", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}", "")]
    for name, path in run.files.items():
        text = str(path)
        digest = ""
        if name == "model":
            pass  # a digest identifies data
        elif path.is_dir():
            text += f" (a folder of {len(files_of(path))} files)"
        elif not path.is_file():  # such as standard input
            text += " (not stored)"
        else:
            with path.open("rb") as file:
                digest = f"SHA-256 {file_digest(file, 'sha256').hexdigest()}"
        rows.append((name, text, digest))
    rows.append(("versions", ", ".join(versions), ""))
    return parts().origin(rows, run.command, Path.cwd(), run.settings)

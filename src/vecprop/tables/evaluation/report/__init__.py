"""The self-contained HTML report: the page, the verdict box and the provenance."""

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import file_digest
from importlib.resources import files
from pathlib import Path

import numpy as np

from ....system.estimates import Estimate, Text
from ....system.extras import imported
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


def page_of(measured: Measured, run: Run | None = None, interrupts: Sequence[int] = ()) -> str:
    """Return a report as HTML. If Ctrl-C is pressed, sections that have not started are left out."""
    imported("matplotlib", "A report", "pictures")
    run = run or Run(f"{measured.model.target or 'The target'}, predicted by a {type(measured.model).__name__}")
    is_classifier = measured.is_classifier

    is_wide = is_classifier and len(measured.model.classes_) > 8
    sections: dict[str, tuple[str, Callable[[Measured], Html]]] = {  # each with its width on large screens
        "Metrics": ("most tall", partial(metrics, chosen=run.chosen, refit=run.refit, is_measured=run.is_measured)),
        "Target": ("least", target.target_of_classes if is_classifier else target.target_of_numbers),
        **({"Calibration": ("least", target.calibration_of_classes)} if is_classifier else {}),
        "Columns": ("", columns),
        "Worst predictions": ("", partial(worst_rows, explain=run.explain)),
        "Errors": ("" if is_wide else "most", target.errors_of_classes if is_classifier else target.errors_of_numbers),
        "Training": ("least", partial(training, seconds=run.seconds)),
        **({} if is_classifier else {"Calibration": ("", target.calibration_of_numbers)}),
    }
    return template("report.html").render(
        title=printable(run.title),
        style=files("vecprop.pictures").joinpath("page.css").read_text(encoding="utf-8"),
        summary=measured.summary if run.is_measured else "",
        verdict=verdict_box(measured, run),
        sections=[(name, of, None if interrupts else section(measured)) for name, (of, section) in sections.items()],
        origin=origin(run),
    )


def verdict_box(measured: Measured, run: Run) -> Html:
    """Return the verdict on a model, colored by its level, and the notes on the table."""
    found = measured.verdict if run.is_measured else None
    if found is None:
        why = "Not compared with baselines" if run.is_measured else "Not evaluated, because Ctrl-C was pressed"
        return parts().verdict(why, measured.notes)
    headline, _, why = found.says.partition(": ")
    deciding = measured._worse.measured if measured._worse else measured
    texts, _ = deciding._compared(deciding._loss)
    scale = intervals(deciding._losses, list(texts.values())) if deciding.units > 1 else ""
    return parts().verdict(headline, measured.notes, found, why[0].upper() + why[1:], scale)


def intervals(losses: dict[str, Estimate], texts: Sequence[Text]) -> Html:
    """Draw the loss intervals of the model and the baselines on one scale, which may exclude "naive"."""
    start = min(loss.low for name, loss in losses.items() if name != NAIVE)
    end = max(loss.high for name, loss in losses.items() if name != NAIVE)
    length = (end - start) or 1.0
    lines = []
    for (name, loss), text in zip(losses.items(), texts, strict=True):
        left, middle, right = np.clip((np.array([loss.low, loss.value, loss.high]) - start) / length, 0, 1)
        lines.append((name, text.value, loss.low > start + length, left, middle, right - left))
    return parts().intervals(lines)


def origin(run: Run) -> Html:
    """Return the date, the digest of the data, the path of the model, and the command with its settings."""
    libraries = [f"{name} {version_of(name)}" for name in LIBRARIES]
    made_with = [f"vecprop {importlib.metadata.version('vecprop')}", f"Python {platform.python_version()}", *libraries]
    rows = [("created", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}", "")]
    for name, path in run.files.items():
        more, digest = "", ""
        if name != "model" and path.is_dir():
            more = f" (a folder of {len(files_of(path))} files)"
        elif name != "model" and not path.is_file():  # such as standard input
            more = " (not stored)"
        elif name != "model":
            with path.open("rb") as file:
                digest = f"SHA-256 {file_digest(file, 'sha256').hexdigest()}"
        rows.append((name, f"{path}{more}", digest))
    return parts().origin([*rows, ("versions", ", ".join(made_with), "")], run.command, Path.cwd(), run.settings)

"""One page that tells whether to trust a model, with all its pictures in it; its verdict, and where it comes from."""

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

from ....system.versions import version_of
from ...error import printable
from ...reading.file_lists import files_of
from ..baselines import NAIVE
from ..measured import Measured
from ..metrics import Scores
from . import target_sections as target
from .columns import columns
from .markup import Html, parts, template
from .sections import metrics, training, worst_rows

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
    is_classifier = measured.is_classifier
    errors = "Which classes are confused" if is_classifier else "Errors"
    is_wide = is_classifier and len(measured.model.classes_) > 8
    sections: dict[str, tuple[str, Callable[[Measured], Html]]] = {  # each with its share of a large screen
        "Metrics": ("most tall", partial(metrics, chosen=run.chosen, refit=run.refit, is_measured=run.is_measured)),
        "The target": ("least", target.target_of_classes if is_classifier else target.target_of_numbers),
        **({"Calibration": ("least", target.calibration_of_classes)} if is_classifier else {}),
        "The columns": ("", columns),
        "The rows predicted worst": ("", partial(worst_rows, explain=run.explain)),
        errors: ("" if is_wide else "most", target.errors_of_classes if is_classifier else target.errors_of_numbers),
        "Training": ("least", partial(training, seconds=run.seconds)),
        **({} if is_classifier else {"Calibration": ("", target.calibration_of_numbers)}),
    }
    return template("report.html").render(
        title=printable(run.title),
        style=files("vecprop.pictures").joinpath("page.css").read_text(encoding="utf-8"),
        verdict=verdict_box(measured, run),
        sections=[(name, of, None if interrupts else section(measured)) for name, (of, section) in sections.items()],
        origin=origin(run),
    )


def verdict_box(measured: Measured, run: Run) -> Html:
    """Return the verdict on a model, coloured by its level, and the notes on the table."""
    found = measured.verdict if run.is_measured else None
    if found is None:
        why = "Not compared with baselines" if run.is_measured else "Not measured, since Ctrl-C came before"
        return parts().verdict(why, measured.notes)
    headline, _, why = found.says.partition(": ")
    scale = intervals(measured.scores, found.metric)
    return parts().verdict(headline, measured.notes, found, why[0].upper() + why[1:], scale)


def intervals(scores: Scores, metric: str) -> Html:
    """Return the intervals of the model's and the baselines' losses on one scale, which need not reach to naive."""
    each = {name: of_model[metric] for name, of_model in scores.items()}
    near = [of for name, of in each.items() if name != NAIVE]
    start, end = min(of.low for of in near), max(of.high for of in near)
    length, lines = (end - start) or 1.0, []
    for name, of in each.items():
        left, middle, right = np.clip([(at - start) / length for at in (of.low, of.value, of.high)], 0, 1)
        lines.append((name, of.rounded()[0], of.low > start + length, left, middle, right - left))
    return parts().intervals(lines)


def origin(run: Run) -> Html:
    """Return a table with the date, the data's digest and the model's path, and the command with its settings."""
    libraries = [f"{name} {version_of(name)}" for name in LIBRARIES]
    made_with = [f"vecprop {importlib.metadata.version('vecprop')}", f"Python {platform.python_version()}", *libraries]
    rows = [("made", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}", "")]
    for name, path in run.files.items():
        more, digest = "", ""
        if name != "model" and path.is_dir():
            more = f" (a folder of {len(files_of(path))} files)"
        elif name != "model" and not path.is_file():  # such as standard input
            more = " (which is not kept)"
        elif name != "model":
            with path.open("rb") as file:
                digest = f"SHA-256 {file_digest(file, 'sha256').hexdigest()}"
        rows.append((name, f"{path}{more}", digest))
    return parts().origin([*rows, ("with", ", ".join(made_with), "")], run.command, Path.cwd(), run.settings)

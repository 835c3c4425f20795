"""The report of ``vecprop train``: one page that tells whether to trust a model, with all its pictures in it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...files.atomic import written_at_once
from ...tables.error import printable
from ...terminal.page_template import filled
from ..training.train_on_table import Trained
from .class_sections import calibration_of_classes, errors_of_classes, target_of_classes
from .columns_section import columns
from .markup import Html, element, html, join
from .metrics_section import metrics
from .number_sections import calibration_of_numbers, errors_of_numbers, target_of_numbers
from .origin import origin
from .training_section import training
from .verdict_box import verdict_box
from .worst_rows import table_of_worst_rows


def write_report(trained: Trained, result: dict[str, Any], path: Path, interrupts: Sequence[int] = ()) -> None:
    """Write a page about a model."""
    sections = [
        _section(title, element("p", "Ctrl-C came before this was computed.") if interrupts else section())
        for title, section in _sections(trained, result).items()
    ]
    values = {
        "title": html(f"{printable(trained.request.target)}, predicted from {trained.request.table.name}"),
        "verdict": verdict_box(result),
        "sections": join(sections, "\n\n"),
        "origin": _section("Where this page comes from", origin(trained.request, result)),
    }
    with written_at_once(path) as file:
        file.write(filled("vecprop.app.pages", "report.html", values).encode())


def _section(title: str, content: Html) -> Html:
    return element("section", element("h2", title), content)


def _sections(trained: Trained, result: dict[str, Any]) -> dict[str, Callable[[], Html]]:
    """Return what makes each section of the page, by its title."""
    if trained.is_classifier:
        title, of_task = "Which classes are confused", (errors_of_classes, calibration_of_classes, target_of_classes)
    else:
        title, of_task = "Errors", (errors_of_numbers, calibration_of_numbers, target_of_numbers)
    errors, calibration, target = (partial(section, trained) for section in of_task)
    return {
        "Metrics": partial(metrics, trained, result),
        "The columns": partial(columns, trained),
        "The target": target,
        title: errors,
        "The rows predicted worst": partial(table_of_worst_rows, trained, result),
        "Calibration": calibration,
        "Training": partial(training, trained, result),
    }

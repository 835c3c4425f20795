"""The report of ``vecprop train``: one page, with all its pictures in it."""

import importlib.metadata
import platform
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ... import Quantile, __version__, check_gradients
from ...files.atomic import written_at_once
from ...tables.error import pandas
from ..models.checking import ROWS, network_rows
from ..models.estimates import Estimate
from ..models.metrics import TITLES
from ..models.quantiles import levels_of
from ..training.train_on_table import Trained
from .page_template import filled
from .report_pictures import draw_calibration, draw_confusion, draw_importances, draw_losses, draw_residuals, image

REPEATS = 5
SAMPLE = 500
"""The largest number of rows of the test in which columns are shuffled."""
MOST_CLASSES = 20
"""With more classes than this, a matrix of all pairs cannot be read."""
MOST_PAIRS = 15
MOST_COLUMNS = 200
"""With more columns than this, importances would take minutes."""


def write_report(trained: Trained, result: dict[str, Any], path: Path) -> None:
    """Write a page about a model.

    Parameters
    ----------
    trained : Trained
        The model and its test.
    result : dict
        The outcome of ``vecprop train``, with the names of its files.
    path : Path
        The file; an older one is replaced.
    """
    page = filled("vecprop.app.pages", "report.html", _parts(trained, result))
    with written_at_once(path) as file:
        file.write(page.encode())


def _parts(trained: Trained, result: dict[str, Any]) -> dict[str, str]:
    """Return the values of the template's names, as HTML."""
    request = trained.request
    return {
        "target": escape(request.target),
        "table": escape(str(request.table)),
        "task": trained.parts.task,
        "summary": _summary(trained, result),
        "dropped": _dropped(result),
        "notes": _list([*result["notes"]], "Nothing had to be done to the table."),
        "scores": _scores(result),
        "judgement": _list(result["verdict"].sentences, "Nothing speaks against the model."),
        "losses": image("Losses over the epochs of training", (6.8, 4.2), draw_losses, trained),
        **_errors(trained),
        "calibration_is": _CALIBRATION[trained.parts.task],
        "calibration": image("What is promised, and what is kept", (4.4, 4.4), draw_calibration, trained),
        "importances": _importances(trained),
        "gradients": escape(_gradients(trained)),
        "command": escape(result["command"]),
        "config": escape(Path(result["config"]).read_text(encoding="utf-8")),
        "versions": escape(", ".join(f"{name} {number}" for name, number in _versions().items())),
    }


def _errors(trained: Trained) -> dict[str, str]:
    """Return the part of the page on errors: a confusion matrix, or residuals."""
    if not trained.is_classifier:
        return {"errors_title": "Errors", "errors": image("Errors", (6.8, 4.2), draw_residuals, trained)}
    if len(trained.model.classes_) > MOST_CLASSES:
        return {"errors_title": "Which classes are confused", "errors": _confusions(trained)}
    title, side = "Which classes are confused", 2.5 + 0.5 * min(len(trained.model.classes_), 10)
    return {"errors_title": title, "errors": image(title, (side, side), draw_confusion, trained)}


def _confusions(trained: Trained) -> str:
    """Return the pairs of classes that are confused most often as a table: counted, without a matrix of all pairs."""
    names, known = trained.model.classes_, trained.truth >= 0
    pairs = np.stack([trained.truth[known], trained.measured.decided[known]], axis=1)
    found, counts = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    named = np.array([escape(str(name)) for name in names])[found[order]]
    rows = "\n".join(
        f'<tr><td>{true}</td><td>{predicted}</td><td class="number">{count}</td></tr>'
        for (true, predicted), count in zip(named, counts[order], strict=True)
    )
    head = '<tr><th>true</th><th>predicted</th><th class="number">rows</th></tr>'
    return f"<table><thead>{head}</thead><tbody>\n{rows}\n</tbody></table>"


_CALIBRATION = {
    "classification": "Rows are grouped by how sure the model is. Where the curve lies below the line it is too sure.",
    "regression": "Intervals that are made to hold a certain share of the rows, and the share that they do hold.",
}


def _summary(trained: Trained, result: dict[str, Any]) -> str:
    kinds = Counter(result["columns"]["used"].values())
    rows = {
        "rows to train": f"{result['rows']['train']:,}",
        "rows to test": f"{result['rows']['test']:,}",
        "columns": ", ".join(f"{count} of {kind}" for kind, count in kinds.items()),
        "target": _target(trained),
        "model": f"{result['networks']} networks with {result['parameters']:,} parameters in all",
        "time": f"{sum(result['seconds'].values()):.1f} s, {result['seconds']['training']:.1f} s of them training",
    }
    return "\n".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())


def _target(trained: Trained) -> str:
    y = trained.parts.y
    if not trained.is_classifier:
        return f"from {y.min():.6g} to {y.max():.6g}, {np.median(y):.6g} in the middle"
    names, counts = np.unique(y, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = ", ".join(f"{names[k]} ({counts[k] / len(y):.0%})" for k in order[:6])
    return shown + (f" and {len(names) - 6} more classes" if len(names) > 6 else "")


def _dropped(result: dict[str, Any]) -> str:
    dropped = result["columns"]["dropped"]
    if not dropped:
        return "<p>All columns are used.</p>"
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{escape(why)}</td></tr>" for name, why in list(dropped.items())[:50]
    )
    return f"<table><thead><tr><th>not used</th><th>why</th></tr></thead><tbody>\n{rows}\n</tbody></table>"


def _scores(result: dict[str, Any]) -> str:
    scores = result["scores"]
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in scores)
    rows = [
        f"<tr><td>{TITLES[metric]}</td>{''.join(_cell(scores[name][metric]) for name in scores)}</tr>"
        for metric in next(iter(scores.values()))
    ]
    return f"<thead><tr><th></th>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody>"


def _cell(score: Estimate) -> str:
    return (
        f'<td class="number">{score.value:.4g}<br><span class="interval">{score.low:.4g} to '
        f"{score.high:.4g}</span></td>"
    )


def _list(sentences: list[str], otherwise: str) -> str:
    if not sentences:
        return f"<p>{otherwise}</p>"
    return "<ul>\n" + "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences[:50]) + "\n</ul>"


def _importances(trained: Trained) -> str:
    """Return a picture of the importance of each column, or a sentence if there are too many."""
    from sklearn.inspection import permutation_importance

    names = trained.model.encoder_.names
    if len(names) > MOST_COLUMNS:
        return f"<p>There are {len(names)} columns, too many to shuffle each.</p>"
    known = np.flatnonzero(trained.truth >= 0) if trained.is_classifier else np.arange(len(trained.truth))
    rows = known[np.unique(np.linspace(0, len(known) - 1, SAMPLE).astype(int))]
    X, y = trained.measured.X.iloc[rows][names], trained.truth[rows]
    seed = trained.request.split.seed
    found: Any = permutation_importance(trained.model, X, y, scoring=_score, n_repeats=REPEATS, random_state=seed)
    what = (
        "log loss" if trained.is_classifier else "quantile loss" if levels_of(trained.model) else "mean squared error"
    )
    size = (6.8, 1.2 + 0.3 * min(len(names), 15))
    drawn = image("How important each column is", size, draw_importances, names, found.importances, what)
    return f"<figure>{drawn}</figure>"


def _score(model: Any, X: Any, y: np.ndarray) -> float:
    """Return the negative log loss for indices of classes, or the negative loss of the model for numbers."""
    if hasattr(model, "classes_"):
        chance = model.predict_proba(X)[np.arange(len(y)), y]
        return float(np.log(np.maximum(chance, 1e-15)).mean())
    if levels_of(model):
        return float(-Quantile(model.level).element(model.predict(X), y).mean())
    return float(-((model.predict(X) - y) ** 2).mean())


def _gradients(trained: Trained) -> str:
    parts = trained.parts
    rows = np.unique(np.linspace(0, len(parts.y) - 1, ROWS).astype(int))
    X = parts.X.iloc[rows]
    frame = pandas().DataFrame({trained.request.target: parts.y[rows]})
    inputs, T = network_rows(trained.model, X, frame, trained.request.target)
    ensemble = trained.model.ensemble_
    return str(check_gradients(ensemble.network, ensemble.thetas[0], inputs, T))


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "scikit-learn", "pandas", "numba", "matplotlib")
    return {
        "Python": platform.python_version(),
        "vecprop": __version__,
        **{package: importlib.metadata.version(package) for package in packages},
    }

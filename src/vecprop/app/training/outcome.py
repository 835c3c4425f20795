"""The outcome of ``vecprop train``: as values for JSON, and as text for a terminal."""

from math import isfinite
from statistics import mean, stdev
from typing import Any

from ...tables.evaluation.metrics import columns_of_text, levels_of, scores_as_text, title
from ..models.describing import positive_class
from .train_on_table import Trained
from .verdict import verdict


def as_values(trained: Trained) -> dict[str, Any]:
    """Return the outcome of a training as values for JSON."""
    measured = trained.measured
    result = described(trained) | {
        "measured": {"how": measured.how, "rows": len(measured.truth)},
        "scores": trained.scores,
        "verdict": verdict(trained),
    }
    if measured.folds:
        result["folds"] = measured.of_folds()
    return result


def described(trained: Trained) -> dict[str, Any]:
    """Return the outcome of a training without what is measured."""
    parts, model = trained.parts, trained.final
    result = {
        "task": parts.task,
        "target": trained.request.target,
        "rows": {"train": parts.rows, "test": len(parts.y_test)},
        "columns": {"used": dict(model.encoder_.kinds), "dropped": dict(model.encoder_.dropped)},
        "stages": model.stages_,
        "networks": sum(map(len, model.ensembles)),
        "parameters": sum(ensemble.theta.size for ensemble in model.ensembles),
        "seconds": {name: round(seconds, 3) for name, seconds in trained.seconds.items()},
        "notes": trained.notes,
    }
    if trained.is_classifier:
        result["classes"] = model.classes_.tolist()
    if (positive := positive_class(model)) is not None:
        result |= {"positive": positive, "threshold": getattr(model, "threshold_", 0.5)}
    if trained.refitted is not None:
        result["refit"] = {"rows": parts.rows + len(parts.y_test), "epochs": model.n_iter_}
    return result


def as_text(trained: Trained, result: dict[str, Any]) -> str:
    """Return the outcome of a training as text."""
    seconds = result["seconds"]
    whole = sum(seconds.values())
    dropped = result["columns"]["dropped"]
    why = ", ".join(f"{name} ({reason})" for name, reason in list(dropped.items())[:5])
    what = f"{len(result['classes'])} classes" if trained.is_classifier else _numbers(levels_of(trained.model))
    lines = [
        f"{result['task']} of {result['target']!r} ({what}) in {trained.request.table}",
        f"rows      {result['rows']['train']} to train, {result['rows']['test'] or 'none'} to test",
        f"columns   {len(result['columns']['used'])} used" + (f", {len(dropped)} dropped: {why}" if dropped else ""),
        f"networks  {result['networks']}, with {result['parameters']} parameters in all"
        + (f", of {result['stages']} stages" if result["stages"] > 1 else ""),
        *_positive(result),
        *_refit(result),
        "",
        scores_as_text(trained.scores, _WHERE[trained.measured.how], result.get("positive")),
        *(["", folds_as_text(result["folds"], result.get("positive"))] if "folds" in result else []),
        "",
        *result["verdict"].sentences,
        "",
        f"time      {whole:.1f} s, {seconds['training'] / whole:.0%} of it training",
        f"model     {result['model']}, made again by: {result['command']}",
    ]
    if "report" in result:
        lines.append(f"report    {result['report']}")
    return "\n".join(lines)


_WHERE: dict[str, str] = {
    "test": "on the test part",
    "out of fold": "out of fold, without a test",
    "cross-validation": "in cross-validation",
}


def _positive(result: dict[str, Any]) -> list[str]:
    if "positive" not in result:
        return []
    return [f"positive  {result['positive']!r}, predicted if its probability is above {result['threshold']:.4g}"]


def _refit(result: dict[str, Any]) -> list[str]:
    if "refit" not in result:
        return []
    again = f"trained anew on all {result['refit']['rows']} rows, for {result['refit']['epochs']} epochs"
    return [f"refit     {again}; the scores are those of the first model, of {result['rows']['train']} rows"]


def folds_as_text(folds: dict[str, dict[str, list[float]]], positive: Any = None) -> str:
    """Return the scores of folds as a table of text: their mean and standard deviation.

    Examples
    --------
    >>> print(folds_as_text({"vecprop": {"rmse": [1.0, 2.0, 3.0]}}))
    mean and spread of 3 folds  vecprop
    RMSE                        2 ± 1
    """
    first = next(iter(folds.values()))
    count = len(next(iter(first.values())))
    rows = [[f"mean and spread of {count} folds", *folds]]
    for metric in first:
        spreads = (spread(of[metric]) for of in folds.values())
        rows.append([title(metric, positive), *(f"{of[0]:.4g} ± {of[1]:.4g}" if of else "undefined" for of in spreads)])
    return columns_of_text(rows)


def spread(values: list[float]) -> tuple[float, float] | None:
    """Return the mean and the standard deviation of finite values, None of fewer than two.

    A deviation that is rounding alone is 0.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0, float("nan")]), spread([1.0])
    ((2.0, 1.0), None)
    >>> spread([0.1, 0.1 + 2e-17, 0.3 - 0.2])
    (0.1, 0.0)
    """
    finite = [value for value in values if isfinite(value)]
    if len(finite) < 2:
        return None
    middle, deviation = mean(finite), stdev(finite)
    return middle, deviation if deviation > 1e-12 * abs(middle) else 0.0


def _numbers(levels: list[float]) -> str:
    kind = {0: "numbers", 1: "quantile "}.get(len(levels), "quantiles ")
    return kind + ", ".join(map(str, levels))

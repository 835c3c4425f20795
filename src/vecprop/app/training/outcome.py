"""The outcome of ``vecprop train`` as text for a terminal."""

from pathlib import Path
from typing import Any

from ...tables.evaluation.measured import Measured
from ...tables.evaluation.metrics import columns_of_text, title
from ...tables.evaluation.report.sections import spread
from ...tables.evaluation.targets import levels_of


def as_text(result: dict[str, Any], measured: Measured, table: Path) -> str:
    """Return the outcome of a training as text."""
    seconds = result["seconds"]
    whole = sum(seconds.values())
    dropped = result["columns"]["dropped"]
    why = ", ".join(f"{name} ({reason})" for name, reason in list(dropped.items())[:5])
    what = f"{len(result['classes'])} classes" if measured.is_classifier else _numbers(levels_of(measured.model))
    lines = [
        f"{result['task']} of {result['target']!r} ({what}) in {table}",
        f"rows      {result['rows']['train']} to train, {result['rows']['test'] or 'none'} to test",
        f"columns   {len(result['columns']['used'])} used" + (f", {len(dropped)} dropped: {why}" if dropped else ""),
        f"networks  {result['networks']}, with {result['parameters']} parameters in all"
        + (f", of {result['stages']} stages" if result["stages"] > 1 else ""),
        *_positive(result),
        *_refit(result),
        "",
        measured.text(_WHERE[measured.how]),
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


def _numbers(levels: list[float]) -> str:
    kind = {0: "numbers", 1: "quantile "}.get(len(levels), "quantiles ")
    return kind + ", ".join(map(str, levels))

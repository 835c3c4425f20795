"""What ``vecprop train`` found out: as plain values, and as text for a terminal."""

from typing import Any

from .quantiles import levels_of
from .scores import as_plain as plain_scores
from .searching import Search, in_words
from .training import Scores, Trained

TITLES = {
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "pinball_loss": "quantile loss",
    "share_below": "share below",
    "coverage": "coverage",
    "width": "width",
}


def as_plain(trained: Trained) -> dict[str, Any]:
    """Return a result as JSON has it."""
    parts, model = trained.parts, trained.model
    result = {
        "task": parts.task,
        "target": trained.request.target,
        "rows": {"train": len(parts.y), "test": len(parts.y_test)},
        "columns": {"used": dict(model.encoder_.kinds), "dropped": dict(model.encoder_.dropped)},
        "networks": sum(map(len, model.ensembles)),
        "parameters": sum(int(ensemble.thetas.size) for ensemble in model.ensembles),
        "scores": {name: plain_scores(scores) for name, scores in trained.scores.items()},
        "seconds": {name: round(seconds, 3) for name, seconds in trained.seconds.items()},
        "notes": trained.notes,
    }
    if trained.is_classifier:
        result["classes"] = model.classes_.tolist()
    if trained.search is not None:
        result["search"] = search_as_plain(trained.search)
    return result


def search_as_plain(search: Search) -> dict[str, Any]:
    """Return what a search has found as JSON has it, the best first."""
    tried = sorted(search.tried, key=lambda tried: tried.loss)
    finalists = sorted(search.finalists, key=lambda finalist: finalist.loss)
    return {
        "seconds": round(search.seconds, 3),
        "folds": search.folds,
        "tried": [{"loss": tried.loss, "settings": tried.settings} for tried in tried],
        "finalists": [{"validation_loss": each.loss, "settings": each.settings} for each in finalists],
    }


def as_text(trained: Trained, result: dict[str, Any]) -> str:
    """Return a result as text."""
    seconds = result["seconds"]
    whole = sum(seconds.values())
    dropped = result["columns"]["dropped"]
    why = ", ".join(f"{name} ({reason})" for name, reason in list(dropped.items())[:5])
    what = f"{len(result['classes'])} classes" if trained.is_classifier else _numbers(levels_of(trained.model))
    lines = [
        f"{result['task']} of {result['target']!r} ({what}) in {trained.request.table}",
        f"rows      {result['rows']['train']} to train, {result['rows']['test']} to test",
        f"columns   {len(result['columns']['used'])} used" + (f", {len(dropped)} dropped: {why}" if dropped else ""),
        f"networks  {result['networks']}, with {result['parameters']} parameters in all",
        *([] if trained.search is None else search_as_text(trained.search)),
        "",
        scores_as_text(trained.scores, "on the test part"),
        *([""] if result["judgement"] else []),
        *result["judgement"],
        "",
        f"time      {whole:.1f} s, {seconds['training'] / whole:.0%} of it training",
        f"model     {result['model']}, made again by: vecprop train --config {result['config']}",
    ]
    if "report" in result:
        lines.append(f"report    {result['report']}")
    return "\n".join(lines)


def _numbers(levels: list[float]) -> str:
    kind = {0: "numbers", 1: "quantile "}.get(len(levels), "quantiles ")
    return kind + ", ".join(map(str, levels))


def search_as_text(search: Search) -> list[str]:
    """Return what a search has found in lines."""
    given, best = search.finalists[0], search.best
    found = f"validation loss {best.loss:.4g} with {in_words(best.settings)}"
    return [
        f"search    {len(search.tried)} settings by {search.folds}-fold cross-validation, {len(search.finalists)} as "
        f"whole models, in {search.seconds:.1f} s",
        f"          {found}" + ("" if best is given else f"; {given.loss:.4g} with the settings given"),
    ]


def scores_as_text(scores: Scores, where: str) -> str:
    """Return the metrics on some rows in a table: a row each, with a column for each who predicted."""
    names = list(scores)
    first = next(iter(scores.values()))
    rows = [[f"{where} (95 % interval)", *names]]
    rows += [[TITLES[metric], *(str(scores[name][metric]) for name in names)] for metric in first]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )

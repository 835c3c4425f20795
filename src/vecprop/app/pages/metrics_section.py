"""The metrics of a model and of the baselines, which rows they are measured on, and by which model."""

from typing import Any

from ..models.estimates import Estimate
from ..models.metrics import title
from ..training.outcome import spread
from ..training.train_on_table import Trained
from .markup import Html, element, figures, join, table
from .rows_measured import how_chosen


def metrics(trained: Trained, result: dict[str, Any]) -> Html:
    """Return the metrics of the model and of the baselines, and which rows they are measured on."""
    chosen = element("p", how_chosen(trained.request, trained.parts, trained.measured))
    if "scores" not in result:
        return join([element("p", "Nothing was measured, since Ctrl-C came before."), chosen])
    scores, heads = result["scores"], {"": ""} | dict.fromkeys(result["scores"], "number")
    rows = [
        [title(metric, result.get("positive")), *(_stacked(of_model[metric]) for of_model in scores.values())]
        for metric in next(iter(scores.values()))
    ]
    told = "Below each value is its 95 % interval, from bootstrap samples of the rows. Naive ignores the inputs."
    return join([chosen, table(heads, rows), element("p", told), _positive(result), _refit(result), _folds(result)])


def _positive(result: dict[str, Any]) -> Html:
    if "positive" not in result:
        return Html()
    above = figures(result["threshold"])
    return element("p", f"The class {result['positive']} is predicted if its probability is above {above}.")


def _refit(result: dict[str, Any]) -> Html:
    if "refit" not in result:
        return Html()
    all_rows, rows = result["refit"]["rows"], result["rows"]["train"]
    told = f"The model's file holds one that was trained anew on all {all_rows:,} rows, the test's too. "
    return element("p", f"{told}The page is about the first model, which was trained on {rows:,} rows.")


def _folds(result: dict[str, Any]) -> Html:
    """Return the mean and the spread of the metrics over the folds of a cross-validation."""
    if "folds" not in result:
        return Html()
    folds = result["folds"]
    rows = [
        [title(metric, result.get("positive")), *(_spread(of_model[metric]) for of_model in folds.values())]
        for metric in next(iter(folds.values()))
    ]
    head = element("h3", "The folds: mean and standard deviation")
    return join([head, table({"": ""} | dict.fromkeys(folds, "number"), rows)])


def _spread(values: list[float]) -> str:
    found = spread(values)
    return f"{figures(found[0])} ± {figures(found[1], 2)}" if found else ""


def _stacked(score: Estimate) -> Html:
    return join([figures(score.value), element("small", f"{figures(score.low)} to {figures(score.high)}")])

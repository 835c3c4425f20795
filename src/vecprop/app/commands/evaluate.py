"""``vecprop evaluate``: a model's metrics on a table whose target is known."""

from typing import Annotated

import typer

from ...terminal.output import say_notes, show, to_json
from .shared_options import Debug, Json, Model, Quiet, Table


def evaluate(
    model: Model,
    table: Table,
    target: Annotated[str | None, typer.Option(help="The column of the target; by default the model's own.")] = None,
    weight: Annotated[str | None, typer.Option(help="The column of the rows' weights.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure a model on rows whose target is known, with intervals.

    Example: vecprop evaluate titanic.npz passengers-of-1913.csv
    """
    from ... import load
    from ...tables.evaluation.metrics import scores_as_text
    from ..models.evaluating import evaluation

    rows, scores, notes, positive = evaluation(load(model), table, target, weight)
    if not quiet:
        say_notes(notes)
    if as_json:
        of_class = {} if positive is None else {"positive": positive}
        print(to_json({"rows": rows, "scores": scores, **of_class, "notes": notes}))
    else:
        show(scores_as_text({model.name: scores}, f"on {rows} rows of {table.name}", positive))

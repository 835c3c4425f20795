"""``vecprop predict``, ``evaluate`` and ``explain``: commands that apply a model to a table."""

from itertools import chain
from pathlib import Path
from typing import Any

from typer import Argument, Option

from ...terminal.messages import UsageError, say, say_notes, show, to_json
from ...terminal.output_files import (
    STANDARD_OUTPUT,
    require_format,
    table_writer,
    writable,
)
from . import Debug, Force, Json, Model, Quiet, Table


def predict(
    model: Model,
    table: Table,
    output: Path | None = Option(
        None,
        "--output",
        "-o",
        help="The output file; without it, or with -, CSV on standard output.",
    ),
    keep: list[str] | None = Option(
        None, help="A column of TABLE to copy to the output; repeatable."
    ),
    interval: float | None = Option(
        None,
        min=0.5,
        max=0.999,
        help="Add the bounds of prediction intervals with this coverage.",
    ),
    as_json: Json = False,
    chunk: int = Option(100_000, min=1, help="The number of rows to read at once."),
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
):
    """Predict the rows of a table, in order: classes with probabilities, or numbers with intervals.

    The table may be larger than memory. The extension of the output file selects its
    format; --json prints a list of objects.

    Example: vecprop predict titanic.npz passengers.csv > survivors.csv

    Example: vecprop predict prices.npz houses.parquet --interval 0.9 --keep address -o
    predicted.parquet
    """
    from ... import load
    from ...tables.error import pandas
    from ...tables.evaluation.targets import predictions
    from ...tables.explaining.drift import DriftMonitor
    from ...tables.reading.file_lists import ARROW, PARQUET, files_of
    from ...tables.reading.reading import chunks

    suffix = files_of(table)[0].suffix
    if as_json and output is not None:
        raise UsageError(
            f"--json prints the predictions, and -o writes them to {output}: give only"
            " one of the two."
        )
    if output is None and not as_json and suffix.lower() in PARQUET | ARROW:
        raise UsageError(
            f"Give -o, a file for the predictions, such as predictions{suffix}."
        )
    if output == STANDARD_OUTPUT:
        output = None
    if output is not None:
        require_format(writable(output, force, model, table))
    loaded = load(model)
    monitor = DriftMonitor(loaded)
    parts = chunks(table, chunk, list(dict.fromkeys(keep or ())))
    first, kept_columns = next(parts)
    predicted = predictions(loaded, first, interval)  # raise errors before writing
    for name in set(kept_columns) & set(predicted):
        raise UsageError(
            f"--keep {name!r} clashes with a column of predictions: rename it in the"
            " table."
        )
    with table_writer(output, as_json) as write:
        for frame, as_stored in chain([(first, kept_columns)], parts):
            if frame is not first:
                predicted = predictions(loaded, frame, interval)
            write(pandas().concat([as_stored, predicted], axis=1))
            if not quiet:
                monitor.add(frame)
    if not quiet:
        say_notes(monitor.notes(), are_in_json=False)
        if output is not None:
            say(f"Predictions are in {output}.")


def evaluate(
    model: Model,
    table: Table,
    target: str | None = Option(
        None, help="The target column; by default the model's own."
    ),
    weight: str | None = Option(None, help="The column with sample weights."),
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
):
    """Evaluate a model on a table with its target; report scores with confidence intervals.

    Example: vecprop evaluate titanic.npz passengers-of-1913.csv
    """
    from ... import load
    from ...tables.evaluation import EvaluationOfTargets, evaluate

    evaluation: Any = evaluate(
        load(model), table, target=target, weight=weight, baselines=False
    )
    if not isinstance(evaluation, EvaluationOfTargets):
        if not quiet:
            say_notes(evaluation.notes)
        if as_json:
            print(to_json(_evaluation_as_json(evaluation)))
        else:
            show(_evaluation_as_text(evaluation, model, table))
        return
    results = {}
    texts = []
    for name, part in evaluation.evaluations.items():
        results[name] = _evaluation_as_json(part)
        texts.append(f"{name}\n{_evaluation_as_text(part, model, table)}")
    if as_json:
        print(to_json({"targets": results}))
    else:
        show("\n\n".join(texts))


def _evaluation_as_text(evaluation, model: Path, table: Path) -> str:
    where = f"on {len(evaluation.truth)} rows of {table.name}"
    return f"{evaluation.summary}\n\n{evaluation._text(where, model.name)}"


def _evaluation_as_json(evaluation) -> dict:
    from ...tables.evaluation.targets import positive_class

    result = {
        "rows": len(evaluation.truth),
        "summary": evaluation.summary,
        "scores": evaluation.metrics,
    }
    positive = positive_class(evaluation.model)
    if positive is not None:
        result["positive"] = positive
    return result | {"notes": evaluation.notes}


def explain(
    model: Model,
    table: Path | None = Argument(
        None, metavar="[TABLE]", help="A table, preferably with the target."
    ),
    row: list[int] | None = Option(
        None,
        min=0,
        help=(
            "A row of TABLE: its line number or its index in Parquet and Arrow files;"
            " repeatable."
        ),
    ),
    background: Path | None = Option(
        None,
        help=(
            "A table of reference rows; by default the distributions of the training"
            " data."
        ),
    ),
    output: Path | None = Option(
        None, "--output", "-o", help="A file for the explanation, such as why.csv."
    ),
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
):
    """Explain a model by the importance of each column or, with --row, explain individual predictions.

    The importance of a column is the rise of the loss when its values are shuffled.
    Without a table, or if the table has no target, it is the change of the predictions.
    An individual prediction is explained by the Shapley value of each column, with its
    standard error. These contributions add up to the difference between the prediction
    (or the probability of the predicted class) and its mean.

    Example: vecprop explain titanic.npz passengers.csv

    Example: vecprop explain titanic.npz passengers.csv --row 17
    """
    from ... import load
    from ..models import ExplainedModel, explained_model, explained_rows

    if row and table is None:
        raise UsageError("--row needs a table: give TABLE too.")
    if background is not None and not row:
        raise UsageError("--background needs --row: give both, or neither.")
    if as_json and output == STANDARD_OUTPUT:
        raise UsageError(
            "--json and -o - both write to standard output: give only one of the two."
        )
    if output not in (None, STANDARD_OUTPUT):
        require_format(writable(output, force, model, table, background))
    if row and table is not None:
        explanations, notes = explained_rows(load(model), table, row, background)
    else:
        explanations, notes = explained_model(load(model), table)
    if output is not None:
        with table_writer(None if output == STANDARD_OUTPUT else output) as write:
            write(explanations.to_frame())
    if as_json:
        result = {"rows": explanations}
        if isinstance(explanations, ExplainedModel):
            result = explanations._asdict()
        print(to_json(result | {"notes": notes}))
    elif output is None:
        show(repr(explanations))
    if not quiet:
        say_notes(notes)
        if output not in (None, STANDARD_OUTPUT):
            kind = "Contributions" if row else "Importances"
            say(f"{kind} are in {output}.")

"""``vecprop train``: train a model on a table."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from ...system.suggestions import suggestion
from ...terminal.messages import UsageError
from . import Debug, Force, Json, Quiet, Table

PANELS = ("Column types", "Test data", "Estimator settings", "Run options")
Columns, Test, Learning, Running = (partial(Option, rich_help_panel=panel) for panel in PANELS)

OUTPUT = "The model file; by default TABLE with the extension .npz."
POSITIVE = "The positive class of two; by default 1, True or yes, else the rarer class."
LOSS = "The loss for regression, to predict the mean or quantiles."
WORKERS = "Train on a Dask cluster (tcp://HOST:8786) or in local processes (local:4), with identical results."
MEMORY = "The memory limit, such as 4GB; larger tables are read in blocks."
CHECKPOINT = "Save progress to this folder; if the command is killed, run it again to resume."
CONFIG = "Read options from a TOML file; options on the command line take precedence."
REMOVED = {"stages", "time_limit"}
"""Options of earlier versions."""
REPLACE = "With --force, replace an existing model even after Ctrl-C; otherwise save next to it."


def read_configuration(context: typer.Context, path: Path | None) -> Path | None:
    """Use the values in a file as defaults of the command's options (the callback of ``--config``)."""
    if path is None:
        return None
    from ..training.config import PASSING, read_toml

    values = read_toml(path)
    if values.get("stages") == 1:  # the default, which earlier versions wrote
        del values["stages"]
    known = {str(parameter.name) for parameter in context.command.params} - PASSING
    for name, value in values.items():
        if name in REMOVED:
            raise UsageError(f"{path} has the option {name!r}, which was removed: delete this line.")
        if name not in known:
            raise UsageError(f"{path} has the unknown name {name!r}{suggestion(name, known) or '.'}")
        if isinstance(value, Mapping) and name != "columns":
            raise UsageError(f"{path} has a section [{name}], but options must be at the top level.")
    given = {name: value if isinstance(value, bool) else _as_text(value) for name, value in values.items()}
    given |= {"columns": str(path)} if isinstance(values.get("columns"), Mapping) else {}
    context.default_map = {**(context.default_map or {}), **given}
    return path


def _as_text(value: Any) -> str:
    """Format a value for the command line, with commas in lists and quotes around entries with commas."""
    if not isinstance(value, list):
        return str(value)
    return ",".join(f'"{entry}"' if "," in str(entry) else str(entry) for entry in value)


def train(
    table: Table,
    target: Annotated[str, Option(help="The column to predict.")],
    output: Annotated[Path | None, Option("--output", "-o", metavar="MODEL", help=OUTPUT)] = None,
    task: Annotated[
        Literal["classification", "regression"] | None, Option(help="The task; by default inferred from the target.")
    ] = None,
    weight: Annotated[str | None, Option(help="The column with sample weights; it is not an input.")] = None,
    classes: Annotated[
        str | None, Option(help="Target values to keep as classes although they look missing, such as NA.")
    ] = None,
    columns: Annotated[
        Path | None,
        Columns(metavar="FILE.toml", help='A file whose \\[columns] section has lines such as zip = "code".'),
    ] = None,
    numbers: Annotated[str | None, Columns(help="Numeric columns, such as a,b.")] = None,
    categories: Annotated[str | None, Columns(help="Categorical columns.")] = None,
    codes: Annotated[str | None, Columns(help="Columns of numeric identifiers, such as ZIP codes.")] = None,
    dates: Annotated[str | None, Columns(help="Columns of dates.")] = None,
    text: Annotated[str | None, Columns(help="Columns of free text.")] = None,
    ignore: Annotated[str | None, Columns(help="Columns that are not used as inputs.")] = None,
    decimal: Annotated[str | None, Columns(help="The decimal separator of numbers: a point or a comma.")] = None,
    date_format: Annotated[
        str | None, Columns(help='"day first", "month first", "excel", or a format such as %d.%m.%Y.')
    ] = None,
    test_size: Annotated[
        float | None,
        Test(help="The share or number of test rows, 0 for none; by default 0.2, or --cv 5 below 1,000 rows."),
    ] = None,
    test: Annotated[Path | None, Test(help="A file with test rows.")] = None,
    group: Annotated[str | None, Test(help="A column whose groups of rows stay together; it is not an input.")] = None,
    time: Annotated[str | None, Test(help="A column with times: the latest rows become the test set.")] = None,
    cv: Annotated[
        int | None, Test(min=2, metavar="K", help="Use K-fold cross-validation instead of a test set.")
    ] = None,
    refit: Annotated[
        bool, Test("--refit", help="After evaluation, refit on all rows, including the test rows.")
    ] = False,
    class_weight: Annotated[
        Literal["balanced"] | None, Learning(help="Give all classes the same total weight.")
    ] = None,
    threshold: Annotated[
        str | None, Learning(help="The threshold for the positive class: 0.3, or a rule: f1, recall:0.9, cost:5,1.")
    ] = None,
    positive: Annotated[str | None, Learning(metavar="CLASS", help=POSITIVE)] = None,
    loss: Annotated[Literal["squared_error", "quantile"] | None, Learning(help=LOSS)] = None,
    quantile: Annotated[str | None, Learning(help="One quantile level, or three to add intervals.")] = None,
    hidden_layer_sizes: Annotated[str | None, Learning(help="The widths of the hidden layers, such as 64,64.")] = None,
    activation: Annotated[str | None, Learning(help="The activation, such as relu, silu or tanh.")] = None,
    dropout: Annotated[float | None, Learning(help="The dropout rate of the hidden layers.")] = None,
    weight_decay: Annotated[float | None, Learning(help="The weight decay of AdamW.")] = None,
    label_smoothing: Annotated[float | None, Learning(help="The share of a target to spread over all classes.")] = None,
    learning_rate_init: Annotated[float | None, Learning(help="The initial learning rate.")] = None,
    batch_size: Annotated[int | None, Learning(min=1, help="The number of rows in a batch.")] = None,
    max_iter: Annotated[int | None, Learning(min=1, help="The maximum number of epochs.")] = None,
    n_iter_no_change: Annotated[
        int | None, Learning(min=1, help="Stop after this number of epochs without progress.")
    ] = None,
    n_estimators: Annotated[int | None, Learning(min=2, metavar="N", help="The number of networks to average.")] = None,
    seed: Annotated[int, Running(min=0, max=2**32 - 1, help="The random seed of the split and of training.")] = 0,
    threads: Annotated[int | None, Running(min=1, help="The maximum number of threads; by default all CPUs.")] = None,
    workers: Annotated[str | None, Running(metavar="WHERE", help=WORKERS)] = None,
    memory: Annotated[str | None, Running(metavar="SIZE", help=MEMORY)] = None,
    report: Annotated[Path | None, Running(metavar="FILE.html", help="Write a report page about the model.")] = None,
    checkpoint: Annotated[Path | None, Running(metavar="FOLDER", help=CHECKPOINT)] = None,
    config: Annotated[Path | None, Running(callback=read_configuration, is_eager=True, help=CONFIG)] = None,
    replace_interrupted: Annotated[bool, Running("--replace-interrupted", help=REPLACE)] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Train a model on a table, and evaluate it on held-out rows.

    The options of the run are saved next to the model as a TOML file for --config.

    Example: vecprop train titanic.csv --target survived

    Example: vecprop train prices.parquet --target price --time sold --report prices.html

    Example: vecprop train prices.parquet --target price --loss quantile --quantile 0.05,0.5,0.95

    Example: vecprop train churn.csv --target left --class-weight balanced --threshold recall:0.9 --refit

    Example: vecprop train ventes.csv --target prix --decimal , --codes postal --date-format "day first"

    Example: vecprop train visits.csv.gz --target outcome --group patient -o visits.npz
    """
    options = dict(locals())
    from ..training.config import requested
    from ..training.job import TrainingJob

    TrainingJob(*requested(options)).run()

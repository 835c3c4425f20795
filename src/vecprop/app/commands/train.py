"""``vecprop train``: train a model on a table."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import typer
from typer import Option

from ...system.suggestions import advice_on, suggestion, synonyms
from ...terminal.messages import UsageError
from . import Debug, Force, Json, Quiet, Table

PANELS = ("Column types", "Test data", "Estimator settings", "Run options")
Columns, Test, Learning, Running = (
    partial(Option, None, rich_help_panel=panel) for panel in PANELS
)

OUTPUT = "The model file; by default TABLE with the extension .npz."
POSITIVE = "The positive class of two; by default 1, True or yes, else the rarer class."
LOSS = "The loss for regression: squared, absolute, huber, poisson or quantile."
WORKERS = (
    "Train on a Dask cluster (tcp://HOST:8786) or in local processes (local:4), with"
    " identical results."
)
MEMORY = "The memory limit, such as 4GB; larger tables are read in blocks."
CHECKPOINT = (
    "Save progress to this folder; if the command is killed, run it again to resume."
)
CONFIG = "Read options from a TOML file; options on the command line take precedence."
REPLACE = (
    "With --force, replace an existing model even after Ctrl-C; otherwise save next"
    " to it."
)


def read_configuration(context: typer.Context, path: Path | None) -> Path | None:
    """Use the values in a file as defaults of the command's options (the callback of ``--config``)."""
    if path is None:
        return None
    from ..training.config import PASSING, read_toml

    values = read_toml(path)
    if values.get("stages") == 1:  # the default, which earlier versions wrote
        del values["stages"]
    names = {str(parameter.name) for parameter in context.command.params} - PASSING
    defaults = dict(context.default_map or {})
    for name, value in values.items():
        is_section = isinstance(value, Mapping)
        if is_section and name != "columns":
            raise UsageError(
                f"{path} has a section [{name}], but options must be at the top level."
            )
        if name not in names:
            advice = suggestion(name, names, synonyms())
            specific_advice = advice_on(name, "--")
            if specific_advice:
                advice = f": {specific_advice}"
            advice = advice or ": see vecprop train --help."
            raise UsageError(f"{path} has the unknown name {name!r}{advice}")
        if is_section:  # the option contains the file with the columns
            defaults[name] = str(path)
        elif isinstance(value, bool):
            defaults[name] = value
        else:
            defaults[name] = _as_text(value)
    context.default_map = defaults
    return path


def _as_text(value) -> str:
    """Format a value for the command line, with commas in lists and quotes around entries with commas."""
    if not isinstance(value, list):
        return str(value)
    return ",".join(
        f'"{entry}"' if "," in str(entry) else str(entry) for entry in value
    )


def train(
    table: Table,
    target: str = Option(
        help="The column to predict; joint networks predict several: price,rent."
    ),
    output: Path | None = Option(None, "--output", "-o", metavar="MODEL", help=OUTPUT),
    task: Literal["classification", "regression"] | None = Option(
        None, help="The task; by default inferred from the target."
    ),
    weight: str | None = Option(
        None, help="The column with sample weights; it is not an input."
    ),
    classes: str | None = Option(
        None,
        help="Target values to keep as classes although they look missing, such as NA.",
    ),
    columns: Path | None = Columns(
        metavar="FILE.toml",
        help='A file whose \\[columns] section has lines such as zip = "code".',
    ),
    numbers: str | None = Columns(help="Numeric columns, such as a,b."),
    categories: str | None = Columns(help="Categorical columns."),
    codes: str | None = Columns(
        help="Columns of numeric identifiers, such as ZIP codes."
    ),
    dates: str | None = Columns(help="Columns of dates."),
    text: str | None = Columns(help="Columns of free text."),
    ignore: str | None = Columns(help="Columns that are not used as inputs."),
    decimal: str | None = Columns(
        help="The decimal separator of numbers: a point or a comma."
    ),
    date_format: str | None = Columns(
        help='"day first", "month first", "excel", or a format such as %d.%m.%Y.'
    ),
    test_size: float | None = Test(
        help=(
            "The share or number of test rows, 0 for none; by default 0.2, or --cv 5"
            " below 1,000 rows."
        )
    ),
    test: Path | None = Test(help="A file with test rows."),
    group: str | None = Test(
        help="A column whose groups of rows stay together; it is not an input."
    ),
    time: str | None = Test(
        help="A column with times: the latest rows become the test set."
    ),
    cv: int | None = Test(
        min=2, metavar="K", help="Use K-fold cross-validation instead of a test set."
    ),
    refit: bool = Option(
        False,
        "--refit",
        rich_help_panel=PANELS[1],
        help="After evaluation, refit on all rows, including the test rows.",
    ),
    class_weight: Literal["balanced"] | None = Learning(
        help="Give all classes the same total weight."
    ),
    threshold: str | None = Learning(
        help=(
            "The threshold for the positive class: 0.3, or a rule: f1, recall:0.9,"
            " cost:5,1."
        )
    ),
    positive: str | None = Learning(metavar="CLASS", help=POSITIVE),
    loss: str | None = Learning(help=LOSS),
    exposure: str | None = Learning(
        help="The column with the exposure of counts; it is not an input."
    ),
    quantile: str | None = Learning(
        help="One quantile level, or three to add intervals."
    ),
    hidden_layer_sizes: str | None = Learning(
        help="The widths of the hidden layers, such as 64,64."
    ),
    activation: str | None = Learning(
        help="The activation, such as relu, silu or tanh."
    ),
    dropout: float | None = Learning(help="The dropout rate of the hidden layers."),
    weight_decay: float | None = Learning(help="The weight decay of AdamW."),
    label_smoothing: float | None = Learning(
        help="The share of a target to spread over all classes."
    ),
    learning_rate_init: float | None = Learning(help="The initial learning rate."),
    batch_size: int | None = Learning(min=1, help="The number of rows in a batch."),
    max_iter: int | None = Learning(min=1, help="The maximum number of epochs."),
    n_iter_no_change: int | None = Learning(
        min=1, help="Stop after this number of epochs without progress."
    ),
    metric: str | None = Learning(
        help="A scikit-learn scorer for early stopping and the threshold, such as f1."
    ),
    n_estimators: int | None = Learning(
        min=2, metavar="N", help="The number of networks to average."
    ),
    seed: int = Option(
        0,
        rich_help_panel=PANELS[3],
        min=0,
        max=2**32 - 1,
        help="The random seed of the split and of training.",
    ),
    threads: int | None = Running(
        min=1, help="The maximum number of threads; by default all CPUs."
    ),
    workers: str | None = Running(metavar="WHERE", help=WORKERS),
    memory: str | None = Running(metavar="SIZE", help=MEMORY),
    report: Path | None = Running(
        metavar="FILE.html", help="Write a report page about the model."
    ),
    checkpoint: Path | None = Running(metavar="FOLDER", help=CHECKPOINT),
    config: Path | None = Running(
        callback=read_configuration, is_eager=True, help=CONFIG
    ),
    replace_interrupted: bool = Option(
        False, "--replace-interrupted", rich_help_panel=PANELS[3], help=REPLACE
    ),
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
):
    """Train a model on a table, and evaluate it on held-out rows.

    The options of the run are saved next to the model as a TOML file for --config.

    Example: vecprop train titanic.csv --target survived

    Example: vecprop train prices.parquet --target price --time sold --report
    prices.html

    Example: vecprop train prices.parquet --target price --loss quantile --quantile
    0.05,0.5,0.95

    Example: vecprop train churn.csv --target left --class-weight balanced --threshold
    recall:0.9 --refit

    Example: vecprop train ventes.csv --target prix --decimal , --codes postal
    --date-format "day first"

    Example: vecprop train visits.csv.gz --target outcome --group patient -o visits.npz
    """
    options = dict(locals())
    from ..training.config import requested
    from ..training.job import TrainingJob
    from ..training.several_targets import SeveralTargetsJob

    options, request, files = requested(options)
    job = SeveralTargetsJob if request.targets else TrainingJob
    job(options, request, files).run()

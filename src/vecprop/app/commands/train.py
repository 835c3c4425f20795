"""``vecprop train``: a table in, a model out."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from ...system.suggestions import suggestion
from ...terminal.messages import UsageError
from . import Debug, Force, Json, Quiet, Table

PANELS = ("What columns mean", "Test part", "Settings of the estimator", "Running")
Columns, Test, Learning, Running = (partial(Option, rich_help_panel=panel) for panel in PANELS)

OUTPUT = "The model file; by default TABLE's name with .npz."
POSITIVE = "The positive class of two; by default 1, True or yes, else the class with fewer rows."
LOSS = "The loss of numbers: to predict a mean, or quantiles."
TIME_LIMIT = "Seconds for training: more networks, with other settings, where they help."
WORKERS = "Train on a Dask cluster, tcp://HOST:8786, or in processes, local:4, with the same bits."
MEMORY = "Memory that the program may take, such as 4GB: of a larger table a block is read at a time."
CHECKPOINT = "Keep what is trained there: the same command goes on if it was killed."
CONFIG = "Options from a TOML file; those given here win."
REPLACE = "With --force, let Ctrl-C replace an older model too, instead of saving beside it."


def read_configuration(context: typer.Context, path: Path | None) -> Path | None:
    """Make a file's values the defaults of the command's options: the callback of ``--config``, called first."""
    if path is None:
        return None
    from ..training.config import PASSING, read_toml

    values = read_toml(path)
    known = {str(parameter.name) for parameter in context.command.params} - PASSING
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"{path} has the unknown name {name!r}{suggestion(name, known) or '.'}")
        if isinstance(value, Mapping) and name != "columns":
            raise UsageError(f"{path} has a table [{name}], but all names stand at the top.")
    given = {name: value if isinstance(value, bool) else _as_text(value) for name, value in values.items()}
    given |= {"columns": str(path)} if isinstance(values.get("columns"), Mapping) else {}
    context.default_map = {**(context.default_map or {}), **given}
    return path


def _as_text(value: Any) -> str:
    """Return a value as it would be typed, lists with commas, and entries with commas in quotes."""
    if not isinstance(value, list):
        return str(value)
    return ",".join(f'"{entry}"' if "," in str(entry) else str(entry) for entry in value)


def train(
    context: typer.Context,
    table: Table,
    target: Annotated[str, Option(help="The column to predict.")],
    output: Annotated[Path | None, Option("--output", "-o", metavar="MODEL", help=OUTPUT)] = None,
    task: Annotated[
        Literal["classification", "regression"] | None, Option(help="The task; by default guessed from the target.")
    ] = None,
    weight: Annotated[
        str | None, Option(help="The column of the rows' weights, which is not used as an input.")
    ] = None,
    classes: Annotated[
        str | None, Option(help="Classes of the target, such as NA, that else mean a missing value.")
    ] = None,
    columns: Annotated[
        Path | None, Columns(metavar="FILE.toml", help='A section \\[columns] with lines such as zip = "code".')
    ] = None,
    numbers: Annotated[str | None, Columns(help="Columns of numbers: a,b.")] = None,
    categories: Annotated[str | None, Columns(help="Columns of categories.")] = None,
    codes: Annotated[str | None, Columns(help="Columns of digits that name.")] = None,
    dates: Annotated[str | None, Columns(help="Columns of dates.")] = None,
    text: Annotated[str | None, Columns(help="Columns of free text.")] = None,
    ignore: Annotated[str | None, Columns(help="Columns that are not used as inputs.")] = None,
    decimal: Annotated[str | None, Columns(help="The decimal sign, . or a comma, of numbers.")] = None,
    date_format: Annotated[
        str | None, Columns(help='"day first", "month first", "excel", or such as %d.%m.%Y.')
    ] = None,
    test_size: Annotated[
        float | None, Test(help="Share of the rows, or their number, that is the test: 0.2 by default, 0 for none.")
    ] = None,
    test: Annotated[Path | None, Test(help="A file of test rows.")] = None,
    group: Annotated[
        str | None, Test(help="A column: rows of one value stay together, and it is not used as an input.")
    ] = None,
    time: Annotated[str | None, Test(help="A column of times: the latest rows are the test.")] = None,
    cv: Annotated[
        int | None, Test(min=2, metavar="K", help="No test: each of K folds is predicted by a model of the others.")
    ] = None,
    refit: Annotated[bool, Test("--refit", help="Train anew on all rows, the test's too, once measured.")] = False,
    class_weight: Annotated[
        Literal["balanced"] | None, Learning(help="Let rare classes weigh as much as others.")
    ] = None,
    threshold: Annotated[
        str | None, Learning(help="When the positive class is predicted: above 0.3, or f1, recall:0.9, cost:5,1.")
    ] = None,
    positive: Annotated[str | None, Learning(metavar="CLASS", help=POSITIVE)] = None,
    loss: Annotated[Literal["squared_error", "quantile"] | None, Learning(help=LOSS)] = None,
    quantile: Annotated[str | None, Learning(help="The level of --loss quantile; or three, of intervals too.")] = None,
    hidden_layer_sizes: Annotated[str | None, Learning(help="Widths of the hidden layers, such as 64,64.")] = None,
    activation: Annotated[str | None, Learning(help="relu, silu, tanh, …")] = None,
    dropout: Annotated[float | None, Learning(help="Share of outputs dropped.")] = None,
    weight_decay: Annotated[float | None, Learning(help="Decay of AdamW.")] = None,
    label_smoothing: Annotated[float | None, Learning(help="Part of a target that all classes share.")] = None,
    learning_rate_init: Annotated[float | None, Learning(help="Learning rate at the start.")] = None,
    batch_size: Annotated[int | None, Learning(min=1, help="Rows in a batch.")] = None,
    max_iter: Annotated[int | None, Learning(min=1, help="Epochs at most.")] = None,
    n_iter_no_change: Annotated[int | None, Learning(min=1, help="Epochs without progress that end training.")] = None,
    n_estimators: Annotated[int | None, Learning(min=2, metavar="N", help="Networks that are averaged.")] = None,
    time_limit: Annotated[float | None, Learning(metavar="SECONDS", help=TIME_LIMIT)] = None,
    stages: Annotated[
        int | None, Learning(min=1, metavar="K", help="Number of stages of training, instead of --time-limit.")
    ] = None,
    seed: Annotated[int, Running(min=0, max=2**32 - 1, help="Fixes test part and training.")] = 0,
    threads: Annotated[int | None, Running(min=1, help="Threads at most; all processors by default.")] = None,
    workers: Annotated[str | None, Running(metavar="WHERE", help=WORKERS)] = None,
    memory: Annotated[str | None, Running(metavar="SIZE", help=MEMORY)] = None,
    report: Annotated[Path | None, Running(metavar="FILE.html", help="Write a page about the model.")] = None,
    checkpoint: Annotated[Path | None, Running(metavar="FOLDER", help=CHECKPOINT)] = None,
    config: Annotated[Path | None, Running(callback=read_configuration, is_eager=True, help=CONFIG)] = None,
    replace_interrupted: Annotated[bool, Running("--replace-interrupted", help=REPLACE)] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Train a model on a table, and measure it on rows that it has not seen.

    All options of the run are written beside the model, as TOML for --config.

    Example: vecprop train titanic.csv --target survived

    Example: vecprop train prices.parquet --target price --time sold --report prices.html

    Example: vecprop train prices.parquet --target price --loss quantile --quantile 0.05,0.5,0.95

    Example: vecprop train churn.csv --target left --class-weight balanced --threshold recall:0.9 --refit

    Example: vecprop train ventes.csv --target prix --decimal , --codes postal --date-format "day first"

    Example: vecprop train visits.csv.gz --target outcome --group patient --time-limit 300 -o visits.npz
    """
    options = {name: value for name, value in locals().items() if name != "context"}
    from ..training.config import requested
    from ..training.job import TrainingJob

    sources = {name: context.get_parameter_source(name) for name in ("time_limit", "stages")}
    of_file = [name for name, source in sources.items() if getattr(source, "name", "") == "DEFAULT_MAP"]
    TrainingJob(*requested(options, of_file)).run()

"""``vecprop train``: a table in, a model out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import Debug, Force, Json, Quiet, Table, read_configuration

TEST_PART, LEARNING, RUNNING = "Test part", "Settings of the estimator", "Running"
COLUMNS = "What columns mean"


def train(
    context: typer.Context,
    table: Table,
    target: Annotated[str, typer.Option(help="The column to predict.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="MODEL", help="The model file; by default TABLE's name with .npz."),
    ] = None,
    task: Annotated[
        Literal["classification", "regression"] | None,
        typer.Option(help="The task; by default guessed from the target."),
    ] = None,
    weight: Annotated[
        str | None, typer.Option(help="The column of the rows' weights, which is not used as an input.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Classes of the target, such as NA, that else mean a missing value.")
    ] = None,
    columns: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", help='A section \\[columns] with lines such as zip = "code".', rich_help_panel=COLUMNS
        ),
    ] = None,
    numbers: Annotated[str | None, typer.Option(help="Columns of numbers: a,b.", rich_help_panel=COLUMNS)] = None,
    categories: Annotated[str | None, typer.Option(help="Columns of categories.", rich_help_panel=COLUMNS)] = None,
    codes: Annotated[str | None, typer.Option(help="Columns of digits that name.", rich_help_panel=COLUMNS)] = None,
    dates: Annotated[str | None, typer.Option(help="Columns of dates.", rich_help_panel=COLUMNS)] = None,
    text: Annotated[str | None, typer.Option(help="Columns of free text.", rich_help_panel=COLUMNS)] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Columns that are not used as inputs.", rich_help_panel=COLUMNS)
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="The decimal sign, . or a comma, of numbers.", rich_help_panel=COLUMNS)
    ] = None,
    date_format: Annotated[
        str | None,
        typer.Option(help='"day first", "month first", "excel", or such as %d.%m.%Y.', rich_help_panel=COLUMNS),
    ] = None,
    test_size: Annotated[
        float | None,
        typer.Option(
            help="Share of the rows, or their number, that is the test: 0.2 by default, 0 for none.",
            rich_help_panel=TEST_PART,
        ),
    ] = None,
    test: Annotated[Path | None, typer.Option(help="A file of test rows.", rich_help_panel=TEST_PART)] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="A column: rows of one value stay together, and it is not used as an input.", rich_help_panel=TEST_PART
        ),
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="A column of times: the latest rows are the test.", rich_help_panel=TEST_PART)
    ] = None,
    cv: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="K",
            help="No test: each of K folds is predicted by a model of the others.",
            rich_help_panel=TEST_PART,
        ),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="Train anew on all rows, the test's too, once measured.", rich_help_panel=TEST_PART
        ),
    ] = False,
    class_weight: Annotated[
        Literal["balanced"] | None,
        typer.Option(help="Let rare classes weigh as much as others.", rich_help_panel=LEARNING),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            help="When the positive class is predicted: above 0.3, or f1, recall:0.9, cost:5,1.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The positive class of two; by default 1, True or yes, else the class with fewer rows.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    loss: Annotated[
        Literal["squared_error", "quantile"] | None,
        typer.Option(help="The loss of numbers: to predict a mean, or quantiles.", rich_help_panel=LEARNING),
    ] = None,
    quantile: Annotated[
        str | None,
        typer.Option(help="The level of --loss quantile; or three, of intervals too.", rich_help_panel=LEARNING),
    ] = None,
    hidden_layer_sizes: Annotated[
        str | None, typer.Option(help="Widths of the hidden layers, such as 64,64.", rich_help_panel=LEARNING)
    ] = None,
    activation: Annotated[str | None, typer.Option(help="relu, silu, tanh, …", rich_help_panel=LEARNING)] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of outputs dropped.", rich_help_panel=LEARNING)] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Decay of AdamW.", rich_help_panel=LEARNING)] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Part of a target that all classes share.", rich_help_panel=LEARNING)
    ] = None,
    learning_rate_init: Annotated[
        float | None, typer.Option(help="Learning rate at the start.", rich_help_panel=LEARNING)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows in a batch.", rich_help_panel=LEARNING)] = None,
    max_iter: Annotated[int | None, typer.Option(min=1, help="Epochs at most.", rich_help_panel=LEARNING)] = None,
    n_iter_no_change: Annotated[
        int | None, typer.Option(min=1, help="Epochs without progress that end training.", rich_help_panel=LEARNING)
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Networks that are averaged.", rich_help_panel=LEARNING)
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Seconds for training: more networks, with other settings, where they help.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    stages: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="K", help="That many stages of training, as --budget counts them.", rich_help_panel=LEARNING
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Fixes test part and training.", rich_help_panel=RUNNING)
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads at most; all processors by default.", rich_help_panel=RUNNING)
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Train on a Dask cluster, tcp://HOST:8786, or in processes, local:4, with the same bits.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory that the program may take, such as 4GB: of a larger table a block is read at a time.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page about the model.", rich_help_panel=RUNNING)
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep what is trained there: the same command goes on if it was killed.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            callback=read_configuration,
            is_eager=True,
            help="Options from a TOML file; those given here win.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    replace_interrupted: Annotated[
        bool,
        typer.Option(
            "--replace-interrupted",
            help="With --force, let Ctrl-C replace an older model too, instead of saving beside it.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
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

    Example: vecprop train visits.csv.gz --target outcome --group patient --budget 300 -o visits.npz
    """
    options = {name: value for name, value in locals().items() if name != "context"}
    from ..training.config import TrainConfig
    from ..training.job import TrainingJob

    of_file = [
        name
        for name in ("budget", "stages")
        if getattr(context.get_parameter_source(name), "name", "") == "DEFAULT_MAP"
    ]
    TrainingJob(TrainConfig.from_options(options, of_file)).run()

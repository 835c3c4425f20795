"""``vecprop train``: a table in, a model out."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ...tables.reading.file_lists import STANDARD_INPUT, existing
from ...terminal.errors import INTERRUPTED, UsageError
from ...terminal.output import say, say_notes, show, to_json
from ...terminal.output_files import FOREIGN, RunFiles, beside, named_after, require_ending, writable
from ..training.column_options import several_names
from .configuration import PASSING, configuration, read_configuration
from .shared_options import Debug, Force, Json, Quiet

TEST_PART, LEARNING, RUNNING = "Test part", "Settings of the estimator", "Running"
COLUMNS = "What columns mean"


def train(
    context: typer.Context,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", help="A CSV, Parquet, Arrow or Excel file, or a folder of such; - reads standard input."
        ),
    ],
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
    search: Annotated[bool | None, typer.Option("--search", hidden=True)] = None,
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
    if search:
        raise UsageError("--search is now --budget alone: give --budget 60 for a minute of training.")
    of_file = [
        name
        for name in ("budget", "stages")
        if getattr(context.get_parameter_source(name), "name", "") == "DEFAULT_MAP"
    ]
    if search is False and "budget" in of_file:
        context.params["budget"] = None  # options of a run of an earlier version, whose budget was for a search
    if budget is not None and stages is not None and len(of_file) == 1:
        context.params[of_file[0]] = None  # every run writes its stages: what is given beside its file wins
    if test_size is not None and not (0 <= test_size < 1 or (test_size > 0 and test_size % 1 == 0)):
        raise UsageError(
            f"--test-size is {test_size:g}, but must be a share of the rows, at least 0 and less than 1, or a whole "
            "number of rows."
        )
    if target in several_names(ignore):
        raise UsageError(f"--ignore names {target!r}, which is the target: leave it out.")
    if group is not None and time is not None:
        raise UsageError("Rows are kept together by --group or divided by --time: give one of the two.")
    if cv is not None and (test is not None or test_size):
        raise UsageError("With --cv all rows are measured on: leave out --test and --test-size.")
    if refit and test is None and (cv is not None or test_size == 0):
        raise UsageError("--refit trains on the rows of the test too, but there is no test: leave it out.")
    if report is not None:
        require_ending(report, "--report", ".html", ".htm")
    output = writable(output or named_after(existing(table)), True, table, test)
    if output.suffix.lower() in FOREIGN:
        require_ending(output, "-o", ".npz")
    files = RunFiles(output, beside(output, ".toml"), report)
    kept = (
        None if checkpoint is None else _kept(context, checkpoint, {"table": table, "test": test, "columns": columns})
    )
    again = force or (kept is not None and kept.was_writing(files))
    for path in files[:2]:
        writable(path, again, table, test)
    if report in files[:2]:
        raise UsageError(f"{report} is written twice: give another name with --report.")
    if report is not None:
        writable(report, again, table, test, option="--report")
    if kept is not None:
        kept.begin()

    from functools import partial

    from ... import save
    from ...files.atomic import written_at_once
    from ...terminal.errors import held_back_interrupts
    from ...train.progress import progress_bar
    from ..training.cluster import workers_of
    from ..training.column_options import OPTIONS, asked_of, given
    from ..training.dividing import Request, Split
    from ..training.fitting import checked_memory, fitting, found, settings_of, was_interrupted
    from ..training.outcome import as_text, as_values, described
    from ..training.train_on_table import Trained, train_on_table

    asked = asked_of(context.params)
    settings = settings_of(context.params) | given(asked)
    settings["workers"] = context.with_resource(workers_of(workers, threads))
    settings |= {} if kept is None else {"checkpoint": kept.checkpoint}
    share = 0.0 if cv is not None else 0.2 if test_size is None else test_size
    split = Split(share, group, time, seed, asked)
    request = Request(
        table, target, split, test, task, weight, settings, several_names(classes), cv, checked_memory(memory)
    )
    trained = train_on_table(request, fitting(quiet), partial(progress_bar, quiet=quiet))
    was_cut = was_interrupted(trained.model)

    def keep(trained: Trained, files: RunFiles, metrics: dict[str, float]) -> None:
        save(trained.final, files.model, columns=trained.types, metrics=metrics)
        changed = {"search": None, "output": files.model, "task": trained.parts.task, **found(trained.model)}
        changed |= dict.fromkeys(OPTIONS) | {"columns": asked.columns, "checkpoint": None}
        if trained.parts.stream is not None:
            changed["memory"] = str(trained.parts.stream.memory)
        with written_at_once(files.options) as file:
            file.write(configuration(context, changed).encode())

    def report_on(trained: Trained, result: dict[str, Any], files: RunFiles, interrupts: list[int]) -> None:
        """Name the files in a result, and write the page if one is asked for."""
        result |= {"model": str(files.model), "config": str(files.options)}
        result["command"] = shlex.join(["vecprop", "train", "--config", str(files.options), "--force"])
        if files.page is not None:
            from ..pages.report import write_report

            write_report(trained, result, files.page, interrupts)
            result["report"] = str(files.page)

    def require_time() -> None:
        """Leave the rest of an interrupted run that is kept to the next time."""
        if kept is not None:
            say(f"Interrupted: {checkpoint} keeps what was trained, and the same command goes on from there.")
            raise typer.Exit(INTERRUPTED)

    def if_cut() -> RunFiles:
        return files if replace_interrupted else files.beside_older()

    if was_cut:
        require_time()
    try:
        trained.measure()
    except BaseException as error:  # which must not lose the model
        if isinstance(error, KeyboardInterrupt):
            require_time()
        with held_back_interrupts() as interrupts:
            files = if_cut()
            keep(trained, files, {})
            why = "Interrupted while measuring" if isinstance(error, KeyboardInterrupt) else "Measuring failed"
            say(f"{why}: what was trained is saved in {files.model}, without metrics.")
            if not isinstance(error, KeyboardInterrupt):
                raise
            report_on(trained.unmeasured(), described(trained), files, interrupts)
        raise typer.Exit(INTERRUPTED) from None
    if refit and not was_cut:
        try:
            trained = trained.anew()
        except KeyboardInterrupt:
            require_time()
            was_cut = True
            say("Interrupted while training anew: the model is the one that was measured.")
        except Exception:
            files = if_cut()
            keep(trained, files, trained.metrics)
            say(f"Training anew failed: the model that was measured is saved in {files.model}.")
            raise
    files = if_cut() if was_cut else files
    with held_back_interrupts() as interrupts:
        if kept is not None:
            kept.is_writing(files)
        keep(trained, files, trained.metrics)
        result = as_values(trained)
        try:
            report_on(trained, result, files, interrupts)
            if kept is not None:
                kept.remove()
        finally:  # without the page too
            if not quiet:
                say_notes(trained.notes)
            show(to_json(result) if as_json else as_text(trained, result))
    if was_cut or interrupts:
        say(f"Interrupted: what was trained is saved in {files.model}.")
        raise typer.Exit(INTERRUPTED)


def _kept(context: typer.Context, folder: Path, files: dict[str, Path | None]) -> Any:
    """Return the folder that keeps this run."""
    from ...files.checkpoint.store import held
    from ..training.run_folder import PASSING as STILL_THE_SAME
    from ..training.run_folder import RunFolder

    for name, file in files.items():
        if (file is not None and file.exists() and not (file.is_file() or file.is_dir())) or file == STANDARD_INPUT:
            raise UsageError(f"The {name} is a stream, which is gone when the command is run again: give a file.")
    changes = {name: value for name, value in context.params.items() if name not in PASSING | STILL_THE_SAME}
    paths = {name: existing(file) if file else None for name, file in files.items()}
    try:
        context.with_resource(held(folder, is_folder=True))
    except ValueError as error:  # of another program that uses it
        raise UsageError(str(error)) from error
    return RunFolder(folder, paths, changes)

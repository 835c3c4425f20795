"""A run of ``vecprop train``: train, evaluate, refit, save and report."""

import shlex
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import typer

from ... import Checkpoint, save
from ...tables.error import Note, kind_of_note, ranked
from ...tables.evaluation.judgement import judgements
from ...tables.evaluation.measured import Measured
from ...tables.evaluation.measuring import (
    Parts,
    cross_validated,
    measured_unseen,
    with_duplicates,
)
from ...tables.evaluation.report import Run, page_of
from ...tables.evaluation.targets import positive_class
from ...tables.objectives import levels_of
from ...tables.reading.file_lists import file_and_line
from ...terminal.messages import (
    INTERRUPTED,
    UsageError,
    held_back_interrupts,
    say,
    say_notes,
    show,
    to_json,
)
from ...terminal.output_files import RunFiles, writable, write_text
from ...train.progress import progress_bar
from .cluster import workers_of
from .config import OPTIONS, SETTINGS, estimator_of, toml
from .run_folder import RunFolder
from .splitting import Request, how_chosen, require_folds, split_table


class TrainingJob:
    """A run of ``vecprop train``, with its options and results."""

    parts: Parts
    model: Any
    final: Any
    """The model to save: the evaluated model or, with ``--refit``, the refitted one."""

    def __init__(self, options: dict, request: Request, files: RunFiles):
        """Prepare a run without results."""
        self.options = options
        self.request = request
        self.files = files
        self.bar = partial(progress_bar, quiet=options["quiet"])
        self.run_folder = None
        self.measured = None
        self.was_cut = False
        self.seconds = {}

    def run(self):
        """Train and evaluate a model; save it with its options and its report.

        The model is saved even if Ctrl-C or an error occurs after training. After
        Ctrl-C, an existing model is kept, and the new one is saved next to it; with a
        checkpoint folder, the command can be resumed instead.
        """
        with ExitStack() as stack:
            self._begin(stack)
            workers = None
            if self.options["workers"] is not None:
                workers = stack.enter_context(
                    workers_of(self.options["workers"], self.options["threads"])
                )
            self.train(workers)
            self.was_cut = self.model._is_interrupted
            if self.was_cut:
                self.leave()
            try:
                self.measure()
                if self.options["refit"] and not self.was_cut:
                    self.refit()
            except KeyboardInterrupt:
                self.leave()
                self.was_cut = True
                if self.measured is None:
                    self.finish_unmeasured()
                say(
                    "Interrupted during the refit: the evaluated model is saved"
                    " instead."
                )
            except Exception:
                self.was_cut = True
                with held_back_interrupts():
                    self.save()
                if self.measured is None:
                    say(
                        "Evaluation failed: the trained model is saved in"
                        f" {self.saved.model}, without metrics."
                    )
                else:
                    say(
                        "The refit failed: the evaluated model is saved in"
                        f" {self.saved.model} instead."
                    )
                raise
            self.finish()

    def _begin(self, stack: ExitStack):
        """Lock the checkpoint folder, and check that the output files can be written."""
        force = self.options["force"]
        if self.options["checkpoint"] is not None:
            try:  # before reading the table
                stack.enter_context(Checkpoint(self.options["checkpoint"])._held())
            except ValueError as error:  # in use by another program
                raise UsageError(str(error)) from error
            self.run_folder = RunFolder(self.options)
            force = force or self.run_folder.was_writing(self.files)
        *others, page = self.files
        for path in others:
            writable(path, force, self.request.table, self.request.test)
        if page in others:
            raise UsageError(
                f"{page} would be written twice: give another name with --report."
            )
        if page is not None:
            writable(
                page, force, self.request.table, self.request.test, option="--report"
            )
        if self.run_folder is not None:
            self.run_folder.begin()

    def train(self, workers=None):
        """Split the table, and train a model on the training rows."""
        started = time.perf_counter()
        self.parts = self._split()
        checkpoint = None
        if self.run_folder is not None:
            checkpoint = Checkpoint(self.run_folder.networks)
        estimator = self._estimator(workers=workers, checkpoint=checkpoint)
        require_folds(estimator, self.parts, self.request)
        ended_reading = time.perf_counter()
        with self.bar("training") as show_progress:
            model = estimator.set_params(progress=show_progress).fit(
                **self.parts.training
            )
        self.final = self.model = model.set_params(progress=None)
        if self.parts.reading is not None:
            self.model.target_reading_ = self.parts.reading
        self.seconds |= {
            "reading": ended_reading - started,
            "training": time.perf_counter() - ended_reading,
        }

    def _split(self) -> Parts:
        """Return the training and test rows."""
        return split_table(self.request)

    def _estimator(self, **settings):
        """Return the model to train."""
        return estimator_of(self.request, self.parts.task, **settings)

    def measure(self):
        """Evaluate the model and the baselines on unseen rows."""
        started = time.perf_counter()
        measured = self._measured()
        if not self.parts.has_test:
            text = (
                "There was no test: each row was predicted without training on it"
                f" ({measured.how})."
            )
            self.model.notes_.append(Note(text, "no test"))
        self.measured = measured
        self.seconds["measuring"] = time.perf_counter() - started

    def _measured(self) -> Measured:
        """Return the predictions of unseen rows, with computed metrics."""
        request = self.request
        folds = self.parts.folds
        if self.parts.has_test or folds is None or self.was_cut:
            measured = measured_unseen(self.model, self.parts, request.seed)
        else:
            with self.bar("cross-validation") as progress:
                measured = cross_validated(
                    self.model, self.parts, folds, seed=request.seed, progress=progress
                )
        if self.parts.stream is None:
            measured = with_duplicates(measured)
        options = (request.group, request.time, request.test)
        is_random_split = all(option is None for option in options)
        if is_random_split and not self.was_cut:
            further = judgements(
                self.model, self.parts, measured, progress_bar=self.bar
            )
            measured = replace(measured, judgements=further)
        _ = measured.verdict  # computes the verdict, so that its time is counted here
        return measured

    def refit(self):
        """Refit the model on all rows, including the test rows."""
        started = time.perf_counter()
        with self.bar("refitting") as progress:
            self.final = self.model.refit(
                **self.parts.training_of_all, progress=progress
            )
        if self.parts.reading is not None:
            self.final.target_reading_ = self.parts.reading
        self.seconds["refitting"] = time.perf_counter() - started

    @cached_property
    def notes(self) -> list[str]:
        """The notes on the training and test rows."""
        model = self.model
        notes = list(self.parts.notes)
        if self.measured is not None:
            for judgement in self.measured.judgements:
                if not judgement.is_worse:
                    notes.append(judgement.note)
        notes += model.notes_
        if self.final is not model:
            notes.append(self.final.notes_[-1])
        if self.parts.has_test:
            for note in model.detect_drift(self.parts.X_test):
                if note not in self.parts.notes:
                    notes.append(Note(f"In the test: {note}", "trust"))
        return ranked(notes)

    @cached_property
    def saved(self) -> RunFiles:
        """The output files, which are next to an existing model after an interrupt."""
        if self.was_cut and not self.options["replace_interrupted"]:
            return self.files.next_to_existing()
        return self.files

    def save(self):
        """Save the model, and all options of the run as TOML."""
        readings = self.final.encoder_.readings
        types = {name: readings.get(name, "not used") for name in self.parts.X.columns}
        types |= self._types_of_targets()
        metrics = {}
        if self.measured is not None:
            metrics = self._metrics()
        save(self.final, self.saved.model, columns=types, metrics=metrics)
        write_text(self.saved.options, toml(self._reproducing_options()))

    def _types_of_targets(self) -> dict[str, str]:
        """Return how the target is used, by its name."""
        kind = "classes" if self.parts.task == "classification" else "numbers"
        return {self.request.target: kind}

    def _metrics(self) -> dict[str, float]:
        """Return the metrics that the model file contains."""
        assert self.measured is not None
        metrics = self.measured.metrics.items()
        return {name: estimate.value for name, estimate in metrics}

    def _reproducing_options(self) -> dict:
        """Return the options with the model's settings, except those that depend on the number of rows."""
        settings = self.model.get_params()
        # as typed on the command line
        settings["hidden_layer_sizes"] = ",".join(map(str, self.model._widths))
        settings["quantile"] = ",".join(map(str, levels_of(self.model))) or None
        options = dict(self.options)
        for option, setting in SETTINGS.items():
            options[option] = settings.get(setting)
            if options[option] == "auto":
                options[option] = None
        for option in (*OPTIONS, "checkpoint"):
            options[option] = None
        # the kinds of columns, in place of the options in OPTIONS
        options["columns"] = self.request.asked.columns
        options["output"] = self.saved.model
        options["task"] = self.parts.task
        if self.request.folds is None:
            options["test_size"] = self.request.size
        if self.parts.stream is not None:
            options["memory"] = str(self.parts.stream.memory)
        return options

    def report(self, measured: Measured, result: dict, interrupts: list[int]):
        """Write the report if requested, and add it to the result."""
        page = self.saved.page
        if page is not None:
            write_text(page, self._page(measured, result, interrupts))
            result["report"] = str(page)

    def _page(self, measured: Measured, result: dict, interrupts: list[int]) -> str:
        """Return the report as HTML."""
        # the page already explains that there was no test
        notes = [note for note in self.notes if kind_of_note(note) != "no test"]
        measured = replace(measured, notes=notes)
        return page_of(measured, self._run(measured, result), interrupts)

    def _text(self, result: dict) -> str:
        """Return the results as text."""
        assert self.measured is not None
        return as_text(result, self.measured, self.request.table)

    def _run(self, measured: Measured, result: dict) -> Run:
        """Describe the run on its report page."""
        request = self.request
        files = {"data": request.table}
        if request.test is not None:
            files["test"] = request.test
        files["model"] = self.saved.model.absolute()
        explain = ""
        if measured.worst_rows:
            file = request.test or request.table
            kind_of_row, _, row = measured.worst_rows[0].row.partition(" ")
            if kind_of_row == "line":
                file, row = file_and_line(file, row)
            explain = shlex.join(
                ["vecprop", "explain", result["model"], str(file), "--row", row]
            )
        refit_note = ""
        if "refit" in result:
            refit_note = (
                f"The saved model was refitted on all {result['refit']['rows']:,} rows,"
                " including the test rows. This page describes the first model,"
                f" trained on {result['rows']['train']:,} rows."
            )
        return Run(
            title=f"{request.target}, predicted from {request.table.name}",
            chosen=how_chosen(request, self.parts, measured),
            refit=refit_note,
            seconds=result["seconds"]["training"],
            explain=explain,
            files=files,
            command=result["command"],
            settings=self.saved.options.read_text(encoding="utf-8"),
            is_measured=self.measured is not None,
        )

    def result(self) -> dict:
        """Return the results as JSON values."""
        parts = self.parts
        model = self.final
        measured = self.measured
        options = str(self.saved.options)
        result = {
            "task": parts.task,
            "target": self.request.target,
            "rows": {"train": parts.rows, "test": len(parts.y_test)},
            "columns": {
                "used": dict(model.encoder_.kinds),
                "dropped": dict(model.encoder_.dropped),
            },
            "networks": sum(map(len, model._ensembles)),
            "parameters": sum(ensemble.theta.size for ensemble in model._ensembles),
            "seconds": {
                step: round(seconds, 3) for step, seconds in self.seconds.items()
            },
            "notes": self.notes,
        }
        if parts.task == "classification" and not self.request.targets:
            result["classes"] = model.classes_.tolist()
        positive = positive_class(model)
        if positive is not None:
            result |= {
                "positive": positive,
                "threshold": getattr(model, "threshold_", 0.5),
            }
        if model is not self.model:
            result["refit"] = {
                "rows": parts.rows + len(parts.y_test),
                "epochs": model.n_iter_,
            }
        if measured is not None:
            result |= {
                "measured": {"how": measured.how, "rows": len(measured.truth)},
                "summary": measured.summary,
                "scores": measured.scores,
                "verdict": measured.verdict,
            }
            if measured.folds:
                result["folds"] = measured.metrics_of_folds
            result["judgements"] = []
            for judgement in measured.judgements:
                result["judgements"].append(
                    {
                        "rows": judgement.relation.rows,
                        "column": judgement.relation.column,
                        "is_worse": judgement.is_worse,
                        "scores": judgement.measured.scores,
                        "verdict": judgement.measured.verdict,
                    }
                )
        command = shlex.join(["vecprop", "train", "--config", options, "--force"])
        return result | {
            "model": str(self.saved.model),
            "config": options,
            "command": command,
        }

    def leave(self):
        """Exit from an interrupted run if its checkpoint folder allows resuming."""
        if self.run_folder is not None:
            say(
                f"Interrupted: progress is saved in {self.run_folder.path}; run the"
                " same command again to resume."
            )
            raise typer.Exit(INTERRUPTED)

    def finish_unmeasured(self):
        """Save the trained model without metrics, and exit."""
        with held_back_interrupts() as interrupts:
            self.save()
            say(
                "Interrupted during evaluation: the trained model is saved in"
                f" {self.saved.model}, without metrics."
            )
            measured = measured_unseen(
                self.model, self.parts, self.request.seed, baselines=False
            )
            self.report(measured, self.result(), interrupts)
        raise typer.Exit(INTERRUPTED)

    def finish(self):
        """Save the model, and print the results."""
        assert self.measured is not None
        with held_back_interrupts() as interrupts:
            if self.run_folder is not None:
                self.run_folder.is_writing(self.saved)
            self.save()
            result = self.result()
            try:
                self.report(self.measured, result, interrupts)
                if self.run_folder is not None and not interrupts:
                    self.run_folder.remove()
                    self.run_folder = None
            finally:  # even if the report fails
                if not self.options["quiet"]:
                    say_notes(self.notes)
                if self.options["as_json"]:
                    show(to_json(result))
                else:
                    show(self._text(result))
        if interrupts:
            self.leave()
        if self.was_cut or interrupts:
            say(f"Interrupted: the trained model is saved in {self.saved.model}.")
            raise typer.Exit(INTERRUPTED)


def as_text(result: dict, measured: Measured, table: Path) -> str:
    """Return the results of a run as text."""
    rows = result["rows"]
    dropped = result["columns"]["dropped"]
    levels = levels_of(measured.model)
    predicted = "numbers"
    if measured.is_classifier:
        predicted = f"{len(result['classes'])} classes"
    elif len(levels) == 1:
        predicted = f"quantile {levels[0]}"
    elif levels:
        predicted = f"quantiles {', '.join(map(str, levels))}"
    scored = f"{rows['test'] or 'none'} to test"
    if measured.how == "cross-validation":
        scored = f"scored by cross-validation with {len(measured.folds)} folds"
    columns = f"columns   {len(result['columns']['used'])} used as inputs"
    if dropped:
        reasons = ", ".join(
            f"{name} ({reason})" for name, reason in list(dropped.items())[:5]
        )
        columns += f", {len(dropped)} dropped: {reasons}"
    lines = [
        measured.summary,
        "",
        f"{result['task']} of {result['target']!r} ({predicted}) in {table}",
        f"rows      {rows['train']} to train, {scored}",
        columns,
        f"networks  {result['networks']}, with {result['parameters']:,} parameters",
    ]
    if "positive" in result:
        lines.append(
            f"positive  {result['positive']!r}, threshold {result['threshold']:.4g}"
        )
    if "refit" in result:
        lines.append(
            f"refit     on all {result['refit']['rows']} rows, for"
            f" {result['refit']['epochs']} epochs; the scores are for the first model,"
            f" trained on {rows['train']} rows"
        )
    where = {
        "test": "on the test set",
        "out of fold": "out of fold, without a test set",
    }
    seconds = result["seconds"]
    lines += [
        "",
        measured._text(where.get(measured.how, "in cross-validation")),
        "",
        (
            f"time      {sum(seconds.values()):.1f} s (training"
            f" {seconds['training']:.1f} s)"
        ),
        f"model     {result['model']}, reproduced by: {result['command']}",
    ]
    if "report" in result:
        lines.append(f"report    {result['report']}")
    return "\n".join(lines)

"""A run of ``vecprop train``: train, measure, train anew, save and report, whatever ends it early."""

import shlex
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import typer

from ... import Checkpoint, save
from ...tables.evaluation.measured import Measured
from ...tables.evaluation.measuring import Parts, cross_validated, measured_unseen
from ...tables.evaluation.report import Run, page_of
from ...tables.evaluation.targets import levels_of, positive_class
from ...tables.explaining.column_notes import ranked
from ...tables.reading.file_lists import file_and_line
from ...tables.table_model import CUT_SHORT, WITHOUT_TEST
from ...terminal.messages import INTERRUPTED, UsageError, held_back_interrupts, say, say_notes, show, to_json
from ...terminal.output_files import RunFiles, writable, write_text
from ...train.progress import progress_bar
from .cluster import workers_of
from .config import OPTIONS, SETTINGS, estimator_of, toml
from .dividing import Request, divided, how_chosen
from .run_folder import RunFolder


class TrainingJob:
    """A run of ``vecprop train`` with these options, with what it has come to."""

    parts: Parts
    model: Any
    final: Any
    """The model to keep: the one that is measured, or the one that was trained anew."""

    def __init__(self, options: dict[str, Any], request: Request, files: RunFiles) -> None:
        self.options, self.request, self.files = options, request, files
        self.bar = partial(progress_bar, quiet=options["quiet"])
        self.kept: RunFolder | None = None
        self.measured: Measured | None = None
        self.was_cut = False
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        """Train a model, measure it, and write it with its options and its page.

        Ctrl-C and errors after training lose no model. After Ctrl-C an older model stays, and the new one is saved
        beside it; a run that is kept in a folder is left to the next time.
        """
        with ExitStack() as stack:
            self._begin(stack)
            where, workers = self.options["workers"], None
            if where is not None:
                workers = stack.enter_context(workers_of(where, self.options["threads"]))
            self.train(workers)
            self.was_cut = CUT_SHORT in self.model.notes_
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
                say("Interrupted while training anew: the model is the one that was measured.")
            except Exception:
                self.was_cut = True
                with held_back_interrupts():
                    self.save()
                if self.measured is None:
                    say(f"Measuring failed: what was trained is saved in {self.saved.model}, without metrics.")
                else:
                    say(f"Training anew failed: the model that was measured is saved in {self.saved.model}.")
                raise
            self.finish()

    def _begin(self, stack: ExitStack) -> None:
        """Take the folder that keeps the run, if any; refuse files that may not be written, or that are read."""
        folder, force = self.options["checkpoint"], self.options["force"]
        if folder is not None:
            try:  # before the table is read, of which a run is known
                stack.enter_context(Checkpoint(folder).held())
            except ValueError as error:  # of another program that uses it
                raise UsageError(str(error)) from error
            self.kept = RunFolder(self.options)
            force = force or self.kept.was_writing(self.files)
        *others, page = self.files
        for path in others:
            writable(path, force, self.request.table, self.request.test)
        if page in others:
            raise UsageError(f"{page} is written twice: give another name with --report.")
        if page is not None:
            writable(page, force, self.request.table, self.request.test, option="--report")
        if self.kept is not None:
            self.kept.begin()

    def train(self, workers: Any = None) -> None:
        """Divide the table, and train a model on its rows of training."""
        started = time.perf_counter()
        self.parts = divided(self.request)
        checkpoint = None if self.kept is None else Checkpoint(self.kept.networks)
        estimator = estimator_of(self.request, self.parts.task, workers=workers, checkpoint=checkpoint)
        read = time.perf_counter()
        with self.bar("training") as show_progress:
            model = estimator.set_params(progress=show_progress).fit(**self.parts.training)
        self.final = self.model = model.set_params(progress=None)
        if self.parts.reading is not None:
            self.model.target_reading_ = self.parts.reading
        self.seconds |= {"reading": read - started, "training": time.perf_counter() - read}

    def measure(self) -> None:
        """Measure the model and the baselines on rows that they have not seen."""
        began, seed, folds = time.perf_counter(), self.request.seed, self.request.folds
        if self.parts.has_test or folds is None:
            measured = measured_unseen(self.model, self.parts, seed)
        else:
            with self.bar("cross-validation") as progress:
                measured = cross_validated(self.model, self.parts, folds, seed, progress)
        _ = measured.scores
        if not self.parts.has_test:
            self.model.notes_.append(f"{WITHOUT_TEST}: the metrics are of rows of training ({measured.how}).")
        self.measured = measured
        self.seconds["measuring"] = time.perf_counter() - began

    def refit(self) -> None:
        """Train a model anew on all rows, the test's too."""
        began = time.perf_counter()
        with self.bar("training anew") as progress:
            self.final = self.model.refit(**self.parts.training_of_all, progress=progress)
        if self.parts.reading is not None:
            self.final.target_reading_ = self.parts.reading
        self.seconds["training anew"] = time.perf_counter() - began

    @cached_property
    def notes(self) -> list[str]:
        """The notes on the table, in training and in the test."""
        model, of_rows = self.model, self.parts.notes
        unlike = model.detect_drift(self.parts.X_test) if self.parts.has_test else []
        in_test = [f"In the test: {note}" for note in unlike if note not in of_rows]
        anew = [] if self.final is model else [self.final.notes_[-1]]
        return ranked([*of_rows, *model.notes_, *anew, *in_test])

    @cached_property
    def saved(self) -> RunFiles:
        """The files to write: beside an older model, if the run was cut short."""
        is_beside = self.was_cut and not self.options["replace_interrupted"]
        return self.files.beside_older() if is_beside else self.files

    def save(self) -> None:
        """Write the model, and all options of the run, as TOML."""
        parts, readings = self.parts, self.final.encoder_.readings
        types = {name: readings.get(name, "not used") for name in parts.X.columns}
        types |= {self.request.target: "classes" if parts.task == "classification" else "numbers"}
        metrics = {} if self.measured is None else self.measured.metrics
        save(self.final, self.saved.model, columns=types, metrics={name: of.value for name, of in metrics.items()})
        # The options for the model's settings, without those that it chooses by the number of rows or by time.
        settings = self.model.get_params() | {"stages": self.model.stages_, "time_limit": None}
        settings["hidden_layer_sizes"] = ",".join(map(str, self.model.widths))
        settings["quantile"] = ",".join(map(str, levels_of(self.model))) or None
        chosen = {name: settings.get(setting) for name, setting in SETTINGS.items()}
        changed = {name: None if value == "auto" else value for name, value in chosen.items()}
        changed |= {"output": self.saved.model, "task": parts.task, "checkpoint": None}
        changed |= dict.fromkeys(OPTIONS) | {"columns": self.request.asked.columns}
        if parts.stream is not None:
            changed["memory"] = str(parts.stream.memory)
        write_text(self.saved.options, toml(self.options | changed))

    def report(self, measured: Measured, result: dict[str, Any], interrupts: list[int]) -> None:
        """Write the page if one is asked for, and name it in the result."""
        page = self.saved.page
        if page is not None:
            notes = [note for note in self.notes if not note.startswith(WITHOUT_TEST)]  # the page says how it measures
            write_text(page, page_of(replace(measured, notes=notes), self._run(measured, result), interrupts))
            result["report"] = str(page)

    def _run(self, measured: Measured, result: dict[str, Any]) -> Run:
        request, refit = self.request, result.get("refit")
        named_files = {"data": request.table} | ({} if request.test is None else {"test": request.test})
        anew, explain, file = "", "", request.test or request.table
        if measured.worst_rows:
            kind_of_row, _, first = measured.worst_rows[0].row.partition(" ")
            if kind_of_row == "line":
                file, first = file_and_line(file, first)
            explain = shlex.join(["vecprop", "explain", result["model"], str(file), "--row", first])
        if refit is not None:
            anew = f"The model's file holds one that was trained anew on all {refit['rows']:,} rows, the test's too. "
            anew += f"The page is about the first model, which was trained on {result['rows']['train']:,} rows."
        title = f"{request.target}, predicted from {request.table.name}"
        chosen = how_chosen(request, self.parts, measured)
        files, seconds = named_files | {"model": self.saved.model.absolute()}, result["seconds"]["training"]
        settings, is_measured = self.saved.options.read_text(encoding="utf-8"), self.measured is not None
        return Run(title, chosen, anew, seconds, explain, files, result["command"], settings, is_measured)

    def result(self) -> dict[str, Any]:
        """Return the outcome as values for JSON."""
        parts, model, measured, options = self.parts, self.final, self.measured, str(self.saved.options)
        result = {
            "task": parts.task,
            "target": self.request.target,
            "rows": {"train": parts.rows, "test": len(parts.y_test)},
            "columns": {"used": dict(model.encoder_.kinds), "dropped": dict(model.encoder_.dropped)},
            "stages": model.stages_,
            "networks": sum(map(len, model.ensembles)),
            "parameters": sum(ensemble.theta.size for ensemble in model.ensembles),
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
            "notes": self.notes,
        }
        if parts.task == "classification":
            result["classes"] = model.classes_.tolist()
        if (positive := positive_class(model)) is not None:
            result |= {"positive": positive, "threshold": getattr(model, "threshold_", 0.5)}
        if model is not self.model:
            result["refit"] = {"rows": parts.rows + len(parts.y_test), "epochs": model.n_iter_}
        if measured is not None:
            result["measured"] = {"how": measured.how, "rows": len(measured.truth)}
            result |= {"scores": measured.scores, "verdict": measured.verdict}
            result |= {"folds": measured.metrics_of_folds} if measured.folds else {}
        command = shlex.join(["vecprop", "train", "--config", options, "--force"])
        return result | {"model": str(self.saved.model), "config": options, "command": command}

    def leave(self) -> None:
        """Leave the rest of an interrupted run that is kept to the next time."""
        if self.kept is not None:
            say(f"Interrupted: {self.kept.path} keeps what was trained, and the same command goes on from there.")
            raise typer.Exit(INTERRUPTED)

    def finish_unmeasured(self) -> None:
        """Save what was trained, without metrics, and end."""
        with held_back_interrupts() as interrupts:
            self.save()
            say(f"Interrupted while measuring: what was trained is saved in {self.saved.model}, without metrics.")
            measured = measured_unseen(self.model, self.parts, self.request.seed, baselines=False)
            self.report(measured, self.result(), interrupts)
        raise typer.Exit(INTERRUPTED)

    def finish(self) -> None:
        """Save the model, and tell the outcome."""
        assert self.measured is not None
        with held_back_interrupts() as interrupts:
            if self.kept is not None:
                self.kept.is_writing(self.saved)
            self.save()
            result = self.result()
            try:
                self.report(self.measured, result, interrupts)
                if self.kept is not None:
                    self.kept.remove()
            finally:  # without the page too
                if not self.options["quiet"]:
                    say_notes(self.notes)
                is_json = self.options["as_json"]
                show(to_json(result) if is_json else as_text(result, self.measured, self.request.table))
        if self.was_cut or interrupts:
            say(f"Interrupted: what was trained is saved in {self.saved.model}.")
            raise typer.Exit(INTERRUPTED)


def as_text(result: dict[str, Any], measured: Measured, table: Path) -> str:
    """Return the outcome of a training as text."""
    seconds, rows, dropped = result["seconds"], result["rows"], result["columns"]["dropped"]
    whole, levels = sum(seconds.values()), levels_of(measured.model)
    why = ", ".join(f"{name} ({reason})" for name, reason in list(dropped.items())[:5])
    kind = {0: "numbers", 1: "quantile "}.get(len(levels), "quantiles ") + ", ".join(map(str, levels))
    what = f"{len(result['classes'])} classes" if measured.is_classifier else kind
    where = {"test": "on the test part", "out of fold": "out of fold, without a test"}
    lines = [f"{result['task']} of {result['target']!r} ({what}) in {table}"]
    lines += [f"rows      {rows['train']} to train, {rows['test'] or 'none'} to test"]
    lines += [f"columns   {len(result['columns']['used'])} used"]
    lines[-1] += f", {len(dropped)} dropped: {why}" if dropped else ""
    lines += [f"networks  {result['networks']}, with {result['parameters']} parameters in all"]
    lines[-1] += f", of {result['stages']} stages" if result["stages"] > 1 else ""
    if "positive" in result:
        above = f"{result['threshold']:.4g}"
        lines.append(f"positive  {result['positive']!r}, predicted if its probability is above {above}")
    if "refit" in result:
        again = result["refit"]
        lines.append(f"refit     trained again on all {again['rows']} rows, for {again['epochs']} epochs")
        lines[-1] += f"; the scores are of the first model, of {rows['train']} rows"
    lines += ["", measured.text(where.get(measured.how, "in cross-validation")), ""]
    lines += [f"time      {whole:.1f} s, {seconds['training'] / whole:.0%} of it training"]
    lines += [f"model     {result['model']}, made again by: {result['command']}"]
    if "report" in result:
        lines.append(f"report    {result['report']}")
    return "\n".join(lines)

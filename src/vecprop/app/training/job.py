"""A run of ``vecprop train``: train, measure, train anew, save and report, whatever ends it early."""

import re
import shlex
import time
import warnings
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import Any

import typer

from ... import save
from ...estimators.sklearn_compat import require_valid_settings, setting_names
from ...files.atomic import written_at_once
from ...files.checkpoint.store import held
from ...tables.classifier import MOST_ONCE, TabularClassifier
from ...tables.ensemble.ensemble_fit import INTERRUPTED as CUT
from ...tables.evaluation.measured import Measured
from ...tables.evaluation.measuring import Parts, cross_validated, measured_unseen
from ...tables.evaluation.report import Run, page_of
from ...tables.evaluation.targets import levels_of, positive_class
from ...tables.reading.file_lists import file_and_line
from ...tables.regressor import TabularRegressor
from ...terminal.errors import INTERRUPTED, UsageError, held_back_interrupts
from ...terminal.output import say, say_notes, show, to_json
from ...terminal.output_files import RunFiles
from ...train.progress import progress_bar
from ..models import WITHOUT_TEST
from .cluster import workers_of
from .config import OPTIONS, SETTINGS, TrainConfig, named, toml
from .dividing import divided, how_chosen
from .outcome import RunFolder, as_text


class TrainingJob:
    """A run of ``vecprop train``, with what it has come to."""

    model: Any
    parts: Parts

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.request, self.files = config, config.request, config.files
        self.kept: RunFolder | None = None
        self.measured: Measured | None = None
        self.refitted: Any = None
        self.was_cut = False
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        """Train a model, measure it, and write it with its options and its page.

        Ctrl-C and errors after training lose no model. After Ctrl-C an older model stays, and the new one is saved
        beside it; a run that is kept in a folder is left to the next time.
        """
        with ExitStack() as stack:
            self.kept = self._begun(stack)
            workers = stack.enter_context(workers_of(self.config.workers, self.config.threads))
            self.train(workers)
            self.was_cut = self.is_trained_in_part
            if self.was_cut:
                self.leave()
            try:
                self.measure()
                if self.config.refit and not self.was_cut:
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

    def _begun(self, stack: ExitStack) -> RunFolder | None:
        """Return the folder that keeps the run, if any; refuse files that may not be written."""
        config = self.config
        if config.checkpoint is None:
            config.require_writable(config.force)
            return None
        try:  # before the table is read, of which a run is known
            stack.enter_context(held(config.checkpoint, is_folder=True))
        except ValueError as error:  # of another program that uses it
            raise UsageError(str(error)) from error
        kept = RunFolder.of(config)
        config.require_writable(config.force or kept.was_writing(self.files))
        kept.begin()
        return kept

    def train(self, workers: Any = None) -> None:
        """Divide the table, and train a model on its rows of training."""
        started = time.perf_counter()
        self.parts = divided(self.request)
        estimator = self._estimator(workers)
        read = time.perf_counter()
        warnings.filterwarnings("ignore", f".*{MOST_ONCE}")  # which is a note too
        with self._bar("training") as show_progress:
            model = estimator.set_params(progress=show_progress).fit(**self.parts.training).set_params(progress=None)
        self.model = self._with_reading(model)
        self.seconds |= {"reading": read - started, "training": time.perf_counter() - read}

    def _estimator(self, workers: Any) -> Any:
        """Return the estimator for the task with the settings, or refuse a setting that it does not have."""
        kind = TabularClassifier if self.parts.task == "classification" else TabularRegressor
        unknown = self.request.settings.keys() - set(setting_names(kind))
        if unknown:
            raise UsageError(
                f"A {kind.__name__}, which is for {self.parts.task}, has no {min(unknown)}: leave it out, or give "
                "another --task."
            )
        checkpoint = None if self.kept is None else self.kept.checkpoint
        settings = self.request.settings | {"workers": workers, "checkpoint": checkpoint}
        estimator = kind(target=self.request.target, random_state=self.request.split.seed, **settings)
        try:
            require_valid_settings(estimator)
        except ValueError as error:
            raise UsageError(_about_options(str(error))) from error
        return estimator

    def _with_reading(self, model: Any) -> Any:
        if self.parts.reading is not None:
            model.target_reading_ = self.parts.reading
        return model

    def _bar(self, name: str) -> Any:
        return progress_bar(name, quiet=self.config.quiet)

    def measure(self) -> None:
        """Measure the model and the baselines on rows that they have not seen."""
        began, seed, folds = time.perf_counter(), self.request.split.seed, self.request.folds
        if self.parts.has_test or folds is None:
            measured = measured_unseen(self.model, self.parts, seed)
        else:
            with self._bar("cross-validation") as progress:
                measured = cross_validated(self.model, self.parts, folds, seed, progress)
        _ = measured.scores
        if not self.parts.has_test:
            self.model.notes_.append(f"{WITHOUT_TEST}: the metrics are of rows of training ({measured.how}).")
        self.measured = measured
        self.seconds["measuring"] = time.perf_counter() - began

    def refit(self) -> None:
        """Train a model anew on all rows, the test's too."""
        began = time.perf_counter()
        with self._bar("training anew") as progress:
            self.refitted = self._with_reading(self.model.refitted(**self.parts.training_of_all, progress=progress))
        self.seconds["training anew"] = time.perf_counter() - began

    @property
    def is_trained_in_part(self) -> bool:
        """Whether Ctrl-C has ended training early."""
        return CUT in self.model.notes_

    @property
    def final(self) -> Any:
        """The model to keep: the one that was trained anew, or else the one that is measured."""
        return self.model if self.refitted is None else self.refitted

    @cached_property
    def notes(self) -> list[str]:
        """The notes on the table, in training and in the test."""
        model, X_test = self.model, self.parts.X_test
        unlike = [*model.encoder_.missed(X_test), *model.drift(model.tallies(X_test))] if self.parts.has_test else []
        in_test = [f"In the test: {note}" for note in unlike]
        anew = [] if self.refitted is None else [self.refitted.notes_[-1]]
        return list(dict.fromkeys([*self.parts.notes, *model.notes_, *anew, *in_test]))

    @cached_property
    def saved(self) -> RunFiles:
        """The files to write: beside an older model, if the run was cut short."""
        is_beside = self.was_cut and not self.config.replace_interrupted
        return self.files.beside_older() if is_beside else self.files

    def save(self) -> None:
        """Write the model, and all options of the run, as TOML."""
        model, parts = self.final, self.parts
        readings = model.encoder_.readings
        types = {name: readings.get(name, "not used") for name in parts.X.columns}
        types |= {self.request.target: "classes" if parts.task == "classification" else "numbers"}
        metrics = {} if self.measured is None else self.measured.metrics
        save(model, self.saved.model, columns=types, metrics={name: of.value for name, of in metrics.items()})
        changed = {"output": self.saved.model, "task": parts.task, **_options_of(self.model)}
        changed |= dict.fromkeys(OPTIONS) | {"columns": self.request.split.asked.columns, "checkpoint": None}
        if parts.stream is not None:
            changed["memory"] = str(parts.stream.memory)
        with written_at_once(self.saved.options) as file:
            file.write(toml(self.config.options | changed).encode())

    def report(self, measured: Measured, result: dict[str, Any], interrupts: list[int]) -> None:
        """Name the files in a result, and write the page if one is asked for."""
        files = self.saved
        result |= {"model": str(files.model), "config": str(files.options)}
        result["command"] = shlex.join(["vecprop", "train", "--config", str(files.options), "--force"])
        if files.page is not None:
            text = page_of(replace(measured, notes=self.notes), self._run(measured, result), interrupts)
            with written_at_once(files.page) as file:
                file.write(text.encode())
            result["report"] = str(files.page)

    def _run(self, measured: Measured, result: dict[str, Any]) -> Run:
        request, refit = self.request, result.get("refit")
        named_files = {"data": request.table} | ({} if request.test is None else {"test": request.test})
        explain, file = "", request.test or request.table
        if measured.worst_rows:
            kind_of_row, _, first = measured.worst_rows[0].row.partition(" ")
            if kind_of_row == "line":
                file, first = file_and_line(file, first)
            explain = shlex.join(["vecprop", "explain", result["model"], str(file), "--row", first])
        return Run(
            f"{request.target}, predicted from {request.table.name}",
            how_chosen(request, self.parts, measured),
            ""
            if refit is None
            else f"The model's file holds one that was trained anew on all {refit['rows']:,} rows, the test's too. The "
            f"page is about the first model, which was trained on {result['rows']['train']:,} rows.",
            result["seconds"]["training"],
            explain,
            named_files | {"model": self.saved.model.absolute()},
            result["command"],
            self.saved.options.read_text(encoding="utf-8"),
            is_measured=self.measured is not None,
        )

    def result(self) -> dict[str, Any]:
        """Return the outcome as values for JSON."""
        parts, model, measured = self.parts, self.final, self.measured
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
        if self.refitted is not None:
            result["refit"] = {"rows": parts.rows + len(parts.y_test), "epochs": model.n_iter_}
        if measured is not None:
            result["measured"] = {"how": measured.how, "rows": len(measured.truth)}
            result |= {"scores": measured.scores, "verdict": measured.verdict}
            result |= {"folds": measured.metrics_of_folds} if measured.folds else {}
        return result

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
            measured = measured_unseen(self.model, self.parts, self.request.split.seed, baselines=False)
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
                if not self.config.quiet:
                    say_notes(self.notes)
                show(to_json(result) if self.config.as_json else as_text(result, self.measured, self.request.table))
        if self.was_cut or interrupts:
            say(f"Interrupted: what was trained is saved in {self.saved.model}.")
            raise typer.Exit(INTERRUPTED)


def _options_of(model: Any) -> dict[str, Any]:
    """Return the options for a model's settings, without those that it chooses by the number of rows or by time."""
    settings = model.get_params() | {"stages": model.stages_, "budget": None}
    values = {name: settings.get(setting) for name, setting in SETTINGS.items()}
    values["hidden_layer_sizes"] = ",".join(map(str, model.widths))
    values["quantile"] = ",".join(map(str, levels_of(model))) or None
    return {name: None if value == "auto" else value for name, value in values.items()}


def _about_options(message: str) -> str:
    """Return a message on an option for scikit-learn's message on its setting; other messages stay unchanged."""
    found = re.fullmatch(r"The '(\w+)' parameter of \w+ must be (.*)\. Got (.*) instead\.", message)
    option = found and next((name for name, setting in SETTINGS.items() if setting == found[1]), None)
    if not (found and option):
        return message
    allowed, ends = found[2], re.search(r"in the range ([\[(])(.*?), (.*?)([\])])", found[2])
    if names := sorted(re.findall(r"'(\w+)'(?=[,}])", allowed)):
        allowed = f"{', '.join(names[:-1])} or {names[-1]}"
    if ends is not None:
        allowed = f"a number {'of at least' if ends[1] == '[' else 'above'} {float(ends[2]):g}"
        if ends[3] != "inf":
            allowed += f" and {'at most' if ends[4] == ']' else 'less than'} {float(ends[3]):g}"
    return f"{named(option)} is {found[3]}, but must be {allowed}."

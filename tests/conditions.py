"""Conditions that tests cause: low limits, missing packages, full disks, terminals.

All tests can use the fixtures. The internals that cause a condition are named here only.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from types import ModuleType
from typing import Any

import pytest

LIMITS = {
    "bundle: members": "vecprop.train.population.bundles.MOST",
    "bundle: seconds": "vecprop.train.population.bundles.SECONDS",
    "checkpoint: compared settings": "vecprop.files.checkpoint.MOST_COMPARED",
    "checkpoint: members in a part": "vecprop.files.checkpoint.results.MOST_MEMBERS",
    "checkpoint: share of the time": "vecprop.files.checkpoint.store.SHARE",
    "cluster: patience": "vecprop.scale.cluster.PATIENCE",
    "cluster: seconds until the last bundles": "vecprop.scale.workers.LAST",
    "cluster: seconds between polls": "vecprop.scale.workers.POLL_INTERVAL",
    "cluster: seconds to connect": "vecprop.app.training.cluster.SECONDS",
    "compiled: long rows": "vecprop.compiled.compiled_network.LONG",
    "compiled: long training": "vecprop.train.compiled.LONG",
    "compiled: many inputs": "vecprop.train.compiled.MUCH",
    "compiled: rows in a call": "vecprop.compiled.compiled_network.AT_ONCE",
    "compiled: seconds in a call": "vecprop.train.compiled.SECONDS",
    "compiled: large layer": "vecprop.compiled.run.dense.LARGE",
    "compiled: wide layer": "vecprop.compiled.run.dense.WIDE",
    "convert: rows": "vecprop.app.converting.ROWS",
    "copy: bytes of a bucket": "vecprop.train.blocks.sources.BUCKET",
    "copy: rows of a chunk": "vecprop.train.blocks.sources.CHUNK",
    "command: folds": "vecprop.app.training.splitting.FOLDS",
    "demo: starts": "vecprop.learn.demo.STARTS",
    "demo: starts with patience": "vecprop.learn.demo.PATIENT_STARTS",
    "drift: digests": "vecprop.tables.explaining.column_notes.MAX_DIGESTS",
    "encoder: categories": "vecprop.tables.encoding.columns.CATEGORIES",
    "encoder: names with means": "vecprop.tables.encoding.folds.MAX_NAMES",
    "encoder: numbers at once": "vecprop.tables.reading.frames.NUMBERS_AT_ONCE",
    "encoder: stored inputs": "vecprop.tables.encoding.encoder.MAX_STORED_INPUTS",
    "encoder: targets with means": "vecprop.tables.encoding.encoder.MAX_TARGETS",
    "ensemble: inputs of linear models": "vecprop.tables.ensemble.ensemble.MAX_LINEAR",
    "ensemble: stored parameters": "vecprop.tables.ensemble.ensemble.MAX_STORED",
    "baselines: classes of trees": "vecprop.tables.evaluation.baselines.MAX_CLASSES",
    "baselines: entries at once": "vecprop.tables.evaluation.baselines.ENTRIES",
    "contributions: inputs at once": "vecprop.tables.explaining.contributions.AT_ONCE",
    "contributions: lines": "vecprop.tables.explaining.contributions.SHOWN",
    "importance: columns": "vecprop.tables.explaining.importance.COLUMNS",
    "importance: draws": "vecprop.tables.explaining.importance.DRAWS",
    "importance: inputs": "vecprop.tables.explaining.importance.INPUTS",
    "inputs: many numbers": "vecprop.core.rows.inputs.MANY",
    "inputs: numbers of a thread": "vecprop.core.rows.inputs.ELEMENTS_PER_THREAD",
    "inputs: numbers in a part": "vecprop.core.rows.inputs.PART",
    "inputs: numbers kept as read": "vecprop.core.rows.inputs.AS_READ",
    "interrupts: seconds between two": "vecprop.system.interrupts.AT_ONCE",
    "model file: entries": "vecprop.files.model_file.container._MOST_ENTRIES",
    "model file: bytes of the document": (
        "vecprop.files.model_file.container._LARGEST_DOCUMENT"
    ),
    "model file: version": "vecprop.files.model_file.container.VERSION",
    "playground: bytes": "vecprop.learn.playground.server.MOST_BYTES",
    "playground: closed pages": "vecprop.learn.playground.page.MOST_CLOSED",
    "playground: entries of curves": "vecprop.learn.playground.session.MOST_ENTRIES",
    "products: bytes of a vector": "vecprop.compiled.gemm.products.vector_bytes",
    "packed products: bytes of a vector": "vecprop.compiled.gemm.packed.vector_bytes",
    "reading: bytes of a block": "vecprop.tables.reading.delimited.BLOCK",
    "reading: bytes of a sample": "vecprop.tables.reading.delimited.SAMPLE",
    "reading: rows of a part": "vecprop.tables.reading.arrow_files.SMALL",
    "reading: small file": "vecprop.tables.reading.delimited.SMALL",
    "reading: small file within bounds": "vecprop.tables.reading.bounds.SMALL",
    "search: large data of a fold": "vecprop.estimators.many.folds.LARGE",
    "search: large data of scores": "vecprop.estimators.many.evaluation.LARGE",
    "search: numbers scaled at once": "vecprop.estimators.many.scaling.PART",
    "search: numbers in a sample": "vecprop.estimators.many.scaling.SOME",
    "selection: rows in a part": "vecprop.core.rows.selection.ROWS",
    "selection: numbers in a part": "vecprop.core.rows.selection.PART",
    "available memory of blocks": "vecprop.train.blocks.available_memory",
    "available memory of readers": "vecprop.tables.reading.bounds.available_memory",
    "available memory of streams": (
        "vecprop.tables.streaming.memory_plan.available_memory"
    ),
    "stream: memory of the program": "vecprop.tables.streaming.memory_plan.PROGRAM",
    "stream: least memory": "vecprop.tables.streaming.memory_plan.MIN_MEMORY",
    "stream: least sample": "vecprop.tables.streaming.memory_plan.MIN_SAMPLED",
    "texts: rows": "vecprop.tables.encoding.texts.MAX_ROWS",
    "texts: words": "vecprop.tables.encoding.texts.MAX_WORDS",
    "threads: helpers": "vecprop.system.threads._helpers",
    "threads: seconds between polls": "vecprop.system.threads.POLL_INTERVAL",
    "blocks: few": "vecprop.train.blocks.FEW_BLOCKS",
    "version of scikit-learn": "sklearn.__version__",
    "version of the program": "vecprop.system.versions.__version__",
}
"""Where each limit is defined. Tests lower limits, so that few rows are large data."""

STEPS = {
    "drawing the demo": "vecprop.learn.demo.draw",
    "drawing columns": "vecprop.tables.evaluation.report.columns",
    "judging": "vecprop.app.training.job.judgements",
    "measuring": "vecprop.app.training.job.TrainingJob.measure",
    "refitting": "vecprop.tables.classifier.TabularClassifier.refit",
    "writing the page": "vecprop.app.training.job.page_of",
}
"""The steps of commands that tests interrupt or skip."""

EMPTY_PICTURE = 'viewBox="0 0 1 1"</style></defs></svg>'

SetLimit = Callable[[str, Any], None]


def module_of(name: str) -> tuple[ModuleType, str]:
    """Return the module and the attribute of a limit."""
    module, _, attribute = LIMITS[name].rpartition(".")
    return import_module(module), attribute


def current_limit(name: str) -> Any:
    """Return the value of a limit."""
    return getattr(*module_of(name))


def limit_setter(monkeypatch: pytest.MonkeyPatch) -> SetLimit:
    """Return a function that sets a limit until the monkeypatch is undone."""

    def set_limit(name: str, value: Any) -> None:
        monkeypatch.setattr(*module_of(name), value)

    return set_limit


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> SetLimit:
    """Return a function that sets a limit: ``limit("bundle: members", 3)``."""
    return limit_setter(monkeypatch)


@pytest.fixture
def products_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that chooses by what matrices are multiplied."""
    cached = [
        import_module("vecprop.compiled.gemm.products").uses_blocks,
        import_module("vecprop.compiled.program").program_of,
    ]

    def choose(name: str) -> None:
        monkeypatch.setenv("VECPROP_PRODUCTS", name)
        for function in cached:
            function.cache_clear()

    yield choose
    monkeypatch.undo()
    for function in cached:
        function.cache_clear()


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable], None]:
    """Return a function that replaces a step of a command by an action."""

    def act(step: str, action: Callable[[], Any]) -> None:
        monkeypatch.setattr(STEPS[step], lambda *arguments, **settings: action())

    return act


def raising(error: BaseException | type[BaseException]) -> Callable[[], None]:
    """Return an action that raises an error."""

    def act() -> None:
        raise error

    return act


@pytest.fixture
def little(limit: SetLimit) -> int:
    """Return the memory of the program, into which no table fits.

    A test adds the memory for some rows of a small table.
    """
    limit("stream: least memory", 0)
    limit("stream: least sample", 10)
    return current_limit("stream: memory of the program")


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that hides a package, as if it were not installed.

    The modules that import the package are imported again.
    """

    def hide(package: str, *importers: str) -> None:
        for module in [*sys.modules]:
            is_part = module == package or module.startswith(f"{package}.")
            if is_part or module in importers:
                monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, package, None)

    return hide


class Killed(BaseException):
    """The end of the program, as far as it can see."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Kill the program when it puts the file with this number in its place."""
    numbers = count()
    rename = os.replace

    def replace(unfinished: Any, target: Any) -> None:
        if next(numbers) == number:
            raise Killed
        rename(unfinished, target)

    monkeypatch.setattr("vecprop.files.atomic.os.replace", replace)


@contextmanager
def full_disk(writes: int = 0, failures: float = float("inf")) -> Iterator[None]:
    """Let writes to the disk fail after some have succeeded."""
    calls = count()
    synchronize = os.fsync

    def fail(number: int) -> None:
        if 0 <= next(calls) - writes < failures:
            raise OSError(28, "No space left on device")
        synchronize(number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        yield


@pytest.fixture
def tables_only_in_parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that forbids reading whole tables from now on."""

    def forbid() -> None:
        monkeypatch.setattr("vecprop.tables.reading.frames.read_table", None)

    return forbid


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Return a function that sets what standard input contains."""

    def write(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    return write


@contextmanager
def terminal() -> Iterator[None]:
    """Let standard output be a terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout.isatty", lambda: True)
        yield


@contextmanager
def empty_pictures() -> Iterator[None]:
    """Let reports contain empty pictures, because drawing is slow."""

    def write_nothing(figure: Any, file: Any, **options: Any) -> None:
        file.write(EMPTY_PICTURE)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", write_nothing)
        yield


@pytest.fixture
def no_pictures() -> Iterator[None]:
    """Let reports contain empty pictures."""
    with empty_pictures():
        yield


@pytest.fixture
def populations(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Return the members of each population that estimators and searches train."""
    populations = []
    fits = import_module("vecprop.estimators.many.fits")
    train_population = fits.train_population

    def record(members: list[Any], *rows: Any, **settings: Any) -> Any:
        populations.append(members)
        return train_population(members, *rows, **settings)

    monkeypatch.setattr(fits, "train_population", record)
    return populations

"""The outcome of ``vecprop train`` as text for a terminal, and the folder of a run that can be resumed."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from ... import Checkpoint
from ...files.checkpoint.identity import Identity, of_all
from ...files.checkpoint.store import LOCK, RUN, Store
from ...tables.evaluation.measured import Measured
from ...tables.evaluation.metrics import columns_of_text, title
from ...tables.evaluation.report.sections import spread
from ...tables.evaluation.targets import levels_of
from ...tables.reading.file_lists import STANDARD_INPUT, existing
from ...terminal.errors import UsageError
from ...terminal.output_files import RunFiles
from .config import PASSING, TrainConfig


def as_text(result: dict[str, Any], measured: Measured, table: Path) -> str:
    """Return the outcome of a training as text."""
    seconds = result["seconds"]
    whole = sum(seconds.values())
    dropped = result["columns"]["dropped"]
    why = ", ".join(f"{name} ({reason})" for name, reason in list(dropped.items())[:5])
    what = f"{len(result['classes'])} classes" if measured.is_classifier else _numbers(levels_of(measured.model))
    lines = [
        f"{result['task']} of {result['target']!r} ({what}) in {table}",
        f"rows      {result['rows']['train']} to train, {result['rows']['test'] or 'none'} to test",
        f"columns   {len(result['columns']['used'])} used" + (f", {len(dropped)} dropped: {why}" if dropped else ""),
        f"networks  {result['networks']}, with {result['parameters']} parameters in all"
        + (f", of {result['stages']} stages" if result["stages"] > 1 else ""),
    ]
    if "positive" in result:
        above = f"{result['threshold']:.4g}"
        lines.append(f"positive  {result['positive']!r}, predicted if its probability is above {above}")
    if "refit" in result:
        again, rows = result["refit"], result["rows"]["train"]
        lines.append(
            f"refit     trained again on all {again['rows']} rows, for {again['epochs']} epochs; the scores are of the "
            f"first model, of {rows} rows"
        )
    lines += [
        "",
        measured.text(_WHERE[measured.how]),
        *(["", folds_as_text(result["folds"], result.get("positive"))] if "folds" in result else []),
        "",
        *result["verdict"].sentences,
        "",
        f"time      {whole:.1f} s, {seconds['training'] / whole:.0%} of it training",
        f"model     {result['model']}, made again by: {result['command']}",
    ]
    if "report" in result:
        lines.append(f"report    {result['report']}")
    return "\n".join(lines)


_WHERE: dict[str, str] = {
    "test": "on the test part",
    "out of fold": "out of fold, without a test",
    "cross-validation": "in cross-validation",
}


def folds_as_text(folds: dict[str, dict[str, list[float]]], positive: Any = None) -> str:
    """Return the scores of folds as a table of text: their mean and standard deviation.

    Examples
    --------
    >>> print(folds_as_text({"vecprop": {"rmse": [1.0, 2.0, 3.0]}}))
    mean and spread of 3 folds  vecprop
    RMSE                        2 ± 1
    """
    first = next(iter(folds.values()))
    count = len(next(iter(first.values())))
    rows = [[f"mean and spread of {count} folds", *folds]]
    for metric in first:
        spreads = (spread(of[metric]) for of in folds.values())
        rows.append([title(metric, positive), *(f"{of[0]:.4g} ± {of[1]:.4g}" if of else "undefined" for of in spreads)])
    return columns_of_text(rows)


def _numbers(levels: list[float]) -> str:
    kind = {0: "numbers", 1: "quantile "}.get(len(levels), "quantiles ")
    return kind + ", ".join(map(str, levels))


STILL_THE_SAME = {"output", "report", "threads", "checkpoint"}
"""Options beside those of `PASSING` with which a run is still the same."""

LIBRARIES = ("vecprop", "numpy", "scipy", "numba", "scikit-learn", "pandas", "pyarrow")
NETWORKS = "networks"
"""The name of what keeps the networks in the folder."""


class RunFolder:
    """A folder that keeps what a run has trained, so that the same command goes on."""

    def __init__(self, path: Path, files: Mapping[str, Path | None], options: Mapping[str, Any]) -> None:
        run = {f"--{name.replace('_', '-')}": str(value) for name, value in options.items() if name not in files}
        run |= {f"version of {name}": version(name) for name in LIBRARIES} | {"version of Python": python_version()}
        run = Identity()({**files, **run})
        self.path, self.store = path, Store(path, run, [of_all([run])])

    @classmethod
    def of(cls, config: TrainConfig) -> "RunFolder":
        """Return the folder of a run, or refuse to keep one whose files are gone when it is run again."""
        options = config.options
        files = {name: options[name] for name in ("table", "test", "columns")}
        for name, file in files.items():
            is_stream = file is not None and file.exists() and not (file.is_file() or file.is_dir())
            if is_stream or file == STANDARD_INPUT:
                raise UsageError(f"The {name} is a stream, which is gone when the command is run again: give a file.")
        changes = {name: value for name, value in options.items() if name not in PASSING | STILL_THE_SAME}
        paths = {name: existing(file) if file else None for name, file in files.items()}
        return cls(options["checkpoint"], paths, changes)

    def begin(self) -> None:
        """Make the folder, if need be; refuse that of another run, or one that holds other files."""
        try:
            self._known = list(self.store.begin())
        except ValueError as error:
            raise UsageError(str(error)) from error

    def was_writing(self, files: RunFiles) -> bool:
        """Return whether the same command has begun to write these files, which may then be replaced."""
        if not (self.path / RUN).exists():
            return False
        self.begin()
        return any(document["writes"] == _names(files) for _, document, _ in self._known)

    def is_writing(self, files: RunFiles) -> None:
        """Note that these files are written from now on."""
        self.store.write([0], {"writes": _names(files)}, {})

    @property
    def checkpoint(self) -> Checkpoint:
        """What keeps the networks."""
        return Checkpoint(self.path / NETWORKS)

    def remove(self) -> None:
        """Remove the folder: what says whose it is goes last, so that the same command could still go on."""
        shutil.rmtree(self.path / NETWORKS, ignore_errors=True)
        for path in (*sorted(self.path.glob("part-*.npz")), self.path / RUN, self.path / LOCK):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # of a file that somebody has put there
            self.path.rmdir()


def _names(files: RunFiles) -> list[str | None]:
    return [None if file is None else str(file.absolute()) for file in files]

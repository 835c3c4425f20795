"""Thousands of odd text files, read by Arrow and by pandas: ``python benchmarks/text_readers.py``.

Each file of ``corpora/odd_text.py`` is read in four ways, once as users read it and
once by pandas only. Values, types, line numbers, notes and errors must be equal. The
text is parsed in blocks of a few lines, because faults are likely where blocks meet.
"""

import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
from campaign import results_of
from machine import described, machine

import vecprop as vp
from vecprop.tables.reading import delimited, reading

sys.path.insert(0, str(Path(__file__).parent / "corpora"))
from odd_text import odd_text

PAGE = Path(__file__).parent / "results" / "text_readers.md"
SEEDS = range(60)
COUNT = 50
"""The seeds, and the number of files of each."""
READERS = {
    "whole table": lambda path: [vp.read_table(path)],
    "text with a target": lambda path: [vp.read_table(path, as_text=True, target="y")],
    "two files": lambda path: [vp.read_table([path, path.with_name("2.csv")])],
    "chunks with a stored column": lambda path: [
        frame for pair in reading.chunks(path, 7, ["y"]) for frame in pair
    ],
}


@contextmanager
def by_pandas() -> Iterator[None]:
    """Let pandas parse all text and decide all types."""
    doubt = ValueError("always")
    with (
        mock.patch.object(delimited, "require_plain", side_effect=doubt),
        mock.patch.object(reading, "typed_column", side_effect=doubt),
    ):
        yield


def result_of(read: Callable[[Path], list[Any]], path: Path) -> list[Any] | str:
    """Return the frames that a reader returns, or its error as text."""
    try:
        return read(path)
    except vp.TableError as error:
        return f"{error}"


def difference(result: list[Any] | str, expected: list[Any] | str) -> str:
    """Return how two results differ, or an empty string."""
    if isinstance(result, str) or isinstance(expected, str):
        return "" if result == expected else "another error"
    if len(result) != len(expected):
        return "another number of frames"
    for frame, expected_frame in zip(result, expected, strict=True):
        try:
            pd.testing.assert_frame_equal(frame, expected_frame, check_exact=True)
        except AssertionError as error:
            return str(error)
        if frame.attrs != expected_frame.attrs:
            return "other notes"
        if frame.index.name != expected_frame.index.name:
            return "another index"
    return ""


def one(seed: int) -> dict[str, int]:
    """Return how often each reader parsed text by Arrow, and how often a result differed."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "1.csv")
        for number in range(COUNT):
            path.write_bytes(odd_text(rng))
            path.with_name("2.csv").write_bytes(path.read_bytes())
            size = rng.choice([1, 20, 100, 1 << 20])
            for name, read in READERS.items():
                with (
                    mock.patch.object(delimited, "BLOCK", size),
                    mock.patch.object(
                        delimited.DelimitedFile,
                        "_reader",
                        autospec=True,
                        side_effect=delimited.DelimitedFile._reader,
                    ) as pandas_reader,
                ):
                    result = result_of(read, path)
                with by_pandas():
                    expected = result_of(read, path)
                counts[f"{name}: files"] += 1
                if isinstance(result, str):
                    counts[f"{name}: errors"] += 1
                elif not pandas_reader.called:
                    counts[f"{name}: by Arrow"] += 1
                changed = difference(result, expected)
                if changed:
                    counts[f"{name}: different"] += 1
                    print(seed, number, name, changed, path.read_bytes()[:300])
                    print("   ", str(result)[:300], "|", str(expected)[:300])
    return dict(counts)


def page(results: dict[str, dict[str, int]]) -> str:
    """Return the results as a page."""
    counts: Counter[str] = Counter()
    for result in results.values():
        counts.update(result)
    lines = [
        "# Text files read by Arrow and by pandas",
        "",
        "`python benchmarks/text_readers.py` read odd text files in four ways, as users",
        "read them and by pandas only, and compared values, types, line numbers, notes",
        "and errors.",
        "",
        *described(machine("vecprop", "pandas", "pyarrow")),
        "",
        "| way | files | errors | by Arrow | different |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in READERS:
        numbers = [
            f"{counts[f'{name}: {column}']:,}"
            for column in ("files", "errors", "by Arrow", "different")
        ]
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    results, is_whole = results_of("vecprop-text-readers", __doc__, SEEDS, one)
    text = page(results)
    if is_whole:
        PAGE.write_text(text)
    print(text, end=os.linesep)
    sys.exit(any("different" in name for counts in results.values() for name in counts))


if __name__ == "__main__":
    main()

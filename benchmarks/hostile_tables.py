"""Thousands of damaged tables, each a model, predictions, or one sentence: ``python benchmarks/hostile_tables.py``.

Commands are run on tables of every kind to which something has happened, as in
``corpora/damaged_tables.py``, and bits of files with checksums are turned, which may
change no value. The damages are drawn by seeds; what each seed has shown is kept, so
that an interrupted run continues.
"""

import contextlib
import os
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from campaign import results_of
from machine import described, machine
from typer.testing import CliRunner

import vecprop as vp
from vecprop.app.command_line import app

sys.path.insert(0, str(Path(__file__).parent / "corpora"))
from damaged_tables import WHOLE, flip_bits, people, run

PAGE = Path(__file__).parent / "results" / "hostile_tables.md"
SEEDS, COUNT = range(100, 114), 400
"""The seeds, and the number of damaged tables of each."""
CHECKED = (".csv.gz", ".zip", ".xlsx", ".parquet")
"""Files with checksums; that of Parquet's pages is written here."""


def commands(seed: int) -> dict[str, int]:
    """Return how often commands on damaged tables have ended with which code; an AssertionError tells what is wrong."""
    model = Path("spends.npz").resolve()
    vp.save(
        vp.TabularRegressor(
            "spends", n_estimators=2, hidden_layer_sizes=4, max_iter=2
        ).fit(people()),
        model,
    )
    Path("tables").mkdir()
    with contextlib.chdir("tables"), warnings.catch_warnings():
        # as a user has them, who is told of each in a note
        warnings.simplefilter("default")
        codes = run(
            lambda *arguments, code: CliRunner().invoke(app, list(map(str, arguments))),
            model,
            COUNT,
            seed,
        )
    return {
        f"{command}, exit code {code}": count
        for (command, code), count in codes.items()
    }


def alterations(seed: int) -> dict[str, int]:
    """Return how often a file with turned bits was refused, was read as it was, or was read with other values."""
    found: Counter[str] = Counter()
    rng = np.random.default_rng(seed)
    people().to_parquet("whole.parquet", write_page_checksum=True)
    contents = {kind: WHOLE[kind] for kind in CHECKED} | {
        ".parquet": Path("whole.parquet").read_bytes()
    }
    for kind, content in contents.items():
        path = Path(f"table{kind}")
        path.write_bytes(content)
        whole = vp.read_table(path)
        for _ in range(COUNT // 20):
            path.write_bytes(flip_bits(content, rng))
            found[f"{kind}: {compared(path, whole)}"] += 1
    return dict(found)


def compared(path: Path, whole: Any) -> str:
    try:
        return "as it was" if vp.read_table(path).equals(whole) else "altered"
    except vp.TableError:
        return "refused"


def page(found: dict[str, dict[str, dict[str, int]]]) -> str:
    """Return the results as a page."""
    codes, files = (
        sum((Counter(of[part]) for of in found.values()), Counter())
        for part in ("commands", "alterations")
    )
    lines = [
        "# Damaged tables",
        "",
        (
            f"`python benchmarks/hostile_tables.py` ran {codes.total():,} commands on"
            " damaged tables of"
        ),
        (
            f"{len(WHOLE)} kinds. No command ended with a traceback, a message of more"
            " than 500 characters, an"
        ),
        "undocumented exit code, a partial file, or a prediction that is not finite.",
        "",
        *described(machine("vecprop", "pandas", "pyarrow")),
        "",
        *[
            "| command | tables |",
            "|---|---:|",
            *(f"| {name} | {codes[name]:,} |" for name in sorted(codes)),
        ],
        "",
        "One to eight bits of files with checksums were flipped:",
        "",
        *[
            "| file | files |",
            "|---|---:|",
            *(f"| {name} | {files[name]:,} |" for name in sorted(files)),
        ],
    ]
    return "\n".join(lines) + "\n"


def one(seed: int) -> dict[str, Any]:
    """Return the results of a seed, found in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return {"commands": commands(seed), "alterations": alterations(seed)}


def main() -> None:
    found, is_whole = results_of("vecprop-hostile-tables", __doc__, SEEDS, one)
    if is_whole:
        PAGE.write_text(page(found))
    altered = sum(
        count
        for of in found.values()
        for name, count in of["alterations"].items()
        if "altered" in name
    )
    print(page(found), end=os.linesep)
    sys.exit(bool(altered))


if __name__ == "__main__":
    main()

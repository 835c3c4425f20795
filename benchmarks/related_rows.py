"""Judge models of simulated tables with related and with independent rows.

``python benchmarks/related_rows.py`` trains the default model on each table. Rows of
the first tables depend on each other by time or by entity, so no verdict may be
positive. Rows of the other tables are independent, although they have dates,
identifiers or categories, so the verdict must not be changed. The page lists the levels
and counts the errors.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from machine import described, machine
from typer.testing import CliRunner

from vecprop.app.command_line import app

sys.path.insert(0, str(Path(__file__).parent / "corpora"))
from related_tables import tables, target_of

PAGE = Path(__file__).parent / "results" / "related_rows.md"


def judge(
    table: pd.DataFrame, folder: Path, is_related: bool
) -> tuple[bool, dict[str, Any]]:
    """Train on a table; return whether the verdict is wrong, and the result."""
    table.to_csv(folder / "table.csv", index=False)
    output = ["-o", str(folder / "model.npz"), "--json", "--force", "--quiet"]
    run = CliRunner().invoke(
        app, ["train", str(folder / "table.csv"), "--target", target_of(table), *output]
    )
    result = json.loads(run.stdout)
    verdict = result["verdict"]
    is_changed = verdict["level"].startswith("worse on") or verdict["says"].startswith(
        "Not better than"
    )
    is_positive = verdict["level"] in ("better", "slightly better")
    return is_positive if is_related else is_changed, result


def main() -> None:
    """Judge all tables, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", help="names of tables; by default all")
    parser.add_argument(
        "--seeds", type=int, default=1, help="the number of tables of each kind"
    )
    arguments = parser.parse_args()
    lines = []
    counts = {True: [0, 0], False: [0, 0]}
    with tempfile.TemporaryDirectory() as folder:
        for name, is_related, table in tables(set(arguments.tables), arguments.seeds):
            is_wrong, result = judge(table, Path(folder), is_related)
            counts[is_related][0] += 1
            counts[is_related][1] += is_wrong
            columns = (
                ", ".join(judgement["column"] for judgement in result["judgements"])
                or "none"
            )
            level = result["verdict"]["level"]
            lines.append(
                f"| {name} | {'related' if is_related else 'independent'} | {columns} |"
                f" {level} |"
            )
            print(
                "WRONG" if is_wrong else "right",
                lines[-1],
                result["verdict"]["says"],
                flush=True,
            )
    if arguments.tables:
        return
    page = [
        "# Related rows",
        "",
        *described(machine()),
        "",
        "| rows | tables | wrong verdicts |",
        "|---|--:|--:|",
    ]
    for is_related, (count, wrong) in counts.items():
        page.append(
            f"| {'related' if is_related else 'independent'} | {count} | {wrong} |"
        )
    page += ["", "| table | rows | judged by | level |", "|---|---|---|---|", *lines]
    PAGE.write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

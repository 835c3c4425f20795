"""Print the table of times in README from the results: ``python benchmarks/readme_table.py``.

Each cell is the median time of a peer's fastest form in milliseconds, in parentheses
its ratio to vecprop's time, and the name of the form if the peer has several. The
sentence below the table states the time of the first calls of these forms beyond a
later call, which is mostly compilation. Copy both to README after `engine.py` or
`populations.py` ran.
"""

import json
from math import nan
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROWS = {
    "seed 2-3-2": "2-3-2, 100 rows, 300 steps",
    "30-64-64-2": "30-64-64-2, 5 epochs in batches of 256",
    "784-128-10": "784-128-10, an epoch in batches of 128",
    "1024-1024-1024-10": "1024-1024-1024-10, an epoch in batches of 1,024",
}
SEARCH = "20 settings x 5 folds"
COLUMNS = {
    "vecprop": ("vecprop",),
    "scikit-learn": ("scikit-learn", "GridSearchCV"),
    "PyTorch": ("PyTorch", "skorch"),
    "JAX": ("JAX",),
}
"""The columns, and how the names of their contenders begin."""

COMPILED = ("vecprop", "PyTorch", "JAX")


def workloads(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return the milliseconds of a median time and of a first call, by row of the table and contender."""
    engine = json.loads((folder / "engine.json").read_text())
    populations = json.loads((folder / "populations.json").read_text())
    rows = {}
    for entry in engine["training"]:
        if (entry["optimizer"], entry["dtype"]) == ("momentum", "float32"):
            rows[ROWS[entry["workload"]]] = {
                name: {"median": times["median_ms"], "first": times["first_ms"]}
                for name, times in entry["contenders"].items()
            }
    rows[f"a search, {SEARCH}"] = {
        name: {
            "median": 1e3 * times["seconds"],
            "first": 1e3 * times.get("first_s", nan),
        }
        for name, times in populations[SEARCH].items()
    }
    return rows


def fastest(contenders: dict[str, dict[str, float]], column: str) -> str:
    """Return the name of the form of a column's peer with the shortest median time."""
    forms = [name for name in contenders if name.startswith(COLUMNS[column])]
    return min(forms, key=lambda name: contenders[name]["median"])


def rounded(value: float) -> str:
    """Return a number with two significant digits, or as an integer from 100 on."""
    if value < 9.95:
        return f"{value:.2g}" if value < 0.995 else f"{value:.1f}"
    return f"{value:,.0f}"


def cell(contenders: dict[str, dict[str, float]], column: str) -> str:
    """Return a cell of the table."""
    name = fastest(contenders, column)
    median = contenders[name]["median"]
    if column == "vecprop":
        return rounded(median)
    _, _, form = name.partition(", ")
    ratio = median / contenders["vecprop"]["median"]
    text = f"{rounded(median)} ({rounded(ratio)})"
    return f"{text}, {form}" if form else text


def first_calls(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the sentences on the time that first calls take beyond later calls."""
    parts = []
    for column in COMPILED:
        seconds = []
        for contenders in rows.values():
            times = contenders[fastest(contenders, column)]
            seconds.append((times["first"] - times["median"]) / 1e3)
        parts.append(
            f"Compilation takes {rounded(min(seconds))} to {rounded(max(seconds))} s in"
            f" {column}."
        )
    return " ".join(parts)


def table(rows: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Return the lines of the table in README."""
    lines = [f"| work | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for work, contenders in rows.items():
        cells = [cell(contenders, column) for column in COLUMNS]
        lines.append(f"| {work} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    times = workloads(RESULTS)
    print(*table(times), "", first_calls(times), sep="\n")

"""The page and the picture of what ``tables.py`` has measured."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import described
from scipy.stats import rankdata, studentized_range
from table_sets import CLASSIFICATION, REGRESSION

MEASURES = {CLASSIFICATION: ("log loss", "accuracy"), REGRESSION: ("RMSE / σ", "R²")}


def measured(results: dict[str, Any], task: str) -> tuple[list[str], list[str], np.ndarray]:
    """Return the names of a task's tables and of the contenders measured on all, and all figures (tables, names, 3)."""
    tables = {key.partition(": ")[2]: of for key, of in results["tables"].items() if key.startswith(f"{task}: ")}
    on_all = set.intersection(*map(set, tables.values()))
    names = ["vecprop", *sorted(on_all - {"vecprop"}, key=str.lower)]
    return list(tables), names, np.array([[of[name] for name in names] for of in tables.values()])


def critical_difference(contenders: int, tables: int) -> float:
    """Return by how much mean ranks must differ to differ at 5 %: the test of Nemenyi (Demšar, 2006)."""
    quantile = studentized_range.ppf(0.95, contenders, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(contenders * (contenders + 1) / (6 * tables)))


def ranks(losses: np.ndarray) -> np.ndarray:
    """Return the mean rank of each contender; the lowest loss has rank 1."""
    return rankdata(losses, axis=1).mean(axis=0)


def _rows(names: list[str], values: np.ndarray, heads: list[str], digits: list[int]) -> Iterator[str]:
    yield "| | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * len(heads)
    for name, row in zip(names, values, strict=True):
        yield f"| {name} | " + " | ".join(f"{value:.{d}f}" for value, d in zip(row, digits, strict=True)) + " |"


def _section(results: dict[str, Any], task: str) -> Iterator[str]:
    tables, names, values = measured(results, task)
    loss, score = MEASURES[task]
    means, rank = values.mean(axis=0), ranks(values[:, :, 0])
    wins = (values[:, :1, 0] < values[:, :, 0]).sum(axis=0)
    columns = np.column_stack([means[:, 0], rank, means[:, 1], ranks(-values[:, :, 1]), values[:, :, 2].sum(0), wins])
    heads = [f"mean {loss}", f"rank of {loss}", f"mean {score}", f"rank of {score}", "total seconds"]
    heads.append(f"tables on which vecprop's {loss} is lower")
    order = np.argsort(rank)
    yield f"## {task.capitalize()}: {len(tables)} tables"
    yield ""
    yield from _rows([names[k] for k in order], columns[order], heads, [4, 2, 4, 2, 1, 0])
    yield ""
    difference = critical_difference(len(names), len(tables))
    yield f"Mean ranks differ at the 5 % level if their difference exceeds {difference:.2f} (Nemenyi's test)."
    for what, place, digits in ((loss, 0, 3), (score, 1, 3), ("seconds", 2, 2)):
        yield f"\n### {what[0].upper()}{what[1:]} of each table\n"
        yield from _rows(tables, values[:, :, place], names, [digits] * len(names))
    yield ""


def page(results: dict[str, Any]) -> str:
    """Return the figures as a page of Markdown."""
    lines = [
        "# Tabular models against others",
        "",
        "Made by `python benchmarks/tables.py`. All models use their defaults. No table was used to choose vecprop's. "
        f"Figures are means of {3 * results['repeats']} test parts. Seconds are CPU seconds of one thread.",
        "",
        "![Loss and time](tables.png)",
        "",
        *described(results["machine"]),
        "",
    ]
    for task in MEASURES:
        lines += _section(results, task)
    return "\n".join(lines)


def picture(results: dict[str, Any], path: Path) -> None:
    """Draw the mean loss of each contender over the time that it takes."""
    from matplotlib.figure import Figure

    from vecprop.pictures.style import colour, marker

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, task in zip(axes, MEASURES, strict=True):
        tables, names, values = measured(results, task)
        losses, seconds = values[:, :, 0].mean(axis=0), values[:, :, 2].sum(axis=0)
        for number, (name, x, y) in enumerate(zip(names, seconds, losses, strict=True)):
            ax.plot(x, y, marker(number), color=colour(number), markersize=13 if number == 0 else 8, label=name)
        ax.set(xscale="log", yscale="log", xlabel="seconds for all tables, one thread")
        ax.set(ylabel=f"mean {MEASURES[task][0]}", title=f"{task.capitalize()}, {len(tables)} tables")
        for axis_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
            axis_formatter("{x:.2f}")
        ax.annotate("better and faster", (0.03, 0.04), xycoords="axes fraction", color="0.4", style="italic")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right")
    figure.savefig(path, dpi=150)

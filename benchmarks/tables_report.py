"""The page and the picture of what ``tables.py`` has measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import described
from scipy.stats import rankdata, studentized_range, wilcoxon
from table_sets import CLASSIFICATION, REGRESSION

MEASURES = {CLASSIFICATION: ("log loss", "accuracy"), REGRESSION: ("RMSE / σ", "R²")}
LOSS, SCORE, SECONDS = range(3)
"""The places of a contender's figures for a table."""

RESAMPLES = 10_000
LEVEL = 0.05


@dataclass(frozen=True)
class Outcomes:
    """The figures of a task: its tables, the contenders measured on all of them, and an array (tables, names, 3)."""

    task: str
    tables: list[str]
    names: list[str]
    figures: np.ndarray


def measured(results: dict[str, Any], task: str) -> Outcomes:
    """Return the figures of the contenders that are measured on all tables of a task; vecprop comes first."""
    by_table = {}
    for key, outcomes in results["tables"].items():
        table_task, _, table = key.partition(": ")
        if table_task == task:
            by_table[table] = outcomes
    on_all = set.intersection(*map(set, by_table.values()))
    names = ["vecprop", *sorted(on_all - {"vecprop"}, key=str.lower)]
    figures = np.array(
        [[outcomes[name] for name in names] for outcomes in by_table.values()]
    )
    return Outcomes(task, list(by_table), names, figures)


def incomplete(results: dict[str, Any], task: str) -> list[str]:
    """Return the contenders that are measured on some tables of a task, but not on all."""
    on_some = set()
    for key, outcomes in results["tables"].items():
        if key.startswith(f"{task}: "):
            on_some |= set(outcomes)
    return sorted(on_some - set(measured(results, task).names))


def measured_with(results: dict[str, Any], task: str, name: str) -> Outcomes:
    """Return the figures of vecprop and another contender on the tables where both are measured."""
    names = ["vecprop", name]
    tables = []
    figures = []
    for key, outcomes in results["tables"].items():
        table_task, _, table = key.partition(": ")
        if table_task == task and name in outcomes:
            tables.append(table)
            figures.append([outcomes[contender] for contender in names])
    return Outcomes(task, tables, names, np.array(figures))


def critical_difference(contenders: int, tables: int) -> float:
    """Return by how much mean ranks must differ to differ at 5 %: the test of Nemenyi (Demšar, 2006)."""
    quantile = studentized_range.ppf(1 - LEVEL, contenders, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(contenders * (contenders + 1) / (6 * tables)))


def ranks(losses: np.ndarray) -> np.ndarray:
    """Return the mean rank of each contender; the lowest loss has rank 1."""
    return rankdata(losses, axis=1).mean(axis=0)


def adjusted(p_values: list[float]) -> list[float]:
    """Return Holm's adjustment of p-values for the number of tests."""
    result = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        result[index] = largest
    return result


def shown_p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean difference over tables."""
    means = (
        np.random.default_rng(0)
        .choice(differences, (RESAMPLES, len(differences)))
        .mean(axis=1)
    )
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def comparable(results: dict[str, Any], name: str) -> bool:
    """Return whether a contender's seconds and vecprop's were measured on the same machine."""
    machines = results["machines"]
    return all(
        machines[name][part] == machines["vecprop"][part]
        for part in ("processor", "cores", "blas")
    )


def table_lines(heads: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * (len(heads) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def summary(results: dict[str, Any], outcomes: Outcomes) -> Iterator[str]:
    """Yield a table with a row for each contender, in the order of mean ranks."""
    loss, score = MEASURES[outcomes.task]
    losses, scores = outcomes.figures[:, :, LOSS], outcomes.figures[:, :, SCORE]
    loss_ranks = ranks(losses)
    score_ranks = ranks(-scores)
    seconds = outcomes.figures[:, :, SECONDS].sum(axis=0)
    rows = []
    for place in np.argsort(loss_ranks):
        name = outcomes.names[place]
        row = [
            name,
            f"{losses[:, place].mean():.4f}",
            f"{np.median(losses[:, place]):.4f}",
            f"{loss_ranks[place]:.2f}",
        ]
        row += [f"{scores[:, place].mean():.4f}", f"{score_ranks[place]:.2f}"]
        row.append(
            f"{seconds[place]:.1f}" if comparable(results, name) else "other machine"
        )
        rows.append(row)
    heads = [
        "",
        f"mean {loss}",
        f"median {loss}",
        f"rank of {loss}",
        f"mean {score}",
        f"rank of {score}",
    ]
    yield from table_lines([*heads, "CPU seconds"], rows)


def comparisons(outcomes: Outcomes) -> Iterator[str]:
    """Yield a table of the differences between each contender and vecprop, paired over tables."""
    loss, score = MEASURES[outcomes.task]
    losses, scores = outcomes.figures[:, :, LOSS], outcomes.figures[:, :, SCORE]
    loss_differences = losses[:, 1:] - losses[:, :1]
    score_differences = scores[:, :1] - scores[:, 1:]
    loss_tests = adjusted([wilcoxon(column).pvalue for column in loss_differences.T])
    score_tests = adjusted([wilcoxon(column).pvalue for column in score_differences.T])
    rows = []
    for place in np.argsort(loss_differences.mean(axis=0)):
        differences = loss_differences[:, place]
        low, high = interval(differences)
        row = [
            outcomes.names[place + 1],
            f"{differences.mean():+.4f}",
            f"{low:+.4f} to {high:+.4f}",
        ]
        row += [
            f"{np.median(differences):+.4f}",
            f"{(differences > 0).sum()} of {len(differences)}",
        ]
        row += [
            shown_p(loss_tests[place]),
            f"{score_differences[:, place].mean():+.4f}",
            shown_p(score_tests[place]),
        ]
        rows.append(row)
    heads = [
        "vecprop compared with",
        f"mean difference of {loss}",
        "95 % interval",
        "median difference",
    ]
    heads += ["tables that vecprop predicts better", "p", f"mean gain in {score}", "p"]
    yield from table_lines(heads, rows)


def dominant_tables(outcomes: Outcomes) -> Iterator[str]:
    """Yield a sentence for each contender whose mean difference is due to one table by more than half."""
    loss, _ = MEASURES[outcomes.task]
    for place, name in enumerate(outcomes.names[1:], start=1):
        losses = outcomes.figures[:, place, LOSS]
        differences = losses - outcomes.figures[:, 0, LOSS]
        largest = int(np.argmax(np.abs(differences)))
        others = np.delete(differences, largest)
        if abs(differences[largest]) > abs(differences.sum()) / 2:
            yield (
                f"- {name}: the table {outcomes.tables[largest]} ({loss}"
                f" {losses[largest]:.3f}). Without it, the mean {loss} is"
                f" {np.delete(losses, largest).mean():.4f} and the mean difference"
                f" {others.mean():+.4f}."
            )


def section(results: dict[str, Any], task: str) -> Iterator[str]:
    outcomes = measured(results, task)
    loss, score = MEASURES[task]
    yield f"## {task.capitalize()}: {len(outcomes.tables)} tables"
    yield ""
    yield from summary(results, outcomes)
    yield ""
    difference = critical_difference(len(outcomes.names), len(outcomes.tables))
    yield (
        "Mean ranks differ at the 5 % level if their difference exceeds"
        f" {difference:.2f} (Nemenyi's test)."
    )
    yield ""
    yield from comparisons(outcomes)
    yield ""
    for name in incomplete(results, task):
        shared = measured_with(results, task, name)
        yield (
            f"{name} was measured on {len(shared.tables)} of the {len(outcomes.tables)}"
            " tables:"
        )
        yield ""
        yield from comparisons(shared)
        yield ""
    yield (
        "Positive differences are in favor of vecprop. Intervals are bootstrap"
        " intervals of the mean over tables. p"
    )
    yield (
        "is the p-value of Wilcoxon's signed-rank test over tables, with Holm's"
        " adjustment for the number of models."
    )
    if sentences := list(dominant_tables(outcomes)):
        yield (
            "One table makes up more than half of the sum of the differences of these"
            " models:"
        )
        yield ""
        yield from sentences
    for measure, place, digits in ((loss, LOSS, 3), (score, SCORE, 3)):
        yield f"\n### {measure[0].upper()}{measure[1:]} of each table\n"
        rows = []
        for table, figures in zip(
            outcomes.tables, outcomes.figures[:, :, place], strict=True
        ):
            rows.append([table, *(f"{value:.{digits}f}" for value in figures)])
        yield from table_lines(["", *outcomes.names], rows)
    yield ""


def page(results: dict[str, Any]) -> str:
    """Return the figures as a page of Markdown."""
    lines = [
        "# Tabular models against others",
        "",
        (
            "Made by `python benchmarks/tables.py`. No table was used to choose"
            f" vecprop's defaults. Figures are means of {3 * results['repeats']} test"
            " parts."
        ),
        "",
        (
            "Models without a remark have default settings. vecprop's default is an"
            " average of networks of several folds,"
        ),
        (
            "with a temperature or weights that are fitted to unseen rows, and most"
            " other defaults are single models. So"
        ),
        (
            "gradient boosting was also run as a careful user runs it (`5 folds`): the"
            " average of five models, each with"
        ),
        (
            "early stopping on a fifth of the rows, and for classes with a temperature"
            " fitted to these unseen rows. No"
        ),
        (
            "model was tuned to a table. RealMLP's default classifier stops by accuracy"
            " and smooths its targets, which"
        ),
        "puts its log loss at a disadvantage.",
        "",
        (
            "CPU seconds are of one thread and contain the preparation; other programs"
            " shared the processor. They are"
        ),
        "given only for models that were measured on the same machine as vecprop.",
        "",
        "![Loss and time](tables.png)",
        "",
        *described(results["machines"]["vecprop"]),
        "",
    ]
    for task in MEASURES:
        lines += section(results, task)
    return "\n".join(lines)


def picture(results: dict[str, Any], path: Path) -> None:
    """Draw the mean rank of each contender over the time that it takes, for contenders with comparable times."""
    from matplotlib.figure import Figure

    from vecprop.pictures.style import colour, marker

    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    styles: dict[str, int] = {}
    for ax, task in zip(axes, MEASURES, strict=True):
        outcomes = measured(results, task)
        loss, _ = MEASURES[task]
        mean_ranks = ranks(outcomes.figures[:, :, LOSS])
        seconds = outcomes.figures[:, :, SECONDS].sum(axis=0)
        for place, name in enumerate(outcomes.names):
            if comparable(results, name):
                number = styles.setdefault(name, len(styles))
                size = 13 if name == "vecprop" else 8
                ax.plot(
                    seconds[place],
                    mean_ranks[place],
                    marker(number),
                    color=colour(number),
                    markersize=size,
                    label=name,
                )
        ax.set(xscale="log", xlabel="CPU seconds for all tables, one thread")
        ax.set(
            ylabel=f"mean rank of {loss}",
            title=f"{task.capitalize()}, {len(outcomes.tables)} tables",
        )
        ax.annotate(
            "better and faster",
            (0.03, 0.04),
            xycoords="axes fraction",
            color="0.4",
            style="italic",
        )
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right")
    figure.savefig(path, dpi=150)

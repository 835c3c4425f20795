"""The report of a gradient check."""

import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from html import escape
from typing import Any

import numpy as np

from ..system.extras import imported
from ..system.suggestions import SuggestsNames


class Verdict(StrEnum):
    """The verdict on a gradient.

    Attributes
    ----------
    FAIL
        The gradient is wrong.
    NONDETERMINISTIC
        Two runs differ.
    INCONCLUSIVE
        Rounding could hide an error.
    KINK
        The one-sided derivatives differ, and the gradient lies between them.
    PASS
        The gradient is correct.

    Examples
    --------
    >>> report = check_gradients(lambda x: ((x**2).sum(), 3 * x), np.array([1.0, 2.0]))
    >>> report.verdict is Verdict.FAIL, report.verdict == "FAIL"
    (True, True)
    """

    FAIL = "FAIL"
    NONDETERMINISTIC = "NONDETERMINISTIC"
    INCONCLUSIVE = "INCONCLUSIVE"
    KINK = "KINK"
    PASS = "PASS"

    @classmethod
    def _worst(cls, verdicts: "list[Verdict]") -> "Verdict":
        """Return the worst of several verdicts."""
        return min(verdicts, key=list(cls).index, default=cls.PASS)


@dataclass(frozen=True)
class Row:
    """The result for one part of the gradient.

    Parameters
    ----------
    name : str
        The name of the part.
    shape : tuple of int
        The shape of its gradient.
    verdict : Verdict
        The verdict.
    error, tolerance : float
        The error and the tolerance of the worst entry. The worst entry has the largest
        ratio of error to tolerance.
    index : tuple of int or None
        The index of the worst entry, or None if the row describes a random direction.
    given, expected : float
        The given and the expected value of the worst entry.
    hidden : float
        Rounding could hide errors below this fraction of the part's largest entry.
    wrong : int or None
        The number of wrong entries, or None if only random directions were checked.
    diagnosis : str
        The explanation of the errors, if one was found.
    note : str
        A remark on the verdict.
    engine : str
        For networks, the engine that computed the gradient: "reference", "compiled" or
        "both".
    largest_error : float
        The largest absolute error of the part.

    Attributes
    ----------
    ratio : float
        The error as a multiple of the tolerance.
    """

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    error: float
    tolerance: float
    index: tuple[int, ...] | None
    given: float
    expected: float
    hidden: float
    wrong: int | None = None
    diagnosis: str = ""
    note: str = ""
    engine: str = ""
    largest_error: float = 0.0

    @property
    def ratio(self) -> float:
        """The error as a multiple of the tolerance."""
        if self.tolerance:
            return self.error / self.tolerance
        return np.inf if self.error else 0.0


@dataclass(frozen=True)
class Taylor:
    """The Taylor remainder along a random direction.

    Parameters
    ----------
    steps, remainder : tuple of float
        The steps t and the remainders R(t); NaN if the function raises.
    noise : float
        The rounding error of R. Smaller remainders are not used.
    slope : float or None
        The slope of log R over log t; None if it is not conclusive.
    remark : str, default ""
        The reason why the slope is not conclusive.
    """

    steps: tuple[float, ...]
    remainder: tuple[float, ...]
    noise: float
    slope: float | None
    remark: str = ""

    def __str__(self) -> str:
        if self.slope is None:
            return f"Taylor remainder: {self.remark}."
        return (
            f"Taylor remainder: slope {self.slope:.2f} (2.00 if the gradient is"
            " correct, near 1 if it is wrong)."
        )


@dataclass(frozen=True)
class WrongLine:
    """The first wrong statement of a backward pass.

    Parameters
    ----------
    file : str
        The file that contains the statement.
    line : int
        The number of the line.
    statement : str
        The text of the line.
    explanation : str, default ""
        The change that makes the gradient right, or the part that is missing.
    """

    file: str
    line: int
    statement: str
    explanation: str = ""

    def __str__(self) -> str:
        text = f"First wrong line, {self.file}, line {self.line}:\n    {self.statement}"
        if self.explanation:
            text += f"\n{self.explanation[0].upper()}{self.explanation[1:]}."
        return text


def _cells(row: Row) -> dict[str, str]:
    """Return the text in each column of a table."""
    return {
        "parameters": row.name,
        "shape": str(row.shape),
        "verdict": str(row.verdict),
        "engine": row.engine,
        "largest error": f"{row.error:.1e}",
        "tolerance": f"{row.tolerance:.1e}",
        "ratio": f"{row.ratio:.2g}",
        "where": "a direction" if row.index is None else str(list(row.index)),
        "given": f"{row.given:.6g}",
        "expected": f"{row.expected:.6g}",
    }


_ON_THE_RIGHT = ("largest error", "tolerance", "ratio", "given", "expected")

_SUMMARY = {
    Verdict.FAIL: "The gradient is wrong",
    Verdict.NONDETERMINISTIC: (
        "Two runs return different results: use a fixed seed (for dropout, pass noise=)"
    ),
    Verdict.INCONCLUSIVE: "Rounding could hide an error",
    Verdict.KINK: (
        "No gradient errors found, but at this kink the gradient is not unique"
    ),
    Verdict.PASS: "No gradient errors found",
}
_COLORS = dict(zip(Verdict, ("red", "magenta", "yellow", "cyan", "green"), strict=True))


class GradientError(AssertionError):
    """A gradient check that did not pass."""


class _Table:
    """The cells of a table of rows as text, and the color of each cell, by line."""

    def __init__(self, title: str, rows: tuple[Row, ...], has_engines: bool):
        self.title = title
        self.columns: list[str] = []
        self.cells: list[list[str]] = []
        self.colors: list[list[str]] = []
        for row in rows:
            cells = _cells(row)
            if not has_engines:
                del cells["engine"]
            self.columns = list(cells)
            self.cells.append(list(cells.values()))
            self.colors.append(
                [
                    _COLORS[row.verdict] if column == "verdict" else ""
                    for column in cells
                ]
            )


@dataclass(frozen=True, repr=False)
class Report(SuggestsNames):
    """The result of a gradient check. ``print`` shows the result as a table.

    Parameters
    ----------
    rows : tuple of Row
        A row for each parameter array.
    method : str
        A description of the method that computed the expected derivatives.
    nearby : tuple of Row, default ()
        The rows of arrays that were also checked at a random point near theta, because
        rounding hides less at this point.
    taylor : Taylor, optional
        The Taylor remainder, a second opinion.
    notes : tuple of str, default ()
        Further notes.
    wrong_line : WrongLine, optional
        The first wrong statement of the backward pass of a function, if it was found.

    Attributes
    ----------
    verdict : Verdict
        The worst verdict of all rows.
    passed : bool
        Whether the verdict is PASS.
    diagnoses : tuple of str
        The distinct explanations of the errors.

    Examples
    --------
    >>> import numpy as np
    >>> from vecprop.check import check_gradients
    >>> report = check_gradients(lambda w: (float(w @ w), 2 * w), np.array([1.0, 2.0]))
    >>> report
    Report(PASS, 1 part)
    >>> report.passed
    True
    """

    rows: tuple[Row, ...]
    method: str
    nearby: tuple[Row, ...] = ()
    taylor: Taylor | None = None
    notes: tuple[str, ...] = ()
    wrong_line: WrongLine | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all rows."""
        return Verdict._worst([row.verdict for row in self.rows])

    @property
    def passed(self) -> bool:
        """Whether the verdict is PASS."""
        return self.verdict is Verdict.PASS

    @property
    def diagnoses(self) -> tuple[str, ...]:
        """The distinct explanations of the errors."""
        return tuple(dict.fromkeys(row.diagnosis for row in self.rows if row.diagnosis))

    def raise_if_failed(self) -> None:
        """Raise a GradientError (an AssertionError) with the report as its message unless the verdict is PASS."""
        if not self.passed:
            raise GradientError("\n" + self.text())

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict that can be saved as JSON; unknown values are None."""
        return {
            "verdict": str(self.verdict),
            "passed": self.passed,
            "method": self.method,
            "rows": [_plain(row) for row in self.rows],
            "nearby": [_plain(row) for row in self.nearby],
            "diagnoses": list(self.diagnoses),
            "taylor_slope": self.taylor.slope if self.taylor else None,
            "notes": list(self.notes),
            "wrong_line": asdict(self.wrong_line) if self.wrong_line else None,
        }

    def to_frame(self) -> Any:
        """Return the rows as a pandas DataFrame."""
        pd = imported("pandas", "Report.to_frame", "tables")
        rows = [{"point": "here", **_plain(row)} for row in self.rows]
        rows += [{"point": "nearby", **_plain(row)} for row in self.nearby]
        return pd.DataFrame(rows)

    def plot(self, ax: Any = None) -> Any:
        """Plot the ratio of error to tolerance of each part; see `vecprop.pictures.plot_gradient_report`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on. By default, a new figure is created.

        Returns
        -------
        matplotlib Axes
        """
        from ..pictures.gradient_report import plot_gradient_report

        return plot_gradient_report(self, ax)

    def _lines(self) -> list[str]:
        """Return the lines below the table."""
        lines = [f"{self.verdict}: {_SUMMARY[self.verdict]} ({self.method})."]
        for kind in ("diagnosis", "note"):
            names_by_text: dict[str, list[str]] = {}
            for row in self.rows:
                text = getattr(row, kind)
                if text:
                    names_by_text.setdefault(text, []).append(row.name)
            for text, names in names_by_text.items():
                parts = ", ".join(names)
                if len(names) > 3:
                    parts = f"{names[0]} and {len(names) - 1} others"
                lines.append(f"{kind.capitalize()}, {parts}: {text}.")
        if self.wrong_line:
            lines.extend(str(self.wrong_line).splitlines())
        if self.taylor:
            lines.append(str(self.taylor))
        return lines + [f"{note}." for note in self.notes]

    def _tables(self) -> list[_Table]:
        has_engines = any(row.engine for row in self.rows)
        tables = [_Table("", self.rows, has_engines)]
        if self.nearby:
            tables.append(_Table("At a random point nearby:", self.nearby, has_engines))
        return tables

    def text(self) -> str:
        """Return the report as plain text."""
        blocks = []
        for table in self._tables():
            lines = [table.columns, *table.cells]
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            texts = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
            blocks.append("\n".join([table.title, *texts]).lstrip())
        return "\n\n".join([*blocks, "\n".join(self._lines())])

    def __str__(self) -> str:
        if not sys.stdout.isatty():
            return self.text()
        try:
            from rich.console import Console
        except ImportError:
            return self.text()
        console = Console(force_terminal=True)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip("\n")

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = []
        for table in self._tables():
            grid = Table(
                title=table.title or None,
                title_justify="left",
                pad_edge=False,
                box=None,
            )
            for column in table.columns:
                grid.add_column(
                    column, justify="right" if column in _ON_THE_RIGHT else "left"
                )
            for colors, cells in zip(table.colors, table.cells, strict=True):
                grid.add_row(*map(Text, cells, colors))
            parts += [grid, Text()]
        summary, *lines = map(Text, self._lines())
        summary.stylize(_COLORS[self.verdict])
        if self.wrong_line:
            for line in lines:
                line.highlight_words([self.wrong_line.statement], style="underline")
        return Group(*parts, summary, *lines)

    def _repr_html_(self) -> str:
        html = []
        for table in self._tables():
            head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
            body = ""
            for colors, cells in zip(table.colors, table.cells, strict=True):
                entries = ""
                for color, cell in zip(colors, cells, strict=True):
                    style = f' style="color:{color}"' if color else ""
                    entries += f"<td{style}>{escape(cell)}</td>"
                body += f"<tr>{entries}</tr>"
            html.append(f"<p>{escape(table.title)}</p>")
            html.append(
                f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            )
        html += [f"<p>{escape(line)}</p>" for line in self._lines()]
        text = "".join(html)
        if self.wrong_line:
            statement = escape(self.wrong_line.statement)
            text = text.replace(statement, f"<u><code>{statement}</code></u>")
        return text

    def __repr__(self) -> str:
        return (
            f"Report({self.verdict}, {len(self.rows)}"
            f" {'parts' if len(self.rows) > 1 else 'part'})"
        )


def _plain(row: Row) -> dict[str, Any]:
    """Return a row as a dict that can be saved as JSON."""
    plain = asdict(row)
    plain["shape"] = list(row.shape)
    plain["index"] = None if row.index is None else list(row.index)
    plain["verdict"] = str(row.verdict)
    plain["ratio"] = row.ratio
    for name, value in plain.items():
        if isinstance(value, float) and not np.isfinite(value):
            plain[name] = None
    return plain

"""Grades of functions: points, mistakes and hints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from .student import plain
from .tasks import TASKS, arguments_of

MISSING = "it is missing"


@dataclass(frozen=True, repr=False)
class Grade:
    """The grade of one function. ``print`` shows the grade in a sentence.

    Parameters
    ----------
    name : str
        The name of the function.
    points, out_of : float
        The points and the maximum. A function with correct results but another mistake
        gets half the points.
    mistake : str
        A description of the mistake. The description is empty if the function is
        correct.
    hints : tuple of str
        Three hints: where to look, the step of the derivation, and a wrong entry with
        its correct value. If the function is correct, there are no hints.
    notes : tuple of str
        Additional notes.
    shown : int
        The number of printed hints.
    judged : bool
        Whether the function was judged. Endless and undefined functions are not judged.
    case : int
        The index of the test arguments used in the last hint.

    Attributes
    ----------
    right : bool
        Whether the function is correct.
    status : str
        "right", "not right yet", "missing" or "not judged".
    message : str
        The status and the printed hints.
    arguments : dict of str to array
        The arguments of the last hint, by name.

    Examples
    --------
    >>> grade = learn.grade(lambda Y, T: T - Y, "error_output")
    >>> grade.right, grade.points, grade.mistake
    (False, 0, 'the sign is wrong')
    >>> print(grade.hint(3))
    Entry [0, 0] is 0.126346, but should be -0.126346, for arguments of the shapes Y (5, 2), T (5, 2).
    >>> list(grade.arguments)
    ['Y', 'T']
    """

    name: str
    points: float
    out_of: float = 1.0
    mistake: str = ""
    hints: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shown: int = 1
    judged: bool = True
    case: int = 0

    @property
    def right(self) -> bool:
        """Whether the function is correct."""
        return not self.mistake

    @property
    def status(self) -> str:
        """The status: "right", "not right yet", "missing" or "not judged"."""
        if not self.judged:
            return "not judged"
        if self.right:
            return "right"
        return "missing" if self.mistake == MISSING else "not right yet"

    def hint(self, level: int) -> str:
        """Return a hint: where to look (1), the derivation (2) or a wrong entry (3)."""
        if level not in (1, 2, 3):
            raise ValueError(f"level must be 1, 2 or 3, got {level!r}.")
        return self.hints[level - 1] if self.hints else f"{self.name} is right."

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the last hint, by name."""
        if self.name not in TASKS:
            return {}
        arguments = arguments_of(TASKS[self.name], self.case)
        return {name: plain(value, False) for name, value in arguments.items()}

    def solution(self) -> str:
        """Return the solution as a NumPy formula."""
        if self.name not in TASKS:
            raise ValueError(
                f"No solution for {self.name}: only the tutorial's functions have"
                " solutions."
            )
        return TASKS[self.name].solution

    def to_dict(self) -> dict[str, Any]:
        """Return the grade as a dictionary of numbers, strings and lists."""
        return {
            "name": self.name,
            "right": self.right,
            "status": self.status,
            "points": self.points,
            "out_of": self.out_of,
            "message": self.message,
            "notes": list(self.notes),
        }

    @property
    def message(self) -> str:
        """The status and the printed hints."""
        if self.right:
            return "right."
        status = "not right yet." if self.judged else "not judged."
        return " ".join([status, *self.hints[: self.shown]])

    def __str__(self) -> str:
        text = f"{self.name}: {self.message}"
        if not self.right:
            text += f" ({shown_points(self.points, self.out_of):g} of {self.out_of:g})"
        return " ".join([text, *self.notes])

    __repr__ = __str__

    def _repr_html_(self):
        return f"<p>{_line(self)}</p>"


@dataclass(frozen=True, eq=False, repr=False)
class Grades(Mapping[str, Grade]):
    """The grades of several functions by name. ``print`` shows one line for each function.

    Parameters
    ----------
    grades : tuple of Grade
        The grades.
    notes : tuple of str
        Notes about the whole file.
    flags : tuple of str
        Warnings for the teacher, such as a use of this library's solutions.

    Attributes
    ----------
    points, out_of : float
        The totals of the points and of the maximum points.
    right : bool
        Whether all functions are correct.
    total : str
        The points as text.

    Examples
    --------
    >>> grades = learn.grade_all({"error_output": lambda Y, T: Y - T}, ["error_output", "loss"])
    >>> grades.points, grades["loss"].mistake
    (1.0, 'it is missing')
    """

    grades: tuple[Grade, ...]
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Grade:
        return {grade.name: grade for grade in self.grades}[name]

    def __iter__(self) -> Iterator[str]:
        return (grade.name for grade in self.grades)

    def __len__(self) -> int:
        return len(self.grades)

    @property
    def points(self) -> float:
        """The total of the points."""
        return sum(grade.points for grade in self.grades)

    @property
    def out_of(self) -> float:
        """The maximum total of the points."""
        return sum(grade.out_of for grade in self.grades)

    @property
    def right(self) -> bool:
        """Whether all functions are correct."""
        return all(grade.right for grade in self.grades)

    def to_dict(self) -> dict[str, Any]:
        """Return all grades as a dictionary of numbers, strings and lists."""
        return {
            "right": self.right,
            "points": self.points,
            "out_of": self.out_of,
            "functions": [grade.to_dict() for grade in self.grades],
            "notes": list(self.notes),
            "flags": list(self.flags),
        }

    @property
    def total(self) -> str:
        """The total of the points as a sentence."""
        return f"{shown_points(self.points, self.out_of):g} of {self.out_of:g} points."

    def __str__(self) -> str:
        return "\n".join([*map(str, self.grades), *self.notes, *self.flags, self.total])

    __repr__ = __str__

    def _repr_html_(self):
        lines = [*map(_line, self.grades), *map(escape, (*self.notes, *self.flags))]
        items = "".join(f"<li>{line}</li>" for line in lines)
        return f"<ul>{items}</ul><p><b>{escape(self.total)}</b></p>"


def shown_points(points: float, out_of: float) -> float:
    """Round points to two decimals, without rounding up to full points."""
    return points if points == out_of else min(round(points, 2), out_of - 0.01)


def _line(grade):
    mark = "✓" if grade.right else "✗"
    return f"{mark} <code>{escape(grade.name)}</code>" + escape(
        str(grade).removeprefix(grade.name)
    )

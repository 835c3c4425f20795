"""What is said of a student's functions: points, the mistake, and hints that come one by one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from .student import plain
from .tasks import TASKS, arguments_of

MISSING = "it is missing"


@dataclass(frozen=True, repr=False)
class Grade:
    """The grade of one function; ``print`` it for a sentence.

    Parameters
    ----------
    name : str
        The function.
    points, out_of : float
        Its points, and the most that it can have: half of them if numbers are right but something beside them is not.
    mistake : str
        What is wrong, in words; empty if nothing is.
    hints : tuple of str
        What to look at, which step of the derivation it is, the entry with both values; empty if nothing is wrong.
    notes : tuple of str
        Further sentences.
    shown : int
        The number of hints that are printed.
    judged : bool
        Whether the function could be judged: not if it does not end, or if the file does not come to define it.
    case : int
        The number of the arguments that the last hint is about.

    Examples
    --------
    >>> found = learn.grade(lambda Y, T: T - Y, "error_output")
    >>> found.right, found.points, found.mistake
    (False, 0, 'the sign is wrong')
    >>> print(found.hint(3))
    Entry [0, 0] is 0.126346, but should be -0.126346, for arguments of the shapes Y (5, 2), T (5, 2).
    >>> list(found.arguments)
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
        """Whether the function is right."""
        return not self.mistake

    @property
    def status(self) -> str:
        """The grade in a word or two: "right", "not right yet", "missing" or "not judged"."""
        if not self.judged:
            return "not judged"
        return "right" if self.right else "missing" if self.mistake == MISSING else "not right yet"

    def hint(self, level: int) -> str:
        """Return a hint: 1 is what to look at, 2 which step of the derivation it is, 3 the entry with both values."""
        if level not in (1, 2, 3):
            raise ValueError(f"There are the hints 1, 2 and 3, not {level!r}.")
        return self.hints[level - 1] if self.hints else f"{self.name} is right."

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that the last hint is about, by their names, to call the function again."""
        known = arguments_of(TASKS[self.name], self.case) if self.name in TASKS else {}
        return {name: plain(value, False) for name, value in known.items()}

    def solution(self) -> str:
        """Return the solution, a formula in NumPy."""
        if self.name not in TASKS:
            raise ValueError(f"There is no solution of {self.name}, only of the tutorial's functions.")
        return TASKS[self.name].solution

    def to_dict(self) -> dict[str, Any]:
        """Return points and message as plain numbers and strings, with the hints that are shown."""
        names = ("name", "right", "status", "points", "out_of", "message")
        return {name: getattr(self, name) for name in names} | {"notes": list(self.notes)}

    @property
    def message(self) -> str:
        """The judgement in a sentence, with the hints that are shown."""
        if self.right:
            return "right."
        return " ".join(["not right yet." if self.judged else "not judged.", *self.hints[: self.shown]])

    def __str__(self) -> str:
        points = "" if self.right else f" ({shown_points(self.points, self.out_of):g} of {self.out_of:g})"
        return " ".join([f"{self.name}: {self.message}{points}", *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{_line(self)}</p>"


@dataclass(frozen=True, eq=False, repr=False)
class Grades(Mapping[str, Grade]):
    """The grades of several functions, by their names; ``print`` it for a line each.

    Parameters
    ----------
    grades : tuple of Grade
        The grades.
    notes : tuple of str
        Sentences on the file as a whole.
    flags : tuple of str
        Sentences for the teacher: the file uses this library, which has the solutions.

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
        """The sum of the points."""
        return sum(grade.points for grade in self.grades)

    @property
    def out_of(self) -> float:
        """The most points that there are."""
        return sum(grade.out_of for grade in self.grades)

    @property
    def right(self) -> bool:
        """Whether all functions are right."""
        return all(grade.right for grade in self.grades)

    def to_dict(self) -> dict[str, Any]:
        """Return points and messages as plain numbers, strings and lists."""
        sums = {name: getattr(self, name) for name in ("right", "points", "out_of")}
        functions = [grade.to_dict() for grade in self.grades]
        return {**sums, "functions": functions, "notes": list(self.notes), "flags": list(self.flags)}

    @property
    def total(self) -> str:
        """The points in words."""
        return f"{shown_points(self.points, self.out_of):g} of {self.out_of:g} points."

    def __str__(self) -> str:
        return "\n".join([*map(str, self.grades), *self.notes, *self.flags, self.total])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        lines = [*map(_line, self.grades), *map(escape, (*self.notes, *self.flags))]
        return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul><p><b>{escape(self.total)}</b></p>"


def shown_points(points: float, out_of: float) -> float:
    """Return points to two decimals; all of them only if none is missing."""
    return min(round(points, 2), out_of if points == out_of else out_of - 0.01)


def _line(grade: Grade) -> str:
    mark = "✓" if grade.right else "✗"
    return f"{mark} <code>{escape(grade.name)}</code>" + escape(str(grade).removeprefix(grade.name))

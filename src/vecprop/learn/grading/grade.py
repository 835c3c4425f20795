"""Grades of functions: right, or what is wrong, in as many hints as are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from ...core.network import Network
from .judging import MISSING, Caller, Judgement, each_task, judged, missing, not_own, unset
from .student import Outcome, call, is_own, plain
from .student_process import StudentProcess, read_source
from .tasks import TASKS, Task, arguments_of


@dataclass(frozen=True, repr=False)
class Grade:
    """The grade of one function; ``print`` it for a sentence.

    Parameters
    ----------
    name : str
        The function.
    points, out_of : float
        Its points, and the most that it can have: half of them for right numbers with a fault beside them.
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
    >>> found = grade(lambda Y, T: T - Y, "error_output")
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
        return {} if self.name not in TASKS else _given(arguments_of(TASKS[self.name], self.case), False)

    def solution(self) -> str:
        """Return the solution, a formula in NumPy."""
        if self.name not in TASKS:
            raise ValueError(f"There is no solution of {self.name}, only of the tutorial's functions.")
        return TASKS[self.name].solution

    def to_dict(self) -> dict[str, Any]:
        """Return points and message as plain numbers and strings, with the hints that are shown."""
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
        """The judgement in a sentence, with the hints that are shown."""
        if self.right:
            return "right."
        return " ".join([f"{self.status if not self.judged else 'not right yet'}.", *self.hints[: self.shown]])

    def __str__(self) -> str:
        points = "" if self.right else f" ({self.points:g} of {self.out_of:g})"
        return " ".join([f"{self.name}: {self.message}{points}", *self.notes])

    def __repr__(self) -> str:
        return str(self)

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
    >>> grades = grade_all({"error_output": lambda Y, T: Y - T}, ["error_output", "loss"])
    >>> grades.points, grades["loss"].mistake
    (1.0, 'it is missing')
    """

    grades: tuple[Grade, ...]
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Grade:
        for grade in self.grades:
            if grade.name == name:
                return grade
        raise KeyError(name)

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
        """The points in words."""
        return f"{self.points:g} of {self.out_of:g} points."

    def __str__(self) -> str:
        return "\n".join([*map(str, self.grades), *self.notes, *self.flags, self.total])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        lines = [_line(grade) for grade in self.grades] + [escape(note) for note in (*self.notes, *self.flags)]
        return "".join(f"<li>{line}</li>" for line in lines).join(("<ul>", f"</ul><p><b>{escape(self.total)}</b></p>"))


def _line(grade: Grade) -> str:
    mark = "✓" if grade.right else "✗"
    return f"{mark} <code>{escape(grade.name)}</code>" + escape(str(grade).removeprefix(grade.name))


def grade(function: Any, name: str | None = None, *, network: Network | None = None, hints: int = 1) -> Grade:
    """Grade one function of the tutorial, or one that computes the loss and gradient of a network.

    Parameters
    ----------
    function : callable
        The function. For a network it takes (theta, X, T) and returns the loss and its gradient, a vector of the shape
        of theta.
    name : str, optional
        Which of the tutorial's functions it should be; by default its own name.
    network : Network, optional
        The network whose loss and gradient it should compute.
    hints : int, default 1
        The number of hints that are printed, 0 to 3: what to look at; which step of the derivation; the entry with
        both values. `Grade.hint` gives each of them later, and `Grade.solution` the solution.

    Returns
    -------
    Grade
        Whatever the function does; only a function that does not end is waited for. `grade_file` does not wait.

    Raises
    ------
    ValueError
        If there is no function of this name in the tutorial.

    Examples
    --------
    >>> def error_hidden(H, Wo, Eo):
    ...     return Eo @ Wo.T
    >>> found = grade(error_hidden)
    >>> found
    error_hidden: not right yet. Look at the factors: compare them one by one with the derivation. (0 of 1)
    >>> found.mistake
    'the slope of the logistic function is missing'
    >>> grade(lambda Y, T: Y - T, "error_output")
    error_output: right.
    """
    _require_hints(hints)
    if network is not None:
        from .network_task import NAME, judged_network

        judgement = judged_network(network, _in_process({NAME: function}))
        return _graded(name or getattr(function, "__name__", NAME), judgement, hints)
    (task,) = each_task([name or getattr(function, "__name__", "")])
    return _grade_of(task, _in_process({task.name: function}), {task.name: function}, {}, hints)


def grade_all(module: Any, names: Sequence[str] | None = None, *, hints: int = 1) -> Grades:
    """Grade the functions of the tutorial in a module, such as an imported one, or ``globals()`` of a notebook.

    Parameters
    ----------
    module : module, mapping or object
        Where the functions are, under the tutorial's names.
    names : sequence of str, optional
        The names of the functions that are graded; all of the tutorial by default.
    hints : int, default 1
        The number of hints that are printed; see `grade`.

    Returns
    -------
    Grades
        The grade of each function; one that is missing has 0 points.

    Examples
    --------
    >>> def loss(Y, T):
    ...     return -np.mean(T * np.log(Y))
    >>> grade_all({"loss": loss}, ["loss", "error_output"])
    loss: not right yet. Look at how large the result is: what is summed, and is it divided by something? (0 of 1)
    error_output: not right yet. It is missing. (0 of 1)
    0 of 2 points.
    """
    _require_hints(hints)
    known = module if isinstance(module, Mapping) else {name: getattr(module, name, None) for name in TASKS}
    functions: dict[str, Any] = {name: known[name] for name in TASKS if callable(known.get(name))}
    return _graded_all(_in_process(functions), functions, names, hints)


def grade_file(
    path: str | Path,
    names: Sequence[str] | None = None,
    *,
    network: Network | None = None,
    hints: int = 1,
    seconds: float = 5,
    megabytes: int = 2048,
) -> Grades:
    """Grade the functions in a student's file, which runs in a process of its own, in an empty folder.

    Parameters
    ----------
    path : str or Path
        A Python file, a notebook, or Markdown with blocks of Python. Every statement is run; one that fails is noted.
    names : sequence of str, optional
        The names of the functions that are graded; all of the tutorial by default.
    network : Network, optional
        The network whose loss and gradient the file's ``loss_and_gradient(theta, X, T)`` computes; only that is graded.
    hints : int, default 1
        The number of hints that are printed; see `grade`.
    seconds : float, default 5
        The processor time for the file without its imports, and for each call of a function. Code that waits for
        something is given up after the same time of waiting.
    megabytes : int, default 2048
        The memory of the process, where the system can limit it.

    Returns
    -------
    Grades
        Endless loops, an end by exit(), missing functions and all else become sentences.

    Raises
    ------
    ValueError
        If it is no Python file, notebook or Markdown.
    OSError
        If it cannot be read.

    Notes
    -----
    All processes that the file starts are ended with it. The process is kept from accidents, not from attacks: it has
    the rights of the user who starts it, and may read files and use the network. What nobody knows should run in a
    container.
    """
    _require_hints(hints)
    text, ending = read_source(Path(path))
    if network is None:
        wanted = [task.name for task in each_task(names)]
        with StudentProcess(text, ending, seconds, megabytes, wanted) as student:
            grades = _graded_all(student.call, student.functions, names, hints, student.notes, student.unset)
            return replace(grades, flags=student.flags)
    from .network_task import NAME, TASK, judged_network

    with StudentProcess(text, ending, seconds, megabytes, [NAME]) as student:
        if NAME in student.functions:
            judgement = judged_network(network, student.call)
        else:
            judgement = unset(TASK, student.unset[NAME]) if NAME in student.unset else missing(TASK)
        return Grades((_graded(NAME, judgement, hints),), tuple(student.notes), student.flags)


def _graded_all(
    caller: Caller,
    there: Mapping[str, Any],
    names: Sequence[str] | None,
    hints: int,
    notes: Sequence[str] = (),
    not_set: Mapping[str, str] | None = None,
) -> Grades:
    """Grade functions that a caller calls; `there` has them, or whether each is the student's own."""
    grades, wrong = [], {}
    for task in each_task(names):
        if task.name not in there and not_set and task.name in not_set:
            grades.append(_graded(task.name, unset(task, not_set[task.name]), hints))
            continue
        graded = _grade_of(task, caller, there, wrong, hints)
        grades.append(graded)
        if not graded.right and task.name in there:
            wrong[task.name] = _as_function(task, caller)
    return Grades(tuple(grades), tuple(notes))


def _grade_of(
    task: Task, caller: Caller, there: Mapping[str, Any], wrong: Mapping[str, Callable[..., Any]], hints: int
) -> Grade:
    if task.name not in there:
        return _graded(task.name, missing(task), hints)
    if there[task.name] is False or not is_own(there[task.name]):
        return _graded(task.name, not_own(task), hints)
    return _graded(task.name, judged(task, caller, wrong), hints)


def _graded(name: str, judgement: Judgement, hints: int) -> Grade:
    found = Grade(name, judgement.share, mistake=judgement.mistake, hints=judgement.hints, notes=judgement.notes)
    return replace(found, shown=hints, judged=judgement.judged, case=judgement.case)


def _in_process(functions: Mapping[str, Callable[..., Any]]) -> Caller:
    buffers: dict[Any, Any] = {}

    def called(name: str, arguments: Mapping[str, Any], lists: bool) -> Outcome:
        return call(functions[name], _given(arguments, lists), buffers)

    return called


def _given(arguments: Mapping[str, Any], lists: bool) -> dict[str, Any]:
    return {name: plain(value, lists) for name, value in arguments.items()}


def _as_function(task: Task, caller: Caller) -> Callable[..., Any]:
    """Return a student's function, as one that others call; it raises if there is no value."""

    def function(*values: Any) -> Any:
        outcome = caller(task.name, dict(zip(task.arguments, values, strict=True)), False)
        if outcome["kind"] != "value":
            raise ValueError(outcome["kind"])
        return outcome["value"]

    return function


def _require_hints(hints: int) -> None:
    if hints not in (0, 1, 2, 3):
        raise ValueError(f"There are 3 hints, so that hints is 0 to 3, not {hints!r}.")


def nbgrader_cell(name: str, points: float = 1) -> dict[str, Any]:
    """Return a test cell of nbgrader, a dict for a notebook of version 4, that gives points for a function.

    The cell prints what is wrong, with the first hint, and its value is the points: half of them for right numbers with
    a fault beside them. It never ends in an error.

    Parameters
    ----------
    name : str
        The function of the tutorial that is graded.
    points : float, default 1
        The most points.

    Examples
    --------
    >>> cell = nbgrader_cell("error_hidden", points=2)
    >>> print(cell["source"])
    from vecprop import learn
    <BLANKLINE>
    grades = learn.grade_all(globals(), ["error_hidden"])
    print(grades["error_hidden"])
    2 * grades.points
    """
    (task,) = each_task([name])
    source = (
        "from vecprop import learn\n\n"
        f'grades = learn.grade_all(globals(), ["{task.name}"])\n'
        f'print(grades["{task.name}"])\n'
        f"{points:g} * grades.points"
    )
    details = {"grade": True, "grade_id": f"test-{task.name}", "locked": True, "points": points, "schema_version": 3}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": f"test-{task.name}".replace("_", "-"),
        "metadata": {"nbgrader": {**details, "solution": False, "task": False, "cell_type": "code"}},
        "outputs": [],
        "source": source,
    }


def otter_test(name: str, points: float = 1) -> str:
    """Return a test file of Otter that gives points for a function; what is wrong is what the test got.

    Parameters
    ----------
    name : str
        The function of the tutorial that is graded.
    points : float, default 1
        The most points.

    Examples
    --------
    >>> names = {}
    >>> exec(otter_test("error_hidden", points=2), names)
    >>> names["test"]["points"]
    2
    """
    (task,) = each_task([name])
    code = (
        ">>> from vecprop import learn\n"
        f'>>> print(learn.grade_all(globals(), ["{task.name}"])["{task.name}"].message)\n'
        "right."
    )
    case = {"code": code, "hidden": False, "locked": False}
    suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
    test = {"name": task.name, "points": points, "suites": [suite]}
    return f"OK_FORMAT = True\n\ntest = {test!r}\n"

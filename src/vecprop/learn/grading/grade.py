"""Grade functions, modules and files, and create test cells for courses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from ...core.network import Network
from .grades import MISSING, Grade, Grades
from .judging import Caller, Wrong, absent, judged
from .student import Outcome, call, is_own
from .student_process import StudentProcess, read_source
from .tasks import TASKS, Task

Judge = Callable[[Task, Caller, Wrong], Grade]


def grade(function: Any, name: str | None = None, *, network: Network | None = None, hints: int = 1) -> Grade:
    """Grade a tutorial function, or a function for a network's loss and gradient.

    Parameters
    ----------
    function : callable
        The function. For a network, it takes (theta, X, T) and returns the loss and the gradient, which has the shape
        of theta.
    name : str, optional
        The name of the tutorial's function; by default the name of the given function.
    network : Network, optional
        The network, for a function that computes its loss and gradient.
    hints : int, default 1
        The number of printed hints from 0 to 3: where to look, the step of the derivation, and a wrong entry.
        `Grade.hint` returns each hint, and `Grade.solution` returns the solution.

    Returns
    -------
    Grade
        An error in the function is reported as a mistake. This call does not stop endless functions; `grade_file` does.

    Raises
    ------
    ValueError
        If the tutorial has no function of this name.

    Examples
    --------
    >>> def error_hidden(H, Wo, Eo):
    ...     return Eo @ Wo.T
    >>> found = grade(error_hidden)
    >>> found
    error_hidden: not right yet. Look at the factors: compare each of them with the derivation. (0 of 1)
    >>> found.mistake
    'the derivative of the logistic function is missing'
    >>> grade(lambda Y, T: Y - T, "error_output")
    error_output: right.
    """
    name = name or str(getattr(function, "__name__", ""))
    (task,), judge = _tasks([name], network)
    found = _graded({task.name: function}, [task], judge, hints).grades[0]
    return replace(found, name=name or task.name)


def grade_all(module: Any, names: Sequence[str] | None = None, *, hints: int = 1) -> Grades:
    """Grade the tutorial's functions in a module or in a notebook's ``globals()``.

    Parameters
    ----------
    module : module, mapping or object
        The functions, with the tutorial's names.
    names : sequence of str, optional
        The names of the graded functions; by default all functions of the tutorial.
    hints : int, default 1
        The number of printed hints; see `grade`.

    Returns
    -------
    Grades
        The grade of each function; missing functions get 0 points.

    Examples
    --------
    >>> def loss(Y, T):
    ...     return -np.mean(T * np.log(Y))
    >>> grade_all({"loss": loss}, ["loss", "error_output"])
    loss: not right yet. Look at the size of the result: what is summed, and is it divided by a number? (0 of 1)
    error_output: not right yet. It is missing. (0 of 1)
    0 of 2 points.
    """
    defined = module if isinstance(module, Mapping) else {name: getattr(module, name, None) for name in TASKS}
    functions: dict[str, Any] = {name: defined[name] for name in TASKS if callable(defined.get(name))}
    return _graded(functions, *_tasks(names), hints)


def grade_file(
    path: str | Path,
    names: Sequence[str] | None = None,
    *,
    network: Network | None = None,
    hints: int = 1,
    seconds: float = 5,
    megabytes: int = 2048,
) -> Grades:
    """Grade the functions in a student's file in a separate process.

    Parameters
    ----------
    path : str or Path
        A Python file, a notebook, or Markdown with Python blocks. All statements run in an empty folder.
    names : sequence of str, optional
        The names of the graded functions; by default all functions of the tutorial.
    network : Network, optional
        Grade only the file's ``loss_and_gradient(theta, X, T)``, for this network.
    hints : int, default 1
        The number of printed hints; see `grade`.
    seconds : float, default 5
        The limit of processor time for the file without its imports, and for each function call. Code that waits is
        stopped after the same time.
    megabytes : int, default 2048
        The memory limit of the process, on systems that support it.

    Returns
    -------
    Grades
        Endless loops, calls to exit(), missing functions and other errors are reported in sentences.

    Raises
    ------
    ValueError
        If the file is not Python, a notebook or Markdown.
    OSError
        If the file cannot be read.

    Notes
    -----
    All processes started by the file are stopped. The process protects against accidents, not against attacks: the
    code has the rights of the current user, so it can read files and use the network. Run untrusted files in a
    container.
    """
    text, ending = read_source(Path(path))
    tasks, judge = _tasks(names, network)
    with StudentProcess(text, ending, seconds, megabytes, [task.name for task in tasks]) as student:
        grades = _judged(tasks, judge, student.call, student.functions, student.unset, hints)
        return replace(grades, notes=tuple(student.notes), flags=student.flags)


def _tasks(names: Sequence[str] | None, network: Network | None = None) -> tuple[list[Task], Judge]:
    """Return the tasks and the function that judges them."""
    if network is not None:
        from .network_task import TASK, judged_network

        return [TASK], partial(judged_network, network)
    names = list(TASKS if names is None else names)
    for name in names:
        if name not in TASKS:
            raise ValueError(f"The tutorial has no function {name!r}: choose from {', '.join(TASKS)}.")
    return [TASKS[name] for name in names], judged


def _graded(functions: Mapping[str, Callable[..., Any]], tasks: Sequence[Task], judge: Judge, hints: int) -> Grades:
    buffers: dict[Any, Any] = {}

    def caller(name: str, arguments: Mapping[str, Any], lists: bool, instead: str = "") -> Outcome:
        return call(functions[name], arguments, lists, buffers, instead)

    own = {name: is_own(function) for name, function in functions.items()}
    return _judged(tasks, judge, caller, own, {}, hints)


def _judged(
    tasks: Sequence[Task], judge: Judge, caller: Caller, own: Mapping[str, bool], unset: Mapping[str, str], hints: int
) -> Grades:
    """Grade functions; `unset` contains the reasons why functions are undefined."""
    if hints not in (0, 1, 2, 3):
        raise ValueError(f"hints must be 0, 1, 2 or 3, got {hints!r}.")

    @cache
    def graded(task: Task) -> Grade:
        if task.name in unset:
            found = absent(task, f"it is not defined: {unset[task.name].rstrip('.')}", "Fix that first.", False)
        elif task.name not in own:
            found = absent(task, MISSING, "Write a function of this name.")
        elif task.name in TASKS and not own[task.name]:
            name = "it is the library's own function"
            found = replace(absent(task, f"{name}: write your own", "Write your own."), mistake=name)
        else:
            found = judge(task, caller, wrong)
        return replace(found, shown=hints)

    def wrong(name: str) -> Callable[..., Any] | None:
        is_wrong = own.get(name) and not graded(TASKS[name]).right
        return partial(_called, caller, TASKS[name]) if is_wrong else None

    return Grades(tuple(map(graded, tasks)))


def _called(caller: Caller, task: Task, *values: Any) -> Any:
    """Call a student's function that another function needs."""
    outcome = caller(task.name, dict(zip(task.arguments, values, strict=True)), False)
    if outcome["kind"] != "value" or isinstance(outcome["value"], tuple):  # the name of an unsupported type
        raise ValueError("The function must return numbers.")
    return outcome["value"]


def nbgrader_cell(name: str, points: float = 1) -> dict[str, Any]:
    """Return an nbgrader test cell that grades a function.

    The cell is a dict in notebook format 4. It prints the mistake with the first hint. Its value is the points.

    Parameters
    ----------
    name : str
        The name of the graded tutorial function.
    points : float, default 1
        The maximum points.

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
    _tasks([name])
    source = f"""from vecprop import learn

grades = learn.grade_all(globals(), ["{name}"])
print(grades["{name}"])
{points:g} * grades.points"""
    details = {"grade": True, "grade_id": f"test-{name}", "locked": True, "points": points, "schema_version": 3}
    metadata = {"nbgrader": {**details, "solution": False, "task": False, "cell_type": "code"}}
    cell = {"cell_type": "code", "id": f"test-{name}".replace("_", "-"), "metadata": metadata, "source": source}
    return {**cell, "execution_count": None, "outputs": []}


def otter_test(name: str, points: float = 1) -> str:
    """Return an Otter test file that grades a function and shows the mistake.

    Parameters
    ----------
    name : str
        The name of the graded tutorial function.
    points : float, default 1
        The maximum points.

    Examples
    --------
    >>> names = {}
    >>> exec(otter_test("error_hidden", points=2), names)
    >>> names["test"]["points"]
    2
    """
    _tasks([name])
    code = f"""\
>>> from vecprop import learn
>>> print(learn.grade_all(globals(), ["{name}"])["{name}"].message)
right."""
    case = {"code": code, "hidden": False, "locked": False}
    suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
    test = {"name": name, "points": points, "suites": [suite]}
    return f"OK_FORMAT = True\n\ntest = {test!r}\n"

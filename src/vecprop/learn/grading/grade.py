"""Grading of a student's functions, one by one, all of a module, or those of a file; and cells for courses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...core.network import Network
from .grades import MISSING, Grade, Grades
from .judging import Caller, absent, judged
from .student import Outcome, call, is_own
from .student_process import StudentProcess, read_source
from .tasks import TASKS, Task

Judge = Callable[[Task, Caller, Mapping[str, Callable[..., Any]]], Grade]


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
    name = name or str(getattr(function, "__name__", ""))
    (task,), judge = _tasks([name], network)
    found = _graded({task.name: function}, [task], judge, hints).grades[0]
    return replace(found, name=name or task.name)


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
    known = module if isinstance(module, Mapping) else {name: getattr(module, name, None) for name in TASKS}
    functions: dict[str, Any] = {name: known[name] for name in TASKS if callable(known.get(name))}
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
    text, ending = read_source(Path(path))
    tasks, judge = _tasks(names, network)
    with StudentProcess(text, ending, seconds, megabytes, [task.name for task in tasks]) as student:
        grades = _judged(tasks, judge, student.call, student.functions, student.unset, hints)
        return replace(grades, notes=tuple(student.notes), flags=student.flags)


def _tasks(names: Sequence[str] | None, network: Network | None = None) -> tuple[list[Task], Judge]:
    """Return what is graded, and how."""
    if network is not None:
        from .network_task import TASK, judged_network

        return [TASK], partial(judged_network, network)
    names = list(TASKS if names is None else names)
    for name in names:
        if name not in TASKS:
            raise ValueError(f"There is no function {name!r} in the tutorial, only {', '.join(TASKS)}.")
    return [TASKS[name] for name in names], judged


def _graded(functions: Mapping[str, Callable[..., Any]], tasks: Sequence[Task], judge: Judge, hints: int) -> Grades:
    buffers: dict[Any, Any] = {}

    def caller(name: str, arguments: Mapping[str, Any], lists: bool) -> Outcome:
        return call(functions[name], arguments, lists, buffers)

    own = {name: is_own(function) for name, function in functions.items()}
    return _judged(tasks, judge, caller, own, {}, hints)


def _judged(
    tasks: Sequence[Task], judge: Judge, caller: Caller, own: Mapping[str, bool], unset: Mapping[str, str], hints: int
) -> Grades:
    """Grade functions that a caller calls: `own` has those that there are, `unset` why others are not."""
    if hints not in (0, 1, 2, 3):
        raise ValueError(f"There are 3 hints, so that hints is 0 to 3, not {hints!r}.")
    grades, wrong = list[Grade](), dict[str, Callable[..., Any]]()
    for task in tasks:
        if task.name in unset:
            found = absent(task, f"it is not defined: {unset[task.name].rstrip('.')}", "Mend that first.", False)
        elif task.name not in own:
            found = absent(task, MISSING, "Write it, under this name.")
        elif task.name in TASKS and not own[task.name]:
            name = "it is the library's own function"
            found = replace(absent(task, f"{name}: write your own", "Write your own."), mistake=name)
        else:
            found = judge(task, caller, wrong)
            if not found.right:
                wrong[task.name] = partial(_called, caller, task)
        grades.append(replace(found, shown=hints))
    return Grades(tuple(grades))


def _called(caller: Caller, task: Task, *values: Any) -> Any:
    """Return what a student's function returns when another calls it."""
    outcome = caller(task.name, dict(zip(task.arguments, values, strict=True)), False)
    if outcome["kind"] != "value" or isinstance(outcome["value"], tuple):  # the name of another type
        raise ValueError("It returns no numbers.")
    return outcome["value"]


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
    _tasks([name])
    code = f"""\
>>> from vecprop import learn
>>> print(learn.grade_all(globals(), ["{name}"])["{name}"].message)
right."""
    case = {"code": code, "hidden": False, "locked": False}
    suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
    test = {"name": name, "points": points, "suites": [suite]}
    return f"OK_FORMAT = True\n\ntest = {test!r}\n"

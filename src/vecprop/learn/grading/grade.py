"""Grade functions, modules and files, and create test cells for courses."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ...core.network import Network
from ...system.suggestions import closest
from .grades import MISSING, Grade, Grades
from .judging import Caller, absent, judged
from .student import call, functions_in
from .student_process import StudentProcess, read_source
from .tasks import TASKS, Task


def grade(
    function: Any,
    name: str | None = None,
    *,
    network: Network | None = None,
    hints: int = 1,
) -> Grade:
    """Grade a tutorial function, or a function for a network's loss and gradient.

    Parameters
    ----------
    function : callable
        The function. For a network, it takes (theta, X, T) and returns the loss and the
        gradient, which has the shape of theta.
    name : str, optional
        The name of the function in the tutorial. By default, this is the name of the
        given function.
    network : Network, optional
        The network, for a function that computes its loss and gradient.
    hints : int, default 1
        The number of printed hints from 0 to 3: where to look, the step of the
        derivation, and a wrong entry. `Grade.hint` returns each hint, and
        `Grade.solution` returns the solution.

    Returns
    -------
    Grade
        The grade. If the function raises an error, the grade reports a mistake. `grade`
        does not stop endless functions. `grade_file` stops endless functions.

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
    if network is None:
        return _graded({name: function}, [name], hints)[name]
    from .network_task import NAME

    result = _graded({NAME: function}, [], hints, network)[NAME]
    return replace(result, name=name or NAME)


def grade_all(
    module: Any, names: Sequence[str] | None = None, *, hints: int = 1
) -> Grades:
    """Grade the tutorial's functions in a module or in a notebook's ``globals()``.

    Parameters
    ----------
    module : module, mapping or object
        The functions, with the tutorial's names.
    names : sequence of str, optional
        The names of the graded functions. By default, all functions of the tutorial are
        graded.
    hints : int, default 1
        The number of printed hints; see `grade`.

    Returns
    -------
    Grades
        The grade of each function. Missing functions get 0 points.

    Examples
    --------
    >>> def loss(Y, T):
    ...     return -np.mean(T * np.log(Y))
    >>> grade_all({"loss": loss}, ["loss", "error_output"])
    loss: not right yet. Look at the size of the result: what is summed, and is it divided by a number? (0 of 1)
    error_output: not right yet. It is missing. (0 of 1)
    0 of 2 points.
    """
    if not isinstance(module, Mapping):
        module = {name: getattr(module, name, None) for name in dir(module)}
    return _graded(module, names, hints)


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
        A Python file, a notebook, or Markdown with Python blocks. All statements run in
        an empty folder.
    names : sequence of str, optional
        The names of the graded functions. By default, all functions of the tutorial are
        graded.
    network : Network, optional
        Grade only the file's ``loss_and_gradient(theta, X, T)``, for this network.
    hints : int, default 1
        The number of printed hints; see `grade`.
    seconds : float, default 5
        The limit of processor time for each function call, and for the file without its
        imports. Code that waits is stopped after the same time.
    megabytes : int, default 2048
        The memory limit of the process, on systems that support it.

    Returns
    -------
    Grades
        Endless loops, calls to exit(), missing functions and other errors are reported
        in sentences.

    Raises
    ------
    ValueError
        If the file is not Python, a notebook or Markdown.
    OSError
        If the file cannot be read.

    Notes
    -----
    All processes that the file starts are stopped. The process protects against
    accidents, but not against attacks. The code has the rights of the current user, so
    it can read files and use the network. Run untrusted files in a container.
    """
    text, ending = read_source(Path(path))
    tasks = _tasks(names, network)
    with StudentProcess(
        text, ending, seconds, megabytes, [task.name for task in tasks]
    ) as student:
        grader = Grader(student.call, student.functions, student.unset, network)
        grades = grader.grades(tasks, hints)
        return replace(grades, notes=tuple(student.notes), flags=student.flags)


def _tasks(names, network=None):
    if network is not None:
        from .network_task import TASK

        return [TASK]
    return [TASKS[name] for name in checked_names(names)]


def checked_names(names: Sequence[str] | None) -> list[str]:
    """Return the names of tutorial functions, all by default."""
    names = list(TASKS if names is None else names)
    for name in names:
        if name not in TASKS:
            raise ValueError(
                f"The tutorial has no function {name!r}: choose from"
                f" {', '.join(TASKS)}."
            )
    return names


def _graded(functions, names, hints, network=None):
    """Grade functions in the current process."""
    tasks = _tasks(names, network)
    buffers = {}

    def caller(name, arguments, lists, instead=""):
        return call(functions[name], arguments, lists, buffers, instead)

    defined = functions_in(functions)
    return Grader(caller, defined, {}, network).grades(tasks, hints)


SYNONYMS = (
    "logistic sigmoid sigma",
    "loss cross_entropy cost",
    "nn forward forward_pass network",
    "nn_predict predict prediction",
    "backprop_gradients backprop backward backpropagation",
    "train fit training",
)
"""Groups of names with one meaning, the names of the tutorial first."""


class Grader:
    """Grades functions, each once.

    `defined` maps the defined functions to whether the student wrote them, and `unset`
    maps undefined functions to reasons.
    """

    def __init__(
        self,
        caller: Caller,
        defined: Mapping[str, bool],
        unset: Mapping[str, str],
        network: Network | None,
    ):
        self.caller = caller
        self.defined = defined
        self.unset = unset
        self.network = network
        self.grade = cache(self._grade)

    def grades(self, tasks: Sequence[Task], hints: int) -> Grades:
        if hints not in (0, 1, 2, 3):
            raise ValueError(f"hints must be 0, 1, 2 or 3, got {hints!r}.")
        return Grades(tuple(replace(self.grade(task), shown=hints) for task in tasks))

    def _grade(self, task):
        name = task.name
        if name in self.unset:
            reason = self.unset[name].rstrip(".")
            return absent(
                task, f"it is not defined: {reason}", "Fix that first.", judged=False
            )
        if name not in self.defined:
            return self._missing(task)
        if self.network is not None:
            from .network_task import judged_network

            return judged_network(self.network, self.caller)
        if not self.defined[name]:
            mistake = "it is the library's own function"
            return replace(
                absent(task, f"{mistake}: write your own", "Write your own."),
                mistake=mistake,
            )
        return judged(task, self.caller, self._is_wrong)

    def _missing(self, task):
        """Grade a missing function, and name a method or a function that may be meant."""
        grade = absent(task, MISSING, "Write a function of this name.")
        methods = []
        others = []
        for name in self.defined:
            if name.endswith(f".{task.name}"):
                methods.append(name)
            elif "." not in name and name not in TASKS:
                others.append(name)
        meant = closest(task.name, others, SYNONYMS)
        if methods:
            words = f"{methods[0]} is a method. Define a function outside of the class."
        elif meant:
            words = f"the function {meant} is defined: did you mean {task.name}?"
        else:
            return grade
        return replace(grade, hints=(f"It is missing, but {words}", *grade.hints[1:]))

    def _is_wrong(self, name):
        """Return whether the student wrote a function that is wrong."""
        return self.defined.get(name, False) and not self.grade(TASKS[name]).right


def nbgrader_cell(name: str, points: float = 1) -> dict[str, Any]:
    """Return an nbgrader test cell that grades a function.

    The cell is a dict in notebook format 4. It prints the mistake with the first hint.
    Its value is the points.

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
    details = {
        "grade": True,
        "grade_id": f"test-{name}",
        "locked": True,
        "points": points,
        "schema_version": 3,
        "solution": False,
        "task": False,
        "cell_type": "code",
    }
    return {
        "cell_type": "code",
        "id": f"test-{name}".replace("_", "-"),
        "metadata": {"nbgrader": details},
        "source": source,
        "execution_count": None,
        "outputs": [],
    }


def otter_test(name: str, points: float = 1) -> str:
    """Return an Otter test file that grades a function and shows the mistake.

    The file contains two test cases with half the points each. A function with half the
    points passes one of the test cases.

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
    grade = f'learn.grade_all(globals(), ["{name}"])["{name}"]'
    cases = []
    for code in (f"print({grade}.message)\nright.", f"{grade}.points >= 0.5\nTrue"):
        cases.append(
            {
                "code": f">>> from vecprop import learn\n>>> {code}",
                "points": points / 2,
                "hidden": False,
                "locked": False,
            }
        )
    suite = {
        "cases": cases,
        "scored": True,
        "setup": "",
        "teardown": "",
        "type": "doctest",
    }
    test = {"name": name, "points": points, "suites": [suite]}
    return f"OK_FORMAT = True\n\ntest = {test!r}\n"

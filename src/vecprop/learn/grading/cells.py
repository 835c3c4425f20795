"""The grade of a function as a test of nbgrader and of Otter, in whose notebooks students write it."""

from typing import Any

from .judging import each_task


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

"""Grades: right functions are right in any style, and each planted mistake has its name."""

import doctest
import math
from itertools import pairwise

import numpy as np
import pytest

import vecprop as vp
from learn.students import RIGHT, RIGHT_NETWORK, WRONG, WRONG_NETWORK
from sampled import sampled
from vecprop import learn
from vecprop.learn import tutorial
from vecprop.learn.grading.tasks import TASKS


def written(name, body, arguments=None):
    """Return a student's function, with right ones beside it."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    names = {"np": np, "math": math, **{other: getattr(tutorial, other) for other in TASKS if other != name}}
    exec(f"def {name}({', '.join(arguments or TASKS[name].arguments)}):\n{lines}", names)
    return names[name]


@pytest.mark.parametrize("name", TASKS)
def test_right_functions_are_right(name):
    grades = {body: learn.grade(written(name, body)) for body in RIGHT[name]}
    assert {body: found.hints for body, found in grades.items() if not found.right} == {}
    for found in grades.values():
        assert str(found) == f"{name}: right."
        assert (found.points, found.hints, found.notes) == (1, (), ())


@pytest.mark.parametrize("name", TASKS)
def test_each_mistake_is_named(name):
    grades = {body: learn.grade(written(name, body)) for body in WRONG[name]}
    misnamed = {body: found for body, found in grades.items() if WRONG[name][body] not in ("", found.mistake)}
    assert {body: (found.mistake, *found.hints) for body, found in misnamed.items()} == {}
    for found in grades.values():
        assert not found.right
        assert len(found.hints) == 3
        assert all(hint.endswith((".", "?")) and "Traceback" not in hint for hint in found.hints)
        assert found.points == (0.5 if found.mistake.endswith("is changed in place") else 0)
        formula = TASKS[name].solution
        assert not any(formula in hint for hint in found.hints if len(formula) > len("Y - T"))


def test_enough_mistakes_are_planted():
    assert sum(1 for bodies in WRONG.values() for name in bodies.values() if name) >= 100
    assert set(RIGHT) == set(WRONG) == set(TASKS)


def test_solutions_are_right_and_given_on_request_only():
    for name, task in TASKS.items():
        *before, last = task.solution.replace(",\n", ", ").replace("\n for", " for").splitlines()
        found = learn.grade(written(name, "\n".join([*before, f"return {last}"])))
        assert found.right, name
        assert found.solution() == task.solution


NETWORK = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy())


def of_network(body):
    return written("loss_and_gradient", body, ("theta", "X", "T"))


@pytest.mark.parametrize("change", sampled(((change,) for change in WRONG_NETWORK), 4))
def test_each_mistake_in_a_networks_gradient_is_named(change):
    assert RIGHT_NETWORK.count(change[0]) == 1
    found = learn.grade(of_network(RIGHT_NETWORK.replace(*change)), network=NETWORK)
    assert not found.right
    assert WRONG_NETWORK[change] in found.mistake
    assert len(found.hints) == 3


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        vp.Network(3, [vp.Dense(4), vp.LayerNorm(), vp.Tanh(), vp.Dense(1)], vp.SquaredError(), vp.L2(0.1)),
        vp.Network(2, [vp.Dense(3), vp.ReLU(), vp.Dense(2)], vp.BinaryCrossEntropy(reduction="sum")),
        vp.Network(2, [vp.Dense(2)], vp.Poisson()),
    ],
)
def test_right_gradients_of_networks_are_right(network):
    assert learn.grade(network.loss_and_gradient, network=network).right

    def in_parts_and_rounded(theta, X, T):
        loss, gradient = network.loss_and_gradient(theta.astype(np.float32), X, T)
        views = network.layout.views(gradient)
        return float(loss), [part for layer in views for part in layer.values()]

    assert learn.grade(in_parts_and_rounded, network=network).right
    if network.penalties:
        bare = vp.Network(network.inputs, network.layers, network.loss_function)
        assert learn.grade(bare.loss_and_gradient, network=network).mistake == "the penalty is left out of the loss"
    if network is NETWORK:
        assert learn.grade(of_network(RIGHT_NETWORK), network=network).right


def test_all_functions_of_a_module_with_what_follows_from_a_mistake():
    functions = {name: written(name, bodies[0]) for name, bodies in RIGHT.items()}
    del functions["error_output"]
    functions["logistic"] = written("logistic", "return 3.7 / (1 + np.exp(-z)) ** 1.3")
    functions["hidden_activations"] = eval("lambda X, Wh, bh: logistic(X @ Wh + bh)", functions)
    functions["loss"] = tutorial.loss
    grades = learn.grade_all(functions)
    assert list(grades) == list(TASKS)
    assert (grades.points, grades.out_of, grades.right) == (10.5, 14, False)
    assert grades["error_output"].mistake == "it is missing"
    assert grades["loss"].mistake == "it is the library's own function"
    assert (
        grades["hidden_activations"].mistake
        == "it is right but for logistic, which it calls and which is not right yet"
    )
    assert str(grades).endswith("10.5 of 14 points.")
    assert grades.to_dict()["functions"][0]["message"].startswith("not right yet. ")
    assert "<li>✓ <code>softmax</code>: right.</li>" in grades._repr_html_()
    module = learn.grade_all(type("Module", (), {"softmax": staticmethod(functions["softmax"])}), ["softmax"])
    assert module.right


def raising(error):
    def loss(Y, T):
        raise error

    return loss


@pytest.mark.parametrize(
    ("function", "mistake"),
    [
        (raising(SystemExit(3)), "it ends the program by exit()"),
        (raising(ZeroDivisionError("division by zero")), "it raises an error"),
        (raising(MemoryError()), "it needs too much memory"),
        (raising(EOFError("EOF when reading a line")), "it asks for input"),
        (raising(NotImplementedError()), "it is not written yet"),
        (raising(ValueError("")), "it raises an error"),
        (lambda Y: Y, "it takes other arguments"),
        (lambda Y, T: (yield Y), "the result is of type generator"),
        (lambda Y, T: "12", "the result is of type str"),
        (lambda Y, T: np.nan, "the result is not finite"),
        (lambda Y, T: 3.25, "the result is the same for other arguments: they are not used"),
        (lambda Y, T: 1.7 * -(T * np.log(Y)).sum(), "every entry is 1.7 times what it should be"),
        (lambda Y, T: 1 if Y > T else 0, "an array is used as a condition"),
        (lambda Y, T: object(), "the result is of type object"),
    ],
)
def test_whatever_a_function_does_becomes_a_sentence(function, mistake):
    found = learn.grade(function, "loss", hints=3)
    assert found.mistake == mistake
    assert "Traceback" not in str(found)
    assert found.points == 0


def test_what_is_printed_is_noted():
    found = learn.grade(written("error_output", "print('here')\nreturn Y - T"))
    assert found.right
    assert str(found) == "error_output: right. It prints something; the result is what it returns."


def test_hints_come_one_by_one():
    function = written("error_hidden", "return Eo @ Wo.T")
    texts = [str(learn.grade(function, hints=count)) for count in range(4)]
    assert texts[0] == "error_hidden: not right yet. (0 of 1)"
    assert all(len(more) > len(less) for less, more in pairwise(texts))
    found = learn.grade(function)
    assert found.hint(1).startswith("Look at the factors")
    assert "∂H/∂Z_h" in found.hint(2)
    value = function(**found.arguments)[0, 0]
    assert f"Entry [0, 0] is {value:.6g}, but should be" in found.hint(3)
    assert learn.grade(tutorial.loss, "loss").to_dict()["message"].startswith("not right yet. It is the library's own")
    for wrong in (0, 4, "1"):
        with pytest.raises(ValueError, match="the hints 1, 2 and 3"):
            found.hint(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="hints is 0 to 3, not 7"):
        learn.grade(function, hints=7)
    with pytest.raises(ValueError, match="There is no function 'lambda_' in the tutorial, only logistic"):
        learn.grade(function, "lambda_")


def test_cells_of_nbgrader_and_otter(capsys):
    cell, names = learn.nbgrader_cell("error_output", points=3), {}
    assert cell["metadata"]["nbgrader"]["points"] == 3
    *before, last = cell["source"].splitlines()
    names = {"error_output": written("error_output", "Y -= T\nreturn Y")}
    exec("\n".join(before), names)
    assert eval(last, names) == 1.5
    assert "Look at what happens to the arguments" in capsys.readouterr().out
    exec(learn.otter_test("loss", points=2), names)
    (case,) = names["test"]["suites"][0]["cases"]
    example = doctest.DocTestParser().get_doctest(case["code"], names, "loss", None, None)
    for body, failed in (("return -(T * np.log(Y)).sum()", 0), ("return -(T * np.log(Y)).mean()", 1)):
        example.globs["loss"] = written("loss", body)
        assert doctest.DocTestRunner(verbose=False).run(example, clear_globs=False).failed == failed
    assert "mean" not in capsys.readouterr().out  # the second hint
    with pytest.raises(ValueError, match="There is no function 'nn' in the tutorial"):
        learn.otter_test("nn")

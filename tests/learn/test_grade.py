"""Test that correct functions are accepted in any style, and that each mistake is named."""

import doctest
import functools
import itertools
import math
from itertools import pairwise

import numpy as np
import pytest

import vecprop as vp
from sampled import sampled
from students import (
    NARROW,
    NETWORK,
    RIGHT,
    RIGHT_NETWORK,
    WRONG,
    WRONG_NETWORK,
    written,
)
from vecprop import learn
from vecprop.learn import tutorial
from vecprop.learn.grading.mistakes import LOOK
from vecprop.learn.grading.tasks import CASES, TASKS, arguments_of, functions


@pytest.mark.parametrize("name", TASKS)
def test_correct_functions_are_accepted(name):
    grades = {body: learn.grade(written(name, body)) for body in RIGHT[name]}
    assert {
        body: found.hints for body, found in grades.items() if not found.right
    } == {}
    for found in grades.values():
        assert str(found) == f"{name}: right."
        assert (found.points, found.hints, found.notes) == (1, (), ())


@pytest.mark.parametrize(
    ("name", "part"), sampled(((name, part) for part in (0, 1) for name in TASKS), 5)
)
def test_each_mistake_is_named(name, part):
    grades = {
        body: learn.grade(written(name, body)) for body in list(WRONG[name])[part::2]
    }
    misnamed = {
        body: found
        for body, found in grades.items()
        if WRONG[name][body] not in ("", found.mistake)
    }
    assert {
        body: (found.mistake, *found.hints) for body, found in misnamed.items()
    } == {}
    for found in grades.values():
        assert not found.right
        assert len(found.hints) == 3
        assert all(
            hint.endswith((".", "?")) and "Traceback" not in hint
            for hint in found.hints
        )
        assert found.points == (
            0.5 if found.mistake.endswith("is changed in place") else 0
        )
        formula = TASKS[name].solution
        assert not any(
            formula in hint for hint in found.hints if len(formula) > len("Y - T")
        )


def test_solutions_are_correct_and_finite_in_all_cases():
    assert len(CASES) >= 8
    for name, task in TASKS.items():
        *before, last = (
            task.solution.replace(",\n", ", ").replace("\n for", " for").splitlines()
        )
        found = learn.grade(written(name, "\n".join([*before, f"return {last}"])))
        assert found.right, name
        assert found.solution() == task.solution
        for case in range(len(CASES)):
            result = functions()[name](*arguments_of(task, case).values())
            assert all(
                np.isfinite(part).all()
                for part in (result if isinstance(result, list) else [result])
            )
        assert str(arguments_of(task, 0)) == str(arguments_of(task, len(CASES) - 1))


@pytest.mark.parametrize(
    ("name", "body", "mistake"),
    sampled(
        (
            (name, body, mistake)
            for name, bodies in NARROW.items()
            for body, mistake in bodies.items()
        ),
        18,
    ),
)
def test_partly_correct_functions_are_wrong(name, body, mistake):
    found = learn.grade(written(name, body))
    assert found.points == 0
    assert mistake in found.mistake


@pytest.mark.parametrize(
    ("body", "mistake"),
    sampled(WRONG_NETWORK.items(), 14),
    ids=range(len(WRONG_NETWORK)),
)
def test_each_mistake_in_a_networks_gradient_is_named(body, mistake):
    found = learn.grade(written("loss_and_gradient", body), network=NETWORK)
    assert not found.right
    assert mistake in found.mistake
    assert len(found.hints) == 3


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        vp.Network(
            3,
            [vp.Dense(4), vp.LayerNorm(), vp.Tanh(), vp.Dense(1)],
            vp.SquaredError(),
            vp.L2(0.1),
        ),
        vp.Network(
            2,
            [vp.Dense(3), vp.ReLU(), vp.Dense(2)],
            vp.BinaryCrossEntropy(reduction="sum"),
        ),
        vp.Network(2, [vp.Dense(2)], vp.Poisson()),
    ],
)
def test_correct_network_gradients_are_accepted(network):
    assert learn.grade(network.loss_and_gradient, network=network).right

    def in_parts_and_rounded(theta, X, T):
        loss, gradient = network.loss_and_gradient(theta.astype(np.float32), X, T)
        views = network.layout.views(gradient)
        return float(loss), [part for layer in views for part in layer.values()]

    assert learn.grade(in_parts_and_rounded, network=network).right
    if network.penalties:
        bare = vp.Network(network.inputs, network.layers, network.loss_function)
        assert (
            learn.grade(bare.loss_and_gradient, network=network).mistake
            == "the penalty is left out of the loss"
        )
    if network is NETWORK:
        assert learn.grade(
            written("loss_and_gradient", RIGHT_NETWORK), network=network
        ).right


def test_a_module_is_graded_with_errors_carried_forward():
    no_numbers = {
        "logistic": lambda z: {1},
        "hidden_activations": lambda X, Wh, bh: 1.0,
    }
    assert learn.grade_all(no_numbers).points == 0
    functions = {name: written(name, bodies[0]) for name, bodies in RIGHT.items()}
    del functions["error_output"]
    functions["logistic"] = written("logistic", "return 3.7 / (1 + np.exp(-z)) ** 1.3")
    functions["hidden_activations"] = eval(
        "lambda X, Wh, bh: logistic(X @ Wh + bh)", functions
    )
    functions["loss"] = tutorial.loss
    grades = learn.grade_all(functions)
    assert list(grades) == list(TASKS)
    assert (grades.points, grades.out_of, grades.right) == (15.5, 19, False)
    assert grades["error_output"].mistake == "it is missing"
    assert grades["loss"].mistake == "it is the library's own function"
    follows = "it is correct except for logistic, which it calls and which is wrong"
    assert grades["hidden_activations"].mistake == follows
    assert str(grades).endswith("15.5 of 19 points.")
    assert grades.to_dict()["functions"][1]["message"].startswith("not right yet. ")
    assert "<li>✓ <code>softmax</code>: right.</li>" in grades._repr_html_()
    Module = type("Module", (), {"softmax": staticmethod(functions["softmax"])})
    module = learn.grade_all(Module, iter(["softmax"]))  # pyright: ignore[reportArgumentType]
    assert module["softmax"].right


@pytest.mark.parametrize(
    "softmax", [lambda z: None, lambda z: z[:, 0], lambda z: 1 / 0]
)
def test_half_the_points_if_only_a_called_function_is_wrong(softmax):
    code = {"softmax": softmax}
    exec("def output_activations(H, Wo, bo):\n    return softmax(H @ Wo + bo)", code)
    found = learn.grade_all(code, ["output_activations"])["output_activations"]
    words = "It is correct except for softmax, which it calls and which is wrong."
    assert str(found) == f"output_activations: not right yet. {words} (0.5 of 1)"
    assert code["softmax"] is softmax
    exec("def output_activations(H, Wo, bo):\n    return softmax(H @ Wo - bo)", code)
    assert learn.grade_all(code, ["output_activations"]).points == 0


def test_a_function_that_repeats_the_mistake_of_another_function_gets_no_points():
    code = dict[str, object](np=np)
    exec("def logistic(z):\n    return 1 / (1 + np.exp(z))", code)
    exec(
        "def hidden_activations(X, Wh, bh):\n    return 1 / (1 + np.exp(X @ Wh + bh))",
        code,
    )
    grades = learn.grade_all(code, ["hidden_activations"])
    mistake = "logistic: the sign in the exponent is wrong"
    assert grades["hidden_activations"].mistake == mistake
    assert grades.points == 0


def test_a_value_that_is_kept_for_each_shape_is_found():
    products = {}

    def hidden_activations(X, Wh, bh):
        product = products.setdefault(X.shape, X @ Wh)
        return 1 / (1 + np.exp(-product - bh))

    grade = learn.grade(hidden_activations)
    assert grade.mistake == (
        "it is correct for the first arguments of each shape, but wrong for the next: it"
        " keeps state between calls"
    )
    assert grade.hint(1) == LOOK["kept"]


def test_a_second_test_does_not_reveal_solutions_of_functions_that_are_graded_later():
    code = dict[str, object](np=np, softmax=lambda z: None, seen={})
    exec(
        "def output_activations(H, Wo, bo):\n    seen.update(globals())\n    return"
        " softmax(H @ Wo + bo)",
        code,
    )
    exec("def loss(Y, T):\n    return seen['loss'](Y, T)", code)
    grades = learn.grade_all(code, ["output_activations", "loss"])
    assert (grades["output_activations"].points, grades["loss"].points) == (0.5, 0)


def test_all_wrong_called_functions_are_named():
    code = dict[str, object](np=np)
    for name in ("error_output", "error_hidden", "gradient_bias_out"):
        code[name] = lambda *args: None
    for name in set(TASKS) - code.keys():
        exec(TASKS[name].source, code)
    found = learn.grade_all(code, ["backprop_gradients"])["backprop_gradients"]
    called = "error_output, gradient_bias_out and error_hidden"
    assert (
        found.hint(1)
        == f"It is correct except for {called}, which it calls and which are wrong."
    )


def test_hints_are_revealed_one_by_one():
    function = written("error_hidden", "return Eo @ Wo.T")
    texts = [str(learn.grade(function, hints=count)) for count in range(4)]
    assert texts[0] == "error_hidden: not right yet. (0 of 1)"
    printed = learn.grade(written("error_output", "print('here')\nreturn Y - T"))
    assert (
        str(printed)
        == "error_output: right. It prints something; only the returned value counts."
    )
    assert all(len(more) > len(less) for less, more in pairwise(texts))
    found = learn.grade(function)
    assert found.hint(1).startswith("Look at the factors")
    assert "∂H/∂Z_h" in found.hint(2)
    value = function(**found.arguments)[0, 0]
    assert f"Entry [0, 0] is {value:.6g}, but should be" in found.hint(3)
    message = learn.grade(tutorial.loss, "loss").to_dict()["message"]
    assert message == "not right yet. It is the library's own function: write your own."
    for wrong in (0, 4, "1"):
        with pytest.raises(ValueError, match="level must be 1, 2 or 3"):
            found.hint(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="hints must be 0, 1, 2 or 3, got 7"):
        learn.grade(function, hints=7)
    with pytest.raises(
        ValueError, match="The tutorial has no function 'lambda_': choose from one_hot"
    ):
        learn.grade(function, "lambda_")


def passes(case, names):
    example = doctest.DocTestParser().get_doctest(case["code"], names, "", None, None)
    runner = doctest.DocTestRunner(verbose=False)
    return not runner.run(example, clear_globs=False).failed


def test_cells_of_nbgrader_and_otter(capsys):
    cell, names = learn.nbgrader_cell("error_output", points=3), {}
    assert cell["metadata"]["nbgrader"]["points"] == 3
    *before, last = cell["source"].splitlines()
    names = {"error_output": written("error_output", "Y -= T\nreturn Y")}
    exec("\n".join(before), names)
    assert eval(last, names) == 1.5
    assert "Look at what happens to the arguments" in capsys.readouterr().out
    exec(learn.otter_test("loss", points=2), names)
    cases = names["test"]["suites"][0]["cases"]
    for body, points in (
        ("return -(T * np.log(Y)).sum()", 2),
        ("T *= np.log(Y)\nreturn -T.sum()", 1),
        ("return -(T * np.log(Y)).mean()", 0),
    ):
        names["loss"] = written("loss", body)
        assert sum(case["points"] for case in cases if passes(case, names)) == points
    assert "mean" not in capsys.readouterr().out  # the second hint
    with pytest.raises(ValueError, match="The tutorial has no function 'net'"):
        learn.otter_test("net")


def test_similar_names_and_methods_are_suggested_for_missing_functions():
    class Net:
        def softmax(self, z):
            return z

    names = {"eror_hidden": len, "Loss": len, "sigmoid": len, "Net": Net}
    hints = {name: grade.hint(1) for name, grade in learn.grade_all(names).items()}
    meant = "It is missing, but the function {} is defined: did you mean {}?"
    for name, defined in (
        ("error_hidden", "eror_hidden"),
        ("loss", "Loss"),
        ("logistic", "sigmoid"),
    ):
        assert hints[name] == meant.format(defined, name)
    assert hints["softmax"] == (
        "It is missing, but Net.softmax is a method. Define a function outside of the"
        " class."
    )
    assert hints["train"] == "It is missing."
    assert learn.grade_all(names)["loss"].status == "missing"


def test_numerical_derivatives_of_a_network_get_no_points():
    def loss_and_gradient(theta, X, T):
        steps = 1e-6 * np.eye(len(theta))
        differences = [
            NETWORK.loss(theta + step, X, T) - NETWORK.loss(theta - step, X, T)
            for step in steps
        ]
        return NETWORK.loss(theta, X, T), np.array(differences) / 2e-6

    grade = learn.grade(loss_and_gradient, network=NETWORK)
    assert (grade.points, grade.mistake) == (
        0,
        "it is a numerical derivative, not the result of backpropagation",
    )


def test_descriptions_of_unexplained_results_are_sentences():
    named = learn.grade(written("logistic", "return 1 / (1 + np.exp(-z + 1e-3))"))
    assert named.mistake == "0.001 is subtracted from z"
    named = learn.grade(written("loss", "return -np.nansum(T / Y)"))
    assert named.mistake == "1 / Y is used instead of log(Y)"
    body = "return [P + 0.02 * M for P, M in zip(ls_of_params, Ms)]"
    words = (
        "in each part of the list 0.98 times Ms is subtracted from what it should be"
    )
    assert learn.grade(written("update_params", body)).mistake == words
    one = learn.grade(written("update_params", "return [ls_of_params[0]]"))
    assert "1 part" in one.mistake + one.hint(3)
    assert "1 parts" not in one.mistake + one.hint(3)


def test_arguments_are_judged_first_and_unexplained_entries_are_shown():
    found = learn.grade(written("error_output", "return Y - T", arguments=("T", "Y")))
    assert found.mistake == "its arguments are in another order: (T, Y), not (Y, T)"
    assert learn.grade(lambda Y: Y, "loss").mistake == "it has the wrong arguments"
    found = learn.grade(
        written(
            "error_output", "E = Y - T\nE[Y.argmax(1) == T.argmax(1)] = 0\nreturn E"
        )
    )
    value = found.arguments["Y"] - found.arguments["T"]
    assert found.hint(1) == f"Entry [0, 0] is 0, but should be {value[0, 0]:.6g}."
    assert "6 of 10 entries are wrong" in found.mistake
    found = learn.grade(written("gradient_bias_out", "return np.squeeze(Eo).sum(0)"))
    assert found.arguments["Eo"].shape == (1, 2)
    assert "for arguments of the shapes Eo (1, 2): one row" in found.hint(3)


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(lambda k, z: 1 / (1 + np.exp(-k * z)), 1.0),
        np.vectorize(lambda x: 1 / (1 + math.exp(-x))),
        lambda z, *, steepness=1.0: 1 / (1 + np.exp(-steepness * z)),
        lambda *z: np.matrix(1 / (1 + np.exp(-z[0]))),
        lambda z: 1 / (1 + np.exp(-np.clip(z, -20, 20))),
        lambda z: 1 / (1 + np.exp(-z.astype(complex))),
        lambda z: np.float32(1) / (1 + np.exp(-z.astype(np.float32))),
    ],
)
def test_any_callable_and_numeric_type_is_graded(function):
    assert learn.grade(function, "logistic").points == 1


@pytest.mark.parametrize("small", [1e-6, 1e-8])
def test_small_numbers_instead_of_zeros_are_accepted(small):
    assert learn.grade(lambda Y, T: -(T * np.log(Y + small)).sum(), "loss").right
    assert learn.grade(
        lambda Y, T: -(T * np.log(np.clip(Y, small, 1 - small))).sum(), "loss"
    ).right
    if small < 1e-7:
        assert learn.grade(
            lambda z: np.exp(z) / (np.exp(z).sum(1, keepdims=True) + small), "softmax"
        ).right


@pytest.mark.long
def test_tensors_with_gradients_are_accepted():
    torch = pytest.importorskip("torch")

    def backprop_gradients(X, T, *parameters):
        P = [torch.tensor(parameter, requires_grad=True) for parameter in parameters]
        Z = torch.sigmoid(torch.tensor(X) @ P[0] + P[1]) @ P[2] + P[3]
        (-(torch.tensor(T) * torch.log_softmax(Z, 1)).sum()).backward()
        return [p.grad for p in P]

    assert learn.grade(backprop_gradients).right
    assert learn.grade(
        lambda Y, T: torch.tensor(Y, requires_grad=True) - torch.tensor(T),
        "error_output",
    ).right


def by_turns(*values):
    turns = itertools.cycle(values)
    return lambda *args: next(turns)


RAGGED = [np.ones(2), np.ones(3)]
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("name", "function", "mistake"),
    [
        (
            "update_params",
            lambda *args: [None, None, args[0][2], args[1][0]],
            "the numbers are wrong",
        ),
        ("update_params", lambda *args: [{"a": 1}] * 4, "the numbers are wrong"),
        (
            "gradient_bias_out",
            lambda Eo: Eo + RANDOM.normal(size=Eo.shape),
            "a second call with the same arguments",
        ),
        (
            "gradient_bias_out",
            by_turns(np.ones((1, 2)), RAGGED),
            "the shape of the result is wrong",
        ),
        (
            "error_output",
            lambda Y, T, seen=[]: (seen.append(Y - T), seen[-2:][0])[1],
            "a second call",
        ),
        (
            "error_output",
            lambda Y, T: 1 / 0 if len(Y) == 4 else Y - T + RANDOM.normal(),
            "a second call with the same",
        ),
        (
            "loss_and_gradient",
            lambda *args: (RAGGED, np.ones(3)),
            "the loss is not one number",
        ),
        (
            "loss_and_gradient",
            lambda *args: (RAGGED, None),
            "the loss is not one number",
        ),
    ],
)
def test_no_result_makes_grading_raise(name, function, mistake):
    found = learn.grade(
        function, name, network=NETWORK if name == "loss_and_gradient" else None
    )
    assert mistake in found.mistake
    assert len(found.hints) == 3


@pytest.mark.parametrize(("share", "mistake"), sampled([
    (lambda theta, X: np.sum(theta[:12] ** 2) / np.sum(np.r_[theta[:12], theta[16:24]] ** 2),
     "the penalty includes only layer 0 (Dense) W"),
    (lambda theta, X: 1 / len(X), "the penalty is divided by N, the number of rows"),
]))  # fmt: skip
def test_mistakes_in_penalties_are_named(share, mistake):
    layers = [vp.Dense(4), vp.Tanh(), vp.Dense(2)]
    bare, penalized = (
        vp.Network(3, layers, vp.SquaredError(), *penalty)
        for penalty in ((), (vp.L2(0.1),))
    )

    def loss_and_gradient(theta, X, T):
        loss, gradient = penalized.loss_and_gradient(theta, X, T)
        without = bare.loss(theta, X, T)
        return without + share(theta, X) * (loss - without), gradient

    assert learn.grade(loss_and_gradient, network=penalized).mistake == mistake


def test_gradients_that_accumulate_or_are_not_finite():
    total = np.zeros(NETWORK.layout.size)

    def accumulating(theta, X, T):
        loss, gradient = NETWORK.loss_and_gradient(theta, X, T)
        np.add(total, gradient, out=total)
        return loss, total

    cache = {}
    cached = learn.grade(
        lambda *args: cache.setdefault(args[1].shape, NETWORK.loss_and_gradient(*args)),
        network=NETWORK,
    )
    assert cached.mistake.startswith(
        "losses of an earlier call are returned for other arguments"
    )
    assert cached.hint(1) == LOOK["kept"]
    for _ in range(2):
        assert (
            "gradients of earlier calls are added"
            in learn.grade(accumulating, network=NETWORK).mistake
        )

    def loss_and_gradient(theta, X, T):
        loss, gradient = NETWORK.loss_and_gradient(theta, X, T)
        gradient[7] = np.nan
        return loss, gradient

    found = learn.grade(loss_and_gradient, network=NETWORK)
    assert found.mistake == "the gradient of layer 0 (Dense) b is not finite"

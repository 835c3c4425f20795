"""Functions that are right only on the tutorial's shapes and numbers, or at their first call; and true hints."""

import functools
import math

import numpy as np
import pytest

import vecprop as vp
from learn.students import RIGHT_NETWORK
from sampled import sampled
from vecprop import learn
from vecprop.learn import tutorial
from vecprop.learn.grading.tasks import CASES, TASKS, arguments_of, functions

HIDDEN = "H = hidden_activations(X, Wh, bh)\n"
FORWARD = HIDDEN + "Y = output_activations(H, Wo, bo)\n"
BACK = "Eo = Y - T\nEh = H * (1 - H) * (Eo @ Wo.T)\nJs = [X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0)]\n"
GRADIENTS = "Js = backprop_gradients(X, T, *ls_of_params)\n"
STEP = "return [momentum_term * M - learning_rate * J for M, J in zip(Ms, Js)]"


def written(name, body, before="", arguments=None):
    """Return a student's function, with right ones around it."""
    names = {"np": np, "math": math, **{other: getattr(tutorial, other) for other in TASKS if other != name}}
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    exec(f"{before}\ndef {name}({', '.join(arguments or TASKS[name].arguments)}):\n{lines}", names)
    return names[name]


KEPT = "something is kept"
WRONG = [
    (
        "logistic",
        "z = np.clip(z, -5, 5)\nreturn 1 / (1 + np.exp(-z))",
        "numbers below 0.00669285 and above 0.993307 are cut off",
    ),
    ("logistic", "z = np.clip(z, -10, 10)\nreturn 1 / (1 + np.exp(-z))", "numbers below 4.53979e-05"),
    ("logistic", "return (1 / (1 + np.exp(-z))).squeeze()", "has the shape (2,) for one row"),
    ("logistic", "return 2 / (1 + np.exp(-z)) - 1", "2 times the right number minus 1"),
    ("logistic", "return np.round(1 / (1 + np.exp(-z)), 2)", "rounded to 2 decimals"),
    ("softmax", "z = np.clip(z, -20, 20)\nreturn np.exp(z) / np.exp(z).sum(1)[:, None]", "z is at most some number"),
    ("softmax", "return np.exp(z) / (np.exp(z[:, :1]) + np.exp(z[:, 1:2]))", "three classes"),
    ("softmax", "E = np.exp(z / 2)\nreturn E / E.sum(1)[:, None]", "z is halved"),
    ("hidden_activations", "return logistic(np.clip(X @ Wh + bh, -5, 5))", "numbers below 0.00669285"),
    ("hidden_activations", "return logistic((X - X.mean(0)) @ Wh + bh)", "means of its columns are subtracted from X"),
    ("output_activations", "return softmax(H @ Wo + bo)[:, ::-1]", "the columns are in reverse order"),
    ("loss", "return -(T * np.log(np.clip(Y, 0.1, 0.9))).sum()", "Y is cut off at 0.1 and 1 - 0.1"),
    ("loss", "return -(T * np.log(np.minimum(Y, 0.9))).sum()", "Y is at most 0.9"),
    ("loss", "return -0.5 * (T * np.log(Y)).sum()", "a factor 2 is missing"),
    ("loss", "return -((1 - T) * np.log(Y)).sum()", "1 - T is taken instead of T"),
    ("loss", "return -np.log(T * Y).sum()", "the logarithm is taken of the product"),
    ("loss", "return -(T * np.log(Y)).mean(0).sum() * 5", "it is right for 5 rows, but wrong for 4 rows"),
    ("loss", "return -(Y * np.log(T + 1e-9)).sum()", "T and Y are swapped"),
    ("error_output", "return Y - T.T", "T is transposed"),
    ("error_output", "return (Y - T,)", "holds the array"),
    ("error_output", "return (Y - T) * (1 + 1j)", "complex numbers"),
    ("error_output", "return (Y - T).astype(str)", "texts"),
    ("error_output", "return np.squeeze(Y - T)", "has the shape (2,) for one row"),
    ("gradient_weight_out", "return np.clip(H.T @ Eo, -5, 5)", "numbers below -5 and above 5 are cut off"),
    ("gradient_weight_out", "return np.clip(H.T @ Eo, -100, 100)", "below -100 and above 100 are cut off"),
    ("gradient_weight_out", "return 1 + H.T @ Eo", "the right number plus 1"),
    ("gradient_weight_out", "return np.round(H.T @ Eo, 4)", "rounded to 4 decimals"),
    ("gradient_weight_out", "return H[:32].T @ Eo[:32]", "only the first 32 rows are used"),
    ("gradient_bias_out", "return np.clip(Eo.sum(0), -1, 1)", "numbers below -1 and above 1 are cut off"),
    ("gradient_bias_out", "return np.squeeze(Eo).sum(0)", "has the shape () for one row"),
    ("error_hidden", "return np.maximum(H * (1 - H), 0.01) * (Eo @ Wo.T)", "H * (1 - H) is at least 0.01"),
    ("error_hidden", "return H * (1 - H) * (Eo @ Wo[::-1].T)", "the rows of Wo are in reverse order"),
    ("gradient_weight_hidden", "return X.reshape(X.shape[::-1]) @ Eh", "reshaped where it should be transposed"),
    ("backprop_gradients", FORWARD + BACK + "return [np.clip(J, -5, 5) for J in Js]", "are cut off"),
    ("backprop_gradients", FORWARD + BACK + "return [Js[0] / len(X), Js[1] / len(X), *Js[2:]]", "parts 0 and 1 of the"),
    ("backprop_gradients", FORWARD + BACK + "return [X.T @ Eh, Eh.mean(0), H.T @ Eo, Eo.mean(0)]", "divided by N"),
    (
        "update_momentum",
        GRADIENTS + "return [0.9 * M - 0.02 * J for M, J in zip(Ms, Js)]",
        "for each momentum_term and learning_rate it is 0.9 M -0.02 J",
    ),
    ("update_momentum", GRADIENTS + "return [0.95 * M - 0.03 * J for M, J in zip(Ms, Js)]", "it is 0.95 M -0.03 J"),
    (
        "update_momentum",
        GRADIENTS + "momentum_term = momentum_term or 0.9\n" + STEP,
        "with momentum_term 0 and learning_rate 0.001 it is 0.9 M",
    ),
    (
        "update_momentum",
        GRADIENTS + "learning_rate = min(learning_rate, 0.9)\n" + STEP,
        "learning_rate 1 it is 0.6 M -0.9 J",
    ),
    ("logistic", "return z / (1 + np.exp(-z))", "it is multiplied by z"),
    ("logistic", "return 1 / (1 + 2.7 ** -z)", "the power of 2.7 by -z is taken instead of exp(-z)"),
    ("softmax", "return z**2 / (z**2).sum(1, keepdims=True)", "z is squared instead of exp(z)"),
    (
        "loss",
        "T = 0.9 * T + 0.1 / T.shape[1]\nreturn -(T * np.log(Y)).sum()",
        "0.1 times the mean of each row is mixed into T",
    ),
    ("error_output", "E = Y - T\nE[np.abs(E) < 1e-3] = 0\nreturn E", "for large numbers"),
    (
        "gradient_weight_out",
        "return H[::-1].T @ Eo",
        "the rows of H are in reverse order or the rows of Eo are in reverse",
    ),
    ("gradient_bias_out", "return np.median(Eo, axis=0)", "median is taken instead of the sum"),
    ("error_hidden", "return (H * (1 - H) + 0.1) * (Eo @ Wo.T)", "0.1 is added to H * (1 - H)"),
    ("update_params", "return [P + 1.9 * M for P, M in zip(ls_of_params, Ms)]", "0.9 times Ms is added"),
]
STATE = [
    (
        "logistic",
        "if z.shape not in C:\n    C[z.shape] = 1 / (1 + np.exp(-z))\nreturn C[z.shape]",
        "wrong for the next",
    ),
    ("logistic", "if id(z) not in C:\n    C[id(z)] = 1 / (1 + np.exp(-z))\nreturn C[id(z)]", ""),
    ("hidden_activations", "W = C.setdefault(Wh.shape, Wh)\nreturn logistic(X @ W + bh)", ""),
    ("error_output", "C[Y.shape] = C.get(Y.shape, 0) + Y - T\nreturn C[Y.shape]", "results of earlier calls are added"),
    ("error_output", "C[len(C)] = 1\nreturn Y - T if len(C) % 2 else T - Y", "a second call with the same arguments"),
    ("update_momentum", GRADIENTS + "Ms = C.get(Js[2].shape, Ms)\nC[Js[2].shape] = Ms\n" + STEP, ""),
    (
        "backprop_gradients",
        HIDDEN + "H = C.setdefault((X.shape, H.shape), H)\n" + FORWARD.removeprefix(HIDDEN) + BACK + "return Js",
        "",
    ),
]


@pytest.mark.parametrize(("name", "body", "mistake"), sampled(WRONG), ids=range(len(WRONG)))
def test_narrow_functions_are_wrong_and_why(name, body, mistake):
    found = learn.grade(written(name, body), name)
    assert found.points == 0
    assert mistake in found.mistake


@pytest.mark.parametrize(("name", "body", "mistake"), sampled(STATE), ids=range(len(STATE)))
def test_what_is_kept_between_calls_is_wrong(name, body, mistake):
    found = learn.grade(written(name, body, "C = {}"), name)
    assert found.points == 0
    assert mistake in found.mistake
    if mistake:
        assert KEPT in found.mistake


def test_arguments_in_another_order_are_no_wrong_sign():
    found = learn.grade(written("error_output", "return Y - T", arguments=("T", "Y")))
    assert found.mistake == "its arguments are in another order: (T, Y), not (Y, T)"


def test_the_first_hint_has_the_entry_if_nothing_explains_it():
    found = learn.grade(written("error_output", "E = Y - T\nE[Y.argmax(1) == T.argmax(1)] = 0\nreturn E"))
    value = found.arguments["Y"] - found.arguments["T"]
    assert found.hint(1) == f"Entry [0, 0] is 0, but should be {value[0, 0]:.6g}."
    assert "6 of 10 entries are wrong" in found.mistake


def test_the_arguments_are_those_of_the_last_hint():
    found = learn.grade(written("gradient_bias_out", "return np.squeeze(Eo).sum(0)"))
    assert found.arguments["Eo"].shape == (1, 2)
    assert "for arguments of the shapes Eo (1, 2): one row" in found.hint(3)


def test_cases_are_varied_and_all_right_results_are_finite():
    assert len(CASES) >= 8
    for name, task in TASKS.items():
        for case in range(len(CASES)):
            result = functions()[name](*arguments_of(task, case).values())
            assert all(np.isfinite(part).all() for part in (result if isinstance(result, list) else [result]))
        first, last = arguments_of(task, 0), arguments_of(task, len(CASES) - 1)
        assert str(first) == str(last)


class Callable:
    def __call__(self, z):
        return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize(
    "function",
    [
        Callable(),
        functools.partial(lambda k, z: 1 / (1 + np.exp(-k * z)), 1.0),
        np.vectorize(lambda x: 1 / (1 + math.exp(-x))),
        lambda z, *, steepness=1.0: 1 / (1 + np.exp(-steepness * z)),
        lambda *z: np.matrix(1 / (1 + np.exp(-z[0]))),
        lambda z: 1 / (1 + np.exp(-np.clip(z, -20, 20))),
        lambda z: 1 / (1 + np.exp(-z.astype(complex))),
        lambda z: np.float32(1) / (1 + np.exp(-z.astype(np.float32))),
    ],
)
def test_any_callable_and_any_type_of_number(function):
    assert learn.grade(function, "logistic").points == 1


@pytest.mark.parametrize("small", [1e-6, 1e-7, 1e-8, 1e-12])
def test_small_numbers_against_zeros_are_right(small):
    assert learn.grade(lambda Y, T: -(T * np.log(Y + small)).sum(), "loss").right
    assert learn.grade(lambda Y, T: -(T * np.log(np.clip(Y, small, 1 - small))).sum(), "loss").right
    if small < 1e-7:
        assert learn.grade(lambda z: np.exp(z) / (np.exp(z).sum(1, keepdims=True) + small), "softmax").right


@pytest.mark.long
def test_tensors_with_gradients_are_right():
    torch = pytest.importorskip("torch")

    def backprop_gradients(X, T, *parameters):
        P = [torch.tensor(parameter, requires_grad=True) for parameter in parameters]
        Z = torch.sigmoid(torch.tensor(X) @ P[0] + P[1]) @ P[2] + P[3]
        (-(torch.tensor(T) * torch.log_softmax(Z, 1)).sum()).backward()
        return [p.grad for p in P]

    def loss_and_gradient(theta, X, T):
        t = torch.tensor(theta, requires_grad=True)
        d = torch.tensor(X) @ t[:2].reshape(2, 1) + t[2:] - torch.tensor(T)
        loss = 0.5 * (d**2).sum()
        loss.backward()
        return loss, t.grad

    assert learn.grade(backprop_gradients).right
    assert learn.grade(lambda Y, T: torch.tensor(Y, requires_grad=True) - torch.tensor(T), "error_output").right
    network = vp.Network(2, [vp.Dense(1)], vp.SquaredError(reduction="sum"))
    assert learn.grade(loss_and_gradient, network=network).right


NETWORK = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
PENALIZED = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SquaredError(), vp.L2(0.1))
END = "[(X.T @ e).ravel(), e.sum(axis=0), (H.T @ d).ravel(), d.sum(axis=0)]"


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    sampled(
        [
            ("N = len(X)", "N = 7", "N is always 7"),
            ("np.log(Y)", "np.log(np.clip(Y, 0.1, 0.9))", "Y is cut off at 0.1 and 1 - 0.1"),
            ("-(X @ Wh + bh)", "-np.clip(X @ Wh + bh, -5, 5)", "the output of layer 0 (Dense) is cut off at -5 and 5"),
            ("return loss, np.concatenate", "return loss, 3 * 0 + np.tanh(0) + np.clip(np.concatenate", ""),
            ("theta[:6].reshape(2, 3)", "theta[:6].reshape(3, 2).T", "layer 0 (Dense) W is read column by column"),
            ("X @ Wh + bh", "X @ Wh", "layer 0 (Dense) b is left out"),
            (
                "1 / (1 + np.exp(-(X @ Wh + bh)))",
                "np.tanh(X @ Wh + bh)",
                "layer 1 (Logistic) is Tanh in the forward pass",
            ),
            ("axis=1, keepdims=True", "axis=0", "the softmax is taken over the rows"),
            (
                END,
                "[e.sum(axis=0), (X.T @ e).ravel(), d.sum(axis=0), (H.T @ d).ravel()]",
                "bias of each layer comes before",
            ),
            (
                END,
                "[e.sum(axis=0), (X.T @ e).ravel(), (H.T @ d).ravel(), d.sum(axis=0)]",
                "another order than theta: layer 0",
            ),
            ("np.concatenate(" + END + ")", "np.concatenate(" + END + ") + 0.01 * theta", "0.01 times theta is added"),
            ("(d @ Wo.T)", "(d @ np.abs(Wo).T)", "the absolute value of layer 2 (Dense) W on the way back is taken"),
            ("return loss, np.concatenate(" + END + ")", "return np.concatenate(" + END + "), loss", "before the loss"),
        ]
    ),
)
def test_narrow_and_named_mistakes_of_networks(old, new, mistake):
    body = RIGHT_NETWORK.replace(old, new)
    if "np.clip(np.concatenate" in new:
        body, mistake = body.removesuffix(")") + "), -1, 1)", "the gradient is cut off at -1 and 1"
    found = learn.grade(written("loss_and_gradient", body, arguments=("theta", "X", "T")), network=NETWORK)
    assert found.points == 0
    assert mistake in found.mistake


def test_gradients_that_accumulate_and_penalties():
    total = np.zeros(NETWORK.layout.size)

    def accumulating(theta, X, T):
        loss, gradient = NETWORK.loss_and_gradient(theta, X, T)
        np.add(total, gradient, out=total)
        return loss, total

    for _ in range(2):
        assert "gradients of earlier calls are added" in learn.grade(accumulating, network=NETWORK).mistake
    bare = vp.Network(3, PENALIZED.layers, PENALIZED.loss_function)

    def with_penalty(share):
        def loss_and_gradient(theta, X, T):
            loss, gradient = PENALIZED.loss_and_gradient(theta, X, T)
            without = bare.loss(theta, X, T)
            return without + share(theta, X) * (loss - without), gradient

        return learn.grade(loss_and_gradient, network=PENALIZED).mistake

    assert with_penalty(lambda theta, X: 1 / len(X)) == "the penalty is divided by N, the number of rows"
    assert with_penalty(lambda theta, X: np.sum(theta[:12] ** 2) / np.sum(np.r_[theta[:12], theta[16:24]] ** 2)) == (
        "only layer 0 (Dense) W enters the penalty"
    )


def test_a_gradient_that_is_not_finite_is_no_error_of_the_grader():
    def loss_and_gradient(theta, X, T):
        loss, gradient = NETWORK.loss_and_gradient(theta, X, T)
        gradient[7] = np.nan
        return loss, gradient

    found = learn.grade(loss_and_gradient, network=NETWORK)
    assert found.mistake == "the gradient of layer 0 (Dense) b is not finite"

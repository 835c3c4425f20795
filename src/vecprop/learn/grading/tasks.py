"""What each function of the tutorial has to do, with the arguments that it is tried on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import seed

Functions = Mapping[str, Callable[..., Any]]
"""Functions by their names; those that a composed one calls may be faulty ones."""


@dataclass(frozen=True)
class Task:
    """A function to write.

    Parameters
    ----------
    name : str
        Its name.
    arguments : tuple of str
        The names of its arguments.
    right : callable
        The function that it should be, of the functions that it calls and its arguments.
    result : {"array", "bias", "number", "list"}
        What it returns: an array; one that may be (3,) or (1, 3); a number; a list of arrays.
    shape : str
        The result in words, with its shape.
    step : str
        The step of the derivation that it is about, without the formula.
    solution : str
        The formula, in NumPy.
    calls : tuple of str
        The functions that it calls.
    """

    name: str
    arguments: tuple[str, ...]
    right: Callable[..., Any]
    result: str
    shape: str
    step: str
    solution: str
    calls: tuple[str, ...] = ()


def _backprop(f: Functions, X: Any, T: Any, Wh: Any, bh: Any, Wo: Any, bo: Any) -> list[Any]:
    H = f["hidden_activations"](X, Wh, bh)
    Y = f["output_activations"](H, Wo, bo)
    Eo = f["error_output"](Y, T)
    Eh = f["error_hidden"](H, Wo, Eo)
    return [
        f["gradient_weight_hidden"](X, Eh),
        f["gradient_bias_hidden"](Eh),
        f["gradient_weight_out"](H, Eo),
        f["gradient_bias_out"](Eo),
    ]


def _momentum(f: Functions, X: Any, T: Any, params: Any, Ms: Any, momentum_term: Any, learning_rate: Any) -> list[Any]:
    Js = f["backprop_gradients"](X, T, *params)
    return [momentum_term * M - learning_rate * J for M, J in zip(Ms, Js, strict=True)]


_LIST = "[JWh, Jbh, JWo, Jbo], with the shapes of the parameters"
TASKS = {
    task.name: task
    for task in (
        Task(
            "logistic",
            ("z",),
            lambda f, z: seed.logistic(z),
            "array",
            "an array of the shape of z",
            "The logistic function σ maps each number by itself to one between 0 and 1; it rises, and σ(0) = ½.",
            "1 / (1 + np.exp(-z))",
        ),
        Task(
            "softmax",
            ("z",),
            lambda f, z: seed.softmax(z),
            "array",
            "an array of the shape of z",
            "The softmax makes each row positive, and then divides it by a number of that row, so that it sums to 1.",
            "np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)",
        ),
        Task(
            "hidden_activations",
            ("X", "Wh", "bh"),
            lambda f, X, Wh, bh: f["logistic"](X @ Wh + bh),
            "array",
            "H, (rows, hidden units)",
            "Z_h is a product of matrices plus the bias of each hidden unit; H is the logistic function of Z_h.",
            "logistic(X @ Wh + bh)",
            ("logistic",),
        ),
        Task(
            "output_activations",
            ("H", "Wo", "bo"),
            lambda f, H, Wo, bo: f["softmax"](H @ Wo + bo),
            "array",
            "Y, (rows, outputs)",
            "Z_o is a product of matrices plus the bias of each output; Y is the softmax of each row of Z_o.",
            "softmax(H @ Wo + bo)",
            ("softmax",),
        ),
        Task(
            "loss",
            ("Y", "T"),
            lambda f, Y, T: seed.loss(Y, T),
            "number",
            "one number",
            "The cross-entropy ξ is a sum over rows and classes, in which T picks the probability of the true class.",
            "-np.sum(T * np.log(Y))",
        ),
        Task(
            "error_output",
            ("Y", "T"),
            lambda f, Y, T: Y - T,
            "array",
            "Eo, (rows, outputs)",
            "δ_o = ∂ξ/∂Z_o: most of the product of ∂ξ/∂Y and ∂Y/∂Z_o cancels.",
            "Y - T",
        ),
        Task(
            "gradient_weight_out",
            ("H", "Eo"),
            lambda f, H, Eo: H.T @ Eo,
            "array",
            "JWo, of the shape of Wo, (hidden units, outputs)",
            "∂ξ/∂W_o: each weight joins a hidden unit and an output, and the rows' parts are summed.",
            "H.T @ Eo",
        ),
        Task(
            "gradient_bias_out",
            ("Eo",),
            lambda f, Eo: np.sum(Eo, axis=0, keepdims=True),
            "bias",
            "Jbo, of the shape of bo, (1, outputs)",
            "∂ξ/∂b_o: ∂Z_o/∂b_o is 1, and the rows' parts are summed.",
            "np.sum(Eo, axis=0, keepdims=True)",
        ),
        Task(
            "error_hidden",
            ("H", "Wo", "Eo"),
            lambda f, H, Wo, Eo: H * (1 - H) * (Eo @ Wo.T),
            "array",
            "Eh, (rows, hidden units)",
            "δ_h = ∂ξ/∂Z_h is a product of two factors: ∂ξ/∂H, in which δ_o comes back through the weights that H went "
            "through, and ∂H/∂Z_h, the slope of the logistic function.",
            "H * (1 - H) * (Eo @ Wo.T)",
        ),
        Task(
            "gradient_weight_hidden",
            ("X", "Eh"),
            lambda f, X, Eh: X.T @ Eh,
            "array",
            "JWh, of the shape of Wh, (inputs, hidden units)",
            "∂ξ/∂W_h: each weight joins an input and a hidden unit, and the rows' parts are summed.",
            "X.T @ Eh",
        ),
        Task(
            "gradient_bias_hidden",
            ("Eh",),
            lambda f, Eh: np.sum(Eh, axis=0, keepdims=True),
            "bias",
            "Jbh, of the shape of bh, (1, hidden units)",
            "∂ξ/∂b_h: ∂Z_h/∂b_h is 1, and the rows' parts are summed.",
            "np.sum(Eh, axis=0, keepdims=True)",
        ),
        Task(
            "backprop_gradients",
            ("X", "T", "Wh", "bh", "Wo", "bo"),
            _backprop,
            "list",
            _LIST,
            "H and Y go forward; δ_o and then δ_h come back; each gradient belongs to the inputs of its layer.",
            "H = hidden_activations(X, Wh, bh); Y = output_activations(H, Wo, bo)\n"
            "Eo = error_output(Y, T); Eh = error_hidden(H, Wo, Eo)\n"
            "[gradient_weight_hidden(X, Eh), gradient_bias_hidden(Eh),\n"
            " gradient_weight_out(H, Eo), gradient_bias_out(Eo)]",
            (
                "hidden_activations",
                "output_activations",
                "error_output",
                "error_hidden",
                "gradient_weight_hidden",
                "gradient_bias_hidden",
                "gradient_weight_out",
                "gradient_bias_out",
            ),
        ),
        Task(
            "update_momentum",
            ("X", "T", "ls_of_params", "Ms", "momentum_term", "learning_rate"),
            _momentum,
            "list",
            "the new moments of [Wh, bh, Wo, bo]",
            "A new moment keeps a share of the old one, and the gradient at the parameters as they are pushes it "
            "downhill.",
            "[momentum_term * M - learning_rate * J\n for M, J in zip(Ms, backprop_gradients(X, T, *ls_of_params))]",
            ("backprop_gradients",),
        ),
        Task(
            "update_params",
            ("ls_of_params", "Ms"),
            lambda f, params, Ms: [P + M for P, M in zip(params, Ms, strict=True)],
            "list",
            "the new [Wh, bh, Wo, bo]",
            "The parameters move by their moments, which point downhill already.",
            "[P + M for P, M in zip(ls_of_params, Ms)]",
        ),
    )
}


def functions(faulty: Functions | None = None) -> dict[str, Callable[..., Any]]:
    """Return all functions, right ones or faulty ones, each calling those of the same set.

    Examples
    --------
    >>> wrong = functions({"logistic": np.tanh})
    >>> bool((wrong["hidden_activations"](np.ones((1, 2)), np.zeros((2, 3)), np.zeros((1, 3))) == 0).all())
    True
    """
    found: dict[str, Callable[..., Any]] = {}

    def bound(right: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: right(found, *arguments)

    found.update({name: bound(task.right) for name, task in TASKS.items()})
    found.update(faulty or {})
    return found


def arguments_of(task: Task, case: int) -> dict[str, Any]:
    """Return the arguments of a case: 0 and 1 have 5 and 4 rows of a 2-3-2 network, 2 has 3 of everything.

    In the last one products of any two matrices exist, so that it shows which ones a function takes.

    Examples
    --------
    >>> {name: array.shape for name, array in arguments_of(TASKS["error_hidden"], 0).items()}
    {'H': (5, 3), 'Wo': (3, 2), 'Eo': (5, 2)}
    """
    rng = np.random.default_rng(case)
    N, I, H, O = ((5, 2, 3, 2), (4, 2, 3, 2), (3, 3, 3, 3))[case]
    known = {
        "z": rng.normal(size=(N, O)),
        "X": rng.normal(size=(N, I)),
        "Wh": rng.normal(size=(I, H)),
        "bh": rng.normal(size=(1, H)),
        "Wo": rng.normal(size=(H, O)),
        "bo": rng.normal(size=(1, O)),
        "H": rng.uniform(0.1, 0.9, (N, H)),
        "T": np.eye(O)[np.arange(N)[::-1] % O],
        "Y": rng.dirichlet(np.ones(O), N) * 0.8 + 0.2 / O,
        "Eo": rng.normal(size=(N, O)),
        "Eh": rng.normal(size=(N, H)),
        "momentum_term": np.array((0.9, 0.7, 0.8)[case]),
        "learning_rate": np.array((0.02, 0.05, 0.1)[case]),
    }
    known["ls_of_params"] = [known[name] for name in ("Wh", "bh", "Wo", "bo")]
    known["Ms"] = [rng.normal(size=P.shape) for P in known["ls_of_params"]]
    return {name: known[name].round(3) if name in ("X", "H", "z") else known[name] for name in task.arguments}

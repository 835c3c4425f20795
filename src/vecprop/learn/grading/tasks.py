"""The tutorial's functions as tasks, test arguments, and comparisons of results."""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .student import Formula, OtherType

Function = Callable[..., Any]


@dataclass(frozen=True)
class Task:
    name: str
    arguments: tuple[str, ...]
    result: str
    shape: str
    step: str
    solution: str

    @cached_property
    def calls(self) -> tuple[str, ...]:
        """The names of the tutorial's functions that the solution calls."""
        return tuple(name for name in TASKS if re.search(rf"\b{name}\(", self.solution))

    @cached_property
    def source(self) -> str:
        """The source code of the function."""
        last_statement = ast.parse(self.solution).body[-1]
        lines = self.solution.splitlines()
        lines[last_statement.lineno - 1] = f"return {lines[last_statement.lineno - 1]}"
        return "\n    ".join([f"def {self.name}({', '.join(self.arguments)}):", *lines])


def _tasks(text):
    """Parse tasks from blocks with a signature, derivation step and solution."""
    tasks = {}
    for block in text.strip().split("\n\n"):
        head, body = block.split("\n", 1)
        step, code = body.split("\n>>> ", 1)
        name, arguments, result, shape = re.split(r"\(|\): |; ", head, maxsplit=3)
        tasks[name] = Task(
            name,
            arguments=tuple(arguments.split(", ")),
            result=result,
            shape=shape,
            step=step.replace("\n", " "),
            solution=code.replace("\n>>> ", "\n"),
        )
    return tasks


TASKS = _tasks("""
one_hot(t): array; T, (rows, 2)
Each row of T has a column for each of the two classes: 1 in the column of its class t, and 0 in the other one.
>>> np.eye(2)[t]

logistic(z): array; an array of the shape of z
The logistic function σ maps each number to a number between 0 and 1; it increases, and σ(0) = ½.
>>> 1 / (1 + np.exp(-z))

softmax(z): array; an array of the shape of z
The softmax makes all entries positive and then divides each row by a number, so that the row sums to 1.
>>> np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)

hidden_activations(X, Wh, bh): array; H, (rows, hidden units)
Z_h is a matrix product plus the bias of each hidden unit; H is the logistic function of Z_h.
>>> logistic(X @ Wh + bh)

output_activations(H, Wo, bo): array; Y, (rows, outputs)
Z_o is a matrix product plus the bias of each output; Y is the softmax of each row of Z_o.
>>> softmax(H @ Wo + bo)

nn(X, Wh, bh, Wo, bo): array; Y, (rows, outputs)
The network computes H from X, and then Y from H.
>>> output_activations(hidden_activations(X, Wh, bh), Wo, bo)

nn_predict(X, Wh, bh, Wo, bo): array; (rows, outputs), 1 for the predicted class and 0 elsewhere
The prediction of each row is the class with the larger probability: Y is rounded to 0 or 1.
>>> np.around(nn(X, Wh, bh, Wo, bo))

loss(Y, T): number; one number
The cross-entropy ξ is a sum over rows and classes, where T selects the probability of the true class.
>>> -np.sum(T * np.log(Y))

error_output(Y, T): array; Eo, (rows, outputs)
δ_o = ∂ξ/∂Z_o: most of the product of ∂ξ/∂Y and ∂Y/∂Z_o cancels.
>>> Y - T

gradient_weight_out(H, Eo): array; JWo, of the shape of Wo, (hidden units, outputs)
∂ξ/∂W_o: each weight connects a hidden unit to an output; the contributions of the rows are summed.
>>> H.T @ Eo

gradient_bias_out(Eo): bias; Jbo, of the shape of bo, (1, outputs)
∂ξ/∂b_o: ∂Z_o/∂b_o is 1; the contributions of the rows are summed.
>>> np.sum(Eo, axis=0, keepdims=True)

error_hidden(H, Wo, Eo): array; Eh, (rows, hidden units)
δ_h = ∂ξ/∂Z_h is a product of two factors: ∂ξ/∂H, which propagates δ_o back through the output weights, and
∂H/∂Z_h, the derivative of the logistic function.
>>> H * (1 - H) * (Eo @ Wo.T)

gradient_weight_hidden(X, Eh): array; JWh, of the shape of Wh, (inputs, hidden units)
∂ξ/∂W_h: each weight connects an input to a hidden unit; the contributions of the rows are summed.
>>> X.T @ Eh

gradient_bias_hidden(Eh): bias; Jbh, of the shape of bh, (1, hidden units)
∂ξ/∂b_h: ∂Z_h/∂b_h is 1; the contributions of the rows are summed.
>>> np.sum(Eh, axis=0, keepdims=True)

backprop_gradients(X, T, Wh, bh, Wo, bo): list; [JWh, Jbh, JWo, Jbo], with the shapes of the parameters
The forward pass computes H and Y, the backward pass δ_o and then δ_h; each gradient uses the inputs of its layer.
>>> H = hidden_activations(X, Wh, bh); Y = output_activations(H, Wo, bo)
>>> Eo = error_output(Y, T); Eh = error_hidden(H, Wo, Eo)
>>> [gradient_weight_hidden(X, Eh), gradient_bias_hidden(Eh),
>>>  gradient_weight_out(H, Eo), gradient_bias_out(Eo)]

numerical_gradient(f, theta, eps): array; an array of the shape of theta
∂f/∂θ_k is the central difference: f with θ_k + ε minus f with θ_k - ε, divided by the distance of the two points.
>>> np.array([(f(theta + step) - f(theta - step)) / (2 * eps)
>>>  for step in eps * np.eye(len(theta))])

update_momentum(X, T, ls_of_params, Ms, momentum_term, learning_rate): list; the new moments of [Wh, bh, Wo, bo]
A new moment retains a share of the old one, and the gradient at the current parameters pushes it downhill.
>>> [momentum_term * M - learning_rate * J
>>>  for M, J in zip(Ms, backprop_gradients(X, T, *ls_of_params))]

update_params(ls_of_params, Ms): list; the new [Wh, bh, Wo, bo]
Each parameter moves by its moment, which already points downhill.
>>> [P + M for P, M in zip(ls_of_params, Ms)]

train(X, T, ls_of_params, momentum_term, learning_rate, nb_of_iterations): array; the losses before the first \
and after each iteration, (nb_of_iterations + 1,)
The moments start at 0; each iteration updates the moments, then the parameters, and appends the loss.
>>> Ms = [0 * P for P in ls_of_params]; losses = [loss(nn(X, *ls_of_params), T)]
>>> for iteration in range(nb_of_iterations):
>>>     Ms = update_momentum(X, T, ls_of_params, Ms, momentum_term, learning_rate)
>>>     ls_of_params = update_params(ls_of_params, Ms)
>>>     losses.append(loss(nn(X, *ls_of_params), T))
>>> np.array(losses)
""")


_CODE = compile("\n".join(task.source for task in TASKS.values()), "tutorial", "exec")


def functions(replaced: Mapping | None = None) -> dict:
    """Return a namespace with all functions, some of them replaced."""
    namespace: dict = {"np": np}
    exec(_CODE, namespace)
    namespace.update(replaced or {})
    return namespace


class TrialCase(NamedTuple):
    """A description of test arguments; the shape is (N, I, H, O)."""

    words: str
    shape: tuple[int, int, int, int]
    momentum: float
    rate: float
    size: float = 1


CASES = (
    TrialCase("5 rows", (5, 2, 3, 2), 0.9, 0.02),
    TrialCase("4 rows", (4, 2, 3, 2), 0.7, 0.05),
    TrialCase("square matrices", (3, 3, 3, 3), 0.8, 0.1),
    TrialCase("one row", (1, 2, 3, 2), 0.5, 0.3),
    TrialCase("three classes", (6, 2, 3, 3), 0.95, 0.01),
    TrialCase("other widths", (7, 3, 5, 4), 0.3, 0.5),
    TrialCase("large numbers", (6, 2, 3, 2), 0.99, 0.2, 30),
    TrialCase("many rows", (40, 3, 4, 3), 0.85, 0.03),
    TrialCase("one input and one hidden unit", (4, 1, 1, 2), 0.4, 0.7),
    TrialCase("other numbers in the same shapes", (5, 2, 3, 2), 0.6, 1.0),
    TrialCase("small numbers", (5, 2, 3, 2), 0.0, 0.001, 1e-3),
    TrialCase("the first numbers again", (5, 2, 3, 2), 0.9, 0.02),
)
"""The test cases. The last case repeats the first to detect functions that keep
state.
"""

SQUARE, AGAIN = 2, len(CASES) - 1
"""The case of square matrices, and the case that repeats the first case."""

LARGE_Z = np.array([[30, -30], [6, 8], [-12, -9], [12, -12], [61, 60], [-7, 3]], float)
"""Values of z that reveal clipping. Their exponentials are finite in float32."""

PARAMETERS = ("Wh", "bh", "Wo", "bo")

F = Formula("np.sum(np.exp(theta / 2)) + np.sin(theta[0] + 2 * theta[-1])")
"""The function to differentiate."""

STEEPNESS = 1e8
"""A factor of inputs that makes numerical derivatives by the weights wrong."""


def arguments_of(task: Task, case: int) -> dict:
    """Draw the test arguments of a case."""
    case %= AGAIN
    N, I, H, O = CASES[case].shape
    size = CASES[case].size
    is_large = size > 1
    rng = np.random.default_rng(case)
    shapes = {
        "z": (N, O),
        "X": (N, I),
        "Wh": (I, H),
        "bh": (1, H),
        "Wo": (H, O),
        "bo": (1, O),
    }
    values: dict = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    values["H"] = rng.uniform(0.1, 0.9, (N, H))
    if case > SQUARE:
        classes = rng.integers(0, O, N)
    elif case == SQUARE:
        classes = np.arange(N, 0, -1) % O
    else:
        classes = np.arange(N)[::-1] % O
    T = np.eye(O)[classes]
    if is_large:
        values["z"] = LARGE_Z
        values["X"] *= 100
        values["Wh"] /= 20
        values["Wo"] *= 8
        values["H"] = 1 / (1 + np.exp(-8 * rng.normal(size=(N, H))))
    else:
        values["z"] *= size
    Y = rng.dirichlet(np.ones(O), N) * 0.8 + 0.2 / O
    for name, width in (("Eo", O), ("Eh", H)):
        values[name] = rng.normal(size=(N, width)) * (1000 if is_large else size)
    if case > SQUARE:
        Y = rng.dirichlet(np.ones(O) * 0.6, N) * (1 - 0.04 * O) + 0.04
    else:
        for name in ("X", "H", "z"):  # short numbers
            values[name] = values[name].round(3)
    if N == 1:  # the loss must not be small
        Y = np.where(T == 1, 0.3, 0.7 / (O - 1))
    if is_large:
        p = np.array([8e-5, 0.9999, 0.5, 0.03, 2e-3, 0.97])[:, None]
        Y = np.where(T == 1, p, 1 - p)
    parameters = [values[name] for name in PARAMETERS]
    values |= {
        "T": T,
        "Y": Y,
        "momentum_term": np.array(CASES[case].momentum),
        "learning_rate": np.array(CASES[case].rate),
        "ls_of_params": parameters,
        "Ms": [rng.normal(size=P.shape) * size for P in parameters],
    }
    values |= _other_arguments(rng, case, shape=CASES[case].shape)
    if is_large and task.name == "train":  # large steps would overflow
        values["X"] = values["X"] / 100
    elif task.name == "nn_predict":
        values |= _decisive(**values)
    return {name: values[name] for name in task.arguments}


def _other_arguments(rng, case, shape):
    """Draw the arguments of `one_hot`, `numerical_gradient` and `train`."""
    N, _, H, O = shape
    return {
        "f": F,
        "theta": rng.normal(size=H + O),
        "eps": np.array(CASES[case].rate),
        "t": np.append(rng.integers(0, 2, N - 1), 1),
        "nb_of_iterations": np.array(2 + case % 3),
    }


def _decisive(X, Wh, bh, Wo, bo, **_):
    """Change parameters so that each row has a probability above 1/2, and the classes differ."""
    Wh = 2 * Wh
    Wo = 20 * Wo
    means = functions()["hidden_activations"](X, Wh, bh).mean(axis=0) @ Wo
    return {"Wh": Wh, "Wo": Wo, "bo": 4 * bo - 0.8 * means}


PRECISION = 1e-5
"""The tolerance relative to the largest value. It allows float32 results and a small
constant inside logarithms, but is smaller than the effect of all known mistakes.
"""


def same(value, expected, precision: float = PRECISION) -> bool:
    """Return whether results are equal up to rounding and axes of length 1."""
    if isinstance(expected, list):
        parts = as_list(value) or []
        if len(parts) != len(expected):
            return False
        return all(same(*pair, precision) for pair in zip(parts, expected, strict=True))
    if not has_shape_of(value, expected):
        return False
    value = value.ravel()
    expected = np.asarray(expected, float).ravel()
    finite = np.isfinite(expected)
    size = np.max(np.abs(expected[finite]), initial=0)
    is_near = np.abs(value[finite] - expected[finite]) <= precision * size + 1e-13
    return bool(
        is_near.all()
        and np.array_equal(value[~finite], expected[~finite], equal_nan=True)
    )


def has_shape_of(value, expected) -> bool:
    """Return whether a value is an array of the expected shape, apart from axes of length 1."""
    return (
        isinstance(value, ndarray)
        and np.squeeze(value).shape == np.squeeze(expected).shape
    )


def is_right(value, expected, result: str, precision: float = PRECISION) -> bool:
    return same(value, expected, precision) and fits(value, expected, result)


def fits(value, expected, result: str) -> bool:
    """Return whether a result has a valid shape; biases may be (3,) or (1, 3)."""
    if result == "list":
        parts = as_list(value) or []
        if len(parts) != len(expected):
            return False
        return all(fits(*pair, "bias") for pair in zip(parts, expected, strict=True))
    if not isinstance(value, ndarray):
        return False
    if result == "number":
        return value.size == 1
    shape = np.shape(expected)
    return value.shape == shape or (
        result == "bias" and shape[0] == 1 and value.shape == shape[1:]
    )


def as_list(value) -> list | None:
    """Convert a result to a list of its parts, or return None if it has no parts."""
    if isinstance(value, ndarray) and value.ndim:
        return list(value)
    return value if isinstance(value, list) else None


def difference(value, expected, result: str, precision: float = PRECISION) -> str:
    """Describe the first wrong entry, or the difference between types or shapes."""
    if result == "list":
        return _difference_of_lists(value, expected, precision)
    shape = np.shape(expected)
    requirement = f"an array of shape {shape}"
    if result == "number":
        requirement = "one number"
    elif result == "bias" and shape[0] == 1:
        requirement += f" or {shape[1:]}"
    if not isinstance(value, ndarray):
        return f"the result is {type_in_words(value)}, but should be {requirement}"
    if not has_shape_of(value, expected) or same(value, expected, precision):
        return f"the result has shape {value.shape}, but should be {requirement}"
    entries = value.ravel()
    expected_entries = np.ravel(expected)
    with np.errstate(invalid="ignore"):
        errors = np.abs(entries - expected_entries)
    is_wrong = ~np.isfinite(entries) | (
        errors > precision * np.max(np.abs(expected_entries))
    )
    first = int(np.argmax(is_wrong))
    index = [int(k) for k in np.unravel_index(first, shape)]
    entry = f"entry {index}" if index else "the result"
    return (
        f"{entry} is {entries[first]:.6g}, but should be {expected_entries[first]:.6g}"
    )


def _difference_of_lists(value, expected, precision):
    """Describe the first wrong array of a list."""
    requirement = f"should be a list of {len(expected)} arrays"
    parts = as_list(value)
    if parts is None:
        return f"the result is {type_in_words(value)}, but {requirement}"
    if len(parts) != len(expected):
        return f"the result has {parts_in_words(len(parts))}, but {requirement}"
    number = 0
    while is_right(parts[number], expected[number], "bias", precision):
        number += 1
    words = difference(parts[number], expected[number], "bias", precision)
    return f"in part {number} of the list, {words}"


def parts_in_words(count: int) -> str:
    return "1 part" if count == 1 else f"{count} parts"


def type_in_words(value) -> str:
    """Describe a result that is not an array."""
    if isinstance(value, OtherType):
        return f"an {value.name}" if " " in value.name else f"of type {value.name}"
    return f"a list of {len(value)}" if isinstance(value, list) else "None"

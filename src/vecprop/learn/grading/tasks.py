"""The tutorial's functions as tasks, test arguments, and comparisons of results."""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np


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
        return tuple(name for name in TASKS if re.search(rf"\b{name}\(", self.solution))

    @cached_property
    def source(self) -> str:
        lines, start = self.solution.splitlines(), ast.parse(self.solution).body[-1].lineno - 1
        body = [*lines[:start], f"return {lines[start]}", *lines[start + 1 :]]
        return "\n    ".join([f"def {self.name}({', '.join(self.arguments)}):", *body])


def _tasks(text: str) -> dict[str, Task]:
    """Parse tasks from blocks with a signature, derivation step and solution."""
    found = {}
    for block in text.strip().split("\n\n"):
        head, *lines = block.splitlines()
        name, arguments, result, shape = re.split(r"\(|\): |; ", head, maxsplit=3)
        solution = "\n".join(line[4:] for line in lines if line.startswith(">>> "))
        step = " ".join(line for line in lines if not line.startswith(">>> "))
        found[name] = Task(name, tuple(arguments.split(", ")), result, shape, step, solution)
    return found


TASKS = _tasks("""
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

update_momentum(X, T, ls_of_params, Ms, momentum_term, learning_rate): list; the new moments of [Wh, bh, Wo, bo]
A new moment retains a share of the old one, and the gradient at the current parameters pushes it downhill.
>>> [momentum_term * M - learning_rate * J
>>>  for M, J in zip(Ms, backprop_gradients(X, T, *ls_of_params))]

update_params(ls_of_params, Ms): list; the new [Wh, bh, Wo, bo]
Each parameter moves by its moment, which already points downhill.
>>> [P + M for P, M in zip(ls_of_params, Ms)]
""")


_CODE = [compile(task.source, task.name, "exec") for task in TASKS.values()]


def functions(faulty: Mapping[str, Callable[..., Any]] | None = None) -> dict[str, Any]:
    """Return a namespace with all functions, some of them replaced."""
    found: dict[str, Any] = {"np": np}
    for code in _CODE:
        exec(code, found)
    found.update(faulty or {})
    return found


class Case(NamedTuple):
    """A description of test arguments; the shape is (N, I, H, O)."""

    words: str
    shape: tuple[int, int, int, int]
    momentum: float
    rate: float
    size: float = 1


CASES = (
    Case("5 rows", (5, 2, 3, 2), 0.9, 0.02),
    Case("4 rows", (4, 2, 3, 2), 0.7, 0.05),
    Case("square matrices", (3, 3, 3, 3), 0.8, 0.1),
    Case("one row", (1, 2, 3, 2), 0.5, 0.3),
    Case("three classes", (6, 2, 3, 3), 0.95, 0.01),
    Case("other widths", (7, 3, 5, 4), 0.3, 0.5),
    Case("large numbers", (6, 2, 3, 2), 0.99, 0.2, 30),
    Case("many rows", (40, 3, 4, 3), 0.85, 0.03),
    Case("one input and one hidden unit", (4, 1, 1, 2), 0.4, 0.7),
    Case("other numbers in the same shapes", (5, 2, 3, 2), 0.6, 1.0),
    Case("small numbers", (5, 2, 3, 2), 0.0, 0.001, 1e-3),
    Case("the first numbers again", (5, 2, 3, 2), 0.9, 0.02),
)
"""The test cases. The last case repeats the first to detect functions that keep state."""

SQUARE, AGAIN = 2, len(CASES) - 1
"""The case of square matrices, and the case that repeats the first case."""

LARGE_Z = np.array([[30, -30], [6, 8], [-12, -9], [12, -12], [61, 60], [-7, 3]], float)
"""Values of z that reveal clipping. Their exponentials are finite in float32."""


def arguments_of(task: Task, case: int) -> dict[str, Any]:
    case %= AGAIN
    rng, (N, I, H, O), size = np.random.default_rng(case), CASES[case].shape, CASES[case].size
    errors = 1000 if size > 1 else size
    z, X = rng.normal(size=(N, O)), rng.normal(size=(N, I))
    Wh, bh = rng.normal(size=(I, H)), rng.normal(size=(1, H))
    Wo, bo = rng.normal(size=(H, O)), rng.normal(size=(1, O))
    Hs = rng.uniform(0.1, 0.9, (N, H))
    classes = (np.arange(N)[::-1] + (case == SQUARE)) % O if case < 3 else rng.integers(0, O, N)
    values = {
        "z": LARGE_Z if size > 1 else z * size,
        "X": X * (100 if size > 1 else 1),
        "Wh": Wh / (20 if size > 1 else 1),
        "bh": bh,
        "Wo": Wo * (8 if size > 1 else 1),
        "bo": bo,
        "H": 1 / (1 + np.exp(-8 * rng.normal(size=(N, H)))) if size > 1 else Hs,
        "T": np.eye(O)[classes],
        "Y": rng.dirichlet(np.ones(O), N) * 0.8 + 0.2 / O,
        "Eo": rng.normal(size=(N, O)) * errors,
        "Eh": rng.normal(size=(N, H)) * errors,
        "momentum_term": np.array(CASES[case].momentum),
        "learning_rate": np.array(CASES[case].rate),
    }
    if case > SQUARE:
        values["Y"] = rng.dirichlet(np.ones(O) * 0.6, N) * (1 - 0.04 * O) + 0.04
    if N == 1:  # the loss must not be small
        values["Y"] = np.where(values["T"] == 1, 0.3, 0.7 / (O - 1))
    if size > 1:
        p = np.array([8e-5, 0.9999, 0.5, 0.03, 2e-3, 0.97])[:, None]
        values["Y"] = np.where(values["T"] == 1, p, 1 - p)
    values["ls_of_params"] = [values[name] for name in ("Wh", "bh", "Wo", "bo")]
    values["Ms"] = [rng.normal(size=P.shape) * size for P in values["ls_of_params"]]
    short = ("X", "H", "z") if case <= SQUARE else ()
    return {name: values[name].round(3) if name in short else values[name] for name in task.arguments}


PRECISION = 1e-5
"""The tolerance relative to the largest value. It allows float32 results and a small constant inside logarithms, but is
smaller than the effect of all known mistakes."""


def same(found: Any, expected: Any, precision: float = PRECISION) -> bool:
    """Return whether results are equal up to rounding and axes of length 1."""
    if isinstance(expected, list):
        parts = as_list(found) or []
        return len(parts) == len(expected) and all(map(partial(same, precision=precision), parts, expected))
    if not isinstance(found, np.ndarray) or np.squeeze(found).shape != np.squeeze(expected).shape:
        return False
    found, expected = found.ravel(), np.asarray(expected, float).ravel()
    finite = np.isfinite(expected)
    size = np.max(np.abs(expected[finite]), initial=0)
    is_near = np.abs(found[finite] - expected[finite]) <= precision * size + 1e-13
    return bool(is_near.all() and np.array_equal(found[~finite], expected[~finite], equal_nan=True))


def right(found: Any, expected: Any, result: str, precision: float = PRECISION) -> bool:
    return same(found, expected, precision) and fits(found, expected, result)


def fits(found: Any, expected: Any, result: str) -> bool:
    """Return whether a result has a valid shape; biases may be (3,) or (1, 3)."""
    if result == "list":
        parts = as_list(found) or []
        return len(parts) == len(expected) and all(map(partial(fits, result="bias"), parts, expected))
    if not isinstance(found, np.ndarray):
        return False
    if result == "number":
        return found.size == 1
    shape = np.shape(expected)
    return found.shape == shape or (result == "bias" and shape[0] == 1 and found.shape == shape[1:])


def as_list(found: Any) -> list[Any] | None:
    """Convert a result to a list of its parts, or return None if it has no parts."""
    if isinstance(found, np.ndarray):
        return list(found) if found.ndim else None
    return found if isinstance(found, list) else None


def difference(found: Any, expected: Any, result: str, precision: float = PRECISION) -> str:
    """Describe the first wrong entry, or the difference between types or shapes."""
    if result == "list":
        parts = as_list(found)
        if parts is None or len(parts) != len(expected):
            count = f"{len(parts)} parts" if parts is not None else shown(found)
            return f"the result is {count}, but should be a list of {len(expected)} arrays"
        pairs = enumerate(zip(parts, expected, strict=True))
        number, wrong = next(one for one in pairs if not right(*one[1], "bias", precision))
        return f"in part {number} of the list, {difference(*wrong, 'bias', precision)}"
    shape = np.shape(expected)
    should = "one number" if result == "number" else f"an array of shape {shape}"
    should += f" or {shape[1:]}" if result == "bias" and shape[0] == 1 else ""
    if not isinstance(found, np.ndarray):
        return f"the result is {shown(found)}, but should be {should}"
    if np.squeeze(found).shape != np.squeeze(expected).shape or same(found, expected, precision):
        return f"the result has shape {found.shape}, but should be {should}"
    flat, whole = found.ravel(), np.ravel(expected)
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(flat), np.abs(flat - whole), np.inf)
    worst = int(np.argmax(error > precision * np.max(np.abs(whole))))
    place = [int(k) for k in np.unravel_index(worst, shape)]
    return f"{f'entry {place}' if place else 'the result'} is {flat[worst]:.6g}, but should be {whole[worst]:.6g}"


def shown(found: Any) -> str:
    """Describe a result that is not an array."""
    if isinstance(found, tuple):
        return f"of type {found[0]}" if " " not in found[0] else f"an {found[0]}"
    return f"a list of {len(found)}" if isinstance(found, list) else "None"

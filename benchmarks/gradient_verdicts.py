"""Right gradients refused and wrong ones passed: vecprop's checker beside three others, on one suite of functions.

The suite is `corpora/function_suite.py`, which the tests run as well: right gradients
of many functions, and errors planted in them. Each checker judges the same gradients,
with its own defaults: ``python benchmarks/gradient_verdicts.py [errors_each]``. Peers
that are not installed are left out.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Before NumPy, since it sets the number of threads.
os.environ |= dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
sys.path.insert(0, str(Path(__file__).parent / "corpora"))

# isort: split
import numpy as np
from machine import described, machine
from scipy.optimize import check_grad

from function_case import Case, leaves, matched, rebuilt, with_leaves
from function_suite import Mutation, cases, mutations, really_wrong, truth
from vecprop.check import Verdict

RESULTS = Path(__file__).parent / "results" / "gradient_verdicts.md"

LARGEST = 2500
"""The number of parameters above which the peers are left out, since they compute
two values for each.
"""

RULE = 1e-6
"""The largest number of check_grad that passes, as a share of the gradient's length,
or of 1 if that is less.
"""

Function = Callable[[list[np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]


def function(case: Case, mutation: Mutation | None) -> Function:
    """Return a case's value and its gradient, right or wrong, as a function of arrays."""
    change, slip = (mutation.change, mutation.slip) if mutation else (None, None)

    def value_and_gradient(
        arrays: list[np.ndarray],
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        theta = with_leaves(case.theta, arrays)
        if hasattr(case.f, "layout"):
            value, gradient = (
                case.f.loss(theta, *case.args),
                case.gradient_of(slip)(theta),
            )
            gradient = change([gradient])[0] if change else gradient
        else:
            value, gradient = case.both(change, slip)(theta, *case.args)
        shape = np.shape(value)
        parts = [np.array(g, dtype=float) for g in matched(gradient, case.theta)]
        return np.array(value, dtype=float), [
            g.reshape(shape + a.shape) for g, a in zip(parts, arrays, strict=True)
        ]

    return value_and_gradient


def by_vecprop(case: Case, mutation: Mutation | None) -> str:
    verdict = case.check(
        mutation and mutation.change, mutation and mutation.slip
    ).verdict
    if verdict is Verdict.INCONCLUSIVE or verdict is Verdict.KINK:
        return "undecided"
    return "passed" if verdict is Verdict.PASS else "refused"


def by_torch(case: Case, mutation: Mutation | None) -> str:
    """Judge by torch.autograd.gradcheck: central differences with steps of 1e-6, rtol=1e-3, atol=1e-5."""
    import torch

    # Within a Function PyTorch follows no gradients, but those of PyTorch's own
    # functions are found by following.
    f = torch.enable_grad()(function(case, mutation))

    class Judged(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return torch.tensor(f([t.numpy(force=True).copy() for t in tensors])[0])

        @staticmethod
        def backward(ctx: Any, delta: Any) -> Any:
            arrays = [t.numpy(force=True).copy() for t in ctx.saved_tensors]
            d = delta.numpy()
            return tuple(
                torch.tensor(np.tensordot(d, g, axes=d.ndim)) for g in f(arrays)[1]
            )

    tensors = [torch.tensor(a, requires_grad=True) for a in start(case)]
    passed = torch.autograd.gradcheck(Judged.apply, tensors, raise_exception=False)
    return "passed" if passed else "refused"


def by_scipy(case: Case, mutation: Mutation | None) -> str:
    """Judge by scipy.optimize.check_grad: forward differences with steps of 1.5e-8, and the rule above."""
    f, at = function(case, mutation), start(case)
    ends = np.cumsum([a.size for a in at])[:-1]

    def arrays(x: np.ndarray) -> list[np.ndarray]:
        return [
            part.reshape(a.shape) for part, a in zip(np.split(x, ends), at, strict=True)
        ]

    def value(x: np.ndarray) -> Any:
        y = f(arrays(x))[0]
        return float(y.ravel()[0]) if y.size == 1 else y.ravel()

    def gradient(x: np.ndarray) -> np.ndarray:
        y, J = f(arrays(x))
        columns = np.concatenate([g.reshape(y.size, -1) for g in J], axis=1)
        return columns[0] if y.size == 1 else columns

    x = np.concatenate([a.ravel() for a in at])
    error = check_grad(value, gradient, x)
    return (
        "passed"
        if error <= RULE * max(1.0, float(np.linalg.norm(gradient(x))))
        else "refused"
    )


def by_jax(case: Case, mutation: Mutation | None) -> str:
    """Judge by JAX's check_grads, in reverse mode and 64 bits, with its own tolerances."""
    import jax
    from jax.test_util import check_grads

    at = start(case)
    shape = np.shape(function(case, None)([a.copy() for a in at])[0])
    kinds = [jax.ShapeDtypeStruct(shape + a.shape, np.float64) for a in at]
    value, slopes = (
        in_jax(case, mutation)
        if case.backend == "jax"
        else called_back(case, mutation, shape)
    )

    with jax.enable_x64(True):
        judged = jax.custom_vjp(value)

        def backward(arrays: Any, delta: Any) -> Any:
            return tuple(
                jax.numpy.tensordot(delta, g, axes=len(shape))
                for g in slopes(kinds, *arrays)
            )

        judged.defvjp(lambda *arrays: (value(*arrays), arrays), backward)
        try:
            check_grads(
                judged, tuple(jax.numpy.asarray(a) for a in at), order=1, modes=("rev",)
            )
        except AssertionError:
            return "refused"
    return "passed"


def called_back(
    case: Case, mutation: Mutation | None, shape: tuple[int, ...]
) -> tuple[Any, Any]:
    """Return a NumPy function's value and gradient for JAX, which calls them back."""
    import jax

    f = function(case, mutation)

    def value(*arrays: Any) -> Any:
        kind = jax.ShapeDtypeStruct(shape, np.float64)
        return jax.pure_callback(
            lambda *arrays: f([np.array(a) for a in arrays])[0], kind, *arrays
        )

    def slopes(kinds: Any, *arrays: Any) -> Any:
        return jax.pure_callback(
            lambda *arrays: f([np.array(a) for a in arrays])[1], kinds, *arrays
        )

    return value, slopes


def in_jax(case: Case, mutation: Mutation | None) -> tuple[Any, Any]:
    """Return a JAX function's value and its own gradient, or one that is changed."""
    import jax

    change, slip = (mutation.change, mutation.slip) if mutation else (None, None)
    f = case.f.jax if slip is None else partial(case.f.jax, slip=slip)

    def of(*arrays: Any) -> Any:
        return f(with_leaves(case.theta, list(arrays), jax.numpy.asarray), *case.args)

    def changed(*J: Any) -> list[np.ndarray]:
        # The leaves of a dict come in the order of its keys from JAX, and so they are
        # changed.
        tree = jax.tree.unflatten(jax.tree.structure(case.theta), order(J))
        return [
            np.asarray(g, dtype=float)
            for g in matched(rebuilt(tree, change(leaves(tree))), case.theta)
        ]

    def order(J: Any) -> list[np.ndarray]:
        return jax.tree.leaves(with_leaves(case.theta, list(J), np.array))

    def slopes(kinds: Any, *arrays: Any) -> Any:
        J = jax.jacrev(of, argnums=tuple(range(len(arrays))))(*arrays)
        return J if change is None else jax.pure_callback(changed, kinds, *J)

    return of, slopes


def start(case: Case) -> list[np.ndarray]:
    """Return a case's parameters as arrays of float64."""
    return [np.array(leaf, dtype=float) for leaf in matched(case.theta, case.theta)]


def taken(case: Case) -> str:
    """Return why the peers cannot take a case; empty if they can."""
    leaves = [np.asarray(leaf) for leaf in matched(case.theta, case.theta)]
    if any(leaf.dtype.kind == "f" and leaf.dtype != np.float64 for leaf in leaves):
        return "parameters of less than 64 bits"
    if sum(leaf.size for leaf in leaves) > LARGEST:
        return f"more than {LARGEST:,} parameters"
    if any(not leaf.size for leaf in leaves):
        return "an array of no entries"
    return ""


@dataclass
class Score:
    """The verdicts of one checker on the gradients of one group of functions."""

    right: int = 0
    refused: int = 0
    right_undecided: int = 0
    wrong: int = 0
    passed: int = 0
    wrong_undecided: int = 0
    seconds: float = 0.0
    names: dict[str, list[str]] = field(
        default_factory=lambda: {"refused": [], "passed": []}
    )

    def add(self, word: str, case: Case, mutation: Mutation | None) -> None:
        """Count the verdict on a gradient: passed, refused or undecided."""
        if mutation is None:
            self.right += 1
            self.refused += word == "refused"
            self.right_undecided += word == "undecided"
        else:
            self.wrong += 1
            self.passed += word == "passed"
            self.wrong_undecided += word == "undecided"
        if word == ("passed" if mutation else "refused"):
            self.names[word].append(case.name)


def judged(checker: Callable[..., str], case: Case, mutation: Mutation | None) -> str:
    try:
        return checker(case, mutation)
    except Exception:  # a checker that ends in an exception has not passed the gradient
        return "refused"


def planted(case: Case, errors_each: int) -> list[Mutation]:
    """Return the errors to plant in a case, each the same function whenever it is called."""
    right, found = truth(case), []
    for mutation in mutations(case):
        enough = len(found) >= max(errors_each, len(case.slips))
        if (
            not enough
            and not mutation.moving
            and really_wrong(case, right, truth(case, mutation))
        ):
            found.append(mutation)
    return found


def table(scores: dict[str, dict[str, Score]], kind: str) -> list[str]:
    lines = [
        (
            "| checker | correct gradients | refused | undecided | wrong gradients |"
            " passed | undecided | seconds |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, by_kind in scores.items():
        s = by_kind[kind]
        counts = (
            s.right,
            s.refused,
            s.right_undecided,
            s.wrong,
            s.passed,
            s.wrong_undecided,
        )
        lines.append(
            f"| {name} | {' | '.join(f'{count:,}' for count in counts)} |"
            f" {s.seconds:.0f} |"
        )
    return lines


def main() -> None:
    errors_each = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    peers = {"scipy.optimize.check_grad": by_scipy}
    if find_spec("torch"):
        peers["torch.autograd.gradcheck"] = by_torch
    if find_spec("jax"):
        peers["jax.test_util.check_grads"] = by_jax
    chosen = cases()
    kinds = ("ordinary", "hard")
    scores = {
        name: {kind: Score() for kind in kinds}
        for name in ("vecprop, all cases", "vecprop", *peers)
    }
    left_out: dict[str, int] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in chosen:
            why = taken(case)
            if why:
                left_out[why] = left_out.get(why, 0) + 1
            for mutation in (None, *planted(case, errors_each)):
                began = time.perf_counter()
                word = judged(by_vecprop, case, mutation)
                seconds = time.perf_counter() - began
                for name in (
                    ("vecprop, all cases",)
                    if why
                    else ("vecprop, all cases", "vecprop")
                ):
                    scores[name][case.kind].add(word, case, mutation)
                    scores[name][case.kind].seconds += seconds
                for name, checker in peers.items() if not why else ():
                    began = time.perf_counter()
                    scores[name][case.kind].add(
                        judged(checker, case, mutation), case, mutation
                    )
                    scores[name][case.kind].seconds += time.perf_counter() - began
    lines = [
        "# Verdicts of four gradient checkers",
        "",
        (
            f"Made by `python benchmarks/gradient_verdicts.py` with {len(chosen)}"
            " correct gradients of"
        ),
        (
            "regressions, networks, attention, recurrences, likelihoods, Gaussian"
            " processes, survival,"
        ),
        (
            "factorization and more, in NumPy, SciPy, PyTorch and JAX, and with errors"
            " planted in each"
        ),
        (
            "(`benchmarks/corpora/function_suite.py`). vecprop's checker was developed"
            " with these functions, and its tests"
        ),
        "run them, so its rows are not an independent test.",
        "",
        *described(machine("numpy", "scipy", "torch", "jax")),
        "",
        (
            "Each checker uses its defaults. SciPy's `check_grad` returns a number; a"
            " gradient passes if this number is at"
        ),
        (
            f"most {RULE:g} times the gradient's length, or {RULE:g} if the length is"
            " less than 1. JAX's"
        ),
        (
            "`check_grads` checks reverse mode, first order, in 64 bits. PyTorch and"
            " JAX receive a NumPy function"
        ),
        (
            "as a function with a custom backward pass. An exception counts as a"
            " refusal. 'Undecided' counts the"
        ),
        (
            "verdicts INCONCLUSIVE and KINK, which only vecprop has:"
            f" {sum(case.kinked for case in chosen)} of"
        ),
        (
            "the functions chosen to break a checker are exactly at a kink, where"
            " several gradients are correct."
        ),
        "The other checkers do not support cases with",
        ", ".join(f"{why} ({n})" for why, n in left_out.items())
        + ". Only the first row counts these cases.",
    ]
    for kind, title in (
        ("ordinary", "Ordinary functions"),
        ("hard", "Functions chosen to break a checker"),
    ):
        lines += ["", f"## {title}", "", *table(scores, kind)]
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    for name, by_kind in scores.items():
        for kind, s in by_kind.items():
            if name.startswith("vecprop"):
                print(
                    f"{name}, {kind}: refused {s.names['refused']}, passed"
                    f" {s.names['passed']}"
                )


if __name__ == "__main__":
    main()

"""Right gradients of many types of functions, errors planted in them, and the verdicts on all of them.

`python benchmarks/corpora/function_suite.py [errors_each] [part-of-a-name] [seed]`
prints wrong verdicts, untrue diagnoses and counts. Another seed draws other data, and
other errors.
"""

import json
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from zlib import crc32

import numpy as np

import functions_complex
import functions_forms
import functions_hard
import functions_jax
import functions_matrix
import functions_models
import functions_numpy
import functions_random
import functions_scipy
import functions_torch
from function_case import Case, fresh, leaves, matched, rebuilt
from vecprop.check import Verdict


def cases(
    part: str = "", backends: tuple = ("numpy", "scipy", "torch", "jax"), seed: int = 0
) -> list[Case]:
    """Return the cases whose name contains a part, of the backends that are installed."""
    installed = [backend for backend in backends if find_spec(backend)]
    numpy = (
        functions_numpy,
        functions_scipy,
        functions_models,
        functions_matrix,
        functions_complex,
        functions_random,
    )
    modules = (*numpy, functions_torch, functions_jax, functions_hard, functions_forms)
    found = [case for module in modules for case in module.cases(installed, seed)]
    assert len({case.name for case in found}) == len(found), Counter(
        case.name for case in found
    ).most_common(3)
    return [case for case in found if part in case.name and case.backend in installed]


@dataclass(frozen=True)
class Mutation:
    """An error: a change of the gradient's leaves, or one of the case's own wrong gradients.

    It also says what a diagnosis is judged by: N, the precision to which a statement
    has to hold, and the layer whose backward pass is wrong, which is none if a
    network's gradient was changed afterwards.
    """

    name: str
    change: Callable[[list], list] | None = None
    slip: Any = None
    rows: int = 0
    precision: float = 1e-9
    layer: str = ""

    @property
    def moving(self) -> bool:
        """Whether the gradient is another one each time, so that two runs differ."""
        return self.name in MOVING


MOVING = ("noise", "never zeroed")


def mutations(case: Case, seed: int = 0) -> Iterator[Mutation]:
    """Yield the errors to plant in a case: its own slips first, then the others in random order."""
    for number, slip in enumerate(case.slips):
        if isinstance(slip, str):
            yield Mutation(slip, None, slip, case.count, case.precision)
        else:
            pairs = enumerate(zip(case.f.layers, slip.layers, strict=True))
            [layer] = [
                f"layer {n} ({type(b).__name__})" for n, (a, b) in pairs if a != b
            ]
            yield Mutation(
                f"backward pass {number} of {layer}",
                None,
                slip,
                case.count,
                case.precision,
                layer,
            )
    draw = np.random.default_rng([seed, crc32(case.name.encode())])
    found = list(_changes(case, draw))
    for place in draw.permutation(len(found)):
        name, change = found[place]
        yield Mutation(name, change, None, case.count, case.precision)


def _changes(
    case: Case, draw: np.random.Generator
) -> Iterator[tuple[str, Callable[[list], list]]]:
    right = [np.asarray(leaf) for leaf in leaves(case.gradient())]
    N = case.count

    def on_leaf(which: int, change: Callable[[Any], Any]) -> Callable[[list], list]:
        return lambda J: [
            change(leaf) if k == which else leaf for k, leaf in enumerate(J)
        ]

    def on_entries(change: Callable[[np.ndarray, float], None]) -> Callable[[Any], Any]:
        def changed(leaf: Any) -> Any:
            leaf = np.array(leaf)
            if leaf.dtype.kind in "iub":
                leaf = leaf.astype(float)
            flat = leaf.reshape(-1)
            change(flat, np.abs(flat).max())
            return leaf if leaf.ndim else leaf[()]

        return changed

    def entry(place: int, share: float) -> Callable[[Any], Any]:
        def change(flat: np.ndarray, largest: float) -> None:
            flat[place] += share * largest

        return on_entries(change)

    def scaled(place: int, factor: float) -> Callable[[Any], Any]:
        def change(flat: np.ndarray, largest: float) -> None:
            flat[place] *= factor

        return on_entries(change)

    def swapped(a: int, b: int) -> Callable[[Any], Any]:
        def change(flat: np.ndarray, largest: float) -> None:
            flat[[a, b]] = flat[[b, a]]

        return on_entries(change)

    factors = {
        "2": 2.0,
        "1/2": 0.5,
        "-1": -1.0,
        "1.37": 1.37,
        "1.001": 1.001,
        "1.00001": 1.00001,
    }
    if N > 1:
        factors |= {"N": float(N), "1/N": 1 / N}
    for name, factor in factors.items():
        yield f"all × {name}", lambda J, factor=factor: [leaf * factor for leaf in J]
    yield "all 0", lambda J: [leaf * 0 for leaf in J]
    generator, sums = np.random.default_rng(), [0.1 * leaf for leaf in right]

    def noise(J: list) -> list:
        return [
            leaf
            + 0.01
            * np.abs(leaf).max(initial=0)
            * generator.standard_normal(np.shape(leaf))
            for leaf in J
        ]

    def never_zeroed(J: list) -> list:
        sums[:] = [
            total + np.real(np.asarray(leaf))
            for total, leaf in zip(sums, J, strict=True)
        ]
        return list(sums)

    largest = max((np.abs(leaf).max(initial=0) for leaf in right), default=0)
    if not case.size and largest < 1e300:
        yield "noise", noise
        yield "never zeroed", never_zeroed
    for which, leaf in enumerate(right):
        if not leaf.size:
            continue
        if len(right) > 1:
            name = list(factors)[draw.integers(len(factors))]
            yield (
                f"leaf {which} × {name}",
                on_leaf(which, lambda J, factor=factors[name]: J * factor),
            )
            yield f"leaf {which} × 1.001", on_leaf(which, lambda J: J * 1.001)
            yield f"leaf {which} 0", on_leaf(which, lambda J: J * 0)
        added = 0.01 * max(np.abs(leaf).max(), case.size) or 0.01 * largest or 0.01
        yield (
            f"leaf {which} + {added:.2g}",
            on_leaf(which, lambda J, added=added: J + added),
        )
        for share in (0.1, 1e-3, 1e-5, max(2 * case.smallest, 1e-6)):
            place, sign = int(draw.integers(leaf.size)), float(draw.choice([-1, 1]))
            yield (
                f"leaf {which} entry {place} by {sign * share:.0e}",
                on_leaf(which, entry(place, sign * share)),
            )
        if leaf.size > 1:
            place = int(draw.choice(np.flatnonzero(leaf) if leaf.any() else 1))
            yield f"leaf {which} entry {place} 0", on_leaf(which, scaled(place, 0.0))
            yield (
                f"leaf {which} entry {place} × -1",
                on_leaf(which, scaled(place, -1.0)),
            )
            a, b = (int(i) for i in draw.choice(leaf.size, 2, replace=False))
            yield (
                f"leaf {which} entries {a} and {b} swapped",
                on_leaf(which, swapped(a, b)),
            )
        if leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1] > 1:
            yield f"leaf {which} transposed", on_leaf(which, lambda J: J.T)


def really_wrong(case: Case, right: list, wrong: list) -> bool:
    """Return whether a gradient is wrong by at least the smallest error that is to be found, in one of its leaves.

    A leaf that is nothing but rounding beside the others is not looked at.
    """
    largest = max((np.abs(leaf).max(initial=0) for leaf in right), default=0)
    for a, b in zip(right, wrong, strict=True):
        error, own = (
            np.abs(b.astype(float) - a).max(initial=0),
            np.abs(a).max(initial=0),
        )
        rounding = 0 < own <= max(1e-9, case.precision) * largest
        if (
            error > 0
            and error >= case.smallest * own
            and error > 1e-10 * largest
            and not rounding
        ):
            return True
    return False


def truth(case: Case, mutation: Mutation | None = None) -> list[np.ndarray]:
    """Return the gradient at theta, right or wrong, one array for each array of theta."""
    if mutation is None:
        gradient = case.gradient()
    elif mutation.slip is None:
        gradient = case.gradient()
        assert mutation.change is not None
        gradient = rebuilt(gradient, mutation.change(leaves(gradient)))
    elif isinstance(mutation.slip, str):
        gradient = case.gradient(mutation.slip)
    else:
        gradient = case.gradient_of(mutation.slip)(case.theta)
    if isinstance(case.theta, np.ndarray | float | list | tuple | dict) and not hasattr(
        case.f, "layout"
    ):
        return matched(gradient, case.theta)
    views = case.f.layout.tensors if hasattr(case.f, "layout") else None
    return (
        [gradient[t.span].reshape(t.shape) for t in views]
        if views
        else [np.asarray(gradient)]
    )


def untrue(
    diagnosis: str, mutation: Mutation | None, right: np.ndarray, wrong: np.ndarray
) -> str | None:
    """Return the error in a diagnosis of one leaf; an empty text if it is true, None if that is not known.

    A Jacobian is looked at as outputs by entries. A right gradient has no true
    diagnosis.
    """
    if mutation is None:
        return "the gradient is right"
    found = [
        _untrue(piece.strip(), mutation, right, wrong) for piece in diagnosis.split(";")
    ]
    return next((false for false in found if false), None if None in found else "")


def _untrue(
    text: str, mutation: Mutation, right: np.ndarray, wrong: np.ndarray
) -> str | None:
    shape, rows = right.shape, mutation.rows
    a, b = right.astype(float).ravel(), wrong.astype(float).ravel()
    size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    near = max(mutation.precision, 1e-9) * size
    # unchanged entries are bit for bit the same, or differ by rounding
    differ = np.abs(a - b) > 1e-2 * near

    def times(r: float | str, entries: Any = slice(None)) -> str:
        """Judge a ratio, printed to six digits, or as 1 and a difference to two."""
        first, sign, rest = (
            f"{r} ".partition(" ")[0],
            *f"{r} ".partition(" ")[2].partition(" ")[::2],
        )
        more = float(f"{sign}{rest}") if rest else 0.0
        if float(first) + more == 1:
            return "a ratio of 1 is no error"
        off = np.abs(b - float(first) * a - more * a)[entries].max(initial=0)
        digits = 0.06 * abs(more) if more else 1e-5 * abs(float(first))
        return (
            ""
            if off <= near + digits * np.abs(a[entries]).max(initial=0)
            else f"the ratio is not {r}"
        )

    words = {
        "its sign is wrong": -1.0,
        "the gradient is 0 everywhere": 0.0,
        "the gradient is 1/2 of": 0.5,
        "the gradient is -1/2 of": -0.5,
    }
    for start, r in words.items():
        if text.startswith(start):
            return times(r) if r else ("" if not b.any() else "it is not 0 everywhere")
    if found := re.match(r"the gradient is N = (\d+) times", text):
        r, sign = float(found[1]), -1 if "sign is wrong" in text else 1
        return times(sign * r) or ("" if not rows or r == rows else f"N is {rows}")
    if found := re.match(r"the gradient is 1/N = 1/(\d+) of", text):
        r, sign = float(found[1]), -1 if "sign is wrong" in text else 1
        return times(sign / r) or ("" if not rows or r == rows else f"N is {rows}")
    if found := re.match(r"the gradient is (.+) times", text):
        return times(found[1])
    if found := re.match(
        r"the sum over rows is (not divided|divided) by N = (\d+)", text
    ):
        return times(float(found[2]) if "not" in found[1] else 1 / float(found[2]))
    if text in ("only this bias is wrong", "only biases are wrong"):
        return "" if len(shape) == 1 and differ.any() else "it is no bias"
    if found := re.match(r"(\d+) of (\d+) entries are 0 by mistake", text):
        if (int(found[1]), int(found[2])) != (int(differ.sum()), a.size):
            return f"{differ.sum()} of {a.size} differ"
        return "" if not b[differ].any() else "they are not 0"
    if found := re.match(r"one entry of (\d+) is wrong", text):
        return (
            ""
            if differ.sum() == 1 and int(found[1]) == a.size
            else f"{differ.sum()} of {a.size} differ"
        )
    if found := re.match(
        r"(\d+) of (\d+) entries are wrong, all of them (.+) times", text
    ):
        if (int(found[1]), int(found[2])) != (int(differ.sum()), a.size):
            return f"{differ.sum()} of {a.size} differ"
        return times(found[3], differ)
    if found := re.match(r"the entries \[(.*)\] and \[(.*)\] are swapped", text):
        i, j = (
            np.ravel_multi_index(tuple(map(int, found[k].split(","))), shape)
            for k in (1, 2)
        )
        both = set(np.flatnonzero(differ)) == {i, j}
        return (
            ""
            if both and abs(b[i] - a[j]) <= near and abs(b[j] - a[i]) <= near
            else "they are not"
        )
    if found := re.match(r"every entry is off by the same amount, (\S+)", text):
        off = np.abs(b - a - float(found[1])).max(initial=0)
        return "" if off <= near + 1e-5 * abs(float(found[1])) else "it is not the same"
    if text.startswith("it is transposed"):
        same = (
            len(shape) == 2
            and np.abs(wrong.reshape(shape[::-1]).T - right).max(initial=0) <= near
        )
        same = same or (
            len(shape) == 2 and np.abs(b - right.T.ravel()).max(initial=0) <= near
        )
        return "" if same else "it is not"
    if text.startswith("only its diagonal is right"):
        same = (
            len(shape) == 2
            and shape[0] == shape[1]
            and np.abs(wrong - np.diag(np.diag(right))).max() <= near
        )
        return "" if same else "it is not so"
    if re.search(r"layer \d+ \(\w+\)", text):
        if mutation.layer:
            return "" if mutation.layer in text else f"{mutation.layer} is wrong"
        return (
            None
            if differ.all()
            else "no layer's backward pass leaves some entries right"
        )
    return None


@dataclass
class Tally:
    """The counts of the suite, for ordinary functions and for those chosen to break the checker."""

    right: dict[str, Counter] = field(
        default_factory=lambda: {"ordinary": Counter(), "hard": Counter()}
    )
    wrong: dict[str, Counter] = field(
        default_factory=lambda: {"ordinary": Counter(), "hard": Counter()}
    )
    untrue: int = 0
    unknown: int = 0
    contradicted: int = 0
    stories: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def missed(self) -> int:
        """The number of wrong gradients that passed."""
        return sum(counts["PASS"] for counts in self.wrong.values())

    @property
    def tracebacks(self) -> int:
        """The number of exceptions instead of reports."""
        return sum(
            counts["traceback"]
            for side in (self.right, self.wrong)
            for counts in side.values()
        )

    def __str__(self) -> str:
        lines = []
        for kind in ("ordinary", "hard"):
            right, wrong = self.right[kind], self.wrong[kind]
            lines.append(f"{kind}: {right.total()} right gradients: {_counts(right)}")
            lines.append(f"{kind}: {wrong.total()} planted errors: {_counts(wrong)}")
        lines.append(
            f"{self.missed} errors passed, {self.tracebacks} tracebacks, {self.untrue}"
            " untrue diagnoses"
        )
        lines.append(
            f"{self.contradicted} verdicts beside a Taylor line against, {self.unknown}"
            " diagnoses not judged"
        )
        return "\n".join(lines)


def _counts(counts: Counter) -> str:
    return (
        ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        or "none"
    )


def run(chosen: list[Case], errors_each: int = 8, seed: int = 0) -> Tally:
    """Check each case's right gradient, and some errors planted in it, and count."""
    tally = Tally()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in chosen:
            began = time.perf_counter()
            try:
                right = truth(case)
            except Exception as error:
                raise AssertionError(
                    f"{case.name} has no gradient of its own"
                ) from error
            _judge(tally, case, None, right, right)
            planted = 0
            for mutation in mutations(case, seed):
                if planted == max(errors_each, len(case.slips) if errors_each else 0):
                    break
                wrong = truth(case, mutation)
                if really_wrong(case, right, wrong):
                    planted += 1
                    _judge(tally, case, mutation, right, wrong)
            tally.seconds[case.name] = time.perf_counter() - began
    return tally


def _judge(
    tally: Tally, case: Case, mutation: Mutation | None, right: list, wrong: list
) -> None:
    story = f"{case.kind}, {case.name}" + (
        f": wrong ({mutation.name})" if mutation else ": right"
    )
    counts = (tally.wrong if mutation else tally.right)[case.kind]
    try:
        report = case.check(mutation and mutation.change, mutation and mutation.slip)
        text = report.text()
        json.dumps(report.to_dict(), allow_nan=False)
        assert report._repr_html_()
    except Exception as error:
        counts["traceback"] += 1
        tally.stories.append(
            f"{story}, traceback: {type(error).__name__}: {str(error)[:200]}"
        )
        return
    verdict = report.verdict
    counts[str(verdict)] += 1
    kink = verdict is Verdict.KINK and case.kinked
    moving = verdict is Verdict.NONDETERMINISTIC and mutation and mutation.moving
    if (
        not kink
        and not moving
        and verdict is not (Verdict.FAIL if mutation else Verdict.PASS)
    ):
        worst = next(row for row in report.rows if row.verdict is verdict)
        story = (
            f"{story}, {verdict} ({worst.name}: off by {worst.error:.1e}, tolerance"
            f" {worst.tolerance:.1e}"
        )
        tally.stories.append(f"{story}; {report.method.split(',')[0]})")
    printed = re.search(r"Taylor remainder: slope (-?[\d.]+)", text)
    against = printed and (
        float(printed[1]) < 1.3 if verdict is Verdict.PASS else float(printed[1]) > 1.9
    )
    if printed and against and verdict in (Verdict.PASS, Verdict.FAIL):
        tally.contradicted += 1
        tally.stories.append(
            f"{story}, {verdict} beside a Taylor slope of {printed[1]}"
        )
    for row in report.rows:
        # At a kink several gradients are right, so the wrong entries are not known.
        if row.diagnosis and not case.kinked and not (mutation and mutation.moving):
            _judge_diagnosis(tally, case, mutation, row, report, right, wrong)


def _judge_diagnosis(
    tally: Tally,
    case: Case,
    mutation: Mutation | None,
    row: Any,
    report: Any,
    right: list,
    wrong: list,
) -> None:
    shown = [n for n, leaf in enumerate(right) if leaf.size]
    place = (
        shown[[r.name for r in report.rows].index(row.name)]
        if len(shown) == len(report.rows)
        else None
    )
    if place is None:
        tally.unknown += 1
        return
    a, b = right[place], wrong[place]
    outputs = np.shape(_value(case))
    if outputs:  # a Jacobian
        a, b = (x.reshape(int(np.prod(outputs)), -1) for x in (a, b))
    false, name = (
        untrue(row.diagnosis, mutation, a, b),
        mutation.name if mutation else "right",
    )
    if false is None:
        tally.unknown += 1
        tally.stories.append(
            f"{case.kind}, {case.name} ({name}), not judged: {row.diagnosis}"
        )
    elif false:
        tally.untrue += 1
        tally.stories.append(
            f"{case.kind}, {case.name} ({name}), untrue of {row.name}: {row.diagnosis}"
            f" ({false})"
        )


def _value(case: Case) -> Any:
    return (
        0.0 if hasattr(case.f, "layout") else case.f(fresh(case.theta), *case.args)[0]
    )


if __name__ == "__main__":
    import sys

    began = time.time()
    each, part, seed = (*sys.argv[1:], *("8", "", "0")[len(sys.argv) - 1 :])[:3]
    tally = run(cases(part, seed=int(seed)), int(each), int(seed))
    print("\n".join(tally.stories))
    print(tally)
    slowest = sorted(tally.seconds.items(), key=lambda item: -item[1])[:10]
    print("slowest:", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest))
    print(f"{time.time() - began:.0f} s")

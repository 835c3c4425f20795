import numpy as np
import pytest

from function_case import matched, with_leaves
from function_suite import Mutation, cases, run, untrue

SLOW = (
    "hidden Markov",
    "GRU",
    "LSTM",
    "chain field",
    "transformer",
    "2 heads",
    "1,500 rows",
    "000",
    "rows, scale",
    "2,163",
    "Sinkhorn",
    "float32 sum",
    "float32 network",
    "soft labels",
    "two classes",
    "hundred leaves",
)


def within(tally):
    """Assert that no wrong gradient passes, no diagnosis is false, and few right gradients fail."""
    stories = "\n".join([*tally.stories, str(tally)])
    assert tally.missed == 0, stories
    assert tally.tracebacks == 0, stories
    assert tally.untrue == 0, stories
    assert tally.contradicted == 0, stories
    ordinary, hard = tally.right["ordinary"], tally.right["hard"]
    refused = sum(ordinary[verdict] for verdict in ("FAIL", "KINK", "NONDETERMINISTIC"))
    assert refused == 0, stories
    assert ordinary["INCONCLUSIVE"] <= 0.01 * ordinary.total(), stories
    assert hard["FAIL"] <= 0.03 * hard.total(), stories


def quick():
    """Return the fast NumPy and SciPy cases."""
    return [
        case
        for case in cases(backends=("numpy", "scipy"))
        if not any(name in case.name for name in SLOW)
    ]


@pytest.mark.parametrize(
    "kind", ["ordinary", pytest.param("hard", marks=pytest.mark.long)]
)
def test_sample(kind):
    within(run([case for case in quick() if case.kind == kind][::40], errors_each=1))


@pytest.mark.long
@pytest.mark.parametrize("backend", ["numpy", "scipy", "torch", "jax"])
def test_whole_suite(backend):
    chosen = cases(backends=(backend,))
    if not chosen:
        pytest.skip(f"{backend} is not installed")
    within(run(chosen, errors_each=7))


@pytest.mark.long
def test_right_gradients_are_right():
    """Finite differences of order 8 confirm the gradient of every ordinary case."""
    for case in cases(backends=("numpy", "scipy")):
        if case.kind == "ordinary":
            assert differences(case) < 1e-8 or case.smallest >= 1e-4, case.name


def differences(case, entries=12):
    """Return the largest error of finite differences, relative to the largest entry of each leaf."""
    leaves = [np.array(leaf, dtype=float) for leaf in matched(case.theta, case.theta)]
    value, gradient = case.f(with_leaves(case.theta, leaves), *case.args)
    worst, weights = 0.0, np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
    for place, (leaf, J) in enumerate(
        zip(leaves, matched(gradient, case.theta), strict=True)
    ):
        J = np.array(J, dtype=float).reshape((*np.shape(value), leaf.size))
        for entry in np.random.default_rng(0).permutation(leaf.size)[:entries]:
            errors = []
            for h in (abs(leaf.flat[entry]) or 1.0) * np.array(
                [3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7]
            ):

                def at(step, leaf=leaf, place=place, entry=entry):
                    moved = [other.copy() for other in leaves]
                    moved[place].reshape(-1)[entry] += step
                    return np.asarray(
                        case.f(with_leaves(case.theta, moved), *case.args)[0],
                        dtype=float,
                    )

                with np.errstate(all="ignore"):
                    slope = sum(
                        w * (at(k * h) - at(-k * h)) / h
                        for k, w in enumerate(weights, 1)
                    )
                errors.append(
                    np.abs(slope - J[..., entry]).max() / (np.abs(J).max() or 1)
                )
                if errors[-1] < 1e-9:
                    break
            worst = max(worst, np.nanmin(errors))
    return worst


@pytest.mark.parametrize(("text", "wrong", "true"), [
    ("its sign is wrong", [-1.0, -2.0, -3.0], True),
    ("its sign is wrong", [-1.0, -2.0, 3.0], False),
    ("the gradient is 2 times the expected one: it has an extra factor of 2", [2.0, 4.0, 6.0], True),
    ("the gradient is 1/2 of the expected one: a factor of 2 is missing", [2.0, 4.0, 6.0], False),
    ("the gradient is 1 times the expected one", [1.0, 2.0, 3.0 + 3e-7], False),
    ("the gradient is 1 + 1e-05 times the expected one", [1.00001, 2.00002, 3.00003], True),
    ("the gradient is 1.37 times the expected one", [1.37, 2.74, 4.11], True),
    ("the gradient is N = 7 times the expected one: a sum", [7, 14, 21], True),
    ("the gradient is 1/N = 1/7 of the expected one: a sum over rows is divided by N", [7, 14, 21], False),
    ("one entry of 3 is wrong", [1.0, 2.5, 3.0], True),
    ("one entry of 3 is wrong", [1.0, 2.5, 3.0 + 3e-9], False),
    ("2 of 3 entries are 0 by mistake", [0.0, 2.0, 0.0], True),
    ("2 of 3 entries are wrong, all of them 3 times the expected ones", [3.0, 6.0, 3.0], True),
    ("the entries [0] and [1] are swapped", [2.0, 1.0, 3.0], True),
    ("the entries [0] and [2] are swapped", [2.0, 1.0, 3.0], False),
    ("every entry is off by the same amount, 0.5", [1.5, 2.5, 3.5], True),
    ("the gradient is 0 everywhere", [0.0, 0.0, 0.0], True),
])  # fmt: skip
def test_the_suite_detects_false_diagnoses(text, wrong, true):
    found = untrue(
        text, Mutation("", rows=7), np.array([1.0, 2.0, 3.0]), np.array(wrong)
    )
    assert (found == "") is true, found


def test_the_suite_detects_false_transposes():
    A = np.arange(9.0).reshape(3, 3)
    assert untrue("it is transposed", Mutation(""), A, A.T) == ""
    assert untrue("it is transposed", Mutation(""), A, 2 * A.T) != ""
    assert untrue("something else", Mutation(""), A, A.T) is None
    assert untrue("it is transposed", None, A, A) != ""

"""The verdict on a part does not depend on the scale of other parts."""

import numpy as np
import pytest
from judging import RIGHT, WRONG, verdict

from sampled import sampled
from vecprop.check import Verdict, check_gradients

rng = np.random.default_rng(0)
X, W, v = rng.normal(size=(8, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
t = np.sort(rng.uniform(0, 600, 40))


def product(scale):
    """Return mean((X W v - 1)²) + |v|², its gradient, and parameters with W ~ scale and v ~ 1 / scale."""

    def f(p):
        return np.mean((X @ p["W"] @ p["v"] - 1) ** 2) + np.sum((p["v"] * scale) ** 2)

    def gradient(p, factor_W=1.0, factor_v=1.0):
        e = 2 * (X @ p["W"] @ p["v"] - 1) / 8
        J_v = (X @ p["W"]).T @ e + 2 * scale**2 * p["v"]
        return {"W": factor_W * X.T @ np.outer(e, p["v"]), "v": factor_v * J_v}

    return f, gradient, {"W": W * scale, "v": v / scale}


METHODS = ("directions", "ridders", "central differences", "auto", "complex step")


@pytest.mark.parametrize(
    ("scale", "method"),
    sampled(
        [(scale, method) for scale in (1e-12, 1e-6, 1e6, 1e12) for method in METHODS],
        14,
    ),
)
def test_parts_of_reciprocal_scales(scale, method):
    f, gradient, theta = product(scale)
    assert verdict(f, theta, gradient=gradient, method=method) is Verdict.PASS
    for wrong in (
        {"factor_W": 0},
        {"factor_W": 1.001},
        {"factor_v": -1},
        {"factor_v": 1.001},
    ):
        given = lambda p, wrong=wrong: gradient(p, **wrong)  # noqa: E731
        assert verdict(f, theta, gradient=given, method=method) is Verdict.FAIL


@pytest.mark.parametrize("share", [1e-9, 1e-14, 1e-18])
@pytest.mark.parametrize(
    ("method", "factor"),
    sampled(
        [(method, factor) for method in ("auto", "ridders") for factor in (-1, 0, 2)], 5
    ),
)
def test_wrong_gradients_of_parts_with_little_influence_do_not_pass(
    share, factor, method
):
    f = lambda p: np.sum(np.sin(p["a"])) + share * np.sum(np.exp(p["b"]))  # noqa: E731
    gradient = lambda p, k=factor: {  # noqa: E731
        "a": np.cos(p["a"]),
        "b": k * share * np.exp(p["b"]),
    }
    theta = {"a": np.array([0.3, -0.7]), "b": np.array([0.5, 1.2])}
    found = verdict(f, theta, gradient=gradient, method=method)
    assert found in WRONG or (factor == 0 and method == "ridders" and share < 1e-15)


def test_derivatives_of_0_with_rounding_errors_pass():
    def f(p):
        Z = X @ p["W"] + p["c"]
        return np.mean(np.log(np.exp(Z).sum(axis=1)) - Z[:, 0])

    def gradient(p):
        Y = np.exp(X @ p["W"] + p["c"])
        D = (Y / Y.sum(axis=1, keepdims=True) - np.array([1.0, 0, 0])) / len(X)
        return {"W": X.T @ D, "c": D.sum()}

    for method in ("auto", "ridders"):
        assert (
            verdict(f, {"W": W, "c": 0.7}, gradient=gradient, method=method)
            is Verdict.PASS
        )


@pytest.mark.parametrize("method", ["auto", "directions", "central differences"])
@pytest.mark.parametrize(
    ("entry", "factor"), sampled([(0, -1), (1, 0), (2, 2), (3, -1)], 4)
)
def test_entries_of_different_units_in_one_array(method, entry, factor):
    units = np.array([1e-6, 1e6, 1.0, 1e3])
    w = units * np.array([0.3, 0.7, 1.1, -0.4])

    def gradient(w, k=1.0):
        J = np.cos(w / units) / units
        J[entry] = k * J[entry]
        return J

    f = lambda w: np.sum(np.sin(w / units))  # noqa: E731
    assert verdict(f, w, gradient=gradient, method=method) in RIGHT
    wrong = lambda w: gradient(w, factor)  # noqa: E731
    assert verdict(f, w, gradient=wrong, method=method) in WRONG


@pytest.mark.parametrize("distance", sampled([np.abs, np.square]))
@pytest.mark.parametrize(
    "period",
    [60.0, *(pytest.param(each, marks=pytest.mark.long) for each in (1.0, 86400.0))],
)
@pytest.mark.parametrize(
    "method", sampled(["auto", "ridders", "central differences"], 3)
)
def test_a_short_period_of_a_unix_time(distance, period, method):
    times, w = 1.7e9 + t / 60 * period, 2 * np.pi / period
    y = np.sin(w * (times - 1.7e9))

    def f(theta):
        return np.mean(distance(theta[1] * np.sin(w * (times - theta[0])) - y))

    def gradient(theta, factor=1.0):
        start, height = theta
        s = np.sin(w * (times - start))
        e = height * s - y
        d = (np.sign(e) if distance is np.abs else 2 * e) / len(times)
        return np.array(
            [
                -factor * np.sum(d * height * w * np.cos(w * (times - start))),
                np.sum(d * s),
            ]
        )

    theta = np.array([1.7e9 + 0.3 * period, 0.8])
    assert verdict(f, theta, gradient=gradient, method=method) in RIGHT
    assert (
        verdict(f, theta, gradient=lambda theta: gradient(theta, 2), method=method)
        in WRONG
    )
    if method == "auto":
        assert (
            verdict(f, theta, gradient=lambda theta: gradient(theta, 0)) is Verdict.FAIL
        )


@pytest.mark.parametrize(("f", "slope", "expected"), [
    (lambda t: np.abs(np.sin(np.pi / 30 * t)).sum(), lambda t: np.sign(np.sin(np.pi / 30 * t)), Verdict.PASS),
    (lambda t: np.sin(np.pi / 30 * t).sum(), lambda t: 1, Verdict.PASS),
    (lambda t: float(np.sin(np.pi / 30 * np.real(t)).sum()), lambda t: 1, Verdict.INCONCLUSIVE),
    (lambda t: np.mod(t, 60).sum(), lambda t: 30 / np.pi / np.cos(np.pi / 30 * t), Verdict.INCONCLUSIVE),
])  # fmt: skip
def test_periods_that_look_like_noise_over_long_steps(f, slope, expected):
    gradient = lambda t: np.pi / 30 * np.cos(np.pi / 30 * t) * slope(t)  # noqa: E731
    theta = 1.7e9 + np.array([17.3, 111.7])
    assert verdict(f, theta, gradient=gradient) is expected
    wrong = Verdict.FAIL if expected is Verdict.PASS else expected
    assert verdict(f, theta, gradient=lambda t: 2 * gradient(t)) is wrong


@pytest.mark.parametrize(
    ("unit", "method"),
    sampled([(unit, method) for unit in (1e-9, 1e9) for method in METHODS[:4]], 8),
)
def test_units_of_parts_that_are_0(unit, method):
    def f(p):
        return np.mean(
            np.log1p(np.exp(X @ p["w"] / unit + unit * p["b"]))
            + 0.3 * np.sin(unit * p["b"])
        )

    def gradient(p, factor_w=1.0, factor_b=1.0):
        D = 1 / (1 + np.exp(-X @ p["w"] / unit - unit * p["b"])) / len(X)
        return {
            "w": factor_w * X.T @ D / unit,
            "b": factor_b * unit * (D.sum() + 0.3 * np.cos(unit * p["b"])),
        }

    for theta in ({"w": np.zeros(4), "b": 0.0}, {"w": unit * W[:, 0], "b": 0.0}):
        assert verdict(f, theta, gradient=gradient, method=method) is Verdict.PASS
        for wrong in (
            {"factor_w": 0},
            {"factor_w": 1.0001},
            {"factor_b": 0},
            {"factor_b": 1.0001},
        ):
            given = lambda p, wrong=wrong: gradient(p, **wrong)  # noqa: E731
            assert verdict(f, theta, gradient=given, method=method) is Verdict.FAIL


@pytest.mark.parametrize(("f", "gradient"), [
    (lambda w: 1e9 + np.sum(w**3), lambda w: 3 * w**2),
    (lambda w: 1e9 + np.sum(w**3), lambda w: 3.0003 * w**2),
    (lambda w: 1e13 + np.sum(np.sin(w)), lambda w: 0 * w),
])  # fmt: skip
def test_finite_differences_of_a_large_value_are_inconclusive(f, gradient):
    found = verdict(
        f, np.array([1.8, -0.4, -2.9]), gradient=gradient, method="central differences"
    )
    assert found is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("unit", [1.0, 1e10])
def test_a_day_in_a_unix_time_in_any_unit(unit):
    angle = lambda p: 2 * np.pi / 86400 * (1.7e9 + 144 * t - unit * p["t0"])  # noqa: E731
    f = lambda p: np.sum(p["a"] * np.sin(angle(p)))  # noqa: E731

    def gradient(p):
        slope = -2 * np.pi / 86400 * unit * p["a"] * np.cos(angle(p))
        return {"t0": np.sum(slope), "a": np.sum(np.sin(angle(p)))}

    found = verdict(
        f,
        {"t0": 1.70004e9 / unit, "a": 0.8},
        gradient=gradient,
        method="central differences",
    )
    assert found in RIGHT


def rounded(p):
    return {name: np.float64(np.float32(J)) for name, J in product(1.0)[1](p).items()}


def test_a_part_rounded_to_float32_has_a_note():
    f, gradient, theta = product(1.0)
    report = check_gradients(f, theta, gradient=rounded)
    assert report.verdict is not Verdict.FAIL
    assert all(
        "rounded to float32 and were judged at that precision" in row.note
        for row in report.rows
    )
    report = check_gradients(
        f, theta, gradient=lambda p: gradient(p) | {"v": rounded(p)["v"]}
    )
    assert ["float32" in row.note for row in report.rows] == [False, True]
    report = check_gradients(
        f, theta, gradient=lambda p: {n: (1 + 1e-8) * J for n, J in gradient(p).items()}
    )
    assert all("at the precision of float32" in row.note for row in report.rows)
    report = check_gradients(
        lambda w: w @ w / 2, np.arange(4.0), gradient=lambda w: (1 + 1e-8) * w
    )
    # the entry that is 0 is ignored
    assert "at the precision of float32" in report.rows[0].note
    for method in ("auto", "ridders", "directions"):
        report = check_gradients(f, theta, gradient=gradient, method=method)
        assert not any("float32" in row.note for row in report.rows)
        report = check_gradients(
            lambda w: np.sum(w**2) / 2,
            np.arange(1.0, 5.0),
            gradient=lambda w: w,
            method=method,
        )
        assert not any(row.note for row in report.rows)


@pytest.mark.parametrize(("rows", "factor", "said"), [
    (8, 8, "N = 8 times"), (8, 1 / 8, "1/N = 1/8"), (8, 16, "16 times the expected one (2 N for N = 8 rows)"),
    (8, 0.25, "0.25 times the expected one (2/N for N = 8 rows)"),
    (8, -4, "-4 times the expected one (-N/2 for N = 8 rows)"), (8, 7, "7 times the expected one"),
    (2, 2, "2 times the expected one: it has an extra factor of 2, or the sum over the N = 2 rows is not divided by N"),
    (3, 3, "3 times the expected one (N for"),
])  # fmt: skip
def test_multiples_of_the_number_of_rows_are_diagnosed(rows, factor, said):
    f = lambda w, X: np.mean(np.exp(X @ w))  # noqa: E731
    gradient = lambda w, X: factor * X.T @ np.exp(X @ w) / len(X)  # noqa: E731
    [diagnosis] = check_gradients(
        f, np.full(4, 0.1), args=(X[:rows],), gradient=gradient
    ).diagnoses
    assert said in diagnosis
    assert ("N" in diagnosis) == (factor != 7)


def test_wrong_entries_along_directions_are_counted_in_their_own_units():
    units = np.array([1e-6, 1e6, 1.0, 1e3])
    f = lambda w: np.sum(np.sin(w / units))  # noqa: E731
    wrong = lambda w: np.cos(w / units) / units * [1, 2, 3, 1]  # noqa: E731
    report = check_gradients(
        f, units * [0.3, 0.7, 1.1, -0.4], gradient=wrong, method="directions"
    )
    assert report.verdict is Verdict.FAIL
    assert "one entry" not in report.text()


def test_steps_outside_the_domain_do_not_fail():
    units = np.append(1.0, np.full(15, 1e-7))
    f = lambda w: np.log(1 - w[0]) + np.sum(w[1:] / units[1:])  # noqa: E731
    gradient = lambda w: np.append(1 / (w[0] - 1), 1 / units[1:])  # noqa: E731
    found = verdict(
        f,
        units * np.append(1 - 7e-5, np.ones(15)),
        gradient=gradient,
        method="central differences",
    )
    assert found is not Verdict.FAIL


@pytest.mark.parametrize("method", ["auto", "ridders"])
def test_gradient_functions_may_store_numbers_between_calls(method):
    kept = {"velocity": 0.0}

    def momentum(w):
        kept["velocity"] = 0.9 * kept["velocity"] + np.cos(w)
        return kept["velocity"]

    f = lambda w: np.sum(np.sin(w))  # noqa: E731
    assert (
        verdict(f, np.array([0.3, 0.7]), gradient=momentum, method=method)
        is Verdict.NONDETERMINISTIC
    )


@pytest.mark.parametrize("calls", [1, 2])
def test_exceptions_in_later_calls(calls):
    count = []

    def gradient(w):
        count.append(1)
        if len(count) > calls:
            raise KeyError("two\nlines")
        return np.cos(w)

    with pytest.raises(
        ValueError, match="gradient function raised KeyError at theta"
    ) as raised:
        check_gradients(
            lambda w: np.sum(np.sin(w)), np.array([0.3, 0.7]), gradient=gradient
        )
    assert "\n" not in str(raised.value)


def test_integers_beyond_float64_raise_a_clear_error():
    with pytest.raises(TypeError, match="an array of real numbers"):
        check_gradients(
            lambda w: np.sum(w), np.ones(2), gradient=lambda w: [10**400, 1]
        )

import numpy as np
import pytest
from scipy.special import expit, logsumexp

from sampled import sampled
from vecprop.check import Verdict, check_gradients, jax_function, torch_function

w = np.array([0.3, -1.2, 0.7, 2.0])
e2 = np.eye(4)[2]


def softmax(z):
    E = np.exp(z - np.max(z.real))
    return E / np.sum(E)


ANALYTIC = {
    "square": lambda w: (w @ w, 2 * w),
    "log-sum-exp": lambda w: (logsumexp(w), softmax(w)),
    "maximum": lambda w: (np.max(w), 1.0 * (w == np.max(w))),
    "Jacobian": lambda w: (
        softmax(w),
        np.diag(softmax(w)) - np.outer(softmax(w), softmax(w)),
    ),
    "scalar loop": lambda w: (sum(np.sin(x) for x in w), np.cos(w)),
    "cancelling": lambda w: (
        np.sum((1 - np.cos(w)) / w**2),
        np.sin(w) / w**2 - 2 * (1 - np.cos(w)) / w**3,
    ),
}
CORRUPTED = {
    "absolute value": lambda w: (np.abs(w).sum(), np.sign(w)),
    "norm": lambda w: (np.linalg.norm(w), w / np.linalg.norm(w)),
    "variance": lambda w: (np.var(w), 2 * (w - w.mean()) / w.size),
    "logaddexp": lambda w: (np.logaddexp.reduce(w), softmax(w)),
    "expit": lambda w: (expit(w).sum(), expit(w) * (1 - expit(w))),
    "vdot": lambda w: (np.vdot(w, w), 2 * w),
    "float": lambda w: (np.sum(np.asarray(w, dtype=float) ** 2), 2 * w.real),
    "in part": lambda w: (
        np.sin(w).sum() + 1e-8 * np.abs(w[2]),
        np.cos(w) + 1e-8 * np.sign(w) * e2,
    ),
}


@pytest.mark.parametrize("name", ANALYTIC)
def test_analytic_functions_use_the_complex_step(name):
    report = check_gradients(ANALYTIC[name], w)
    assert report.passed, report.text()
    assert report.method.startswith("complex step")
    assert wrong_by(ANALYTIC[name], 1e-6).verdict is Verdict.FAIL


@pytest.mark.parametrize("name", CORRUPTED)
def test_functions_without_complex_support_use_ridders_method(name):
    report = check_gradients(CORRUPTED[name], w)
    assert report.passed, report.text()
    assert report.method.startswith("Ridders")
    assert "The complex step does not work for this function" in report.notes[0]
    assert wrong_by(CORRUPTED[name], 1e-6).verdict is Verdict.FAIL
    with pytest.raises(ValueError, match="does not work for this function"):
        check_gradients(CORRUPTED[name], w, method="complex step")


COMPLEX = {
    "phase": lambda w: (np.angle(np.exp(1j * w) @ w), phase_gradient(w)),
    "power of a spectrum": lambda w: (
        np.sum(np.abs(np.fft.fft(w)) ** 2),
        2 * w.size * w,
    ),
    "magnitude": lambda w: (
        np.abs(w[0] + 1j * w[1]) + w[2] * w[3],
        magnitude_gradient(w),
    ),
    "real part": lambda w: (
        np.exp((1 + 2j) * w).real.sum(),
        ((1 + 2j) * np.exp((1 + 2j) * w)).real,
    ),
    "roots": lambda w: (
        np.sqrt(w + 0j).imag.sum(),
        np.where(w < 0, -0.5 / np.sqrt(np.abs(w)), 0),
    ),
}


def phase_gradient(w):
    z = np.exp(1j * w) @ w
    return (np.exp(1j * w) * (1 + 1j * w) / z).imag


def magnitude_gradient(w):
    z = w[0] + 1j * w[1]
    return np.array([z.real / np.abs(z), z.imag / np.abs(z), w[3], w[2]])


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("method", ["auto", "ridders", "central differences"])
def test_functions_that_compute_with_complex_numbers_are_checked(name, method):
    report = check_gradients(COMPLEX[name], w, method=method)
    assert report.passed, report.text()
    assert wrong_by(COMPLEX[name], 1e-3).verdict is Verdict.FAIL


def test_errors_of_a_gradient_that_raises_at_some_points_next_to_theta_are_unknown():
    """The inverse of a nearly singular matrix is inaccurate at some points and does not exist at others."""

    def inaccurate(at):
        distance = np.abs(np.asarray(at) - w).max()
        if 1e-13 < distance < 1e-11:
            raise np.linalg.LinAlgError
        return np.sign(at) * (1.01 if distance < 1e-11 else 1)

    value = lambda w: np.abs(w).sum()  # noqa: E731
    assert check_gradients(value, w, gradient=inaccurate).verdict is not Verdict.FAIL
    assert (
        check_gradients(value, w, gradient=lambda at: 1.01 * np.sign(at)).verdict
        is Verdict.FAIL
    )


def wrong_by(f, share):
    def wrong(w):
        value, J = f(w)
        J = np.array(J)
        J.flat[1] += share * np.abs(J).max()
        return value, J

    return check_gradients(wrong, w)


@pytest.mark.parametrize(("f", "verdict"), [
    (lambda w: (np.abs(w).sum(), np.sign(w)), "KINK"),
    (lambda w: (np.abs(w).sum(), np.sign(w) + 0.5 * (w == 0)), "KINK"),
    (lambda w: (np.abs(w).sum(), np.sign(w) + 1.5 * (w == 0)), "FAIL"),
    (lambda w: (np.maximum(w, 0).sum(), 1.0 * (w > 0)), "KINK"),
    (lambda w: (np.maximum(w, 0).sum(), 1.0 * (w > 0) - 0.5 * (w == 0)), "FAIL"),
    (lambda w: (np.maximum(w, 0).sum() ** 2, 2 * np.maximum(w, 0).sum() * (w > 0)), "KINK"),
])  # fmt: skip
def test_kinks_of_functions(f, verdict):
    assert check_gradients(f, np.array([0.0, 1.0, -2.0])).verdict == verdict


@pytest.mark.parametrize("size", sampled([1e-5, 1e-3, 1e-7], 3))
def test_cancellation_in_the_value_does_not_fail_an_accurate_gradient(size):
    w = size * np.array([1.3, -0.7])
    value, right = (
        lambda w: np.sum((1 - np.cos(w)) / w**2),
        lambda w: -w / 12 + w**3 / 180 - w**5 / 6720,
    )
    assert check_gradients(value, w, gradient=right).verdict in (
        Verdict.PASS,
        Verdict.INCONCLUSIVE,
    )
    assert (
        check_gradients(value, w, gradient=lambda w: right(w) + 1e10).verdict
        is Verdict.FAIL
    )
    assert not check_gradients(value, w, gradient=lambda w: -right(w)).passed


def test_parameters_of_any_shape():
    X = np.random.default_rng(0).standard_normal((20, 3))
    T = np.random.default_rng(1).standard_normal((20, 2))

    def loss(p, X, T):
        H = np.tanh(X @ p["hidden"]["W"] + p["hidden"]["b"])
        E = H @ p["out"] - T
        D = (1 - H * H) * (E @ p["out"].T)
        return np.sum(E * E) / 2, {
            "hidden": {"W": X.T @ D, "b": D.sum(axis=0)},
            "out": H.T @ E,
        }

    draw = np.random.default_rng(2)
    p = {
        "hidden": {"W": draw.standard_normal((3, 4)), "b": np.zeros(4)},
        "out": draw.standard_normal((4, 2)),
    }
    report = check_gradients(loss, p, args=(X, T))
    assert report.passed
    assert [(row.name, row.shape) for row in report.rows] == [
        ("hidden.W", (3, 4)),
        ("hidden.b", (4,)),
        ("out", (4, 2)),
    ]

    def listed(q, X, T):
        value, J = loss({"hidden": {"W": q[0], "b": q[1]}, "out": q[2]}, X, T)
        return value, [20 * J["hidden"]["W"], 20 * J["hidden"]["b"], 20 * J["out"]]

    report = check_gradients(
        listed, [p["hidden"]["W"], p["hidden"]["b"], p["out"]], args=(X, T)
    )
    assert report.diagnoses == (
        (
            "the gradient is N = 20 times the expected one: the sum over rows is not"
            " divided by N"
        ),
    )
    assert check_gradients(lambda x: (x**3, 3 * x**2), 2.0).passed
    assert check_gradients(lambda x: x**3, 2.0, gradient=lambda x: 3 * x**2).passed
    assert check_gradients(lambda x: x**3, 2.0, gradient=12.0).passed
    report = check_gradients(lambda x: x**3, 2.0, gradient=lambda x: x**2)
    assert report.diagnoses == ("the gradient is 0.333333 times the expected one",)


def test_a_broken_softmax_and_a_transpose_are_diagnosed():
    report = check_gradients(
        lambda z: (softmax(z), np.diag(softmax(z) * (1 - softmax(z)))), w
    )
    assert "only its diagonal is right" in report.diagnoses[0]
    A = np.arange(9.0).reshape(3, 3)
    assert check_gradients(
        lambda W: (np.sum(A * W * W) / 2, (A * W).T), A + 1
    ).diagnoses == ("it is transposed",)
    report = check_gradients(lambda z: (A @ z, A.T), np.ones(3))
    assert report.diagnoses == ("it is transposed",)


@pytest.mark.parametrize("size", sampled([1e-11, 1e-9, 1e-6, 1e-4, 1.0], 4))
def test_randomness(size):
    """Differences between two runs are not rounding errors, whether or not error bounds are available."""
    draw = np.random.default_rng(0)

    def followed(w):
        return w @ w, 2 * w + size * draw.standard_normal(4)

    def not_followed(w):
        w = np.asarray(w, float)
        return w @ w, 2 * w + size * draw.standard_normal(4)

    def noisy_value(w):
        return w @ w * (1 + size * draw.standard_normal()), 2 * w

    for f in (followed, not_followed, noisy_value):
        assert check_gradients(f, w).verdict is Verdict.NONDETERMINISTIC


def test_the_order_of_summation_is_not_randomness():
    """Threads may change the order of summation, which changes the last bits."""
    draw = np.random.default_rng(0)

    def summed(dtype):
        return lambda w: (
            w @ w,
            (2 * w.real * (1 + np.finfo(dtype).eps * draw.integers(-2, 3, 4))).astype(
                dtype
            ),
        )

    assert check_gradients(summed(np.float32), w).passed
    verdict = check_gradients(summed(np.float64), w).verdict
    assert verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)


def test_float32_parameters():
    assert check_gradients(
        lambda w: (np.sum(np.tanh(w) ** 2), 2 * np.tanh(w) * (1 - np.tanh(w) ** 2)),
        w.astype("f4"),
    ).passed


@pytest.mark.parametrize(("f", "theta", "error", "message"), [
    (lambda w: (w @ w, 2 * w), np.zeros(0), ValueError, "theta is empty"),
    (lambda w: (w @ w, 2 * w), {}, ValueError, "theta is empty"),
    (lambda w: (w @ w, 2 * w), np.array([1.0, np.nan]), ValueError, r"theta is not finite: theta\[1\] is nan"),
    (lambda w: (w @ w, 2 * w), np.array(["a"]), TypeError, "parameters must be real numbers"),
    (lambda w: (w @ w, 2 * w[:2]), w, ValueError, r"gradient of theta has shape \(2,\), expected \(4,\)"),
    (lambda w: (w @ w, [w, w]), w, ValueError, "2 arrays, but theta has 1"),
    (lambda w: (w @ w, w * np.inf), w, ValueError, r"The gradient of theta\[0\] is inf"),
    (lambda w: (np.nan, w), w, ValueError, "The value is nan: choose theta"),
    (lambda w: (w @ w, 2 * w), [1.0, 2.0], ValueError, "theta is a list of numbers: pass np.array"),
    (lambda w: 1 / 0, w, ValueError, "The function raised ZeroDivisionError at theta"),
    (lambda w: w @ w, w, TypeError, r"must return \(value, gradient\), got float64"),
    (lambda w: (w[:0], w), w, ValueError, "value is empty"),
    (lambda w: (w + 0j, w), w, TypeError, "must return real numbers, got dtype complex128"),
    (lambda w: (w @ w, 2j * w), w, TypeError, "an array of real numbers, got complex128"),
    (lambda w: (w @ w, None), w, TypeError, "an array of real numbers, got NoneType"),
    (lambda w: ([1, [2, 3]], w), w, TypeError, "value is not an array of numbers"),
])  # fmt: skip
def test_errors(f, theta, error, message):
    with pytest.raises(error, match=message) as raised:
        check_gradients(f, theta)
    assert "\n" not in str(raised.value)


@pytest.mark.long
def test_pytorch_functions():
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, delta):
            return delta * 2 * ctx.saved_tensors[0] ** 2

    # modes of the caller
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode():
            assert check_gradients(
                torch_function(lambda x: (torch.sigmoid(x) ** 2).sum()), w
            ).passed
    assert check_gradients(
        torch_function(lambda p: torch.softmax(p["a"], 0) * p["b"][0]),
        {"a": w, "b": [w]},
    ).passed
    assert check_gradients(
        torch_function(lambda p: (p["a"] * p["number"]).sum()),
        {"a": w, "number": np.array(0.8)},
    ).passed
    report = check_gradients(torch_function(lambda x: Cube.apply(x).sum()), w)
    assert report.diagnoses == ("the gradient is 0.666667 times the expected one",)


def test_jax_functions():
    jax = pytest.importorskip("jax")
    assert check_gradients(
        jax_function(lambda x: jax.numpy.sum(jax.nn.sigmoid(x) ** 2)), w
    ).passed
    assert check_gradients(
        jax_function(lambda p: jax.nn.softmax(p["a"])), {"a": w}
    ).passed


@pytest.mark.long
def test_modules_and_data_of_different_dtypes():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)
    )
    X, t = torch.randn(8, 4), torch.arange(8) % 3  # float32 and int64
    report = check_gradients(
        torch_function(module), dict(module.named_parameters()), args=(X,)
    )
    assert report.passed
    assert report.method.startswith("complex step")
    assert [row.name for row in report.rows] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    p = {"W": np.random.default_rng(0).normal(size=(4, 3)), "b": np.zeros(3)}

    def loss(p, X, t):
        return torch.nn.functional.cross_entropy(X @ p["W"] + p["b"], t)

    assert check_gradients(torch_function(loss), p, args=(X, t)).passed
    within = lambda p: loss(p, X, t)  # noqa: E731  (float32 data inside the function)
    report = check_gradients(torch_function(within), p)
    assert report.passed, report.text()


@pytest.mark.long
def test_values_are_computed_without_gradients():
    torch = pytest.importorskip("torch")
    graphs = []

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            graphs.append(torch.is_grad_enabled() or x.requires_grad)
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, delta):
            return 2 * delta * ctx.saved_tensors[0]

    assert check_gradients(torch_function(lambda x: Square.apply(x).sum()), w).passed
    assert graphs.count(False) > 10

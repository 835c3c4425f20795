"""Random chains of operations, with gradients from hand-written backward passes, at ordinary and hostile data.

A chain is a list of operations. Each operation returns its output and the backward
pass, which maps the gradient with respect to the output to the gradient with respect to
the input.
"""

import numpy as np
from scipy import special

from function_case import Case


def elementwise(value, slope):
    def operation(z):
        return value(z), lambda d: d * slope(z)

    return operation


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ELEMENTWISE = {
    "tanh": elementwise(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": elementwise(sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "expit": elementwise(special.expit, lambda z: special.expit(z) * special.expit(-z)),
    "erf": elementwise(special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))),
    "softplus": elementwise(lambda z: np.logaddexp(0, z), special.expit),
    "log1p exp": elementwise(lambda z: np.log1p(np.exp(z)), sigmoid),
    "smooth absolute value": elementwise(
        lambda z: np.sqrt(1 + z**2), lambda z: z / np.sqrt(1 + z**2)
    ),
    "sine": elementwise(np.sin, np.cos),
    "arctangent": elementwise(np.arctan, lambda z: 1 / (1 + z**2)),
    "arcsinh": elementwise(np.arcsinh, lambda z: 1 / np.sqrt(1 + z**2)),
    "absolute value": elementwise(np.abs, np.sign),
    "relu": elementwise(lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "leaky relu": elementwise(
        lambda z: np.where(z > 0, z, 0.1 * z), lambda z: np.where(z > 0, 1, 0.1)
    ),
    "elu": elementwise(
        lambda z: np.where(z > 0, z, np.expm1(z)),
        lambda z: np.where(z > 0, 1, np.exp(z)),
    ),
    "gelu": elementwise(
        lambda z: z * special.ndtr(z),
        lambda z: special.ndtr(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi),
    ),
    "swish": elementwise(
        lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))
    ),
    "cube": elementwise(lambda z: z**3, lambda z: 3 * z**2),
    "log": elementwise(lambda z: np.log(1 + z * z), lambda z: 2 * z / (1 + z * z)),
    "power": elementwise(
        lambda z: (1 + z**2) ** -0.7, lambda z: -1.4 * z * (1 + z**2) ** -1.7
    ),
    "log-gamma": elementwise(
        lambda z: special.gammaln(1 + z**2), lambda z: 2 * z * special.digamma(1 + z**2)
    ),
    "clip": elementwise(lambda z: np.clip(z, -1, 1), lambda z: (np.abs(z) < 1) * 1.0),
    "hypot": elementwise(lambda z: np.hypot(z, 2), lambda z: z / np.hypot(z, 2)),
    "reciprocal": elementwise(
        lambda z: 1 / (2 + z**2), lambda z: -2 * z / (2 + z**2) ** 2
    ),
    "phase": elementwise(
        lambda z: np.abs(np.exp(1j * z) + 2),
        lambda z: -2 * np.sin(z) / np.abs(np.exp(1j * z) + 2),
    ),
}


def softmax(z):
    E = np.exp(z - np.max(np.real(z), axis=-1, keepdims=True))
    y = E / E.sum(axis=-1, keepdims=True)
    return y, lambda d: y * (d - (d * y).sum(axis=-1, keepdims=True))


def log_softmax(z):
    y = z - special.logsumexp(z, axis=-1, keepdims=True)
    return y, lambda d: d - np.exp(y) * d.sum(axis=-1, keepdims=True)


def layer_norm(z):
    centered = z - z.mean(axis=-1, keepdims=True)
    s = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)
    y = centered / s
    return (
        y,
        lambda d: (
            (
                d
                - d.mean(axis=-1, keepdims=True)
                - y * (d * y).mean(axis=-1, keepdims=True)
            )
            / s
        ),
    )


def batch_norm(z):
    centered = z - z.mean(axis=0)
    s = np.sqrt(z.var(axis=0) + 1e-3)
    y = centered / s
    return y, lambda d: (d - d.mean(axis=0) - y * (d * y).mean(axis=0)) / s


def unit_length(z):
    norm = np.sqrt((z * z).sum(axis=-1, keepdims=True) + 1e-12)
    y = z / norm
    return y, lambda d: (d - y * (d * y).sum(axis=-1, keepdims=True)) / norm


def cumulative(z):
    return np.cumsum(z, axis=0), lambda d: np.flip(np.cumsum(np.flip(d, 0), axis=0), 0)


def ordered(z):
    places = np.argsort(np.real(z), axis=-1)
    return np.take_along_axis(z, places, -1), lambda d: np.take_along_axis(
        d, np.argsort(places, axis=-1), -1
    )


def centered(z):
    return z - z.mean(), lambda d: d - d.mean()


def spectrum(z):
    F = np.fft.fft(z, axis=-1)
    return (
        np.abs(F) ** 2,
        lambda d: 2 * np.real(np.fft.ifft(d * F, axis=-1)) * z.shape[-1],
    )


ROWS = {
    f.__name__: f for f in (softmax, log_softmax, layer_norm, batch_norm, unit_length)
}
ROWS |= {f.__name__: f for f in (cumulative, ordered, centered, spectrum)}


def mean(z):
    return z.mean(), lambda d: np.full(z.shape, d / z.size)


def half_square(z):
    return 0.5 * np.sum(z**2), lambda d: d * z


def log_sum_exp(z):
    return special.logsumexp(z), lambda d: d * special.softmax(z)


def length(z):
    return np.linalg.norm(z), lambda d: d * z / np.linalg.norm(z)


def deviation(z):
    return np.std(z), lambda d: d * (z - z.mean()) / (z.size * np.std(z))


def largest(z):
    place = np.unravel_index(np.argmax(z), z.shape)  # equal rows have equal maxima
    return (
        np.max(z),
        lambda d: (
            d
            * (np.arange(z.size) == np.ravel_multi_index(place, z.shape)).reshape(
                z.shape
            )
        ),
    )


def weighted(z):
    c = np.cos(np.arange(z.size)).reshape(z.shape)
    return np.sum(c * z), lambda d: d * c


def huber(z):
    e = z - 0.3
    value = np.sum(np.where(np.abs(e) < 1, e**2 / 2, np.abs(e) - 0.5))
    return value, lambda d: d * np.clip(e, -1, 1)


def log_determinant(z):
    M = np.eye(z.shape[-1]) + z.T @ z
    return np.log(np.linalg.det(M)), lambda d: 2 * d * z @ np.linalg.inv(M)


REDUCED = {
    f.__name__: f
    for f in (
        mean,
        half_square,
        log_sum_exp,
        length,
        deviation,
        largest,
        weighted,
        huber,
    )
}
REDUCED |= {"log_determinant": log_determinant}
OPERATIONS = ELEMENTWISE | ROWS | REDUCED


def chain(p, X, names, slip=""):
    """The value of a chain on Z = X W + b, and its gradient; with a slip, an operation passes on a wrong gradient."""
    z = X @ p["W"] + p["b"]
    backward = []
    for name in names:
        z, back = OPERATIONS[name](z)
        backward.append(back)
    d = np.float64(1)
    for name, back in zip(names[::-1], backward[::-1], strict=True):
        d = d if slip == name else back(d)
    return z, {"W": X.T @ d, "b": d.sum(axis=0)}


def unrolled(w, X, names, slip=""):
    """The same with a vector of parameters."""
    p = {"W": w[: 3 * X.shape[1]].reshape(-1, 3), "b": w[3 * X.shape[1] :]}
    value, J = chain(p, X, names, slip)
    return value, np.concatenate([J["W"].ravel(), J["b"]])


def inputs(r, kind):
    X = r.standard_normal((int(r.integers(3, 12)), int(r.integers(1, 5))))
    return {
        "ordinary": X,
        "years": 2000 + X,
        "mixed columns": 10.0 ** r.uniform(-6, 6, X.shape[1]) * X,
        "small": 1e-8 * X,
        "large": 1e8 * X,
        "equal rows": np.repeat(X[:1], len(X), axis=0),
        "nearly constant": 1 + 1e-6 * X,
        "counts": r.poisson(1.0, X.shape).astype(float),
    }[kind]


HOSTILE = (
    "years",
    "mixed columns",
    "small",
    "large",
    "equal rows",
    "nearly constant",
    "counts",
)


def cases(there, seed=0):
    """Return the cases whose gradients are finite and not 0."""
    found = [_case(1000 * seed + number) for number in range(300)]
    return [case for case in found if case is not None and "scipy" in there]


def _case(number):
    r = np.random.default_rng([number, 90])
    kind = "ordinary" if number % 2 else str(r.choice(HOSTILE))
    X = inputs(r, kind)
    names = [str(name) for name in r.choice([*ELEMENTWISE, *ROWS], r.integers(1, 4))]
    names.append(str(r.choice(list(REDUCED))))
    p = {"W": r.standard_normal((X.shape[1], 3)), "b": r.standard_normal(3)}
    f, theta = (
        (unrolled, np.concatenate([p["W"].ravel(), p["b"]]))
        if r.random() < 0.4
        else (chain, p)
    )
    with np.errstate(all="ignore"):
        value, gradient = chain(p, X, names)
    if not np.isfinite(value) or not all(
        np.isfinite(J).all() and np.abs(J).max() > 1e-9 for J in gradient.values()
    ):
        return None
    name = f"random {number}, {kind}, {', '.join(names)}"
    slips = tuple(name for name in dict.fromkeys(names) if name in ELEMENTWISE)[:1]
    return Case(
        name,
        f,
        theta,
        (X, names),
        "ordinary" if kind == "ordinary" else "hard",
        "scipy",
        slips,
    )

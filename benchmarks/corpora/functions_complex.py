"""Real functions that compute with complex numbers: spectra, waves, impedances, phases, roots, with gradients by hand.

A function is an inner one, which maps parameters to complex numbers z and returns the
Jacobian dz/dw, and an outer one, which maps z to a real number and returns G = df/dRe z
+ i df/dIm z. The gradient is Re(conj(G) dz/dw).
"""

import numpy as np

from function_case import Case, draw


def spectrum(w):
    """The discrete Fourier transform, padded with zeros."""
    return np.fft.fft(w, 2 * w.size), np.fft.fft(np.eye(w.size, 2 * w.size), axis=1).T


def real_spectrum(w):
    return np.fft.rfft(w), np.fft.rfft(np.eye(w.size), axis=1).T


def inverse_spectrum(w):
    return np.fft.ifft(w**2), 2 * w * np.fft.ifft(np.eye(w.size), axis=1).T


def filtered(w):
    """A circular convolution, by transforms."""
    kernel = np.fft.fft(1 / (1.0 + np.arange(w.size)))
    return (
        np.fft.ifft(np.fft.fft(w) * kernel),
        np.fft.ifft(np.fft.fft(np.eye(w.size), axis=1) * kernel, axis=1).T,
    )


def phases(w):
    z = np.exp(1j * w)
    return z, np.diag(1j * z)


def wave(w):
    """A sum of plane waves, at several places."""
    k = np.arange(1, 4)[:, None]
    z = np.exp(1j * k * w)
    return z.sum(axis=1), 1j * k * z


def damped(w):
    z = np.exp((-0.3 + 2j) * w)
    return z, np.diag((-0.3 + 2j) * z)


def polar(w):
    """Radii and angles."""
    r, angle = w[: w.size // 2], w[w.size // 2 :]
    unit = np.exp(1j * angle)
    return r * unit, np.concatenate([np.diag(unit), np.diag(1j * r * unit)], axis=1)


def cartesian(w):
    half = w.size // 2
    return w[:half] + 1j * w[half:], np.concatenate(
        [np.eye(half), 1j * np.eye(half)], axis=1
    )


def linear(w):
    A = matrix(w.size)
    return A @ w + (1 - 0.5j), A


def bilinear(w):
    A = matrix(w.size)
    return np.array([w @ A @ w]), (w @ (A + A.T))[None]


def solution(w):
    """The solution of a linear system with a complex matrix."""
    M = np.diag(w) + matrix(w.size) + 3 * np.eye(w.size)
    z = np.linalg.solve(M, np.ones(w.size))
    return z, -np.linalg.solve(M, np.diag(z))


def determinant(w):
    M = np.diag(w) + matrix(w.size) + 3 * np.eye(w.size)
    z = np.linalg.det(M)
    return np.array([z]), z * np.diag(np.linalg.inv(M))[None]


def eigenvalues(w):
    """The eigenvalues of a matrix that is not symmetric, in the order of their imaginary parts."""
    M = (
        np.diag(w)
        + 3 * np.triu(np.ones((w.size, w.size)), 1)
        - 3 * np.tril(np.ones((w.size, w.size)), -1)
    )
    values, V = np.linalg.eig(M)
    order = np.argsort(values.imag)
    return values[order], (np.linalg.inv(V) * V.T)[order]


def impedance(w):
    """Resistances and inductances in series, parallel to a capacity."""
    s = 2j
    z = w[0] + s * w[1]
    total = z / (1 + s * w[2] * z)
    D = np.array([1, s, 0, *np.zeros(w.size - 3)]) / (1 + s * w[2] * z) ** 2
    D[2] = -s * total**2
    return np.array([total]), D[None]


def reflection(w):
    k = w[0] + 1j * w[1]
    turn = np.exp(2j * w[3])
    r = (k - w[2]) / (k + w[2]) * turn
    slope = 2 * w[2] / (k + w[2]) ** 2 * turn
    D = [
        slope,
        1j * slope,
        -2 * k / (k + w[2]) ** 2 * turn,
        2j * r,
        *np.zeros(w.size - 4),
    ]
    return np.array([1 + r]), np.array([D])


def frequency_response(w):
    """A polynomial on the unit circle, by Horner's rule."""
    x = np.exp(2j * np.pi * np.arange(1, 4) / 7)
    z = np.zeros(3, complex)
    for coefficient in w[::-1]:
        z = z * x + coefficient
    return z, x[:, None] ** np.arange(w.size)


def product(w):
    """The polynomial that has the parameters as its roots, at a complex place."""
    z = np.prod(0.3 + 1.1j - w)
    return np.array([z]), (-z / (0.3 + 1.1j - w))[None]


def square_roots(w):
    """The roots of x² + w x + 5."""
    z = -w / 2 + np.sqrt(w**2 / 4 - 5 + 0j)
    return z, np.diag(-0.5 + w / 4 / np.sqrt(w**2 / 4 - 5 + 0j))


def logarithms(w):
    return np.log(w + 2j), np.diag(1 / (w + 2j))


def complex_powers(w):
    return (w + 1.5j) ** (0.7 - 0.2j), np.diag(
        (0.7 - 0.2j) * (w + 1.5j) ** (-0.3 - 0.2j)
    )


def complex_tanh(w):
    z = np.tanh((0.4 + 0.3j) * w)
    return z, np.diag((0.4 + 0.3j) * (1 - z**2))


def quantum(w):
    """A state after rotations: products of 2 × 2 unitary matrices, and the derivatives of each."""
    X, Z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])

    def turned(k, shift=0.0):
        angle = w[k] / 2 + shift
        return np.cos(angle) * np.eye(2) - 1j * np.sin(angle) * (X if k % 2 else Z)

    def state(moved):
        vector = np.array([0.6, 0.8j])
        for k in range(w.size):
            vector = (
                turned(k, np.pi / 2 * (k == moved))
                @ vector
                * (0.5 if k == moved else 1)
            )
        return vector

    return state(-1), np.stack([state(k) for k in range(w.size)], axis=1)


def matrix(size):
    return np.random.default_rng(3).standard_normal((size, size, 2)) @ np.array(
        [0.5, 0.5j]
    )


INNER = (
    *(
        spectrum,
        real_spectrum,
        inverse_spectrum,
        filtered,
        phases,
        wave,
        damped,
        polar,
        cartesian,
        linear,
        bilinear,
    ),
    *(
        solution,
        determinant,
        eigenvalues,
        impedance,
        reflection,
        frequency_response,
        product,
        square_roots,
    ),
    *(logarithms, complex_powers, complex_tanh, quantum),
)


OUTER = {
    "power": lambda z: (np.sum(np.abs(z) ** 2), 2 * z),
    "z times its conjugate": lambda z: (np.sum((z * np.conj(z)).real), 2 * z),
    "magnitude": lambda z: (np.sum(np.abs(z)), z / np.abs(z)),
    "weighted real part": lambda z: (np.real(z) @ places(z), places(z) + 0j),
    "imaginary part of squares": lambda z: (np.sum(np.imag(z**2)), 2j * np.conj(z)),
    "log-power": lambda z: (
        np.sum(np.log(z.real**2 + z.imag**2)),
        2 * z / np.abs(z) ** 2,
    ),
    "sine of the phase": lambda z: (
        np.sum(np.sin(np.angle(z))),
        1j * z / np.abs(z) ** 2 * np.cos(np.angle(z)),
    ),
    "distance to a target": lambda z: (
        np.linalg.norm(z - 0.3 + 0.2j),
        (z - 0.3 + 0.2j) / np.linalg.norm(z - 0.3 + 0.2j),
    ),
    "saturated power": lambda z: (
        np.sum(1 / (1 + np.abs(z) ** 2)),
        -2 * z / (1 + np.abs(z) ** 2) ** 2,
    ),
}


def places(z):
    return 1.0 + np.arange(z.size)


def function(w, inner, outer, slip=""):
    z, D = inner(w)
    value, G = OUTER[outer](z)
    if slip != "not conjugated":
        G = np.conj(G)
    gradient = G @ D
    return value, gradient.imag if slip == "imaginary part" else gradient.real


def cases(installed, seed=0):
    """Return the cases."""
    return [case for case in _cases(seed) if case.backend in installed]


def _cases(seed):
    r = draw(80, seed)
    for inner in INNER:
        for outer in OUTER:
            w = r.uniform(0.4, 1.6, 6) * r.choice([-1, 1], 6)
            # for example, the magnitude of a phase
            if np.abs(function(w, inner, outer)[1]).max() < 1e-9:
                continue
            slips = ("not conjugated", "imaginary part")
            yield Case(
                f"complex, {inner.__name__}, {outer}",
                function,
                w,
                (inner, outer),
                slips=slips,
            )

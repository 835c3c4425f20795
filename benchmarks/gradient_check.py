"""Time per parameter of gradient checks, in one run: vecprop, a double loop over parameters, PyTorch's gradcheck.

The programs take turns of at least 50 ms, so that each finds its data in the caches.
Run it on a quiet machine: ``python benchmarks/gradient_check.py``. PyTorch is left out
if it is not installed.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from machine import described, machine

from vecprop import (
    Dense,
    GradientDescent,
    Logistic,
    Network,
    SoftmaxCrossEntropy,
    train,
)
from vecprop.check import check_gradients


def rows(inputs: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    X, t = draw.standard_normal((100, inputs)), draw.integers(0, classes, 100)
    return X, t, np.eye(classes)[t]


def seed_loop(params: list[np.ndarray], X: np.ndarray, T: np.ndarray) -> None:
    """Check as the tutorial does: two losses for each parameter, one after the other."""

    def loss(Wh: np.ndarray, bh: np.ndarray, Wo: np.ndarray, bo: np.ndarray) -> float:
        H = 1 / (1 + np.exp(-(X @ Wh + bh)))
        Z = H @ Wo + bo
        Y = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)
        return -(T * np.log(Y)).sum()

    Wh, bh, Wo, bo = params
    H = 1 / (1 + np.exp(-(X @ Wh + bh)))
    Z = H @ Wo + bo
    Eo = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True) - T
    Eh = H * (1 - H) * (Eo @ Wo.T)
    gradients = [X.T @ Eh, Eh.sum(0, keepdims=True), H.T @ Eo, Eo.sum(0, keepdims=True)]
    eps = 1e-4
    for p_idx in range(len(params)):
        for row in range(params[p_idx].shape[0]):
            for col in range(params[p_idx].shape[1]):
                minus, plus = params[p_idx].copy(), params[p_idx].copy()
                minus[row, col] -= eps
                plus[row, col] += eps
                params_min, params_plus = params[:], params[:]
                params_min[p_idx], params_plus[p_idx] = minus, plus
                numerical = (loss(*params_plus) - loss(*params_min)) / (2 * eps)
                if not np.isclose(numerical, gradients[p_idx][row, col]):
                    raise ValueError(
                        "Numerical gradient is not close to the backpropagation"
                        " gradient!"
                    )


def torch_gradcheck(
    params: list[np.ndarray], X: np.ndarray, t: np.ndarray
) -> dict[str, Callable[[], object]]:
    """Return PyTorch's check of each entry, and its fast check of a random direction."""
    if not find_spec("torch"):
        return {}
    import torch

    inputs, classes = torch.tensor(X), torch.tensor(t)
    tensors = [torch.tensor(p, requires_grad=True) for p in params]

    def loss(
        Wh: torch.Tensor, bh: torch.Tensor, Wo: torch.Tensor, bo: torch.Tensor
    ) -> torch.Tensor:
        Z = torch.sigmoid(inputs @ Wh + bh) @ Wo + bo
        return torch.nn.functional.cross_entropy(Z, classes, reduction="sum")

    return {
        "torch.autograd.gradcheck": lambda: torch.autograd.gradcheck(loss, tensors),
        "the same with fast_mode=True": lambda: torch.autograd.gradcheck(
            loss, tensors, fast_mode=True
        ),
    }


TURN = 0.05


def medians(programs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each program's seconds, the median of its turns."""

    def seconds(program: Callable[[], object], repeats: int = 1) -> float:
        began = time.perf_counter()
        for _ in range(repeats):
            program()
        return (time.perf_counter() - began) / repeats

    for program in programs.values():
        program()  # warms up
    repeats = {
        name: 1 + int(TURN / seconds(program)) for name, program in programs.items()
    }
    turns = [
        {name: seconds(program, repeats[name]) for name, program in programs.items()}
        for _ in range(rounds)
    ]
    return {name: float(np.median([turn[name] for turn in turns])) for name in programs}


def main() -> None:
    """Measure, print, and write the page."""
    lines = [
        "# Time of gradient checks",
        "",
        "Made by `python benchmarks/gradient_check.py`: medians of 7 alternating",
    ]
    lines += [
        "turns. The network is 30-30-2 with 992 parameters, checked on 100 rows.",
        "",
    ]
    lines += [*described(machine("numpy", "scipy", "numba", "torch")), ""]
    X, t, T = rows(30, 2)
    network = Network(
        30, [Dense(30), Logistic(), Dense(2)], SoftmaxCrossEntropy(reduction="sum")
    )
    theta = network.init(0)
    views = network.layout.views(theta)
    params = [views[0]["W"], views[0]["b"][None], views[2]["W"], views[2]["b"][None]]
    trained = train(
        network, theta, X, t, optimizer=GradientDescent(0.01), epochs=2000
    ).theta
    programs: dict[str, Callable[[], object]] = {
        "double loop over the parameters": lambda: seed_loop(params, X, T),
        "vecprop, central differences": lambda: check_gradients(
            network, theta, X, t, method="central differences"
        ),
        "vecprop, complex step of each entry": lambda: check_gradients(
            network, theta, X, t, method="complex step"
        ),
        "vecprop, directions": lambda: check_gradients(
            network, theta, X, t, method="directions"
        ),
        "the same, reference engine only": lambda: check_gradients(
            network, theta, X, t, method="directions", engine="reference"
        ),
        "the same, trained until rows cancel": lambda: check_gradients(
            network, trained, X, t, method="directions"
        ),
    }
    programs |= torch_gradcheck(params, X, t)
    found = medians(programs, rounds=7)
    lines += [
        "| check | ms | µs per parameter | times faster than the loop |",
        "|---|---:|---:|---:|",
    ]
    for name, seconds in found.items():
        faster = found["double loop over the parameters"] / seconds
        lines.append(
            f"| {name} | {1e3 * seconds:.2f} |"
            f" {1e6 * seconds / network.layout.size:.2f} | {faster:.1f} |"
        )
    lines += [
        "",
        "| network, 100 rows, directions | parameters | s | µs per parameter |",
        "|---|---:|---:|---:|",
    ]
    for widths in ((784, 128, 10), (784, 1024, 256, 10)):
        X, t, _ = rows(widths[0], widths[-1])
        layers = [part for width in widths[1:] for part in (Dense(width), Logistic())][
            :-1
        ]
        network = Network(widths[0], layers, SoftmaxCrossEntropy())
        theta = network.init(0)
        seconds = medians(
            {"fast": lambda n=network, w=theta, X=X, t=t: check_gradients(n, w, X, t)},
            rounds=3,
        )["fast"]
        size, shape = network.layout.size, "-".join(map(str, widths))
        lines.append(
            f"| {shape} | {size:,} | {seconds:.3f} | {1e6 * seconds / size:.3f} |"
        )
    (Path(__file__).parent / "results" / "gradient_check.md").write_text(
        "\n".join([*lines, ""]), encoding="utf-8"
    )
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()

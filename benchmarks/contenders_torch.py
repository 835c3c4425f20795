"""PyTorch's forms of training: its usual loop, and steps compiled by ``torch.compile``.

The usual loop has a module and a fused optimizer, which takes less time than
`foreach=True`. A compiled step is one function from parameters, state of the optimizer
and batch to new parameters and state, so that PyTorch can fuse all of its operations.
It calls its kernels from C++ (`cpp_wrapper`). A call has an overhead, so full batches
are also trained with several steps in each call.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from contenders import Contest, Workload

STEPS_OF_A_CALL = 10
"""The steps that a compiled call makes with the full batch; more take minutes to
compile.
"""


def forget_compiled() -> None:
    """Forget compiled steps, because PyTorch compiles a function only a few times."""
    if find_spec("torch"):
        import torch

        torch.compiler.reset()


def pytorch(work: Workload, X: np.ndarray, t: np.ndarray) -> Contest:
    """Train with a module and a fused optimizer, eagerly."""
    import torch

    torch.set_num_threads(work.torch_threads)
    rows, classes = torch.from_numpy(X), torch.from_numpy(t)
    cost = torch.nn.CrossEntropyLoss(reduction="sum" if work.logistic else "mean")

    def train() -> torch.nn.Sequential:
        parts = []
        for W, b in work.layers(work.theta()):
            linear = torch.nn.Linear(*W.shape, dtype=getattr(torch, work.dtype))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.copy_(torch.from_numpy(b))
            parts += [linear, torch.nn.Sigmoid() if work.logistic else torch.nn.ReLU()]
        model = torch.nn.Sequential(*parts[:-1])
        if work.optimizer == "momentum":
            optimizer = torch.optim.SGD(
                model.parameters(), lr=work.learning_rate, momentum=0.9, fused=True
            )
        else:
            optimizer = torch.optim.Adam(
                model.parameters(), lr=work.learning_rate, fused=True
            )
        for _ in range(work.epochs):
            order = None if work.batch == work.rows else torch.randperm(work.rows)
            x, y = (rows, classes) if order is None else (rows[order], classes[order])
            for start in range(0, work.rows, work.batch):
                optimizer.zero_grad()
                cost(
                    model(x[start : start + work.batch]), y[start : start + work.batch]
                ).backward()
                optimizer.step()
        return model

    def loss(model: torch.nn.Sequential) -> float:
        with torch.no_grad():
            return float(cost(model(rows), classes))

    return Contest(train, loss)


def loss_function(work: Workload) -> Callable:
    """Return the loss as a function of the parameters (W, b, W, b, …), the rows and their classes."""
    import torch
    from torch.nn.functional import cross_entropy

    activation = torch.sigmoid if work.logistic else torch.relu
    reduction = "sum" if work.logistic else "mean"

    def loss(parameters: tuple, x: Any, y: Any) -> Any:
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = activation(torch.addmm(b, x, W))
        W, b = parameters[-2:]
        return cross_entropy(torch.addmm(b, x, W), y, reduction=reduction)

    return loss


def momentum(work: Workload) -> tuple[Callable, Callable]:
    """Return functions for the initial state of momentum and for a step."""
    import torch

    def initial_state(parameters: tuple) -> tuple:
        return tuple(torch.zeros_like(P) for P in parameters)

    def step(
        parameters: tuple, gradients: tuple, moments: tuple
    ) -> tuple[tuple, tuple]:
        moments = tuple(
            0.9 * M - work.learning_rate * J
            for M, J in zip(moments, gradients, strict=True)
        )
        return tuple(P + M for P, M in zip(parameters, moments, strict=True)), moments

    return initial_state, step


def adam(work: Workload) -> tuple[Callable, Callable]:
    """Return functions for the initial state of Adam and for a step."""
    import torch

    def initial_state(parameters: tuple) -> tuple:
        zeros = tuple(torch.zeros_like(P) for P in parameters)
        return zeros, zeros, torch.zeros((), dtype=parameters[0].dtype)

    def step(parameters: tuple, gradients: tuple, state: tuple) -> tuple[tuple, tuple]:
        means, squares, count = state
        count = count + 1
        means = tuple(0.9 * M + 0.1 * J for M, J in zip(means, gradients, strict=True))
        squares = tuple(
            0.999 * V + 0.001 * J * J for V, J in zip(squares, gradients, strict=True)
        )
        rate = work.learning_rate / (1 - 0.9**count)
        scale = torch.sqrt(1 - 0.999**count)
        moments = zip(parameters, means, squares, strict=True)
        parameters = tuple(
            P - rate * M / (torch.sqrt(V) / scale + 1e-8) for P, M, V in moments
        )
        return parameters, (means, squares, count)

    return initial_state, step


def compiled_training(
    work: Workload, X: np.ndarray, t: np.ndarray, steps: int
) -> Contest:
    """Train with compiled calls of this number of steps; a batch that is not full is left out."""
    import torch

    torch.set_num_threads(work.torch_threads)
    rows, classes = torch.from_numpy(X), torch.from_numpy(t)
    loss = loss_function(work)
    gradient = torch.func.grad(loss)
    initial_state, step = (momentum if work.optimizer == "momentum" else adam)(work)

    @torch.compile(fullgraph=True, dynamic=False, options={"cpp_wrapper": True})
    def call(parameters: tuple, state: tuple, x: Any, y: Any) -> tuple[tuple, tuple]:
        for _ in range(steps):
            parameters, state = step(parameters, gradient(parameters, x, y), state)
        return parameters, state

    @torch.no_grad()
    def train() -> tuple:
        parameters = tuple(
            torch.from_numpy(part)
            for layer in work.layers(work.theta())
            for part in layer
        )
        state = initial_state(parameters)
        if work.batch == work.rows:
            for _ in range(work.epochs // steps):
                parameters, state = call(parameters, state, rows, classes)
            return parameters
        for _ in range(work.epochs):
            order = torch.randperm(work.rows)
            x, y = rows[order], classes[order]
            for start in range(0, work.rows - work.batch + 1, work.batch):
                batch = slice(start, start + work.batch)
                parameters, state = call(parameters, state, x[batch], y[batch])
        return parameters

    return Contest(train, lambda parameters: float(loss(parameters, rows, classes)))


def pytorch_compiled(work: Workload, X: np.ndarray, t: np.ndarray) -> Contest:
    """Train with a compiled step."""
    return compiled_training(work, X, t, steps=1)


def pytorch_compiled_steps(
    work: Workload, X: np.ndarray, t: np.ndarray
) -> Contest | None:
    """Train with several compiled steps in a call, which suits full batches."""
    if work.batch != work.rows:
        return None
    return compiled_training(work, X, t, STEPS_OF_A_CALL)


def predictors_of_pytorch(
    work: Workload, X: np.ndarray
) -> dict[str, Callable[[], Any]]:
    """Return functions that predict the probabilities of rows, by a module and by the compiled module."""
    import torch

    parts = []
    for W, _ in work.layers(work.theta()):
        parts += [torch.nn.Linear(*W.shape), torch.nn.ReLU()]
    network = torch.nn.Sequential(*parts[:-1], torch.nn.Softmax(dim=1))
    compiled = torch.compile(network, fullgraph=True, options={"cpp_wrapper": True})
    rows = torch.from_numpy(X)

    @torch.inference_mode()
    def predict() -> Any:
        return network(rows)

    @torch.inference_mode()
    def predict_compiled() -> Any:
        return compiled(rows)

    return {"PyTorch, eager": predict, "PyTorch, compiled": predict_compiled}

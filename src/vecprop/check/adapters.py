"""PyTorch and JAX functions as NumPy functions that return their value and gradient, ready to be checked."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def torch_function(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of NumPy parameters that computes a PyTorch function's value and its gradient by autograd.

    Parameters
    ----------
    f : callable
        A function of a tensor, or of a list or dict of tensors, and further arguments, with one tensor as its value.
        What it computes with autograd's own functions, or with a `torch.autograd.Function` of yours, is checked.

    Returns
    -------
    callable
        For ``check_gradients(torch_function(f), theta, args=…)``; a Jacobian where the value is not a single number.
    """
    import torch  # pyright: ignore[reportMissingImports]

    def value_and_gradient(theta: Any, *args: Any) -> tuple[Any, Any]:
        tensors: list[Any] = []

        def tensor(array: np.ndarray) -> Any:
            tensors.append(torch.tensor(array, requires_grad=True))
            return tensors[-1]

        value = f(_mapped(theta, tensor), *args)
        if value.is_complex():  # a complex step asks for the value alone
            return value.detach().numpy(), None
        outputs = value.reshape(-1)
        gradients = [torch.autograd.grad(out, tensors, retain_graph=True, allow_unused=True) for out in outputs]
        columns = [
            np.stack([np.zeros(t.shape) if g[k] is None else g[k].numpy() for g in gradients])
            for k, t in enumerate(tensors)
        ]
        slopes = iter([c.reshape((*value.shape, *t.shape)) for c, t in zip(columns, tensors, strict=True)])
        return value.detach().numpy(), _mapped(theta, lambda array: next(slopes))

    return value_and_gradient


def jax_function(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of NumPy parameters that computes a JAX function's value and its gradient, in 64 bits.

    Parameters
    ----------
    f : callable
        A function of an array, or of a list or dict of arrays, and further arguments, with one array as its value.

    Returns
    -------
    callable
        For ``check_gradients(jax_function(f), theta, args=…)``; a Jacobian where the value is not a single number.
    """
    import jax  # pyright: ignore[reportMissingImports]

    def value_and_gradient(theta: Any, *args: Any) -> tuple[Any, Any]:
        with jax.enable_x64(True):
            arrays = _mapped(theta, jax.numpy.asarray)
            value = np.asarray(f(arrays, *args))
            if value.dtype.kind == "c":  # a complex step asks for the value alone
                return value, None
            return value, _mapped(jax.jacrev(f)(arrays, *args), np.asarray)

    return value_and_gradient


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Return a list, dict or array with a function applied to each of its arrays."""
    if isinstance(tree, Mapping):
        return {key: _mapped(child, function) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_mapped(child, function) for child in tree)
    return function(tree)

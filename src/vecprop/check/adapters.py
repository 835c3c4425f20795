"""Wrap PyTorch and JAX functions as NumPy functions that return a value and a gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from .points.parameters import mapped


class Differentiable:
    """A function of NumPy arrays that returns its value and its gradient."""

    def value(self, theta, *args):
        """Compute only the value, which is cheaper."""
        raise NotImplementedError

    def __call__(self, theta, *args):
        """Return the value and the gradient."""
        raise NotImplementedError


def torch_function(f: Callable[..., Any]) -> Differentiable:
    """Wrap a PyTorch function or module so that `check_gradients` can check its autograd gradient.

    Parameters
    ----------
    f : callable or torch.nn.Module
        A function of a tensor (or a list or dict of tensors) and further arguments that
        returns one tensor. The function may use built-in and custom autograd functions.
        For a module, theta is a dict of its parameters, such as
        ``dict(module.named_parameters())``, and ``args`` are its inputs.

    Returns
    -------
    callable
        The function to pass to `check_gradients`. The wrapped function returns the
        value and the gradient as NumPy arrays. If the value is an array, the gradient
        is a Jacobian.

    Notes
    -----
    Tensors in ``args`` and buffers of a module are converted to the dtype of theta. A
    function that contains float32 tensors is called with float32 parameters, and the
    check measures their rounding errors.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> from vecprop.check import torch_function
    >>> check_gradients(torch_function(torch.logsumexp), np.ones(3), args=(0,)).passed  # doctest: +SKIP
    True
    """
    return _TorchFunction(f)


class _TorchFunction(Differentiable):
    """A PyTorch function or module, and whether it accepts only float32 parameters."""

    def __init__(self, f):
        import torch  # pyright: ignore[reportMissingImports]

        self._torch = torch
        self._f = f
        self._takes_float32 = False

    def value(self, theta, *args):
        try:
            with self._torch.no_grad():
                value, _ = self._evaluate(theta, args, requires_grad=False)
        # f itself computes a gradient, for example forces from an energy
        except RuntimeError:
            value, _ = self._evaluate(theta, args, requires_grad=True)
        return self._as_numpy(value)

    def __call__(self, theta, *args) -> tuple[ndarray, Any]:
        torch = self._torch
        # the caller may have disabled gradients
        with torch.inference_mode(False), torch.enable_grad():
            value, parameters = self._evaluate(theta, args, requires_grad=True)
            outputs = value.reshape(-1).unbind()
        tensors = []
        mapped(parameters, tensors.append)
        jacobians = {}
        if value.requires_grad:
            gradients = []
            for output in outputs:
                gradients.append(
                    torch.autograd.grad(
                        output, tensors, retain_graph=True, materialize_grads=True
                    )
                )
            for tensor, rows in zip(tensors, zip(*gradients, strict=True), strict=True):
                jacobians[id(tensor)] = np.stack([*map(self._as_numpy, rows)])
        else:  # the value does not depend on the parameters
            for tensor in tensors:
                jacobians[id(tensor)] = np.zeros((len(outputs), *tensor.shape))

        def jacobian(tensor):
            return jacobians[id(tensor)].reshape((*value.shape, *tensor.shape))

        return self._as_numpy(value), mapped(parameters, jacobian)

    def _evaluate(self, theta, args, requires_grad: bool):
        """Return the value and the parameters as tensors; use float32 if f does not accept float64."""
        dtype = self._dtype(theta)
        try:
            return self._call(theta, args, dtype, requires_grad)
        except RuntimeError as error:
            if dtype != self._torch.float64 or "type" not in str(error):
                raise
        result = self._call(theta, args, self._torch.float32, requires_grad)
        self._takes_float32 = True
        return result

    def _dtype(self, theta):
        """Return the dtype of the parameters as tensors; integers become float64."""
        dtypes: list[np.dtype] = []
        mapped(theta, lambda leaf: dtypes.append(np.asarray(leaf).dtype))
        dtype = np.result_type(*dtypes)
        if dtype.kind != "c" and self._takes_float32:
            return self._torch.float32
        if dtype.kind not in "fc":
            return self._torch.float64
        return self._torch.from_numpy(np.empty(0, dtype)).dtype

    def _call(self, theta, args, dtype, requires_grad: bool):
        """Return the value and the parameters as tensors of a dtype."""
        torch = self._torch

        def parameter(leaf):
            tensor = torch.as_tensor(np.array(leaf)).to(dtype)
            return tensor.requires_grad_(requires_grad)

        def converted(leaf):
            """Convert tensors of floating-point numbers, but no indices or Booleans."""
            if not isinstance(leaf, torch.Tensor):
                return leaf
            if leaf.is_floating_point() or leaf.is_complex():
                return leaf.to(dtype)
            return leaf

        parameters = mapped(theta, parameter)
        data = mapped(args, converted)
        if not isinstance(self._f, torch.nn.Module):
            return self._f(parameters, *data), parameters
        # Copy the buffers, since batch normalization modifies them during training.
        state = {}
        for name, buffer in self._f.named_buffers():
            state[name] = converted(buffer.clone())
        state.update(parameters)
        return torch.func.functional_call(self._f, state, data), parameters

    def _as_numpy(self, tensor):
        tensor = tensor.detach().resolve_conj()
        if tensor.dtype == self._torch.bfloat16:  # NumPy has no bfloat16
            tensor = tensor.float()
        return tensor.numpy()


def jax_function(f: Callable[..., Any]) -> Differentiable:
    """Wrap a JAX function so that `check_gradients` can check its gradient in 64-bit precision.

    Parameters
    ----------
    f : callable
        A function of an array (or a list or dict of arrays) and further arguments that
        returns one array.

    Returns
    -------
    callable
        The function to pass to `check_gradients`. It returns the value and the gradient
        as NumPy arrays.

    Examples
    --------
    >>> import jax  # doctest: +SKIP
    >>> from vecprop.check import jax_function
    >>> check_gradients(jax_function(jax.nn.logsumexp), np.ones(3)).passed  # doctest: +SKIP
    True
    """
    return _JaxFunction(f)


class _JaxFunction(Differentiable):
    """A JAX function and its Jacobian."""

    def __init__(self, f: Callable[..., Any]):
        import jax  # pyright: ignore[reportMissingImports]

        self._jax = jax
        self._f = f
        self._jacobian = jax.jacrev(f)

    def value(self, theta, *args):
        return np.asarray(self._call(self._f, theta, args))

    def __call__(self, theta, *args) -> tuple[ndarray, Any]:
        jacobian = self._call(self._jacobian, theta, args)
        return self.value(theta, *args), mapped(jacobian, np.asarray)

    def _call(self, function: Callable[..., Any], theta, args):
        with self._jax.enable_x64(True):
            arrays = mapped(theta, self._jax.numpy.asarray)
            try:
                return self._jax.jit(function)(arrays, *args)
            # f converts to Python numbers, or args are not arrays
            except (TypeError, IndexError):
                return function(arrays, *args)

"""Wrap PyTorch and JAX functions as NumPy functions that return a value and a gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .points.parameters import mapped


class Differentiable:
    """A function that returns its value and gradient. The cheaper method `value` computes only the value."""

    def __init__(
        self,
        value: Callable[..., Any],
        value_and_gradient: Callable[..., tuple[Any, Any]],
    ) -> None:
        self.value, self._both = value, value_and_gradient

    def __call__(self, theta, *args) -> tuple[Any, Any]:
        """Return the value and the gradient."""
        return self._both(theta, *args)


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
    import torch  # pyright: ignore[reportMissingImports]

    module: Any = f
    # the dtype that f requires, if it does not accept float64
    fixed: dict[str, Any] = {}

    def converted(leaf, dtype):
        """Convert a tensor to the dtype of the parameters."""
        is_float = isinstance(leaf, torch.Tensor) and (
            leaf.is_floating_point() or leaf.is_complex()
        )
        return leaf.to(dtype) if is_float else leaf

    def called(tensors, args: tuple[Any, ...], dtype):
        data = tuple(
            mapped(argument, lambda leaf: converted(leaf, dtype)) for argument in args
        )
        if isinstance(f, torch.nn.Module):
            # Copy the buffers, since batch normalization modifies them during training.
            state = {
                name: converted(buffer.clone(), dtype)
                for name, buffer in module.named_buffers()
            }
            return torch.func.functional_call(module, {**state, **tensors}, data)
        return f(tensors, *data)

    def computed(theta, args: tuple[Any, ...], tensor: Callable[[Any, Any], Any]):
        """Return the value, computed in float32 if f does not accept the dtype of theta."""
        types: list[np.dtype] = []
        mapped(theta, lambda leaf: types.append(np.asarray(leaf).dtype))
        common = np.result_type(*types)  # integers become float64
        dtype = torch.from_numpy(
            np.empty(0, common if common.kind in "fc" else np.float64)
        ).dtype
        if fixed and not dtype.is_complex:
            dtype = fixed["dtype"]
        try:
            return called(mapped(theta, lambda leaf: tensor(leaf, dtype)), args, dtype)
        except RuntimeError as error:
            if dtype != torch.float64 or (
                "dtype" not in str(error) and "type" not in str(error)
            ):
                raise
        result = called(
            mapped(theta, lambda leaf: tensor(leaf, torch.float32)), args, torch.float32
        )
        fixed["dtype"] = torch.float32
        return result

    def constant(values, dtype):
        return torch.as_tensor(np.array(values)).to(dtype)

    def array(tensor) -> np.ndarray:
        tensor = tensor.detach().resolve_conj()
        # NumPy has no bfloat16
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()

    def value(theta, *args):
        try:
            with torch.no_grad():
                return array(computed(theta, args, constant))
        # f itself computes a gradient, for example forces from an energy
        except RuntimeError:
            return array(
                computed(
                    theta, args, lambda a, dtype: constant(a, dtype).requires_grad_()
                )
            )

    def value_and_gradient(theta, *args) -> tuple[Any, Any]:
        tensors: list[Any] = []

        def variable(values, dtype):
            if tensors and tensors[0].dtype != dtype:  # f does not accept float64
                tensors.clear()
            tensors.append(constant(values, dtype).requires_grad_())
            return tensors[-1]

        # the caller may have disabled gradients
        with torch.inference_mode(False), torch.enable_grad():
            value = computed(theta, args, variable)
            outputs = list(value.reshape(-1))
        if not value.requires_grad:  # the value does not depend on the parameters
            zero = mapped(theta, lambda leaf: np.zeros((*value.shape, *np.shape(leaf))))
            return array(value), zero
        gradients = [
            torch.autograd.grad(out, tensors, retain_graph=True, allow_unused=True)
            for out in outputs
        ]
        arrays = []
        for tensor, of_outputs in zip(
            tensors, zip(*gradients, strict=True), strict=True
        ):
            each = [
                np.zeros(tuple(tensor.shape)) if own is None else array(own)
                for own in of_outputs
            ]
            arrays.append(np.stack(each).reshape((*value.shape, *tensor.shape)))
        return array(value), mapped(theta, lambda _: arrays.pop(0))

    return Differentiable(value, value_and_gradient)


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
    import jax  # pyright: ignore[reportMissingImports]

    def called(function: Callable[..., Any], theta, args: tuple[Any, ...]):
        with jax.enable_x64(True):
            arrays = mapped(theta, jax.numpy.asarray)
            try:
                return jax.jit(function)(arrays, *args)
            # f converts to Python numbers, or args are not arrays
            except (TypeError, IndexError):
                return function(arrays, *args)

    jacobian = jax.jacrev(f)

    def value(theta, *args):
        return np.asarray(called(f, theta, args))

    def value_and_gradient(theta, *args) -> tuple[Any, Any]:
        return value(theta, *args), mapped(called(jacobian, theta, args), np.asarray)

    return Differentiable(value, value_and_gradient)

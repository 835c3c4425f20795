"""PyTorch and JAX functions as NumPy functions that return their value and gradient, ready to be checked."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .points.parameters import mapped


class Differentiable:
    """A function that returns its value and gradient when called, and whose value alone costs less."""

    def __init__(self, value: Callable[..., Any], value_and_gradient: Callable[..., tuple[Any, Any]]) -> None:
        self.value, self._both = value, value_and_gradient

    def __call__(self, theta: Any, *args: Any) -> tuple[Any, Any]:
        """Return the value and the gradient at theta."""
        return self._both(theta, *args)


def torch_function(f: Callable[..., Any]) -> Differentiable:
    """Return a function of NumPy parameters that computes a PyTorch function's value, and its gradient by autograd.

    Parameters
    ----------
    f : callable or torch.nn.Module
        A function of a tensor, or of a list or dict of tensors, and further arguments, with one tensor as its value.
        Gradients of autograd's own functions and of your own `torch.autograd.Function` are checked. For a module,
        theta is a dict of its parameters, such as ``dict(module.named_parameters())``, and ``args`` are its inputs.

    Returns
    -------
    callable
        For ``check_gradients(torch_function(f), theta, args=…)``; a Jacobian if the value is not a single number.

    Notes
    -----
    Tensors among ``args``, and a module's buffers, are converted to theta's type, complex types included. A function
    that holds float32 tensors of its own gets float32 parameters; the check then measures their rounding.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> from vecprop.check import torch_function
    >>> check_gradients(torch_function(torch.logsumexp), np.ones(3), args=(0,)).passed  # doctest: +SKIP
    True
    """
    import torch  # pyright: ignore[reportMissingImports]

    module: Any = f
    fixed: dict[str, Any] = {}  # the type that f needs, if it has refused float64

    def followed(leaf: Any, dtype: Any) -> Any:
        """Return a tensor of data in the type of the parameters."""
        is_float = isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())
        return leaf.to(dtype) if is_float else leaf

    def called(tensors: Any, args: tuple[Any, ...], dtype: Any) -> Any:
        data = tuple(mapped(argument, lambda leaf: followed(leaf, dtype)) for argument in args)
        if isinstance(f, torch.nn.Module):
            # Copied, since batch normalization in training writes into its buffers.
            state = {name: followed(buffer.clone(), dtype) for name, buffer in module.named_buffers()}
            return torch.func.functional_call(module, {**state, **tensors}, data)
        return f(tensors, *data)

    def computed(theta: Any, args: tuple[Any, ...], tensor: Callable[[Any, Any], Any]) -> Any:
        """Return the value; in float32 if f refuses the type of theta."""
        types: list[np.dtype] = []
        mapped(theta, lambda leaf: types.append(np.asarray(leaf).dtype))
        common = np.result_type(*types)  # whole numbers become float64
        dtype = torch.from_numpy(np.empty(0, common if common.kind in "fc" else np.float64)).dtype
        if fixed and not dtype.is_complex:
            dtype = fixed["dtype"]
        try:
            return called(mapped(theta, lambda leaf: tensor(leaf, dtype)), args, dtype)
        except RuntimeError as error:
            if dtype != torch.float64 or ("dtype" not in str(error) and "type" not in str(error)):
                raise
        result = called(mapped(theta, lambda leaf: tensor(leaf, torch.float32)), args, torch.float32)
        fixed["dtype"] = torch.float32
        return result

    def constant(values: Any, dtype: Any) -> Any:
        return torch.as_tensor(np.array(values)).to(dtype)

    def array(tensor: Any) -> np.ndarray:
        tensor = tensor.detach().resolve_conj()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has no such type

    def value(theta: Any, *args: Any) -> Any:
        try:
            with torch.no_grad():
                return array(computed(theta, args, constant))
        except RuntimeError:  # f computes a gradient itself, such as the forces of an energy
            return array(computed(theta, args, lambda a, dtype: constant(a, dtype).requires_grad_()))

    def value_and_gradient(theta: Any, *args: Any) -> tuple[Any, Any]:
        tensors: list[Any] = []

        def variable(values: Any, dtype: Any) -> Any:
            if tensors and tensors[0].dtype != dtype:  # f has refused float64
                tensors.clear()
            tensors.append(constant(values, dtype).requires_grad_())
            return tensors[-1]

        with torch.inference_mode(False), torch.enable_grad():  # even if the caller has turned gradients off
            value = computed(theta, args, variable)
            outputs = list(value.reshape(-1))
        if not value.requires_grad:  # it depends on no parameter
            zero = mapped(theta, lambda leaf: np.zeros((*value.shape, *np.shape(leaf))))
            return array(value), zero
        gradients = [torch.autograd.grad(out, tensors, retain_graph=True, allow_unused=True) for out in outputs]
        arrays = []
        for tensor, of_outputs in zip(tensors, zip(*gradients, strict=True), strict=True):
            each = [np.zeros(tuple(tensor.shape)) if own is None else array(own) for own in of_outputs]
            arrays.append(np.stack(each).reshape((*value.shape, *tensor.shape)))
        return array(value), mapped(theta, lambda _: arrays.pop(0))

    return Differentiable(value, value_and_gradient)


def jax_function(f: Callable[..., Any]) -> Differentiable:
    """Return a function of NumPy parameters that computes a JAX function's value and its gradient, in 64 bits.

    Parameters
    ----------
    f : callable
        A function of an array, or of a list or dict of arrays, and further arguments, with one array as its value.

    Returns
    -------
    callable
        For ``check_gradients(jax_function(f), theta, args=…)``; a Jacobian if the value is not a single number.

    Examples
    --------
    >>> import jax  # doctest: +SKIP
    >>> from vecprop.check import jax_function
    >>> check_gradients(jax_function(jax.nn.logsumexp), np.ones(3)).passed  # doctest: +SKIP
    True
    """
    import jax  # pyright: ignore[reportMissingImports]

    def called(function: Callable[..., Any], theta: Any, args: tuple[Any, ...]) -> Any:
        with jax.enable_x64(True):
            arrays = mapped(theta, jax.numpy.asarray)
            try:
                return jax.jit(function)(arrays, *args)
            except (TypeError, IndexError):  # f uses numbers in Python, or args are no arrays
                return function(arrays, *args)

    jacobian = jax.jacrev(f)

    def value(theta: Any, *args: Any) -> Any:
        return np.asarray(called(f, theta, args))

    def value_and_gradient(theta: Any, *args: Any) -> tuple[Any, Any]:
        return value(theta, *args), mapped(called(jacobian, theta, args), np.asarray)

    return Differentiable(value, value_and_gradient)

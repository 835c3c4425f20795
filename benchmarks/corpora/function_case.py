"""A function, its gradient and the parameters at which they are checked; parameters as a list of arrays and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

from vecprop.check import check_gradients
from vecprop.core.network import Network


@dataclass(frozen=True)
class Case:
    """A right gradient, with the parameters at which it is checked.

    `f(theta, *args)` returns the value and its gradient; `f(theta, *args, slip=name)`
    returns one of the wrong gradients that a person may write, each of `slips`. If f is
    a Network, `args` are its rows, and `slips` are networks whose backward pass is
    wrong.

    `smallest` is the smallest error to be found, as a share of the largest entry of its
    leaf. `size` is the usual size of a gradient that is only rounding at theta. `rows`
    is N, if no argument shows it. `kinked` says that theta is exactly at a kink, so
    that KINK is right. `precision` is the precision to which statements about the
    gradient have to hold, as a share of its largest entry. `apart` says whether the
    gradient is given as a function of its own.
    """

    name: str
    f: Any
    theta: Any
    args: tuple = ()
    kind: str = "ordinary"
    backend: str = "numpy"
    slips: tuple = ()
    smallest: float = 1e-6
    size: float = 0.0
    rows: int = 0
    kinked: bool = False
    precision: float = 1e-9
    apart: bool | str | None = None
    options: dict = field(default_factory=dict)

    @property
    def count(self) -> int:
        """N: the number of rows, or else the length of the first argument that has one."""
        return self.rows or next(
            (np.shape(a)[0] for a in self.args if hasattr(a, "shape") and np.ndim(a)), 0
        )

    @property
    def separate(self) -> bool:
        """Whether the gradient is given as a function of its own.

        A third of the cases are checked so, and what is planted in a gradient of
        PyTorch's or JAX's.
        """
        if self.apart is None:
            return hasattr(self.f, "adapted") or crc32(self.name.encode()) % 3 == 0
        return bool(self.apart)

    def gradient(self, slip: Any = None) -> Any:
        """Return the gradient, or a wrong one, at theta as it was given."""
        return self.gradient_of(slip)(
            fresh(self.theta), *(() if isinstance(self.f, Network) else self.args)
        )

    def gradient_of(self, slip: Any = None) -> Callable[..., Any]:
        """Return the gradient as a function, or a wrong one."""
        if isinstance(self.f, Network):
            network = slip if slip is not None else self.f
            return lambda theta: network.loss_and_gradient(theta, *self.args)[1].copy()
        if slip is None:
            return lambda theta, *args: self.f(theta, *args)[1]
        return lambda theta, *args: self.f(theta, *args, slip=slip)[1]

    def check(
        self, change: Callable[[list], list] | None = None, slip: Any = None
    ) -> Any:
        """Return the report on the right gradient, or on a changed one."""
        theta = fresh(self.theta)
        if isinstance(self.f, Network):
            if change is None:
                return check_gradients(
                    self.f if slip is None else slip, theta, *self.args, **self.options
                )
            wrong = changed(self.gradient_of(), change)
            return check_gradients(
                self.f, theta, *self.args, gradient=wrong, **self.options
            )
        if hasattr(self.f, "adapted") and change is None:
            return check_gradients(
                self.f.adapted(slip), theta, args=self.args, **self.options
            )
        if self.separate:
            gradient = self.gradient_of(slip)
            gradient = gradient if change is None else changed(gradient, change)
            gradient = (
                gradient(theta, *self.args) if self.apart == "array" else gradient
            )
            return check_gradients(
                self.value(), theta, args=self.args, gradient=gradient, **self.options
            )
        return check_gradients(
            self.both(change, slip), theta, args=self.args, **self.options
        )

    def value(self) -> Callable[..., Any]:
        """Return the function's value alone."""
        known = (
            getattr(self.f.adapted(), "value", None)
            if hasattr(self.f, "adapted")
            else None
        )
        return known or (lambda theta, *args: self.f(theta, *args)[0])

    def both(
        self, change: Callable[[list], list] | None = None, slip: Any = None
    ) -> Callable[..., Any]:
        """Return the function of a value and its gradient, as a person would have written it."""
        f = self.f
        if slip is not None:
            return lambda theta, *args: f(theta, *args, slip=slip)
        if change is None:
            return f

        def wrong(theta: Any, *args: Any) -> Any:
            value, gradient = f(theta, *args)
            return value, rebuilt(gradient, change(leaves(gradient)))

        return wrong


def changed(
    gradient: Callable[..., Any], change: Callable[[list], list]
) -> Callable[..., Any]:
    """Return a gradient whose leaves are changed."""

    def wrong(theta: Any, *args: Any) -> Any:
        right = gradient(theta, *args)
        return rebuilt(right, change(leaves(right)))

    return wrong


def leaves(tree: Any) -> list:
    """Return the arrays of a tree; a list of numbers is one array."""
    if tree is None:  # an adapter has no gradient to give for complex numbers
        return []
    if _of_numbers(tree):
        return [np.array(tree)]
    if isinstance(tree, Mapping):
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        return [tree]
    return [leaf for child in tree for leaf in leaves(child)]


def rebuilt(tree: Any, arrays: list) -> Any:
    """Return a tree with other arrays."""
    left = iter(arrays)

    def build(tree: Any) -> Any:
        if tree is None:
            return None
        if isinstance(tree, Mapping):
            return {key: build(child) for key, child in tree.items()}
        if not isinstance(tree, list | tuple):
            return next(left)
        children = (
            list(next(left)) if _of_numbers(tree) else [build(child) for child in tree]
        )
        return (
            type(tree)(*children) if hasattr(tree, "_fields") else type(tree)(children)
        )

    return build(tree)


def matched(gradient: Any, theta: Any, made: Callable[[Any], Any] = np.asarray) -> list:
    """Return the arrays of a gradient, one for each array of theta, in the order of theta's."""
    if isinstance(theta, Mapping):
        return [
            leaf
            for key, child in theta.items()
            for leaf in matched(gradient[key], child, made)
        ]
    if isinstance(theta, list | tuple):
        return [
            leaf
            for g, child in zip(gradient, theta, strict=True)
            for leaf in matched(g, child, made)
        ]
    return [made(gradient)]


def with_leaves(
    theta: Any, arrays: list, made: Callable[[Any], Any] | None = None
) -> Any:
    """Return parameters built as theta is, of other arrays, in the order of `matched`."""
    left = iter(arrays)

    def build(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {key: build(child) for key, child in tree.items()}
        if isinstance(tree, list | tuple):
            children = [build(child) for child in tree]
            return (
                type(tree)(*children)
                if hasattr(tree, "_fields")
                else type(tree)(children)
            )
        if made:
            return made(next(left))
        return (
            np.array(next(left)) if isinstance(tree, np.ndarray) else float(next(left))
        )

    return build(theta)


def _of_numbers(tree: Any) -> bool:
    return isinstance(tree, list | tuple) and all(
        isinstance(child, complex | float | np.number) for child in tree
    )


def fresh(theta: Any) -> Any:
    """Return a copy of parameters."""
    if isinstance(theta, Mapping):
        return {key: fresh(child) for key, child in theta.items()}
    if hasattr(theta, "_fields"):
        return type(theta)(*map(fresh, theta))
    if isinstance(theta, list | tuple):
        return type(theta)(map(fresh, theta))
    return theta.copy() if isinstance(theta, np.ndarray) else theta


def draw(place: int, seed: int = 0) -> np.random.Generator:
    """Return the generator of the data of cases, for their place and one of many sets."""
    return np.random.default_rng(place + 1000 * seed)

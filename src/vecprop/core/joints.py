"""Joints: the layers that mark where the data flow of composite layers forks and joins.

They occur in the expanded list of a network's layers::

    Residual(f)     Fork  f  Add
    Parallel(f, g)  Fork  f  Branch  g  Concatenate

A Branch takes the output of its Fork. Add takes the outputs of its Fork and of the
preceding layer. Concatenate takes the last output of each branch. Every other layer
takes the output of the preceding layer.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .elementary import namespace
from .layers import Layer, WrongInputs


@dataclass(frozen=True)
class Select(Layer):
    """Select columns of the inputs by index."""

    columns: tuple[int, ...]

    def parameters(self, inputs):
        for column in self.columns:
            if not -inputs <= column < inputs:
                raise WrongInputs(
                    f"selects column {column}, but it has {inputs} inputs"
                )
        return {}, len(self.columns)

    def forward(self, p, X, noise=None):
        xp = namespace(X)
        columns = xp.asarray(self.columns, device=X.device)
        return xp.take(X, columns, axis=-1), X.shape[-1]

    def backward(self, p, saved, delta, J):
        delta_X = namespace(delta).zeros(
            (*delta.shape[:-1], saved), dtype=delta.dtype, device=delta.device
        )
        for number, column in enumerate(self.columns):
            delta_X[..., column] += delta[..., number]
        return delta_X


class Joint(Layer):
    """A mark in the list of a network's layers where the data flow forks or joins.

    The open forks are a stack. For each fork, it holds the number of the fork and of the
    last layer of each complete branch.
    """

    def sources(self, number: int, forks: list[list[int]]) -> tuple[int, ...]:
        """Return the indices of the layers whose outputs this layer takes, and update the open forks."""
        raise NotImplementedError

    def forward(self, p, X, noise=None):
        return X, None

    def backward(self, p, saved, delta, J):
        return delta


@dataclass(frozen=True)
class Fork(Joint):
    """Begin the first branch."""

    def sources(self, number, forks):
        forks.append([number])
        return (number - 1,)


@dataclass(frozen=True)
class Branch(Joint):
    """End a branch and begin the next, with the output of the fork."""

    def sources(self, number, forks):
        forks[-1].append(number - 1)
        return (forks[-1][0],)


@dataclass(frozen=True)
class Add(Joint):
    """Add the output of the fork and the last output of its only branch."""

    def parameters(self, inputs):
        before, after = inputs
        if before != after:
            raise WrongInputs(
                f"ends a Residual whose layers have {before} inputs and {after}"
                f" outputs: their last layer must have {before} outputs"
            )
        return {}, before

    def sources(self, number, forks):
        (fork,) = forks.pop()
        return fork, number - 1

    def forward(self, p, X, noise=None):
        before, after = X
        return before + after, None

    def backward(self, p, saved, delta, J):
        return [delta, delta]


@dataclass(frozen=True)
class Concatenate(Joint):
    """Concatenate the last outputs of the branches of a fork."""

    def parameters(self, inputs):
        return {}, sum(inputs)

    def sources(self, number, forks):
        _, *ends = forks.pop()
        return *ends, number - 1

    def forward(self, p, X, noise=None):
        xp = namespace(X[0])
        members = np.broadcast_shapes(*(branch.shape[:-1] for branch in X))
        branches = []
        ends = [0]
        for branch in X:
            width = branch.shape[-1]
            if branch.shape[:-1] != members:
                branch = xp.broadcast_to(branch, (*members, width))
            branches.append(branch)
            ends.append(ends[-1] + width)
        return xp.concat(branches, axis=-1), ends

    def backward(self, p, saved, delta, J):
        return [delta[..., low:high] for low, high in pairwise(saved)]


MOVES = (Select, Fork, Branch, Concatenate)
"""The layers that only move numbers."""


def sources_of(layers: tuple[Any, ...]) -> tuple[tuple[int, ...], ...]:
    """Return, for each layer, the indices of the layers whose outputs it takes; -1 is the network's input."""
    sources: list[tuple[int, ...]] = []
    forks = open_forks(layers, sources)
    if forks:
        raise _incomplete(forks[-1][0])
    return tuple(sources)


def open_forks(layers: tuple[Any, ...], sources: list | None = None) -> list[list[int]]:
    """Return the forks that are open after these layers, and append the sources of each layer to a list."""
    forks: list[list[int]] = []
    for number, layer in enumerate(layers):
        layer_sources = (number - 1,)
        if hasattr(layer, "sources"):
            try:
                layer_sources = layer.sources(number, forks)
            except (IndexError, ValueError):
                raise _incomplete(number) from None
        if sources is not None:
            sources.append(layer_sources)
    return forks


def _incomplete(number: int) -> ValueError:
    return ValueError(
        f"Layer {number} belongs to a composite layer that is not complete: use all of"
        " its layers, from Fork to Add or Concatenate."
    )

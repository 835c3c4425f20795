"""The layout: the place of each layer's parameters in the flat vector theta."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from .elementary import Array, namespace


class Penalized(tuple[int, ...]):
    """The shape of a matrix that penalties apply to, as a layer declares it in `Layer.parameters`.

    The declaration is part of the shape, so a layer that is made of layers passes it on with the shapes.

    Parameters
    ----------
    shape : tuple of int
        The number of inputs and of outputs.

    Examples
    --------
    >>> Penalized((2, 3))
    (2, 3)
    >>> [tensor.penalized for tensor in Layout([{"W": Penalized((2, 3)), "b": (3,)}]).tensors]
    [True, False]
    """

    __slots__ = ()


@dataclass(frozen=True)
class Tensor:
    """A named part of theta: a matrix or vector of a layer's parameters."""

    layer: int
    kind: str
    name: str
    start: int
    shape: tuple[int, ...]
    penalized: bool = False

    @property
    def size(self) -> int:
        """The number of entries."""
        return prod(self.shape)

    @property
    def span(self) -> slice:
        """Its place in theta's last axis."""
        return slice(self.start, self.start + self.size)

    def __str__(self) -> str:
        return f"layer {self.layer} ({self.kind}) {self.name}"


class Layout:
    """The places of all parameters in a flat vector, and named views of them.

    Parameters
    ----------
    shapes : sequence of mapping
        For each layer, the shapes of its parameters by name, in order.
    kinds : sequence of str, optional
        For each layer, the name of its class, for messages.

    Attributes
    ----------
    tensors : tuple of Tensor
        Every parameter tensor, in the order of the vector.
    size : int
        The number of parameters, P.

    Raises
    ------
    ValueError
        If a penalized parameter is not a matrix.

    Examples
    --------
    >>> layout = Layout([{"W": (2, 3), "b": (3,)}, {}, {"W": (3, 2), "b": (2,)}])
    >>> layout.size
    17
    >>> layout.views(np.arange(17))[2]["b"]
    array([15, 16])
    """

    def __init__(self, shapes: Sequence[Mapping[str, Sequence[int]]], kinds: Sequence[str] | None = None) -> None:
        tensors, start = [], 0
        for layer, named in enumerate(shapes):
            for name, shape in named.items():
                kind, lengths = kinds[layer] if kinds else "layer", tuple(int(length) for length in shape)
                tensor = Tensor(layer, kind, name, start, lengths, isinstance(shape, Penalized))
                if tensor.penalized and len(lengths) != 2:
                    raise ValueError(f"The shape {lengths} of {tensor} cannot be Penalized: penalties take matrices.")
                tensors.append(tensor)
                start += tensor.size
        self.tensors: tuple[Tensor, ...] = tuple(tensors)
        self.layers = len(shapes)
        self.size = start

    def views(self, vector: Array) -> list[dict[str, Array]]:
        """Return each layer's parameters by name, as views of the vector.

        Parameters
        ----------
        vector : array (*M, P)
            The parameters or their gradient.

        Returns
        -------
        list of dict
            For each layer, arrays of shape (*M, *shape). Writing into them writes into the vector.
        """
        xp = namespace(vector)
        members = tuple(vector.shape[:-1])
        views: list[dict[str, Array]] = [{} for _ in range(self.layers)]
        for tensor in self.tensors:
            # A split of the last axis never copies, whatever the strides.
            views[tensor.layer][tensor.name] = xp.reshape(vector[..., tensor.span], members + tensor.shape)
        return views

    def locate(self, index: int) -> str:
        """Return the name of the entry at an index of the vector's last axis.

        Examples
        --------
        >>> Layout([{"W": (2, 3), "b": (3,)}], ["Dense"]).locate(4)
        'layer 0 (Dense) W[1, 1]'
        """
        for tensor in self.tensors:
            if tensor.start <= index < tensor.start + tensor.size:
                entry = np.unravel_index(index - tensor.start, tensor.shape)
                return f"{tensor}[{', '.join(str(int(i)) for i in entry)}]"
        raise IndexError(f"There is no parameter {index} among {self.size}.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and (self.tensors, self.layers) == (other.tensors, other.layers)

    def __hash__(self) -> int:
        return hash((self.tensors, self.layers))

    def __repr__(self) -> str:
        return f"Layout({', '.join(f'{tensor} {tensor.shape}' for tensor in self.tensors)})"

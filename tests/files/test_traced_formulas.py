"""Test that custom NumPy formulas become ONNX graphs, or that the error names the unsupported operation."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import vecprop as vp
from exports import assert_close, run
from vecprop import FileError
from vecprop.export import TrainedNetwork, to_onnx
from vecprop.extend import Layer

ReferenceEvaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator
pytest.importorskip("onnxruntime")
PAGES = Path(__file__).parents[2] / "docs" / "how-to"
X = np.random.default_rng(0).normal(size=(20, 4))


@pytest.mark.parametrize("page", ["own-layer", "own-activation", "own-loss"])
def test_documented_custom_parts_become_graphs(page, capsys):
    source = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(
        r"^```\{code-cell\}\n(.*?)^```", source, re.DOTALL | re.MULTILINE
    ):
        if "matplotlib" not in block:
            exec(block, names)
            network = names["network"]
            theta = network.init(0)
            (Y,) = run(
                to_onnx(TrainedNetwork(network, theta), dtype=np.float64), X=names["X"]
            ).values()
            assert_close(Y, network.predict(theta, names["X"]), 1e-12)
    assert "PASS" in capsys.readouterr().out


@dataclass(frozen=True)
class Applied(Layer):
    """A function of the rows, without trained parameters before it."""

    function: Callable[[Any], Any]

    def parameters(self, inputs):
        return {}, self.function(np.eye(3, inputs)).shape[-1]

    def forward(self, p, X, noise=None):
        return self.function(X), None

    def backward(self, p, saved, delta, J):
        raise NotImplementedError


def in_place(z):
    z = z * 2
    same = z
    z += 1
    np.exp(z, out=z)
    return same


WRITTEN: dict[str, Callable[[Any], Any]] = {
    **{of.__name__: of for of in (np.exp2, np.expm1, np.square, np.sign, np.rint, np.sin, np.arctan, np.isfinite)},
    **{of.__name__: lambda z, of=of: of(z * z + 0.5) for of in (np.sqrt, np.log, np.log2, np.log10, np.log1p)},
    **{of.__name__: lambda z, of=of: of(z, z[:, ::-1]) for of in (np.maximum, np.logaddexp, np.hypot, np.not_equal)},
    "operators": lambda z: (2 - z) / (z**2 + 1) @ np.ones((4, 2)) + np.float64(3) * abs(z[:, :2]) - +z[:, 2:],
    "of SciPy": lambda z: special.expit(z) * (z % 0.7) + z // 2,
    "truth values": lambda z: ((z > 0) & ~(z > 1) | (z <= -1)) * z + (z > 0).sum(axis=-1, keepdims=True),
    "where": lambda z: np.where(z > 0, z, np.zeros_like(z)) + np.where(np.array([True, False] * 2), z, 1),
    "clip": lambda z: np.clip(z, -1, 1) + z.clip(0, None) + np.clip(z, a_min=None, a_max=0.5),
    "slices": lambda z: z[:, 1:3] + z[..., [3, 0]] + z[:, -1][..., None] + z[..., np.array([1, 0, 1, 0], bool)],
    "normalized": lambda z: (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + z.std(1)[:, None]),
    "reductions": lambda z: np.stack([z.sum(axis=1), np.max(z, axis=-1), z.min(-1), np.prod(z, axis=1)], axis=-1),
    "softmax": lambda z: np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True),
    "joined": lambda z: np.concatenate([z, np.real(z)], axis=-1).astype(float),
    "attention": lambda z: (z[..., None] @ z[..., None, :]).sum(axis=-1) + np.dot(z, np.eye(4)) * z.shape[-1],
    "in place": in_place,
}  # fmt: skip


@pytest.mark.parametrize("function", WRITTEN)
def test_numpy_functions_are_traced(function):
    network = vp.Network(4, [Applied(WRITTEN[function])], vp.SquaredError())
    model, expected = (
        TrainedNetwork(network, np.zeros(0)),
        network.predict(np.zeros(0), X),
    )
    (Y,) = run(to_onnx(model), X=X.astype(np.float32)).values()
    assert_close(Y, expected, 1e-5)
    # more functions in float64
    (Y,) = ReferenceEvaluator(to_onnx(model, dtype=np.float64)).run(None, {"X": X})
    assert_close(Y, expected, 1e-12)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "`cumsum`": lambda z: np.cumsum(z, axis=-1),
    "an array's `cumsum`": lambda z: z.cumsum(axis=-1),
    "an array's `T`": lambda z: (z.T / 2).T,
    "`arctan2`": lambda z: np.arctan2(z, 1),
    "`add` with `reduce`": lambda z: np.add.reduce(z, axis=-1),
    "`sum` with axis, where": lambda z: np.sum(z, axis=-1, where=z > 0),
    "`mean` over the rows or several axes": lambda z: z - z.mean(axis=0),
    "a sum over the rows by `matmul`": lambda z: np.ones((1, len(X))) @ z,
    "`logical_and` of values that are not Boolean": lambda z: np.logical_and(z, z > 0),
    "`concatenate` of rows or with constants": lambda z: np.concatenate([z, np.ones((len(X), 1))], axis=1),
    "`exp` with `out`": lambda z: np.exp(z, out=np.empty((len(X), 4))),
    "`astype` to int64": lambda z: z.astype(np.int64),
    "an assignment to a part of an array": lambda z: z.__setitem__(slice(None), 0),
    "an index of the rows": lambda z: z - z[0],
    "a condition on the values of an array": lambda z: z if z > 0 else -z,
    "a function that needs the values": lambda z: np.asarray(z) / 2,
    "a loop over the rows of an array": lambda z: np.stack([row / 2 for row in z]),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_unsupported_operations_are_named(what):
    network = vp.Network(
        4,
        [Applied(lambda z: z if isinstance(z, np.ndarray) else REFUSED[what](z))],
        vp.SquaredError(),
    )
    with pytest.raises(
        (FileError, AttributeError), match=rf"^A formula has {re.escape(what)}[^.]*\.$"
    ):
        to_onnx(TrainedNetwork(network, np.zeros(0)))

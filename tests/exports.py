"""The two forms that models are written in for use without vecprop, and what they compute."""

from typing import Any

import numpy as np

from vecprop.export import to_numpy, to_onnx


def run(graph, **inputs) -> dict[str, Any]:
    """Return what onnxruntime computes, by name."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def functions(model, **settings):
    """Return the functions of a model's NumPy source, run."""
    names = {}
    exec(compile(to_numpy(model, **settings), "<source>", "exec"), names)
    return names


def predicted(form, model, rows, dtype: Any = np.float64) -> list[Any]:
    """Return what a written model predicts: first labels or numbers, then probabilities if it has them."""
    if form == "graph":
        return [*run(to_onnx(model, dtype=dtype), X=rows).values()]
    source = functions(model)
    return [
        source[name](rows) for name in ("predict", "predict_proba") if name in source
    ]


def assert_close(found, expected, tolerance):
    """Compare with a relative tolerance, in the size of the largest entry."""
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        found / scale, expected / scale, rtol=tolerance, atol=tolerance
    )

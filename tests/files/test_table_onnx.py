"""Graphs of models of tables predict what the models do, from the inputs that columns become."""

import numpy as np
import pandas as pd
import pytest

import vecprop as vp

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

FRAME = pd.DataFrame({"x": np.sin(np.arange(90.0)), "c": np.array(list("abc"))[np.arange(90) // 30]})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [vp.TabularClassifier, vp.TabularRegressor])
def test_predictions_agree(kind, dtype):
    y = FRAME.c if kind is vp.TabularClassifier else FRAME.x * 100
    model = kind(n_members=3, max_iter=3, random_state=0).fit(FRAME, y)
    graph = vp.to_onnx(model, dtype=dtype)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["Y"], {"X": model.encoder_(FRAME).astype(dtype)})
    expected = model.predict_proba(FRAME) if kind is vp.TabularClassifier else model.predict(FRAME)[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())

"""A row with NaN or infinity never gives a number, however it is predicted; ReLU alone makes 0 of NaN."""

import numpy as np
import pytest
import sklearn
from scipy import sparse

import vecprop as vp

ACTIVATIONS = [vp.ReLU(), vp.Tanh(), vp.LeakyReLU()]
NOT_FINITE = [np.nan, np.inf, -np.inf]
ROWS = np.random.default_rng(0).normal(size=(40, 3))
FEW = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, "solver": "sgd"}


def with_one(value, dtype=np.float64):
    X = ROWS.astype(dtype)
    X[17, 1] = value
    return X


def trained(activation=ACTIVATIONS[0]):
    network = vp.Network(
        3, [vp.Dense(5), activation, vp.Dense(2)], vp.SoftmaxCrossEntropy()
    )
    return network, network.init(0)


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_networks(activation, value):
    network, theta = trained(activation)
    for predict in (network.predict, vp.compile(network).predict):
        with pytest.raises(ValueError, match="X is not finite: row 17, column 1 is"):
            predict(theta, with_one(value))


@pytest.mark.parametrize("value", NOT_FINITE)
# of which tiles hold features x rows, and rows x features
@pytest.mark.parametrize("width", [5, 300])
@pytest.mark.parametrize(
    "dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.long)]
)
def test_predictors(width, value, dtype):
    network = vp.Network(
        3,
        [vp.Dense(width), vp.ReLU(), vp.Dense(width), vp.ReLU(), vp.Dense(1)],
        vp.SquaredError(),
    )
    theta = network.init(0, dtype)
    predict = vp.compile(network).predictor(theta)
    for rows in (with_one(value, dtype), with_one(value, dtype)[17:18]):
        with pytest.raises(ValueError, match="X is not finite"):
            predict(rows)
    np.testing.assert_allclose(
        predict(ROWS.astype(dtype)), network.predict(theta, ROWS), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_that_are_told_that_all_is_finite(value):
    y = (ROWS[:, 0] > 0).astype(int)
    model = vp.MLPClassifier(**FEW).fit(ROWS, y)
    ensemble = vp.MLPEnsembleClassifier(vp.MLPClassifier(**FEW), 2).fit(ROWS, y)
    with sklearn.config_context(assume_finite=True):
        for predict in (model.predict, model.predict_proba, ensemble.predict):
            for rows in (with_one(value), sparse.csr_array(with_one(value)))[
                : 1 + (predict != ensemble.predict)
            ]:
                with pytest.raises(ValueError, match="X is not finite"):
                    predict(rows)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_numpy_source(value):
    names = {}
    exec(
        compile(
            vp.export.to_numpy(vp.export.TrainedNetwork(*trained())), "<source>", "exec"
        ),
        names,
    )
    with pytest.raises(
        ValueError, match="X is not finite: fill or drop missing and infinite values"
    ):
        names["predict"](with_one(value))


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_graphs(activation, value):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("skl2onnx")
    graph = vp.export.to_onnx(
        vp.export.TrainedNetwork(*trained(activation)), dtype=np.float64
    )
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (Y,) = session.run(None, {"X": with_one(value)})
    assert np.isnan(Y[17]).all()
    assert np.isfinite(np.delete(Y, 17, axis=0)).all()

"""skops keeps estimators, with the state from which their training continues."""

import numpy as np
import pytest

import vecprop as vp

X = np.random.default_rng(0).normal(size=(60, 4))
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model", [vp.MLPClassifier(max_iter=2), vp.MLPRegressor(max_iter=2), vp.TabularClassifier(n_members=2, max_iter=1)]
)
def test_skops(model):
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(model.fit(X, Y))
    again = skops.loads(content, trusted=skops.get_untrusted_types(data=content))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if hasattr(model, "partial_fit"):
        np.testing.assert_array_equal(again.partial_fit(X, Y).theta_, model.partial_fit(X, Y).theta_)

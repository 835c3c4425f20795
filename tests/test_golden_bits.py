"""The parameters of ten fits keep their bits while the code is simplified.

Bits depend on the processor and on versions, so `golden_bits.json` holds digests for some machines, and the test is
skipped on others. ``python tests/test_golden_bits.py`` adds the digests of this machine.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import pandas as pd
import pytest
import sklearn

import vecprop as vp

FILE = Path(__file__).with_name("golden_bits.json")
MACHINE = (
    f"{llvm.get_host_cpu_name()}, numpy {np.__version__}, numba {numba.__version__}, sklearn {sklearn.__version__}"
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6))
y = (X[:, 0] * X[:, 1] + 0.3 * RNG.normal(size=300) > 0).astype(int)
z = X @ RNG.normal(size=6) + np.sin(3 * X[:, 0])
NETWORK = vp.Network(6, [vp.Dense(16), vp.ReLU(), vp.Dense(8), vp.Tanh(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
TABLE = pd.DataFrame(X).add_prefix("x").assign(town=RNG.choice(np.array(["Oslo", "Rome", None]), 300), y=y, z=z)
FEW: dict[str, Any] = {"n_members": 3, "max_iter": 8, "random_state": 0}


def trained(engine, **settings):
    theta = NETWORK.init(seed=1, dtype=settings.pop("dtype", np.float64))
    return vp.train(NETWORK, theta, X.astype(theta.dtype), y, epochs=12, engine=engine, **settings).theta


def population():
    members = [vp.Member(NETWORK, NETWORK.init(k), vp.Adam(0.01 * (k + 1)), batch_size=32, epochs=5) for k in range(4)]
    return np.stack([result.theta for result in vp.train_population(members, X, y)])


def search():
    grid = {"hidden_layer_sizes": [(4,), (6,)], "alpha": [1e-4, 1e-2]}
    found = vp.MLPSearchCV(vp.MLPClassifier(max_iter=5, random_state=0), grid, cv=3).fit(X, y)
    return np.concatenate([found.cv_results_["mean_test_score"], *map(np.ravel, found.best_estimator_.coefs_)])


FITS = {
    "full batch": lambda: trained("compiled", optimizer=vp.Momentum(0.1, 0.9)),
    "batches of float32": lambda: trained("compiled", optimizer=vp.AdamW(0.01), batch_size=32, dtype=np.float32),
    "reference": lambda: trained("reference", optimizer=vp.Adam(0.01), batch_size=50),
    "L-BFGS": lambda: trained("auto", optimizer=vp.LBFGS()),
    "population": population,
    "classifier": lambda: np.concatenate(
        list(map(np.ravel, vp.MLPClassifier(max_iter=8, early_stopping=True, random_state=0).fit(X, y).coefs_))
    ),
    "regressor": lambda: np.concatenate(
        list(map(np.ravel, vp.MLPRegressor(hidden_layer_sizes=(20, 10), max_iter=8, random_state=0).fit(X, z).coefs_))
    ),
    "search": search,
    "table of classes": lambda: vp.TabularClassifier("y", **FEW).fit(TABLE.drop(columns="z")).predict_proba(TABLE),
    "table of numbers": lambda: vp.TabularRegressor("z", **FEW, stages=2).fit(TABLE.drop(columns="y")).predict(TABLE),
}


def digest(name):
    return sha256(np.ascontiguousarray(FITS[name]()).tobytes()).hexdigest()[:16]


@pytest.mark.filterwarnings("ignore:.*max_iter")
@pytest.mark.parametrize("name", FITS)
def test_a_fit_has_the_bits_that_it_had(name):
    known = json.loads(FILE.read_text(encoding="utf-8"))
    if MACHINE not in known:
        pytest.skip(f"no digests for {MACHINE}")
    assert digest(name) == known[MACHINE][name]


if __name__ == "__main__":
    digests = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    digests[MACHINE] = {name: digest(name) for name in FITS}
    FILE.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")

"""A first fit compiles only the kernels that it calls, and only one of several processes compiles each kernel."""

import gc
import os
import subprocess
import sys

import pytest
from numba import types

from vecprop.compiled.jit.numba_internals import compiled

FIT = """
import numpy as np, vecprop as vp
from vecprop.compiled.jit import machine_code
compiled = machine_code.compiled
machine_code.compiled = lambda function, *options: print(function.__name__) or compiled(function, *options)
X = np.linspace(-1, 1, 200).reshape(20, 10)
"""

TRAIN = """
network = vp.Network(10, [vp.Dense(9), vp.Logistic(), vp.Dense(1)], vp.SquaredError())
vp.train(network, network.init(0), X, X[:, 0], optimizer=vp.Momentum(), epochs=3, engine="compiled")
"""

CLASSIFIER = """
import warnings
with warnings.catch_warnings(record=True) as raised:
    warnings.simplefilter("always")
    vp.MLPClassifier((9,), max_iter=1).fit(X, np.arange(20) % 3)
assert "never predicted" in str(raised[-1].message) or "not converged" in str(raised[-1].message).replace("n't", " not")
"""

EVERY = {
    "_doubled",
    "multiply",
    "_blocks",
    "_blocks_back",
    "_map",
    "_derivative",
    "gather",
    "gradient_of_rows",
}
EVERY |= {"run_epochs"}


def compiled_by(processes, tmp_path, code):
    """Return the names of the functions compiled by each process."""
    environment = {**os.environ, "VECPROP_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", FIT + code]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    outputs = [process.communicate()[0].split() for process in started]
    assert [process.returncode for process in started] == [0] * processes
    return outputs


@pytest.mark.long
@pytest.mark.parametrize(
    ("code", "more"),
    [
        (TRAIN, {"gather_few", "_elementwise_loss", "_update1", "measure"}),
        (CLASSIFIER, {"_softmax_loss", "_update2", "penalize"}),
    ],
)
def test_a_first_fit_compiles_only_the_kernels_that_it_calls(tmp_path, code, more):
    (names,) = compiled_by(1, tmp_path, code)
    assert sorted(names) == sorted(EVERY | more)


@pytest.mark.long
def test_only_one_of_several_processes_compiles(tmp_path):
    names = [name for own in compiled_by(4, tmp_path, TRAIN) for name in own]
    assert len(names) == len(set(names)) == len(list(tmp_path.glob("*.kernel")))


def test_the_collector_does_not_visit_objects_of_the_compiler():
    """The objects of a compile are many and mostly alive, so collecting them would take a tenth of a first fit."""
    visits = []

    def count(phase, info):
        visits.append((phase, info))

    gc.unfreeze()  # pytest has frozen objects, which a first fit does not
    gc.callbacks.append(count)
    try:
        compiled(lambda a: a + 1, types.int64(types.int64), {})
        # the next objects start a collection if it is due
        assert len([[] for _ in range(10)]) == 10
    finally:
        gc.callbacks.remove(count)
        gc.freeze()
    assert not visits
    assert gc.isenabled()

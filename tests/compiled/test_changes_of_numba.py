"""If a name of Numba or LLVM that kernels need is missing, the reference engine is used, with one warning.

Each missing name is simulated in a fork of a process that has imported Numba but no
kernels.
"""

import json
import os
import subprocess
import sys

import pytest

USES = {
    "Numba is absent": "sys.modules.update({'numba': None, 'llvmlite': None})",
    "llvmlite is absent": (
        "sys.modules['llvmlite.binding'] = sys.modules['llvmlite'] = None"
    ),
    "LLVM's library": "fail_to_load()",
    "it is switched off": "numba.config.DISABLE_JIT = 1",
    "config.CPU_NAME": "del numba.config.CPU_NAME",
    "config.CPU_FEATURES": "del numba.config.CPU_FEATURES",
    "extending.intrinsic": "del numba.extending.intrinsic",
    "_Intrinsic": "import numba.core.extending as e; del e._Intrinsic",
    "extending.is_jitted": "del numba.extending.is_jitted",
    "a module of the registry": "sys.modules['numba.core.registry'] = None",
    "the registry's target": "import numba.core.registry as r; del r.cpu_target",
    "a codegen": "from numba.core.cpu import CPUContext as C; del C.codegen",
    "cfunc": "del numba.cfunc",
    "the signature of compiled functions": "del numba.core.ccallback.CFunc.__init__",
    "native_name": (
        "numba.core.ccallback.CFunc.native_name = property(lambda self: self.gone)"
    ),
    "_get_compiled_object": (
        "from numba.core.codegen import CodeLibrary as L; del L._get_compiled_object"
    ),
    "the option _nrt": "lose_option('_nrt')",
    "the option no_rewrites": "lose_option('no_rewrites')",
    "populate_array": "import numba.np.arrayobj as a; del a.populate_array",
    "an argument of populate_array": (
        "import numba.np.arrayobj as a; a.populate_array = lambda *given, new: None"
    ),
    "make_array": "import numba.np.arrayobj as a; del a.make_array",
    "get_abi_sizeof": (
        "from numba.core.base import BaseContext as C; del C.get_abi_sizeof"
    ),
    "get_value_type": (
        "from numba.core.cpu import CPUContext as C; C.get_value_type = property(lambda"
        " self: self.gone)"
    ),
    "ExternalFunction": "del numba.types.ExternalFunction",
    "from_dtype": "del numba.from_dtype",
    "NumbaError": "del numba.NumbaError",
    "ir.Builder's atomics": "import llvmlite.ir as ir; del ir.IRBuilder.atomic_rmw",
    "create_mcjit_compiler": (
        "import llvmlite.binding as b; del b.create_mcjit_compiler"
    ),
    "ObjectFileRef": "import llvmlite.binding as b; del b.ObjectFileRef",
    "add_symbol": "import llvmlite.binding as b; del b.add_symbol",
}
"""Missing names that kernels need, and code that simulates their absence."""

UNUSED = {
    "nothing": "",
    "extending.overload": "del numba.extending.overload",
    "magic_tuple": "from numba.core.codegen import CPUCodegen as C; del C.magic_tuple",
    "_rebuild": "import numba.core.compiler as c; del c.CompileResult._rebuild",
    "_cache": "numba.core.ccallback.CFunc._cache = property(lambda self: None)",
    "pass managers": "import numba.core.compiler as c; del c.DefaultPassBuilder",
}
"""Missing names that kernels do not need."""

EACH = """
import importlib, json, os, sys, warnings
import llvmlite.binding, llvmlite.ir, numba, numba.core.ccallback, numba.core.cpu, numba.extending
import numpy as np
import sklearn.neural_network
import vecprop as vp

network = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
X = np.random.default_rng(0).normal(size=(40, 2))
t = (X[:, 0] > 0).astype(int)
theta = network.init(0)

def train(engine="auto"):
    return vp.train(network, theta, X, t, optimizer=vp.Adam(), epochs=3, engine=engine).theta

def refused(call):
    try:
        call()
    except (ValueError, ImportError) as error:
        return str(error)

def lose_option(name):
    for cls in numba.core.cpu.CPUTargetOptions.__mro__:
        if name in vars(cls):
            delattr(cls, name)

def fail_to_load():
    load = importlib.import_module
    importlib.import_module = lambda name, *of: open("/nowhere/llvmlite.so") if name == "numba" else load(name, *of)

def use():
    member = vp.Member(network, theta, vp.Adam(), epochs=3)
    model = vp.MLPClassifier((3,), max_iter=3, random_state=0, early_stopping=True).fit(X, t)
    ways = train(), vp.train_population([member], X, t)[0].theta
    return [np.abs(way - train("reference")).max() for way in ways], model.predict(X[:3]).tolist()

for name, loss in json.loads(sys.argv[1]).items():
    if os.fork():
        assert os.wait()[1] == 0, name
        continue
    exec(loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        differences, predicted = use()
    said = [str(each.message) for each in caught if "engine" in str(each.message)]
    refusals = [refused(lambda: train("compiled")), refused(lambda: vp.compile(network))]
    print(json.dumps([name, max(differences), predicted, said, refusals]), flush=True)
    os._exit(0)
"""


def outcomes(losses, **environment):
    """Return the difference from the reference engine, predictions, warnings and errors, for each missing name."""
    command, variables = (
        [sys.executable, "-c", EACH, json.dumps(losses)],
        {**os.environ, **environment},
    )
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {
        name: outcome for name, *outcome in map(json.loads, done.stdout.splitlines())
    }
    assert found.keys() == losses.keys()
    return found


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each loss is simulated in a fork")
def test_without_a_needed_name_the_reference_engine_is_used_with_one_warning(tmp_path):
    for name, (difference, predicted, said, refusals) in outcomes(
        USES, VECPROP_CACHE_DIR=str(tmp_path)
    ).items():
        assert difference == 0, name
        assert len(predicted) == 3
        assert len(said) == 1, (name, said)
        start, _, reason = said[0].partition(": ")
        assert start == "Computing on the reference engine, which is slower"
        assert "\n" not in reason
        assert ("install" in reason) != ("NUMBA_DISABLE_JIT" in reason), reason
        assert (
            refusals[0]
            == f"The compiled engine cannot train this network: {reason[:-1]}; use"
            ' train with engine="auto".'
        )
        assert reason[:-1] in refusals[1]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each loss is simulated in a fork")
def test_a_fit_whose_kernels_differ_from_that_of_the_trial(tmp_path):
    trial = "from vecprop.train.compiled import missing\nassert missing() is None"
    subprocess.run(
        [sys.executable, "-c", trial],
        env=os.environ | {"VECPROP_CACHE_DIR": str(tmp_path)},
        check=True,
    )
    difference, _, said, refusals = outcomes(
        {"cfunc": USES["cfunc"]}, VECPROP_CACHE_DIR=str(tmp_path)
    )["cfunc"]
    assert difference == 0
    assert len(said) == 1
    assert all("install another release" in refusal for refusal in refusals)


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each loss is simulated in a fork")
def test_kernels_work_without_optional_names():
    for name, (difference, _, said, refusals) in outcomes(UNUSED).items():
        assert difference < 1e-12, name
        assert said == [], name
        assert refusals == [None, None], name

"""Bits of the compiled engine do not depend on threads or processes, and it has no effects on the host."""

import _signal  # pyright: ignore[reportMissingImports] (what signal wraps)
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import vecprop as vp
from vecprop.system.threads import limit_threads

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6))
T = np.sin(X @ RNG.normal(size=(6, 3)))


def network(layer: vp.extend.Layer = vp.Tanh(), width=9):  # noqa: B008 (frozen)
    return vp.Network(
        6, [vp.Dense(width), layer, vp.Dense(3)], vp.SquaredError(), vp.L2(1e-3)
    )


PROGRAM = """
import sys, hashlib, numpy as np, vecprop as vp
rng = np.random.default_rng(0)
X, t = rng.normal(size=(700, 20)), rng.integers(0, 3, 700)
layers = [vp.Dense(64), vp.SiLU(), vp.Dropout(0.2), vp.Dense(70), vp.LayerNorm(), vp.Dense(3)]
digest = hashlib.sha256()
for F in (np.float32, np.float64):
    for batch_size in (128, 256, None):
        network = vp.Network(20, layers, vp.SoftmaxCrossEntropy(), vp.L2(1e-4))
        result = vp.train(network, network.init(0, dtype=F), X, t, optimizer=vp.Adam(0.01), epochs=4,
                          batch_size=batch_size, clip_norm=1.0, validation=(X[:99], t[:99]), engine="compiled")
        for array in (result.theta, result.history.loss, result.history.validation_loss, result.history.gradient_norm):
            digest.update(array.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.long
@pytest.mark.parametrize("numbers", ["13", "12342"])
def test_the_same_bits_with_any_number_of_threads(numbers):
    digests = set()
    for threads in numbers:
        environment = {
            **os.environ,
            "VECPROP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }
        digests.add(
            subprocess.check_output([sys.executable, "-c", PROGRAM], env=environment)
        )
    assert len(digests) == 1


def test_rows_measured_last_are_reweighted_in_the_next_batch(monkeypatch):
    """The third of four threads measures rows 2816 to 3071 last, and starts the next epoch with them."""
    monkeypatch.setenv("VECPROP_NUM_THREADS", "4")
    X = np.random.default_rng(0).normal(size=(6144, 6))
    options = {
        "optimizer": vp.Momentum(0.01),
        "epochs": 1,
        "batch_size": 5632,
        "shuffle": False,
    }
    options |= {"training_loss": "exact", "engine": "compiled"}
    found = vp.train(network(), network().init(0), X, np.sin(X[:, :3]), **options)
    with limit_threads(1):
        alone = vp.train(network(), network().init(0), X, np.sin(X[:, :3]), **options)
    np.testing.assert_array_equal(found.theta, alone.theta)


def test_repeated_fits_show_no_race():
    wide = network(vp.ReLU(), width=200)
    settings = {
        "optimizer": vp.Adam(),
        "epochs": 3,
        "batch_size": 128,
        "engine": "compiled",
    }
    assert (
        len(
            {
                vp.train(wide, wide.init(0), X, T, **settings).theta.tobytes()
                for _ in range(50)
            }
        )
        == 1
    )


def test_ctrl_c_returns_the_result_so_far():
    options = {"optimizer": vp.Momentum(1e-6), "engine": "compiled"}
    # compiles all kernels
    vp.train(network(), network().init(1), X, T, epochs=1, **options)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    result = vp.train(network(), network().init(1), X, T, epochs=10**7, **options)
    assert result.reason == "interrupted"
    assert 0 < result.state.epoch < 10**7
    assert len(result.history.loss) == result.state.epoch + 1
    assert network().loss(result.theta, X, T) == pytest.approx(
        result.history.loss[-1], rel=1e-12
    )


@pytest.fixture
def two_blas_threads():
    """Use two BLAS threads, even if the tests run with one."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2):
        yield


def test_fits_from_several_threads_and_the_host_s_blas_afterwards(two_blas_threads):
    from threadpoolctl import threadpool_info

    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    wide = network(vp.ReLU(), width=200)
    arguments = {
        "optimizer": vp.Adam(),
        "epochs": 20,
        "batch_size": 64,
        "engine": "compiled",
    }
    alone = vp.train(wide, wide.init(0), X, T, **arguments).theta
    thetas = {}

    def fit(number):
        thetas[number] = vp.train(wide, wide.init(0), X, T, **arguments).theta

    threads = [threading.Thread(target=fit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for theta in thetas.values():
        np.testing.assert_array_equal(theta, alone)
    after = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    assert all(after[path] == count for path, count in before)


def test_the_last_user_of_blas_restores_it(two_blas_threads):
    """The number is restored even if another thread, which still exists, had set it to one."""
    from threadpoolctl import threadpool_info

    from vecprop.system.threads import with_single_threaded_blas

    with_single_threaded_blas(lambda: None)  # BLAS is loaded
    before = threadpool_info()
    assert any(pool["num_threads"] == 2 for pool in before)
    entered, may_end = threading.Event(), threading.Event()

    def use():
        entered.set()
        time.sleep(0.01)

    def first():
        with_single_threaded_blas(use)
        may_end.wait()

    threading.Thread(target=first, daemon=True).start()
    entered.wait()
    with_single_threaded_blas(lambda: time.sleep(0.05))
    after = threadpool_info()
    may_end.set()
    assert after == before


@pytest.mark.parametrize(
    "method", ["fork", pytest.param("spawn", marks=pytest.mark.long)]
)
def test_fits_in_children(method, tmp_path):
    code = f"""
import multiprocessing, sys
import numpy as np, vecprop as vp
def fit(seed):
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(300, 30)), rng.normal(size=(300, 2))
    network = vp.Network(30, [vp.Dense(64), vp.ReLU(), vp.Dense(2)], vp.SquaredError())
    options = dict(optimizer=vp.Adam(), epochs=3, batch_size=128, engine="compiled")
    return vp.train(network, network.init(seed), X, T, **options).theta
if __name__ == "__main__":
    parent = [fit(0), fit(1)]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        children = pool.map(fit, [0, 1])
    print(all((a == b).all() for a, b in zip(parent, children)))
"""
    program = tmp_path / "fits.py"
    program.write_text(code)
    run = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert run.stdout.strip() == "True"


def test_a_sigint_handler_set_in_c_is_kept(monkeypatch):
    def fit():
        return vp.train(
            network(),
            network().init(1),
            X,
            T,
            optimizer=vp.Adam(),
            epochs=3,
            engine="compiled",
        ).theta

    expected = fit()
    monkeypatch.setattr(_signal, "getsignal", lambda number: None)
    monkeypatch.setattr(
        _signal, "signal", lambda *arguments: pytest.fail("a handler was set")
    )
    np.testing.assert_array_equal(fit(), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_child_predicts_while_its_parent_does():
    network = vp.Network(30, [vp.Dense(200), vp.ReLU(), vp.Dense(1)], vp.SquaredError())
    predict, rows = vp.compile(network).predictor(network.init(0)), np.ones((4000, 30))
    expected, ended = predict(rows[:1]), threading.Event()

    def go_on():
        while not ended.is_set():
            predict(rows)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if not child:
                os._exit(int(not np.array_equal(predict(rows[:1]), expected)))
            killer = threading.Timer(10, os.kill, (child, signal.SIGKILL))
            killer.start()
            _, status = os.waitpid(child, 0)
            killer.cancel()
            assert status == 0
    finally:
        ended.set()
        thread.join()


IMPORTING = """
import os, random, signal, sys, threading
import numpy as np, vecprop as vp

signal.signal(signal.SIGINT, signal.default_int_handler)
network, X = vp.Network(3, [vp.Dense(1)], vp.SquaredError()), np.ones((2, 3))
timer = threading.Timer(random.Random(int(sys.argv[1])).uniform(0.02, 0.6), os.kill, (os.getpid(), signal.SIGINT))
timer.start()
try:
    vp.train(network, network.init(0), X, X[:, :1], optimizer=vp.Adam(), epochs=1)
    timer.join()
except KeyboardInterrupt:
    vp.train(network, network.init(0), X, X[:, :1], optimizer=vp.Adam(), epochs=1)
"""


COMPILING = """
import os, random, signal, sys, threading, warnings
warnings.simplefilter("error")
import numpy as np, vecprop as vp

signal.signal(signal.SIGINT, signal.default_int_handler)
network = vp.Network(30, [vp.Dense(64), vp.ReLU(), vp.Dense(3)], vp.SoftmaxCrossEntropy())
X, t = np.random.default_rng(0).normal(size=(600, 30)), np.arange(600) % 3
random.seed(int(sys.argv[1]))
for _ in range(4):
    timer = threading.Timer(random.uniform(0.3, 1.5), os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        vp.train(network, network.init(0), X, t, optimizer=vp.Adam(), epochs=1)
        timer.cancel()
    except KeyboardInterrupt:
        pass
found = [vp.train(network, network.init(0), X, t, optimizer=vp.Adam(), epochs=1, engine=engine).theta
         for engine in ("compiled", "reference")]
np.testing.assert_allclose(*found, rtol=1e-9)
"""


FORKING = """
import os, random, signal, sys, threading, time
import numpy as np, vecprop as vp

X, t = np.random.default_rng(0).normal(size=(600, 30)), np.arange(600) % 3
networks = [vp.Network(30, [vp.Dense(9), layer, vp.Dense(3)], vp.SoftmaxCrossEntropy())
            for layer in (vp.Tanh(), vp.ReLU(), vp.SiLU(), vp.GELU())]

def fit(network):
    result = vp.train(network, network.init(0), X, t, optimizer=vp.Adam(), epochs=2, batch_size=64)
    return vp.compile(network).predict(result.theta, X[:3])

random.seed(int(sys.argv[1]))
thread = threading.Thread(target=lambda: list(map(fit, networks)))  # imports and compiles
thread.start()
children = []
for _ in range(10):
    time.sleep(random.uniform(0, 0.8))
    child = os.fork()
    if not child:
        signal.alarm(150)
        fit(networks[0])
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.long
@pytest.mark.parametrize(
    ("program", "seed"),
    [
        (program, seed)
        for program, count in ((IMPORTING, 6), (COMPILING, 3), (FORKING, 2))
        for seed in range(count)
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
def test_ctrl_c_and_forks_during_import_and_compilation_are_safe(
    program, seed, tmp_path
):
    environment = os.environ | {"VECPROP_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", program, str(seed)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

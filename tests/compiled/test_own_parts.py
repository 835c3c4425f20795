"""Custom formulas are compiled like built-in ones, or refused with a reason, but never give different results."""

import pickle
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from math import pi
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from sampled import sampled
from vecprop.compiled.lower import own_parts
from vecprop.compiled.lower.loops import map_address
from vecprop.compiled.lower.own_parts import reason_against
from vecprop.core.elementary import one, tanh
from vecprop.extend import Activation, ElementwiseLoss, Layer, Optimizer

TYPES = [np.float64, np.float32]
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(150, 4)), RNG.normal(size=(150, 2))
SCALE = 1.5


def halved(z):
    return z / 2


@dataclass(frozen=True)
class MyTanh(Activation):
    def value(self, z):
        return tanh(z)

    def derivative(self, z, y):
        return 1 - y * y


class OfNumPy(Activation):
    """Swish in the style of NumPy, with terms that cancel out but call all supported functions."""

    def value(self, z):
        nothing = np.cos(z) - np.cos(z) + abs(z) - np.maximum(z, -z) + np.pi - pi
        return z / (1 + np.exp(-z)) + nothing

    def derivative(self, z, y):
        s = 1 / (1 + np.exp(-z))
        return s + y * (1 - s)


@dataclass(frozen=True)
class Scaled(Activation):
    a: float = 0.5

    def value(self, z):
        return SCALE * self.a * halved(z) + self.part(z)

    def derivative(self, z, y):
        return self.a * one(z)

    def part(self, z):
        return 0 * z


@dataclass(frozen=True)
class LogCosh(ElementwiseLoss):
    scale: float = 1.0

    def predict(self, Z):
        return Z

    def element(self, Z, T):
        d = abs(Z - T) / self.scale
        return d + np.log1p(np.exp(-2 * d))

    def delta(self, Z, T):
        return np.tanh((Z - T) / self.scale) / self.scale


@dataclass(frozen=True)
class Lion(Optimizer):
    learning_rate: Any = 0.01
    beta1: float = 0.9
    beta2: float = 0.99

    moments = ("m",)

    def update(self, theta, J, rate, t, *moments):
        (m,) = moments
        return (
            theta - rate * np.sign(self.beta1 * m + (1 - self.beta1) * J),
            self.beta2 * m + (1 - self.beta2) * J,
        )


def network(activation, loss=None):
    return vp.Network(
        4, [vp.Dense(6), activation, vp.Dense(2)], loss or vp.SquaredError()
    )


def trained(net, engine, F: Any = np.float64, optimizer=None, **settings):
    settings = {
        "optimizer": optimizer or vp.Momentum(0.02),
        "epochs": 3,
        "batch_size": 40,
        **settings,
    }
    return vp.train(
        net, net.init(0, F), X.astype(F), T.astype(F), engine=engine, **settings
    ).theta


@pytest.mark.parametrize("F", sampled(TYPES))
def test_a_custom_tanh_equals_the_built_in_one(F):
    own, known = network(MyTanh()), network(vp.Tanh())
    theta, data = own.init(1, F), (X.astype(F), T.astype(F))
    eps = np.finfo(F).eps
    own_gradient, gradient = (
        vp.compile(net).loss_and_gradient(theta, *data)[1] for net in (own, known)
    )
    np.testing.assert_allclose(own_gradient, gradient, rtol=100 * eps, atol=10 * eps)
    np.testing.assert_allclose(
        trained(own, "auto", F), trained(known, "compiled", F), rtol=0, atol=100 * eps
    )


@pytest.mark.parametrize("F", sampled(TYPES))
@pytest.mark.parametrize(
    ("activation", "loss", "optimizer"),
    [
        (OfNumPy(), None, None),
        (Scaled(0.3), LogCosh(0.7), None),
        (vp.Tanh(), None, Lion()),
    ],
    ids=["activation", "activation and loss", "optimizer"],
)
def test_custom_parts_train_as_on_the_reference_engine(activation, loss, optimizer, F):
    net = network(activation, loss)
    found, expected = (
        trained(net, "compiled", F, optimizer),
        trained(net, "reference", F, optimizer),
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=2000 * np.finfo(F).eps)


def test_bits_are_equal_on_all_threads_and_for_members(monkeypatch):
    net = vp.Network(4, [vp.Dense(300), OfNumPy(), vp.Dense(2)], LogCosh())
    many, targets = np.tile(X, (8, 1)), np.tile(T, (8, 1))
    settings: dict[str, Any] = {
        "optimizer": Lion(),
        "epochs": 2,
        "batch_size": 400,
        "engine": "compiled",
    }
    found = []
    for threads in (1, 2, 4):
        monkeypatch.setenv("VECPROP_NUM_THREADS", str(threads))
        found.append(vp.train(net, net.init(3), many, targets, **settings).theta)
    del settings["engine"]
    members = [vp.Member(net, net.init(seed), **settings) for seed in (2, 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.append(vp.train_population(members, many, targets)[1].theta)
    for theta in found[1:]:
        np.testing.assert_array_equal(theta, found[0])


def test_estimators_pickles_and_the_checker(recwarn):
    model = vp.MLPRegressor(
        hidden_layer_sizes=6, activation=MyTanh(), max_iter=200, random_state=0
    ).fit(X, T)
    known = vp.MLPRegressor(
        hidden_layer_sizes=6, activation="tanh", max_iter=200, random_state=0
    ).fit(X, T)
    np.testing.assert_allclose(model.predict(X), known.predict(X), rtol=1e-6)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict(X), model.predict(X)
    )
    predictor = vp.compile(network(MyTanh())).predictor(network(MyTanh()).init(0))
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(predictor))(X), predictor(X)
    )
    net = network(MyTanh())
    assert {row.engine for row in vp.check_gradients(net, net.init(0), X, T).rows} == {
        "both"
    }
    assert not [
        warning for warning in recwarn if "reference engine" in str(warning.message)
    ]


@pytest.mark.parametrize("name", ["SCALE", "halved"])
def test_a_changed_global_is_detected(monkeypatch, name):
    net = network(Scaled())
    before = trained(net, "compiled")
    monkeypatch.setitem(
        globals(), name, {"SCALE": 1.5, "halved": lambda z: z / 2}[name]
    )
    if name == "SCALE":  # as when a notebook's cell runs again
        np.testing.assert_array_equal(trained(net, "compiled"), before)
    monkeypatch.setitem(globals(), name, {"SCALE": 3.0, "halved": other}[name])
    np.testing.assert_allclose(
        trained(net, "compiled"), trained(net, "reference"), rtol=1e-10
    )
    assert not np.allclose(trained(net, "compiled"), before)


def other(z):
    return z / 2 + 0.1 * z


def test_unused_globals_do_not_cause_recompilation(monkeypatch):
    """The field ``a`` of `Scaled` is not a global name."""
    reason_against(Scaled(), np.float64)
    monkeypatch.setitem(globals(), "a", 2.0)
    monkeypatch.setattr(
        own_parts, "forget", lambda: pytest.fail("all is compiled anew")
    )
    assert reason_against(Scaled(), np.float64) is None


class Heir(MyTanh):
    """Inherits its formulas."""


def test_a_replaced_formula_is_detected(monkeypatch):
    """In the class, or in its base class."""

    def derivative(self, z, y):
        return 1 - y * y + 0.125 * y

    net = network(Heir())
    for cls, formula in ((MyTanh, derivative), (Heir, MyTanh.derivative)):
        before = trained(net, "compiled")
        monkeypatch.setattr(cls, "derivative", formula, raising=False)
        np.testing.assert_allclose(
            trained(net, "compiled"), trained(net, "reference"), rtol=1e-10
        )
        assert not np.allclose(trained(net, "compiled"), before)


def test_classes_with_the_same_name_are_distinguished():
    """Each class is compared with its formulas."""
    assert [reason_against(part, np.float64) for part in (Double(), Triple())] == [
        None,
        None,
    ]


class Double(Activation):
    def value(self, z):
        return 2 * z

    def derivative(self, z, y):
        return 2


class Triple(Double):
    def value(self, z):
        return 3 * z


Triple.__name__ = Triple.__qualname__ = "Double"


class Base(Activation):
    def value(self, z):
        return z

    def derivative(self, z, y):
        return 1


class Forward(Base):
    def forward(self, p, X, noise=None):
        return X, (X, X)


class Remainder(Base):
    def value(self, z):
        return z % 2


class Reads(Base):
    factor = 2.0

    def value(self, z):
        return self.factor * z


class Attribute(Base):
    def __init__(self):
        object.__setattr__(self, "factor", 2.0)


@dataclass(frozen=True)
class Text(Base):
    mode: str = "fast"


@dataclass(frozen=True)
class Uncompared(Base):
    a: float = field(default=1.0, compare=False)


@dataclass(frozen=True)
class Equal(Base):
    a: float = 1.0

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1


class Intercepted(Base):
    def __getattribute__(self, name):
        return super().__getattribute__(name)


NOWHERE: dict[str, Any] = {"Base": Base}
# without __name__, it has no module
exec("class Nowhere(Base):\n    def value(self, z):\n        return z", NOWHERE)


class Lambda(Base):
    value = lambda self, z: 2 * z  # noqa: E731


class OneTrueTwo(Base):
    """The sum of two true Booleans is true in NumPy, and 2 in compiled code."""

    def value(self, z):
        return ((z > 0) + (z < 1)) * z


class Tower(Layer):
    def forward(self, p, X, noise=None):
        return X, None

    def backward(self, p, saved, delta, J):
        return delta


@dataclass(frozen=True)
class Steps(Lion):
    def step(self, theta, gradient, state):
        super().step(theta, gradient, state)


@dataclass(frozen=True)
class Renamed(Lion):
    def update(self, theta, J, step_size, t, *moments):  # pyright: ignore[reportIncompatibleMethodOverride]
        return theta - step_size * J, *moments


@dataclass(frozen=True)
class Valued(LogCosh):
    def value(self, Z, T):
        return super().value(Z, T)


@dataclass(frozen=True)
class Softer(vp.SoftmaxCrossEntropy):
    pass


class Hyperbolic(Base):
    def value(self, z):
        return np.cosh(z)


def in_a_function():
    class Inner(Base):
        def value(self, z):
            return np.exp(z)

    return Inner()


if True:

    class InABlock(Base):
        def value(self, z): return np.exp(-np.square(z))  # fmt: skip


@pytest.mark.parametrize(
    "part", [InABlock(), in_a_function()], ids=["in a block", "in a function"]
)
def test_the_source_of_a_class_is_found_wherever_it_is_defined(part):
    assert reason_against(part, np.float64) is None


def enclosed(factor):
    class Enclosed(Base):
        def value(self, z):
            return factor * z

    return Enclosed()


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Forward(), "Forward is a custom part that overrides 'forward'"),
        (
            Reads(),
            "Reads.value cannot be compiled: `self.factor` is not a hyperparameter",
        ),
        (
            Attribute(),
            "Attribute is a custom part whose attribute 'factor' is not a field",
        ),
        (Text(), "Text is a custom part whose field 'mode' is not a number"),
        (Uncompared(), "Uncompared is a custom part whose field 'a' has compare=False"),
        (Equal(), "Equal is a custom part that overrides '__eq__'"),
        (
            Intercepted(),
            "Intercepted is a custom part that overrides '__getattribute__'",
        ),
        (NOWHERE["Nowhere"](), "the source of Nowhere.value cannot be read"),
        (Lambda(), "the source of Lambda.<lambda> cannot be read"),
        (
            OneTrueTwo(),
            (
                "value of OneTrueTwo is 2e-08 in machine code and 1e-08 by the formula"
                " at 1e-08, in float64"
            ),
        ),
        (enclosed(2.0), "Enclosed.value cannot be compiled: 'factor' is not global"),
        (
            Hyperbolic(),
            (
                r"`np.cosh\(z\)` calls a function that has no kernel; functions of NumPy"
                r" and scipy.special with .+ abs, .+, where"
            ),
        ),
        (
            Tower(),
            (
                "Tower is a custom part that is not derived from Activation,"
                " ElementwiseLoss or Optimizer"
            ),
        ),
        (Steps(), "Steps is a custom part that overrides 'step'"),
        (
            Renamed(),
            (
                "Renamed is a custom part whose 'update' does not take the arguments"
                " theta, J, rate, t"
            ),
        ),
        (Valued(), "Valued is a custom part that overrides 'value'"),
        (Softer(), "Softer is a custom part that is not derived"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_parts_that_are_not_compiled_have_a_reason(part, reason):
    assert re.search(reason, str(reason_against(part, np.float64)))


@pytest.mark.parametrize("F", sampled(TYPES))
def test_a_kernel_that_differs_from_its_formula_is_not_used(monkeypatch, F):
    own_parts._compared.cache_clear()
    monkeypatch.setattr(
        own_parts, "map_address", lambda part, F: map_address(vp.Logistic(), F)
    )
    reason = reason_against(MyTanh(), F)
    own_parts._compared.cache_clear()
    assert (
        reason
        == "the value of MyTanh is 0.5 in machine code and 0 by the formula at 0, in"
        f" {np.dtype(F)}"
    )


OWN = """
def made{k}():
    class Own(vp.extend.Activation):
        def value(self, z):
            return {k} * z
        def derivative(self, z, y):
            return {k}
    return Own()
"""


@pytest.mark.long
def test_several_processes_compile_classes_with_the_same_name(tmp_path):
    """The linker identifies code by its name."""
    (tmp_path / "parts.py").write_text(
        "import vecprop as vp\n" + OWN.format(k=2) + OWN.format(k=3)
    )
    code = """
import sys, numpy as np, vecprop as vp, parts
for k in sys.argv[1:]:
    net = vp.Network(1, [getattr(parts, "made" + k)()], vp.SquaredError())
    assert vp.compile(net).predict(np.empty(0), np.ones((1, 1))) == int(k), k
"""
    for factors in ("2", "3", "23", "32"):
        environment = {
            "VECPROP_CACHE_DIR": str(tmp_path),
            "PATH": "",
            "PYTHONPATH": str(tmp_path),
        }
        subprocess.run(
            [sys.executable, "-c", code, *factors],
            check=True,
            env=environment,
            cwd=tmp_path,
        )


def written(generator, depth):
    """Return a random expression of z."""
    if not depth:
        return generator.choice(["z", "z", "z", "self.a", "SCALE", "0.5", "2", "np.pi"])
    forms = """({0} + {1}); ({0} - {1}); ({0} * {1}); ({0}) / (1 + abs({1} * z)); np.tanh({0} + z);
    np.exp(-abs({0} * z)); np.where({0} * z > {1}, {2}, {0} - z); np.maximum({0} * z, {1}); np.clip({0} + z, -1.5, 2);
    (z - {0}) ** 2; np.sqrt(1 + abs(z * {0})); halved({0} - z); -({0})"""
    parts = [written(generator, depth - 1) for _ in range(3)]
    return generator.choice(forms.split(";")).strip().format(*parts)


@pytest.mark.long
def test_random_formulas_equal_their_kernels(tmp_path, monkeypatch):
    """Compiled formulas are equal up to rounding on numbers outside of the comparison; most formulas are compiled."""
    generator, count = np.random.default_rng(1), 60
    text = (
        "import numpy as np\nfrom dataclasses import dataclass\nimport vecprop as"
        " vp\nSCALE = 1.5\n"
    )
    text += "def halved(z):\n    return z / 2\n"
    for number in range(count):
        text += (
            f"@dataclass(frozen=True)\nclass Own{number}(vp.extend.Activation):\n    a:"
            " float = 0.75\n"
        )
        text += (
            f"    def value(self, z):\n        return {written(generator, 3)} + 0 * z\n"
        )
        text += "    def derivative(self, z, y):\n        return y\n"
    (tmp_path / "random_formulas.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import random_formulas  # pyright: ignore[reportMissingImports]

    refused = []
    for number in range(count):
        part, F = getattr(random_formulas, f"Own{number}")(), TYPES[number % 2]
        if reason := reason_against(part, F):
            refused.append(reason)
            continue
        z = np.concatenate(
            [generator.normal(size=500), 20 * generator.normal(size=500)]
        ).astype(F)
        found = vp.compile(vp.Network(1, [part], vp.SquaredError())).predict(
            np.empty(0, F), z[:, None]
        )[:, 0]
        expected = part.value(z.astype(np.longdouble))
        off = np.abs(found - expected) > 1e4 * np.finfo(F).eps * (1 + np.abs(expected))
        kinks = np.abs(
            part.value(z.astype(np.longdouble) * (1 + 1e-6)) - expected
        ) > 1e-3 * (1 + np.abs(expected))
        assert not (off & ~kinks).any(), part
    assert len(refused) < count / 4, refused

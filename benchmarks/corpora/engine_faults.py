"""Faults planted in the kernels of the compiled engine, one at a time.

A fault is one expression of a kernel's source that is replaced by another. The kernel
is compiled from the altered source, and so is all that calls it; none of that is kept
on disk. All other kernels are taken from disk.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import vecprop as vp
from vecprop.compiled.compiled_network import gradient_of_a_step
from vecprop.compiled.jit import machine_code
from vecprop.compiled.jit.machine_code import Kernel
from vecprop.compiled.lower import formulas
from vecprop.compiled.lower.formulas import definition_of

address_of_kernel, address_of_template = Kernel.address, machine_code.address_of

FAULTY = "<planted fault>"
"""The file name of altered code, by which it is recognized wherever it is called."""

ALGORITHMS: dict[str, dict[str, Any]] = {
    "loops": {"uses_blocks": lambda: False, "WIDE": 10**9},
    "BLAS": {"uses_blocks": lambda: False, "WIDE": 1},
    "blocks": {"uses_blocks": lambda: True, "LARGE": 10**9},
    "packed": {"uses_blocks": lambda: True, "LARGE": 40},
}
"""For each algorithm of products, the names in `compiled.run.dense` that make it the
one used.
"""


@dataclass(frozen=True)
class Point:
    """A network with its rows and noise, at parameters theta."""

    network: vp.Network
    theta: np.ndarray
    X: np.ndarray
    T: np.ndarray
    weight: np.ndarray | None = None
    noise: vp.extend.RandomKey | None = None

    def in_type(self, F: type) -> "Point":
        return replace(self, theta=self.theta.astype(F))


@dataclass(frozen=True)
class Fault:
    """A fault in a function of the compiled engine, or in a formula that it compiles, named from `vecprop` on.

    The reference engine stays right. The right expression occurs once. A network shows
    the fault; for one in an optimizer's step, the options of `trains_alike`. The
    algorithm is the one of dense layers' products.
    """

    function: str
    right: str
    wrong: str
    at: Any
    algorithm: str = "blocks"

    def __str__(self) -> str:
        return f"{self.function}: {self.right} -> {self.wrong}, {self.algorithm}"


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Make the compiled engine compute with a fault; no code that is compiled meanwhile is kept on disk."""
    with computing(fault.algorithm) as patch:
        patch.setattr(machine_code, "keep", lambda name, code: None)
        patch.setattr(machine_code.Kernel, "address", _address)
        patch.setattr(machine_code, "address_of", _address_of)
        _alter(fault, patch)
        yield


@contextmanager
def computing(algorithm: str) -> Iterator[pytest.MonkeyPatch]:
    """Compute dense layers by one algorithm; programs and addresses are made again, within and after."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ALGORITHMS[algorithm].items():
            patch.setattr(f"vecprop.compiled.run.dense.{name}", value)
        _forget()
        yield patch
    _forget()


def faulty_source(fault: Fault) -> str:
    """Return the source of the function with the fault; the formatter may break the right expression into lines."""
    source = textwrap.dedent(inspect.getsource(_python(_function(fault.function))))
    characters = "".join(fault.right.split())
    pattern = r"\s*".join(re.escape(character) for character in characters)
    changed, count = re.subn(pattern, lambda match: fault.wrong, source)
    assert count == 1, f"{fault.right!r} occurs {count} times in:\n{source}"
    return changed


def _python(function: Any) -> Any:
    """Return the Python function behind a compiled or traced function."""
    return getattr(function, "py_func", None) or getattr(function, "formula", function)


def _alter(fault: Fault, patch: pytest.MonkeyPatch) -> None:
    """Alter a function, and compile everything again that is compiled from it."""
    function, source = _function(fault.function), faulty_source(fault)
    if not fault.function.startswith("compiled."):
        patch.setattr(
            formulas,
            "definition_of",
            lambda formula: (
                ast.parse(source).body[0]
                if formula is function
                else definition_of(formula)
            ),
        )
        return
    stale = [function]
    for old in stale:
        written = _python(old)
        text = source if old is function else inspect.getsource(written)
        module, made = sys.modules[written.__module__], {}
        exec(compile(text, FAULTY, "exec"), vars(module), made)
        new = made[written.__name__]
        for module in _modules():
            for name in [name for name, value in vars(module).items() if value is old]:
                patch.setattr(module, name, new)
                stale += [
                    caller for caller in _callers(module, name) if caller not in stale
                ]
            # a list of functions, such as one for each number of moments
            for name, value in [*vars(module).items()]:
                if isinstance(value, tuple) and any(each is old for each in value):
                    patch.setattr(
                        module,
                        name,
                        tuple(new if each is old else each for each in value),
                    )


def _function(name: str) -> Any:
    """Return a function by its name: that of its module, of its class if it is a method, and its own."""
    *modules, last = name.split(".")
    path = [last]
    while (module := sys.modules.get(".".join(["vecprop", *modules]))) is None:
        path.insert(0, modules.pop())
    return reduce(lambda found, part: vars(found)[part], path, module)


def _modules() -> list[ModuleType]:
    return [
        module
        for name, module in sys.modules.items()
        if name.startswith("vecprop.compiled.")
    ]


def _callers(module: ModuleType, name: str) -> Iterator[Any]:
    for value in vars(module).values():
        if isinstance(value, Dispatcher) or hasattr(value, "formula"):
            written = _python(value)
            if written.__module__ != module.__name__ or written.__name__ == "<lambda>":
                continue
            code = written.__code__
            if name in code.co_names and code.co_filename != FAULTY:
                yield value


def _forget() -> None:
    for module in _modules():
        for value in vars(module).values() if ".jit." not in module.__name__ else ():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def _address_of(template: Any, *arguments: Any, **names: Any) -> int:
    """Return the address of the kernel of the function that now has the template's name, which may be faulty."""
    return address_of_template(
        vars(sys.modules[template.__module__])[template.__name__], *arguments, **names
    )


_addresses: dict[str, int] = {}


def _address(kernel: Kernel) -> int:
    """Return the address of a kernel, compiled or loaded once for all faults that it does not reach."""
    if kernel.name not in _addresses:
        _addresses[kernel.name] = address_of_kernel(kernel)
    return _addresses[kernel.name]


def found(point: Point) -> bool:
    """Return whether the check fails and names the compiled engine; the reference has to pass by itself."""
    arguments = point.network, point.theta, point.X, point.T, point.weight, point.noise
    report = vp.check_gradients(*arguments)
    alone = vp.check_gradients(*arguments, engine="reference")
    assert alone.verdict in (vp.check.Verdict.PASS, vp.check.Verdict.KINK), alone.text()
    if report.verdict is not vp.check.Verdict.FAIL:
        assert report.verdict is alone.verdict, report.text()
        return False
    failed = {row.engine for row in report.rows if row.verdict is vp.check.Verdict.FAIL}
    assert failed == {"compiled"}, report.text()
    assert re.search("compiled (engine|loss)", str(report.diagnoses))
    return True


def wrong_gradients(point: Point) -> list[str]:
    """Return the compiled engine's gradients, with their losses, that are not the reference's up to rounding."""
    network, theta, noise = point.network, point.theta, point.noise
    batch = network._batch(theta, point.X, point.T, point.weight)
    expected = network._batch_loss_and_gradient(theta, batch, noise)
    computed = {
        "evaluation": vp.compile(network)._batch_loss_and_gradient(theta, batch, noise),
        "training step": gradient_of_a_step(network, theta, batch, noise),
    }
    return [name for name, own in computed.items() if not _same(network, own, expected)]


TOLERANCES = {np.float64: 1e-9, np.float32: 2e-3}


def _same(network: vp.Network, own: tuple[Any, Any], expected: tuple[Any, Any]) -> bool:
    """Return whether losses agree, and gradients tensor by tensor."""
    tolerance = TOLERANCES[expected[1].dtype.type]
    parts = [(np.ravel(a), np.ravel(b)) for a, b in (own[:1] + expected[:1],)]
    parts += [
        (own[1][tensor.span], expected[1][tensor.span])
        for tensor in network.layout.tensors
    ]
    return all(np.abs(a - b).max() <= tolerance * np.abs(b).max() for a, b in parts)


def trains_alike(network: vp.Network, **options: Any) -> bool:
    """Return whether three steps of training lead both engines to the same parameters, to rounding."""
    rng = np.random.default_rng(0)
    theta, X = (
        rng.normal(size=network.layout.size),
        rng.normal(size=(30, network.inputs)),
    )
    T = rng.normal(size=(30, network.outputs))
    own, expected = (
        vp.train(network, theta, X, T, epochs=3, engine=engine, **options)
        for engine in ("compiled", "reference")
    )
    pairs = [
        (own.theta - theta, expected.theta - theta),
        (own.history.step_size, expected.history.step_size),
    ]
    for name in options["optimizer"].moments:
        pairs.append((own.state.optimizer[name], expected.state.optimizer[name]))
    return all(np.abs(a - b).max() <= 1e-7 * np.abs(b).max() for a, b in pairs)

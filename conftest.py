"""What all tests and examples of docstrings share: their names, and pictures that are drawn without a screen."""

import gc
import re
import signal
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import vecprop

pytest_plugins = ["conditions"]

collect_ignore = (
    [] if find_spec("skl2onnx") and find_spec("onnx") else ["src/vecprop/files/onnx"]
)
if not find_spec("bokeh"):
    names = ("page.py", "server.py", "views")
    collect_ignore += [f"src/vecprop/learn/playground/{name}" for name in names]
if find_spec("matplotlib"):
    import matplotlib

    matplotlib.use("Agg")
else:
    collect_ignore += ["src/vecprop/pictures", "src/vecprop/learn/pictures.py"]
    collect_ignore += ["tests/pictures", "tests/learn/test_tutorial_pictures.py"]
    collect_ignore += [
        "src/vecprop/estimators/inspection.py",
        "tests/estimators/test_plots.py",
    ]


# The same examples in every run, and none that fails because the machine is busy.
settings.register_profile(
    "vecprop",
    max_examples=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("vecprop")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules of long tests alone out of the short suite, since what they import takes seconds."""
    if config.option.markexpr == "not long" and collection_path.match("test_*.py"):
        text = collection_path.read_text("utf-8")
        return (
            bool(re.search(r"^pytestmark = \[?\s*pytest\.mark\.long", text, re.M))
            or None
        )
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect garbage less often, and not in what has been imported and collected: a tenth of the tests' time."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()
    return collected


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have a test draw the same numbers in every run, and raise KeyboardInterrupt after Ctrl-C.

    Shells ignore Ctrl-C in processes that they start in the background, and other tests
    may change its handler.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    np.random.seed(1)  # noqa: NPY002, the generator that scikit-learn uses if random_state is None
    names = vars(item.module) if isinstance(item, pytest.Function) else {}
    for value in names.values():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = np.random.default_rng(1).bit_generator.state


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path,
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for examples in the library alone: in the tests pytest would import each `conftest.py` by that name."""
    found = yield
    in_tests = file_path.is_relative_to(Path(__file__).parent / "tests")
    return (
        [each for each in found if type(each) is pytest.Module] if in_tests else found
    )


def pytest_runtest_teardown() -> None:
    """Close the figures of a test."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session")
def doctest_namespace() -> dict[str, object]:
    """Examples of docstrings use every public name as it is."""
    packages = (
        vecprop,
        vecprop.blocks,
        vecprop.cluster,
        vecprop.export,
        vecprop.extend,
        vecprop.tables,
    )
    names: dict[str, object] = {
        name: getattr(package, name) for package in packages for name in package.__all__
    }
    return names | {"np": np}


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train by the reference engine, which tells of the progress after each network."""
    monkeypatch.setenv("VECPROP_ENGINE", "reference")

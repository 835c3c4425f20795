"""Settings of a session, the data sets, and the script that repeats a session."""

import ast
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_circles

import vecprop
from vecprop.learn.playground.downloads import script
from vecprop.learn.playground.points import SETS
from vecprop.learn.playground.session import Session
from vecprop.learn.playground.session_settings import (
    CHOICES,
    CLASSES,
    FEATURES,
    RANGES,
    Settings,
    SettingsError,
)
from vecprop.learn.playground.table import PlaygroundTable

ODD = "aZ0é漢😀 \t\n\r\0\x7f\x85\xa0\u200b\u2028\ufeff\"'`\\/%&+=,;:|<>[]{}()#?"
"""Unusual characters for names, because listing all of Unicode would take seconds."""


def values(name, kind):
    """Return a strategy for the valid values of a setting."""
    if name in CHOICES:
        one = st.sampled_from(CHOICES[name])
    elif name in RANGES:
        one = (
            st.integers(*RANGES[name])
            if kind in ("int", "layers")
            else st.floats(*RANGES[name])
        )
    elif name == "columns":
        return st.lists(st.text(ODD, min_size=1, max_size=8), max_size=3).map(tuple)
    else:
        one = st.booleans()
    if name == "features":
        return st.lists(one, min_size=1, unique=True).map(tuple)
    return st.lists(one, min_size=1, max_size=6).map(tuple) if name == "layers" else one


KINDS = {
    field.name: "layers" if field.name == "layers" else type(field.default).__name__
    for field in fields(Settings)
}


@given(
    st.fixed_dictionaries(
        {}, optional={name: values(name, kind) for name, kind in KINDS.items()}
    )
)
@settings(max_examples=15, deadline=None)
def test_a_text_holds_all_settings(chosen):
    one = Settings(**chosen)
    text = one.to_text()
    assert text.isprintable()
    assert Settings.from_text(text) == one


def test_a_text_is_short():
    assert Settings().to_text() == "data=circles"
    assert (
        Settings(data="moons", normalization=True, layers=()).to_text()
        == "data=moons layers= normalization=on"
    )
    assert Settings.from_text("") == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour=red", "Expected name=value, got 'colour=red'"),
        ("data=hills", "data must be one of circles"),
        ("data=moons data=xor", "contain data twice"),
        ("rows=3", "rows must be between 4 and 20,000, got 3"),
        ("rows=1e3", "rows must be an integer, got '1e3'"),
        ("rows=" + "9" * 6000, "rows must be an integer, got '99"),
        ("noise=nan", "noise must be between 0 and 2, got nan"),
        ("noise=much", "noise must be a number, got 'much'"),
        ("layers=65", "layers must be between 1 and 64, got 65"),
        ("layers=1,1,1,1,1,1,1", "at most 6 hidden layers, got 7"),
        ("layers=4,,4", "layers must be an integer, got ''"),
        ("features=", "features must list at least one input"),
        ("features=x,x", "features must list at least one input"),
        ("features=x,z", "got 'z'"),
        ("normalization=1", 'normalization must be "on" or "off", got \'1\''),
        ("mistake=slope_forgotten layers=", "needs a hidden layer"),
        ("x" * 10_001, "at most 10,000 characters, got 10,001"),
    ],
)
def test_invalid_texts_raise_a_clear_error(text, said):
    with pytest.raises(SettingsError, match=said) as caught:
        Settings.from_text(text)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


WRONG = [
    ("rows", 100.0),
    ("rows", True),
    ("rows", "100"),
    ("noise", None),
    ("layers", 4),
    ("layers", (4.0,)),
]
WRONG += [
    ("features", "xy"),
    ("normalization", 1),
    ("data", 1),
    ("learning_rate", float("nan")),
]
WRONG += [("momentum", 1.0), ("seed", -1)]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_invalid_values_raise_a_clear_error(name, value):
    with pytest.raises(SettingsError, match=f"^{name} must be "):
        replace(Settings(), **{name: value})


@pytest.mark.parametrize("name", SETS)
def test_data_sets_are_deterministic_with_classes_and_noise(name):
    XY, t = SETS[name](seed=3, rows=60, noise=0.1)
    again, same = SETS[name](seed=3, rows=60, noise=0.1)
    other, _ = SETS[name](seed=4, rows=60, noise=0.1)
    assert XY.shape == (60, 2)
    assert XY.tobytes() == again.tobytes()
    assert t.tobytes() == same.tobytes()
    assert (other != XY).any()
    if CLASSES[name]:
        assert set(t.tolist()) == set(range(CLASSES[name]))
    else:
        assert t.dtype.kind == "f"
    (still, t), (moved, u) = (
        SETS[name](seed=3, rows=60, noise=noise) for noise in (0.0, 1.0)
    )
    assert (moved != still).any() or (t != u).any()


def test_the_tutorial_points_are_reproduced():
    XY, t = SETS["tutorial"](seed=1, rows=100, noise=0.1)
    generator = np.random.RandomState(1)
    points = make_circles(
        100, shuffle=False, factor=0.3, noise=0.1, random_state=generator
    )
    expected, classes = map(np.asarray, points)
    np.testing.assert_allclose(XY, expected, rtol=1e-14, atol=1e-15)
    assert t.tolist() == classes.tolist()


pd = pytest.importorskip("pandas", reason='pip install "vecprop[tables]"')

RUN = """
import pathlib, runpy, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    path.with_suffix(".theta").write_bytes(runpy.run_path(str(path))["theta"].tobytes())
"""


def replayed(sessions, folder):
    """Run the scripts of sessions in one separate process and return the bytes of each theta."""
    for number, session in enumerate(sessions):
        (folder / f"{number:03}.py").write_text(script(session), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(folder)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [path.read_bytes() for path in sorted(folder.glob("*.theta"))]


def replayed_here(session):
    """Run the script of a session in this process and return the bytes of theta."""
    names = {}
    exec(script(session), names)
    return names["theta"].tobytes()


def wandered(seed, table):
    """Return a session after a dozen random actions."""
    rng = np.random.default_rng(seed)

    def one(of):
        return of[int(rng.integers(len(of)))]

    choices = {
        "features": [("x", "y"), ("x", "sin(y)"), FEATURES],
        "activation": CHOICES["activation"],
        "optimizer": CHOICES["optimizer"],
        "learning_rate": [0.01, 0.02, 0.005],
        "dropout": [0.0, 0.0, 0.3],
        "normalization": [False, True],
        "penalty": ["none", "L1", "L2"],
        "batch": [0, 8, 13, 1000],
    }
    settings = {name: one(values) for name, values in choices.items()}
    session = Session(
        Settings(
            data=one([*SETS, "table"]),
            layers=one([(3,), (4, 3), ()]),
            rows=30,
            **settings,
        ),
        table,
    )
    choices |= {
        "noise": [0.2, 0.3],
        "test": [0.0, 0.5],
        "layers": [(4, 3), (3,)],
        "start": [0, 5],
    }
    choices["mistake"] = ["none", "no_transpose", "sum_for_mean"]

    def target():
        return (
            int(rng.integers(session.class_count))
            if session.class_count
            else float(rng.normal())
        )

    def changed():
        choices["data"] = [
            name for name in SETS if CLASSES[name] == session.class_count
        ] or ["table"]
        name = one(list(choices))
        session.change(**{name: one(choices[name])})

    acts = [
        lambda: session.run_epochs(int(rng.integers(1, 9))),
        lambda: session.run_epochs(int(rng.integers(1, 9))),
        lambda: session.step(int(rng.integers(1, 9))),
        lambda: session.step(1),
        lambda: session.set_weight(
            int(rng.integers(len(session.theta))), float(rng.normal())
        ),
        lambda: session.edit("add", rng.normal(), rng.normal(), target()),
        lambda: session.edit(
            "move", int(rng.integers(len(session.points.t))), rng.normal(), rng.normal()
        ),
        lambda: session.edit("remove", int(rng.integers(len(session.points.t)))),
        changed,
        changed,
        session.restart,
    ]
    for _ in range(14):
        one(acts)()
    session.run_epochs(2)
    return session


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40))
    kind = np.where(x > y, "<script>alert(1)</script>", '"""; import os')
    return PlaygroundTable(
        pd.DataFrame({"x": x.astype(str), "=1+1": y.astype(str), "kind": kind})
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_script_reproduces_random_actions_bit_for_bit(table, seed):
    session = wandered(seed, table)
    assert replayed_here(session) == session.theta.tobytes()


@pytest.mark.long
def test_scripts_are_bit_identical_in_a_separate_process(table, tmp_path):
    sessions = [wandered(seed, table) for seed in range(60)]
    thetas = replayed(sessions, tmp_path)
    for number, (session, theta) in enumerate(zip(sessions, thetas, strict=True)):
        assert theta == session.theta.tobytes(), number


def test_the_script_repeats_training_up_to_divergence():
    session = Session(
        Settings(
            data="wave", learning_rate=30.0, activation="identity", optimizer="descent"
        )
    )
    session.run_epochs(1000)
    assert session.trouble
    session.change(learning_rate=0.001)
    session.run_epochs(3)
    assert replayed_here(session) == session.theta.tobytes()


def test_the_script_needs_only_numpy_and_public_names(table):
    session = Session(Settings(data="table", mistake="slope_forgotten"), table)
    session.run_epochs(2)
    text = script(session)
    imports = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    modules = {
        name.name
        for node in imports
        if isinstance(node, ast.Import)
        for name in node.names
    }
    sources = {
        node.module: {name.name for name in node.names}
        for node in imports
        if isinstance(node, ast.ImportFrom)
    }
    assert modules == {"numpy"}
    assert set(sources) == {"vecprop", "vecprop.extend", "dataclasses"}
    assert sources["vecprop"] <= set(vecprop.__all__)
    assert sources["vecprop.extend"] <= set(vecprop.extend.__all__)
    assert "script" not in text  # the script contains no names of the table
    assert "import os" not in text
    assert max(map(len, text.splitlines())) <= 250


def test_a_restart_discards_training():
    session = Session(Settings(rows=30))
    session.run_epochs(20)
    session.edit("add", 1, 1, 0)
    for x in (2, 3):
        session.edit("move", 30, x, 1)
    session.restart()
    assert session.actions == [("add", 1, 1, 0), ("move", 30, 3, 1)]
    assert "theta, state = run(" not in script(session)
    assert replayed_here(session) == session.theta.tobytes()
    session.run_epochs(7)
    assert script(session).count("epochs=7") == 1


@pytest.mark.parametrize(
    ("change", "restarts"),
    [({"test": 0.301}, False), ({"noise": 0.2}, True), ({"data": "moons"}, False)],
)
def test_new_points_discard_edits(change, restarts):
    session = Session(Settings(rows=30))
    session.run_epochs(2)
    session.edit("add", 1.0, 1.0, 0)
    session.change(**change)
    if restarts:
        session.restart()
    session.run_epochs(2)
    assert len(session.points.t) == 30
    assert replayed_here(session) == session.theta.tobytes()

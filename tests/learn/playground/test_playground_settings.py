"""Test the settings of a session and their text format."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecprop.learn.playground.session_settings import (
    CHOICES,
    RANGES,
    Settings,
    SettingsError,
)

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

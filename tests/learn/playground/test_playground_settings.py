"""The settings of a session, and their text."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecprop.learn.playground.settings import CHOICES, RANGES, Settings, SettingsError

ODD = "aZ0é漢😀 \t\n\r\0\x7f\x85\xa0\u200b\u2028\ufeff\"'`\\/%&+=,;:|<>[]{}()#?"
"""Characters of names: all of Unicode would take seconds to list."""


def values(name, kind):
    """Return values that a setting takes."""
    if name in CHOICES:
        one = st.sampled_from(CHOICES[name])
    elif name in RANGES:
        one = st.integers(*RANGES[name]) if kind in ("int", "layers") else st.floats(*RANGES[name])
    elif name == "columns":
        return st.lists(st.text(ODD, min_size=1, max_size=8), max_size=3).map(tuple)
    else:
        one = st.booleans()
    if name == "features":
        return st.lists(one, min_size=1, unique=True).map(tuple)
    return st.lists(one, min_size=1, max_size=6).map(tuple) if name == "layers" else one


KINDS = {field.name: "layers" if field.name == "layers" else type(field.default).__name__ for field in fields(Settings)}


@given(st.fixed_dictionaries({}, optional={name: values(name, kind) for name, kind in KINDS.items()}))
@settings(max_examples=15, deadline=None)
def test_a_text_holds_all_settings(chosen):
    one = Settings(**chosen)
    text = one.to_text()
    assert text.isprintable()
    assert Settings.from_text(text) == one


def test_a_text_is_short():
    assert Settings().to_text() == "data=circles"
    assert Settings(data="moons", normalization=True, layers=()).to_text() == "data=moons layers= normalization=on"
    assert Settings.from_text("") == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour=red", "'colour=red' is not a setting"),
        ("data=hills", "data is 'hills', but it is one of circles"),
        ("data=moons data=xor", "data is there twice"),
        ("rows=3", "rows is 3, but it is 4 to 20,000"),
        ("rows=1e3", "rows is '1e3', but it is a whole number"),
        ("rows=" + "9" * 6000, "rows is '99"),
        ("noise=nan", "noise is nan"),
        ("noise=much", "noise is 'much', but it is a number"),
        ("layers=65", "layers is 65, but it is 1 to 64"),
        ("layers=1,1,1,1,1,1,1", "layers has 7 hidden layers"),
        ("layers=4,,4", "layers is '', but it is a whole number"),
        ("features=", "features names each input once"),
        ("features=x,x", "features names each input once"),
        ("features=x,z", "features is 'z'"),
        ("normalization=1", "normalization is '1', but it is on or off"),
        ("mistake=slope_forgotten layers=", "there is no slope"),
        ("x" * 10_001, "The settings have 10,001 characters"),
    ],
)
def test_a_wrong_text_is_refused_in_a_sentence(text, said):
    with pytest.raises(SettingsError, match=said) as caught:
        Settings.from_text(text)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


WRONG = [("rows", 100.0), ("rows", True), ("rows", "100"), ("noise", None), ("layers", 4), ("layers", (4.0,))]
WRONG += [("features", "xy"), ("normalization", 1), ("data", 1), ("learning_rate", float("nan"))]
WRONG += [("momentum", 1.0), ("seed", -1)]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_in_a_sentence(name, value):
    with pytest.raises(SettingsError, match=f"^{name} is "):
        replace(Settings(), **{name: value})

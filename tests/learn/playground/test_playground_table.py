"""Test tables as points in the plane."""

import gzip
import io
from importlib import import_module

import numpy as np
import pytest

from vecprop import TableError
from vecprop.learn.playground import table
from vecprop.learn.playground.session import Session
from vecprop.learn.playground.session_settings import Settings
from vecprop.learn.playground.table import PlaygroundTable

pd = pytest.importorskip("pandas", reason='pip install "vecprop[tables]"')
odd_targets = import_module("odd_targets")


def csv(text):
    return PlaygroundTable.from_upload("mine.csv", text.encode())


def people(rows=40):
    rng = np.random.default_rng(0)
    age = rng.integers(20, 80, rows)
    return pd.DataFrame(
        {
            "name": [f"person {k}" for k in range(rows)],
            "town": rng.choice(["Rome", "Oslo", "Lima"], rows),
            "age": age,
            "height": rng.normal(170, 10, rows),
            "since": pd.date_range("2020-01-01", periods=rows).astype(str),
            "constant": 1,
            "buys": np.where(age > 50, "yes", "no"),
        }
    )


@pytest.mark.parametrize(
    "name", [name for name, (y, _) in odd_targets.NOTED.items() if len(set(y)) <= 50]
)
def test_odd_classes_are_noted(name, tmp_path):
    y, message = odd_targets.NOTED[name]
    odd_targets.table(y).to_csv(tmp_path / "t.csv", index=False)
    opened = PlaygroundTable.read(tmp_path / "t.csv")
    for _ in range(2):
        opened.points(("x", "z", "y"), test=0.2, seed=0)
    (note,) = [note for note in opened.notes if message in note]
    assert note.startswith("The target 'y': ")


def test_a_table_is_drawn_and_trained_on():
    of_people = PlaygroundTable.from_upload(
        "people.csv", people().to_csv(index=False).encode()
    )
    assert of_people.chosen(()) == ("age", "height", "buys")
    session = Session(table=of_people)
    frame = people()
    assert session.settings.data == "table"
    assert session.points.class_names == ("no", "yes")
    age, height = session.points.axes
    assert (age.name, height.name) == ("age", "height")
    np.testing.assert_allclose(
        sorted(age.value(place) for place in session.points.XY[:, 0].tolist()),
        sorted(frame["age"]),
    )
    np.testing.assert_allclose(session.points.XY.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(session.points.XY.std(axis=0), 1)
    is_yes = np.array(
        [age.value(place) > 50 for place in session.points.XY[:, 0].tolist()]
    )
    assert (session.points.t == is_yes).all()
    session.run_epochs(100)
    assert session.right[0] > 0.9


def test_categories_dates_and_numbers_of_every_sign():
    text = (
        "town;since;price\n"
        + "Rome;31.12.2020;1,5\nOslo;1.1.2021;2,25\nRome;5.2.2021;3,5\nLima;6.3.2021;4\n"
    )
    points = csv(text).points(("town", "since", "price"), test=0, seed=0)
    town, since = points.axes
    assert town.categories == ("Lima", "Oslo", "Rome")
    assert points.class_names == ()
    places = {
        town.value(x): points.target.value(t)
        for (x, _), t in zip(points.XY.tolist(), points.t, strict=True)
    }
    assert places[0.0] == pytest.approx(4)
    # days since 1970
    assert min(since.value(y) for y in points.XY[:, 1].tolist()) == pytest.approx(18627)
    assert since.text((18627 - since.centre) / since.scale) == "2020-12-31"
    lacking = csv("a,b,c\n1,1,x\n2,,y\n3,2,x\ninf,3,y\n5,4,\n6,5,y\n7,6,x\n").points(
        (), 0, 0
    )
    assert len(lacking.t) == 4  # rows with a value in each column


def passengers(rows=300):
    """Return a table like a passenger list: the target is in the middle, and two inputs are related to it."""
    rng = np.random.default_rng(1)
    fare, age = rng.exponential(30, rows), rng.normal(40, 12, rows).round()
    frame = pd.DataFrame(
        {
            "PassengerId": rng.permutation(rows) + 1,
            "Survived": (fare > 15) & (abs(age - 40) < 12),
        }
    )
    ticket = rng.permutation(10 * rows)[:rows]
    frame = frame.assign(
        **{
            "weight": rng.normal(size=rows),
            "ticket_no": ticket,
            "name": [f"person {k}" for k in range(rows)],
        }
    )
    frame = frame.assign(
        **{
            "ship": 1,
            "deck": np.nan,
            "age": age,
            "fare": fare,
            "day": np.sort(ticket),
            "port": rng.choice(list("ab"), rows),
        }
    )
    return frame.astype({"Survived": int})


def axes_and_target(frame):
    # with an unnamed column of row numbers
    *axes, target = csv(frame.to_csv()).chosen(())
    return {*axes}, target


def test_dates_are_default_axes_only_if_they_are_much_better():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"since": pd.date_range("2020-01-01", periods=200), "late": np.arange(200) > 99}
    )
    frame = frame.assign(
        **{name: frame.late + rng.normal(scale=0.2, size=200) for name in "ab"}
    )
    assert axes_and_target(
        frame.sample(frac=1, random_state=0)[["since", "a", "b", "late"]]
    ) == ({"a", "b"}, "late")


def test_default_columns_are_related_to_the_target():
    frame = passengers()
    assert axes_and_target(frame) == ({"fare", "age"}, "Survived")
    ranked = frame.sort_values("fare", ignore_index=True)
    ranked = ranked.assign(
        PassengerId=ranked.index, customer_no=ranked.index // 2, is_dear=ranked.Survived
    )
    for rows in (ranked, ranked.sample(frac=1, random_state=0)):
        assert axes_and_target(rows) == ({"fare", "age"}, "Survived")
    # Without a typical name, the last column that can be a target is chosen.
    frame = frame.rename(columns={"Survived": "s"})
    assert axes_and_target(frame)[1] == "port"
    last = frame[
        ["PassengerId", "fare", "age", "s", "weight", "ship", "name", "deck", "day"]
    ]
    assert axes_and_target(last) == ({"fare", "age"}, "s")
    assert axes_and_target(last[["age", "PassengerId", "s", "fare"]])[1] == "fare"
    assert csv("x,y,z\n1,2,1.5\n2,1,2.5\n1,4,3.5\n2,3,1.2\n").chosen(())[2] == "z"


def test_identifiers_are_axes_if_nothing_else_is_left():
    frame = passengers()
    assert csv(frame[["PassengerId", "age", "Survived"]].to_csv(index=False)).chosen(
        ()
    )[:2] == ("age", "PassengerId")
    assert csv(
        frame[["ship", "ticket_no", "age", "Survived"]].to_csv(index=False)
    ).chosen(())[:2] == (
        "age",
        "ticket_no",
    )


def test_columns_are_chosen_and_changed():
    session = Session(table=PlaygroundTable(people().astype(str)))
    session.change(columns=("town", "age", "height"))
    assert session.points.class_names == ()
    assert session.points.target.name == "height"
    assert Settings.from_text(session.settings.to_text()) == session.settings
    session.run_epochs(5)
    session.change(data="moons")
    session.change(data="table")
    assert session.points.axes[0].name == "town"
    with pytest.raises(ValueError, match="no column 'hight': did you mean 'height'"):
        session.change(columns=("age", "town", "hight"))
    for columns in (("age", "age", "height"), ("age",)):
        with pytest.raises(ValueError, match="Expected three different columns"):
            session.change(columns=columns)
    assert session.points.axes[0].name == "town"


def test_a_hostile_table_stays_text():
    names = [
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "x" * 1_000_000,
        "\u202eright to left",
    ]
    text = io.StringIO()
    pd.DataFrame(
        {names[0]: [1, 2, 4, 3] * 2, "b": [1, 3, 2, 5] * 2, "c": names * 2}
    ).to_csv(text, index=False)
    session = Session(table=csv(text.getvalue()))
    session.run_epochs(3)
    assert session.points.axes[0].name == names[0]
    assert names[0] in session.points.class_names
    assert max(map(len, session.points.class_names)) <= 61
    assert all(name.isprintable() for name in session.points.class_names)

    session = Session(
        table=csv('"two\nlines",' + "x" * 1000 + ",c\n1,2,p\n2,1,q\n3,5,p\n4,4,q\n")
    )
    assert {axis.name for axis in session.points.axes} == {"two lines", "x" * 60 + "…"}


def test_a_table_with_too_many_rows_is_not_read(monkeypatch):
    monkeypatch.setattr(table, "read_chunks", None)
    with pytest.raises(ValueError, match="more than 20,000 rows"):
        PlaygroundTable.from_upload(
            "a.parquet",
            table_bytes("to_parquet", pd.DataFrame({"a": np.zeros(20_001)})),
        )


def table_bytes(write, frame):
    buffer = io.BytesIO()
    getattr(frame, write)(buffer, index=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"\x00\x01\x02" * 50, "a.csv is not text"),
        ("a.csv", b"a,b,c\n1,2\n", "1 rows and 3 columns"),
        ("a.csv", b"a,b\n1,2\n1,2\n1,2\n1,2\n", "at least 4 rows and 3 columns"),
        ("a.csv", b"a,b,c\n" + b"1,2,3\n" * 20_001, "more than 20,000 rows"),
        ("a.csv", b"a" * 20_000_001, "a.csv has 20,000,001 bytes"),
        (
            "a.csv",
            b",".join(map(b"c%d".__mod__, range(50_000))) + b"\n1" + b",1" * 49_999,
            "50,000 columns, but the",
        ),
        (
            "a.csv.gz",
            gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 10, mtime=0),
            "save it as CSV, Parquet or Excel",
        ),
        ("a.arrow", b"ARROW1", "save it as CSV, Parquet or Excel"),
        ("../../etc/x.parquet", b"PAR1", "../../etc/x.parquet cannot be read"),
        ("a.xlsx", b"PK\x03\x04", "cannot be read as an Excel file"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_unreadable_files_raise_a_clear_error(name, content, said):
    with pytest.raises(ValueError, match=said) as caught:
        PlaygroundTable.from_upload(name, content)
    assert "\n" not in str(caught.value)
    assert "/tmp" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a,b,c\n" + "\n".join(f"{k},{k % 7},n{k}" for k in range(100)),
            "'c' has 100 categories",
        ),
        (
            "a,b,c\n" + "\n".join(f"{k},{k % 7},x" for k in range(9)),
            "All values of 'c' are equal",
        ),
        ("a,b,c\n" + "\n".join(f"{k},{k % 7}," for k in range(9)), "'c' has no values"),
        ("a,b,c\n1,1,1\n1,1,0\n1,1,1\n1,1,0\n", "All values of 'a' are equal"),
        (
            "a,b,c\n1,,1\n,2,0\n3,,1\n,4,0\n",
            "Only 0 rows have a value in each of 'a', 'b' and 'c'",
        ),
    ],
)
def test_columns_that_cannot_be_drawn_raise_a_clear_error(text, said):
    with pytest.raises(ValueError, match=said):
        Session(table=csv(text))


@pytest.mark.parametrize(
    "values",
    [
        [1e308, -1e308, 0, 1, 2],
        [1e-320, 2e-320, 0, 3e-320, 0],
        [2**62, 2**62 + 1, 0, 1, 5],
    ],
)
def test_huge_and_tiny_numbers_are_drawn(values):
    frame = pd.DataFrame({"a": values, "b": range(5), "c": [0, 1, 0, 1, 0]})
    session = Session(
        table=PlaygroundTable.from_upload("a.parquet", table_bytes("to_parquet", frame))
    )
    assert np.isfinite(session.points.XY).all()
    session.run_epochs(3)
    assert session.trouble == ""


@pytest.mark.parametrize(
    "content", [b'[{"a": 1, "b": 2, "c": 3}]', b"<table><tr><td>1</td></tr></table>"]
)
def test_an_uploaded_file_of_another_format_is_to_be_saved_as_csv(content):
    said = r"^data.json is (JSON|HTML or XML), not delimited text: save it as CSV"
    with pytest.raises(TableError, match=said) as error:
        PlaygroundTable.from_upload("data.json", content)
    assert "data frame" not in str(error.value)

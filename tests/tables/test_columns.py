import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from vecprop import TableError
from vecprop.tables import guess_task
from vecprop.tables.encoding.columns import (
    BUCKETS,
    CATEGORIES,
    Categories,
    Dates,
    NumberInputs,
)
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.kinds.formats import DateReading
from vecprop.tables.kinds.values import as_names, as_numbers

N = 40
WORDS = [
    "red",
    "green",
    "blue",
    "small",
    "large",
    "old",
    "new",
    "soft",
    "hard",
    "round",
    "flat",
]


def table():
    rng = np.random.default_rng(0)
    dates = pd.date_range("2020-01-31", periods=N, freq="9D")
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=N),
            "whole": rng.integers(0, 5, N),
            "truth": rng.random(N) < 0.5,
        }
    )
    frame["text_number"] = [f"{x:.3f}".replace(".", ",") for x in rng.normal(size=N)]
    frame["category"], frame["coded"] = (
        rng.choice(["a", "b"], N),
        pd.Categorical(rng.integers(7, 9, N)),
    )
    frame["date"], frame["written_date"] = dates, dates.strftime("%d.%m.%Y")
    frame["text"] = [" ".join(rng.choice(WORDS, 5)) for _ in range(N)]
    keys = [f"id-{number:04d}-x" for number in range(N)]
    return frame.assign(constant=7, missing=np.nan, key=keys, infinite=np.inf)


def test_kinds_are_inferred_and_useless_columns_dropped_with_the_reason():
    encoder, notes = Encoder.of(table())
    assert encoder.kinds == {
        **dict.fromkeys(["number", "whole", "truth", "text_number"], "numbers"),
        **dict.fromkeys(["category", "coded"], "categories"),
        **dict.fromkeys(["date", "written_date"], "dates"),
        "text": "text",
    }
    assert encoder.dropped == {
        "constant": "all values are the same",
        "missing": "all values are missing",
        "key": "all values are distinct, so they say nothing about other rows",
        "infinite": "all values are infinite or missing",
    }
    assert notes == [
        f"Column {name!r} is not used: {reason}."
        for name, reason in encoder.dropped.items()
    ] + [
        "Read as numbers, decimal separator ',': 'text_number'.",
        "Read as dates, day.month.year: 'written_date'.",
    ]


def test_inputs_are_finite_and_bounded_for_any_values():
    frame = table()
    encoder, _ = Encoder.of(frame)
    hostile = frame.astype(object).copy()
    for row, value in enumerate(
        [None, np.inf, -np.inf, 1e300, "nonsense", "", 0, True, "31.12.1999", "1,5"]
    ):
        hostile.iloc[row] = value
    inputs = encoder(hostile)
    assert inputs.shape == (N, encoder.width)
    assert inputs.dtype == np.float32
    assert np.isfinite(inputs).all()
    bends = np.setdiff1d(encoder.of_view("pieces"), encoder.of_view("standardised"))
    assert np.abs(inputs[:, bends]).max() <= 3
    assert np.abs(inputs).max() <= 8


def test_inputs_do_not_depend_on_other_rows_column_order_or_dtype():
    frame = table()
    encoder, _ = Encoder.of(frame)
    inputs = encoder(frame)
    alone = np.vstack([encoder(frame.iloc[[row]]) for row in range(0, N, 5)])
    assert (alone == inputs[::5]).all()
    assert (encoder(frame[frame.columns[::-1]].assign(other=1)) == inputs).all()
    text = frame.astype(str).assign(
        truth=frame["truth"].astype(int).astype(str), text_number=frame["text_number"]
    )
    np.testing.assert_allclose(encoder(text), inputs, atol=1e-6)


def test_numbers_by_hand():
    numbers = NumberInputs.of(pd.Series([0.0, 1.0, 2.0, 3.0, 4.0]), pieces=4)
    assert (numbers.centre, numbers.scale, numbers.edges.tolist()) == (
        2.0,
        2 / 1.349,
        [0, 1, 2, 3, 4],
    )
    z = 1.5 / (2 / 1.349)
    # between the ranks of the fourth and the fifth of five
    score = norm.ppf([0.7, 0.9]).mean()
    expected = [z / np.sqrt(1 + z * z / 9), 0.5, 0.5, 0.5, 0.0, 1.5 / np.sqrt(2), score]
    np.testing.assert_allclose(numbers(pd.Series([3.5])), [expected])
    np.testing.assert_allclose(
        numbers(pd.Series([-99.0]))[0, 1:], [-0.5] * 4 + [-8, float(norm.ppf(0.1))]
    )

    halves = NumberInputs.of(pd.Series([0] * 90 + [1] * 10))
    # two values have neither intervals nor a score
    assert (halves.scale, halves.scores) == (0.5, None)
    assert NumberInputs.of(pd.Series([7.0, np.nan])).scale == 1.0


def test_numbers_are_parsed():
    for values, expected, unread in (
        (["1", " 2.5 ", None], [1, 2.5, np.nan], 0),
        (["1,5", "2", "-1.234,5"], [1.5, 2, -1234.5], 0),
        (["1,234", "1,234,567.5", "3"], [1234, 1234567.5, 3], 0),
        (["1", "x", "y"], [1, np.nan, np.nan], 2),
        ([True, False, None], [1, 0, np.nan], 0),
        (["TRUE", "false ", "2,5", "yes"], [1, 0, 2.5, np.nan], 1),
        ([10**5000, -(10**400), 2, "x"], [np.inf, -np.inf, 2, np.nan], 1),
    ):
        found, missed = as_numbers(pd.Series(values, dtype=object))
        np.testing.assert_array_equal(found, expected)
        assert missed == unread


def test_numbers_in_text_are_parsed_exactly():
    """In a third of such numbers, pandas before version 3 reads the last bit incorrectly."""
    numbers = np.random.default_rng(0).normal(size=300)
    found, _ = as_numbers(pd.Series([*map(repr, numbers.tolist()), "?"], dtype=object))
    np.testing.assert_array_equal(found[:-1], numbers)


def test_rare_unseen_and_missing_categories():
    series = pd.Series(["a"] * 3 + ["b"] * 3 + ["rare"] + [None] * 2)
    categories = Categories.of(series)
    inputs = categories(pd.Series(["a", "rare", "unseen", None, "b "]))
    assert inputs.argmax(axis=1).tolist() == [1, 3, 3, 0, 2]
    assert (inputs.sum(axis=1) == 1).all()
    said = "'rare': fewer than 2 training rows contain these; they form one category"
    assert str(categories.misfit(series)) == said


def test_category_names_do_not_depend_on_other_rows():
    values = [1, True, 1.0, "1", None, 0, False, "a"]
    names = ["1", "True", "1", "1", "\0missing", "0", "False", "a"]
    for step in (1, -1):
        assert (
            as_names(pd.Series(values[::step], dtype=object)).tolist() == names[::step]
        )


def test_rare_categories_share_inputs():
    names = [f"n{number}" for number in range(300) for _ in range(1 + (number < 100))]
    categories = Categories.of(pd.Series(names))
    assert categories.width == CATEGORIES + BUCKETS
    shared = categories(pd.Series([f"n{number}" for number in range(200, 300)]))[
        :, CATEGORIES:
    ]
    assert (shared.sum(axis=1) == 1).all()
    assert (shared.sum(axis=0) > 0).mean() > 0.8


@pytest.mark.parametrize(
    ("rows", "most", "own", "shared"),
    [
        ({4: 100, 1: 70}, 512, 100, 1),
        ({4: 100, 3: 5, 1: 70}, 512, 100, BUCKETS),
        ({4: 100, 1: 70}, 80, 80, BUCKETS),
        ({3: 200}, 512, CATEGORIES, BUCKETS),
    ],
)
def test_categories_with_four_rows_have_separate_inputs(rows, most, own, shared):
    names = [
        f"{count} rows {number}"
        for count, many in rows.items()
        for number in range(many)
        for _ in range(count)
    ]
    categories = Categories.of(pd.Series(names), most)
    assert (len(categories.names), categories.buckets) == (own, shared)
    assert (categories(pd.Series(names)).sum(axis=1) == 1).all()


def test_dates_by_hand():
    dates = Dates.of(pd.Series(["2024-01-01 06:00", "2024-02-03", None]))
    assert dates.has_times
    inputs = dates(pd.Series(["2024-01-01 06:00", "never"]))
    sines, cosines, weekdays = inputs[0, -23:-15], inputs[0, -15:-7], inputs[0, -7:]
    # a quarter of a day, turned 1 to 6 times
    np.testing.assert_allclose(sines, [0, 0, 1, 0, -1, 0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(cosines, [1, 1, 0, -1, 0, 1, 0, -1], atol=1e-9)
    assert weekdays.tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert not inputs[1, -23:].any()


@pytest.mark.parametrize(
    ("written", "form"),
    [("%d/%m/%Y", "day/month/year"), ("%m/%d/%Y", "month/day/year")],
)
def test_numbers_above_twelve_distinguish_day_and_month(written, form):
    dates = pd.Series(pd.date_range("2024-01-02", periods=40))
    part = Dates.of(dates.dt.strftime(written))
    assert part.reading == DateReading((form,))
    np.testing.assert_array_equal(part(dates.dt.strftime(written)), part(dates))


def test_values_unlike_training_are_noted():
    encoder, _ = Encoder.of(table())
    frame = table().astype(object)
    frame.loc[0, ["number", "written_date", "category"]] = ["much", "soon", "c"]
    frame.loc[1, "whole"] = np.inf
    assert encoder.notes_on(encoder.misfits(frame)) == [
        (
            "Column 'number': 1 value(s), such as 'much' in row 0, are not numbers and"
            " are treated as missing."
        ),
        (
            "Column 'whole': 1 value(s), such as inf in row 1, are infinite and are"
            " treated as very large numbers."
        ),
        (
            "Column 'category': 'c': fewer than 2 training rows contain these; they"
            " form one category."
        ),
        (
            "Column 'written_date': 1 value(s), such as 'soon' in row 0, are not dates"
            " in the training format (dates, day.month.year) and are treated as"
            " missing."
        ),
    ]


def test_missing_columns_are_named():
    encoder, _ = Encoder.of(table())
    with pytest.raises(
        TableError,
        match=r"no column 'number', which the model needs: did you mean 'Number '\?",
    ):
        encoder(table().rename(columns={"number": "Number "}))
    with pytest.raises(TableError, match=r"no column 'number' \(and lacks 1 more\)"):
        encoder(table().drop(columns=["number", "date"]))
    with pytest.raises(
        TableError, match=r"no column 'number', which the model needs\."
    ):
        # the most similar name is another column of the model
        encoder(table().drop(columns="number"))
    with pytest.raises(
        TableError, match="No column can be used as input: 'a': all values are the same"
    ):
        Encoder.of(pd.DataFrame({"a": [1, 1], "b": [None, None]}))


def test_tasks_are_inferred():
    classes = (
        ["a", "b", None],
        [True, False],
        [0.0, 1.0, np.nan],
        [3, 7, 3, 7],
        np.repeat([1, 2, 3], 10),
    )
    numbers = (
        np.repeat([1, 2, 3], 9),
        [1, 2, 3],
        np.arange(100),
        [0.5, 1.5],
        ["1,5", "2,5"],
    )
    assert {
        guess_task(target) for target in (*classes, pd.Categorical(np.arange(100)))
    } == {"classification"}
    assert {guess_task(target) for target in numbers} == {"regression"}

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from vecprop.pictures import plot_dependence


def dependence(values, rows=3):
    curves = np.arange(rows)[:, None] + np.arange(len(values), dtype=float)
    return SimpleNamespace(
        column="$ cost $",
        values=np.asarray(values),
        curves=curves,
        output="chance of '$a$'",
    )


def test_mean_is_drawn_over_curves_and_names_are_not_parsed_as_math():
    ax = plot_dependence(dependence([1.0, 2.0, 5.0]))
    marks, *rows, mean = ax.lines
    assert len(rows) == 3
    np.testing.assert_array_equal(marks.get_xdata(), [1, 2, 5])
    np.testing.assert_array_equal(mean.get_xydata(), [[1, 1], [2, 2], [5, 3]])
    assert [ax.get_xlabel(), ax.get_ylabel()] == ["$ cost $", "chance of '$a$'"]
    assert not any(axis.label.get_parse_math() for axis in (ax.xaxis, ax.yaxis))


def test_categories_are_named_and_dates_are_dates():
    names = dependence(["$a$", "b" * 50, "c", "d", "e"])
    names.is_ordered = True
    of_lines, of_bars = (
        plot_dependence(names),
        plot_dependence(SimpleNamespace(**vars(names) | {"is_ordered": False})),
    )
    patches: Any = of_bars.patches
    for labels in (of_lines.get_xticklabels(), of_bars.get_yticklabels()):
        assert [label.get_text() for label in labels] == [
            "$a$",
            "b" * 18 + "…",
            "c",
            "d",
            "e",
        ]
        assert not any(label.get_parse_math() for label in labels)
    of_bars.figure.canvas.draw()
    assert [bar.get_x() + bar.get_width() for bar in patches] == [1, 2, 3, 4, 5]
    assert len(of_bars.lines) == 1  # no lines join names without an order
    ax = plot_dependence(
        dependence(np.array(["2024-01-01", "2024-02-01"], "datetime64[s]"), rows=500)
    )
    assert len(ax.lines) == 50 + 2
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "2024-01-01",
        "2024-01-16",
        "2024-02-01",
    ]


@pytest.fixture(scope="module")
def model():
    table = pd.DataFrame(
        {
            "age": np.arange(60.0) % 30,
            "town": ["Oslo", "Rome", "Rome"] * 20,
            "y": np.arange(60.0) % 30,
        }
    )
    table["said"] = [
        f"a {number} of words and more words {number % 7}" for number in range(60)
    ]
    table["day"] = pd.date_range("2024-01-01", periods=60)
    columns = {"said": "text"}
    return vp.TabularRegressor(
        "y", columns=columns, n_estimators=2, max_iter=30, random_state=0
    ).fit(table), table


def test_a_model_and_a_column_are_enough(model):
    fitted, table = model
    for ax in (
        plot_dependence(fitted, "age"),
        fitted.plot.dependence("age"),
        plot_dependence(fitted, "age", table),
    ):
        *_, mean = ax.lines
        x, y = np.asarray(mean.get_xydata()).T
        assert [x[0], x[-1]] == [0, 29]
        assert y[-1] - y[0] > 10
    assert [
        text.get_text() for text in plot_dependence(fitted, "town").get_yticklabels()
    ] in (
        ["Oslo", "Rome"],
        ["Rome", "Oslo"],
    )
    assert (
        plot_dependence(fitted, "day").get_xticklabels()[0].get_text() == "2024-01-01"
    )


def test_wrong_columns_and_wrong_objects(model):
    fitted, table = model
    with pytest.raises(
        vp.TableError, match=r"has no column 'agee': did you mean 'age'\?"
    ):
        plot_dependence(fitted, "agee")
    with pytest.raises(vp.TableError, match="Column 'said' is read as text"):
        fitted.plot.dependence("said")
    with pytest.raises(vp.TableError, match="has no column 'y'"):
        plot_dependence(fitted, "y", table)
    with pytest.raises(ValueError, match="not fitted"):
        plot_dependence(vp.TabularRegressor("y"), "age")
    for source in (3, table, vp.MLPClassifier()):
        with pytest.raises(
            TypeError, match="needs a fitted tabular model and a column, got "
        ):
            plot_dependence(source, "age")
    with pytest.raises(ValueError, match="has no values to draw"):
        plot_dependence(dependence([]))

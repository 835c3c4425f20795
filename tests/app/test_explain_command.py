"""Test ``vecprop explain``: rows are lines of the file, and contributions add up."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vecprop as vp


def explained(vecprop, trained, table, row, *options):
    done = vecprop("explain", "buys.npz", table, "--row", row, "--json", *options)
    return json.loads(done.stdout)["rows"]


def test_rows_are_lines_of_the_file_and_the_predicted_class_is_shown(
    vecprop, trained, people
):
    done = vecprop(
        "explain",
        "spends.npz",
        "people.csv",
        "--row",
        17,
        "--row",
        2,
        "--row",
        17,
        "--json",
    )
    assert done.stderr == ""
    first, second = json.loads(done.stdout)["rows"]
    assert (first["row"], second["row"]) == ("line 17", "line 2")
    model = vp.load("spends.npz")
    for found, place in ((first, 15), (second, 0)):
        row = people.iloc[place]
        assert {each["column"]: each["value"] for each in found["contributions"]} == {
            "age": str(row.age),
            "town": row.town,
            "visits": str(row.visits),
            "buys": row.buys,
        }
        predicted = model.predict(people[place : place + 1])[0]
        assert found["explained"] == found["predicted"] == pytest.approx(predicted)
        total = sum(each["contribution"] for each in found["contributions"])
        assert found["base"] + total == pytest.approx(predicted, rel=1e-5)
    done = vecprop("explain", "buys.npz", "people.csv", "--row", 2, "-q")
    assert done.stderr == ""
    title, names, *rows = done.stdout.splitlines()
    predicted = vp.load("buys.npz").predict(people[:1])[0]
    assert title.startswith(f"line 2: probability of {str(predicted)!r} is ")
    assert names.split() == ["column", "value", "contribution", "standard", "error"]
    assert {row.split()[0] for row in rows} == {
        "age",
        "town",
        "visits",
        "spends",
        "sum",
    }


def test_blank_lines_and_rows_of_several_lines_count(vecprop, trained):
    lines = Path("people.csv").read_text().splitlines()[:6]
    lines[2] = '33,"Ro\nme",4,no,66'  # lines 3 and 4
    lines.insert(4, "")  # line 6
    Path("odd.csv").write_text("\n".join(lines) + "\n")
    for line, age in ((2, None), (4, "33"), (5, None), (7, None)):
        (found,) = explained(vecprop, trained, "odd.csv", line)
        (value,) = [
            each["value"] for each in found["contributions"] if each["column"] == "age"
        ]
        assert value == (age or lines[{2: 1, 5: 3, 7: 5}[line]].split(",")[0])
    for line in (0, 1, 202):
        done = vecprop("explain", "buys.npz", "people.csv", "--row", line, code=3)
        said = (
            f"people.csv has no row on line {line}: --row must be a line from 2 to"
            " 201.\n"
        )
        assert done.stderr == said
    for line, around in ((3, "2 and 4"), (6, "5 and 7")):
        done = vecprop("explain", "buys.npz", "odd.csv", "--row", line, code=3)
        assert (
            f"no row that ends in line {line} (blank, or continued on the next line): "
            in done.stderr
        )
        assert f"lines {around}." in done.stderr


def test_rows_of_other_files_are_indices(vecprop, trained, people):
    people.to_parquet("people.parquet")
    (in_text,) = explained(vecprop, trained, "people.csv", 17)
    (in_parquet,) = explained(vecprop, trained, "people.parquet", 15)
    assert in_parquet["row"] == "row 15"
    assert in_parquet["contributions"] == in_text["contributions"]
    done = vecprop("explain", "buys.npz", "people.parquet", "--row", 200, code=3)
    assert (
        done.stderr
        == "people.parquet has no row 200: --row must be between 0 and 199.\n"
    )


@pytest.mark.long
def test_rows_of_a_sheet_are_spreadsheet_rows(vecprop, trained, people):
    sheet = people.astype(object)
    pd.concat(
        [sheet[:5], pd.DataFrame([[None] * 5], columns=sheet.columns), sheet[5:]]
    ).to_excel("s.xlsx", index=False)
    (in_text,) = explained(vecprop, trained, "people.csv", 17)
    (in_sheet,) = explained(vecprop, trained, "s.xlsx", 18)  # row 7 is blank
    assert in_sheet["row"] == "line 18"
    columns = [
        (each["column"], each["contribution"]) for each in in_text["contributions"]
    ]
    assert [
        (each["column"], each["contribution"]) for each in in_sheet["contributions"]
    ] == columns
    ages = [
        [each["value"] for each in of["contributions"] if each["column"] == "age"]
        for of in (in_text, in_sheet)
    ]
    assert ages[0] == ages[1]
    vecprop("explain", "buys.npz", "s.xlsx", "--row", 7, code=3)
    table = vp.read_table("s.xlsx")
    assert table.index.tolist() == list(range(200))
    chunks = list(vp.tables.read_chunks("s.xlsx", rows=150))
    assert [chunk.index[0] for chunk in chunks] == [0, 0]
    pd.concat([sheet, sheet[:1].assign(age="old")]).to_excel("odd.xlsx", index=False)
    assert (
        "in line 202"
        in vecprop("predict", "buys.npz", "odd.xlsx", "--chunk", 150).stderr
    )


@pytest.mark.long
def test_standard_input_and_a_file_of_contributions(vecprop, trained):
    data = Path("people.csv").read_bytes()
    arguments = [
        "explain",
        "buys.npz",
        "-",
        "--row",
        "17",
        "--row",
        "20",
        "-o",
        "why.csv",
    ]
    done = vecprop(*arguments, text=data)
    assert done.stdout == ""
    assert done.stderr.endswith("Contributions are in why.csv.\n")
    found = pd.read_csv("why.csv")
    assert found["row"].tolist() == ["line 17"] * 4 + ["line 20"] * 4
    sums = found.groupby("row")["contribution"].sum()
    ends = found.groupby("row")[["explained", "base"]].first()
    assert np.abs(sums - (ends["explained"] - ends["base"])).max() < 1e-6
    vecprop(*arguments, text=data, code=2)  # it exists
    said = vecprop(*arguments[:4], "300", text=data, code=3).stderr
    assert said.startswith("standard input has no row on line 300")
    done = vecprop("explain", "buys.npz", "people.csv", "--row", 2, "-o", "-", "-q")
    assert done.stdout.startswith(
        "row,output,explained,base,column,value,contribution,standard error\n"
    )
    vecprop(
        "explain", "buys.npz", "people.csv", "--row", 2, "-o", "-", "--json", code=2
    )


def test_a_background_table_can_be_given(vecprop, trained, people):
    people[people.age > 60].to_csv("old.csv", index=False)
    (of_all,) = explained(vecprop, trained, "people.csv", 2)
    (of_old,) = explained(vecprop, trained, "people.csv", 2, "--background", "old.csv")
    assert of_all["base"] != of_old["base"]
    P = vp.load("buys.npz").predict_proba(people)
    assert of_old["base"] == pytest.approx(
        P[people.age > 60, P[0].argmax()].mean(), rel=1e-5
    )
    done = vecprop(
        "explain",
        "buys.npz",
        "people.csv",
        "--row",
        2,
        "--background",
        "none.csv",
        code=3,
    )
    assert "There is no file none.csv" in done.stderr


def test_unnamed_targets_work_and_other_models_raise_an_error(vecprop, people):
    vp.save(
        vp.TabularRegressor(n_estimators=2, max_iter=2).fit(
            people[["age"]], people.spends
        ),
        "own.npz",
    )
    assert vecprop("explain", "own.npz").stdout.startswith(
        "Mean change of the target on rows drawn from"
    )
    vp.save(
        vp.MLPClassifier((2,), max_iter=300, tol=10.0).fit(
            people[["visits"]], people.buys
        ),
        "own.npz",
    )
    people.to_csv("people.csv", index=False)
    done = vecprop("explain", "own.npz", "people.csv", "--row", 2, code=2)
    assert done.stderr.startswith(
        "The file contains a MLPClassifier: only tabular models"
    )

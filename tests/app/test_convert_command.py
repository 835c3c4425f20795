"""Test that ``vecprop convert`` gives the same data for any parts, and resumes after kills."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from conditions import Killed, kill_at
from sampled import sampled
from vecprop import TabularClassifier, read_table


@pytest.fixture
def small_parts(limit):
    limit("convert: rows", 4)


NASTY = {
    "whole numbers": ["1", "2", "-3", "+4", "5", "6"],
    "number in the first part only": ["1", "2", "3", "4", "5", "x"],
    "number but in the first part": ["x", "2", "3", "4", "5", "6"],
    "float at last": ["1", "2", "3", "4", "5", "1e3"],
    "missing at last": ["1", "2", "3", "4", "5", ""],
    "missing in the first part": ["", "", "", "", "5", "6"],
    "None among numbers": ["1", "2", "None", "4", "5", "6"],
    "None among words": ["a", "None", "b", "None", "c", "d"],
    "truth": ["true", "False", "TRUE", "true", "false", "true"],
    "truth in the first part": ["true", "true", "true", "true", "1", "0"],
    "truth and missing": ["true", "true", "true", "true", "", "false"],
    "codes": ["1", "2", "3", "4", "5", "06"],
    "long": ["1234567890123456789", "2", "3", "4", "5", "6"],
    "long beside a fraction": ["12345678901234567", "2", "3", "4", "5", "0.5"],
    "unsigned and signed": ["18446744073709551615", "2", "3", "4", "5", "-6"],
    "beyond all": ["1", "2", "3", "4", "99999999999999999999999", "6"],
    "infinite": ["1", "2", "3", "inf", "5", "-Infinity"],
    "nothing": ["", "NA", "nan", "?", "null", ""],
    "decimal commas": ["1,5", "2,25", "3", "4", "5", "6"],
    "dates": ["31.12.2023", "01.02.2024", "3", "4", "5", "6"],
    "spaces": [" 1", "2 ", " 3 ", "4", "5", "6"],
    "several lines": ["a\nb", "c", 'd "e"', "f\r\ng", "", "h"],
    "digits": [
        "0.1",
        "0.30000000000000004",
        "1e-320",
        "1e400",
        "123456.7890123",
        "5e-5",
    ],
}


@pytest.mark.parametrize(
    ("ending", "rows"), sampled([(".csv.gz", 2), (".csv", 100), (".csv", 4)], 3)
)
def test_column_types_fit_all_rows(vecprop, tmp_path, limit, ending, rows):
    limit("convert: rows", rows)
    text = pd.DataFrame(NASTY).to_csv(index=False, sep=";").encode()
    path = tmp_path / f"t{ending}"
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    vecprop("convert", path, "t")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t"), read_table(path))
    assert len(list((tmp_path / "t").glob("part-*.parquet"))) == -(-6 // rows)
    assert not (tmp_path / "t" / "_text").exists()


def test_files_of_other_formats_have_common_types(vecprop, tmp_path, small_parts):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.csv").write_text("\n\nx,y\n1,ä\n\n2\n" + "3,c\n" * 5)
    (tmp_path / "logs" / "b.txt").write_bytes(
        ("y;x\nö;0.5\nz;z\n" + "a;7\n" * 9).encode("cp1252")
    )
    done = vecprop("convert", "logs", "t")
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "t"), read_table(tmp_path / "logs")
    )
    for said in (
        (
            "Column 'x' is text, because 1 of 18 values are not plain numbers; the"
            " first one is 'z' in b.txt, line 3."
        ),
        "a.csv, line 6: fewer values than the 2 columns",
        "b.txt is not UTF-8",
    ):
        assert said in done.stderr


def test_models_of_the_folder_and_of_the_file_are_equal(vecprop, tmp_path, small_parts):
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    frame = pd.DataFrame(
        {
            "x": [f"{value:.3f}".replace(".", ",") for value in x],
            "n": rng.integers(0, 9, 60),
        }
    )
    frame["day"], frame["y"] = (
        [f"{day}.{month}.2024" for day in range(1, 13) for month in range(1, 6)],
        x > 0,
    )
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";")
    vecprop("convert", "t.csv", "t")
    one, other = (
        TabularClassifier("y", n_estimators=2, max_iter=1, random_state=0).fit(
            tmp_path / name
        )
        for name in ("t.csv", "t")
    )
    assert one.encoder_.readings == other.encoder_.readings
    assert np.array_equal(one.ensemble_.theta, other.ensemble_.theta)


REFUSED = {
    "a long row": (
        "a,b\n1,2\n" + "3,4\n" * 9 + "5,6,7\n",
        (),
        "t.csv, line 12: the row has 3 values",
    ),
    "an open quote": ('a,b\n"1,2\n3,4\n5,6\n', (), "lines 2 to 4: a quotation mark"),
    "no number": (
        "a,b\n" + "3,4\n" * 9 + "5,many\n",
        ("--numbers", "b"),
        "line 11, column 'b': 'many' is no",
    ),
    "no column": ("a,b\n1,2\n", ("--numbers", "c"), "t.csv has no column 'c'"),
    "no rows": ("a,b\n", (), "t.csv has no rows"),
    "no UTF-8": ("a\n" + "x\n" * 600 + "\udcff\udcfe\n", (), "save it as UTF-8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_invalid_text_is_named(vecprop, tmp_path, small_parts, limit, name):
    text, options, message = REFUSED[name]
    limit("reading: bytes of a sample", 1000)
    (tmp_path / "t.csv").write_text(text, errors="surrogateescape")
    assert message in vecprop("convert", "t.csv", "t", *options, code=3).stderr
    assert not list((tmp_path / "t").glob("part*"))


def test_a_corrected_file_is_converted(vecprop, tmp_path):
    for text, options in [
        ("a,b\n1,2,3\n", ()),
        ("a,b\n", ()),
        ("a,b\n1,x\n", ("--numbers", "b")),
    ]:
        (tmp_path / "t.csv").write_text(text)
        vecprop("convert", "t.csv", "t", *options, code=3)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    vecprop("convert", "t.csv", "t")
    assert read_table(tmp_path / "t")["a"].tolist() == [1]


def test_named_words_are_values(vecprop, tmp_path):
    (tmp_path / "t.csv").write_text("country,n\nNA,1\n,NA\nDE,2\n")
    vecprop("convert", "t.csv", "t", "--words", "country")
    frame = read_table(tmp_path / "t")
    assert frame["country"].fillna("").tolist() == ["NA", "", "DE"]
    assert frame["n"].isna().tolist() == [False, True, False]


def test_other_folders_are_not_changed(vecprop, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    assert "full is not empty" in vecprop("convert", "t.csv", "full", code=2).stderr
    (tmp_path / "t").mkdir()
    left = tmp_path / "t" / "._convert.json.0123.unfinished"
    for _ in range(2):  # before and after the manifest exists
        left.write_bytes(b"{")  # an unfinished file, as after a kill
        vecprop("convert", "t.csv", "t")
        assert not left.exists()
    before = (tmp_path / "t" / "part-000000.parquet").stat().st_mtime_ns
    vecprop("convert", "t.csv", "t")  # it has nothing left to do
    assert (tmp_path / "t" / "part-000000.parquet").stat().st_mtime_ns == before
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    assert (
        "with other options: give another"
        in vecprop("convert", "t.csv", "t", code=2).stderr
    )
    vecprop("convert", "t.csv", "t", "--force")
    assert read_table(tmp_path / "t")["a"].tolist() == [1, 3]
    vecprop("convert", "-", "u", code=2)
    vecprop("convert", "t", "u", code=2)


def test_lost_and_damaged_parts_are_written_again_with_force(
    vecprop, tmp_path, small_parts
):
    (tmp_path / "t.csv").write_text("a\n" + "".join(f"{k}\n" for k in range(10)))
    vecprop("convert", "t.csv", "t")
    before = digests(tmp_path / "t")
    for damaged in (lambda part: part.unlink(), lambda part: part.write_bytes(b"x")):
        damaged(tmp_path / "t" / "part-000001.parquet")
        assert (
            "restart with --force." in vecprop("convert", "t.csv", "t", code=3).stderr
        )
        vecprop("convert", "t.csv", "t", "--force")
        assert digests(tmp_path / "t") == before


def test_an_interrupted_conversion_resumes(vecprop, tmp_path, small_parts, monkeypatch):
    (tmp_path / "t.csv").write_text(
        "a,b\n" + "".join(f"{k},x{k}\n" for k in range(22)) + '"2\n3",y\n'
    )
    vecprop("convert", "t.csv", "whole")
    kills = 0
    while True:
        with monkeypatch.context() as patch:
            kill_at(patch, 3)
            try:
                vecprop("convert", "t.csv", "t")
            except Killed:
                kills += 1
                continue
            break
    assert digests(tmp_path / "t") == digests(tmp_path / "whole")
    assert kills == 4  # finished parts are not written again


def digests(folder):
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def entries(folder):
    """Count the files and folders in a changing folder."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))


@pytest.mark.long
def test_kills_leave_no_trace(tmp_path):
    rng = np.random.default_rng(0)
    rows = 60_000
    frame = pd.DataFrame({f"x{k}": rng.normal(size=rows).round(6) for k in range(6)})
    frame["c"] = rng.choice(["a", "b", "c,d"], rows)
    frame.to_csv(tmp_path / "t.csv", index=False)
    code = (
        "import sys; from vecprop.app import converting; converting.ROWS = 2_500; from"
        " vecprop.app.command_line import"
    )
    command = [
        sys.executable,
        "-c",
        f"{code} app; app(sys.argv[1:])",
        "convert",
        "t.csv",
    ]
    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    kills, folder = 0, tmp_path / "t"
    while True:
        before, more = entries(folder), int(rng.integers(1, 4))
        process = subprocess.Popen(
            [*command, "t"], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            if abs(entries(folder) - before) > more:
                time.sleep(rng.uniform(0, 0.1))
                break
            time.sleep(0.01)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills >= 5
    assert digests(folder) == digests(tmp_path / "whole")
    manifest = json.loads((folder / "_convert.json").read_text())
    assert manifest["rows"] == rows

import json
import pickle

import numpy as np
import pytest

from conditions import terminal
from vecprop.check import GradientError, Report, Verdict, check_gradients

w = np.array([[0.5, -1.0], [2.0, 3.0]])


def f(w, factor=1.0):
    return np.sum(np.sin(w)), factor * np.cos(w)


PASSED, FAILED = check_gradients(f, w), check_gradients(f, w, args=(2.0,))


def test_text():
    assert PASSED.text().splitlines()[0].split() == (
        [
            "parameters",
            "shape",
            "verdict",
            "largest",
            "error",
            "tolerance",
            "ratio",
            "where",
            "given",
            "expected",
        ]
    )
    assert (
        "PASS: No gradient errors found (complex step, every entry)." in PASSED.text()
    )
    assert "FAIL: The gradient is wrong" in str(FAILED)
    assert (
        "Diagnosis, theta: the gradient is 2 times the expected one: it has an extra"
        " factor of 2." in str(FAILED)
    )
    assert repr(FAILED) == "Report(FAIL, 1 part)"


def test_verdict_is_the_worst_of_the_rows():
    from dataclasses import replace

    rows = [replace(PASSED.rows[0], verdict=verdict) for verdict in Verdict]
    assert [Report(tuple(rows[k:]), "").verdict for k in range(5)] == list(Verdict)
    assert [Report((row,), "").passed for row in rows] == [False] * 4 + [True]
    for row in rows[:4]:
        with pytest.raises(GradientError):
            Report((row,), "").raise_if_failed()
    Report((rows[4],), "").raise_if_failed()


def test_dict_is_json():
    plain = json.loads(json.dumps(FAILED.to_dict()))
    assert plain["verdict"] == "FAIL"
    assert plain["passed"] is False
    row = plain["rows"][0]
    assert row["shape"] == [2, 2]
    i, j = row["index"]
    assert row["given"] == pytest.approx(2 * np.cos(w[i, j]))
    assert row["expected"] == pytest.approx(np.cos(w[i, j]))
    assert row["error"] / row["tolerance"] == pytest.approx(row["ratio"])


def test_frame_and_notebook():
    pytest.importorskip("pandas")
    assert FAILED.to_frame()[["verdict", "name"]].to_numpy().tolist() == [
        ["FAIL", "theta"]
    ]
    html = FAILED._repr_html_()
    assert html.count("<tr>") == 2
    assert "an extra factor of 2" in html


def test_terminal(without_package):
    pytest.importorskip("rich")
    with terminal():
        colored = str(FAILED)
        without_package("rich")
        plain = str(FAILED)
    assert "\x1b[" in colored
    assert "FAIL" in colored
    assert plain == FAILED.text()


def test_taylor_remainder():
    assert PASSED.taylor is not None
    assert FAILED.taylor is not None
    assert PASSED.taylor.slope == pytest.approx(2, abs=0.05)
    assert FAILED.taylor.slope == pytest.approx(1, abs=0.05)
    assert (
        "Taylor remainder: slope 2.00 (2.00 if the gradient is correct, near 1 if it is"
        " wrong)." in PASSED.text()
    )
    linear = check_gradients(lambda w: (w.sum(), np.ones(3)), np.ones(3))
    assert linear.taylor is not None
    assert linear.taylor.slope is None
    assert "linear here" in linear.text()


def test_pickled_reports_are_equal():
    for report in (PASSED, FAILED):
        copy = pickle.loads(pickle.dumps(report))
        assert copy == report
        assert copy.text() == report.text()
        assert copy.taylor == report.taylor


def test_pictures():
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    from vecprop.pictures import plot_gradient_report, plot_taylor_remainder

    for report in (PASSED, FAILED):
        ax = report.plot()
        failed = report.verdict is Verdict.FAIL
        assert [label.get_text() for label in ax.get_yticklabels()] == [
            "theta  FAIL" if failed else "theta"
        ]
        tolerance, dot = (line.get_xdata()[0] for line in ax.lines)
        assert tolerance == 1
        assert (dot > 1) == failed
        given = pyplot.figure().add_subplot()
        assert plot_taylor_remainder(report, given) is given
        assert report.taylor is not None
        assert f"slope {report.taylor.slope:.2f}" in given.get_title()
        given = pyplot.figure().add_subplot()
        assert plot_gradient_report(report, given) is given
    pyplot.close("all")

"""Groups, times, duplicates and keys, from the table to the folds of a search."""

import json

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from commands import FAST
from vecprop.app.training.cross_validation import Columns
from vecprop.app.training.dividing import Request, Split, divided


def result_of(done):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def request(path, group=None, time=None):
    return Request(path, "y", Split(0.25, group, time, 0))


@pytest.fixture
def visits(tmp_path):
    r = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 6)
    frame = pd.DataFrame({"patient": patient, "x": r.normal(size=120), "z": r.normal(size=20)[patient]})
    frame["day"] = pd.date_range("2023-12-01", periods=120).strftime("%d.%m.%Y")
    frame["y"] = frame["x"] + r.normal(size=20)[patient]
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "visits.csv", index=False)
    return tmp_path / "visits.csv"


def test_groups_reach_the_fit_and_the_folds_of_a_search(visits):
    parts = divided(request(visits, group="patient"))
    assert parts.groups is not None
    model = vp.TabularRegressor(n_members=2, max_iter=1, random_state=0).fit(**parts.training)
    assert model.residuals_.groups == len(np.unique(parts.groups)) == 15
    for train, test in Columns.of(model, parts).splits:
        assert not set(parts.groups[train]) & set(parts.groups[test])


def test_times_reach_the_fit_and_the_folds_of_a_search(visits):
    parts = divided(request(visits, time="day"))
    days = pd.to_datetime(pd.Series(parts.time), dayfirst=True)
    assert days.max() < pd.to_datetime(parts.X_test["day"], dayfirst=True).min()
    model = vp.TabularRegressor(n_members=2, max_iter=1, random_state=0).fit(**parts.training)
    assert "day" in model.encoder_.names
    for train, test in Columns.of(model, parts).splits:
        assert days[train].max() < days[test].min()


@pytest.mark.parametrize(("column", "said"), [("two", "2 group"), ("one", "1 group")])
def test_too_few_groups(vecprop, visits, column, said):
    frame = pd.read_csv(visits)
    frame.assign(two=frame.index % 2, one=1).to_csv("few.csv", index=False)
    done = vecprop("train", "few.csv", "--target", "y", "--group", column, *FAST)
    assert done.exit_code == 3
    assert said in done.stderr

"""Test that searches split rows by groups and times."""

from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score, train_test_split

from vecprop import MLPClassifier, MLPRegressor, MLPSearchCV
from vecprop.estimators.data import random_parts
from vecprop.estimators.many.folds import arguments_of, splitter_for

R = np.random.default_rng(0)
X = R.normal(size=(60, 3))
GROUPS = R.permutation(np.repeat(np.arange(12), 5))
TIME = R.permutation(60) // 3
Y = X[:, 0] + GROUPS
CLASSES = np.where(Y > 6, "late", "early")


def searched(network, y, **arguments):
    cv = arguments.pop("cv", 3)
    search = MLPSearchCV(
        network.set_params(max_iter=2, random_state=0),
        {"hidden_layer_sizes": [(2,)]},
        cv=cv,
    )
    return search.fit(X, y, **arguments)


def test_arguments_with_an_entry_per_row_follow_the_rows():
    arguments = {
        "weights": [1, 2, 3],
        "times": np.arange(3),
        "names": ["a", "b"],
        "flag": True,
    }
    found = arguments_of(arguments, np.array([2, 0]), 3)
    assert found | {"times": found["times"].tolist()} == arguments | {
        "weights": [3, 1],
        "times": [2, 0],
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("network", "y"), [(MLPRegressor(), Y), (MLPClassifier(), CLASSES)]
)
@pytest.mark.parametrize("given", ["groups", "time"])
def test_groups_and_times_reach_the_folds_of_a_search(network, y, given):
    values = {"groups": GROUPS, "time": TIME}[given]
    search = searched(network, y, **{given: values})
    is_classes = isinstance(network, MLPClassifier)
    splitter: Any = splitter_for(
        3,
        y,
        is_classes=is_classes,
        **({"groups": None, "time": None} | {given: values}),
    )
    splits = list(splitter.split(X, y, values))
    for train, test in splits:
        assert not set(values[train]) & set(values[test])
        assert given == "groups" or values[train].max() < values[test].min()
    scores = cross_val_score(search.best_estimator_, X, y, cv=splits)
    assert search.best_score_ == pytest.approx(scores.mean())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_custom_splitter_receives_the_groups():
    own = searched(MLPRegressor(), Y, cv=GroupKFold(3), groups=GROUPS)
    by_number = searched(MLPRegressor(), Y, groups=GROUPS)
    assert own.best_score_ == by_number.best_score_


def test_invalid_times_raise_an_error():
    for arguments, said in (
        ({"time": TIME, "groups": GROUPS}, "cannot be combined with groups"),
        ({"time": TIME, "cv": GroupKFold(3)}, "a number of folds"),
        ({"time": TIME[:9]}, r"time has shape \(9,\)"),
        (
            {"time": np.ones(60)},
            "too few distinct values to give each of 3 folds earlier rows",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            searched(MLPRegressor(), Y, **arguments)


@pytest.mark.parametrize("count", [60, pytest.param(600, marks=pytest.mark.long)])
def test_random_parts_equal_scikit_learns(count):
    def outcome(split, seed, *arguments):
        random = np.random.RandomState(seed)
        try:
            # the state advances as if it had drawn
            return *split(random, *arguments), random.randint(2**31)
        except ValueError as error:
            return str(error)

    def reference(random, rows, share, strata):
        return train_test_split(
            np.arange(rows), random_state=random, test_size=share, stratify=strata
        )

    rng = np.random.default_rng(0)
    for seed in range(count):
        rows, share = (
            int(rng.integers(4, 200)),
            rng.choice([0.1, 0.2, 0.5, rng.uniform(0.01, 0.99)]),
        )
        strata = rng.random(rows) < rng.uniform(0.1, 0.9)
        strata[:4] = [True, False, True, False]
        expected = outcome(reference, seed, rows, share, strata)
        found = outcome(
            lambda random, rows, *others: random_parts(rows, random, *others),
            seed,
            rows,
            share,
            strata,
        )
        for part, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part, other)


def test_times_can_be_text_but_not_missing():
    days = np.datetime64("2024-01-01") + TIME
    best = [
        searched(MLPRegressor(), Y, time=time).best_score_
        for time in (TIME, days, days.astype(str))
    ]
    assert best[0] == best[1] == best[2]
    for time in (
        np.where(TIME == 3, np.nan, TIME),
        np.where(TIME == 3, np.datetime64("NaT"), days),
    ):
        with pytest.raises(ValueError, match="time has missing values"):
            searched(MLPRegressor(), Y, time=time)

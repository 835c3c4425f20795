"""Odd targets of classifiers, with a part of the note on each."""

import numpy as np
import pandas as pd

N = 240
R = np.random.default_rng(0)

NAMES = [";".join(sorted({*R.choice(list("abcdefgh"), 3)})) for _ in range(N)]


def mixed(*classes):
    return R.choice(np.array(classes, object), N).tolist()


NOTED = {
    "one positive row": (
        [0] * (N - 1) + [1],
        "1 class(es) have fewer than 5 rows, such as 1 (1 of 240)",
    ),
    "a typo": (
        mixed("setosa", "versicolor")[: N - 6] + ["versicolour"] * 6,
        "differ by a letter: spell them",
    ),
    "one positive text": (
        ["no"] * (N - 2) + ["yes"] * 2,
        "1 class(es) have fewer than 5 rows, such as 'yes' (2 of 240)",
    ),
    "a class of one row": (
        [*mixed("a", "b"), "c"][1:],
        "1 class(es) have fewer than 5 rows, such as 'c' (1 of 240)",
    ),
    "case": (
        mixed("yes", "Yes", "no"),
        "'Yes' and 'yes' differ only in case or spaces",
    ),
    "period": (
        mixed(">50K", ">50K.", "<=50K", "<=50K."),
        "'<=50K' and '<=50K.' differ only in punctuation",
    ),
    "hyphen": (
        mixed("semi-annual", "semi annual", "annual"),
        "differ only in punctuation",
    ),
    "underscore": (mixed("not spam", "not_spam", "spam"), "differ only in punctuation"),
    "-1": (mixed(0, 1, -1), "-1 in"),
    "-9": (mixed(1, 2, 3, -9), "-9 in"),
    "999": (mixed(0, 1, 2, 999), "999 in"),
    "unknown": (mixed("good", "bad", "unknown"), "'unknown' in"),
    "a dash": (mixed("good", "bad", "-"), "'-' in"),
    "no answer": (mixed("gut", "schlecht", "keine Angabe"), "'keine Angabe' in"),
    "zeros": (mixed("1", "1.0", "two"), "differ only in punctuation, zeros or accents"),
    "99 of text": (mixed("1", "2", "99"), "99 in"),
    "tags": (
        NAMES,
        "combinations of names with ';' is a class: train a model for each name",
    ),
    "dates": (
        mixed("2024-01-31", "2024-02-29", "2024-03-31"),
        "dates such as '2024-01-31' are classes: replace them",
    ),
}


def table(y):
    return pd.DataFrame(
        {"x": R.normal(size=N).round(3), "z": R.choice(list("uvw"), N), "y": y}
    )

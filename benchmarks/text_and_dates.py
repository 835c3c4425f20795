"""Tables of text and dates against common models: ``python benchmarks/text_and_dates.py``.

Text: each row is a sentence from the documentation of one of five installed libraries,
without the library's name. The target is the library. The other models are logistic
regression on TF-IDF of words, and of words and pairs of words.

Dates: generated months of hourly demand with a daily and a weekly pattern, temperature
and noise, and hourly temperatures of San Francisco and Seattle. The other model is
HistGradientBoosting on the hour, the weekday, the day of the year and the month. Test
rows are drawn at random, or are the last quarter, which is a forecast.

Figures are means of three folds, or one forecast. Seconds are CPU seconds of one
thread.
"""

import importlib
import inspect
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before NumPy, since it sets the number of threads.
os.environ |= dict.fromkeys(
    (
        "VECPROP_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    ),
    "1",
)

# isort: split
import numpy as np
import pandas as pd
from machine import described, machine
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from vega_datasets import local_data

from vecprop import TabularClassifier, TabularRegressor

MODULES = {
    "numpy": ["", ".linalg", ".fft", ".random", ".ma", ".polynomial"],
    "scipy": [
        ".stats",
        ".linalg",
        ".signal",
        ".optimize",
        ".special",
        ".ndimage",
        ".sparse",
        ".interpolate",
        ".spatial",
    ],
    "pandas": ["", ".api.types", ".core.frame", ".core.series"],
    "sklearn": [
        ".linear_model",
        ".ensemble",
        ".svm",
        ".tree",
        ".metrics",
        ".preprocessing",
        ".cluster",
        ".datasets",
    ],
    "matplotlib": [
        ".pyplot",
        ".axes",
        ".figure",
        ".patches",
        ".collections",
        ".ticker",
    ],
}
NAMES = re.compile(
    r"numpy|np\.|scipy|pandas|sklearn|scikit-learn|matplotlib|DataFrame|Series"
)


def sentences() -> pd.DataFrame:
    """Return the first two sentences of what the libraries say of their functions and classes, and the library."""
    found: dict[str, str] = {}
    for library, modules in MODULES.items():
        for module in modules:
            for name, thing in vars(importlib.import_module(library + module)).items():
                members = vars(thing).items() if inspect.isclass(thing) else []
                for key, member in [(name, thing), *members]:
                    is_own = (getattr(member, "__module__", None) or "").startswith(
                        library
                    )
                    if (
                        not key.startswith("_")
                        and is_own
                        and callable(member)
                        and member.__doc__
                    ):
                        summary = " ".join(
                            re.split(
                                r"\n(?=Parameters|Returns|---)",
                                inspect.getdoc(member) or "",
                            )[0].split()
                        )
                        text = NAMES.sub(
                            "", " ".join(re.split(r"(?<=[.!?]) ", summary)[:2])
                        )
                        if len(text) >= 40:
                            found.setdefault(text, library)
    return pd.DataFrame({"text": list(found), "library": list(found.values())})


def demand(seed: int, noise: float) -> pd.DataFrame:
    """Return a month of hours: the time, the temperature and the demand."""
    rng = np.random.default_rng(seed)
    when = pd.date_range("2023-03-01", periods=720, freq="h")
    hour, is_weekend = when.hour.to_numpy(), when.dayofweek.to_numpy() >= 5
    morning, noon, evening = (
        np.exp(-(((hour - at) / width) ** 2))
        for at, width in ((8, 2), (12, 3), (19, 3))
    )
    usual = (
        100
        + 20 * morning * ~is_weekend
        + 30 * evening
        + 10 * noon * is_weekend
        - 15 * (hour < 5)
    )
    temperature = (
        8 + 5 * np.sin(2 * np.pi * (hour - 9) / 24) + np.cumsum(rng.normal(0, 0.2, 720))
    )
    y = usual * (1 + 0.01 * (10 - temperature)) + 0.01 * np.arange(720)
    return pd.DataFrame(
        {
            "date": when,
            "temperature": temperature,
            "y": y * (1 + noise * rng.normal(size=720)),
        }
    )


def parts_of_dates(frame: pd.DataFrame) -> pd.DataFrame:
    dates = frame["date"].dt
    parts = {
        "hour": dates.hour,
        "weekday": dates.dayofweek,
        "day": dates.dayofyear,
        "month": dates.month,
    }
    return frame.drop(columns="date").assign(**parts)


def row(name: str, *values: float) -> str:
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |"


def text_rows(frame: pd.DataFrame) -> list[str]:
    y = frame["library"].to_numpy()
    words, pairs = (
        TfidfVectorizer(),
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    )
    contenders: dict[str, tuple[Callable[[], Any], Any]] = {
        "vecprop": (lambda: TabularClassifier(random_state=0), frame[["text"]]),
        "TF-IDF, logistic regression": (
            lambda: make_pipeline(words, LogisticRegression(max_iter=1000)),
            frame["text"],
        ),
        "the same with pairs, C = 10": (
            lambda: make_pipeline(pairs, LogisticRegression(max_iter=1000, C=10)),
            frame["text"],
        ),
    }
    rows = []
    for name, (make, X) in contenders.items():
        found = []
        for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(
            frame, y
        ):
            started = time.process_time()
            model = make().fit(X.iloc[train], y[train])
            P = model.predict_proba(X.iloc[test])
            seconds = time.process_time() - started
            predicted = model.classes_[P.argmax(axis=1)]
            found.append(
                (
                    log_loss(y[test], P, labels=model.classes_),
                    accuracy_score(y[test], predicted),
                    seconds,
                )
            )
        rows.append(row(f"{len(frame)} sentences: {name}", *np.mean(found, axis=0)))
    return rows


def date_rows(title: str, frame: pd.DataFrame) -> list[str]:
    X, y = frame.drop(columns="y"), frame["y"].to_numpy()
    contenders = {
        "vecprop": (TabularRegressor(random_state=0), X),
        "HistGradientBoosting": (
            HistGradientBoostingRegressor(random_state=0),
            parts_of_dates(X),
        ),
    }
    last = np.arange(len(y)) >= 3 * len(y) // 4
    rows = []
    for name, (model, inputs) in contenders.items():
        found = []
        for train, test in [
            *KFold(3, shuffle=True, random_state=0).split(X),
            (np.flatnonzero(~last), np.flatnonzero(last)),
        ]:
            started = time.process_time()
            predicted = model.fit(inputs.iloc[train], y[train]).predict(
                inputs.iloc[test]
            )
            found.append((r2_score(y[test], predicted), time.process_time() - started))
        (*scores, forecast), seconds = np.array(found).T[0], np.mean(found, axis=0)[1]
        rows.append(row(f"{title}: {name}", np.mean(scores), forecast, seconds))
    return rows


def main() -> None:
    everything = sentences()
    temperatures = {
        "San Francisco": local_data.sf_temps(),
        "Seattle": local_data.seattle_temps(),
    }
    TabularRegressor("y", max_iter=1).fit(demand(0, 0.1))  # compiles
    TabularClassifier("library", max_iter=1).fit(everything[::20])
    lines = [
        "# Tables of text and of dates",
        "",
        *(__doc__ or "").strip().split("\n")[2:],
        "",
    ]
    lines += described(machine("numpy", "scikit-learn", "pandas"))
    lines += ["", "| text | log loss | accuracy | seconds |", "|---|---:|---:|---:|"]
    for rows in (500, 2500):
        lines += text_rows(everything.sample(rows, random_state=0))
    lines += [
        "",
        "| dates | R² of random rows | R² of the last quarter | seconds |",
        "|---|---:|---:|---:|",
    ]
    for seed, noise in ((1, 0.05), (2, 0.1), (3, 0.02)):
        lines += date_rows(f"month {seed}, noise {noise:.0%}", demand(seed, noise))
    for name, frame in temperatures.items():
        lines += date_rows(f"{name}, a year", frame.rename(columns={"temp": "y"}))
    text = "\n".join(lines) + "\n"
    print(text)
    (Path(__file__).parent / "results" / "text_and_dates.md").write_text(
        text, encoding="utf-8"
    )


if __name__ == "__main__":
    main()

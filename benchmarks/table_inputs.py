"""The preparation of raw columns for models that cannot read them."""

import pandas as pd
from sklearn.compose import make_column_selector

NUMBERS = make_column_selector(dtype_include=["number", "bool"])
NAMES = make_column_selector(dtype_exclude=["number", "bool"])


def prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text is of categories, with parts of dates as numbers."""
    columns = {}
    for name in frame:
        values = frame[name]
        if pd.api.types.is_datetime64_any_dtype(values):
            parts = {
                "year": values.dt.year,
                "day": values.dt.dayofyear,
                "weekday": values.dt.weekday,
            }
            columns |= {
                f"{name} {part}": of
                for part, of in {**parts, "hour": values.dt.hour}.items()
            }
        else:
            columns[name] = (
                values
                if pd.api.types.is_numeric_dtype(values)
                else values.astype("category")
            )
    return pd.DataFrame(columns)


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a prepared table without missing categories."""
    columns = {
        name: frame[name].astype(object).fillna("missing").astype(str)
        for name in NAMES(frame)
    }
    return frame.assign(**columns)


def filled(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a prepared table without missing values."""
    numbers = {
        name: frame[name].astype(float).fillna(frame[name].median())
        for name in NUMBERS(frame)
    }
    return named(frame).assign(**numbers)

"""The tables of ``tables.py``: some on which defaults were chosen, and others on which they are reported.

Real tables are those that scikit-learn ships and, if it is installed, those of ISLP (``pip install --no-deps ISLP``),
which have categories and missing values. Generated tables of the report have other seeds, and some are of other types.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets


@dataclass(frozen=True)
class Table:
    """A table with a target: ``make`` returns its columns and the target."""

    name: str
    task: str
    make: Callable[[], tuple[pd.DataFrame, np.ndarray]]


def shipped(load: Callable) -> tuple[pd.DataFrame, np.ndarray]:
    data = load(as_frame=True)
    return data.data, np.asarray(data.target)


def islp(name: str, target: str, without: tuple[str, ...] = ()) -> tuple[pd.DataFrame, np.ndarray]:
    folder = Path(find_spec("ISLP").submodule_search_locations[0]) / "data"
    frame = pd.read_csv(folder / f"{name}.csv", na_values=["?"]).dropna(subset=[target])
    return frame.drop(columns=[target, *without]), frame[target].to_numpy()


def generated(make: Callable, seed: int, **settings: object) -> tuple[pd.DataFrame, np.ndarray]:
    X, y = make(random_state=seed, **settings)
    return pd.DataFrame(X, columns=[f"x{number}" for number in range(X.shape[1])]), y


def classes(rows: int, inputs: int, count: int, seed: int, **settings: object) -> tuple[pd.DataFrame, np.ndarray]:
    return generated(datasets.make_classification, seed, n_samples=rows, n_features=inputs, n_classes=count, **settings)


def categories(rows: int, seed: int, as_classes: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """Return columns of 2 to 60 categories of skewed frequencies, with additive effects and one product."""
    rng = np.random.default_rng(seed)
    frame, score = {}, rng.normal(size=rows)
    effects = []
    for number, count in enumerate((2, 3, 4, 6, 9, 15, 30, 60)):
        chances = rng.dirichlet(np.ones(count))
        chosen = rng.choice(count, rows, p=chances)
        effect = rng.normal(size=count)[chosen]
        effects.append(effect)
        score += effect
        frame[f"c{number}"] = [f"value {k}" for k in chosen]
    amount = rng.lognormal(size=rows)
    frame["amount"] = amount
    score += 1.5 * effects[2] * effects[3] + np.log(amount) * effects[0]
    y = np.where(score > np.quantile(score, 0.6), "yes", "no") if as_classes else score
    return pd.DataFrame(frame), y


def with_missing(
    made: tuple[pd.DataFrame, np.ndarray], share: float, seed: int, telling: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    """Remove values at random; if that is `telling`, larger ones more often."""
    frame, y = made
    rng = np.random.default_rng(seed)
    chance = share * (frame.rank(pct=True) * 2 if telling else 1)
    return frame.mask(rng.random(frame.shape) < chance), y


def skewed(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return inputs and a target with heavy tails, with steps and an interaction."""
    rng = np.random.default_rng(seed)
    X = np.exp(rng.normal(size=(rows, 8)) * rng.uniform(0.5, 2, size=8))
    L = np.log(X)
    y = np.exp(0.6 * L[:, 0] + 0.5 * np.abs(L[:, 1]) + 0.5 * (L[:, 2] > 0) + 0.2 * L[:, 3] * L[:, 4])
    return pd.DataFrame(X).add_prefix("x"), y * np.exp(0.2 * rng.normal(size=rows))


CLASSIFICATION, REGRESSION = "classification", "regression"


def choice() -> Iterator[Table]:
    """Yield the tables on which defaults were chosen."""
    yield Table("wine", CLASSIFICATION, lambda: shipped(datasets.load_wine))
    yield Table("classes, 20 of 5", CLASSIFICATION, lambda: classes(1000, 20, 2, 1, n_informative=5))
    yield Table("classes, flipped", CLASSIFICATION, lambda: classes(600, 15, 3, 2, n_informative=6, flip_y=0.2))
    yield Table("classes, rare", CLASSIFICATION, lambda: classes(2000, 10, 2, 3, weights=[0.93], class_sep=0.7))
    yield Table("moons", CLASSIFICATION, lambda: generated(datasets.make_moons, 1, n_samples=500, noise=0.3))
    yield Table("categories", CLASSIFICATION, lambda: categories(1500, 1, True))
    yield Table(
        "missing", CLASSIFICATION, lambda: with_missing(classes(1200, 12, 2, 5, n_informative=6), 0.3, 1, False)
    )
    yield Table("friedman 2", REGRESSION, lambda: generated(datasets.make_friedman2, 1, n_samples=600, noise=50))
    yield Table("friedman 1", REGRESSION, lambda: generated(datasets.make_friedman1, 1, n_samples=400, noise=1))
    yield Table("categories", REGRESSION, lambda: categories(1500, 2, False))
    yield Table("skewed", REGRESSION, lambda: skewed(1000, 1))
    if find_spec("ISLP"):
        yield Table("Default", CLASSIFICATION, lambda: islp("Default", "default"))
        yield Table("Smarket", CLASSIFICATION, lambda: islp("Smarket", "Direction", ("Today",)))
        yield Table("Credit", REGRESSION, lambda: islp("Credit", "Balance", ("ID",)))
        yield Table("Hitters", REGRESSION, lambda: islp("Hitters", "Salary"))
        yield Table("Bikeshare", REGRESSION, lambda: islp("Bikeshare", "bikers", ("casual", "registered")))


def report() -> Iterator[Table]:
    """Yield the tables on which they are reported."""
    yield Table("iris", CLASSIFICATION, lambda: shipped(datasets.load_iris))
    yield Table("breast cancer", CLASSIFICATION, lambda: shipped(datasets.load_breast_cancer))
    yield Table("digits", CLASSIFICATION, lambda: shipped(datasets.load_digits))
    yield Table("classes, 20 of 8", CLASSIFICATION, lambda: classes(1500, 20, 2, 101, n_informative=8))
    yield Table("classes, 5 of 30", CLASSIFICATION, lambda: classes(2000, 30, 5, 102, n_informative=10))
    yield Table("classes, flipped", CLASSIFICATION, lambda: classes(800, 10, 2, 103, n_informative=4, flip_y=0.3))
    yield Table("moons", CLASSIFICATION, lambda: generated(datasets.make_moons, 104, n_samples=400, noise=0.25))
    yield Table("circles", CLASSIFICATION, lambda: generated(datasets.make_circles, 105, n_samples=400, noise=0.2))
    yield Table("quantiles", CLASSIFICATION, lambda: generated(datasets.make_gaussian_quantiles, 106, n_samples=1000))
    yield Table("categories", CLASSIFICATION, lambda: categories(2000, 107, True))
    yield Table(
        "missing", CLASSIFICATION, lambda: with_missing(classes(1500, 15, 3, 108, n_informative=8), 0.3, 108, True)
    )
    yield Table("diabetes", REGRESSION, lambda: shipped(datasets.load_diabetes))
    yield Table("friedman 1", REGRESSION, lambda: generated(datasets.make_friedman1, 109, n_samples=800, noise=1))
    yield Table("friedman 3", REGRESSION, lambda: generated(datasets.make_friedman3, 110, n_samples=500, noise=0.1))
    yield Table("categories", REGRESSION, lambda: categories(2000, 111, False))
    yield Table("linear", REGRESSION, lambda: generated(datasets.make_regression, 112, n_samples=300, noise=30))
    yield Table("skewed", REGRESSION, lambda: skewed(1500, 113))
    if find_spec("ISLP"):
        yield Table("OJ", CLASSIFICATION, lambda: islp("OJ", "Purchase"))
        yield Table("Caravan", CLASSIFICATION, lambda: islp("Caravan", "Purchase"))
        yield Table("College", CLASSIFICATION, lambda: islp("College", "Private"))
        yield Table("Auto", REGRESSION, lambda: islp("Auto", "mpg", ("name",)))
        yield Table("Carseats", REGRESSION, lambda: islp("Carseats", "Sales"))
        yield Table("Wage", REGRESSION, lambda: islp("Wage", "wage", ("logwage", "region")))

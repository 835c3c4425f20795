"""The tables of ``tables.py``: some on which defaults were chosen, and others on which they are reported.

Real tables are those that scikit-learn, statsmodels and vega_datasets ship and, if it
is installed, those of ISLP (``pip install --no-deps ISLP``). Generated tables of the
report have other seeds, and some are of other types.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
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


def islp(
    name: str, target: str, without: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, np.ndarray]:
    folder = Path(find_spec("ISLP").submodule_search_locations[0]) / "data"
    frame = pd.read_csv(folder / f"{name}.csv", na_values=["?"]).dropna(subset=[target])
    return frame.drop(columns=[target, *without]), frame[target].to_numpy()


def generated(
    make: Callable, seed: int, **settings: object
) -> tuple[pd.DataFrame, np.ndarray]:
    X, y = make(random_state=seed, **settings)
    return pd.DataFrame(X, columns=[f"x{number}" for number in range(X.shape[1])]), y


def classes(
    rows: int, inputs: int, count: int, seed: int, **settings: object
) -> tuple[pd.DataFrame, np.ndarray]:
    return generated(
        datasets.make_classification,
        seed,
        n_samples=rows,
        n_features=inputs,
        n_classes=count,
        **settings,
    )


def categories(
    rows: int, seed: int, as_classes: bool
) -> tuple[pd.DataFrame, np.ndarray]:
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
    y = np.exp(
        0.6 * L[:, 0]
        + 0.5 * np.abs(L[:, 1])
        + 0.5 * (L[:, 2] > 0)
        + 0.2 * L[:, 3] * L[:, 4]
    )
    return pd.DataFrame(X).add_prefix("x"), y * np.exp(0.2 * rng.normal(size=rows))


CLASSIFICATION, REGRESSION = "classification", "regression"


def choice() -> Iterator[Table]:
    """Yield the tables on which defaults were chosen."""
    yield Table("wine", CLASSIFICATION, lambda: shipped(datasets.load_wine))
    yield Table(
        "classes, 20 of 5",
        CLASSIFICATION,
        lambda: classes(1000, 20, 2, 1, n_informative=5),
    )
    yield Table(
        "classes, flipped",
        CLASSIFICATION,
        lambda: classes(600, 15, 3, 2, n_informative=6, flip_y=0.2),
    )
    yield Table(
        "classes, rare",
        CLASSIFICATION,
        lambda: classes(2000, 10, 2, 3, weights=[0.93], class_sep=0.7),
    )
    yield Table(
        "moons",
        CLASSIFICATION,
        lambda: generated(datasets.make_moons, 1, n_samples=500, noise=0.3),
    )
    yield Table("categories", CLASSIFICATION, lambda: categories(1500, 1, True))
    yield Table(
        "missing",
        CLASSIFICATION,
        lambda: with_missing(classes(1200, 12, 2, 5, n_informative=6), 0.3, 1, False),
    )
    yield Table(
        "friedman 2",
        REGRESSION,
        lambda: generated(datasets.make_friedman2, 1, n_samples=600, noise=50),
    )
    yield Table(
        "friedman 1",
        REGRESSION,
        lambda: generated(datasets.make_friedman1, 1, n_samples=400, noise=1),
    )
    yield Table("categories", REGRESSION, lambda: categories(1500, 2, False))
    yield Table("skewed", REGRESSION, lambda: skewed(1000, 1))
    if find_spec("ISLP"):
        yield Table("Default", CLASSIFICATION, lambda: islp("Default", "default"))
        yield Table(
            "Smarket", CLASSIFICATION, lambda: islp("Smarket", "Direction", ("Today",))
        )
        yield Table("Credit", REGRESSION, lambda: islp("Credit", "Balance", ("ID",)))
        yield Table("Hitters", REGRESSION, lambda: islp("Hitters", "Salary"))
        yield Table(
            "Bikeshare",
            REGRESSION,
            lambda: islp("Bikeshare", "bikers", ("casual", "registered")),
        )


def statistical(name: str) -> pd.DataFrame:
    """Return a table of statsmodels."""
    return import_module(f"statsmodels.datasets.{name}").load_pandas().data


def drawn(name: str) -> pd.DataFrame:
    """Return a table of vega_datasets."""
    return getattr(import_module("vega_datasets").local_data, name)()


def of(
    frame: pd.DataFrame, target: object, without: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the columns of a table but the target's, which is one of them or an array, and those to leave out."""
    if isinstance(target, str):
        return frame.drop(columns=[target, *without]), frame[target].to_numpy()
    return frame.drop(columns=list(without)), np.asarray(target)


def health(target: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return 5,000 rows of RAND's health insurance experiment, of which many more are alike."""
    frame = statistical("randhie").sample(5000, random_state=0).reset_index(drop=True)
    if target == "any visit":
        return of(frame, np.where(frame["mdvis"] > 0, "yes", "no"), ("mdvis",))
    if target == "visits":
        return of(frame, "mdvis")
    flags = ["hlthg", "hlthf", "hlthp"]
    state = np.where(
        frame[flags].any(axis=1), frame[flags].to_numpy().argmax(axis=1), 3
    )
    return of(
        frame, np.array(["good", "fair", "poor", "excellent"])[state], tuple(flags)
    )


def travel() -> tuple[pd.DataFrame, np.ndarray]:
    """Return a row for each traveller, with the costs and times of four ways to travel, and the way that was taken."""
    frame = statistical("modechoice")
    wide = frame.pivot(
        index="individual", columns="mode", values=["ttme", "invc", "invt", "gc"]
    )
    wide.columns = [f"{what}{int(mode)}" for what, mode in wide.columns]
    taken = frame[frame["choice"] == 1].set_index("individual")
    return of(
        wide.join(taken[["hinc", "psize"]]).reset_index(drop=True),
        taken["mode"].astype(int),
    )


def airports() -> tuple[pd.DataFrame, np.ndarray]:
    """Return where airports lie, and their state, of those states that have twenty or more."""
    frame = drawn("airports").dropna(subset=["state"])
    frame = frame[frame.groupby("state")["state"].transform("size") >= 20].reset_index(
        drop=True
    )
    return frame[["latitude", "longitude"]], frame["state"].to_numpy(object)


def schools(as_classes: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """Return districts of California, and the share of pupils above the national median in mathematics."""
    frame = statistical("star98")
    share = frame["NABOVE"] / (frame["NABOVE"] + frame["NBELOW"])
    return of(
        frame,
        np.where(share > 0.5, "yes", "no") if as_classes else share,
        ("NABOVE", "NBELOW"),
    )


def temperatures(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the hours of a year and their temperatures."""
    return of(drawn(name), "temp")


def births() -> tuple[pd.DataFrame, np.ndarray]:
    """Return the fertility of countries in every fifth year until 2000, and that of 2010."""
    frame = statistical("fertility").dropna(subset=["2010"]).reset_index(drop=True)
    return frame[[str(year) for year in range(1960, 2001, 5)]], frame["2010"].to_numpy()


def affairs() -> np.ndarray:
    return np.where(statistical("fair")["affairs"] > 0, "yes", "no")


def report() -> Iterator[Table]:
    """Yield the tables on which they are reported; those of packages that are not installed are left out."""
    yield Table("iris", CLASSIFICATION, lambda: shipped(datasets.load_iris))
    yield Table(
        "breast cancer", CLASSIFICATION, lambda: shipped(datasets.load_breast_cancer)
    )
    yield Table("diabetes", REGRESSION, lambda: shipped(datasets.load_diabetes))
    if find_spec("ISLP"):
        yield Table("OJ", CLASSIFICATION, lambda: islp("OJ", "Purchase"))
        yield Table("Caravan", CLASSIFICATION, lambda: islp("Caravan", "Purchase"))
        yield Table(
            "College, private", CLASSIFICATION, lambda: islp("College", "Private")
        )
        yield Table("College, tuition", REGRESSION, lambda: islp("College", "Outstate"))
    if find_spec("statsmodels"):
        yield Table(
            "vote",
            CLASSIFICATION,
            lambda: of(statistical("anes96"), "vote", ("logpopul",)),
        )
        yield Table(
            "party",
            CLASSIFICATION,
            lambda: of(statistical("anes96"), "PID", ("logpopul", "vote")),
        )
        yield Table(
            "affairs",
            CLASSIFICATION,
            lambda: of(statistical("fair"), affairs(), ("affairs",)),
        )
        yield Table(
            "marriage", CLASSIFICATION, lambda: of(statistical("fair"), "rate_marriage")
        )
        yield Table(
            "occupation",
            CLASSIFICATION,
            lambda: of(statistical("fair"), "occupation_husb"),
        )
        yield Table("doctor, any", CLASSIFICATION, lambda: health("any visit"))
        yield Table("health", CLASSIFICATION, lambda: health("health"))
        yield Table("travel", CLASSIFICATION, travel)
        yield Table("schools", CLASSIFICATION, lambda: schools(True))
        yield Table("schools", REGRESSION, lambda: schools(False))
        yield Table("doctor, visits", REGRESSION, lambda: health("visits"))
        yield Table(
            "time of affairs", REGRESSION, lambda: of(statistical("fair"), "affairs")
        )
        yield Table(
            "investment", REGRESSION, lambda: of(statistical("grunfeld"), "invest")
        )
        yield Table("food", REGRESSION, lambda: of(statistical("engel"), "foodexp"))
        yield Table("fertility", REGRESSION, births)
        yield Table("cancer", REGRESSION, lambda: of(statistical("cancer"), "cancer"))
    if find_spec("vega_datasets"):
        yield Table(
            "weather", CLASSIFICATION, lambda: of(drawn("seattle_weather"), "weather")
        )
        yield Table("airports", CLASSIFICATION, airports)
        yield Table("barley, site", CLASSIFICATION, lambda: of(drawn("barley"), "site"))
        yield Table("barley, yield", REGRESSION, lambda: of(drawn("barley"), "yield"))
        yield Table("San Francisco", REGRESSION, lambda: temperatures("sf_temps"))
        yield Table("Seattle", REGRESSION, lambda: temperatures("seattle_temps"))
        yield Table(
            "warmest",
            REGRESSION,
            lambda: of(drawn("seattle_weather"), "temp_max", ("temp_min",)),
        )
    yield Table(
        "classes, 20 of 8",
        CLASSIFICATION,
        lambda: classes(1500, 20, 2, 101, n_informative=8),
    )
    yield Table(
        "classes, 5 of 30",
        CLASSIFICATION,
        lambda: classes(2000, 30, 5, 102, n_informative=10),
    )
    yield Table(
        "classes, flipped",
        CLASSIFICATION,
        lambda: classes(800, 10, 2, 103, n_informative=4, flip_y=0.3),
    )
    yield Table(
        "moons",
        CLASSIFICATION,
        lambda: generated(datasets.make_moons, 104, n_samples=400, noise=0.25),
    )
    yield Table(
        "circles",
        CLASSIFICATION,
        lambda: generated(datasets.make_circles, 105, n_samples=400, noise=0.2),
    )
    yield Table(
        "quantiles",
        CLASSIFICATION,
        lambda: generated(datasets.make_gaussian_quantiles, 106, n_samples=1000),
    )
    yield Table("categories", CLASSIFICATION, lambda: categories(2000, 107, True))
    yield Table(
        "missing",
        CLASSIFICATION,
        lambda: with_missing(
            classes(1500, 15, 3, 108, n_informative=8), 0.3, 108, True
        ),
    )
    yield Table(
        "friedman 1",
        REGRESSION,
        lambda: generated(datasets.make_friedman1, 109, n_samples=800, noise=1),
    )
    yield Table(
        "friedman 3",
        REGRESSION,
        lambda: generated(datasets.make_friedman3, 110, n_samples=500, noise=0.1),
    )
    yield Table("categories", REGRESSION, lambda: categories(2000, 111, False))
    yield Table(
        "linear",
        REGRESSION,
        lambda: generated(datasets.make_regression, 112, n_samples=300, noise=30),
    )
    yield Table("skewed", REGRESSION, lambda: skewed(1500, 113))

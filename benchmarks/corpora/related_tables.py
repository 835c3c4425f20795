"""Simulated tables with related rows, and tables of independent rows with dates, identifiers or categories."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

Table = Callable[[np.random.Generator], pd.DataFrame]
PANELS: dict[str, Table] = {}
HARMLESS: dict[str, Table] = {}


def panel(table: Table) -> Table:
    """List a table whose rows depend on each other."""
    PANELS[table.__name__] = table
    return table


def harmless(table: Table) -> Table:
    """List a table of independent rows."""
    HARMLESS[table.__name__] = table
    return table


def days(r: np.random.Generator, rows: int, span: int = 900) -> pd.DatetimeIndex:
    """Return random days."""
    return pd.Timestamp("2021-01-01") + pd.to_timedelta(r.integers(0, span, rows), "D")


def autocorrelated(
    r: np.random.Generator, rows: int, memory: float = 0.9
) -> np.ndarray:
    """Return an autoregressive process with variance 1."""
    x = np.empty(rows)
    x[0] = r.normal()
    for row in range(1, rows):
        x[row] = memory * x[row - 1] + np.sqrt(1 - memory**2) * r.normal()
    return x


def walks(r: np.random.Generator, symbols: list[str], times: Any) -> pd.DataFrame:
    """Return a random walk of the logarithm of a price for each symbol."""
    tables = []
    for symbol in symbols:
        price = 50 * np.exp(
            r.normal(0, 0.7) + np.cumsum(r.normal(0.005, 0.08, len(times)))
        )
        tables.append(
            pd.DataFrame({"symbol": symbol, "date": times, "price": price.round(2)})
        )
    return pd.concat(tables, ignore_index=True)


@panel
def stocks_by_month(r):
    return walks(
        r,
        ["MSFT", "AMZN", "IBM", "GOOG", "AAPL"],
        pd.date_range("2000-01-01", periods=123, freq="MS"),
    )


@panel
def stocks_with_dates_as_text(r):
    table = walks(
        r,
        ["MSFT", "AMZN", "IBM", "GOOG", "AAPL"],
        pd.date_range("2000-01-01", periods=123, freq="MS"),
    )
    return table.assign(date=table["date"].dt.strftime("%b %d %Y")).rename(
        columns={"price": "close"}
    )


@panel
def many_stocks_by_week(r):
    table = walks(
        r,
        [f"{chr(65 + n)}{chr(70 + n)}C" for n in range(20)],
        pd.date_range("2018-01-05", periods=100, freq="7D"),
    )
    table["volume"] = r.lognormal(10, 1, len(table)).round()
    return table.sample(frac=1, random_state=1)


@panel
def one_walk_by_day(r):
    rows = 700
    walk = np.cumsum(r.normal(size=rows))
    return pd.DataFrame(
        {
            "day": pd.date_range("2020-01-01", periods=rows),
            "noise": r.normal(size=rows),
            "level": walk,
        }
    )


@panel
def exchange_rate_in_shuffled_rows(r):
    rows = 1500
    rate = np.exp(np.cumsum(r.normal(0, 0.01, rows)))
    table = pd.DataFrame(
        {
            "datum": pd.date_range("2015-01-01", periods=rows).strftime("%d.%m.%Y"),
            "rate": rate.round(4),
        }
    )
    table["orders"] = r.poisson(20, rows)
    return table.sample(frac=1, random_state=2)


def visits(
    r, people: int, each: int, effect: float = 1.0, noise: float = 0.5
) -> pd.DataFrame:
    """Return repeated measurements with an effect of each person."""
    person = np.repeat(np.arange(people), each)
    age, weight = r.integers(20, 80, people), r.normal(75, 12, people).round(1)
    table = pd.DataFrame(
        {"patient": person, "age": age[person], "weight": weight[person]}
    )
    table["sex"] = r.choice(["f", "m"], people)[person]
    table["dose"] = r.uniform(0, 10, len(person)).round(1)
    table["pressure"] = (
        120
        + 0.3 * table["dose"]
        + 10 * effect * r.normal(size=people)[person]
        + 10 * noise * r.normal(size=len(person))
    ).round(1)
    return table


@panel
def patients(r):
    return visits(r, 80, 8)


@panel
def patients_with_text_ids(r):
    table = visits(r, 60, 10)
    return table.assign(patient=table["patient"].map("P{:03d}".format)).sample(
        frac=1, random_state=0
    )


@panel
def patients_with_visit_dates(r):
    table = visits(r, 100, 6)
    return table.assign(visit=days(r, len(table)).strftime("%Y-%m-%d"))


@panel
def patients_with_visit_numbers(r):
    table = visits(r, 150, 5)
    return table.assign(visit=np.tile(np.arange(1, 6), 150))


@panel
def patients_without_attributes(r):
    table = visits(r, 120, 5)[["patient", "dose", "pressure"]]
    return table.rename(columns={"patient": "subject_id"})


@panel
def many_patients(r):
    return visits(r, 400, 6).sample(frac=1, random_state=3)


@panel
def patients_ill_or_well(r):
    table = visits(r, 100, 8, effect=1.5)
    return table.assign(
        pressure=np.where(table["pressure"] > 121, "ill", "well")
    ).rename(columns={"pressure": "state"})


@panel
def speakers(r):
    people, each = 40, 20
    person = np.repeat(np.arange(people), each)
    pitch, length = r.normal(size=people), r.normal(size=people)
    table = pd.DataFrame({"speaker": [f"spk{n}" for n in person]})
    for number in range(6):
        table[f"f{number}"] = (
            pitch[person] * r.normal()
            + length[person] * r.normal()
            + 0.3 * r.normal(size=len(person))
        ).round(3)
    return table.assign(
        emotion=np.where(r.normal(size=people)[person] > 0, "calm", "angry")
    ).sample(frac=1, random_state=4)


def stores(r, count: int, weeks: int, trend: float, noise: float = 1.0) -> pd.DataFrame:
    """Return weekly sales of stores with a trend and a common shock of each week."""
    store, week = np.repeat(np.arange(count), weeks), np.tile(np.arange(weeks), count)
    common = np.cumsum(r.normal(0, 1, weeks))
    table = pd.DataFrame(
        {
            "store": store + 1,
            "week": pd.Timestamp("2019-01-07") + pd.to_timedelta(7 * week, "D"),
        }
    )
    table["promo"] = r.integers(0, 2, len(table))
    table["size"] = r.integers(50, 500, count)[store]
    table["sales"] = (
        100
        + 5 * r.normal(size=count)[store]
        + trend * week * r.normal(1, 0.5, count)[store]
        + 2 * common[week]
    )
    table["sales"] = (
        table["sales"] + 3 * table["promo"] + noise * r.normal(size=len(table))
    ).round(1)
    return table


@panel
def stores_by_week(r):
    return stores(r, 20, 60, 0.2)


@panel
def few_stores_by_week(r):
    return stores(r, 6, 150, 0.1).drop(columns="size")


@panel
def stores_with_week_numbers(r):
    table = stores(r, 30, 52, 0.3)
    return table.assign(week=(table["week"] - table["week"].min()).dt.days // 7 + 1)


@panel
def stores_with_text_names(r):
    table = stores(r, 25, 40, 0.2)
    names = [
        f"{first}{second}"
        for first in ("North", "East", "Old", "New", "Lake")
        for second in ("ville", "ton", "burg", "field", "wood")
    ]
    return table.assign(store=[names[number - 1] for number in table["store"]])


@panel
def common_shocks_without_store_effects(r):
    table = stores(r, 40, 30, 0.0)
    shock = r.normal(0, 5, 30)[np.tile(np.arange(30), 40)]
    return table.assign(
        sales=(50 + shock + 3 * table["promo"] + r.normal(size=len(table))).round(1)
    )


@panel
def large_chain(r):
    return stores(r, 60, 100, 0.1)


@panel
def weather_by_day(r):
    rows = 1461
    day = pd.date_range("2012-01-01", periods=rows)
    season = -np.cos(2 * np.pi * np.arange(rows) / 365.25)
    front = autocorrelated(r, rows, 0.93)
    table = pd.DataFrame(
        {"date": day, "precipitation": np.maximum(r.normal(-1, 4, rows), 0).round(1)}
    )
    table["wind"] = np.abs(r.normal(3, 1.5, rows)).round(1)
    table["temp_max"] = (15 + 9 * season + 4 * front + 0.5 * r.normal(size=rows)).round(
        1
    )
    return table


@panel
def weather_classes(r):
    rows = 1461
    front, season = (
        autocorrelated(r, rows, 0.95),
        -np.cos(2 * np.pi * np.arange(rows) / 365.25),
    )
    table = pd.DataFrame(
        {"date": pd.date_range("2012-01-01", periods=rows).strftime("%Y/%m/%d")}
    )
    table["wind"] = np.abs(r.normal(3, 1.5, rows)).round(1)
    table["humidity"] = (60 + 5 * front + 10 * r.normal(size=rows)).round()
    table["weather"] = np.select(
        [front + 0.3 * season > 0.5, front + 0.3 * season > -0.6],
        ["sun", "rain"],
        "fog",
    )
    return table


@panel
def air_quality_with_month_and_day(r):
    rows = 600
    day = pd.date_range("2020-01-01", periods=rows)
    level = autocorrelated(r, rows, 0.95)
    table = pd.DataFrame(
        {
            "year": day.year,
            "month": day.month,
            "day": day.day,
            "wind": r.normal(8, 3, rows).round(1),
        }
    )
    return table.assign(
        ozone=(40 + 15 * level - table["wind"] + 3 * r.normal(size=rows)).round(1)
    )


@panel
def hourly_load(r):
    rows = 24 * 60
    hour = pd.date_range("2022-03-01", periods=rows, freq="h")
    level = autocorrelated(r, rows, 0.99)
    load = (
        100 + 10 * np.sin(2 * np.pi * hour.hour / 24) + 15 * level + r.normal(size=rows)
    )
    return pd.DataFrame(
        {
            "timestamp": hour,
            "temperature": (10 + 3 * autocorrelated(r, rows)).round(1),
            "load": load.round(1),
        }
    )


@panel
def sensors_with_running_time(r):
    rows, tables = 200, []
    for sensor in range(6):
        drift = autocorrelated(r, rows, 0.97)
        table = pd.DataFrame(
            {
                "sensor": f"S{sensor}",
                "time": np.arange(rows) * 0.5,
                "volt": r.normal(5, 0.2, rows).round(3),
            }
        )
        tables.append(
            table.assign(
                reading=(
                    20 + r.normal(0, 5) + 3 * drift + 0.3 * r.normal(size=rows)
                ).round(2)
            )
        )
    return pd.concat(tables, ignore_index=True)


@panel
def one_sensor_with_seconds(r):
    rows = 900
    table = pd.DataFrame(
        {"seconds": np.arange(rows) / 10, "current": r.normal(2, 0.1, rows).round(3)}
    )
    return table.assign(
        pressure=(3 + autocorrelated(r, rows, 0.98) + 0.1 * r.normal(size=rows)).round(
            3
        )
    )


@panel
def machines_that_fail(r):
    machines, each = 50, 30
    machine_id = np.repeat(1000 + r.permutation(9000)[:machines], each)
    weak = np.repeat(r.normal(size=machines), each)
    table = pd.DataFrame(
        {
            "machine_id": machine_id,
            "hours": r.uniform(0, 1000, len(machine_id)).round(),
            "torque": r.normal(40, 5, len(machine_id)).round(1),
        }
    )
    return table.assign(
        fails=(
            2 * weak + 0.002 * table["hours"] + r.normal(size=len(table)) > 1
        ).astype(int)
    ).sample(frac=1, random_state=5)


@panel
def users_with_integer_ids(r):
    count = 150
    user = r.choice(count, 2000, p=r.dirichlet(np.ones(count)))
    taste = r.normal(size=count)
    table = pd.DataFrame(
        {
            "user_id": user + 1,
            "cost": r.uniform(1, 50, 2000).round(2),
            "genre": r.choice(["a", "b", "c", "d"], 2000),
        }
    )
    return table.assign(
        rating=(
            3 + taste[user] - 0.01 * table["cost"] + 0.4 * r.normal(size=2000)
        ).round(2)
    )


@panel
def customers_with_dates(r):
    count, rows = 200, 1600
    customer = r.integers(0, count, rows)
    table = pd.DataFrame(
        {
            "customer": [f"C-{10_000 + 7 * n}" for n in customer],
            "ordered": days(r, rows),
            "items": r.poisson(4, rows),
        }
    )
    return table.assign(
        amount=(
            30
            * np.exp(0.8 * r.normal(size=count)[customer] + 0.3 * r.normal(size=rows))
            + 3 * table["items"]
        ).round(2)
    )


@panel
def pupils_of_schools(r):
    count = 40
    school = np.repeat(np.arange(count), 25)
    table = pd.DataFrame(
        {
            "school": [f"school {n + 1}" for n in school],
            "hours": r.uniform(0, 10, len(school)).round(1),
        }
    )
    return table.assign(
        score=(
            50
            + 8 * r.normal(size=count)[school]
            + table["hours"]
            + 4 * r.normal(size=len(school))
        ).round(1)
    )


@panel
def firms_by_year(r):
    firms, years = 40, 20
    firm, year = (
        np.repeat(np.arange(firms), years),
        np.tile(np.arange(1990, 1990 + years), firms),
    )
    capital = np.exp(r.normal(size=firms)[firm] + 0.05 * (year - 1990))
    invest = np.exp(
        0.5 * np.log(capital)
        + r.normal(size=firms)[firm]
        + 0.2 * r.normal(size=len(firm))
    )
    return pd.DataFrame(
        {
            "firm": firm + 1,
            "year": year,
            "capital": capital.round(3),
            "invest": invest.round(3),
        }
    )


@panel
def counties_by_year_and_shocks(r):
    count, years = 60, 15
    county, year = (
        np.repeat(np.arange(count), years),
        np.tile(np.arange(2001, 2001 + years), count),
    )
    table = pd.DataFrame(
        {"county": [f"county of {chr(65 + n % 26)}{n}" for n in county], "year": year}
    )
    table["income"] = (
        30 + 5 * r.normal(size=count)[county] + r.normal(size=len(county))
    ).round(2)
    return table.assign(
        crime=(
            20
            + 4 * r.normal(size=count)[county]
            + 3 * r.normal(size=years)[year - 2001]
            + r.normal(size=len(county))
        ).round(2)
    )


@panel
def animals_that_grow(r):
    animals, times = 50, np.array([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21])
    animal, time = np.repeat(np.arange(animals), len(times)), np.tile(times, animals)
    rate = 8 * np.exp(0.3 * r.normal(size=animals))
    table = pd.DataFrame(
        {"Chick": animal + 1, "Time": time, "Diet": r.integers(1, 5, animals)[animal]}
    )
    return table.assign(
        weight=(40 + rate[animal] * time + 3 * r.normal(size=len(animal))).round(1)
    )


@panel
def households_and_members(r):
    count = 300
    household = np.repeat(np.arange(count), r.integers(2, 6, count))
    rich = r.normal(size=count)
    table = pd.DataFrame(
        {
            "hh_id": household + 100_000,
            "age": r.integers(18, 90, len(household)),
            "rooms": r.integers(1, 8, count)[household],
        }
    )
    return table.assign(
        spends=(
            100 * np.exp(rich[household] + 0.2 * r.normal(size=len(household)))
        ).round()
    )


@panel
def images_of_cells(r):
    slides, each = 60, 15
    slide = np.repeat(np.arange(slides), each)
    stain = r.normal(size=(slides, 3))
    table = pd.DataFrame(
        {"slide": [f"{17 * n % 97:02d}-{'abc'[n % 3]}" for n in slide]}
    )
    for number in range(3):
        table[f"stain{number}"] = (
            stain[slide, number] + 0.05 * r.normal(size=len(slide))
        ).round(3)
    return table.assign(
        benign=np.where(r.normal(size=slides)[slide] > 0, "yes", "no")
    ).sample(frac=1, random_state=8)


@panel
def prices_with_excel_days(r):
    rows = 800
    walk = np.exp(np.cumsum(r.normal(0, 0.02, rows)))
    return pd.DataFrame(
        {
            "trade_date": [
                int(day.strftime("%Y%m%d"))
                for day in pd.bdate_range("2019-01-01", periods=rows)
            ],
            "volume": r.lognormal(3, 1, rows).round(),
            "close": (100 * walk).round(2),
        }
    )


def plain(r, rows: int = 800, noise: float = 0.5) -> pd.DataFrame:
    """Return independent rows whose target depends on numbers and a category."""
    table = pd.DataFrame(r.normal(size=(rows, 5)).round(3), columns=list("abcde"))
    table["color"] = r.choice(["red", "green", "blue", "white"], rows)
    effect = table["color"].map({"red": 1.0, "green": -0.5, "blue": 0.0, "white": 2.0})
    table["y"] = (
        np.sin(2 * table["a"])
        + table["b"] * table["c"]
        + effect
        + noise * r.normal(size=rows)
    ).round(3)
    return table


@harmless
def random_dates(r):
    return plain(r).assign(day=lambda table: days(r, len(table)))


@harmless
def random_dates_as_text(r):
    return plain(r, 1500).assign(
        ordered=lambda table: days(r, len(table)).strftime("%d/%m/%Y")
    )


@harmless
def one_row_per_day(r):
    return plain(r, 700).assign(
        day=lambda table: pd.date_range("2020-01-01", periods=len(table))
    )


@harmless
def one_row_per_hour_of_independent_load(r):
    return plain(r, 2000).assign(
        time=lambda table: pd.date_range("2020-01-01", periods=len(table), freq="h")
    )


@harmless
def years_of_construction(r):
    table = plain(r, 1200)
    table["year_built"] = r.integers(1900, 2020, len(table))
    return table.assign(y=(table["y"] + 0.01 * (table["year_built"] - 1960)).round(3))


@harmless
def births(r):
    table = plain(r, 1200)
    age = r.uniform(18, 90, len(table))
    table["born"] = (
        pd.Timestamp("2024-06-01") - pd.to_timedelta((365.25 * age).round(), "D")
    ).strftime("%Y-%m-%d")
    return table.assign(y=(table["y"] + 0.02 * age).round(3))


@harmless
def customers_without_effect(r):
    return plain(r, 1000).assign(
        customer_id=lambda table: r.integers(1, 150, len(table))
    )


@harmless
def text_ids_without_effect(r):
    return plain(r, 1500).assign(
        user=lambda table: [f"u{n:04d}" for n in r.integers(0, 300, len(table))]
    )


@harmless
def patients_without_effect(r):
    table = visits(r, 100, 8, effect=0.0, noise=0.3)
    return table.assign(
        pressure=(table["pressure"] + 2 * table["dose"] + 0.3 * table["age"]).round(1)
    )


@harmless
def stores_and_dates_without_effect(r):
    table = plain(r, 1200)
    return table.assign(
        store=np.repeat(np.arange(1, 31), 40),
        week=np.tile(pd.date_range("2022-01-03", periods=40, freq="7D"), 30),
    )


@harmless
def order_numbers(r):
    return plain(r, 900).assign(
        order_id=lambda table: 10_000 + r.permutation(len(table))
    )


@harmless
def unique_text_ids(r):
    return plain(r, 900).assign(
        id=lambda table: [f"A-{n:05d}" for n in r.permutation(90_000)[: len(table)]]
    )


@harmless
def sex_class_and_port(r):
    rows = 900
    table = pd.DataFrame(
        {
            "pclass": r.integers(1, 4, rows),
            "sex": r.choice(["male", "female"], rows),
            "age": r.integers(1, 80, rows),
        }
    )
    table["embarked"] = r.choice(["S", "C", "Q"], rows, p=[0.7, 0.2, 0.1])
    score = (
        2.5 * (table["sex"] == "female")
        - (table["pclass"] - 2)
        - 0.02 * table["age"]
        + r.logistic(size=rows)
    )
    return table.assign(survived=(score > 0.5).astype(int))


@harmless
def cities_with_effect(r):
    table = plain(r, 1500)
    names = [
        "Oslo",
        "Rome",
        "Bern",
        "Paris",
        "Lyon",
        "Kyiv",
        "Riga",
        "Wien",
        "Prag",
        "Bonn",
        "Köln",
        "Graz",
        "Turin",
        "Porto",
        "Cork",
        "Gent",
    ]
    city = r.integers(0, len(names), len(table))
    return table.assign(
        city=np.array(names)[city],
        y=(table["y"] + r.normal(size=len(names))[city]).round(3),
    )


@harmless
def brands_and_models(r):
    table = plain(r, 1500)
    brand = r.choice(30, len(table), p=r.dirichlet(2 * np.ones(30)))
    names = np.array(
        [
            f"{a}{b}"
            for a in ("Al", "Be", "Co", "Da", "El", "Fi")
            for b in ("ro", "mi", "nta", "xus", "go")
        ]
    )
    return table.assign(
        brand=names[brand], y=(table["y"] + r.normal(size=30)[brand]).round(3)
    )


@harmless
def regions_and_states(r):
    table = plain(r, 1200)
    state = r.integers(0, 12, len(table))
    region = np.array(["north", "south", "east", "west"])[state % 4]
    return table.assign(
        state=np.array([f"{c}{c}" for c in "ABCDEFGHIJKL"])[state],
        region=region,
        y=(table["y"] + 0.7 * r.normal(size=12)[state]).round(3),
    )


@harmless
def diamonds(r):
    rows = 2000
    carat = np.sort(r.lognormal(-0.4, 0.5, rows)).round(2)
    table = pd.DataFrame(
        {
            "carat": carat,
            "cut": r.choice(["Fair", "Good", "Ideal", "Premium"], rows),
            "clarity": r.choice(["I1", "SI2", "VS1", "IF"], rows),
        }
    )
    price = (
        4000
        * carat**1.6
        * table["clarity"].map({"I1": 0.6, "SI2": 0.8, "VS1": 1.1, "IF": 1.5})
        * np.exp(0.1 * r.normal(size=rows))
    )
    return table.assign(price=price.round())


@harmless
def numbered_rows(r):
    table = plain(r, 900).sort_values("y", ignore_index=True)
    return table.reset_index().rename(columns={"index": "Unnamed: 0"})


@harmless
def evenly_spaced_inputs(r):
    x = np.linspace(0, 10, 400).round(3)
    return pd.DataFrame(
        {"x": x, "y": (np.sin(x) * x + 0.3 * r.normal(size=400)).round(3)}
    )


@harmless
def counts_and_ages(r):
    table = plain(r, 1200)
    return table.assign(
        age=r.integers(18, 80, 1200),
        children=r.integers(0, 5, 1200),
        y=lambda t: (t["y"] + 0.03 * t["age"] + 0.3 * t["children"]).round(3),
    )


@harmless
def month_and_weekday(r):
    table = plain(r, 1200)
    day = days(r, 1200)
    return table.assign(
        month=day.month_name(),
        weekday=day.day_name(),
        y=(table["y"] + np.sin(day.month / 2)).round(3),
    )


@harmless
def hours_of_day(r):
    table = plain(r, 1500)
    hour = r.integers(0, 24, len(table))
    return table.assign(
        hour=hour, y=(table["y"] + np.sin(hour / 24 * 2 * np.pi)).round(3)
    )


@harmless
def zip_codes(r):
    table = plain(r, 1500)
    zone = r.integers(0, 40, len(table))
    return table.assign(
        zip=[f"{1000 + 37 * n:05d}" for n in zone],
        y=(table["y"] + 0.5 * r.normal(size=40)[zone]).round(3),
    )


@harmless
def classes_with_dates(r):
    table = plain(r, 1500)
    return table.assign(
        y=np.where(table["y"] > 0.6, "yes", "no"), created=days(r, len(table))
    )


@harmless
def occupations(r):
    table = plain(r, 2000)
    job = r.choice(14, len(table), p=r.dirichlet(3 * np.ones(14)))
    return table.assign(
        occupation=[f"{'abcdefghijklmn'[n]}-worker" for n in job],
        y=np.where(table["y"] + r.normal(size=14)[job] > 0.5, ">50K", "<=50K"),
    )


@harmless
def season_by_date(r):
    table = plain(r, 1800)
    day = days(r, 1800, 1400)
    return table.assign(
        date=day,
        y=(table["y"] + 0.7 * np.sin(2 * np.pi * day.day_of_year / 365.25)).round(3),
    )


@harmless
def field_trial(r):
    rows = [
        (v, b, rep)
        for v in "ABCDEFGHIJKL"
        for b in ("I", "II", "III", "IV")
        for rep in range(6)
    ]
    table = pd.DataFrame(rows, columns=["variety", "block", "plot"])
    table["nitrogen"] = r.uniform(0, 2, len(table)).round(2)
    effect = dict(zip("ABCDEFGHIJKL", r.normal(size=12), strict=True))
    return table.assign(
        crop=(
            5
            + table["variety"].map(effect)
            + np.sqrt(table["nitrogen"]) * 2
            + 0.4 * r.normal(size=len(table))
        ).round(2)
    )


def target_of(table: pd.DataFrame) -> str:
    """Return the target: a column with one of these names, or the last column."""
    return next(
        (name for name in ("y", "price", "rate", "pressure") if name in table),
        table.columns[-1],
    )


def tables(names: set[str], seeds: int) -> Iterator[tuple[str, bool, pd.DataFrame]]:
    """Yield the name of each table, whether its rows are related, and the table."""
    for is_related, group in ((True, PANELS), (False, HARMLESS)):
        for number, (name, table) in enumerate(group.items()):
            for seed in range(seeds):
                if not names or name in names:
                    yield (
                        f"{name} {seed}" if seeds > 1 else name,
                        is_related,
                        table(np.random.default_rng([number, is_related, seed])),
                    )

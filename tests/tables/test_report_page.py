"""The parts of a report page that readers explore: distributions, sorted tables and the choice of a threshold."""

import re
import shutil
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conditions import empty_pictures
from vecprop import TabularClassifier, TabularRegressor
from vecprop.tables import evaluate

BROWSER = (
    shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)
QUICK: Any = {
    "n_estimators": 2,
    "max_iter": 3,
    "hidden_layer_sizes": 4,
    "random_state": 0,
}
N = 200
RNG = np.random.default_rng(0)
HOSTILE = ["</script><script>alert(1)", "\"'><img src=x>", "{{7*7}}"]
TABLE: Any = pd.DataFrame(
    {
        "amount": [*range(1, N), 1e6],
        "town": RNG.choice(["Oslo", "Rome", "Bern", "Lima"], N, p=[0.5, 0.3, 0.1, 0.1]),
        "since": pd.date_range("2024-01-01", periods=N),
        "<b>hostile</b>": RNG.choice(HOSTILE, N),
        "gaps": np.where(np.arange(N) % 4 == 0, np.nan, RNG.normal(size=N)),
        "key": [f"k{number}" for number in range(N)],
        **{f"c{number:02}": RNG.normal(size=N) for number in range(16)},
    }
)
IS_POSITIVE: Any = TABLE["c00"] + RNG.normal(size=N) > 1
POSITIVE = '</script>"yes"'


def page_of(model, X, y, folder, **settings):
    """Return the evaluation and the page of a fitted model."""
    evaluation = evaluate(model, X, y, baselines=False, **settings)
    return evaluation, written(evaluation, folder)


def written(evaluation, folder):
    """Return the page of an evaluation with empty plots, because drawing is slow."""
    with empty_pictures():
        evaluation.report(folder / "page.html")
    return (folder / "page.html").read_text("utf-8")


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    """Return the evaluation and the page of a classifier of weighted rows."""
    table = TABLE.assign(
        y=np.where(IS_POSITIVE, POSITIVE, "no"), weight=RNG.uniform(0.5, 5, N)
    )
    model = TabularClassifier(
        "y", positive=POSITIVE, threshold="cost:5,1", **QUICK
    ).fit(table, sample_weight="weight")
    folder = tmp_path_factory.mktemp("binary")
    return page_of(model, table, None, folder, weight="weight")


def cells(page, column):
    """Return the cells of a row in the table of columns, by head."""
    _, page = page.split("<h2>Columns</h2>")
    row, *_ = re.findall(
        rf'<tr><td data-head="column" class="name">{re.escape(column)}</td>.*?</tr>',
        page,
        re.DOTALL,
    )
    return dict(re.findall(r'<td data-head="(.*?)".*?>(.*?)</td>', row, re.DOTALL))


def heights(cell):
    """Return the heights of the bars of a histogram, in percent."""
    (polygon,) = re.findall(r"polygon\((.*?)\)", cell, re.DOTALL)
    _, *corners, _ = polygon.split(",")
    return [100 - float(corner.split()[1].rstrip("%")) for corner in corners[::2]]


def test_columns_have_histograms_and_frequencies(binary):
    _, page = binary
    amount = cells(page, "amount")["values"]
    assert heights(amount) == [100] + [0] * 18 + [1]  # 199 of 200, and an outlier
    assert 'aria-label="Histogram from 1 to 1e+06"' in amount
    assert "<span>101</span>" in amount  # the median
    since = cells(page, "since")["values"]
    assert heights(since) == [100] * 20
    assert "Histogram from 2024-01-01 to 2024-07-18" in since
    town = cells(page, "town")["values"]
    share = (TABLE["town"] == "Oslo").mean()
    assert town.index("Oslo") < town.index("Rome")
    assert f'data-share="{share:.0%}"' in town
    assert "1 more" in town
    key = cells(page, "key")["values"]
    assert key.count('class="frequency"') == 3
    assert "197 more" in key
    assert cells(page, "gaps")["missing"] == "50 (25.0%)"


def test_histograms_of_unusual_numbers(tmp_path):
    columns = {
        "close": [1e16, 1e16 + 2, 1e16 + 4],
        "large": [-1e90, 1e90, 0],
        "infinite": [-np.inf, np.inf, 1],
        "tiny": [5e-324, 1e-323, 0],
        "one number": [np.nan, 1, 1],
        "Booleans": [True, False, False],
        "texts": ["1,5", "2,5", "?"],
    }
    X = pd.DataFrame({name: values * 20 for name, values in columns.items()})
    y = RNG.normal(size=60)
    model = TabularRegressor(columns={"texts": "number ,"}, **QUICK).fit(X, y)
    _, page = page_of(model, X, y, tmp_path)
    for name in columns:
        values = cells(page, name)["values"]
        assert "nan" not in values
        assert "frequency" in values or max(heights(values)) == 100
    assert heights(cells(page, "texts")["values"]) == [100] + [0] * 18 + [100]


def test_hostile_texts_are_escaped(binary):
    _, page = binary
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<img" not in page
    assert "<b>hostile" not in page
    assert "http" not in page
    for text in HOSTILE:
        assert text[:23] in unescape(
            cells(page, "&lt;b&gt;hostile&lt;/b&gt;")["values"]
        )


def test_equal_evaluations_have_equal_pages(binary, tmp_path):
    evaluation, page = binary
    again = written(evaluation, tmp_path)
    date = re.compile(rf"{datetime.now().year}-\d\d-\d\d \d\d:\d\d")
    assert date.sub("", again) == date.sub("", page)


def points_of(page):
    """Return the thresholds, recalls and false positive rates of a page."""
    (text,) = re.findall(r'data-points="(.*?)"', page)
    return np.array([point.split(",") for point in text.split()], float).T


def test_the_curve_of_thresholds_agrees_with_the_metrics(binary):
    evaluation, page = binary
    thresholds, recalls, alarm_rates = points_of(page)
    assert (np.diff(thresholds) > 0).all()
    assert (np.diff(recalls) <= 0).all()
    (chosen,) = re.findall(r'data-chosen="(\d+)"', page)
    (share,) = re.findall(r'data-share="([\d.]+)"', page)
    chosen, share = int(chosen), float(share)
    assert thresholds[chosen] == pytest.approx(evaluation.model.threshold_, rel=1e-3)
    assert share == pytest.approx(
        np.average(IS_POSITIVE, weights=evaluation.weight), 1e-5
    )
    hits = share * recalls[chosen]
    precision = hits / (hits + (1 - share) * alarm_rates[chosen])
    assert recalls[chosen] == pytest.approx(evaluation.metrics["recall"].value, 1e-3)
    assert precision == pytest.approx(evaluation.metrics["precision"].value, 1e-3)
    for cost in ("5", "1"):
        assert f'step="any" value="{cost}"' in page


def test_only_binary_targets_with_both_classes_have_a_curve_of_thresholds(tmp_path):
    X = TABLE[["amount", "c00"]]
    kinds = np.array(["a", "b", "c"])[np.arange(N) % 3]
    model = TabularClassifier(**QUICK).fit(X, kinds)
    assert "data-points" not in page_of(model, X, kinds, tmp_path)[1]
    model = TabularClassifier(**QUICK).fit(X, IS_POSITIVE)
    _, page = page_of(model, X, IS_POSITIVE, tmp_path)
    assert 0.5 in points_of(page)[0]
    assert page.count('step="any" value="1"') == 2
    one_class = X[IS_POSITIVE]
    _, page = page_of(model, one_class, IS_POSITIVE[IS_POSITIVE], tmp_path)
    assert "data-points" not in page


@pytest.fixture
def browse(tmp_path):
    """Return a function that opens a page in Chromium; errors and requests fail the test."""
    if BROWSER is None:
        pytest.skip("No Chromium on the PATH: install it, as by apt-get.")
    from playwright.sync_api import sync_playwright

    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )

        def open_page(text, **settings):
            path = Path(tmp_path / "page.html")
            path.write_text(text, encoding="utf-8")
            page = browser.new_page(**settings)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("dialog", lambda dialog: problems.append(dialog.message))
            page.on("request", lambda request: problems.append(request.url))
            page.goto(path.as_uri())
            return page

        yield open_page
        browser.close()
    assert not [problem for problem in problems if not problem.startswith("file:")]


def texts(page, selector):
    return page.locator(selector).all_text_contents()


@pytest.mark.long
def test_tables_are_sorted_by_mouse_and_keyboard(binary, browse):
    page = browse(binary[1])
    names = ".long:has(.columns) tbody td.name"
    original = texts(page, names)
    (visible, folded) = [
        len(texts(page.locator(f".columns >> nth={number}"), "td.name"))
        for number in (0, 1)
    ]
    head = page.locator(".columns thead button", has_text="column").first
    head.focus()
    page.keyboard.press("Enter")
    assert texts(page, names) == sorted(original, key=str.casefold)
    assert page.locator("th[aria-sort=ascending]").count() == 2  # of both parts
    page.keyboard.press("Space")
    assert texts(page, names) == sorted(original, key=str.casefold, reverse=True)
    assert page.locator("th[aria-sort=descending]").count() == 2
    assert page.locator(".columns >> nth=0").locator("td.name").count() == visible
    assert page.locator(".columns >> nth=1").locator("td.name").count() == folded
    page.keyboard.press("Enter")
    assert texts(page, names) == original
    assert page.locator("th[aria-sort]").count() == 0
    page.locator(".columns thead button", has_text="missing").first.click()
    assert texts(page, names)[0] == "gaps"
    page.locator(".columns thead button", has_text="importance").first.click()
    assert page.locator("th[aria-sort]").count() == 2
    bars = texts(page, ".long:has(.columns) tbody td.bars")
    rises = [float(bar.split("%")[0]) for bar in bars if "%" in bar]
    assert rises == sorted(rises, reverse=True)
    assert bars[-1].strip() == ""  # unused columns stay at the end


@pytest.mark.long
def test_the_slider_and_the_costs_change_the_readout(binary, browse):
    page = browse(binary[1])
    thresholds, recalls, alarm_rates = points_of(binary[1])
    share = float(re.findall(r'data-share="([\d.]+)"', binary[1])[0])

    def readout(name):
        return texts(page, f"[data-at={name}]")

    assert readout("slider") == readout("model")
    page.locator(".threshold [type=range]").focus()
    page.keyboard.press("Home")
    threshold, precision, recall, flagged, cost = readout("slider")
    assert (threshold, recall, flagged) == ("0", "100.0%", "100.0%")
    assert precision == f"{share:.1%}"
    assert float(cost) == pytest.approx(1 - share, abs=5e-3)
    page.keyboard.press("End")
    assert readout("slider")[1:4] == ["–", "0.0%", "0.0%"]
    miss, _ = page.locator(".threshold [type=number]").all()
    miss.fill("2")
    costs = 2 * share * (1 - recalls) + (1 - share) * alarm_rates
    best = np.argmin(costs)
    assert float(readout("best")[0]) == pytest.approx(thresholds[best], rel=5e-3)
    assert float(readout("best")[4]) == pytest.approx(costs[best], rel=5e-3)
    miss.fill("")  # counts as 0
    assert float(readout("best")[4]) == 0
    box = page.locator(".threshold svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 192 / 360, box["y"] + 50)
    middle = float(readout("slider")[0])
    assert middle == pytest.approx(thresholds[-1] / 2, abs=0.01)


@pytest.mark.long
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_screen_and_work_without_scripts(binary, browse, width, scheme):
    viewport = {"width": width, "height": 800}
    page = browse(binary[1], viewport=viewport, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page = browse(binary[1], viewport=viewport, java_script_enabled=False)
    assert page.locator(".threshold [type=range]").is_hidden()
    assert page.locator(".threshold svg").is_visible()
    assert page.locator("th button").count() == 0

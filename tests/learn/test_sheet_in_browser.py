"""Test worksheets and traces in a real browser."""

import shutil

import pytest

import vecprop as vp
from vecprop import learn
from vecprop.learn.sheet_files import graded_sheet, written

BROWSER = (
    shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)

pytestmark = pytest.mark.long


@pytest.fixture
def browse(tmp_path):
    """Return a function that opens HTML in Chromium; errors and requests fail the test."""
    if BROWSER is None:
        pytest.skip(
            "No Chromium on the PATH: install it, for instance by `apt-get install"
            " chromium`."
        )
    from playwright.sync_api import sync_playwright

    wrong = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )

        def open_page(content, **settings):
            path = tmp_path / "page.html"
            path.write_text(content, encoding="utf-8")
            page = browser.new_context(accept_downloads=True, **settings).new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.append(message.text))
            page.on("request", lambda request: wrong.append(request.url))
            page.goto(path.as_uri())
            return page

        yield open_page
        browser.close()
    assert not [what for what in wrong if not what.startswith(("file:", "blob:"))]


def test_a_sheet_is_filled_in_saved_and_graded(browse, tmp_path):
    sheet = learn.worksheet(
        "2-3-1",
        rows=2,
        activation="tanh",
        loss="squared_error",
        seed=5,
        name='Zoë "<b>"',
    )
    page = browse(written(sheet, ".html"), viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    numbers = [
        f"{number:.3f}" for value in sheet.blanks for number in value.array.ravel()
    ]
    fields = page.locator("input[data-name]")
    assert fields.count() == len(numbers)
    for place, number in enumerate(numbers):
        fields.nth(place).fill(number)
    fields.nth(0).fill("about 1")
    assert page.locator(".odd").count() == 1
    assert (
        page.get_by_role("status").inner_text()
        == f"{len(numbers) - 1} of {len(numbers)} numbers filled in."
    )
    fields.nth(0).fill(numbers[0].replace(".", ","))
    page.wait_for_timeout(500)  # the browser stores the answers later
    page.reload()
    assert fields.nth(1).input_value() == numbers[1]
    with page.expect_download() as download:
        page.get_by_role("button").click()
    assert download.value.suggested_filename == "answers-Zoë-b-.json"
    download.value.save_as(tmp_path / "answers.json")
    found, grades = graded_sheet(tmp_path / "answers.json", 1, 1000)
    assert found == sheet
    assert grades.right


def test_a_trace_is_readable_where_it_is_narrow_or_dark(browse):
    network = vp.Network(
        2, [vp.Dense(30), vp.ReLU(), vp.Dense(2)], vp.SoftmaxCrossEntropy()
    )
    shown = (
        learn.trace(network, network.init(0), [[1.0, 2.0]] * 40, [0, 1] * 20)
        .step(vp.Adam())
        .to_html()
    )
    page = (
        "<!doctype html><meta name=viewport"
        " content='width=device-width'><style>:root{color-scheme:light dark}</style>"
    )
    for settings in (
        {"viewport": {"width": 380, "height": 700}},
        {"color_scheme": "dark"},
    ):
        opened = browse(page + shown, **settings)
        assert opened.evaluate(
            "document.documentElement.scrollWidth <= window.innerWidth"
        )
        ink, paper = opened.evaluate(
            "[getComputedStyle(document.querySelector('.vecprop-trace td')).color,"
            " getComputedStyle(document.querySelector('.vecprop-trace"
            " td')).backgroundColor]"
        )
        assert paper == "rgba(0, 0, 0, 0)"
        assert (ink == "rgb(255, 255, 255)") is ("color_scheme" in settings)

"""The site is built from the same sources, whole, and is read in a browser."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import types
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlparse

import pytest

import vecprop

ROOT = Path(__file__).parent.parent
BROWSER = (
    shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)

pytestmark = pytest.mark.long


class Page(HTMLParser):
    """What a page refers to, the anchors that it has, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.loaded, self.anchors = list[str](), list[str](), set[str]()
        self.words = list[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value for name, value in attrs if value}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        elif tag in ("link", "script", "img") and known.get("rel") != "canonical":
            self.loaded += [known[name] for name in ("href", "src") if name in known]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, which is built without a warning."""
    docs, built = (
        tmp_path_factory.mktemp("source") / "docs",
        tmp_path_factory.mktemp("site"),
    )
    shutil.copytree(
        ROOT / "docs", docs, ignore=shutil.ignore_patterns("reference", "measured")
    )
    for name in (
        "benchmarks",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "pyproject.toml",
    ):
        (docs.parent / name).symlink_to(ROOT / name)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--fail-on-warning",
        "--keep-going",
        "--quiet",
        docs,
        built,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_public_name_has_a_page_with_an_example(site: Path) -> None:
    packages = [
        vecprop,
        *(
            getattr(vecprop, name)
            for name in ("blocks", "cluster", "export", "extend", "pictures")
        ),
    ]
    names = {
        f"{package.__name__}.{name}" for package in packages for name in package.__all__
    }
    names -= {
        f"vecprop.{name}"
        for name in vecprop.__all__
        if isinstance(getattr(vecprop, name), types.ModuleType)
    }
    # second names share a page with the first
    names -= {"vecprop.SGD", "vecprop.Sigmoid"}
    for name in names:
        page = (site / "reference" / f"{name}.html").read_text(encoding="utf-8")
        assert "&gt;&gt;&gt;" in page, name


def test_names_with_keywords_have_a_page(site: Path) -> None:
    keywords = tomllib.loads(
        (ROOT / "docs" / "keywords.toml").read_text(encoding="utf-8")
    )["vecprop"]
    assert not [
        name
        for name in keywords
        if not (site / "reference" / f"vecprop.{name}.html").exists()
    ]


def test_files_stay_apart_where_capitals_do_not_count(site: Path) -> None:
    paths = [path.relative_to(site).as_posix().lower() for path in site.rglob("*")]
    assert len({*paths}) == len(paths)


def test_pages_that_were_run_are_notebooks_with_what_they_printed(
    site: Path, pages: dict[Path, Page]
) -> None:
    run = [path for path in pages if path.parent.name in ("how-to", "tutorials")]
    run = [path for path in run if path.name not in ("index.html", "containers.html")]
    assert len(run) > 20
    for path in run:
        notebook = json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8"))
        assert any(cell.get("outputs") for cell in notebook["cells"]), path
        assert path.with_suffix(".ipynb").name in pages[path].links


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for link in page.links:
            parts = urlparse(link)
            if not parts.scheme:
                target = (
                    (path.parent / unquote(parts.path)).resolve()
                    if parts.path
                    else path
                )
                assert target.exists(), f"{path.relative_to(site)} leads to {link}"
                # A source page links back by the first name of a function, which may
                # differ from that of its page.
                if parts.fragment and target in pages and "_modules" not in path.parts:
                    assert unquote(parts.fragment) in pages[target].anchors, (
                        f"{path.relative_to(site)}: {link}"
                    )


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    loaded = {address for page in pages.values() for address in page.loaded}
    assert loaded
    assert not [
        address for address in loaded if urlparse(address).scheme not in ("", "data")
    ]


def test_options_and_settings_are_copied_as_they_are_written(
    site: Path, pages: dict[Path, Page]
) -> None:
    for path, text in (
        ("all-options.html", "--target survived"),
        ("reference/vecprop.MLPClassifier.html", '"relu"'),
    ):
        assert text in "".join(pages[site / path].words), path


def test_formulas_are_typeset(site: Path) -> None:
    page = (site / "reference" / "vecprop.Adam.html").read_text(encoding="utf-8")
    assert "<mfrac>" in page


def test_signatures_of_classes_are_their_parameters(
    site: Path, pages: dict[Path, Page]
) -> None:
    assert "beta1=0.9" in "".join(pages[site / "reference" / "vecprop.Adam.html"].words)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def browse(address: str) -> Iterator[Any]:
    """Return a function that opens a page of the site in Chromium; errors and foreign requests fail the test."""
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

        def open_page(path: str, **settings: Any) -> Any:
            page = browser.new_context(**settings).new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    None
                    if request.url.startswith(address)
                    else wrong.append(request.url)
                ),
            )
            page.goto(urljoin(address, path))
            return page

        yield open_page
        browser.close()
    assert not [what for what in wrong if not what.startswith(("data:", "blob:"))]


def test_the_search_finds_a_name(browse: Any) -> None:
    page = browse("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("checkpoint")
    page.keyboard.press("Enter")
    page.wait_for_selector("ul.search li a")
    found = page.locator("ul.search li a").all_inner_texts()
    assert any("Checkpoint" in text for text in found)


QUESTIONS = {
    "class weights": "how-to/imbalanced-classes",
    "resume": "how-to/resume",
    "continue training": "how-to/resume",
    "KINK": "messages",
    "add a layer": "how-to/own-layer",
    "custom loss function": "how-to/own-loss",
    "missing values": "how-to/table",
    "random seed reproducible": "explanation/same-bits",
    "threads": "explanation/same-bits",
    "time series split": "how-to/groups-and-time",
    "ONNX": "reference/vecprop.export.to_onnx",
    "deploy in production": "how-to/serve",
    "out of memory": "larger-than-memory",
    "early stopping": "reference/vecprop.EarlyStopping",
    "hyperparameter tuning": "how-to/search",
    "prediction intervals": "how-to/intervals",
    "feature importance": "tables",
    "shap": "tables",
    "confusion matrix": "tables",
    "overfitting": "reference",
    "normalization": "tables",
    "batch size": "reference",
    "kaggle": "how-to/table",
    "GPU": "explanation/limits",
    "cuda": "explanation/limits",
    "freeze layers": "explanation/limits",
    "multi-label classification": "explanation/limits",
    "faster than pytorch": "measured",
    "install windows": "install",
    "ConvergenceWarning": "messages",
    "compiling for this processor": "messages",
    "ModuleNotFoundError: No module named 'vecprop'": "messages",
    "ValueError: could not convert string to float: 'male'": "messages",
    "how do I know whether my gradient is right?": "gradient-checking",
    "Can I use several GPUs?": "explanation/limits",
    "hyperparamter optimisation": "how-to/search",
    "regularisation": "tables",
    "BatchNormalization": "explanation/limits",
    "state_dict": "coming-from/pytorch",
    "weight decay": "reference/vecprop.AdamW",
    "vanishing gradient": "estimators",
}
"""What newcomers look for, and the page that answers, which is among the first three
results.
"""


def test_a_search_answers_questions_while_the_reader_types(browse: Any) -> None:
    page = browse("index.html")
    page.keyboard.press("Control+k")
    for words, answer in QUESTIONS.items():
        page.locator("#pst-search-dialog input").fill(words)
        page.keyboard.press("Shift")
        # the theme prepends the dot later
        link = f":is([href^='{answer}.html'], [href^='./{answer}.html'])"
        page.locator(f"ul.search > li:nth-child(-n+3) > a{link}").first.wait_for()
        lesser = page.locator(
            "ul.search > li:nth-child(-n+3) > a:is([href*='changes.html'],"
            " [href*='measured/'])"
        )
        assert answer == "measured" or not lesser.count(), words


def test_rare_words_count_more_and_a_page_may_lack_a_word(browse: Any) -> None:
    page = browse("search.html?q=adam+zzzz")
    page.locator(
        "ul.search > li:nth-child(-n+3) > a[href^='reference/vecprop.Adam.html']"
    ).first.wait_for()


def test_two_clicks_lead_from_the_front_to_a_name(browse: Any) -> None:
    page = browse("index.html")
    page.locator("a", has_text="Reference").first.click()
    page.locator("article a", has_text=re.compile("^Adam$")).first.click()
    assert "Kingma" in page.locator("article").inner_text()


def test_a_narrow_window_scrolls_down_alone(browse: Any) -> None:
    for path in ("index.html", "tables.html", "reference/vecprop.Adam.html"):
        page = browse(path, viewport={"width": 380, "height": 700})
        assert page.evaluate(
            "document.documentElement.scrollWidth <= window.innerWidth"
        ), path


def test_dark_mode_is_dark(browse: Any) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        page = browse("tables.html", color_scheme=scheme)
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", color)[:3])) < 200) is is_dark
        drawn = page.locator("article img").first.evaluate(
            "image => getComputedStyle(image).filter"
        )
        assert ("invert" in drawn) is is_dark

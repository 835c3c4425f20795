"""The page of ``--report``: whole, and in one file."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from commands import FAST


class Page(HTMLParser):
    """What a page refers to."""

    def __init__(self, text):
        super().__init__()
        self.images, self.others, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag == "img":
            assert named["alt"]
            self.images.append(named["src"])
        self.others += [named[name] for name in ("href", "src") if name in named and tag != "img"]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(("target", "title"), [("buys", "Which classes are confused"), ("spends", "Errors")])
def test_all_is_on_one_page(vecprop, table, people, target, title):
    people.assign(**{"<b>": 1}).to_csv("people.csv", index=False)
    done = vecprop("train", "people.csv", "--target", target, "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    assert "page.html" in done.stdout
    text = Path("page.html").read_text()
    page = Page(text)
    assert not page.open
    assert not page.others
    assert len(page.images) == 4
    assert all(address.startswith("data:image/png;base64,") for address in page.images)
    for said in (title, "PASS: No gradient errors found", "vecprop train --config people.toml", "scikit-learn"):
        assert said in text
    assert "all values are the same" in text
    assert "http" not in text
    assert not re.search(r"\$\w", text)
    assert "<b>" not in text


def test_a_report_needs_no_more_than_a_few_rows_and_one_class_in_the_test(vecprop, people):
    people.sort_values("buys").assign(order=range(200)).to_csv("sorted.csv", index=False)
    options = ["--time", "order", "--test-size", 5, "--report", "page.html"]
    done = vecprop("train", "sorted.csv", "--target", "buys", *options, *FAST)
    assert done.exit_code == 0, done.stderr

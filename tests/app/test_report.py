"""The page of ``--report``: whole, and in one file."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import vecprop as vp
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


def test_a_dollar_sign_is_one(vecprop, people):
    prices = people.assign(buys=people.buys.map({"yes": "$10-$20", "no": "a$_$b"})).rename(columns={"age": "a$_$b^"})
    prices.to_csv("prices.csv", index=False)
    done = vecprop("train", "prices.csv", "--target", "buys", "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    assert Path("page.html").exists()


def test_pairs_of_many_classes_are_counted(vecprop, people):
    people.assign(key=[f"<{number % 25}>" for number in range(200)]).to_csv("keys.csv", index=False)
    done = vecprop("train", "keys.csv", "--target", "key", "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    page = Page(text := Path("page.html").read_text())
    assert not page.open
    assert len(page.images) == 3
    assert re.search(r"<tr><td>&lt;\d+&gt;</td><td>&lt;\d+&gt;</td>", text)


def test_networks_that_have_not_begun_are_not_drawn(vecprop, table, monkeypatch):
    keep_curves = vp.TabularClassifier._keep_curves

    def interrupted(self, results):
        keep_curves(self, results)
        self.loss_curves_[1], self.validation_loss_curves_[1] = [], self.validation_loss_curves_[1][:1]

    monkeypatch.setattr(vp.TabularClassifier, "_keep_curves", interrupted)
    done = vecprop("train", table, "--target", "buys", "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    assert Path("page.html").exists()

"""The page of ``--report``: whole, in one file, and to be read on any screen."""

import re
import signal
import tomllib
from dataclasses import replace
from functools import partial
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import vecprop as vp
from commands import FAST
from vecprop.app.pages import report as training_report
from vecprop.app.pages.drawings import begun, draw_coverage, draw_losses, groups_by
from vecprop.app.pages.markup import Html, drawn
from vecprop.app.pages.report import origin, verdict_box, write_report
from vecprop.app.pages.sections import how_chosen
from vecprop.app.pages.target_sections import confused_pairs, confusion_matrix, each_class
from vecprop.app.training.dividing import Request, Split, divided
from vecprop.app.training.fitting import fitting
from vecprop.app.training.outcome import as_values, described
from vecprop.app.training.train_on_table import Trained, train_on_table
from vecprop.app.training.verdict import Verdict
from vecprop.tables.evaluation.metrics import Estimate
from vecprop.terminal.errors import held_back_interrupts
from vecprop.train.progress import progress_bar

SMALL = {"max_iter": 2, "n_members": 2, "hidden_layer_sizes": (4,)}


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.others, self.open, self.pictures, self.said = [], [], [], []
        self.feed(text)
        assert not self.open
        assert not self.others
        self.text = " ".join(" ".join(self.said).split())

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag == "svg":
            assert named["aria-label"]
            self.pictures.append(named["aria-label"])
        self.others += [named[name] for name in ("href", "src") if name in named]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.said.append(data)


@pytest.fixture(scope="module")
def made(people, tmp_path_factory):
    """What was trained on people, its outcome and its page, for both targets; a column is all the same, one is code."""
    folder = tmp_path_factory.mktemp("made")
    codes = people.town.map({"Rome": "01", "Oslo": "02", "Lima": "03"})
    people.assign(**{"<b>": 1, "zip": codes}).to_csv(folder / "people.csv", index=False)
    (folder / "people.toml").write_text('target = "$x"')
    pages = {}
    for target in ("buys", "spends"):
        request = Request(folder / "people.csv", target, Split(0.2, None, None, 0), settings=SMALL)
        trained = train_on_table(request, fitting(quiet=True), partial(progress_bar, quiet=True))
        files = {"model": "people.npz", "config": str(folder / "people.toml"), "command": "vecprop train 'a & b'"}
        result = as_values(trained) | files
        write_report(trained, result, folder / "page.html")
        pages[target] = trained, result, (folder / "page.html").read_text()
    return pages


@pytest.mark.parametrize(("target", "title"), [("buys", "Which classes are confused"), ("spends", "Errors")])
def test_all_is_on_one_page(made, target, title):
    text = made[target][2]
    page = Page(text)
    for said in (title, "PASS: No gradient errors found", "vecprop train 'a & b'", "scikit-learn", 'target = "$x"'):
        assert said in page.text
    assert "not used all values are the same" in page.text
    assert "http" not in text
    assert "<b>" not in text
    assert "<img" not in text
    assert len(page.pictures) == (7 if target == "buys" else 10)


@pytest.mark.parametrize("target", ["buys", "spends"])
def test_pictures_are_read_on_a_small_screen_in_any_light(made, target):
    for svg in re.findall(r"<svg.*?</svg>", made[target][2], re.DOTALL):
        width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
        sizes = [float(size) * 360 / width for size in re.findall(r"font-size: ([\d.]+)px", svg)]
        assert min(sizes) > 11, "text of less than 11 pixels if the picture is 360 pixels wide"
        assert not re.search(r"<[^>]*#[0-9a-f]{6}[^>]*>", re.sub(r'"#\w+"|url\(#\w+\)', "", svg)), "a fixed colour"


def test_the_verdict_is_at_the_top(made):
    _, result, text = made["spends"]
    found: Verdict = result["verdict"]
    box = verdict_box(result)
    assert text.index(box) < text.index("<h2>")
    assert f'class="verdict {found.level.replace(" ", "-")}"' in box
    assert all(worry in box for worry in found.worries)
    assert Page(box).text.count(found.baseline) >= 2
    other = verdict_box(result | {"verdict": replace(found, level="slightly better", margin=Estimate(-1, -2, 1))})
    assert 'class="verdict slightly-better"' in other
    assert "is lower by 1 (-1 to 2)" in other
    assert "Not measured" in verdict_box({"notes": []})
    scores = {"vecprop": Estimate(0.5, 0, 1), "naive": Estimate(1, 1, 1), "b": Estimate(1, 1, 1)}

    def box_of(scores):
        return verdict_box(result | {"scores": {name: {found.metric: score} for name, score in scores.items()}})

    assert 'left: 50.0%"' in box_of(scores)
    assert "→" not in box_of(scores)
    assert "→" in box_of(scores | {"naive": Estimate(9, 8, 10)})


def test_columns_are_described(made):
    text = Page(made["buys"][2]).text
    assert re.search(r"zip codes 0 3 0\d 0\d 0\d ", text)
    assert re.search(r"age numbers 0 \d\d \d\d \d\d \d\d [\d.]+", text)
    assert re.search(r"zip codes [^w]* with town: ", text)  # which stand in for each other


def test_the_choice_of_the_test_is_told(made, people, tmp_path):
    days = np.roll([f"{1 + k % 28}.{1 + k // 28}.2024" for k in range(200)], 3)
    people.assign(day=days, buyer=people.index // 4).to_csv(tmp_path / "people.csv", index=False)

    def chosen(how="test", folds=(), **columns):
        request = Request(tmp_path / "people.csv", "buys", replace(Split(0.2, None, None, 3), **columns))
        measured = replace(made["buys"][0].measured, how=how, folds=folds)
        return Page(how_chosen(request, divided(request), measured)).text

    assert "40 rows, 20% of all, drawn at random (seed 3), stratified by class" in chosen()
    assert "by the column 'day': those from 21.6.2024 on" in chosen(time="day")
    assert "those of 10 groups of the column 'buyer'" in chosen(group="buyer")
    assert "each of 5 folds" in (of_groups := chosen("cross-validation", range(5), group="buyer"))
    assert "one group of the column 'buyer'" in of_groups
    assert "40 training rows were predicted by networks" in (of_time := chosen("out of fold", time="day"))
    assert "earlier by the column 'day'" in of_time


def test_a_test_file_is_told(made):
    trained = made["buys"][0]
    request = replace(trained.request, test=Path("other.csv"))
    assert "is the file other.csv with 40 rows" in how_chosen(request, trained.parts, trained.measured)


def test_classes_that_are_confused_are_counted():
    truth, decided = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 1])
    matrix = Page(confusion_matrix(truth, decided, ["<a>", "b", "c"])).text
    assert matrix.endswith("true ↓ predicted → <a> b c <a> 67% 2 33% 1 b 100% 2 c 100% 1")
    pairs = Page(confused_pairs(truth, decided, ["<a>", "b", "c"])).text
    assert pairs.endswith("rows of the true class <a> b 1 of 3 c b 1 of 1")
    assert "No row" in confused_pairs(truth, truth, ["a", "b", "c"])
    assert Page(each_class(truth, decided, ["<a>", "b", "c"])).text.endswith(
        "<a> 100.0% 66.7% 80.0% 3 b 50.0% 100.0% 66.7% 2 c – 0.0% 0.0% 1"
    )


def test_the_worst_rows_are_named_by_their_lines(made):
    for target in ("buys", "spends"):
        trained, _, text = made[target]
        page = Page(text).text
        line, row = re.findall(r"--row (\d+)", page)[0], trained.parts.X_test.index
        place = list(row).index(int(line))
        if target == "spends":
            errors = np.abs(trained.truth - trained.predicted)
            assert place == errors.argmax()
            error = trained.truth[place] - trained.predicted[place]
            assert f"line {line} {trained.truth[place]:.4g} {trained.predicted[place]:.4g} {error:.4g}" in page
        else:
            chance = trained.predicted[np.arange(len(row)), trained.truth]
            assert place == chance.argmin()
            assert f"{chance.min():.2%}" in page


def test_equal_numbers_are_in_one_group():
    x = np.repeat([0.5, 0.1, 0.9], 40)
    assert [group.tolist() for group in groups_by(x, 10)] == [[*range(40, 80)], [*range(40)], [*range(80, 120)]]
    assert [group.tolist() for group in groups_by(np.arange(20.0), 9)] == [[*range(10)], [*range(10, 20)]]
    ax = Figure().subplots()
    draw_coverage(ax, x, np.arange(120) >= 40, 0.9, "x")
    assert np.asarray(ax.lines[1].get_xydata()).tolist() == [[0.1, 1], [0.5, 0], [0.9, 1]]


def test_names_are_drawn_as_they_are():
    def draw(ax):
        ax.set(xlabel="$10-$20 a$_$b^ 東京", ylabel="<b> & #d55e00")

    text = drawn('"<東京>"', draw)
    assert 'aria-label="&quot;&lt;東京&gt;&quot;"' in text
    assert ">$10-$20 a$_$b^ 東京</text>" in text
    assert ">&lt;b&gt; &amp; #d55e00</text>" in text


def test_losses_end_where_networks_end(made):
    curves = [([3.0, 2.0, 1.0], [9.0, 3.0, 1.0, 2.0]), ([3.0], [9.0, 3.0])]
    ax = Figure().subplots()
    draw_losses(ax, curves)
    assert [len(np.asarray(line.get_xdata())) for line in ax.lines] == [3, 4, 1, 1, 2, 1]
    assert np.asarray(ax.lines[2].get_xydata()).tolist() == [[2, 1]]
    assert ax.get_xlim() == (0, 3)
    assert ax.get_ylim()[1] < 4  # not what was before the first epoch
    assert ax.get_yscale() == "linear"
    model = made["buys"][0].model
    kept = model.loss_curves_
    model.loss_curves_ = [kept[0], []]
    assert len(begun(model)) == 1  # the other had not begun
    model.loss_curves_ = kept


def test_a_page_is_written_after_ctrl_c_too(made, tmp_path, monkeypatch):
    interrupts = []
    monkeypatch.setattr(training_report, "columns", lambda _: interrupts.append(2) or Html("columns so far"))
    trained, result, _ = made["buys"]
    result = described(trained) | {name: result[name] for name in ("model", "config", "command")}
    write_report(trained.unmeasured(), result, tmp_path / "page.html", interrupts)
    text = Page((tmp_path / "page.html").read_text()).text
    assert "The columns columns so far The target Ctrl-C came before this was computed" in text
    assert "Nothing was measured" in text
    assert "SHA-256" in text


def test_ctrl_c_is_held_back_once():
    def twice():
        with held_back_interrupts() as received:
            signal.raise_signal(signal.SIGINT)
            assert received == [signal.SIGINT]
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        twice()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.long
def test_ctrl_c_while_the_page_is_written_leaves_it(vecprop, table, monkeypatch):
    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)
        return Html("columns so far")

    monkeypatch.setattr(training_report, "columns", interrupted)
    done = vecprop("train", table, "--target", "buys", "--report", "page.html", *FAST)
    assert done.exit_code == 130, done.stderr
    assert "what was trained is saved in people.npz" in done.stderr
    assert "report    page.html" in done.stdout
    assert "columns so far" in Path("page.html").read_text()


def test_ctrl_c_while_measuring_leaves_a_page(vecprop, table, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trained, "measure", interrupted)
    done = vecprop("train", table, "--target", "buys", "--report", "page.html", *FAST)
    assert done.exit_code == 130, done.stderr
    text = Page(Path("page.html").read_text()).text
    assert "Not measured" in text
    assert "Each class" in text
    assert "vecprop train --config people.toml --force" in text


def test_the_data_is_named_with_its_digest(made):
    trained, result, text = made["buys"]
    assert sha256(trained.request.table.read_bytes()).hexdigest() in text
    assert "which is not kept" in origin(replace(trained.request, table=Path("-")), result)


def test_a_test_may_have_none_of_the_classes(made, tmp_path):
    trained, result, _ = made["buys"]
    other = replace(trained, parts=replace(trained.parts, y_test=np.full(len(trained.parts.y_test), "maybe")))
    write_report(other.unmeasured(), result, tmp_path / "page.html")
    assert "No row of the test is of a class that training had" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("target", [pytest.param("buys", marks=pytest.mark.long), "spends"])
def test_without_a_test_nothing_is_said_of_one(made, tmp_path, target):
    trained, result, _ = made[target]
    parts = replace(trained.parts, X_test=trained.parts.X_test[:0], y_test=trained.parts.y_test[:0])
    more = {"refit": {"rows": 200, "epochs": 3}, "folds": {"vecprop": {"rmse": [1.0, 2.0, 3.0]}}}
    write_report(replace(trained, parts=parts).unmeasured(), result | more, tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text()).text
    assert "There is no test" in page
    assert "rows to test" not in page
    assert "none found" not in page
    assert ("Intervals are judged on a test only" in page) == (target == "spends")
    assert "trained anew on all 200 rows" in page
    assert "RMSE 2 ± 1" in page


@pytest.mark.long
def test_a_report_needs_no_more_than_a_few_rows_and_one_class_in_the_test(vecprop, people):
    people.sort_values("buys").assign(order=range(200)).to_csv("sorted.csv", index=False)
    options = ["--time", "order", "--test-size", 5, "--report", "page.html"]
    done = vecprop("train", "sorted.csv", "--target", "buys", *options, *FAST)
    assert done.exit_code == 0, done.stderr


@pytest.mark.long
def test_a_dollar_sign_is_one(vecprop, people):
    prices = people.assign(buys=people.buys.map({"yes": "$10-$20", "no": "a$_$b"})).rename(columns={"age": "a$_$b^"})
    prices.to_csv("prices.csv", index=False)
    done = vecprop("train", "prices.csv", "--target", "buys", "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    assert {"$10-$20", "a$_$b", "a$_$b^"} < set(Page(Path("page.html").read_text()).text.split())
    assert tomllib.loads(Path("prices.toml").read_text())["report"] == "page.html"


@pytest.mark.long
def test_many_classes_are_told_by_their_worst_pairs(vecprop, people):
    people.assign(key=[f"<{number % 25}>" for number in range(200)]).to_csv("keys.csv", index=False)
    done = vecprop("train", "keys.csv", "--target", "key", "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    page = Page(Path("page.html").read_text())
    assert re.search(r"pairs that are confused, .* <\d+> <\d+> \d of \d", page.text)
    assert "true ↓" not in page.text


@pytest.mark.long
def test_networks_that_have_not_begun_are_not_drawn(vecprop, table, monkeypatch):
    keep_curves = vp.TabularClassifier._keep_curves

    def interrupted(self, results):
        keep_curves(self, results)
        self.loss_curves_[1], self.validation_loss_curves_[1] = [], self.validation_loss_curves_[1][:1]

    monkeypatch.setattr(vp.TabularClassifier, "_keep_curves", interrupted)
    done = vecprop("train", table, "--target", "buys", "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    assert Path("page.html").exists()

"""Test that the page of ``--report`` is complete, self-contained and readable on any screen."""

import re
import signal
import tomllib
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

import vecprop as vp
from conditions import raising
from sampled import sampled
from shared_commands import FAST
from vecprop.app.training.job import TrainingJob
from vecprop.app.training.splitting import Request, how_chosen, split_table
from vecprop.system.estimates import Estimate, compared
from vecprop.tables.evaluation.measured import Measured
from vecprop.tables.evaluation.measuring import measured_unseen
from vecprop.tables.evaluation.report import (
    Run,
    intervals,
    origin,
    page_of,
    verdict_box,
)
from vecprop.tables.evaluation.report.drawings import coverage, groups_by, losses
from vecprop.tables.evaluation.report.markup import code_in, drawn
from vecprop.tables.evaluation.report.sections import metrics
from vecprop.tables.evaluation.report.subgroups import worse_subgroups
from vecprop.tables.evaluation.report.target_sections import (
    calibration_of_classes,
    confused_pairs,
    confusion_matrix,
    each_class,
    errors_of_numbers,
)
from vecprop.terminal.messages import held_back_interrupts
from vecprop.terminal.output_files import RunFiles

SMALL = {"max_iter": 2, "n_estimators": 2, "hidden_layer_sizes": (4,)}


class Page(HTMLParser):
    """Collects the links and the text of a page."""

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
        if self.open[-1:] not in (["style"], ["script"]):
            self.said.append(data)


@pytest.fixture(scope="module")
def made(people, tmp_path_factory):
    """Return training runs for both targets, with their pages; one column is constant, one contains codes."""
    folder = tmp_path_factory.mktemp("made")
    codes = people.town.map({"Rome": "01", "Oslo": "02", "Lima": "03"})
    people.drop(columns="visits").assign(**{"<b>": 1, "zip": codes}).to_csv(
        folder / "people.csv", index=False
    )
    pages = {}
    for target in ("buys", "spends"):
        request = Request(folder / "people.csv", target, settings=SMALL)
        files = RunFiles(
            folder / "a & b.npz", folder / "people.toml", folder / "page.html"
        )
        options = dict.fromkeys(
            ("checkpoint", "workers", "refit", "replace_interrupted")
        )
        job = TrainingJob(
            options | {"target": "$x", "force": True, "as_json": True, "quiet": True},
            request,
            files,
        )
        job.run()
        pages[target] = job, (folder / "page.html").read_text()
    return pages


@pytest.mark.parametrize(
    ("target", "title"), [("buys", "Each class"), ("spends", "true − predicted")]
)
def test_a_page_is_complete_and_self_contained(made, target, title):
    text = made[target][1]
    page = Page(text)
    for said in (
        title,
        "PASS: No gradient errors found",
        "a & b.npz",
        "scikit-learn",
        'target = "$x"',
    ):
        assert said in page.text
    assert "not used all values are the same" in page.text
    assert "http" not in text
    assert "<b>" not in text
    assert "<img" not in text
    assert len(page.pictures) == (7 if target == "buys" else 9)


def test_plots_are_readable_on_small_screens_and_in_dark_mode(made):
    for svg in re.findall(
        r"<svg.*?</svg>", made["buys"][1] + made["spends"][1], re.DOTALL
    ):
        width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
        sizes = [
            float(size) * 360 / width
            for size in re.findall(r"font-size: ([\d.]+)px", svg)
        ]
        assert min(sizes) > 11, (
            "text of less than 11 pixels if the picture is 360 pixels wide"
        )
        assert not re.search(
            r"<[^>]*#[0-9a-f]{6}[^>]*>", re.sub(r'"#\w+"|url\(#\w+\)', "", svg)
        ), "a fixed colour"


def test_the_verdict_is_at_the_top(made):
    job, text = made["spends"]
    measured = replace(job.measured, notes=job.notes)
    found, box = measured.verdict, verdict_box(measured, Run())
    assert box in text
    assert text.index(box) < text.index("<h2>")
    assert f'class="verdict {found.level.replace(" ", "-")}"' in box
    assert all(worry in box for worry in found.worries)
    headline, _, why = found.says.partition(": ")
    assert Page(box).text.startswith(f"{headline} {why[0].upper()}{why[1:]}")
    assert "Not evaluated" in verdict_box(measured, Run(is_measured=False))
    alone = replace(measured, predictions={"vecprop": measured.predictions["vecprop"]})
    assert "Not compared with baselines" in verdict_box(alone, Run())
    scores = {
        "vecprop": Estimate(0.5, 0, 1),
        "naive": Estimate(1, 1, 1),
        "b": Estimate(1, 1, 1),
    }

    def box_of(scores):
        return intervals(scores, compared(list(scores.values())))

    assert 'left: 50.0%"' in box_of(scores)
    assert "→" not in box_of(scores)
    assert "→" in box_of(scores | {"naive": Estimate(9, 8, 10)})


def test_columns_are_described_and_the_digest_of_the_data_is_shown(made):
    job, text = made["buys"]
    assert sha256(job.request.table.read_bytes()).hexdigest() in text
    assert "not stored" in origin(Run(files={"data": Path("-")}))
    text = Page(text).text
    assert re.search(r"zip codes 0 3 0\d 0\d 0\d ", text)
    assert re.search(r"age numbers 0 \d\d \d\d \d\d \d\d [\d.]+", text)
    assert re.search(r"zip codes [^w]* with town: ", text)  # redundant columns


def test_a_column_that_raises_the_loss_has_an_empty_bar(tmp_path):
    x = np.linspace(0, 1, 60)
    model = vp.TabularRegressor("y", n_estimators=2, max_iter=20, random_state=0)
    model.fit(pd.DataFrame({"x": x, "y": x}))
    evaluation = vp.tables.evaluate(model, pd.DataFrame({"x": x, "y": -x}))
    assert evaluation.importances[0].high < 0  # shuffling lowers the loss
    evaluation.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert re.findall(r'class="bar".*width: ([\d.%-]+)', page) == ["0.0%"]


def test_the_choice_of_the_test_rows_is_described(made, people, tmp_path):
    days = np.roll([f"{1 + k % 28}.{1 + k // 28}.2024" for k in range(200)], 3)
    people.assign(day=days, buyer=people.index // 4).to_csv(
        tmp_path / "people.csv", index=False
    )

    def chosen(how="test", folds=(), **columns):
        request = Request(tmp_path / "people.csv", "buys", seed=3, **columns)
        measured = replace(made["buys"][0].measured, how=how, folds=folds)
        return Page(code_in(how_chosen(request, split_table(request), measured))).text

    assert (
        "40 rows, 20% of all, drawn at random (seed 3), stratified by class" in chosen()
    )
    assert "by the column 'day': from 21.6.2024 on" in chosen(time="day")
    assert "from 10 groups of the column 'buyer'" in chosen(group="buyer")
    assert "each of 5 folds" in (
        of_groups := chosen("cross-validation", range(5), group="buyer")
    )
    assert "same group (column 'buyer')" in of_groups
    assert "40 training rows were predicted by networks" in (
        of_time := chosen("out of fold", time="day")
    )
    assert "earlier rows (column 'day')" in of_time
    job = made["buys"][0]
    request = replace(job.request, test=Path("other.csv"))
    assert "set is the file other.csv with 40 rows" in how_chosen(
        request, job.parts, job.measured
    )
    # only a table in memory is stratified
    larger = replace(job.parts, stream=SimpleNamespace(rows=160))
    assert "drawn at random (seed 0). A random" in how_chosen(
        job.request, larger, job.measured
    )


def test_confused_classes_are_counted():
    truth, decided = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 1])
    matrix = Page(confusion_matrix(truth, decided, ["<a>", "b", "c"])).text
    assert matrix.endswith(
        "true ↓ predicted → <a> b c <a> 67% 2 33% 1 b 100% 2 c 100% 1"
    )
    pairs = Page(confused_pairs(truth, decided, ["<a>", "b", "c"])).text
    assert pairs.endswith("rows of the true class <a> b 1 of 3 c b 1 of 1")
    assert "No two classes were confused" in confused_pairs(
        truth, truth, ["a", "b", "c"]
    )
    assert Page(each_class(truth, decided, ["<a>", "b", "c"])).text.endswith(
        "<a> 100.0% 66.7% 80.0% 3 b 50.0% 100.0% 66.7% 2 c – 0.0% 0.0% 1"
    )


def test_the_worst_rows_have_line_numbers(made):
    for target in ("buys", "spends"):
        trained, text = made[target][0].measured, made[target][1]
        page = Page(text).text
        line, row = re.findall(r"--row (\d+)", page)[0], trained.index
        place = list(row).index(int(line))
        if target == "spends":
            errors = np.abs(trained.truth - trained.predicted)
            assert place == errors.argmax()
            truth, predicted, error = re.findall(
                rf"line {line} (\S+) (\S+) (\S+) ", page
            )[0]
            assert float(truth) == pytest.approx(trained.truth[place], abs=0.05)
            assert float(predicted) == pytest.approx(trained.predicted[place], abs=0.05)
            assert Decimal(truth) - Decimal(predicted) == Decimal(error)
        else:
            chance = trained.predicted[np.arange(len(row)), trained.truth]
            assert place == chance.argmin()
            assert f"{chance.min():.2%}" in page
        assert re.search(rf"line {line} .* age [+-][\d.]+ ", page)  # main drivers


def test_significantly_worse_subgroups_are_listed(made, people):
    job, rng = made["spends"][0], np.random.default_rng(0)
    table = people.assign(zip="01", **{"<b>": 1})
    measured = vp.tables.evaluate(job.model, table, baselines=False)
    noise = rng.normal(size=200)
    truth = measured.predicted + noise
    assert not worse_subgroups(replace(measured, truth=truth)).strip()
    is_worse = people.town.to_numpy() == "Rome"
    found = Page(
        worse_subgroups(replace(measured, truth=truth + 5 * noise * is_worse))
    ).text
    assert found.endswith(
        f"town Rome {is_worse.sum()} {6 * np.sqrt(np.mean(noise[is_worse] ** 2)):.4g}"
        " +70%"
    )


def test_captions_describe_what_is_drawn(made):
    measured = made["buys"][0].measured
    rows = len(measured.truth)
    caption = Page(calibration_of_classes(measured)).text
    assert (
        "with 95 % intervals. Below the dotted line, the probabilities are too high;"
        " above it, they are" in caption
    )
    grouped = replace(measured, groups=np.arange(rows) // 2)
    assert (
        "with 95 % intervals for independent rows."
        in Page(calibration_of_classes(grouped)).text
    )

    def said(scored):
        return Page(metrics(scored, Run())).text

    assert "bootstrap samples of the rows." in said(measured)
    assert "bootstrap samples of the groups." in said(grouped)
    folds = [np.arange(0, rows, 2), np.arange(1, rows, 2)]
    overlap = (
        "Intervals of differences are 1.8 times as wide, because the training sets"
        " overlap."
    )
    assert overlap in said(replace(measured, how="cross-validation", folds=folds))
    assert "count rows by their weight" not in said(measured)
    assert "count rows by their weight" in said(
        replace(measured, weight=1.0 + np.arange(rows))
    )
    chosen = replace(measured, thresholds=np.linspace(0.2, 0.4, rows))
    assert "For the metrics, this threshold was chosen on other rows." in said(chosen)
    model = SimpleNamespace(loss="quantile", quantile=0.9)
    truth = np.arange(40.0)
    one = Measured(
        "test", model, None, None, truth, np.ones(40), {"vecprop": truth[:, None] + 1}
    )
    captions = Page(errors_of_numbers(one)).text
    assert "90 % of them should lie below the dotted line" in captions
    assert "90 % of them should be negative" in captions


def test_equal_numbers_are_in_one_group():
    x = np.repeat([0.5, 0.1, 0.9], 40)
    assert [group.tolist() for group in groups_by(x, 10)] == [
        [*range(40, 80)],
        [*range(40)],
        [*range(80, 120)],
    ]
    assert [group.tolist() for group in groups_by(np.arange(20.0), 9)] == [
        [*range(10)],
        [*range(10, 20)],
    ]
    ax = Figure().subplots()
    coverage(ax, x, np.arange(120) >= 40, 0.9, "x")
    assert np.asarray(ax.lines[1].get_xydata()).tolist() == [
        [0.1, 1],
        [0.5, 0],
        [0.9, 1],
    ]


def test_names_in_plots_are_literal():
    text = drawn(
        '"<東京>"',
        lambda ax: ax.set(xlabel="$10-$20 a$_$b^ 東京", ylabel="<b> & #d55e00"),
    )
    assert 'aria-label="&#34;&lt;東京&gt;&#34;"' in text
    assert ">$10-$20 a$_$b^ 東京</text>" in text
    assert ">&lt;b&gt; &amp; #d55e00</text>" in text


def test_loss_curves_end_with_their_network(made):
    curves = [([3.0, 2.0, 1.0], [9.0, 3.0, 1.0, 2.0]), ([3.0], [9.0, 3.0])]
    ax = Figure().subplots()
    losses(
        ax,
        [
            SimpleNamespace(loss=loss, validation_loss=validation)
            for loss, validation in curves
        ],
    )
    assert [len(np.asarray(line.get_xdata())) for line in ax.lines] == [
        3,
        4,
        1,
        1,
        2,
        1,
    ]
    assert np.asarray(ax.lines[2].get_xydata()).tolist() == [[2, 1]]
    assert ax.get_xlim() == (0, 3)
    assert ax.get_ylim()[1] < 4  # without the loss before the first epoch
    assert ax.get_yscale() == "linear"
    model = made["buys"][0].model
    kept = model.loss_curves_
    model.loss_curves_ = [kept[0], []]
    assert len(model._histories) == 1  # the other one had not started
    model.loss_curves_ = kept


def test_a_page_is_written_after_ctrl_c(made, at_step):
    def interrupted():
        interrupts.append(2)
        return Markup("columns so far")

    interrupts = []
    at_step("drawing columns", interrupted)
    job = made["buys"][0]
    measured = measured_unseen(job.model, job.parts, 0, baselines=False)
    run = Run("buys", files={"data": job.request.table}, is_measured=False)
    text = Page(page_of(measured, run, interrupts)).text
    assert (
        "Columns columns so far Worst predictions Not computed, because Ctrl-C was"
        " pressed" in text
    )
    assert "Nothing was evaluated" in text
    assert "SHA-256" in text


def test_only_the_first_ctrl_c_is_deferred():
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
def test_ctrl_c_while_the_page_is_written_still_writes_it(vecprop, table, at_step):
    def interrupted():
        signal.raise_signal(signal.SIGINT)
        return Markup("columns so far")

    at_step("drawing columns", interrupted)
    done = vecprop(
        "train", table, "--target", "buys", "--report", "page.html", *FAST, code=130
    )
    assert "the trained model is saved in people.npz" in done.stderr
    assert "report    page.html" in done.stdout
    assert "columns so far" in Path("page.html").read_text()


@pytest.mark.long
@pytest.mark.usefixtures("no_pictures")
def test_ctrl_c_while_evaluating_still_writes_a_page(vecprop, table, at_step):
    at_step("measuring", raising(KeyboardInterrupt))
    vecprop(
        "train", table, "--target", "buys", "--report", "page.html", *FAST, code=130
    )
    text = Page(Path("page.html").read_text()).text
    assert "Not evaluated" in text
    assert "Each class" in text
    assert "vecprop train --config people.toml --force" in text


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("target", sampled(["spends", "buys"]))
def test_a_page_without_a_test_set_does_not_mention_one(made, target):
    job = made[target][0]
    parts = replace(job.parts, X_test=job.parts.X_test[:0], y_test=job.parts.y_test[:0])
    measured = replace(
        measured_unseen(job.model, parts, 0, baselines=False),
        folds=[np.arange(50), np.arange(50, 160)],
    )
    run = Run(
        chosen=how_chosen(job.request, parts, measured), refit="It is of all rows."
    )
    page = Page(page_of(measured, run)).text
    assert "There is no test" in page
    assert "test rows" not in page
    assert "none found" not in page
    assert ("only a test can check them" in page) == (target == "spends")
    assert "It is of all rows." in page
    assert "Mean and standard deviation" in page


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("target", sampled(["buys", "spends"]))
def test_evaluations_write_pages(made, people, tmp_path, target):
    table = people[:50].assign(zip="01", **{"<b>": 1})
    found = vp.tables.evaluate(made[target][0].model, table, baselines=False)
    found.report(tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text()).text
    assert page.startswith(f"{target}, predicted by a Tabular")
    assert "The metrics were computed on 50 rows." in page
    assert "when its values are shuffled" in page
    assert "PASS: No gradient errors found" in page
    assert not re.search(r"\btest\b", page.partition("Gradient check")[0])


@pytest.mark.long
def test_a_small_test_set_with_one_class_suffices_and_dollar_signs_are_literal(
    vecprop, people
):
    prices = people.assign(
        buys=people.buys.map({"yes": "$10-$20", "no": "a$_$b"})
    ).rename(columns={"age": "a$_$b^"})
    prices.sort_values("buys").assign(order=range(200)).to_csv(
        "prices.csv", index=False
    )
    options = ["--time", "order", "--test-size", 5, "--report", "page.html"]
    vecprop("train", "prices.csv", "--target", "buys", *options, *FAST)
    assert {"$10-$20", "a$_$b", "a$_$b^"} < set(
        Page(Path("page.html").read_text()).text.split()
    )
    assert tomllib.loads(Path("prices.toml").read_text())["report"] == "page.html"


@pytest.mark.long
def test_the_worst_pairs_replace_a_matrix_of_many_classes(vecprop, people):
    people.assign(key=[f"<{number % 25}>" for number in range(200)]).to_csv(
        "keys.csv", index=False
    )
    vecprop("train", "keys.csv", "--target", "key", "--report", "page.html", *FAST)
    page = Page(Path("page.html").read_text())
    assert re.search(r"confused pairs of classes: .* <\d+> <\d+> \d of \d", page.text)
    assert "true ↓" not in page.text

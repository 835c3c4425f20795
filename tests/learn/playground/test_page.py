"""Test the page without a browser: messages, answers and errors."""

import asyncio
import json
import re
from base64 import b64decode, b64encode
from dataclasses import fields
from functools import cache
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bokeh", reason='pip install "vecprop[playground]"')

from bokeh.document import Document

from sampled import sampled
from vecprop.learn.playground.page import Page
from vecprop.learn.playground.session import Session
from vecprop.learn.playground.session_settings import LABELS, Settings
from vecprop.learn.playground.shown import hidden


class Window:
    """A page and the messages of its script."""

    def __init__(self, windows=None, key=None, **settings):
        self.page = Page(
            Document(), Session(Settings(**{"rows": 40, **settings})), windows
        )
        if windows is None:
            self.page.fill()
        self.count = 0
        self.key = self.tell("ready", window=key)["window"]

    @property
    def session(self):
        return self.page.session

    def shown(self):
        """Return the last answer."""
        data: Any = self.page.shown.data
        return json.loads(data["message"][0])

    def tell(self, action, **values):
        """Send a message and return the answer."""
        return self.send(json.dumps({"do": action, **values}))

    def send(self, message):
        """Send the text of a message and return the answer."""
        self.count += 1
        self.page.sent.data = {"message": [message], "count": [self.count]}
        later: Any
        for later in self.page.document.session_callbacks:  # runs delayed actions
            self.page.document.remove_next_tick_callback(later)
            asyncio.run(later.callback())
        return self.shown()

    def mouse(self, kind, x, y):
        """Perform a mouse action on the map and return the answer."""
        {
            "tap": self.page.map._tapped,
            "seize": self.page.map._seized,
            "drop": self.page.map._dropped,
        }[kind](SimpleNamespace(x=x, y=y))
        return self.shown()


@cache
def shared():
    """Return a shared window, because Bokeh needs most of a second to create a page."""
    return Window()


def opened(**settings):
    """Return the shared window in its initial state, with a new session."""
    window, page = shared(), shared().page
    page.tab, page.speed, page.map.adds = "numbers", 1, False
    page._begin(Session(Settings(**{"rows": 40, **settings})))
    window.tell("ready")
    return window


def test_training_by_steps_epochs_and_frames():
    window = opened(batch=7)
    assert window.tell("step")["status"]["steps"] == 1
    answer = window.tell("epoch")
    assert (answer["status"]["epoch"], answer["status"]["steps"]) == (1, 4)
    window.tell("speed", epochs=3)
    answer = window.tell("run")
    assert answer["status"]["running"]
    assert 1 < answer["status"]["epoch"] <= 4
    frame, epoch = answer["frame"], answer["status"]["epoch"]
    assert window.tell("run")["status"]["epoch"] == epoch  # already running
    # an old frame
    assert window.tell("painted", frame=frame - 1)["status"]["epoch"] == epoch
    answer = window.tell("painted", frame=frame)
    assert answer["status"]["epoch"] > epoch
    window.tell("pause")
    assert (
        window.tell("painted", frame=answer["frame"])["status"]["epoch"]
        == answer["status"]["epoch"]
    )
    assert window.tell("restart")["status"]["epoch"] == 0


def test_divergence_stops_the_run_and_is_reported():
    window = opened(
        data="wave",
        loss="squared_error",
        activation="relu",
        optimizer="descent",
        learning_rate=100.0,
    )
    answer = window.tell("run")
    for _ in range(100):
        answer = (
            window.tell("painted", frame=answer["frame"])
            if answer["status"]["running"]
            else answer
        )
    assert not answer["status"]["running"]
    assert answer["status"]["trouble"]
    assert not window.tell("run")["status"]["running"]


@pytest.mark.parametrize("message", ["{}", "[]", "3", "null"])
def test_messages_without_an_action_are_reported(message):
    assert "unknown action" in opened().send(message)["said"]


@pytest.mark.parametrize(
    ("action", "values", "sentence"),
    [
        (
            "open",
            {"text": "data=moons layers=a"},
            "layers must be an integer, got 'a'.",
        ),
        ("weight", {"index": 0, "value": "x"}, "got 'x'"),
        (
            "speed",
            {"epochs": 10**9},
            "The speed must be between 1 and 100,000 epochs per frame, got 1000000000.",
        ),
        ("row", {"row": 40}, "got 40"),
        (
            "starts",
            {"count": 10**6, "epochs": 1},
            "The number of starts must be between 1 and 200, got 1000000.",
        ),
        (
            "upload",
            {"name": "a.csv", "content": b64encode(b"a,b\n1,2\n").decode()},
            "at least 4 rows",
        ),
        ("upload", {"name": "a.csv", "content": "not base64!"}, "base64"),
        ("nothing", {}, "The page sent an unknown action: reload the page."),
    ],
)
def test_invalid_actions_are_reported_and_change_nothing(action, values, sentence):
    window = opened()
    before, theta = window.session.settings, window.session.theta.copy()
    answer = window.tell(action, **values)
    assert sentence in answer["said"]
    assert "Traceback" not in answer["said"]
    assert window.session.settings == before
    assert (window.session.theta == theta).all()
    assert "said" not in window.tell("step")


WRONG: list[object] = [
    None,
    "",
    "abc",
    "ünï",
    "1" * 999,
    -1,
    1e300,
    2.5,
    True,
    [],
    ["a", "b"],
    [1] * 9,
    {},
]


@pytest.mark.parametrize("value", sampled(WRONG, 5), ids=lambda value: str(value)[:9])
def test_an_error_of_a_setting_starts_with_its_label(value):
    window = opened()
    for name, label in LABELS.items():
        before = window.session.settings
        said = window.tell("change", settings={name: value}).get("said")
        if said is None:  # the value is valid
            continue
        assert window.session.settings == before
        assert re.match(f"{re.escape(label)} must be ", said)
        assert len(said) < 300
        assert "None" not in said
        assert "_" not in name or name not in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"layers": ["a", "b"]},
            (
                "Hidden layers must be at most 6 integers from 1 to 64 (such as 8, 8),"
                " got 'a'."
            ),
        ),
        ({"layers": [None]}, "(such as 8, 8)."),
        ({"layers": [1] * 7}, "got 1, 1, 1, 1, 1, 1, 1."),
        ({"learning_rate": None}, "Learning rate must be a number from 0 to 100."),
        (
            {"rows": 10.5},
            "Number of points must be an integer from 4 to 20,000, got 10.5.",
        ),
        (
            {"features": []},
            (
                "Inputs must be at least one of x, y, x*x, y*y, x*y, sin(x), sin(y),"
                " each only once."
            ),
        ),
    ],
)
def test_an_error_of_a_setting_names_the_valid_values(settings, said):
    assert said in opened().tell("change", settings=settings)["said"]


def test_the_labels_of_errors_are_on_the_page():
    html = (
        files("vecprop.learn.playground")
        .joinpath("page.html")
        .read_text(encoding="utf-8")
    )
    written = set(re.findall(r'(?:number|choice)\("(\w+)"', html)) | set(
        re.findall(r'labels\["(\w+)"\]', html)
    )
    assert written == set(LABELS) - {"columns"}
    assert set(LABELS) == {field.name for field in fields(Settings)}


def test_the_status_is_current_after_each_frame_and_change():
    window = opened(rows=100)
    answer = window.tell("run")
    seen = []
    for _ in range(12):
        status, session = answer["status"], window.session
        assert status["running"]
        assert (status["epoch"], status["steps"]) == (session.epoch, session.steps)
        numbers = [status[name] for name in ("train", "test", "right", "right_test")]
        np.testing.assert_allclose(numbers, [*session.losses, *session.right])
        seen.append(status["right"])
        answer = window.tell("painted", frame=answer["frame"])
    assert len(set(seen)) > 2
    status = window.tell("change", settings={"loss": "squared_error"})["status"]
    assert status["running"]
    assert status["train"] == pytest.approx(window.session.losses[0])


@pytest.mark.long
def test_a_reloaded_page_resumes_and_open_windows_stay_separate(monkeypatch, limit):
    first = opened()
    windows = first.page.windows
    first.tell("change", settings={"data": "moons", "layers": [5]})
    first.tell("epoch")
    first.page._add(0.5, 0.25)
    again = Window(windows, key=first.key)
    assert again.session is first.session
    assert again.key == first.key
    answer = again.tell("pause")
    assert answer["status"]["epoch"] == 1
    assert len(again.session.points.t) == 41
    monkeypatch.setattr(Page, "is_open", property(lambda page: page is again.page))
    copy = Window(windows, key=first.key)
    assert copy.session is not first.session
    assert copy.key != first.key
    assert windows[first.key] is again.page
    limit("playground: closed pages", 1)
    last = Window(windows, key="unknown")
    assert last.session not in (first.session, copy.session)
    assert list(windows) == [first.key, last.key]


def test_results_for_earlier_settings_are_cleared():
    window = opened(test=0.0)
    window.tell("check")
    window.tell("starts", count=2, epochs=3)
    window.mouse("tap", *window.session.points.XY[7])
    assert window.page.map._points.selected.indices == [7]
    assert window.tell("change", settings={"noise": 3.0})["said"]
    assert len(list(window.page.starts._curves.data["xs"])) == 2
    answer = window.tell("change", settings={"noise": 0.3})
    assert (
        answer["selected"],
        answer["report"],
        answer["starts"],
        answer["numbers"]["row"],
    ) == (None, "", "", 0)
    assert window.page.map._points.selected.indices == []
    assert list(window.page.starts._curves.data["xs"]) == []


def test_exported_settings_and_files_are_complete():
    window = opened()
    answer = window.tell(
        "change",
        settings={"data": "spirals", "layers": [4, 4], "features": ["x", "y", "x*y"]},
    )
    assert answer["settings"]["layers"] == [4, 4]
    for what, start in (("script", b'"""'), ("model", b"PK")):
        file = window.tell("take", what=what)["file"]
        assert b64decode(file["content"]).startswith(start)
    assert opened().tell("open", text=answer["text"])["settings"] == answer["settings"]


def test_the_mouse_adds_moves_and_selects_points():
    window = opened(test=0.0)
    assert window.mouse("tap", 3.3, 3.3)["status"]["epoch"] == 0
    # a click outside of all points does nothing
    assert len(window.session.points.t) == 40
    window.tell("mouse", adds=True, target=1)
    window.mouse("tap", 3.3, 3.3)
    assert len(window.session.points.t) == 41
    assert window.session.points.t[-1] == 1
    window.mouse("seize", 3.3, 3.3)
    window.mouse("drop", -3.2, 3.2)
    np.testing.assert_allclose(window.session.points.XY[-1], [-3.2, 3.2])
    answer = window.mouse("tap", -3.2, 3.2)
    assert answer["selected"] == answer["numbers"]["row"] == 40
    window.mouse("seize", -3.2, 3.2)
    answer = window.mouse("drop", -3.0, 3.0)
    assert answer["selected"] == answer["numbers"]["row"] == 40
    assert window.page.map._points.selected.indices == [40]
    assert window.tell("remove", row=40)["selected"] is None
    assert len(window.session.points.t) == 40
    window.tell("mouse", adds=True, target=9)
    assert "got 9" in window.mouse("tap", 3.3, -3.3)["said"]
    window.tell("mouse", adds=True, target=1)
    assert window.mouse("tap", 3.3, -3.3)["said"] == ""


def test_arrow_keys_visit_and_move_every_point():
    window = opened(test=0.3, rows=12)
    for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        window.page.map.selected = None
        rows = [
            window.tell("walk", right=right, up=up, moves=False)["selected"]
            for _ in range(13)
        ]
        places = window.session.points.XY[rows] @ [right, up]
        assert set(rows) == set(range(12))
        assert (np.diff(places) >= 0).all()
        assert rows[-1] == rows[-2]
        assert window.page.map._points.selected.indices == [rows[-1]]
    before = window.session.points.XY[rows[-1]]
    answer = window.tell("walk", right=0, up=1, moves=True)
    x, y = window.session.points.XY[rows[-1]]
    assert answer["selected"] == answer["numbers"]["row"] == rows[-1]
    assert (
        x,
        round(100 * (y - before[1]) / np.ptp(window.session.points.limits[1])),
    ) == (before[0], 1)
    kind = " (test)" if window.session.points.is_test[rows[-1]] else ""
    assert (
        answer["point"] == f"point {rows[-1]}{kind}: x {x:.4g}, y {y:.4g}, class"
        f" {window.session.points.t[rows[-1]]}"
    )
    window.page.map.selected = None
    # selects, for nothing is selected
    assert window.tell("walk", right=1, up=0, moves=True)["status"]["epoch"] == 0
    assert len(window.session.edits) == 1


def test_arrow_keys_visit_every_weight():
    window = opened(layers=(2,), normalization=True)
    count = 2 * 2 + 2 + 2 * 2 + 2
    for step in (1, -1):
        window.page.network._placed = None
        window.tell("restart")
        weights = [window.tell("choose", step=step)["weight"] for _ in range(count + 1)]
        assert len({weight["index"] for weight in weights}) == count
        assert weights[0] == weights[-1]
        assert weights[3]["value"] == window.session.theta[weights[3]["index"]]
        for source in (window.page.network._edges, window.page.network._biases):
            chosen = [source.data["index"][place] for place in source.selected.indices]
            assert chosen == (
                [weights[-1]["index"]]
                if weights[-1]["index"] in source.data["index"]
                else []
            )


@pytest.mark.long
def test_a_table_is_drawn_in_its_own_units():
    window = opened()
    rows = "".join(
        f"{age},{'ab'[age % 2]},{age * 10}\n"
        for age in (*range(20, 60), *range(20, 60))
    )
    table = b64encode(f"age,town,pay\n{rows}".encode()).decode()
    answer = window.tell("upload", name="people.csv", content=table)
    assert answer["columns"] == {
        "names": ["age", "town", "pay"],
        "chosen": ["age", "town", "pay"],
    }
    assert 10 < window.page.map.figure.x_range.start < 20
    assert window.page.always["network"]._names.data["text"] == ["age", "town", "pay"]
    window.tell("mouse", adds=True, target=300)
    window.mouse("tap", 59.0, 0.5)
    points = window.session.points
    assert (
        window.mouse("tap", 59.0, 0.5)["point"]
        == f"point {len(points.t) - 1}: age 59, town a, target 300"
    )
    assert points.axes[0].value(points.XY[-1, 0]) == pytest.approx(59)
    assert points.target.value(points.t[-1]) == pytest.approx(300)
    window.tell("mouse", adds=True, target=1e6)
    assert (
        "The target must be between -115039 and 115829, got 1e+06."
        in window.mouse("tap", 40.0, 0.5)["said"]
    )
    answer = window.tell("change", settings={"columns": ["pay", "age", "town"]})
    assert answer["classes"] == ["a", "b"]


def test_notes_on_an_uploaded_table_are_shown():
    table = b64encode(
        "город,a,b\nда,1,2\nнет,2,1\nда,3,4\nнет,4,3\n".encode("cp1251")
    ).decode()
    said = opened().tell("upload", name="ru.csv", content=table)["said"]
    assert said.startswith("ru.csv is not UTF-8, so it is read as cp1252")


def test_the_check_names_a_deliberate_mistake():
    window = opened()
    window.tell("step")
    report = window.tell("check")["report"]
    assert report.startswith("At step 1:\n")
    assert "PASS: No gradient errors" in report
    window.tell("change", settings={"mistake": "slope_forgotten"})
    assert "FAIL" in window.tell("check")["report"]


@pytest.mark.long
def test_every_view_draws_every_network():
    wide = {"layers": (20, 20), "data": "wave"}
    for settings in (
        {"layers": ()},
        {"layers": (1,)},
        {"layers": (2,), "data": "blobs"},
        wide,
    ):
        window = opened(**settings)
        for tab in ("hidden", "gradients", "momentum", "numbers"):
            window.tell("epoch")
            answer = window.tell("tab", tab=tab)
            assert "said" not in answer, answer
        assert "said" not in window.tell("turn", around=0.1, up=-9.0)
        assert window.tell("starts", count=3, epochs=2)["starts"].startswith(
            "3 of 3 starts finished"
        )


def test_a_selected_weight_is_sent_and_set_and_lost_edits_are_reported():
    window = opened()
    view = window.page.always["network"]
    view._edges.selected.indices = [2]
    answer = window.shown()
    assert answer["weight"]["index"] == 2
    answer = window.tell("weight", index=2, value=1.5)
    assert window.session.theta[2] == answer["weight"]["value"] == 1.5
    answer = window.tell("epoch")
    assert window.session.theta[2] == answer["weight"]["value"] != 1.5
    window.tell("mouse", adds=False, target=1)
    window.page._add(0.5, 0.25)
    answer = window.tell("change", settings={"layers": [4]})
    assert answer["weight"] is None
    assert "said" not in answer
    assert view._edges.selected.indices == []
    assert (
        "your 1 edit(s) were discarded"
        in window.tell("change", settings={"noise": 0.2})["said"]
    )
    assert "said" not in window.tell("change", settings={"noise": 0.3})


@pytest.mark.parametrize(
    "settings",
    sampled([{}, {"data": "wave", "learning_rate": 1e-6}, {"layers": (8, 8)}]),
)
def test_log_axes_have_ticks_within_their_ends(settings):
    window = opened(**settings)
    window.tell("tab", tab="gradients")
    for _ in range(2):
        for name in ("gradients", "starts"):
            figure = {**window.page.in_tabs, "starts": window.page.starts}[name].figure
            ticks = figure.yaxis[0].ticker.ticks
            assert figure.yaxis[0].major_label_overrides.keys() == set(ticks)
            assert 3 <= len(ticks) <= 9
            assert all(
                figure.y_range.start <= tick <= figure.y_range.end for tick in ticks
            )
        window.tell("epoch")
        window.tell("starts", count=3, epochs=5)


def test_curves_of_gradients_have_the_layer_numbers_of_the_check():
    window = opened(layers=(3,))
    window.tell("tab", tab="gradients")
    names = window.page.in_tabs["gradients"]._curves.data["name"]
    assert list(names) == [
        "layer 0 gradient",
        "layer 2 gradient",
        "layer 0 update",
        "layer 2 update",
    ]


def test_the_cut_has_equal_probabilities_and_long_curves_are_thinned():
    for layers in ((2,), (3,)):
        window = opened(layers=layers)
        window.session.run_epochs(30)
        window.tell("tab", tab="hidden")
        session, view = window.session, window.page.hidden
        H = hidden(session)
        last = session.network.layout.views(session.theta)[-1]
        height = H @ (last["W"][:, 0] - last["W"][:, 1]) + last["b"][0] - last["b"][1]
        assert (
            (height > 0)
            == (
                session.network.predict(session.theta, session.points.XY).argmax(axis=1)
                == 0
            )
        ).all()
        assert len(view._cut.data["xs"][0]) >= 2
    window = opened()
    window.session.run_epochs(1000)
    loss = window.page.always["loss"]
    loss.update(window.session)
    epochs = loss.figure.renderers[0].data_source.data["epoch"]
    assert (len(epochs), epochs[0], epochs[-1]) == (500, 0, 1000)

"""The page without a browser: each message does what it says, and what is refused is a sentence."""

import asyncio
import json
from base64 import b64decode, b64encode
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bokeh", reason='pip install "vecprop[playground]"')

from bokeh.document import Document

from vecprop.app.playground.page import Page
from vecprop.app.playground.session import Session
from vecprop.app.playground.settings import Settings


class Window:
    """A page, as the browser's script sees it."""

    def __init__(self, **settings):
        self.page = Page(Document(), Session(Settings(rows=40, **settings)))
        self.page.fill()
        self.count = 0
        self.tell("ready")

    @property
    def session(self):
        return self.page.session

    def shown(self):
        """Return the last answer."""
        data: Any = self.page.messages.shown.data
        return json.loads(data["message"][0])

    def tell(self, action, **values):
        """Send a message, and return the answer."""
        self.count += 1
        message = json.dumps({"do": action, **values})
        self.page.messages.sent.data = {"message": [message], "count": [self.count]}
        later: Any
        for later in self.page.document.session_callbacks:  # what the server does next
            self.page.document.remove_next_tick_callback(later)
            asyncio.run(later.callback())
        return self.shown()

    def mouse(self, kind, x, y):
        """Have the mouse do something on the map, and return the answer."""
        {"tap": self.page.map._tapped, "seize": self.page.map._seized, "drop": self.page.map._dropped}[kind](
            SimpleNamespace(x=x, y=y)
        )
        return self.shown()


def test_training_by_steps_epochs_and_frames():
    window = Window(batch=7)
    assert window.tell("step")["status"]["steps"] == 1
    answer = window.tell("epoch")
    assert (answer["status"]["epoch"], answer["status"]["steps"]) == (1, 4)
    window.tell("speed", epochs=3)
    answer = window.tell("run")
    assert answer["status"]["running"]
    assert "right" not in answer["status"]
    assert 1 < answer["status"]["epoch"] <= 4
    frame, epoch = answer["frame"], answer["status"]["epoch"]
    assert window.tell("run")["status"]["epoch"] == epoch  # runs already
    assert window.tell("painted", frame=frame - 1)["status"]["epoch"] == epoch  # a frame of before
    answer = window.tell("painted", frame=frame)
    assert answer["status"]["epoch"] > epoch
    window.tell("pause")
    assert window.tell("painted", frame=answer["frame"])["status"]["epoch"] == answer["status"]["epoch"]
    assert window.tell("restart")["status"]["epoch"] == 0


def test_a_divergence_ends_the_run_and_is_said():
    window = Window(data="wave", loss="squared_error", activation="relu", optimizer="descent", learning_rate=100.0)
    answer = window.tell("run")
    for _ in range(100):
        answer = window.tell("painted", frame=answer["frame"]) if answer["status"]["running"] else answer
    assert not answer["status"]["running"]
    assert answer["status"]["trouble"]
    assert not window.tell("run")["status"]["running"]


@pytest.mark.parametrize(
    ("action", "values", "sentence"),
    [
        ("change", {"settings": {"learning_rate": None}}, "learning_rate is None, but it is a number."),
        ("change", {"settings": {"layers": [1000]}}, "layers is 1000, but it is 1 to 64."),
        ("change", {"settings": {"data": "table"}}, "none was given"),
        ("open", {"text": "data=moons layers=a"}, "layers is 'a', but it is a whole number."),
        ("weight", {"index": 99, "value": 0}, "There is no parameter 99"),
        ("weight", {"index": 0, "value": "x"}, "The weight is 'x'"),
        ("speed", {"epochs": 10**9}, "The speed is 1000000000, but it is 1 to 100,000 epochs a frame."),
        ("row", {"row": 40}, "There is no point 40"),
        ("remove", {"row": -1}, "There is no point -1"),
        ("starts", {"count": 10**6, "epochs": 1}, "The number of starts is 1000000, but it is 1 to 200."),
        ("upload", {"name": "a.csv", "content": b64encode(b"a,b\n1,2\n").decode()}, "at least 4 rows"),
        ("upload", {"name": "a.csv", "content": "not base64!"}, "base64"),
        ("nothing", {}, "The page asks for something that does not exist: load it again."),
    ],
)
def test_what_is_refused_is_said_and_changes_nothing(action, values, sentence):
    window = Window()
    before, theta = window.session.settings, window.session.theta.copy()
    answer = window.tell(action, **values)
    assert sentence in answer["said"]
    assert "Traceback" not in answer["said"]
    assert window.session.settings == before
    assert (window.session.theta == theta).all()
    assert "said" not in window.tell("step")


def test_settings_change_and_come_back_as_a_text():
    window = Window()
    answer = window.tell("change", settings={"data": "spirals", "layers": [4, 4], "features": ["x", "y", "x*y"]})
    assert answer["settings"]["layers"] == [4, 4]
    text = answer["text"]
    other = Window()
    assert other.tell("open", text=text)["settings"] == answer["settings"]


def test_the_mouse_adds_moves_and_selects_points():
    window = Window(test=0.0)
    assert window.mouse("tap", 3.3, 3.3)["status"]["epoch"] == 0
    assert len(window.session.points.t) == 40  # a click beside the points does nothing
    window.tell("mouse", adds=True, target=1)
    window.mouse("tap", 3.3, 3.3)
    assert len(window.session.points.t) == 41
    assert window.session.points.t[-1] == 1
    window.mouse("seize", 3.3, 3.3)
    window.mouse("drop", -3.2, 3.2)
    np.testing.assert_allclose(window.session.points.XY[-1], [-3.2, 3.2])
    answer = window.mouse("tap", -3.2, 3.2)
    assert answer["selected"] == answer["numbers"]["row"] == 40
    window.tell("remove", row=40)
    assert len(window.session.points.t) == 40
    window.tell("mouse", adds=True, target=9)
    assert "The target is 9" in window.mouse("tap", 3.3, -3.3)["said"]


def test_places_of_a_table_are_in_its_units():
    window = Window()
    rows = "".join(f"{age},{'ab'[age % 2]},{age * 10}\n" for age in range(20, 60))
    table = b64encode(f"age,town,pay\n{rows}".encode()).decode()
    answer = window.tell("upload", name="people.csv", content=table)
    assert answer["columns"] == {"names": ["age", "town", "pay"], "chosen": ["age", "town", "pay"]}
    assert 10 < window.page.map.figure.x_range.start < 20
    assert window.page.always["network"]._names.data["text"] == ["age", "town", "number"]
    window.tell("mouse", adds=True, target=300)
    window.mouse("tap", 59.0, 0.5)
    points = window.session.points
    assert points.axes[0].value(points.XY[-1, 0]) == pytest.approx(59)
    assert points.target.value(points.t[-1]) == pytest.approx(300)
    answer = window.tell("change", settings={"columns": ["pay", "age", "town"]})
    assert answer["classes"] == ["a", "b"]


def test_the_check_names_a_planted_mistake():
    window = Window()
    assert "PASS: No gradient errors" in window.tell("check")["report"]
    window.tell("change", settings={"mistake": "slope_forgotten"})
    assert "FAIL" in window.tell("check")["report"]


@pytest.mark.long
def test_every_view_draws_every_network():
    wide = {"layers": (20, 20), "data": "wave"}
    for settings in ({"layers": ()}, {"layers": (1,)}, {"layers": (2,), "data": "blobs"}, wide):
        window = Window(**settings)
        for tab in ("hidden", "gradients", "momentum", "numbers"):
            window.tell("epoch")
            answer = window.tell("tab", tab=tab)
            assert "said" not in answer, answer
        assert "said" not in window.tell("turn", around=0.1, up=-9.0)
        assert window.tell("starts", count=3, epochs=2)["starts"].startswith("Of 3 starts 3 reached the end")


def test_a_chosen_weight_is_told_and_set():
    window = Window()
    view = window.page.always["network"]
    view._edges.selected.indices = [2]
    answer = window.shown()
    assert answer["weight"]["index"] == 2
    window.tell("weight", index=2, value=1.5)
    assert window.session.theta[2] == 1.5


def test_the_cut_of_the_hidden_space_is_where_classes_are_equally_probable():
    for layers in ((2,), (3,)):
        window = Window(layers=layers)
        window.session.run_epochs(30)
        window.tell("tab", tab="hidden")
        session, view = window.session, window.page.hidden
        H = session.hidden()
        last = session.network.layout.views(session.theta)[-1]
        height = H @ (last["W"][:, 0] - last["W"][:, 1]) + last["b"][0] - last["b"][1]
        assert ((height > 0) == (session.network.predict(session.theta, session.points.XY).argmax(axis=1) == 0)).all()
        assert len(view._cut.data["xs"][0]) >= 2


def test_files_are_whole(tmp_path):
    window = Window()
    window.tell("epoch")
    for what, start in (("script", b'"""'), ("model", b"PK")):
        file = window.tell("take", what=what)["file"]
        assert b64decode(file["content"]).startswith(start)

"""Connect the controls and pictures of a playground page to its session.

The page's script and the server exchange JSON messages through two synchronized Bokeh
data sources.
"""

import asyncio
import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import asdict, replace
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS

from ...system.package_text import package_text
from ...terminal.messages import sentence
from .downloads import model_file, script
from .session import LARGEST_WEIGHT, Session
from .session_settings import CHOICES, LABELS, RANGES, Settings, SettingsError
from .shown import MOST_EPOCHS_OF_STARTS, MOST_STARTS, check, losses_of_starts, row
from .table import MOST_BYTES, PlaygroundTable
from .views.curves import GradientsView, LossView, StartsView, described
from .views.diagram import NetworkView
from .views.map import MapView
from .views.spaces import HiddenView, MomentumView

FRAME_SECONDS = 0.015
"""The maximum training time between two frames."""

OTHERS_SECONDS = 0.5
"""The interval between frames that redraw all pictures while training; other frames
redraw only the map.
"""

MOST_EPOCHS = 100_000
"""The maximum number of epochs between two frames."""

MOST_CLOSED = 8
"""The number of closed windows whose sessions are retained in case their pages are
reloaded.
"""


class Page:
    """A browser window with its session and pictures.

    A message from the page calls the method ``do_<name>``. Methods collect the next
    answer in ``answer``.
    """

    def __init__(
        self,
        document: Document,
        session: Session,
        windows: "dict[str, Page] | None" = None,
    ):
        self.document = document
        self.session = session
        self.windows = {} if windows is None else windows
        self.key = secrets.token_hex(8)
        self.running = False
        self.speed = 1
        self.frame = 0
        self.row = 0
        self.target = 0.0
        self.tab = "numbers"
        self.answer: dict = {}
        self._drawn = 0.0
        self.map = MapView(self._edited)
        self.network = NetworkView(lambda: self._answer(self._add_weight))
        self.hidden = HiddenView()
        self.starts = StartsView()
        self.always = {"map": self.map, "loss": LossView(), "network": self.network}
        self.in_tabs = {
            "hidden": self.hidden,
            "gradients": GradientsView(),
            "momentum": MomentumView(),
        }
        self.sent = ColumnDataSource({"message": []}, name="sent")
        self.shown = ColumnDataSource({"message": []}, name="shown")
        self.sent.on_change(
            "data",
            lambda attribute, old, new: self._answer(self._act, text=new["message"][0]),
        )

    def fill(self):
        """Add the pictures, the messages and the page template to the document."""
        # draw first, because each change makes the document search for new models
        self._draw()
        figures = [
            view.figure
            for view in (*self.always.values(), *self.in_tabs.values(), self.starts)
        ]
        with self.document.models.freeze():
            for root in (*figures, self.sent, self.shown):
                self.document.add_root(root)
        self.document.title = "vecprop playground"
        # the script does both
        self.document.config.update(
            reconnect_session=False, notify_connection_status=False
        )
        self.document.template = get_env().from_string(
            package_text("learn/playground/page.html")
        )
        self.document.template_variables.update(
            style=package_text("learn/playground/page.css"),
            choices=CHOICES,
            labels=LABELS,
            ranges=RANGES,
            largest_weight=LARGEST_WEIGHT,
            most_starts=MOST_STARTS,
            most_epochs_of_starts=MOST_EPOCHS_OF_STARTS,
        )
        arguments = {
            "sent": self.sent,
            "shown": self.shown,
            "figures": figures,
            "most_bytes": MOST_BYTES,
        }
        self.document.js_on_event(
            "document_ready",
            CustomJS(args=arguments, code=package_text("learn/playground/page.js")),
        )

    @property
    def is_open(self) -> bool:
        """Whether a browser is connected to the window."""
        context: Any = self.document.session_context
        return bool(context and context.session and context.session.connection_count)

    # Messages.

    def _act(self, text):
        message = json.loads(text)
        action = (
            getattr(self, f"do_{message.pop('do', '')}", None)
            if isinstance(message, dict)
            else None
        )
        if action is None:
            raise ValueError("The page sent an unknown action: reload the page.")
        return action(**message)

    def _answer(self, action, **values):
        """Execute an action and send its result or its error."""
        waiting = None
        try:
            waiting = action(**values)
        except Exception as error:
            self.answer["said"] = sentence(error)
        if waiting is None:
            self._send()
        else:
            later: Any = partial(self._answer_later, waiting)
            self.document.add_next_tick_callback(later)

    async def _answer_later(self, waiting):
        """Wait for a long action without blocking other windows, then send its result or its error."""
        try:
            await waiting
        except Exception as error:
            self.answer["said"] = sentence(error)
        self._send()

    def _send(self):
        """Send the answer with the current status."""
        session = self.session
        losses = session.losses
        if self.running and "frame" in self.answer:
            losses = session.history.values[-1]
        status: dict = {
            "epoch": session.epoch,
            "steps": session.steps,
            "trouble": session.trouble,
            "running": self.running,
        }
        for name, number in zip(
            ("train", "test", "right", "right_test"),
            (*losses, *session.right),
            strict=True,
        ):
            status[name] = float(number) if isfinite(number) else None
        self.shown.data = {"message": [json.dumps(self.answer | {"status": status})]}
        self.answer = {}

    def _add_settings(self):
        settings = self.session.settings
        self.answer["settings"] = asdict(settings)
        self.answer["text"] = settings.to_text()
        self.answer["classes"] = self.session.points.class_names
        table = self.session.table
        if table is not None:
            self.answer["columns"] = {
                "names": table.columns,
                "chosen": list(table.chosen(settings.columns)),
            }

    def _add_weight(self):
        edge = self.network.chosen
        self.answer["weight"] = None if edge is None else asdict(edge)

    def do_ready(self, window: str | None = None):
        """Start the page. A reloaded page resumes the session of the closed window."""
        # `window` is the key of the closed window
        before = self.windows.get(window or "")
        if before is not None and not before.is_open:
            self.session = before.session
            self.key = before.key
        self.windows.pop(self.key, None)
        self.windows[self.key] = self
        closed = [page.key for page in self.windows.values() if not page.is_open]
        for key in closed[:-MOST_CLOSED]:  # the oldest
            del self.windows[key]
        self.answer["window"] = self.key
        self._add_settings()
        self._draw()

    # Training.

    def do_run(self):
        if not self.running and not self.session.trouble:
            self.running = True
            self._next_frame()

    def do_pause(self):
        self.running = False
        self._draw()

    def do_painted(self, frame: int):
        """Compute the next frame after the browser has painted the previous one."""
        if self.running and frame == self.frame:
            self._next_frame()

    def _next_frame(self):
        """Train for up to `speed` epochs, in calls of 1, 2, 4, ... epochs, and draw."""
        end = perf_counter() + FRAME_SECONDS
        remaining = self.speed
        count = 1
        while remaining and perf_counter() < end and not self.session.trouble:
            count = min(count, remaining)
            self.session.run_epochs(count)
            remaining -= count
            count *= 2
        if self.session.trouble:
            self.running = False
        if not self.running or perf_counter() - self._drawn > OTHERS_SECONDS:
            self._draw()
        else:
            self.map.update(self.session)
        self.frame += 1
        self.answer["frame"] = self.frame

    def do_step(self):
        self.session.step()
        self.do_pause()

    def do_epoch(self):
        self.session.run_epochs(1)
        self.do_pause()

    def do_restart(self):
        self.session.restart()
        self.do_pause()

    def do_speed(self, epochs: int):
        if type(epochs) is not int or not 1 <= epochs <= MOST_EPOCHS:
            raise ValueError(
                f"The speed must be between 1 and {MOST_EPOCHS:,} epochs per frame, got"
                f" {epochs!r}."
            )
        self.speed = epochs

    # Changes.

    def do_change(self, settings: dict):
        edits = len(self.session.edits)
        try:
            self.session.change(**settings)
            self._forget()
            if edits and not self.session.edits:
                self.answer["said"] = (
                    f"The points were generated again; your {edits} edit(s) were"
                    " discarded."
                )
        except SettingsError as error:
            raise SettingsError(error.on_page) from None
        finally:  # resets a control with an invalid value
            self._add_settings()
        self._draw()

    def do_open(self, text: str):
        """Start a session with exported settings."""
        self._begin(Session(Settings.from_text(text), self.session.table))

    async def do_upload(self, name: str, content: str):
        """Start a session with an uploaded table, encoded as base64."""
        table = await asyncio.to_thread(
            PlaygroundTable.from_upload, name, b64decode(content, validate=True)
        )
        self._begin(
            Session(replace(self.session.settings, data="table", columns=()), table)
        )
        self.answer["said"] = " ".join(table.notes)

    def _begin(self, session):
        self.session = session
        self._forget()
        self._add_settings()
        self.do_pause()

    def _forget(self):
        """Clear the selected point and the results for earlier data or settings."""
        self.row = 0
        self.map.selected = None
        self.starts.clear()
        self.answer.update(selected=None, report="", starts="")

    def _edited(self, kind, **arguments):
        """Apply a mouse action on the map."""
        self.answer["said"] = ""
        self._answer(
            {"select": self._select, "add": self._add, "move": self._move}[kind],
            **arguments,
        )

    def _add(self, x, y):
        target: Any = self.target
        if not self.session.class_count:
            target = self.session.points.target.place(target)
        self._edit("add", x, y, target)

    def _move(self, row, x, y):
        self._edit("move", row, x, y, selected=row)

    def do_remove(self, row: int):
        self._edit("remove", row)

    def _edit(self, *edit, selected=None):
        """Edit a point and select a row; see `Session.edit`."""
        try:
            self.session.edit(*edit)
            self._forget()
            self.row = selected or 0
            self.map.selected = self.answer["selected"] = selected
            if selected is not None:
                self.answer["point"] = self.session.points.described(selected)
        finally:  # resets a point with an invalid place
            self.map.draw_points(self.session)
        self._draw()

    def do_mouse(self, adds: bool, target: float):
        """Set whether a click on the map adds a point, and the target of new points."""
        self.map.adds = bool(adds)
        self.target = target

    def do_map(self, smooth: bool, test: bool):
        self.map.smooth = bool(smooth)
        self.map.shows_test = bool(test)
        self.map.update(self.session)

    def do_walk(self, right: int, up: int, moves: bool):
        """Select the next point in a direction, or move the selected point by 1 % of the map."""
        row = self.map.selected
        if not moves or row is None:
            self._select(self.map.following(right, up))
            return
        x, y = self.session.points.XY[row]
        (x0, x1), (y0, y1) = self.session.points.limits
        self._move(row, x + right * (x1 - x0) / 100, y + up * (y1 - y0) / 100)

    def do_choose(self, step: int):
        self.network.choose(step)
        self._add_weight()

    def do_weight(self, index: int, value: float):
        self.session.set_weight(index, value)
        self._draw()

    # Tabs and export.

    def do_tab(self, tab: str):
        self.tab = tab
        self._draw_tab()

    def do_row(self, row: int):
        try:
            self.row = self.session.points.index(row)
        finally:  # resets an invalid index
            self._draw_tab()

    def _select(self, row):
        self.map.selected = self.answer["selected"] = row
        self.map.draw_points(self.session)
        self.answer["point"] = self.session.points.described(row)
        self.do_row(row)

    def do_turn(self, around: float, up: float):
        self.hidden.turn(float(around), float(up))
        self.hidden.update(self.session)

    async def do_check(self):
        self.answer["report"] = ""
        report = await asyncio.to_thread(check, self.session)
        self.answer["report"] = f"At step {self.session.steps:,}:\n{report}"

    async def do_starts(self, count: int, epochs: int):
        self.starts.clear()
        self.answer["starts"] = ""
        losses = await asyncio.to_thread(losses_of_starts, self.session, count, epochs)
        self.starts.draw(losses)
        self.answer["starts"] = described(losses)

    def do_take(self, what: str):
        """Send a file, encoded as base64."""
        file = {"name": "playground.npz", "type": "application/octet-stream"}
        if what == "script":
            file = {"name": "playground.py", "type": "text/x-python"}
            content = script(self.session).encode()
        else:
            content = model_file(self.session)
        self.answer["file"] = file | {"content": b64encode(content).decode()}

    # Pictures.

    def _draw(self):
        """Draw all visible pictures."""
        for view in self.always.values():
            view.update(self.session)
        self._add_weight()
        self._draw_tab()
        self._drawn = perf_counter()

    def _draw_tab(self):
        if self.tab == "numbers":
            self.answer["numbers"] = {
                "row": self.row,
                "html": row(self.session, self.row).to_html(),
            }
        elif self.tab in self.in_tabs:
            self.in_tabs[self.tab].update(self.session)

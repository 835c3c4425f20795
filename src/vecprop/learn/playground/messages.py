"""Messages between the page's script and the session: JSON, in two sources of data that Bokeh keeps alike.

The browser writes `sent`: the name of an action, and its values. The answer stands in `shown`: what the page shows, by
name. What is refused is answered by a sentence.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource

from ...terminal.errors import sentence

Action = Callable[..., Awaitable[None] | None]


class Messages:
    """The messages of a window."""

    def __init__(self, document: Document, actions: dict[str, Action], always: Callable[[], dict[str, Any]]) -> None:
        self.told: dict[str, Any] = {}
        self.sent = ColumnDataSource({"message": []}, name="sent")
        self.shown = ColumnDataSource({"message": []}, name="shown")
        self._document, self._actions, self._always = document, actions, always
        self.sent.on_change("data", self._receive)

    def answer(self, action: Action, **values: Any) -> None:
        """Do something, and tell what follows, or why it is refused."""
        try:
            waiting = action(**values)
        except Exception as error:
            self.told["said"] = sentence(error)
        else:
            if waiting is not None:
                later: Any = lambda: self._answer_later(waiting)  # noqa: E731
                self._document.add_next_tick_callback(later)
                return
        self._tell()

    async def _answer_later(self, waiting: Awaitable[None]) -> None:
        """Wait for something; other windows go on meanwhile, and this one's messages wait."""
        try:
            await waiting
        except Exception as error:
            self.told["said"] = sentence(error)
        self._tell()

    def _receive(self, attribute: str, old: Any, new: Any) -> None:
        self.answer(self._act, text=new["message"][0])

    def _act(self, text: str) -> Awaitable[None] | None:
        message = json.loads(text)
        action = self._actions.get(message.pop("do"))
        if action is None:
            raise ValueError("The page asks for something that does not exist: load it again.")
        return action(**message)

    def _tell(self) -> None:
        self.shown.data = {"message": [json.dumps(self.told | self._always())]}
        self.told = {}

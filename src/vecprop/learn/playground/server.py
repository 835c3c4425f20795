"""The server of the page, until Ctrl-C: on this machine only, behind a secret address, for a few windows."""

import asyncio
import logging
import secrets
import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bokeh.document import Document
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.ws import WSHandler
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from ...terminal.messages import UsageError
from .page import Page
from .session import Session
from .settings import Settings, SettingsError
from .table import Table

HERE: Final = "127.0.0.1"
MOST_WINDOWS, MOST_KEPT = 4, 12
"""The largest number of windows at once, and of those that are open, opening, or were closed a few seconds ago."""

MOST_BYTES = 30_000_000
"""The largest message of the browser: a table of 20 MB as base64."""


class PlaygroundServer(BaseServer):
    """A server of Bokeh that only this machine reaches, and only who knows the address."""

    def __init__(self, fill: Callable[[Document], None], port: int = 0) -> None:
        try:
            listening = socket.create_server((HERE, port))
        except OSError as error:
            raise OSError(f"Port {port} cannot be used ({error.strerror}): give another with --port.") from None
        listening.setblocking(False)
        port = listening.getsockname()[1]
        token = secrets.token_hex(16)
        app = GuardedApplication(fill, token, hosts=(f"{HERE}:{port}", f"localhost:{port}"))
        http = HTTPServer(app)
        http.add_socket(listening)
        super().__init__(IOLoop.current(), app, http)
        self.url = f"http://{HERE}:{port}/{token}/"


class GuardedApplication(BokehTornado):
    """Bokeh's application behind a gate that each request passes first."""

    def __init__(self, fill: Callable[[Document], None], token: str, hosts: tuple[str, ...]) -> None:
        # Signed sessions: a window is known by the server only.
        options: dict[str, Any] = {"prefix": token, "sign_sessions": True, "secret_key": secrets.token_bytes(32)}
        options |= {"extra_websocket_origins": list(hosts), "websocket_max_message_size_bytes": MOST_BYTES}
        options |= {"check_unused_sessions_milliseconds": 1_000, "unused_session_lifetime_milliseconds": 10_000}
        super().__init__(fill, **options)
        self._hosts = hosts
        self._origins = {None, *(f"http://{host}" for host in hosts)}  # programs send none

    def find_handler(self, request: HTTPServerRequest, **known: Any) -> Any:
        """Return what answers a request: Bokeh, or a refusal."""
        if refusal := self._refusal(request):
            return self.get_handler_delegate(request, Refusal, {"refusal": refusal})
        found: Any = super().find_handler(request, **known)
        if found.handler_class is WSHandler:
            found.handler_class = PromptSocket
        return found

    def _refusal(self, request: HTTPServerRequest) -> tuple[int, str] | None:
        """Return the status and the sentence of a refusal; None lets the request in."""
        if request.host not in self._hosts:  # a foreign name that leads here
            return 403, "The playground is reached by the address that it has printed only."
        if request.headers.get("Origin") not in self._origins:
            return 403, "The playground does not answer the pages of others."
        page = f"{self.prefix}/"
        if not (request.path in (page, f"{page}ws") or request.path.startswith(f"{page}static/")):
            return 404, "There is nothing here: open the address that vecprop playground has printed."
        windows = self.get_sessions("/")
        is_full = sum(window.connection_count > 0 for window in windows) >= MOST_WINDOWS or len(windows) >= MOST_KEPT
        if is_full and not request.path.startswith(f"{page}static/"):
            return 503, f"{MOST_WINDOWS} windows are open already: close one, and load this page again."
        return None


class PromptSocket(WSHandler):
    """Bokeh's socket, which sends each part of a message at once.

    A part would otherwise wait until the browser has acknowledged the one before, which takes it some 40 ms.
    """

    def open(self) -> None:
        """Begin."""
        self.set_nodelay(True)
        super().open()


class Refusal(RequestHandler):
    """Answers with a sentence."""

    def initialize(self, refusal: tuple[int, str]) -> None:
        """Take the status and the sentence."""
        self._status, self._sentence = refusal

    def prepare(self) -> None:
        """Answer any method."""
        self.set_status(self._status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self._sentence)


def serve(table: Path | None, port: int, text: str | None, *, opens_browser: bool) -> None:
    """Serve the page, and return after Ctrl-C."""
    logging.getLogger("bokeh").setLevel(logging.ERROR)  # that a window was closed is no news
    own = None if table is None else Table.read(table)
    try:
        settings = None if text is None else Settings.from_text(text)
        Session(settings, own).run_epochs(2)  # loads the kernels, before somebody waits for a frame
    except SettingsError as error:
        raise UsageError(str(error)) from None

    async def run() -> None:
        windows: dict[str, Page] = {}
        server = PlaygroundServer(lambda document: Page(document, Session(settings, own), windows).fill(), port)
        server.start()
        print(f"The playground is at {server.url}\nCtrl-C ends it.", flush=True)
        if opens_browser:
            webbrowser.open(server.url)
        await asyncio.Event().wait()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        print("\nThe playground has ended.")

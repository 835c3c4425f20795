"""Serve the page to this machine only, at a secret address and for a few windows."""

import asyncio
import logging
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Callable
from contextlib import suppress
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
from .session_settings import Settings, SettingsError
from .table import PlaygroundTable

HERE: Final = "127.0.0.1"
MOST_WINDOWS, MOST_KEPT = 4, 12
"""The maximum number of open windows, and of all windows including opening and
recently closed ones.
"""

MOST_BODY = 10_000
"""The maximum size of the body of a request: the page sends none."""

MOST_BYTES = 30_000_000
"""The maximum size of a message from the browser: a table of 20 MB as base64."""


class PlaygroundServer(BaseServer):
    """A Bokeh server for connections from this machine to a secret address."""

    def __init__(self, fill: Callable[[Document], None], port: int = 0):
        try:
            listening = socket.create_server((HERE, port))
        except OSError as error:
            raise OSError(
                f"Port {port} is not available ({error.strerror}): choose another with"
                " --port."
            ) from None
        listening.setblocking(False)
        port = listening.getsockname()[1]
        token = secrets.token_hex(16)
        app = GuardedApplication(
            fill, token, hosts=(f"{HERE}:{port}", f"localhost:{port}")
        )
        http = HTTPServer(
            app, max_body_size=MOST_BODY, idle_connection_timeout=60, body_timeout=10
        )
        http.add_socket(listening)
        super().__init__(IOLoop.current(), app, http)
        self.url = f"http://{HERE}:{port}/{token}/"


class GuardedApplication(BokehTornado):
    """A Bokeh application that checks the host, origin and path of each request."""

    def __init__(
        self, fill: Callable[[Document], None], token: str, hosts: tuple[str, ...]
    ):
        secret: Any = secrets.token_bytes(32)
        super().__init__(
            fill,
            prefix=token,
            sign_sessions=True,  # browsers cannot invent session IDs
            secret_key=secret,
            extra_websocket_origins=list(hosts),
            websocket_max_message_size_bytes=MOST_BYTES,
            check_unused_sessions_milliseconds=1_000,
            unused_session_lifetime_milliseconds=10_000,
        )
        # the log would contain the secret address
        self.settings["log_function"] = lambda handler: None
        self._hosts = hosts
        # programs send no origin
        self._origins = {None, *(f"http://{host}" for host in hosts)}

    def find_handler(self, request: HTTPServerRequest, **options):
        """Return the handler of a request: Bokeh's or a refusal."""
        if refusal := self._refusal(request):
            return self.get_handler_delegate(request, Refusal, {"refusal": refusal})
        handler: Any = super().find_handler(request, **options)
        if handler.handler_class is WSHandler:
            handler.handler_class = PromptSocket
        return handler

    def resources(self, absolute_url: str | bool | None = None):
        """Return only the core of BokehJS: the page needs no widgets, tables, formulas or WebGL."""
        return super().resources(absolute_url).clone(components=["bokeh"])

    def _refusal(self, request):
        """Return the status and message of a refusal, or None to accept the request."""
        # another host name that resolves to this machine
        if request.host not in self._hosts:
            return 403, "Open the playground only at the address that it printed."
        if request.headers.get("Origin") not in self._origins:
            return 403, "The playground does not accept requests from other sites."
        page = f"{self.prefix}/"
        is_static = request.path.startswith(f"{page}static/")
        if "%00" in request.path or not (
            is_static or request.path in (page, f"{page}ws")
        ):
            return (
                404,
                "Page not found: open the address that vecprop playground printed.",
            )
        windows = self.get_sessions("/")
        open_windows = [window for window in windows if window.connection_count]
        is_full = len(open_windows) >= MOST_WINDOWS or len(windows) >= MOST_KEPT
        if is_full and not is_static:
            return (
                503,
                f"{MOST_WINDOWS} windows are open already: close one and reload"
                " this page.",
            )
        return None


class PromptSocket(WSHandler):
    """Bokeh's WebSocket without Nagle's algorithm, which causes 40 ms delays."""

    def open(self):
        """Disable Nagle's algorithm and open the socket."""
        self.set_nodelay(True)
        super().open()


class Refusal(RequestHandler):
    """Answers requests with a status and a message."""

    def initialize(self, refusal: tuple[int, str]):
        """Store the status and the message."""
        self._status, self._message = refusal

    def prepare(self):
        """Answer requests of any method."""
        self.set_status(self._status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self._message)


def redirect(url: str, folder: Path) -> Path:
    """Write a page that leads to an address, so that the address is not shown in a list of processes with arguments."""
    page = folder / "playground.html"
    page.touch(0o600)
    page.write_text(
        f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={url}">',
        encoding="utf-8",
    )
    return page


def serve(table: Path | None, port: int, text: str | None, *, opens_browser: bool):
    """Serve the page until Ctrl-C."""
    # hides messages about closed windows
    logging.getLogger("bokeh").setLevel(logging.ERROR)
    data = None if table is None else PlaygroundTable.read(table)
    try:
        settings = None if text is None else Settings.from_text(text)
        # loads the kernels before the first frame
        Session(settings, data).run_epochs(2)
    except SettingsError as error:
        raise UsageError(str(error)) from None

    async def run():
        windows = {}
        server = PlaygroundServer(
            lambda document: Page(document, Session(settings, data), windows).fill(),
            port,
        )
        server.start()
        print(
            f"The playground is at {server.url}\nPress Ctrl-C to stop it.", flush=True
        )
        with tempfile.TemporaryDirectory(prefix="vecprop-") as folder:
            if opens_browser:
                webbrowser.open(redirect(server.url, Path(folder)).as_uri())
            await asyncio.Event().wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(run())
    print("\nThe playground has stopped.")

"""The playground as a program: its server, until Ctrl-C, and its page in the browser."""

import asyncio
import logging
import webbrowser
from pathlib import Path

from ...terminal.errors import UsageError
from .page import page_of
from .server import PlaygroundServer
from .session import Session
from .settings import Settings, SettingsError
from .table import Table


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
        server = PlaygroundServer(page_of(lambda: Session(settings, own)), port)
        server.start()
        print(f"The playground is at {server.url}\nCtrl-C ends it.", flush=True)
        if opens_browser:
            webbrowser.open(server.url)
        await asyncio.Event().wait()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        print("\nThe playground has ended.")

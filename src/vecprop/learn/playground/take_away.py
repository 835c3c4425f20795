"""What is taken away from the page: files, as the browser saves them."""

from base64 import b64encode
from collections.abc import Callable

from .model import model_file
from .script import script
from .session import Session

FILES: dict[str, tuple[str, str, Callable[[Session], bytes]]] = {
    "script": ("playground.py", "text/x-python", lambda session: script(session).encode()),
    "model": ("playground.npz", "application/octet-stream", model_file),
}
"""The name, type and content of each file."""


def file_of(session: Session, what: str) -> dict[str, str]:
    """Return a file, whose bytes are base64."""
    name, kind, content = FILES[what]
    return {"name": name, "type": kind, "content": b64encode(content(session)).decode()}

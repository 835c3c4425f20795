"""A distribution's readme and links, which are absolute once the repository has an address in pyproject.toml."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Links(MetadataHookInterface):
    """Fills in the metadata that depend on the address."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the readme, whose links become absolute, and the project's URLs."""
        address = self.config["repository"].rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, address),
        }
        metadata["urls"] = (
            {"Source": address, "Changes": f"{address}/blob/main/CHANGELOG.md"}
            if address
            else {}
        )


def absolute(text: str, address: str) -> str:
    """Return Markdown whose relative links lead to the repository; without an address, drop pictures and links."""
    if not address:
        text = re.sub(r"<picture>.*?</picture>\n*", "", text, flags=re.DOTALL)
        return re.sub(r"(?<!!)\[([^]]*)\]\((?!https?:|#)[^)]*\)", r"\1", text)
    text = re.sub(r'((?:src|srcset)=")(?!https?:)', rf"\1{address}/raw/main/", text)
    return re.sub(r"((?<!!)\[[^]]*]\()(?!https?:|#)", rf"\1{address}/blob/main/", text)

"""A layer that records what is written in a folder, and lays out every state that a power cut could leave of it.

A file's bytes are on disk from the next fsync of the file on, and a name from the next
fsync of its folder. What comes after that may be lost, be there in part, or be there;
names are kept in their order.
"""

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Disk:
    """The records of a folder: files by number, names, and marks.

    Parameters
    ----------
    root : Path
        The folder.
    """

    root: Path
    events: list[tuple[Any, ...]] = field(default_factory=list)
    # what is behind an open number: a file, or a folder
    _numbers: dict[int, Any] = field(default_factory=dict)

    def record(self, monkeypatch: Any) -> None:
        """Record all that programs do in the folder from now on."""
        disk, is_own = self, lambda path: Path(path).is_relative_to(self.root)
        calls = {
            name: getattr(os, name)
            for name in ("fsync", "replace", "unlink", "mkdir", "open")
        }

        class Recorded(io.FileIO):
            def __init__(self, path: Any, mode: str) -> None:
                super().__init__(path, mode)
                self.file = len(disk.events)
                disk.events.append(("create", Path(path), self.file))
                disk._numbers[self.fileno()] = self.file

            def write(self, data: Any, /) -> int:
                disk.events.append(("write", self.file, self.tell(), bytes(data)))
                return super().write(data)

            def truncate(self, size: Any = None, /) -> int:
                raise NotImplementedError

        def opened(
            path: Any, mode: str, buffering: int = -1, opener: Any = None
        ) -> Any:
            # what a lock says need not outlive the machine
            if not is_own(path) or Path(path).name.endswith("lock"):
                return open(path, mode, buffering)
            return io.BufferedWriter(Recorded(path, "x"))

        def fsync(number: int) -> None:
            calls["fsync"](number)
            if number in disk._numbers:
                disk.events.append(("sync", disk._numbers[number]))

        def folder_opened(path: Any, *arguments: Any, **named: Any) -> int:
            number = calls["open"](path, *arguments, **named)
            if is_own(path) and os.path.isdir(path):
                disk._numbers[number] = Path(path)
            return number

        def named(name: str) -> Any:
            def call(*paths: Any, **others: Any) -> Any:
                calls[name](*paths, **others)
                if is_own(paths[0]):
                    disk.events.append(
                        (name, *map(Path, paths[: 1 + (name == "replace")]))
                    )

            return call

        replaced = {"fsync": fsync, "open": folder_opened}
        for name in ("replace", "unlink", "mkdir"):
            replaced[name] = named(name)
        monkeypatch.setattr("vecprop.files.atomic.open", opened, raising=False)
        for name, call in replaced.items():
            monkeypatch.setattr(os, name, call)

    def mark(self, what: Any) -> None:
        """Note that something is promised to be on disk."""
        self.events.append(("mark", what))

    def cuts(self) -> Iterator[tuple[dict[Path, bytes | None], list[Any]]]:
        """Yield the files, and folders as None, that each power cut could leave, and what was promised before it."""
        seen = set()
        for end in range(len(self.events) + 1):
            before = self.events[:end]
            promised = [event[1] for event in before if event[0] == "mark"]
            for files in _left(before):
                key = frozenset(files.items()), len(promised)
                if key not in seen:
                    seen.add(key)
                    yield files, promised


def _left(events: list[tuple[Any, ...]]) -> Iterator[dict[Path, bytes | None]]:
    """Yield the files that may be left after these events."""
    synced = {
        event[1]: place for place, event in enumerate(events) if event[0] == "sync"
    }
    names = [
        (place, event)
        for place, event in enumerate(events)
        if event[0] in ("create", "replace", "unlink", "mkdir")
    ]
    pending = [
        place for place, event in names if place > synced.get(event[1].parent, -1)
    ]
    for lost in range(len(pending) + 1):
        gone = set(pending[len(pending) - lost :])
        for how in ("dropped", "cut", "zeros", "written"):
            left: dict[Path, Any] = {}
            for place, event in names:
                if place in gone:
                    continue
                match event:
                    case ("create", path, file):
                        left[path] = file
                    case ("replace", old, new):
                        if old in left:
                            left[new] = left.pop(old)
                    case ("unlink", path):
                        left.pop(path, None)
                    case ("mkdir", path):
                        left[path] = None
            yield {
                path: (
                    None
                    if file is None
                    else _bytes(events, file, synced.get(file, -1), how)
                )
                for path, file in left.items()
            }


def _bytes(events: list[tuple[Any, ...]], file: int, synced: int, how: str) -> bytes:
    """Return what is left of a file's bytes: those before it was synced, and what became of the others."""
    sure, every = bytearray(), bytearray()
    for place, event in enumerate(events):
        if event[0] == "write" and event[1] == file:
            for content in (every, *([sure] if place < synced else [])):
                content.extend(bytes(max(event[2] - len(content), 0)))
                content[event[2] : event[2] + len(event[3])] = event[3]
    match how:
        case "dropped":
            return bytes(sure)
        case "cut":
            return (
                bytes(sure)
                if len(sure) == len(every)
                else bytes(every[: (len(sure) + len(every)) // 2])
            )
        case "zeros":
            return bytes(sure) + bytes(len(every) - len(sure))
    return bytes(every)


def lay_out(files: dict[Path, bytes | None], root: Path) -> None:
    """Make these files and folders all that a folder holds."""
    shutil.rmtree(root)
    root.mkdir()
    for path, content in files.items():
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

"""The process between the grader and a student's code: it ends all that the code has started, whatever ends first.

This module is also a program, for systems with fork. The grader starts it; it starts a second process, which starts the
student's. The second one is the student's parent, so killing the parent harms nobody. Where the system allows it, the
second process and all below it see no process outside of theirs. Processes that detach themselves become children of
this one. All are killed when the student's process ends, and when the pipe of requests closes, as it does at the end of
the grader.
"""

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress
from typing import NamedTuple

SUBREAPER, NEW_USERS, NEW_PROCESSES = 36, 0x10000000, 0x20000000
"""The constants of Linux: PR_SET_CHILD_SUBREAPER, CLONE_NEWUSER and CLONE_NEWPID."""


class Process(NamedTuple):
    """A process: its parent, its state ("R" if it runs or waits for a processor), and its processor time."""

    parent: int
    state: str
    seconds: float


def descendants(root: int) -> dict[int, Process]:
    """Return the processes that a process has started, directly or not; none where the system has no /proc."""
    known: dict[int, Process] = {}
    with suppress(OSError):
        if os.readlink("/proc/self") != str(os.getpid()):  # its numbers belong to another namespace
            return {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                details = file.read().rpartition(b")")[2].split()
                ticks = sum(map(int, details[11:15])) / os.sysconf("SC_CLK_TCK")
                known[int(name)] = Process(int(details[1]), details[0].decode(), ticks)
    found: dict[int, Process] = {}
    added = {root}
    while added:
        added = {pid for pid, process in known.items() if process.parent in added and pid not in found}
        found |= {pid: known[pid] for pid in added}
    return found


def kill(processes: dict[int, Process]) -> None:
    """Kill processes."""
    for pid in processes:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def main(command: list[str]) -> None:
    """Run a command, and kill all that it has started when it ends or standard input closes."""
    with suppress(OSError, AttributeError):  # not on every system
        system = ctypes.CDLL(None)
        system.prctl(SUBREAPER, 1, 0, 0, 0)
        user = os.getuid()
        if system.unshare(NEW_PROCESSES) and not system.unshare(NEW_USERS | NEW_PROCESSES):
            with open("/proc/self/uid_map", "w") as file:
                file.write(f"{user} {user} 1")
    ended, held = os.pipe()  # the second process holds one end: its end closes it
    parent = os.fork()
    if not parent:
        os.setsid()
        student = os.fork()
        if not student:
            os.execv(command[0], command)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        while os.wait()[0] != student:
            pass
        os._exit(0)
    os.close(held)
    os.close(1)
    hangups = select.poll()
    hangups.register(0, 0)
    hangups.register(ended, 0)
    hangups.poll()
    with suppress(OSError):
        os.killpg(parent, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            kill(descendants(os.getpid()))
            os.wait()


if __name__ == "__main__":
    main(sys.argv[1:])

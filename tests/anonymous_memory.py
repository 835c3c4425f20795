"""The anonymous memory that code takes in a process of its own."""

import subprocess
import sys
from textwrap import dedent, indent

import pytest

MEGABYTE = 2**20

reads_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
"""Marks tests of this memory, which other systems do not tell in the same way."""

_SCRIPT = """
import threading, time, warnings
warnings.simplefilter("ignore")

def anonymous():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

def look():
    while not ended:
        most[0] = max(most[0], anonymous())
        time.sleep(0.002)

{before}
first, most, ended = anonymous(), [0], []
watch = threading.Thread(target=look)
watch.start()
try:
{measured}
finally:
    ended.append(True)
    watch.join()
print(most[0] - first)
"""


def peak_of(measured: str, before: str) -> int:
    """Return the most bytes that code has at once beyond those of the code before it."""
    script = _SCRIPT.format(
        before=dedent(before), measured=indent(dedent(measured), "    ")
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)

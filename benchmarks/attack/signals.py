"""Ctrl-C and SIGTERM at random moments of commands: ``python benchmarks/attack/signals.py SEED COUNT``.

A process runs a command, and gets one or two signals at random moments from its start
to its end. It must end with the documented exit code and one sentence, without a
traceback and without unfinished files. The same command must then succeed; with a
checkpoint, the model must have the bits of an uninterrupted run. The program prints the
number of ends by command and exit code, or ends with an error.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

import vecprop as vp

START = 0.05
"""The number of seconds that Python needs to start."""

FAST = ["--max-iter", "3", "--n-estimators", "2", "--hidden-layer-sizes", "4"]
TRAIN = ["train", "people.csv", "--target", "buys", *FAST, "-o", "new.npz"]
COMMANDS = {
    "train": [*TRAIN, "--force"],
    "train with a checkpoint": [*TRAIN, "--checkpoint", "run", "--quiet"],
    "train with a checkpoint and a report": [
        *TRAIN,
        "--checkpoint",
        "run",
        "--report",
        "new.html",
    ],
    "predict": ["predict", "old.npz", "people.csv", "-o", "new.csv", "--force"],
    "evaluate": ["evaluate", "old.npz", "people.csv"],
    "explain": ["explain", "old.npz", "people.csv", "--row", "7"],
    "convert": ["convert", "people.csv", "new"],
    "check-gradients": ["check-gradients", "old.npz", "people.csv"],
    "info": ["info", "old.npz"],
    "learn worksheet": ["learn", "worksheet", "-o", "new.html", "--force"],
}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def started(command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a command that does not ignore Ctrl-C, as shells' background processes do."""
    code = "import sys; from vecprop.app import main; sys.argv[0] = 'vecprop'; main()"
    pipes = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    return subprocess.Popen(
        [sys.executable, "-c", code, *command], cwd=folder, text=True, **pipes
    )


def fresh(folder: Path, prepared: Path) -> Path:
    """Return an empty folder with the table and a model."""
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(prepared, folder))


def prepare(folder: Path) -> Path:
    """Write a table, and train a model on it."""
    rng = np.random.default_rng(0)
    age = rng.integers(20, 80, 200)
    table = pd.DataFrame(
        {"age": age, "town": rng.choice(["Rome", "Oslo", "Lima"], 200)}
    )
    table["buys"] = np.where(age + rng.normal(0, 5, 200) > 50, "yes", "no")
    folder.mkdir()
    table.to_csv(folder / "people.csv", index=False)
    done = started([*TRAIN[:-1], "old.npz"], folder)
    out, said = done.communicate()
    assert done.returncode == 0, out + said
    return folder


def bits(model: Path) -> list[bytes]:
    """Return the parameters of a model."""
    return [view.thetas.tobytes() for view in vp.load(model).ensemble_.views]


def strike(name: str, seconds: float, rng: random.Random, folder: Path) -> int:
    """Run a command, send signals to it, and check how it ends."""
    number = rng.choice([signal.SIGINT, signal.SIGTERM])
    moments = [rng.uniform(START, 1.1 * seconds)]
    if rng.random() < 0.2:
        moments.append(moments[0] + rng.uniform(0.001, 0.3))
    process, began = started(COMMANDS[name], folder), time.perf_counter()
    for moment in moments:
        time.sleep(max(moment - (time.perf_counter() - began), 0))
        process.send_signal(number)
    out, said = process.communicate(timeout=120)
    case = (
        f"{name}, {number.name} after {moments} of {seconds:.2f} s: exit code"
        f" {process.returncode}\n{out}\n{said}"
    )
    assert process.returncode in (0, CODES[number]), case
    assert not re.search(r"Traceback|Exception ignored|bug in vecprop|Error", said), (
        case
    )
    if process.returncode:
        assert len(re.findall("^Interrupted", said, re.MULTILINE)) == 1, case
    if process.returncode or name == "evaluate":
        again = started(COMMANDS[name], folder)
        out, said = again.communicate()
        assert again.returncode == 0, (
            f"{case}\nagain: exit code {again.returncode}\n{out}\n{said}"
        )
    if name.startswith("train"):
        assert bits(folder / "new.npz") == bits(folder / "old.npz"), case
    left = [
        path
        for path in folder.rglob("*")
        if path.name == "run" or path.name.endswith((".unfinished", ".lock"))
    ]
    assert not left, f"{case}\nleft: {left}"
    return process.returncode


def main(seed: int, count: int) -> None:
    rng, counts = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        prepared, folder = prepare(Path(place) / "prepared"), Path(place) / "folder"
        seconds = {}
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            done = started(command, fresh(folder, prepared))
            said = done.communicate()
            assert done.returncode == 0, said
            seconds[name] = time.perf_counter() - began
        for turn in range(count):
            name = [*COMMANDS][(seed + turn) % len(COMMANDS)]
            code = strike(name, seconds[name], rng, fresh(folder, prepared))
            counts[f"{name}: {code}"] += 1
    print(json.dumps(counts))


if __name__ == "__main__":
    os.environ |= {"VECPROP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    main(int(sys.argv[1]), int(sys.argv[2]))

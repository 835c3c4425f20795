"""Spawned, forked, joblib's and threads' fits at once: each has the bits of a fit alone."""

import hashlib
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np

from draws import Fit, fit, one
from networks import in_population

LONGEST = 120
"""The seconds after which a child counts as hung."""


def attack(rng: np.random.Generator) -> None:
    """Attack with several kinds of workers at once, while threads of this process fit too."""
    fits = [fit(np.random.default_rng(rng.integers(2**31))) for _ in range(4)]
    for drawn in fits:
        if drawn.settings["schedule"] is not None:  # rebuilt members train alone
            drawn.settings["schedule"] = None
    expected = [bits(drawn) for drawn in fits]
    ended, wrong = threading.Event(), []

    def go_on() -> None:
        while not ended.is_set():
            for drawn, own in zip(fits, expected, strict=True):
                if bits(drawn) != own:
                    wrong.append("a thread's bits differ")

    threads = [threading.Thread(target=go_on) for _ in range(int(rng.integers(1, 3)))]
    for thread in threads:
        thread.start()
    try:
        for kind in rng.permutation(
            [
                "fork",
                "forks",
                "pool of threads",
                one(rng, ["spawn", "joblib", "population"]),
            ]
        ):
            found = together(str(kind), fits, rng)
            assert found == expected, f"{kind}: bits differ"
    finally:
        ended.set()
        for thread in threads:
            thread.join(LONGEST)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    assert not wrong, wrong


def together(kind: str, fits: list[Fit], rng: np.random.Generator) -> list[bytes]:
    """Return the bits of fits that workers of a kind make at once."""
    if kind == "population":
        return [in_population(drawn, rng).values["theta"].tobytes() for drawn in fits]
    if kind == "pool of threads":
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(bits, fits))
    if kind == "joblib":
        found: Any = joblib.Parallel(n_jobs=2, timeout=LONGEST)(
            joblib.delayed(bits)(drawn) for drawn in fits
        )
        return list(found)
    if kind == "forks":
        return [forked(drawn) for drawn in fits]
    context: Any = multiprocessing.get_context(kind)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        return list(pool.map(bits, fits, timeout=LONGEST))


def bits(drawn: Fit) -> bytes:
    """Return the bits of the trained parameters."""
    return drawn.alone(engine="compiled").values["theta"].tobytes()


def forked(drawn: Fit) -> bytes:
    """Return the bits of a fit in a child that this process forks."""
    end, start = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(start, hashlib.sha256(bits(drawn)).digest())
        finally:
            os._exit(0)
    os.close(start)
    with os.fdopen(end, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    own = bits(drawn)
    return own if found == hashlib.sha256(own).digest() else found

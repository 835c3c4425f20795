"""Ctrl-C while tables are read and predicted."""

import contextlib
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

from vecprop import read_table
from vecprop.tables.reading.frames import by_blocks


def test_ctrl_c_does_not_wait_for_the_reader_of_a_file(monkeypatch, tmp_path):
    """pandas reads large files in threads, and waits for them after Ctrl-C."""
    (tmp_path / "t.csv").write_text("a,b\n1, 2\n")  # the space keeps Arrow from reading
    is_read = threading.Event()

    def read_csv(*arguments, **settings):
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
        while not is_read.is_set() and time.monotonic() < end:
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(0.01)
        return pd.DataFrame({"a": ["1"], "b": ["2"]})

    monkeypatch.setattr(pd, "read_csv", read_csv)
    end = time.monotonic() + 5
    with pytest.raises(KeyboardInterrupt):
        read_table(tmp_path / "t.csv")
    assert time.monotonic() < end - 2
    is_read.set()


def test_after_ctrl_c_no_other_block_is_begun():
    begun, is_interrupted = [], threading.Event()

    def work(block):
        begun.append(block.start)
        if block.start == 0:
            is_interrupted.set()
            raise KeyboardInterrupt
        is_interrupted.wait(5)
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        by_blocks(work, rows=100_000, width=2**20)
    assert len(begun) < 20
    assert np.unique(begun).size == len(begun)

"""Samples of the campaigns in ``benchmarks``: random attacks on the engine, interruptions and kills."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = Path(__file__).parents[1] / "benchmarks" / "attack"

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not ATTACK.exists(), reason="the benchmarks are missing"),
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="for Linux"),
]


@pytest.fixture
def counts(tmp_path):
    """Return a function that runs a program and returns the counts that it prints."""

    def run(program, *arguments, threads=2):
        environment = os.environ | {
            "VECPROP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, str(ATTACK / program), *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("networks", 60),
        ("sparse_rows", 40),
        ("selections", 30),
        ("clothes", 30),
        ("kernel_files", 1),
        ("processes", 1),
    ],
)
def test_random_cases(kind, count, counts):
    assert counts("attack.py", kind, 0, count, threads=4) == {
        "cases": count,
        "failed": {},
    }


@pytest.mark.parametrize("seed", range(3))
def test_interruptions_at_random_moments(seed, counts):
    assert counts("strikes.py", seed, 150)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "work", ["small networks", "populations", "estimators", "rows in blocks"]
)
def test_ends_at_random_moments(work, seed, counts):
    assert counts("kills.py", work, seed)["trainings"] == 1


def test_signals_at_random_moments_of_commands(counts):
    assert counts("signals.py", 0, 20)

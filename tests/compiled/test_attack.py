"""A sample of the random attacks of ``benchmarks/engine_attack.py``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="for Linux")
@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "count"),
    [("networks", 60), ("sparse_rows", 40), ("selections", 30), ("clothes", 30), ("kernel_files", 1), ("processes", 1)],
)
def test_random_cases(kind, count, tmp_path):
    environment = os.environ | {"VECPROP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1"}
    attack = Path(__file__).parents[2] / "benchmarks" / "attack" / "attack.py"
    command = [sys.executable, str(attack), kind, "0", str(count)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    assert json.loads(done.stdout) == {"cases": count, "failed": {}}

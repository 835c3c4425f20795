"""A short sample of the campaign of ends at random moments, ``python benchmarks/interruptions.py kills``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("work", ["small networks", "populations", "estimators", "rows in blocks"])
def test_ends_at_random_moments(work, seed, tmp_path):
    command = [sys.executable, str(Path(__file__).parent / "kills.py"), work, str(seed)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trainings"] == 1

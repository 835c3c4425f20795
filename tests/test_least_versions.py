"""Both distributions are whole, and their tests pass with the least releases that `pyproject.toml` allows."""

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WITHOUT_EXTRAS = [f"tests/{room}" for room in ("core", "optimize", "train", "compiled", "system", "learn")]
SETTINGS = ["-m", "not long", "-p", "no:cacheprovider", "-n", "2", "-o", "filterwarnings=default"]  # of old releases


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def least(requirements):
    """Return requirements with the least release of each, ``x>=1`` as ``x==1``, without those of vecprop's extras."""
    pairs = [re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement) for requirement in requirements]
    return [f"{pair[1]}=={pair[2]}" for pair in pairs if pair]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributions")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("*.whl")), next(path for path in folder.iterdir() if path.is_dir())


@pytest.mark.long
@pytest.mark.parametrize(
    ("extras", "tests"),
    [((), WITHOUT_EXTRAS), (("pictures", "cli", "tables", "onnx"), ["tests"])],
    ids=["plain", "all"],
)
def test_the_tests_of_the_source_distribution_pass(distributions, tmp_path, extras, tests):
    wheel, source = distributions
    needed = least(
        [*PROJECT["dependencies"], *(r for extra in extras for r in PROJECT["optional-dependencies"][extra])]
    )
    run(sys.executable, "-m", "venv", tmp_path)
    python = tmp_path / "bin" / "python"
    tools = ["pytest", "pytest-xdist", "hypothesis", "array-api-strict", *(["polars==1.20", "build"] if extras else [])]
    run(python, "-m", "pip", "install", "-q", wheel, *needed, *tools)
    # Older releases of scikit-learn pass through other functions of ours than those that test_trace.py counts.
    run(python, "-m", "pytest", *SETTINGS, "--ignore", "tests/test_trace.py", *tests, cwd=source)

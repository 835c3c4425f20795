"""Both distributions are whole, and work in an empty environment: with what pip finds, and with the least releases."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
WITHOUT_EXTRAS = [
    f"tests/{room}"
    for room in ("core", "optimize", "train", "compiled", "system", "learn")
]
# of old releases
SETTINGS = [
    "-m",
    "not long",
    "-p",
    "no:cacheprovider",
    "-n",
    "2",
    "-o",
    "filterwarnings=default",
]


def run(*command, **options):
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def least(requirements):
    """Return requirements with the least release of each, ``x>=1`` as ``x==1``, without those of vecprop's extras."""
    pairs = [
        re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement) for requirement in requirements
    ]
    return [f"{pair[1]}=={pair[2]}" for pair in pairs if pair]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Return the wheel, which is made from the source distribution, and the folder of the latter's files."""
    folder = tmp_path_factory.mktemp("distributions")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("*.whl")), next(
        path for path in folder.iterdir() if path.is_dir()
    )


def environment(folder, *requirements):
    """Return Python in a new environment that has the requirements and what they need."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", *requirements)
    return python


@pytest.mark.long
def test_both_distributions_are_whole(distributions):
    wheel, source = distributions
    run(
        sys.executable,
        "-m",
        "twine",
        "check",
        "--strict",
        wheel,
        *source.parent.glob("*.tar.gz"),
    )
    names = {
        path.relative_to(source / "src").as_posix()
        for path in source.rglob("src/vecprop/**/*")
        if path.is_file()
    }
    pages = {
        "vecprop/tables/evaluation/report/report.html",
        "vecprop/learn/worksheet.html",
    }
    assert {"vecprop/py.typed", *pages} <= names
    with zipfile.ZipFile(wheel) as packed:
        assert {
            name for name in packed.namelist() if name.startswith("vecprop/")
        } == names
    there = {path.relative_to(source).as_posix() for path in source.rglob("*")}
    folders = {"tests", "docs", "benchmarks"}
    kept = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    assert {name for name in kept if name.partition("/")[0] in folders} <= there


@pytest.mark.long
def test_the_wheel_with_its_extras_runs_the_notebooks_and_tests_of_the_source_distribution(
    distributions, tmp_path
):
    """The page of the notebooks says what they need."""
    wheel, source = distributions
    tutorials = source / "docs" / "tutorials"
    (extras,) = re.findall(
        r'pip install "vecprop(\[[\w,]+\])" ',
        (tutorials / "index.md").read_text(encoding="utf-8"),
    )
    python = environment(
        tmp_path,
        f"{wheel}{extras}",
        "jupytext",
        "nbclient",
        "ipykernel",
        "pytest",
        "hypothesis",
    )
    pages = [page for page in tutorials.glob("*.md") if page.name != "index.md"]
    assert len(pages) == 4
    run(python, "-m", "jupytext", "--to", "ipynb", *pages)
    run(
        python,
        "-m",
        "jupyter",
        "execute",
        "--inplace",
        *(page.with_suffix(".ipynb") for page in pages),
        cwd=tutorials,
    )
    assert all(
        '"outputs": [\n' in page.with_suffix(".ipynb").read_text(encoding="utf-8")
        for page in pages
    )
    sample = [
        "tests/core/test_scores.py",
        "tests/test_package.py",
        "tests/test_readme.py",
        "tests/learn",
    ]
    run(
        python,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not long",
        "-p",
        "no:cacheprovider",
        *sample,
        cwd=source,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("extras", "tests"),
    [((), WITHOUT_EXTRAS), (("pictures", "cli", "tables", "onnx"), ["tests"])],
    ids=["plain", "all"],
)
def test_the_tests_of_the_source_distribution_pass_with_the_least_releases(
    distributions, tmp_path, extras, tests
):
    wheel, source = distributions
    needed = least(
        [
            *PROJECT["dependencies"],
            *(r for extra in extras for r in PROJECT["optional-dependencies"][extra]),
        ]
    )
    tools = [
        "pytest",
        "pytest-xdist",
        "hypothesis",
        "array-api-strict",
        *(["polars==1.20", "build"] if extras else []),
    ]
    python = environment(tmp_path, wheel, *needed, *tools)
    # Older releases of scikit-learn pass through other functions of ours than those
    # that test_trace.py counts.
    run(
        python,
        "-m",
        "pytest",
        *SETTINGS,
        "--ignore",
        "tests/test_trace.py",
        *tests,
        cwd=source,
    )

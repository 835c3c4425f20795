"""The programs of the guides run, one after the other, and print what the pages show.

The pages of docs/how-to and docs/tutorials run as the site is built.
"""

import doctest
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import vecprop as vp
from vecprop.core import activations, layers

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
QUOTING = {"explanation/derivation.md", "explanation/one-source.md"}
"""Pages whose programs are lines of the library, compared with it by the last test."""

PAGES = {
    name: blocks
    for page in sorted(DOCS.rglob("*.md"))
    if (blocks := BLOCK.findall(page.read_text(encoding="utf-8")))
    and page.parent.name not in ("how-to", "tutorials")
    if (name := page.relative_to(DOCS).as_posix()) not in QUOTING
}
SHORT = {"learn.md"}
NEEDED = {
    "cluster.md": ["distributed", "pandas", "pyarrow"],
    "estimators.md": ["mlflow"],
    "gradient-checking.md": ["torch"],
    "larger-than-memory.md": ["pyarrow"],
    "model-files.md": ["pandas", "onnxruntime"],
    "tables.md": ["pandas"],
}
"""What pages need beside the library."""

X = np.random.default_rng(0).normal(size=(60, 2))


def sales() -> dict[str, Any]:
    """Write a folder of Parquet files."""
    import pandas as pd

    Path("sales").mkdir()
    table = pd.DataFrame(
        {
            "price": np.abs(X[:, 0]),
            "weight": X[:, 1],
            "returned": (X[:, 1] > 0).astype(int),
        }
    )
    for number in range(2):
        table[30 * number : 30 * number + 30].to_parquet(
            f"sales/{number}.parquet", row_group_size=10
        )
    return {}


def customers() -> dict[str, Any]:
    """Write two text files."""
    import pandas as pd

    table = pd.DataFrame(
        {"age": 40 + 10 * X[:, 0], "town": ["Lima", "Oslo", "Rome"] * 20}
    )
    table.to_csv("new.csv", index=False)
    for name in ("customers.csv", "held-out.csv"):
        table.assign(buys=np.where(X[:, 0] > 0, "yes", "no")).to_csv(name, index=False)
    return {}


def front() -> dict[str, Any]:
    """Write a small table, and return the names that the front page takes for granted."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = [f"{age:.2f},{int(age > 0)}" for age in X[:, 0]]
    Path("titanic.csv").write_text("\n".join(["age,survived", *rows]), encoding="utf-8")
    return {
        "X": X,
        "y": X[:, 0] > 0,
        "theta": X[0],
        "loss_and_gradient": lambda theta: (theta @ theta / 2, theta),
    }


def employees() -> dict[str, Any]:
    """Return what the page on clusters takes for granted."""
    import pandas as pd
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = vp.Network(2, [vp.Dense(1)], vp.SquaredError())
    pipeline = make_pipeline(
        StandardScaler(), vp.MLPClassifier(solver="lbfgs", tol=0.01)
    )
    return sales() | {
        "network": network,
        "theta": network.init(0),
        "members": [
            vp.Member(network, network.init(seed), vp.Adam(), epochs=2)
            for seed in range(3)
        ],
        "X": X,
        "T": X[:, 1:],
        "y": (X[:, 1] > 0).astype(int),
        "pipeline": pipeline,
        "grid": {"mlpclassifier__alpha": [1e-4, 1e-2]},
        "table": pd.DataFrame(
            {"age": X[:, 0], "left": np.where(X[:, 1] > 0, "yes", "no")}
        ),
    }


PREPARED = {
    "index.md": front,
    "cluster.md": employees,
    "larger-than-memory.md": sales,
    "tables.md": customers,
}
"""What makes the files that a page reads, and returns the names that it takes for
granted.
"""


@pytest.fixture
def scheduler(page: str) -> Iterator[str]:
    """Return the address of a cluster in this process, for the page on clusters."""
    if page != "cluster.md":
        yield ""
        return
    settings = {
        "n_workers": 1,
        "threads_per_worker": 2,
        "processes": False,
        "silence_logs": 50,
    }
    with pytest.importorskip("distributed").LocalCluster(
        dashboard_address=None, **settings
    ) as cluster:
        yield cluster.scheduler_address


def alike(one: str, other: str) -> bool:
    """Tell whether two words are equal, or are numbers that are up to what differs between processors."""
    try:
        return float(one.strip("(),:")) == pytest.approx(
            float(other.strip("(),:")), rel=0.05, abs=0.01
        )
    except ValueError:
        return one == other


def shows(printed: str, example: str) -> bool:
    """Tell whether an example is among what was printed."""
    words, wanted = printed.split(), example.split()
    starts = range(len(words) - len(wanted) + 1)
    return any(
        all(map(alike, words[start : start + len(wanted)], wanted)) for start in starts
    )


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page in SHORT else pytest.mark.long)
        for page in PAGES
    ],
    ids=str,
)
def test_programs_run_and_print_what_the_page_shows(
    page: str,
    scheduler: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in NEEDED.get(page, []):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = PREPARED.get(page, dict)()
    elsewhere = {"tcp://scheduler:8786": scheduler, "s3://sales/": "sales/"}
    examples = []
    for number, (kind, text) in enumerate(PAGES[page]):
        for there, here in elsewhere.items():
            text = text.replace(there, here)
        if kind == "text":
            examples.append(text)
        elif text.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(text, names, page, None, None)
            assert (
                not doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
                .run(test)
                .failed
            )
        else:
            # a file, from which formulas of its own are compiled
            program = Path(f"program_{number}.py").absolute()
            program.write_text(text, encoding="utf-8")
            exec(compile(text, program, "exec"), names)
    if "client" in names:
        names["client"].close()
    printed = capsys.readouterr().out
    for example in examples:
        assert shows(printed, example), f"{example}\nis not in\n{printed}"


def test_each_page_with_programs_is_found() -> None:
    assert len(PAGES) == 8
    assert {*SHORT, *NEEDED, *PREPARED} <= {*PAGES}


def test_names_of_the_library_in_pages_exist() -> None:
    pages = [
        *(
            DOCS.parent / name
            for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
        ),
        *DOCS.rglob("*.md"),
    ]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    names = {*re.findall(r"\bvecprop(?:\.[A-Za-z_]\w*)+", text)}
    assert len(names) >= 20
    for name in names - {"vecprop.CrossEntropyLoss"}:  # an example of a wrong name
        assert resolve_name(name)


def quoted(page: str) -> dict[str, Any]:
    """Return the functions of the page's only program."""
    ((_, program),) = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    names: dict[str, Any] = {"logistic": activations.logistic, "sum": np.sum}
    exec(program, names)
    return names


def test_formulas_that_pages_quote_are_the_librarys() -> None:
    derivation, silu = (
        quoted("explanation/derivation.md"),
        quoted("explanation/one-source.md"),
    )
    W, b, delta = np.ones((2, 3)), np.arange(3.0), np.arange(180.0).reshape(60, 3)
    arguments = {
        "affine": (X, W, b),
        "weight_gradient": (X, delta),
        "bias_gradient": (delta,),
    }
    for name, values in (arguments | {"input_gradient": (delta, W)}).items():
        np.testing.assert_array_equal(
            derivation[name](*values), getattr(layers, name)(*values)
        )
    np.testing.assert_array_equal(silu["value"](None, X), y := vp.SiLU().value(X))
    np.testing.assert_array_equal(
        silu["derivative"](None, X, y), vp.SiLU().derivative(X, y)
    )

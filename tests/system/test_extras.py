"""Without extras, every public name works or names the extra that it needs."""

import subprocess
import sys

import numpy as np
import pytest

import vecprop as vp

EXTRAS = (
    "pandas pyarrow openpyxl jinja2 matplotlib rich typer latex2mathml bokeh onnx"
    " skl2onnx mlflow dask distributed"
)
NETWORK = vp.Network(2, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
X, t = np.eye(2), np.array([0, 1])
MEMBER = vp.Member(NETWORK, NETWORK.init(0), vp.Adam(), epochs=1)
SEARCH = vp.MLPSearchCV(vp.MLPClassifier(), {})
SEARCH.cv_results_ = {}
NEEDED = {
    "read_table": ("pandas", "tables", lambda: vp.read_table("t.csv")),
    "read_table of Parquet": ("pandas", "tables", lambda: vp.read_table("t.parquet")),
    "read_chunks": ("pandas", "tables", lambda: list(vp.tables.read_chunks("t.csv"))),
    "guess_task": ("pandas", "tables", lambda: vp.tables.guess_task([1, 2])),
    "fit": ("pandas", "tables", lambda: vp.TabularClassifier("y").fit("t.csv")),
    "fit of arrays": ("pandas", "tables", lambda: vp.TabularRegressor().fit(X, t)),
    "score": ("pandas", "tables", lambda: vp.TabularClassifier("y").score("t.csv")),
    "History.to_frame": ("pandas", "tables", vp.History().to_frame),
    "TrainingResults.to_frame": (
        "pandas",
        "tables",
        lambda: vp.train_population([MEMBER], X, t).to_frame(),
    ),
    "TrainingResults.plot": (
        "matplotlib",
        "pictures",
        lambda: vp.train_population([MEMBER], X, t).plot(),
    ),
    "TrainingResult.plot": (
        "matplotlib",
        "pictures",
        lambda: vp.train_population([MEMBER], X, t)[0].plot(),
    ),
    "MLPSearchCV.to_frame": ("pandas", "tables", lambda: SEARCH.to_frame()),
    "Report.to_frame": (
        "pandas",
        "tables",
        lambda: vp.check_gradients(NETWORK, NETWORK.init(0), X, t).to_frame(),
    ),
    "Trace.to_frame": (
        "pandas",
        "tables",
        lambda: vp.learn.trace(NETWORK, NETWORK.init(0), X, t).to_frame(),
    ),
    "ParquetBlocks": (
        "pyarrow",
        "tables",
        lambda: vp.blocks.ParquetBlocks("t.parquet", "y"),
    ),
    "plot_loss": ("matplotlib", "pictures", lambda: vp.pictures.plot_loss(np.ones(3))),
    "plot_momentum": ("matplotlib", "pictures", lambda: vp.learn.plot_momentum()),
    "to_onnx": ("onnx", "onnx", lambda: vp.export.to_onnx(None)),
    "autolog": ("MLflow", "mlflow", lambda: vp.mlflow.autolog()),
    "DaskBlocks": ("Dask", "dask", lambda: vp.blocks.DaskBlocks(X, t)),
}


@pytest.mark.parametrize("name", NEEDED)
def test_missing_extras_are_named(name, monkeypatch, without_package, tmp_path):
    monkeypatch.chdir(tmp_path)
    for file in ("t.csv", "t.parquet"):
        (tmp_path / file).write_text("a,y\n1,u\n2,v\n")
    for extra in EXTRAS.split():
        without_package(extra)
    package, extra, call = NEEDED[name]
    with pytest.raises(
        ImportError,
        match=(
            rf"^[\w. ]+ (needs?|requires?|are read with) {package}[\w ]*: pip install"
            rf' "vecprop\[{extra}\]"\.$'
        ),
    ):
        call()


def test_a_missing_pyarrow_is_named_if_pandas_is_there(without_package, tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "t.parquet").write_text("PAR1")
    without_package("pyarrow")
    for call in (
        vp.read_table,
        vp.TabularClassifier("y").fit,
        lambda path: list(vp.tables.read_chunks([path])),
    ):
        with pytest.raises(
            ImportError,
            match=(
                r"^Reading Parquet and Arrow files needs pyarrow: pip install"
                r' "vecprop\[t'
            ),
        ):
            call(tmp_path / "t.parquet")


@pytest.mark.long
def test_all_names_exist_without_extras():
    code = f"""
import sys
sys.modules |= dict.fromkeys({EXTRAS.split()})
import vecprop
for package in (vecprop, vecprop.blocks, vecprop.cluster, vecprop.export, vecprop.extend, vecprop.tables,
                vecprop.pictures, vecprop.learn, vecprop.check, vecprop.mlflow):
    for name in getattr(package, "__all__", dir(package)):
        getattr(package, name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

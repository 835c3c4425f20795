"""A custom kind of column needs only a class and an entry in the registry."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from vecprop.tables.encoding.column import Column
from vecprop.tables.encoding.encoder import COLUMNS
from vecprop.tables.encoding.packed_rows import PackedRows
from vecprop.tables.kinds.ambiguities import KINDS

N = 120
RNG = np.random.default_rng(0)
HUES = np.array(["#ff0000", "#00ff00", "#0000ff", "#777777"])
TABLE = pd.DataFrame({"hue": RNG.choice(HUES, N), "x": RNG.normal(size=N)})
TABLE["y"] = np.where(
    (TABLE["hue"] == "#ff0000") ^ (RNG.random(N) < 0.1), "warm", "cold"
)
X = TABLE.drop(columns="y")


@dataclass(frozen=True, eq=False)
class Colors(Column):
    """Colors encoded as centered fractions of red, green and blue."""

    mean: np.ndarray

    kind = "colors"

    @classmethod
    def learned(cls, series, kind, pieces, categories, is_declared):
        colors = cls(np.zeros(3))(series)
        return (
            "all values are the same"
            if np.ptp(colors, axis=0).max() == 0
            else cls(colors.mean(axis=0))
        )

    @property
    def width(self):
        return 3

    def read(self, series):
        return series.fillna("#000000").astype(str).to_numpy(dtype=object)

    def of_values(self, values, /):
        shares = [
            [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)] for value in values
        ]
        return np.reshape(shares, (len(values), 3)) - self.mean

    def to_source(self, name, source):
        source.helper("colors", "def colors(column, mean):\n    return np.array([[int(v[k : k + 2], 16) / 255 "
                      "for k in (1, 3, 5)] for v in column]) - mean\n")  # fmt: skip
        return f"colors(table[{name!r}], {self.mean.tolist()})"

    def is_consistent(self):
        return self.mean.shape == (3,)


@pytest.fixture
def colors(monkeypatch):
    monkeypatch.setitem(COLUMNS, "color", Colors)
    KINDS.append("color")
    yield {
        "columns": {"hue": "color"},
        "max_iter": 5,
        "n_estimators": 2,
        "random_state": 0,
    }
    KINDS.remove("color")


def test_a_custom_kind_supports_all_operations(colors, tmp_path):
    model = vp.TabularClassifier("y", **colors).fit(TABLE)
    assert model.encoder_.kinds == {"hue": "colors", "x": "numbers"}
    assert model.score(TABLE) > 0.8
    assert model.detect_drift(X) == []
    assert {each.column for each in model.explain(X[:1], X)[0].contributions} == {
        "hue",
        "x",
    }
    vp.save(model, tmp_path / "model.npz")
    np.testing.assert_array_equal(
        vp.load(tmp_path / "model.npz").predict_proba(X), model.predict_proba(X)
    )
    encoder = model.encoder_
    rows = PackedRows.of(encoder.columns, X)
    np.testing.assert_array_equal(
        rows.expansion(np.arange(encoder.width))(rows(X)), encoder(X)
    )
    vp.export.to_numpy(model, tmp_path / "model.py")
    written: dict = {}
    exec((tmp_path / "model.py").read_text(), written)
    np.testing.assert_allclose(
        written["predict_proba"](X), model.predict_proba(X), rtol=1e-5
    )
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    with pytest.warns(UserWarning, match="'hue' .colors."):
        vp.export.to_onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    inputs = {
        "hue": model.encoder_.parts[0](X["hue"]).astype(np.float32),
        "x": X[["x"]].to_numpy(np.float32),
    }
    np.testing.assert_array_equal(session.run(None, inputs)[0], model.predict(X))
    model = vp.TabularClassifier("y", **colors).fit(TABLE.assign(hue="#ff0000"))
    assert "Column 'hue' is not used: all values are the same." in model.notes_

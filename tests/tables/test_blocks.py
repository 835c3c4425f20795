"""Encoding by blocks is bit-identical, and its memory does not grow with the inputs of all rows."""

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conditions import current_limit
from vecprop import TabularClassifier, TabularRegressor
from vecprop.tables.encoding.columns import NumberInputs
from vecprop.tables.encoding.encoder import COMPILED_FROM, VIEWS, Encoder
from vecprop.tables.reading import frames as blocks

N = 9_001
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N)
COLUMNS = {
    "ordinary": NUMBERS,
    "missing": np.where(RNG.random(N) < 0.1, np.nan, NUMBERS),
    "few values": NUMBERS.round(),
    "two values": (NUMBERS > 0).astype(float),
    "skewed": np.exp(4 * NUMBERS),
    "large": np.where(NUMBERS > 2, 1e300, 1e8 + NUMBERS),
    "infinite": np.where(NUMBERS > 2, np.inf, np.where(NUMBERS < -2, -1e-200, NUMBERS)),
}
FRAME = pd.DataFrame(COLUMNS).assign(town=np.where(NUMBERS > 0, "Oslo", "Rome"))
SETTINGS: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 1,
    "random_state": 0,
    "hidden_layer_sizes": 8,
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("pieces", [1, 16])
def test_the_kernel_is_bit_identical_to_numpy(name, pieces):
    part = NumberInputs.of(COLUMNS[name][::2], pieces)
    x = np.concatenate(
        [COLUMNS[name], part.edges, [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-300]]
    )
    assert len(x) >= COMPILED_FROM
    encoder = Encoder(["first", "second"], [part, part], {})
    inputs = encoder(pd.DataFrame({"first": x[::-1], "second": x}))
    expected = part.of_values(x).astype(np.float32)
    np.testing.assert_array_equal(inputs, np.hstack([expected[::-1], expected]))


def test_blocks_cover_all_rows_in_order():
    for rows in (1, 2, 1024, 1025, 1026, 5000):
        parts = blocks.row_blocks(rows, width=2**20)
        assert [row for part in parts for row in range(rows)[part]] == list(range(rows))
        assert rows == 1 or min(part.stop - part.start for part in parts) > 1


@pytest.mark.parametrize("rows", [pytest.param(N, marks=pytest.mark.long), 2050])
def test_blocks_are_bit_identical_to_the_whole_table(limit, rows):
    frame, y = FRAME[["missing", "skewed", "town"]][:rows], NUMBERS[:rows]
    encoder, _ = Encoder.of(frame)
    whole = encoder(frame)
    classifier = TabularClassifier(**SETTINGS).fit(frame, y > 0.3)
    regressor = TabularRegressor(**SETTINGS).fit(frame, y)
    limit("encoder: numbers at once", 1)
    for view, X in zip(VIEWS, encoder.of_views(frame), strict=True):
        np.testing.assert_array_equal(X, whole[:, encoder.of_view(view)])
    inputs = classifier.encoder_(frame)
    np.testing.assert_array_equal(
        classifier.predict_proba(frame), classifier._of_inputs(inputs)
    )
    np.testing.assert_array_equal(
        regressor.predict(frame), regressor._of_inputs(inputs)
    )
    intervals = regressor._interval_of_inputs(inputs, 1.0, coverage=0.9)
    np.testing.assert_array_equal(regressor.predict_interval(frame), intervals)
    in_blocks = TabularClassifier(**SETTINGS).fit(frame, y > 0.3)
    np.testing.assert_array_equal(in_blocks.ensemble_.theta, classifier.ensemble_.theta)
    np.testing.assert_array_equal(in_blocks.out_of_fold_, classifier.out_of_fold_)


def test_encoding_needs_memory_for_the_views_and_a_few_blocks(limit):
    frame = pd.DataFrame(
        RNG.normal(size=(8_000, 20)), columns=[f"x{number}" for number in range(20)]
    )
    model = TabularClassifier(**SETTINGS).fit(frame[:500], frame["x0"][:500] > 0)
    numbers = current_limit("encoder: numbers at once") // 3
    limit("encoder: numbers at once", numbers)
    encoder, per_thread = model.encoder_, 8 * numbers
    threads = blocks.usable_threads()
    views = sum(4 * len(frame) * len(encoder.of_view(view)) for view in VIEWS)
    limit("encoder: stored inputs", views // 4)
    for work, kept in (
        (lambda: encoder.of_views(frame), views),
        (lambda: model.predict_proba(frame), 16 * len(frame)),
    ):
        tracemalloc.start()
        work()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < kept + threads * per_thread, (peak, kept)

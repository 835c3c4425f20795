"""Training stores large tables as packed rows, which are bit-identical to inputs and need a third of the memory."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_blocks import COLUMNS

from anonymous_memory import MEGABYTE, peak_of, reads_proc
from vecprop import TabularClassifier, TabularRegressor
from vecprop.compiled.jit.fit_record import address_of_array
from vecprop.compiled.lower.conversion import AT_ONCE
from vecprop.core.rows.selection import Selection
from vecprop.files.checkpoint.identity import digest
from vecprop.tables.encoding.encoder import VIEWS, Encoder
from vecprop.tables.encoding.packed_rows import PackedRows

N = 3 * AT_ONCE + 5
RNG = np.random.default_rng(0)
NUMBERS = COLUMNS["ordinary"][:N]
WORDS = [
    f"{colour} {thing}"
    for colour in ("red", "blue", "green")
    for thing in ("car", "hat", "door", "sea")
]
FRAME = pd.DataFrame(
    {
        **{name: column[:N] for name, column in COLUMNS.items()},
        "float32": NUMBERS.astype(np.float32),
        "infinite float32": np.where(NUMBERS > 2, np.inf, NUMBERS).astype(np.float32),
        "small": (5 * NUMBERS).astype(np.int8),
        "true": NUMBERS > 0.5,
        "nullable": pd.array(
            [None if x > 1 else round(9 * x) for x in NUMBERS], "Int64"
        ),
        "as text": [f"{x:.2f}" for x in NUMBERS],
        "town": RNG.choice(["Oslo", "Rome", "Bern"], N),
        "day": (
            pd.Timestamp("2024-01-01")
            + pd.to_timedelta(RNG.integers(0, 9000, N), unit="h")
        ),
        "said": [" ".join(RNG.choice(WORDS, 6)) for _ in range(N)],
    }
)
SETTINGS: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 1,
    "random_state": 0,
    "hidden_layer_sizes": 30,
}


@pytest.fixture
def all_is_large(limit):
    """Store small tables as packed rows, too."""
    limit("encoder: stored inputs", 0)


def packed_and_inputs():
    """Return an encoder, the format of packed rows, the packed rows and the inputs."""
    encoder, _ = Encoder.of(FRAME)
    assert {"numbers", "categories", "dates", "text"} <= {
        part.kind for part in encoder.parts
    }
    rows = PackedRows.of(encoder.columns, FRAME)
    return encoder, rows, rows(FRAME), encoder(FRAME)


def test_packed_rows_expand_to_bit_identical_inputs():
    encoder, rows, packed, inputs = packed_and_inputs()
    assert rows.type["0"] == np.float64
    assert {rows.type[f"{place}"] for place in (7, 9, 10)} == {np.dtype(np.float32)}
    assert packed.shape[1] < inputs.nbytes // N
    for taken in (*(encoder.of_view(view) for view in VIEWS), np.arange(encoder.width)):
        expansion = rows.expansion(taken)
        assert expansion.inputs == len(taken)
        np.testing.assert_array_equal(expansion(packed), inputs[:, taken])


def test_tiles_can_contain_any_inputs_and_rows():
    from vecprop.tables.encoding.expansion import EXPAND, expand_address

    encoder, rows, packed, inputs = packed_and_inputs()
    taken = np.arange(encoder.width)
    expansion, places = rows.expansion(taken), RNG.permutation(N)[: AT_ONCE + 9]
    for first, end in (
        (0, 9),
        (3, 40),
        (17, encoder.width),
        (encoder.width - 2, encoder.width),
    ):
        for by_rows in (False, True):
            shape = (
                (len(places), end - first) if by_rows else (end - first, len(places))
            )
            tile = np.full((shape[0] + 2, shape[1]), 7, np.float32)
            EXPAND(expand_address(np.float32))(
                address_of_array(packed), packed.shape[1], address_of_array(places), len(places),
                address_of_array(expansion.columns), len(expansion.columns), address_of_array(expansion.edges),
                first, end - first, by_rows, tile[1].ctypes.data,
            )  # fmt: skip
            expected = inputs[places, first:end]
            np.testing.assert_array_equal(
                tile[1:-1], expected if by_rows else expected.T
            )
            assert (tile[[0, -1]] == 7).all()


def test_digests_depend_on_rows_and_their_inputs():
    encoder, rows, packed, _ = packed_and_inputs()
    pieces, standardised = (rows.expansion(encoder.of_view(view)) for view in VIEWS)
    again = PackedRows.of(encoder.columns, FRAME)
    selections = (
        (packed, pieces),
        (again(FRAME), again.expansion(encoder.of_view("pieces"))),
        (packed, standardised),
    )
    one, same, other = (
        digest(Selection(X, expansion=expansion)) for X, expansion in selections
    )
    assert one == same != other


def bits(model):
    unseen = getattr(model, "out_of_fold_", np.empty(0))
    return model.ensemble_.theta.tobytes(), unseen.tobytes(), repr(model.loss_curves_)


FITS = {
    "classes": (
        lambda: TabularClassifier(**SETTINGS).fit(FRAME, NUMBERS + FRAME["skewed"] > 1)
    ),
    "numbers": (
        lambda: TabularRegressor(**SETTINGS).fit(
            FRAME, NUMBERS, sample_weight=np.arange(N)
        )
    ),
    "refitted": lambda: (
        TabularRegressor(**SETTINGS).fit(FRAME, NUMBERS).refit(FRAME, NUMBERS)
    ),
    "weights that threads split": (
        lambda: TabularClassifier(
            **{**SETTINGS, "hidden_layer_sizes": 40}, batch_size=100
        ).fit(np.random.default_rng(3).normal(size=(N, 30)), NUMBERS > 0)
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] * (name != "numbers"))
        for name in FITS
    ],
)
def test_fits_are_bit_identical_with_packed_rows(name, all_is_large, limit):
    kept = FITS[name]()
    limit("encoder: stored inputs", 10**9)
    assert bits(FITS[name]()) == bits(kept)


@pytest.mark.long
def test_fits_are_bit_identical_with_blas():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-k",
        "bit_identical_with_packed",
        __file__,
    ]
    subprocess.run(command, env=os.environ | {"VECPROP_PRODUCTS": "BLAS"}, check=True)


TABLE = """
    import numpy as np, pandas as pd
    from vecprop import TabularClassifier, TabularRegressor
    X = np.random.default_rng(0).normal(size=(100_000, 30))
    y = X[:, 0] * X[:, 1] + X[:, 2]
    table = pd.DataFrame(X.astype({type}), columns=[f"x{{number}}" for number in range(30)])
    del X
    few = {{"max_iter": 1, "random_state": 0, "n_jobs": 2}}
    TabularClassifier(**few).fit(table[:5000], y[:5000] > 0)  # compile and import everything first
"""
SOME = 40 * MEGABYTE  # blocks of rows and working memory of a thread


@pytest.mark.long
@reads_proc
@pytest.mark.parametrize(
    ("fit", "type", "size"),
    [
        ("TabularClassifier(**few).fit(table, y > 0)", "np.float64", 8),
        ("TabularClassifier(**few).fit(table, y > 0)", "np.float32", 4),
        ("TabularRegressor(**few).fit(table, y)", "np.float64", 8),
    ],
)
def test_a_fit_takes_at_most_three_times_the_memory_of_a_large_table(fit, type, size):
    assert peak_of(fit, TABLE.format(type=type)) < 3 * 100_000 * 30 * size + SOME

"""Compiled code reads fields of a fit's record by name, as set by Python."""

import numpy as np
import pytest
from numba import njit

from vecprop.compiled.jit import OPTIONS
from vecprop.compiled.jit.fit_record import FIT, OFFSETS, ROWS, Context, fit_at


@njit(**OPTIONS)
def read(address):
    c = fit_at(address)
    return (
        c.table,
        c.training.x,
        c.training.rows,
        c.validation.x,
        c.validation.rows,
        c.clip,
        c.predictions,
    )


@njit(**OPTIONS)
def write(address):
    c = fit_at(address)
    c.epochs += 5
    c.validation.rows = 7
    c.clip = 0.25


def test_compiled_code_reads_and_writes_fields_by_name():
    X = np.zeros(3)
    context = Context(
        table=1,
        training={"x": X, "rows": 3},
        validation={"x": 4, "rows": 5},
        clip=1,
        predictions=6,
    )
    assert read(context.address) == (1, X.ctypes.data, 3, 4, 5, 1.0, 6)
    write(context.address)
    assert read(context.address)[4:6] == (7, 0.25)
    assert context.record["epochs"][0] == context.words[OFFSETS["epochs"]] == 5


def test_every_field_has_a_separate_word():
    groups = ("training", "validation")
    offsets = [offset for name, offset in OFFSETS.items() if name not in groups]
    offsets += [offset for group in groups for offset in OFFSETS[group].values()]
    assert sorted(offsets) == list(range(FIT.itemsize // 8))
    assert all(set(OFFSETS[group]) == set(ROWS.names or ()) for group in groups)


def test_an_unknown_field_is_an_error():
    with pytest.raises(KeyError, match="epoch"):
        Context(epoch=1)


def test_a_context_from_a_template_has_a_separate_record():
    first = Context(epochs=3, clip=0.5)
    second = Context(first, epochs=4)
    assert (
        first.record["epochs"][0],
        second.record["epochs"][0],
        second.record["clip"][0],
    ) == (3, 4, 0.5)

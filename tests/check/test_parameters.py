"""Parameters of any shape in nested dicts, lists and tuples."""

from itertools import count

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vecprop.check import Verdict, check_gradients

LEAVES = (
    st.lists(st.integers(1, 3), max_size=3)
    .map(tuple)
    .map(lambda shape: 0.5 + np.arange(np.prod(shape)).reshape(shape))
)
TREES = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        st.lists(children, min_size=1, max_size=3),
        st.lists(children, min_size=1, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from("abcd"), children, min_size=1, max_size=3),
    ),
    max_leaves=5,
)


def mapped(tree, function):
    if isinstance(tree, dict):
        # the order does not matter
        return {key: mapped(tree[key], function) for key in reversed(tree)}
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(child, function) for child in tree)
    return function(tree)


def squares(tree):
    total = []
    mapped(tree, lambda leaf: total.append(np.sum(leaf**2)))
    return sum(total)


@settings(max_examples=5)
@given(TREES)
def test_any_nesting(theta):
    report = check_gradients(
        squares, theta, gradient=lambda at: mapped(at, lambda leaf: 2 * leaf)
    )
    assert report.passed
    sizes: list[int] = []
    mapped(theta, lambda leaf: sizes.append(np.size(leaf)))
    assert sorted(np.prod(row.shape) for row in report.rows) == sorted(sizes)
    leaves = count()
    one_wrong = lambda at: mapped(  # noqa: E731
        at,
        lambda leaf: (2.001 if next(leaves) % len(sizes) == 0 else 2) * leaf,
    )
    assert check_gradients(squares, theta, gradient=one_wrong).verdict is Verdict.FAIL


@settings(max_examples=10)
@given(
    st.lists(st.integers(1, 3), max_size=2).map(tuple),
    st.lists(st.integers(1, 3), max_size=2).map(tuple),
    st.booleans(),
)
def test_jacobians_of_any_shape(outputs, shape, right):
    A = 1 + np.random.default_rng(0).random((*outputs, *shape))

    def f(theta):
        J = A * theta
        return (J * theta).sum(
            axis=tuple(range(len(outputs), J.ndim))
        ) / 2, J if right else J + 0.01 * A

    report = check_gradients(f, np.ones(shape))
    assert report.verdict is (Verdict.PASS if right else Verdict.FAIL)
    assert report.rows[0].shape == (*outputs, *shape)

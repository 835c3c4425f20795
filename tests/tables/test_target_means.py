"""Categories that share inputs are target-encoded out of fold."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop import TabularClassifier, TabularRegressor, load, save
from vecprop.core.rows.selection import Selection
from vecprop.export import to_numpy, to_onnx
from vecprop.tables.encoding.columns import Categories
from vecprop.tables.encoding.encoder import VIEWS, Encoder
from vecprop.tables.encoding.folds import MAX_SPREADS, PRIOR_ROWS, target_means
from vecprop.tables.explaining.importance import redundant_groups

N, TOWNS = 1200, 300
RNG = np.random.default_rng(0)
TOWN = RNG.integers(0, TOWNS, N)
FRAME = pd.DataFrame(
    {
        "number": RNG.normal(size=N),
        "town": [f"town {k}" for k in TOWN],
        "few": TOWN % 3 == 0,
    }
)
LEVEL = RNG.normal(size=TOWNS)
Y = LEVEL[TOWN] + FRAME["number"].to_numpy() + 0.3 * RNG.normal(size=N)
FOLD = RNG.integers(0, 4, N)
FEW: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 2,
    "hidden_layer_sizes": (4,),
    "random_state": 0,
}


def by_hand(names, T, rows, of, weight):
    """Return the mean target of a category in some rows, shrunk toward the overall mean and relative to it."""
    centre = (weight * T).sum() / weight.sum()
    own = rows & (names == of)
    return (weight[own] * (T[own] - centre)).sum() / (weight[own].sum() + PRIOR_ROWS)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_rows_are_encoded_by_the_means_of_other_folds(is_weighted):
    names, T = FRAME["town"].to_numpy(str), Y
    weight = RNG.uniform(0.5, 3, N) if is_weighted else np.ones(N)
    means, inputs = target_means(
        names, T[:, None], FOLD, weight if is_weighted else None
    )
    weight = weight / weight.mean()
    all_rows = np.ones(N, bool)
    of_rows = np.array([by_hand(names, T, all_rows, name, weight) for name in names])
    spread = np.sqrt((weight * of_rows**2).sum() / weight.sum())
    np.testing.assert_allclose(means(names)[:, 0], of_rows / spread)
    for row in range(0, N, 50):
        expected = by_hand(names, T, FOLD[row] != FOLD, names[row], weight) / spread
        np.testing.assert_allclose(inputs[row, 0], expected)
    assert means(np.array(["town x", "a", "zz"])).tolist() == [[0]] * 3


def test_two_classes_have_one_mean_and_three_have_three():
    names, classes = FRAME["town"].to_numpy(str), TOWN % 3
    assert target_means(names, np.eye(2)[classes % 2], FOLD)[1].shape == (N, 1)
    means, inputs = target_means(names, np.eye(3)[classes], FOLD)
    assert inputs.shape == (N, 3)
    assert (means(names).argmax(axis=1) == classes).all()
    constant, inputs = target_means(names, np.ones((N, 1)), FOLD)
    assert not constant.means.any()
    assert not inputs.any()


def test_means_are_bounded_and_only_frequent_categories_have_them(limit):
    names, T = FRAME["town"].to_numpy(str), np.zeros((N, 1))
    T[names == "town 7"] = 1e9
    assert np.abs(target_means(names, T, FOLD)[1]).max() == MAX_SPREADS
    limit("encoder: names with means", 3)
    means, inputs = target_means(names, Y[:, None], FOLD)
    known, counts = np.unique(names, return_counts=True)
    assert counts[np.isin(known, means.names)].min() >= np.sort(counts)[-3]
    np.testing.assert_array_equal(inputs[:, 0] != 0, np.isin(names, means.names))


def test_the_standardized_view_has_means_instead_of_one_hot_inputs():
    encoder, target_encoded = Encoder.of(FRAME)[0].with_means(FRAME, Y[:, None], FOLD)
    assert list(target_encoded) == ["town"]
    part = encoder.parts[1]
    assert isinstance(part, Categories)
    pieces, standardised = (
        np.isin(np.arange(encoder.width), encoder.of_view(view)) for view in VIEWS
    )
    own = encoder.places["town"]
    assert pieces[own].all()
    assert standardised[own].tolist() == [False] * part.marks + [True]
    assert (part(FRAME["town"])[:, : part.marks].sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    "engine", [pytest.param("auto", marks=pytest.mark.long), "reference"]
)
def test_target_encoding_of_large_tables_is_bit_identical(engine, monkeypatch, limit):
    encoder, target_encoded = Encoder.of(FRAME)[0].with_means(FRAME, Y[:, None], FOLD)
    arrays: Any = encoder.of_views(FRAME, target_encoded)
    own = encoder.of_view("standardised") == encoder.places["town"].stop - 1
    np.testing.assert_array_equal(
        arrays[1][:, own], target_encoded["town"].astype(np.float32)
    )
    limit("encoder: stored inputs", 0)
    for shown in (target_encoded, None):
        selections = encoder.of_views(FRAME, shown)
        monkeypatch.setenv("VECPROP_ENGINE", engine)
        for X, selection in zip(
            encoder.of_views(FRAME, shown, as_arrays=True), selections, strict=True
        ):
            assert isinstance(selection, Selection)
            np.testing.assert_array_equal(selection.take(np.arange(N)), X)
        monkeypatch.delenv("VECPROP_ENGINE")


def test_means_do_not_change_redundant_groups():
    encoder, _ = Encoder.of(FRAME)
    series = [FRAME[name] for name in encoder.names]
    with_means, _ = encoder.with_means(FRAME, Y[:, None], FOLD)
    groups = [
        redundant_groups(list(zip(of.parts, series, strict=True)))
        for of in (encoder, with_means)
    ]
    assert groups[0] == groups[1]


def test_means_improve_predictions(limit):
    is_new = np.arange(N) % 3 == 0
    settings: dict[str, Any] = {"n_estimators": 2, "max_iter": 30, "random_state": 0}
    scores = []
    for most in (10, 0):
        limit("encoder: targets with means", most)
        model = TabularRegressor(**settings).fit(FRAME[~is_new], Y[~is_new])
        scores.append(model.score(FRAME[is_new], Y[is_new]))
    assert scores[0] > scores[1] + 0.1


@pytest.fixture(scope="module")
def models():
    return [
        TabularClassifier(**FEW).fit(FRAME, TOWN % 3),
        TabularRegressor(**FEW).fit(FRAME, Y),
    ]


def test_models_with_means_survive_saving_and_export(models, tmp_path):
    new = FRAME.head(40).assign(town=["town 3", "never", None, " town 5"] * 10)
    for model in models:
        assert model.encoder_.parts[1].means is not None
        save(model, tmp_path / "model.npz")
        np.testing.assert_array_equal(
            load(tmp_path / "model.npz").predict(new), model.predict(new)
        )
        source: dict[str, Any] = {}
        exec(compile(to_numpy(model), "<source>", "exec"), source)
        np.testing.assert_allclose(
            source["predict"](new), model.predict(new), rtol=1e-5
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert to_onnx(model)


def test_a_refit_learns_new_means(models):
    again = models[1].refit(FRAME, -Y)
    np.testing.assert_allclose(
        again.encoder_.parts[1].means.means,
        -models[1].encoder_.parts[1].means.means,
        atol=1e-6,
    )


def test_a_refit_uses_means_if_the_model_does(models):
    table = FRAME.assign(together=TOWN // 4, y=Y)
    ordered = TabularRegressor("y", **FEW).fit(table, time=np.arange(N))
    assert not ordered.refit(table).encoder_.has_means
    grouped = TabularRegressor("y", **FEW).fit(table, groups="together")
    fit = TabularRegressor("y", **FEW)._plan(table, before=grouped.encoder_).fit
    assert fit.rows.groups == TOWNS / 4
    X = fit.views[0].X
    assert isinstance(X, np.ndarray)
    # towns do not occur in other groups
    assert not X[:, grouped.encoder_.places["town"]][:, -1].any()


def test_a_refit_accepts_groups_as_array_or_column():
    table = FRAME.assign(together=TOWN // 4, y=Y)
    named = TabularRegressor("y", **FEW).fit(table, groups="together").refit(table)
    given = (
        TabularRegressor(**FEW)
        .fit(FRAME, Y, groups=TOWN // 4)
        .refit(FRAME, Y, groups=TOWN // 4)
    )
    np.testing.assert_array_equal(given.predict(FRAME), named.predict(table))


def test_time_many_classes_and_few_categories_have_no_means():
    for model in (
        TabularRegressor(**FEW).fit(FRAME, Y, time=np.arange(N)),
        TabularClassifier(**FEW).fit(FRAME, TOWN % 11),
        TabularRegressor(**FEW).fit(
            FRAME.assign(town=[f"town {k % 100}" for k in TOWN]), Y
        ),
    ):
        assert not model.encoder_.has_means

"""Losses of regressors in training, predictions, scores and files."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import (
    d2_absolute_error_score,
    d2_tweedie_score,
    mean_absolute_error,
    mean_poisson_deviance,
    r2_score,
)

from conditions import empty_pictures
from sampled import sampled
from vecprop import TabularRegressor, load, save
from vecprop.core.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SquaredError,
)
from vecprop.export import to_numpy, to_onnx
from vecprop.extend import ElementwiseLoss, Loss
from vecprop.files import FileError
from vecprop.tables import TableError, evaluate
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.evaluation.baselines import Baselines
from vecprop.tables.objectives import Objective

FEW: Any = {
    "n_estimators": 2,
    "max_iter": 15,
    "hidden_layer_sizes": 8,
    "random_state": 0,
}


def counts(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, rows).round(3)
    return pd.DataFrame({"x": x, "y": rng.poisson(np.exp(0.5 + 1.2 * x))})


OLD, NEW = counts(), counts(seed=1)


def fitted(loss: Any = "squared", table=OLD, **settings):
    return TabularRegressor("y", loss=loss, **FEW | settings).fit(table)


@dataclass(frozen=True)
class HalfSquare(ElementwiseLoss):
    """The squared error as a custom loss, which is compiled."""

    def predict(self, Z):
        return Z

    def element(self, Z, T):
        return (Z - T) * (Z - T) / 2

    def delta(self, Z, T):
        return Z - T


@dataclass(frozen=True)
class SquareOfRows(Loss):
    """The squared error as a custom loss without a kernel."""

    def predict(self, Z):
        return Z

    def value(self, Z, T):
        return ((Z - T) ** 2).sum(axis=-1) / 2

    def delta(self, Z, T):
        return Z - T


@dataclass(frozen=True)
class Gamma(ElementwiseLoss):
    """Half the deviance of the gamma distribution, up to a constant."""

    def predict(self, Z):
        return np.exp(Z)

    def element(self, Z, T):
        return Z + T * np.exp(-Z)

    def delta(self, Z, T):
        return 1 - T * np.exp(-Z)


@pytest.mark.parametrize(
    ("loss", "same"),
    [
        ("squared", "squared_error"),
        ("absolute", "absolute_error"),
        ("squared", SquaredError()),
        ("absolute", AbsoluteError()),
        ("poisson", Poisson()),
        ("squared", HalfSquare()),
        ("squared", Huber(1e6)),
    ],
)
def test_two_spellings_of_a_loss_predict_the_same(loss, same):
    expected = fitted(loss).predict(NEW)
    assert fitted(same).predict(NEW) == pytest.approx(expected, rel=1e-12)


def test_the_default_is_the_squared_loss():
    assert (fitted().predict(NEW) == fitted("squared_error").predict(NEW)).all()


def test_a_quantile_can_be_a_loss_object():
    model = fitted(Quantile(0.8))
    expected = fitted("quantile", quantile=0.8)
    assert (model.predict(NEW) == expected.predict(NEW)).all()
    assert model.score(NEW) == expected.score(NEW)
    assert model.validation_loss_ == expected.validation_loss_


def test_the_absolute_loss_is_twice_the_quantile_loss_of_the_median():
    absolute, median = fitted("absolute"), fitted("quantile", quantile=0.5)
    # the optimizer's epsilon is not scaled
    assert absolute.predict(NEW) == pytest.approx(median.predict(NEW), rel=1e-3)
    assert absolute.score(NEW) == pytest.approx(median.score(NEW), abs=1e-3)
    assert absolute.validation_loss_ == pytest.approx(
        2 * median.validation_loss_, rel=1e-3
    )


def test_a_custom_loss_without_a_kernel_equals_the_built_in_loss():
    model = fitted(SquareOfRows(), max_iter=5)
    expected = fitted("squared", max_iter=5).ensemble_.nonlinear
    for view, built_in in zip(model.ensemble_.views, expected, strict=True):
        assert view.thetas == pytest.approx(built_in.thetas, rel=1e-3, abs=1e-3)


def test_the_threshold_of_huber_is_in_units_of_the_target():
    model = fitted(Huber(3.0))
    big = OLD.assign(y=1000 * OLD["y"])
    expected = 1000 * model.predict(NEW)
    assert fitted(Huber(3000.0), big).predict(NEW) == pytest.approx(expected, rel=1e-4)


def test_huber_ignores_the_size_of_outliers():
    table = OLD.assign(y=OLD["y"].astype(float))
    table.loc[::20, "y"] = 50.0
    worse = table.assign(y=table["y"].replace(50.0, 5000.0))
    predicted = fitted("huber", worse, max_iter=40).predict(NEW)
    assert predicted == pytest.approx(
        fitted("huber", table, max_iter=40).predict(NEW), abs=0.5
    )
    assert predicted.max() < 10


SCORES: Any = {
    "squared": r2_score,
    "absolute": d2_absolute_error_score,
    "poisson": lambda y, predicted, **weight: d2_tweedie_score(
        y, predicted, power=1, **weight
    ),
}


@pytest.mark.parametrize("loss", SCORES)
def test_scores_are_those_of_scikit_learn(loss):
    model = fitted(loss)
    predicted = model.predict(NEW)
    assert model.score(NEW) == pytest.approx(SCORES[loss](NEW["y"], predicted))
    weight = np.arange(len(NEW)) % 3
    assert model.score(NEW, sample_weight=weight) == pytest.approx(
        SCORES[loss](NEW["y"], predicted, sample_weight=weight)
    )
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(NEW, sample_weight=weight[1:])


@pytest.mark.parametrize("loss", ["huber", Gamma()])
def test_other_scores_compare_the_loss_with_the_best_constant(loss):
    table = OLD.assign(y=OLD["y"] + 1)
    model = fitted(loss, table)
    objective, y = model._objective, table["y"].to_numpy(float)
    constants = np.linspace(1, 8, 4001)
    losses = [objective.row_losses(y, np.full(len(y), c)).mean() for c in constants]
    own = objective.row_losses(y, model.predict(table)).mean()
    assert model.score(table) == pytest.approx(1 - own / min(losses), abs=1e-6)


def test_losses_of_rows_by_hand():
    y, predicted = np.array([0.0, 1.0, 4.0]), np.array([1.0, 1.0, 2.0])
    rows = {
        SquaredError(): [1, 0, 4],
        AbsoluteError(): [1, 0, 2],
        Huber(1.0): [0.5, 0, 1.5],
        Poisson(): [2, 0, 2 * (4 * np.log(2) - 2)],
        Quantile(0.75): [0.25, 0, 1.5],
        Gamma(): [None, 0, 2 - 1 - np.log(2)],
    }
    for loss, expected in rows.items():
        losses = Objective(loss).row_losses(y, predicted)
        for own, value in zip(losses, expected, strict=True):
            assert value is None or own == pytest.approx(value, abs=1e-12)


LOSSES: Any = {
    "absolute": mean_absolute_error,
    "poisson": mean_poisson_deviance,
    "squared": lambda y, predicted: np.sqrt(np.mean((y - predicted) ** 2)),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("column", sampled([None, "groups", "time"], 3))
def test_the_validation_loss_is_the_loss_of_out_of_fold_predictions(loss, column):
    roles: Any = {column: np.arange(len(OLD)) // 4} if column else {}
    table = OLD.assign(y=OLD["y"].astype(float).where(np.arange(len(OLD)) % 9 > 0))
    model = TabularRegressor("y", loss=loss, **FEW).fit(table, **roles)
    is_predicted = ~np.isnan(model.out_of_fold_)
    expected = LOSSES[loss](table["y"][is_predicted], model.out_of_fold_[is_predicted])
    assert model.validation_loss_ == pytest.approx(expected, rel=1e-5)


def test_weights_repeat_rows():
    weight = np.arange(len(OLD)) % 2 + 1
    model = TabularRegressor("y", loss="poisson", **FEW).fit(OLD, sample_weight=weight)
    expected = np.average(OLD["y"], weights=weight)
    assert np.average(model.predict(OLD), weights=weight) == pytest.approx(
        expected, rel=0.1
    )


def test_predictions_of_counts_are_positive_and_learn_the_mean():
    table = OLD.assign(y=OLD["y"].where(OLD["x"] > -0.5, 0))
    model = fitted("poisson", table, max_iter=60)
    predicted = model.predict(pd.DataFrame({"x": np.linspace(-30, 30, 200)}))
    assert (predicted > 0).all()
    assert (predicted <= table["y"].max()).all()
    assert model.predict(table).mean() == pytest.approx(table["y"].mean(), rel=0.1)
    x = np.array([-0.3, 0.0, 0.8])
    rates = fitted("poisson", counts(800), max_iter=60).predict(pd.DataFrame({"x": x}))
    assert rates == pytest.approx(np.exp(0.5 + 1.2 * x), rel=0.25)


def test_counts_in_any_unit_are_predicted_alike():
    rates = fitted("poisson").predict(NEW)
    scaled = fitted("poisson", OLD.assign(y=OLD["y"] * 1e6)).predict(NEW)
    assert scaled == pytest.approx(1e6 * rates, rel=1e-3)
    assert fitted("poisson", OLD.assign(y=0)).predict(NEW) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("mean", [0.2, 1.0, 5.0])
def test_intervals_of_counts_have_at_least_the_coverage(coverage, mean):
    """With few inputs, many counts are at the ends of intervals."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, 2000)
    table: Any = pd.DataFrame({"x": x, "y": rng.poisson(mean * (1 + x))})
    model = fitted("poisson", table[:1000], max_iter=20)
    low, high = model.predict_interval(table[1000:], coverage).T
    predicted = model.predict(table[1000:])
    assert (low >= 0).all()
    assert (high == np.maximum(np.round(high), predicted)).all()
    assert ((low <= predicted) & (predicted <= high)).all()
    inside = ((low <= table["y"][1000:]) & (table["y"][1000:] <= high)).mean()
    assert inside > coverage - 0.03
    if mean == 5:
        assert inside < coverage + 0.15
    # as the spread of counts, intervals are wider for larger means
    widths: Any = pd.Series(high - low).groupby(x[1000:]).mean()
    assert widths[2] >= widths[0] + (mean == 5)


def test_a_refit_and_a_file_keep_the_loss(tmp_path):
    for loss in ("poisson", "huber", Huber(2.0)):
        model = fitted(loss)
        save(model, tmp_path / "model.npz")
        loaded = load(tmp_path / "model.npz")
        assert loaded.loss == loss
        for other in (loaded, model.refit(OLD)):
            assert other.score(NEW) == pytest.approx(model.score(NEW), abs=0.1)
        assert loaded.score(NEW) == model.score(NEW)
        intervals = loaded.predict_interval(NEW)
        assert (intervals == model.predict_interval(NEW)).all()


def test_a_model_with_a_custom_loss_cannot_be_saved(tmp_path):
    with pytest.raises(FileError, match=r"loss is of the class .*: |use pickle"):
        save(fitted(HalfSquare()), tmp_path / "model.npz")


def test_streamed_rows_are_trained_on_the_loss(tmp_path, little):
    path = tmp_path / "counts.parquet"
    counts(6000).to_parquet(path, row_group_size=500)
    model = TabularRegressor("y", loss="poisson", **FEW | {"max_iter": 4})
    model.fit(path, memory=little + 1_000_000)
    assert any("block by block" in note for note in model.notes_)
    assert model.score(NEW) > 0.3
    bad = counts(6000)
    bad.loc[4321, "y"] = -1
    bad.to_parquet(path, row_group_size=500)
    with pytest.raises(TableError, match="targets of at least 0"):
        model.fit(path, memory=little + 1_000_000)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "poison"}, "did you mean 'poisson'"),
        ({"loss": Huber}, r"pass an instance, Huber\(\)"),
        ({"loss": 3}, "'loss' parameter"),
        ({"loss": SoftmaxCrossEntropy()}, "does not predict numbers as z or exp"),
        ({"loss": BinaryCrossEntropy()}, "does not predict numbers as z or exp"),
        ({"loss": Poisson(), "quantile": 0.9}, 'needs loss="quantile"'),
        ({"loss": "poisson", "quantile": 0.9}, 'needs loss="quantile"'),
    ],
)
def test_wrong_losses(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        TabularRegressor("y", **FEW | settings).fit(OLD)
    assert str(error.value).count("\n") == 0


def test_negative_targets_of_the_poisson_loss():
    table: Any = OLD.assign(y=OLD["y"] - 1.0)
    count = int((table["y"] < 0).sum())
    message = rf"The target 'y' has {count} value\(s\) .* -1.0 in row .*at least 0\."
    for loss in ("poisson", Poisson()):
        with pytest.raises(TableError, match=message):
            fitted(loss, table)
    with pytest.raises(TableError, match="at least 0"):
        fitted("poisson").score(table)


METRICS: Any = {
    "absolute": ["mae", "d2", "rmse"],
    "poisson": ["deviance", "d2", "rmse", "mae"],
    "huber": ["huber_loss", "d2", "rmse", "mae"],
}
BASELINES: Any = {
    "absolute": "linear regression",
    "poisson": "Poisson regression",
    "huber": "linear regression",
}


def mean_huber_loss(model, y, predicted):
    threshold = np.asarray(model.targets_.scale).item()
    distance = np.abs(y - predicted)
    quadratic = distance**2 / 2
    linear = threshold * (distance - threshold / 2)
    return np.where(distance < threshold, quadratic, linear).mean()


@pytest.mark.parametrize("loss", sampled(METRICS, 3))
def test_an_evaluation_follows_the_loss(loss, tmp_path):
    model = fitted(loss)
    evaluation: Any = evaluate(model, NEW, training=OLD)
    assert list(evaluation.metrics) == METRICS[loss]
    names = ["naive", BASELINES[loss], "gradient boosting"]
    assert list(evaluation.baselines) == names
    predicted = model.predict(NEW)
    value = evaluation.metrics[METRICS[loss][0]].value
    mean_loss = LOSSES.get(loss, partial(mean_huber_loss, model))
    expected = mean_loss(NEW["y"].to_numpy(float), predicted)
    assert value == pytest.approx(expected)
    assert evaluation.metrics["d2"].value == pytest.approx(model.score(NEW))
    assert evaluation.verdict.metric == METRICS[loss][0]
    assert evaluation.importances[0].loss == pytest.approx(expected)
    worst = evaluation.worst_rows[0]
    losses = model._objective.row_losses(NEW["y"].to_numpy(float), predicted)
    assert worst.loss == pytest.approx(losses.max())
    with empty_pictures():
        evaluation.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "the largest " + model._objective.words.loss in page
    assert BASELINES[loss] in page


def test_naive_baselines_are_the_best_constants():
    y = NEW["y"].to_numpy(float)
    for loss, constant in {
        "absolute": np.median(OLD["y"]),
        "poisson": OLD["y"].mean(),
    }.items():
        evaluation: Any = evaluate(fitted(loss), NEW, training=OLD)
        assert evaluation.predictions["naive"] == pytest.approx(constant)
        naive = evaluation.baselines["naive"][METRICS[loss][0]].value
        assert naive == pytest.approx(LOSSES[loss](y, np.full(len(y), constant)))


def test_the_summary_names_the_loss_and_its_constant():
    lines = {
        "absolute": r"off by .* on average; always predicting the median is off by",
        "poisson": r"the mean is off by .* The mean deviance is 1\..*, with a D² of 0\.",
        "huber": r"best constant is off by .* The mean Huber loss is .*, with a D² of 0\.",
    }
    for loss, line in lines.items():
        assert re.search(line, evaluate(fitted(loss), NEW, baselines=False).summary)


def test_baselines_of_rare_counts_predict_the_mean():
    y = np.zeros(60)
    y[:3] = 2
    X = pd.DataFrame({"x": np.arange(60.0)})
    baselines = Baselines(Encoder.of(X)[0], X, X[:2], y, np.ones(60), seed=0)
    predictions = baselines.numbers(Objective(Poisson()))
    assert list(predictions) == ["naive", "Poisson regression", "gradient boosting"]
    for predicted in predictions.values():
        assert predicted == pytest.approx([0.1, 0.1])


def test_poisson_regression_learns_a_rate():
    X = pd.DataFrame({"x": np.linspace(-1, 1, 300)})
    y = np.round(np.exp(1 + X["x"].to_numpy()))
    baselines = Baselines(Encoder.of(X)[0], X, X, y, np.ones(300), seed=0)
    predicted = baselines.numbers(Objective(Poisson()))["Poisson regression"]
    assert predicted == pytest.approx(np.exp(1 + X["x"]), rel=0.2)


def claims(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, rows).round(3)
    years = rng.uniform(0.2, 4, rows).round(2)
    y = rng.poisson(years * np.exp(0.5 + x))
    return pd.DataFrame({"x": x, "years": years, "y": y})


CLAIMS, NEW_CLAIMS = claims(), claims(seed=1)


def of_claims(**settings):
    settings = {"loss": "poisson", "exposure": "years", **FEW, **settings}
    return TabularRegressor("y", **settings)


def test_an_exposure_equals_rates_with_weights():
    model = of_claims().fit(CLAIMS)
    years = CLAIMS["years"].to_numpy()
    rates = TabularRegressor(loss="poisson", **FEW)
    rates.fit(CLAIMS[["x"]], CLAIMS["y"] / years, sample_weight=years)
    expected = rates.predict(NEW_CLAIMS) * NEW_CLAIMS["years"]
    assert model.predict(NEW_CLAIMS) == pytest.approx(expected, rel=1e-12)
    assert model.out_of_fold_ == pytest.approx(rates.out_of_fold_ * years, rel=1e-12)
    deviance = mean_poisson_deviance(CLAIMS["y"], model.out_of_fold_)
    assert model.validation_loss_ == pytest.approx(deviance, rel=1e-5)
    # sample weights multiply exposures
    weight = np.arange(len(CLAIMS)) % 3 + 1
    model = of_claims().fit(CLAIMS, sample_weight=weight)
    rates.fit(CLAIMS[["x"]], CLAIMS["y"] / years, sample_weight=years * weight)
    expected = rates.predict(NEW_CLAIMS) * NEW_CLAIMS["years"]
    assert model.predict(NEW_CLAIMS) == pytest.approx(expected, rel=1e-12)
    deviance = mean_poisson_deviance(
        CLAIMS["y"], model.out_of_fold_, sample_weight=weight
    )
    assert model.validation_loss_ == pytest.approx(deviance, rel=1e-5)


def test_an_exposure_of_1_changes_nothing():
    model = of_claims().fit(CLAIMS.assign(years=1))
    expected = fitted("poisson", CLAIMS.drop(columns="years"))
    predicted = model.predict(NEW_CLAIMS.assign(years=1.0))
    assert (predicted == expected.predict(NEW_CLAIMS)).all()
    # predictions are proportional to the exposure
    assert (model.predict(NEW_CLAIMS.assign(years=8)) == 8 * predicted).all()


def test_the_exposure_is_not_an_input(tmp_path):
    model = of_claims().fit(CLAIMS)
    assert list(model.encoder_.kinds) == ["x"]
    assert "Column 'years' is not used: it contains the exposure." in model.notes_
    save(model, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert (loaded.predict(NEW_CLAIMS) == model.predict(NEW_CLAIMS)).all()
    refitted = model.refit(pd.concat([CLAIMS, NEW_CLAIMS]))
    assert refitted.score(NEW_CLAIMS) == pytest.approx(model.score(NEW_CLAIMS), abs=0.1)
    copy: Any = clone(model)
    assert copy.exposure == "years"


def test_intervals_of_counts_follow_the_exposure():
    model = of_claims().fit(claims(1000))
    new = claims(1000, seed=2)
    low, high = model.predict_interval(new, 0.9).T
    inside = (low <= new["y"]) & (new["y"] <= high)
    assert 0.87 < inside.mean() < 0.98
    is_long = new["years"] > 2
    assert inside[is_long].mean() > 0.82
    assert inside[~is_long].mean() > 0.82
    assert (high - low)[is_long].mean() > 1.3 * (high - low)[~is_long].mean()


def test_an_evaluation_uses_the_exposure():
    model = of_claims().fit(CLAIMS)
    evaluation: Any = evaluate(model, NEW_CLAIMS, training=CLAIMS)
    deviance = mean_poisson_deviance(NEW_CLAIMS["y"], model.predict(NEW_CLAIMS))
    assert evaluation.metrics["deviance"].value == pytest.approx(deviance)
    rate = CLAIMS["y"].sum() / CLAIMS["years"].sum()
    naive = rate * NEW_CLAIMS["years"]
    assert evaluation.predictions["naive"] == pytest.approx(naive)
    poisson = evaluation.baselines["Poisson regression"]["deviance"].value
    assert poisson == pytest.approx(deviance, rel=0.2)
    (importance,) = evaluation.importances
    assert importance.columns == ("x",)
    years = NEW_CLAIMS["years"].mean()
    assert importance.loss == pytest.approx(deviance / years, rel=1e-6)
    assert evaluate(model, CLAIMS, baselines=False).trained_on == len(CLAIMS)


def test_streamed_rows_use_the_exposure(tmp_path, little):
    path = tmp_path / "claims.parquet"
    claims(6000).to_parquet(path, row_group_size=500)
    model = of_claims(max_iter=4).fit(path, memory=little + 1_000_000)
    assert any("block by block" in note for note in model.notes_)
    new = NEW_CLAIMS.assign(years=1.0)
    assert model.predict(new).mean() == pytest.approx(
        np.exp(0.5 + new["x"]).mean(), rel=0.15
    )
    assert model.range_[1] > 5


@pytest.mark.parametrize("value", [0, -1.5, np.nan, np.inf, 1e31, "long"])
def test_exposures_must_be_positive_numbers(value):
    table = CLAIMS.astype({"years": object})
    table.loc[7, "years"] = value
    message = r"'years', the exposure, has 1 invalid value\(s\), such as .* in row 7: "
    with pytest.raises(TableError, match=message):
        of_claims().fit(table)
    model = of_claims(max_iter=1).fit(CLAIMS)
    for predict in (model.predict, model.predict_interval, model.score):
        with pytest.raises(TableError, match=message):
            predict(table)


def test_a_missing_column_of_exposures():
    model = of_claims(max_iter=1).fit(CLAIMS)
    with pytest.raises(TableError, match="no column 'years'"):
        model.predict(CLAIMS[["x"]])
    with pytest.raises(TableError, match="no column 'year'"):
        of_claims(exposure="year").fit(CLAIMS)
    with pytest.raises(ValueError, match="'exposure' parameter"):
        of_claims(exposure=3).fit(CLAIMS)
    with pytest.raises(FileError, match="for an exposure: use `save`"):
        to_numpy(model)
    with pytest.raises(FileError, match="for an exposure: use `save`"):
        to_onnx(model)
    with pytest.raises(FileError, match="cannot contain intervals of counts"):
        to_onnx(fitted("poisson", max_iter=1), coverage=0.9)


def test_source_of_a_model_of_counts_predicts_the_same_intervals(tmp_path):
    model = fitted("poisson")
    source = {}
    exec(to_numpy(model, coverage=0.8), source)
    ends = source["predict_interval"](NEW)
    assert ends == pytest.approx(model.predict_interval(NEW, 0.8))
    assert source["predict"](NEW) == pytest.approx(model.predict(NEW), rel=1e-5)


def target_notes(y):
    table = pd.DataFrame({"x": np.arange(len(y)) % 7, "y": y})
    model = TabularRegressor("y", **FEW | {"max_iter": 1}).fit(table)
    return [note for note in model.notes_ if "poisson" in note]


@pytest.mark.parametrize("mean", [0.4, 2, 4])
def test_counts_raise_a_note(mean):
    note: Any
    (note,) = target_notes(np.random.default_rng(0).poisson(mean, 400))
    assert 'loss="poisson"' in note
    assert (note.kind, note.column) == ("reading", "y")


@pytest.mark.parametrize(
    "y",
    [
        np.arange(200) % 2,  # two classes
        np.arange(200) % 10,  # digits
        1990 + np.arange(200) % 30,  # years
        np.random.default_rng(0).poisson(60, 200),  # large counts
        np.random.default_rng(0).exponential(2, 200),
        -np.random.default_rng(0).poisson(2, 200),
        1 + np.random.default_rng(0).poisson(2, 200),  # ratings
        5 - np.minimum(np.random.default_rng(0).poisson(1, 200), 5),
        np.random.default_rng(0).poisson(2, 20),  # few rows
    ],
)
def test_other_targets_raise_no_note_on_counts(y):
    assert target_notes(y) == []


def test_a_chosen_loss_raises_no_note_on_counts():
    for loss in ("poisson", "absolute", Huber(2.0)):
        assert not [note for note in fitted(loss).notes_ if "poisson" in note]

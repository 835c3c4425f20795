"""Small models of every kind that files hold, and rows for them."""

import warnings
from typing import Any, TypeVar

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

import vecprop as vp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
TWO = (X[:, 0] + X[:, 1] > 0).astype(int)
THREE = TWO + (X[:, 2] > 0.5)
MANY = np.column_stack([TWO, X[:, 2] > 0]).astype(int)
NUMBERS = X @ [1.0, -2.0, 0.5] + 3
FEW = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}


Model = TypeVar("Model")


def fresh(model: Model, **settings) -> Model:
    """Return an unfitted copy of a model, some of whose settings are others."""
    copy: Any = clone(model)
    return copy.set_params(**settings)


def fitted(model, *rows):
    """Return a model, fitted for a few epochs, which is all that it is meant to be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # of the reference engine
        # of SciPy, about an older scikit-learn
        warnings.simplefilter("ignore", DeprecationWarning)
        return model.fit(*rows)


def restart_states(seed, count):
    """Return the random states of restarts and seeds: the seed and numbers drawn from it."""
    return [seed, *np.random.RandomState(seed).randint(2**31 - 1, size=count - 1)]


CLASSIFIERS = {
    "two classes": (vp.MLPClassifier(**FEW), TWO),
    "text": (vp.MLPClassifier(**FEW), np.array(["no", "yes"])[TWO]),
    "objects": (vp.MLPClassifier(**FEW), np.array(["a", "b", "c"], object)[THREE]),
    "truth values": (vp.MLPClassifier(**FEW), TWO.astype(bool)),
    "three classes": (vp.MLPClassifier(**FEW | {"activation": "tanh"}), THREE),
    "several labels": (vp.MLPClassifier(**FEW), MANY),
    "own settings": (
        vp.MLPClassifier(
            [4, 3],
            ["elu", vp.LeakyReLU(0.2)],
            solver=vp.AdamW(0.01, weight_decay=0.1),
            learning_rate=vp.WarmUp(3, vp.InverseScaling(0.3)),
            initializer=vp.Normal(0.3),
            dropout=[0.2, 0.0],
            layer_norm=True,
            class_weight={0: 1.0, 1: 2.0},
            n_iter_no_change=np.inf,
            max_iter=3,
            random_state=1,
        ),
        TWO,
    ),
    "early stopping": (
        vp.MLPClassifier(**FEW, early_stopping=True, scoring="accuracy"),
        THREE,
    ),
    "lbfgs": (vp.MLPClassifier(**FEW | {"solver": "lbfgs"}), THREE),
}
REGRESSORS = {
    "numbers": (vp.MLPRegressor(**FEW), NUMBERS),
    "scaled": (
        vp.MLPRegressor(vp.Huber(0.5), **FEW, scale_target=True, solver="sgd"),
        NUMBERS,
    ),
    "two outputs": (
        vp.MLPRegressor("absolute_error", **FEW, scale_target=True),
        np.column_stack([NUMBERS, -X[:, 0]]),
    ),
    "counts": (vp.MLPRegressor("poisson", **FEW), np.abs(NUMBERS)),
    "quantile": (
        vp.MLPRegressor("quantile", **FEW, quantile=0.9, learning_rate="adaptive"),
        NUMBERS,
    ),
}
ESTIMATORS = CLASSIFIERS | REGRESSORS

NETWORK = {"hidden_layer_sizes": (5,), "max_iter": 3}
ENSEMBLES = {
    "two classes": (
        vp.MLPEnsembleClassifier(vp.MLPClassifier(**NETWORK), 3, random_state=0),
        TWO,
    ),
    "text": (
        vp.MLPEnsembleClassifier(vp.MLPClassifier(**NETWORK), 3, random_state=0),
        np.array(["no", "yes"])[TWO],
    ),
    "parts": (
        vp.MLPEnsembleClassifier(
            vp.MLPClassifier(**NETWORK),
            3,
            bootstrap=True,
            max_features=2,
            random_state=0,
        ),
        THREE,
    ),
    "several labels": (
        vp.MLPEnsembleClassifier(vp.MLPClassifier(**NETWORK), 3, random_state=0),
        MANY,
    ),
    "numbers": (
        vp.MLPEnsembleRegressor(vp.MLPRegressor(**NETWORK), 3, random_state=0),
        NUMBERS,
    ),
    "one member": (
        vp.MLPEnsembleRegressor(
            vp.MLPRegressor(**NETWORK), 1, max_features=1, random_state=0
        ),
        NUMBERS,
    ),
    "two outputs": (
        vp.MLPEnsembleRegressor(
            vp.MLPRegressor(**NETWORK, scale_target=True),
            3,
            max_features=0.7,
            random_state=0,
        ),
        np.column_stack([NUMBERS, -X[:, 0]]),
    ),
}

SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    MinMaxScaler((-1, 1), clip=True),
    MaxAbsScaler(),
    RobustScaler(quantile_range=(10, 90)),
    QuantileTransformer(n_quantiles=7, output_distribution="normal"),
    PowerTransformer(),
    SimpleImputer(strategy="median", add_indicator=True),
    FunctionTransformer(),
]


def frame(rows=60):
    """Return a pandas data frame with columns of several types, some with missing values."""
    import pandas as pd

    rng = np.random.default_rng(1)
    numbers = rng.normal(size=rows)
    numbers[::7] = np.nan
    colours = np.array(["red", "green", "blue", None], object)[rng.integers(0, 4, rows)]
    return pd.DataFrame(
        {
            "length": numbers,
            "width": rng.normal(size=rows),
            "colour": colours,
            "size": pd.Categorical(np.array(["S", "M", "L"])[rng.integers(0, 3, rows)]),
            "rooms": rng.integers(0, 5, rows),
        }
    )


def table_pipeline():
    """Return a pipeline for `frame`, with every kind of column."""
    columns = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(add_indicator=True), RobustScaler()),
                ["length", "width"],
            ),
            (
                "colours",
                OneHotEncoder(min_frequency=8, handle_unknown="infrequent_if_exist"),
                ["colour"],
            ),
            (
                "sizes",
                OrdinalEncoder().set_params(dtype=np.float32),
                make_column_selector(dtype_include="category"),
            ),
        ],
        remainder="passthrough",
    )
    return make_pipeline(columns, vp.MLPClassifier(**FEW))


ODD_NAMES = [
    'say "hi"',
    "it's",
    "back\\slash",
    '"""',
    "new\nline",
    "naïve ✓",
    "class",
    "label",
    "vecprop_Concat_0",
    "X",
    " ",
]


def raw_table(seed=0, rows=90, unseen=()):
    """Return a pandas data frame as people have them: values missing and infinite, odd names, columns without use."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    numbers = pd.DataFrame(rng.normal(size=(rows, len(ODD_NAMES))), columns=ODD_NAMES)
    numbers.iloc[::7, 0] = np.nan
    numbers.iloc[3:5, 1] = [np.inf, -1e300]
    numbers["stamp"] = 1.7e9 + rng.normal(scale=1e4, size=rows)
    return numbers.assign(
        member=rng.random(rows) < 0.5,
        visits=rng.integers(0, 4, rows),
        town=rng.choice(
            np.array(["Rome", "Köln", ' "Oslo"\\', None, *unseen], object), rows
        ),
        floor=pd.Categorical(rng.choice([0, 1, 2.5, *range(3, 3 + len(unseen))], rows)),
        nothing=np.nan,
        constant=1,
    )

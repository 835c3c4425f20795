"""Wrong names, and names of other libraries, are errors that suggest the right name."""

import copy
import inspect
import pickle
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pytest

vp: Any = import_module("vecprop")  # untyped, since wrong names are the subject
NETWORK = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
X = np.ones((3, 1))


def train(**settings):
    return vp.train(
        NETWORK,
        NETWORK.init(0),
        X,
        X,
        **{"optimizer": vp.Adam(), "epochs": 1} | settings,
    )


def test_packages_keep_their_names_to_themselves():
    assert vp.extend.Layer
    assert "Layer" not in vars(vp)
    assert "Layer" in vars(vp.extend)


@pytest.mark.parametrize(
    ("package", "name", "meant"),
    [
        (vp, "Relu", "vecprop.ReLU"),
        (vp, "Linear", "vecprop.Dense"),
        (vp, "softplus", "vecprop.Softplus"),
        (vp, "CrossEntropyLoss", "vecprop.SoftmaxCrossEntropy"),
        (vp, "BCEWithLogitsLoss", "vecprop.BinaryCrossEntropy"),
        (vp, "MSELoss", "vecprop.SquaredError"),
        (vp, "Layer", "vecprop.extend.Layer"),
        (vp, "plot_los", "vecprop.pictures.plot_loss"),
        (vp.extend, "Layr", "vecprop.extend.Layer"),
        (vp.blocks, "train", "vecprop.train"),
    ],
)
def test_wrong_attributes(package, name, meant):
    with pytest.raises(
        AttributeError,
        match=rf"^module '{package.__name__}' has no attribute '{name}': .* {meant}\?$",
    ):
        getattr(package, name)


def test_attributes_that_resemble_nothing():
    with pytest.raises(
        AttributeError,
        match=r"^module 'vecprop' has no attribute 'volcano': see dir\(vecprop\).$",
    ):
        vp.volcano  # noqa: B018
    assert not hasattr(vp, "_adam")


@pytest.mark.parametrize(
    ("call", "given", "meant"),
    [
        (vp.Adam, "lr", "did you mean 'learning_rate'"),
        (
            vp.Adam,
            "weight_decay",
            r"pass penalty=L2\(0.0001\) to Network, or optimizer=AdamW",
        ),
        (vp.AdamW, "wieght_decay", "did you mean 'weight_decay'"),
        (vp.Dense, "units", "did you mean 'outputs'"),
        (vp.Dense, "activation", r"add a layer, as in \[Dense\(3\), ReLU\(\)"),
        (vp.Dropout, "p", "did you mean 'rate'"),
        (vp.EarlyStopping, "tolerance", "did you mean 'min_delta'"),
        (vp.Network, "weight_decay", "did you mean 'penalty'"),
        (vp.Member, "clip", "did you mean 'clip_norm'"),
        (train, "lr", r"pass optimizer=Adam\(learning_rate=0.001\)"),
        (train, "batch", "did you mean 'batch_size'"),
        (train, "n_epochs", "did you mean 'epochs'"),
        (train, "max_iter", "did you mean 'epochs'"),
        (train, "patience", "did you mean 'early_stopping'"),
        (train, "volcano", r"see help\(train\)"),
        (vp.train_population, "seed", "see help"),
        (vp.blocks.train_blocks, "clip", "did you mean 'clip_norm'"),
        (vp.MLPClassifier, "epochs", "did you mean 'max_iter'"),
        (vp.MLPRegressor, "lr", "did you mean 'learning_rate_init'"),
        (vp.MLPEnsembleRegressor, "n_members", "did you mean 'n_estimators'"),
        (vp.MLPSearchCV, "folds", "did you mean 'cv'"),
        (
            vp.TabularRegressor,
            "time_limit",
            "it was removed: lower max_iter or n_estimators",
        ),
        (vp.check_gradients, "metod", "did you mean 'method'"),
        (vp.read_table, "astext", "did you mean 'as_text'"),
        (vp.tables.evaluate, "group", "did you mean 'groups'"),
    ],
)
def test_wrong_keywords(call, given, meant):
    with pytest.raises(
        TypeError,
        match=(
            rf"^{call.__name__}\(\) got an unexpected keyword argument '{given}':"
            rf" {meant}"
        ),
    ):
        call(**{given: 1})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: train(optimizer=vp.Adam),
            r"optimizer is a class: pass an instance, Adam\(\)",
        ),
        (lambda: train(optimizer="adam"), r"optimizer is 'adam': pass Adam\(\)"),
        (
            lambda: train(schedule=vp.Cosine),
            r"schedule is a class: pass an instance, Cosine\(\)",
        ),
        (
            lambda: train(early_stopping=vp.EarlyStopping),
            r"early_stopping is a class: .* EarlyStopping\(\)",
        ),
        (
            lambda: train(callbacks=[vp.ProgressBar]),
            r"Callback 0 is a class: pass an instance, ProgressBar\(\)",
        ),
        (
            lambda: train(checkpoint=vp.Checkpoint),
            r"checkpoint is a class: pass an instance, Checkpoint\(…\)",
        ),
        (
            lambda: vp.Network(2, [vp.Dense, vp.ReLU()], vp.SquaredError()),
            r"Layer 0 is a class: .*, Dense\(…\)",
        ),
        (
            lambda: vp.Network(2, [vp.Dense(2), "relu"], vp.SquaredError()),
            r"Layer 1 is 'relu': pass ReLU\(\)",
        ),
        (
            lambda: vp.Network(2, [vp.Dense(2)], vp.SquaredError),
            r"The loss is a class: .*, SquaredError\(\)",
        ),
    ],
)
def test_classes_and_names_instead_of_objects(make, says):
    with pytest.raises(TypeError, match=says):
        make()


def test_custom_classes_choose_their_own_parameters():
    class Own(vp.SquaredError):
        def __init__(self, factor):
            super().__init__()

    @dataclass(frozen=True)
    class Named(vp.SquaredError):
        factor: float = 1.0

        def __init__(self, **settings):
            super().__init__()

    assert repr(Own(factor=2)).endswith("(reduction='mean')")
    assert Named(anything=3).factor == 1
    own: Any = Own
    with pytest.raises(TypeError, match="did you mean 'factor'"):
        own(factr=2)


def test_signatures_show_the_parameters():
    assert [*inspect.signature(vp.Adam).parameters] == [
        "learning_rate",
        "beta1",
        "beta2",
        "epsilon",
    ]
    assert "clip_norm" in inspect.signature(vp.train).parameters


FITTED = vp.MLPClassifier(random_state=0).initialize(X, [0, 1, 0])


@pytest.mark.parametrize(
    ("owner", "name", "hint"),
    [
        (NETWORK, "fit", r"call train\(network, network.init"),
        (NETWORK, "parameters", r"theta = network.init\(seed=0\)"),
        (NETWORK, "predit", "did you mean 'predict'"),
        (NETWORK, "cuda", "no modes, devices"),
        (NETWORK, "volcano", r"see help\(Network\)"),
        (FITTED, "save", r"call vecprop.save\(model, "),
        (FITTED, "feature_importances_", "permutation_importance"),
        (FITTED, "history", "use loss_curve_"),
        (vp.MLPRegressor(), "predict_proba", "use MLPClassifier"),
        (vp.TabularClassifier(), "evaluate", "call vecprop.tables.evaluate"),
        (vp.TabularClassifier(), "predict_interval", "use predict_proba"),
        (vp.History(), "val_loss", "use validation_loss"),
        (vp.Adam(), "lr", "use learning_rate"),
        (vp.Dense(3), "weight", "parameters are in theta"),
        (vp.SquaredError(), "backward", "use delta"),
        (vp, "LSTM", "only dense networks"),
        (vp, "DataLoader", "use NumPy arrays"),
    ],
)
def test_attributes_of_other_libraries(owner, name, hint):
    assert not hasattr(owner, name)
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}': .*{hint}"):
        getattr(owner, name)


def test_hints_keep_errors_copies_and_private_names():
    with pytest.raises(AttributeError, match=r"has no attribute '_predict'$"):
        NETWORK._predict  # noqa: B018
    with pytest.raises(AttributeError, match="is not fitted and has no coefs_"):
        vp.MLPClassifier().coefs_  # noqa: B018
    assert (
        copy.deepcopy(FITTED).predict(X).tolist()
        == pickle.loads(pickle.dumps(FITTED)).predict(X).tolist()
    )
    with pytest.raises(AttributeError) as caught:
        FITTED.save  # noqa: B018
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(TypeError, match=r"call network.predict\(theta, X\)"):
        NETWORK(X)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (
            lambda: vp.MLPClassifier().fit(X, [0, 1, 0], epochs=3),
            r"as in MLPClassifier\(max_iter=…\)",
        ),
        (
            lambda: vp.MLPClassifier().fit(X, [0, 1, 0], validation_data=(X, X)),
            "did you mean 'X_val'",
        ),
        (
            lambda: vp.TabularClassifier().fit(X, target="y"),
            r"as in TabularClassifier\(target=…\)",
        ),
        (lambda: FITTED.predict(X, batch_size=3), r"MLPClassifier\(batch_size=…\)"),
        (lambda: vp.MLPClassifier(device="cuda"), "runs on the processor"),
        (lambda: vp.GradientDescent(momentum=0.9), "use Momentum"),
    ],
)
def test_keywords_of_other_libraries(call, hint):
    with pytest.raises(
        TypeError, match=rf"got an unexpected keyword argument .*: .*{hint}"
    ):
        call()


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"activation": "swish"}, "did you mean 'silu'"),
        ({"loss": "mse"}, "did you mean 'squared_error'"),
        ({"learning_rate": 0.01}, "pass learning_rate_init=0.01"),
        ({"solver": "AdamW "}, "did you mean 'adamw'"),
        ({"solver": vp.Adam}, r"pass an instance, Adam\(\)"),
        (
            {"checkpoint": "run.npz"},
            r"a Checkpoint or None. Got 'run.npz' instead: pass Checkpoint",
        ),
        ({"early_stopping": 10}, "pass early_stopping=True"),
    ],
)
def test_settings_of_other_libraries(settings, hint):
    with pytest.raises(ValueError, match=rf" parameter of MLPRegressor .*{hint}"):
        vp.MLPRegressor(**settings).fit(X, X[:, 0])


def test_missing_model_files(tmp_path):
    (tmp_path / "model.npz").touch()
    with pytest.raises(
        FileNotFoundError, match=r"^There is no file .*: did you mean 'model.npz'\?$"
    ):
        vp.load(tmp_path / "modle.npz")


def test_missing_files_suggest_a_file_with_the_same_ending(tmp_path):
    for name in ("table.csv", "table.npz", "table.txt"):
        (tmp_path / name).touch()
    with pytest.raises(vp.TableError, match=r"did you mean 'table\.csv'"):
        vp.tables.read_table(tmp_path / "tabel.csv")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'table\.npz'"):
        vp.load(tmp_path / "tabel.npz")

"""Wrong names, and names of other libraries, are errors that suggest the right name."""

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pytest

vp: Any = import_module("vecprop")  # untyped, since wrong names are the subject
NETWORK = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
X = np.ones((3, 1))


def train(**settings):
    return vp.train(NETWORK, NETWORK.init(0), X, X, **{"optimizer": vp.Adam(), "epochs": 1} | settings)


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
    with pytest.raises(AttributeError, match=rf"^module '{package.__name__}' has no attribute '{name}': .* {meant}\?$"):
        getattr(package, name)


def test_attributes_that_resemble_nothing():
    with pytest.raises(AttributeError, match=r"^module 'vecprop' has no attribute 'volcano'$"):
        vp.volcano  # noqa: B018
    assert not hasattr(vp, "_adam")


@pytest.mark.parametrize(
    ("call", "given", "meant"),
    [
        (vp.Adam, "lr", "did you mean 'learning_rate'"),
        (vp.Adam, "weight_decay", r"pass penalty=L2\(0.0001\) to Network, or optimizer=AdamW"),
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
        (vp.TabularRegressor, "budget", "did you mean 'time_limit'"),
        (vp.check_gradients, "metod", "did you mean 'method'"),
        (vp.read_table, "astext", "did you mean 'as_text'"),
        (vp.tables.evaluate, "group", "did you mean 'groups'"),
    ],
)
def test_wrong_keywords(call, given, meant):
    with pytest.raises(TypeError, match=rf"^{call.__name__}\(\) got an unexpected keyword argument '{given}': {meant}"):
        call(**{given: 1})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: train(optimizer=vp.Adam), r"optimizer is a class: pass an instance, Adam\(\)"),
        (lambda: train(optimizer="adam"), r"optimizer is 'adam': pass Adam\(\)"),
        (lambda: train(schedule=vp.Cosine), r"schedule is a class: pass an instance, Cosine\(\)"),
        (lambda: train(early_stopping=vp.EarlyStopping), r"early_stopping is a class: .* EarlyStopping\(\)"),
        (lambda: train(callbacks=[vp.ProgressBar]), r"Callback 0 is a class: pass an instance, ProgressBar\(\)"),
        (lambda: train(checkpoint=vp.Checkpoint), r"checkpoint is a class: pass an instance, Checkpoint\(…\)"),
        (lambda: vp.Network(2, [vp.Dense, vp.ReLU()], vp.SquaredError()), r"Layer 0 is a class: .*, Dense\(…\)"),
        (lambda: vp.Network(2, [vp.Dense(2), "relu"], vp.SquaredError()), r"Layer 1 is 'relu': pass ReLU\(\)"),
        (lambda: vp.Network(2, [vp.Dense(2)], vp.SquaredError), r"The loss is a class: .*, SquaredError\(\)"),
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
    assert [*inspect.signature(vp.Adam).parameters] == ["learning_rate", "beta1", "beta2", "epsilon"]
    assert "clip_norm" in inspect.signature(vp.train).parameters

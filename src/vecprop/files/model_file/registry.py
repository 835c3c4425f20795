"""The fixed list of classes that model files may hold. Objects of other classes are neither written nor read."""

from typing import Any

import numpy as np

from ...estimators.classifier import MLPClassifier
from ...estimators.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from ...estimators.regressor import MLPRegressor
from ...tables.classifier import TabularClassifier
from ...tables.regressor import TabularRegressor
from ..trained import TrainedNetwork
from .scikit_learn_classes import SCIKIT_LEARN_CLASSES
from .stored import StoredClass
from .vecprop_classes import VECPROP_CLASSES


def _random_state(state: dict[str, Any]) -> np.random.RandomState:
    random = np.random.RandomState()
    random.set_state(state["state"])
    return random


CLASSES = [
    *VECPROP_CLASSES,
    *SCIKIT_LEARN_CLASSES,
    StoredClass("RandomState", np.random.RandomState, lambda random: {"state": random.get_state()}, _random_state),
]

MODELS = (
    TrainedNetwork,
    MLPClassifier,
    MLPRegressor,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    TabularClassifier,
    TabularRegressor,
)
"""The classes that are models by themselves, and that a pipeline may end with."""

BY_NAME = {stored.name: stored for stored in CLASSES}
BY_CLASS = {stored.cls: stored for stored in CLASSES}

"""The fixed list of classes that model files may hold. What is not on it is neither written nor read."""

from typing import Any

import numpy as np

from ..estimators.classifier import MLPClassifier
from ..estimators.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from ..estimators.regressor import MLPRegressor
from ..tables.classifier import TabularClassifier
from ..tables.regressor import TabularRegressor
from . import estimator_kinds, network_kinds, preprocessing_kinds, table_kinds
from .kinds import Kind
from .trained import TrainedNetwork


def _random_state(state: dict[str, Any]) -> np.random.RandomState:
    random = np.random.RandomState()
    random.set_state(state["state"])
    return random


KINDS = [
    *network_kinds.KINDS,
    *estimator_kinds.KINDS,
    *preprocessing_kinds.KINDS,
    *table_kinds.KINDS,
    Kind("RandomState", np.random.RandomState, lambda random: {"state": random.get_state()}, _random_state),
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
"""The classes that are models by themselves, and may stand at the end of a pipeline."""

BY_NAME = {kind.name: kind for kind in KINDS}
BY_CLASS = {kind.cls: kind for kind in KINDS}

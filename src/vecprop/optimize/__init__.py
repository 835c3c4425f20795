"""Optimizers, learning-rate schedules, L-BFGS and the settings of training."""

# ruff: noqa: F401 (the names that other packages import)
from .lbfgs import LBFGS
from .optimizers import (
    Adam,
    AdamHat,
    AdamW,
    GradientDescent,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
)
from .schedules import (
    Adaptive,
    Constant,
    Cosine,
    InverseScaling,
    OneCycle,
    Schedule,
    WarmUp,
    has_horizon,
)
from .settings import (
    CURVES,
    ENGINES,
    EarlyStopping,
    EngineName,
    EpochResults,
    Plan,
    TrainingLoss,
    TrainingSettings,
    observed,
)

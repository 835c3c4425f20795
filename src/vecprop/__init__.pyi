from .check import Report, Verdict, assert_gradients, check_gradients
from .compiled.network import CompiledNetwork, compile
from .core.activations import ELU, GELU, Identity, LeakyReLU, Logistic, ReLU, SiLU, Softplus, Tanh
from .core.counted import Noise
from .core.initializers import Glorot, He, Initializer, Normal
from .core.layers import Activation, Dense, Dropout, Layer, LayerNorm
from .core.layout import Layout, Penalized
from .core.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    ElementwiseLoss,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SquaredError,
)
from .core.network import Network
from .core.penalties import L1, L2, Penalty
from .estimators.classifier import MLPClassifier
from .estimators.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from .estimators.regressor import MLPRegressor
from .estimators.search import MLPSearchCV
from .files.error import FileError
from .files.model_file import load, save
from .files.numpy_source import to_numpy
from .files.onnx import to_onnx
from .files.scikit_learn import from_scikit_learn
from .files.trained import TrainedNetwork
from .optimize.lbfgs import LBFGS
from .optimize.optimizers import Adam, AdamW, GradientDescent, Momentum, Nesterov, Optimizer, RMSProp
from .optimize.schedules import Adaptive, Constant, Cosine, InverseScaling, OneCycle, Schedule, WarmUp
from .tables.classifier import TabularClassifier
from .tables.error import TableError
from .tables.reading import read_chunks, read_table
from .tables.regressor import TabularRegressor
from .tables.task import guess_task
from .train.early_stopping import EarlyStopping, Stagnation
from .train.history import History
from .train.members import Member
from .train.population import train_population
from .train.progress import Headway, ProgressBar
from .train.results import TrainingResults
from .train.state import DivergenceError, TrainingResult, TrainingState
from .train.trainer import train

__version__: str

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "LBFGS",
    "AbsoluteError",
    "Activation",
    "Adam",
    "AdamW",
    "Adaptive",
    "BinaryCrossEntropy",
    "CompiledNetwork",
    "Constant",
    "Cosine",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "ElementwiseLoss",
    "FileError",
    "Glorot",
    "GradientDescent",
    "He",
    "Headway",
    "History",
    "Huber",
    "Identity",
    "Initializer",
    "InverseScaling",
    "Layer",
    "LayerNorm",
    "Layout",
    "LeakyReLU",
    "Logistic",
    "Loss",
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPRegressor",
    "MLPSearchCV",
    "Member",
    "Momentum",
    "Nesterov",
    "Network",
    "Noise",
    "Normal",
    "OneCycle",
    "Optimizer",
    "Penalized",
    "Penalty",
    "Poisson",
    "ProgressBar",
    "Quantile",
    "RMSProp",
    "ReLU",
    "Report",
    "Schedule",
    "SiLU",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SquaredError",
    "Stagnation",
    "TableError",
    "TabularClassifier",
    "TabularRegressor",
    "Tanh",
    "TrainedNetwork",
    "TrainingResult",
    "TrainingResults",
    "TrainingState",
    "Verdict",
    "WarmUp",
    "assert_gradients",
    "check_gradients",
    "compile",
    "from_scikit_learn",
    "guess_task",
    "load",
    "read_chunks",
    "read_table",
    "save",
    "to_numpy",
    "to_onnx",
    "train",
    "train_population",
]

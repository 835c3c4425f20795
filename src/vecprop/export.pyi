from .files.numpy_source import to_numpy as to_numpy
from .files.onnx import to_onnx as to_onnx
from .files.scikit_learn import from_scikit_learn as from_scikit_learn
from .files.trained import TrainedNetwork as TrainedNetwork

__all__: list[str]

from .files.networks import TrainedNetwork as TrainedNetwork
from .files.networks import from_sklearn as from_sklearn
from .files.numpy_source import to_numpy as to_numpy
from .files.onnx import to_onnx as to_onnx

__all__: list[str]

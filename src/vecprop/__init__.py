"""vecprop: dense neural networks trained by hand-derived, fully vectorized backpropagation.

>>> import numpy as np
>>> from vecprop import Dense, Logistic, Momentum, Network, SoftmaxCrossEntropy, train
>>> X, t = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
>>> network = Network(2, [Dense(4), Logistic(), Dense(2)], SoftmaxCrossEntropy())
>>> result = train(network, network.init(seed=0), X, t, optimizer=Momentum(1.0), epochs=500)
>>> network.predict(result.theta, X).argmax(axis=1)
array([0, 1, 1, 0])
"""

import copyreg
import importlib
import sys
import types

from .system.signals import handle_signals_of_command

# before further imports, because users press Ctrl-C at any time
handle_signals_of_command()

from .system.suggestions import attach  # noqa: E402

# The public names are listed in __init__.pyi. Each is imported on first use, so that
# `import vecprop` is fast.
__getattr__, __dir__, __all__ = attach(__name__, __name__, __file__)
# `from vecprop import *` works without MLflow:
__all__ = [name for name in __all__ if name != "mlflow"]  # pyright: ignore[reportUnsupportedDunderAll]

# lazy_loader's module class, which joblib cannot pickle
if type(sys.modules[__name__]) is not types.ModuleType:
    copyreg.pickle(
        type(sys.modules[__name__]),
        lambda module: (importlib.import_module, (module.__name__,)),
    )

__version__ = "0.1.0"

"""A search for better settings within some seconds."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone

SPACE: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(32,), (64,), (128,), (256,), (64, 64), (128, 128), (256, 128)],
    "activation": ["relu", "silu", "tanh"],
    "dropout": [0.0, 0.1, 0.3],
    "weight_decay": [0.0, 0.01, 0.1, 0.3, 1.0],
    "learning_rate_init": [0.001, 0.003, 0.01],
}
"""The values that are tried of each setting."""


def search(
    estimator: Any, X: Any, y: np.ndarray, seconds: float, seed: int, tell: Callable[[int, float, dict[str, Any]], None]
) -> Any:
    """Return the best model by the loss of rows that its networks were not trained on.

    The estimator's own settings are tried first, then others drawn from `SPACE`, as long as another is likely to be
    done in time. Each network of an ensemble does without other rows, so that every row is tested once.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
        Whose settings are searched.
    X, y
        The rows.
    seconds : float
        How long the search may take; the first setting is tried in any case.
    seed : int
        Fixes what is tried.
    tell : callable
        Told of each setting its number, its loss and its values.

    Returns
    -------
    TabularClassifier or TabularRegressor
        Fitted. Ctrl-C ends the search with what is best so far.
    """
    rng, started = np.random.default_rng(seed), time.perf_counter()
    best, longest, number, settings = None, 0.0, 0, {}
    while best is None or time.perf_counter() - started + longest < seconds:
        began = time.perf_counter()
        model: Any = clone(estimator)
        model.set_params(**settings)
        try:
            model.fit(X, y)
        except KeyboardInterrupt:
            if best is None:
                raise
            best.notes_.append("The search was interrupted: the model is the best so far.")
            return best
        except ValueError:
            if best is None:
                raise
        else:
            best = model if best is None or model.validation_loss_ < best.validation_loss_ else best
            tell(number, model.validation_loss_, settings)
            if any("interrupted" in note for note in model.notes_):
                return best
        longest = max(longest, time.perf_counter() - began)
        settings = {name: values[rng.integers(len(values))] for name, values in SPACE.items()}
        number += 1
    return best

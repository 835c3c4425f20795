"""A search for better settings within a time: many by cross-validation, and the best of them as whole models."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .cross_validation import Columns, Settings, Tried
from .dividing import Parts

FINALISTS = 8
"""The largest number of settings that become whole models after each round of cross-validation."""
FEW, MOST_AT_ONCE = 4, 200
"""A round trains at least `FEW` settings at once, even if that takes all the time left, and at most `MOST_AT_ONCE`."""


@dataclass(frozen=True)
class Finalist:
    """Settings and the model that was fitted with them.

    Parameters
    ----------
    settings : dict
        The settings that differ from those given.
    model : TabularClassifier or TabularRegressor
        The fitted model.
    """

    settings: Settings
    model: Any

    @property
    def loss(self) -> float:
        """The validation loss: that of rows that the model's networks were not trained on."""
        return self.model.validation_loss_


@dataclass
class SettingsSearch:
    """The record of a search for settings.

    Parameters
    ----------
    folds : int
        The number of folds of cross-validation.
    finalists : list of Finalist
        The settings that became whole models; those given are the first.
    tried : list of Tried
        The settings that were tried by cross-validation; those given are the first.
    seconds : float
        The time of the search.
    """

    folds: int
    finalists: list[Finalist]
    tried: list[Tried] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def best(self) -> Finalist:
        """The best of the finalists."""
        return min(self.finalists, key=lambda finalist: finalist.loss)

    @property
    def ranked(self) -> list[Settings]:
        """The best settings by cross-validation that are no whole models yet, the best first."""
        good = [tried for tried in self.tried if tried.loss < np.inf]
        best = [tried.settings for tried in sorted(good, key=lambda tried: tried.loss)[:FINALISTS]]
        return [settings for settings in best if settings not in [finalist.settings for finalist in self.finalists]]


def search(
    model: Any, cost: float, parts: Parts, seconds: float, fixed: set[str], tell: Callable[[str], object]
) -> SettingsSearch:
    """Search for the settings with the lowest loss on rows that networks were not trained on.

    `MLPSearchCV` tries settings in random order, many at once, on the columns as the model has encoded them. Then the
    best of them become whole models, as long as another is likely to be done in time. Both steps are repeated in the
    time that is left.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The fitted model with the settings given.
    cost : float
        The seconds that its fit took.
    parts : Parts
        The table, of which the test is not used.
    seconds : float
        The time for the search.
    fixed : set of str
        Settings that are not searched.
    tell : callable
        Called with sentences on the progress of the search.

    Returns
    -------
    SettingsSearch
        The record; Ctrl-C ends a search early.
    """
    began, columns = time.perf_counter(), Columns.of(model, parts)
    found, ends = SettingsSearch(len(columns.splits), [Finalist({}, model)]), began + seconds
    tell(f"With the settings given the validation loss is {found.best.loss:.5g}.")
    members = sum(map(len, model.ensembles))
    waiting, pace = columns.choices(fixed), cost / (members * columns.weights({}))
    try:
        while waiting:
            count = len(waiting)
            pace = _cross_validate(found, columns, waiting, ends, pace, cost, tell)
            if len(waiting) == count:
                break
            for settings in found.ranked:
                if time.perf_counter() + pace * members * columns.weights(settings) < ends:
                    _try_whole(found, columns.with_settings(settings), settings, parts, ends, tell)
    except KeyboardInterrupt:
        found.best.model.notes_.append("The search was interrupted: the model is the best so far.")
    found.seconds = time.perf_counter() - began
    return found


def _cross_validate(
    found: SettingsSearch,
    columns: Columns,
    waiting: list[Settings],
    ends: float,
    pace: float,
    cost: float,
    tell: Callable[[str], object],
) -> float:
    """Try waiting settings by cross-validation in half of the time that is left, or more if whole models need less.

    The number of settings that are trained at once is what a quarter of that time is enough for, or `FEW`. The pace,
    which is taken and returned, is the seconds of training for each weight of a network.
    """
    began, members, done = time.perf_counter(), sum(map(len, found.finalists[0].model.ensembles)), 0
    while waiting:
        kept = sum(max(pace * members * columns.weights(settings), cost) for settings in found.ranked)
        left = max(ends - kept, (began + ends) / 2) - time.perf_counter()
        costs = pace * found.folds * np.cumsum([columns.weights(settings) for settings in waiting[:MOST_AT_ONCE]])
        count = max(_within(costs, left / 4), min(_within(costs, left), FEW))
        if not count:
            break
        several = [waiting.pop(0) for _ in range(count)]
        found.tried.extend(columns.evaluated(several))
        done += found.folds * sum(map(columns.weights, several))
        pace = (time.perf_counter() - began) / done
        lowest = min(tried.loss for tried in found.tried)
        tell(f"{len(found.tried)} settings tried by cross-validation: the lowest loss is {lowest:.5g}.")
    return pace


def _within(costs: np.ndarray, seconds: float) -> int:
    """Return the number of cumulative costs that are within a time."""
    return int(np.searchsorted(costs, seconds, side="right"))


def _try_whole(
    found: SettingsSearch, model: Any, settings: Settings, parts: Parts, ends: float, tell: Callable[[str], object]
) -> None:
    """Fit a model with some settings, which is a finalist if it is done in time."""
    model.set_params(progress=lambda now: time.perf_counter() > ends)
    model.fit(**parts.training).set_params(progress=None)
    if not was_interrupted(model):
        found.finalists.append(Finalist(settings, model))
        tell(f"Validation loss {model.validation_loss_:.5g} with {settings_as_text(settings)}.")
    elif time.perf_counter() < ends:
        raise KeyboardInterrupt


def settings_as_text(settings: Settings) -> str:
    """Return settings as text.

    Examples
    --------
    >>> settings_as_text({"hidden_layer_sizes": (64, 64), "dropout": 0.1}), settings_as_text({})
    ('hidden_layer_sizes (64, 64), dropout 0.1', 'the settings given')
    """
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "the settings given"


def was_interrupted(model: Any) -> bool:
    """Return whether Ctrl-C has ended training early."""
    return any(note.startswith(("Training was interrupted", "The search was interrupted")) for note in model.notes_)

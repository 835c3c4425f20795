"""The results of a search for the figures: scores, their standard deviations, and the values of each parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class SearchResults:
    """The scores of the settings of a search.

    Examples
    --------
    >>> table = {"mean_test_score": [0.5, 1.0], "std_test_score": [0.1, 0.2], "params": [{"a": 1}, {"a": 2}]}
    >>> results = SearchResults.of(table, "score")
    >>> results.parameters, results.score
    ({'a': [1, 2]}, array([0.5, 1. ]))
    """

    score: np.ndarray
    over_folds: np.ndarray
    over_seeds: np.ndarray | None
    parameters: dict[str, list[Any]]
    name: str

    @classmethod
    def of(cls, search: Any, score: str) -> "SearchResults":
        """Return the results of a fitted search, or of its ``cv_results_``.

        Raises
        ------
        ValueError
            If the score does not exist, or no parameter varies.
        """
        table = getattr(search, "cv_results_", search)
        if f"mean_test_{score}" not in table:
            scores = [name.removeprefix("mean_test_") for name in table if name.startswith("mean_test_")]
            raise ValueError(f"The search has no score {score!r}: its scores are {', '.join(scores)}.")
        settings = table["params"]
        names = dict.fromkeys(name for setting in settings for name in setting)
        values = {name: [setting.get(name) for setting in settings] for name in names}
        varying = {name: of for name, of in values.items() if len({label(value) for value in of}) > 1}
        if "n_resources" in table:  # the resource of successive halving is not searched
            varying = {name: of for name, of in varying.items() if list(table["n_resources"]) != of}
        if not varying:
            raise ValueError("No parameter varies in this search: there is nothing to draw its scores against.")
        seeds = table.get(f"std_seed_test_{score}")
        return cls(
            np.asarray(table[f"mean_test_{score}"], float),
            np.asarray(table[f"std_test_{score}"], float),
            None if seeds is None else np.asarray(seeds, float),
            varying,
            score,
        )

    def values(self, parameter: str) -> list[Any]:
        """Return the different values of a parameter; numbers are sorted.

        Raises
        ------
        ValueError
            If the parameter does not vary.
        """
        if parameter not in self.parameters:
            raise ValueError(f"{parameter!r} does not vary in this search: {', '.join(self.parameters)} do.")
        different = {label(value): value for value in self.parameters[parameter] if value is not None}
        found = list(different.values())
        return sorted(found) if all(map(is_number, found)) else found

    def best(self, settings: dict[str, Any]) -> int | None:
        """Return the number of the best setting with these values; None if none has a finite score."""
        wanted = {name: label(value) for name, value in settings.items()}
        numbers = [
            number
            for number, score in enumerate(self.score)
            if np.isfinite(score) and all(label(self.parameters[name][number]) == text for name, text in wanted.items())
        ]
        return max(numbers, key=lambda number: self.score[number], default=None)


def is_number(value: Any) -> bool:
    """Return whether a value can be placed on a numeric axis."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def label(value: Any) -> str:
    """Return the text of a value, with three digits for a float."""
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)


def is_logarithmic(values: Sequence[Any]) -> bool:
    """Return whether values belong on a logarithmic axis: positive, and spread over a factor of 20."""
    numbers = np.asarray(values, float)
    return bool(numbers.min() > 0 and numbers.max() >= 20 * numbers.min())

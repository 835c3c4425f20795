"""What the page says of a regressor: its target, its errors, and how far its intervals can be trusted."""

import numpy as np

from ..training.train_on_table import Trained
from .markup import Html, element, figures
from .number_pictures import (
    COVERAGES,
    MOST_POINTS,
    draw_coverage,
    draw_kept,
    draw_predicted,
    draw_residuals,
    draw_targets,
)
from .svg import picture

JUDGED = 0.9
"""The coverage of the intervals that are judged by the size of rows."""


def target_of_numbers(trained: Trained) -> Html:
    """Return a picture of the target's distribution, and its quartiles in words."""
    y = np.asarray(trained.parts.y, float)
    low, first, middle, third, high = map(figures, np.quantile(y, [0, 0.25, 0.5, 0.75, 1]))
    told = f"From {low} to {high}; half of the rows lie between {first} and {third}, around {middle}."
    return picture(told, draw_targets, {"training": y} | ({"test": trained.truth} if trained.parts.has_test else {}))


def errors_of_numbers(trained: Trained) -> Html:
    """Return pictures of predictions and of their errors."""
    rows = len(trained.truth)
    some = f" {MOST_POINTS:,} of {rows:,} rows are drawn." if rows > MOST_POINTS else ""
    both = trained.predicted, trained.truth
    return element(
        "div",
        picture(
            f"True numbers against predicted ones; right ones are on the dotted line.{some}", draw_predicted, *both
        ),
        picture("Errors against predictions. A trend or a funnel shows what was not learned.", draw_residuals, *both),
        class_="pictures",
    )


def calibration_of_numbers(trained: Trained) -> Html:
    """Return pictures of the shares of rows that lie within their intervals: of all rows, and by their size."""
    if not trained.parts.has_test:
        return element("p", "Intervals are judged on a test only, since they were made by the rows of training.")
    ends = {share: trained.model.predict_interval(trained.measured.X, share).T for share in COVERAGES}
    within = {share: (low <= trained.truth) & (trained.truth <= high) for share, (low, high) in ends.items()}
    low, high = ends[JUDGED]
    by_size = f"The share of rows within {JUDGED:.0%} intervals, in groups of rows"
    judged = within[JUDGED], JUDGED
    return element(
        "div",
        picture(
            "The share of rows that intervals are to hold, and the share that they do, with 95 % intervals. Below the "
            "dotted line the model is too sure.",
            draw_kept,
            within,
        ),
        picture(f"{by_size} by what is predicted.", draw_coverage, trained.predicted, *judged, "predicted"),
        picture(
            f"{by_size} by the width of the interval.", draw_coverage, high - low, *judged, "width of the interval"
        ),
        class_="pictures",
    )

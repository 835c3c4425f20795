"""The verdict at the top of the page: whether the model is better than the baselines, and what to worry about."""

from typing import Any

from ..models.estimates import Estimate, Scores
from ..models.metrics import TITLES
from ..training.baselines import NAIVE
from ..training.verdict import Verdict
from .markup import Html, bullets, element, figures, folded, join

FEW_NOTES = 5
"""More notes than this are folded."""
SAID = {
    "better": "Better than all baselines",
    "slightly better": "Slightly better than {baseline}, but intervals overlap",
    "no better": "No better than {baseline}, as far as can be told",
    "worse": "Not the best choice: {baseline} is better",
}
"""What is said of each level."""


def verdict_box(result: dict[str, Any]) -> Html:
    """Return the verdict on a model, coloured by its level, and the notes on the table."""
    found, notes = result.get("verdict"), bullets(result["notes"])
    if notes:
        count = len(result["notes"])
        notes = folded(f"Notes on the table: {count}", notes, is_open=count <= FEW_NOTES)
    if found is None:
        said = element("p", "Not measured, since Ctrl-C came before", class_="level")
        return element("div", said, notes, class_="verdict")
    kind = f"verdict {found.level.replace(' ', '-')}"
    said = element("p", SAID[found.level].format(baseline=found.baseline), class_="level")
    worries = bullets(found.worries)
    if worries:
        worries = join([element("p", "What to worry about:"), worries])
    return element("div", said, _margin(found), _intervals(result["scores"], found.metric), worries, notes, class_=kind)


def _margin(found: Verdict) -> Html:
    title = TITLES[found.metric]
    apart, side = (found.margin, "higher") if found.margin.value >= 0 else (-found.margin, "lower")
    return element(
        "p",
        f"The {title} is ",
        element("strong", in_words(found.ours)),
        f"; that of {found.baseline} is {side} by {in_words(apart)}.",
    )


def _intervals(scores: Scores, metric: str) -> Html:
    """Return the intervals of the model's and the baselines' losses on one scale, which need not reach to naive."""
    each = {name: of_model[metric] for name, of_model in scores.items()}
    near = [of for name, of in each.items() if name != NAIVE]
    low, high = min(of.low for of in near), max(of.high for of in near)
    lines = (_interval(name, of, low, (high - low) or 1.0) for name, of in each.items())
    return element("div", *lines, class_="intervals")


def _interval(name: str, estimate: Estimate, start: float, length: float) -> Html:
    ends = (estimate.low, estimate.value, estimate.high)
    left, middle, right = (min(max(100 * (end - start) / length, 0.0), 100.0) for end in ends)
    line = element("span", class_="line", style=f"left: {left:.1f}%; width: {right - left:.1f}%")
    point = element("span", class_="point", style=f"left: {middle:.1f}%")
    drawn = [element("span", "→", class_="beyond")] if estimate.low > start + length else [line, point]
    value = element("span", figures(estimate.value))
    return join([element("span", name), element("span", *drawn, class_="track"), value])


def in_words(estimate: Estimate) -> str:
    """Return an estimate with its interval.

    Examples
    --------
    >>> in_words(Estimate(15123.4, 12000.0, 18001.2))
    '15,120 (12,000 to 18,000)'
    """
    return f"{figures(estimate.value)} ({figures(estimate.low)} to {figures(estimate.high)})"

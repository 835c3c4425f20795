"""Arrays as colours that the colour-blind can tell apart, and that lie on light and on dark pages.

What says little is transparent: the page's own colour stands for it.
"""

import numpy as np

from ....pictures.style import COLOURS, colour

MARKERS = ("star", "circle", "square", "triangle", "diamond", "inverted_triangle", "plus", "x", "hex")
"""The markers of classes, in Bokeh's words and in the order of those of the library's other pictures."""
LOW, HIGH = COLOURS[1], COLOURS[0]
"""The colours of low and negative, and of high and positive numbers: blue and orange."""


def bytes_of(name: str) -> np.ndarray:
    """Return red, green and blue, (3,), of a colour such as "#0072B2".

    Examples
    --------
    >>> bytes_of("#0072B2")
    array([  0., 114., 178.])
    """
    return np.array([int(name[k : k + 2], 16) for k in (1, 3, 5)], float)


def rgba(colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Return pixels, as Bokeh draws them, of colours (..., 3), from 0 to 255, and opacities (...) from 0 to 1."""
    pixels = np.empty((*opacity.shape, 4), np.uint8)
    pixels[..., :3] = colours
    pixels[..., 3] = np.clip(255 * opacity, 0, 255)
    return pixels.view(np.uint32)[..., 0]


def of_classes(P: np.ndarray, smooth: bool = True) -> np.ndarray:
    """Return the pixels of class probabilities (..., C): stronger where the most probable is surer."""
    palette = np.array([bytes_of(colour(k)) for k in range(P.shape[-1])])
    surest = P.argmax(axis=-1)
    top = np.take_along_axis(P, surest[..., None], axis=-1)[..., 0]
    sure = (top * P.shape[-1] - 1) / (P.shape[-1] - 1) if smooth else np.ones_like(top)
    return rgba(palette[surest], 0.08 + 0.55 * np.nan_to_num(sure))


def of_numbers(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the pixels of numbers: blue at the low end, transparent in the middle, orange at the high end."""
    scaled = np.nan_to_num(np.clip((values - low) / max(high - low, 1e-300) * 2 - 1, -1, 1))
    return rgba(np.where(scaled[..., None] < 0, bytes_of(LOW), bytes_of(HIGH)), 0.75 * np.abs(scaled))


def of_points(t: np.ndarray, classes: int, low: float, high: float) -> tuple[list[str], list[str]]:
    """Return the colour and the marker of each point: of its class, or of its number, see `of_numbers`."""
    if classes:
        return [colour(k) for k in t], [MARKERS[k % len(MARKERS)] for k in t]
    share = np.clip((t - low) / max(high - low, 1e-300), 0, 1)[:, None]
    grey = bytes_of("#B0B0B0")
    ends = np.where(share < 0.5, bytes_of(LOW), bytes_of(HIGH))
    mixed = grey + np.abs(2 * share - 1) * (ends - grey)
    return ["#{:02X}{:02X}{:02X}".format(*row) for row in mixed.astype(int)], ["circle"] * len(t)

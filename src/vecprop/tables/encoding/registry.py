"""The kinds of columns: one entry for each name that the owner of a table may give, see `Column`."""

from ..kinds.ambiguities import KINDS
from .column import Column
from .columns import Categories, Dates, NumberInputs
from .texts import LatentTexts

COLUMNS: dict[str, type[Column]] = {
    "number": NumberInputs,
    "category": Categories,
    "code": Categories,
    "date": Dates,
    "text": LatentTexts,
}
"""The class of each kind."""
KINDS.extend(name for name in COLUMNS if name not in KINDS)

"""What of a table is unlike the table that a model was trained on, seen part by part."""

from typing import Any

from .drift import Tally
from .encoder import Misfits
from .frames import Frame, as_frame


class Watch:
    """Sees the parts of a table, and tells what of them all is unlike a model's training.

    Parameters
    ----------
    model : estimator or Pipeline
        The model. Of others than models of tables nothing is known.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.tallies: list[Tally] | None = None
        self.misfits: Misfits = {}
        self.of_tables: dict[str, None] = {}
        self.unlike: dict[str, None] = {}

    def see(self, frame: Frame) -> None:
        """See the next part."""
        if not hasattr(self.model, "encoder_"):
            return
        frame = as_frame(frame).drop(columns=self.model.target or [], errors="ignore")
        encoder = self.model.encoder_
        encoder.require(frame)
        self.of_tables |= dict.fromkeys(frame.attrs.get("notes", []))
        self.unlike |= dict.fromkeys(encoder.unlike(frame))
        self.misfits = encoder.misfits(frame, self.misfits)
        self.tallies = self.model.tallies(frame, self.tallies)

    def notes(self) -> list[str]:
        """Return sentences on the parts that were seen."""
        misfits = self.model.encoder_.notes_on(self.misfits) if self.misfits else []
        return [*self.of_tables, *misfits, *self.unlike, *(self.model.drift(self.tallies) if self.tallies else [])]

"""The five verdicts, from the worst to the best."""

from enum import StrEnum


class Verdict(StrEnum):
    """What can be said of a gradient.

    FAIL: it is wrong. NONDETERMINISTIC: two runs differ, so nothing can be said. INCONCLUSIVE: rounding alone exceeds
    what could be told apart. KINK: the function has two slopes here and the gradient lies between them. PASS: it is
    right.
    """

    FAIL = "FAIL"
    NONDETERMINISTIC = "NONDETERMINISTIC"
    INCONCLUSIVE = "INCONCLUSIVE"
    KINK = "KINK"
    PASS = "PASS"

    @classmethod
    def worst(cls, verdicts: "list[Verdict]") -> "Verdict":
        """Return the worst of several verdicts."""
        order = list(cls)
        return min(verdicts, key=order.index, default=cls.PASS)

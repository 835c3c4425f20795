"""Cases of which the short suite runs a part."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], every: int = 2) -> list[Any]:
    """Return the cases of a test, of which the first of each few are short, and the others part of the long suite.

    A tuple is a case of several arguments.
    """
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=pytest.mark.long if n % every else (),
        )
        for n, case in enumerate(cases)
    ]

"""Results as JSON."""

import json
from math import isfinite
from typing import Any


def to_json(value: Any) -> str:
    """Return a result as JSON, which has no numbers that are not finite: they are null.

    Examples
    --------
    >>> print(to_json({"r2": float("nan"), "rows": [1]}))
    {
      "r2": null,
      "rows": [
        1
      ]
    }
    """
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(of) for of in value]
    return None if isinstance(value, float) and not isfinite(value) else value

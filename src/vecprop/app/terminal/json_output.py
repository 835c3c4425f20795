"""Results as JSON."""

import json
from dataclasses import asdict, is_dataclass
from math import isfinite
from typing import Any


def to_json(value: Any, indent: int | None = 2) -> str:
    """Return a result as JSON; dataclasses become objects, and numbers that are not finite become null.

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
    return json.dumps(_finite(value), indent=indent, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _finite(asdict(value))
    if isinstance(value, dict):
        return {name: _finite(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(of) for of in value]
    return None if isinstance(value, float) and not isfinite(value) else value

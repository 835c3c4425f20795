"""The validated settings of a session, and their text format."""

from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_type_hints
from urllib.parse import quote, unquote

from ...core.elementary import is_within

CLASSES = {
    "circles": 2,
    "moons": 2,
    "spirals": 2,
    "xor": 2,
    "blobs": 3,
    "wave": 0,
    "plane": 0,
    "tutorial": 2,
}
"""The number of classes of each data set, or 0 for regression."""

ACTIVATIONS = (
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "identity",
)
FEATURES = ("x", "y", "x*x", "y*y", "x*y", "sin(x)", "sin(y)")
MOST_ROWS, MOST_LAYERS, MOST_UNITS, LARGEST_SEED = 20_000, 6, 64, 2**31 - 1
LONGEST_TEXT = 10_000
"""The maximum number of characters of the settings text."""


class SettingsError(ValueError):
    """Raised for invalid settings, with the name and value of a single setting."""

    def __init__(self, message: str, name: str = "", value=None):
        super().__init__(message)
        self.name = name
        self.value = value

    @property
    def on_page(self) -> str:
        """The error with the setting's label on the page instead of its name."""
        if not self.name:
            return str(self)
        message = f"{LABELS[self.name]} must be {_wanted(self.name)}"
        if self.value is not None:
            value = (
                f"{self.value:.10g}"
                if isinstance(self.value, float)
                else _shown(self.value)
            )
            message += f", got {value}"
        return f"{message}."


def _setting(default, label, *allowed):
    """Return a field with a label and the allowed choices, or the minimum and maximum."""
    return field(default=default, metadata={"label": label, "allowed": allowed})


@dataclass(frozen=True)
class Settings:
    """All settings that determine a run.

    Raises
    ------
    SettingsError
        If a value is invalid.

    Examples
    --------
    >>> settings = Settings(data="moons", layers=(8, 8))
    >>> settings.to_text()
    'data=moons layers=8,8'
    >>> Settings.from_text("data=moons layers=8,8") == settings
    True
    """

    data: str = _setting("circles", "Data set", *CLASSES, "table")
    columns: tuple[str, ...] = _setting((), "Columns")
    noise: float = _setting(0.1, "Noise", 0, 2)
    rows: int = _setting(200, "Number of points", 4, MOST_ROWS)
    test: float = _setting(0.3, "Test share", 0, 0.9)
    seed: int = _setting(1, "Data seed", 0, LARGEST_SEED)
    features: tuple[str, ...] = _setting(("x", "y"), "Inputs", *FEATURES)
    layers: tuple[int, ...] = _setting((3,), "Hidden layers", 1, MOST_UNITS)
    activation: str = _setting("tanh", "Activation", *ACTIVATIONS)
    loss: str = _setting(
        "auto",
        "Loss",
        "auto",
        "cross_entropy",
        "squared_error",
        "absolute_error",
        "huber",
    )
    penalty: str = _setting("none", "Penalty", "none", "L2", "L1")
    strength: float = _setting(0.001, "Penalty strength", 0, 10)
    dropout: float = _setting(0.0, "Dropout", 0, 0.9)
    normalization: bool = _setting(False, "Layer normalization")
    optimizer: str = _setting(
        "momentum",
        "Optimizer",
        "descent",
        "momentum",
        "nesterov",
        "rmsprop",
        "adam",
        "adamw",
    )
    learning_rate: float = _setting(0.1, "Learning rate", 0, 100)
    momentum: float = _setting(0.9, "Momentum", 0, 0.9999)
    decay: float = _setting(0.9, "Decay", 0, 0.9999)
    beta1: float = _setting(0.9, "β₁", 0, 0.9999)
    beta2: float = _setting(0.999, "β₂", 0, 0.99999)
    weight_decay: float = _setting(0.01, "Weight decay", 0, 10)
    batch: int = _setting(0, "Batch size (0: all)", 0, MOST_ROWS)
    start: int = _setting(0, "Weight seed", 0, LARGEST_SEED)
    mistake: str = _setting(
        "none",
        "Mistake in the backward pass",
        "none",
        "slope_forgotten",
        "no_transpose",
        "sum_for_mean",
    )

    def __post_init__(self):
        """Validate all values."""
        for name, kind in get_type_hints(type(self)).items():
            value = _typed(name, getattr(self, name), kind)
            object.__setattr__(self, name, value)
            for number_or_choice in value if isinstance(value, tuple) else (value,):
                _check_allowed(name, number_or_choice)
        if not self.features or len(set(self.features)) < len(self.features):
            raise SettingsError(
                "features must list at least one input, each only once, such as x,y.",
                "features",
            )
        if self.mistake == "slope_forgotten" and not self.layers:
            raise SettingsError(
                "The mistake slope_forgotten needs a hidden layer: add one."
            )
        if len(self.layers) > MOST_LAYERS:
            message = (
                f"layers must have at most {MOST_LAYERS} hidden layers, got"
                f" {len(self.layers)}."
            )
            raise SettingsError(message, "layers", self.layers)

    @property
    def of_points(self) -> tuple:
        """The settings that determine the points."""
        if self.data == "table":
            return (self.data, self.columns, self.test, self.seed)
        return (self.data, self.noise, self.rows, self.test, self.seed)

    def to_text(self) -> str:
        """Return the data set and all settings that differ from their defaults as text."""
        words = []
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name == "data" or value != setting.default:
                words.append(f"{setting.name}={_written(value)}")
        return " ".join(words)

    @classmethod
    def from_text(cls, text: str) -> "Settings":
        """Parse a string written by `to_text`.

        Raises
        ------
        SettingsError
            If a setting is unknown or its value is invalid.
        """
        hints = get_type_hints(cls)
        values = {}
        if len(text) > LONGEST_TEXT:
            raise SettingsError(
                f"Settings must have at most {LONGEST_TEXT:,} characters, got"
                f" {len(text):,}."
            )
        for word in text.split():
            name, sign, value = word.partition("=")
            if not sign or name not in hints:
                raise SettingsError(
                    f"Expected name=value, got {_shown(word)}; the names are"
                    f" {', '.join(hints)}."
                )
            if name in values:
                raise SettingsError(
                    f"The settings contain {name} twice: write it once."
                )
            values[name] = _read(value, hints[name])
        return cls(**values)


LABELS: dict[str, str] = {
    setting.name: setting.metadata["label"] for setting in fields(Settings)
}
"""The labels of the settings on the page."""

_ALLOWED = {
    setting.name: setting.metadata["allowed"]
    for setting in fields(Settings)
    if setting.metadata["allowed"]
}
CHOICES = {
    name: allowed for name, allowed in _ALLOWED.items() if isinstance(allowed[0], str)
}
"""The allowed values of settings that are strings."""

RANGES = {name: allowed for name, allowed in _ALLOWED.items() if name not in CHOICES}
"""The minimum and maximum of numeric settings."""

PLAIN: dict[Any, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: '"on" or "off"',
}
SWITCH = {"on": True, "off": False}


def _check_allowed(name, value):
    if name in CHOICES and value not in CHOICES[name]:
        choices = ", ".join(CHOICES[name])
        raise SettingsError(
            f"{name} must be one of {choices}, got {_shown(value)}.", name, value
        )
    if name in RANGES and not is_within(value, *RANGES[name], ends="[]"):
        least, most = RANGES[name]
        message = f"{name} must be between {least:,} and {most:,}, got {_shown(value)}."
        raise SettingsError(message, name, value)


def _typed(name, value, kind):
    """Convert a value to the type of its setting; raise if it has another type."""
    if kind in PLAIN:
        is_integer_for_float = kind is float and type(value) is int
        if type(value) is kind or is_integer_for_float:
            return kind(value)
    elif isinstance(value, tuple | list):
        (kind_of_parts, _) = get_args(kind)
        return tuple(_typed(name, part, kind_of_parts) for part in value)
    expected = PLAIN.get(kind, "a list")
    message = f"{name} must be {expected}, got {_shown(value)}."
    raise SettingsError(message, name, value)


def _wanted(name):
    """Describe the valid values of a setting, for a message on the page."""
    if name == "features":
        return f"at least one of {', '.join(FEATURES)}, each only once"
    if name in CHOICES:
        return f"one of {', '.join(CHOICES[name])}"
    if name not in RANGES:
        return "chosen from the lists on the page"
    least, most = RANGES[name]
    if name == "layers":
        return f"at most {MOST_LAYERS} integers from {least} to {most} (such as 8, 8)"
    kind = "an integer" if isinstance(getattr(Settings, name), int) else "a number"
    return f"{kind} from {least:,} to {most:,}"


def _read(text, kind):
    """Parse the value of a setting; return an unreadable text unchanged."""
    if kind not in PLAIN:
        (kind_of_parts, _) = get_args(kind)
        parts = text.split(",") if text else []
        return tuple(_read(part, kind_of_parts) for part in parts)
    if kind is str:
        return unquote(text)
    if kind is bool:
        return SWITCH.get(text, text)
    try:
        return kind(text)
    except ValueError:
        return text


def _written(value):
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return quote(str(value), safe="*()")


def _shown(value):
    """Format a value for a message, truncated to 60 characters."""
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"

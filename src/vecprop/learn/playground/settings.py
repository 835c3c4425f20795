"""The settings of a session: all that decides a run, as values that are checked and as a text."""

from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_type_hints
from urllib.parse import quote, unquote

from ...core.elementary import is_within

CLASSES = {"circles": 2, "moons": 2, "spirals": 2, "xor": 2, "blobs": 3, "wave": 0, "plane": 0, "tutorial": 2}
"""The number of classes of each set; 0 if its targets are numbers."""

ACTIVATIONS = ("logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "identity")
FEATURES = ("x", "y", "x*x", "y*y", "x*y", "sin(x)", "sin(y)")
MOST_ROWS, MOST_LAYERS, MOST_UNITS, LARGEST_SEED = 20_000, 6, 64, 2**31 - 1
LONGEST_TEXT = 10_000
"""The largest number of characters of settings as a text."""


class SettingsError(ValueError):
    """Settings that are refused, with the sentence that says why; of one setting, also its name and value."""

    def __init__(self, said: str, name: str = "", value: Any = None) -> None:
        super().__init__(said)
        self.name, self.value = name, value

    @property
    def on_page(self) -> str:
        """The sentence in the words of the page: the label of the setting, and what to type there."""
        if not self.name:
            return str(self)
        value = f"{self.value:.10g}" if isinstance(self.value, float) else _shown(self.value)
        return f"{LABELS[self.name]}: {_wanted(self.name)}{'' if self.value is None else f' instead of {value}'}."


def _setting(default: Any, label: str, *allowed: Any) -> Any:
    """Return a setting with its label on the page, and its choices or its least and largest number."""
    return field(default=default, metadata={"label": label, "allowed": allowed})


@dataclass(frozen=True)
class Settings:
    """All that decides a run.

    Raises
    ------
    SettingsError
        If a value is out of range.

    Examples
    --------
    >>> settings = Settings(data="moons", layers=(8, 8))
    >>> settings.to_text()
    'data=moons layers=8,8'
    >>> Settings.from_text("data=moons layers=8,8") == settings
    True
    """

    data: str = _setting("circles", "Points", *CLASSES, "table")
    columns: tuple[str, ...] = _setting((), "Across, Up and Target")
    noise: float = _setting(0.1, "Noise", 0, 2)
    rows: int = _setting(200, "Number of points", 4, MOST_ROWS)
    test: float = _setting(0.3, "Share of the test", 0, 0.9)
    seed: int = _setting(1, "Seed", 0, LARGEST_SEED)
    features: tuple[str, ...] = _setting(("x", "y"), "Inputs", *FEATURES)
    layers: tuple[int, ...] = _setting((3,), "Units of the hidden layers", 1, MOST_UNITS)
    activation: str = _setting("tanh", "Activation", *ACTIVATIONS)
    loss: str = _setting("auto", "Loss", "auto", "cross_entropy", "squared_error", "absolute_error", "huber")
    penalty: str = _setting("none", "Penalty", "none", "L2", "L1")
    strength: float = _setting(0.001, "Strength of the penalty", 0, 10)
    dropout: float = _setting(0.0, "Dropout", 0, 0.9)
    normalization: bool = _setting(False, "Layer normalization")
    optimizer: str = _setting("momentum", "Optimizer", "descent", "momentum", "nesterov", "rmsprop", "adam", "adamw")
    learning_rate: float = _setting(0.1, "Learning rate", 0, 100)
    momentum: float = _setting(0.9, "Momentum", 0, 0.9999)
    decay: float = _setting(0.9, "Decay", 0, 0.9999)
    beta1: float = _setting(0.9, "β₁", 0, 0.9999)
    beta2: float = _setting(0.999, "β₂", 0, 0.99999)
    weight_decay: float = _setting(0.01, "Weight decay", 0, 10)
    batch: int = _setting(0, "Batch size (0: all)", 0, MOST_ROWS)
    start: int = _setting(0, "Seed of the start", 0, LARGEST_SEED)
    mistake: str = _setting(
        "none", "Mistake in the backward pass", "none", "slope_forgotten", "no_transpose", "sum_for_mean"
    )

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        for name, kind in get_type_hints(type(self)).items():
            value = _typed(name, getattr(self, name), kind)
            object.__setattr__(self, name, value)
            for one in value if isinstance(value, tuple) else (value,):
                if name in CHOICES and one not in CHOICES[name]:
                    choices = ", ".join(CHOICES[name])
                    raise SettingsError(f"{name} is {_shown(one)}, but it is one of {choices}.", name, one)
                if name in RANGES and not is_within(one, *RANGES[name], ends="[]"):
                    least, most = RANGES[name]
                    raise SettingsError(f"{name} is {_shown(one)}, but it is {least:,} to {most:,}.", name, one)
        if not self.features or len(set(self.features)) < len(self.features):
            raise SettingsError("features names each input once, and at least one: give some such as x,y.", "features")
        if self.mistake == "slope_forgotten" and not self.layers:
            raise SettingsError("Without hidden layers there is no slope that can be forgotten: add a layer.")
        if (count := len(self.layers)) > MOST_LAYERS:
            said = f"layers has {count} hidden layers, but there are {MOST_LAYERS} at most."
            raise SettingsError(said, "layers", self.layers)

    @property
    def of_points(self) -> tuple[Any, ...]:
        """The settings that decide the points."""
        own = (self.columns,) if self.data == "table" else (self.noise, self.rows)
        return (self.data, *own, self.test, self.seed)

    def to_text(self) -> str:
        """Return the settings as a short text: the data, and what differs from the defaults."""
        plain = {each.name: each.default for each in fields(self) if each.name != "data"}
        return " ".join(f"{name}={_written(of)}" for name, of in vars(self).items() if of != plain.get(name))

    @classmethod
    def from_text(cls, text: str) -> "Settings":
        """Return the settings that a text of `to_text` describes.

        Raises
        ------
        SettingsError
            If the text names an unknown setting, or a value does not suit its setting.
        """
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        if len(text) > LONGEST_TEXT:
            raise SettingsError(f"The settings have {len(text):,} characters, but {LONGEST_TEXT:,} are enough.")
        for word in text.split():
            name, sign, value = word.partition("=")
            if not sign or name not in hints:
                wanted = f"write name=value with the names {', '.join(hints)}."
                raise SettingsError(f"{_shown(word)} is not a setting: {wanted}")
            if name in values:
                raise SettingsError(f"{name} is there twice in the settings: write it once.")
            values[name] = _read(name, value, hints[name])
        return cls(**values)


LABELS: dict[str, str] = {each.name: each.metadata["label"] for each in fields(Settings)}
"""The labels of settings on the page."""

_ALLOWED = {each.name: each.metadata["allowed"] for each in fields(Settings) if each.metadata["allowed"]}
CHOICES = {name: allowed for name, allowed in _ALLOWED.items() if isinstance(allowed[0], str)}
"""What settings that are words may be."""

RANGES = {name: allowed for name, allowed in _ALLOWED.items() if name not in CHOICES}
"""The least and the most of settings that are numbers."""

PLAIN: dict[Any, str] = {str: "a word", int: "a whole number", float: "a number", bool: "on or off"}
SWITCH = {"on": True, "off": False}


def _typed(name: str, value: Any, kind: Any) -> Any:
    """Return a value as the type of its setting, or refuse it."""
    if kind in PLAIN and (type(value) is kind or (kind is float and type(value) is int)):
        return kind(value)
    if kind not in PLAIN and isinstance(value, tuple | list):
        return tuple(_typed(name, one, get_args(kind)[0]) for one in value)
    raise SettingsError(f"{name} is {_shown(value)}, but it is {PLAIN.get(kind, 'a list')}.", name, value)


def _wanted(name: str) -> str:
    """Return what to do on the page so that a setting has a value that it takes."""
    if name == "features":
        return f"tick at least one of {', '.join(FEATURES)}, each once"
    if name in CHOICES:
        return f"choose one of {', '.join(CHOICES[name])}"
    if name not in RANGES:
        return "choose what the page offers"
    least, most = RANGES[name]
    if name == "layers":
        return f"type at most {MOST_LAYERS} whole numbers from {least} to {most} (such as 8, 8)"
    whole = "whole " if isinstance(getattr(Settings, name), int) else ""
    return f"type a {whole}number from {least:,} to {most:,}"


def _read(name: str, text: str, kind: Any) -> Any:
    """Return the value that a text stands for, or refuse it."""
    if kind not in PLAIN:
        return tuple(_read(name, part, get_args(kind)[0]) for part in text.split(",")) if text else ()
    try:
        return {str: unquote, bool: SWITCH.__getitem__}.get(kind, kind)(text)
    except (ValueError, KeyError):
        raise SettingsError(f"{name} is {_shown(text)}, but it is {PLAIN[kind]}.") from None


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return ("off", "on")[value] if isinstance(value, bool) else quote(str(value), safe="*()")


def _shown(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"

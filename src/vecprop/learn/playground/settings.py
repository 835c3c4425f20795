"""The settings of a session: all that decides a run, as values that are checked and as a text."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints
from urllib.parse import quote, unquote

from ...core.elementary import is_within

CLASSES = {"circles": 2, "moons": 2, "spirals": 2, "xor": 2, "blobs": 3, "wave": 0, "plane": 0, "tutorial": 2}
"""The number of classes of each set; 0 of those whose targets are numbers."""
FEATURES = ("x", "y", "x*x", "y*y", "x*y", "sin(x)", "sin(y)")
ACTIVATIONS = ("logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "identity")
LOSSES = ("auto", "cross_entropy", "squared_error", "absolute_error", "huber")
PENALTIES = ("none", "L2", "L1")
MISTAKES = ("none", "slope_forgotten", "no_transpose", "sum_for_mean")
OPTIMIZERS = ("descent", "momentum", "nesterov", "rmsprop", "adam", "adamw")

MOST_ROWS, MOST_LAYERS, MOST_UNITS = 20_000, 6, 64


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

    data: str = "circles"
    columns: tuple[str, ...] = ()
    noise: float = 0.1
    rows: int = 200
    test: float = 0.3
    seed: int = 1
    features: tuple[str, ...] = ("x", "y")
    layers: tuple[int, ...] = (3,)
    activation: str = "tanh"
    loss: str = "auto"
    penalty: str = "none"
    strength: float = 0.001
    dropout: float = 0.0
    normalization: bool = False
    optimizer: str = "momentum"
    learning_rate: float = 0.1
    momentum: float = 0.9
    decay: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.01
    batch: int = 0
    start: int = 0
    mistake: str = "none"

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        hints = get_type_hints(type(self))
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _typed(field.name, value, hints[field.name]))
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one not in choices:
                    raise SettingsError(f"{name} is {_shown(one)}, but it is one of {', '.join(choices)}.", name, one)
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if not is_within(one, least, most, ends="[]"):
                    raise SettingsError(f"{name} is {_shown(one)}, but it is {least:,} to {most:,}.", name, one)
        if not self.features or len(set(self.features)) < len(self.features):
            raise SettingsError("features names each input once, and at least one: give some such as x,y.", "features")
        if self.mistake == "slope_forgotten" and not self.layers:
            raise SettingsError("Without hidden layers there is no slope that can be forgotten: add a layer.")
        if len(self.layers) > MOST_LAYERS:
            raise SettingsError(
                f"layers has {len(self.layers)} hidden layers, but there are {MOST_LAYERS} at most.",
                "layers",
                self.layers,
            )

    @property
    def of_points(self) -> tuple[Any, ...]:
        """The settings that decide the points."""
        own = (self.columns,) if self.data == "table" else (self.noise, self.rows)
        return (self.data, *own, self.test, self.seed)

    def to_text(self) -> str:
        """Return the settings as a short text: the data, and what is not as by default."""
        plain = Settings()
        words = [field.name for field in fields(self) if getattr(self, field.name) != getattr(plain, field.name)]
        return " ".join(f"{name}={_written(getattr(self, name))}" for name in dict.fromkeys(["data", *words]))

    @classmethod
    def from_text(cls, text: str) -> "Settings":
        """Return the settings that a text of `to_text` describes.

        Raises
        ------
        SettingsError
            If the text names an unknown setting, or a value is not one of that setting.
        """
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        if len(text) > LONGEST_TEXT:
            raise SettingsError(f"The settings have {len(text):,} characters, but {LONGEST_TEXT:,} are enough.")
        for word in text.split():
            name, sign, value = word.partition("=")
            if not sign or name not in hints:
                raise SettingsError(
                    f"{_shown(word)} is not a setting: write name=value with the names {', '.join(hints)}."
                )
            if name in values:
                raise SettingsError(f"{name} is there twice in the settings: write it once.")
            values[name] = _read(name, value, hints[name])
        return cls(**values)


LABELS = {
    "data": "Points",
    "columns": "Across, Up and Target",
    "noise": "Noise",
    "rows": "Number of points",
    "test": "Share of the test",
    "seed": "Seed",
    "features": "Inputs",
    "layers": "Units of the hidden layers",
    "activation": "Activation",
    "loss": "Loss",
    "penalty": "Penalty",
    "strength": "Strength of the penalty",
    "dropout": "Dropout",
    "normalization": "Layer normalization",
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate",
    "momentum": "Momentum",
    "decay": "Decay",
    "beta1": "β₁",
    "beta2": "β₂",
    "weight_decay": "Weight decay",
    "batch": "Batch size (0: all)",
    "start": "Seed of the start",
    "mistake": "Mistake in the backward pass",
}
"""The labels of settings on the page."""

CHOICES = {
    "data": (*CLASSES, "table"),
    "features": FEATURES,
    "activation": ACTIVATIONS,
    "loss": LOSSES,
    "penalty": PENALTIES,
    "optimizer": OPTIMIZERS,
    "mistake": MISTAKES,
}
"""What settings that are words may be."""

RANGES = {
    "noise": (0, 2),
    "rows": (4, MOST_ROWS),
    "test": (0, 0.9),
    "seed": (0, 2**31 - 1),
    "layers": (1, MOST_UNITS),
    "strength": (0, 10),
    "dropout": (0, 0.9),
    "learning_rate": (0, 100),
    "momentum": (0, 0.9999),
    "decay": (0, 0.9999),
    "beta1": (0, 0.9999),
    "beta2": (0, 0.99999),
    "weight_decay": (0, 10),
    "batch": (0, MOST_ROWS),
    "start": (0, 2**31 - 1),
}
"""The least and the most of settings that are numbers."""

LONGEST_TEXT = 10_000
"""The largest number of characters of settings as a text."""

SIGNS = "*()"
"""The signs that stand for themselves in that text; others, but for letters and digits, are written as %20 is."""


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
        return READERS[kind](text)
    except (ValueError, KeyError):
        raise SettingsError(f"{name} is {_shown(text)}, but it is {PLAIN[kind]}.") from None


PLAIN: dict[Any, str] = {str: "a word", int: "a whole number", float: "a number", bool: "on or off"}
READERS: dict[Any, Callable[[str], Any]] = {
    str: unquote,
    int: int,
    float: float,
    bool: {"on": True, "off": False}.__getitem__,
}


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else quote(str(value), safe=SIGNS)


def _shown(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"

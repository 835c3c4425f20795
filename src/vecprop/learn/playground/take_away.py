"""What may be taken away: a script that makes the same parameters, to the bit, a model file, and the settings."""

import ast
import inspect
import tempfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import vecprop

from ...core.network import Network
from ...files.model_file import save
from ...files.networks import TrainedNetwork
from .parts import PLANTED, engine_of, network_of, optimizer_of, with_mistake
from .points import SETS, tests_of
from .record import Action, AddPoint, Change, Edit, Epochs, MovePoint, RemovePoint, SetWeight, Steps
from .session import Session
from .settings import Settings

HEAD = '''"""A network of the playground, trained again: theta has the same bits as there."""

import numpy as np

{imports}
'''

RUN = '''
def run(X, T, epochs, batch_size=None):
    """Train for some epochs with the network and the optimizer as they are now."""
    result = train(
        network,
        theta,
        X,
        T,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=False,
        seed={seed},
        engine=engine,
        state=state,
    )
    return result.theta, result.state
'''


def script(session: Session) -> str:
    """Return a script that does again all that was done since the session's last start.

    It needs NumPy and vecprop, and ends with the parameters in ``theta``.
    """
    begun, changes = session.begun, [act.settings for act in session.log.actions if isinstance(act, Change)]
    written = _Writer(session)
    written.define(begun)
    written.lines += ["", f"theta, state = network.init(seed={begun.start}), None"]
    for action in session.log.actions:
        written.act(action)
    written.inputs()
    written.lines += ['print(f"The loss of training is {network.loss(theta, X, T):.6g}.")']
    used = [begun, *changes]
    sets = dict.fromkeys(SETS[settings.data] for settings in used if settings.data in SETS)
    wrong = dict.fromkeys(part for settings in used for part in PLANTED[settings.mistake])
    source = [*map(inspect.getsource, (*sets, *wrong)), RUN.format(seed=begun.start).strip() + "\n"]
    body = "\n\n" + "\n\n".join(source) + "\n\n" + "\n".join(written.lines) + "\n"
    dataclass = "from dataclasses import dataclass, field\n\n" if wrong else ""
    head = HEAD.format(imports="\n".join(_imports(body)))
    return head.replace("import numpy", f"{dataclass}import numpy", 1) + body


def _imports(code: str) -> list[str]:
    """Return the lines that import the library's public names that code uses."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    names = {package.__name__: sorted(used & set(package.__all__)) for package in (vecprop, vecprop.extend)}
    return [f"from {package} import {', '.join(found)}" for package, found in names.items() if found]


def _network_lines(network: Network) -> list[str]:
    """Return the lines that make a network, one for each layer."""
    layers = [f"        {layer!r}," for layer in network.layers]
    penalties = [f"    {list(network.penalties)!r},"] if network.penalties else []
    return [
        "network = Network(",
        f"    {network.inputs},",
        "    [",
        *layers,
        "    ],",
        f"    {network.loss_function!r},",
        *penalties,
        ")",
    ]


def _rows_of(values: list[str]) -> list[str]:
    """Return values as lines of some each."""
    return [f"    {', '.join(values[start : start + 5])}," for start in range(0, len(values), 5)]


class _Writer:
    """The lines of a script, and what they have defined so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.classes = 0
        self.lines: list[str] = []
        self.defined: dict[str, list[str]] = {}
        self.settings = session.begun

    def define(self, settings: Settings) -> None:
        """Write what settings define and is not defined so already."""
        self.settings = settings
        self.write("points", self.points())
        self.write("network", _network_lines(with_mistake(network_of(settings, self.classes), settings.mistake)))
        self.write("optimizer", [f"optimizer = {optimizer_of(settings)!r}"])
        self.write("engine", [f'engine = "{engine_of(settings)}"'])

    def write(self, what: str, lines: list[str]) -> None:
        """Write lines that define something, unless they were the last to define it."""
        if self.defined.get(what) != lines:
            self.lines += lines
            self.defined[what] = lines
            if what == "points":
                self.defined.pop("inputs", None)

    def points(self) -> list[str]:
        """Return the lines that make the points as they are drawn."""
        settings = self.settings
        points = self.session.drawn(settings)
        self.classes, rows = len(points.class_names), len(points.t)
        is_test = f"is_test = np.arange({rows}) < {tests_of(settings.test, rows)}"
        if settings.data not in SETS:
            places, goals = (list(map(repr, values.tolist())) for values in (points.XY, points.t))
            return ["XY = np.array([", *_rows_of(places), "])", "t = np.array([", *_rows_of(goals), "])", is_test]
        return [
            f"XY, t = {settings.data}(seed={settings.seed}, rows={rows}, noise={settings.noise!r})",
            f"order = np.random.default_rng({settings.seed}).permutation({rows})",
            "XY, t = XY[order], t[order]",
            is_test,
        ]

    def inputs(self) -> None:
        """Write the inputs and targets of training, unless they are as they were."""
        names = [name.replace("*", " * ").replace("sin", "np.sin") for name in self.settings.features]
        T = f"np.eye({self.classes})[t[~is_test]]" if self.classes else "t[~is_test]"
        lines = ["x, y = XY[~is_test].T", f"X = np.stack([{', '.join(names)}], axis=1)", f"T = {T}"]
        self.write("inputs", lines)

    def act(self, action: Action) -> None:
        """Write an action."""
        batch = self.settings.batch
        if isinstance(action, Edit):
            self.defined.pop("inputs", None)
        match action:
            case Epochs(count):
                self.inputs()
                size = f", batch_size={batch}" if batch else ""
                self.lines += [f"theta, state = run(X, T, epochs={count}{size})"]
            case Steps(first, count):
                self.inputs()
                self.lines += [
                    f"for batch in range({first}, {first + count}):",
                    f"    rows = slice(batch * {batch}, (batch + 1) * {batch})",
                    "    theta, state = run(X[rows], T[rows], epochs=1)",
                ]
            case SetWeight(index, value):
                self.lines += [f"theta[{index}] = {value!r}"]
            case Change(settings, keeps_state):
                if settings.of_points != self.settings.of_points:
                    self.defined.pop("points")
                self.define(settings)
                self.lines += [] if keeps_state else ["state = None"]
            case AddPoint(x, y, target):
                self.lines += [
                    f"XY, t = np.append(XY, [[{x!r}, {y!r}]], axis=0), np.append(t, {target!r})",
                    "is_test = np.append(is_test, False)",
                ]
            case MovePoint(index, x, y):
                self.lines += [f"XY[{index}] = {x!r}, {y!r}"]
            case RemovePoint(index):
                self.lines += [f"XY, t, is_test = (np.delete(values, {index}, axis=0) for values in (XY, t, is_test))"]


def model_file(session: Session) -> bytes:
    """Return the bytes of a file that `vecprop.load` opens: the network, theta, and the state of its training.

    Of a network with a planted mistake the state is left out, since it belongs to no network of the library.
    """
    state = session.state if session.settings.mistake == "none" else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        save(TrainedNetwork(session.network, session.theta, state), path)
        return path.read_bytes()


FILES: dict[str, tuple[str, str, Callable[[Session], bytes]]] = {
    "script": ("playground.py", "text/x-python", lambda session: script(session).encode()),
    "model": ("playground.npz", "application/octet-stream", model_file),
}
"""The name, type and content of each file."""


def file_of(session: Session, what: str) -> dict[str, str]:
    """Return a file, whose bytes are base64."""
    name, kind, content = FILES[what]
    return {"name": name, "type": kind, "content": b64encode(content(session)).decode()}

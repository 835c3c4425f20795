"""Export a session as a Python script or as a model file."""

import ast
import inspect
import tempfile
from pathlib import Path
from typing import Any

import vecprop

from .building import PLANTED, engine_of, network_of, optimizer_of, with_mistake
from .points import SETS
from .session import Session
from .session_settings import Settings

SCRIPT = '''"""Train a network as in the playground, with bit-identical parameters."""

{imports}


{sources}def run(X, T, epochs, batch_size=None):
    """Train for some epochs with the current network and optimizer."""
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


{lines}
print(f"Training loss: {{network.loss(theta, X, T):.6g}}")
'''


def script(session: Session) -> str:
    """Write a script that repeats all actions since the session's last restart.

    The script needs NumPy and vecprop. When it ends, ``theta`` contains the session's
    parameters.
    """
    initial = session.initial
    writer = _Writer(session)
    writer.define(initial)
    writer.lines += ["", f"theta, state = network.init(seed={initial.start}), None"]
    for action in session.actions:
        writer.act(*action)
    writer.inputs()
    sources = ""
    for definition in (*writer.sets, *writer.mistakes):
        sources += f"{inspect.getsource(definition)}\n\n"
    content = {
        "sources": sources,
        "seed": initial.start,
        "lines": "\n".join(writer.lines),
    }
    imports = _imports(SCRIPT.format(imports="", **content))
    return SCRIPT.format(imports=imports, **content)


def _imports(code):
    """Return the imports of a script."""
    nodes = ast.walk(ast.parse(code))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    lines = []
    if "dataclass" in names:
        lines += ["from dataclasses import dataclass, field", ""]
    lines += ["import numpy as np", ""]
    for package in (vecprop, vecprop.extend):
        public_names = sorted(names & set(package.__all__))
        if public_names:
            lines.append(f"from {package.__name__} import {', '.join(public_names)}")
    return "\n".join(lines)


class _Writer:
    """Collects the lines of a script and avoids repeated definitions."""

    def __init__(self, session: Session):
        self.session = session
        self.classes = 0
        self.lines: list[str] = []
        self.sets: dict[Any, None] = {}
        self.mistakes: dict[Any, None] = {}
        self.defined: dict[str, list[str]] = {}
        self.settings = session.initial

    def define(self, settings: Settings):
        """Write definitions of the settings that have changed."""
        self.settings = settings
        if settings.data in SETS:
            self.sets[SETS[settings.data]] = None
        if settings.mistake in PLANTED:
            self.mistakes[PLANTED[settings.mistake]] = None
        self.write("points", self.points())
        network = with_mistake(network_of(settings, self.classes), settings.mistake)
        lines = ["network = Network(", f"    {network.inputs},", "    ["]
        lines += [f"        {layer!r}," for layer in network.layers]
        lines += ["    ],", f"    {network.loss_function!r},"]
        if network.penalties:
            lines.append(f"    {[*network.penalties]!r},")
        self.write("network", [*lines, ")"])
        self.write("optimizer", [f"optimizer = {optimizer_of(settings)!r}"])
        self.write("engine", [f'engine = "{engine_of(settings)}"'])

    def write(self, name: str, lines: list[str]):
        """Write the lines of a definition if it has changed."""
        if self.defined.get(name) != lines:
            self.lines += lines
            self.defined[name] = lines
            if name == "points":
                self.defined.pop("inputs", None)

    def points(self) -> list[str]:
        """Return the lines that generate the points without edits."""
        settings = self.settings
        points = self.session.drawn(settings)
        self.classes = len(points.class_names)
        rows = len(points.t)
        # shuffled points begin with the test points
        is_test = f"is_test = np.arange({rows}) < {points.is_test.sum()}"
        if settings.data not in SETS:
            return [
                f"XY = np.array({_rows_of(points.XY)})",
                f"t = np.array({_rows_of(points.t)})",
                is_test,
            ]
        sample = (
            f"XY, t = {settings.data}(seed={settings.seed}, rows={rows},"
            f" noise={settings.noise!r})"
        )
        order = f"order = np.random.default_rng({settings.seed}).permutation({rows})"
        return [sample, order, "XY, t = XY[order], t[order]", is_test]

    def inputs(self):
        """Write the training inputs and targets if they have changed."""
        names = [
            name.replace("*", " * ").replace("sin", "np.sin")
            for name in self.settings.features
        ]
        T = f"np.eye({self.classes})[t[~is_test]]" if self.classes else "t[~is_test]"
        lines = [
            "x, y = XY[~is_test].T",
            f"X = np.stack([{', '.join(names)}], axis=1)",
            f"T = {T}",
        ]
        self.write("inputs", lines)

    def act(self, *action):
        """Write an action of a session; see `Session`."""
        batch = self.settings.batch
        lines = []
        match action:
            case "epochs", count:
                self.inputs()
                size = f", batch_size={batch}" if batch else ""
                lines = [f"theta, state = run(X, T, epochs={count}{size})"]
            case "steps", first, count:
                self.inputs()
                lines = [
                    f"for batch in range({first}, {first + count}):",
                    f"    rows = slice(batch * {batch}, (batch + 1) * {batch})",
                    "    theta, state = run(X[rows], T[rows], epochs=1)",
                ]
            case "weight", index, value:
                lines = [f"theta[{index}] = {value!r}"]
            case "change", settings, keeps_state:
                if settings.of_points != self.settings.of_points:
                    self.defined.pop("points")
                self.define(settings)
                if not keeps_state:
                    lines = ["state = None"]
            case "add", x, y, target:
                lines = [
                    f"XY, t = np.append(XY, [[{x!r}, {y!r}]], axis=0), np.append(t,"
                    f" {target!r})",
                    "is_test = np.append(is_test, False)",
                ]
            case "move", index, x, y:
                lines = [f"XY[{index}] = {x!r}, {y!r}"]
            case "remove", index:
                lines = [
                    f"XY, t, is_test = (np.delete(values, {index}, axis=0) for values"
                    " in (XY, t, is_test))"
                ]
        if action[0] in ("add", "move", "remove"):
            self.defined.pop("inputs", None)
        self.lines += lines


def _rows_of(values):
    """Format an array as the source code of a list, five entries per line."""
    texts = list(map(repr, values.tolist()))
    code = "[\n"
    for start in range(0, len(texts), 5):
        code += f"    {', '.join(texts[start : start + 5])},\n"
    return f"{code}]"


def model_file(session: Session) -> bytes:
    """Return the bytes of a model file for `vecprop.load`.

    The file contains the training state, unless the network has a deliberate mistake.
    """
    # imports scikit-learn, which the page does not need
    from ...files.model_file import save
    from ...files.networks import TrainedNetwork

    state = session.state if session.settings.mistake == "none" else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        save(TrainedNetwork(session.network, session.theta, state), path)
        return path.read_bytes()

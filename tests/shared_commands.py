"""The command line in this process, and settings of commands that tests share."""

from functools import cache, partial
from typing import Any

import pytest
from threadpoolctl import threadpool_limits
from typer import testing
from typer.main import get_command
from typer.testing import CliRunner

from vecprop.app.command_line import app
from vecprop.tables.evaluation import baselines

runner: Any = testing
# building the commands for each run would take an eighth of these tests' time
if hasattr(runner, "_get_command"):
    runner._get_command = cache(runner._get_command)

FAST = ("--max-iter", 2, "--n-estimators", 2, "--hidden-layer-sizes", 4)


def invoke(*arguments: object, text: str | bytes | None = None) -> Any:
    """Run a command and return its exit code and output."""
    return CliRunner().invoke(app, list(map(str, arguments)), input=text)


def call(*arguments: str) -> None:
    """Run a command as a program does, with its standard streams and errors."""
    app(arguments, standalone_mode=False)


def exit_with(*arguments: str) -> None:
    """Run a command and exit."""
    app(arguments)


def commands() -> dict[str, Any]:
    """Return the commands by name, such as "train" and "learn grade"."""
    group: Any = get_command(app)
    lessons = group.commands["learn"].commands
    others = {
        name: command for name, command in group.commands.items() if name != "learn"
    }
    return others | {f"learn {name}": lesson for name, lesson in lessons.items()}


def groups() -> list[Any]:
    """Return the groups of commands."""
    group: Any = get_command(app)
    return [group, group.commands["learn"]]


@pytest.fixture(scope="module", autouse=True)
def small_baselines():
    """Let gradient boosting take three steps, and regressions try two penalties."""
    changes: dict[str, Any] = {"STRENGTHS": (0.01, 1.0)}
    for name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        changes[name] = partial(getattr(baselines, name), max_iter=3)
    limited = threadpool_limits(1, user_api="openmp")
    with pytest.MonkeyPatch.context() as patch, limited:
        for name, value in changes.items():
            patch.setattr(baselines, name, value)
        yield

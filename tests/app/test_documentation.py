"""Test that the page about the command line lists all commands, options and exit codes."""

import re
from pathlib import Path
from typing import Any

from rich.text import Text
from typer.main import get_command

from vecprop.app.command_line import app
from vecprop.system.interrupts import TERMINATED
from vecprop.terminal import messages as errors

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(
    encoding="utf-8"
)


def test_commands_options_and_codes():
    group: Any = get_command(app)
    commands = dict(group.commands)
    for name, command in commands.pop("learn").commands.items():
        commands[f"learn {name}"] = command
    for name in commands:
        assert f"`vecprop {name}" in PAGE
    shown = [
        parameter for parameter in commands["train"].params if not parameter.hidden
    ]
    options = {
        option
        for parameter in shown
        for option in parameter.opts
        if option.startswith("--")
    }
    assert {
        option for option in options - {"--help", "--output"} if option not in PAGE
    } == set()
    assert set(re.findall(r"`(--[\w-]+)", PAGE)) <= {
        option
        for command in commands.values()
        for parameter in command.params
        for option in parameter.opts
    } | {"--help", "--install-completion"}
    codes = [value for name, value in vars(errors).items() if name.isupper()]
    assert set(map(int, re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE))) == {
        0,
        *codes,
        TERMINATED,
    }


def test_no_help_text_loses_words_in_brackets():
    """Typer and rich treat `[columns]` as a style and remove it, unless it is escaped with a backslash."""
    group: Any = get_command(app)
    for command in (
        group,
        *group.commands.values(),
        *group.commands["learn"].commands.values(),
    ):
        for text in (
            command.help,
            *(getattr(parameter, "help", None) for parameter in command.params),
        ):
            assert Text.from_markup(text or "").plain == (text or "").replace(
                "\\[", "["
            )

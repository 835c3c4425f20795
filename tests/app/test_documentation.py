"""Test that the page about the command line lists all commands, options and exit codes."""

import re
from pathlib import Path

from rich.text import Text

from shared_commands import commands, groups

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(
    encoding="utf-8"
)


def test_commands_options_and_codes():
    by_name = commands()
    for name in by_name:
        assert f"`vecprop {name}" in PAGE
    shown = [parameter for parameter in by_name["train"].params if not parameter.hidden]
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
        for command in by_name.values()
        for parameter in command.params
        for option in parameter.opts
    } | {"--help", "--install-completion"}
    codes = map(int, re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE))
    assert sorted(codes) == [0, 1, 2, 3, 4, 5, 130, 143]


def test_no_help_text_loses_words_in_brackets():
    """Typer and rich treat `[columns]` as a style and remove it, unless it is escaped with a backslash."""
    for command in (*groups(), *commands().values()):
        for text in (
            command.help,
            *(getattr(parameter, "help", None) for parameter in command.params),
        ):
            assert Text.from_markup(text or "").plain == (text or "").replace(
                "\\[", "["
            )

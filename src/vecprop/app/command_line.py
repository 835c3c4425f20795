"""The command line of ``vecprop``: its commands, exit codes and one-line errors."""

import functools
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from ..system.interrupts import terminated_as_interrupted
from ..terminal.messages import (
    FAILURE,
    INTERRUPTED,
    USAGE,
    UsageError,
    code_of,
    discard,
    reader_has_ended,
    say,
    sentence,
)
from ..terminal.usage import sentence_of
from .commands import learn
from .commands.model_files import (
    check_gradients,
    convert,
    export,
    info,
    playground,
    warmup,
)
from .commands.rows import evaluate, explain, predict
from .commands.train import train

_WrongUsage: Any = typer.BadParameter.__base__  # typer does not export it


class Commands(TyperGroup):
    """The command group, with one-sentence usage errors; a closed pipe is not an error."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *names,
        standalone_mode: bool = True,
        **settings,
    ):
        """Run a command, and end the program with its exit code."""
        args = list(sys.argv[1:] if args is None else args)
        settings["standalone_mode"] = False
        try:
            code = super().main(args, "vecprop", *names, **settings) or 0
        except UsageError as error:
            say(str(error))
            code = USAGE
        except _WrongUsage as error:
            say(sentence_of(error, self, args))
            code = USAGE
        except BrokenPipeError:
            code = 0
        # a further Ctrl-C while an earlier one was reported
        except (KeyboardInterrupt, typer.Abort):
            say("Interrupted.")
            code = INTERRUPTED
        except SystemExit as error:
            code = error.code
            # raised by rich while showing help
            if isinstance(error.__context__, BrokenPipeError):
                discard(sys.stdout)
                code = 0
        try:
            sys.stdout.flush()
        except OSError as error:
            if not reader_has_ended() and not code:
                say(sentence(error))
                code = FAILURE
            discard(sys.stdout)
        if not standalone_mode:
            return code
        sys.exit(code)


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command to print errors and warnings as single lines on stderr, and to set the exit code.

    With ``--debug``, errors are printed with their traceback.
    """

    @functools.wraps(command)
    @terminated_as_interrupted()
    def run(**options):
        """Run the command, and exit with the code of its error."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_: say(f"Note: {message}")
                command(**options)
        except (typer.Exit, typer.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, BrokenPipeError) and reader_has_ended():
                raise typer.Exit from None
            if options.get("debug"):
                traceback.print_exc()
            if isinstance(error, KeyboardInterrupt):
                say("Interrupted.")
                raise typer.Exit(INTERRUPTED) from None
            # imports modules, which an interrupt waits for, before the message
            code = code_of(error)
            say(sentence(error))
            raise typer.Exit(code) from None

    return run


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
for command in (
    train,
    predict,
    evaluate,
    explain,
    convert,
    check_gradients,
    export,
    info,
    warmup,
    learn.demo,
    playground,
):
    app.command()(one_line_errors(command))
lessons = typer.Typer(
    no_args_is_help=True, help="Grade students' code; make and grade worksheets."
)
for command in (learn.grade, learn.worksheet, learn.grade_worksheets):
    lessons.command()(one_line_errors(command))
app.add_typer(lessons, name="learn")


def _version(asked: bool):
    if asked:
        from .. import __version__

        print(f"vecprop {__version__}")
        raise typer.Exit


@app.callback()
def vecprop(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_version,
        is_eager=True,
        help="Show the version and exit.",
    ),
):
    """Train dense neural networks with hand-derived, fully vectorized backpropagation."""

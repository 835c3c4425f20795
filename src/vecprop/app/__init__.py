"""The command line ``vecprop``: its commands and their implementation."""

import sys


def main() -> None:
    """Run the command line, or say in one sentence which package is missing."""
    try:
        from .command_line import app
    except ImportError as error:
        sys.exit(f'The command line needs {error.name}: pip install "vecprop[all]".')
    app()

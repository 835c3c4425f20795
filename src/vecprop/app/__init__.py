"""What a person meets on the command line."""

import sys


def main() -> None:
    """Run the command line; say in one sentence what is missing where it cannot."""
    try:
        from .command_line import app
    except ImportError as error:
        sys.exit(f'The command line needs {error.name}: pip install "vecprop[all]".')
    app()

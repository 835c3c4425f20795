import subprocess
import sys

import pytest

import vecprop as vp


def test_all_public_names_exist_and_are_documented():
    for name in vp.__all__:
        documented = getattr(vp, name)
        assert documented.__doc__, name
        assert not documented.__doc__.startswith(f"{name}("), f"{name} has no docstring of its own"


@pytest.mark.parametrize("module", ["scipy", "sklearn", "matplotlib", "pandas", "rich", "typer", "array_api_compat"])
def test_import_is_light(module):
    code = f"import sys, vecprop; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

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


def test_functions_that_use_the_module_go_to_other_processes():
    code = "import vecprop as vp\nfrom joblib import Parallel, delayed\n"
    code += "def width(outputs):\n    return vp.Dense(outputs).outputs\n"
    code += "if __name__ == '__main__':\n    print(Parallel(n_jobs=2)(delayed(width)(k) for k in (3, 4)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[3, 4]\n"


def test_submodules_and_the_module_itself():
    assert vp.learn.seed.nn.__name__ == "nn"
    assert callable(vp.pictures.plot_loss)
    done = subprocess.run([sys.executable, "-m", "vecprop", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"vecprop {vp.__version__}\n"

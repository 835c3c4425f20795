import subprocess
import sys

import pytest

from vecprop.pictures import plot_loss


def test_the_import_of_the_pictures_does_not_import_matplotlib():
    code = "import sys, vecprop.pictures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_says_how_to_install_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")
    with pytest.raises(ImportError, match=r'pip install "vecprop\[pictures\]"'):
        plot_loss([1.0])

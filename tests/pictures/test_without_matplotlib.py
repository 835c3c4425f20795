import subprocess
import sys


def test_importing_pictures_does_not_import_matplotlib():
    code = "import sys, vecprop.pictures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
